/* SPDX-License-Identifier: MIT */
/*
 * Falsified journals: whatever somebody does to the records or the row of a
 * run, audit.verify must say so, and must name a record from which on nothing
 * is to be trusted.
 *
 * Real runs are made with the real engine in memory.  Then a store that lies
 * stands in front of the engine's: it gives the run's row and records as one
 * seeded mutation left them.  After each the unspoilt run must verify again at
 * the end, so that no finding comes from the test itself.
 *
 * GANGWAY_CASES=n makes n mutations (default 1000), GANGWAY_SEED=n starts elsewhere.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "base/mem.h"
#include "base/rand.h"
#include "check.h"
#include "plugin/plugin.h"
#include "run/run_int.h"
#include "script/script.h"

enum { RUNS = 6, RECORDS_MAX = 64, CASES = 1000, SHOWN_MAX = 20 };

struct row {
	int64_t seq;
	unsigned char hash[JOURNAL_HASH_BYTES];
	char *body;
	size_t len;
};

/* One run as the store gives it. */
struct tale {
	int64_t no;
	char *id, *graph, *correlation_id, *summary;
	int status;
	int64_t created_ms, updated_ms;
	struct row rows[RECORDS_MAX];
	size_t count;
};

/* Takes the place of a store's table of functions; those that do not lie are the store's own. */
struct liar {
	struct store_ops ops; /* first: the store's ops point here */
	const struct store_ops *honest;
	const struct tale *told; /* NULL: the truth */
};

struct bench {
	struct engine *engine;
	struct plugins *plugins;
	struct liar liar;
	struct tale tales[RUNS];
	json_t *files[RUNS]; /* the audit of each, as it was handed out */
	pthread_mutex_t lock;
	pthread_cond_t done;
	json_t *reply;
};

/* --- a store that lies -------------------------------------------------------------------- */

static int lie_row(struct store *store, int64_t no, store_run_cb *cb, void *arg, struct err *err)
{
	const struct liar *liar = (const struct liar *)(const void *)store->ops;
	const struct tale *t = liar->told;
	if (!t || t->no != no)
		return liar->honest->run_by_no(store, no, cb, arg, err);
	const struct store_run row = { .no = no,
		                       .id = t->id,
		                       .graph = t->graph,
		                       .correlation_id = t->correlation_id,
		                       .status = t->status,
		                       .created_ms = t->created_ms,
		                       .updated_ms = t->updated_ms,
		                       .wake_ms = -1,
		                       .summary = t->summary };
	cb(arg, &row);
	return 0;
}

static int lie_records(struct store *store, int64_t no, int64_t from, store_record_cb *cb,
                       void *arg, struct err *err)
{
	const struct liar *liar = (const struct liar *)(const void *)store->ops;
	const struct tale *t = liar->told;
	if (!t || t->no != no)
		return liar->honest->records(store, no, from, cb, arg, err);
	for (size_t i = 0; i < t->count; i++) {
		const struct row *row = &t->rows[i];
		if (row->seq >= from &&
		    !cb(arg, row->seq, row->hash, (struct str){ row->body, row->len }))
			break;
	}
	return 0;
}

/* --- the engine --------------------------------------------------------------------------- */

static void answered(void *arg, const json_t *reply, bool is_last)
{
	struct bench *bench = arg;
	if (!is_last)
		return;
	pthread_mutex_lock(&bench->lock);
	bench->reply = json_deep_copy(reply);
	pthread_cond_signal(&bench->done);
	pthread_mutex_unlock(&bench->lock);
}

static json_t *ask(struct bench *bench, json_t *request_taken)
{
	engine_request(bench->engine, request_taken, answered, bench);
	pthread_mutex_lock(&bench->lock);
	while (!bench->reply)
		pthread_cond_wait(&bench->done, &bench->lock);
	json_t *ret = bench->reply;
	bench->reply = NULL;
	pthread_mutex_unlock(&bench->lock);
	json_decref(request_taken);
	return ret;
}

