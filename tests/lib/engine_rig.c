/* SPDX-License-Identifier: MIT */
/* The engine with a far side of threads; see engine_rig.h. */
#include "engine_rig.h"

#include <arpa/inet.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/must.h"
#include "plugin/plugin.h"
#include "plugin_dir.h"
#include "script/script.h"

enum { START_MS = 1795000000, REQUEST_BYTES_MAX = 1 << 20 };

/* --- what the engine is handed ---------------------------------------------------------------- */

static int64_t rig_wall_ms(void *ctx)
{
	return atomic_load((atomic_llong *)ctx);
}

static int64_t rig_monotonic_ns(void *ctx)
{
	return atomic_load((atomic_llong *)ctx) * 1000000;
}

static void keep_line(void *ctx, const json_t *line)
{
	struct engine_rig *rig = ctx;
	pthread_mutex_lock(&rig->lock);
	json_push(rig->log, json_deep_copy(line));
	pthread_mutex_unlock(&rig->lock);
}

/* --- the far side ----------------------------------------------------------------------------- */

struct client {
	struct engine_rig *rig;
	int fd;
};

/* Headers and body; NULL when the other end went away. */
static char *read_request(int fd)
{
	char *text = mem_alloc(REQUEST_BYTES_MAX + 1);
	size_t len = 0;
	for (;;) {
		ssize_t got = recv(fd, text + len, REQUEST_BYTES_MAX - len, 0);
		if (got <= 0)
			break;
		len += (size_t)got;
		text[len] = '\0';
		const char *end = strstr(text, "\r\n\r\n"),
			   *length = strstr(text, "Content-Length: ");
		size_t body = length && length < end ? strtoul(length + 16, NULL, 10) : 0;
		if (end && len >= (size_t)(end + 4 - text) + body)
			return text;
	}
	free(text);
	return NULL;
}

static void note_request(struct engine_rig *rig, const char *text)
{
	const char *key = strstr(text, "Idempotency-Key: "), *body = strstr(text, "\r\n\r\n");
	size_t line = strcspn(text, "\r");
	const char *version = strstr(text, " HTTP/");
	json_t *row = json_sprintf("%.*s %.*s %s", (int)(version ? version - text : (long)line),
	                           text, key ? (int)strcspn(key + 17, "\r") : 1,
	                           key ? key + 17 : "-", body ? body + 4 : "");
	pthread_mutex_lock(&rig->lock);
	json_push(rig->requests, row);
	pthread_cond_broadcast(&rig->changed);
	pthread_mutex_unlock(&rig->lock);
}

static void wait_for_release(struct engine_rig *rig)
{
	pthread_mutex_lock(&rig->lock);
	while (!rig->is_released && !rig->is_closing)
		pthread_cond_wait(&rig->changed, &rig->lock);
	pthread_mutex_unlock(&rig->lock);
}

static void answer(struct client *client, const char *text)
{
	const char *path = strchr(text, ' ') + 1;
	if (strncmp(path, "/lost", 5) == 0 ||
	    (strncmp(path, "/slip", 5) == 0 && atomic_fetch_add(&client->rig->slip_count, 1) == 0))
		return;
	if (strncmp(path, "/hold", 5) == 0)
		wait_for_release(client->rig);
	bool is_gone = strncmp(path, "/gone", 5) == 0;
	bool is_bad = is_gone || strncmp(path, "/bad", 4) == 0 ||
	              (strncmp(path, "/mend", 5) == 0 &&
	               atomic_fetch_add(&client->rig->mend_count, 1) == 0);
	const char *body = is_bad ? "{\"error\":\"no\"}" : "{\"ok\":true}";
	char *reply = mem_format("HTTP/1.1 %s\r\nContent-Type: application/json\r\n"
	                         "Connection: close\r\nContent-Length: %zu\r\n\r\n%s",
	                         is_gone  ? "404 Not Found"
	                         : is_bad ? "400 Bad"
	                                  : "200 OK",
	                         strlen(body), body);
	(void)!send(client->fd, reply, strlen(reply), MSG_NOSIGNAL);
	free(reply);
}

