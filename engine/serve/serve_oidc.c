/* SPDX-License-Identifier: MIT */
/*
 * Bearer tokens of an identity provider: a JWT (RFC 7519), signed RS256 or
 * ES256 with one of the provider's keys.  The keys are read through a connection
 * of the configuration, kept, and read again from time to time and when a token
 * names a key that is not among them, at most every ten seconds.  What cannot be
 * read anew stays good for a day.
 *
 *   oidc = { issuer = "https://login.example", audience = "gangway", connection = "login",
 *            jwks_path = "/keys", person = "email", roles = "realm_access.roles",
 *            teams = "groups", map = { ["gangway-ops"] = "operator" } }
 *
 * Deny by default: no algorithm but the two, no token without an end, no role
 * but those that a claim names.
 */
#include "base/crypto.h"
#include "serve/serve_int.h"

enum {
	KEYS_MAX = 32,
	KEY_ID_BYTES = 128,
	JWT_BYTES_MAX = 8192,
	FRESH_MS = 5 * 60 * 1000,
	AGAIN_MS = 10 * 1000,
	STALE_MS = 24 * 3600 * 1000,
	LEEWAY_S = 60
};

struct oidc_key {
	char id[KEY_ID_BYTES];
	enum crypto_algorithm algorithm;
	struct crypto_key *key;
};

struct oidc {
	struct serve *serve;
	char *issuer, *audience, *connection, *jwks_path, *person, *roles, *teams, *grant;
	json_t *map;          /* {claim's value: role}; NULL: they are roles' names */
	pthread_mutex_t lock; /* what follows */
	struct oidc_key keys[KEYS_MAX];
	size_t key_count;
	int64_t read_ms, asked_ms; /* monotonic; 0: never */
	bool is_asking;
};

/* --- configuration --------------------------------------------------------------------- */

static const struct {
	const char *name;
	size_t at;
	const char *fallback; /* NULL: required; "": none */
} texts[] = {
	{ "issuer", offsetof(struct oidc, issuer), NULL },
	{ "audience", offsetof(struct oidc, audience), NULL },
	{ "connection", offsetof(struct oidc, connection), NULL },
	{ "jwks_path", offsetof(struct oidc, jwks_path), "/.well-known/jwks.json" },
	{ "person", offsetof(struct oidc, person), "sub" },
	{ "roles", offsetof(struct oidc, roles), "roles" },
	{ "teams", offsetof(struct oidc, teams), "" },
	{ "data", offsetof(struct oidc, grant), "" },
};
enum { TEXTS = sizeof(texts) / sizeof(*texts) };

static int check_map(const json_t *map, struct err *err)
{
	const char *name;
	json_t *role;
	json_object_foreach((json_t *)(uintptr_t)map, name, role)
		if (serve_role_check(json_is_string(role) ? json_string_value(role) : "?", err) < 0)
			return err_wrap(err, "serve.oidc.map.%.60s", name);
	return 0;
}

static int take(struct oidc *oidc, const json_t *table, struct err *err)
{
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)(uintptr_t)table, key, value) {
		size_t i = 0;
		while (i < TEXTS && strcmp(texts[i].name, key) != 0)
			i++;
		if (i == TEXTS && strcmp(key, "map") != 0)
			return err_set_id(err, ERR_INPUT, "config.unknown_key",
			                  "serve.oidc: there is no setting '%.60s'", key);
		if (i < TEXTS ? !json_is_string(value) : !json_is_object(value))
			return err_set_id(err, ERR_INPUT, "config.oidc",
			                  "serve.oidc.%s is of another type", key);
	}
	for (size_t i = 0; i < TEXTS; i++) {
		const char *text = json_str(table, texts[i].name, texts[i].fallback);
		if (!text || (!texts[i].fallback && !*text))
			return err_set_id(err, ERR_INPUT, "config.oidc",
			                  "serve.oidc.%s must be there", texts[i].name);
		*(char **)((char *)oidc + texts[i].at) = mem_dup_str(text);
	}
	oidc->map = json_incref(json_at(table, "map"));
	return check_map(oidc->map, err);
}

