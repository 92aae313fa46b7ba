/* SPDX-License-Identifier: MIT */
/*
 * What is asked of the engine (engine.h), on the worker that owns the run.  A
 * request about a run that is not in memory loads it first.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run/run_commit.h"

/* --- replies --------------------------------------------------------------------- */

void reply_last(const struct asker *asker, json_t *reply_taken)
{
	if (asker->cb) {
		json_put(reply_taken, "last", json_true());
		asker->cb(asker->arg, reply_taken, true);
	}
	json_decref(reply_taken);
}

void reply_stopping(const struct asker *asker)
{
	struct err err = { 0 };
	err_set_id(&err, ERR_BUSY, "engine.stopping", "the engine is stopping");
	reply_error(asker, &err);
}

void reply_error(const struct asker *asker, const struct err *err)
{
	if (!asker->cb)
		return;
	json_t *error = json_pack("{s:i,s:s,s:o}", "code", err->code, "id", err->id, "text",
	                          json_text(str_of(err->text)));
	json_put_str(error, "hint", err->hint[0] ? err->hint : NULL);
	reply_last(asker, json_pack("{s:o}", "error", error));
}

static void watch(struct run *run, const struct asker *asker, const json_t *request)
{
	if (!json_truth(request, "wait", false) && !json_truth(request, "watch", false))
		return;
	struct watcher *watcher = mem_alloc(sizeof(*watcher));
	watcher->asker = *asker;
	watcher->wants_steps = json_truth(request, "watch", false);
	watcher->next = run->watchers;
	run->watchers = watcher;
}

/* --- starting ----------------------------------------------------------------------- */

json_t *run_start_json(const struct run *run)
{
	json_t *ret = json_pack("{s:s,s:s,s:s,s:s}", "run", run->id, "graph", run->graph,
	                        "correlation_id", run->correlation_id, "release",
	                        run->release->sha256);
	json_put_str(ret, "delivery", run->delivery);
	json_put_str(ret, "by", run->started_by);
	json_put_str(ret, "http_location", run->http_location);
	return ret;
}

/* Time first, so that names sort as runs came; 80 random bits, so that two stores never agree. */
void run_make_id(const struct engine *engine, char ret[32])
{
	static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz"; /* Crockford's */
	uint64_t ms = (uint64_t)engine_now(engine);
	uint64_t chance[2] = { rand_next(&engine->rand), rand_next(&engine->rand) };
	for (int i = 9; i >= 0; i--, ms >>= 5)
		ret[i] = digits[ms & 31];
	for (int i = 0; i < 16; i++)
		ret[10 + i] = digits[chance[i / 8] >> (i % 8 * 5) & 31];
	ret[26] = '\0';
}

static bool is_correlation_id(const char *id)
{
	size_t len = strlen(id);
	if (len == 0 || len > LIMIT_CORRELATION_ID_BYTES)
		return false;
	for (const char *c = id; *c; c++)
		if ((unsigned char)*c <= 0x20 || (unsigned char)*c == 0x7f)
			return false;
	return str_is_utf8(str_of(id));
}

struct found_run {
	int64_t no;
	json_t *row;
};

static void keep_row(void *arg, const struct store_run *row)
{
	struct found_run *found = arg;
	found->no = row->no;
	found->row = run_row_json(row);
}

static bool keep_first_record(void *arg, int64_t seq, const unsigned char hash[32], struct str body)
{
	(void)seq;
	(void)hash;
	*(json_t **)arg = json_loadb(body.ptr, body.len, 0, NULL);
	return false;
}

/* The second start of the same name: the same input answers the first run,
 * another is a conflict. */
