/* SPDX-License-Identifier: MIT */
/*
 * What a run's machine may ask within a step (struct machine_env): is this
 * dispatch possible, answer PURE calls, render templates, find child charts.
 *
 * Everything here depends only on the pinned release and on the run's own
 * record, never on the day: in replay, refusals and inline answers come from
 * the record, so another build of a plugin cannot change what happened.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "run/run_int.h"

/* --- names ------------------------------------------------------------------- */

static bool is_rules(const struct effect *effect)
{
	return effect->kind == EFFECT_CALL && strcmp(effect->type, "rules") == 0;
}

static bool is_template(const struct effect *effect)
{
	return effect->kind == EFFECT_CALL && strcmp(effect->type, "template") == 0;
}

static const struct plugin_action *find_action(const struct run *run, const struct effect *effect)
{
	const struct plugin *plugin = plugins_find(run->worker->engine->options.plugins,
	                                           effect->type);
	return plugin && effect->action ? plugin_action_find(plugin, effect->action) : NULL;
}

/* --- check ---------------------------------------------------------------------- */

static int unknown_plugin(const struct run *run, const struct effect *effect, struct err *err)
{
	const char *names[128];
	size_t count = plugins_names(run->worker->engine->options.plugins, names, 128);
	const char *nearest = str_nearest(effect->type, names, count);
	err_set_id(err, ERR_ABSENT, "plugin.unavailable", "there is no plugin '%s'", effect->type);
	return nearest ? err_hint(err, "did you mean '%s'?", nearest) : err->code;
}

static int check_plugin(const struct run *run, const struct effect *effect, struct err *err)
{
	struct engine *engine = run->worker->engine;
	if (!plugins_find(engine->options.plugins, effect->type))
		return unknown_plugin(run, effect, err);
	const struct plugin_action *action = find_action(run, effect);
	if (!action)
		return err_set_id(err, ERR_ABSENT, "plugin.no_action",
		                  "the plugin '%s' has no action '%s'", effect->type,
		                  effect->action ? effect->action : "");
	if (!plugin_action_is_pure(action)) {
		const char *connection = effect->dispatch->connection;
		if (!engine_connection(engine, connection ? connection : effect->type)) {
			err_set_id(err, ERR_ABSENT, "connection.absent",
			           "there is no connection '%s'",
			           connection ? connection : effect->type);
			return err_hint(err, "add it under connections in gangway.lua");
		}
	}
	/* A rendered parameter is not there yet; its own place is checked when the call is made. */
	json_t *params = effect->data ? json_copy(effect->data) : json_object();
	const char *name;
	json_t *file;
	json_object_foreach(effect->renders, name, file)
		json_put_str(params, name, "(rendered)");
	int status = plugin_action_check(action, params, err);
	json_decref(params);
	return status < 0 ? err_wrap(err, "%s.%s", effect->type, effect->action) : 0;
}

static int check_rules(const struct run *run, const struct effect *effect, struct err *err)
{
	char set[128];
	snprintf(set, sizeof(set), "%.*s", (int)strcspn(effect->action ? effect->action : "", "#"),
	         effect->action ? effect->action : "");
	if (json_object_get(run->release->rules, set))
		return 0;
	return err_set_id(err, ERR_ABSENT, "rules.absent", "there is no rule set '%s'", set);
}

static int check_now(struct run *run, const struct effect *effect, struct err *err)
{
	if (is_rules(effect))
		return check_rules(run, effect, err);
	if (is_template(effect)) {
		if (json_object_get(run->release->graph_files,
		                    effect->action ? effect->action : ""))
			return 0;
		return err_set_id(err, ERR_ABSENT, "template.absent", "there is no template '%s'",
		                  effect->action ? effect->action : "");
	}
	if (effect->kind == EFFECT_HTTP_EVENT || effect->kind == EFFECT_EVENT)
		return post_check(run, effect, err);
	if (built_in_is(effect->type))
		return built_in_check(run, effect, err);
	return check_plugin(run, effect, err);
}

/* What the record being replayed says of this dispatch; NULL when it was let through. */
static const json_t *find_refusal(const struct run *run, uint64_t number)
{
	const json_t *made = json_at(run->replay, "inline");
	for (size_t i = 0; i < json_array_size(made); i++) {
		const json_t *row = json_array_get(made, i);
		if ((uint64_t)json_integer_value(json_array_get(row, 0)) == number)
			return json_at(json_array_get(row, 1), "refused");
	}
	return NULL;
}

