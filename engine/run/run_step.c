/* SPDX-License-Identifier: MIT */
/*
 * Decide, record, act: the commit protocol of DESIGN.md 4, for one run.
 *
 *   run_intake()     something arrived: it waits its turn (run_intake.c)
 *   run_turn()       the run is stable and nothing of it is being committed: take the next
 *   decide_...()     DECIDE: the machine steps, calls are built; RECORD: handed to the writer
 *   run_committed()  it is durable: ACT
 *
 * One commit of a run is under way at a time.  Nothing below run_committed()
 * may let anything leave the process, with one exception: the first request of
 * a READ call may go out while its record is being committed.
 */
#include <stdlib.h>
#include <string.h>

#include "run/run_commit.h"

static bool run_is_watched(const struct run *run)
{
	for (const struct watcher *watcher = run->watchers; watcher; watcher = watcher->next)
		if (watcher->wants_steps)
			return true;
	return false;
}

/* --- the parts of a step that live and replay share ------------------------------- */

/* Calls the step asked for, and those it no longer wants. */
void run_take_effects(struct run *run, const struct effects *effects, const json_t *recorded,
                      int64_t at_ms)
{
	for (size_t i = 0; i < effects->len; i++) {
		const struct effect *effect = &effects->at[i];
		if (effect->kind == EFFECT_CALL || effect->kind == EFFECT_SEND ||
		    effect->kind == EFFECT_HTTP_EVENT || effect->kind == EFFECT_EVENT) {
			json_t *json = recorded ? json_incref(json_array_get(recorded, i))
			                        : effect_to_json(effect);
			struct call *call = run_call_add(run, json);
			call->opened_ms = at_ms;
		} else if (effect->kind == EFFECT_CANCEL) {
			for (size_t j = 0; j < run->calls.len; j++)
				if (run->calls.at[j]->number == effect->number)
					run->calls.at[j]->is_cancelled = true;
		} else if (effect->kind == EFFECT_DONE) {
			json_decref(run->result);
			run->result = effect->data ? json_incref(effect->data) : json_null();
		}
	}
}

/* Effects as they stand in the record.  What a KEYED or ONCE request
 * carries stands there already. */
static json_t *effects_json(const struct effects *effects)
{
	json_t *ret = json_array();
	for (size_t i = 0; i < effects->len; i++)
		json_push(ret, effect_to_json(&effects->at[i]));
	return ret;
}

void run_apply(struct run *run, const json_t *record)
{
	json_object_update(run->advice, json_at(record, "advice"));
	const json_t *artifacts = json_at(record, "artifacts");
	for (size_t i = 0; i < json_array_size(artifacts); i++) {
		const char *name = json_str(json_array_get(artifacts, i), "name", "");
		bool is_known = false;
		for (size_t j = 0; j < json_array_size(run->artifacts); j++)
			is_known = is_known ||
			           strcmp(json_string_value(json_array_get(run->artifacts, j)),
			                  name) == 0;
		if (!is_known)
			json_push(run->artifacts, json_string(name));
	}
	if (json_at(record, "signal"))
		json_put(run->signals, json_str(record, "signal", ""), json_true());
	const json_t *tasks = json_at(record, "tasks");
	for (size_t i = 0; i < json_array_size(tasks); i++) {
		json_t *task = json_array_get(tasks, i);
		const char *status = json_str(task, "status", "");
		if (strcmp(status, "open") == 0 || strcmp(status, "waiting") == 0)
			json_put(run->tasks, json_str(task, "id", ""), json_incref(task));
		else
			json_object_del(run->tasks, json_str(task, "id", ""));
	}
	json_object_update(run->checklists, json_at(record, "checklists"));
}

/* --- deciding an input ---------------------------------------------------------------- */

/* The end of an advisory call is filed before the step, so that its templates see it (DESIGN 3). */
static int file_advice(struct run *run, const struct call *call, const struct input *input,
                       struct err *err)
{
	const json_t *dispatch = json_at(call->effect, "dispatch");
	const struct advised advised = { json_str(dispatch, "advisory", NULL),
		                         json_str(call->effect, "type", ""),
		                         json_str(dispatch, "fallback", NULL),
		                         json_at(call->effect, "data"), call->number };
	if (!advised.name)
		return 0;
	return run_advise(run, &advised, input->data, input->ok ? NULL : input->failure, err);
}

