/* SPDX-License-Identifier: MIT */
/*
 * A power cut, as the kernel's caches allow it: of each sector of 512 bytes any
 * version since the last sync may be on the disk; of a file that grew any part
 * of the growth; of the entries of a folder any prefix of what was made,
 * renamed and removed since the folder was synced.  Before each change its
 * before-image is kept, and disk_cut() plays them back.
 *
 * Files are held open by descriptors that are never closed: closing one would
 * drop the process's POSIX locks of that file.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim.h"

enum { SECTOR = 512, FILES_MAX = 256, COPY_BYTES = 65536 };

/* A file that was written since its last sync. */
struct dirty_file {
	dev_t device;
	ino_t inode;
	uint64_t number;
	int fd;          /* our own */
	off_t size_safe; /* what a cut cannot take away */
	size_t change_count;
};

/* Bytes that a write or a cut of the file took the place of. */
struct change {
	struct dirty_file *file;
	size_t number; /* among those of its file, from 0 */
	off_t at;
	size_t len;            /* of what was written over */
	size_t before_len;     /* how many of them were there before */
	unsigned char *before; /* ours */
	struct change *older;
};

enum entry_kind { ENTRY_CREATED, ENTRY_RENAMED, ENTRY_UNLINKED };

/* A folder's entry that was made, moved or removed. */
struct entry {
	enum entry_kind kind;
	char *path; /* where it was made or removed, or moved to */
	char *from; /* where it was moved from */
	char *held; /* another link to what was removed or moved over; NULL: nothing was */
	struct entry *older;
};

struct disk {
	pthread_mutex_t lock;
	struct dirty_file files[FILES_MAX];
	size_t file_count;
	struct change *changes; /* the newest first */
	struct entry *entries;  /* the newest first */
	const char *hold_folder;
	unsigned int held_count;
};

struct disk *disk_open(const char *hold_folder)
{
	struct disk *disk = calloc(1, sizeof(*disk));
	if (!disk)
		abort();
	pthread_mutex_init(&disk->lock, NULL);
	disk->hold_folder = hold_folder;
	return disk;
}

void disk_lock(struct disk *disk)
{
	pthread_mutex_lock(&disk->lock);
}

void disk_unlock(struct disk *disk)
{
	pthread_mutex_unlock(&disk->lock);
}

static void *get(size_t size)
{
	void *ret = calloc(1, size ? size : 1);
	if (!ret)
		abort();
	return ret;
}

static char *keep(const char *text)
{
	char *ret = strdup(text);
	if (!ret)
		abort();
	return ret;
}

/* --- bytes ---------------------------------------------------------------------------------- */

static struct dirty_file *file_of(struct disk *disk, int fd)
{
	struct stat st;
	char link[64];
	if (fstat(fd, &st) < 0)
		abort();
	for (size_t i = 0; i < disk->file_count; i++)
		if (disk->files[i].device == st.st_dev && disk->files[i].inode == st.st_ino)
			return &disk->files[i];
	if (disk->file_count == FILES_MAX)
		abort();
	struct dirty_file *file = &disk->files[disk->file_count++];
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	*file = (struct dirty_file){ st.st_dev, st.st_ino, disk->file_count, -1, st.st_size, 0 };
	file->fd = (int)syscall(SYS_openat, AT_FDCWD, link, O_RDWR | O_CLOEXEC);
	if (file->fd < 0)
		abort();
	return file;
}

static void keep_bytes(struct disk *disk, int fd, off_t at, size_t len)
{
	struct dirty_file *file = file_of(disk, fd);
	struct stat st;
	if (fstat(file->fd, &st) < 0)
		abort();
	if (file->change_count == 0)
		file->size_safe = st.st_size;
	struct change *change = get(sizeof(*change));
	*change = (struct change){ .file = file,
		                   .number = file->change_count++,
		                   .at = at,
		                   .len = len,
		                   .older = disk->changes };
	if (at < st.st_size)
		change->before_len = (size_t)(st.st_size - at) < len ? (size_t)(st.st_size - at)
		                                                     : len;
	change->before = get(change->before_len);
	if (pread(file->fd, change->before, change->before_len, at) != (ssize_t)change->before_len)
		abort();
	disk->changes = change;
}

