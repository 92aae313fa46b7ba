/* SPDX-License-Identifier: MIT */
/*
 * A connection from its configuration.  Every key has a place in a table with
 * its type and bounds; whatever is not in the table is refused by name.  Texts
 * may be references (wire_secret.c); those marked secret must be.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/map.h"
#include "base/mem.h"
#include "wire/wire_int.h"

enum field_kind {
	FIELD_TEXT,
	FIELD_SECRET,
	FIELD_KEY,
	FIELD_INT,
	FIELD_NUMBER,
	FIELD_BOOL,
	FIELD_OTHER
};

struct field {
	const char *name;
	enum field_kind kind;
	size_t offset;     /* in struct wire_connection */
	int64_t min, max;  /* of an integer */
	unsigned int auth; /* the kinds of auth that take it (bits), or 0 */
	bool is_required;
};

#define AT(member) offsetof(struct wire_connection, member)
#define KIND(kind) (1u << (kind))
enum { MS_MAX = LIMIT_TIMEOUT_MS };

static const struct field fields[] = {
	{ .name = "url", .kind = FIELD_OTHER },
	{ .name = "auth", .kind = FIELD_OTHER },
	{ .name = "headers", .kind = FIELD_OTHER },
	{ .name = "breaker", .kind = FIELD_OTHER },
	{ .name = "settings", .kind = FIELD_OTHER },
	{ .name = "secrets", .kind = FIELD_OTHER },
	{ .name = "starttls", .kind = FIELD_OTHER },
	{ "timeout_ms", FIELD_INT, AT(timeout_ms), 1, MS_MAX, 0, false },
	{ "deadline_ms", FIELD_INT, AT(deadline_ms), 1, 6 * (int64_t)MS_MAX, 0, false },
	{ "key_lifetime_s", FIELD_INT, AT(key_lifetime_s), 0, 1000000000, 0, false },
	{ "retries", FIELD_INT, AT(retries), 0, LIMIT_RETRIES, 0, false },
	{ "backoff_min_ms", FIELD_INT, AT(backoff_min_ms), 1, MS_MAX, 0, false },
	{ "backoff_max_ms", FIELD_INT, AT(backoff_max_ms), 1, MS_MAX, 0, false },
	{ "concurrency", FIELD_INT, AT(limit.concurrency), 1, 10000, 0, false },
	{ "rate_per_s", FIELD_NUMBER, AT(limit.rate_per_s), 0, 1000000, 0, false },
	{ "burst", FIELD_INT, AT(limit.burst), 0, 1000000, 0, false },
	{ "private", FIELD_BOOL, AT(is_private), 0, 0, 0, false },
	{ "idempotency_header", FIELD_TEXT, AT(idempotency_header), 0, 0, 0, false },
	{ "idempotency_quoted", FIELD_BOOL, AT(is_idempotency_quoted), 0, 0, 0, false },
	{ "plugin", FIELD_TEXT, AT(plugin), 0, 0, 0, false },
	{ "ca_file", FIELD_TEXT, AT(ca_file), 0, 0, 0, false },
	{ "from", FIELD_TEXT, AT(from), 0, 0, 0, false },
	{ "hello_name", FIELD_TEXT, AT(hello_name), 0, 0, 0, false },
};

static const struct field breaker_fields[] = {
	{ "window", FIELD_INT, AT(breaker.window), 0, WIRE_WINDOW_MAX, 0, false },
	{ "error_percent", FIELD_INT, AT(breaker.error_percent), 1, 100, 0, false },
	{ "open_ms", FIELD_INT, AT(breaker.open_ms), 1, MS_MAX, 0, false },
	{ "probes", FIELD_INT, AT(breaker.probes), 1, 1000, 0, false },
};

