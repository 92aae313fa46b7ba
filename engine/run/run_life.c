/* SPDX-License-Identifier: MIT */
/*
 * Resident runs: making, loading from the store, snapshotting, evicting.  A
 * run's state is the machine plus what stands here (open calls, advice,
 * tasks); both are functions of the journal, and a snapshot is only a shortcut.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "run/run_int.h"

static uint64_t seed_of(const char *run_id)
{
	unsigned char digest[SHA256_BYTES];
	crypto_sha256(str_of(run_id), digest);
	uint64_t ret = 0;
	for (int i = 0; i < 8; i++)
		ret = ret << 8 | digest[i];
	return ret;
}

static void map_key(int64_t no, char ret[24])
{
	snprintf(ret, 24, "%lld", (long long)no);
}

struct run *run_new_detached(struct worker *worker, int64_t no, const char *id, const char *graph,
                             const char *correlation_id)
{
	struct run *run = mem_alloc(sizeof(*run));
	run->worker = worker;
	run->no = no;
	run->id = mem_dup_str(id);
	run->graph = mem_dup_str(graph);
	run->correlation_id = mem_dup_str(correlation_id);
	run->seed = seed_of(id);
	run->advice = json_object();
	run->checklists = json_object();
	run->tasks = json_object();
	run->signals = json_object();
	run->artifacts = json_array();
	run->last = &run->first;
	run->timer_due_ms = -1;
	arena_init(&run->step);
	run->is_detached = true;
	run_env_init(run);
	return run;
}

struct run *run_new(struct worker *worker, int64_t no, const char *id, const char *graph,
                    const char *correlation_id)
{
	struct run *run = run_new_detached(worker, no, id, graph, correlation_id);
	char key[24];
	run->is_detached = false;
	map_key(no, key);
	map_set(&worker->runs, key, run);
	engine_count(worker->engine, 1);
	return run;
}

void call_free(struct call *call)
{
	plugin_call_free(call->plugin);
	json_decref(call->effect);
	json_decref(call->requests);
	json_decref(call->answers);
	free(call);
}

static void free_calls(struct run *run)
{
	for (size_t i = 0; i < run->calls.len; i++)
		worker_bury(run->worker, run->calls.at[i]);
	run->calls.len = 0;
}

/* Everything that is a function of the journal; what run_load builds up again. */
static void forget_state(struct run *run)
{
	machine_free(run->machine);
	run->machine = NULL;
	free_calls(run);
	json_object_clear(run->advice);
	json_object_clear(run->checklists);
	json_object_clear(run->tasks);
	json_object_clear(run->signals);
	json_array_clear(run->artifacts);
	json_decref(run->reason);
	json_decref(run->blocked);
	json_decref(run->result);
	run->reason = run->blocked = run->result = NULL;
	release_unref(run->release);
	run->release = NULL;
	run->head = (struct journal_head){ 0 };
	run->snapshot_seq = 0;
}

void run_forget_watchers(struct run *run)
{
	while (run->watchers) {
		struct watcher *watcher = run->watchers;
		run->watchers = watcher->next;
		free(watcher);
	}
}

static bool is_watched_by(const struct run *run, const struct asker *asker)
{
	for (const struct watcher *watcher = run->watchers; watcher; watcher = watcher->next)
		if (watcher->asker.cb == asker->cb && watcher->asker.arg == asker->arg)
			return true;
	return false;
}

/* A commit that will not be finished: whoever waits for it is told, unless as a watcher, later. */
void commit_drop(struct commit *commit)
{
	if (!commit->run || !is_watched_by(commit->run, &commit->asker))
		reply_stopping(&commit->asker);
	commit_free(commit);
}

/* Whoever still waits for this run is told that nothing will come; each once. */
static void tell_stopping(const struct run *run)
{
	if (!run->worker->is_stopping)
		return;
	for (const struct intake *intake = run->first; intake; intake = intake->next) {
		if (!is_watched_by(run, &intake->asker)) /* as a watcher it is told below */
			reply_stopping(&intake->asker);
	}
	for (const struct watcher *watcher = run->watchers; watcher; watcher = watcher->next)
		reply_stopping(&watcher->asker);
}

