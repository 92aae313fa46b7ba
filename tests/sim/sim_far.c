/* SPDX-License-Identifier: MIT */
/*
 * The network and the services behind it.  A request may be refused, get lost,
 * come late or twice; a service may be ill, answer 401, 429, 500 before or after
 * it has done its work, or nonsense; an answer may be lost, broken, or come when
 * nobody waits any more.  What travels goes on travelling when the engine dies.
 *
 * A service that honours keys has a table of them, which forgets after a while.
 * That is where it shows whether an effect happened twice.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/must.h"
#include "sim.h"

enum { JOB_MS = 3000, TOKEN_S = 3600 };

struct sim_exchange {
	struct wire_request *request; /* NULL: nobody waits */
	char *connection, *method, *path, *key, *token;
	char *body;
	int copies; /* on their way, or their answers */
	int code;
	char *answer;
	int retry_after_s; /* -1: not said */
};

json_t *far_connections(const struct sim_options *options)
{
	json_t *ret = json_pack("{s:{s:s,s:b,s:i,s:i,s:i,s:i,s:i,s:i,s:{s:i}},"
	                        "s:{s:s,s:s,s:b,s:i,s:i,s:i,s:{s:s,s:s,s:s,s:s}}}",
	                        "far", "url", "http://far.test", "private", 1, "timeout_ms", 4000,
	                        "deadline_ms", 15000, "retries", 2, "backoff_min_ms", 200,
	                        "backoff_max_ms", 2000, "concurrency", 4, "breaker", "open_ms",
	                        5000, "bank", "url", "http://bank.test", "plugin", "far", "private",
	                        1, "timeout_ms", 4000, "deadline_ms", 15000, "retries", 2, "auth",
	                        "kind", "oauth2_client", "token_path", "/token", "client_id", "sim",
	                        "client_secret", "env:GANGWAY_SIM_SECRET");
	json_put_int(json_at(ret, "far"), "key_lifetime_s", options->key_life_ms / 1000);
	json_put_int(json_at(ret, "bank"), "key_lifetime_s", options->key_life_ms / 1000);
	return ret;
}

/* --- what is known of a request --------------------------------------------------------------- */

/* Each request of the plugin says in its body which one it is. */
static char *mark_of(const struct sim_exchange *exchange)
{
	json_t *body = json_loads(exchange->body, 0, NULL);
	char *ret = mem_dup_str(json_str(body, "mark", NULL));
	json_decref(body);
	return ret;
}

/* P3, C2: it stands on record, as it leaves. */
static void check_leaving(struct world *world, const struct sim_exchange *exchange)
{
	if (strcmp(exchange->method, "GET") == 0 || strcmp(exchange->path, "/token") == 0)
		return;
	char *mark = mark_of(exchange);
	const json_t *recorded = mark ? json_at(world->durable, mark) : NULL;
	if (!recorded)
		complain(world, "P3: %s %s leaves and is not on record", exchange->method,
		         exchange->path);
	else if (strcmp(json_str(recorded, "body", ""), exchange->body) != 0 ||
	         strcmp(json_str(recorded, "path", ""), exchange->path) != 0)
		complain(world, "C2: what leaves is not what is on record: %s %s, %s",
		         exchange->path, exchange->body, json_str(recorded, "body", ""));
	if (mark && exchange->key && strcmp(mark, exchange->key) != 0)
		complain(world, "C2: the request %s goes out with the key %s", mark, exchange->key);
	bool is_keyed = strcmp(json_str(recorded, "effect", ""), "KEYED") == 0;
	if (recorded && is_keyed != (exchange->key != NULL))
		complain(world, "C2: %s leaves %s a key", exchange->path,
		         exchange->key ? "with" : "without");
	free(mark);
}

/* --- the services ----------------------------------------------------------------------------- */

static void answer(struct sim_exchange *exchange, int code, char *text_taken)
{
	free(exchange->answer);
	exchange->code = code;
	exchange->answer = text_taken;
}

static void give_token(struct world *world, struct sim_exchange *exchange)
{
	char *token = mem_format("t%lld", (long long)++world->far_numbers);
	json_put_int(world->tokens, token, world->time.now_ms + (int64_t)TOKEN_S * 1000);
	answer(exchange, 200,
	       mem_format("{\"access_token\":\"%s\",\"token_type\":\"Bearer\",\"expires_in\":%d}",
	                  token, TOKEN_S));
	free(token);
}

static bool is_known_token(struct world *world, const struct sim_exchange *exchange)
{
	if (strcmp(exchange->connection, "bank") != 0)
		return true;
	if (!world->is_healed && lucky(world, world->options.far_401))
		json_object_clear(world->tokens); /* all are taken back */
	return json_int(world->tokens, exchange->token ? exchange->token : "", 0) >
	       world->time.now_ms;
}

