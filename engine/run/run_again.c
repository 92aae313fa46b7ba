/* SPDX-License-Identifier: MIT */
/*
 * What people do to a run that did not go as it should: try what is blocked
 * once more (resume), send a failed call once more (retry), or one that was
 * unsure (repeat), begin again from a record as another run (fork).
 *
 * A fork's first record carries the origin's state as it was after that record,
 * and names the origin with the record's hash, so that verify can hold one
 * against the other.  Calls that were open there go out anew, under the fork's
 * own keys: it is another run, and what it does it does again.
 */
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "run/run_commit.h"

/* --- resume and retry --------------------------------------------------------------------- */

/* The call whose failure could not be taken; NULL when the run is blocked by something else. */
static struct call *failed_call(struct run *run)
{
	const json_t *input = json_at(run->blocked, "input");
	if (!run->reason || strcmp(json_str(input, "kind", ""), "result") != 0 ||
	    json_truth(input, "ok", true))
		return NULL;
	struct call *call = run_call(run, (uint64_t)json_int(input, "number", 0),
	                             (uint32_t)json_int(input, "element", 0));
	return call && !call->is_built_in ? call : NULL;
}

int again_check(struct run *run, const char *op, struct err *err)
{
	if (run->status >= STORE_ENDED)
		return err_set_id(err, ERR_CONFLICT, "run.ended", "the run has ended");
	if (!run->reason)
		return err_set_id(err, ERR_CONFLICT, "run.not_blocked",
		                  "the run is not blocked: there is nothing to try again");
	if (strcmp(op, "run.retry") == 0 && !failed_call(run)) {
		err_set_id(err, ERR_CONFLICT, "run.no_failed_call",
		           "the run is not blocked by a call that failed");
		return err_hint(err, "resume tries the same once more, repin takes mended files");
	}
	return 0;
}

static void submit(struct run *run, struct intake *intake, const char *kind, json_t *body)
{
	struct commit *commit = commit_new(run);
	commit->asker = intake->asker;
	json_put_str(body, "by", intake->by);
	json_put_str(body, "reason", json_str(intake->extra, "reason", NULL));
	run_apply(run, body);
	commit_record(commit, kind, intake->input.at_ms, body);
	commit_submit(commit);
	json_decref(body);
}

/* What could not be decided comes first again, under the versions in force. */
void decide_resume(struct run *run, struct intake *intake)
{
	struct err err = { 0 };
	if (again_check(run, "run.resume", &err) < 0 ||
	    (!run->machine && run_rebuild(run, &err) < 0)) {
		reply_error(&intake->asker, &err);
		return;
	}
	json_decref(run->reason);
	run->reason = NULL; /* what was blocked stays until its retry is on record */
	run_retry(run);
	submit(run, intake, "resume", json_object());
}

/* Its failure is forgotten and the call goes out again, with the key it had. */
void decide_retry(struct run *run, struct intake *intake)
{
	struct err err = { 0 };
	if (again_check(run, "run.retry", &err) < 0 ||
	    (!run->machine && run_rebuild(run, &err) < 0)) {
		reply_error(&intake->asker, &err);
		return;
	}
	struct call *call = failed_call(run);
	must(call); /* again_check() saw it, and the rebuilt run is the same */
	json_t *body = json_pack("{s:I,s:I}", "n", (json_int_t)call->number, "e",
	                         (json_int_t)call->element);
	run_unblock(run);
	json_decref(call->answers);
	call->answers = NULL;
	call_begin_again(call);
	submit(run, intake, "retry", body);
}

/* A person took the risk: the call goes out again, with the key it had. */
void decide_repeat(struct run *run, struct intake *intake)
{
	struct call *call = run_call(run, intake->number, intake->element);
	if (!call)
		return;
	json_t *body = json_pack("{s:I,s:I}", "n", (json_int_t)intake->number, "e",
	                         (json_int_t)intake->element);
	json_put_str(body, "by", intake->task ? intake->by : "lookup");
	struct commit *commit = commit_new(run);
	commit->asker = intake->asker;
	if (intake->task)
		task_close(commit, body, intake->task);
	run_apply(run, body);
	call_begin_again(call);
	commit_record(commit, "repeat", intake->input.at_ms, body);
	commit_submit(commit);
	json_decref(body);
}

