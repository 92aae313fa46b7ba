/* SPDX-License-Identifier: MIT */
/* Metrics: values are atomic, so that counting takes no lock once the metric is known. */
#include "report/report_metrics.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/vec.h"

struct metric {
	const struct metric_family *family;
	char *values[METRIC_LABELS];
	size_t bound_count;
	_Atomic double value; /* a histogram's sum */
	atomic_ullong counts[METRIC_BOUNDS + 1];
};

struct family {
	const struct metric_family *of;
	VEC(struct metric *) metrics;
};

struct metrics {
	pthread_mutex_t lock;
	VEC(struct family) families;
	struct map by_key; /* family's name and values -> struct metric */
};

struct metrics *metrics_new(void)
{
	struct metrics *metrics = mem_alloc(sizeof(*metrics));
	pthread_mutex_init(&metrics->lock, NULL);
	map_init(&metrics->by_key);
	return metrics;
}

void metrics_free(struct metrics *metrics)
{
	if (!metrics)
		return;
	for (size_t f = 0; f < metrics->families.len; f++) {
		struct family *family = &metrics->families.at[f];
		for (size_t i = 0; i < family->metrics.len; i++) {
			for (size_t l = 0; l < METRIC_LABELS; l++)
				free(family->metrics.at[i]->values[l]);
			free(family->metrics.at[i]);
		}
		vec_release(&family->metrics);
	}
	vec_release(&metrics->families);
	map_release(&metrics->by_key);
	pthread_mutex_destroy(&metrics->lock);
	free(metrics);
}

void metrics_declare(struct metrics *metrics, const struct metric_family *families, size_t count)
{
	pthread_mutex_lock(&metrics->lock);
	bool is_known = false;
	for (size_t i = 0; i < metrics->families.len; i++)
		is_known = is_known || metrics->families.at[i].of == families;
	for (size_t i = 0; i < count && !is_known; i++)
		vec_add(&metrics->families)->of = &families[i];
	pthread_mutex_unlock(&metrics->lock);
}

/* --- metrics --------------------------------------------------------------------- */

static size_t bounds_of(const struct metric_family *family)
{
	size_t ret = 0;
	while (ret < METRIC_BOUNDS && family->bounds[ret] > 0)
		ret++;
	return family->type == METRIC_HISTOGRAM ? ret : 0;
}

static void key_of(const struct metric_family *family, const char *const *values, char *ret,
                   size_t size)
{
	size_t len = (size_t)snprintf(ret, size, "%s", family->name);
	for (size_t i = 0; i < METRIC_LABELS && family->labels[i] && len < size; i++)
		len += (size_t)snprintf(ret + len, size - len, "\x1f%.200s",
		                        values && values[i] ? values[i] : "");
}

static struct family *family_of(struct metrics *metrics, const struct metric_family *of)
{
	for (size_t i = 0; i < metrics->families.len; i++)
		if (metrics->families.at[i].of == of)
			return &metrics->families.at[i];
	must_not_reach(); /* it was not declared */
}

static struct metric *make(struct metrics *metrics, struct family *family, const char *key,
                           const char *const *values)
{
	struct metric *metric = mem_alloc(sizeof(*metric));
	metric->family = family->of;
	metric->bound_count = bounds_of(family->of);
	for (size_t i = 0; i < METRIC_LABELS && family->of->labels[i]; i++) {
		const char *value = values && values[i] ? values[i] : "";
		metric->values[i] = mem_dup(value, strnlen(value, 200));
	}
	*vec_add(&family->metrics) = metric;
	map_set(&metrics->by_key, key, metric);
	return metric;
}

struct metric *metrics_get(struct metrics *metrics, const struct metric_family *family,
                           const char *const values[METRIC_LABELS])
{
	static const char *const others[METRIC_LABELS] = { "other", "other", "other", "other" };
	char key[METRIC_LABELS * 202 + 128];
	key_of(family, values, key, sizeof(key));
	pthread_mutex_lock(&metrics->lock);
	struct metric *metric = map_get(&metrics->by_key, key);
	struct family *in = metric ? NULL : family_of(metrics, family);
	if (in && in->metrics.len + 1 >= LIMIT_METRIC_SERIES) {
		values = others;
		key_of(family, values, key, sizeof(key));
		metric = map_get(&metrics->by_key, key);
	}
	if (!metric)
		metric = make(metrics, in, key, values);
	pthread_mutex_unlock(&metrics->lock);
	return metric;
}

void metric_add(struct metric *metric, double amount)
{
	double before = atomic_load_explicit(&metric->value, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&metric->value, &before, before + amount,
	                                              memory_order_relaxed, memory_order_relaxed))
		;
}

void metric_set(struct metric *metric, double value)
{
	atomic_store_explicit(&metric->value, value, memory_order_relaxed);
}

void metric_observe(struct metric *metric, double value)
{
	size_t bucket = 0;
	while (bucket < metric->bound_count && value > metric->family->bounds[bucket])
		bucket++;
	atomic_fetch_add_explicit(&metric->counts[bucket], 1, memory_order_relaxed);
	metric_add(metric, value);
}

/* --- telling ------------------------------------------------------------------------ */

static const char *type_name(enum metric_type type)
{
	switch (type) {
	case METRIC_COUNTER: return "counter";
	case METRIC_GAUGE: return "gauge";
	case METRIC_HISTOGRAM: return "histogram";
	}
	must_not_reach();
}

