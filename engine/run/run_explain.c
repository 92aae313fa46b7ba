/* SPDX-License-Identifier: MIT */
/*
 * A run in plain language: what happened, why this decision, what it waits for,
 * who must act.  All of it is told from the journal and the run's row: the
 * titles that the graph's author gave, the messages of the rules, the
 * resolutions of errors.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run/run_int.h"

enum { TEXT_BYTES = 256 * 1024, HAPPENED_MAX = 500 };

struct explaining {
	struct run *run; /* NULL release: nothing is known of its graph */
	json_t *happened, *errors, *why;
	json_t *decision;
	char *last_title;
};

static void say(struct explaining *e, int64_t at, char *text_taken)
{
	char iso[CLOCK_ISO_BYTES];
	clock_iso(at, iso);
	if (json_array_size(e->happened) < HAPPENED_MAX)
		json_push(e->happened,
		          json_pack("{s:s,s:o}", "at", iso, "text", json_text(str_of(text_taken))));
	free(text_taken);
}

/* The innermost state with a title, of those that the record stands in. */
static const char *title_of(const struct explaining *e, const json_t *states)
{
	const char *ret = NULL;
	for (size_t i = 0; e->run->release && i < json_array_size(states); i++) {
		const struct chart *chart = e->run->release->chart;
		int32_t s = chart_find(chart, json_string_value(json_array_get(states, i)));
		if (s > 0 && chart->states[s].title)
			ret = chart->states[s].title;
	}
	return ret;
}

static void tell_states(struct explaining *e, const json_t *record, int64_t at)
{
	const char *title = title_of(e, json_at(record, "states"));
	if (!title || (e->last_title && strcmp(title, e->last_title) == 0))
		return;
	free(e->last_title);
	e->last_title = mem_dup_str(title);
	say(e, at, mem_format("%s.", title));
}

static void tell_failure(struct explaining *e, const json_t *failure, int64_t at)
{
	const char *resolution = json_str(failure, "resolution", "");
	const char *owner = json_str(failure, "owner", "");
	say(e, at,
	    mem_format("A call failed: %s%s%s%s%s.",
	               json_str(failure, "message", "no reason given"),
	               *resolution ? ". To do: " : "", resolution, *owner ? " - " : "", owner));
	json_push(e->errors, json_incref((json_t *)(uintptr_t)failure));
}

/* "Finance: The invoice INV-7 is overdue. To do: Ask the customer to pay" */
static json_t *reason_line(const json_t *outcome)
{
	const char *owner = json_str(outcome, "owner", "");
	const char *fix = json_str(outcome, "fix", json_str(outcome, "resolution", ""));
	return json_sprintf("%s%s%s%s%s", owner, *owner ? ": " : "",
	                    json_str(outcome, "message", json_str(outcome, "rule", "")),
	                    *fix ? ". To do: " : "", fix);
}

/* A rule set's answer: its decision, and what it found. */
static void tell_rules(struct explaining *e, const json_t *record, int64_t at)
{
	const json_t *made = json_at(record, "inline");
	for (size_t i = 0; i < json_array_size(made); i++) {
		const json_t *result = json_at(json_array_get(json_array_get(made, i), 1),
		                               "result");
		const char *decision = json_str(result, "decision", NULL);
		if (!decision)
			continue;
		json_array_clear(e->why);
		json_decref(e->decision);
		e->decision = json_string(decision);
		static const char *const lists[] = { "violations", "warnings" };
		for (size_t l = 0; l < 2; l++) {
			const json_t *list = json_at(result, lists[l]);
			for (size_t j = 0; j < json_array_size(list); j++)
				json_push(e->why, reason_line(json_array_get(list, j)));
		}
		const json_t *reasons = json_at(result, "reasons");
		for (size_t j = 0; json_array_size(e->why) == 0 && j < json_array_size(reasons);
		     j++) {
			json_t *reason = json_array_get(reasons, j);
			json_push(e->why, json_is_string(reason) ? json_incref(reason)
			                                         : reason_line(reason));
		}
		say(e, at, mem_format("The rules decided: %s.", decision));
	}
}