static void *client_main(void *arg)
{
	struct client *client = arg;
	struct engine_rig *rig = client->rig;
	char *text = read_request(client->fd);
	if (text) {
		note_request(rig, text);
		answer(client, text);
	}
	free(text);
	close(client->fd);
	free(client);
	pthread_mutex_lock(&rig->lock);
	rig->open_clients--;
	pthread_cond_broadcast(&rig->changed);
	pthread_mutex_unlock(&rig->lock);
	return NULL;
}

static void *listen_main(void *arg)
{
	struct engine_rig *rig = arg;
	for (;;) {
		int fd = accept(rig->listener, NULL, NULL);
		if (fd < 0)
			return NULL;
		struct client *client = mem_alloc(sizeof(*client));
		*client = (struct client){ rig, fd };
		pthread_mutex_lock(&rig->lock);
		rig->open_clients++;
		pthread_mutex_unlock(&rig->lock);
		pthread_t thread;
		must(pthread_create(&thread, NULL, client_main, client) == 0);
		pthread_detach(thread);
	}
}

static void start_listening(struct engine_rig *rig)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t len = sizeof(address);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	rig->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(bind(rig->listener, (struct sockaddr *)&address, sizeof(address)) == 0);
	must(listen(rig->listener, 64) == 0);
	must(getsockname(rig->listener, (struct sockaddr *)&address, &len) == 0);
	rig->port = ntohs(address.sin_port);
	must(pthread_create(&rig->thread, NULL, listen_main, rig) == 0);
}

void engine_rig_let_go(struct engine_rig *rig)
{
	pthread_mutex_lock(&rig->lock);
	rig->is_released = true;
	pthread_cond_broadcast(&rig->changed);
	pthread_mutex_unlock(&rig->lock);
}

void engine_rig_seen(struct engine_rig *rig, size_t count)
{
	pthread_mutex_lock(&rig->lock);
	while (json_array_size(rig->requests) < count)
		pthread_cond_wait(&rig->changed, &rig->lock);
	pthread_mutex_unlock(&rig->lock);
}

size_t engine_rig_requests(struct engine_rig *rig)
{
	pthread_mutex_lock(&rig->lock);
	size_t ret = json_array_size(rig->requests);
	pthread_mutex_unlock(&rig->lock);
	return ret;
}

/* --- files ------------------------------------------------------------------------------------ */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

/* A new file takes the place of the old one, as editors save. */
void engine_rig_file(struct engine_rig *rig, const char *name, const char *text)
{
	char *path = mem_format("%s/%s", rig->folder, name);
	char *beside = mem_format("%s/new", rig->folder);
	for (char *slash = path + strlen(rig->folder) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		mkdir(path, 0700);
		*slash = '/';
	}
	FILE *file = fopen(beside, "w");
	must(file && fputs(text, file) >= 0 && fclose(file) == 0 && rename(beside, path) == 0);
	free(path);
	free(beside);
}

char *engine_rig_read(struct engine_rig *rig, const char *name)
{
	char *path = mem_format("%s/%s", rig->folder, name);
	FILE *file = fopen(path, "rb");
	free(path);
	if (!file)
		return NULL;
	char *text = mem_alloc(REQUEST_BYTES_MAX + 1);
	text[fread(text, 1, REQUEST_BYTES_MAX, file)] = '\0';
	fclose(file);
	return text;
}

void engine_rig_graph(struct engine_rig *rig, const char *name, const char *attributes,
                      const char *body)
{
	char *file = mem_format("graphs/%s/%s.scxml", name, name);
	char *text = mem_format("<scxml xmlns=\"http://www.w3.org/2005/07/scxml\" "
	                        "xmlns:gw=\"https://gangway.dev/ns/graph\" version=\"1.0\" "
	                        "datamodel=\"lua\" name=\"%s\" gw:on-error=\"block\" %s>%s</scxml>",
	                        name, attributes, body);
	engine_rig_file(rig, file, text);
	free(text);
	free(file);
}

/* --- the engine ------------------------------------------------------------------------------- */

