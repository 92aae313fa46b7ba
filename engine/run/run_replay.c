/* SPDX-License-Identifier: MIT */
/*
 * A run from its journal: each record takes the machine and the run's own state
 * one step further, exactly as it was decided then.  Inline answers and
 * refusals come from the record, so that neither another build of a plugin nor
 * another day can change what happened.
 */
#include <stdlib.h>
#include <string.h>

#include "run/run_int.h"

/* --- moving to other versions --------------------------------------------- */

int run_repin_machine(struct run *run, struct release *release, struct err *err)
{
	json_t *saved = machine_save(run->machine);
	struct release *before = run->release;
	run->release = release_ref(release);
	struct machine_options options = run_machine_options(run);
	struct machine *machine = NULL;
	int status = machine_restore(&options, saved, &machine, err);
	json_decref(saved);
	if (status < 0) {
		release_unref(run->release);
		run->release = before;
		return err_wrap(err, "run %s cannot move to the new version", run->id);
	}
	machine_free(run->machine);
	run->machine = machine;
	release_unref(before);
	return 0;
}

/* --- blocked, and tried again ---------------------------------------------- */

json_t *run_blocked_of(const json_t *record)
{
	json_t *ret = json_object();
	json_put(ret, "input", json_incref(json_at(record, "input")));
	json_put(ret, "call", json_incref(json_at(record, "call")));
	return ret;
}

void run_unblock(struct run *run)
{
	json_decref(run->reason);
	json_decref(run->blocked);
	run->reason = run->blocked = NULL;
}

static struct intake *read_blocked(const struct run *run, struct arena *arena)
{
	const json_t *input = json_at(run->blocked, "input"), *call = json_at(run->blocked, "call");
	struct err ignored = { 0 }; /* we wrote it */
	struct input read;
	if (!input || input_from_json(input, arena, &read, &ignored) < 0 ||
	    read.kind == INPUT_QUEUED || read.kind == INPUT_TIMER)
		return NULL;
	struct intake *ret = intake_new(INTAKE_INPUT);
	ret->input = read;
	ret->input.data = json_incref(read.data);
	ret->input.failure = json_incref(read.failure);
	ret->input.session = json_str(call, "session", NULL);
	ret->input.at_ms = 0; /* tried again now: now() must not go back */
	memset(&ret->input.event, 0, sizeof(ret->input.event));
	if (read.kind == INPUT_EVENT)
		event_copy(&ret->input.event, &read.event);
	ret->extra = json_incref((json_t *)(uintptr_t)call);
	ret->by = json_str(call, "by", NULL);
	ret->task = json_str(call, "task", NULL);
	return ret;
}

/*
 * The input that could not be taken goes first.  What came from the machine's
 * own queue or timers stands there still, in the state before the step.
 */
void run_retry(struct run *run)
{
	struct arena arena;
	arena_init(&arena);
	struct intake *intake = read_blocked(run, &arena);
	if (intake) {
		intake->next = run->first;
		run->first = intake;
		if (run->last == &run->first)
			run->last = &intake->next;
		run->intake_count++;
	}
	arena_release(&arena);
}

/* --- replay ----------------------------------------------------------------------------------- */

static void attach_requests(struct run *run, const json_t *record)
{
	const json_t *calls = json_at(record, "calls");
	for (size_t i = 0; i < json_array_size(calls); i++) {
		const json_t *row = json_array_get(calls, i);
		struct call *call = run_call(run, (uint64_t)json_int(row, "n", 0),
		                             (uint32_t)json_int(row, "e", 0));
		if (call)
			json_array_extend(call->requests, json_at(row, "requests"));
	}
}

static bool is_dropped(const json_t *dropped, const struct call *call)
{
	for (size_t i = 0; i < json_array_size(dropped); i++) {
		const json_t *row = json_array_get(dropped, i);
		if ((uint64_t)json_integer_value(json_array_get(row, 0)) == call->number &&
		    (uint32_t)json_integer_value(json_array_get(row, 1)) == call->element)
			return true;
	}
	return false;
}

