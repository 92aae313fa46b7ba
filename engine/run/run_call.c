/* SPDX-License-Identifier: MIT */
/*
 * Calls of plugin actions, seen from the run: built while deciding, released
 * once on record, answered through the run's intake, and after a restart begun
 * anew by effect class: READ and KEYED are repeated (KEYED with what is on
 * record), ONCE is unsure: the action's own lookup is asked, then a person
 * (DESIGN.md 4).
 */
#include <stdlib.h>
#include <string.h>

#include "run/run_int.h"

static const char *effect_str(const struct call *call, const char *key, const char *fallback)
{
	return json_str(call->effect, key, fallback);
}

void call_answer(struct call *call, bool ok, json_t *value_taken, json_t *extra_taken)
{
	struct run *run = call->run;
	struct intake *intake = intake_new(INTAKE_INPUT);
	intake->input.kind = INPUT_RESULT;
	intake->input.number = call->number;
	intake->input.element = call->element;
	intake->input.ok = ok;
	intake->input.took_ms = json_int(extra_taken, "took_ms", 0);
	*(ok ? &intake->input.data : &intake->input.failure) = value_taken;
	intake->extra = extra_taken;
	call->state = CALL_ENDED;
	run_intake(run, intake);
}

static bool is_recorded(const struct call *call, uint32_t ordinal)
{
	for (size_t i = 0; i < json_array_size(call->requests); i++)
		if (json_int(json_array_get(call->requests, i), "ordinal", -1) == ordinal)
			return true;
	return false;
}

/* --- hooks of the plugin side ------------------------------------------------------- */

static void on_request(void *ctx, struct plugin_call *plugin, const struct plugin_request *request)
{
	struct call *call = ctx;
	if (request->is_released)
		return; /* a READ: it needs no record */
	if (is_recorded(call, request->ordinal)) {
		plugin_call_release(plugin, request->ordinal); /* on record from an earlier life */
		return;
	}
	struct intake *intake = intake_new(INTAKE_REQUEST);
	intake->number = call->number;
	intake->element = call->element;
	intake->ordinal = request->ordinal;
	intake->extra = json_incref((json_t *)(uintptr_t)request->json);
	run_intake(call->run, intake);
}

static void on_answer(void *ctx, struct plugin_call *plugin, uint32_t ordinal,
                      const struct wire_reply *reply)
{
	struct call *call = ctx;
	(void)plugin;
	json_t *row = json_object();
	if (ordinal > 0)
		json_put_int(row, "ordinal", ordinal);
	json_put_int(row, "code", reply->code);
	json_put_int(row, "attempts", reply->attempts);
	json_put_int(row, "took_ms", reply->took_ms);
	if (reply->log && json_array_size(reply->log) > 1)
		json_put(row, "log", json_deep_copy(reply->log));
	if (!call->answers)
		call->answers = json_array();
	json_push(call->answers, row);
	if (reply->may_have_left && reply->status != WIRE_OK && reply->code == 0)
		call->may_have_happened = true;
}

static json_t *build_json(const struct plugin *build)
{
	json_t *ret = json_object();
	json_put_str(ret, "version", plugin_version(build));
	json_put_str(ret, "sha256", plugin_sha256(build));
	return ret;
}

static json_t *end_facts(struct call *call, struct plugin_call *plugin)
{
	json_t *extra = plugin_call_facts(plugin);
	int64_t now = engine_now(call->run->worker->engine);
	json_put_int(extra, "took_ms", now > call->opened_ms ? now - call->opened_ms : 0);
	int64_t attempts = 0;
	for (size_t i = 0; i < json_array_size(call->answers); i++)
		attempts += json_int(json_array_get(call->answers, i), "attempts", 0);
	json_put_int(extra, "attempts", attempts);
	if (call->answers)
		json_put(extra, "requests", json_incref(call->answers));
	const struct plugin *build = plugins_find(call->run->worker->engine->options.plugins,
	                                          effect_str(call, "type", ""));
	if (build)
		json_put(extra, "plugin", build_json(build));
	return extra;
}