/* The work itself: once per key while the key is known; each time without one. */
static int64_t do_work(struct world *world, const struct sim_exchange *exchange)
{
	char *mark = mark_of(exchange);
	const char *key = mark ? mark : "?";
	json_t *row = json_at(world->services, key);
	int64_t now = world->time.now_ms, life = world->options.key_life_ms;
	bool is_known = row && exchange->key && json_int(row, "forgets", INT64_MAX) > now;
	if (row && strcmp(json_str(row, "body", ""), exchange->body) != 0)
		complain(world, "C2: the same request came with another body: %s, before %s",
		         exchange->body, json_str(row, "body", ""));
	if (!row) {
		row = json_pack("{s:s,s:I,s:i,s:b}", "body", exchange->body, "n",
		                (json_int_t)++world->far_numbers, "applied", 0, "keyed",
		                exchange->key != NULL);
		json_put(world->services, key, row);
	}
	if (!is_known) {
		json_put_int(row, "applied", json_int(row, "applied", 0) + 1);
		json_put_int(row, "at", now);
		if (life > 0)
			json_put_int(row, "forgets", now + life);
	}
	free(mark);
	return json_int(row, "n", 0);
}

static void serve_post(struct world *world, struct sim_exchange *exchange)
{
	int64_t n = do_work(world, exchange);
	const struct sim_options *options = &world->options;
	if (!world->is_healed && lucky(world, options->far_after)) {
		answer(exchange, 500, mem_dup_str("{\"code\":\"AFTER\"}"));
	} else if (!world->is_healed && lucky(world, options->far_garbage)) {
		answer(exchange, 200, mem_dup_str("<html>welcome</html>"));
	} else {
		answer(exchange, 200, mem_format("{\"n\":%lld}", (long long)n));
		if (!world->is_healed && lucky(world, options->far_half))
			exchange->answer[strlen(exchange->answer) / 2] = '\0';
	}
}

static void serve_get(struct world *world, struct sim_exchange *exchange)
{
	const char *job = strncmp(exchange->path, "/job/", 5) == 0 ? exchange->path + 5 : NULL;
	const char *key;
	json_t *row;
	int64_t begun = -1;
	json_object_foreach(world->services, key, row)
		if (job && json_int(row, "n", -1) == strtoll(job, NULL, 10))
			begun = json_int(row, "at", 0);
	if (job && begun < 0)
		answer(exchange, 404, mem_dup_str("{\"code\":\"NO_JOB\"}"));
	else if (job && world->time.now_ms < begun + JOB_MS)
		answer(exchange, 202, mem_dup_str("{}"));
	else
		answer(exchange, 200, mem_format("{\"n\":%lld}", (long long)++world->far_numbers));
}

static void serve(struct world *world, struct sim_exchange *exchange)
{
	const struct sim_options *options = &world->options;
	bool has_faults = !world->is_healed;
	exchange->retry_after_s = -1;
	world->seen.answers++;
	if (has_faults && lucky(world, options->far_429)) {
		exchange->retry_after_s = (int)between(world, 0, 20);
		answer(exchange, 429, mem_dup_str("{\"code\":\"SLOWLY\"}"));
	} else if (has_faults && lucky(world, options->far_500)) {
		answer(exchange, lucky(world, 500) ? 503 : 500, mem_dup_str("{\"code\":\"ILL\"}"));
	} else if (strcmp(exchange->path, "/token") == 0) {
		give_token(world, exchange);
	} else if (!is_known_token(world, exchange)) {
		answer(exchange, 401, mem_dup_str("{\"code\":\"TOKEN\"}"));
	} else if (strcmp(exchange->method, "GET") == 0) {
		serve_get(world, exchange);
	} else {
		serve_post(world, exchange);
	}
	say(world, "far %s %s: %d", exchange->method, exchange->path, exchange->code);
}

/* --- the network ------------------------------------------------------------------------------ */

static void exchange_done(struct world *world, struct sim_exchange *exchange)
{
	if (--exchange->copies > 0 || exchange->request)
		return;
	for (size_t i = 0; i < world->exchanges.len; i++)
		if (world->exchanges.at[i] == exchange)
			world->exchanges.at[i] = world->exchanges.at[--world->exchanges.len];
	free(exchange->connection);
	free(exchange->method);
	free(exchange->path);
	free(exchange->key);
	free(exchange->token);
	free(exchange->body);
	free(exchange->answer);
	free(exchange);
}

