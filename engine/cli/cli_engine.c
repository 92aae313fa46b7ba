/* SPDX-License-Identifier: MIT */
/*
 * Talking to the engine: over the owner's socket when somebody owns the store,
 * else by owning it for as long as the command takes.
 */
#include <errno.h>
#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli_int.h"
#include "plugin/plugin.h"
#include "report/report.h"
#include "run/engine.h"
#include "script/script.h"

enum { OWNER_TRIES = 200, OWNER_PAUSE_MS = 25 };

int cli_config(struct cli *cli, struct err *err)
{
	if (cli->has_config)
		return 0;
	if (config_read(cli->config_path, &cli->config, err) < 0)
		return err->code;
	cli->has_config = true;
	return 0;
}

/* A pin protects only what has its name. */
static void tell_lost_pins(const struct cli *cli)
{
	const char *names[256], *name;
	json_t *pin;
	size_t count = plugins_names(cli->plugins, names, 256);
	json_object_foreach(cli->config.plugin_pins, name, pin) {
		bool is_known = false;
		for (size_t i = 0; i < count; i++)
			is_known = is_known || strcmp(names[i], name) == 0;
		if (is_known)
			continue;
		const char *nearest = str_nearest(name, names, count);
		char *clean = cli_clean(name);
		fprintf(stderr, "gangway: plugin_pins: no plugin '%.60s' is loaded%s%s%s\n", clean,
		        nearest ? "; did you mean '" : "", nearest ? nearest : "",
		        nearest ? "'?" : "");
		free(clean);
	}
}

int cli_plugins(struct cli *cli, struct err *err)
{
	if (cli->plugins)
		return 0;
	if (cli_config(cli, err) < 0)
		return err->code;
	cli->plugins = plugins_new();
	json_t *findings = json_array();
	int status = 0;
	const char *name;
	json_t *pin;
	json_object_foreach(cli->config.plugin_pins, name, pin)
		plugins_pin(cli->plugins, name, json_string_value(pin));
	for (size_t i = 0; status == 0 && i < json_array_size(cli->config.plugin_folders); i++)
		status = plugins_load_folder(
			cli->plugins,
			json_string_value(json_array_get(cli->config.plugin_folders, i)), findings,
			err);
	for (size_t i = 0; i < json_array_size(findings); i++) {
		const json_t *finding = json_array_get(findings, i);
		char *text = cli_clean(json_str(finding, "text", ""));
		char *hint = cli_clean(json_str(finding, "hint", ""));
		fprintf(stderr, "gangway: plugin left out: %s\n%s%s%s", text,
		        *hint ? "  hint: " : "", hint, *hint ? "\n" : "");
		free(text);
		free(hint);
	}
	json_decref(findings);
	if (status == 0)
		tell_lost_pins(cli);
	return status;
}

void cli_release(struct cli *cli)
{
	plugins_free(cli->plugins);
	cli->plugins = NULL;
	report_log_free(cli->log);
	cli->log = NULL;
}

/* --- the engine of this process ------------------------------------------------------------ */

static void log_line(void *ctx, const json_t *line)
{
	report_log_write(ctx, line);
}

static bool log_wants(void *ctx, const char *level)
{
	return report_level_read(level, REPORT_INFO) <= report_log_level(ctx);
}

static int make_folder(const char *file, struct err *err)
{
	char *folder = mem_dup_str(file);
	char *slash = strrchr(folder, '/');
	int status = 0;
	if (slash && slash != folder) {
		*slash = '\0';
		if (mkdir(folder, 0700) < 0 && errno != EEXIST) {
			err_set_id(err, ERR_SYSTEM, "store.folder", "%s: %s", folder,
			           strerror(errno));
			status = err_hint(
				err, "set 'store' in gangway.lua to a place that can be written");
		}
	}
	free(folder);
	return status;
}

