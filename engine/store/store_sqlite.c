/* SPDX-License-Identifier: MIT */
/*
 * The embedded store: SQLite in WAL mode with synchronous=FULL.  One writer
 * connection, which is also the only checkpointer (RELIABILITY.md 7.11), and
 * one reader connection behind a mutex.  The process holds a lock on
 * "<path>.lock"; SQLite's own file is never locked by hand, because closing a
 * second descriptor of it would drop SQLite's locks.  Here it is opened and
 * written; store_sqlite_read.c reads.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/must.h"
#include "store/store_sqlite_int.h"
#include "store/store_sqlite_schema.h"

#define RUN_COLUMNS                                                                  \
	"no,id,graph,correlation_id,status,created_ms,updated_ms,ifnull(wake_ms,-1)" \
	",exclusive,summary"
#define ALSO_FOUND(name, value)                                 \
	" AND (" name " IS NULL OR EXISTS(SELECT 1 FROM search" \
	" WHERE run=no AND name=" name " AND value=" value "))"
#define RUN_FILTER                                                              \
	" (?1 IS NULL OR graph=?1) AND (?2=0 OR status=?2) AND (?3=0 OR no<?3)" \
	" AND (?4=0 OR created_ms>=?4) AND (?5=0 OR created_ms<?5)"
#define TASK_COLUMNS "id,run,status,role,owner,ifnull(due_ms,-1),body"

static const char *const statements[ST_COUNT] = {
	[ST_BEGIN] = "BEGIN IMMEDIATE",
	[ST_COMMIT] = "COMMIT",
	[ST_ROLLBACK] = "ROLLBACK",
	[ST_RUN_NEW] = "INSERT INTO run VALUES(?,?,?,?,?,?,?,?,?,?)",
	[ST_RUN_SET] = "UPDATE run SET status=?2,updated_ms=?3,wake_ms=?4,exclusive=?5,summary=?6"
		       " WHERE no=?1",
	[ST_RECORD] = "INSERT INTO record(run,seq,hash,body) VALUES(?,?,?,?)",
	[ST_SNAPSHOT] = "INSERT OR REPLACE INTO snapshot VALUES(?,?,?)",
	[ST_TASK] = "INSERT OR REPLACE INTO task VALUES(?,?,?,?,?,?,?)",
	[ST_BLOB] = "INSERT OR IGNORE INTO blob VALUES(?,?)",
	[ST_META] = "INSERT OR REPLACE INTO meta VALUES(?,?)",
	[ST_SEARCH] = "INSERT OR REPLACE INTO search(name,value,run) VALUES(?,?,?)",
	[ST_UNSEARCH] = "DELETE FROM search WHERE name=?1 AND run=?3",
	[ST_KEY_TAKEN] = "SELECT no FROM run WHERE graph=? AND correlation_id=?",
	[ST_EXCLUSIVE_TAKEN] = "SELECT no FROM run WHERE exclusive=?",
	[ST_RECORD_THERE] = "SELECT 1 FROM record WHERE run=? AND seq=?",
	[ST_LAST_NO] = "SELECT ifnull(max(no),0) FROM run",
	[ST_BY_NO] = "SELECT " RUN_COLUMNS " FROM run WHERE no=?",
	[ST_BY_ID] = "SELECT " RUN_COLUMNS " FROM run WHERE id=?",
	[ST_BY_KEY] = "SELECT " RUN_COLUMNS " FROM run WHERE graph=? AND correlation_id=?",
	[ST_LIST] = "SELECT " RUN_COLUMNS " FROM run WHERE" RUN_FILTER " ORDER BY no DESC LIMIT ?6",
	[ST_LIST_SEARCH] =
		"SELECT " RUN_COLUMNS " FROM run WHERE no IN (SELECT run FROM search"
		" WHERE name=?7 AND value=?8)" ALSO_FOUND("?9", "?10") ALSO_FOUND("?11", "?12")
			ALSO_FOUND("?13", "?14") " AND" RUN_FILTER " ORDER BY no DESC LIMIT ?6",
	[ST_DUE] = "SELECT " RUN_COLUMNS " FROM run WHERE wake_ms>0 AND wake_ms<=?"
		   " ORDER BY wake_ms,no LIMIT ?",
	[ST_OWING] = "SELECT " RUN_COLUMNS " FROM run WHERE wake_ms=0 ORDER BY no",
	[ST_NEXT_WAKE] = "SELECT min(wake_ms) FROM run WHERE wake_ms>0",
	[ST_FEED] = "SELECT record.id,run.id,record.seq,record.body FROM record"
		    " JOIN run ON run.no=record.run WHERE record.id>?1 ORDER BY record.id LIMIT ?2",
	[ST_FEED_LAST] = "SELECT record.id,run.id,record.seq,record.body FROM record"
			 " JOIN run ON run.no=record.run ORDER BY record.id DESC LIMIT 1",
	[ST_RECORDS] = "SELECT seq,hash,body FROM record WHERE run=? AND seq>=? ORDER BY seq",
	[ST_GET_SNAPSHOT] = "SELECT seq,body FROM snapshot WHERE run=?",
	[ST_TASKS] = "SELECT " TASK_COLUMNS
		     " FROM task WHERE (?1=0 OR run=?1) AND (?2 IS NULL OR role=?2)"
		     " AND (?3 IS NULL OR owner=?3) AND (?4=0 OR status=?4)"
		     " AND (?5=0 OR (status<3 AND due_ms<?5)) ORDER BY run,length(id),id LIMIT ?6",
	[ST_GET_TASK] = "SELECT " TASK_COLUMNS " FROM task WHERE id=?",
	[ST_GET_BLOB] = "SELECT 0,body FROM blob WHERE sha256=?",
	[ST_GET_META] = "SELECT 0,body FROM meta WHERE name=?",
	[ST_RUN_COUNTS] = "SELECT status,NULL,count(*),0 FROM run WHERE status<10 GROUP BY status",
	[ST_TASK_COUNTS] = "SELECT 2,role,count(*),ifnull(sum(due_ms<?),0) FROM task WHERE"
			   " status=2 AND status<3 GROUP BY role",
};

int store_sqlite_fail(sqlite3 *db, struct err *err, const char *what)
{
	int code = sqlite3_extended_errcode(db) & 0xff;
	err_set_id(err, ERR_STORE, code == SQLITE_FULL ? "store.full" : "store.failed", "%s: %s",
	           what, sqlite3_errmsg(db));
	if (code == SQLITE_FULL)
		return err_hint(
			err, "the disk is full; free some space and start again, nothing is lost");
	if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)
		return err_hint(err, "keep the files as they are and restore from a backup");
	return err->code;
}

/* --- binding -------------------------------------------------------------- */

