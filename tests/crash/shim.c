/* SPDX-License-Identifier: MIT */
/* The calls that the shim stands before, and which of them is the one; see shim.h. */
#include "shim.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum mode { MODE_BEFORE, MODE_AFTER, MODE_HALF, MODE_POWER, MODE_ERROR };

enum kind {
	K_WRITE,
	K_SYNC,
	K_TRUNCATE,
	K_RENAME,
	K_UNLINK,
	K_CREATE,
	K_OPEN, /* of a file that is there: only an error of it is of interest */
	K_SEND,
	K_RECV,
	K_CONNECT,
	KINDS
};

static const char *const kind_names[KINDS] = { "write",  "sync", "truncate", "rename", "unlink",
	                                       "create", "open", "send",     "recv",   "connect" };

/* The one object of this library: a shim has nowhere else to keep what it counts. */
static struct {
	pid_t pid;
	const char *track;
	long at;
	enum mode mode;
	int error; /* 0: half of a write */
	bool is_sticky;
	uint64_t seed;
	struct disk *disk; /* NULL but for a power cut */
	const char *count_file;
	atomic_long count, file_count;
	atomic_bool has_failed_log, is_written_after; /* SQLite's log */
	atomic_long kinds[KINDS];
} shim;

static _Thread_local bool is_log_sync; /* the sync this thread is about to make */

static void end_process(void)
{
	if (shim.mode == MODE_POWER)
		disk_cut(shim.disk, shim.seed, shim.track);
	syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
	for (;;)
		syscall(SYS_pause);
}

static enum mode mode_of_name(const char *name)
{
	static const char *const names[] = { "before", "after", "half", "power", "error" };
	for (int i = 0; name && i < 5; i++)
		if (strcmp(names[i], name) == 0)
			return (enum mode)i;
	return MODE_BEFORE;
}

__attribute__((constructor)) static void begin(void)
{
	const char *at = getenv("CRASH_AT"), *seed = getenv("CRASH_SEED"),
		   *error = getenv("CRASH_ERROR");
	shim.pid = (pid_t)syscall(SYS_getpid);
	shim.track = getenv("CRASH_TRACK");
	shim.at = at ? strtol(at, NULL, 10) : 0;
	shim.seed = seed ? strtoull(seed, NULL, 10) : 0;
	shim.count_file = getenv("CRASH_COUNT_FILE");
	shim.mode = mode_of_name(getenv("CRASH_MODE"));
	shim.is_sticky = getenv("CRASH_STICKY") != NULL;
	shim.error = !error || strcmp(error, "EIO") == 0 ? EIO
	             : strcmp(error, "ENOSPC") == 0      ? ENOSPC
	             : strcmp(error, "EINTR") == 0       ? EINTR
	                                                 : 0;
	if (shim.mode == MODE_POWER)
		shim.disk = disk_open(getenv("CRASH_HOLD"));
}

__attribute__((destructor)) static void end(void)
{
	if (!shim.count_file || (pid_t)syscall(SYS_getpid) != shim.pid)
		return;
	char text[512];
	int len = snprintf(text, sizeof(text), "%ld %ld", atomic_load(&shim.count),
	                   atomic_load(&shim.file_count));
	for (int i = 0; i < KINDS; i++)
		len += snprintf(text + len, sizeof(text) - (size_t)len, " %s=%ld", kind_names[i],
		                atomic_load(&shim.kinds[i]));
	if (atomic_load(&shim.is_written_after))
		len += snprintf(text + len, sizeof(text) - (size_t)len, " written-after");
	int fd = (int)syscall(SYS_openat, AT_FDCWD, shim.count_file, O_WRONLY | O_CREAT | O_TRUNC,
	                      0600);
	if (fd >= 0 && syscall(SYS_write, fd, text, (size_t)len) > 0)
		syscall(SYS_close, fd);
}

/* --- what counts ------------------------------------------------------------------------- */

bool shim_full_path(const char *path, char ret[4096])
{
	char cwd[PATH_MAX];
	if (path[0] == '/')
		return snprintf(ret, PATH_MAX, "%s", path) < PATH_MAX;
	return getcwd(cwd, sizeof(cwd)) && snprintf(ret, PATH_MAX, "%s/%s", cwd, path) < PATH_MAX;
}

bool shim_path_of(int fd, char ret[4096])
{
	char link[64];
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t len = readlink(link, ret, PATH_MAX - 1);
	if (len <= 0)
		return false;
	ret[len] = '\0';
	return true;
}

static bool is_tracked_path(const char *path)
{
	char full[PATH_MAX];
	if (!shim.track || !path || !shim_full_path(path, full))
		return false;
	for (const char *at = shim.track; *at;) {
		size_t len = strcspn(at, ":");
		if (len > 0 && strncmp(full, at, len) == 0 &&
		    (full[len] == '/' || full[len] == '\0'))
			return true;
		at += len + (at[len] == ':');
	}
	return false;
}

