/* SPDX-License-Identifier: MIT */
/*
 * Has a file been touched?  The kernel is asked to tell (inotify), so that a
 * start of a run costs one system call and not a look at every file.  An event
 * says only that something happened in some folder: the generation goes up, and
 * who finds another generation than his looks himself.  Where the kernel cannot
 * tell (a network file system, a link to a file, no watches left) nothing is
 * taken to be watched and every start looks.
 *
 * The lock of struct releases is held.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/mem.h"
#include "release/release_int.h"

enum { EVENT_BYTES = 16 * 1024 };

void watch_init(struct watch *watch)
{
	watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	watch->generation = 1;
}

void watch_release(struct watch *watch)
{
	if (watch->fd >= 0)
		close(watch->fd);
	watch->fd = -1;
}

uint64_t watch_generation(struct watch *watch)
{
	char events[EVENT_BYTES];
	while (watch->fd >= 0) {
		ssize_t got = read(watch->fd, events, sizeof(events));
		if (got > 0)
			watch->generation++;
		else if (errno != EINTR)
			break;
	}
	return watch->generation;
}

/* What others change there, the kernel is not told of. */
static bool is_local(const char *path)
{
	static const unsigned int remote[] = {
		0x6969, 0x65735546, 0xfe534d42, 0xff534d42, 0x517b, 0x01021997
	}; /* NFS, FUSE, SMB, 9P */
	struct statfs fs;
	if (statfs(path, &fs) < 0)
		return errno == ENOENT;
	for (size_t i = 0; i < sizeof(remote) / sizeof(*remote); i++)
		if ((unsigned int)fs.f_type == remote[i])
			return false;
	return true;
}

/* A folder that is not there is watched by way of the one it would be in. */
static bool watch_one(struct watch *watch, const char *path)
{
	const uint32_t events = IN_MODIFY | IN_ATTRIB | IN_CLOSE_WRITE | IN_MOVED_FROM |
	                        IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF;
	return watch->fd >= 0 && is_local(path) &&
	       (inotify_add_watch(watch->fd, path, events) >= 0 || errno == ENOENT);
}

/* As deep as folders are read; a link may lead to a file whose folder nobody watches. */
static bool watch_entries(struct watch *watch, const char *path, int depth)
{
	DIR *dir = opendir(path);
	bool ret = true;
	if (!dir)
		return errno == ENOENT;
	for (struct dirent *entry; ret && (entry = readdir(dir));) {
		if (entry->d_name[0] == '.')
			continue;
		struct stat st;
		char *name = mem_format("%s/%s", path, entry->d_name);
		if (lstat(name, &st) == 0 && S_ISLNK(st.st_mode))
			ret = false;
		else if (depth < 1 && S_ISDIR(st.st_mode))
			ret = watch_one(watch, name) && watch_entries(watch, name, depth + 1);
		free(name);
	}
	closedir(dir);
	return ret;
}

bool watch_folder(struct watch *watch, const char *path)
{
	const char *slash = strrchr(path, '/');
	char *parent = slash ? mem_dup(path, (size_t)(slash - path) + (slash == path))
	                     : mem_dup_str(".");
	bool ret = watch_one(watch, path) && watch_entries(watch, path, 0) &&
	           watch_one(watch, parent);
	free(parent);
	return ret;
}

struct watch_place watch_place(const char *path)
{
	struct stat st;
	return path && stat(path, &st) == 0 ? (struct watch_place){ st.st_dev, st.st_ino }
	                                    : (struct watch_place){ 0, 0 };
}
