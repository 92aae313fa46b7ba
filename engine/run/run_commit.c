/* SPDX-License-Identifier: MIT */
/*
 * Building one run's next durable item: the record, the run's row when it
 * changed, a snapshot when one is due, tasks, search keys.  All of it is one
 * item of one transaction: it is there whole or not at all.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "run/run_commit.h"

enum { IDLE_SOON_MS = 1000 }; /* due within this: stay in memory (DESIGN 4) */

struct commit *commit_new(struct run *run)
{
	struct commit *commit = mem_alloc(sizeof(*commit));
	commit->run = run;
	commit->worker = run->worker;
	commit->message.commit = commit;
	return commit;
}

void commit_free(struct commit *commit)
{
	for (size_t i = 0; i < commit->owned.len; i++)
		free(commit->owned.at[i]);
	for (size_t i = 0; i < commit->owned_json.len; i++)
		json_decref(commit->owned_json.at[i]);
	vec_release(&commit->owned);
	vec_release(&commit->owned_json);
	vec_release(&commit->ops);
	json_decref(commit->artifacts);
	json_decref(commit->line);
	json_decref(commit->reply);
	json_decref(commit->body);
	json_decref(commit->call);
	json_decref(commit->start_input);
	free(commit);
}

const char *commit_keep(struct commit *commit, char *text_taken)
{
	*vec_add(&commit->owned) = text_taken;
	return text_taken;
}

struct store_op *commit_op(struct commit *commit, enum store_op_kind kind)
{
	struct store_op *op = vec_add(&commit->ops);
	op->kind = kind;
	op->no = commit->run->no;
	return op;
}

void commit_record(struct commit *commit, const char *kind, int64_t at_ms, json_t *body)
{
	struct run *run = commit->run;
	size_t len;
	char *text = journal_seal(&run->head, kind, at_ms, body, &len);
	commit->body = json_incref(body);
	struct store_op *op = commit_op(commit, STORE_OP_RECORD);
	op->seq = run->head.seq;
	memcpy(op->hash, run->head.hash, sizeof(op->hash));
	op->body = (struct str){ commit_keep(commit, text), len };
}

static void add_snapshot(struct commit *commit)
{
	struct run *run = commit->run;
	char hash[2 * JOURNAL_HASH_BYTES + 1];
	crypto_hex(run->head.hash, sizeof(run->head.hash), hash);
	json_t *snapshot = json_pack("{s:I,s:s,s:o,s:o}", "seq", (json_int_t)run->head.seq, "hash",
	                             hash, "machine", machine_save(run->machine), "run",
	                             run_state_save(run));
	struct store_op *op = commit_op(commit, STORE_OP_SNAPSHOT);
	op->seq = run->head.seq;
	op->body = str_of(commit_keep(commit, json_canon(snapshot)));
	json_decref(snapshot);
	run->snapshot_seq = run->head.seq;
}

static bool waits_for_people(const struct call *call)
{
	const char *type = json_str(call->effect, "type", "");
	return strcmp(type, "approval") == 0 || strcmp(type, "checklist") == 0 ||
	       call->state == CALL_UNSURE;
}

int run_status_now(const struct run *run, int64_t *ret_wake_ms)
{
	bool has_open = false, has_people = false;
	for (size_t i = 0; i < run->calls.len; i++) {
		const struct call *call = run->calls.at[i];
		if (call->state == CALL_ENDED)
			continue;
		if (waits_for_people(call))
			has_people = has_people || !call->is_cancelled;
		else
			has_open = true;
	}
	*ret_wake_ms = -1;
	if (run->reason)
		return STORE_BLOCKED;
	/* An unsure send blocks nothing else: not even the end of its run. */
	if (machine_is_done(run->machine) && !has_open)
		return run->is_cancelled ? STORE_CANCELLED : STORE_ENDED;
	int64_t due = machine_next_due(run->machine, NULL);
	int64_t soon = engine_now(run->worker->engine) + IDLE_SOON_MS;
	if (has_open || machine_has_queued(run->machine) || run->intake_count > 0 || due <= soon)
		return STORE_RUNNING;
	*ret_wake_ms = due == INT64_MAX ? -1 : due;
	return has_people ? STORE_PEOPLE : STORE_WAITING;
}