/* --- fork ------------------------------------------------------------------------------------ */

struct rewinding {
	struct run *run;
	int64_t until;
};

static int rewind_one(void *arg, const json_t *record, struct err *err)
{
	struct rewinding *rewinding = arg;
	if (json_int(record, "seq", 0) > rewinding->until)
		return 0;
	return run_replay_record(rewinding->run, record, err);
}

/* The origin as it stood after the record; head: of that record.  To be freed. */
static struct run *rewound(struct worker *worker, int64_t no, const json_t *row, int64_t seq,
                           struct journal_head *ret_head, struct err *err)
{
	struct engine *engine = worker->engine;
	struct run *origin = run_new_detached(worker, no, json_str(row, "id", ""),
	                                      json_str(row, "graph", ""),
	                                      json_str(row, "correlation_id", ""));
	struct rewinding rewinding = { origin, seq };
	struct journal_head head = { 0 };
	int status = journal_read(engine->store, no, &head, rewind_one, &rewinding, err);
	if (status == 0 && (seq < 1 || seq > head.seq))
		status = err_set_id(err, ERR_INPUT, "fork.record", "the run has no record %lld",
		                    (long long)seq);
	if (status == 0 &&
	    (!origin->machine || origin->reason || machine_is_done(origin->machine))) {
		status = err_set_id(
			err, ERR_CONFLICT, "fork.record",
			"nothing can go on from record %lld: the run had ended there, or "
			"was blocked",
			(long long)seq);
		err_hint(err, "choose an earlier record");
	}
	if (status < 0) {
		run_free(origin);
		return NULL;
	}
	*ret_head = head;
	return origin;
}

struct hash_at {
	int64_t seq;
	char hex[2 * JOURNAL_HASH_BYTES + 1];
};

static bool keep_hash(void *arg, int64_t seq, const unsigned char hash[32], struct str body)
{
	struct hash_at *at = arg;
	(void)body;
	if (seq == at->seq)
		crypto_hex(hash, JOURNAL_HASH_BYTES, at->hex);
	return false;
}

/* The state that the fork begins with.  Open calls and lists of tasks are begun anew. */
static json_t *state_for_fork(const struct run *origin)
{
	json_t *saved = run_state_save(origin), *calls = json_array();
	for (size_t i = 0; i < origin->calls.len; i++) {
		const struct call *call = origin->calls.at[i];
		if (call->state != CALL_ENDED && !call->is_cancelled)
			json_push(calls, json_pack("{s:O,s:[],s:b,s:b,s:I}", "effect", call->effect,
			                           "requests", "cancelled", 0, "unsure", 0,
			                           "opened", (json_int_t)call->opened_ms));
	}
	json_put(saved, "calls", calls);
	json_put(saved, "tasks", json_object());
	json_put(saved, "checklists", json_object());
	json_put(saved, "signals", json_object());
	return saved;
}

int fork_restore(struct run *run, const json_t *record, struct err *err)
{
	release_unref(run->release);
	machine_free(run->machine);
	run->release = NULL;
	run->machine = NULL;
	if (run_state_restore(run, json_at(record, "run"), err) < 0)
		return err->code;
	for (size_t i = 0; i < run->calls.len; i++)
		run->calls.at[i]->state = CALL_HELD;
	struct machine_options options = run_machine_options(run);
	return machine_restore(&options, json_at(record, "machine"), &run->machine, err);
}

json_t *fork_body(struct worker *worker, const json_t *request, struct err *err)
{
	struct engine *engine = worker->engine;
	struct journal_head head;
	const json_t *row = json_at(request, "row");
	int64_t no = json_int(request, "no", 0), seq = json_int(request, "seq", 0);
	struct run *origin = rewound(worker, no, row, seq, &head, err);
	if (!origin)
		return NULL;
	struct hash_at at = { .seq = seq };
	json_t *body = NULL;
	if (engine->store->ops->records(engine->store, no, seq, keep_hash, &at, err) == 0)
		body = json_pack("{s:{s:s,s:I,s:s},s:o,s:o,s:o}", "fork", "run", origin->id, "seq",
		                 (json_int_t)seq, "hash", at.hex, "machine",
		                 machine_save(origin->machine), "run", state_for_fork(origin),
		                 "states", machine_states(origin->machine, true));
	run_free(origin);
	return body;
}

