/* SPDX-License-Identifier: MIT */
/* What writing and reading of the embedded store share. */
#ifndef STORE_SQLITE_INT_H
#define STORE_SQLITE_INT_H

#include <pthread.h>
#include <sqlite3.h>

#include "store/store.h"

/* Prepared once; those before ST_WRITER_COUNT on the writer, the others on the reader. */
enum statement {
	ST_BEGIN,
	ST_COMMIT,
	ST_ROLLBACK,
	ST_RUN_NEW,
	ST_RUN_SET,
	ST_RECORD,
	ST_SNAPSHOT,
	ST_TASK,
	ST_BLOB,
	ST_META,
	ST_SEARCH,
	ST_UNSEARCH,
	ST_KEY_TAKEN,
	ST_EXCLUSIVE_TAKEN,
	ST_RECORD_THERE,
	ST_WRITER_COUNT,
	/* readers */
	ST_LAST_NO = ST_WRITER_COUNT,
	ST_BY_NO,
	ST_BY_ID,
	ST_BY_KEY,
	ST_LIST,
	ST_LIST_SEARCH,
	ST_DUE,
	ST_OWING,
	ST_NEXT_WAKE,
	ST_RECORDS,
	ST_FEED,
	ST_FEED_LAST,
	ST_GET_SNAPSHOT,
	ST_TASKS,
	ST_GET_TASK,
	ST_GET_BLOB,
	ST_GET_META,
	ST_RUN_COUNTS,
	ST_TASK_COUNTS,
	ST_COUNT
};

struct sqlite_store {
	struct store base;
	char *path;
	int lock_fd;
	sqlite3 *writer, *reader;
	pthread_mutex_t reading;
	struct store_vfs *vfs;
	sqlite3_stmt *st[ST_COUNT];
};

/* store_sqlite_vfs.c: SQLite's own way to files, and each sync is timed. */
struct store_vfs *store_vfs_new(struct store *told);
void store_vfs_free(struct store_vfs *vfs); /* after the last connection is closed */
const char *store_vfs_name(const struct store_vfs *vfs);

/* Fills err from the connection's last error. */
int store_sqlite_fail(sqlite3 *db, struct err *err, const char *what);

/* NULL is NULL; text must outlive the step. */
static inline void bind_text(sqlite3_stmt *st, int at, const char *text)
{
	if (text)
		sqlite3_bind_text(st, at, text, -1, SQLITE_STATIC);
	else
		sqlite3_bind_null(st, at);
}

/* The readers of struct store_ops. */
int store_sqlite_last_no(struct store *store, int64_t *ret, struct err *err);
int store_sqlite_run_by_no(struct store *store, int64_t no, store_run_cb *cb, void *arg,
                           struct err *err);
int store_sqlite_run_by_id(struct store *store, const char *id, store_run_cb *cb, void *arg,
                           struct err *err);
int store_sqlite_run_by_key(struct store *store, const char *graph, const char *correlation_id,
                            store_run_cb *cb, void *arg, struct err *err);
int store_sqlite_runs(struct store *store, const struct store_filter *filter, store_run_cb *cb,
                      void *arg, struct err *err);
int store_sqlite_due(struct store *store, int64_t until_ms, int limit, store_run_cb *cb, void *arg,
                     struct err *err);
int store_sqlite_owing(struct store *store, store_run_cb *cb, void *arg, struct err *err);
int store_sqlite_next_wake(struct store *store, int64_t *ret, struct err *err);
int store_sqlite_records(struct store *store, int64_t no, int64_t from_seq, store_record_cb *cb,
                         void *arg, struct err *err);
int store_sqlite_feed(struct store *store, int64_t after, int limit, store_feed_cb *cb, void *arg,
                      struct err *err);
int store_sqlite_snapshot(struct store *store, int64_t no, store_bytes_cb *cb, void *arg,
                          struct err *err);
int store_sqlite_blob(struct store *store, const unsigned char sha256[32], store_bytes_cb *cb,
                      void *arg, struct err *err);
int store_sqlite_meta(struct store *store, const char *name, store_bytes_cb *cb, void *arg,
                      struct err *err);
int store_sqlite_backup(struct store *store, const char *path, struct err *err);
int store_sqlite_run_counts(struct store *store, store_count_cb *cb, void *arg, struct err *err);
int store_sqlite_task_counts(struct store *store, int64_t now_ms, store_count_cb *cb, void *arg,
                             struct err *err);
int store_sqlite_tasks(struct store *store, const struct store_task_filter *filter,
                       store_task_cb *cb, void *arg, struct err *err);
int store_sqlite_task(struct store *store, const char *id, store_task_cb *cb, void *arg,
                      struct err *err);

#endif
