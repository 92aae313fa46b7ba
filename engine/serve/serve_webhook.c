/* SPDX-License-Identifier: MIT */
/*
 * Deliveries from outside start runs.  A source is configuration: which scheme
 * signs it, with which secrets, which graph it starts, where its correlation id
 * stands.  202 only once the run is durable; the same delivery again answers the
 * same run with 200; the same name with another body is a conflict.
 *
 * A delivery's id (webhook-id, X-GitHub-Delivery) is kept with the run as a
 * search key when the run is named by the body's own correlation id, so that
 * either tells a repetition.
 */
#include <math.h>

#include "base/crypto.h"
#include "serve/serve_int.h"

static const char *const known[] = { "graph",          "scheme", "secrets",        "secret",
	                             "header",         "input",  "rate_per_s",     "burst",
	                             "correlation_id", "fields", "organization_id" };

/* --- configuration --------------------------------------------------------------------------- */

static int refuse(struct err *err, const char *source, const char *text)
{
	return err_set_id(err, ERR_INPUT, "config.webhook", "serve.webhooks.%s: %s", source, text);
}

static int check_keys(const char *name, const json_t *table, struct err *err)
{
	const char *key;
	json_t *value;
	size_t count = sizeof(known) / sizeof(*known);
	if (!json_is_object(table))
		return refuse(err, name, "it must be a table");
	json_object_foreach((json_t *)(uintptr_t)table, key, value) {
		size_t i = 0;
		while (i < count && strcmp(known[i], key) != 0)
			i++;
		if (i < count)
			continue;
		err_set_id(err, ERR_INPUT, "config.unknown_key",
		           "serve.webhooks.%s: there is no setting '%.60s'", name, key);
		const char *nearest = str_nearest(key, known, count);
		return nearest ? err_hint(err, "did you mean '%s'?", nearest) : err->code;
	}
	return 0;
}

static int take_secret(struct serve *serve, struct source *source, const json_t *value,
                       struct err *err)
{
	const char *reference = json_string_value(value);
	char *text;
	if (!reference || !(str_begins(reference, "env:") || str_begins(reference, "file:"))) {
		refuse(err, source->name, "a secret must be env:NAME or file:PATH");
		return err_hint(err, "secrets never stand in the configuration");
	}
	if (source->secret_count == SIGN_SECRETS)
		return refuse(err, source->name, "there are more than 8 secrets");
	if (serve->options.secret_read(reference, &text, err) < 0)
		return err_wrap(err, "serve.webhooks.%s", source->name);
	int status = sign_secret_read(source->scheme, text, &source->secrets[source->secret_count],
	                              err);
	serve->options.secret_free(text);
	if (status < 0)
		return err_wrap(err, "serve.webhooks.%s: %s", source->name, reference);
	source->secret_count++;
	return 0;
}

static int take_secrets(struct serve *serve, struct source *source, const json_t *table,
                        struct err *err)
{
	const json_t *list = json_at(table, "secrets"), *one = json_at(table, "secret");
	for (size_t i = 0; i < json_array_size(list); i++)
		if (take_secret(serve, source, json_array_get(list, i), err) < 0)
			return err->code;
	if (one && take_secret(serve, source, one, err) < 0)
		return err->code;
	if (source->secret_count > 0)
		return 0;
	refuse(err, source->name, "there is no secret");
	return err_hint(err,
	                "secret = \"env:NAME\", or secrets = {...} while one is being changed");
}

/* What an Outbound Message is known by, and which of its fields the run is given as what. */
static int take_salesforce(struct source *source, const json_t *table, struct err *err)
{
	const json_t *fields = json_at(table, "fields");
	const char *organization = json_str(table, "organization_id", NULL), *field;
	json_t *name;
	if ((fields || organization) && source->scheme != SIGN_SALESFORCE)
		return refuse(err, source->name,
		              "fields and organization_id are for the scheme salesforce");
	if (organization && strlen(organization) != 15 && strlen(organization) != 18)
		return refuse(err, source->name, "organization_id has 15 or 18 characters");
	json_object_foreach((json_t *)(uintptr_t)fields, field, name)
		if (!json_is_string(name))
			return refuse(err, source->name,
			              "fields must be names: { Id = \"account_id\" }");
	source->organization = mem_dup_str(organization);
	source->map = fields ? json_deep_copy(fields) : NULL;
	return 0;
}