void run_free(struct run *run)
{
	if (!run->is_detached) {
		char key[24];
		map_key(run->no, key);
		map_remove(&run->worker->runs, key);
		if (!run->is_parked)
			engine_count(run->worker->engine, -1);
	}
	if (run->timer)
		run->worker->loop->ops->timer_stop(run->worker->loop, run->timer);
	tell_stopping(run);
	while (run->first) {
		struct intake *intake = run->first;
		run->first = intake->next;
		intake_free(intake);
	}
	run_forget_watchers(run);
	forget_state(run);
	vec_release(&run->calls);
	json_decref(run->advice);
	json_decref(run->checklists);
	json_decref(run->tasks);
	json_decref(run->signals);
	json_decref(run->builds);
	json_decref(run->artifacts);
	arena_release(&run->step);
	free(run->id);
	free(run->graph);
	free(run->correlation_id);
	free(run->exclusive);
	free(run->delivery);
	free(run->started_by);
	free(run->http_location);
	free(run);
}

struct run *run_resident(struct worker *worker, int64_t no)
{
	char key[24];
	map_key(no, key);
	return map_get(&worker->runs, key);
}

void run_evict(struct run *run)
{
	must(!run->is_committing);
	run_free(run);
}

/* --- calls ------------------------------------------------------------------- */

struct call *run_call(struct run *run, uint64_t number, uint32_t element)
{
	for (size_t i = 0; i < run->calls.len; i++)
		if (run->calls.at[i]->number == number && run->calls.at[i]->element == element)
			return run->calls.at[i];
	return NULL;
}

struct call *run_call_add(struct run *run, json_t *effect_taken)
{
	struct call *call = mem_alloc(sizeof(*call));
	call->run = run;
	call->effect = effect_taken;
	call->number = (uint64_t)json_int(effect_taken, "number", 0);
	call->element = (uint32_t)json_int(effect_taken, "element", 0);
	call->is_post = post_is(effect_taken);
	call->is_send = call->is_post || strcmp(json_str(effect_taken, "kind", ""), "send") == 0;
	call->is_built_in = built_in_is(json_str(effect_taken, "type", ""));
	call->requests = json_array();
	call->state = CALL_HELD;
	*vec_add(&run->calls) = call;
	return call;
}

void run_call_drop(struct run *run, struct call *call)
{
	for (size_t i = 0; i < run->calls.len; i++) {
		if (run->calls.at[i] != call)
			continue;
		memmove(&run->calls.at[i], &run->calls.at[i + 1],
		        (run->calls.len - i - 1) * sizeof(*run->calls.at));
		run->calls.len--;
		break;
	}
	/* We may be inside one of its own callbacks. */
	worker_bury(run->worker, call);
}

/* --- snapshots ----------------------------------------------------------------- */

json_t *run_state_save(const struct run *run)
{
	json_t *calls = json_array();
	for (size_t i = 0; i < run->calls.len; i++) {
		const struct call *call = run->calls.at[i];
		json_push(calls,
		          json_pack("{s:O,s:O,s:b,s:b,s:I}", "effect", call->effect, "requests",
		                    call->requests, "cancelled", (int)call->is_cancelled, "unsure",
		                    (int)(call->state == CALL_UNSURE), "opened",
		                    (json_int_t)call->opened_ms));
	}
	json_t *ret = json_pack("{s:o,s:O,s:O,s:O,s:O,s:O,s:s,s:I}", "calls", calls, "advice",
	                        run->advice, "checklists", run->checklists, "tasks", run->tasks,
	                        "signals", run->signals, "artifacts", run->artifacts, "release",
	                        run->release->sha256, "at", (json_int_t)run->last_step_ms);
	json_put(ret, "result", json_incref(run->result));
	json_put(ret, "reason", json_incref(run->reason));
	json_put(ret, "blocked", json_incref(run->blocked));
	json_put_str(ret, "started_by", run->started_by);
	json_put_str(ret, "http_location", run->http_location);
	if (run->is_cancelled)
		json_put(ret, "is_cancelled", json_true());
	return ret;
}

