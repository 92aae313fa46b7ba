/* SPDX-License-Identifier: MIT */
/* Reading gangway.lua into a plain struct.  One table of keys; everything else is refused. */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "config_int.h"
#include "report/report.h"
#include "script/script.h"
#include "wire/wire.h"

static const char *const known_keys[] = { "store",     "graphs",      "rules",   "prompts",
	                                  "artifacts", "audit_files", "plugins", "plugin_pins",
	                                  "workers",   "connections", "serve",   "log",
	                                  "audit",     NULL };

static int read_file(const char *path, struct buf *ret, struct err *err)
{
	FILE *file = fopen(path, "rbe");
	if (!file)
		return err_set_id(err, errno == ENOENT ? ERR_ABSENT : ERR_SYSTEM, "config.file",
		                  "%s: %s", path, strerror(errno));
	char chunk[8192];
	size_t got;
	int status = 0;
	while (status == 0 && (got = fread(chunk, 1, sizeof(chunk), file)) > 0)
		status = buf_add(ret, chunk, got, err);
	if (status == 0 && ferror(file))
		status = err_set_id(err, ERR_SYSTEM, "config.file", "cannot be read: %s",
		                    strerror(errno));
	fclose(file);
	return status < 0 ? err_wrap(err, "%s", path) : 0;
}

static int check_keys(const char *file, const json_t *table, struct err *err)
{
	const char *key;
	json_t *value;
	size_t count = sizeof(known_keys) / sizeof(*known_keys) - 1;
	json_object_foreach((json_t *)(uintptr_t)table, key, value) {
		size_t i = 0;
		while (i < count && strcmp(known_keys[i], key) != 0)
			i++;
		if (i < count)
			continue;
		err_set_id(err, ERR_INPUT, "config.unknown_key", "%s: there is no setting '%.60s'",
		           file, key);
		const char *nearest = str_nearest(key, known_keys, count);
		return nearest ? err_hint(err, "did you mean '%s'?", nearest) : err->code;
	}
	return 0;
}

static char *resolve(const char *folder, const char *path)
{
	return *path == '/' || strcmp(path, "memory:") == 0 ? mem_dup_str(path)
	                                                    : mem_format("%s/%s", folder, path);
}

static int take_path(const struct config *config, const json_t *table, const char *key,
                     const char *fallback, char **ret, struct err *err)
{
	bool is_written = strcmp(key, "store") == 0 || strcmp(key, "artifacts") == 0;
	const json_t *value = json_at(table, key);
	if (value && !json_is_string(value))
		return err_set_id(err, ERR_INPUT, "config.type",
		                  "%s: '%s' must be a path in quotes", config->file, key);
	*ret = resolve(is_written ? config->work : config->folder,
	               value ? json_string_value(value) : fallback);
	return 0;
}

/* What Lua's {} becomes. */
static bool is_empty_list(const json_t *value)
{
	return json_is_array(value) && json_array_size(value) == 0;
}

/* A pin that is none would protect nothing. */
static int take_pins(struct config *config, const json_t *pins, struct err *err)
{
	const char *name;
	json_t *pin;
	bool is_fine = !pins || json_is_object(pins) || is_empty_list(pins);
	json_object_foreach((json_t *)(uintptr_t)pins, name, pin) {
		const char *text = json_string_value(pin);
		is_fine = is_fine && text && strlen(text) == 64 &&
		          strspn(text, "0123456789abcdefABCDEF") == 64;
	}
	if (!is_fine)
		return err_set_id(err, ERR_INPUT, "config.type",
		                  "%s: 'plugin_pins' must be a table of SHA-256 (64 hexadecimal "
		                  "digits) by plugin name",
		                  config->file);
	config->plugin_pins = json_is_object(pins) ? json_deep_copy(pins) : json_object();
	return 0;
}

static int take_plugins(struct config *config, const json_t *table, struct err *err)
{
	const json_t *value = json_at(table, "plugins");
	config->plugin_folders = json_array();
	if (!value) {
		char *folder = config_find_plugins();
		json_push(config->plugin_folders, json_text(str_of(folder)));
		free(folder);
	}
	for (size_t i = 0; i < (json_is_array(value) ? json_array_size(value)
	                        : value              ? 1
	                                             : 0);
	     i++) {
		const json_t *one = json_is_array(value) ? json_array_get(value, i) : value;
		if (!json_is_string(one))
			return err_set_id(err, ERR_INPUT, "config.type",
			                  "%s: 'plugins' must be a folder or a list of folders",
			                  config->file);
		char *path = resolve(config->folder, json_string_value(one));
		json_push(config->plugin_folders, json_text(str_of(path)));
		free(path);
	}
	return take_pins(config, json_at(table, "plugin_pins"), err);
}

