/* SPDX-License-Identifier: MIT */
/*
 * The world in memory of graph exec and graph test: what run/run_env.c is for a
 * durable run.  Rules and templates are the real ones, read from their files;
 * whatever would leave the process is checked and left to canned answers.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/cli_graph.h"
#include "plugin/plugin.h"
#include "release/release.h"
#include "run/engine.h"
#include "script/script.h"

static int64_t world_now(const struct world *world)
{
	return world->driver ? driver_now(world->driver) : world->now_ms;
}

static bool is_type(const struct effect *effect, const char *type)
{
	return effect->kind == EFFECT_CALL && effect->type && strcmp(effect->type, type) == 0;
}

/* "plugin.action", or the type alone; to be freed. */
static char *call_name(const char *type, const char *action)
{
	return action ? mem_format("%s.%s", type, action) : mem_dup_str(type);
}

/* --- canned answers ------------------------------------------------------------------------ */

static bool has_answer(const struct world *world, const struct effect *effect)
{
	char *key = call_name(effect->type, effect->action);
	char *own = mem_format("%s#%s", key, effect->id ? effect->id : "");
	bool ret = json_at(world->answers, key) || json_at(world->answers, own);
	free(own);
	free(key);
	return ret;
}

/* Does an answer name any action of it?  Then there is such a plugin. */
static bool is_answered_type(const struct world *world, const char *type)
{
	const char *key;
	json_t *value;
	size_t len = strlen(type);
	json_object_foreach((json_t *)(uintptr_t)world->answers, key, value)
		if (strncmp(key, type, len) == 0 && key[len] == '.')
			return true;
	return false;
}

/* --- rule sets -------------------------------------------------------------------------------- */

static int find_rules(struct world *world, const char *src, struct ruleset **ret, struct err *err)
{
	char *name = mem_dup(src, strcspn(src, "#"));
	struct ruleset *set = map_get(&world->rules, name);
	int status = 0;
	if (!set) {
		char *path = mem_format("%s/%s", world->cli->config.rules, name);
		json_t *files;
		char hash[65];
		status = strchr(name, '/') || !*name ? err_set_id(err, ERR_ABSENT, "rules.absent",
		                                                  "there is no rule set '%s'", name)
		                                     : release_read_folder(path, &files, hash, err);
		if (status == 0) {
			set = ruleset_new(name, hash, files);
			map_set(&world->rules, name, set);
			json_decref(files);
		}
		free(path);
	}
	if (set)
		*ret = set;
	free(name);
	return status;
}

static int ask_rules(struct world *world, const char *src, const json_t *params, uint64_t number,
                     json_t **ret, struct err *err)
{
	const char *hash = strchr(src, '#');
	struct ruleset *set;
	const struct rule_inputs in = { params, world_now(world), 1 ^ number };
	int status = find_rules(world, src, &set, err);
	if (status == 0 && hash)
		status = script_rules_call(world->script, set, hash + 1, &in, ret, err);
	else if (status == 0)
		status = script_rules_evaluate(world->script, set, &in, ret, err);
	if (status == 0)
		return 0;
	return err->code = ERR_BLOCKED; /* rules that err never decide */
}

/* --- advice ----------------------------------------------------------------------------------- */

struct advised {
	const char *name, *type, *fallback;
	const json_t *params;
	uint64_t number;
};

static int advise(struct world *world, const struct advised *call, const json_t *data,
                  const json_t *failure, struct err *err)
{
	json_t *advice = json_object(), *said = NULL;
	const json_t *values = json_at(call->params, "values");
	json_put_str(advice, "source", failure ? "rules" : call->type);
	if (failure && call->fallback)
		(void)ask_rules(world, call->fallback, values ? values : call->params, call->number,
		                &said, err);
	else if (!failure)
		said = json_incref((json_t *)(uintptr_t)data);
	json_put(advice, "error", json_incref((json_t *)(uintptr_t)failure));
	json_put(advice, "data", said);
	json_put(world->advice, call->name, advice);
	return err->code < 0 ? err_wrap(err, "advice '%s'", call->name) : 0;
}