static int take_source(struct serve *serve, struct source *source, const json_t *table,
                       struct err *err)
{
	if (check_keys(source->name, table, err) < 0)
		return err->code;
	int scheme = sign_scheme_find(json_str(table, "scheme", ""));
	if (scheme < 0) {
		refuse(err, source->name, "its scheme is not known");
		return err_hint(err,
		                "standard, github, stripe, slack, docusign, secret, salesforce");
	}
	source->scheme = (enum sign_scheme)scheme;
	source->graph = mem_dup_str(json_str(table, "graph", source->name));
	source->header = mem_dup_str(json_str(table, "header", "X-Webhook-Secret"));
	source->correlation = mem_dup_str(json_str(table, "correlation_id", "correlation_id"));
	source->input = mem_dup_str(json_str(table, "input", NULL));
	if (take_salesforce(source, table, err) < 0)
		return err->code;
	source->rate = json_int(table, "rate_per_s", 0);
	source->burst = json_int(table, "burst", source->rate);
	if (source->rate < 0 || source->burst < (source->rate > 0))
		return refuse(err, source->name, "rate_per_s and burst must be positive");
	source->tokens = (double)source->burst;
	return take_secrets(serve, source, table, err);
}

static int read_all(struct serve *serve, const json_t *table, struct map *ret, struct err *err)
{
	const char *name;
	json_t *row;
	if (table && !json_is_object(table) && json_array_size(table) > 0)
		return err_set_id(err, ERR_INPUT, "config.type",
		                  "serve.webhooks must be a table by name");
	json_object_foreach((json_t *)(uintptr_t)table, name, row) {
		struct source *source = mem_alloc(sizeof(*source));
		source->name = mem_dup_str(name);
		pthread_mutex_init(&source->lock, NULL);
		source->filled_ms = serve_ms(serve);
		map_set(ret, name, source);
		if (strspn(name,
		           "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") !=
		    strlen(name))
			return refuse(err, name, "its name may hold letters, digits, _ and -");
		if (take_source(serve, source, row, err) < 0)
			return err->code;
	}
	return 0;
}

static void release_source(struct source *source)
{
	for (size_t s = 0; s < source->secret_count; s++) {
		explicit_bzero(source->secrets[s].bytes, source->secrets[s].len);
		free(source->secrets[s].bytes);
	}
	pthread_mutex_destroy(&source->lock);
	free(source->name);
	free(source->graph);
	free(source->header);
	free(source->correlation);
	free(source->input);
	free(source->organization);
	json_decref(source->map);
	free(source);
}

static void release_all(struct map *sources)
{
	struct map_entry *entry;
	for (size_t i = 0; (entry = map_each(sources, &i));)
		release_source(entry->value);
	map_release(sources);
}

/* What was counted under a name goes on under it. */
static void inherit(struct source *source, const struct source *before)
{
	atomic_store(&source->accepted, atomic_load(&before->accepted));
	atomic_store(&source->refused, atomic_load(&before->refused));
	atomic_store(&source->throttled, atomic_load(&before->throttled));
}

int sources_read(struct serve *serve, const json_t *table, struct err *err)
{
	struct map fresh;
	struct map_entry *entry;
	map_init(&fresh);
	if (read_all(serve, table, &fresh, err) < 0) {
		release_all(&fresh);
		return err->code;
	}
	pthread_mutex_lock(&serve->lock);
	for (size_t i = 0; (entry = map_each(&serve->sources, &i));) {
		struct source *after = map_get(&fresh, entry->key);
		if (after)
			inherit(after, entry->value);
		*vec_add(&serve->old_sources) = entry->value; /* deliveries may be under way */
	}
	map_release(&serve->sources);
	serve->sources = fresh;
	pthread_mutex_unlock(&serve->lock);
	return 0;
}