int oidc_read(struct serve *serve, const json_t *table, struct err *err)
{
	if (!table)
		return 0;
	if (!json_is_object(table))
		return err_set_id(err, ERR_INPUT, "config.oidc", "serve.oidc must be a table");
	struct oidc *oidc = serve->oidc = mem_alloc(sizeof(*oidc));
	oidc->serve = serve;
	pthread_mutex_init(&oidc->lock, NULL);
	json_t *own = json_deep_copy(table);
	int status = take(oidc, own, err);
	json_decref(own);
	return status;
}

static void forget_keys(struct oidc *oidc)
{
	for (size_t i = 0; i < oidc->key_count; i++)
		crypto_key_free(oidc->keys[i].key);
	oidc->key_count = 0;
}

void oidc_release(struct serve *serve)
{
	struct oidc *oidc = serve->oidc;
	if (!oidc)
		return;
	forget_keys(oidc);
	for (size_t i = 0; i < TEXTS; i++)
		free(*(char **)((char *)oidc + texts[i].at));
	json_decref(oidc->map);
	pthread_mutex_destroy(&oidc->lock);
	free(oidc);
	serve->oidc = NULL;
}

/* --- keys ------------------------------------------------------------------------------- */

/* base64url without padding (RFC 7515, 2), to at most max bytes; -1: it is none. */
static long decode(struct str text, char *ret, size_t max)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	uint32_t bits = 0;
	size_t out = 0;
	if (text.len % 4 == 1)
		return -1;
	for (size_t i = 0; i < text.len; i++) {
		const char *at = text.ptr[i] ? strchr(alphabet, text.ptr[i]) : NULL;
		if (!at || (i % 4 != 0 && out == max))
			return -1;
		bits = bits << 6 | (uint32_t)(at - alphabet);
		if (i % 4 != 0)
			ret[out++] = (char)(bits >> (6 - i % 4 * 2) & 0xff);
	}
	return (long)out;
}

static struct str number_of(const json_t *jwk, const char *member, char *bytes, size_t max)
{
	long len = decode(str_of(json_str(jwk, member, "")), bytes, max);
	return (struct str){ bytes, len < 0 ? 0 : (size_t)len };
}

/* False: it is of another kind, or broken; others may still do. */
static bool take_key(const json_t *jwk, struct oidc_key *ret)
{
	char a[1024], b[1024];
	struct err ignored = { 0 };
	const char *kind = json_str(jwk, "kty", ""), *use = json_str(jwk, "use", "sig");
	const char *id = json_str(jwk, "kid", "");
	if (strcmp(use, "sig") != 0 || strlen(id) >= KEY_ID_BYTES)
		return false;
	snprintf(ret->id, sizeof(ret->id), "%s", id);
	if (strcmp(kind, "RSA") == 0) {
		ret->algorithm = CRYPTO_RS256;
		return crypto_key_rsa(number_of(jwk, "n", a, sizeof(a)),
		                      number_of(jwk, "e", b, sizeof(b)), &ret->key, &ignored) == 0;
	}
	if (strcmp(kind, "EC") != 0 || strcmp(json_str(jwk, "crv", ""), "P-256") != 0)
		return false;
	ret->algorithm = CRYPTO_ES256;
	return crypto_key_p256(number_of(jwk, "x", a, sizeof(a)), number_of(jwk, "y", b, sizeof(b)),
	                       &ret->key, &ignored) == 0;
}

static void keys_came(void *arg, const json_t *reply, bool is_last)
{
	struct oidc *oidc = arg;
	struct serve *serve = oidc->serve;
	struct err err = { 0 };
	json_t *set = NULL;
	if (!is_last)
		return;
	bool is_read = json_int(reply, "code", 0) == 200 &&
	               json_read(str_of(json_str(reply, "body", "")), LIMIT_JSON_BYTES, &set,
	                         &err) == 0;
	const json_t *keys = json_at(set, "keys");
	pthread_mutex_lock(&oidc->lock);
	oidc->is_asking = false;
	if (is_read && json_is_array(keys)) {
		forget_keys(oidc);
		for (size_t i = 0; i < json_array_size(keys) && oidc->key_count < KEYS_MAX; i++)
			oidc->key_count += take_key(json_array_get(keys, i),
			                            &oidc->keys[oidc->key_count]);
		oidc->read_ms = serve_ms(serve);
	}
	size_t count = oidc->key_count;
	pthread_mutex_unlock(&oidc->lock);
	serve_log(serve, is_read && count > 0 ? "info" : "warning", "oidc.keys",
	          json_pack("{s:I,s:s}", "keys", (json_int_t)count, "text",
	                    is_read ? "" : json_str(json_at(reply, "error"), "text", err.text)));
	json_decref(set);
	atomic_fetch_sub(&serve->engine_owes, 1);
}