static void tell_answer(struct explaining *e, const json_t *record, int64_t at)
{
	const json_t *data = json_path(record, "input.data");
	const char *kind = json_str(record, "kind", "");
	const char *by = json_str(record, "by", "somebody");
	const char *outcome = json_str(data, "outcome", NULL);
	if (strcmp(kind, "task") == 0) {
		const json_t *answer = json_at(record, "answer");
		say(e, at,
		    mem_format("%s did the task '%s'.", json_str(answer, "by", "somebody"),
		               json_str(answer, "item", "")));
	} else if (outcome && json_str(data, "shown_sha256", NULL)) {
		const char *comment = json_str(data, "comment", "");
		say(e, at,
		    mem_format("%s %s it%s%s.", json_str(data, "by", "somebody"), outcome,
		               *comment ? ": " : "", comment));
	} else if (strcmp(kind, "repin") == 0 || strcmp(kind, "resume") == 0 ||
	           strcmp(kind, "retry") == 0) {
		say(e, at, mem_format("%s asked for it to be tried again (%s).", by, kind));
	} else if (strcmp(kind, "assign") == 0) {
		const json_t *assign = json_at(record, "assign");
		say(e, at,
		    mem_format("%s gave a task to %s.", by,
		               json_str(assign, "owner", json_str(assign, "role", "another day"))));
	} else if (json_at(record, "fork")) {
		say(e, at,
		    mem_format("It began where the run %s stood after its record %lld.",
		               json_str(json_at(record, "fork"), "run", ""),
		               (long long)json_int(json_at(record, "fork"), "seq", 0)));
	}
}

static int tell_record(void *arg, const json_t *record, struct err *err)
{
	struct explaining *e = arg;
	const json_t *input = json_at(record, "input"), *reason = json_at(record, "reason");
	int64_t at = json_int(record, "at", 0);
	(void)err;
	if (json_at(record, "start")) {
		const char *by = json_str(json_at(record, "start"), "by", NULL);
		say(e, at, mem_format("It was started%s%s.", by ? " by " : "", by ? by : ""));
	}
	if (strcmp(json_str(input, "kind", ""), "cancel") == 0)
		say(e, at, mem_format("%s cancelled it.", json_str(record, "by", "Somebody")));
	if (json_at(input, "failure"))
		tell_failure(e, json_at(input, "failure"), at);
	tell_answer(e, record, at);
	tell_rules(e, record, at);
	if (strcmp(json_str(record, "kind", ""), "blocked") == 0)
		say(e, at,
		    mem_format("Nothing could be decided: %s.", json_str(reason, "text", "")));
	else
		tell_states(e, record, at);
	return 0;
}

/* --- now ------------------------------------------------------------------------------------- */

static json_t *must_act(const struct run *run)
{
	json_t *ret = json_array();
	const char *id;
	json_t *task;
	json_object_foreach(run->tasks, id, task) {
		char due[CLOCK_ISO_BYTES] = "";
		if (strcmp(json_str(task, "status", ""), "open") != 0)
			continue;
		if (json_at(task, "due_ms"))
			clock_iso(json_int(task, "due_ms", 0), due);
		json_t *row = json_pack("{s:s,s:s,s:s}", "task", id, "who",
		                        json_str(task, "owner", json_str(task, "role", "somebody")),
		                        "what", json_str(task, "title", ""));
		json_put_str(row, "due_at", *due ? due : NULL);
		json_push(ret, row);
	}
	if (run->reason)
		json_push(ret, json_pack("{s:s,s:s}", "who", "operator", "what",
		                         json_str(run->reason, "hint",
		                                  "mend the cause, then repin, retry or resume")));
	return ret;
}

