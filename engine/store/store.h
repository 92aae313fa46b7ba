/* SPDX-License-Identifier: MIT */
/*
 * The store: bytes by run and sequence, plus the few columns that must be
 * searched.  It knows no statechart.  store_apply() is the only way to write:
 * many items in one durable transaction (group commit); an item that conflicts
 * is refused alone, with nothing of it kept; when the commit itself fails the
 * caller stops the process.
 *
 * Thread: store_apply() from one thread (the writer); the readers from any.
 */
#ifndef STORE_H
#define STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct store;

enum store_status {
	STORE_RUNNING = 1, /* must be resident: something is open or due */
	STORE_WAITING = 2, /* idle: a timer or an event will wake it */
	STORE_PEOPLE = 3,  /* idle: waits for a person */
	STORE_BLOCKED = 4, /* nothing could be decided; waits for a repin */
	STORE_ENDED = 10,
	STORE_CANCELLED = 11
};

enum store_op_kind {
	STORE_OP_RUN_NEW,  /* run_row; refused when (graph, correlation_id) or exclusive is taken */
	STORE_OP_RUN_SET,  /* no, status, wake_ms, exclusive, updated_ms, summary */
	STORE_OP_RECORD,   /* no, seq, hash, body; refused when seq is there already */
	STORE_OP_SNAPSHOT, /* no, seq, body; replaces the run's older one */
	STORE_OP_TASK,     /* task: inserted or replaced */
	STORE_OP_BLOB,     /* sha256, body; kept once */
	STORE_OP_META,     /* name, body */
	STORE_OP_SEARCH    /* no, name, text: what the run is found by now; text NULL: by nothing */
};

/* A row of the run table.  Texts are borrowed from the reader's arena or the caller. */
struct store_run {
	int64_t no;     /* dense, ascending; the run's key in the store */
	const char *id; /* what people see; unique for ever */
	const char *graph, *correlation_id;
	int status; /* enum store_status */
	int64_t created_ms, updated_ms;
	int64_t wake_ms;       /* when it wants to run again; -1: never by itself; 0: it owes */
	const char *exclusive; /* unique among unended runs; NULL: none */
	const char *summary;   /* JSON for lists: decision, waits for, reason ... */
};

struct store_task {
	const char *id; /* "<run id>.<n>" */
	int64_t run;
	int status;               /* 1 waiting for others, 2 open, 3 done, 4 withdrawn */
	const char *role, *owner; /* may be NULL */
	int64_t due_ms;           /* -1: none */
	const char *body;         /* JSON */
};

struct store_op {
	enum store_op_kind kind;
	int64_t no, seq;
	struct store_run run;
	struct store_task task;
	const char *name, *text;
	unsigned char hash[32]; /* RECORD, BLOB */
	struct str body;
};

struct store_item {
	const struct store_op *ops;
	size_t count;
	/* Out: 0 or ERR_CONFLICT with the reason;
	 * for RUN_NEW the no of the run that is in the way. */
	int result;
	int64_t conflict_no;
	bool is_exclusive_conflict; /* else: the correlation id */
};

struct store_filter {
	const char *graph; /* NULL: all */
	int status;        /* 0: all */
	const char *search_name, *search_value;
	/* Names and values that must hold as well; the first NULL name ends them. */
	struct {
		const char *name, *value;
	} also[3];
	int64_t before_no;          /* 0: from the newest */
	int64_t since_ms, until_ms; /* created; 0: no bound */
	int limit;
};

struct store_task_filter {
	int64_t run; /* 0: all */
	const char *role, *owner;
	int status;            /* 0: all */
	int64_t due_before_ms; /* 0: no bound; those that are done are left out then */
	int limit;
};

/* So many open runs have this status, or so many open tasks this role (NULL: none). */
struct store_count {
	int status;
	const char *role;
	int64_t count, overdue;
};

