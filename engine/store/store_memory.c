/* SPDX-License-Identifier: MIT */
/*
 * The store that forgets: everything in memory, the same contract as the
 * SQLite one (tests/store runs one suite over both).  Rows are kept in growing
 * arrays and searched in order; it serves tests and the simulator, not load.
 *
 * One mutex: readers' callbacks run under it, as they run under the reader's
 * lock of the SQLite store, so a callback must not call the store again.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/must.h"
#include "base/vec.h"
#include "store/store.h"

struct memory_run {
	struct store_run row; /* its texts are ours */
};

struct memory_record {
	int64_t run, seq;
	unsigned char hash[32];
	char *body;
	size_t len;
};

struct memory_bytes {
	char *name; /* of meta; NULL for blobs */
	unsigned char hash[32];
	char *body;
	size_t len;
};

struct memory_search {
	char *name, *value;
	int64_t run;
};

struct memory_store {
	struct store base;
	pthread_mutex_t lock;
	VEC(struct memory_run) runs; /* ascending no */
	VEC(struct memory_record) records;
	VEC(struct memory_record) snapshots;
	VEC(struct store_task) tasks;
	VEC(struct memory_bytes) blobs;
	VEC(struct memory_bytes) metas;
	VEC(struct memory_search) searches;
};

static struct memory_store *self(struct store *store)
{
	return (struct memory_store *)store;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* --- rows ----------------------------------------------------------------------- */

static void release_run(struct store_run *row)
{
	free((char *)(uintptr_t)row->id);
	free((char *)(uintptr_t)row->graph);
	free((char *)(uintptr_t)row->correlation_id);
	free((char *)(uintptr_t)row->exclusive);
	free((char *)(uintptr_t)row->summary);
}

static struct store_run copy_run(const struct store_run *row)
{
	struct store_run ret = *row;
	ret.id = mem_dup_str(row->id);
	ret.graph = mem_dup_str(row->graph);
	ret.correlation_id = mem_dup_str(row->correlation_id);
	ret.exclusive = mem_dup_str(row->exclusive);
	ret.summary = mem_dup_str(row->summary);
	return ret;
}

static void release_task(struct store_task *task)
{
	free((char *)(uintptr_t)task->id);
	free((char *)(uintptr_t)task->role);
	free((char *)(uintptr_t)task->owner);
	free((char *)(uintptr_t)task->body);
}

static struct store_task copy_task(const struct store_task *task)
{
	struct store_task ret = *task;
	ret.id = mem_dup_str(task->id);
	ret.role = mem_dup_str(task->role);
	ret.owner = mem_dup_str(task->owner);
	ret.body = mem_dup_str(task->body);
	return ret;
}

static struct memory_run *find_run(struct memory_store *s, int64_t no)
{
	for (size_t i = s->runs.len; i-- > 0;)
		if (s->runs.at[i].row.no == no)
			return &s->runs.at[i];
	return NULL;
}

/* --- writing ---------------------------------------------------------------------- */

static bool run_in_the_way(struct memory_store *s, const struct store_run *row,
                           struct store_item *item)
{
	for (size_t i = 0; i < s->runs.len; i++) {
		const struct store_run *other = &s->runs.at[i].row;
		bool is_same = same_text(other->graph, row->graph) &&
		               same_text(other->correlation_id, row->correlation_id);
		if (is_same) {
			item->conflict_no = other->no;
			return true;
		}
	}
	for (size_t i = 0; row->exclusive && i < s->runs.len; i++) {
		if (!same_text(s->runs.at[i].row.exclusive, row->exclusive))
			continue;
		item->conflict_no = s->runs.at[i].row.no;
		item->is_exclusive_conflict = true;
		return true;
	}
	return false;
}

static bool has_record(const struct memory_store *s, int64_t run, int64_t seq)
{
	for (size_t i = s->records.len; i-- > 0;)
		if (s->records.at[i].run == run && s->records.at[i].seq == seq)
			return true;
	return false;
}

static bool has_conflict(struct memory_store *s, struct store_item *item)
{
	for (size_t i = 0; i < item->count; i++) {
		const struct store_op *op = &item->ops[i];
		if (op->kind == STORE_OP_RUN_NEW && run_in_the_way(s, &op->run, item))
			return true;
		if (op->kind == STORE_OP_RECORD && has_record(s, op->no, op->seq)) {
			item->conflict_no = op->no;
			return true;
		}
	}
	return false;
}

static void set_run(struct memory_store *s, const struct store_run *row)
{
	struct memory_run *run = find_run(s, row->no);
	if (!run)
		return; /* an UPDATE that meets no row */
	struct store_run merged = run->row;
	merged.status = row->status;
	merged.updated_ms = row->updated_ms;
	merged.wake_ms = row->wake_ms;
	merged.exclusive = row->exclusive;
	merged.summary = row->summary;
	struct store_run copy = copy_run(&merged);
	release_run(&run->row);
	run->row = copy;
}

static void put_task(struct memory_store *s, const struct store_task *task)
{
	for (size_t i = 0; i < s->tasks.len; i++) {
		if (!same_text(s->tasks.at[i].id, task->id))
			continue;
		struct store_task copy = copy_task(task);
		release_task(&s->tasks.at[i]);
		s->tasks.at[i] = copy;
		return;
	}
	*vec_add(&s->tasks) = copy_task(task);
}

static void put_snapshot(struct memory_store *s, const struct store_op *op)
{
	struct memory_record *at = NULL;
	for (size_t i = 0; i < s->snapshots.len; i++)
		if (s->snapshots.at[i].run == op->no)
			at = &s->snapshots.at[i];
	if (at)
		free(at->body);
	else
		at = vec_add(&s->snapshots);
	*at = (struct memory_record){ .run = op->no,
		                      .seq = op->seq,
		                      .body = mem_dup(op->body.ptr, op->body.len),
		                      .len = op->body.len };
}

static void put_meta(struct memory_store *s, const struct store_op *op)
{
	struct memory_bytes *at = NULL;
	for (size_t i = 0; i < s->metas.len; i++)
		if (same_text(s->metas.at[i].name, op->name))
			at = &s->metas.at[i];
	if (at) {
		free(at->body);
	} else {
		at = vec_add(&s->metas);
		at->name = mem_dup_str(op->name);
	}
	at->body = mem_dup(op->body.ptr, op->body.len);
	at->len = op->body.len;
}

static void put_blob(struct memory_store *s, const struct store_op *op)
{
	for (size_t i = 0; i < s->blobs.len; i++)
		if (memcmp(s->blobs.at[i].hash, op->hash, sizeof(op->hash)) == 0)
			return;
	struct memory_bytes *at = vec_add(&s->blobs);
	memcpy(at->hash, op->hash, sizeof(op->hash));
	at->body = mem_dup(op->body.ptr, op->body.len);
	at->len = op->body.len;
}

static void put_search(struct memory_store *s, const struct store_op *op)
{
	struct memory_search *at = NULL;
	for (size_t i = 0; i < s->searches.len; i++)
		if (s->searches.at[i].run == op->no && same_text(s->searches.at[i].name, op->name))
			at = &s->searches.at[i];
	if (!at) {
		at = vec_add(&s->searches);
		at->run = op->no;
		at->name = mem_dup_str(op->name);
	}
	free(at->value);
	at->value = mem_dup_str(op->text); /* NULL: found by nothing, for names are never NULL */
}

static void write_op(struct memory_store *s, const struct store_op *op)
{
	switch (op->kind) {
	case STORE_OP_RUN_NEW: vec_add(&s->runs)->row = copy_run(&op->run); return;
	case STORE_OP_RUN_SET: set_run(s, &op->run); return;
	case STORE_OP_RECORD: {
		struct memory_record *at = vec_add(&s->records);
		*at = (struct memory_record){ .run = op->no,
			                      .seq = op->seq,
			                      .body = mem_dup(op->body.ptr, op->body.len),
			                      .len = op->body.len };
		memcpy(at->hash, op->hash, sizeof(at->hash));
		return;
	}
	case STORE_OP_SNAPSHOT: put_snapshot(s, op); return;
	case STORE_OP_TASK: put_task(s, &op->task); return;
	case STORE_OP_BLOB: put_blob(s, op); return;
	case STORE_OP_META: put_meta(s, op); return;
	case STORE_OP_SEARCH: put_search(s, op); return;
	}
	must_not_reach();
}

static int memory_apply(struct store *store, struct store_item *items, size_t count,
                        struct err *err)
{
	struct memory_store *s = self(store);
	(void)err;
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < count; i++) {
		items[i].is_exclusive_conflict = false;
		items[i].result = has_conflict(s, &items[i]) ? ERR_CONFLICT : 0;
		for (size_t j = 0; items[i].result == 0 && j < items[i].count; j++)
			write_op(s, &items[i].ops[j]);
	}
	pthread_mutex_unlock(&s->lock);
	return 0;
}

