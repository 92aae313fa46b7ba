/* SPDX-License-Identifier: MIT */
#include "served.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/must.h"
#include "plugin/plugin.h"
#include "script/script.h"

/* --- the engine ------------------------------------------------------------------- */

static struct engine *open_engine(struct plugins *plugins, const char *text)
{
	struct err err = { 0 };
	struct engine *engine;
	json_t *connections = json_loads(text, 0, NULL);
	struct engine_options options = {
		.store_path = "memory:",
		.graphs = SRCDIR "/tests/serve/graphs",
		.rules = "/nonexistent",
		.prompts = "/nonexistent",
		.connections = connections,
		.version = "test",
		.workers = 2,
		.clock = clock_system(),
		.plugins = plugins,
		.scripting = &script_ops,
	};
	if (engine_open(&options, &engine, &err) < 0) {
		printf("Bail out! the engine: %s\n", err.text);
		exit(1);
	}
	json_decref(connections);
	return engine;
}

/* --- the server -------------------------------------------------------------------- */

/* "env:NAME" as in the program; the rest is not needed here. */
static int read_secret(const char *reference, char **ret, struct err *err)
{
	const char *value = getenv(reference + strlen("env:"));
	if (!value || !*value)
		return err_set_id(err, ERR_ABSENT, "secret.absent", "%s is not set", reference);
	*ret = mem_dup_str(value);
	return 0;
}

static void free_secret(char *secret)
{
	free(secret);
}

static int64_t wall_of(void *ctx)
{
	const struct served *served = ctx;
	const struct clock system = clock_system();
	return served->wall_ms ? served->wall_ms : clock_wall_ms(&system);
}

static int64_t monotonic_of(void *ctx)
{
	const struct clock system = clock_system();
	(void)ctx;
	return clock_monotonic_ns(&system);
}

static int start(struct served *served, const char *config, struct err *err)
{
	json_t *table = json_loads(config, 0, NULL);
	must(table != NULL);
	const struct serve_options options = { .engine = served->engine,
		                               .config = table,
		                               .port = 0,
		                               .version = "test",
		                               .clock = { served, wall_of, monotonic_of },
		                               .secret_read = read_secret,
		                               .secret_free = free_secret };
	int status = serve_start(&options, &served->serve, err);
	json_decref(table);
	return status;
}

static int port_of(const char *address)
{
	return address ? (int)strtol(strrchr(address, ':') + 1, NULL, 10) : -1;
}

void served_start(struct served *served, const char *config)
{
	served_start_with(served, config, "{}");
}

void served_start_with(struct served *served, const char *config, const char *connections)
{
	struct err err = { 0 };
	struct plugins *plugins = plugins_new();
	*served = (struct served){ .engine = open_engine(plugins, connections),
		                   .plugins = plugins };
	if (start(served, config, &err) < 0) {
		printf("Bail out! the server: %s\n", err.text);
		exit(1);
	}
	served->port = port_of(serve_address(served->serve));
	served->health_port = port_of(serve_health_address(served->serve));
}

const char *served_refusal(const char *config)
{
	static struct err err;
	struct plugins *plugins = plugins_new();
	struct served served = { .engine = open_engine(plugins, "{}"), .plugins = plugins };
	memset(&err, 0, sizeof(err));
	if (start(&served, config, &err) == 0) {
		served_stop(&served);
		return "";
	}
	engine_close(served.engine);
	plugins_free(plugins);
	return err.id;
}

void served_release(struct served *served)
{
	engine_close(served->engine);
	serve_free(served->serve);
	plugins_free(served->plugins);
}

void served_stop(struct served *served)
{
	serve_drain(served->serve);
	served_release(served);
}

/* --- asking the engine ----------------------------------------------------------------- */

struct box {
	pthread_mutex_t lock;
	pthread_cond_t filled;
	json_t *last;
};

static void put(void *arg, const json_t *reply, bool is_last)
{
	struct box *box = arg;
	if (!is_last)
		return;
	pthread_mutex_lock(&box->lock);
	box->last = json_deep_copy(reply);
	pthread_cond_signal(&box->filled);
	pthread_mutex_unlock(&box->lock);
}

json_t *served_ask(struct served *served, json_t *request_taken)
{
	struct box box = { .last = NULL };
	pthread_mutex_init(&box.lock, NULL);
	pthread_cond_init(&box.filled, NULL);
	engine_request(served->engine, request_taken, put, &box);
	json_decref(request_taken);
	pthread_mutex_lock(&box.lock);
	while (!box.last)
		pthread_cond_wait(&box.filled, &box.lock);
	pthread_mutex_unlock(&box.lock);
	pthread_mutex_destroy(&box.lock);
	pthread_cond_destroy(&box.filled);
	return box.last;
}

