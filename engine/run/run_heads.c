/* SPDX-License-Identifier: MIT */
/*
 * Signed heads (DESIGN.md 6).  The chain of a run shows an edit, but not that the
 * whole run is gone, that its tail was cut, or that all of it was hashed anew by
 * somebody who can write the store.  A head shows it: it names the last record of
 * each run that was written to since the head before, names that head by its
 * hash, and is signed with a key that is not in the store.
 *
 *   {"head":{"v":1,"n":N,"at":ms,"prev":SHA-256 of head N-1,"records":count,
 *            "runs":{NO:[seq,hash]}},"sha256":of the canonical head,"sig":hex}
 *
 * One is made when 1,000 records are not covered yet, after 60 s, and when the
 * engine stops.  It stands in the store ("head:N"), and is appended as a line to
 * a file, which belongs where the store's administrator cannot write.  While the
 * engine runs the store says that something may be left over ("head.rest"); after
 * a crash every run that may have been written to since the last head is covered
 * by the next one.
 *
 * All of it happens on the writer's thread, after the commits it covers.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crypto.h"
#include "run/run_int.h"

struct head_run {
	int64_t seq;
	unsigned char hash[JOURNAL_HASH_BYTES];
};

struct heads {
	struct crypto_key *key;
	struct map runs; /* not covered yet: decimal no -> struct head_run */
	size_t records;
	int64_t n; /* of the last head */
	char prev[SHA256_HEX];
};

/* --- what is not covered ---------------------------------------------------------------------- */

static void note(struct heads *heads, int64_t no, int64_t seq, const unsigned char *hash)
{
	char key[24];
	snprintf(key, sizeof(key), "%lld", (long long)no);
	struct head_run *run = map_get(&heads->runs, key);
	if (!run) {
		run = mem_alloc(sizeof(*run));
		map_set(&heads->runs, key, run);
	}
	run->seq = seq;
	memcpy(run->hash, hash, sizeof(run->hash));
	heads->records++;
}

void heads_note(struct engine *engine, const struct store_item *items, size_t count)
{
	struct heads *heads = engine->heads;
	for (size_t i = 0; heads && i < count; i++) {
		for (size_t j = 0; items[i].result == 0 && j < items[i].count; j++) {
			const struct store_op *op = &items[i].ops[j];
			if (op->kind == STORE_OP_RECORD)
				note(heads, op->no, op->seq, op->hash);
		}
	}
}

bool heads_is_full(const struct engine *engine)
{
	return engine->heads && engine->heads->records >= LIMIT_HEAD_RECORDS;
}

static void forget_runs(struct heads *heads)
{
	struct map_entry *entry;
	for (size_t i = 0; (entry = map_each(&heads->runs, &i));)
		free(entry->value);
	map_release(&heads->runs);
	map_init(&heads->runs);
	heads->records = 0;
}

/* --- making one ------------------------------------------------------------------------------- */

static json_t *head_json(struct engine *engine)
{
	struct heads *heads = engine->heads;
	struct map_entry *entry;
	json_t *runs = json_object();
	for (size_t i = 0; (entry = map_each(&heads->runs, &i));) {
		const struct head_run *run = entry->value;
		char hash[2 * JOURNAL_HASH_BYTES + 1];
		crypto_hex(run->hash, sizeof(run->hash), hash);
		json_put(runs, entry->key, json_pack("[I,s]", (json_int_t)run->seq, hash));
	}
	return json_pack("{s:i,s:I,s:I,s:s,s:I,s:o}", "v", 1, "n", (json_int_t)heads->n + 1, "at",
	                 (json_int_t)engine_now(engine), "prev", heads->prev, "records",
	                 (json_int_t)heads->records, "runs", runs);
}

/* The line is the export; the store has it too, should the file be lost. */
static void export_line(struct engine *engine, const char *line)
{
	const char *path = engine->options.heads_file;
	if (!path || engine->ground)
		return;
	char *text = mem_format("%s\n", line);
	size_t len = strlen(text);
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, text, len) != (ssize_t)len || fdatasync(fd) < 0)
		engine_log(engine, "error", "heads.unwritable",
		           json_pack("{s:s,s:s}", "path", path, "text", strerror(errno)));
	if (fd >= 0)
		close(fd);
	free(text);
}