void engine_rig_init(struct engine_rig *rig, bool is_durable)
{
	char folder[] = "/tmp/gangway-run.XXXXXX";
	struct err err = { 0 };
	*rig = (struct engine_rig){ .requests = json_array(), .log = json_array() };
	must(mkdtemp(folder) != NULL);
	rig->folder = mem_dup_str(folder);
	rig->store_path = is_durable ? mem_format("%s/gw.db", folder) : mem_dup_str("memory:");
	atomic_init(&rig->now_ms, (long long)START_MS * 1000);
	pthread_mutex_init(&rig->lock, NULL);
	pthread_cond_init(&rig->changed, NULL);
	start_listening(rig);
	rig->plugins = plugins_new();
	char *plugins = plugin_dir("GANGWAY_PLUGIN_DIR", "../../plugins/.libs");
	char *file = mem_format("%s/http.so", plugins ? plugins : "/nowhere");
	rig->has_plugins = plugins && plugins_load(rig->plugins, file, NULL, &err) == 0;
	free(file);
	free(plugins);
	rig->connections = json_pack("{s:{s:o,s:b,s:i}}", "http", "url",
	                             json_sprintf("http://127.0.0.1:%d", rig->port), "private", 1,
	                             "retries", 0);
	rig->options = (struct engine_options){
		.store_path = rig->store_path,
		.graphs = mem_format("%s/graphs", folder),
		.rules = mem_format("%s/rules", folder),
		.prompts = mem_format("%s/prompts", folder),
		.artifacts = mem_format("%s/out", folder),
		.connections = rig->connections,
		.version = "test",
		.workers = 1,
		.clock = { &rig->now_ms, rig_wall_ms, rig_monotonic_ns },
		.plugins = rig->plugins,
		.scripting = &script_ops,
		.script_ms = 60 * 1000,
		.log = keep_line,
		.log_ctx = rig,
	};
}

void engine_rig_open(struct engine_rig *rig)
{
	struct err err = { 0 };
	if (engine_open(&rig->options, &rig->engine, &err) == 0)
		return;
	printf("Bail out! %s\n", err.text);
	exit(1);
}

void engine_rig_close(struct engine_rig *rig)
{
	engine_close(rig->engine);
	rig->engine = NULL;
}

void engine_rig_reopen(struct engine_rig *rig)
{
	engine_rig_close(rig);
	engine_rig_open(rig);
}