static void bind_time(sqlite3_stmt *st, int at, int64_t ms)
{
	if (ms >= 0)
		sqlite3_bind_int64(st, at, ms);
	else
		sqlite3_bind_null(st, at);
}

static int run_once(struct sqlite_store *s, enum statement which, struct err *err)
{
	sqlite3_stmt *st = s->st[which];
	int code = sqlite3_step(st);
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	if (code != SQLITE_DONE && code != SQLITE_ROW)
		return store_sqlite_fail(s->writer, err, "the store cannot be written");
	return 0;
}

/* The first column of the first row, or -1. */
static int64_t ask_number(struct sqlite_store *s, enum statement which)
{
	sqlite3_stmt *st = s->st[which];
	int64_t ret = sqlite3_step(st) == SQLITE_ROW ? sqlite3_column_int64(st, 0) : -1;
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return ret;
}

/* --- writing -------------------------------------------------------------- */

/*
 * Looks before it writes: so a conflict needs no savepoint, and nothing of the
 * item is kept.  A record that is the item's first write is left to its
 * constraint, which takes back that one write.
 */
static bool has_conflict(struct sqlite_store *s, struct store_item *item)
{
	for (size_t i = 0; i < item->count; i++) {
		const struct store_op *op = &item->ops[i];
		int64_t in_the_way = -1;
		if (op->kind == STORE_OP_RUN_NEW) {
			bind_text(s->st[ST_KEY_TAKEN], 1, op->run.graph);
			bind_text(s->st[ST_KEY_TAKEN], 2, op->run.correlation_id);
			in_the_way = ask_number(s, ST_KEY_TAKEN);
			if (in_the_way < 0 && op->run.exclusive) {
				bind_text(s->st[ST_EXCLUSIVE_TAKEN], 1, op->run.exclusive);
				in_the_way = ask_number(s, ST_EXCLUSIVE_TAKEN);
				item->is_exclusive_conflict = in_the_way >= 0;
			}
		} else if (op->kind == STORE_OP_RECORD && i > 0) {
			sqlite3_bind_int64(s->st[ST_RECORD_THERE], 1, op->no);
			sqlite3_bind_int64(s->st[ST_RECORD_THERE], 2, op->seq);
			in_the_way = ask_number(s, ST_RECORD_THERE) < 0 ? -1 : op->no;
		}
		if (in_the_way >= 0) {
			item->result = ERR_CONFLICT;
			item->conflict_no = in_the_way;
			return true;
		}
	}
	return false;
}

