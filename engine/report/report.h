/* SPDX-License-Identifier: MIT */
/*
 * What operators see: structured lines to one sink.  Only main, cli, run and
 * serve may include it, so that no library below can log (STYLE.md 5(c)).
 *
 * A line is one JSON object with "at" (RFC 3339), "level", "event" and fields of
 * its own; values come from data, so they are JSON strings and never format
 * text.  Lines are whole: one write each.
 *
 * Thread: any; lines of several threads do not mix.
 */
#ifndef REPORT_H
#define REPORT_H

#include "base/clock.h"
#include "base/json.h"

enum report_level { REPORT_ERROR, REPORT_WARNING, REPORT_INFO, REPORT_DEBUG, REPORT_NOTHING = -1 };

struct report_log;

/* fd stays the caller's.  Lines above level are dropped. */
struct report_log *report_log_new(int fd, enum report_level level, const struct clock *clock);
void report_log_free(struct report_log *log);
/* line: {"level","event",...}, borrowed. */
void report_log_write(struct report_log *log, const json_t *line);
/* From now on; any thread. */
void report_log_set_level(struct report_log *log, enum report_level level);
enum report_level report_log_level(const struct report_log *log);
const char *report_level_name(enum report_level level);
/* "error", "warning", "info", "debug", "nothing"; fallback for anything else, NULL included. */
enum report_level report_level_read(const char *name, enum report_level fallback);

#endif