static const char *const auth_kinds[] = {
	[WIRE_AUTH_NONE] = "none",
	[WIRE_AUTH_BEARER] = "bearer",
	[WIRE_AUTH_BASIC] = "basic",
	[WIRE_AUTH_HEADER] = "header",
	[WIRE_AUTH_OAUTH2_CLIENT] = "oauth2_client",
	[WIRE_AUTH_OAUTH1_TBA] = "oauth1_tba",
	[WIRE_AUTH_OAUTH2_JWT] = "oauth2_jwt",
	[WIRE_AUTH_OAUTH2_M2M] = "oauth2_m2m",
	[WIRE_AUTH_AWS_SIGV4] = "aws_sigv4",
	[WIRE_AUTH_HMAC] = "hmac",
};

enum {
	BEARER = KIND(WIRE_AUTH_BEARER),
	BASIC = KIND(WIRE_AUTH_BASIC),
	HEADER = KIND(WIRE_AUTH_HEADER),
	OAUTH2 = KIND(WIRE_AUTH_OAUTH2_CLIENT),
	TBA = KIND(WIRE_AUTH_OAUTH1_TBA),
	JWT = KIND(WIRE_AUTH_OAUTH2_JWT),
	M2M = KIND(WIRE_AUTH_OAUTH2_M2M),
	AWS = KIND(WIRE_AUTH_AWS_SIGV4),
	HMAC = KIND(WIRE_AUTH_HMAC)
};

static const struct field auth_fields[] = {
	{ .name = "kind", .kind = FIELD_OTHER, .auth = ~0u },
	{ "token", FIELD_SECRET, AT(auth.token), 0, 0, BEARER | TBA, true },
	{ "user", FIELD_TEXT, AT(auth.user), 0, 0, BASIC, true },
	{ "password", FIELD_SECRET, AT(auth.password), 0, 0, BASIC, true },
	{ "header", FIELD_TEXT, AT(auth.header), 0, 0, HEADER | HMAC, true },
	{ "value", FIELD_SECRET, AT(auth.value), 0, 0, HEADER, true },
	{ "token_path", FIELD_TEXT, AT(auth.token_path), 0, 0, OAUTH2 | JWT | M2M, false },
	{ "token_url", FIELD_TEXT, AT(auth.token_url), 0, 0, OAUTH2 | JWT | M2M, false },
	{ "client_id", FIELD_TEXT, AT(auth.client_id), 0, 0, OAUTH2 | JWT | M2M, true },
	{ "client_secret", FIELD_SECRET, AT(auth.client_secret), 0, 0, OAUTH2, true },
	{ "client_auth", FIELD_TEXT, AT(auth.client_auth), 0, 0, OAUTH2, false },
	{ "scope", FIELD_TEXT, AT(auth.scope), 0, 0, OAUTH2 | JWT | M2M, false },
	{ "realm", FIELD_TEXT, AT(auth.realm), 0, 0, TBA, true },
	{ "consumer_key", FIELD_TEXT, AT(auth.consumer_key), 0, 0, TBA, true },
	{ "consumer_secret", FIELD_SECRET, AT(auth.consumer_secret), 0, 0, TBA, true },
	{ "token_secret", FIELD_SECRET, AT(auth.token_secret), 0, 0, TBA, true },
	{ "subject", FIELD_TEXT, AT(auth.subject), 0, 0, JWT, true },
	{ "audience", FIELD_TEXT, AT(auth.audience), 0, 0, JWT | M2M, false },
	{ "key", FIELD_KEY, AT(auth.key), 0, 0, JWT | M2M, true },
	{ "key_id", FIELD_TEXT, AT(auth.key_id), 0, 0, JWT | M2M, false },
	{ "algorithm", FIELD_TEXT, AT(auth.algorithm), 0, 0, JWT | M2M, false },
	{ "access_key", FIELD_SECRET, AT(auth.access_key), 0, 0, AWS, true },
	{ "secret_key", FIELD_SECRET, AT(auth.secret_key), 0, 0, AWS, true },
	{ "session_token", FIELD_SECRET, AT(auth.session_token), 0, 0, AWS, false },
	{ "region", FIELD_TEXT, AT(auth.region), 0, 0, AWS, true },
	{ "service", FIELD_TEXT, AT(auth.service), 0, 0, AWS, true },
	{ "secret", FIELD_SECRET, AT(auth.secret), 0, 0, HMAC, true },
	{ "timestamp_header", FIELD_TEXT, AT(auth.timestamp_header), 0, 0, HMAC, true },
	{ "signed", FIELD_TEXT, AT(auth.signed_text), 0, 0, HMAC, false },
	{ "prefix", FIELD_TEXT, AT(auth.prefix), 0, 0, HMAC, false },
	{ "encoding", FIELD_TEXT, AT(auth.encoding), 0, 0, HMAC, false },
};

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