static bool open_engine(struct bench *bench)
{
	static const char folder[] = SRCDIR "/tests/audit";
	char *graphs = mem_format("%s/graphs", folder), *rules = mem_format("%s/rules", folder);
	json_t *connections = json_object();
	struct err err = { 0 };
	bench->plugins = plugins_new();
	struct engine_options options = {
		.store_path = "memory:",
		.graphs = graphs,
		.rules = rules,
		.connections = connections,
		.version = "test",
		.workers = 1,
		.clock = clock_system(),
		.plugins = bench->plugins,
		.scripting = &script_ops,
	};
	pthread_mutex_init(&bench->lock, NULL);
	pthread_cond_init(&bench->done, NULL);
	bool ok = engine_open(&options, &bench->engine, &err) == 0;
	CHECK_MSG(ok, "the engine opens: %s", err.text);
	free(graphs);
	free(rules);
	json_decref(connections);
	return ok;
}

/* --- runs worth falsifying ----------------------------------------------------------------- */

static void copy_row(void *arg, const struct store_run *row)
{
	struct tale *t = arg;
	t->no = row->no;
	t->id = mem_dup_str(row->id);
	t->graph = mem_dup_str(row->graph);
	t->correlation_id = mem_dup_str(row->correlation_id);
	t->summary = mem_dup_str(row->summary);
	t->status = row->status;
	t->created_ms = row->created_ms;
	t->updated_ms = row->updated_ms;
}

static bool copy_record(void *arg, int64_t seq, const unsigned char hash[32], struct str body)
{
	struct tale *t = arg;
	if (t->count == RECORDS_MAX)
		return false;
	struct row *row = &t->rows[t->count++];
	row->seq = seq;
	memcpy(row->hash, hash, sizeof(row->hash));
	row->body = mem_dup(body.ptr, body.len);
	row->len = body.len;
	return true;
}

static void finish_run(struct bench *bench, size_t i)
{
	json_t *request = json_pack("{s:s,s:s,s:s,s:{s:{s:s,s:i}},s:b}", "op", "run.start", "graph",
	                            "credit", "correlation_id", "", "input", "facts", "name",
	                            i & 1 ? "Ann" : "Bob", "amount",
	                            i < 2 ? 400 : 1200 + 4 * (int)i, "wait", 1);
	char key[24];
	snprintf(key, sizeof(key), "credit-%zu", i);
	json_put_str(request, "correlation_id", key);
	json_t *reply = ask(bench, request);
	json_t *run = json_incref(json_at(reply, "run"));
	json_decref(reply);
	if (strcmp(json_str(run, "status", ""), "ended") != 0) {
		char *task = mem_format("%s.1", json_str(run, "id", ""));
		json_t *list = ask(bench, json_pack("{s:s,s:s}", "op", "task.list", "run",
		                                    json_str(run, "id", "")));
		const json_t *first = json_array_get(json_at(list, "tasks"), 0);
		json_decref(ask(bench, json_pack("{s:s,s:s,s:s,s:s}", "op", "task.answer", "task",
		                                 json_str(first, "id", task), "outcome",
		                                 i == 5 ? "rejected" : "approved", "by", "eve")));
		json_decref(ask(bench, json_pack("{s:s,s:s}", "op", "run.wait", "run",
		                                 json_str(run, "id", ""))));
		json_decref(list);
		free(task);
	}
	struct err err = { 0 };
	struct store *store = bench->engine->store;
	CHECK(store->ops->run_by_id(store, json_str(run, "id", ""), copy_row, &bench->tales[i],
	                            &err) == 0);
	CHECK(store->ops->records(store, bench->tales[i].no, 1, copy_record, &bench->tales[i],
	                          &err) == 0);
	json_decref(run);
	CHECK_MSG(bench->tales[i].status == STORE_ENDED && bench->tales[i].count >= 2,
	          "run %zu ended after %zu records", i, bench->tales[i].count);
	reply = ask(bench, json_pack("{s:s,s:s}", "op", "audit.show", "run", bench->tales[i].id));
	bench->files[i] = json_incref(json_at(reply, "audit"));
	CHECK(bench->files[i] != NULL);
	json_decref(reply);
}