/* --- reading ------------------------------------------------------------------------- */

static int absent(struct err *err)
{
	return err_set(err, ERR_ABSENT, "not found");
}

static int memory_last_no(struct store *store, int64_t *ret, struct err *err)
{
	struct memory_store *s = self(store);
	(void)err;
	pthread_mutex_lock(&s->lock);
	*ret = 0;
	for (size_t i = 0; i < s->runs.len; i++)
		if (s->runs.at[i].row.no > *ret)
			*ret = s->runs.at[i].row.no;
	pthread_mutex_unlock(&s->lock);
	return 0;
}

typedef bool run_test(const struct store_run *row, const void *want);

static int first_run(struct store *store, run_test *is_it, const void *want, store_run_cb *cb,
                     void *arg, struct err *err)
{
	struct memory_store *s = self(store);
	bool found = false;
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->runs.len && !found; i++) {
		found = is_it(&s->runs.at[i].row, want);
		if (found)
			cb(arg, &s->runs.at[i].row);
	}
	pthread_mutex_unlock(&s->lock);
	return found ? 0 : absent(err);
}

static bool has_no(const struct store_run *row, const void *want)
{
	return row->no == *(const int64_t *)want;
}

static bool has_id(const struct store_run *row, const void *want)
{
	return same_text(row->id, want);
}