enum secrecy {
	IS_PLAIN,   /* never a secret, though it may be a reference: a model's name, a URL */
	IS_PRIVATE, /* a secret when it is a reference */
	IS_SECRET   /* must be a reference */
};

/* A text, resolved; what is secret is remembered for redaction. */
static int read_text(struct wire_connection *connection, const json_t *value, enum secrecy secrecy,
                     char **ret, struct err *err)
{
	if (!json_is_string(value))
		return err_set(err, ERR_INPUT, "must be a text");
	const char *text = json_string_value(value);
	if (strlen(text) != json_string_length(value) || !wire_header_is_safe(text))
		return err_set(err, ERR_INPUT, "contains a control character");
	if (json_string_length(value) > LIMIT_SECRET_BYTES)
		return err_set(err, ERR_LIMIT, "is longer than %d bytes (LIMIT_SECRET_BYTES)",
		               LIMIT_SECRET_BYTES);
	if (wire_secret_is_reference(text)) {
		char *secret = NULL;
		if (wire_secret_read(text, &secret, err) < 0)
			return err->code;
		*ret = secret;
		if (secrecy != IS_PLAIN)
			*vec_add(&connection->secrets) = mem_dup_str(secret);
		return 0;
	}
	if (secrecy == IS_SECRET) {
		err_set(err, ERR_INPUT, "a secret must not stand in the configuration");
		return err_hint(err, "write \"env:NAME\" or \"file:PATH\"");
	}
	*ret = mem_dup_str(text);
	return 0;
}

/* A key in PEM form has lines; it is of no use to redaction, which looks for values. */
static int read_key(const json_t *value, char **ret, struct err *err)
{
	const char *text = json_is_string(value) ? json_string_value(value) : "";
	if (!wire_secret_is_reference(text)) {
		err_set(err, ERR_INPUT, "a key must not stand in the configuration");
		return err_hint(err, "write \"file:PATH\"");
	}
	char *pem = NULL;
	if (wire_secret_read_lines(text, &pem, err) < 0)
		return err->code;
	wire_secret_free(*ret);
	*ret = pem;
	return 0;
}

static int read_int(const struct field *field, const json_t *value, int64_t *ret, struct err *err)
{
	int64_t number = json_is_integer(value) ? json_integer_value(value) : field->min - 1;
	if (number < field->min || number > field->max)
		return err_set(err, ERR_INPUT, "must be a whole number from %lld to %lld",
		               (long long)field->min, (long long)field->max);
	*ret = number;
	return 0;
}

static int read_number(const struct field *field, const json_t *value, double *ret, struct err *err)
{
	double number = json_is_number(value) ? json_number_value(value) : -1;
	if (!(number >= (double)field->min && number <= (double)field->max))
		return err_set(err, ERR_INPUT, "must be a number from %lld to %lld",
		               (long long)field->min, (long long)field->max);
	*ret = number;
	return 0;
}

static int read_field(struct wire_connection *connection, const struct field *field,
                      const json_t *value, struct err *err)
{
	void *at = (char *)connection + field->offset;
	switch (field->kind) {
	case FIELD_TEXT:
	case FIELD_SECRET: {
		char *text = NULL;
		enum secrecy secrecy = field->kind == FIELD_SECRET ? IS_SECRET : IS_PLAIN;
		if (read_text(connection, value, secrecy, &text, err) < 0)
			return err->code;
		wire_secret_free(*(char **)at);
		*(char **)at = text;
		return 0;
	}
	case FIELD_KEY: return read_key(value, at, err);
	case FIELD_INT: return read_int(field, value, at, err);
	case FIELD_NUMBER: return read_number(field, value, at, err);
	case FIELD_BOOL:
		if (!json_is_boolean(value))
			return err_set(err, ERR_INPUT, "must be true or false");
		*(bool *)at = json_is_true(value);
		return 0;
	case FIELD_OTHER: return 0;
	}
	return 0;
}