/* An advisory call that could not even be dispatched: its fallback speaks at once. */
static int advise_refused(struct run *run, const struct effect *effect, struct err *why)
{
	const struct advised call = { effect->dispatch->advisory, effect->type,
		                      effect->dispatch->fallback, effect->data, effect->number };
	json_t *failure = json_pack("{s:s,s:s,s:s,s:b}", "error_type", "unavailable", "error_code",
	                            why->id[0] ? why->id : "call.refused", "message", why->text,
	                            "retryable", 0);
	struct err err = { 0 };
	int status = run_advise(run, &call, NULL, failure, &err);
	json_decref(failure);
	if (status < 0)
		*why = err;
	return why->code;
}

/* Verify asks the pinned rules and templates again:
 * a record cannot say that they were not asked. */
static bool is_asked_anew(const struct run *run, const struct effect *effect)
{
	return run->verify_findings && (is_rules(effect) || is_template(effect));
}

static int env_check(void *ctx, const struct effect *effect, struct err *err)
{
	struct run *run = ctx;
	if (run->is_replaying && is_asked_anew(run, effect))
		return check_now(run, effect, err);
	if (run->is_replaying) {
		const json_t *refused = find_refusal(run, effect->number);
		if (!refused)
			return 0;
		err_set_id(err, (int)json_int(refused, "code", ERR_INPUT),
		           json_str(refused, "id", ""), "%s", json_str(refused, "text", ""));
		return *json_str(refused, "hint", "")
		               ? err_hint(err, "%s", json_str(refused, "hint", ""))
		               : err->code;
	}
	int status = check_now(run, effect, err);
	if (status < 0 && effect->dispatch && effect->dispatch->advisory)
		return advise_refused(run, effect, err);
	return status;
}

/* --- inline ----------------------------------------------------------------------- */

static bool env_is_inline(void *ctx, const struct effect *effect)
{
	struct run *run = ctx;
	if (is_rules(effect) || is_template(effect))
		return true;
	if (run->is_replaying) {
		const json_t *made = json_at(run->replay, "inline");
		for (size_t i = 0; i < json_array_size(made); i++)
			if ((uint64_t)json_integer_value(
				    json_array_get(json_array_get(made, i), 0)) == effect->number)
				return true;
		return false;
	}
	const struct plugin_action *action = effect->kind == EFFECT_CALL ? find_action(run, effect)
	                                                                 : NULL;
	return action && plugin_action_is_pure(action);
}

static int answer_rules(struct run *run, const struct effect *effect, json_t **ret, struct err *err)
{
	struct engine *engine = run->worker->engine;
	const char *src = effect->action;
	const char *hash = strchr(src, '#');
	char set[128];
	snprintf(set, sizeof(set), "%.*s", (int)strcspn(src, "#"), src);
	void *ruleset = engine_ruleset(engine, run->release, set);
	const struct scripting_ops *scripting = engine->options.scripting;
	int64_t now = run->last_step_ms;
	uint64_t seed = run->seed ^ effect->number;
	int status = hash ? scripting->rules_call(run->worker->script, ruleset, hash + 1,
	                                          effect->data, now, seed, ret, err)
	                  : scripting->rules_evaluate(run->worker->script, ruleset, effect->data,
	                                              now, seed, ret, err);
	if (status == 0)
		return 0;
	/* Whatever stopped the rules: they never decide then (DESIGN 4, Blocked). */
	return err->code = ERR_BLOCKED;
}

/* What a template sees besides the data model. */
static json_t *template_extra(const struct run *run)
{
	char started[CLOCK_ISO_BYTES];
	clock_iso(run->created_ms, started);
	return json_pack("{s:O,s:{s:s,s:s,s:s,s:s,s:s}}", "advice", run->advice, "run", "id",
	                 run->id, "graph", run->graph, "correlation_id", run->correlation_id,
	                 "started_at", started, "engine", run->worker->engine->options.version);
}

static int render_file(struct run *run, const char *file, struct datamodel *dm,
                       const struct datamodel_ops *ops, const json_t *more, char **ret,
                       struct err *err)
{
	const json_t *source = json_object_get(run->release->graph_files, file);
	if (!source || !ops->render)
		return err_set_id(err, ERR_ABSENT, "template.absent", "there is no template '%s'",
		                  file);
	json_t *extra = template_extra(run);
	if (more)
		json_put(extra, "params", json_incref((json_t *)(uintptr_t)more));
	int status = ops->render(
		dm, file, (struct str){ json_string_value(source), json_string_length(source) },
		extra, ret, err);
	json_decref(extra);
	return status < 0 ? err_wrap(err, "template '%s'", file) : 0;
}

/* "email_welcome.html" with name "email_welcome" of run r1 is the artifact
 * "email_welcome_r1.html". */