/* Calls of this step are built; their KEYED and ONCE requests go on record with it. */
void calls_begin(struct run *run, struct commit *commit, json_t *body)
{
	json_t *calls = json_array();
	for (size_t i = 0; i < run->calls.len; i++) {
		struct call *call = run->calls.at[i];
		if (call->state != CALL_HELD)
			continue;
		if (call->is_built_in) {
			built_in_begin(call, commit, body);
			continue;
		}
		call_begin(call);
		if (json_array_size(call->requests) > 0)
			json_push(calls,
			          json_pack("{s:I,s:I,s:O}", "n", (json_int_t)call->number, "e",
			                    (json_int_t)call->element, "requests", call->requests));
	}
	if (json_array_size(calls) > 0)
		json_put(body, "calls", json_incref(calls));
	json_decref(calls);
}

/* Nothing of it has left that anybody must wait for, or ask about. */
static bool may_drop(const struct call *call)
{
	if (call->state == CALL_UNSURE)
		return false;
	return call->state == CALL_HELD || !call->plugin || !plugin_call_has_left(call->plugin);
}

/* Replay cannot know what had left: a call with requests on record is dropped there by name. */
static void drop_on_record(struct run *run, struct call *call, json_t *body)
{
	if (json_array_size(call->requests) > 0) {
		json_t *dropped = json_at(body, "dropped");
		if (!dropped) {
			dropped = json_array();
			json_put(body, "dropped", dropped);
		}
		json_push(dropped,
		          json_pack("[I,I]", (json_int_t)call->number, (json_int_t)call->element));
	}
	run_call_drop(run, call);
}

static void cancel_calls(struct run *run, const struct effects *effects, struct commit *commit,
                         json_t *body)
{
	for (size_t i = 0; i < effects->len; i++) {
		if (effects->at[i].kind != EFFECT_CANCEL)
			continue;
		for (size_t j = run->calls.len; j-- > 0;) {
			struct call *call = run->calls.at[j];
			if (call->number != effects->at[i].number)
				continue;
			if (call->is_built_in)
				built_in_withdraw(call, commit, body);
			else if (may_drop(call))
				drop_on_record(run, call, body);
		}
	}
}

/* It has its answer; the plugin's side is gone, also when we are inside its callback. */
static void end_call(struct call *call)
{
	call->state = CALL_ENDED;
	plugin_call_free(call->plugin);
	call->plugin = NULL;
}

/* The machine could not decide: the step is discarded and the run waits for a mended version. */
static void block(struct run *run, struct intake *intake, const struct err *why)
{
	json_t *body = json_object();
	json_t *reason = json_pack("{s:s,s:s}", "id", why->id[0] ? why->id : "run.blocked", "text",
	                           why->text);
	json_put_str(reason, "hint", why->hint[0] ? why->hint : NULL);
	json_put(body, "reason", json_incref(reason));
	json_put(body, "input", input_to_json(&intake->input));
	if (intake->extra)
		json_put(body, "call", json_incref(intake->extra));
	json_put_str(body, "signal", intake->label);
	struct commit *commit = commit_new(run);
	commit->is_start = run->head.seq ==
	                   0; /* a start that is retried after a repin has its row already */
	commit->asker = intake->asker;
	if (commit->is_start) {
		json_put(body, "start", run_start_json(run));
		commit->start_input = json_incref(intake->input.data);
	}
	run->reason = reason;
	json_decref(run->blocked);
	run->blocked = run_blocked_of(body);
	machine_free(run->machine); /* spoiled (machine.h) */
	run->machine = NULL;
	if (intake->input.kind == INPUT_RESULT) {
		struct call *call = run_call(run, intake->input.number, intake->input.element);
		if (call)
			end_call(call);
	}
	run_apply(run, body); /* a signal's id is taken, though the signal waits */
	commit_record(commit, "blocked", intake->input.at_ms, body);
	commit->line = run_is_watched(run) ? run_line(run, body) : NULL;
	commit_submit(commit);
	json_decref(body);
}