static int open_engine(struct cli *cli, bool is_looking, struct engine **ret, struct err *err)
{
	if (cli_plugins(cli, err) < 0 ||
	    (strcmp(cli->config.store, "memory:") != 0 && make_folder(cli->config.store, err) < 0))
		return err->code;
	if (!cli->log) {
		const struct clock clock = clock_system();
		const char *text = getenv("GANGWAY_LOG") ? getenv("GANGWAY_LOG") : cli->config.log;
		enum report_level usual = cli->control ? REPORT_WARNING : REPORT_ERROR;
		enum report_level level = report_level_read(text, usual);
		cli->log = report_log_new(STDERR_FILENO, level, &clock);
	}
	struct engine_options options = {
		.store_path = cli->config.store,
		.graphs = cli->config.graphs,
		.rules = cli->config.rules,
		.prompts = cli->config.prompts,
		.artifacts = cli->config.artifacts,
		.has_no_audit_files = !cli->config.has_audit_files,
		.connections = cli->connections ? cli->connections : cli->config.connections,
		.version = GANGWAY_VERSION,
		.http_location = cli->config.http_location,
		.workers = cli->config.workers,
		.audit_key = cli->config.audit_key,
		.heads_file = cli->config.heads_file,
		.is_looking = is_looking,
		.keeps_schedules = cli->keeps_schedules,
		.clock = clock_system(),
		.plugins = cli->plugins,
		.scripting = &script_ops,
		.log = log_line,
		.log_ctx = cli->log,
		.logs = log_wants,
		.release_check = cli->release_check,
		.control = cli->control,
		.program_ctx = cli->program_ctx,
	};
	struct engine *engine;
	if (engine_open(&options, &engine, err) < 0)
		return err->code;
	if (!is_looking && strcmp(cli->config.store, "memory:") != 0 &&
	    engine_listen(engine, cli->config.socket, err) < 0) {
		engine_close(engine);
		return err->code;
	}
	*ret = engine;
	return 0;
}

int cli_engine_open(struct cli *cli, struct engine **ret, struct err *err)
{
	return open_engine(cli, false, ret, err);
}

/* --- asking ----------------------------------------------------------------------------------- */

/* Replies come on the engine's threads; the command's thread takes them one by one. */
struct mailbox {
	pthread_mutex_t lock;
	pthread_cond_t filled;
	json_t *replies;
	bool has_last;
};

static void put_reply(void *arg, const json_t *reply, bool is_last)
{
	struct mailbox *box = arg;
	pthread_mutex_lock(&box->lock);
	json_push(box->replies, json_deep_copy(reply));
	box->has_last = box->has_last || is_last;
	pthread_cond_signal(&box->filled);
	pthread_mutex_unlock(&box->lock);
}

static json_t *take_reply(struct mailbox *box)
{
	pthread_mutex_lock(&box->lock);
	while (json_array_size(box->replies) == 0)
		pthread_cond_wait(&box->filled, &box->lock);
	json_t *ret = json_incref(json_array_get(box->replies, 0));
	json_array_remove(box->replies, 0);
	pthread_mutex_unlock(&box->lock);
	return ret;
}

static void ask_engine(struct engine *engine, const json_t *request, cli_reply_cb *cb, void *arg,
                       json_t **last)
{
	struct mailbox box = { .replies = json_array() };
	pthread_mutex_init(&box.lock, NULL);
	pthread_cond_init(&box.filled, NULL);
	engine_request(engine, request, put_reply, &box);
	for (;;) {
		json_t *reply = take_reply(&box);
		if (cb)
			cb(arg, reply);
		if (json_truth(reply, "last", false)) {
			*last = reply;
			break;
		}
		json_decref(reply);
	}
	json_decref(box.replies);
	pthread_mutex_destroy(&box.lock);
	pthread_cond_destroy(&box.filled);
}

struct socket_reply {
	cli_reply_cb *cb;
	void *arg;
	json_t **last;
};

static void on_socket_reply(void *arg, const json_t *reply, bool is_last)
{
	struct socket_reply *to = arg;
	if (to->cb)
		to->cb(to->arg, reply);
	if (is_last)
		*to->last = json_deep_copy(reply);
}

