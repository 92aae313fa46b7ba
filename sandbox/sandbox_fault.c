/* SPDX-License-Identifier: MIT */
/*
 * What goes wrong, and when.  A rule says system, kind and rate; each rule has
 * its own seeded source of chance and draws once per request of its system, so
 * the same seed and the same order of requests give the same faults.  An
 * account's own file may hold faults for requests about it.
 *
 * Token endpoints are left alone unless a rule's path names them: a broken
 * login would hide the fault that was asked for.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rand.h"
#include "base/vec.h"
#include "sandbox/sandbox.h"

static const struct fault kinds[] = {
	{ FAULT_STATUS, 400, 0, "400" },
	{ FAULT_STATUS, 401, 0, "401" },
	{ FAULT_STATUS, 403, 0, "403" },
	{ FAULT_STATUS, 404, 0, "404" },
	{ FAULT_STATUS, 429, 0, "429" },
	{ FAULT_STATUS, 500, 0, "500" },
	{ FAULT_STATUS, 503, 0, "503" },
	{ FAULT_TIMEOUT, 0, TIMEOUT_FAULT_MS, "timeout" },
	{ FAULT_HALF, 0, 0, "half" },
	{ FAULT_LOST, 0, 0, "lost" },
	{ FAULT_SLOW, 0, SLOW_FAULT_MS, "slow" },
	{ FAULT_GARBAGE, 0, 0, "garbage" },
};

static const struct fault *kind_find(const char *name)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	return NULL;
}

/* "500" and 500 alike. */
static const struct fault *kind_of(const json_t *rule)
{
	const json_t *kind = json_at(rule, "kind");
	char text[32];
	if (json_is_string(kind))
		return kind_find(json_string_value(kind));
	snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(kind));
	return json_is_integer(kind) ? kind_find(text) : NULL;
}

static int kind_error(struct err *err)
{
	return err_set(err, ERR_INPUT,
	               "a fault's kind is one of 400, 401, 403, 404, 429, 500, 503, timeout, half, "
	               "lost, slow, garbage");
}

int fault_add(struct sandbox *box, const json_t *rule, struct err *err)
{
	int system = system_by_name(json_str(rule, "system", ""));
	const struct fault *kind = kind_of(rule);
	const json_t *rate = json_at(rule, "rate");
	double share = rate ? json_number_value(rate) : 1.0;
	int64_t seed = json_int(rule, "seed", (int64_t)box->seed);
	if (system < 0)
		return err_set(err, ERR_INPUT, "a fault's system is one of %s", system_names());
	if (!kind)
		return kind_error(err);
	if ((rate && !json_is_number(rate)) || !(share >= 0 && share <= 1))
		return err_set(err, ERR_INPUT, "a fault's rate is a number from 0 to 1");
	if (box->faults.len >= 100)
		return err_set(err, ERR_LIMIT, "100 faults are in force already");
	struct fault_rule *added = vec_add(&box->faults);
	added->system = (enum system)system;
	added->fault = *kind;
	added->fault.delay_ms = json_int(rule, "delay_ms", kind->delay_ms);
	added->rate = share;
	added->left = json_int(rule, "count", -1);
	/* Two rules of one seed must not draw the same numbers. */
	added->random = (uint64_t)seed ^ hash_text(kind->name) ^
	                hash_text(system_ops((enum system)system)->name) * 3;
	added->path = mem_dup_str(json_str(rule, "path", NULL));
	return 0;
}

int fault_add_text(struct sandbox *box, const char *text, struct err *err)
{
	const char *equals = strchr(text, '=');
	const char *colon = equals ? strchr(equals, ':') : NULL;
	char *end = NULL;
	double rate = colon ? strtod(colon + 1, &end) : 1.0;
	if (!equals || (colon && (end == colon + 1 || *end)))
		return err_set(err, ERR_INPUT, "'%s' is not SYSTEM=KIND:RATE", text);
	size_t kind_len = colon ? (size_t)(colon - equals - 1) : strlen(equals + 1);
	json_t *rule = json_object();
	json_put(rule, "system", json_text((struct str){ text, (size_t)(equals - text) }));
	json_put(rule, "kind", json_text((struct str){ equals + 1, kind_len }));
	json_put(rule, "rate", json_real(rate == rate ? rate : -1));
	int status = fault_add(box, rule, err);
	json_decref(rule);
	return status < 0 ? err_wrap(err, "--fault %s", text) : 0;
}