void disk_write(struct disk *disk, int fd, off_t at, size_t len)
{
	if (len > 0)
		keep_bytes(disk, fd, at, len);
}

/* What is cut off is written over by nothing; growth is bytes that were not there. */
void disk_truncate(struct disk *disk, int fd, off_t len)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		abort();
	if (len < st.st_size)
		keep_bytes(disk, fd, len, (size_t)(st.st_size - len));
	else if (len > st.st_size)
		keep_bytes(disk, fd, st.st_size, (size_t)(len - st.st_size));
}

/* --- entries -------------------------------------------------------------------------------- */

static struct entry *add_entry(struct disk *disk, enum entry_kind kind, const char *path)
{
	char full[PATH_MAX];
	if (!shim_full_path(path, full))
		abort();
	struct entry *entry = get(sizeof(*entry));
	*entry = (struct entry){ .kind = kind, .path = keep(full), .older = disk->entries };
	disk->entries = entry;
	return entry;
}

/* Another link, so that a removed file can come back. */
static char *hold(struct disk *disk, const char *path)
{
	char held[PATH_MAX];
	snprintf(held, sizeof(held), "%s/%u", disk->hold_folder, disk->held_count++);
	return syscall(SYS_linkat, AT_FDCWD, path, AT_FDCWD, held, 0) == 0 ? keep(held) : NULL;
}

void disk_create(struct disk *disk, const char *path)
{
	add_entry(disk, ENTRY_CREATED, path);
}

void disk_rename(struct disk *disk, const char *from, const char *to)
{
	char full[PATH_MAX];
	if (!shim_full_path(from, full))
		abort();
	struct entry *entry = add_entry(disk, ENTRY_RENAMED, to);
	entry->from = keep(full);
	entry->held = hold(disk, entry->path);
}

void disk_unlink(struct disk *disk, const char *path)
{
	struct entry *entry = add_entry(disk, ENTRY_UNLINKED, path);
	entry->held = hold(disk, entry->path);
}

/* --- syncs ---------------------------------------------------------------------------------- */

static void forget_change(struct change **at)
{
	struct change *change = *at;
	*at = change->older;
	free(change->before);
	free(change);
}

static void forget_entry(struct entry **at)
{
	struct entry *entry = *at;
	*at = entry->older;
	if (entry->held)
		syscall(SYS_unlinkat, AT_FDCWD, entry->held, 0);
	free(entry->path);
	free(entry->from);
	free(entry->held);
	free(entry);
}

static bool is_in(const char *path, const char *folder)
{
	size_t len = strlen(folder);
	return strncmp(path, folder, len) == 0 && path[len] == '/' && !strchr(path + len + 1, '/');
}

static void folder_synced(struct disk *disk, const char *folder)
{
	for (struct entry **at = &disk->entries; *at;)
		if (is_in((*at)->path, folder))
			forget_entry(at);
		else
			at = &(*at)->older;
}

void disk_synced(struct disk *disk, int fd)
{
	struct stat st;
	char path[PATH_MAX];
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
		if (shim_path_of(fd, path))
			folder_synced(disk, path);
		return;
	}
	struct dirty_file *file = file_of(disk, fd);
	for (struct change **at = &disk->changes; *at;)
		if ((*at)->file == file)
			forget_change(at);
		else
			at = &(*at)->older;
	file->change_count = 0;
}

/* syncfs() reaches the whole disk; here no further than the folder it was asked by, so that
 * nobody's sync hides the want of another. */
void disk_all_synced(struct disk *disk, int fd)
{
	char folder[PATH_MAX], path[PATH_MAX];
	struct stat st;
	if (!shim_path_of(fd, folder))
		return;
	folder_synced(disk, folder);
	for (size_t i = 0; i < disk->file_count; i++) {
		struct dirty_file *file = &disk->files[i];
		if (file->change_count > 0 && fstat(file->fd, &st) == 0 && st.st_nlink > 0 &&
		    shim_path_of(file->fd, path) && is_in(path, folder))
			disk_synced(disk, file->fd);
	}
}