static int unknown_key(const char *key, const struct field *table, size_t count, struct err *err)
{
	const char *names[48];
	for (size_t i = 0; i < count; i++)
		names[i] = table[i].name;
	const char *near = str_nearest(key, names, count);
	err_set(err, ERR_INPUT, "there is no such key");
	return near ? err_hint(err, "did you mean '%s'?", near) : err->code;
}

/* Reads what the table names; `prefix` is for the messages. */
static int read_table(struct wire_connection *connection, const struct field *table, size_t count,
                      const json_t *json, const char *prefix, struct err *err)
{
	const char *key;
	json_t *value;
	if (!json_is_object(json))
		return err_set(err, ERR_INPUT, "%.*s: must be a table",
		               (int)(*prefix ? strlen(prefix) - 1 : 0), prefix);
	json_object_foreach((json_t *)(uintptr_t)json, key, value) {
		size_t i = 0;
		while (i < count && strcmp(table[i].name, key) != 0)
			i++;
		int status = i == count ? unknown_key(key, table, count, err)
		                        : read_field(connection, &table[i], value, err);
		if (status < 0)
			return err_wrap(err, "%s%s", prefix, key);
	}
	return 0;
}

/* --- the parts that are no plain fields -------------------------------------- */

static int read_url(struct wire_connection *connection, const json_t *json, struct err *err)
{
	const json_t *value = json_at(json, "url");
	char *text = NULL;
	if (!value)
		return err_set(err, ERR_INPUT, "the key 'url' is missing");
	int status = read_text(connection, value, IS_PLAIN, &text, err);
	if (status == 0)
		status = wire_url_read(text, &connection->url, err);
	wire_secret_free(text);
	return status < 0 ? err_wrap(err, "url") : 0;
}

static int read_auth_kind(struct wire_connection *connection, const json_t *json, struct err *err)
{
	const char *kind = json_str(json, "kind", NULL);
	if (!kind)
		return err_set(err, ERR_INPUT, "auth: the key 'kind' is missing");
	for (size_t i = 0; i < COUNT(auth_kinds); i++)
		if (strcmp(kind, auth_kinds[i]) == 0) {
			connection->auth.kind = (enum wire_auth_kind)i;
			return 0;
		}
	const char *near = str_nearest(kind, auth_kinds, COUNT(auth_kinds));
	err_set(err, ERR_INPUT, "auth.kind: there is no kind '%s'", kind);
	return near ? err_hint(err, "did you mean '%s'?", near) : err->code;
}

/* The keys that this kind of auth must and may have. */
static int check_auth_keys(const struct wire_connection *connection, const json_t *json,
                           struct err *err)
{
	unsigned int bit = KIND(connection->auth.kind);
	for (size_t i = 0; i < COUNT(auth_fields); i++) {
		const struct field *field = &auth_fields[i];
		bool is_there = json_at(json, field->name) != NULL;
		if (is_there && !(field->auth & bit))
			return err_set(err, ERR_INPUT, "auth.%s: does not belong to auth kind '%s'",
			               field->name, auth_kinds[connection->auth.kind]);
		if (!is_there && (field->auth & bit) && field->is_required)
			return err_set(err, ERR_INPUT, "auth: the key '%s' is missing",
			               field->name);
	}
	return 0;
}

static int read_auth(struct wire_connection *connection, const json_t *json, struct err *err)
{
	if (!json)
		return 0;
	if (!json_is_object(json))
		return err_set(err, ERR_INPUT, "auth: must be a table");
	if (read_auth_kind(connection, json, err) < 0 ||
	    read_table(connection, auth_fields, COUNT(auth_fields), json, "auth.", err) < 0 ||
	    check_auth_keys(connection, json, err) < 0)
		return err->code;
	return 0;
}