void served_token(struct served *served, const char *roles, const char *owner, bool has_grant,
                  char *ret)
{
	char hash[65];
	json_t *list = json_array();
	for (size_t len; *roles; roles += len + (roles[len] == ',')) {
		len = strcspn(roles, ",");
		json_push(list, json_stringn(roles, len));
	}
	serve_token_make("test", ret, hash);
	json_t *reply = served_ask(served, json_pack("{s:s,s:s,s:s,s:o,s:b}", "op", "token.new",
	                                             "sha256", hash, "owner", owner, "roles", list,
	                                             "data", (int)has_grant));
	must(json_at(reply, "token"));
	json_decref(reply);
}

/* --- the client ----------------------------------------------------------------------------- */

int client_dial(int port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		                       .sin_port = htons((uint16_t)port),
		                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const struct timeval patience = { 30, 0 }; /* so that a broken server fails the test */
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

void client_send(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);
		if (sent <= 0)
			return; /* it was closed: what was answered is still to be read */
		bytes += sent;
		len -= (size_t)sent;
	}
}

static bool read_more(int fd, struct buf *in)
{
	char chunk[16384];
	ssize_t got = recv(fd, chunk, sizeof(chunk), 0);
	if (got <= 0)
		return false;
	buf_put_len(in, chunk, (size_t)got);
	return true;
}

char *client_until(int fd, const char *text)
{
	struct buf in;
	buf_init(&in, (size_t)64 << 20);
	buf_put(&in, "");
	while (!(in.bytes && strstr(in.bytes, text)) && read_more(fd, &in))
		;
	return buf_take(&in);
}

/* One byte at a time for the head, so that nothing of the next response is taken. */
char *client_response(int fd)
{
	struct buf in;
	char byte;
	buf_init(&in, (size_t)64 << 20);
	while (!(in.len >= 4 && memcmp(in.bytes + in.len - 4, "\r\n\r\n", 4) == 0)) {
		if (recv(fd, &byte, 1, 0) != 1) {
			buf_release(&in);
			return NULL;
		}
		buf_put_len(&in, &byte, 1);
	}
	const char *length = strcasestr(in.bytes, "\r\ncontent-length:");
	long left = length ? strtol(length + 17, NULL, 10) : 0;
	char chunk[16384];
	for (ssize_t got = 1; left > 0 && got > 0; left -= got) {
		got = recv(fd, chunk, (size_t)left < sizeof(chunk) ? (size_t)left : sizeof(chunk),
		           0);
		if (got > 0)
			buf_put_len(&in, chunk, (size_t)got);
	}
	return buf_take(&in);
}

bool client_is_closed(int fd)
{
	char chunk[4096];
	ssize_t got;
	while ((got = recv(fd, chunk, sizeof(chunk), 0)) > 0)
		;
	return got == 0 || errno == ECONNRESET;
}

struct reply client_call(int port, const char *method, const char *path, const char *token,
                         const char *more, const char *body)
{
	struct reply ret = { 0 };
	struct buf out;
	int fd = client_dial(port);
	buf_init(&out, (size_t)8 << 20);
	buf_printf(&out, "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: close\r\n", method,
	           path, port);
	if (token)
		buf_printf(&out, "Authorization: Bearer %s\r\n", token);
	if (body && !(more && strcasestr(more, "content-type")))
		buf_put(&out, "Content-Type: application/json\r\n");
	if (body)
		buf_printf(&out, "Content-Length: %zu\r\n", strlen(body));
	buf_printf(&out, "%s\r\n%s", more ? more : "", body ? body : "");
	client_send(fd, out.bytes, out.len);
	buf_release(&out);
	ret.text = client_response(fd);
	close(fd);
	const char *blank = ret.text ? strstr(ret.text, "\r\n\r\n") : NULL;
	ret.status = ret.text && strlen(ret.text) > 12 ? (int)strtol(ret.text + 9, NULL, 10) : 0;
	ret.json = blank ? json_loads(blank + 4, JSON_DECODE_ANY, NULL) : NULL;
	return ret;
}

void reply_release(struct reply *reply)
{
	free(reply->text);
	json_decref(reply->json);
	*reply = (struct reply){ 0 };
}

const char *reply_code(const struct reply *reply)
{
	return json_str(reply->json, "code", "");
}