static void pause_briefly(void)
{
	const struct timespec pause = { 0, OWNER_PAUSE_MS * 1000000L };
	nanosleep(&pause,
	          NULL); /* the owner holds the lock but does not listen yet, or is leaving */
}

/* Requests that change nothing, and are answered without the outside world. */
static bool only_looks(const json_t *request)
{
	static const char *const ops[] = { "run.list",     "run.show",    "run.events",
		                           "run.replay",   "task.list",   "task.show",
		                           "run.explain",  "audit.show",  "audit.verify",
		                           "audit.head",   "run.picture", "schedule.list",
		                           "schedule.show" };
	for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++)
		if (strcmp(json_str(request, "op", ""), ops[i]) == 0)
			return true;
	return false;
}

/* Who only wants to look needs no credentials; then nothing that is open is carried on. */
static int open_to_ask(struct cli *cli, const json_t *request, struct engine **ret, struct err *err)
{
	if (open_engine(cli, false, ret, err) == 0)
		return 0;
	if (err->code != ERR_ABSENT || !only_looks(request))
		return err->code;
	char *why = cli_clean(err->text);
	err_clear(err);
	if (open_engine(cli, true, ret, err) == 0)
		fprintf(stderr, "gangway: looking only, open runs are not carried on: %s\n", why);
	free(why);
	return err->code;
}

static int own_and_ask(struct cli *cli, const json_t *request, cli_reply_cb *cb, void *arg,
                       json_t **last, struct err *err)
{
	struct engine *engine;
	if (open_to_ask(cli, request, &engine, err) < 0)
		return err->code;
	ask_engine(engine, request, cb, arg, last);
	engine_wait_rest(engine);
	engine_close(engine);
	return 0;
}

int cli_ask_owner(struct cli *cli, const json_t *request, json_t **last, struct err *err)
{
	struct socket_reply to = { NULL, NULL, last };
	*last = NULL;
	if (cli_config(cli, err) < 0)
		return err->code;
	int status = engine_ask(cli->config.socket, request, on_socket_reply, &to, err);
	if (status != ERR_ABSENT)
		return status;
	err_clear(err);
	err_set_id(err, ERR_ABSENT, "serve.absent", "no server runs on %s", cli->config.store);
	return err_hint(err, "gangway serve starts one");
}

int cli_ask(struct cli *cli, const json_t *request, cli_reply_cb *cb, void *arg, json_t **last,
            struct err *err)
{
	*last = NULL;
	if (cli_config(cli, err) < 0)
		return err->code;
	struct socket_reply to = { cb, arg, last };
	for (int i = 0; i < OWNER_TRIES; i++) {
		err_clear(err);
		int status = engine_ask(cli->config.socket, request, on_socket_reply, &to, err);
		if (status == 0 || status != ERR_ABSENT)
			return status;
		err_clear(err);
		status = own_and_ask(cli, request, cb, arg, last, err);
		if (status == 0 || strcmp(err->id, "store.owned") != 0)
			return status;
		pause_briefly();
	}
	return err->code;
}

int cli_read_json(const char *text, json_t **ret, struct err *err)
{
	if (text[0] == '@')
		return json_read_file(text + 1, LIMIT_JSON_BYTES, ret, err);
	if (strcmp(text, "-") == 0)
		return json_read_file("/dev/stdin", LIMIT_JSON_BYTES, ret, err);
	return json_read(str_of(text), LIMIT_JSON_BYTES, ret, err);
}

const char *cli_named(const struct cli *cli)
{
	const char *by = cli_option(cli, "by");
	return by ? by : getenv("GANGWAY_USER");
}

const char *cli_by(const struct cli *cli)
{
	const char *by = cli_named(cli);
	if (!by) {
		const struct passwd *user = getpwuid(getuid());
		by = user ? user->pw_name : "someone";
	}
	return by;
}