void decide_fork(struct run *run, struct intake *intake)
{
	json_t *body = intake->extra; /* fork_start() has taken its state over already */
	struct commit *commit = commit_new(run);
	commit->asker = intake->asker;
	commit->is_start = true;
	run->last_step_ms = intake->input.at_ms;
	json_put(body, "start", run_start_json(run));
	calls_begin(run, commit, body);
	run_apply(run, body);
	commit_record(commit, "fork", intake->input.at_ms, body);
	commit_submit(commit);
}

/* --- verifying a fork --------------------------------------------------------------------- */

static void keep_row(void *arg, const struct store_run *row)
{
	json_t *ret = run_row_json(row);
	json_put_int(ret, "no", row->no);
	*(json_t **)arg = ret;
}

/* Does the fork begin where its origin stood?  NULL: yes; else what is wrong. */
const char *fork_verify(struct run *run, const json_t *record)
{
	struct engine *engine = run->worker->engine;
	const json_t *fork = json_at(record, "fork");
	const char *ret = NULL;
	json_t *row = NULL;
	struct err err = { 0 };
	if (engine->store->ops->run_by_id(engine->store, json_str(fork, "run", ""), keep_row, &row,
	                                  &err) < 0)
		return "the run that it was forked from is not there any more";
	json_t *request = json_pack("{s:o,s:O,s:O}", "row", row, "no", json_at(row, "no"), "seq",
	                            json_at(fork, "seq"));
	json_t *body = fork_body(run->worker, request, &err);
	static const char *const members[] = { "fork", "machine", "run" };
	for (size_t i = 0; i < sizeof(members) / sizeof(*members) && !ret; i++) {
		char *was = body ? json_canon(json_at(body, members[i])) : mem_dup_str("");
		char *is = json_canon(json_at(record, members[i]));
		if (strcmp(was, is) != 0)
			ret = "it does not begin as its origin stood after that record";
		free(was);
		free(is);
	}
	json_decref(body);
	json_decref(request);
	return ret;
}

/* --- starting one ---------------------------------------------------------------------------- */

void fork_start(struct worker *worker, int64_t no, const json_t *request, const struct asker *asker)
{
	struct engine *engine = worker->engine;
	struct err err = { 0 };
	json_t *row = NULL;
	if (engine->store->ops->run_by_no(engine->store, no, keep_row, &row, &err) < 0) {
		reply_error(asker, &err);
		return;
	}
	json_t *about = json_pack("{s:o,s:I,s:I}", "row", row, "no", (json_int_t)no, "seq",
	                          (json_int_t)json_int(request, "seq", 0));
	json_t *body = fork_body(worker, about, &err);
	char id[32];
	run_make_id(engine, id);
	char *made = mem_format("%.150s/fork-%s", json_str(row, "correlation_id", ""), id);
	struct run *run = NULL;
	if (body) {
		run = run_new(worker, run_next_no(worker), id, json_str(row, "graph", ""),
		              json_str(request, "correlation_id", made));
		run->created_ms = engine_now(engine);
		run->status = STORE_RUNNING;
		run->wake_ms = -1;
		run->started_by = mem_dup_str(json_str(request, "by", NULL));
	}
	if (run && fork_restore(run, body, &err) < 0) {
		run_free(run);
		run = NULL;
	}
	if (run) {
		struct intake *intake = intake_new(INTAKE_FORK);
		intake->extra = json_incref(body);
		json_put_str(body, "by", json_str(request, "by", "someone"));
		json_put_str(body, "reason", json_str(request, "reason", NULL));
		intake->asker = *asker;
		run_intake(run, intake);
	} else {
		reply_error(asker, &err);
	}
	json_decref(body);
	json_decref(about);
	free(made);
}