int world_take_result(struct world *world, const json_t *effect, bool ok, const json_t *value,
                      struct err *err)
{
	const json_t *dispatch = json_at(effect, "dispatch");
	const struct advised call = { json_str(dispatch, "advisory", NULL),
		                      json_str(effect, "type", ""),
		                      json_str(dispatch, "fallback", NULL), json_at(effect, "data"),
		                      (uint64_t)json_int(effect, "number", 0) };
	if (!call.name)
		return 0;
	return advise(world, &call, ok ? value : NULL, ok ? NULL : value, err);
}

/* It could not even be dispatched: the fallback speaks at once. */
static int advise_refused(struct world *world, const struct effect *effect, struct err *why)
{
	const struct advised call = { effect->dispatch->advisory, effect->type,
		                      effect->dispatch->fallback, effect->data, effect->number };
	json_t *failure = json_pack("{s:s,s:s,s:o}", "error_type", "unavailable", "error_code",
	                            why->id[0] ? why->id : "call.refused", "message",
	                            json_text(str_of(why->text)));
	struct err err = { 0 };
	if (advise(world, &call, NULL, failure, &err) < 0)
		*why = err;
	json_decref(failure);
	return why->code;
}

/* --- check ------------------------------------------------------------------------------------ */

static int check_params(const struct plugin_action *action, const struct effect *effect,
                        struct err *err)
{
	json_t *params = effect->data ? json_copy(effect->data) : json_object();
	const char *name;
	json_t *file;
	json_object_foreach(effect->renders, name, file)
		json_put_str(params, name, "(rendered)");
	int status = plugin_action_check(action, params, err);
	json_decref(params);
	return status < 0 ? err_wrap(err, "%s.%s", effect->type, effect->action) : 0;
}

static int check_plugin(const struct world *world, const struct effect *effect, struct err *err)
{
	const char *type = effect->type, *action = effect->action ? effect->action : "";
	const struct plugins *plugins = world->cli->plugins;
	const struct plugin *plugin = plugins ? plugins_find(plugins, type) : NULL;
	bool has_any = plugins && plugins_names(plugins, NULL, 0) > 0;
	if (!plugin && ((world->trusts && !has_any) || has_answer(world, effect) ||
	                is_answered_type(world, type)))
		return 0;
	if (!plugin)
		return err_set_id(err, ERR_ABSENT, "plugin.unavailable", "there is no plugin '%s'",
		                  type);
	const struct plugin_action *found = plugin_action_find(plugin, action);
	if (!found)
		return err_set_id(err, ERR_ABSENT, "plugin.no_action",
		                  "the plugin '%s' has no action '%s'", type, action);
	return check_params(found, effect, err);
}

static int check_template(const struct world *world, const char *file, struct err *err)
{
	struct buf text;
	buf_init(&text, LIMIT_JSON_BYTES);
	int status = world->graph->files.read(world->graph->files.ctx, file, &text, err);
	buf_release(&text);
	if (status == 0)
		return 0;
	err_clear(err);
	return err_set_id(err, ERR_ABSENT, "template.absent", "there is no template '%s'", file);
}

static int check_effect(struct world *world, const struct effect *effect, struct err *err)
{
	struct ruleset *set;
	const char *action = effect->action ? effect->action : "";
	if (effect->kind == EFFECT_EVENT || effect->kind == EFFECT_HTTP_EVENT)
		return err_set_id(err, ERR_SYSTEM, "graph.send_unreachable",
		                  "nobody answers at '%s': a graph that runs alone has no network",
		                  effect->target);
	if (is_type(effect, "rules") && !has_answer(world, effect))
		return find_rules(world, action, &set, err);
	if (is_type(effect, "template") && !has_answer(world, effect))
		return check_template(world, action, err);
	if (is_type(effect, "rules") || is_type(effect, "template"))
		return 0;
	if (engine_is_built_in(effect->type))
		return engine_check_built_in(effect, err);
	return check_plugin(world, effect, err);
}

