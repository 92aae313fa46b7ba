/* SPDX-License-Identifier: MIT */
/*
 * Lua in a box: the data model, rule sets and templates.  The only folder that
 * knows Lua; every entry into it is one protected call.
 *
 * The box (DESIGN.md 4, RELIABILITY.md 7.6): text chunks only; functions of our
 * own that charge for their work; sorted pairs; stable sort; no io, os, debug,
 * load, coroutines, metatables, xpcall; a pattern matcher that counts steps;
 * budgets of steps, bytes and time that no script can catch.
 *
 * Thread: a struct script belongs to one worker loop.  Rule sets are compiled
 * per script and cached by hash.
 */
#ifndef SCRIPT_H
#define SCRIPT_H

#include <stdint.h>

#include "base/attr.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "machine/datamodel.h"
#include "machine/scripting.h"

struct script;  /* one Lua state */
struct ruleset; /* immutable text of a rule set's files; shared, counted */

struct script_limits {
	int64_t steps_max;   /* LIMIT_LUA_STEPS */
	size_t bytes_max;    /* LIMIT_LUA_BYTES */
	int64_t time_max_ms; /* LIMIT_LUA_MS; measured by clock, a backstop only */
};

struct script *script_new(const struct script_limits *limits, const struct clock *clock);
void script_free(struct script *script);

/* The factory handed to create is a struct script *. */
extern const struct datamodel_ops script_datamodel_ops;
/* Lua as the engine is handed it. */
extern const struct scripting_ops script_ops;

/*
 * For chart_world: does it compile; which globals does it name?  Stateless.  Each name is found
 * once as read and once as written; names that the box or the standard defines (string, now,
 * _event, In) are found only when they are written.  t.x = 1 reads t.
 */
int script_compiles(const char *code, bool is_statement, struct err *err);
void script_globals(const char *code, bool is_statement,
                    void (*found)(void *arg, const char *name, bool is_write), void *arg);

/*
 * files: {"account.lua": "text", "ruleset.lua": "text", "cases/account.json": "text", ...};
 * borrowed.
 * hash: of the folder, for caching and for the audit.  Nothing is evaluated yet.
 */
struct ruleset *ruleset_new(const char *name, const char *hash, const json_t *files);
struct ruleset *ruleset_ref(struct ruleset *set); /* thread-safe */
void ruleset_unref(struct ruleset *set);

/*
 * Compiles and checks all files: every finding {"level","file","line","code","text","hint"} in a
 * new array; level is "error" or "warning".  The set may be used when no finding is an error.
 * *ret_info, when not NULL, is new: {"name","version","summary","domains":[...],
 * "rules":[{"id","domain","severity","owner","message","fix","file","line"}],
 * "functions":["tier.choose"]}.
 */
json_t *script_ruleset_check(struct script *script, struct ruleset *set, json_t **ret_info);

struct rule_inputs {
	const json_t *params; /* what the invoke passed: {"facts":..., "errors":[...], ...} */
	int64_t now_ms;
	uint64_t seed;
};

/*
 * The verdict of all domains, decided: see docs/guide/rules.md for its form.  Each rule has the
 * budget of one evaluation, all of them together that of ten.
 * ERR_BLOCKED with id rule.budget, rule.memory, rule.error, rule.bad_result,
 * rule.not_text ... and file:line in the text when nothing can be decided.
 */
int script_rules_evaluate(struct script *script, struct ruleset *set, const struct rule_inputs *in,
                          json_t **ret, struct err *err) ATTR_MUST_USE;
/* Calls one function "file.function" of the set with params; its result as JSON. */
int script_rules_call(struct script *script, struct ruleset *set, const char *function,
                      const struct rule_inputs *in, json_t **ret, struct err *err) ATTR_MUST_USE;
/* Runs cases/ of the set: [{"case","ok","text"}], new; a rule that no case fires, or that no case
 * leaves quiet, is a result that is not ok. */
json_t *script_rules_test(struct script *script, struct ruleset *set);

/* A template with values as its globals (docs/guide/templates.md).  name's extension chooses the
 * escaping (.html, .md, .slack, others: none).  *ret is to be freed.  ERR_INPUT: the template is
 * wrong ("report.md:12: ..."); ERR_LIMIT: too much text; ERR_BLOCKED: a budget. */
int script_template(struct script *script, const char *name, struct str source,
                    const json_t *values, int64_t now_ms, char **ret,
                    struct err *err) ATTR_MUST_USE;
/* Does it compile? */
int script_template_check(const char *name, struct str source, struct err *err);

/* A configuration file (gangway.lua): Lua that returns one table; it has no functions to call. */
int script_config(struct script *script, const char *name, struct str source, json_t **ret,
                  struct err *err) ATTR_MUST_USE;

#endif