static void drop_cancelled(struct run *run, const json_t *record)
{
	const json_t *dropped = json_at(record, "dropped");
	for (size_t j = run->calls.len; j-- > 0;) {
		struct call *call = run->calls.at[j];
		/* READ calls and built-ins are forgotten; a KEYED or ONCE one may still answer. */
		if (call->is_cancelled &&
		    (call->is_built_in || json_array_size(call->requests) == 0 ||
		     is_dropped(dropped, call)))
			run_call_drop(run, call);
	}
}

/* Rules and templates of the pinned versions against what is recorded of them. */
static void compare_inline(struct run *run, const json_t *recorded, const json_t *made)
{
	char *a = json_canon(recorded), *b = json_canon(made);
	if (strcmp(a, b) != 0)
		json_push(run->verify_findings,
		          json_pack("{s:I,s:s}", "seq", (json_int_t)run->verify_seq, "text",
		                    "the pinned rules and templates give another answer than is "
		                    "recorded"));
	free(a);
	free(b);
	const json_t *artifacts = json_at(run->replay, "artifacts");
	json_t *none = json_array();
	char *c = json_canon(artifacts ? artifacts : none), *d = json_canon(run->step_artifacts);
	if (strcmp(c, d) != 0)
		json_push(run->verify_findings,
		          json_pack("{s:I,s:s}", "seq", (json_int_t)run->verify_seq, "text",
		                    "a report or mail is not what the pinned templates give"));
	free(c);
	free(d);
	json_decref(none);
}

static int replay_step(struct run *run, const json_t *record, struct err *err)
{
	struct effects effects;
	effects_init(&effects, &run->step);
	struct input input;
	int status = input_from_json(json_at(record, "input"), &run->step, &input, err);
	run->last_step_ms = json_int(record, "at", 0);
	if (status == 0 && input.at_ms == 0)
		input.at_ms = run->last_step_ms; /* the record says it once */
	if (status == 0 && input.kind == INPUT_CANCEL)
		run->is_cancelled = true;
	/* Advice is filed before the step: its templates see it. */
	json_object_update(run->advice, json_at(record, "advice"));
	if (status == 0 && !machine_is_done(run->machine)) {
		json_t *made = NULL;
		json_t *none = json_array();
		json_t *recorded = json_at(record, "inline");
		const json_t *answers = recorded ? recorded : none;
		run->is_replaying = true;
		run->replay = record;
		run->step_artifacts = json_array();
		/* Verify answers PURE calls anew: the rules must say again what is recorded. */
		status = machine_step(run->machine, &input, run->verify_findings ? NULL : answers,
		                      &made, &effects, err);
		if (status == 0 && run->verify_findings)
			compare_inline(run, answers, made);
		run->is_replaying = false;
		run->replay = NULL;
		json_decref(run->step_artifacts);
		run->step_artifacts = NULL;
		json_decref(made);
		json_decref(none);
	}
	if (status == 0) {
		struct call *call = input.kind == INPUT_RESULT
		                            ? run_call(run, input.number, input.element)
		                            : NULL;
		if (call)
			run_call_drop(run, call);
		run_take_effects(run, &effects, NULL, run->last_step_ms);
		attach_requests(run, record);
		drop_cancelled(run, record);
		run_apply(run, record);
		if (run->on_replayed)
			run->on_replayed(run->on_replayed_arg, record, &effects);
	}
	effects_release(&effects);
	arena_clear(&run->step);
	return status;
}

static int replay_start(struct run *run, const json_t *record, struct err *err)
{
	struct engine *engine = run->worker->engine;
	const json_t *start = json_at(record, "start");
	if (release_load(engine->releases, engine->store, json_str(start, "release", ""),
	                 &run->release, err) < 0)
		return err->code;
	free(run->started_by);
	run->started_by = mem_dup_str(json_str(start, "by", NULL));
	free(run->http_location);
	run->http_location = mem_dup_str(json_str(start, "http_location", NULL));
	struct machine_options options = run_machine_options(run);
	return machine_new(&options, &run->machine, err);
}