static bool has_key(const struct store_run *row, const void *want)
{
	const char *const *key = want;
	return same_text(row->graph, key[0]) && same_text(row->correlation_id, key[1]);
}

static int memory_run_by_no(struct store *store, int64_t no, store_run_cb *cb, void *arg,
                            struct err *err)
{
	return first_run(store, has_no, &no, cb, arg, err);
}

static int memory_run_by_id(struct store *store, const char *id, store_run_cb *cb, void *arg,
                            struct err *err)
{
	return first_run(store, has_id, id, cb, arg, err);
}

static int memory_run_by_key(struct store *store, const char *graph, const char *correlation_id,
                             store_run_cb *cb, void *arg, struct err *err)
{
	const char *key[2] = { graph, correlation_id };
	return first_run(store, has_key, key, cb, arg, err);
}

static bool has_pair(const struct memory_store *s, int64_t no, const char *name, const char *value)
{
	for (size_t i = 0; name && i < s->searches.len; i++)
		if (s->searches.at[i].run == no && same_text(s->searches.at[i].name, name) &&
		    same_text(s->searches.at[i].value, value))
			return true;
	return !name;
}

static bool is_found(const struct memory_store *s, const struct store_filter *f, int64_t no)
{
	bool ret = has_pair(s, no, f->search_name, f->search_value);
	for (size_t i = 0; ret && i < sizeof(f->also) / sizeof(*f->also); i++)
		ret = has_pair(s, no, f->also[i].name, f->also[i].value);
	return ret;
}

