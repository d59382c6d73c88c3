/* Calls the cases on its standard input with xmlrpc-c's client. */
#define _GNU_SOURCE
#include "xmlrpcc_words.h"
#include <xmlrpc-c/client.h>

/* slot writes one result of a batch. */
static void slot(xmlrpc_env *env, struct buf *out, xmlrpc_value *v) {
	puts_to(out, " ");
	if (xmlrpc_value_type(v) == XMLRPC_TYPE_STRUCT) {
		int code;
		const char *text;
		xmlrpc_decompose_value(env, v, "{s:i,s:s,*}", "faultCode", &code, "faultString", &text);
		if (!env->fault_occurred) {
			put_fault(out, code, text);
			free((char *)text);
		}
		return;
	}
	xmlrpc_value *e;
	xmlrpc_array_read_item(env, v, 0, &e);
	if (!env->fault_occurred) {
		show(env, out, e);
		xmlrpc_DECREF(e);
	}
}

static void call(xmlrpc_env *env, xmlrpc_client *client, char *line, struct buf *out) {
	const char *url = strsep(&line, " "), *method = strsep(&line, " ");
	xmlrpc_value *args = xmlrpc_array_new(env), *result = NULL;
	int batch = !strcmp(method, "system.multicall");
	if (batch) {
		/* The library has no more of it than the method itself. */
		xmlrpc_DECREF(args);
		args = xmlrpc_build_value(env, "(({s:s,s:(ii)}{s:s,s:(i)}))",
			"methodName", "add", "params", (xmlrpc_int32)3, (xmlrpc_int32)4,
			"methodName", "probe.fault", "params", (xmlrpc_int32)1);
	} else if (line) {
		xmlrpc_value *v = take(env, &line);
		if (env->fault_occurred)
			return;
		xmlrpc_array_append_item(env, args, v);
		xmlrpc_DECREF(v);
	}
	xmlrpc_server_info *server = xmlrpc_server_info_new(env, url);
	xmlrpc_client_call2(env, client, server, method, args, &result);
	if (!env->fault_occurred && batch) {
		puts_to(out, "array 2");
		for (int i = 0; i < 2 && !env->fault_occurred; i++) {
			xmlrpc_value *v;
			xmlrpc_array_read_item(env, result, i, &v);
			if (env->fault_occurred)
				break;
			slot(env, out, v);
			xmlrpc_DECREF(v);
		}
	} else if (!env->fault_occurred) {
		show(env, out, result);
	}
	if (result)
		xmlrpc_DECREF(result);
	xmlrpc_DECREF(args);
	xmlrpc_server_info_free(server);
}

int main(void) {
	xmlrpc_env env;
	xmlrpc_client *client;
	char *line = NULL;
	size_t cap = 0;
	xmlrpc_env_init(&env);
	xmlrpc_client_setup_global_const(&env);
	xmlrpc_client_create(&env, XMLRPC_CLIENT_NO_FLAGS, "peer", "1", NULL, 0, &client);
	if (env.fault_occurred) {
		fprintf(stderr, "%s\n", env.fault_string);
		return 1;
	}
	while (getline(&line, &cap, stdin) > 0) {
		char *at = line;
		struct buf out = {0};
		line[strcspn(line, "\n")] = 0;
		const char *name = strsep(&at, " ");
		put(&out, "", 0);
		call(&env, client, at, &out);
		if (env.fault_occurred) {
			out.len = 0;
			/* Its own errors look like faults of the server, with codes of its own. */
			if (env.fault_code <= -500 && env.fault_code > -600)
				put_error(&out, env.fault_string);
			else
				put_fault(&out, env.fault_code, env.fault_string);
			xmlrpc_env_clean(&env);
			xmlrpc_env_init(&env);
		}
		printf("{\"case\": \"%s\", \"got\": \"%s\"}\n", name, out.p);
		fflush(stdout);
		free(out.p);
	}
	return 0;
}
