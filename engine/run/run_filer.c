/* SPDX-License-Identifier: MIT */
/*
 * Files reach the disk before the store says that they are there.  A run that
 * came to rest owes its files (run_file.c); the commit that says they are paid
 * goes through here first: one sync of the folder's disk for all that wait, on
 * a thread of its own, so that no run waits for a sync of another's files.
 *
 * Files can be made again from the journal, so a sync that fails is told and
 * stops nothing.  At most a fifth of the time is spent with syncing: what the
 * disk does for files it does not do for commits.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run/run_int.h"

enum { PAUSE_FACTOR = 4, PAUSE_MAX_MS = 500 };

static void sync_folder(struct engine *engine)
{
	const char *folder = engine->options.artifacts;
	int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (folder && (fd < 0 || syncfs(fd) < 0))
		engine_log(engine, "error", "artifact.unsynced",
		           json_pack("{s:s,s:s}", "path", folder, "text", strerror(errno)));
	if (fd >= 0)
		close(fd);
}

/* Waits that long, or until the filer is stopped. */
static void pause_filer(struct filer *filer, int64_t ms)
{
	if (ms <= 0)
		return;
	struct timespec until = clock_deadline(ms < PAUSE_MAX_MS ? ms : PAUSE_MAX_MS);
	pthread_mutex_lock(&filer->lock);
	while (!filer->is_stopping &&
	       pthread_cond_timedwait(&filer->stopped, &filer->lock, &until) == 0)
		continue;
	pthread_mutex_unlock(&filer->lock);
}

static void *filer_main(void *arg)
{
	struct filer *filer = arg;
	struct engine *engine = filer->engine;
	for (;;) {
		struct message *first = message_queue_take_all(&filer->queue, true);
		int64_t began_ms = clock_monotonic_ms(&engine->options.clock);
		bool is_last = false;
		if (first->kind != MESSAGE_STOP || first->next)
			sync_folder(engine);
		int64_t took_ms = clock_monotonic_ms(&engine->options.clock) - began_ms;
		while (first) {
			struct message *next = first->next;
			if (first->kind == MESSAGE_STOP) {
				is_last = true;
				free(first);
			} else {
				message_queue_push(&engine->writer.queue, first);
			}
			first = next;
		}
		if (is_last)
			return NULL;
		pause_filer(filer, took_ms * PAUSE_FACTOR);
	}
}

void filer_start(struct filer *filer, struct engine *engine)
{
	filer->engine = engine;
	message_queue_init(&filer->queue);
	pthread_mutex_init(&filer->lock, NULL);
	clock_cond_init(&filer->stopped);
	must(pthread_create(&filer->thread, NULL, filer_main, filer) == 0);
	filer->is_running = true;
}

void filer_stop(struct filer *filer)
{
	struct message *stop = mem_alloc(sizeof(*stop));
	stop->kind = MESSAGE_STOP;
	message_queue_push(&filer->queue, stop);
	pthread_mutex_lock(&filer->lock);
	filer->is_stopping = true;
	pthread_cond_signal(&filer->stopped);
	pthread_mutex_unlock(&filer->lock);
	pthread_join(filer->thread, NULL);
	message_queue_release(&filer->queue);
	pthread_mutex_destroy(&filer->lock);
	pthread_cond_destroy(&filer->stopped);
	filer->is_running = false;
}

void filer_post(struct filer *filer, struct message *message)
{
	message_queue_push(&filer->queue, message);
}
