/* SPDX-License-Identifier: MIT */
/*
 * Telling one story: the graph runs in a world in memory until nothing needs no
 * time; then each step of the story, and again; then what is expected is
 * compared.  Calls with a canned answer end, others stay open until a step ends
 * them; time passes only in a step that says so.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/cli_story.h"
#include "plugin/plugin.h"
#include "schema/schema.h"

/* --- what happens ----------------------------------------------------------------------- */

/* By number, which is the order in which the graph asked. */
static void insert_call(struct play *play, json_t *call_taken)
{
	size_t at = json_array_size(play->calls);
	int64_t number = json_int(call_taken, "number", 0);
	while (at > 0 && json_int(json_array_get(play->calls, at - 1), "number", 0) > number)
		at--;
	json_put_int(call_taken, "at_ms", driver_now(play->driver) - play->options.start_ms);
	(void)json_array_insert_new(play->calls, at, call_taken);
}

static void take_inlined(struct play *play)
{
	for (size_t i = 0; i < json_array_size(play->world.inlined); i++)
		insert_call(play, json_incref(json_array_get(play->world.inlined, i)));
	json_array_clear(play->world.inlined);
}

static void on_effect(void *ctx, const json_t *effect)
{
	struct play *play = ((struct world *)ctx)->owner;
	const char *kind = json_str(effect, "kind", ""), *type = json_str(effect, "type", "");
	const char *action = json_str(effect, "action", NULL);
	if (strcmp(kind, "done") == 0) {
		json_t *data = json_at(effect, "data");
		json_decref(play->result);
		play->result = data ? json_incref(data) : json_null();
	}
	if (strcmp(kind, "call") != 0 && strcmp(kind, "send") != 0)
		return;
	json_t *call = json_object();
	char *name = action ? mem_format("%s.%s", type, action) : mem_dup_str(type);
	json_put_str(call, "call", name);
	json_put(call, "id", json_incref(json_at(effect, "id")));
	json_put(call, "params", json_incref(json_at(effect, "data")));
	json_put(call, "number", json_incref(json_at(effect, "number")));
	insert_call(play, call);
	free(name);
}

static void on_stable(void *ctx, const json_t *line)
{
	struct play *play = ((struct world *)ctx)->owner;
	json_t *kept = json_object();
	json_put(kept, "at_ms", json_incref(json_at(line, "at_ms")));
	json_put(kept, "event", json_incref(json_at(line, "event")));
	json_put(kept, "atomic", json_incref(json_at(line, "atomic")));
	json_push(play->lines, kept);
	take_inlined(play);
}

static int on_result(void *ctx, const json_t *effect, bool ok, const json_t *value, struct err *err)
{
	return world_take_result(ctx, effect, ok, value, err);
}

static void on_trace(void *ctx, const struct chart *chart, int32_t state, int32_t transition)
{
	struct play *play = ((struct world *)ctx)->owner;
	struct coverage *coverage = &play->graph->coverage;
	if (chart != coverage->chart)
		return; /* of a child chart */
	if (state != CHART_NONE) {
		bits_set(coverage->states, (size_t)state);
		json_put(play->visited, chart->states[state].id, json_true());
	} else {
		bits_set(coverage->transitions, (size_t)transition);
	}
}

/* --- what must be true of the story itself ---------------------------------------------------- */

/* Compiled once; *ret NULL: there is none. */
static int find_schema(struct suite *suite, const char *name, const json_t *json,
                       struct schema **ret, struct err *err)
{
	*ret = map_get(&suite->schemas, name);
	if (*ret || !json)
		return 0;
	if (schema_new(json, NULL, NULL, ret, err) < 0)
		return err_wrap(err, "schema of %s", name);
	map_set(&suite->schemas, name, *ret);
	return 0;
}

static int check_schema(struct suite *suite, const char *name, const json_t *json,
                        const json_t *value, struct err *err)
{
	struct schema *schema;
	if (find_schema(suite, name, json, &schema, err) < 0)
		return err->code;
	return schema && schema_check(schema, value, err) < 0 ? err_wrap(err, "%s", name) : 0;
}