/* --- the cut -------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t a, uint64_t b)
{
	uint64_t ret = a * 0x9e3779b97f4a7c15u + b + 0x632be59bd9b4e019u;
	ret = (ret ^ ret >> 30) * 0xbf58476d1ce4e5b9u;
	ret = (ret ^ ret >> 27) * 0x94d049bb133111ebu;
	return ret ^ ret >> 31;
}

/*
 * How many of a file's changes this sector has seen.  By chance either each
 * sector for itself, or the file as a whole, so that the last writes are lost
 * in order, as when the cache was being written back.
 */
static size_t versions_kept(uint64_t seed, const struct dirty_file *file, off_t sector)
{
	if (seed == 0)
		return 0;
	uint64_t of_file = mix(seed, file->number);
	uint64_t key = of_file & 1 ? mix(of_file, (uint64_t)sector) : of_file >> 1;
	return (size_t)(key % (file->change_count + 1));
}

static void put_back(const struct change *change, off_t from, off_t to)
{
	static const unsigned char nothing[SECTOR];
	off_t there = change->at + (off_t)change->before_len;
	off_t middle = from > there ? from : to < there ? to : there;
	if (middle > from)
		(void)!syscall(SYS_pwrite64, change->file->fd, change->before + (from - change->at),
		               (size_t)(middle - from), from);
	if (to > middle)
		(void)!syscall(SYS_pwrite64, change->file->fd, nothing, (size_t)(to - middle),
		               middle);
}

static void undo_change(const struct change *change, uint64_t seed)
{
	off_t end = change->at + (off_t)change->len;
	for (off_t from = change->at; from < end;) {
		off_t sector = from / SECTOR, to = (sector + 1) * SECTOR;
		to = to < end ? to : end;
		if (change->number >= versions_kept(seed, change->file, sector))
			put_back(change, from, to);
		from = to;
	}
}

/* Of growth any part may be lost, sector by sector; of a cut-off tail all of it may be back. */
static void settle_size(struct dirty_file *file, uint64_t seed)
{
	struct stat st;
	if (file->change_count == 0 || fstat(file->fd, &st) < 0)
		return;
	off_t size = file->size_safe, growth = st.st_size - size;
	if (seed != 0 && growth > 0) {
		uint64_t chance = mix(seed, file->number + 1000);
		off_t part = (off_t)(chance % (uint64_t)(growth / SECTOR + 2)) * SECTOR;
		size += part < growth ? part : growth;
	}
	if (size < st.st_size)
		syscall(SYS_ftruncate, file->fd, size);
}

static void undo_entry(const struct entry *entry)
{
	if (entry->kind == ENTRY_CREATED)
		syscall(SYS_unlinkat, AT_FDCWD, entry->path, 0);
	if (entry->kind == ENTRY_RENAMED)
		syscall(SYS_renameat, AT_FDCWD, entry->path, AT_FDCWD, entry->from);
	if (entry->held)
		syscall(SYS_linkat, AT_FDCWD, entry->held, AT_FDCWD, entry->path, 0);
}

static void undo_entries(struct disk *disk, uint64_t seed)
{
	size_t count = 0;
	for (struct entry *entry = disk->entries; entry; entry = entry->older)
		count++;
	size_t lost = seed == 0 ? count : (size_t)(mix(seed, 77) % (count + 1));
	for (struct entry *entry = disk->entries; entry && lost > 0; entry = entry->older, lost--)
		undo_entry(entry);
}

/* SQLite's shared memory is none after a power cut. */
static void remove_shared_memory(const char *folder)
{
	DIR *dir = opendir(folder);
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		size_t len = strlen(entry->d_name);
		if (len > 4 && strcmp(entry->d_name + len - 4, "-shm") == 0)
			syscall(SYS_unlinkat, dirfd(dir), entry->d_name, 0);
	}
}

void disk_cut(struct disk *disk, uint64_t seed, const char *track)
{
	char folder[PATH_MAX];
	for (struct change *change = disk->changes; change; change = change->older)
		undo_change(change, seed);
	for (size_t i = 0; i < disk->file_count; i++)
		settle_size(&disk->files[i], seed);
	undo_entries(disk, seed);
	while (track && *track) {
		size_t len = strcspn(track, ":");
		snprintf(folder, sizeof(folder), "%.*s", (int)len, track);
		remove_shared_memory(folder);
		track += len + (track[len] == ':');
	}
}