static void answer_existing(struct worker *worker, struct found_run *found,
                            const struct asker *asker, const json_t *request)
{
	struct engine *engine = worker->engine;
	struct err err = { 0 };
	json_t *first = NULL;
	json_t *given = json_at(request, "input");
	int status = engine->store->ops->records(engine->store, found->no, 1, keep_first_record,
	                                         &first, &err);
	const json_t *before = json_path(first, "input.data");
	json_t *none = json_object();
	bool is_same = json_equal(given ? given : none,
	                          before ? (json_t *)(uintptr_t)before : none);
	json_decref(none);
	json_decref(first);
	if (status < 0) {
		reply_error(asker, &err);
	} else if (!is_same) {
		err_set_id(&err, ERR_CONFLICT, "run.conflict",
		           "the run %s of %s has this correlation id and another input",
		           json_str(found->row, "id", ""), json_str(found->row, "graph", ""));
		err_hint(&err, "use another correlation id, or the same input");
		reply_error(asker, &err);
	} else if (json_truth(request, "wait", false) || json_truth(request, "watch", false)) {
		struct message *message = mem_alloc(sizeof(*message));
		message->kind = MESSAGE_REQUEST;
		message->run_no = found->no;
		message->asker = *asker;
		message->request = json_pack("{s:s,s:b,s:b,s:b}", "op", "run.wait", "watch",
		                             json_truth(request, "watch", false), "wait", 1,
		                             "again", 1);
		worker_post(engine_worker(engine, found->no), message);
	} else {
		reply_last(asker, json_pack("{s:O,s:b}", "run", found->row, "is_new", 0));
	}
}

static bool answer_if_known(struct worker *worker, const char *graph, const char *correlation_id,
                            const struct asker *asker, const json_t *request)
{
	struct store *store = worker->engine->store;
	struct found_run found = { 0 };
	struct err err = { 0 };
	if (store->ops->run_by_key(store, graph, correlation_id, keep_row, &found, &err) < 0) {
		if (err.code == ERR_ABSENT)
			return false;
		reply_error(asker, &err);
		return true;
	}
	answer_existing(worker, &found, asker, request);
	json_decref(found.row);
	return true;
}

int64_t run_next_no(struct worker *worker)
{
	struct engine *engine = worker->engine;
	return atomic_fetch_add(&engine->next_no, 1) * engine->worker_count + worker->index;
}

static int make_run(struct worker *worker, const char *graph, const char *correlation_id,
                    json_t *input, struct run **ret, struct err *err)
{
	struct engine *engine = worker->engine;
	struct release *release;
	if (release_current(engine->releases, graph, &release, err) < 0)
		return err->code;
	if (run_check_schema(release, release->chart->input_schema, input, "input", err) < 0) {
		release_unref(release);
		return err->code;
	}
	char id[32];
	run_make_id(engine, id);
	struct run *run = run_new(worker, run_next_no(worker), id, graph, correlation_id);
	run->release = release;
	run->http_location = mem_dup_str(engine->options.http_location);
	run->created_ms = engine_now(engine);
	run->status = STORE_RUNNING;
	run->wake_ms = -1;
	struct machine_options options = run_machine_options(run);
	if (machine_new(&options, &run->machine, err) < 0) {
		run_free(run);
		return err->code;
	}
	*ret = run;
	return 0;
}

void worker_start_run(struct worker *worker, const json_t *request, const struct asker *asker)
{
	struct err err = { 0 };
	const char *graph = json_str(request, "graph", "");
	json_t *given = json_at(request, "input");
	json_t *input = given ? json_incref(given) : json_object();
	char generated[32];
	const char *correlation_id = json_str(request, "correlation_id", NULL);
	bool is_given = correlation_id != NULL;
	if (!is_given)
		run_make_id(worker->engine, generated);
	correlation_id = is_given ? correlation_id : generated;
	struct run *run = NULL;
	if (!json_is_object(input))
		err_set_id(&err, ERR_INPUT, "run.input", "the input is no JSON object");
	else if (!is_correlation_id(correlation_id))
		err_set_id(&err, ERR_INPUT, "run.correlation_id",
		           "a correlation id is 1 to %d printable characters without spaces",
		           LIMIT_CORRELATION_ID_BYTES);
	else if (is_given && answer_if_known(worker, graph, correlation_id, asker, request))
		goto out;
	else
		(void)make_run(worker, graph, correlation_id, input, &run, &err);
	if (!run) {
		reply_error(asker, &err);
		goto out;
	}
	run->delivery = mem_dup_str(json_str(request, "delivery", NULL));
	run->started_by = mem_dup_str(json_str(request, "by", NULL));
	watch(run, asker, request);
	struct intake *intake = intake_new(INTAKE_INPUT);
	intake->input.kind = INPUT_START;
	intake->input.data = json_incref(input);
	intake->asker = *asker;
	run_intake(run, intake);
out:
	json_decref(input);
}

