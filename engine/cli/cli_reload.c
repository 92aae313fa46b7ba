/* SPDX-License-Identifier: MIT */
/*
 * What a running server takes from files that changed.  Everything is checked
 * first: what is wrong is named, and what was there before stays.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli_commands.h"
#include "cli/cli_graph.h"
#include "cli/cli_serve.h"
#include "release/release.h"
#include "release/release_prompt.h"
#include "report/report.h"
#include "run/engine.h"
#include "script/script.h"
#include "serve/serve.h"

/* --- graphs, rules, prompts ----------------------------------------------------------- */

static int refuse(struct err *err, const char *file, int line, const char *text, const char *hint)
{
	char place[24] = "";
	if (line > 0)
		snprintf(place, sizeof(place), ":%d", line);
	err_set_id(err, ERR_INPUT, "reload.refused", "%s%s: %s", file, place, text);
	return hint ? err_hint(err, "%s", hint) : err->code;
}

static int check_chart(struct cli *cli, struct release *release, struct err *err)
{
	const char *file = json_str(json_at(release->pins, "graph"), "file", "");
	struct chart_folder folder = release_folder(release);
	struct chart_world world = graph_world(cli);
	struct chart_diags diags = { 0 };
	int status = 0;
	chart_check(release->chart, &folder, &world, &diags);
	for (size_t i = 0; status == 0 && i < diags.len; i++)
		if (diags.at[i].is_error)
			status = refuse(err, file, (int)diags.at[i].at.line, diags.at[i].text,
			                diags.at[i].hint);
	chart_diags_release(&diags);
	return status;
}

static int check_rules(struct script *script, const char *name, const json_t *entry,
                       struct err *err)
{
	struct ruleset *set = ruleset_new(name, json_str(entry, "sha256", ""),
	                                  json_at(entry, "files"));
	json_t *info = NULL, *findings = script_ruleset_check(script, set, &info);
	int status = 0;
	for (size_t i = 0; status == 0 && i < json_array_size(findings); i++) {
		const json_t *finding = json_array_get(findings, i);
		if (strcmp(json_str(finding, "level", "error"), "error") == 0) {
			char *file = mem_format("%s/%s", name, json_str(finding, "file", "?"));
			status = refuse(err, file, (int)json_int(finding, "line", 0),
			                json_str(finding, "text", ""),
			                json_str(finding, "hint", NULL));
			free(file);
		}
	}
	json_decref(findings);
	json_decref(info);
	ruleset_unref(set);
	return status;
}

static int check_prompt(const char *name, const json_t *entry, struct err *err)
{
	const json_t *text = json_at(entry, "text");
	json_t *none = json_object(), *rendered = NULL;
	int status = prompt_render(
		name, (struct str){ json_string_value(text), json_string_length(text) }, none,
		&rendered, err);
	json_decref(none);
	json_decref(rendered);
	return status < 0 ? err_wrap(err, "prompt '%s'", name) : 0;
}

int server_check(void *ctx, struct release *release, struct err *err)
{
	struct server *server = ctx;
	const struct script_limits limits = { LIMIT_LUA_STEPS, LIMIT_LUA_BYTES, LIMIT_LUA_MS };
	const struct clock clock = clock_system();
	const char *name;
	json_t *entry;
	int status = check_chart(server->cli, release, err);
	struct script *script = script_new(&limits, &clock);
	json_object_foreach(release->rules, name, entry)
		if (status == 0)
			status = check_rules(script, name, entry, err);
	script_free(script);
	json_object_foreach(release->prompts, name, entry)
		if (status == 0)
			status = check_prompt(name, entry, err);
	return status;
}

/* --- the configuration ---------------------------------------------------------------- */