/* One step of the machine, into body; the effects stay in the run's step arena. */
static int step_machine(struct run *run, const struct input *input, json_t *body,
                        struct effects *effects, struct err *err)
{
	json_t *inline_made = NULL;
	run->step_artifacts = json_array();
	int status = machine_is_done(run->machine)
	                     ? 0
	                     : /* only the ends of sends that outlive it are filed */
	                     machine_step(run->machine, input, NULL, &inline_made, effects, err);
	if (status == 0) {
		if (json_array_size(inline_made) > 0)
			json_put(body, "inline", json_incref(inline_made));
		if (json_array_size(run->step_artifacts) > 0)
			json_put(body, "artifacts", json_incref(run->step_artifacts));
		if (json_object_size(run->step_advice) > 0)
			json_put(body, "advice", json_incref(run->step_advice));
		if (effects->len > 0)
			json_put(body, "effects", effects_json(effects));
		json_put(body, "states", machine_states(run->machine, true));
	}
	json_decref(inline_made);
	json_decref(run->step_artifacts);
	run->step_artifacts = NULL;
	return status;
}

/* A result that is not what the graph promises (gw:output) is no result: the run blocks. */
static int check_result(const struct run *run, const struct effects *effects, struct err *err)
{
	const char *file = run->release->chart->output_schema;
	for (size_t i = 0; file && i < effects->len; i++) {
		const struct effect *effect = &effects->at[i];
		if (effect->kind != EFFECT_DONE || run->is_cancelled || !effect->data)
			continue;
		if (run_check_schema(run->release, file, effect->data, "result", err) < 0) {
			err->code = ERR_BLOCKED;
			return err->code;
		}
	}
	return 0;
}

static void file_late(struct run *run, struct intake *intake, struct call *call)
{
	json_t *body = json_object();
	json_put(body, "input", input_to_json(&intake->input));
	if (intake->extra)
		json_put(body, "call", json_incref(intake->extra));
	struct commit *commit = commit_new(run);
	commit->asker = intake->asker;
	if (intake->task)
		task_close(commit, body, intake->task);
	commit->call = json_incref(call->effect);
	run_call_drop(run, call);
	run_apply(run, body);
	commit_record(commit, "late", intake->input.at_ms, body);
	commit->line = run_is_watched(run) ? run_line(run, body) : NULL;
	commit_submit(commit);
	json_decref(body);
}

/* Since it was asked for, the run may have come to an end, or taken the same signal. */
static bool is_overtaken(struct run *run, const struct intake *intake)
{
	if (intake->label && json_at(run->signals, intake->label)) {
		reply_last(&intake->asker,
		           json_pack("{s:o,s:b}", "run", run_json(run), "is_new", 0));
		return true;
	}
	bool is_from_outside = intake->input.kind == INPUT_EVENT ||
	                       intake->input.kind == INPUT_CANCEL;
	if (!is_from_outside || !machine_is_done(run->machine))
		return false;
	if (intake->input.kind == INPUT_CANCEL)
		reply_last(&intake->asker, json_pack("{s:o}", "run", run_json(run)));
	else
		intake_refuse(intake, "run.ended", "the run has ended");
	return true;
}