/* The store refused a start: somebody was first with this name, or with what is exclusive. */
void run_refused(struct commit *commit)
{
	struct run *run = commit->run;
	struct worker *worker = commit->worker;
	struct engine *engine = worker->engine;
	struct asker asker = commit->asker;
	must(commit->is_start);
	json_t *request = json_pack("{s:b,s:b}", "wait", run->watchers != NULL, "watch",
	                            run->watchers && run->watchers->wants_steps);
	if (commit->start_input)
		json_put(request, "input", json_incref(commit->start_input));
	int64_t other_no = commit->item.conflict_no;
	bool is_exclusive = commit->item.is_exclusive_conflict;
	commit_free(commit);
	run_forget_watchers(run); /* the asker itself, which is answered below */
	run_free(run);
	struct found_run found = { 0 };
	struct err err = { 0 };
	if (engine->store->ops->run_by_no(engine->store, other_no, keep_row, &found, &err) == 0) {
		if (is_exclusive) {
			err_set_id(&err, ERR_CONFLICT, "run.exclusive",
			           "the run %s of %s is still open for this",
			           json_str(found.row, "id", ""), json_str(found.row, "graph", ""));
			err_hint(&err, "wait for it to end, or cancel it: gangway run cancel %s",
			         json_str(found.row, "id", ""));
			json_t *error = json_pack("{s:i,s:s,s:s,s:s,s:O}", "code", err.code, "id",
			                          err.id, "text", err.text, "hint", err.hint, "run",
			                          found.row);
			reply_last(&asker, json_pack("{s:o}", "error", error));
		} else {
			answer_existing(worker, &found, &asker, request);
		}
	} else {
		reply_error(&asker, &err);
	}
	json_decref(found.row);
	json_decref(request);
}

void worker_start_child(struct worker *worker, const char *graph, const char *correlation_id,
                        const json_t *input, const char *by, engine_reply_cb *cb, void *arg)
{
	struct message *message = mem_alloc(sizeof(*message));
	message->kind = MESSAGE_REQUEST;
	message->request = json_pack("{s:s,s:s,s:s,s:s}", "op", "run.start", "graph", graph,
	                             "correlation_id", correlation_id, "by", by);
	if (input)
		json_put(message->request, "input", json_incref((json_t *)(uintptr_t)input));
	message->asker = (struct asker){ cb, arg };
	worker_post(worker, message);
}

/* --- about a run that exists ------------------------------------------------------------- */

static void request_wait(struct run *run, const json_t *request, const struct asker *asker)
{
	if (json_truth(request, "again", false)) {
		json_t *reply = json_pack("{s:o,s:b,s:o}", "run", run_json(run), "is_new", 0,
		                          "asks", run_asks(run));
		asker->cb(asker->arg, reply, false);
		json_decref(reply);
	}
	struct watcher *watcher = mem_alloc(sizeof(*watcher));
	watcher->asker = *asker;
	watcher->wants_steps = json_truth(request, "watch", false);
	watcher->next = run->watchers;
	run->watchers = watcher;
}