static struct source *find_source(struct serve *serve, const char *name)
{
	pthread_mutex_lock(&serve->lock);
	struct source *ret = map_get(&serve->sources, name);
	pthread_mutex_unlock(&serve->lock);
	return ret;
}

void sources_release(struct serve *serve)
{
	release_all(&serve->sources);
	for (size_t i = 0; i < serve->old_sources.len; i++)
		release_source(serve->old_sources.at[i]);
	vec_release(&serve->old_sources);
}

/* --- a delivery ------------------------------------------------------------------------------ */

struct delivery {
	struct source *source;
	char id[LIMIT_CORRELATION_ID_BYTES + 1];
	char correlation[LIMIT_CORRELATION_ID_BYTES + 1];
	char label[2 * LIMIT_CORRELATION_ID_BYTES];
};

/* Seconds until there is room again; 0: it may come in. */
static int throttle(struct serve *serve, struct source *source)
{
	if (source->rate == 0)
		return 0;
	pthread_mutex_lock(&source->lock);
	int64_t now = serve_ms(serve);
	source->tokens += (double)(now - source->filled_ms) * (double)source->rate / 1000.0;
	source->tokens = fmin(source->tokens, (double)source->burst);
	source->filled_ms = now;
	bool is_in = source->tokens >= 1.0;
	double wait = (1.0 - source->tokens) / (double)source->rate;
	if (is_in)
		source->tokens -= 1.0;
	pthread_mutex_unlock(&source->lock);
	return is_in ? 0 : (int)ceil(wait);
}

static void delivery_replied(struct exchange *x, const json_t *reply, bool is_last)
{
	const json_t *error = json_at(reply, "error"), *run = json_at(reply, "run");
	struct delivery *delivery = x->own;
	if (!is_last)
		return;
	if (error) {
		if (json_int(error, "code", 0) == ERR_CONFLICT)
			serve_log(x->serve, "warning", "webhook.conflict",
			          json_pack("{s:s,s:s}", "source", delivery->source->name,
			                    "delivery", delivery->id));
		exchange_error(x, error);
		return;
	}
	bool is_new = json_truth(reply, "is_new", false);
	atomic_fetch_add(&delivery->source->accepted, 1);
	json_t *body = json_pack("{s:O,s:O,s:O,s:b}", "run", json_at(run, "id"), "correlation_id",
	                         json_at(run, "correlation_id"), "status", json_at(run, "status"),
	                         "is_new", (int)is_new);
	exchange_json_at(x, is_new ? 202 : 200, body,
	                 mem_format("/v1/runs/%s", json_str(run, "id", "")));
	json_decref(body);
}

static void start_delivery(struct exchange *x)
{
	const struct delivery *delivery = x->own;
	const struct source *source = delivery->source;
	json_t *input = source->input ? json_incref(json_path(x->json, source->input))
	                              : json_copy(x->json);
	if (!source->input) /* the run's name is no part of what it is given */
		json_object_del(input, source->correlation);
	json_t *request = json_pack("{s:s,s:s,s:s,s:o}", "op", "run.start", "graph", source->graph,
	                            "correlation_id", delivery->correlation, "by",
	                            json_sprintf("webhook:%s", source->name));
	json_put(request, "input", input ? input : json_object());
	json_put_str(request, "delivery", *delivery->label ? delivery->label : NULL);
	exchange_ask(x, request, delivery_replied);
}

/* Was this delivery id taken before, for whatever name? */
static void known_replied(struct exchange *x, const json_t *reply, bool is_last)
{
	const struct delivery *delivery = x->own;
	const json_t *error = json_at(reply, "error");
	const json_t *run = json_array_get(json_at(reply, "runs"), 0);
	if (!is_last)
		return;
	if (error)
		exchange_error(x, error);
	else if (run && strcmp(json_str(run, "correlation_id", ""), delivery->correlation) != 0)
		exchange_problem(x, 409, "webhook.conflict", "body",
		                 "this delivery came before, with another body", NULL);
	else
		start_delivery(x);
}