static void decide_input(struct run *run, struct intake *intake)
{
	struct input *input = &intake->input;
	struct call *call = NULL;
	if (is_overtaken(run, intake))
		return;
	if (input->kind == INPUT_RESULT) {
		call = run_call(run, input->number, input->element);
		if (!call) {
			intake_refuse(intake, "call.closed",
			              "this call was answered already, or is no longer wanted");
			return;
		}
		if (call->is_cancelled && !machine_is_done(run->machine)) {
			file_late(run, intake, call);
			return;
		}
	}
	struct err err = { 0 };
	struct effects effects;
	effects_init(&effects, &run->step);
	json_t *body = json_object();
	run->step_advice = json_object();
	if (call && file_advice(run, call, input, &err) < 0) {
		block(run, intake, &err);
		goto out;
	}
	if (input->kind == INPUT_CANCEL)
		run->is_cancelled = true;
	if (step_machine(run, input, body, &effects, &err) < 0 ||
	    check_result(run, &effects, &err) < 0) {
		block(run, intake, &err);
		goto out;
	}
	json_t *given = input_to_json(input);
	json_object_del(given, "at_ms"); /* as the record's own */
	json_put(body, "input", given);
	if (call)
		call_name_build(call, intake->extra);
	if (intake->extra)
		json_put(body, "call", json_incref(intake->extra));
	json_put_str(body, "signal", intake->label);
	json_put_str(body, "by", intake->by);
	struct commit *commit = commit_new(run);
	commit->is_start = run->head.seq == 0;
	commit->asker = intake->asker;
	if (commit->is_start) {
		json_put(body, "start", run_start_json(run));
		commit->start_input = json_incref(input->data);
	}
	run_unblock(run);
	if (intake->task)
		task_close(commit, body, intake->task);
	if (call) {
		commit->call = json_incref(call->effect);
		run_call_drop(run, call);
	}
	run_take_effects(run, &effects, json_at(body, "effects"), input->at_ms);
	cancel_calls(run, &effects, commit, body);
	calls_begin(run, commit, body);
	run_apply(run, body);
	commit->artifacts = json_incref(json_at(body, "artifacts"));
	commit_record(commit, commit->is_start ? "start" : "step", input->at_ms, body);
	commit->line = run_is_watched(run) ? run_line(run, body) : NULL;
	commit_submit(commit);
	calls_release_reads(run);
out:
	effects_release(&effects);
	json_decref(body);
	json_decref(run->step_advice);
	run->step_advice = NULL;
	arena_clear(&run->step);
}

/* --- deciding what is no input of the machine ----------------------------------------------- */

static void submit_plain(struct run *run, struct intake *intake, const char *kind, json_t *body)
{
	struct commit *commit = commit_new(run);
	commit->asker = intake->asker;
	run_apply(run, body);
	commit_record(commit, kind, intake->input.at_ms, body);
	commit->line = run_is_watched(run) ? run_line(run, body) : NULL;
	commit_submit(commit);
}

static void decide_request(struct run *run, struct intake *intake)
{
	struct call *call = run_call(run, intake->number, intake->element);
	if (!call)
		return;
	must(!intake->asker.cb);
	json_push(call->requests, json_incref(intake->extra));
	call->state = CALL_HELD;
	json_t *body = json_pack("{s:I,s:I,s:O}", "n", (json_int_t)intake->number, "e",
	                         (json_int_t)intake->element, "request", intake->extra);
	submit_plain(run, intake, "request", body);
	json_decref(body);
}

static void decide_unsure(struct run *run, struct intake *intake)
{
	struct call *call = run_call(run, intake->number, intake->element);
	if (!call)
		return;
	end_call(call);
	call->state = CALL_UNSURE;
	json_t *body = json_pack("{s:I,s:I}", "n", (json_int_t)intake->number, "e",
	                         (json_int_t)intake->element);
	struct commit *commit = commit_new(run);
	commit->call = json_incref(call->effect);
	unsure_open(call, commit, body);
	run_apply(run, body);
	commit_record(commit, "unsure", intake->input.at_ms, body);
	commit->line = run_is_watched(run) ? run_line(run, body) : NULL;
	commit_submit(commit);
	json_decref(body);
}

static void decide_task(struct run *run, struct intake *intake)
{
	json_t *body = json_object();
	struct commit *commit = commit_new(run);
	commit->asker = intake->asker;
	checklist_answer(run, intake->extra, commit, body, intake->input.at_ms);
	run_apply(run, body);
	commit_record(commit, "task", intake->input.at_ms, body);
	commit->line = run_is_watched(run) ? run_line(run, body) : NULL;
	commit_submit(commit);
	json_decref(body);
}

/* Moves the run to the files as they are now; what could not be decided is tried again. */
static void decide_repin(struct run *run, struct intake *intake)
{
	struct err err = { 0 };
	struct release *release = NULL;
	if (release_current(run->worker->engine->releases, run->graph, &release, &err) < 0 ||
	    (!run->machine && run_rebuild(run, &err) < 0) ||
	    run_repin_machine(run, release, &err) < 0) {
		reply_error(&intake->asker, &err);
		release_unref(release);
		return;
	}
	/* What was blocked stays until its retry is on record. */
	json_decref(run->reason);
	run->reason = NULL;
	json_t *body = json_pack("{s:s,s:O}", "release", release->sha256, "pins", release->pins);
	json_put_str(body, "by", intake->by);
	json_put_str(body, "reason", json_str(intake->extra, "reason", NULL));
	struct commit *commit = commit_new(run);
	commit->asker = intake->asker;
	commit_pins(commit);
	run_retry(run);
	commit_record(commit, "repin", intake->input.at_ms, body);
	commit->line = run_is_watched(run) ? run_line(run, body) : NULL;
	commit_submit(commit);
	json_decref(body);
	release_unref(release);
}