static int read_headers(struct wire_connection *connection, const json_t *json, struct err *err)
{
	const char *name;
	json_t *value;
	if (!json)
		return 0;
	if (!json_is_object(json))
		return err_set(err, ERR_INPUT, "headers: must be a table");
	connection->lines = mem_alloc((json_object_size(json) + 1) * sizeof(*connection->lines));
	json_object_foreach((json_t *)(uintptr_t)json, name, value) {
		char *text = NULL;
		if (!wire_header_is_name(name) || wire_header_is_reserved(name))
			return err_set(err, ERR_INPUT, "headers.%s: %s", name,
			               wire_header_is_name(name)
			                       ? "the engine itself sets this header"
			                       : "this is no header name");
		if (read_text(connection, value, IS_PRIVATE, &text, err) < 0)
			return err_wrap(err, "headers.%s", name);
		connection->lines[connection->line_count++] = mem_format("%s%s%s", name,
		                                                         *text ? ": " : ";", text);
		wire_secret_free(text);
	}
	return 0;
}

/* A setting whose name says so is secret when it is a reference; a model's name is not. */
static enum secrecy setting_secrecy(const char *name)
{
	static const char *const words[] = { "secret", "key", "token", "password" };
	for (size_t i = 0; i < COUNT(words); i++)
		if (strstr(name, words[i]))
			return IS_PRIVATE;
	return IS_PLAIN;
}

/* Settings are texts for the plugin; numbers, booleans and tables become their JSON text. */
static int read_settings(struct wire_connection *connection, const json_t *json, struct err *err)
{
	const char *name;
	json_t *value;
	connection->settings = json_object();
	if (json && !json_is_object(json))
		return err_set(err, ERR_INPUT, "settings: must be a table");
	json_object_foreach((json_t *)(uintptr_t)json, name, value) {
		char *text = NULL;
		if (!json_is_string(value))
			text = json_canon(value);
		else if (read_text(connection, value, setting_secrecy(name), &text, err) < 0)
			return err_wrap(err, "settings.%s", name);
		json_put_str(connection->settings, name, text);
		wire_secret_free(text);
	}
	return 0;
}

/* Secrets that a request may ask for by name; see wire_auth_secret.c. */
static int read_secrets(struct wire_connection *connection, const json_t *json, struct err *err)
{
	const char *name;
	json_t *value;
	if (json && !json_is_object(json))
		return err_set(err, ERR_INPUT, "secrets: must be a table");
	json_object_foreach((json_t *)(uintptr_t)json, name, value) {
		char *text = NULL;
		if (!wire_header_is_name(name) || wire_header_is_reserved(name))
			return err_set(err, ERR_INPUT, "secrets.%s: cannot be used", name);
		if (read_text(connection, value, IS_SECRET, &text, err) < 0)
			return err_wrap(err, "secrets.%s", name);
		*vec_add(&connection->named_secrets) =
			(struct wire_named_secret){ mem_dup_str(name), text };
	}
	return 0;
}

static int read_starttls(struct wire_connection *connection, const json_t *json, struct err *err)
{
	const json_t *value = json_at(json, "starttls");
	if (!value)
		return 0;
	const char *text = json_is_string(value) ? json_string_value(value) : "";
	if (strcmp(text, "none") != 0 && strcmp(text, "required") != 0)
		return err_set(err, ERR_INPUT, "starttls: must be \"required\" or \"none\"");
	connection->is_clear_text = strcmp(text, "none") == 0;
	return 0;
}

/* --- what the values mean together ------------------------------------------- */