static void tell(const struct server *server, json_t *list, bool ok, const char *text)
{
	json_t *row = json_pack("{s:s,s:b,s:o}", "what", "configuration", "ok", (int)ok, "text",
	                        json_text(str_of(text)));
	json_t *line = json_pack("{s:s,s:s,s:s,s:O}", "level", ok ? "info" : "error", "event",
	                         ok ? "reload.done" : "reload.refused", "what", "configuration",
	                         "text", json_at(row, "text"));
	report_log_write(server->cli->log, line);
	json_decref(line);
	json_push(list, row);
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* Keys that a running server does not take; "" when none of them changed. */
static void name_others(const struct config *was, const struct config *is, char ret[256])
{
	json_t *a = json_copy(was->serve), *b = json_copy(is->serve);
	json_object_del(a, "webhooks");
	json_object_del(b, "webhooks");
	const struct {
		const char *key;
		bool is_same;
	} keys[] = {
		{ "store", same_text(was->store, is->store) },
		{ "graphs", same_text(was->graphs, is->graphs) },
		{ "rules", same_text(was->rules, is->rules) },
		{ "prompts", same_text(was->prompts, is->prompts) },
		{ "artifacts", same_text(was->artifacts, is->artifacts) },
		{ "plugins", json_equal(was->plugin_folders, is->plugin_folders) },
		{ "plugin_pins", json_equal(was->plugin_pins, is->plugin_pins) },
		{ "workers", was->workers == is->workers },
		{ "serve (but webhooks)", json_equal(a, b) },
	};
	ret[0] = '\0';
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (!keys[i].is_same)
			snprintf(ret + strlen(ret), 256 - strlen(ret), "%s%s",
			         *ret ? ", " : "; only a restart takes: ", keys[i].key);
	json_decref(a);
	json_decref(b);
}

static void swap(json_t **a, json_t **b)
{
	json_t *kept = *a;
	*a = *b;
	*b = kept;
}

/* Webhooks first: they are the part that may be wrong in more ways than connections. */
static int take_config(struct server *server, struct config *fresh, struct err *err)
{
	struct config *config = &server->cli->config;
	if (server->serve &&
	    serve_set_webhooks(server->serve, json_at(fresh->serve, "webhooks"), err) < 0)
		return err->code;
	if (engine_set_connections(server->engine, fresh->connections, err) < 0) {
		struct err gone = { 0 }; /* they were right a moment ago */
		return server->serve && serve_set_webhooks(server->serve,
		                                           json_at(config->serve, "webhooks"),
		                                           &gone) < 0
		               ? err_wrap(err, "the webhooks are lost too (%s)", gone.text)
		               : err->code;
	}
	if (fresh->log && !same_text(config->log, fresh->log))
		report_log_set_level(server->cli->log,
		                     report_level_read(fresh->log, REPORT_WARNING));
	return 0;
}

static void reload_config(struct server *server, json_t *list)
{
	struct config *config = &server->cli->config;
	struct config fresh;
	struct err err = { 0 };
	char others[256], text[400];
	if (config_read(config->file, &fresh, &err) < 0) {
		tell(server, list, false, err.text);
		return;
	}
	if (take_config(server, &fresh, &err) < 0) {
		tell(server, list, false, err.text);
	} else {
		name_others(config, &fresh, others);
		snprintf(text, sizeof(text), "connections, webhooks and log are taken%s", others);
		tell(server, list, true, text);
		swap(&config->connections, &fresh.connections);
		json_t *before = json_copy(config->serve);
		json_put(config->serve, "webhooks", json_incref(json_at(fresh.serve, "webhooks")));
		json_decref(before);
		char *log = config->log;
		config->log = fresh.log;
		fresh.log = log;
	}
	config_release(&fresh);
}

static bool was_touched(struct server *server)
{
	struct stat st;
	const char *file = server->cli->config.file;
	if (!file || stat(file, &st) < 0)
		return false;
	bool ret = st.st_mtim.tv_sec != server->config_touched.tv_sec ||
	           st.st_mtim.tv_nsec != server->config_touched.tv_nsec;
	server->config_touched = st.st_mtim;
	return ret;
}

json_t *server_reload(struct server *server, bool always)
{
	pthread_mutex_lock(&server->lock);
	json_t *ret = engine_look(server->engine);
	bool is_touched = was_touched(server);
	if (server->cli->config.file && (always || is_touched))
		reload_config(server, ret);
	pthread_mutex_unlock(&server->lock);
	return ret;
}

void server_begin(struct server *server)
{
	(void)was_touched(server);
}

/* --- what is asked of the server ------------------------------------------------------- */

static json_t *failure(const struct err *err)
{
	return json_pack("{s:{s:i,s:s,s:o}}", "error", "code", err->code, "id", err->id, "text",
	                 json_text(str_of(err->text)));
}

static json_t *change_level(struct server *server, const char *name)
{
	struct report_log *log = server->cli->log;
	struct err err = { 0 };
	if (name &&
	    report_level_read(name, REPORT_ERROR) != report_level_read(name, REPORT_NOTHING)) {
		err_set_id(&err, ERR_INPUT, "log.level",
		           "'%.20s' is no level: error, warning, info, debug, nothing", name);
		return failure(&err);
	}
	if (name)
		report_log_set_level(log, report_level_read(name, REPORT_WARNING));
	return json_pack("{s:s}", "level", report_level_name(report_log_level(log)));
}

json_t *server_control(void *ctx, const json_t *request)
{
	struct server *server = ctx;
	const char *op = json_str(request, "op", "");
	struct err err = { 0 };
	if (strcmp(op, "serve.reload") == 0 && server->engine)
		return json_pack("{s:o}", "reload", server_reload(server, true));
	if (strcmp(op, "serve.log") == 0)
		return change_level(server, json_str(request, "level", NULL));
	err_set_id(&err, ERR_INPUT, "request.op", "the server knows no request '%.60s'", op);
	return failure(&err);
}

/* --- the commands ----------------------------------------------------------------------- */

static void show_reload(const json_t *reply)
{
	const json_t *list = json_at(reply, "reload");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *row = json_array_get(list, i);
		const char *text = json_str(row, "text", "");
		printf("%s %s%s%s\n", json_truth(row, "ok", false) ? "taken  " : "REFUSED",
		       json_str(row, "what", ""), *text ? ": " : "", text);
	}
	if (json_array_size(list) == 0)
		printf("nothing changed\n");
}