static int check_signal(const struct run *run, const char *name, struct err *err)
{
	if (!*name || strlen(name) > LIMIT_EVENT_NAME_BYTES || strpbrk(name, " \t\r\n*"))
		return err_set_id(err, ERR_INPUT, "signal.name", "'%.60s' is no event name", name);
	if (str_begins(name, "done.") || str_begins(name, "error.") || strcmp(name, "done") == 0 ||
	    strcmp(name, "error") == 0)
		return err_set_id(err, ERR_INPUT, "signal.reserved",
		                  "events that begin with done. or error. are the engine's own");
	if (run->status >= STORE_ENDED)
		return err_set_id(err, ERR_CONFLICT, "run.ended", "the run has ended");
	if (run->reason)
		return err_set_id(err, ERR_CONFLICT, "run.blocked",
		                  "the run is blocked; repin it first");
	if (run->intake_count + machine_queue_length(run->machine) >= LIMIT_QUEUE_EVENTS)
		return err_set_id(err, ERR_LIMIT, "run.queue",
		                  "more than %d events wait in this run", LIMIT_QUEUE_EVENTS);
	return 0;
}

static struct intake *signal_intake(const json_t *request)
{
	struct intake *ret = intake_new(INTAKE_INPUT);
	ret->input.kind = INPUT_EVENT;
	ret->input.event.type = EVENT_EXTERNAL;
	ret->input.event.name = mem_dup_str(json_str(request, "event", ""));
	ret->input.event.data = json_incref(json_at(request, "data"));
	ret->input.event.origin = mem_dup_str(json_str(request, "origin", NULL));
	ret->input.event.origintype = mem_dup_str(json_str(request, "origintype", NULL));
	ret->input.event.raw = mem_dup_str(json_str(request, "raw", NULL));
	ret->label = mem_dup_str(json_str(request, "id", NULL));
	ret->extra = json_object();
	json_put_str(ret->extra, "session", json_str(request, "session", NULL));
	ret->input.session = json_str(ret->extra, "session", NULL);
	json_put_str(ret->extra, "by", json_str(request, "by", NULL));
	ret->by = json_str(ret->extra, "by", NULL);
	return ret;
}

static struct intake *plain_intake(enum intake_kind kind, const json_t *request)
{
	struct intake *intake = intake_new(kind);
	intake->extra = json_object();
	json_put_str(intake->extra, "by", json_str(request, "by", "someone"));
	json_put_str(intake->extra, "reason", json_str(request, "reason", NULL));
	intake->by = json_str(intake->extra, "by", NULL);
	return intake;
}

static void request_signal(struct run *run, const json_t *request, const struct asker *asker)
{
	struct err err = { 0 };
	const char *id = json_str(request, "id", NULL);
	bool is_taken = id && json_at(run->signals, id);
	if (is_taken && !run->is_committing) {
		reply_last(asker, json_pack("{s:o,s:b}", "run", run_json(run), "is_new", 0));
		return;
	}
	/* Taken, but perhaps not on record yet: it waits its turn, and is told then. */
	if (!is_taken && check_signal(run, json_str(request, "event", ""), &err) < 0) {
		reply_error(asker, &err);
		return;
	}
	struct intake *intake = signal_intake(request);
	intake->asker = *asker;
	run_intake(run, intake);
}

/* What came in by the BasicHTTP event processor (SCXML C.2) is a signal for the session. */
static void request_post(struct run *run, const json_t *request, const struct asker *asker)
{
	struct err err = { 0 };
	json_t *signal = post_read(request, &err);
	if (signal)
		request_signal(run, signal, asker);
	else
		reply_error(asker, &err);
	json_decref(signal);
}

static void request_cancel(struct run *run, const json_t *request, const struct asker *asker)
{
	if (run->status >= STORE_ENDED) {
		reply_last(asker, json_pack("{s:o}", "run", run_json(run)));
		return;
	}
	struct intake *intake = plain_intake(INTAKE_INPUT, request);
	intake->input.kind = INPUT_CANCEL;
	intake->asker = *asker;
	run_intake(run, intake);
}