static int env_check(void *ctx, const struct effect *effect, struct err *err)
{
	struct world *world = ctx;
	if (check_effect(world, effect, err) < 0 && effect->dispatch && effect->dispatch->advisory)
		return advise_refused(world, effect, err);
	return err->code;
}

/* --- inline ----------------------------------------------------------------------------------- */

static const struct plugin_action *pure_action(const struct world *world,
                                               const struct effect *effect)
{
	const struct plugins *plugins = world->cli->plugins;
	const struct plugin *plugin = plugins ? plugins_find(plugins, effect->type) : NULL;
	const struct plugin_action *action = plugin && effect->action
	                                             ? plugin_action_find(plugin, effect->action)
	                                             : NULL;
	return action && plugin_action_is_pure(action) ? action : NULL;
}

static bool env_is_inline(void *ctx, const struct effect *effect)
{
	const struct world *world = ctx;
	if (effect->kind != EFFECT_CALL || has_answer(world, effect))
		return false;
	return is_type(effect, "rules") || is_type(effect, "template") ||
	       pure_action(world, effect);
}

static json_t *template_extra(const struct world *world, const json_t *params)
{
	char started[CLOCK_ISO_BYTES];
	clock_iso(world->now_ms, started);
	json_t *ret = json_pack("{s:O,s:{s:s,s:s,s:s,s:s,s:s}}", "advice", world->advice, "run",
	                        "id", world->run_id, "graph", world->graph->chart->name,
	                        "correlation_id", world->run_id, "started_at", started, "engine",
	                        GANGWAY_VERSION);
	json_put(ret, "params", json_incref((json_t *)(uintptr_t)params));
	return ret;
}

static int render(const struct world *world, const char *file, const json_t *params,
                  struct datamodel *dm, const struct datamodel_ops *ops, char **ret,
                  struct err *err)
{
	struct buf source;
	if (!ops->render)
		return err_set_id(err, ERR_INPUT, "template.datamodel",
		                  "the data model '%s' has no templates", ops->name);
	json_t *extra = template_extra(world, params);
	buf_init(&source, LIMIT_JSON_BYTES);
	int status = world->graph->files.read(world->graph->files.ctx, file, &source, err);
	if (status == 0)
		status = ops->render(dm, file, buf_str(&source), extra, ret, err);
	buf_release(&source);
	json_decref(extra);
	return status < 0 ? err_wrap(err, "template '%s'", file) : 0;
}

/* "parts/mail.html" with the name "welcome" is "welcome.html", as an artifact
 * "welcome_RUN.html". */
static void name_artifact(const struct world *world, const struct effect *effect, char **ret_short,
                          char **ret_name)
{
	const char *slash = strrchr(effect->action, '/');
	const char *file = slash ? slash + 1 : effect->action;
	const char *dot = strrchr(file, '.');
	char *stem = mem_dup(file, dot ? (size_t)(dot - file) : strlen(file));
	const char *name = json_str(effect->data, "name", stem);
	*ret_short = mem_format("%s%s", name, dot ? dot : "");
	*ret_name = mem_format("%s_%s%s", name, world->run_id, dot ? dot : "");
	free(stem);
}

static int answer_template(struct world *world, const struct effect *effect, struct datamodel *dm,
                           const struct datamodel_ops *ops, struct machine_answer *ret,
                           struct err *err)
{
	char *text, *plain, *name;
	if (render(world, effect->action, effect->data, dm, ops, &text, err) < 0) {
		if (err->code == ERR_BLOCKED)
			return err->code;
		ret->failure = json_pack("{s:s,s:s,s:o}", "error_type", "template", "error_code",
		                         err->id[0] ? err->id : "template.error", "message",
		                         json_text(str_of(err->text)));
		err_clear(err);
		return 0;
	}
	name_artifact(world, effect, &plain, &name);
	json_put(world->artifacts, plain, json_text(str_of(text)));
	ret->result = json_pack("{s:s}", "artifact", name);
	free(plain);
	free(name);
	free(text);
	return 0;
}

