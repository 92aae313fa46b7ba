/* SPDX-License-Identifier: MIT */
/* Structured lines to one descriptor. */
#include "report/report.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

struct report_log {
	int fd;
	atomic_int level; /* enum report_level */
	struct clock clock;
	pthread_mutex_t lock;
};

static const struct {
	const char *name;
	enum report_level level;
} levels[] = {
	{ "error", REPORT_ERROR }, { "warning", REPORT_WARNING }, { "info", REPORT_INFO },
	{ "debug", REPORT_DEBUG }, { "nothing", REPORT_NOTHING },
};

enum report_level report_level_read(const char *name, enum report_level fallback)
{
	for (size_t i = 0; name && i < sizeof(levels) / sizeof(*levels); i++)
		if (strcmp(levels[i].name, name) == 0)
			return levels[i].level;
	return fallback;
}

const char *report_level_name(enum report_level level)
{
	for (size_t i = 0; i < sizeof(levels) / sizeof(*levels); i++)
		if (levels[i].level == level)
			return levels[i].name;
	return "nothing";
}

void report_log_set_level(struct report_log *log, enum report_level level)
{
	atomic_store(&log->level, (int)level);
}

enum report_level report_log_level(const struct report_log *log)
{
	return (enum report_level)atomic_load(&log->level);
}

struct report_log *report_log_new(int fd, enum report_level level, const struct clock *clock)
{
	struct report_log *log = mem_alloc(sizeof(*log));
	log->fd = fd;
	atomic_init(&log->level, (int)level);
	log->clock = *clock;
	pthread_mutex_init(&log->lock, NULL);
	return log;
}

void report_log_free(struct report_log *log)
{
	if (!log)
		return;
	pthread_mutex_destroy(&log->lock);
	free(log);
}

static void write_all(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t written = write(fd, bytes, len);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return; /* a log that cannot be written stops nothing */
		bytes += written;
		len -= (size_t)written;
	}
}

void report_log_write(struct report_log *log, const json_t *line)
{
	if ((int)report_level_read(json_str(line, "level", NULL), REPORT_INFO) >
	    atomic_load(&log->level))
		return;
	char at[CLOCK_ISO_BYTES];
	clock_iso(clock_wall_ms(&log->clock), at);
	json_t *own = json_copy((json_t *)(uintptr_t)line);
	json_put_str(own, "at", at);
	struct buf text;
	buf_init(&text, (size_t)1 << 24);
	json_canon_put(own, &text);
	buf_put(&text, "\n");
	pthread_mutex_lock(&log->lock);
	write_all(log->fd, text.bytes, text.len);
	pthread_mutex_unlock(&log->lock);
	buf_release(&text);
	json_decref(own);
}