typedef void store_count_cb(void *arg, const struct store_count *count);
/* A write was made durable; it took so long.  On the writer's thread. */
typedef void store_sync_cb(void *arg, int64_t took_ns);
typedef void store_run_cb(void *arg, const struct store_run *run);
typedef void store_task_cb(void *arg, const struct store_task *task);
/* Returns false to stop. */
typedef bool store_record_cb(void *arg, int64_t seq, const unsigned char hash[32], struct str body);
/* Returns false to stop.  run_id: of the run that the record is about. */
typedef bool store_feed_cb(void *arg, int64_t place, const char *run_id, int64_t seq,
                           struct str body);
typedef void store_bytes_cb(void *arg, int64_t seq, struct str body);

struct store_ops {
	void (*close)(struct store *store);
	int (*apply)(struct store *store, struct store_item *items, size_t count, struct err *err);
	int (*last_no)(struct store *store, int64_t *ret, struct err *err);
	/* ERR_ABSENT when there is none; cb is called once otherwise. */
	int (*run_by_no)(struct store *store, int64_t no, store_run_cb *cb, void *arg,
	                 struct err *err);
	int (*run_by_id)(struct store *store, const char *id, store_run_cb *cb, void *arg,
	                 struct err *err);
	int (*run_by_key)(struct store *store, const char *graph, const char *correlation_id,
	                  store_run_cb *cb, void *arg, struct err *err);
	/* Newest first. */
	int (*runs)(struct store *store, const struct store_filter *filter, store_run_cb *cb,
	            void *arg, struct err *err);
	/* Those with 0 < wake_ms <= until_ms, earliest first, at most limit. */
	int (*due)(struct store *store, int64_t until_ms, int limit, store_run_cb *cb, void *arg,
	           struct err *err);
	/* Those with wake_ms 0: idle or ended, and something of their last record was still to be
	 * done outside the store (run/ writes files).  After a crash they are looked at again. */
	int (*owing)(struct store *store, store_run_cb *cb, void *arg, struct err *err);
	/* The earliest wake_ms above 0 of any run; INT64_MAX: none. */
	int (*next_wake)(struct store *store, int64_t *ret, struct err *err);
	int (*records)(struct store *store, int64_t no, int64_t from_seq, store_record_cb *cb,
	               void *arg, struct err *err);
	/* Records of all runs in the order of their commits, behind a place (0: from the first);
	 * places ascend for ever.  after -1: only the last one there is. */
	int (*feed)(struct store *store, int64_t after, int limit, store_feed_cb *cb, void *arg,
	            struct err *err);
	int (*snapshot)(struct store *store, int64_t no, store_bytes_cb *cb, void *arg,
	                struct err *err);
	int (*tasks)(struct store *store, const struct store_task_filter *filter, store_task_cb *cb,
	             void *arg, struct err *err);
	int (*task)(struct store *store, const char *id, store_task_cb *cb, void *arg,
	            struct err *err);
	int (*blob)(struct store *store, const unsigned char sha256[32], store_bytes_cb *cb,
	            void *arg, struct err *err);
	int (*meta)(struct store *store, const char *name, store_bytes_cb *cb, void *arg,
	            struct err *err);
	/* A copy as of one moment at path, where nothing is yet; any thread.  NULL: it cannot. */
	int (*backup)(struct store *store, const char *path, struct err *err);
	int (*run_counts)(struct store *store, store_count_cb *cb, void *arg, struct err *err);
	int (*task_counts)(struct store *store, int64_t now_ms, store_count_cb *cb, void *arg,
	                   struct err *err);
};

struct store {
	const struct store_ops *ops;
	store_sync_cb *on_sync; /* set by the owner before the first apply; NULL: nobody */
	void *on_sync_arg;
};

/*
 * Opens or makes the SQLite file at path and locks it for this process
 * (path + ".lock"): ERR_BUSY when another process holds it.  A newer schema, a
 * broken file, a network file system are refused.
 */
int store_sqlite_open(const char *path, struct store **ret, struct err *err) ATTR_MUST_USE;

/* Makes a backup the store at path: ERR_BUSY while it is in use, ERR_CONFLICT when there is one
 * and may_replace is false; the one that was there is kept as path + ".before". */
int store_sqlite_restore(const char *backup, const char *path, bool may_replace,
                         struct err *err) ATTR_MUST_USE;

/* In memory; forgets everything on close. */
struct store *store_memory_new(void);

#endif