static int write_run_new(struct sqlite_store *s, const struct store_run *run, struct err *err)
{
	sqlite3_stmt *st = s->st[ST_RUN_NEW];
	sqlite3_bind_int64(st, 1, run->no);
	bind_text(st, 2, run->id);
	bind_text(st, 3, run->graph);
	bind_text(st, 4, run->correlation_id);
	sqlite3_bind_int(st, 5, run->status);
	sqlite3_bind_int64(st, 6, run->created_ms);
	sqlite3_bind_int64(st, 7, run->updated_ms);
	bind_time(st, 8, run->wake_ms);
	bind_text(st, 9, run->exclusive);
	bind_text(st, 10, run->summary);
	return run_once(s, ST_RUN_NEW, err);
}

static int write_run_set(struct sqlite_store *s, const struct store_run *run, struct err *err)
{
	sqlite3_stmt *st = s->st[ST_RUN_SET];
	sqlite3_bind_int64(st, 1, run->no);
	sqlite3_bind_int(st, 2, run->status);
	sqlite3_bind_int64(st, 3, run->updated_ms);
	bind_time(st, 4, run->wake_ms);
	bind_text(st, 5, run->exclusive);
	bind_text(st, 6, run->summary);
	return run_once(s, ST_RUN_SET, err);
}

static int write_task(struct sqlite_store *s, const struct store_task *task, struct err *err)
{
	sqlite3_stmt *st = s->st[ST_TASK];
	bind_text(st, 1, task->id);
	sqlite3_bind_int64(st, 2, task->run);
	sqlite3_bind_int(st, 3, task->status);
	bind_text(st, 4, task->role);
	bind_text(st, 5, task->owner);
	bind_time(st, 6, task->due_ms);
	bind_text(st, 7, task->body);
	return run_once(s, ST_TASK, err);
}

static int write_op(struct sqlite_store *s, const struct store_op *op, struct err *err)
{
	sqlite3_stmt *st;
	switch (op->kind) {
	case STORE_OP_RUN_NEW: return write_run_new(s, &op->run, err);
	case STORE_OP_RUN_SET: return write_run_set(s, &op->run, err);
	case STORE_OP_TASK: return write_task(s, &op->task, err);
	case STORE_OP_RECORD:
		st = s->st[ST_RECORD];
		sqlite3_bind_int64(st, 1, op->no);
		sqlite3_bind_int64(st, 2, op->seq);
		sqlite3_bind_blob64(st, 3, op->hash, sizeof(op->hash), SQLITE_STATIC);
		sqlite3_bind_text64(st, 4, op->body.ptr, op->body.len, SQLITE_STATIC, SQLITE_UTF8);
		return run_once(s, ST_RECORD, err);
	case STORE_OP_SNAPSHOT:
		st = s->st[ST_SNAPSHOT];
		sqlite3_bind_int64(st, 1, op->no);
		sqlite3_bind_int64(st, 2, op->seq);
		sqlite3_bind_text64(st, 3, op->body.ptr, op->body.len, SQLITE_STATIC, SQLITE_UTF8);
		return run_once(s, ST_SNAPSHOT, err);
	case STORE_OP_BLOB:
		st = s->st[ST_BLOB];
		sqlite3_bind_blob64(st, 1, op->hash, sizeof(op->hash), SQLITE_STATIC);
		sqlite3_bind_blob64(st, 2, op->body.ptr ? op->body.ptr : "", op->body.len,
		                    SQLITE_STATIC);
		return run_once(s, ST_BLOB, err);
	case STORE_OP_META:
		st = s->st[ST_META];
		bind_text(st, 1, op->name);
		sqlite3_bind_blob64(st, 2, op->body.ptr ? op->body.ptr : "", op->body.len,
		                    SQLITE_STATIC);
		return run_once(s, ST_META, err);
	case STORE_OP_SEARCH: {
		enum statement which = op->text ? ST_SEARCH : ST_UNSEARCH;
		st = s->st[which];
		bind_text(st, 1, op->name);
		if (op->text)
			bind_text(st, 2, op->text);
		sqlite3_bind_int64(st, 3, op->no);
		return run_once(s, which, err);
	}
	}
	must_not_reach();
}

static int write_item(struct sqlite_store *s, struct store_item *item, struct err *err)
{
	for (size_t i = 0; i < item->count; i++) {
		if (write_op(s, &item->ops[i], err) == 0)
			continue;
		bool is_taken = i == 0 && item->ops[0].kind == STORE_OP_RECORD &&
		                sqlite3_extended_errcode(s->writer) == SQLITE_CONSTRAINT_UNIQUE;
		if (!is_taken)
			return err->code;
		err_clear(err);
		item->result = ERR_CONFLICT;
		item->conflict_no = item->ops[0].no;
		return 0;
	}
	return 0;
}