/* With the lock held: whether the keys are to be asked for; the caller does, without it. */
static bool wants_keys(struct oidc *oidc, int64_t now_ms, bool is_missing)
{
	bool is_old = oidc->read_ms == 0 || now_ms - oidc->read_ms >= FRESH_MS;
	bool may_ask = oidc->asked_ms == 0 || now_ms - oidc->asked_ms >= AGAIN_MS;
	if (oidc->is_asking || !may_ask || !(is_old || is_missing))
		return false;
	oidc->is_asking = true;
	oidc->asked_ms = now_ms;
	return true;
}

static void ask_for_keys(struct oidc *oidc)
{
	json_t *request = json_pack("{s:s,s:s,s:s,s:i}", "op", "wire.ask", "connection",
	                            oidc->connection, "path", oidc->jwks_path, "timeout_ms", 5000);
	atomic_fetch_add(&oidc->serve->engine_owes, 1);
	engine_request(oidc->serve->options.engine, request, keys_came, oidc);
	json_decref(request);
}

void oidc_begin(struct serve *serve)
{
	struct oidc *oidc = serve->oidc;
	if (!oidc)
		return;
	pthread_mutex_lock(&oidc->lock);
	bool is_wanted = wants_keys(oidc, serve_ms(serve), true);
	pthread_mutex_unlock(&oidc->lock);
	if (is_wanted)
		ask_for_keys(oidc);
}

/* --- a token ------------------------------------------------------------------------------ */

struct jwt {
	json_t *header, *claims;
	struct str signed_part, signature;
	char bytes[JWT_BYTES_MAX]; /* the signature's */
};

static bool read_part(struct str part, json_t **ret)
{
	char *bytes = mem_alloc(JWT_BYTES_MAX);
	struct err ignored = { 0 };
	long len = decode(part, bytes, JWT_BYTES_MAX);
	*ret = NULL;
	bool is_good = len > 0 && json_read((struct str){ bytes, (size_t)len }, JWT_BYTES_MAX, ret,
	                                    &ignored) == 0;
	free(bytes);
	return is_good && json_is_object(*ret);
}

static bool read_jwt(const char *text, struct jwt *ret)
{
	const char *first = strchr(text, '.'), *second = first ? strchr(first + 1, '.') : NULL;
	if (!second || strchr(second + 1, '.') || strlen(text) > JWT_BYTES_MAX)
		return false;
	ret->signed_part = (struct str){ text, (size_t)(second - text) };
	long len = decode(str_of(second + 1), ret->bytes, sizeof(ret->bytes));
	ret->signature = (struct str){ ret->bytes, len < 0 ? 0 : (size_t)len };
	return len > 0 && read_part((struct str){ text, (size_t)(first - text) }, &ret->header) &&
	       read_part((struct str){ first + 1, (size_t)(second - first - 1) }, &ret->claims);
}

/* 1: signed with a key of ours; 0: not; -1: its key is not known. */
static int is_signed(struct oidc *oidc, const struct jwt *jwt)
{
	const char *id = json_str(jwt->header, "kid", ""), *name = json_str(jwt->header, "alg", "");
	enum crypto_algorithm algorithm;
	int ret = -1;
	if (!crypto_algorithm_named(name, &algorithm) ||
	    (algorithm != CRYPTO_RS256 && algorithm != CRYPTO_ES256))
		return 0;
	for (size_t i = 0; i < oidc->key_count && ret < 0; i++) {
		const struct oidc_key *key = &oidc->keys[i];
		if (strcmp(key->id, id) == 0 && key->algorithm == algorithm)
			ret = crypto_verify(key->key, algorithm, jwt->signed_part, jwt->signature);
	}
	return ret;
}