static void request_repin(struct run *run, const json_t *request, const struct asker *asker)
{
	struct err err = { 0 };
	if (run->status >= STORE_ENDED) {
		err_set_id(&err, ERR_CONFLICT, "run.ended", "the run has ended");
		reply_error(asker, &err);
		return;
	}
	struct intake *intake = plain_intake(INTAKE_REPIN, request);
	intake->asker = *asker;
	run_intake(run, intake);
}

static void request_again(struct run *run, const json_t *request, const struct asker *asker)
{
	const char *op = json_str(request, "op", "");
	struct err err = { 0 };
	if (again_check(run, op, &err) < 0) {
		reply_error(asker, &err);
		return;
	}
	struct intake *intake =
		plain_intake(strcmp(op, "run.retry") == 0 ? INTAKE_RETRY : INTAKE_RESUME, request);
	intake->asker = *asker;
	run_intake(run, intake);
}

static void request_assign(struct run *run, const json_t *request, const struct asker *asker)
{
	struct err err = { 0 };
	struct intake *intake;
	if (assign_intake(run, request, &intake, &err) < 0) {
		reply_error(asker, &err);
		return;
	}
	intake->asker = *asker;
	run_intake(run, intake);
}

static void request_task(struct run *run, const json_t *request, const struct asker *asker)
{
	struct err err = { 0 };
	struct intake *intake;
	if (task_answer(run, request, &intake, &err) < 0) {
		reply_error(asker, &err);
		return;
	}
	if (run->reason && intake->kind == INTAKE_INPUT) {
		intake_free(intake);
		err_set_id(&err, ERR_CONFLICT, "run.blocked", "the run is blocked; repin it first");
		reply_error(asker, &err);
		return;
	}
	intake->asker = *asker;
	run_intake(run, intake);
}

/* The start of another run that this one asked for has been answered. */
static void internal_child(struct run *run, const json_t *request)
{
	struct call *call = run_call(run, (uint64_t)json_int(request, "number", 0), 0);
	const json_t *reply = json_at(request, "reply");
	const json_t *error = json_at(reply, "error");
	if (!call || call->state != CALL_OPEN)
		return;
	if (!error) {
		call_answer(call, true, json_pack("{s:O}", "run", json_path(reply, "run.id")),
		            json_object());
		return;
	}
	call_answer(call, false,
	            json_pack("{s:s,s:s,s:s,s:s,s:s,s:b}", "error_type", "conflict", "error_code",
	                      json_str(error, "id", "run"), "message", json_str(error, "text", ""),
	                      "resolution", json_str(error, "hint", "Look at the other run"),
	                      "owner", "Operator", "retryable", 0),
	            json_object());
}

static void about_run(struct worker *worker, struct message *message)
{
	const json_t *request = message->request;
	const char *op = json_str(request, "op", "");
	struct err err = { 0 };
	struct run *run;
	bool was_resident = run_resident(worker, message->run_no) != NULL;
	int status = run_load(worker, message->run_no, &run, &err);
	if (strcmp(op, "internal.recover") == 0)
		engine_count(worker->engine, -1); /* from here on the run counts for itself */
	if (status < 0) {
		if (strcmp(op, "internal.recover") == 0)
			worker_load_again(worker, message->run_no);
		engine_log(worker->engine, "error", "run.load_failed",
		           json_pack("{s:I,s:s}", "no", (json_int_t)message->run_no, "text",
		                     err.text));
		reply_error(&message->asker, &err);
		return;
	}
	run_unpark(run);
	if (!was_resident && (run->owes_files || strcmp(op, "internal.recover") == 0))
		run_restore_files(run);
	/* Calls that were open when it left memory, or when the process died. */
	for (size_t i = was_resident ? 0 : run->calls.len; i-- > 0;)
		call_recover(run->calls.at[i]);
	if (strcmp(op, "run.wait") == 0)
		request_wait(run, request, &message->asker);
	else if (strcmp(op, "run.signal") == 0)
		request_signal(run, request, &message->asker);
	else if (strcmp(op, "run.cancel") == 0)
		request_cancel(run, request, &message->asker);
	else if (strcmp(op, "run.repin") == 0)
		request_repin(run, request, &message->asker);
	else if (strcmp(op, "run.resume") == 0 || strcmp(op, "run.retry") == 0)
		request_again(run, request, &message->asker);
	else if (strcmp(op, "task.answer") == 0)
		request_task(run, request, &message->asker);
	else if (strcmp(op, "task.assign") == 0)
		request_assign(run, request, &message->asker);
	else if (strcmp(op, "internal.child") == 0)
		internal_child(run, request);
	else if (strcmp(op, "session.post") == 0)
		request_post(run, request, &message->asker);
	else if (strcmp(op, "internal.post") == 0)
		post_ended(run, request);
	run_turn(run);
	run_settle(run);
}