/* "file:secrets/token" and a ca_file count from the configuration's folder. */
static void place_file(const struct config *config, json_t *object, const char *key,
                       const char *text)
{
	bool is_reference = str_begins(text, "file:");
	const char *path = is_reference ? text + strlen("file:") : text;
	if (*path == '/' || *path == '\0' || (!is_reference && strcmp(key, "ca_file") != 0))
		return;
	json_object_set_new(
		object, key,
		json_sprintf("%s%s/%s", is_reference ? "file:" : "", config->folder, path));
}

/*
 * "env:NAME|text" is the environment variable or, where it is not set, the text.
 * What is not secret may have such a default; wire/ resolves the rest.
 */
static void fill_defaults(const struct config *config, json_t *value)
{
	const char *key;
	json_t *member;
	json_object_foreach(value, key, member) {
		const char *text = json_string_value(member);
		if (text && !str_begins(text, "env:")) {
			place_file(config, value, key, text);
			continue;
		}
		const char *bar = text && str_begins(text, "env:") ? strchr(text, '|') : NULL;
		if (!bar) {
			fill_defaults(config, member);
			continue;
		}
		char *reference = mem_dup(text, (size_t)(bar - text));
		char *fallback = mem_dup_str(bar + 1);
		const char *set = getenv(reference + strlen("env:"));
		json_object_set_new(value, key,
		                    json_text(str_of(set && *set ? reference : fallback)));
		free(reference);
		free(fallback);
	}
}

/* Where others reach sessions, as _ioprocessors says it (SCXML C.2). */
static void take_location(struct config *config)
{
	const char *url = json_str(config->serve, "public_url", NULL);
	size_t len = url ? strlen(url) : 0;
	while (len > 0 && url[len - 1] == '/')
		len--;
	if (len > 0)
		config->http_location = mem_format("%.*s/v1/scxml", (int)len, url);
}

static bool is_level(const char *text)
{
	/* A name that is none is whatever the fallback is. */
	return text &&
	       report_level_read(text, REPORT_NOTHING) == report_level_read(text, REPORT_ERROR);
}

/* audit = { key = "file:secrets/audit.pem", heads = "out/heads.jsonl" } */
static int take_audit(struct config *config, const json_t *audit, struct err *err)
{
	const char *key = json_str(audit, "key", NULL), *heads = json_str(audit, "heads", NULL);
	const char *name;
	json_t *value;
	json_object_foreach((json_t *)(uintptr_t)audit, name, value) {
		bool is_known = strcmp(name, "key") == 0 || strcmp(name, "heads") == 0;
		if (!is_known || !json_is_string(value))
			return err_set_id(err, ERR_INPUT, "config.type",
			                  "%s: audit has a 'key' and 'heads', both texts",
			                  config->file);
	}
	if (heads)
		config->heads_file = resolve(config->work, heads);
	if (!key)
		return 0;
	if (str_begins(key, "file:")) {
		char *path = resolve(config->folder, key + strlen("file:"));
		char *reference = mem_format("file:%s", path);
		int status = wire_secret_read_lines(reference, &config->audit_key, err);
		free(reference);
		free(path);
		return status < 0 ? err_wrap(err, "audit.key") : 0;
	}
	return wire_secret_read(key, &config->audit_key, err) < 0 ? err_wrap(err, "audit.key") : 0;
}