static int write_items(struct sqlite_store *s, struct store_item *items, size_t count,
                       struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		items[i].result = 0;
		items[i].is_exclusive_conflict = false;
		if (!has_conflict(s, &items[i]) && write_item(s, &items[i], err) < 0)
			return err->code;
	}
	return 0;
}

static int sqlite_apply(struct store *store, struct store_item *items, size_t count,
                        struct err *err)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	if (run_once(s, ST_BEGIN, err) < 0)
		return err->code;
	if (write_items(s, items, count, err) < 0 || run_once(s, ST_COMMIT, err) < 0) {
		struct err ignored = { 0 }; /* the first cause is what counts */
		(void)run_once(s, ST_ROLLBACK, &ignored);
		return err->code;
	}
	return 0;
}

/* --- opening -------------------------------------------------------------- */

static void sqlite_close(struct store *store)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	for (int i = 0; i < ST_COUNT; i++)
		sqlite3_finalize(s->st[i]);
	sqlite3_close(s->reader);
	sqlite3_close(s->writer);
	store_vfs_free(s->vfs);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	pthread_mutex_destroy(&s->reading);
	free(s->path);
	free(s);
}

static int take_lock(struct sqlite_store *s, struct err *err)
{
	char *path = mem_format("%s.lock", s->path);
	int status = 0;
	s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (s->lock_fd < 0)
		status = err_set_id(err, ERR_STORE, "store.open", "%s: %s", path, strerror(errno));
	else if (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0)
		status = err_set_id(err, ERR_BUSY, "store.owned",
		                    "the store %s is in use by another process", s->path);
	free(path);
	return status;
}

/* Runs hold personal data: a new file, and what SQLite makes beside it, is the owner's alone. */
static int make_file(const char *path, struct err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_set_id(err, ERR_STORE, "store.open", "the store %s cannot be opened: %s",
		                  path, strerror(errno));
	close(fd); /* SQLite has not opened it yet, and nobody else may: we hold the lock */
	return 0;
}

/* Locks and shared memory of SQLite do not work there (row 67). */
static int refuse_network_disk(const char *path, struct err *err)
{
	enum { NFS = 0x6969, FUSE = 0x65735546, SMB2 = (int)0xfe534d42, CIFS = (int)0xff534d42 };
	char *folder = mem_dup_str(path);
	char *slash = strrchr(folder, '/');
	if (slash)
		slash[slash == folder ? 1 : 0] = '\0';
	struct statfs fs;
	int status = 0;
	if (statfs(slash ? folder : ".", &fs) == 0 &&
	    ((int)fs.f_type == NFS || (int)fs.f_type == FUSE || (int)fs.f_type == SMB2 ||
	     (int)fs.f_type == CIFS)) {
		err_set_id(err, ERR_STORE, "store.network_disk", "%s lies on a network file system",
		           path);
		status = err_hint(err, "put the store on a local disk");
	}
	free(folder);
	return status;
}