static bool is_tracked_file(int fd)
{
	struct stat st;
	char path[PATH_MAX];
	return shim.track && fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) &&
	       shim_path_of(fd, path) && is_tracked_path(path);
}

static bool is_log(int fd)
{
	char path[PATH_MAX];
	size_t len = shim_path_of(fd, path) ? strlen(path) : 0;
	return len > 4 && strcmp(path + len - 4, "-wal") == 0;
}

/* A sync: of the log, or of another file? */
static bool is_tracked_sync(int fd)
{
	bool ret = is_tracked_file(fd);
	if (ret && shim.mode == MODE_ERROR)
		is_log_sync = is_log(fd);
	return ret;
}

static bool is_socket(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

static bool is_file_kind(enum kind kind)
{
	return kind <= K_OPEN;
}

static bool is_ours(void)
{
	return (pid_t)syscall(SYS_getpid) == shim.pid;
}

/* What becomes of a call. */
enum fate { FATE_CALL, FATE_LAST, FATE_ERROR, FATE_SHORT };

static enum fate fate_of(long number, enum kind kind)
{
	bool is_it = shim.at > 0 && (number == shim.at || (shim.mode == MODE_ERROR &&
	                                                   shim.is_sticky && number > shim.at));
	if (!is_it)
		return FATE_CALL;
	if (shim.mode == MODE_ERROR) {
		if (kind == K_SYNC && shim.error && is_log_sync)
			atomic_store(&shim.has_failed_log, true);
		errno = shim.error;
		return shim.error ? FATE_ERROR : kind == K_WRITE ? FATE_SHORT : FATE_CALL;
	}
	if (shim.mode == MODE_BEFORE || shim.mode == MODE_POWER)
		end_process();
	return FATE_LAST;
}

/* A boundary.  Before a power cut, calls on files come one at a time: let go with leave(). */
static enum fate boundary(enum kind kind)
{
	if (!is_ours())
		return FATE_CALL;
	if (shim.disk)
		disk_lock(shim.disk);
	atomic_fetch_add(&shim.kinds[kind], 1);
	long all = kind == K_OPEN ? -1 : atomic_fetch_add(&shim.count, 1) + 1,
	     files = is_file_kind(kind) ? atomic_fetch_add(&shim.file_count, 1) + 1 : -1;
	enum fate fate = fate_of(shim.mode == MODE_ERROR ? files : all, kind);
	if (shim.disk && !is_file_kind(kind))
		disk_unlock(shim.disk);
	return fate;
}

static void leave(void)
{
	if (shim.disk && is_ours())
		disk_unlock(shim.disk);
}

static bool keeps(void)
{
	return shim.disk && is_ours();
}

static void *real_function(const char *name)
{
	void *ret = dlsym(RTLD_NEXT, name);
	if (!ret)
		abort();
	return ret;
}

/* Declares `real`, the function that this one stands before. */
#define REAL(name)                          \
	__typeof__(&name) real;             \
	void *found = real_function(#name); \
	memcpy(&real, &found, sizeof(real))

/* How many bytes are let through. */
static size_t bytes_of(enum fate fate, size_t len)
{
	bool is_half = (fate == FATE_LAST && shim.mode == MODE_HALF) ||
	               (fate == FATE_SHORT && len > 1);
	return is_half ? len / 2 : len;
}

/* --- files ----------------------------------------------------------------------------------- */

/* After a sync of the log that failed nothing may be added to it. */
static void note_write(int fd)
{
	if (atomic_load(&shim.has_failed_log) && is_log(fd))
		atomic_store(&shim.is_written_after, true);
}

/* A function like write(); offset is where the bytes go. */
#define WRITE(function, name, params, args, offset)             \
	ssize_t function params                                 \
	{                                                       \
		REAL(name);                                     \
		if (!is_tracked_file(fd))                       \
			return real args;                       \
		enum fate fate = boundary(K_WRITE);             \
		if (fate == FATE_ERROR)                         \
			return -1;                              \
		len = bytes_of(fate, len);                      \
		if (keeps())                                    \
			disk_write(shim.disk, fd, offset, len); \
		note_write(fd);                                 \
		ssize_t ret = real args;                        \
		if (fate == FATE_LAST)                          \
			end_process();                          \
		leave();                                        \
		return ret;                                     \
	}

SHIM_EXPORT WRITE(pwrite, pwrite, (int fd, const void *bytes, size_t len, off_t at),
                  (fd, bytes, len, at), at)
SHIM_EXPORT WRITE(pwrite64, pwrite64, (int fd, const void *bytes, size_t len, off64_t at),
                  (fd, bytes, len, at),
                  at) static WRITE(write_file, write, (int fd, const void *bytes, size_t len),
                                   (fd, bytes, len), lseek(fd, 0, SEEK_CUR))

	static ssize_t write_socket(int fd, const void *bytes, size_t len)
{
	REAL(write);
	enum fate fate = boundary(K_SEND);
	ssize_t ret = real(fd, bytes, bytes_of(fate, len));
	if (fate == FATE_LAST)
		end_process();
	return ret;
}

SHIM_EXPORT ssize_t write(int fd, const void *bytes, size_t len)
{
	return is_socket(fd) ? write_socket(fd, bytes, len) : write_file(fd, bytes, len);
}

/* Calls on files that are let through whole or not at all. */
#define CHANGE(name, params, args, kind, counts, before, after) \
	SHIM_EXPORT int name params                             \
	{                                                       \
		REAL(name);                                     \
		if (!(counts))                                  \
			return real args;                       \
		enum fate fate = boundary(kind);                \
		if (fate == FATE_ERROR)                         \
			return -1;                              \
		if (keeps()) {                                  \
			before;                                 \
		}                                               \
		int ret = real args;                            \
		if (keeps() && ret == 0) {                      \
			after;                                  \
		}                                               \
		if (fate == FATE_LAST)                          \
			end_process();                          \
		leave();                                        \
		return ret;                                     \
	}

CHANGE(fsync, (int fd), (fd), K_SYNC, is_tracked_sync(fd), , disk_synced(shim.disk, fd))
CHANGE(fdatasync, (int fd), (fd), K_SYNC, is_tracked_sync(fd), , disk_synced(shim.disk, fd))
CHANGE(syncfs, (int fd), (fd), K_SYNC, is_tracked_sync(fd), , disk_all_synced(shim.disk, fd))
CHANGE(ftruncate, (int fd, off_t len), (fd, len), K_TRUNCATE, is_tracked_file(fd),
       disk_truncate(shim.disk, fd, len), )
CHANGE(ftruncate64, (int fd, off64_t len), (fd, len), K_TRUNCATE, is_tracked_file(fd),
       disk_truncate(shim.disk, fd, len), )
CHANGE(rename, (const char *from, const char *to), (from, to), K_RENAME, is_tracked_path(to),
       disk_rename(shim.disk, from, to), )
CHANGE(unlink, (const char *path), (path), K_UNLINK, is_tracked_path(path),
       disk_unlink(shim.disk, path), )

/* What an open changes: it makes the file, or empties it. */
static void keep_open(const char *path, int flags, bool makes)
{
	if (makes)
		disk_create(shim.disk, path);
	if (makes || !(flags & O_TRUNC))
		return;
	int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC); /* never closed */
	if (fd >= 0)
		disk_truncate(shim.disk, fd, 0);
}

#define OPEN(name)                                                                         \
	SHIM_EXPORT int name(const char *path, int flags, ...)                             \
	{                                                                                  \
		va_list args;                                                              \
		va_start(args, flags);                                                     \
		mode_t mode = flags & O_CREAT ? (mode_t)va_arg(args, int) : 0;             \
		va_end(args);                                                              \
		REAL(name);                                                                \
		if (!is_tracked_path(path))                                                \
			return real(path, flags, mode);                                    \
		bool makes = (flags & O_CREAT) && access(path, F_OK) < 0;                  \
		enum fate fate = boundary(makes || (flags & O_TRUNC) ? K_CREATE : K_OPEN); \
		if (fate == FATE_ERROR)                                                    \
			return -1;                                                         \
		if (keeps())                                                               \
			keep_open(path, flags, makes);                                     \
		int ret = real(path, flags, mode);                                         \
		if (fate == FATE_LAST)                                                     \
			end_process();                                                     \
		leave();                                                                   \
		return ret;                                                                \
	}

OPEN(open)
OPEN(open64)

/* --- sockets ---------------------------------------------------------------------------------- */

SHIM_EXPORT ssize_t send(int fd, const void *bytes, size_t len, int flags)
{
	REAL(send);
	enum fate fate = boundary(K_SEND);
	ssize_t ret = real(fd, bytes, bytes_of(fate, len), flags);
	if (fate == FATE_LAST)
		end_process();
	return ret;
}

#define AROUND(type, name, params, args, kind, counts)                  \
	SHIM_EXPORT type name params                                    \
	{                                                               \
		REAL(name);                                             \
		enum fate fate = (counts) ? boundary(kind) : FATE_CALL; \
		type ret = real args;                                   \
		if (fate == FATE_LAST)                                  \
			end_process();                                  \
		return ret;                                             \
	}

AROUND(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags),
       K_SEND, true)
AROUND(ssize_t, writev, (int fd, const struct iovec *parts, int count), (fd, parts, count), K_SEND,
       is_socket(fd))
AROUND(ssize_t, recv, (int fd, void *bytes, size_t len, int flags), (fd, bytes, len, flags), K_RECV,
       true)
AROUND(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags), K_RECV,
       true)
AROUND(ssize_t, read, (int fd, void *bytes, size_t len), (fd, bytes, len), K_RECV, is_socket(fd))
AROUND(int, connect, (int fd, __CONST_SOCKADDR_ARG to, socklen_t len), (fd, to, len), K_CONNECT,
       true)
