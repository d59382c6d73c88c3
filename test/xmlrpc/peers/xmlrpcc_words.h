/* Values of xmlrpc-c as words, as value_test.go describes them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xmlrpc-c/base.h>

/* A string that grows. */
struct buf {
	char *p;
	size_t len, cap;
};

static void put(struct buf *b, const char *s, size_t n) {
	if (b->len + n + 1 > b->cap) {
		b->cap = 2 * (b->len + n + 1);
		b->p = realloc(b->p, b->cap);
	}
	memcpy(b->p + b->len, s, n);
	b->len += n;
	b->p[b->len] = 0;
}

static void puts_to(struct buf *b, const char *s) { put(b, s, strlen(s)); }

static void put_hex(struct buf *b, const unsigned char *s, size_t n) {
	static const char digits[] = "0123456789abcdef";
	puts_to(b, "x");
	for (size_t i = 0; i < n; i++) {
		char pair[2] = {digits[s[i] >> 4], digits[s[i] & 15]};
		put(b, pair, 2);
	}
}

static void put_fault(struct buf *b, int code, const char *text) {
	char number[32];
	snprintf(number, sizeof number, "fault %d ", code);
	puts_to(b, number);
	put_hex(b, (const unsigned char *)text, strlen(text));
}

static void put_error(struct buf *b, const char *text) {
	puts_to(b, "error ");
	put_hex(b, (const unsigned char *)text, strlen(text));
}

/* unhex decodes the next word, in its place, and returns its length. */
static size_t unhex(char **at, char **text) {
	char *word = strsep(at, " "), *out = word;
	*text = word;
	size_t n = strlen(word + 1) / 2;
	for (size_t i = 0; i < n; i++) {
		unsigned byte;
		sscanf(word + 1 + 2 * i, "%2x", &byte);
		out[i] = (char)byte;
	}
	return n;
}

/* take takes one value from the words at *at. */
static xmlrpc_value *take(xmlrpc_env *env, char **at) {
	char *kind = strsep(at, " "), *text;
	size_t n;
	if (!strcmp(kind, "nil"))
		return xmlrpc_nil_new(env);
	if (!strcmp(kind, "int"))
		return xmlrpc_int_new(env, atoi(strsep(at, " ")));
	if (!strcmp(kind, "i8"))
		return xmlrpc_i8_new(env, atoll(strsep(at, " ")));
	if (!strcmp(kind, "boolean"))
		return xmlrpc_bool_new(env, atoi(strsep(at, " ")));
	if (!strcmp(kind, "double"))
		return xmlrpc_double_new(env, strtod(strsep(at, " "), NULL));
	if (!strcmp(kind, "date")) {
		xmlrpc_datetime d = {0};
		sscanf(strsep(at, " "), "%4u%2u%2uT%2u:%2u:%2u", &d.Y, &d.M, &d.D, &d.h, &d.m, &d.s);
		return xmlrpc_datetime_new(env, d);
	}
	if (!strcmp(kind, "string")) {
		n = unhex(at, &text);
		return xmlrpc_string_new_lp_cr(env, n, text);
	}
	if (!strcmp(kind, "base64")) {
		n = unhex(at, &text);
		return xmlrpc_base64_new(env, n, (unsigned char *)text);
	}
	int count = atoi(strsep(at, " "));
	xmlrpc_value *v = strcmp(kind, "array") ? xmlrpc_struct_new(env) : xmlrpc_array_new(env);
	int is_array = !strcmp(kind, "array");
	while (count-- > 0 && !env->fault_occurred) {
		size_t len = 0;
		char *name = NULL;
		if (!is_array)
			len = unhex(at, &name);
		xmlrpc_value *e = take(env, at);
		if (env->fault_occurred)
			break;
		if (is_array)
			xmlrpc_array_append_item(env, v, e);
		else
			xmlrpc_struct_set_value_n(env, v, name, len, e);
		xmlrpc_DECREF(e);
	}
	return v;
}

/* show writes a value. */
static void show(xmlrpc_env *env, struct buf *b, xmlrpc_value *v) {
	char number[512] = "";
	switch (xmlrpc_value_type(v)) {
	case XMLRPC_TYPE_NIL:
		puts_to(b, "nil");
		return;
	case XMLRPC_TYPE_INT: {
		int i = 0;
		xmlrpc_read_int(env, v, &i);
		snprintf(number, sizeof number, "int %d", i);
		break;
	}
	case XMLRPC_TYPE_I8: {
		xmlrpc_int64 i = 0;
		xmlrpc_read_i8(env, v, &i);
		snprintf(number, sizeof number, "i8 %lld", (long long)i);
		break;
	}
	case XMLRPC_TYPE_BOOL: {
		xmlrpc_bool i = 0;
		xmlrpc_read_bool(env, v, &i);
		snprintf(number, sizeof number, "boolean %d", i);
		break;
	}
	case XMLRPC_TYPE_DOUBLE: {
		double d = 0;
		xmlrpc_read_double(env, v, &d);
		snprintf(number, sizeof number, "double %.17g", d);
		break;
	}
	case XMLRPC_TYPE_DATETIME: {
		xmlrpc_datetime d = {0};
		xmlrpc_read_datetime(env, v, &d);
		snprintf(number, sizeof number, "date %04u%02u%02uT%02u:%02u:%02u", d.Y, d.M, d.D, d.h, d.m, d.s);
		break;
	}
	case XMLRPC_TYPE_STRING: {
		size_t n = 0;
		const char *s = NULL;
		xmlrpc_read_string_lp(env, v, &n, &s);
		if (env->fault_occurred)
			return;
		puts_to(b, "string ");
		put_hex(b, (const unsigned char *)s, n);
		free((char *)s);
		return;
	}
	case XMLRPC_TYPE_BASE64: {
		size_t n = 0;
		const unsigned char *s = NULL;
		xmlrpc_read_base64(env, v, &n, &s);
		if (env->fault_occurred)
			return;
		puts_to(b, "base64 ");
		put_hex(b, s, n);
		free((unsigned char *)s);
		return;
	}
	case XMLRPC_TYPE_ARRAY: {
		int n = xmlrpc_array_size(env, v);
		snprintf(number, sizeof number, "array %d", n);
		puts_to(b, number);
		for (int i = 0; i < n && !env->fault_occurred; i++) {
			xmlrpc_value *e;
			xmlrpc_array_read_item(env, v, i, &e);
			if (env->fault_occurred)
				return;
			puts_to(b, " ");
			show(env, b, e);
			xmlrpc_DECREF(e);
		}
		return;
	}
	case XMLRPC_TYPE_STRUCT: {
		int n = xmlrpc_struct_size(env, v);
		snprintf(number, sizeof number, "struct %d", n);
		puts_to(b, number);
		for (int i = 0; i < n && !env->fault_occurred; i++) {
			xmlrpc_value *name, *e;
			size_t len;
			const char *s;
			xmlrpc_struct_read_member(env, v, i, &name, &e);
			if (env->fault_occurred)
				return;
			xmlrpc_read_string_lp(env, name, &len, &s);
			puts_to(b, " ");
			put_hex(b, (const unsigned char *)s, len);
			free((char *)s);
			puts_to(b, " ");
			show(env, b, e);
			xmlrpc_DECREF(name);
			xmlrpc_DECREF(e);
		}
		return;
	}
	default:
		puts_to(b, "lacks");
		return;
	}
	puts_to(b, number);
}