static void put_escaped(struct buf *out, const char *text, bool is_label)
{
	for (; *text; text++) {
		if (*text == '\\')
			buf_put(out, "\\\\");
		else if (*text == '\n')
			buf_put(out, "\\n");
		else if (*text == '"' && is_label)
			buf_put(out, "\\\"");
		else
			buf_put_len(out, text, 1);
	}
}

/* more: one more label, or NULL. */
static void put_labels(const struct metric *metric, const char *more, struct buf *out)
{
	const char *sep = "{";
	for (size_t i = 0; i < METRIC_LABELS && metric->family->labels[i]; i++) {
		buf_printf(out, "%s%s=\"", sep, metric->family->labels[i]);
		put_escaped(out, metric->values[i], true);
		buf_put(out, "\"");
		sep = ",";
	}
	if (more)
		buf_printf(out, "%s%s", sep, more);
	if (more || *sep == ',')
		buf_put(out, "}");
}

/* Whole numbers as such; OpenMetrics wants bounds to be floats ("1.0"). */
static void number_of(double value, bool is_float, char ret[40])
{
	if (value > -1e15 && value < 1e15 && value == (double)(long long)value)
		snprintf(ret, 40, is_float ? "%lld.0" : "%lld", (long long)value);
	else
		snprintf(ret, 40, "%.10g", value);
}

static void put_sample(const struct metric *metric, const char *suffix, const char *label,
                       const char *value, struct buf *out)
{
	buf_printf(out, "%s%s", metric->family->name, suffix);
	put_labels(metric, label, out);
	buf_printf(out, " %s\n", value);
}

static void put_histogram(struct metric *metric, bool is_open, struct buf *out)
{
	unsigned long long below = 0;
	char label[64], value[40];
	for (size_t i = 0; i <= metric->bound_count; i++) {
		below += atomic_load_explicit(&metric->counts[i], memory_order_relaxed);
		number_of(metric->family->bounds[i < metric->bound_count ? i : 0], is_open, value);
		snprintf(label, sizeof(label), "le=\"%s\"",
		         i < metric->bound_count ? value : "+Inf");
		snprintf(value, sizeof(value), "%llu", below);
		put_sample(metric, "_bucket", label, value, out);
	}
	put_sample(metric, "_count", NULL, value, out);
	number_of(atomic_load(&metric->value), false, value);
	put_sample(metric, "_sum", NULL, value, out);
}

static void put_family(const struct family *family, bool is_open, struct buf *out)
{
	const struct metric_family *of = family->of;
	int len = (int)strlen(of->name);
	char value[40];
	if (is_open && of->type == METRIC_COUNTER)
		len -= (int)strlen("_total");
	buf_printf(out, "# HELP %.*s ", len, of->name);
	put_escaped(out, of->help, is_open);
	buf_printf(out, "\n# TYPE %.*s %s\n", len, of->name, type_name(of->type));
	for (size_t i = 0; i < family->metrics.len; i++) {
		struct metric *metric = family->metrics.at[i];
		if (of->type == METRIC_HISTOGRAM) {
			put_histogram(metric, is_open, out);
			continue;
		}
		number_of(atomic_load(&metric->value), false, value);
		put_sample(metric, "", NULL, value, out);
	}
}

void metrics_text(struct metrics *metrics, bool is_open, struct buf *out)
{
	pthread_mutex_lock(&metrics->lock);
	for (size_t i = 0; i < metrics->families.len; i++)
		put_family(&metrics->families.at[i], is_open, out);
	pthread_mutex_unlock(&metrics->lock);
	if (is_open)
		buf_put(out, "# EOF\n");
}

static json_t *sample_json(struct metric *metric)
{
	json_t *labels = json_object();
	unsigned long long below = 0;
	for (size_t i = 0; i < METRIC_LABELS && metric->family->labels[i]; i++)
		json_put(labels, metric->family->labels[i], json_text(str_of(metric->values[i])));
	json_t *ret = json_pack("{s:o}", "labels", labels);
	if (metric->family->type != METRIC_HISTOGRAM) {
		json_put(ret, "value", json_real(atomic_load(&metric->value)));
		return ret;
	}
	json_t *buckets = json_array();
	for (size_t i = 0; i <= metric->bound_count; i++) {
		below += atomic_load(&metric->counts[i]);
		if (i < metric->bound_count)
			json_push(buckets,
			          json_pack("[f,I]", metric->family->bounds[i], (json_int_t)below));
	}
	json_put(ret, "buckets", buckets);
	json_put_int(ret, "count", (int64_t)below);
	json_put(ret, "sum", json_real(atomic_load(&metric->value)));
	return ret;
}

json_t *metrics_json(struct metrics *metrics)
{
	json_t *ret = json_object();
	pthread_mutex_lock(&metrics->lock);
	for (size_t f = 0; f < metrics->families.len; f++) {
		const struct family *family = &metrics->families.at[f];
		json_t *samples = json_array();
		for (size_t i = 0; i < family->metrics.len; i++)
			json_push(samples, sample_json(family->metrics.at[i]));
		json_put(ret, family->of->name,
		         json_pack("{s:s,s:o}", "type", type_name(family->of->type), "samples",
		                   samples));
	}
	pthread_mutex_unlock(&metrics->lock);
	return ret;
}
