/* SPDX-License-Identifier: MIT */
/* gangway plugin ...: which plugins there are, what they declare, and whether a file is one. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli_commands.h"
#include "plugin/plugin.h"

enum { PLUGINS_MAX = 256 };

static int plugin_list(struct cli *cli)
{
	struct err err = { 0 };
	if (cli_plugins(cli, &err) < 0)
		return cli_fail(cli, &err);
	const char *names[PLUGINS_MAX];
	size_t count = plugins_names(cli->plugins, names, PLUGINS_MAX);
	json_t *list = json_array();
	for (size_t i = 0; i < count; i++) {
		const struct plugin *plugin = plugins_find(cli->plugins, names[i]);
		if (plugin)
			json_push(list, plugin_describe(plugin));
	}
	if (cli->is_json) {
		cli_print_json(list);
	} else {
		static const char *const heads[] = { "PLUGIN", "VERSION", "SHA-256", "WHAT" };
		struct cli_table table;
		cli_table_init(&table, 4);
		for (size_t i = 0; i < 4; i++)
			cli_table_cell(&table, heads[i]);
		for (size_t i = 0; i < json_array_size(list); i++) {
			const json_t *one = json_array_get(list, i);
			char *hash = mem_format("%.12s", json_str(one, "sha256", ""));
			cli_table_cell(&table, json_str(one, "name", ""));
			cli_table_cell(&table, json_str(one, "version", ""));
			cli_table_cell(&table, hash);
			cli_table_cell(&table, json_str(one, "summary", ""));
			free(hash);
		}
		cli_table_print(&table);
	}
	json_decref(list);
	return 0;
}

static void print_schema(const char *what, const json_t *schema)
{
	const json_t *properties = json_at(schema, "properties");
	const json_t *required = json_at(schema, "required");
	const char *name;
	json_t *property;
	json_object_foreach((json_t *)(uintptr_t)properties, name, property) {
		bool is_required = false;
		for (size_t i = 0; i < json_array_size(required); i++) {
			const char *one = json_string_value(json_array_get(required, i));
			is_required = is_required || (one && str_is(str_of(one), name));
		}
		json_t *type = json_at(property, "type");
		char *text = json_is_string(type) ? mem_dup_str(json_string_value(type))
		             : type               ? json_canon(type)
		                                  : mem_dup_str("any");
		printf("      %s %-18s %-10s %s%s\n", what, name, text,
		       is_required ? "required; " : "", json_str(property, "description", ""));
		free(text);
	}
}

static void print_plugin(const struct cli *cli, const struct plugin *plugin)
{
	json_t *describe = plugin_describe(plugin);
	if (cli->is_json) {
		cli_print_json(describe);
		json_decref(describe);
		return;
	}
	printf("%s %s - %s\n  %s\n  SHA-256 %s\n", plugin_name(plugin), plugin_version(plugin),
	       json_str(describe, "summary", ""), json_str(describe, "file", ""),
	       plugin_sha256(plugin));
	const json_t *actions = json_at(describe, "actions");
	for (size_t i = 0; i < json_array_size(actions); i++) {
		const json_t *action = json_array_get(actions, i);
		printf("\n  %s.%s (%s)\n    %s\n", plugin_name(plugin),
		       json_str(action, "name", ""), json_str(action, "effect", ""),
		       json_str(action, "summary", ""));
		print_schema("param ", json_at(action, "params"));
		print_schema("result", json_at(action, "result"));
	}
	const json_t *errors = json_at(describe, "errors");
	if (json_array_size(errors) > 0)
		printf("\n  errors\n");
	for (size_t i = 0; i < json_array_size(errors); i++) {
		const json_t *row = json_array_get(errors, i);
		printf("    %3d %-28s %-14s %s (%s)\n", (int)json_int(row, "http_status", 0),
		       json_str(row, "error_code", "*"), json_str(row, "error_type", ""),
		       json_str(row, "resolution", ""), json_str(row, "owner", ""));
	}
	json_decref(describe);
}

static int plugin_describe_one(struct cli *cli)
{
	struct err err = { 0 };
	if (cli_plugins(cli, &err) < 0)
		return cli_fail(cli, &err);
	const struct plugin *plugin = plugins_find(cli->plugins, cli->args[0]);
	if (!plugin) {
		const char *names[PLUGINS_MAX];
		size_t count = plugins_names(cli->plugins, names, PLUGINS_MAX);
		const char *nearest = str_nearest(cli->args[0], names, count);
		err_set(&err, ERR_ABSENT, "there is no plugin '%.60s'", cli->args[0]);
		if (nearest)
			err_hint(&err, "did you mean '%s'?", nearest);
		return cli_fail(cli, &err);
	}
	print_plugin(cli, plugin);
	return 0;
}
/*
 * Loads the file as the engine would, alone: whatever the loader refuses (what it links, its ABI, a
 * schema, an effect class, a name) is said in its words.
 */
static int plugin_check(struct cli *cli)
{
	struct err err = { 0 };
	const char *name = NULL;
	char *path = realpath(cli->args[0], NULL);
	struct plugins *plugins = plugins_new();
	int status = 0;
	if (!path)
		err_set(&err, ERR_ABSENT, "%s: %s", cli->args[0], strerror(errno));
	if (!path || plugins_load(plugins, path, NULL, &err) < 0) {
		status = cli_fail(cli, &err);
	} else if (plugins_names(plugins, &name, 1) > 0) {
		if (!cli->is_json)
			printf("It keeps the contract.\n\n");
		print_plugin(cli, plugins_find(plugins, name));
	}
	plugins_free(plugins);
	free(path);
	return status;
}

static const char *const no_options[] = { NULL };

const struct command command_plugin_list = { "plugin",
	                                     "list",
	                                     "",
	                                     0,
	                                     0,
	                                     no_options,
	                                     "list the plugins that are loaded",
	                                     NULL,
	                                     "gangway plugin list",
	                                     plugin_list };
const struct command command_plugin_describe = { "plugin",
	                                         "describe",
	                                         "PLUGIN",
	                                         1,
	                                         1,
	                                         no_options,
	                                         "show a plugin's actions, schemas and error table",
	                                         NULL,
	                                         "gangway plugin describe salesforce",
	                                         plugin_describe_one };
const struct command command_plugin_check = { "plugin",
	                                      "check",
	                                      "FILE.so",
	                                      1,
	                                      1,
	                                      no_options,
	                                      "say whether a plugin's file keeps the contract",
	                                      NULL,
	                                      "gangway plugin check plugins/.libs/slack.so",
	                                      plugin_check };
