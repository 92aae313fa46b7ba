/* SPDX-License-Identifier: MIT */
/* The server as a whole: configuration, listeners, the sweep; starting, draining, freeing. */
#include "serve/serve.h"

#include <time.h>

#include "serve/serve_int.h"

int64_t serve_ms(const struct serve *serve)
{
	return clock_monotonic_ms(&serve->options.clock);
}

void serve_log(struct serve *serve, const char *level, const char *event, json_t *fields_taken)
{
	json_put_str(fields_taken, "level", level);
	json_put_str(fields_taken, "event", event);
	if (serve->options.log)
		serve->options.log(serve->options.log_ctx, fields_taken);
	json_decref(fields_taken);
}

static void init(struct serve *serve, const struct serve_options *options)
{
	serve->options = *options;
	serve->main = (struct listener){ .serve = serve, .fd = -1 };
	serve->health = (struct listener){ .serve = serve, .fd = -1, .is_health = true };
	map_init(&serve->sources);
	pthread_mutex_init(&serve->lock, NULL);
	clock_cond_init(&serve->changed);
	metrics_begin(serve);
}

static int start(struct serve *serve, struct err *err)
{
	const struct serve_options *options = &serve->options;
	if (serve_config_read(options->config, &serve->config, err) < 0 ||
	    tls_read(serve, json_at(options->config, "tls"), err) < 0 ||
	    sources_read(serve, json_at(options->config, "webhooks"), err) < 0 ||
	    slack_read(serve, json_at(options->config, "slack"), err) < 0 ||
	    demo_read(serve, json_at(options->config, "demo"), err) < 0 ||
	    oidc_read(serve, json_at(options->config, "oidc"), err) < 0)
		return err->code;
	if (options->port >= 0)
		serve->config.port = options->port;
	streams_begin(serve);
	oidc_begin(serve);
	if (sweep_start(serve) != 0)
		return err_set_id(err, ERR_SYSTEM, "serve.start", "no thread can be had");
	if (http_start(&serve->main, serve->config.address, serve->config.port, err) < 0)
		return err->code;
	if (serve->config.health_port >= 0 &&
	    http_start(&serve->health, serve->config.health_address, serve->config.health_port,
	               err) < 0)
		return err->code;
	return 0;
}

int serve_start(const struct serve_options *options, struct serve **ret, struct err *err)
{
	struct serve *serve = mem_alloc(sizeof(*serve));
	init(serve, options);
	if (start(serve, err) < 0) {
		serve_drain(serve);
		serve_free(serve);
		return err->code;
	}
	*ret = serve;
	return 0;
}

int serve_set_webhooks(struct serve *serve, const json_t *table, struct err *err)
{
	return sources_read(serve, table, err);
}

const char *serve_address(const struct serve *serve)
{
	return serve->main.address;
}

const char *serve_health_address(const struct serve *serve)
{
	return serve->health.address;
}

/* Every exchange that waits for a run's end gets what there is. */
static void hurry(struct serve *serve)
{
	enum { MANY = 256 };
	for (size_t count = MANY; count == MANY;) {
		struct exchange *waiting[MANY];
		count = 0;
		pthread_mutex_lock(&serve->lock);
		for (struct conn *conn = serve->conns; conn && count < MANY; conn = conn->next) {
			struct exchange *x = conn->exchange;
			if (!x || !atomic_load(&x->may_leave) || atomic_load(&x->has_left))
				continue;
			exchange_ref(x);
			waiting[count++] = x;
		}
		pthread_mutex_unlock(&serve->lock);
		for (size_t i = 0; i < count; i++) {
			exchange_expire(waiting[i]);
			exchange_unref(waiting[i]);
		}
	}
}

void serve_drain(struct serve *serve)
{
	atomic_store(&serve->is_draining, true);
	http_quiesce(&serve->main);
	http_quiesce(&serve->health);
	streams_end(serve);
	hurry(serve);
	struct timespec until = clock_deadline((int64_t)serve->config.drain_seconds * 1000);
	pthread_mutex_lock(&serve->lock);
	int status = 0;
	while (status == 0 && atomic_load(&serve->under_way) > 0)
		status = pthread_cond_timedwait(&serve->changed, &serve->lock, &until);
	/* What is left has had its time: each is answered that the engine is stopping. */
	struct exchange *left[1024];
	size_t count = 0;
	for (struct conn *conn = serve->conns; conn && count < 1024; conn = conn->next)
		if (conn->exchange) {
			exchange_ref(conn->exchange);
			left[count++] = conn->exchange;
		}
	pthread_mutex_unlock(&serve->lock);
	for (size_t i = 0; i < count; i++) {
		if (!left[i]->stream)
			exchange_problem(left[i], 503, "serve.draining", NULL,
			                 "the engine is stopping", NULL);
		exchange_unref(left[i]);
	}
	sweep_stop(serve);
	http_stop(&serve->main);
	http_stop(&serve->health);
}

void serve_free(struct serve *serve)
{
	if (!serve)
		return;
	sources_release(serve);
	slack_release(serve);
	json_decref(serve->demo);
	tls_release(serve);
	oidc_release(serve);
	serve_config_release(&serve->config);
	pthread_mutex_destroy(&serve->lock);
	pthread_cond_destroy(&serve->changed);
	free(serve);
}
