/* SPDX-License-Identifier: MIT */
/* The registry of figures: what is counted, and the two texts it is shown in. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"
#include "check.h"
#include "report/report_metrics.h"

static const struct metric_family families[] = {
	{ .name = "t_things_total",
	  .help = "Things \\ of\ntwo \"kinds\".",
	  .type = METRIC_COUNTER,
	  .labels = { "kind", "who" } },
	{ .name = "t_level", .help = "A level.", .type = METRIC_GAUGE },
	{ .name = "t_seconds",
	  .help = "Waits.",
	  .type = METRIC_HISTOGRAM,
	  .labels = { "kind" },
	  .bounds = { 0.5, 1, 2.5 } },
};

static const char plain[] = "# HELP t_things_total Things \\\\ of\\ntwo \"kinds\".\n"
			    "# TYPE t_things_total counter\n"
			    "t_things_total{kind=\"a\\\"b\\\\c\\nd\",who=\"\"} 3\n"
			    "t_things_total{kind=\"x\",who=\"y\"} 0.25\n"
			    "# HELP t_level A level.\n"
			    "# TYPE t_level gauge\n"
			    "t_level -2.5\n"
			    "# HELP t_seconds Waits.\n"
			    "# TYPE t_seconds histogram\n"
			    "t_seconds_bucket{kind=\"k\",le=\"0.5\"} 1\n"
			    "t_seconds_bucket{kind=\"k\",le=\"1\"} 2\n"
			    "t_seconds_bucket{kind=\"k\",le=\"2.5\"} 2\n"
			    "t_seconds_bucket{kind=\"k\",le=\"+Inf\"} 3\n"
			    "t_seconds_count{kind=\"k\"} 3\n"
			    "t_seconds_sum{kind=\"k\"} 101.5\n";

static const char open[] = "# HELP t_things Things \\\\ of\\ntwo \\\"kinds\\\".\n"
			   "# TYPE t_things counter\n"
			   "t_things_total{kind=\"a\\\"b\\\\c\\nd\",who=\"\"} 3\n"
			   "t_things_total{kind=\"x\",who=\"y\"} 0.25\n"
			   "# HELP t_level A level.\n"
			   "# TYPE t_level gauge\n"
			   "t_level -2.5\n"
			   "# HELP t_seconds Waits.\n"
			   "# TYPE t_seconds histogram\n"
			   "t_seconds_bucket{kind=\"k\",le=\"0.5\"} 1\n"
			   "t_seconds_bucket{kind=\"k\",le=\"1.0\"} 2\n"
			   "t_seconds_bucket{kind=\"k\",le=\"2.5\"} 2\n"
			   "t_seconds_bucket{kind=\"k\",le=\"+Inf\"} 3\n"
			   "t_seconds_count{kind=\"k\"} 3\n"
			   "t_seconds_sum{kind=\"k\"} 101.5\n"
			   "# EOF\n";

static char *text_of(struct metrics *metrics, bool is_open)
{
	struct buf out;
	buf_init(&out, (size_t)16 << 20);
	metrics_text(metrics, is_open, &out);
	return buf_take(&out);
}

static void fill(struct metrics *metrics)
{
	const char *odd[METRIC_LABELS] = { "a\"b\\c\nd", NULL }, *xy[METRIC_LABELS] = { "x", "y" };
	const char *k[METRIC_LABELS] = { "k" };
	metrics_declare(metrics, families, 3);
	metrics_declare(metrics, families, 3);
	metric_add(metrics_get(metrics, &families[0], odd), 1);
	metric_add(metrics_get(metrics, &families[0], odd), 2);
	metric_add(metrics_get(metrics, &families[0], xy), 0.25);
	metric_set(metrics_get(metrics, &families[1], NULL), -2.5);
	metric_observe(metrics_get(metrics, &families[2], k), 0.5);
	metric_observe(metrics_get(metrics, &families[2], k), 1);
	metric_observe(metrics_get(metrics, &families[2], k), 100);
}

static void test_texts(struct metrics *metrics)
{
	char *text = text_of(metrics, false);
	CHECK_MSG(strcmp(text, plain) == 0, "as Prometheus reads it");
	free(text);
	text = text_of(metrics, true);
	CHECK_MSG(strcmp(text, open) == 0, "as OpenMetrics has it");
	free(text);
}

static void test_json(struct metrics *metrics)
{
	json_t *all = metrics_json(metrics);
	CHECK_STR(json_str(json_at(all, "t_level"), "type", ""), "gauge");
	CHECK(json_real_value(json_path(all, "t_things_total.samples[1].value")) == 0.25);
	CHECK_STR(json_string_value(json_path(all, "t_things_total.samples[1].labels.who")), "y");
	CHECK(json_integer_value(json_path(all, "t_seconds.samples[0].count")) == 3);
	CHECK(json_integer_value(json_path(all, "t_seconds.samples[0].buckets[1][1]")) == 2);
	json_decref(all);
}

/* Names from outside fill no memory: what is too much counts together. */
static void test_limit(struct metrics *metrics)
{
	char name[32];
	const char *values[METRIC_LABELS] = { name };
	for (int i = 0; i < 2 * LIMIT_METRIC_SERIES; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		metric_add(metrics_get(metrics, &families[0], values), 1);
	}
	json_t *all = metrics_json(metrics);
	const json_t *samples = json_path(all, "t_things_total.samples");
	CHECK(json_array_size(samples) == LIMIT_METRIC_SERIES);
	const json_t *last = json_array_get(samples, LIMIT_METRIC_SERIES - 1);
	CHECK_STR(json_str(json_at(last, "labels"), "kind", ""), "other");
	/* Two were there before; the last place is the others'. */
	CHECK(json_real_value(json_at(last, "value")) ==
	      2 * LIMIT_METRIC_SERIES - (LIMIT_METRIC_SERIES - 3));
	json_decref(all);
}

static void test_process(struct metrics *metrics)
{
	metrics_process_declare(metrics);
	metrics_process(metrics);
	json_t *all = metrics_json(metrics);
	CHECK(json_real_value(json_path(all, "process_resident_memory_bytes.samples[0].value")) >
	      100000);
	CHECK(json_real_value(json_path(all, "process_open_fds.samples[0].value")) >= 3);
	/* A date of this century, and not one of the next. */
	double start =
		json_real_value(json_path(all, "process_start_time_seconds.samples[0].value"));
	CHECK(start > 1e9 && start < 5e9);
	json_decref(all);
}

int main(void)
{
	mem_install();
	struct metrics *metrics = metrics_new();
	fill(metrics);
	test_texts(metrics);
	test_json(metrics);
	test_limit(metrics);
	test_process(metrics);
	metrics_free(metrics);
	return check_done();
}
