/* SPDX-License-Identifier: MIT */
/*
 * Artifacts as files.  A file is written beside its place and renamed, so that
 * a reader sees it whole or not at all; it can always be made again from the
 * journal, so nothing waits for a sync of its own.
 *
 * Files are written after the commit that names them.  So that a crash in
 * between leaves none of them out, a run that has come to rest owes them: its
 * row says so until they are on the disk (store.h, owing; run_filer.c), and a
 * run under way is taken up again anyway.  Both have their files written anew.
 * A file that could not be written is tried once more when its run comes to
 * rest; an ended run owes it then until a later start of the engine.
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

void run_write_file(struct run *run, const char *name, struct str text)
{
	struct engine *engine = run->worker->engine;
	const char *folder = engine->options.artifacts;
	if (!folder)
		return;
	if (engine->ground) {
		engine->ground->put_file(engine->ground->ctx, name, text);
		return;
	}
	(void)mkdir(folder, 0755); /* there already: fine; refused: open says so */
	char *path = mem_format("%s/%s", folder, name);
	char *beside = mem_format("%s/.%s.part", folder, name);
	int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	bool is_written = fd >= 0 && write_all(fd, text);
	if (fd >= 0)
		close(fd);
	if (!is_written || rename(beside, path) < 0) {
		engine_log(engine, "error", "artifact.unwritable",
		           json_pack("{s:s,s:s}", "path", path, "text", strerror(errno)));
		(void)unlink(beside);
		run->is_unwritten = true;
	}
	free(path);
	free(beside);
}

/* The last text of each name counts. */
static int keep_artifacts(void *arg, const json_t *record, struct err *err)
{
	const json_t *artifacts = json_at(record, "artifacts");
	(void)err;
	for (size_t i = 0; i < json_array_size(artifacts); i++) {
		const json_t *row = json_array_get(artifacts, i);
		json_put(arg, json_str(row, "name", "artifact"), json_incref(json_at(row, "text")));
	}
	return 0;
}

void run_restore_files(struct run *run)
{
	struct engine *engine = run->worker->engine;
	struct journal_head head = { 0 };
	struct err err = { 0 };
	if (!engine->options.artifacts)
		return;
	json_t *texts = json_object();
	const char *name;
	json_t *text;
	if (json_array_size(run->artifacts) > 0 &&
	    journal_read(engine->store, run->no, &head, keep_artifacts, texts, &err) < 0)
		engine_log(engine, "error", "artifact.unreadable",
		           json_pack("{s:s,s:s}", "run", run->id, "text", err.text));
	run->is_unfiled = run->is_unfiled || json_object_size(texts) > 0;
	json_object_foreach(texts, name, text)
		run_write_file(run, name,
		               (struct str){ json_string_value(text), json_string_length(text) });
	json_decref(texts);
	if (run->status >= STORE_ENDED)
		run_write_audit(run);
}

bool run_pays_files(struct run *run)
{
	if (run->is_unwritten) {
		run->is_unwritten = false;
		run_restore_files(run);
	}
	return !run->is_unwritten || run->status < STORE_ENDED;
}