static bool is_plain_id(const char *text)
{
	size_t len = strlen(text);
	for (const char *c = text; *c; c++)
		if ((unsigned char)*c <= 0x20 || *c == 0x7f)
			return false;
	return len > 0 && len <= LIMIT_CORRELATION_ID_BYTES;
}

static bool name_delivery(struct exchange *x, struct delivery *delivery)
{
	const json_t *named = json_path(x->json, delivery->source->correlation);
	const char *text = json_string_value(named);
	if (named && (!text || !is_plain_id(text))) {
		exchange_problem(x, 422, "run.correlation_id", "body",
		                 "a correlation id is 1 to 200 printable characters without spaces",
		                 NULL);
		return false;
	}
	if (text) {
		snprintf(delivery->correlation, sizeof(delivery->correlation), "%s", text);
		if (*delivery->id)
			snprintf(delivery->label, sizeof(delivery->label), "%s:%s",
			         delivery->source->name, delivery->id);
	} else if (*delivery->id && is_plain_id(delivery->id)) {
		snprintf(delivery->correlation, sizeof(delivery->correlation), "%s", delivery->id);
	} else {
		/* No name of its own: the same bytes are the same delivery. */
		char hash[SHA256_HEX];
		crypto_sha256_hex(buf_str(&x->body), hash);
		snprintf(delivery->correlation, sizeof(delivery->correlation), "%s", hash);
	}
	return true;
}

static bool is_signed(struct exchange *x, struct delivery *delivery)
{
	struct source *source = delivery->source;
	struct sign_request request = { .scheme = source->scheme,
		                        .secrets = source->secrets,
		                        .secret_count = source->secret_count,
		                        .header = source->header,
		                        .frame = &x->frame,
		                        .body = buf_str(&x->body),
		                        .now_s = clock_wall_ms(&x->serve->options.clock) / 1000 };
	if (sign_check(&request, delivery->id))
		return true;
	atomic_fetch_add(&source->refused, 1);
	serve_log(x->serve, "warning", "webhook.refused",
	          json_pack("{s:s}", "source", source->name));
	exchange_deny(x, 401, "webhook.signature", "header",
	              "the delivery is not signed as it should be");
	return false;
}

bool source_is_throttled(struct exchange *x, struct source *source)
{
	x->retry_after = throttle(x->serve, source);
	if (x->retry_after == 0)
		return false;
	atomic_fetch_add(&source->throttled, 1);
	exchange_problem(x, 429, "webhook.rate", NULL, "too many deliveries", NULL);
	return true;
}

void handle_webhook(struct exchange *x)
{
	struct delivery *delivery = arena_alloc(&x->arena, sizeof(*delivery));
	struct err err = { 0 };
	x->own = delivery;
	delivery->source = find_source(x->serve, x->ids[0]);
	if (!delivery->source) {
		exchange_problem(x, 404, "http.path", "path", "there is nothing here", NULL);
		return;
	}
	if (delivery->source->scheme == SIGN_SALESFORCE) {
		soap_deliver(x, delivery->source);
		return;
	}
	if (!is_signed(x, delivery) || source_is_throttled(x, delivery->source))
		return;
	if (json_read(buf_str(&x->body), LIMIT_JSON_BYTES, &x->json, &err) < 0) {
		exchange_problem(x, err.code == ERR_LIMIT ? 413 : 400, err.id, "body", err.text,
		                 err.hint);
		return;
	}
	if (!json_is_object(x->json)) {
		exchange_problem(x, 422, "body.type", "body", "the body must be a JSON object",
		                 NULL);
		return;
	}
	if (!name_delivery(x, delivery))
		return;
	if (!*delivery->label) {
		start_delivery(x);
		return;
	}
	exchange_ask(x,
	             json_pack("{s:s,s:{s:s},s:i}", "op", "run.list", "where", "gw:delivery",
	                       delivery->label, "limit", 1),
	             known_replied);
}