static void give_answer(struct world *world, struct sim_exchange *exchange, int code, bool has_left)
{
	struct wire_request *request = exchange->request;
	char seconds[16];
	snprintf(seconds, sizeof(seconds), "%d", exchange->retry_after_s);
	struct wire_header headers[] = { { (char[]){ "Content-Type" },
		                           (char[]){ "application/json" } },
		                         { (char[]){ "Retry-After" }, seconds } };
	if (!request || world->is_dead || boundary(world, "before an answer comes"))
		return;
	exchange->request = NULL;
	wire_far_answer(request, code, headers, code == 429 ? 2 : 1,
	                str_of(exchange->answer ? exchange->answer : ""), has_left);
}

static void answer_arrives(struct world *world, void *arg)
{
	struct sim_exchange *exchange = arg;
	bool has_faults = !world->is_healed;
	if (has_faults && lucky(world, world->options.net_break))
		give_answer(world, exchange, 0, true);
	else if (!has_faults || !lucky(world, world->options.net_lose))
		give_answer(world, exchange, exchange->code, true);
	exchange_done(world, exchange);
}

static int64_t way(struct world *world)
{
	bool is_late = !world->is_healed && lucky(world, world->options.net_late);
	return is_late ? between(world, 1000, lucky(world, 100) ? 1200000 : 60000)
	               : between(world, 1, 40);
}

static void arrives(struct world *world, void *arg)
{
	struct sim_exchange *exchange = arg;
	serve(world, exchange);
	(void)time_after(world, SIM_NETWORK, way(world), answer_arrives, exchange);
}

static void refused(struct world *world, void *arg)
{
	struct sim_exchange *exchange = arg;
	give_answer(world, exchange, 0, false);
	exchange_done(world, exchange);
}

static void lost(struct world *world, void *arg)
{
	exchange_done(world, arg);
}

static char *token_of(const struct wire_leaving *leaving)
{
	static const char name[] = "Authorization: Bearer ";
	for (size_t i = 0; i < leaving->line_count; i++)
		if (strncmp(leaving->lines[i], name, sizeof(name) - 1) == 0)
			return mem_dup_str(leaving->lines[i] + sizeof(name) - 1);
	return NULL;
}

static void send(void *ctx, struct wire_request *request, const struct wire_leaving *leaving)
{
	struct world *world = ctx;
	const struct sim_options *options = &world->options;
	if (boundary(world, "before a request leaves"))
		return;
	struct sim_exchange *exchange = mem_alloc(sizeof(*exchange));
	exchange->request = request;
	exchange->connection = mem_dup_str(leaving->connection);
	exchange->method = mem_dup_str(leaving->method);
	exchange->path = mem_dup_str(leaving->path);
	exchange->key = mem_dup_str(leaving->key);
	exchange->token = token_of(leaving);
	exchange->body = mem_dup(leaving->body.ptr ? leaving->body.ptr : "", leaving->body.len);
	exchange->copies = 1;
	*vec_add(&world->exchanges) = exchange;
	world->seen.requests++;
	trace_text(world, exchange->body);
	check_leaving(world, exchange);
	bool has_faults = !world->is_healed;
	if (has_faults && lucky(world, options->net_refuse)) {
		(void)time_after(world, SIM_NETWORK, between(world, 1, 3000), refused, exchange);
	} else if (has_faults && lucky(world, options->net_lose)) {
		(void)time_after(world, SIM_NETWORK, 1, lost, exchange);
	} else {
		(void)time_after(world, SIM_NETWORK, way(world), arrives, exchange);
		/* The network repeats what carries a key, or changes nothing. */
		bool may_repeat = exchange->key || strcmp(exchange->method, "GET") == 0;
		if (has_faults && may_repeat && lucky(world, options->net_double)) {
			exchange->copies++;
			(void)time_after(world, SIM_NETWORK, way(world), arrives, exchange);
		}
	}
	(void)boundary(world, "after a request left");
}

static void forget(void *ctx, struct wire_request *request)
{
	struct world *world = ctx;
	for (size_t i = 0; i < world->exchanges.len; i++)
		if (world->exchanges.at[i]->request == request) {
			struct sim_exchange *exchange = world->exchanges.at[i];
			exchange->request = NULL;
			if (exchange->copies == 0) {
				exchange->copies = 1;
				exchange_done(world, exchange);
			}
			return;
		}
}

void far_init(struct world *world)
{
	world->far = (struct wire_far){ world, send, forget };
	world->services = json_object();
	world->tokens = json_object();
	world->repeated = json_object();
}

void far_release(struct world *world)
{
	while (world->exchanges.len > 0) {
		struct sim_exchange *exchange = world->exchanges.at[0];
		exchange->request = NULL;
		exchange->copies = 1;
		exchange_done(world, exchange);
	}
	vec_release(&world->exchanges);
	json_decref(world->services);
	json_decref(world->tokens);
	json_decref(world->repeated);
}