static bool is_wanted(const struct memory_store *s, const struct store_filter *f,
                      const struct store_run *row)
{
	return (!f->graph || same_text(f->graph, row->graph)) &&
	       (!f->status || f->status == row->status) &&
	       (!f->before_no || row->no < f->before_no) &&
	       (!f->since_ms || row->created_ms >= f->since_ms) &&
	       (!f->until_ms || row->created_ms < f->until_ms) && is_found(s, f, row->no);
}

/* The wanted run with the greatest no below `below`; NULL when there is none. */
static const struct store_run *next_below(const struct memory_store *s,
                                          const struct store_filter *f, int64_t below)
{
	const struct store_run *best = NULL;
	for (size_t i = 0; i < s->runs.len; i++) {
		const struct store_run *row = &s->runs.at[i].row;
		if (row->no < below && (!best || row->no > best->no) && is_wanted(s, f, row))
			best = row;
	}
	return best;
}

static int memory_runs(struct store *store, const struct store_filter *filter, store_run_cb *cb,
                       void *arg, struct err *err)
{
	struct memory_store *s = self(store);
	(void)err;
	pthread_mutex_lock(&s->lock);
	const struct store_run *row = next_below(s, filter, INT64_MAX);
	for (int left = filter->limit > 0 ? filter->limit : -1; row && left != 0; left--) {
		cb(arg, row);
		row = next_below(s, filter, row->no);
	}
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static int compare_wake(const void *a, const void *b)
{
	const struct store_run *x = *(const struct store_run *const *)a;
	const struct store_run *y = *(const struct store_run *const *)b;
	if (x->wake_ms != y->wake_ms)
		return x->wake_ms < y->wake_ms ? -1 : 1;
	return x->no < y->no ? -1 : x->no > y->no;
}

static int memory_due(struct store *store, int64_t until_ms, int limit, store_run_cb *cb, void *arg,
                      struct err *err)
{
	struct memory_store *s = self(store);
	VEC(const struct store_run *) due = { 0 };
	(void)err;
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->runs.len; i++)
		if (s->runs.at[i].row.wake_ms > 0 && s->runs.at[i].row.wake_ms <= until_ms)
			*vec_add(&due) = &s->runs.at[i].row;
	if (due.len > 0)
		qsort(due.at, due.len, sizeof(*due.at), compare_wake);
	for (size_t i = 0; i < due.len && (limit < 0 || i < (size_t)limit); i++)
		cb(arg, due.at[i]);
	vec_release(&due);
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static int memory_owing(struct store *store, store_run_cb *cb, void *arg, struct err *err)
{
	struct memory_store *s = self(store);
	(void)err;
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->runs.len; i++)
		if (s->runs.at[i].row.wake_ms == 0)
			cb(arg, &s->runs.at[i].row);
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static int memory_next_wake(struct store *store, int64_t *ret, struct err *err)
{
	struct memory_store *s = self(store);
	(void)err;
	pthread_mutex_lock(&s->lock);
	*ret = INT64_MAX;
	for (size_t i = 0; i < s->runs.len; i++)
		if (s->runs.at[i].row.wake_ms > 0 && s->runs.at[i].row.wake_ms < *ret)
			*ret = s->runs.at[i].row.wake_ms;
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static int memory_records(struct store *store, int64_t no, int64_t from_seq, store_record_cb *cb,
                          void *arg, struct err *err)
{
	struct memory_store *s = self(store);
	(void)err;
	pthread_mutex_lock(&s->lock);
	/* A run's records are appended in order of seq. */
	for (size_t i = 0; i < s->records.len; i++) {
		const struct memory_record *record = &s->records.at[i];
		if (record->run == no && record->seq >= from_seq &&
		    !cb(arg, record->seq, record->hash, (struct str){ record->body, record->len }))
			break;
	}
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static const char *id_of_run(const struct memory_store *s, int64_t no)
{
	for (size_t i = 0; i < s->runs.len; i++)
		if (s->runs.at[i].row.no == no)
			return s->runs.at[i].row.id;
	return NULL; /* of no run: the access journal */
}

/* Records stand in the order of their commits: the place is the index from 1. */
static int memory_feed(struct store *store, int64_t after, int limit, store_feed_cb *cb, void *arg,
                       struct err *err)
{
	struct memory_store *s = self(store);
	(void)err;
	pthread_mutex_lock(&s->lock);
	size_t from = after < 0 ? (s->records.len > 0 ? s->records.len - 1 : 0) : (size_t)after;
	for (size_t i = from; i < s->records.len && limit > 0; i++) {
		const struct memory_record *record = &s->records.at[i];
		const char *id = id_of_run(s, record->run);
		if (id && !cb(arg, (int64_t)i + 1, id, record->seq,
		              (struct str){ record->body, record->len }))
			break;
		limit -= id != NULL;
	}
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static int memory_snapshot(struct store *store, int64_t no, store_bytes_cb *cb, void *arg,
                           struct err *err)
{
	struct memory_store *s = self(store);
	bool found = false;
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->snapshots.len && !found; i++) {
		const struct memory_record *at = &s->snapshots.at[i];
		found = at->run == no;
		if (found)
			cb(arg, at->seq, (struct str){ at->body, at->len });
	}
	pthread_mutex_unlock(&s->lock);
	return found ? 0 : absent(err);
}

static int memory_blob(struct store *store, const unsigned char sha256[32], store_bytes_cb *cb,
                       void *arg, struct err *err)
{
	struct memory_store *s = self(store);
	bool found = false;
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->blobs.len && !found; i++) {
		found = memcmp(s->blobs.at[i].hash, sha256, 32) == 0;
		if (found)
			cb(arg, 0, (struct str){ s->blobs.at[i].body, s->blobs.at[i].len });
	}
	pthread_mutex_unlock(&s->lock);
	return found ? 0 : absent(err);
}

static int memory_meta(struct store *store, const char *name, store_bytes_cb *cb, void *arg,
                       struct err *err)
{
	struct memory_store *s = self(store);
	bool found = false;
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->metas.len && !found; i++) {
		found = same_text(s->metas.at[i].name, name);
		if (found)
			cb(arg, 0, (struct str){ s->metas.at[i].body, s->metas.at[i].len });
	}
	pthread_mutex_unlock(&s->lock);
	return found ? 0 : absent(err);
}

static bool task_matches(const struct store_task *task, const struct store_task_filter *f)
{
	bool is_late = task->status < 3 && task->due_ms >= 0 && task->due_ms < f->due_before_ms;
	return (!f->run || task->run == f->run) && (!f->role || same_text(f->role, task->role)) &&
	       (!f->owner || same_text(f->owner, task->owner)) &&
	       (!f->status || f->status == task->status) && (!f->due_before_ms || is_late);
}

static int compare_task(const void *a, const void *b)
{
	const struct store_task *x = *(const struct store_task *const *)a;
	const struct store_task *y = *(const struct store_task *const *)b;
	if (x->run != y->run)
		return x->run < y->run ? -1 : 1;
	size_t x_len = strlen(x->id), y_len = strlen(y->id);
	return x_len != y_len ? (x_len < y_len ? -1 : 1) : strcmp(x->id, y->id);
}

static int memory_tasks(struct store *store, const struct store_task_filter *filter,
                        store_task_cb *cb, void *arg, struct err *err)
{
	struct memory_store *s = self(store);
	VEC(const struct store_task *) found = { 0 };
	(void)err;
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->tasks.len; i++)
		if (task_matches(&s->tasks.at[i], filter))
			*vec_add(&found) = &s->tasks.at[i];
	if (found.len > 0)
		qsort(found.at, found.len, sizeof(*found.at), compare_task);
	for (size_t i = 0; i < found.len && (filter->limit <= 0 || i < (size_t)filter->limit); i++)
		cb(arg, found.at[i]);
	vec_release(&found);
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static int memory_run_counts(struct store *store, store_count_cb *cb, void *arg, struct err *err)
{
	struct memory_store *s = self(store);
	(void)err;
	for (int status = STORE_RUNNING; status < STORE_ENDED; status++) {
		struct store_count count = { .status = status };
		pthread_mutex_lock(&s->lock);
		for (size_t i = 0; i < s->runs.len; i++)
			count.count += s->runs.at[i].row.status == status;
		pthread_mutex_unlock(&s->lock);
		if (count.count > 0)
			cb(arg, &count);
	}
	return 0;
}

/* One count per task: who adds them up gets what SQLite gives by role. */
static int memory_task_counts(struct store *store, int64_t now_ms, store_count_cb *cb, void *arg,
                              struct err *err)
{
	struct memory_store *s = self(store);
	(void)err;
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->tasks.len; i++) {
		const struct store_task *task = &s->tasks.at[i];
		bool is_late = task->due_ms >= 0 && task->due_ms < now_ms;
		struct store_count count = { 2, task->role, 1, is_late };
		if (task->status == 2)
			cb(arg, &count);
	}
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static int memory_task(struct store *store, const char *id, store_task_cb *cb, void *arg,
                       struct err *err)
{
	struct memory_store *s = self(store);
	bool found = false;
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->tasks.len && !found; i++) {
		found = same_text(s->tasks.at[i].id, id);
		if (found)
			cb(arg, &s->tasks.at[i]);
	}
	pthread_mutex_unlock(&s->lock);
	return found ? 0 : absent(err);
}