/* --- mutations ------------------------------------------------------------------------------- */

enum kind {
	EDIT,         /* one byte of a record */
	EDIT_HASH,    /* one byte of a stored hash */
	EDIT_BOTH,    /* a byte, and the record's own hash made anew */
	DELETE,       /* a record is gone */
	DELETE_CLOSE, /* and those after it are numbered anew */
	INSERT,       /* a copy of one record before another */
	FOREIGN,      /* another run's record in its place */
	SWAP,         /* two records change places */
	TRUNCATE,     /* the last ones are gone */
	REHASH,       /* a value is changed and the chain hashed anew */
	REHASH_ROW,   /* and the row's head with it: the audit file knows better */
	CUT_ROW,      /* the tail is gone, and the row says what is left */
	ROW_STATUS,   /* the row says that the run did not end, or was cancelled */
	ROW_RESULT,   /* another result, search value or state in the row */
	ROW_NAME,     /* another id, graph or correlation id in the row */
	KINDS
};

static const char *const kind_names[KINDS] = { "edit",       "edit_hash",    "edit_both",
	                                       "delete",     "delete_close", "insert",
	                                       "foreign",    "swap",         "truncate",
	                                       "rehash",     "rehash_row",   "cut_row",
	                                       "row_status", "row_result",   "row_name" };

/* What one mutation did: the first record that differs; 0: only the row does. */
struct done {
	enum kind kind;
	int64_t first;
	bool needs_file; /* the row was made to fit: only the audit file can know */
};

static void copy_tale(const struct tale *from, struct tale *to)
{
	*to = *from;
	to->id = mem_dup_str(from->id);
	to->graph = mem_dup_str(from->graph);
	to->correlation_id = mem_dup_str(from->correlation_id);
	to->summary = mem_dup_str(from->summary);
	for (size_t i = 0; i < from->count; i++)
		to->rows[i].body = mem_dup(from->rows[i].body, from->rows[i].len);
}

static void free_tale(struct tale *t)
{
	free(t->id);
	free(t->graph);
	free(t->correlation_id);
	free(t->summary);
	for (size_t i = 0; i < t->count; i++)
		free(t->rows[i].body);
}

static void hash_of(const char *body, size_t len, unsigned char ret[JOURNAL_HASH_BYTES])
{
	char *text = mem_format("gw-journal-v1\n%.*s", (int)len, body);
	crypto_sha256(str_of(text), ret);
	free(text);
}

/* Makes the chain good again from index on: what somebody with the source code would do. */
static void rehash(struct tale *t, size_t from)
{
	for (size_t i = from; i < t->count; i++) {
		struct row *row = &t->rows[i];
		json_t *json = json_loadb(row->body, row->len, 0, NULL);
		char prev[2 * JOURNAL_HASH_BYTES + 1] =
			"0000000000000000000000000000000000000000000000000000000000000000";
		if (i > 0)
			crypto_hex(t->rows[i - 1].hash, JOURNAL_HASH_BYTES, prev);
		json_put_str(json, "prev", prev);
		json_put_int(json, "seq", (int64_t)i + 1);
		row->seq = (int64_t)i + 1;
		free(row->body);
		row->body = json_canon(json);
		row->len = strlen(row->body);
		hash_of(row->body, row->len, row->hash);
		json_decref(json);
	}
}