/* Once per run and plugin (run_audit.c reads it so). */
void call_name_build(const struct call *call, json_t *extra)
{
	struct run *run = call->run;
	json_t *build = json_at(extra, "plugin");
	const char *type = json_str(call->effect, "type", "");
	if (!build)
		return;
	if (!run->builds)
		run->builds = json_object();
	if (json_equal(build, json_at(run->builds, type)))
		json_object_del(extra, "plugin");
	else
		json_put(run->builds, type, json_incref(build));
}

static bool is_unsure(const json_t *failure)
{
	return strcmp(json_str(failure, "error_type", ""), "unsure") == 0;
}

/* Unsure: a person decides what became of it; repeat: it begins again. */
static void hand_in(struct call *call, enum intake_kind kind)
{
	struct intake *intake = intake_new(kind);
	intake->number = call->number;
	intake->element = call->element;
	run_intake(call->run, intake);
}

static void settle_lookup(struct call *call, bool ok, json_t *value_taken, json_t *extra_taken);
static bool look_up(struct call *call);

static void on_end(void *ctx, struct plugin_call *plugin, bool ok, json_t *value)
{
	struct call *call = ctx;
	json_t *extra = end_facts(call, plugin);
	if (call->is_lookup) {
		settle_lookup(call, ok, value, extra);
		return;
	}
	const char *on_unsure = json_str(json_at(call->effect, "dispatch"), "on_unsure",
	                                 "reconcile");
	if (!ok && is_unsure(value) && strcmp(on_unsure, "reconcile") == 0) {
		json_decref(value);
		json_decref(extra);
		if (!look_up(call))
			hand_in(call, INTAKE_UNSURE);
		return;
	}
	call_answer(call, ok, value, extra);
}

static void on_enter(void *ctx, const char *plugin)
{
	struct call *call = ctx;
	crumb_enter(call->run->worker, plugin);
}

/* A prompt of the run's pinned release. */
static json_t *on_prompt(void *ctx, struct plugin_call *plugin, const char *name,
                         const json_t *values, struct err *err)
{
	struct call *call = ctx;
	(void)plugin;
	return run_prompt(call->run, name, values, err);
}

static const struct plugin_call_hooks *call_hooks(struct call *call)
{
	call->hooks = (struct plugin_call_hooks){ .ctx = call,
		                                  .on_request = on_request,
		                                  .on_answer = on_answer,
		                                  .on_end = on_end,
		                                  .on_enter = on_enter,
		                                  .prompt = on_prompt };
	return &call->hooks;
}

/* --- beginning -------------------------------------------------------------------------- */

static int make_plugin_call(struct call *call, bool is_checked, struct err *err)
{
	struct run *run = call->run;
	struct engine *engine = run->worker->engine;
	const char *type = effect_str(call, "type", "");
	const json_t *dispatch = json_at(call->effect, "dispatch");
	const struct plugin *plugin = plugins_find(engine->options.plugins, type);
	const struct plugin_action *action =
		plugin ? plugin_action_find(plugin, effect_str(call, "action", "")) : NULL;
	if (!action)
		return err_set_id(err, ERR_ABSENT, "plugin.unavailable",
		                  "the action %s.%s is not available", type,
		                  effect_str(call, "action", ""));
	const char *connection = json_str(dispatch, "connection", type);
	struct plugin_call_options options = {
		.action = action,
		.wire = run->worker->wire,
		.loop = run->worker->loop,
		.connection = engine_connection(engine, connection),
		.params = json_at(call->effect, "data"),
		.is_checked = is_checked,
		.run_id = run->id,
		.correlation_id = run->correlation_id,
		.number = call->number,
		.element = call->element,
		.now_ms = call->opened_ms,
		.timeout_ms = json_int(dispatch, "timeout_ms", -1),
		.retries = (int32_t)json_int(dispatch, "retries", -1),
		.backoff_min_ms = json_int(dispatch, "backoff_min_ms", -1),
		.backoff_max_ms = json_int(dispatch, "backoff_max_ms", -1),
		.recorded = call->is_lookup ? NULL : call->requests,
		.is_lookup = call->is_lookup,
		.hooks = call_hooks(call),
	};
	return plugin_call_new(&options, &call->plugin, err);
}