static int take(struct config *config, const json_t *table, struct err *err)
{
	if (check_keys(config->file ? config->file : "gangway.lua", table, err) < 0 ||
	    take_path(config, table, "store", "state/gangway.db", &config->store, err) < 0 ||
	    take_path(config, table, "graphs", "graphs", &config->graphs, err) < 0 ||
	    take_path(config, table, "rules", "rules", &config->rules, err) < 0 ||
	    take_path(config, table, "prompts", "prompts", &config->prompts, err) < 0 ||
	    take_path(config, table, "artifacts", "out", &config->artifacts, err) < 0 ||
	    take_plugins(config, table, err) < 0)
		return err->code;
	const char *level = json_str(table, "log", NULL);
	if (json_at(table, "log") && !is_level(level))
		return err_set_id(err, ERR_INPUT, "config.type",
		                  "%s: 'log' must be error, warning, info, debug or nothing",
		                  config->file);
	config->log = mem_dup_str(level);
	const json_t *audits = json_at(table, "audit_files");
	if (audits && !json_is_boolean(audits))
		return err_set_id(err, ERR_INPUT, "config.type",
		                  "%s: 'audit_files' must be true or false", config->file);
	config->has_audit_files = !json_is_false(audits);
	const json_t *workers = json_at(table, "workers");
	if (workers && (!json_is_integer(workers) || json_integer_value(workers) < 0 ||
	                json_integer_value(workers) > 64))
		return err_set_id(err, ERR_INPUT, "config.type",
		                  "%s: 'workers' must be 0 (one per core) to 64", config->file);
	config->workers = (int)json_integer_value(workers);
	const json_t *connections = json_at(table, "connections");
	if (connections && !json_is_object(connections) && !is_empty_list(connections))
		return err_set_id(err, ERR_INPUT, "config.type",
		                  "%s: 'connections' must be a table by name", config->file);
	config->connections = json_is_object(connections) ? json_deep_copy(connections)
	                                                  : json_object();
	fill_defaults(config, config->connections);
	const json_t *serve = json_at(table, "serve"); /* serve/ knows its keys */
	config->serve = serve ? json_deep_copy(serve) : json_object();
	fill_defaults(config, config->serve);
	take_location(config);
	if (take_audit(config, json_at(table, "audit"), err) < 0)
		return err->code;
	config->socket = mem_format("%s.sock", config->store);
	return 0;
}

static char *current_folder(void)
{
	char cwd[PATH_MAX];
	return mem_dup_str(getcwd(cwd, sizeof(cwd)) ? cwd : ".");
}

/* Where its relative paths count from; what is written stays out of the shipped folder. */
static void take_folders(struct config *config)
{
	char *absolute = config->file ? realpath(config->file, NULL) : NULL;
	char *slash = absolute ? strrchr(absolute, '/') : NULL;
	config->folder = !absolute           ? current_folder()
	                 : slash == absolute ? mem_dup_str("/")
	                                     : mem_dup(absolute, (size_t)(slash - absolute));
	config->work = config->is_shipped ? current_folder() : mem_dup_str(config->folder);
	free(absolute);
}

static int evaluate(const char *file, struct str text, json_t **ret, struct err *err)
{
	const struct script_limits limits = { LIMIT_LUA_STEPS, LIMIT_LUA_BYTES, LIMIT_LUA_MS };
	const struct clock clock = clock_system();
	struct script *script = script_new(&limits, &clock);
	int status = script_config(script, file, text, ret, err);
	if (status == ERR_BLOCKED) /* a budget: nothing runs that could be blocked */
		status = err->code = ERR_INPUT;
	script_free(script);
	return status;
}

/* The file's table; NULL where there is no file and none was asked for. */
static int read_table(struct config *config, const char *asked, json_t **ret, struct err *err)
{
	struct buf text;
	*ret = NULL;
	if (asked) {
		config->file = mem_dup_str(asked);
	} else {
		buf_init(&text, LIMIT_CONFIG_BYTES);
		config->file = config_find(&config->is_shipped, &text);
		config->looked = config->file ? NULL : buf_take(&text);
		buf_release(&text);
	}
	if (!config->file)
		return 0;
	buf_init(&text, LIMIT_CONFIG_BYTES);
	int status = read_file(config->file, &text, err);
	if (status == 0) {
		/* A program that writes a configuration may write JSON: the same keys. */
		bool is_json = str_ends(config->file, ".json");
		status = is_json ? json_read(buf_str(&text), LIMIT_CONFIG_BYTES, ret, err)
		                 : evaluate(config->file, buf_str(&text), ret, err);
		if (status < 0 && is_json)
			err_wrap(err, "%s", config->file);
	}
	buf_release(&text);
	return status;
}

int config_read(const char *path, struct config *ret, struct err *err)
{
	*ret = (struct config){ 0 };
	json_t *table = NULL;
	int status = read_table(ret, path ? path : getenv("GANGWAY_CONFIG"), &table, err);
	if (status == 0) {
		json_t *none = json_object();
		take_folders(ret);
		status = take(ret, table ? table : none, err);
		json_decref(none);
	}
	json_decref(table);
	if (status < 0)
		config_release(ret);
	return status;
}

void config_release(struct config *config)
{
	free(config->file);
	free(config->looked);
	free(config->folder);
	free(config->work);
	free(config->store);
	free(config->socket);
	free(config->graphs);
	free(config->rules);
	free(config->prompts);
	free(config->artifacts);
	wire_secret_free(config->audit_key);
	free(config->heads_file);
	free(config->log);
	json_decref(config->plugin_folders);
	json_decref(config->plugin_pins);
	json_decref(config->connections);
	json_decref(config->serve);
	free(config->http_location);
	*config = (struct config){ 0 };
}