/* The row goes along with the falsified chain. */
static void mend_row(struct tale *t)
{
	json_t *summary = json_loads(t->summary, 0, NULL);
	char hex[2 * JOURNAL_HASH_BYTES + 1];
	crypto_hex(t->rows[t->count - 1].hash, JOURNAL_HASH_BYTES, hex);
	json_put(summary, "head", json_pack("{s:I,s:s}", "seq", (json_int_t)t->count, "hash", hex));
	free(t->summary);
	t->summary = json_canon(summary);
	json_decref(summary);
}

/* Every value below, so that one can be chosen. */
static void gather(json_t *json, json_t **found, size_t *count, size_t limit)
{
	const char *key;
	size_t i;
	json_t *value;
	if (*count == limit)
		return;
	if (json_is_object(json)) {
		json_object_foreach(json, key, value)
			if (strcmp(key, "prev") != 0 && strcmp(key, "seq") != 0)
				gather(value, found, count, limit);
	} else if (json_is_array(json)) {
		json_array_foreach(json, i, value)
			gather(value, found, count, limit);
	} else if (json_is_string(json) || json_is_integer(json) || json_is_real(json)) {
		found[(*count)++] = json;
	}
}

static void change_value(json_t *value, const struct rand *rand)
{
	if (json_is_string(value)) {
		char *text = mem_format("%s%c", json_string_value(value),
		                        'a' + (int)rand_below(rand, 26));
		json_string_set(value, text);
		free(text);
	} else if (json_is_integer(value)) {
		json_integer_set(value, json_integer_value(value) + 1 +
		                                (json_int_t)rand_below(rand, 1000));
	} else {
		json_real_set(value, json_real_value(value) + 1);
	}
}

static void change_record(struct row *row, const struct rand *rand)
{
	json_t *json = json_loadb(row->body, row->len, 0, NULL);
	json_t *values[400];
	size_t count = 0;
	gather(json, values, &count, 400);
	change_value(values[rand_below(rand, count)], rand);
	free(row->body);
	row->body = json_canon(json);
	row->len = strlen(row->body);
	json_decref(json);
}

static void remove_rows(struct tale *t, size_t at, size_t count)
{
	for (size_t i = at; i < at + count; i++)
		free(t->rows[i].body);
	memmove(&t->rows[at], &t->rows[at + count], (t->count - at - count) * sizeof(t->rows[0]));
	t->count -= count;
}

static void number_from(struct tale *t, size_t at)
{
	for (size_t i = at; i < t->count; i++)
		t->rows[i].seq = (int64_t)i + 1;
}

static void insert_copy(struct tale *t, size_t at, const struct row *from)
{
	struct row copy = *from;
	copy.body = mem_dup(from->body, from->len);
	memmove(&t->rows[at + 1], &t->rows[at], (t->count - at) * sizeof(t->rows[0]));
	t->rows[at] = copy;
	t->count++;
	number_from(t, at);
}

static void change_byte(char *bytes, size_t len, const struct rand *rand)
{
	size_t at = (size_t)rand_below(rand, len);
	bytes[at] = (char)(bytes[at] ^ (char)(1 + rand_below(rand, 127)));
}

static void change_row_name(struct tale *t, const struct rand *rand)
{
	char **names[] = { &t->id, &t->graph, &t->correlation_id };
	char **name = names[rand_below(rand, 3)];
	char *other = mem_format("%sx", *name);
	free(*name);
	*name = other;
}

static void change_row_result(struct tale *t, const struct rand *rand)
{
	static const char *const members[] = { "search", "result", "states", "release", "head" };
	json_t *summary = json_loads(t->summary, 0, NULL);
	json_t *values[100];
	size_t count = 0;
	gather(json_object_get(summary, members[rand_below(rand, 5)]), values, &count, 100);
	if (count == 0)
		gather(json_object_get(summary, "result"), values, &count, 100);
	change_value(values[rand_below(rand, count)], rand);
	free(t->summary);
	t->summary = json_canon(summary);
	json_decref(summary);
}