/* gw:input and gw:output name files of the graph's folder. */
static int check_file_schema(struct play *play, const char *file, const json_t *value,
                             struct err *err)
{
	struct graph *graph = &play->graph->graph;
	struct buf text;
	json_t *json = NULL;
	if (!file)
		return 0;
	buf_init(&text, LIMIT_JSON_BYTES);
	int status = graph->files.read(graph->files.ctx, file, &text, err);
	if (status == 0)
		status = json_read(buf_str(&text), LIMIT_JSON_BYTES, &json, err);
	if (status == 0)
		status = check_schema(play->suite, file, json, value, err);
	json_decref(json);
	buf_release(&text);
	return status;
}

/* A canned result must be one that the action may give. */
static int check_result(struct play *play, const char *name, const json_t *result, struct err *err)
{
	struct cli *cli = play->suite->cli;
	char *plugin_name = mem_dup(name, strcspn(name, ".")), *action_name = NULL;
	size_t len = strlen(plugin_name);
	const struct plugin *plugin = cli->plugins ? plugins_find(cli->plugins, plugin_name) : NULL;
	int status = 0;
	if (plugin && name[len] == '.') {
		const char *rest = name + len + 1;
		action_name = mem_dup(rest, strcspn(rest, "#"));
		const struct plugin_action *action = plugin_action_find(plugin, action_name);
		const json_t *about = action ? plugin_action_describe(action) : NULL;
		char *title = mem_format("%s.%s's result", plugin_name, action_name);
		if (!action)
			status = err_set(err, ERR_INPUT, "the plugin '%s' has no action '%s'",
			                 plugin_name, action_name);
		else
			status = check_schema(play->suite, title, json_at(about, "result"), result,
			                      err);
		free(title);
	}
	free(plugin_name);
	free(action_name);
	return status;
}

static int check_answers(struct play *play, const json_t *answers, struct err *err)
{
	const char *name;
	json_t *list;
	json_object_foreach((json_t *)(uintptr_t)answers, name, list) {
		for (size_t i = 0; i < json_array_size(list); i++) {
			const json_t *result = json_at(json_array_get(list, i), "result");
			if (result && check_result(play, name, result, err) < 0)
				return err_wrap(err, "answers");
		}
	}
	return 0;
}

/* --- expectations ----------------------------------------------------------------------------- */

static json_t *as_list(const json_t *value)
{
	return json_is_array(value) ? json_incref((json_t *)(uintptr_t)value)
	                            : json_pack("[O]", (json_t *)(uintptr_t)value);
}

static void expect_states(const struct play *play, const json_t *wanted)
{
	json_t *got = machine_states(driver_machine(play->driver), true), *list = as_list(wanted);
	bool is_same = json_array_size(got) == json_array_size(list);
	for (size_t i = 0; is_same && i < json_array_size(list); i++) {
		is_same = false;
		for (size_t k = 0; k < json_array_size(got); k++)
			is_same = is_same ||
			          json_equal(json_array_get(got, k), json_array_get(list, i));
	}
	if (!is_same)
		(void)story_match(list, got, "states", play->differs); /* says it in order */
	json_decref(got);
	json_decref(list);
}

/* Is this a call that is wanted?  A text is its name. */
static bool is_call(const json_t *wanted, const json_t *call, json_t *differs)
{
	if (json_is_string(wanted))
		return strcmp(json_string_value(wanted), json_str(call, "call", "")) == 0;
	return story_match(wanted, call, json_str(call, "call", "call"), differs);
}

static const char *wanted_name(const json_t *wanted)
{
	return json_is_string(wanted) ? json_string_value(wanted) : json_str(wanted, "call", "?");
}

/* Why none of the calls of that name fits: the first of them tells. */
static void tell_nearest(const struct play *play, const json_t *wanted, size_t from)
{
	const char *name = wanted_name(wanted);
	for (size_t i = from; i < json_array_size(play->calls); i++) {
		const json_t *call = json_array_get(play->calls, i);
		if (strcmp(json_str(call, "call", ""), name) != 0)
			continue;
		(void)is_call(wanted, call, play->differs);
		return;
	}
	story_differs(play->differs, "calls: %s was not called%s", name,
	              from > 0 ? " after the one before it in the list" : "");
}