static int open_connection(const struct sqlite_store *s, sqlite3 **ret, struct err *err)
{
	const char *path = s->path;
	int code = sqlite3_open_v2(path, ret,
	                           SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
	                                   SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE,
	                           store_vfs_name(s->vfs));
	if (code != SQLITE_OK)
		return err_set_id(err, ERR_STORE, "store.open", "the store %s cannot be opened: %s",
		                  path, *ret ? sqlite3_errmsg(*ret) : sqlite3_errstr(code));
	sqlite3_busy_timeout(*ret, 5000);
	sqlite3_extended_result_codes(*ret, 1);
	sqlite3_db_config(*ret, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(*ret, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	return 0;
}

static int execute(sqlite3 *db, const char *sql, struct err *err)
{
	return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK
	               ? 0
	               : store_sqlite_fail(db, err, "the store");
}

static int ask_pragma(sqlite3 *db, const char *sql, int *ret, struct err *err)
{
	sqlite3_stmt *st = NULL;
	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK ||
	    sqlite3_step(st) != SQLITE_ROW) {
		store_sqlite_fail(db, err, "the store");
		sqlite3_finalize(st);
		return err->code;
	}
	*ret = sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	return 0;
}

static int prepare_schema(sqlite3 *db, struct err *err)
{
	int version, application;
	if (ask_pragma(db, "PRAGMA user_version", &version, err) < 0 ||
	    ask_pragma(db, "PRAGMA application_id", &application, err) < 0)
		return err->code;
	if (version == STORE_SCHEMA_VERSION && application == STORE_APPLICATION_ID)
		return 0;
	int tables;
	if (ask_pragma(db, "SELECT count(*) FROM sqlite_schema", &tables, err) < 0)
		return err->code;
	if (application == STORE_APPLICATION_ID && version > STORE_SCHEMA_VERSION) {
		err_set_id(err, ERR_STORE, "store.newer",
		           "the store has schema %d, this engine knows up to %d", version,
		           STORE_SCHEMA_VERSION);
		return err_hint(err, "use the newer engine that wrote it");
	}
	if (tables > 0)
		return err_set_id(err, ERR_STORE, "store.foreign", "the file is no Gangway store");
	char sql[128];
	sqlite3_snprintf(sizeof(sql), sql,
	                 "PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT",
	                 STORE_APPLICATION_ID, STORE_SCHEMA_VERSION);
	if (execute(db, "BEGIN IMMEDIATE", err) < 0 || execute(db, STORE_SCHEMA, err) < 0)
		return err->code;
	return execute(db, sql, err);
}

static int prepare_statements(struct sqlite_store *s, struct err *err)
{
	for (int i = 0; i < ST_COUNT; i++) {
		sqlite3 *db = i < ST_WRITER_COUNT ? s->writer : s->reader;
		if (sqlite3_prepare_v3(db, statements[i], -1, SQLITE_PREPARE_PERSISTENT, &s->st[i],
		                       NULL) != SQLITE_OK)
			return store_sqlite_fail(db, err,
			                         "the store's tables are not what they should be");
	}
	return 0;
}

static int sync_folder(const char *path, struct err *err)
{
	char *folder = mem_dup_str(path);
	char *slash = strrchr(folder, '/');
	if (slash)
		slash[slash == folder ? 1 : 0] = '\0';
	int fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int status = 0;
	if (fd < 0 || fsync(fd) < 0)
		status = err_set_id(err, ERR_STORE, "store.sync", "%s: %s", folder,
		                    strerror(errno));
	if (fd >= 0)
		close(fd);
	free(folder);
	return status;
}

static int open_all(struct sqlite_store *s, struct err *err)
{
	if (refuse_network_disk(s->path, err) < 0 || take_lock(s, err) < 0 ||
	    make_file(s->path, err) < 0 || open_connection(s, &s->writer, err) < 0)
		return err->code;
	if (execute(s->writer,
	            "PRAGMA page_size=8192; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
	            "PRAGMA foreign_keys=ON;"
	            "PRAGMA cell_size_check=ON; PRAGMA mmap_size=0; PRAGMA wal_autocheckpoint=2000;"
	            "PRAGMA cache_size=-8192; PRAGMA temp_store=MEMORY",
	            err) < 0 ||
	    prepare_schema(s->writer, err) < 0 || sync_folder(s->path, err) < 0)
		return err->code;
	if (open_connection(s, &s->reader, err) < 0 ||
	    execute(s->reader,
	            "PRAGMA query_only=ON; PRAGMA mmap_size=0; PRAGMA wal_autocheckpoint=0;"
	            "PRAGMA cache_size=-4096",
	            err) < 0)
		return err->code;
	return prepare_statements(s, err);
}

int store_sqlite_open(const char *path, struct store **ret, struct err *err)
{
	static const struct store_ops ops = {
		.close = sqlite_close,
		.apply = sqlite_apply,
		.last_no = store_sqlite_last_no,
		.run_by_no = store_sqlite_run_by_no,
		.run_by_id = store_sqlite_run_by_id,
		.run_by_key = store_sqlite_run_by_key,
		.runs = store_sqlite_runs,
		.due = store_sqlite_due,
		.owing = store_sqlite_owing,
		.next_wake = store_sqlite_next_wake,
		.records = store_sqlite_records,
		.feed = store_sqlite_feed,
		.snapshot = store_sqlite_snapshot,
		.tasks = store_sqlite_tasks,
		.task = store_sqlite_task,
		.blob = store_sqlite_blob,
		.meta = store_sqlite_meta,
		.backup = store_sqlite_backup,
		.run_counts = store_sqlite_run_counts,
		.task_counts = store_sqlite_task_counts,
	};
	struct sqlite_store *s = mem_alloc(sizeof(*s));
	s->base.ops = &ops;
	s->path = mem_dup_str(path);
	s->lock_fd = -1;
	s->vfs = store_vfs_new(&s->base);
	pthread_mutex_init(&s->reading, NULL);
	if (open_all(s, err) < 0) {
		sqlite_close(&s->base);
		return err->code;
	}
	*ret = &s->base;
	return 0;
}