int run_state_restore(struct run *run, const json_t *saved, struct err *err)
{
	if (release_load(run->worker->engine->releases, run->worker->engine->store,
	                 json_str(saved, "release", ""), &run->release, err) < 0)
		return err->code;
	json_object_update(run->advice, json_at(saved, "advice"));
	json_object_update(run->checklists, json_at(saved, "checklists"));
	json_object_update(run->tasks, json_at(saved, "tasks"));
	json_object_update(run->signals, json_at(saved, "signals"));
	json_array_extend(run->artifacts, json_at(saved, "artifacts"));
	run->result = json_incref(json_at(saved, "result"));
	run->reason = json_incref(json_at(saved, "reason"));
	run->blocked = json_incref(json_at(saved, "blocked"));
	run->is_cancelled = json_truth(saved, "is_cancelled", false);
	free(run->http_location);
	run->http_location = mem_dup_str(json_str(saved, "http_location", NULL));
	if (!run->started_by) /* a fork has a starter of its own */
		run->started_by = mem_dup_str(json_str(saved, "started_by", NULL));
	run->last_step_ms = json_int(saved, "at", 0);
	const json_t *calls = json_at(saved, "calls");
	for (size_t i = 0; i < json_array_size(calls); i++) {
		const json_t *row = json_array_get(calls, i);
		struct call *call = run_call_add(run, json_incref(json_at(row, "effect")));
		json_array_extend(call->requests, json_at(row, "requests"));
		call->is_cancelled = json_truth(row, "cancelled", false);
		call->state = json_truth(row, "unsure", false) ? CALL_UNSURE : CALL_OPEN;
		call->opened_ms = json_int(row, "opened", 0);
	}
	return 0;
}

static void keep_snapshot(void *arg, int64_t seq, struct str body)
{
	(void)seq;
	*(json_t **)arg = json_loadb(body.ptr, body.len, 0, NULL);
}

static bool unhex_hash(const char *text, unsigned char ret[JOURNAL_HASH_BYTES])
{
	for (int i = 0; i < JOURNAL_HASH_BYTES; i++) {
		unsigned int byte;
		if (sscanf(text + 2 * i, "%2x", &byte) != 1)
			return false;
		ret[i] = (unsigned char)byte;
	}
	return true;
}

static int restore_snapshot(struct run *run, const json_t *snapshot, struct err *err)
{
	const char *hash = json_str(snapshot, "hash", "");
	if (strlen(hash) != 64 || !unhex_hash(hash, run->head.hash))
		return err_set_id(err, ERR_STORE, "snapshot.broken", "the snapshot has no hash");
	run->head.seq = run->snapshot_seq = json_int(snapshot, "seq", 0);
	if (run_state_restore(run, json_at(snapshot, "run"), err) < 0)
		return err->code;
	struct machine_options options = run_machine_options(run);
	return machine_restore(&options, json_at(snapshot, "machine"), &run->machine, err);
}

static int replay_one(void *arg, const json_t *record, struct err *err)
{
	return run_replay_record(arg, record, err);
}

static int rebuild(struct run *run, struct err *err)
{
	struct engine *engine = run->worker->engine;
	json_t *snapshot = NULL;
	int status = engine->store->ops->snapshot(engine->store, run->no, keep_snapshot, &snapshot,
	                                          err);
	if (status == ERR_ABSENT) {
		err_clear(err);
		status = 0;
	}
	if (status == 0 && snapshot)
		status = restore_snapshot(run, snapshot, err);
	json_decref(snapshot);
	if (status == 0)
		status = journal_read(engine->store, run->no, &run->head, replay_one, run, err);
	return status;
}

/* --- loading ---------------------------------------------------------------------- */

struct row_copy {
	struct worker *worker;
	struct run *run;
};

static void take_row(void *arg, const struct store_run *row)
{
	struct row_copy *copy = arg;
	struct run *run = run_new(copy->worker, row->no, row->id, row->graph, row->correlation_id);
	run->status = row->status;
	run->created_ms = row->created_ms;
	run->updated_ms = row->updated_ms;
	run->wake_ms = row->wake_ms;
	run->owes_files = row->wake_ms == 0;
	run->exclusive = mem_dup_str(row->exclusive);
	copy->run = run;
}

int run_load(struct worker *worker, int64_t no, struct run **ret, struct err *err)
{
	struct run *run = run_resident(worker, no);
	if (run) {
		*ret = run;
		return 0;
	}
	struct row_copy copy = { worker, NULL };
	struct store *store = worker->engine->store;
	if (store->ops->run_by_no(store, no, take_row, &copy, err) < 0)
		return err->code;
	run = copy.run;
	if (rebuild(run, err) < 0) {
		err_wrap(err, "run %s", run->id);
		run_free(run);
		return err->code;
	}
	for (size_t i = 0; i < run->calls.len; i++)
		if (run->calls.at[i]->state == CALL_HELD)
			run->calls.at[i]->state =
				CALL_OPEN; /* its record is durable: that is why it is here */
	if (run->blocked && !run->reason)
		run_retry(run); /* the repin is on record, what it was for is not */
	*ret = run;
	return 0;
}