static char *artifact_name(const struct run *run, const struct effect *effect)
{
	const char *file = strrchr(effect->action, '/') ? strrchr(effect->action, '/') + 1
	                                                : effect->action;
	const char *dot = strrchr(file, '.');
	char *stem = mem_dup(file, dot ? (size_t)(dot - file) : strlen(file));
	const char *name = json_str(effect->data, "name", stem);
	char *ret = mem_format("%s_%s%s", name, run->id, dot ? dot : "");
	free(stem);
	for (char *c = ret; *c; c++)
		if (*c == '/' || (unsigned char)*c < 0x21)
			*c = '_';
	return ret;
}

static int answer_template(struct run *run, const struct effect *effect, struct datamodel *dm,
                           const struct datamodel_ops *ops, struct machine_answer *ret,
                           struct err *err)
{
	char *text;
	if (render_file(run, effect->action, dm, ops, effect->data, &text, err) < 0) {
		if (err->code == ERR_BLOCKED)
			return err->code;
		/* A template's mistake is no decision:
		 * the graph may handle it as any failed call. */
		ret->failure = json_pack("{s:s,s:s,s:o,s:s,s:b}", "error_type", "template",
		                         "error_code", err->id[0] ? err->id : "template.error",
		                         "message", json_text(str_of(err->text)), "owner",
		                         "Engineer", "retryable", 0);
		err_clear(err);
		return 0;
	}
	char *name = artifact_name(run, effect);
	json_push(run->step_artifacts,
	          json_pack("{s:s,s:o}", "name", name, "text", json_text(str_of(text))));
	ret->result = json_pack("{s:s}", "artifact", name);
	free(name);
	free(text);
	return 0;
}

static int answer_pure(struct run *run, const struct effect *effect, struct machine_answer *ret,
                       struct err *err)
{
	bool ok;
	json_t *value;
	if (plugin_pure(find_action(run, effect), effect->data, run->id, run->last_step_ms, &ok,
	                &value, err) < 0)
		return err->code;
	*(ok ? &ret->result : &ret->failure) = value;
	return 0;
}

static int env_answer(void *ctx, const struct effect *effect, struct datamodel *dm,
                      const struct datamodel_ops *ops, struct machine_answer *ret, struct err *err)
{
	struct run *run = ctx;
	if (is_rules(effect))
		return answer_rules(run, effect, &ret->result, err);
	if (is_template(effect))
		return answer_template(run, effect, dm, ops, ret, err);
	return answer_pure(run, effect, ret, err);
}

static void drop_json(void *json)
{
	json_decref(json);
}

static int env_render(void *ctx, struct effect *effect, struct datamodel *dm,
                      const struct datamodel_ops *ops, struct err *err)
{
	struct run *run = ctx;
	if (!effect->data) {
		effect->data = json_object();
		arena_defer(&run->step, drop_json, effect->data);
	}
	const char *param;
	json_t *file;
	json_object_foreach(effect->renders, param, file) {
		char *text;
		if (render_file(run, json_string_value(file), dm, ops, effect->data, &text, err) <
		    0)
			return err->code;
		json_put(effect->data, param, json_text(str_of(text)));
		free(text);
	}
	return 0;
}

/* --- charts and data models --------------------------------------------------------- */

static int env_child_chart(void *ctx, const char *src, struct chart **ret, struct err *err)
{
	struct run *run = ctx;
	return release_child(run->release, src, ret, err);
}

static const struct datamodel_ops *env_datamodel(void *ctx, const char *name, void **factory)
{
	struct run *run = ctx;
	*factory = run->worker->script;
	if (strcmp(name, "lua") == 0)
		return run->worker->engine->options.scripting->datamodel;
	return strcmp(name, "null") == 0 ? &datamodel_null_ops : NULL;
}

void run_env_init(struct run *run)
{
	run->env = (struct machine_env){
		.ctx = run,
		.check = env_check,
		.is_inline = env_is_inline,
		.answer = env_answer,
		.render = env_render,
		.child_chart = env_child_chart,
		.datamodel = env_datamodel,
	};
}

struct machine_options run_machine_options(struct run *run)
{
	return (struct machine_options){
		.chart = run->release->chart,
		.env = &run->env,
		.run_id = run->id,
		.seed = run->seed,
		.http_location = run->http_location,
	};
}

int run_check_schema(const struct release *release, const char *file, const json_t *value,
                     const char *what, struct err *err)
{
	if (!file)
		return 0;
	const json_t *text = json_at(release->graph_files, file);
	json_t *parsed = json_is_string(text) ? json_loads(json_string_value(text), 0, NULL) : NULL;
	struct schema *schema = NULL;
	int status = parsed ? schema_new(parsed, NULL, NULL, &schema, err)
	                    : err_set(err, ERR_INPUT, "it is no JSON file of the graph's folder");
	json_decref(parsed);
	if (status < 0)
		return err_wrap(err, "%s", file);
	status = schema_check(schema, value, err);
	schema_free(schema);
	return status < 0 ? err_wrap(err, "%s", what) : 0;
}