static int store_line(struct engine *engine, int64_t n, const char *line, struct err *err)
{
	char name[32], last[24];
	snprintf(name, sizeof(name), "head:%lld", (long long)n);
	snprintf(last, sizeof(last), "%lld", (long long)n);
	const struct store_op ops[] = {
		{ .kind = STORE_OP_META, .name = name, .body = str_of(line) },
		{ .kind = STORE_OP_META, .name = "head.last", .body = str_of(last) },
	};
	struct store_item item = { .ops = ops, .count = 2 };
	return engine->store->ops->apply(engine->store, &item, 1, err);
}

void heads_make(struct engine *engine)
{
	struct heads *heads = engine->heads;
	struct err err = { 0 };
	if (!heads || heads->records == 0 || engine->is_broken)
		return;
	json_t *head = head_json(engine);
	char *text = json_canon(head), hash[SHA256_HEX];
	struct buf sig;
	buf_init(&sig, 1024);
	crypto_sha256_hex(str_of(text), hash);
	must(crypto_sign(heads->key, CRYPTO_EDDSA, str_of(text), &sig, &err) == 0);
	char *hex = mem_alloc(2 * sig.len + 1);
	crypto_hex((const unsigned char *)sig.bytes, sig.len, hex);
	json_t *signed_head = json_pack("{s:o,s:s,s:s}", "head", head, "sha256", hash, "sig", hex);
	char *line = json_canon(signed_head);
	if (store_line(engine, heads->n + 1, line, &err) < 0) {
		writer_stop_process(engine, &err);
	} else {
		export_line(engine, line);
		heads->n++;
		memcpy(heads->prev, hash, sizeof(hash));
		forget_runs(heads);
	}
	free(line);
	json_decref(signed_head);
	free(hex);
	buf_release(&sig);
	free(text);
}

/* --- opening ---------------------------------------------------------------------------------- */

static void keep_text(void *arg, int64_t seq, struct str body)
{
	(void)seq;
	*(char **)arg = mem_dup(body.ptr, body.len);
}

/* ERR_ABSENT: there is none of that name. */
static int read_text(struct engine *engine, const char *name, char **ret, struct err *err)
{
	*ret = NULL;
	return engine->store->ops->meta(engine->store, name, keep_text, ret, err);
}

static int read_last(struct engine *engine, int64_t *ret_at_ms, struct err *err)
{
	char *last, *line = NULL, name[32];
	*ret_at_ms = 0;
	int status = read_text(engine, "head.last", &last, err);
	if (status == ERR_ABSENT) {
		err_clear(err);
		return 0;
	}
	if (status < 0)
		return status;
	engine->heads->n = strtoll(last, NULL, 10);
	free(last);
	snprintf(name, sizeof(name), "head:%lld", (long long)engine->heads->n);
	status = read_text(engine, name, &line, err);
	json_t *json = line ? json_loads(line, 0, NULL) : NULL;
	*ret_at_ms = json_int(json_at(json, "head"), "at", 0);
	snprintf(engine->heads->prev, SHA256_HEX, "%s", json_str(json, "sha256", ""));
	json_decref(json);
	free(line);
	return status;
}

struct uncovered {
	int64_t since_ms;
	VEC(int64_t) nos;
};

static void keep_uncovered(void *arg, const struct store_run *row)
{
	enum { CLOCK_MS = 2 * 3600 * 1000 }; /* what clocks may jump */
	struct uncovered *uncovered = arg;
	if (row->status < STORE_ENDED || row->updated_ms >= uncovered->since_ms - CLOCK_MS)
		*vec_add(&uncovered->nos) = row->no;
}

struct tail {
	struct heads *heads;
	int64_t no, seq;
	unsigned char hash[JOURNAL_HASH_BYTES];
};

static bool keep_tail(void *arg, int64_t seq, const unsigned char hash[32], struct str body)
{
	struct tail *tail = arg;
	(void)body;
	tail->seq = seq;
	memcpy(tail->hash, hash, sizeof(tail->hash));
	return true;
}

/* What was committed since the last head, if the process died before the next. */
static int cover_rest(struct engine *engine, int64_t since_ms, struct err *err)
{
	struct uncovered uncovered = { .since_ms = since_ms };
	struct store_filter filter = { 0 };
	int status = engine->store->ops->runs(engine->store, &filter, keep_uncovered, &uncovered,
	                                      err);
	for (size_t i = 0; status == 0 && i < uncovered.nos.len; i++) {
		struct tail tail = { .no = uncovered.nos.at[i] };
		status = engine->store->ops->records(engine->store, tail.no, 1, keep_tail, &tail,
		                                     err);
		if (status == 0 && tail.seq > 0)
			note(engine->heads, tail.no, tail.seq, tail.hash);
	}
	vec_release(&uncovered.nos);
	return status;
}