/* In this order, others between them. */
static void expect_calls(const struct play *play, const json_t *wanted)
{
	json_t *list = as_list(wanted), *ignored = json_array();
	size_t at = 0;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);
		size_t found = at;
		while (found < json_array_size(play->calls) &&
		       !is_call(one, json_array_get(play->calls, found), ignored))
			found++;
		if (found == json_array_size(play->calls))
			tell_nearest(play, one, at);
		else
			at = found + 1;
	}
	json_decref(list);
	json_decref(ignored);
}

static void expect_no_calls(const struct play *play, const json_t *wanted)
{
	json_t *list = as_list(wanted), *ignored = json_array();
	for (size_t i = 0; i < json_array_size(list); i++) {
		for (size_t k = 0; k < json_array_size(play->calls); k++) {
			const json_t *call = json_array_get(play->calls, k);
			if (!is_call(json_array_get(list, i), call, ignored))
				continue;
			char *params = story_show(json_at(call, "params"));
			story_differs(play->differs, "no_calls: %s was called with %s",
			              json_str(call, "call", "?"), params);
			free(params);
		}
	}
	json_decref(list);
	json_decref(ignored);
}

static void expect_artifacts(const struct play *play, const json_t *wanted)
{
	const char *name;
	json_t *value;
	json_object_foreach((json_t *)(uintptr_t)wanted, name, value) {
		const json_t *text = json_at(play->world.artifacts, name);
		json_t *list = as_list(value);
		if (!text)
			story_differs(play->differs, "artifacts: %s was not written", name);
		for (size_t i = 0; text && i < json_array_size(list); i++) {
			const char *part = json_string_value(json_array_get(list, i));
			if (part && !strstr(json_string_value(text), part))
				story_differs(play->differs,
				              "artifacts.%s: wanted something with \"%s\"", name,
				              part);
		}
		json_decref(list);
	}
}

static void expect_visited(const struct play *play, const json_t *wanted, bool is_wanted)
{
	json_t *list = as_list(wanted);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *state = json_string_value(json_array_get(list, i));
		if (state && chart_find(play->graph->graph.chart, state) == CHART_NONE)
			story_differs(play->differs, "visited: the graph has no state '%s'", state);
		else if (state && (json_at(play->visited, state) != NULL) != is_wanted)
			story_differs(play->differs, "visited: the run was %s in '%s'",
			              is_wanted ? "never" : "once", state);
	}
	json_decref(list);
}

static void expect_open(const struct play *play, const json_t *wanted)
{
	json_t *list = as_list(wanted);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *id = json_string_value(json_array_get(list, i));
		if (id && !story_call(play, id))
			story_differs(play->differs, "open: no call '%s' is open", id);
	}
	json_decref(list);
}

static void expect_blocked(struct play *play, const json_t *wanted)
{
	const char *text = json_string_value(wanted);
	if (play->blocked.code == 0)
		story_differs(play->differs, "blocked: the run is not blocked");
	else if (text && !strstr(play->blocked.text, text))
		story_differs(play->differs, "blocked: wanted something with \"%s\", got \"%s\"",
		              text, play->blocked.text);
	err_clear(&play->blocked); /* it is what the story wants */
}

/* One member of "expect"; false: there is no such member. */
static bool expect_one(struct play *play, const char *key, const json_t *wanted)
{
	const struct machine *machine = driver_machine(play->driver);
	if (strcmp(key, "states") == 0) {
		expect_states(play, wanted);
	} else if (strcmp(key, "final") == 0) {
		json_t *got = json_boolean(machine_is_done(machine));
		(void)story_match(wanted, got, "final", play->differs);
		json_decref(got);
	} else if (strcmp(key, "result") == 0) {
		(void)story_match(wanted, play->result, "result", play->differs);
	} else if (strcmp(key, "data") == 0) {
		json_t *got = machine_data(machine);
		(void)story_match(wanted, got, "data", play->differs);
		json_decref(got);
	} else if (strcmp(key, "advice") == 0) {
		(void)story_match(wanted, play->world.advice, "advice", play->differs);
	} else if (strcmp(key, "calls") == 0) {
		expect_calls(play, wanted);
	} else if (strcmp(key, "no_calls") == 0) {
		expect_no_calls(play, wanted);
	} else if (strcmp(key, "artifacts") == 0) {
		expect_artifacts(play, wanted);
	} else if (strcmp(key, "visited") == 0 || strcmp(key, "not_visited") == 0) {
		expect_visited(play, wanted, *key == 'v');
	} else if (strcmp(key, "open") == 0) {
		expect_open(play, wanted);
	} else if (strcmp(key, "blocked") == 0) {
		expect_blocked(play, wanted);
	} else {
		return false;
	}
	return true;
}

