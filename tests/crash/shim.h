/* SPDX-License-Identifier: MIT */
/*
 * For the crash test only: loaded with LD_PRELOAD into the real program, it
 * counts every call after which the world differs - writes, syncs, renames and
 * the like on files below $CRASH_TRACK, and all socket traffic - and lets the
 * $CRASH_AT-th of them go wrong.
 *
 *   CRASH_TRACK       folders, separated by ':'
 *   CRASH_AT          which boundary; 0 or absent: none, only count
 *   CRASH_MODE        "before" the call (default) or "after" it: the end, with SIGKILL;
 *                     "half": half of the bytes of a write or send, then the end;
 *                     "power": before the call, and what was not synced is undone;
 *                     "error": the call fails; then only calls on files are counted
 *   CRASH_SEED        of power: 0 undoes everything that may be undone; others what chance says
 *   CRASH_HOLD        of power: a folder on the same disk for files that are removed
 *   CRASH_ERROR       of error: EIO, ENOSPC, EINTR or SHORT (half of a write)
 *   CRASH_STICKY      of error: set: all calls from then on
 *   CRASH_COUNT_FILE  gets both counts, and each kind's, when the process ends by itself;
 *                     "written-after" when SQLite's log was written after a sync of it failed
 *
 * Only the process that was started is counted, not its children.
 */
#ifndef TESTS_CRASH_SHIM_H
#define TESTS_CRASH_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SHIM_EXPORT __attribute__((visibility("default")))

/* The path of an open file, as the kernel knows it; false: it has none. */
bool shim_path_of(int fd, char ret[4096]);
/* An absolute form of a path that was given to a call. */
bool shim_full_path(const char *path, char ret[4096]);

/*
 * What a power cut may undo (shim_disk.c).  disk_open() once; the others are
 * called with disk_lock() held, which lasts until the real call has been made.
 */
struct disk;
struct disk *disk_open(const char *hold_folder);
void disk_lock(struct disk *disk);
void disk_unlock(struct disk *disk);
/* Before the call: what it is going to change is kept. */
void disk_write(struct disk *disk, int fd, off_t at, size_t len);
void disk_truncate(struct disk *disk, int fd, off_t len);
void disk_create(struct disk *disk, const char *path);
void disk_rename(struct disk *disk, const char *from, const char *to);
void disk_unlink(struct disk *disk, const char *path);
/* After a sync that went well: of one file or folder, or of all in a folder. */
void disk_synced(struct disk *disk, int fd);
void disk_all_synced(struct disk *disk, int fd);
/* Undoes what was not synced, as far as the seed says; track as in CRASH_TRACK. */
void disk_cut(struct disk *disk, uint64_t seed, const char *track);

#endif