static void put_now(const struct run *run, const json_t *row, json_t *explain)
{
	const char *status = json_str(row, "status", "");
	json_put_str(explain, "status", status);
	if (run->reason)
		json_put(explain, "waits_for",
		         json_sprintf("a mended version or another try: %s",
		                      json_str(run->reason, "text", "")));
	else if (strcmp(status, "waiting_for_people") == 0)
		json_put_str(explain, "waits_for", "people");
	else if (json_str(row, "wake_at", NULL))
		json_put(explain, "waits_for",
		         json_sprintf("time: it goes on at %s", json_str(row, "wake_at", "")));
	else if (strcmp(status, "waiting") == 0)
		json_put_str(explain, "waits_for", "an event");
	else if (json_array_size(json_at(row, "waits_for")) > 0)
		json_put(explain, "waits_for",
		         json_sprintf("the answer of %s", json_string_value(json_array_get(
								  json_at(row, "waits_for"), 0))));
}

/* The whole in sentences. */
static json_t *in_words(const json_t *explain)
{
	struct buf out;
	buf_init(&out, TEXT_BYTES);
	const json_t *happened = json_at(explain, "happened"), *why = json_at(explain, "why"),
		     *who = json_at(explain, "must_act");
	const char *decision = json_str(explain, "decision", NULL);
	const char *waits = json_str(explain, "waits_for", NULL);
	buf_put(&out, "What happened:\n");
	for (size_t i = 0; i < json_array_size(happened); i++)
		buf_printf(&out, "  %.19s  %.400s\n",
		           json_str(json_array_get(happened, i), "at", ""),
		           json_str(json_array_get(happened, i), "text", ""));
	if (decision)
		buf_printf(&out, "Why %s:\n", decision);
	for (size_t i = 0; decision && i < json_array_size(why); i++)
		buf_printf(&out, "  - %.400s\n", json_string_value(json_array_get(why, i)));
	if (decision && json_array_size(why) == 0)
		buf_put(&out, "  - no rule had anything against it\n");
	buf_printf(&out, "It is %s%s%.400s.\n", json_str(explain, "status", ""),
	           waits ? "; it waits for " : "", waits ? waits : "");
	for (size_t i = 0; i < json_array_size(who); i++) {
		const json_t *row = json_array_get(who, i);
		const char *due = json_str(row, "due_at", "");
		buf_printf(&out, "%s must act: %.300s%s%.19s.\n", json_str(row, "who", ""),
		           json_str(row, "what", ""), *due ? ", until " : "", due);
	}
	json_t *ret = json_text(buf_str(&out));
	buf_release(&out);
	return ret;
}

json_t *run_explain(struct worker *worker, int64_t no, struct err *err)
{
	struct store *store = worker->engine->store;
	struct run *run;
	bool was_resident = run_resident(worker, no) != NULL;
	if (run_load(worker, no, &run, err) < 0)
		return NULL;
	struct explaining e = {
		.run = run, .happened = json_array(), .errors = json_array(), .why = json_array()
	};
	struct journal_head head = { 0 };
	json_t *ret = NULL, *row = run_json(run);
	if (journal_read(store, no, &head, tell_record, &e, err) == 0) {
		ret = json_pack("{s:s,s:s,s:s,s:O,s:O,s:O,s:o}", "run", run->id, "graph",
		                run->graph, "correlation_id", run->correlation_id, "happened",
		                e.happened, "why", e.why, "errors", e.errors, "must_act",
		                must_act(run));
		json_put(ret, "decision", json_incref(e.decision));
		put_now(run, row, ret);
		json_put(ret, "text", in_words(ret));
	}
	json_decref(row);
	json_decref(e.happened);
	json_decref(e.errors);
	json_decref(e.why);
	json_decref(e.decision);
	free(e.last_title);
	if (!was_resident)
		run_evict(run);
	return ret;
}
