/* SPDX-License-Identifier: MIT */
/* gangway doctor: what is configured, what is reachable, what is missing. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/cli_commands.h"
#include "plugin/plugin.h"
#include "wire/wire.h"

enum { REACH_MS = 1500, HOST_BYTES = 256 };

struct findings {
	json_t *list;
	int problems;
};

static void note(struct findings *f, bool ok, const char *what, const char *text, const char *hint)
{
	json_t *row = json_pack("{s:b,s:s,s:o}", "ok", (int)ok, "what", what, "text",
	                        json_text(str_of(text)));
	if (!ok && hint && *hint)
		json_put_str(row, "hint", hint);
	f->problems += !ok;
	json_push(f->list, row);
}

/* "http://host:port/path" to host and port; false when it is none. */
static bool split_url(const char *url, char host[HOST_BYTES], char port[8])
{
	const char *at = strstr(url, "://");
	if (!at)
		return false;
	const char *fallback = str_begins(url, "https")   ? "443"
	                       : str_begins(url, "smtps") ? "465"
	                       : str_begins(url, "smtp")  ? "25"
	                                                  : "80";
	at += 3;
	size_t len = strcspn(at, ":/?");
	if (*at == '[') {
		at++;
		len = strcspn(at, "]");
	}
	snprintf(host, HOST_BYTES, "%.*s", (int)len, at);
	at += len + (at[len] == ']');
	snprintf(port, 8, "%s", fallback);
	if (*at == ':')
		snprintf(port, 8, "%.*s", (int)strspn(at + 1, "0123456789"), at + 1);
	return *host != '\0';
}

static bool can_connect(const struct addrinfo *address)
{
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	int error = 0;
	socklen_t len = sizeof(error);
	if (connect(fd, address->ai_addr, address->ai_addrlen) < 0 && errno != EINPROGRESS)
		error = errno;
	struct pollfd wait = { fd, POLLOUT, 0 };
	bool ok = error == 0 && poll(&wait, 1, REACH_MS) == 1 &&
	          getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == 0;
	close(fd);
	return ok;
}

static bool is_reachable(const char *url, char text[320])
{
	char host[HOST_BYTES], port[8];
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found = NULL;
	if (!split_url(url, host, port)) {
		snprintf(text, 320, "'%.200s' is no URL", url);
		return false;
	}
	int code = getaddrinfo(host, port, &hints, &found);
	if (code != 0) {
		snprintf(text, 320, "%.100s: %s", host, gai_strerror(code));
		return false;
	}
	bool ok = false;
	for (const struct addrinfo *a = found; a && !ok; a = a->ai_next)
		ok = can_connect(a);
	freeaddrinfo(found);
	snprintf(text, 320, "%.200s port %s %s", host, port,
	         ok ? "is reachable" : "does not answer");
	return ok;
}

static void look_at_connection(struct findings *f, const struct cli *cli, const char *name,
                               const json_t *json)
{
	struct err err = { 0 };
	struct wire_connection *connection;
	char what[160], text[320];
	snprintf(what, sizeof(what), "connection %.100s", name);
	bool is_optional = json_truth(json, "optional", false);
	json_t *own = json_copy((json_t *)(uintptr_t)json);
	json_object_del(own, "optional");
	int status = wire_connection_new(name, own, &connection, &err);
	json_decref(own);
	if (status < 0) {
		bool is_left_out = status == ERR_ABSENT && is_optional;
		snprintf(text, sizeof(text), "%.200s%s", err.text,
		         is_left_out ? " (optional: left out)" : "");
		note(f, is_left_out, what, text, err.hint);
		return;
	}
	const char *plugin = wire_connection_plugin(connection);
	if (!plugins_find(cli->plugins, plugin)) {
		snprintf(text, sizeof(text), "there is no plugin '%.100s' to speak over it",
		         plugin);
		note(f, false, what, text, "name the plugin with plugin = \"...\"");
	}
	json_t *description = wire_connection_describe(connection);
	bool ok = is_reachable(json_str(description, "url", ""), text);
	json_decref(description);
	note(f, ok, what, text, "is the service up? for the sandbox: gangway-sandbox");
	wire_connection_free(connection);
}