/* Does the store end with a head, or may records have come after it? */
static int set_rest(struct engine *engine, bool has_rest, struct err *err)
{
	const struct store_op op = { .kind = STORE_OP_META,
		                     .name = "head.rest",
		                     .body = has_rest ? STR_LIT("some") : STR_LIT("none") };
	struct store_item item = { .ops = &op, .count = 1 };
	return engine->store->ops->apply(engine->store, &item, 1, err);
}

static bool has_rest(struct engine *engine)
{
	struct err ignored = { 0 };
	char *rest = NULL;
	bool ret = read_text(engine, "head.rest", &rest, &ignored) < 0 || strcmp(rest, "none") != 0;
	free(rest);
	return ret;
}

void heads_stop(struct engine *engine)
{
	struct err err = { 0 };
	heads_make(engine);
	if (engine->heads && !engine->is_broken && set_rest(engine, false, &err) < 0)
		writer_stop_process(engine, &err);
}

int heads_open(struct engine *engine, struct err *err)
{
	int64_t at_ms;
	if (!engine->options.audit_key || engine->options.is_looking)
		return 0;
	engine->heads = mem_alloc(sizeof(*engine->heads));
	map_init(&engine->heads->runs);
	memset(engine->heads->prev, '0', SHA256_HEX - 1);
	if (crypto_key_read(str_of(engine->options.audit_key), &engine->heads->key, err) < 0 ||
	    crypto_key_check(engine->heads->key, CRYPTO_EDDSA, err) < 0)
		return err_wrap(err, "audit.key");
	if (read_last(engine, &at_ms, err) < 0)
		return err->code;
	if (has_rest(engine) && cover_rest(engine, at_ms, err) < 0)
		return err->code;
	return set_rest(engine, true, err);
}

void heads_close(struct engine *engine)
{
	if (!engine->heads)
		return;
	forget_runs(engine->heads);
	map_release(&engine->heads->runs);
	crypto_key_free(engine->heads->key);
	free(engine->heads);
	engine->heads = NULL;
}

/* --- verifying -------------------------------------------------------------------------------- */

struct looking {
	int64_t want;
	struct journal_head head; /* how far the chain holds */
	struct err err;
};

static bool follow_chain(void *arg, int64_t seq, const unsigned char hash[32], struct str body)
{
	struct looking *looking = arg;
	json_t *record;
	if (journal_open(&looking->head, seq, hash, body, &record, &looking->err) < 0)
		return false;
	json_decref(record);
	return seq < looking->want;
}

static const char *judge(const struct looking *looking, const char *signed_hash)
{
	char hex[2 * JOURNAL_HASH_BYTES + 1];
	crypto_hex(looking->head.hash, sizeof(looking->head.hash), hex);
	if (looking->err.code < 0)
		return looking->err.text;
	if (looking->head.seq < looking->want)
		return "the record that was signed is not there";
	return strcmp(hex, signed_hash) == 0 ? NULL : "the record is another than the one signed";
}

json_t *heads_compare(struct engine *engine, const json_t *head, struct err *err)
{
	const char *no;
	json_t *entry, *findings = json_array();
	json_object_foreach(json_at(head, "runs"), no, entry) {
		struct looking looking = { .want = json_integer_value(json_array_get(entry, 0)) };
		const char *hash = json_string_value(json_array_get(entry, 1));
		if (engine->store->ops->records(engine->store, strtoll(no, NULL, 10), 1,
		                                follow_chain, &looking, err) < 0) {
			json_decref(findings);
			return NULL;
		}
		const char *why = judge(&looking, hash ? hash : "");
		if (why)
			json_push(findings,
			          json_pack("{s:s,s:I,s:s}", "run", no, "seq",
			                    (json_int_t)looking.head.seq + 1, "text", why));
	}
	return findings;
}

int64_t heads_last(struct engine *engine)
{
	struct err ignored = { 0 };
	char *last = NULL;
	int64_t ret = read_text(engine, "head.last", &last, &ignored) == 0 ? strtoll(last, NULL, 10)
	                                                                   : 0;
	free(last);
	return ret;
}
