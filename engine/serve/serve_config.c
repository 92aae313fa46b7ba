/* SPDX-License-Identifier: MIT */
/* The table `serve` of gangway.lua: one table of keys; everything else is refused by name. */
#include "serve/serve_int.h"

struct number_key {
	const char *name;
	size_t at;
	int64_t min, max, fallback;
};

#define KEY(name, min, max, fallback)                                          \
	{                                                                      \
#name, offsetof(struct serve_config, name), min, max, fallback \
	}

static const struct number_key numbers[] = {
	KEY(port, 0, 65535, 8080),       KEY(health_port, -1, 65535, -1),
	KEY(threads, 1, 16, 2),          KEY(connections, 1, 100000, 512),
	KEY(per_address, 0, 100000, 20), KEY(body_bytes, 1024, LIMIT_JSON_BYTES, LIMIT_JSON_BYTES),
	KEY(header_seconds, 1, 600, 10), KEY(body_seconds, 1, 3600, 30),
	KEY(idle_seconds, 1, 3600, 75),  KEY(wait_seconds, 1, 3600, 30),
	KEY(drain_seconds, 0, 3600, 10), KEY(heartbeat_seconds, 1, 3600, 15),
};
enum { NUMBERS = sizeof(numbers) / sizeof(*numbers) };

static const char *const others[] = {
	"address", "health_address", "anonymous", "public_url",      "webhooks",
	"slack",   "demo",           "tls",       "trusted_proxies", "oidc"
};
enum { OTHERS = sizeof(others) / sizeof(*others) };

static int check_keys(const json_t *table, struct err *err)
{
	const char *names[NUMBERS + OTHERS];
	const char *key;
	json_t *value;
	for (size_t i = 0; i < NUMBERS; i++)
		names[i] = numbers[i].name;
	for (size_t i = 0; i < OTHERS; i++)
		names[NUMBERS + i] = others[i];
	json_object_foreach((json_t *)(uintptr_t)table, key, value) {
		size_t i = 0;
		while (i < NUMBERS + OTHERS && strcmp(names[i], key) != 0)
			i++;
		if (i < NUMBERS + OTHERS)
			continue;
		err_set_id(err, ERR_INPUT, "config.unknown_key",
		           "serve: there is no setting '%.60s'", key);
		const char *nearest = str_nearest(key, names, NUMBERS + OTHERS);
		return nearest ? err_hint(err, "did you mean '%s'?", nearest) : err->code;
	}
	return 0;
}

static int take_numbers(const json_t *table, struct serve_config *ret, struct err *err)
{
	for (size_t i = 0; i < NUMBERS; i++) {
		const struct number_key *key = &numbers[i];
		const json_t *value = json_at(table, key->name);
		int64_t number = value ? json_integer_value(value) : key->fallback;
		if (value && (!json_is_integer(value) || number < key->min || number > key->max))
			return err_set_id(err, ERR_INPUT, "config.type",
			                  "serve.%s must be a whole number of %lld to %lld",
			                  key->name, (long long)key->min, (long long)key->max);
		memcpy((char *)ret + key->at, &number, sizeof(number));
	}
	return 0;
}

static int take_text(const json_t *table, const char *key, const char *fallback, char **ret,
                     struct err *err)
{
	const json_t *value = json_at(table, key);
	if (value && !json_is_string(value))
		return err_set_id(err, ERR_INPUT, "config.type", "serve.%s must be a text", key);
	*ret = mem_dup_str(value ? json_string_value(value) : fallback);
	return 0;
}

static bool is_loopback(const char *address)
{
	return str_begins(address, "127.") || strcmp(address, "::1") == 0;
}

/* Requests without a token have this role: for one's own machine, so only there. */
static int take_anonymous(const json_t *table, struct serve_config *ret, struct err *err)
{
	const json_t *value = json_at(table, "anonymous");
	if (!value)
		return 0;
	size_t count = json_is_array(value) ? json_array_size(value) : 1;
	for (size_t i = 0; i < count; i++) {
		const json_t *one = json_is_array(value) ? json_array_get(value, i) : value;
		int role = json_is_string(one) ? role_find(json_string_value(one)) : -1;
		if (role < 0) {
			err_set_id(err, ERR_INPUT, "config.type",
			           "serve.anonymous must be a role, or a list of roles");
			return err_hint(
				err,
				"viewer, operator, approver, analyst, engineer, admin, sender");
		}
		ret->anonymous |= 1u << role;
	}
	ret->is_anonymous = count > 0;
	if (!is_loopback(ret->address)) {
		err_set_id(err, ERR_INPUT, "config.anonymous",
		           "serve.anonymous is for 127.0.0.1 alone, not for %.60s", ret->address);
		return err_hint(err, "make tokens: gangway token new --role operator");
	}
	return 0;
}

/* Used by who opens the engine: the locations of sessions begin with it. */
static int check_public_url(const json_t *table, struct err *err)
{
	const json_t *value = json_at(table, "public_url");
	const char *url = json_string_value(value);
	if (!value || (url && (str_begins(url, "http://") || str_begins(url, "https://"))))
		return 0;
	return err_set_id(err, ERR_INPUT, "config.type",
	                  "serve.public_url must be a URL that begins with http:// or https://");
}

int serve_config_read(const json_t *table, struct serve_config *ret, struct err *err)
{
	json_t *none = json_object();
	*ret = (struct serve_config){ 0 };
	if (!table || (json_is_array(table) && json_array_size(table) == 0))
		table = none;
	int status = 0;
	if (!json_is_object(table))
		status = err_set_id(err, ERR_INPUT, "config.type", "serve must be a table by name");
	else if (check_keys(table, err) < 0 || take_numbers(table, ret, err) < 0 ||
	         take_text(table, "address", "127.0.0.1", &ret->address, err) < 0 ||
	         take_text(table, "health_address", "127.0.0.1", &ret->health_address, err) < 0)
		status = err->code;
	else if (take_anonymous(table, ret, err) < 0 || check_public_url(table, err) < 0 ||
	         proxies_read(json_at(table, "trusted_proxies"), ret, err) < 0)
		status = err->code;
	json_decref(none);
	return status;
}

void serve_config_release(struct serve_config *config)
{
	free(config->address);
	free(config->health_address);
	free(config->proxies);
}