void engine_rig_release(struct engine_rig *rig)
{
	if (rig->engine)
		engine_rig_close(rig);
	plugins_free(rig->plugins);
	pthread_mutex_lock(&rig->lock);
	rig->is_closing = true;
	pthread_cond_broadcast(&rig->changed);
	pthread_mutex_unlock(&rig->lock);
	shutdown(rig->listener, SHUT_RDWR);
	pthread_join(rig->thread, NULL);
	close(rig->listener);
	pthread_mutex_lock(&rig->lock);
	while (rig->open_clients > 0)
		pthread_cond_wait(&rig->changed, &rig->lock);
	pthread_mutex_unlock(&rig->lock);
	pthread_mutex_destroy(&rig->lock);
	pthread_cond_destroy(&rig->changed);
	(void)nftw(rig->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	json_decref(rig->connections);
	json_decref(rig->requests);
	json_decref(rig->log);
	free((char *)(uintptr_t)rig->options.graphs);
	free((char *)(uintptr_t)rig->options.rules);
	free((char *)(uintptr_t)rig->options.prompts);
	free((char *)(uintptr_t)rig->options.artifacts);
	free(rig->store_path);
	free(rig->folder);
}

/* --- asking ----------------------------------------------------------------------------------- */

void rig_asker_init(struct rig_asker *asker)
{
	*asker = (struct rig_asker){ .replies = json_array() };
	pthread_mutex_init(&asker->lock, NULL);
	pthread_cond_init(&asker->changed, NULL);
}

static void keep_reply(void *arg, const json_t *reply, bool is_last)
{
	struct rig_asker *asker = arg;
	pthread_mutex_lock(&asker->lock);
	json_push(asker->replies, json_deep_copy(reply));
	asker->has_last = asker->has_last || is_last;
	pthread_cond_broadcast(&asker->changed);
	pthread_mutex_unlock(&asker->lock);
}

ATTR_PRINTF(3, 0)
static void send_text(struct rig_asker *asker, struct engine_rig *rig, const char *format,
                      va_list args)
{
	enum { REQUEST_BYTES = 1024 * 1024 };
	char *text = mem_alloc(REQUEST_BYTES);
	vsnprintf(text, REQUEST_BYTES, format, args);
	json_error_t at;
	json_t *request = json_loads(text, 0, &at);
	if (!request) {
		printf("Bail out! the test's request is no JSON: %s: %s\n", at.text, text);
		exit(1);
	}
	free(text);
	engine_request(rig->engine, request, keep_reply, asker);
	json_decref(request);
}

void rig_asker_send(struct rig_asker *asker, struct engine_rig *rig, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	send_text(asker, rig, format, args);
	va_end(args);
}

const json_t *rig_asker_wait(struct rig_asker *asker, size_t count)
{
	pthread_mutex_lock(&asker->lock);
	while (!asker->has_last && json_array_size(asker->replies) < count)
		pthread_cond_wait(&asker->changed, &asker->lock);
	size_t have = json_array_size(asker->replies);
	const json_t *ret = json_array_get(asker->replies, (count < have ? count : have) - 1);
	pthread_mutex_unlock(&asker->lock);
	return ret;
}

const json_t *rig_asker_last(struct rig_asker *asker)
{
	return rig_asker_wait(asker, SIZE_MAX);
}

void rig_asker_release(struct rig_asker *asker)
{
	json_decref(asker->replies);
	pthread_mutex_destroy(&asker->lock);
	pthread_cond_destroy(&asker->changed);
}

json_t *engine_rig_ask(struct engine_rig *rig, const char *format, ...)
{
	struct rig_asker asker;
	va_list args;
	rig_asker_init(&asker);
	va_start(args, format);
	send_text(&asker, rig, format, args);
	va_end(args);
	json_t *ret = json_incref((json_t *)(uintptr_t)rig_asker_last(&asker));
	rig_asker_release(&asker);
	return ret;
}

const char *rig_error(const json_t *reply)
{
	const json_t *error = json_at(reply, "error");
	return error ? json_str(error, "id", "?") : "";
}

json_t *engine_rig_start(struct engine_rig *rig, const char *graph, const char *correlation_id,
                         const char *input, char id[32])
{
	json_t *reply = engine_rig_ask(rig,
	                               "{\"op\":\"run.start\",\"graph\":\"%s\",\"correlation_id\":"
	                               "\"%s\",\"input\":%s,\"wait\":true,\"by\":\"starter\"}",
	                               graph, correlation_id, input ? input : "{}");
	const char *run = json_str(json_at(reply, "run"), "id", "");
	if (id)
		snprintf(id, 32, "%s", run);
	return reply;
}

const char *engine_rig_status(struct engine_rig *rig, const char *run)
{
	static const char *const known[] = { "running", "waiting", "waiting_for_people",
		                             "blocked", "ended",   "cancelled" };
	json_t *reply = engine_rig_ask(rig, "{\"op\":\"run.show\",\"run\":\"%s\"}", run);
	const char *status = json_str(json_at(reply, "run"), "status", "");
	const char *ret = rig_error(reply)[0] ? "(error)" : "(unknown)";
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (strcmp(known[i], status) == 0)
			ret = known[i];
	json_decref(reply);
	return ret;
}

json_t *engine_rig_events(struct engine_rig *rig, const char *run)
{
	json_t *reply = engine_rig_ask(rig, "{\"op\":\"run.events\",\"run\":\"%s\"}", run);
	json_t *ret = json_incref(json_at(reply, "records"));
	json_decref(reply);
	return ret;
}

int engine_rig_count(struct engine_rig *rig, const char *run, const char *kind)
{
	json_t *records = engine_rig_events(rig, run);
	int ret = 0;
	for (size_t i = 0; i < json_array_size(records); i++)
		ret += strcmp(json_str(json_array_get(records, i), "kind", ""), kind) == 0;
	json_decref(records);
	return ret;
}