/* A blocked run's machine is spoiled: it is built anew so that the onexit handlers can run. */
static bool may_cancel(struct run *run, const struct intake *intake)
{
	struct err err = { 0 };
	if (!run->reason)
		return true;
	if (!run->machine && run_rebuild(run, &err) < 0) {
		reply_error(&intake->asker, &err);
		return false;
	}
	run_unblock(run);
	return true;
}

static void decide(struct run *run, struct intake *intake)
{
	int64_t now = engine_now(run->worker->engine);
	/* Two people may have answered the same task; the first one counts. */
	if (intake->task && !json_at(run->tasks, intake->task)) {
		intake_refuse(intake, "task.closed", "this task has been answered already");
		return;
	}
	if (intake->kind == INTAKE_INPUT && intake->input.kind == INPUT_CANCEL &&
	    !may_cancel(run, intake))
		return;
	if (intake->input.at_ms == 0)
		intake->input.at_ms = now > run->last_step_ms ? now : run->last_step_ms;
	run->last_step_ms = intake->input.at_ms;
	switch (intake->kind) {
	case INTAKE_INPUT: decide_input(run, intake); return;
	case INTAKE_REQUEST: decide_request(run, intake); return;
	case INTAKE_TASK: decide_task(run, intake); return;
	case INTAKE_REPIN: decide_repin(run, intake); return;
	case INTAKE_UNSURE: decide_unsure(run, intake); return;
	case INTAKE_REPEAT: decide_repeat(run, intake); return;
	case INTAKE_RESUME: decide_resume(run, intake); return;
	case INTAKE_RETRY: decide_retry(run, intake); return;
	case INTAKE_FORK: decide_fork(run, intake); return;
	case INTAKE_ASSIGN: decide_assign(run, intake); return;
	}
	must_not_reach();
}

void run_turn(struct run *run)
{
	/* An answer may come while the step that asks is being made: it waits for the record. */
	if (run->is_deciding)
		return;
	while (!run->is_committing && !run->is_evicting && !run->is_unreadable &&
	       !run->worker->is_stopping) {
		struct intake *intake = run_next_intake(run);
		if (!intake)
			return;
		run->is_deciding = true;
		decide(run, intake);
		run->is_deciding = false;
		intake_free(intake);
	}
}

/* --- acting --------------------------------------------------------------------------------- */

static void due_fired(void *arg)
{
	struct run *run = arg;
	run->timer = NULL;
	run->timer_due_ms = -1;
	run_turn(run);
	run_settle(run);
}

static void arm_timer(struct run *run)
{
	struct loop *loop = run->worker->loop;
	int64_t due = run->machine ? machine_next_due(run->machine, NULL) : INT64_MAX;
	if (due == run->timer_due_ms || (due == INT64_MAX && !run->timer))
		return;
	if (run->timer)
		loop->ops->timer_stop(loop, run->timer);
	run->timer = NULL;
	run->timer_due_ms = -1;
	if (due == INT64_MAX)
		return;
	int64_t delay = due - engine_now(run->worker->engine);
	enum { TIMER_MAX_MS = 24 * 3600 * 1000 };
	run->timer = loop->ops->timer_start(loop, delay > TIMER_MAX_MS ? TIMER_MAX_MS : delay,
	                                    due_fired, run);
	run->timer_due_ms = due;
}

static void tell_watchers(struct run *run, struct commit *commit)
{
	for (struct watcher *watcher = run->watchers; watcher && commit->line;
	     watcher = watcher->next) {
		if (!watcher->wants_steps)
			continue;
		json_t *reply = json_pack("{s:O}", "step", commit->line);
		watcher->asker.cb(watcher->asker.arg, reply, false);
		json_decref(reply);
	}
}

static bool is_resting(const struct run *run)
{
	return run->status >= STORE_ENDED || run->status == STORE_BLOCKED ||
	       run->status == STORE_PEOPLE;
}