static void memory_close(struct store *store)
{
	struct memory_store *s = self(store);
	for (size_t i = 0; i < s->runs.len; i++)
		release_run(&s->runs.at[i].row);
	for (size_t i = 0; i < s->records.len; i++)
		free(s->records.at[i].body);
	for (size_t i = 0; i < s->snapshots.len; i++)
		free(s->snapshots.at[i].body);
	for (size_t i = 0; i < s->tasks.len; i++)
		release_task(&s->tasks.at[i]);
	for (size_t i = 0; i < s->blobs.len; i++)
		free(s->blobs.at[i].body);
	for (size_t i = 0; i < s->metas.len; i++) {
		free(s->metas.at[i].name);
		free(s->metas.at[i].body);
	}
	for (size_t i = 0; i < s->searches.len; i++) {
		free(s->searches.at[i].name);
		free(s->searches.at[i].value);
	}
	vec_release(&s->runs);
	vec_release(&s->records);
	vec_release(&s->snapshots);
	vec_release(&s->tasks);
	vec_release(&s->blobs);
	vec_release(&s->metas);
	vec_release(&s->searches);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

struct store *store_memory_new(void)
{
	static const struct store_ops ops = {
		.close = memory_close,
		.apply = memory_apply,
		.last_no = memory_last_no,
		.run_by_no = memory_run_by_no,
		.run_by_id = memory_run_by_id,
		.run_by_key = memory_run_by_key,
		.runs = memory_runs,
		.due = memory_due,
		.owing = memory_owing,
		.next_wake = memory_next_wake,
		.records = memory_records,
		.feed = memory_feed,
		.snapshot = memory_snapshot,
		.tasks = memory_tasks,
		.run_counts = memory_run_counts,
		.task_counts = memory_task_counts,
		.task = memory_task,
		.blob = memory_blob,
		.meta = memory_meta,
	};
	struct memory_store *s = mem_alloc(sizeof(*s));
	s->base.ops = &ops;
	pthread_mutex_init(&s->lock, NULL);
	return &s->base;
}