static int replay_fork(struct run *run, const json_t *record, struct err *err)
{
	const char *fault = run->verify_findings ? fork_verify(run, record) : NULL;
	if (fault)
		json_push(
			run->verify_findings,
			json_pack("{s:I,s:s}", "seq", (json_int_t)run->verify_seq, "text", fault));
	if (fork_restore(run, record, err) < 0)
		return err->code;
	attach_requests(run, record);
	run_apply(run, record);
	return 0;
}

static int replay_repin(struct run *run, const json_t *record, struct err *err)
{
	struct engine *engine = run->worker->engine;
	struct release *release;
	if (release_load(engine->releases, engine->store, json_str(record, "release", ""), &release,
	                 err) < 0)
		return err->code;
	int status = run_repin_machine(run, release, err);
	release_unref(release);
	json_decref(run->reason);
	run->reason = NULL; /* what was blocked stays until its retry is on record */
	return status;
}

static void replay_blocked(struct run *run, const json_t *record)
{
	const json_t *input = json_at(record, "input");
	run_unblock(run);
	run->reason = json_incref(json_at(record, "reason"));
	run->blocked = run_blocked_of(record);
	run_apply(run, record);
	if (strcmp(json_str(input, "kind", ""), "result") == 0) {
		struct call *call = run_call(run, (uint64_t)json_int(input, "number", 0),
		                             (uint32_t)json_int(input, "element", 0));
		if (call)
			call->state = CALL_ENDED;
	}
}

static void replay_call_record(struct run *run, const json_t *record, const char *kind)
{
	const json_t *input = json_at(record, "input");
	const json_t *at = input ? input : record;
	struct call *call = run_call(run, (uint64_t)json_int(at, input ? "number" : "n", 0),
	                             (uint32_t)json_int(at, input ? "element" : "e", 0));
	if (!call)
		return;
	if (strcmp(kind, "retry") == 0) {
		run_unblock(run);
		call->state = CALL_OPEN;
	} else if (strcmp(kind, "request") == 0)
		json_push(call->requests, json_incref(json_at(record, "request")));
	else if (strcmp(kind, "unsure") == 0)
		call->state = CALL_UNSURE;
	else if (strcmp(kind, "repeat") == 0)
		call->state = CALL_OPEN;
	else if (strcmp(kind, "late") == 0)
		run_call_drop(run, call);
}

int run_replay_record(struct run *run, const json_t *record, struct err *err)
{
	const char *kind = json_str(record, "kind", "");
	int status = 0;
	/* A chain that was made by others than the engine must not get further than this. */
	if ((json_at(record, "start") != NULL) != (run->release == NULL))
		return err_set_id(err, ERR_STORE, "journal.illegal",
		                  "record %lld: a run starts with its first record, and only there",
		                  (long long)json_int(record, "seq", 0));
	if (json_at(record, "start"))
		status = replay_start(run, record, err);
	if (status < 0)
		return status;
	if (strcmp(kind, "start") == 0 || strcmp(kind, "step") == 0) {
		run_unblock(run); /* tried again here, or cancelled */
		status = replay_step(run, record, err);
	} else if (strcmp(kind, "blocked") == 0) {
		replay_blocked(run, record);
	} else if (strcmp(kind, "repin") == 0) {
		status = replay_repin(run, record, err);
	} else if (strcmp(kind, "fork") == 0) {
		status = replay_fork(run, record, err);
	} else if (strcmp(kind, "resume") == 0) {
		json_decref(run->reason);
		run->reason = NULL; /* what was blocked stays until its retry is on record */
	} else {
		replay_call_record(run, record, kind);
		run_apply(run, record);
	}
	run->last_step_ms = json_int(record, "at", run->last_step_ms);
	if (status < 0)
		return err_wrap(err, "record %lld", (long long)json_int(record, "seq", 0));
	return 0;
}
