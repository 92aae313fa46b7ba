/* SPDX-License-Identifier: MIT */
/*
 * SQLite's own access to files with one thing added: how long each sync took is
 * told, because that is what a slow disk shows itself by.  The files are those
 * of the default VFS; only the tables of methods they carry are copies of ours.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/must.h"
#include "store/store_sqlite_int.h"

/* SQLite has one table for the database and another for what needs no locks (WAL). */
enum { KINDS = 4 };

struct timed_methods {
	sqlite3_io_methods base; /* first: a file carries a pointer to it */
	const sqlite3_io_methods *real;
	struct store *told;
};

struct store_vfs {
	sqlite3_vfs base; /* first: SQLite hands it back to us */
	sqlite3_vfs *real;
	struct timed_methods kinds[KINDS];
	struct store *told;
	char *name;
};

static int timed_sync(sqlite3_file *file, int flags)
{
	const struct timed_methods *timed = (const struct timed_methods *)file->pMethods;
	const struct clock clock = clock_system();
	int64_t began_ns = clock_monotonic_ns(&clock);
	int ret = timed->real->xSync(file, flags);
	if (timed->told->on_sync)
		timed->told->on_sync(timed->told->on_sync_arg,
		                     clock_monotonic_ns(&clock) - began_ns);
	return ret;
}

/* Files are opened while the store is, by one thread; those that come later are of known kinds. */
static int open_file(sqlite3_vfs *base, sqlite3_filename name, sqlite3_file *file, int flags,
                     int *ret_flags)
{
	struct store_vfs *vfs = (struct store_vfs *)base;
	int ret = vfs->real->xOpen(vfs->real, name, file, flags, ret_flags);
	for (int i = 0; i < KINDS && ret == SQLITE_OK && file->pMethods; i++) {
		struct timed_methods *timed = &vfs->kinds[i];
		if (!timed->real) {
			timed->base = *file->pMethods;
			timed->base.xSync = timed_sync;
			timed->told = vfs->told;
			timed->real = file->pMethods;
		}
		if (file->pMethods == timed->real) {
			file->pMethods = &timed->base;
			break;
		}
	}
	return ret;
}

struct store_vfs *store_vfs_new(struct store *told)
{
	struct store_vfs *vfs = mem_alloc(sizeof(*vfs));
	vfs->real = sqlite3_vfs_find(NULL);
	must(vfs->real);
	vfs->told = told;
	vfs->name = mem_format("gangway-%p", (void *)vfs);
	vfs->base = *vfs->real;
	vfs->base.zName = vfs->name;
	vfs->base.pNext = NULL;
	vfs->base.xOpen = open_file;
	must(sqlite3_vfs_register(&vfs->base, 0) == SQLITE_OK);
	return vfs;
}

void store_vfs_free(struct store_vfs *vfs)
{
	if (!vfs)
		return;
	sqlite3_vfs_unregister(&vfs->base);
	free(vfs->name);
	free(vfs);
}

const char *store_vfs_name(const struct store_vfs *vfs)
{
	return vfs->name;
}
