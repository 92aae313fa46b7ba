/* SPDX-License-Identifier: MIT */
/* Figures in the text format of Prometheus: counters that only grow, a histogram per route. */
#include <stdio.h>

#include "serve/serve_int.h"

static const double bounds[METRIC_BUCKETS] = { 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
	                                       0.1,   0.25,   0.5,   1,    2.5,   10 };

static size_t route_index(const struct exchange *x)
{
	return x->route ? (size_t)(x->route - serve_routes) : serve_route_count;
}

void metrics_count(struct exchange *x)
{
	struct route_figures *figures = &x->serve->figures[route_index(x)];
	int64_t took_us = (clock_monotonic_ns(&x->serve->options.clock) - x->began_ns) / 1000;
	size_t bucket = 0;
	while (bucket < METRIC_BUCKETS && (double)took_us > bounds[bucket] * 1e6)
		bucket++;
	atomic_fetch_add_explicit(&figures->by_class[x->status / 100 % 6], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&figures->buckets[bucket], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&figures->sum_us, (unsigned long long)took_us,
	                          memory_order_relaxed);
}

static void put_family(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static const char *method_of(size_t i)
{
	return i < serve_route_count ? serve_routes[i].method : "";
}

static const char *path_of(size_t i)
{
	return i < serve_route_count ? serve_routes[i].path : "none";
}

static void put_requests(const struct serve *serve, struct buf *out)
{
	put_family(out, "gangway_http_requests_total", "counter",
	           "Requests by route and class of answer.");
	for (size_t i = 0; i <= serve_route_count; i++)
		for (int class = 0; class < 6; class ++) {
			unsigned long long count = atomic_load(&serve->figures[i].by_class[class]);
			if (count > 0)
				buf_printf(out,
				           "gangway_http_requests_total{method=\"%s\",path=\"%s\","
				           "class=\"%dxx\"} %llu\n",
				           method_of(i), path_of(i), class, count);
		}
}

static void put_durations(const struct serve *serve, struct buf *out)
{
	static const char name[] = "gangway_http_request_duration_seconds";
	put_family(out, name, "histogram", "From the request line to the end of the answer.");
	for (size_t i = 0; i <= serve_route_count; i++) {
		const struct route_figures *figures = &serve->figures[i];
		unsigned long long count = 0;
		char labels[160];
		snprintf(labels, sizeof(labels), "method=\"%s\",path=\"%s\"", method_of(i),
		         path_of(i));
		for (size_t b = 0; b <= METRIC_BUCKETS; b++)
			count += atomic_load(&figures->buckets[b]);
		if (count == 0)
			continue;
		unsigned long long below = 0;
		for (size_t b = 0; b < METRIC_BUCKETS; b++) {
			below += atomic_load(&figures->buckets[b]);
			buf_printf(out, "%s_bucket{%s,le=\"%g\"} %llu\n", name, labels, bounds[b],
			           below < count ? below : count);
		}
		buf_printf(out,
		           "%s_bucket{%s,le=\"+Inf\"} %llu\n%s_sum{%s} %.6f\n%s_count{%s} %llu\n",
		           name, labels, count, name, labels,
		           (double)atomic_load(&figures->sum_us) / 1e6, name, labels, count);
	}
}

static void put_number(struct buf *out, const char *name, const char *type, const char *help,
                       unsigned long long value)
{
	put_family(out, name, type, help);
	buf_printf(out, "%s %llu\n", name, value);
}

static void put_sources(struct serve *serve, struct buf *out)
{
	struct map_entry *entry;
	size_t i = 0;
	put_family(out, "gangway_webhook_deliveries_total", "counter",
	           "Deliveries by source and outcome.");
	while ((entry = map_each(&serve->sources, &i))) {
		struct source *source = entry->value;
		buf_printf(
			out,
			"gangway_webhook_deliveries_total{source=\"%s\",outcome=\"accepted\"} "
			"%llu\n"
			"gangway_webhook_deliveries_total{source=\"%s\",outcome=\"refused\"} %llu\n"
			"gangway_webhook_deliveries_total{source=\"%s\",outcome=\"throttled\"} "
			"%llu\n",
			source->name, atomic_load(&source->accepted), source->name,
			atomic_load(&source->refused), source->name,
			atomic_load(&source->throttled));
	}
}

/* What the engine counts: {"name": number}, one family each. */
static void put_engine(const json_t *figures, struct buf *out)
{
	const char *name;
	json_t *figure;
	json_object_foreach((json_t *)(uintptr_t)figures, name, figure) {
		char full[96];
		snprintf(full, sizeof(full), "gangway_%s", name);
		put_family(out, full, str_ends(name, "_total") ? "counter" : "gauge",
		           "Of the engine.");
		if (json_is_real(figure))
			buf_printf(out, "%s %.6f\n", full, json_real_value(figure));
		else
			buf_printf(out, "%s %lld\n", full, (long long)json_integer_value(figure));
	}
}

static void figures_replied(struct exchange *x, const json_t *reply, bool is_last)
{
	struct serve *serve = x->serve;
	struct buf out;
	if (!is_last)
		return;
	buf_init(&out, (size_t)16 << 20);
	put_requests(serve, &out);
	put_durations(serve, &out);
	put_number(&out, "gangway_http_denied_total", "counter",
	           "Requests without the right to ask.", atomic_load(&serve->denied));
	put_number(&out, "gangway_http_framing_faults_total", "counter",
	           "Requests of doubtful framing.", atomic_load(&serve->framing_faults));
	put_number(&out, "gangway_http_timeouts_total", "counter",
	           "Connections closed at a deadline.", atomic_load(&serve->timeouts));
	pthread_mutex_lock(&serve->lock);
	size_t conns = serve->conn_count, streams = atomic_load(&serve->stream_count);
	pthread_mutex_unlock(&serve->lock);
	put_number(&out, "gangway_http_connections", "gauge", "Open connections.", conns);
	put_number(&out, "gangway_http_streams", "gauge", "Listeners of event streams.", streams);
	put_sources(serve, &out);
	put_engine(json_at(reply, "figures"), &out);
	size_t len = out.len;
	exchange_text(x, 200, "text/plain; version=0.0.4; charset=utf-8", buf_take(&out), len);
}

void handle_metrics(struct exchange *x)
{
	exchange_ask(x, json_pack("{s:s}", "op", "figures"), figures_replied);
}