static void fill_row(struct commit *commit, struct store_op *op, int status, int64_t wake_ms)
{
	struct run *run = commit->run;
	bool is_final = status >= STORE_ENDED;
	json_t *summary = run_summary(run);
	char hash[2 * JOURNAL_HASH_BYTES + 1];
	crypto_hex(run->head.hash, sizeof(run->head.hash), hash);
	/* Verify misses a tail that was cut off: the row knows the head it was written with. */
	json_put(summary, "head",
	         json_pack("{s:I,s:s}", "seq", (json_int_t)run->head.seq, "hash", hash));
	op->run = (struct store_run){
		.no = run->no,
		.id = run->id,
		.graph = run->graph,
		.correlation_id = run->correlation_id,
		.status = status,
		.created_ms = run->created_ms,
		.updated_ms = run->updated_ms,
		.wake_ms = run->owes_files ? 0 : wake_ms,
		.exclusive = is_final ? NULL : run->exclusive,
		.summary = commit_keep(commit, json_canon(summary)),
	};
	json_decref(summary);
	run->status = status;
	run->wake_ms = wake_ms;
	if (is_final && run->exclusive) {
		/* Given up for good: another run may have it when
		 * this one's last send is repeated. */
		*vec_add(&commit->owned) = run->exclusive;
		run->exclusive = NULL;
	}
}

/* The run's data; of a run that was blocked at its start, what it was given. */
static json_t *known_data(const struct commit *commit)
{
	const struct run *run = commit->run;
	if (run->machine)
		return machine_data(run->machine);
	return json_incref(commit->start_input);
}

static void add_search(struct commit *commit)
{
	struct run *run = commit->run;
	const struct chart_state *root = &run->release->chart->states[0];
	if (commit->is_start && run->delivery) {
		struct store_op *op = commit_op(commit, STORE_OP_SEARCH);
		op->name = "gw:delivery";
		op->text = commit_keep(commit, mem_dup_str(run->delivery));
	}
	json_t *data = run_has_search(run) ? known_data(commit) : NULL;
	for (size_t i = 0; i < root->data_count; i++) {
		const json_t *value = root->data[i].is_search ? json_at(data, root->data[i].id)
		                                              : NULL;
		bool is_found = value && !json_is_null(value) && !json_is_object(value) &&
		                !json_is_array(value);
		if (!root->data[i].is_search || (!is_found && commit->is_start))
			continue;
		struct store_op *op = commit_op(commit, STORE_OP_SEARCH);
		op->name = root->data[i].id;
		if (is_found)
			op->text = commit_keep(commit,
			                       json_is_string(value)
			                               ? mem_dup_str(json_string_value(value))
			                               : json_canon(value));
	}
	json_decref(data);
}

/* A START must know what is exclusive before its row is written. */
static void take_exclusive(struct commit *commit)
{
	struct run *run = commit->run;
	const struct chart_state *root = &run->release->chart->states[0];
	json_t *data = NULL;
	for (size_t i = 0; i < root->data_count; i++) {
		if (!root->data[i].is_exclusive)
			continue;
		if (!data)
			data = known_data(commit);
		const json_t *value = json_at(data, root->data[i].id);
		if (!value || json_is_null(value))
			continue;
		char *text = json_canon(value);
		free(run->exclusive);
		run->exclusive = mem_format("%s\x1f%s\x1f%s", run->release->chart->name,
		                            root->data[i].id, text);
		free(text);
	}
	json_decref(data);
}