static void look_at_folder(struct findings *f, const char *what, const char *path, bool is_written)
{
	char text[400];
	bool ok = access(path, is_written ? W_OK : R_OK) == 0;
	bool is_made_later = !ok && is_written && errno == ENOENT;
	snprintf(text, sizeof(text), "%.300s%s%s", path, ok ? "" : ": ",
	         ok              ? ""
	         : is_made_later ? "not there yet, the first run makes it"
	                         : strerror(errno));
	note(f, ok || is_made_later, what, text, "");
}

static void look(struct findings *f, const struct cli *cli)
{
	char text[400];
	const struct config *config = &cli->config;
	snprintf(text, sizeof(text), "%.350s%s",
	         config->file ? config->file : "none: defaults only",
	         config->is_shipped ? " (it came with the program)" : "");
	note(f, config->file != NULL, "configuration", text,
	     "make a gangway.lua, or name one with --config FILE");
	look_at_folder(f, "graphs", cli->config.graphs, false);
	look_at_folder(f, "rules", cli->config.rules, false);
	look_at_folder(f, "prompts", cli->config.prompts, false);
	look_at_folder(f, "artifacts", cli->config.artifacts, true);
	const char *names[256];
	size_t count = plugins_names(cli->plugins, names, 256);
	snprintf(text, sizeof(text), "%zu loaded", count);
	note(f, count > 0, "plugins", text,
	     "set 'plugins' in gangway.lua to the folder of the .so files");
	const char *name;
	json_t *connection;
	json_object_foreach(cli->config.connections, name, connection)
		look_at_connection(f, cli, name, connection);
	for (size_t i = 0; i < count; i++) {
		if (json_at(cli->config.connections, names[i]))
			continue;
		snprintf(text, sizeof(text), "the plugin '%.100s' has no connection of its name",
		         names[i]);
		note(f, true, "hint", text, "");
	}
}

/* The engine's own view, from its owner; where nobody owns the store that is no fault. */
static void ask_owner(struct findings *f, struct cli *cli, json_t **engine)
{
	struct err err = { 0 };
	json_t *request = json_pack("{s:s}", "op", "doctor"), *last = NULL;
	if (cli_ask(cli, request, NULL, NULL, &last, &err) == 0 && json_at(last, "doctor")) {
		*engine = json_incref(json_at(last, "doctor"));
		note(f, true, "store", cli->config.store, "");
	} else {
		note(f, false, "store", err.text[0] ? err.text : "does not answer", err.hint);
	}
	json_decref(last);
	json_decref(request);
}

static int doctor(struct cli *cli)
{
	struct err err = { 0 };
	struct findings f = { .list = json_array() };
	json_t *engine = NULL;
	if (cli_plugins(cli, &err) < 0)
		return cli_fail(cli, &err);
	look(&f, cli);
	ask_owner(&f, cli, &engine);
	if (cli->is_json) {
		json_t *out = json_pack("{s:O,s:b}", "findings", f.list, "ok", f.problems == 0);
		json_put(out, "engine", json_incref(engine));
		cli_print_json(out);
		json_decref(out);
	}
	for (size_t i = 0; !cli->is_json && i < json_array_size(f.list); i++) {
		const json_t *row = json_array_get(f.list, i);
		printf("%-4s %-26s %s\n", json_truth(row, "ok", false) ? "ok" : "BAD",
		       json_str(row, "what", ""), json_str(row, "text", ""));
		if (*json_str(row, "hint", ""))
			printf("     hint: %s\n", json_str(row, "hint", ""));
	}
	json_decref(engine);
	json_decref(f.list);
	return f.problems == 0 ? 0 : EXIT_NO;
}

static const char *const no_options[] = { NULL };

const struct command command_doctor = { "doctor",
	                                NULL,
	                                "",
	                                0,
	                                0,
	                                no_options,
	                                "show what is configured, reachable, missing",
	                                "exit: 0 all well, 1 something is wrong",
	                                "gangway doctor",
	                                doctor };
