/* SPDX-License-Identifier: MIT */
/*
 * For tests/io only: loaded with LD_PRELOAD into the real program, it makes the
 * $FAIL_AT-th call fail - of the calls that change files below $FAIL_TRACK, or,
 * with MEMORY, of all allocations.
 *
 *   FAIL_WITH        EIO, ENOSPC, EINTR, SHORT (half of a write) or MEMORY
 *   FAIL_AT          which call; 0 or absent: none, only count
 *   FAIL_STICKY      set: all calls from then on
 *   FAIL_COUNT_FILE  gets the count when the process ends by itself
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SHIM_EXPORT __attribute__((visibility("default")))

enum fail_with { WITH_NOTHING, WITH_ERROR, WITH_SHORT, WITH_MEMORY };

/* The one object of this library: a shim has nowhere else to keep what it counts. */
static struct {
	pid_t pid;
	const char *track, *count_file;
	enum fail_with with;
	int error;
	long at;
	bool is_sticky;
	atomic_long count;
} shim;

extern void *__libc_malloc(size_t len);
extern void *__libc_calloc(size_t count, size_t len);
extern void *__libc_realloc(void *old, size_t len);

__attribute__((constructor)) static void begin(void)
{
	const char *at = getenv("FAIL_AT"), *with = getenv("FAIL_WITH");
	shim.track = getenv("FAIL_TRACK");
	shim.count_file = getenv("FAIL_COUNT_FILE");
	shim.at = at ? strtol(at, NULL, 10) : 0;
	shim.is_sticky = getenv("FAIL_STICKY") != NULL;
	if (!with)
		return;
	shim.error = strcmp(with, "ENOSPC") == 0  ? ENOSPC
	             : strcmp(with, "EINTR") == 0 ? EINTR
	                                          : EIO;
	shim.with = strcmp(with, "MEMORY") == 0  ? WITH_MEMORY
	            : strcmp(with, "SHORT") == 0 ? WITH_SHORT
	                                         : WITH_ERROR;
	shim.pid = (pid_t)syscall(SYS_getpid);
}

__attribute__((destructor)) static void end(void)
{
	char text[32];
	if (!shim.count_file || (pid_t)syscall(SYS_getpid) != shim.pid)
		return;
	int len = snprintf(text, sizeof(text), "%ld\n", atomic_load(&shim.count));
	int fd = (int)syscall(SYS_openat, AT_FDCWD, shim.count_file, O_WRONLY | O_CREAT | O_TRUNC,
	                      0600);
	if (fd >= 0 && syscall(SYS_write, fd, text, (size_t)len) > 0)
		syscall(SYS_close, fd);
}

/* Counts one call; true when it is to fail. */
static bool fails(void)
{
	long now = atomic_fetch_add(&shim.count, 1) + 1;
	return shim.at > 0 && (now == shim.at || (shim.is_sticky && now > shim.at));
}

/* --- memory ------------------------------------------------------------------------------- */

static bool memory_fails(void)
{
	if (shim.with != WITH_MEMORY || !fails())
		return false;
	errno = ENOMEM;
	return true;
}

SHIM_EXPORT void *malloc(size_t len)
{
	return memory_fails() ? NULL : __libc_malloc(len);
}

SHIM_EXPORT void *calloc(size_t count, size_t len)
{
	return memory_fails() ? NULL : __libc_calloc(count, len);
}

SHIM_EXPORT void *realloc(void *old, size_t len)
{
	return memory_fails() ? NULL : __libc_realloc(old, len);
}

/* --- files -------------------------------------------------------------------------------- */

static bool is_tracked_path(const char *path)
{
	char full[PATH_MAX], cwd[PATH_MAX];
	size_t len = shim.track ? strlen(shim.track) : 0;
	if (len == 0 || !path)
		return false;
	if (path[0] != '/') {
		if (!getcwd(cwd, sizeof(cwd)) ||
		    snprintf(full, sizeof(full), "%s/%s", cwd, path) < 0)
			return false;
		path = full;
	}
	return strncmp(path, shim.track, len) == 0 && path[len] == '/';
}

static bool is_tracked(int fd)
{
	struct stat st;
	char link[64], path[PATH_MAX];
	if (fstat(fd, &st) < 0 || !(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)))
		return false;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t len = readlink(link, path, sizeof(path) - 1);
	if (len <= 0)
		return false;
	path[len] = '\0';
	return is_tracked_path(path);
}

static bool is_on(void)
{
	return (shim.with == WITH_ERROR || shim.with == WITH_SHORT) &&
	       (pid_t)syscall(SYS_getpid) == shim.pid;
}

static bool file_fails(bool is_file)
{
	if (!is_file || !fails())
		return false;
	errno = shim.error;
	return true;
}

/* Declares `real`, the function that this one stands before. */
#define REAL(name)                             \
	__typeof__(&name) real;                \
	void *found = dlsym(RTLD_NEXT, #name); \
	memcpy(&real, &found, sizeof(real))

/* A write fails whole, or half of it is written and the caller must see that. */
static bool may_write(int fd, size_t *len)
{
	if (!is_on() || !file_fails(is_tracked(fd)))
		return true;
	if (shim.with != WITH_SHORT || *len < 2)
		return false;
	*len /= 2;
	return true;
}

SHIM_EXPORT ssize_t write(int fd, const void *bytes, size_t len)
{
	REAL(write);
	if (!may_write(fd, &len))
		return -1;
	return real(fd, bytes, len);
}

SHIM_EXPORT ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
	REAL(pwrite);
	if (!may_write(fd, &len))
		return -1;
	return real(fd, bytes, len, at);
}

SHIM_EXPORT ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t at)
{
	REAL(pwrite64);
	if (!may_write(fd, &len))
		return -1;
	return real(fd, bytes, len, at);
}

#define INSTEAD(name, params, args, is_file)                                                       \
	SHIM_EXPORT int name params                                                                \
	{                                                                                          \
		REAL(name);                                                                        \
		return is_on() && shim.with == WITH_ERROR && file_fails(is_file) ? -1 : real args; \
	}

INSTEAD(fsync, (int fd), (fd), is_tracked(fd))
INSTEAD(fdatasync, (int fd), (fd), is_tracked(fd))
INSTEAD(ftruncate, (int fd, off_t len), (fd, len), is_tracked(fd))
INSTEAD(ftruncate64, (int fd, off64_t len), (fd, len), is_tracked(fd))
INSTEAD(rename, (const char *from, const char *to), (from, to), is_tracked_path(to))
INSTEAD(unlink, (const char *path), (path), is_tracked_path(path))

#define OPEN(name)                                                                           \
	SHIM_EXPORT int name(const char *path, int flags, ...)                               \
	{                                                                                    \
		va_list args;                                                                \
		va_start(args, flags);                                                       \
		mode_t mode = flags & O_CREAT ? (mode_t)va_arg(args, int) : 0;               \
		va_end(args);                                                                \
		REAL(name);                                                                  \
		if (is_on() && shim.with == WITH_ERROR && file_fails(is_tracked_path(path))) \
			return -1;                                                           \
		return real(path, flags, mode);                                              \
	}

OPEN(open)
OPEN(open64)