static void fail_at_once(struct call *call, const struct err *err)
{
	json_t *failure =
		json_pack("{s:s,s:s,s:i,s:o,s:s,s:s,s:i,s:b}", "error_type", "validation",
	                  "error_code", err->id[0] ? err->id : "call.refused", "http_status", 0,
	                  "message", json_text(str_of(err->text)), "resolution",
	                  err->hint[0] ? err->hint : "Mend the graph or the configuration", "owner",
	                  "Engineer", "attempts", 0, "retryable", 0);
	call_answer(call, false, failure, json_object());
}

/* Requests that are not READ go on record before they leave. */
static void note_requests(struct call *call)
{
	size_t count = plugin_call_request_count(call->plugin);
	for (size_t i = 0; i < count; i++) {
		struct plugin_request request = plugin_call_request(call->plugin, i);
		if (request.effect != WIRE_READ)
			json_push(call->requests, json_incref((json_t *)(uintptr_t)request.json));
	}
}

static void take_early_end(struct call *call)
{
	bool ok;
	json_t *value;
	if (plugin_call_take_end(call->plugin, &ok, &value))
		call_answer(call, ok, value, end_facts(call, call->plugin));
}

void call_begin(struct call *call)
{
	struct err err = { 0 };
	/* The run is deciding: an answer now waits in its intake until this step is on record. */
	if (call->is_post) {
		post_begin(call);
		return;
	}
	/* The step that asks for it checked its parameters, where it had them all (run_env.c). */
	bool is_checked = !json_at(call->effect, "renders") && !json_at(call->effect, "elements");
	if (make_plugin_call(call, is_checked, &err) < 0) {
		fail_at_once(call, &err);
		return;
	}
	plugin_call_start(call->plugin);
	if (plugin_call_is_ended(call->plugin))
		take_early_end(call);
	else
		note_requests(call);
}

void calls_release_reads(struct run *run)
{
	for (size_t i = 0; i < run->calls.len; i++) {
		struct call *call = run->calls.at[i];
		if (call->state != CALL_HELD || !call->plugin || call->is_built_in ||
		    json_array_size(call->requests) > 0)
			continue;
		call->state = CALL_OPEN; /* only READ requests: nothing on record to wait for */
		plugin_call_release(call->plugin, UINT32_MAX);
	}
}

void call_release(struct call *call)
{
	call->state = CALL_OPEN;
	if (call->is_built_in)
		built_in_release(call);
	else if (call->is_post)
		post_release(call);
	else if (call->plugin)
		plugin_call_release(call->plugin, UINT32_MAX);
}

/* --- did it happen? ----------------------------------------------------------------------- */

/*
 * An action that can tell is asked before a person is.  Its requests are READ,
 * so none of it is on record but the end: the result, a repeat, or the task.
 * What never comes to an end is a person's business, too.
 */
static bool look_up(struct call *call)
{
	enum { LOOKUPS_MAX = 3 };
	struct err ignored = { 0 };
	const struct plugin *plugin = plugins_find(call->run->worker->engine->options.plugins,
	                                           effect_str(call, "type", ""));
	const struct plugin_action *action =
		plugin ? plugin_action_find(plugin, effect_str(call, "action", "")) : NULL;
	if (!action || !plugin_action_has_lookup(action) || call->is_cancelled ||
	    call->lookups++ >= LOOKUPS_MAX)
		return false;
	plugin_call_free(call->plugin);
	call->plugin = NULL;
	call->is_lookup = true;
	if (make_plugin_call(call, true, &ignored) < 0) {
		call->is_lookup = false;
		return false;
	}
	call->state = CALL_OPEN;
	plugin_call_start(call->plugin);
	bool ok;
	json_t *value;
	if (plugin_call_take_end(call->plugin, &ok, &value))
		settle_lookup(call, ok, value, end_facts(call, call->plugin));
	else
		plugin_call_release(call->plugin, UINT32_MAX);
	return true;
}

