/* SPDX-License-Identifier: MIT */
/*
 * For the crash test only: loaded with LD_PRELOAD into the real program, it
 * counts every call after which the world differs - writes, syncs, renames and
 * the like on files below $CRASH_TRACK, and all socket traffic - and ends the
 * process with SIGKILL at the $CRASH_AT-th of them.
 *
 *   CRASH_TRACK       folders, separated by ':'
 *   CRASH_AT          which boundary; 0 or absent: none, only count
 *   CRASH_MODE        "before" the call (default), "after" it, or "half": half of the bytes
 *                     of a write or send, then the end
 *   CRASH_COUNT_FILE  gets the count, and each kind's, when the process ends by itself
 *
 * Only the process that was started is counted, not its children.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define SHIM_EXPORT __attribute__((visibility("default")))

enum mode { MODE_BEFORE, MODE_AFTER, MODE_HALF };

enum kind {
	K_WRITE,
	K_SYNC,
	K_TRUNCATE,
	K_RENAME,
	K_UNLINK,
	K_CREATE,
	K_SEND,
	K_RECV,
	K_CONNECT,
	KINDS
};

static const char *const kind_names[KINDS] = { "write",  "sync", "truncate", "rename", "unlink",
	                                       "create", "send", "recv",     "connect" };

/* The one object of this library: a shim has nowhere else to keep what it counts. */
static struct {
	pid_t pid;
	const char *track;
	long at;
	enum mode mode;
	const char *count_file;
	atomic_long count;
	atomic_long kinds[KINDS];
} shim;

static void die(void)
{
	syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
	for (;;)
		syscall(SYS_pause);
}

__attribute__((constructor)) static void begin(void)
{
	const char *at = getenv("CRASH_AT"), *mode = getenv("CRASH_MODE");
	shim.pid = (pid_t)syscall(SYS_getpid);
	shim.track = getenv("CRASH_TRACK");
	shim.at = at ? strtol(at, NULL, 10) : 0;
	shim.count_file = getenv("CRASH_COUNT_FILE");
	shim.mode = mode && strcmp(mode, "after") == 0  ? MODE_AFTER
	            : mode && strcmp(mode, "half") == 0 ? MODE_HALF
	                                                : MODE_BEFORE;
}

__attribute__((destructor)) static void end(void)
{
	if (!shim.count_file || (pid_t)syscall(SYS_getpid) != shim.pid)
		return;
	char text[512];
	int len = snprintf(text, sizeof(text), "%ld", atomic_load(&shim.count));
	for (int i = 0; i < KINDS; i++)
		len += snprintf(text + len, sizeof(text) - (size_t)len, " %s=%ld", kind_names[i],
		                atomic_load(&shim.kinds[i]));
	int fd = (int)syscall(SYS_openat, AT_FDCWD, shim.count_file, O_WRONLY | O_CREAT | O_TRUNC,
	                      0600);
	if (fd >= 0 && syscall(SYS_write, fd, text, (size_t)len) > 0)
		syscall(SYS_close, fd);
}

/* --- what counts ------------------------------------------------------------------------- */

static bool is_tracked_path(const char *path)
{
	char full[PATH_MAX];
	if (!shim.track || !path)
		return false;
	if (path[0] != '/') {
		char cwd[PATH_MAX];
		if (!getcwd(cwd, sizeof(cwd)) ||
		    snprintf(full, sizeof(full), "%s/%s", cwd, path) < 0)
			return false;
		path = full;
	}
	for (const char *at = shim.track; *at;) {
		size_t len = strcspn(at, ":");
		if (len > 0 && strncmp(path, at, len) == 0 &&
		    (path[len] == '/' || path[len] == '\0'))
			return true;
		at += len + (at[len] == ':');
	}
	return false;
}

static bool is_tracked_file(int fd)
{
	struct stat st;
	char link[64], path[PATH_MAX];
	if (!shim.track || fstat(fd, &st) < 0 || !(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)))
		return false;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t len = readlink(link, path, sizeof(path) - 1);
	if (len <= 0)
		return false;
	path[len] = '\0';
	return is_tracked_path(path);
}

