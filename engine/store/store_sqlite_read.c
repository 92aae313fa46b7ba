/* SPDX-License-Identifier: MIT */
/*
 * The embedded store, reading: one connection behind a mutex, held while the
 * rows of one question are given to the callback, which must not ask again.
 */
#include <pthread.h>
#include <string.h>

#include "store/store_sqlite_int.h"

static sqlite3_stmt *read_begin(struct sqlite_store *s, enum statement which)
{
	pthread_mutex_lock(&s->reading);
	return s->st[which];
}

/* Ends a read: 0, ERR_ABSENT when `found` is 0 and one row was wanted, or the store's failure. */
static int read_end(struct sqlite_store *s, sqlite3_stmt *st, int code, bool is_absent,
                    struct err *err)
{
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	int status = 0;
	if (code != SQLITE_DONE && code != SQLITE_ROW)
		status = store_sqlite_fail(s->reader, err, "the store cannot be read");
	else if (is_absent)
		status = err_set(err, ERR_ABSENT, "not found");
	pthread_mutex_unlock(&s->reading);
	return status;
}

static const char *column_text(sqlite3_stmt *st, int at)
{
	return (const char *)sqlite3_column_text(st, at);
}

static struct store_run column_run(sqlite3_stmt *st)
{
	return (struct store_run){ .no = sqlite3_column_int64(st, 0),
		                   .id = column_text(st, 1),
		                   .graph = column_text(st, 2),
		                   .correlation_id = column_text(st, 3),
		                   .status = sqlite3_column_int(st, 4),
		                   .created_ms = sqlite3_column_int64(st, 5),
		                   .updated_ms = sqlite3_column_int64(st, 6),
		                   .wake_ms = sqlite3_column_int64(st, 7),
		                   .exclusive = column_text(st, 8),
		                   .summary = column_text(st, 9) };
}

static int read_runs(struct sqlite_store *s, sqlite3_stmt *st, bool want_one, store_run_cb *cb,
                     void *arg, struct err *err)
{
	int code;
	bool found = false;
	while ((code = sqlite3_step(st)) == SQLITE_ROW) {
		struct store_run run = column_run(st);
		found = true;
		cb(arg, &run);
	}
	return read_end(s, st, code, want_one && !found, err);
}

int store_sqlite_last_no(struct store *store, int64_t *ret, struct err *err)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	sqlite3_stmt *st = read_begin(s, ST_LAST_NO);
	int code = sqlite3_step(st);
	if (code == SQLITE_ROW)
		*ret = sqlite3_column_int64(st, 0);
	return read_end(s, st, code, false, err);
}

int store_sqlite_run_by_no(struct store *store, int64_t no, store_run_cb *cb, void *arg,
                           struct err *err)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	sqlite3_stmt *st = read_begin(s, ST_BY_NO);
	sqlite3_bind_int64(st, 1, no);
	return read_runs(s, st, true, cb, arg, err);
}

int store_sqlite_run_by_id(struct store *store, const char *id, store_run_cb *cb, void *arg,
                           struct err *err)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	sqlite3_stmt *st = read_begin(s, ST_BY_ID);
	bind_text(st, 1, id);
	return read_runs(s, st, true, cb, arg, err);
}

int store_sqlite_run_by_key(struct store *store, const char *graph, const char *correlation_id,
                            store_run_cb *cb, void *arg, struct err *err)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	sqlite3_stmt *st = read_begin(s, ST_BY_KEY);
	bind_text(st, 1, graph);
	bind_text(st, 2, correlation_id);
	return read_runs(s, st, true, cb, arg, err);
}

int store_sqlite_runs(struct store *store, const struct store_filter *filter, store_run_cb *cb,
                      void *arg, struct err *err)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	sqlite3_stmt *st = read_begin(s, filter->search_name ? ST_LIST_SEARCH : ST_LIST);
	bind_text(st, 1, filter->graph);
	sqlite3_bind_int(st, 2, filter->status);
	sqlite3_bind_int64(st, 3, filter->before_no);
	sqlite3_bind_int64(st, 4, filter->since_ms);
	sqlite3_bind_int64(st, 5, filter->until_ms);
	sqlite3_bind_int(st, 6, filter->limit > 0 ? filter->limit : -1);
	if (filter->search_name) {
		bind_text(st, 7, filter->search_name);
		bind_text(st, 8, filter->search_value);
		for (int i = 0; i < 3; i++) {
			bind_text(st, 9 + 2 * i, filter->also[i].name);
			bind_text(st, 10 + 2 * i, filter->also[i].value);
		}
	}
	return read_runs(s, st, false, cb, arg, err);
}

int store_sqlite_due(struct store *store, int64_t until_ms, int limit, store_run_cb *cb, void *arg,
                     struct err *err)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	sqlite3_stmt *st = read_begin(s, ST_DUE);
	sqlite3_bind_int64(st, 1, until_ms);
	sqlite3_bind_int(st, 2, limit);
	return read_runs(s, st, false, cb, arg, err);
}

int store_sqlite_owing(struct store *store, store_run_cb *cb, void *arg, struct err *err)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	return read_runs(s, read_begin(s, ST_OWING), false, cb, arg, err);
}

int store_sqlite_next_wake(struct store *store, int64_t *ret, struct err *err)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	sqlite3_stmt *st = read_begin(s, ST_NEXT_WAKE);
	int code = sqlite3_step(st);
	if (code == SQLITE_ROW)
		*ret = sqlite3_column_type(st, 0) == SQLITE_NULL ? INT64_MAX
		                                                 : sqlite3_column_int64(st, 0);
	return read_end(s, st, code, false, err);
}