static void settle_lookup(struct call *call, bool ok, json_t *value_taken, json_t *extra_taken)
{
	call->is_lookup = false;
	if (ok) {
		json_put(extra_taken, "looked_up", json_true());
		call_answer(call, true, value_taken, extra_taken);
		return;
	}
	bool did_not_happen = strcmp(json_str(value_taken, "error_type", ""), "not_found") == 0;
	json_decref(value_taken);
	json_decref(extra_taken);
	hand_in(call, did_not_happen ? INTAKE_REPEAT : INTAKE_UNSURE);
}

/* --- after a restart ---------------------------------------------------------------------- */

static bool has_once_request(const struct call *call)
{
	for (size_t i = 0; i < json_array_size(call->requests); i++)
		if (strcmp(json_str(json_array_get(call->requests, i), "effect", ""), "ONCE") == 0)
			return true;
	return false;
}

/* The other side may have forgotten the key: sent again, it might happen twice (RELIABILITY P5). */
static bool is_past_key(const struct call *call)
{
	const struct engine *engine = call->run->worker->engine;
	const char *name = json_str(json_at(call->effect, "dispatch"), "connection",
	                            effect_str(call, "type", ""));
	const struct wire_connection *connection = map_get(&engine->connections, name);
	return connection && json_array_size(call->requests) > 0 &&
	       engine_now(engine) - call->opened_ms > wire_connection_repeatable_ms(connection);
}

static void recover_unsure(struct call *call)
{
	const char *on_unsure = json_str(json_at(call->effect, "dispatch"), "on_unsure",
	                                 "reconcile");
	if (strcmp(on_unsure, "fail") == 0) {
		json_t *failure = json_pack(
			"{s:s,s:s,s:i,s:s,s:s,s:s,s:i,s:b}", "error_type", "unsure", "error_code",
			"unsure", "http_status", 0, "message",
			"The engine stopped while this was under way; it may have happened",
			"resolution", "Look at the other side before repeating it", "owner",
			"Operator", "attempts", 1, "retryable", 0);
		call_answer(call, false, failure, json_object());
		return;
	}
	if (!look_up(call))
		hand_in(call, INTAKE_UNSURE);
}

/*
 * Builds the call anew.  What is on record goes out as recorded, once the
 * caller releases it; anything beyond it takes the way of a later request.
 * Returns whether there is something to release.
 */
static bool rebuild_call(struct call *call)
{
	struct err err = { 0 };
	if (make_plugin_call(call, false, &err) < 0) {
		fail_at_once(call, &err);
		return false;
	}
	plugin_call_start(call->plugin);
	if (plugin_call_is_ended(call->plugin)) {
		take_early_end(call);
		return false;
	}
	size_t count = plugin_call_request_count(call->plugin);
	for (size_t i = 0; i < count; i++) {
		struct plugin_request request = plugin_call_request(call->plugin, i);
		if (request.effect != WIRE_READ && !is_recorded(call, request.ordinal)) {
			on_request(call, call->plugin, &request);
			return false;
		}
	}
	return true;
}

void call_begin_again(struct call *call)
{
	plugin_call_free(call->plugin); /* a lookup that has ended */
	call->plugin = NULL;
	call->state = CALL_HELD; /* released with the commit under way */
	if (call->is_post)
		post_begin(call);
	else
		(void)rebuild_call(call);
}

void call_recover(struct call *call)
{
	const char *on_unsure = json_str(json_at(call->effect, "dispatch"), "on_unsure",
	                                 "reconcile");
	if (call->state != CALL_OPEN || call->plugin)
		return;
	if (call->is_built_in)
		built_in_release(call);
	else if ((has_once_request(call) || is_past_key(call)) && strcmp(on_unsure, "retry") != 0)
		recover_unsure(call);
	else if (call->is_post)
		post_release(call);
	else if (rebuild_call(call))
		plugin_call_release(call->plugin, UINT32_MAX);
}