static bool is_socket(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* A boundary: true when this is the one at which the process ends. */
static bool boundary(enum kind kind)
{
	if ((pid_t)syscall(SYS_getpid) != shim.pid)
		return false;
	atomic_fetch_add(&shim.kinds[kind], 1);
	bool is_it = atomic_fetch_add(&shim.count, 1) + 1 == shim.at;
	if (is_it && shim.mode == MODE_BEFORE)
		die();
	return is_it;
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

/* How many bytes to let through at the last boundary. */
static size_t last_bytes(bool is_it, size_t len)
{
	return is_it && shim.mode == MODE_HALF ? len / 2 : len;
}

/* --- files ----------------------------------------------------------------------------------- */

SHIM_EXPORT ssize_t write(int fd, const void *bytes, size_t len)
{
	bool is_it = is_socket(fd)         ? boundary(K_SEND)
	             : is_tracked_file(fd) ? boundary(K_WRITE)
	                                   : false;
	REAL(write);
	ssize_t ret = real(fd, bytes, last_bytes(is_it, len));
	if (is_it)
		die();
	return ret;
}

SHIM_EXPORT ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
	bool is_it = is_tracked_file(fd) && boundary(K_WRITE);
	REAL(pwrite);
	ssize_t ret = real(fd, bytes, last_bytes(is_it, len), at);
	if (is_it)
		die();
	return ret;
}

SHIM_EXPORT ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t at)
{
	bool is_it = is_tracked_file(fd) && boundary(K_WRITE);
	REAL(pwrite64);
	ssize_t ret = real(fd, bytes, last_bytes(is_it, len), at);
	if (is_it)
		die();
	return ret;
}

/* All others are let through whole. */
#define AROUND(type, name, params, args, kind, counts)   \
	SHIM_EXPORT type name params                     \
	{                                                \
		bool is_it = (counts) && boundary(kind); \
		REAL(name);                              \
		type ret = real args;                    \
		if (is_it)                               \
			die();                           \
		return ret;                              \
	}

AROUND(int, fsync, (int fd), (fd), K_SYNC, is_tracked_file(fd))
AROUND(int, fdatasync, (int fd), (fd), K_SYNC, is_tracked_file(fd))
AROUND(int, ftruncate, (int fd, off_t len), (fd, len), K_TRUNCATE, is_tracked_file(fd))
AROUND(int, ftruncate64, (int fd, off64_t len), (fd, len), K_TRUNCATE, is_tracked_file(fd))
AROUND(int, rename, (const char *from, const char *to), (from, to), K_RENAME, is_tracked_path(to))
AROUND(int, unlink, (const char *path), (path), K_UNLINK, is_tracked_path(path))

static mode_t mode_of(int flags, va_list args)
{
	return flags & O_CREAT ? (mode_t)va_arg(args, int) : 0;
}

/* Only an open that makes the file changes the world. */
static bool makes(const char *path, int flags)
{
	return (flags & O_CREAT) && is_tracked_path(path) && access(path, F_OK) < 0;
}

#define OPEN(name)                                                     \
	SHIM_EXPORT int name(const char *path, int flags, ...)         \
	{                                                              \
		va_list args;                                          \
		va_start(args, flags);                                 \
		mode_t mode = mode_of(flags, args);                    \
		va_end(args);                                          \
		bool is_it = makes(path, flags) && boundary(K_CREATE); \
		REAL(name);                                            \
		int ret = real(path, flags, mode);                     \
		if (is_it)                                             \
			die();                                         \
		return ret;                                            \
	}

OPEN(open)
OPEN(open64)

/* --- sockets ---------------------------------------------------------------------------------- */

SHIM_EXPORT ssize_t send(int fd, const void *bytes, size_t len, int flags)
{
	bool is_it = boundary(K_SEND);
	REAL(send);
	ssize_t ret = real(fd, bytes, last_bytes(is_it, len), flags);
	if (is_it)
		die();
	return ret;
}

AROUND(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags),
       K_SEND, true)
AROUND(ssize_t, recv, (int fd, void *bytes, size_t len, int flags), (fd, bytes, len, flags), K_RECV,
       true)
AROUND(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags), K_RECV,
       true)
AROUND(ssize_t, read, (int fd, void *bytes, size_t len), (fd, bytes, len), K_RECV, is_socket(fd))
AROUND(int, connect, (int fd, __CONST_SOCKADDR_ARG to, socklen_t len), (fd, to, len), K_CONNECT,
       true)
