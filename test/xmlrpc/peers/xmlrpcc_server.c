/* Serves the cases by xmlrpc-c, on its own HTTP server, Abyss. */
#define _GNU_SOURCE
#include "xmlrpcc_words.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <xmlrpc-c/server.h>
#include <xmlrpc-c/server_abyss.h>

static xmlrpc_value *describe(xmlrpc_env *env, xmlrpc_value *args, void *info, void *call) {
	(void)info, (void)call;
	xmlrpc_value *v, *words = NULL;
	struct buf out = {0};
	xmlrpc_decompose_value(env, args, "(V)", &v);
	if (env->fault_occurred)
		return NULL;
	show(env, &out, v);
	xmlrpc_DECREF(v);
	if (!env->fault_occurred)
		words = xmlrpc_string_new_lp(env, out.len, out.p);
	free(out.p);
	return words;
}

static xmlrpc_value *echo(xmlrpc_env *env, xmlrpc_value *args, void *info, void *call) {
	(void)info, (void)call;
	xmlrpc_value *v = NULL;
	xmlrpc_decompose_value(env, args, "(V)", &v);
	return v;
}

static xmlrpc_value *none(xmlrpc_env *env, xmlrpc_value *args, void *info, void *call) {
	(void)args, (void)info, (void)call;
	return xmlrpc_string_new(env, "nothing");
}

static xmlrpc_value *fault(xmlrpc_env *env, xmlrpc_value *args, void *info, void *call) {
	(void)args, (void)info, (void)call;
	xmlrpc_env_set_fault(env, 42, "no such luck: <&>");
	return NULL;
}

static xmlrpc_value *add(xmlrpc_env *env, xmlrpc_value *args, void *info, void *call) {
	(void)info, (void)call;
	xmlrpc_int32 x, y;
	xmlrpc_decompose_value(env, args, "(ii)", &x, &y);
	return env->fault_occurred ? NULL : xmlrpc_int_new(env, x + y);
}

int main(void) {
	static const struct xmlrpc_method_info3 methods[] = {
		{"describe", describe}, {"echo", echo}, {"none", none}, {"fault", fault}, {"add", add},
	};
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof address;
	xmlrpc_env env;
	xmlrpc_env_init(&env);
	xmlrpc_registry *registry = xmlrpc_registry_new(&env);
	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
		xmlrpc_registry_add_method3(&env, registry, &methods[i]);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(fd, (struct sockaddr *)&address, len) || listen(fd, 8) || getsockname(fd, (struct sockaddr *)&address, &len)) {
		perror("bind");
		return 1;
	}
	printf("http://127.0.0.1:%d/RPC2\n", ntohs(address.sin_port));
	fflush(stdout);
	xmlrpc_server_abyss_parms parms = {.registryP = registry, .socket_bound = 1, .socket_handle = fd};
	xmlrpc_server_abyss(&env, &parms, XMLRPC_APSIZE(socket_handle));
	fprintf(stderr, "%s\n", env.fault_string);
	return 1;
}