/* Changes of records; ret->first is the first one that is not what it was. */
static void mutate_records(struct tale *t, const struct tale *other, const struct rand *rand,
                           struct done *ret)
{
	size_t at = (size_t)rand_below(rand, t->count), last = t->count - 1;
	struct row *row = &t->rows[at], swapped;
	size_t from = at;
	ret->first = (int64_t)at + 1;
	switch ((int)ret->kind) {
	case EDIT: change_byte(row->body, row->len, rand); break;
	case EDIT_HASH: change_byte((char *)row->hash, sizeof(row->hash), rand); break;
	case EDIT_BOTH:
		change_record(row, rand);
		hash_of(row->body, row->len, row->hash);
		break;
	case DELETE:
	case DELETE_CLOSE:
		remove_rows(t, at, 1);
		if (ret->kind == DELETE_CLOSE)
			number_from(t, at);
		break;
	case INSERT:
		from = (size_t)rand_below(rand, t->count);
		insert_copy(t, at, &t->rows[from]);
		ret->first += from == at; /* the copy in its own place is the record */
		break;
	case FOREIGN:
		at = at % other->count;
		ret->first = (int64_t)at + 1;
		free(t->rows[at].body);
		t->rows[at] = other->rows[at];
		t->rows[at].body = mem_dup(other->rows[at].body, other->rows[at].len);
		break;
	case SWAP:
		from = (at + 1 + (size_t)rand_below(rand, last)) % t->count;
		swapped = t->rows[at];
		t->rows[at] = t->rows[from];
		t->rows[from] = swapped;
		number_from(t, 0);
		ret->first = (int64_t)(at < from ? at : from) + 1;
		break;
	case TRUNCATE:
	case CUT_ROW:
		at = ret->kind == CUT_ROW && at == 0 ? 1 : at;
		ret->first = (int64_t)at + 1;
		remove_rows(t, at, t->count - at);
		break;
	default: /* REHASH, REHASH_ROW */
		change_record(row, rand);
		rehash(t, at);
		break;
	}
	if (ret->kind == REHASH_ROW || ret->kind == CUT_ROW) {
		mend_row(t);
		ret->needs_file = true;
	}
}

static void mutate(struct tale *t, const struct tale *other, const struct rand *rand,
                   struct done *ret)
{
	*ret = (struct done){ .kind = (enum kind)rand_below(rand, KINDS) };
	if (ret->kind == ROW_STATUS)
		t->status = (int[]){ STORE_RUNNING, STORE_PEOPLE, STORE_BLOCKED,
			             STORE_CANCELLED }[rand_below(rand, 4)];
	else if (ret->kind == ROW_RESULT)
		change_row_result(t, rand);
	else if (ret->kind == ROW_NAME)
		change_row_name(t, rand);
	else
		mutate_records(t, other, rand, ret);
}

/* --- what verify says ------------------------------------------------------------------------ */

struct counts {
	long tried[KINDS], found[KINDS], exact[KINDS], missed;
	long alone; /* of those for which the audit file is there: found without it */
	long with_file;
};

static json_t *verify(struct bench *bench, size_t i, const struct tale *told, bool has_file)
{
	json_t *request = json_pack("{s:s,s:s}", "op", "audit.verify", "run", bench->tales[i].id);
	if (has_file)
		json_put(request, "file", json_incref(bench->files[i]));
	bench->liar.told = told;
	json_t *reply = ask(bench, request);
	bench->liar.told = NULL;
	json_t *ret = json_incref(json_at(reply, "verify"));
	if (!ret)
		ret = json_pack("{s:b,s:O}", "ok", 0, "error", json_at(reply, "error"));
	json_decref(reply);
	return ret;
}

static void report_missed(const struct done *done, uint64_t seed, const json_t *said)
{
	char *text = json_dumps(said, 0);
	check_that(false, __FILE__, __LINE__, "seed %llu: %s from record %lld on: %s",
	           (unsigned long long)seed, kind_names[done->kind], (long long)done->first, text);
	free(text);
}