static void expect(struct play *play, const json_t *wanted)
{
	static const char *const known[] = { "states",  "final",     "result",      "data",
		                             "advice",  "calls",     "open",        "visited",
		                             "blocked", "artifacts", "not_visited", "no_calls" };
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)(uintptr_t)wanted, key, value) {
		if (expect_one(play, key, value))
			continue;
		const char *nearest = str_nearest(key, known, sizeof(known) / sizeof(*known));
		story_differs(play->differs, "expect: there is no '%.60s'%s%s%s", key,
		              nearest ? "; did you mean '" : "", nearest ? nearest : "",
		              nearest ? "'?" : "");
	}
}

/* --- steps ------------------------------------------------------------------------------------ */

/* From one thing that is due to the next, so that people's tasks are looked after in between. */
static int step_wait(struct play *play, const json_t *wait, struct err *err)
{
	int64_t ms = json_integer_value(wait);
	if (json_is_string(wait) ? chart_parse_delay(json_string_value(wait), &ms, err) < 0
	                         : !json_is_integer(wait) || ms < 0)
		return err_set(err, ERR_INPUT, "wait: no time span such as \"24h\"");
	int64_t end_ms = driver_now(play->driver) + ms;
	while (play->blocked.code == 0) {
		int64_t due_ms = driver_next_due(play->driver), now_ms = driver_now(play->driver);
		int64_t next_ms = due_ms < end_ms ? due_ms : end_ms;
		int status = driver_pass(play->driver, next_ms > now_ms ? next_ms - now_ms : 0,
		                         err);
		if (story_stepped(play, status, err) < 0 || play->blocked.code != 0)
			return err->code;
		if (story_built_ins(play, err) < 0)
			return err->code;
		if (driver_now(play->driver) >= end_ms && driver_next_due(play->driver) > end_ms)
			return 0;
		if (machine_is_done(driver_machine(play->driver)))
			return 0;
	}
	return 0;
}

static int step_answer(struct play *play, const json_t *step, struct err *err)
{
	const char *id = json_str(step, "answer", "");
	const json_t *effect = story_call(play, id);
	json_t *answer = NULL;
	if (!effect)
		return err_set(err, ERR_INPUT, "no call '%.80s' is open", id);
	if (story_answer(play->suite, step, &answer, err) < 0)
		return err->code;
	json_t *error = json_at(answer, "error"), *kept = json_incref((json_t *)(uintptr_t)effect);
	int status = story_end_call(play, kept, !error, error ? error : json_at(answer, "result"),
	                            err);
	json_decref(kept);
	json_decref(answer);
	return status;
}

static int take_step(struct play *play, const json_t *step, struct err *err)
{
	if (json_at(step, "expect")) {
		expect(play, json_at(step, "expect"));
		return 0;
	}
	if (play->blocked.code != 0)
		return err_set(err, ERR_INPUT, "the run cannot go on: %s", play->blocked.text);
	if (json_at(step, "wait"))
		return step_wait(play, json_at(step, "wait"), err);
	if (json_at(step, "task"))
		return story_task(play, step, err);
	if (json_at(step, "answer"))
		return step_answer(play, step, err);
	if (json_truth(step, "cancel", false)) {
		play->is_cancelled = true;
		return story_stepped(play, driver_cancel(play->driver, err), err);
	}
	if (json_at(step, "event"))
		return story_stepped(play, driver_event(play->driver, json_at(step, "event"), err),
		                     err);
	return err_set(err, ERR_INPUT, "no event, wait, task, answer, cancel or expect");
}

