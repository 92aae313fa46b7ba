/* SPDX-License-Identifier: MIT */
/*
 * The server's own figures, beside those of the engine in one registry, and
 * the page that shows them all (docs/reference/metrics.md).
 */
#include <stdio.h>

#include "report/report_metrics.h"
#include "serve/serve_int.h"

enum http_figure {
	HTTP_REQUESTS,
	HTTP_DENIED,
	HTTP_FAULTS,
	HTTP_TIMEOUTS,
	HTTP_CONNECTIONS,
	HTTP_STREAMS,
	HTTP_DELIVERIES
};

static const struct metric_family families[] = {
	[HTTP_REQUESTS] = { .name = "http_server_request_duration_seconds",
	                    .help = "Requests, from their first byte to the end of the answer.",
	                    .type = METRIC_HISTOGRAM,
	                    .labels = { "http_request_method", "http_route",
	                                "http_response_status_code", "url_scheme" },
	                    .bounds = { 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1,
	                                2.5, 5, 7.5, 10 } },
	[HTTP_DENIED] = { .name = "gw_http_denied_total",
	                  .help = "Requests without the right to ask.",
	                  .type = METRIC_COUNTER },
	[HTTP_FAULTS] = { .name = "gw_http_framing_faults_total",
	                  .help = "Requests of doubtful framing.",
	                  .type = METRIC_COUNTER },
	[HTTP_TIMEOUTS] = { .name = "gw_http_timeouts_total",
	                    .help = "Connections closed at a deadline.",
	                    .type = METRIC_COUNTER },
	[HTTP_CONNECTIONS] = { .name = "gw_http_connections",
	                       .help = "Open connections.",
	                       .type = METRIC_GAUGE },
	[HTTP_STREAMS] = { .name = "gw_http_streams",
	                   .help = "Listeners of event streams.",
	                   .type = METRIC_GAUGE },
	[HTTP_DELIVERIES] = { .name = "gw_webhook_deliveries_total",
	                      .help = "Deliveries: accepted, refused (not signed), throttled.",
	                      .type = METRIC_COUNTER,
	                      .labels = { "source", "outcome" } },
};

static struct metric *figure(const struct serve *serve, enum http_figure which,
                             const char *const values[METRIC_LABELS])
{
	return metrics_get(engine_metrics(serve->options.engine), &families[which], values);
}

void metrics_begin(struct serve *serve)
{
	metrics_declare(engine_metrics(serve->options.engine), families,
	                sizeof(families) / sizeof(*families));
}

/* By the route's template, never by what was asked: names of runs are no labels. */
void metrics_count(struct exchange *x)
{
	char status[16] = "";
	int64_t took_ns = clock_monotonic_ns(&x->serve->options.clock) - x->began_ns;
	if (x->status > 0)
		snprintf(status, sizeof(status), "%d", x->status);
	const char *values[METRIC_LABELS] = { x->route ? x->route->method : "_OTHER",
		                              x->route ? x->route->path : "", status,
		                              str_begins(x->listener->address, "https:") ? "https"
		                                                                         : "http" };
	metric_observe(figure(x->serve, HTTP_REQUESTS, values), (double)took_ns / 1e9);
}

static void look_at_sources(struct serve *serve)
{
	struct map_entry *entry;
	pthread_mutex_lock(&serve->lock);
	for (size_t i = 0; (entry = map_each(&serve->sources, &i));) {
		const struct source *source = entry->value;
		const char *values[METRIC_LABELS] = { source->name, "accepted" };
		metric_set(figure(serve, HTTP_DELIVERIES, values),
		           (double)atomic_load(&source->accepted));
		values[1] = "refused";
		metric_set(figure(serve, HTTP_DELIVERIES, values),
		           (double)atomic_load(&source->refused));
		values[1] = "throttled";
		metric_set(figure(serve, HTTP_DELIVERIES, values),
		           (double)atomic_load(&source->throttled));
	}
	pthread_mutex_unlock(&serve->lock);
}

static void look(struct serve *serve)
{
	pthread_mutex_lock(&serve->lock);
	size_t conns = serve->conn_count;
	pthread_mutex_unlock(&serve->lock);
	metric_set(figure(serve, HTTP_DENIED, NULL), (double)atomic_load(&serve->denied));
	metric_set(figure(serve, HTTP_FAULTS, NULL), (double)atomic_load(&serve->framing_faults));
	metric_set(figure(serve, HTTP_TIMEOUTS, NULL), (double)atomic_load(&serve->timeouts));
	metric_set(figure(serve, HTTP_CONNECTIONS, NULL), (double)conns);
	metric_set(figure(serve, HTTP_STREAMS, NULL), (double)atomic_load(&serve->stream_count));
	look_at_sources(serve);
}

static void figures_replied(struct exchange *x, const json_t *reply, bool is_last)
{
	const json_t *text = json_at(reply, "text");
	if (is_last)
		exchange_text(x, 200, x->own, mem_dup_str(json_string_value(text)),
		              json_string_length(text));
}

void handle_metrics(struct exchange *x)
{
	static const char plain[] = "text/plain; version=0.0.4; charset=utf-8";
	static const char open[] = "application/openmetrics-text; version=1.0.0; charset=utf-8";
	size_t count;
	const char *accept = frame_get(&x->frame, "Accept", &count);
	bool is_open = accept && strstr(accept, "application/openmetrics-text");
	x->own = (void *)(uintptr_t)(is_open ? open : plain);
	look(x->serve);
	exchange_ask(
		x, json_pack("{s:s,s:s}", "op", "figures", "as", is_open ? "openmetrics" : "text"),
		figures_replied);
}