static void try_one(struct bench *bench, uint64_t seed, struct counts *counts)
{
	uint64_t state = seed;
	struct rand rand = rand_seeded(&state);
	size_t i = (size_t)rand_below(&rand, RUNS);
	struct tale *t = mem_alloc(sizeof(*t));
	struct done done;
	copy_tale(&bench->tales[i], t);
	mutate(t, &bench->tales[(i + 1 + rand_below(&rand, RUNS - 1)) % RUNS], &rand, &done);
	json_t *said = verify(bench, i, t, done.needs_file);
	int64_t bad = json_int(said, "first_bad", 0);
	bool is_found = !json_truth(said, "ok", true);
	/*
	 * Where a record's own hash was made anew, the one after it is the first to disagree; and
	 * who rewrote the whole chain is found at the latest where the row's head stands.
	 */
	bool is_late_fine = done.kind == REHASH ||
	                    ((done.kind == EDIT_BOTH || done.kind == FOREIGN) &&
	                     bad == done.first + 1);
	bool is_exact = done.first == 0 || bad == done.first;
	counts->tried[done.kind]++;
	counts->found[done.kind] += is_found;
	counts->exact[done.kind] += is_exact;
	if ((!is_found || (!is_exact && (!is_late_fine || bad < done.first))) &&
	    ++counts->missed <= SHOWN_MAX)
		report_missed(&done, seed, said);
	json_decref(said);
	if (done.needs_file) {
		said = verify(bench, i, t, false);
		counts->with_file++;
		counts->alone += !json_truth(said, "ok", true);
		json_decref(said);
	}
	free_tale(t);
	free(t);
}

static void check_truth(struct bench *bench)
{
	for (size_t i = 0; i < RUNS; i++) {
		json_t *said = verify(bench, i, NULL, true);
		char *text = json_dumps(said, 0);
		CHECK_MSG(json_truth(said, "ok", false), "run %zu as it is verifies: %s", i, text);
		free(text);
		json_decref(said);
	}
}

static long number_of(const char *name, long otherwise)
{
	const char *text = getenv(name);
	return text ? strtol(text, NULL, 10) : otherwise;
}

int main(void)
{
	mem_install();
	struct bench *bench = mem_alloc(sizeof(*bench));
	struct counts counts = { 0 };
	long cases = number_of("GANGWAY_CASES", CASES);
	uint64_t seed = (uint64_t)number_of("GANGWAY_SEED", 1);
	if (!open_engine(bench))
		return check_done();
	for (size_t i = 0; i < RUNS; i++)
		finish_run(bench, i);
	struct store *store = bench->engine->store;
	bench->liar.honest = store->ops;
	bench->liar.ops = *store->ops;
	bench->liar.ops.run_by_no = lie_row;
	bench->liar.ops.records = lie_records;
	store->ops = &bench->liar.ops;
	check_truth(bench);
	for (long i = 0; i < cases; i++)
		try_one(bench, seed + (uint64_t)i, &counts);
	check_truth(bench);
	for (int i = 0; i < KINDS; i++)
		CHECK_MSG(counts.found[i] == counts.tried[i] &&
		                  (counts.tried[i] > 0 || cases < CASES),
		          "%s: %ld made, %ld found, %ld with the very first record", kind_names[i],
		          counts.tried[i], counts.found[i], counts.exact[i]);
	printf("# rewritten with their row: %ld, found without the audit file: %ld\n",
	       counts.with_file, counts.alone);
	CHECK_MSG(counts.missed == 0, "%ld mutations were missed or misplaced", counts.missed);
	store->ops = bench->liar.honest;
	engine_close(bench->engine);
	plugins_free(bench->plugins);
	for (size_t i = 0; i < RUNS; i++) {
		json_decref(bench->files[i]);
		free_tale(&bench->tales[i]);
	}
	free(bench);
	return check_done();
}