int store_sqlite_records(struct store *store, int64_t no, int64_t from_seq, store_record_cb *cb,
                         void *arg, struct err *err)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	sqlite3_stmt *st = read_begin(s, ST_RECORDS);
	sqlite3_bind_int64(st, 1, no);
	sqlite3_bind_int64(st, 2, from_seq);
	int code;
	while ((code = sqlite3_step(st)) == SQLITE_ROW) {
		unsigned char hash[32] = { 0 };
		if (sqlite3_column_bytes(st, 1) == (int)sizeof(hash))
			memcpy(hash, sqlite3_column_blob(st, 1), sizeof(hash));
		struct str body = { column_text(st, 2), (size_t)sqlite3_column_bytes(st, 2) };
		if (!cb(arg, sqlite3_column_int64(st, 0), hash, body))
			break;
	}
	return read_end(s, st, code, false, err);
}

int store_sqlite_feed(struct store *store, int64_t after, int limit, store_feed_cb *cb, void *arg,
                      struct err *err)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	sqlite3_stmt *st = read_begin(s, after < 0 ? ST_FEED_LAST : ST_FEED);
	if (after >= 0) {
		sqlite3_bind_int64(st, 1, after);
		sqlite3_bind_int(st, 2, limit);
	}
	int code;
	while ((code = sqlite3_step(st)) == SQLITE_ROW) {
		struct str body = { column_text(st, 3), (size_t)sqlite3_column_bytes(st, 3) };
		if (!cb(arg, sqlite3_column_int64(st, 0), column_text(st, 1),
		        sqlite3_column_int64(st, 2), body))
			break;
	}
	return read_end(s, st, code, false, err);
}

static int read_bytes(struct sqlite_store *s, sqlite3_stmt *st, store_bytes_cb *cb, void *arg,
                      struct err *err)
{
	int code = sqlite3_step(st);
	if (code == SQLITE_ROW) {
		struct str body = { sqlite3_column_blob(st, 1),
			            (size_t)sqlite3_column_bytes(st, 1) };
		cb(arg, sqlite3_column_int64(st, 0), body.ptr ? body : STR_LIT(""));
	}
	return read_end(s, st, code, code == SQLITE_DONE, err);
}

int store_sqlite_snapshot(struct store *store, int64_t no, store_bytes_cb *cb, void *arg,
                          struct err *err)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	sqlite3_stmt *st = read_begin(s, ST_GET_SNAPSHOT);
	sqlite3_bind_int64(st, 1, no);
	return read_bytes(s, st, cb, arg, err);
}

int store_sqlite_blob(struct store *store, const unsigned char sha256[32], store_bytes_cb *cb,
                      void *arg, struct err *err)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	sqlite3_stmt *st = read_begin(s, ST_GET_BLOB);
	sqlite3_bind_blob(st, 1, sha256, 32, SQLITE_STATIC);
	return read_bytes(s, st, cb, arg, err);
}

int store_sqlite_meta(struct store *store, const char *name, store_bytes_cb *cb, void *arg,
                      struct err *err)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	sqlite3_stmt *st = read_begin(s, ST_GET_META);
	bind_text(st, 1, name);
	return read_bytes(s, st, cb, arg, err);
}

static int read_tasks(struct sqlite_store *s, sqlite3_stmt *st, bool want_one, store_task_cb *cb,
                      void *arg, struct err *err)
{
	int code;
	bool found = false;
	while ((code = sqlite3_step(st)) == SQLITE_ROW) {
		struct store_task task = { .id = column_text(st, 0),
			                   .run = sqlite3_column_int64(st, 1),
			                   .status = sqlite3_column_int(st, 2),
			                   .role = column_text(st, 3),
			                   .owner = column_text(st, 4),
			                   .due_ms = sqlite3_column_int64(st, 5),
			                   .body = column_text(st, 6) };
		found = true;
		cb(arg, &task);
	}
	return read_end(s, st, code, want_one && !found, err);
}

int store_sqlite_tasks(struct store *store, const struct store_task_filter *filter,
                       store_task_cb *cb, void *arg, struct err *err)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	sqlite3_stmt *st = read_begin(s, ST_TASKS);
	sqlite3_bind_int64(st, 1, filter->run);
	bind_text(st, 2, filter->role);
	bind_text(st, 3, filter->owner);
	sqlite3_bind_int(st, 4, filter->status);
	sqlite3_bind_int64(st, 5, filter->due_before_ms);
	sqlite3_bind_int(st, 6, filter->limit > 0 ? filter->limit : -1);
	return read_tasks(s, st, false, cb, arg, err);
}

int store_sqlite_task(struct store *store, const char *id, store_task_cb *cb, void *arg,
                      struct err *err)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	sqlite3_stmt *st = read_begin(s, ST_GET_TASK);
	bind_text(st, 1, id);
	return read_tasks(s, st, true, cb, arg, err);
}

static int read_counts(struct sqlite_store *s, sqlite3_stmt *st, store_count_cb *cb, void *arg,
                       struct err *err)
{
	int code;
	while ((code = sqlite3_step(st)) == SQLITE_ROW) {
		struct store_count count = { sqlite3_column_int(st, 0), column_text(st, 1),
			                     sqlite3_column_int64(st, 2),
			                     sqlite3_column_int64(st, 3) };
		cb(arg, &count);
	}
	return read_end(s, st, code, false, err);
}

int store_sqlite_run_counts(struct store *store, store_count_cb *cb, void *arg, struct err *err)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	return read_counts(s, read_begin(s, ST_RUN_COUNTS), cb, arg, err);
}

int store_sqlite_task_counts(struct store *store, int64_t now_ms, store_count_cb *cb, void *arg,
                             struct err *err)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	sqlite3_stmt *st = read_begin(s, ST_TASK_COUNTS);
	sqlite3_bind_int64(st, 1, now_ms);
	return read_counts(s, st, cb, arg, err);
}