int run_rebuild(struct run *run, struct err *err)
{
	/* Running calls keep their plugin side:
	 * only the machine and the bookkeeping are rebuilt. */
	VEC(struct call *) kept = { 0 };
	for (size_t i = 0; i < run->calls.len; i++)
		*vec_add(&kept) = run->calls.at[i];
	run->calls.len = 0;
	struct release *before = release_ref(run->release);
	forget_state(run);
	int status = rebuild(run, err);
	for (size_t i = 0; i < kept.len; i++) {
		struct call *call = kept.at[i];
		struct call *again = run_call(run, call->number, call->element);
		if (again) {
			/* The plugin's callbacks know the old struct:
			 * it takes the new one's place. */
			for (size_t j = 0; j < run->calls.len; j++)
				if (run->calls.at[j] == again)
					run->calls.at[j] = call;
			call_free(again);
		} else {
			worker_bury(run->worker, call);
		}
	}
	vec_release(&kept);
	if (status < 0) {
		/* Half built is worse than none: it leaves memory, and is read again (run_settle).
		 */
		machine_free(run->machine);
		run->machine = NULL;
		run->is_unreadable = true;
		if (!run->release)
			run->release = release_ref(before);
		json_decref(run->reason);
		run->reason = json_pack("{s:s,s:s}", "id", err->id[0] ? err->id : "run.broken",
		                        "text", err->text);
	}
	release_unref(before);
	return status;
}

void run_leave_unreadable(struct run *run)
{
	struct worker *worker = run->worker;
	int64_t no = run->no;
	struct err err = { 0 };
	err_set_id(&err, ERR_BUSY, "run.unreadable", "the run cannot be read now; try again");
	for (const struct intake *intake = run->first; intake; intake = intake->next)
		if (!is_watched_by(run, &intake->asker))
			reply_error(&intake->asker, &err);
	for (const struct watcher *watcher = run->watchers; watcher; watcher = watcher->next)
		reply_error(&watcher->asker, &err);
	run_evict(run);
	worker_load_again(worker, no);
}

/* --- the row for lists --------------------------------------------------------------- */

bool run_has_search(const struct run *run)
{
	const struct chart_state *root = &run->release->chart->states[0];
	for (size_t i = 0; i < root->data_count; i++)
		if (root->data[i].is_search)
			return true;
	return false;
}

/* Copying all data out of Lua is dear: not for a graph that nobody can search. */
static json_t *search_values(const struct run *run)
{
	json_t *ret = json_object();
	const struct chart_state *root = &run->release->chart->states[0];
	json_t *data = run->machine && run_has_search(run) ? machine_data(run->machine) : NULL;
	for (size_t i = 0; i < root->data_count; i++)
		if (root->data[i].is_search && json_at(data, root->data[i].id))
			json_put(ret, root->data[i].id,
			         json_incref(json_at(data, root->data[i].id)));
	json_decref(data);
	return ret;
}

json_t *run_summary(const struct run *run)
{
	json_t *ret = json_object();
	json_put(ret, "search", search_values(run));
	if (run->machine)
		json_put(ret, "states", machine_states(run->machine, true));
	if (run->reason)
		json_put(ret, "reason", json_incref(run->reason));
	if (run->result)
		json_put(ret, "result", json_incref(run->result));
	json_put(ret, "artifacts", json_copy(run->artifacts));
	json_put(ret, "release", json_string(run->release->sha256));
	json_t *waits = json_array();
	for (size_t i = 0; i < run->calls.len; i++) {
		const json_t *effect = run->calls.at[i]->effect;
		const char *action = json_str(effect, "action", "");
		if (run->calls.at[i]->state == CALL_ENDED)
			continue; /* it has its answer; the run may be blocked by it */
		json_push(waits,
		          json_sprintf("%s%s%s%s", json_str(effect, "type", "?"),
		                       *action ? "." : "", action,
		                       run->calls.at[i]->state == CALL_UNSURE ? " (unsure)" : ""));
	}
	json_put(ret, "waits_for", waits);
	json_put_int(ret, "open_tasks", (int64_t)json_object_size(run->tasks));
	return ret;
}