static void end_watchers(struct run *run)
{
	if (!run->watchers || !is_resting(run))
		return;
	json_t *row = run_json(run);
	while (run->watchers) {
		struct watcher *watcher = run->watchers;
		run->watchers = watcher->next;
		reply_last(&watcher->asker, json_pack("{s:O}", "run", row));
		free(watcher);
	}
	json_decref(row);
}

/* The row said that something is under way, and then nothing was to be done. */
static void submit_row(struct run *run)
{
	commit_submit(commit_new(run));
}

/* The files of the last record are written: the row need not say any more that they are owed. */
static void submit_filed(struct run *run)
{
	struct commit *commit = commit_new(run);
	commit->is_filed = true;
	commit_submit(commit);
}

/* A run that waits only for people, time or a repin leaves memory; the store will bring it back. */
void run_settle(struct run *run)
{
	if (run->is_committing || run->is_deciding || run->is_evicting || run->worker->is_stopping)
		return;
	if (run->is_unreadable) {
		run_leave_unreadable(run);
		return;
	}
	int64_t wake_ms;
	if (run->status == STORE_RUNNING && run_status_now(run, &wake_ms) != STORE_RUNNING) {
		submit_row(run);
		return;
	}
	if (run->status == STORE_RUNNING) {
		arm_timer(run);
		return;
	}
	end_watchers(run);
	if (run->owes_files && run_pays_files(run)) {
		submit_filed(run);
		return;
	}
	if (run->reason)
		run_refuse_waiting(run);
	if (run->intake_count > 0) {
		run_park(run);
		return;
	}
	if (run->watchers || run_has_live_call(run)) {
		arm_timer(run);
		return;
	}
	struct worker *worker = run->worker;
	wake_ms = run->status < STORE_ENDED ? run->wake_ms : -1;
	run_evict(run);
	worker_mind(worker, wake_ms);
}

/* Who also waits for the end is only told which run it is; the rest comes with the end. */
static void acknowledge_start(const struct run *run, const struct asker *asker)
{
	json_t *reply = json_pack("{s:{s:s,s:s,s:s,s:s},s:b}", "run", "id", run->id, "graph",
	                          run->graph, "correlation_id", run->correlation_id, "status",
	                          status_name(run->status), "is_new", 1);
	asker->cb(asker->arg, reply, false);
	json_decref(reply);
}

static bool waits_for_end(const struct run *run, const struct asker *asker)
{
	for (const struct watcher *watcher = run->watchers; watcher; watcher = watcher->next)
		if (watcher->asker.arg == asker->arg && watcher->asker.cb == asker->cb)
			return true;
	return false;
}

static void answer_asker(struct run *run, struct commit *commit)
{
	if (!commit->asker.cb)
		return;
	if (commit->reply) {
		reply_last(&commit->asker, json_incref(commit->reply));
		return;
	}
	if (commit->is_start && waits_for_end(run, &commit->asker)) {
		acknowledge_start(run, &commit->asker);
		return;
	}
	json_t *reply = json_pack("{s:o}", "run", run_json(run));
	if (commit->is_start)
		json_put(reply, "is_new", json_true());
	reply_last(&commit->asker, reply);
}

static void write_artifacts(struct run *run, const json_t *artifacts)
{
	for (size_t i = 0; i < json_array_size(artifacts); i++) {
		const json_t *row = json_array_get(artifacts, i);
		const json_t *text = json_at(row, "text");
		run_write_file(run, json_str(row, "name", "artifact"),
		               (struct str){ json_string_value(text), json_string_length(text) });
	}
}

void run_committed(struct commit *commit)
{
	struct run *run = commit->run;
	run->is_committing = false;
	run->worker->commits_open--;
	if (commit->item.result < 0) {
		run_refused(commit);
		return;
	}
	commit_blobs_known(commit);
	run_count(run, commit);
	answer_asker(run, commit);
	tell_watchers(run, commit);
	write_artifacts(run, commit->artifacts);
	for (size_t i = 0; i < run->calls.len; i++)
		if (run->calls.at[i]->state == CALL_HELD)
			call_release(run->calls.at[i]);
	if (commit->ends_run)
		run_write_audit(run);
	commit_free(commit);
	run_turn(run);
	run_settle(run);
}