static int settle(struct play *play, struct err *err)
{
	if (play->blocked.code == 0 &&
	    story_stepped(play, driver_settle(play->driver, err), err) < 0)
		return err->code;
	return play->blocked.code == 0 ? story_built_ins(play, err) : 0;
}

static int tell(struct play *play, const json_t *story, struct err *err)
{
	const json_t *steps = json_at(story, "steps");
	const struct chart *chart = play->graph->graph.chart;
	int status = check_file_schema(play, chart->input_schema, play->options.input, err);
	if (status < 0)
		return err_wrap(err, "input");
	if (check_answers(play, play->options.answers, err) < 0 ||
	    story_stepped(play, driver_start(play->driver, err), err) < 0)
		return err->code;
	status = settle(play, err);
	for (size_t i = 0; status == 0 && i < json_array_size(steps); i++) {
		status = take_step(play, json_array_get(steps, i), err);
		if (status == 0)
			status = settle(play, err);
		if (status < 0)
			return err_wrap(err, "step %zu", i + 1);
	}
	if (status == 0 && json_at(story, "expect"))
		expect(play, json_at(story, "expect"));
	if (status == 0 && play->blocked.code == 0 && play->result && !play->is_cancelled &&
	    check_file_schema(play, chart->output_schema, play->result, err) < 0)
		status = err_wrap(err, "result");
	return status;
}

/* --- a play ----------------------------------------------------------------------------------- */

static int play_init(struct play *play, struct suite *suite, const json_t *story, struct err *err)
{
	const char *now = json_str(story, "now", "2026-01-01");
	*play = (struct play){ .suite = suite };
	if (suite_graph(suite, json_str(story, "graph", suite->main_file), &play->graph, err) < 0)
		return err->code;
	const json_t *input = json_at(story, "input");
	play->calls = json_array();
	play->lines = json_array();
	play->visited = json_object();
	play->checklists = json_object();
	play->differs = json_array();
	world_init(&play->world, suite->cli, &play->graph->graph);
	play->world.run_id = "story";
	play->world.owner = play;
	play->world.trusts = true;
	play->world.answers = json_at(story, "answers");
	play->world.now_ms = clock_parse_iso(now);
	play->world.env.trace = on_trace;
	play->options = (struct driver_options){
		.chart = play->graph->graph.chart,
		.env = &play->world.env,
		.input = input ? json_incref((json_t *)(uintptr_t)input) : json_object(),
		.answers = play->world.answers,
		.start_ms = play->world.now_ms,
		.run_id = play->world.run_id,
		.on_stable = on_stable,
		.on_effect = on_effect,
		.on_result = on_result,
		.ctx = &play->world
	};
	if (driver_new(&play->options, &play->driver, err) < 0)
		return err->code;
	play->world.driver = play->driver;
	return 0;
}

static void play_release(struct play *play)
{
	if (!play->calls)
		return;
	driver_free(play->driver);
	world_release(&play->world);
	json_decref((json_t *)(uintptr_t)play->options.input);
	json_decref(play->calls);
	json_decref(play->lines);
	json_decref(play->visited);
	json_decref(play->checklists);
	json_decref(play->result);
	json_decref(play->differs);
}

void story_play(struct suite *suite, const json_t *story, json_t **ret_differs, json_t **ret_log)
{
	struct play play;
	struct err err = { 0 };
	const char *wrong = json_str(story, "wrong", NULL);
	if (wrong) {
		*ret_differs = json_pack("[s]", wrong);
		*ret_log = json_object();
		return;
	}
	int status = play_init(&play, suite, story, &err);
	json_t *differs = play.differs ? json_incref(play.differs) : json_array();
	if (status == 0)
		status = tell(&play, story, &err);
	if (status < 0)
		story_differs(differs, "%s%s%s", err.text, err.hint[0] ? "; " : "", err.hint);
	else if (play.blocked.code != 0)
		story_differs(differs, "the run cannot go on: %s", play.blocked.text);
	*ret_differs = differs;
	*ret_log = play.lines ? json_pack("{s:O,s:O}", "lines", play.lines, "calls", play.calls)
	                      : json_object();
	play_release(&play);
}