static int check_mail(const struct wire_connection *connection, const json_t *json, struct err *err)
{
	static const char *const mail_only[] = { "from", "hello_name", "starttls" };
	if (!connection->url.is_mail) {
		for (size_t i = 0; i < COUNT(mail_only); i++)
			if (json_at(json, mail_only[i]))
				return err_set(err, ERR_INPUT,
				               "%s: belongs to a mail connection (smtp, smtps)",
				               mail_only[i]);
		return 0;
	}
	if (connection->auth.kind != WIRE_AUTH_NONE && connection->auth.kind != WIRE_AUTH_BASIC)
		return err_set(err, ERR_INPUT, "auth.kind: mail takes 'none' or 'basic'");
	if (connection->auth.kind == WIRE_AUTH_BASIC && connection->is_clear_text &&
	    !connection->is_private)
		return err_set(err, ERR_INPUT,
		               "starttls: \"none\" would send the password in clear text");
	for (const char *p = connection->hello_name; p && *p; p++)
		if (!((*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'z') ||
		      (*p >= 'A' && *p <= 'Z') || *p == '-' || *p == '.'))
			return err_set(err, ERR_INPUT, "hello_name: must be a host name");
	return 0;
}

static int check_values(struct wire_connection *connection, const json_t *json, struct err *err)
{
	if (connection->backoff_min_ms > connection->backoff_max_ms)
		return err_set(err, ERR_INPUT, "backoff_min_ms: exceeds backoff_max_ms");
	const char *header = connection->idempotency_header;
	if (*header && (!wire_header_is_name(header) || wire_header_is_reserved(header)))
		return err_set(err, ERR_INPUT, "idempotency_header: '%s' cannot be used", header);
	if (connection->deadline_ms >= wire_connection_repeatable_ms(connection))
		return err_set(err, ERR_INPUT,
		               "key_lifetime_s: 80 %% of it must exceed deadline_ms");
	if (connection->ca_file && access(connection->ca_file, R_OK) < 0)
		return err_set(err, ERR_INPUT, "ca_file: %s: %s", connection->ca_file,
		               strerror(errno));
	struct wire_limit *limit = &connection->limit;
	if (limit->rate_per_s > 0 && limit->burst == 0)
		limit->burst = limit->rate_per_s > 1 ? (int64_t)limit->rate_per_s : 1;
	limit->tokens = (double)limit->burst;
	if (check_mail(connection, json, err) < 0)
		return err->code;
	return wire_auth_prepare(connection, err);
}

static int read_all(struct wire_connection *connection, const json_t *json, struct err *err)
{
	const json_t *breaker = json_at(json, "breaker");
	if (read_table(connection, fields, COUNT(fields), json, "", err) < 0 ||
	    read_url(connection, json, err) < 0 ||
	    read_auth(connection, json_at(json, "auth"), err) < 0 ||
	    read_headers(connection, json_at(json, "headers"), err) < 0 ||
	    read_settings(connection, json_at(json, "settings"), err) < 0 ||
	    read_secrets(connection, json_at(json, "secrets"), err) < 0 ||
	    read_starttls(connection, json, err) < 0)
		return err->code;
	if (breaker && read_table(connection, breaker_fields, COUNT(breaker_fields), breaker,
	                          "breaker.", err) < 0)
		return err->code;
	return check_values(connection, json, err);
}

int wire_connection_new(const char *name, const json_t *json, struct wire_connection **ret,
                        struct err *err)
{
	struct wire_connection *connection = mem_alloc(sizeof(*connection));
	connection->name = mem_dup_str(name);
	connection->plugin = mem_dup_str(name);
	connection->idempotency_header = mem_dup_str("Idempotency-Key");
	connection->timeout_ms = 10000;
	connection->deadline_ms = 60000;
	connection->retries = 3;
	connection->backoff_min_ms = 1000;
	connection->backoff_max_ms = 4000;
	connection->limit.concurrency = 16;
	connection->breaker = (struct wire_breaker){
		.window = 20, .error_percent = 50, .open_ms = 30000, .probes = 1
	};
	pthread_mutex_init(&connection->lock, NULL);
	if (read_all(connection, json, err) < 0) {
		wire_connection_free(connection);
		return err_wrap(err, "connection '%s'", name);
	}
	*ret = connection;
	return 0;
}