/* Each file of the release, once per store: content-addressed, so twice would do no harm. */
static void add_blob(void *arg, struct str bytes)
{
	struct commit *commit = arg;
	unsigned char hash[SHA256_BYTES];
	char hex[SHA256_HEX];
	crypto_sha256(bytes, hash);
	crypto_hex(hash, sizeof(hash), hex);
	struct engine *engine = commit->worker->engine;
	pthread_mutex_lock(&engine->lock);
	bool is_known = map_get(&engine->known_blobs, hex) != NULL;
	pthread_mutex_unlock(&engine->lock);
	if (is_known)
		return;
	struct store_op *op = commit_op(commit, STORE_OP_BLOB);
	memcpy(op->hash, hash, sizeof(op->hash));
	op->body = (struct str){ commit_keep(commit, mem_dup(bytes.ptr, bytes.len)), bytes.len };
}

/* Once the commit is durable, later ones need not carry these blobs again. */
void commit_blobs_known(struct commit *commit)
{
	struct engine *engine = commit->worker->engine;
	for (size_t i = 0; i < commit->ops.len; i++) {
		if (commit->ops.at[i].kind != STORE_OP_BLOB)
			continue;
		char hex[SHA256_HEX];
		crypto_hex(commit->ops.at[i].hash, SHA256_BYTES, hex);
		pthread_mutex_lock(&engine->lock);
		map_set(&engine->known_blobs, hex, engine);
		pthread_mutex_unlock(&engine->lock);
	}
}

void commit_pins(struct commit *commit)
{
	struct engine *engine = commit->worker->engine;
	pthread_mutex_lock(&engine->lock);
	bool is_known = map_get(&engine->known_blobs, commit->run->release->sha256) != NULL;
	pthread_mutex_unlock(&engine->lock);
	struct commit *into = is_known ? NULL : many_pins(commit);
	if (into)
		release_blobs(commit->run->release, add_blob, into);
}

/* Comes to rest with this commit, and files of it are not on the disk for sure (run_file.c). */
static bool owes_files(const struct commit *commit, int status)
{
	return !commit->is_filed && commit->worker->engine->options.artifacts &&
	       status != STORE_RUNNING &&
	       (commit->run->is_unfiled ||
	        (status >= STORE_ENDED && !commit->worker->engine->options.has_no_audit_files));
}

/* Completes the item: row, snapshot, search keys; and hands it to the writer. */
void commit_submit(struct commit *commit)
{
	struct run *run = commit->run;
	int64_t wake_ms;
	int status = run_status_now(run, &wake_ms);
	bool owed_files = run->owes_files;
	commit->status_before = commit->is_start ? 0 : run->status;
	commit->status_after = status;
	run->is_unfiled = !commit->is_filed && (run->is_unfiled || commit->artifacts);
	run->owes_files = owes_files(commit, status);
	if (!commit->is_filed)
		run->updated_ms = engine_now(run->worker->engine);
	if (commit->is_start) {
		take_exclusive(commit);
		commit_pins(commit);
		fill_row(commit, commit_op(commit, STORE_OP_RUN_NEW), status, wake_ms);
		add_search(commit);
	} else if (status != run->status || wake_ms != run->wake_ms || run->owes_files ||
	           owed_files) {
		fill_row(commit, commit_op(commit, STORE_OP_RUN_SET), status, wake_ms);
		if (run->machine)
			add_search(commit);
	}
	/* A run that rests after its start needs none: replaying one record is as quick. */
	bool is_idle = (status == STORE_WAITING || status == STORE_PEOPLE) && run->head.seq > 1;
	if (run->machine &&
	    (is_idle || run->head.seq - run->snapshot_seq >= LIMIT_SNAPSHOT_RECORDS))
		add_snapshot(commit);
	commit->ends_run = status >= STORE_ENDED && !commit->is_filed;
	commit->item = (struct store_item){ .ops = commit->ops.at, .count = commit->ops.len };
	run->is_committing = true;
	run->worker->commits_open++;
	commit_push(commit);
}