static int answer_pure(const struct world *world, const struct effect *effect,
                       struct machine_answer *ret, struct err *err)
{
	bool ok;
	json_t *value;
	if (plugin_pure(pure_action(world, effect), effect->data, world->run_id, world_now(world),
	                &ok, &value, err) < 0)
		return err->code;
	*(ok ? &ret->result : &ret->failure) = value;
	return 0;
}

static int env_answer(void *ctx, const struct effect *effect, struct datamodel *dm,
                      const struct datamodel_ops *ops, struct machine_answer *ret, struct err *err)
{
	struct world *world = ctx;
	int status;
	if (is_type(effect, "rules"))
		status = ask_rules(world, effect->action ? effect->action : "", effect->data,
		                   effect->number, &ret->result, err);
	else if (is_type(effect, "template"))
		status = answer_template(world, effect, dm, ops, ret, err);
	else
		status = answer_pure(world, effect, ret, err);
	if (status < 0)
		return status;
	json_t *said = json_object();
	char *name = call_name(effect->type, effect->action);
	json_put_str(said, "call", name);
	json_put_str(said, "id", effect->id);
	json_put_int(said, "number", (int64_t)effect->number);
	json_put(said, "params", json_incref(effect->data));
	json_put(said, "result", json_incref(ret->result));
	json_put(said, "error", json_incref(ret->failure));
	json_push(world->inlined, said);
	free(name);
	return 0;
}

static int env_render(void *ctx, struct effect *effect, struct datamodel *dm,
                      const struct datamodel_ops *ops, struct err *err)
{
	const char *param;
	json_t *file;
	json_object_foreach(effect->renders, param, file) {
		char *text;
		if (render(ctx, json_string_value(file), effect->data, dm, ops, &text, err) < 0)
			return err->code;
		json_put(effect->data, param, json_text(str_of(text)));
		free(text);
	}
	return 0;
}

/* --- charts and data models ------------------------------------------------------------------- */

static int env_child_chart(void *ctx, const char *src, struct chart **ret, struct err *err)
{
	const struct chart_folder *files = &((const struct world *)ctx)->graph->files;
	struct buf text;
	struct chart_diags diags = { 0 };
	const char *path;
	if (chart_src_path(src, &path, err) < 0)
		return err->code;
	buf_init(&text, LIMIT_GRAPH_BYTES);
	int status = files->read(files->ctx, path, &text, err);
	if (status == 0)
		status = chart_new(buf_str(&text), path, files, &diags, ret, err);
	chart_diags_release(&diags);
	buf_release(&text);
	return status;
}

static const struct datamodel_ops *env_datamodel(void *ctx, const char *name, void **factory)
{
	struct world *world = ctx;
	*factory = world->script;
	if (strcmp(name, "lua") == 0)
		return &script_datamodel_ops;
	return strcmp(name, "null") == 0 ? &datamodel_null_ops : NULL;
}

void world_init(struct world *world, struct cli *cli, const struct graph *graph)
{
	const struct script_limits limits = { LIMIT_LUA_STEPS, LIMIT_LUA_BYTES, LIMIT_LUA_MS };
	const struct clock clock = clock_system();
	*world = (struct world){
		.cli = cli,
		.graph = graph,
		.run_id = "exec",
		.advice = json_object(),
		.artifacts = json_object(),
		.inlined = json_array(),
		.script = script_new(&limits, &clock),
		.env = {
			.ctx = world,
			.check = env_check,
			.is_inline = env_is_inline,
			.answer = env_answer,
			.render = env_render,
			.child_chart = env_child_chart,
			.datamodel = env_datamodel,
		},
	};
	map_init(&world->rules);
}

void world_clear(struct world *world)
{
	json_object_clear(world->advice);
	json_object_clear(world->artifacts);
	json_array_clear(world->inlined);
	world->driver = NULL;
}

void world_release(struct world *world)
{
	struct map_entry *entry;
	for (size_t i = 0; (entry = map_each(&world->rules, &i));)
		ruleset_unref(entry->value);
	map_release(&world->rules);
	script_free(world->script);
	json_decref(world->advice);
	json_decref(world->artifacts);
	json_decref(world->inlined);
}
