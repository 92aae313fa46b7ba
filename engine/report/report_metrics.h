/* SPDX-License-Identifier: MIT */
/*
 * Counters, gauges and histograms by name, as Prometheus reads them.  A family
 * is a row of a constant table; a metric is a family with values for its
 * labels, made when it is first asked for and never taken away.
 *
 * A family holds at most LIMIT_METRIC_SERIES metrics; what comes later is
 * counted under "other", so that no text from outside fills the memory.
 *
 * Thread: any.
 */
#ifndef REPORT_METRICS_H
#define REPORT_METRICS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/json.h"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };
enum { METRIC_LABELS = 4, METRIC_BOUNDS = 16 };

struct metric_family {
	const char *name, *help; /* a counter's name ends in _total */
	enum metric_type type;
	const char *labels[METRIC_LABELS];
	double bounds[METRIC_BOUNDS]; /* ascending, above 0; the first 0 ends them */
};

struct metrics;
struct metric;

struct metrics *metrics_new(void);
void metrics_free(struct metrics *metrics);
/* The table outlives it, and counts once; a family without metrics is shown by its help alone. */
void metrics_declare(struct metrics *metrics, const struct metric_family *families, size_t count);
/* values: as many as the family has labels, NULL counts as "".  Lives as long as metrics. */
struct metric *metrics_get(struct metrics *metrics, const struct metric_family *family,
                           const char *const values[METRIC_LABELS]);

void metric_add(struct metric *metric, double amount);    /* counter, gauge */
void metric_set(struct metric *metric, double value);     /* gauge, or what is counted elsewhere */
void metric_observe(struct metric *metric, double value); /* histogram */

/* The text format 0.0.4 of Prometheus, or OpenMetrics 1.0. */
void metrics_text(struct metrics *metrics, bool is_open, struct buf *out);
/* {name: {"type", "samples": [{"labels": {}, "value"} or {"labels", "count", "sum", "buckets":
 * [[bound, below]]}]}}; new. */
json_t *metrics_json(struct metrics *metrics);

/* Of this process: CPU, memory, descriptors, start; read when asked for. */
void metrics_process_declare(struct metrics *metrics);
void metrics_process(struct metrics *metrics);

#endif
