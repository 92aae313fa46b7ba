/* SPDX-License-Identifier: MIT */
/*
 * Artifacts as files.  A file is written beside its place and renamed, so that
 * a reader sees it whole or not at all; it can always be made again from the
 * journal, so it needs no sync of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "run/run_int.h"

static bool write_all(int fd, struct str text)
{
	while (text.len > 0) {
		ssize_t written = write(fd, text.ptr, text.len);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return false;
		text.ptr += written;
		text.len -= (size_t)written;
	}
	return true;
}

void run_write_file(struct engine *engine, const char *name, struct str text)
{
	const char *folder = engine->options.artifacts;
	if (!folder)
		return;
	(void)mkdir(folder, 0755); /* there already: fine; refused: open says so */
	char *path = mem_format("%s/%s", folder, name);
	char *beside = mem_format("%s/.%s.%ld", folder, name, (long)getpid());
	int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	bool is_written = fd >= 0 && write_all(fd, text);
	if (fd >= 0)
		close(fd);
	if (!is_written || rename(beside, path) < 0) {
		engine_log(engine, "error", "artifact.unwritable",
		           json_pack("{s:s,s:s}", "path", path, "text", strerror(errno)));
		(void)unlink(beside);
	}
	free(path);
	free(beside);
}