static int ask_server(struct cli *cli, json_t *request_taken, void (*show)(const json_t *reply),
                      json_t **ret)
{
	struct err err = { 0 };
	json_t *last = NULL;
	int status = cli_ask_owner(cli, request_taken, &last, &err);
	json_decref(request_taken);
	if (status < 0)
		return cli_fail(cli, &err);
	int code = json_at(last, "error") ? cli_fail_json(cli, json_at(last, "error")) : 0;
	if (code == 0 && cli->is_json)
		cli_print_json(last);
	else if (code == 0)
		show(last);
	*ret = last;
	return code;
}

static int reload(struct cli *cli)
{
	json_t *last = NULL;
	int code = ask_server(cli, json_pack("{s:s}", "op", "serve.reload"), show_reload, &last);
	for (size_t i = 0; code == 0 && i < json_array_size(json_at(last, "reload")); i++)
		if (!json_truth(json_array_get(json_at(last, "reload"), i), "ok", false))
			code = EXIT_NO;
	json_decref(last);
	return code;
}

static void show_level(const json_t *reply)
{
	printf("%s\n", json_str(reply, "level", ""));
}

static int log_level(struct cli *cli)
{
	json_t *last = NULL, *request = json_pack("{s:s}", "op", "serve.log");
	json_put_str(request, "level", cli->arg_count > 0 ? cli->args[0] : NULL);
	int code = ask_server(cli, request, show_level, &last);
	json_decref(last);
	return code;
}

static const char *const no_options[] = { NULL };
const struct command command_reload = {
	"reload",
	NULL,
	"",
	0,
	0,
	no_options,
	"let the running server look at its files now",
	"Graphs, rules, prompts, connections, webhooks and the log level are checked and taken;\n"
	"what is wrong is named, and what was there before stays (exit code 1).  SIGHUP does\n"
	"the same; changed files are found without either within a second.",
	"gangway reload",
	reload
};
const struct command command_log = { "log",
	                             NULL,
	                             "[LEVEL]",
	                             0,
	                             1,
	                             no_options,
	                             "show or change the log level of the running server",
	                             "LEVEL: error, warning, info, debug, nothing.  It holds until "
	                             "the server stops.",
	                             "gangway log debug",
	                             log_level };