void wire_connection_free(struct wire_connection *connection)
{
	if (!connection)
		return;
	for (size_t i = 0; i < COUNT(auth_fields); i++)
		if (auth_fields[i].kind != FIELD_OTHER)
			wire_secret_free(*(char **)((char *)connection + auth_fields[i].offset));
	for (size_t i = 0; i < connection->line_count; i++)
		wire_secret_free(connection->lines[i]);
	for (size_t i = 0; i < connection->secrets.len; i++)
		wire_secret_free(connection->secrets.at[i]);
	vec_release(&connection->secrets);
	for (size_t i = 0; i < connection->named_secrets.len; i++) {
		free(connection->named_secrets.at[i].name);
		wire_secret_free(connection->named_secrets.at[i].value);
	}
	vec_release(&connection->named_secrets);
	crypto_key_free(connection->auth.signing_key);
	free(connection->lines);
	wire_secret_free(connection->auth.line);
	wire_secret_free(connection->token_cache.line);
	wire_url_release(&connection->auth.token_base);
	wire_url_release(&connection->url);
	json_decref(connection->settings);
	pthread_mutex_destroy(&connection->lock);
	free(connection->name);
	free(connection->plugin);
	free(connection->ca_file);
	free(connection->idempotency_header);
	free(connection->from);
	free(connection->hello_name);
	free(connection);
}

/* --- asking it ---------------------------------------------------------------- */

const char *wire_connection_name(const struct wire_connection *connection)
{
	return connection->name;
}

const char *wire_connection_plugin(const struct wire_connection *connection)
{
	return connection->plugin;
}

int64_t wire_connection_repeatable_ms(const struct wire_connection *connection)
{
	return connection->key_lifetime_s > 0 ? connection->key_lifetime_s * 800 : INT64_MAX;
}

const char *wire_connection_setting(const struct wire_connection *connection, const char *name)
{
	return json_str(connection->settings, name, NULL);
}

bool wire_connection_reaches(const struct wire_connection *connection, const char *url,
                             const char **ret)
{
	const struct wire_url *own = &connection->url;
	size_t len = strlen(own->base);
	struct err ignored = { 0 };
	if (own->is_mail || strncmp(url, own->base, len) != 0 || url[len] != '/')
		return false;
	*ret = url + len;
	return wire_path_check(*ret, &ignored) == 0;
}

json_t *wire_connection_describe(const struct wire_connection *connection)
{
	/* The lock is no part of what the caller must not change. */
	struct wire_connection *own = (struct wire_connection *)(uintptr_t)connection;
	const struct clock clock = clock_system();
	json_t *ret = json_object();
	json_put_str(ret, "name", connection->name);
	json_put_str(ret, "url", connection->url.base);
	json_put_str(ret, "plugin", connection->plugin);
	json_put_str(ret, "auth", auth_kinds[connection->auth.kind]);
	pthread_mutex_lock(&own->lock);
	json_put_str(ret, "state",
	             wire_break_state(&connection->breaker, clock_monotonic_ms(&clock)));
	json_put_int(ret, "in_flight", connection->limit.in_flight);
	json_put_int(ret, "waiting", (int64_t)connection->limit.waiting.len);
	json_t *quota = json_object();
	for (size_t i = 0; i < connection->quota_count; i++)
		json_put_str(quota, connection->quota[i].name, connection->quota[i].value);
	if (connection->skew_s > 30 || connection->skew_s < -30)
		json_put_int(ret, "clock_skew_s", connection->skew_s);
	pthread_mutex_unlock(&own->lock);
	json_put(ret, "quota", quota);
	return ret;
}

void wire_connection_secrets(const struct wire_connection *connection,
                             void (*found)(void *arg, const char *secret), void *arg)
{
	struct wire_connection *own = (struct wire_connection *)(uintptr_t)connection;
	for (size_t i = 0; i < connection->secrets.len; i++)
		found(arg, connection->secrets.at[i]);
	pthread_mutex_lock(&own->lock);
	if (connection->token_cache.line)
		found(arg, connection->token_cache.line + strlen("Authorization: Bearer "));
	pthread_mutex_unlock(&own->lock);
}
