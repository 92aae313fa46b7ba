/* SPDX-License-Identifier: MIT */
/*
 * Copies of the store: a backup of a store that is being written to, and the
 * way back.  A copy is made beside its place, checked, and then moved there, so
 * that a file of that name is always whole.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/store_sqlite_int.h"
#include "store/store_sqlite_schema.h"

static int fail(struct err *err, const char *path, sqlite3 *db)
{
	return err_set_id(err, ERR_STORE, "store.copy", "%s: %s", path,
	                  db ? sqlite3_errmsg(db) : strerror(errno));
}

static int open_file(const char *path, int flags, sqlite3 **ret, struct err *err)
{
	if (sqlite3_open_v2(path, ret, flags | SQLITE_OPEN_PRIVATECACHE, NULL) != SQLITE_OK)
		return fail(err, path, *ret);
	sqlite3_busy_timeout(*ret, 5000);
	return 0;
}

/* One number or word of the file. */
static int ask(sqlite3 *db, const char *sql, const char *path, char ret[64], struct err *err)
{
	sqlite3_stmt *st = NULL;
	int status = 0;
	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK ||
	    sqlite3_step(st) != SQLITE_ROW)
		status = fail(err, path, db);
	else
		snprintf(ret, 64, "%s", (const char *)sqlite3_column_text(st, 0));
	sqlite3_finalize(st);
	return status;
}

/* A whole Gangway store that this engine can read? */
static int check(sqlite3 *db, const char *path, struct err *err)
{
	char application[64], version[64], integrity[64];
	if (ask(db, "PRAGMA application_id", path, application, err) < 0 ||
	    ask(db, "PRAGMA user_version", path, version, err) < 0)
		return err->code;
	if (strtol(application, NULL, 10) != STORE_APPLICATION_ID)
		return err_set_id(err, ERR_INPUT, "store.foreign", "%s is no Gangway store", path);
	if (strtol(version, NULL, 10) > STORE_SCHEMA_VERSION)
		return err_set_id(err, ERR_INPUT, "store.newer",
		                  "%s has schema %s, this engine knows up to %d", path, version,
		                  STORE_SCHEMA_VERSION);
	if (ask(db, "PRAGMA quick_check(1)", path, integrity, err) < 0)
		return err->code;
	return strcmp(integrity, "ok") == 0 ? 0
	                                    : err_set_id(err, ERR_STORE, "store.broken",
	                                                 "%s is broken: %s", path, integrity);
}

/* All pages as of one moment; who writes meanwhile is not held up (WAL). */
static int copy_pages(sqlite3 *from, sqlite3 *to, const char *path, struct err *err)
{
	sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
	if (!backup)
		return fail(err, path, to);
	int code = sqlite3_backup_step(backup, -1);
	int end = sqlite3_backup_finish(backup);
	return code == SQLITE_DONE && end == SQLITE_OK ? 0 : fail(err, path, to);
}

static int sync_path(const char *path, int flags, struct err *err)
{
	int fd = open(path, flags | O_RDONLY | O_CLOEXEC);
	int status = fd >= 0 && fsync(fd) == 0 ? 0 : fail(err, path, NULL);
	if (fd >= 0)
		close(fd);
	return status;
}

static int put_in_place(const char *made, const char *path, struct err *err)
{
	char *folder = mem_dup_str(path);
	char *slash = strrchr(folder, '/');
	if (slash)
		slash[slash == folder ? 1 : 0] = '\0';
	int status = sync_path(made, 0, err);
	if (status == 0 && rename(made, path) < 0)
		status = fail(err, path, NULL);
	if (status == 0)
		status = sync_path(slash ? folder : ".", O_DIRECTORY, err);
	free(folder);
	return status;
}

/* A file for its owner alone; one that is left from an earlier attempt is overwritten. */
static int make_empty(const char *path, struct err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return fail(err, path, NULL);
	close(fd);
	return 0;
}

static int copy(const char *from, const char *to, struct err *err)
{
	char *made = mem_format("%s.part", to);
	sqlite3 *source = NULL, *copy = NULL;
	int status = make_empty(made, err);
	if (status == 0)
		status = open_file(from, SQLITE_OPEN_READWRITE, &source, err);
	if (status == 0)
		status = open_file(made, SQLITE_OPEN_READWRITE, &copy, err);
	if (status == 0)
		status = copy_pages(source, copy, made, err);
	if (status == 0)
		status = check(copy, made, err);
	sqlite3_close(copy);
	sqlite3_close(source);
	if (status == 0)
		status = put_in_place(made, to, err);
	else
		(void)unlink(made);
	free(made);
	return status;
}

int store_sqlite_backup(struct store *store, const char *path, struct err *err)
{
	const struct sqlite_store *s = (const struct sqlite_store *)store;
	if (access(path, F_OK) == 0) {
		err_set_id(err, ERR_CONFLICT, "store.there", "%s is there already", path);
		return err_hint(err, "name a file that is not; older backups are worth keeping");
	}
	return copy(s->path, path, err);
}

/* Beside it: what SQLite would take for the new file's. */
static void remove_beside(const char *path)
{
	static const char *const endings[] = { "-wal", "-shm", "-journal" };
	for (size_t i = 0; i < sizeof(endings) / sizeof(*endings); i++) {
		char *beside = mem_format("%s%s", path, endings[i]);
		(void)unlink(beside);
		free(beside);
	}
}

static int check_file(const char *path, struct err *err)
{
	sqlite3 *db = NULL;
	int status = open_file(path, SQLITE_OPEN_READONLY, &db, err);
	if (status == 0)
		status = check(db, path, err);
	sqlite3_close(db);
	return status;
}

static int replace(const char *backup, const char *path, bool may_replace, struct err *err)
{
	if (check_file(backup, err) < 0)
		return err->code;
	if (access(path, F_OK) == 0 && !may_replace) {
		err_set_id(err, ERR_CONFLICT, "store.there", "there is a store already: %s", path);
		return err_hint(err,
		                "--replace takes the backup instead; the store is kept beside "
		                "it as %s.before",
		                path);
	}
	if (access(path, F_OK) == 0) {
		char *kept = mem_format("%s.before", path);
		int status = copy(path, kept, err); /* with what its log still holds */
		free(kept);
		if (status < 0)
			return err->code;
	}
	remove_beside(path);
	return copy(backup, path, err);
}

int store_sqlite_restore(const char *backup, const char *path, bool may_replace, struct err *err)
{
	char *name = mem_format("%s.lock", path);
	int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int status = 0;
	if (fd < 0)
		status = fail(err, name, NULL);
	else if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		err_set_id(err, ERR_BUSY, "store.owned", "the store %s is in use", path);
		status = err_hint(err, "stop gangway serve first");
	}
	if (status == 0)
		status = replace(backup, path, may_replace, err);
	if (fd >= 0)
		close(fd);
	free(name);
	return status;
}
