/* SPDX-License-Identifier: MIT */
/*
 * The access journal: who was denied, and who did what no run's journal tells -
 * tokens, schedules, audits that were read, bulk actions.  A chain of records
 * like a run's, under the number 0; the store's value "access" knows its head,
 * so that a tail that was cut off is missed.  Changed on the first worker alone.
 *
 * Whoever sends a flood of bad requests does not fill the disk: more than
 * RATE_PER_S a second are only counted, and the next record says how many.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "run/run_commit.h"

enum { RATE_PER_S = 20, LIST_MAX = 1000 };

struct access {
	struct journal_head head;
	int64_t second; /* of the wall clock, and how many records it has had */
	int in_second;
	int64_t suppressed;
	size_t open;            /* records that are not durable yet */
	struct question *asked; /* who wants to read waits for them */
};

struct question {
	struct question *next;
	json_t *request;
	struct asker asker;
};

static void keep_body(void *arg, int64_t seq, struct str body)
{
	(void)seq;
	*(json_t **)arg = json_loadb(body.ptr, body.len, 0, NULL);
}

static bool unhex(const char *text, unsigned char ret[JOURNAL_HASH_BYTES])
{
	for (int i = 0; i < JOURNAL_HASH_BYTES; i++) {
		unsigned int byte;
		if (sscanf(text + 2 * i, "%2x", &byte) != 1)
			return false;
		ret[i] = (unsigned char)byte;
	}
	return true;
}

int access_open(struct engine *engine, struct err *err)
{
	json_t *found = NULL;
	int status = engine->store->ops->meta(engine->store, "access", keep_body, &found, err);
	if (status < 0 && status != ERR_ABSENT)
		return status;
	err_clear(err);
	struct access *access = engine->access = mem_alloc(sizeof(*access));
	access->head.seq = json_int(found, "seq", 0);
	bool is_good = !found || unhex(json_str(found, "hash", ""), access->head.hash);
	json_decref(found);
	return is_good ? 0
	               : err_set_id(err, ERR_STORE, "access.broken",
	                            "the head of the access journal is broken");
}

void access_close(struct engine *engine)
{
	free(engine->access);
	engine->access = NULL;
}

bool access_is_op(const char *op)
{
	return str_begins(op, "access.");
}

/* --- writing -------------------------------------------------------------------------------- */

static void read_journal(struct engine *engine, const json_t *request, const struct asker *asker);

static void noted(struct commit *commit)
{
	struct access *access = commit->worker->engine->access;
	commit->worker->commits_open--;
	access->open--;
	while (access->open == 0 && access->asked) {
		struct question *question = access->asked;
		access->asked = question->next;
		read_journal(commit->worker->engine, question->request, &question->asker);
		json_decref(question->request);
		free(question);
	}
	reply_last(&commit->asker, json_object());
	commit_free(commit);
}

static bool is_too_many(struct access *access, int64_t now_ms)
{
	if (now_ms / 1000 != access->second) {
		access->second = now_ms / 1000;
		access->in_second = 0;
	}
	if (++access->in_second <= RATE_PER_S)
		return false;
	access->suppressed++;
	return true;
}

static void note(struct worker *worker, const json_t *request, const struct asker *asker)
{
	struct engine *engine = worker->engine;
	struct access *access = engine->access;
	int64_t now = engine_now(engine);
	if (is_too_many(access, now)) {
		reply_last(asker, json_object());
		return;
	}
	struct commit *commit = mem_alloc(sizeof(*commit));
	commit->message.commit = commit;
	commit->worker = worker;
	commit->asker = *asker;
	commit->done = noted;
	json_t *body = json_deep_copy(json_at(request, "what"));
	if (access->suppressed > 0)
		json_put_int(body, "suppressed", access->suppressed);
	access->suppressed = 0;
	size_t len;
	char hash[2 * JOURNAL_HASH_BYTES + 1];
	char *text = journal_seal(&access->head, "access", now, body, &len);
	struct store_op *record = vec_add(&commit->ops);
	record->kind = STORE_OP_RECORD;
	record->seq = access->head.seq;
	memcpy(record->hash, access->head.hash, sizeof(record->hash));
	record->body = (struct str){ commit_keep(commit, text), len };
	crypto_hex(access->head.hash, JOURNAL_HASH_BYTES, hash);
	json_t *head = json_pack("{s:I,s:s}", "seq", (json_int_t)access->head.seq, "hash", hash);
	struct store_op *meta = vec_add(&commit->ops);
	meta->kind = STORE_OP_META;
	meta->name = "access";
	meta->body = str_of(commit_keep(commit, json_canon(head)));
	json_decref(head);
	json_decref(body);
	commit->item = (struct store_item){ .ops = commit->ops.at, .count = commit->ops.len };
	worker->commits_open++;
	access->open++;
	writer_post(engine, &commit->message);
}