/* Who waits no longer gets the last reply now, unless it has had it. */
static void request_leave(struct worker *worker, int64_t no, const struct asker *asker)
{
	struct run *run = run_resident(worker, no);
	for (struct watcher **at = run ? &run->watchers : NULL; at && *at; at = &(*at)->next) {
		struct watcher *watcher = *at;
		if (watcher->asker.cb != asker->cb || watcher->asker.arg != asker->arg)
			continue;
		*at = watcher->next;
		free(watcher);
		reply_last(asker, json_pack("{s:o,s:b}", "run", run_json(run), "left", 1));
		run_settle(run);
		return;
	}
}

void worker_request(struct worker *worker, struct message *message)
{
	const char *op = json_str(message->request, "op", "");
	struct err err = { 0 };
	if (token_is_op(op)) {
		token_request(worker, message->request, &message->asker);
		return;
	}
	if (strcmp(op, "wire.ask") == 0) {
		worker_ask(worker, message->request, &message->asker);
		return;
	}
	if (access_is_op(op)) {
		access_request(worker, message->request, &message->asker);
		return;
	}
	if (schedule_is_op(op)) {
		schedule_request(worker, message->request, &message->asker);
		return;
	}
	if (strcmp(op, "run.leave") == 0) {
		request_leave(worker, message->run_no, &message->asker);
		return;
	}
	if (strcmp(op, "run.start") == 0) {
		worker_start_run(worker, message->request, &message->asker);
		return;
	}
	if (strcmp(op, "run.batch") == 0) {
		many_start(worker, message->request, &message->asker);
		return;
	}
	if (strcmp(op, "run.fork") == 0) {
		fork_start(worker, message->run_no, message->request, &message->asker);
		return;
	}
	if (strcmp(op, "run.show") == 0) {
		json_t *shown = run_show(worker, message->run_no, &err);
		if (shown)
			reply_last(&message->asker, json_pack("{s:o}", "run", shown));
		else
			reply_error(&message->asker, &err);
		return;
	}
	if (strcmp(op, "run.explain") == 0) {
		json_t *explain = run_explain(worker, message->run_no, &err);
		if (explain)
			reply_last(&message->asker, json_pack("{s:o}", "explain", explain));
		else
			reply_error(&message->asker, &err);
		return;
	}
	if (strcmp(op, "run.picture") == 0) {
		json_t *picture = run_picture(worker, message->run_no, &err);
		if (picture)
			reply_last(&message->asker, json_pack("{s:o}", "picture", picture));
		else
			reply_error(&message->asker, &err);
		return;
	}
	if (strcmp(op, "run.replay") == 0 || strcmp(op, "audit.verify") == 0) {
		json_t *verify = run_verify(worker, message->run_no,
		                            json_at(message->request, "file"), &err);
		if (verify)
			reply_last(&message->asker,
			           json_pack("{s:o}", op[0] == 'r' ? "replay" : "verify", verify));
		else
			reply_error(&message->asker, &err);
		return;
	}
	about_run(worker, message);
}