static bool has_audience(const json_t *claim, const char *want)
{
	if (json_is_string(claim))
		return strcmp(json_string_value(claim), want) == 0;
	for (size_t i = 0; i < json_array_size(claim); i++) {
		const char *one = json_string_value(json_array_get(claim, i));
		if (one && strcmp(one, want) == 0)
			return true;
	}
	return false;
}

/* A moment in seconds; a claim that is there and no number is never good. */
static bool is_within(const json_t *claims, int64_t now_s)
{
	const json_t *end = json_at(claims, "exp"), *begin = json_at(claims, "nbf");
	if (!json_is_number(end) || json_number_value(end) + LEEWAY_S <= (double)now_s)
		return false;
	return !begin ||
	       (json_is_number(begin) && json_number_value(begin) - LEEWAY_S <= (double)now_s);
}

static bool is_for_us(const struct oidc *oidc, const struct jwt *jwt, int64_t now_s)
{
	return !json_at(jwt->header, "crit") &&
	       strcmp(json_str(jwt->claims, "iss", ""), oidc->issuer) == 0 &&
	       has_audience(json_at(jwt->claims, "aud"), oidc->audience) &&
	       is_within(jwt->claims, now_s);
}

static void add_role(const struct oidc *oidc, const char *name, struct principal *who)
{
	const char *mapped = oidc->map ? json_str(oidc->map, name, "") : name;
	int role = role_find(mapped);
	if (role >= 0)
		who->roles |= 1u << role;
}

/* A list of names, or one text with blanks between. */
static void take_roles(const struct oidc *oidc, const json_t *claim, struct principal *who)
{
	char name[128];
	for (size_t i = 0; i < json_array_size(claim); i++) {
		const char *one = json_string_value(json_array_get(claim, i));
		if (one)
			add_role(oidc, one, who);
	}
	const char *text = json_string_value(claim);
	for (size_t len; text && *text; text += len + (text[len] == ' ')) {
		len = strcspn(text, " ");
		snprintf(name, sizeof(name), "%.*s", (int)(len < 127 ? len : 127), text);
		add_role(oidc, name, who);
	}
}

static bool take_claims(const struct oidc *oidc, const json_t *claims, struct principal *who)
{
	const char *person = json_string_value(json_path(claims, oidc->person));
	json_t *teams = *oidc->teams ? json_path(claims, oidc->teams) : NULL;
	if (!person || !*person || strlen(person) >= sizeof(who->owner))
		return false;
	for (const char *c = person; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == ':') /* such names are the engine's own */
			return false;
	snprintf(who->owner, sizeof(who->owner), "%s", person);
	take_roles(oidc, json_path(claims, oidc->roles), who);
	who->has_grant = *oidc->grant && json_is_true(json_path(claims, oidc->grant));
	/* A provider that tells teams and names none of this person: no team's tasks. */
	if (*oidc->teams)
		who->teams = json_is_array(teams) ? json_deep_copy(teams) : json_array();
	return true;
}

enum oidc_answer oidc_admit(struct serve *serve, const char *token, struct principal *who)
{
	struct oidc *oidc = serve->oidc;
	struct jwt *jwt = mem_alloc(sizeof(*jwt));
	int64_t now_ms = serve_ms(serve);
	enum oidc_answer ret = OIDC_BAD;
	if (read_jwt(token, jwt)) {
		pthread_mutex_lock(&oidc->lock);
		int found = is_signed(oidc, jwt);
		bool is_stale = oidc->read_ms == 0 || now_ms - oidc->read_ms > STALE_MS;
		bool is_wanted = wants_keys(oidc, now_ms, found < 0);
		bool is_coming = oidc->is_asking;
		pthread_mutex_unlock(&oidc->lock);
		if (is_wanted)
			ask_for_keys(oidc);
		if (found < 0 || is_stale)
			ret = is_coming ? OIDC_LATER : OIDC_BAD;
		else if (found == 1 &&
		         is_for_us(oidc, jwt, clock_wall_ms(&serve->options.clock) / 1000) &&
		         take_claims(oidc, jwt->claims, who))
			ret = OIDC_GOOD;
	}
	json_decref(jwt->header);
	json_decref(jwt->claims);
	free(jwt);
	return ret;
}