void access_note(struct worker *worker, json_t *what_taken)
{
	/* Always on the first worker: tokens and schedules are changed there. */
	json_t *request = json_pack("{s:o}", "what", what_taken);
	note(worker, request, &(struct asker){ NULL, NULL });
	json_decref(request);
}

/* --- reading -------------------------------------------------------------------------------- */

struct reading {
	json_t *records;
	int64_t from, limit, next;
};

static int take_record(void *arg, const json_t *record, struct err *err)
{
	struct reading *reading = arg;
	int64_t seq = json_int(record, "seq", 0);
	(void)err;
	if (seq < reading->from)
		return 0;
	if ((int64_t)json_array_size(reading->records) < reading->limit)
		json_push(reading->records, json_incref((json_t *)(uintptr_t)record));
	else if (reading->next == 0)
		reading->next = seq;
	return 0;
}

/* The whole chain is read, so that what is shown is what was written. */
static void list(struct engine *engine, const json_t *request, const struct asker *asker)
{
	int64_t limit = json_int(request, "limit", LIST_MAX);
	struct reading reading = { .records = json_array(),
		                   .from = json_int(request, "from", 1),
		                   .limit = limit < 1 || limit > LIST_MAX ? LIST_MAX : limit };
	struct journal_head head = { 0 };
	struct err err = { 0 };
	if (journal_read(engine->store, 0, &head, take_record, &reading, &err) < 0) {
		json_decref(reading.records);
		reply_error(asker, &err);
		return;
	}
	json_t *reply = json_pack("{s:o}", "records", reading.records);
	if (reading.next > 0)
		json_put_int(reply, "next", reading.next);
	reply_last(asker, reply);
}

static void verify(struct engine *engine, const struct asker *asker)
{
	struct reading reading = { .records = json_array(), .from = INT64_MAX };
	struct journal_head head = { 0 };
	struct err err = { 0 };
	json_t *kept = NULL, *findings = json_array();
	char hash[2 * JOURNAL_HASH_BYTES + 1];
	bool is_read = journal_read(engine->store, 0, &head, take_record, &reading, &err) == 0;
	crypto_hex(head.hash, JOURNAL_HASH_BYTES, hash);
	if (!is_read)
		json_push(findings, json_pack("{s:I,s:s}", "seq", (json_int_t)(head.seq + 1),
		                              "text", err.text));
	struct err absent = { 0 }; /* nothing was ever noted */
	(void)!engine->store->ops->meta(engine->store, "access", keep_body, &kept, &absent);
	if (is_read && (json_int(kept, "seq", 0) > head.seq ||
	                (json_int(kept, "seq", 0) == head.seq && kept &&
	                 strcmp(json_str(kept, "hash", ""), hash) != 0)))
		json_push(findings,
		          json_pack("{s:I,s:s}", "seq", (json_int_t)head.seq + 1, "text",
		                    "the journal is not the one that its head was kept of"));
	reply_last(asker, json_pack("{s:{s:b,s:I,s:o,s:s}}", "verify", "ok",
	                            json_array_size(findings) == 0, "records", (json_int_t)head.seq,
	                            "findings", findings, "head", hash));
	json_decref(reading.records);
	json_decref(kept);
}

static void read_journal(struct engine *engine, const json_t *request, const struct asker *asker)
{
	if (strcmp(json_str(request, "op", ""), "access.list") == 0)
		list(engine, request, asker);
	else
		verify(engine, asker);
}

/* Whoever reads sees what was noted before. */
static void read_later(struct access *access, const json_t *request, const struct asker *asker)
{
	struct question *question = mem_alloc(sizeof(*question));
	question->request = json_deep_copy(request);
	question->asker = *asker;
	question->next = access->asked;
	access->asked = question;
}

void access_request(struct worker *worker, const json_t *request, const struct asker *asker)
{
	const char *op = json_str(request, "op", "");
	struct err err = { 0 };
	if (strcmp(op, "access.note") == 0 && json_is_object(json_at(request, "what"))) {
		note(worker, request, asker);
	} else if (strcmp(op, "access.list") == 0 || strcmp(op, "access.verify") == 0) {
		if (worker->engine->access->open > 0)
			read_later(worker->engine->access, request, asker);
		else
			read_journal(worker->engine, request, asker);
	} else {
		err_set_id(&err, ERR_INPUT, "request.op", "the engine knows no request '%.60s'",
		           op);
		reply_error(asker, &err);
	}
}