void fault_clear(struct sandbox *box)
{
	for (size_t i = 0; i < box->faults.len; i++)
		free(box->faults.at[i].path);
	vec_release(&box->faults);
	for (size_t i = 0; i < box->scenarios.len; i++)
		if (box->scenarios.at[i]->spent)
			json_object_clear(box->scenarios.at[i]->spent);
}

json_t *fault_list_new(const struct sandbox *box)
{
	json_t *list = json_array();
	for (size_t i = 0; i < box->faults.len; i++) {
		const struct fault_rule *rule = &box->faults.at[i];
		json_t *entry = json_object();
		json_put_str(entry, "system", system_ops(rule->system)->name);
		json_put_str(entry, "kind", rule->fault.name);
		json_put(entry, "rate", json_real(rule->rate));
		json_put(entry, "count_left",
		         rule->left < 0 ? json_null() : json_integer(rule->left));
		json_put_str(entry, "path", rule->path);
		json_put_int(entry, "requests_seen", rule->seen);
		json_put_int(entry, "requests_spoiled", rule->spoiled);
		json_push(list, entry);
	}
	return list;
}

static bool is_login(const char *target)
{
	return strstr(target, "/oauth") && strstr(target, "/token");
}

static bool rule_applies(struct fault_rule *rule, enum system system, const char *target)
{
	if (rule->system != system || rule->left == 0)
		return false;
	if (rule->path ? !strstr(target, rule->path) : is_login(target))
		return false;
	rule->seen++;
	struct rand source = rand_seeded(&rule->random);
	double drawn = (double)(rand_next(&source) >> 11) * 0x1.0p-53;
	return drawn < rule->rate;
}

/* {"kind": "500", "times": 1, "rate": 1} of the account's own file. */
static struct fault own_fault(struct sandbox *box, struct scenario *scenario, enum system system)
{
	const char *name = system_ops(system)->name;
	const json_t *rule = json_at(json_at(scenario->data, "faults"), name);
	const struct fault *kind = rule ? kind_of(rule) : NULL;
	int64_t used = json_int(scenario->spent, name, 0);
	int64_t times = json_int(rule, "times", json_int(rule, "count", INT64_MAX));
	if (!kind || used >= times)
		return (struct fault){ .kind = FAULT_NONE };
	const json_t *rate = json_at(rule, "rate");
	uint64_t state = box->seed ^ hash_text(scenario->account_id) ^ (uint64_t)used;
	struct rand source = rand_seeded(&state);
	json_put_int(scenario->spent, name, used + 1);
	if (json_is_number(rate) &&
	    (double)(rand_next(&source) >> 11) * 0x1.0p-53 >= json_number_value(rate))
		return (struct fault){ .kind = FAULT_NONE };
	struct fault fault = *kind;
	fault.delay_ms = json_int(rule, "delay_ms", kind->delay_ms);
	return fault;
}

struct fault fault_next(struct sandbox *box, enum system system, const char *target,
                        struct scenario *scenario)
{
	struct fault_rule *hit = NULL;
	/* Every rule draws for every request, so that one rule does not shift another's draws. */
	for (size_t i = 0; i < box->faults.len; i++)
		if (rule_applies(&box->faults.at[i], system, target) && !hit)
			hit = &box->faults.at[i];
	if (hit) {
		hit->spoiled++;
		if (hit->left > 0)
			hit->left--;
		return hit->fault;
	}
	if (scenario && !is_login(target))
		return own_fault(box, scenario, system);
	return (struct fault){ .kind = FAULT_NONE };
}
