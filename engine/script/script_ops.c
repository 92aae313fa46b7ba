/* SPDX-License-Identifier: MIT */
/* Lua as machine/scripting.h wants a language. */
#include "base/limits.h"
#include "script/script.h"

static void *open_script(const struct clock *clock, int64_t time_max_ms)
{
	const struct script_limits limits = { LIMIT_LUA_STEPS, LIMIT_LUA_BYTES, time_max_ms };
	return script_new(&limits, clock);
}

static void close_script(void *script)
{
	script_free(script);
}

static void *new_ruleset(const char *name, const char *hash, const json_t *files)
{
	return ruleset_new(name, hash, files);
}

static void unref_ruleset(void *ruleset)
{
	ruleset_unref(ruleset);
}

static int evaluate_rules(void *script, void *ruleset, const json_t *params, int64_t now_ms,
                          uint64_t seed, json_t **ret, struct err *err)
{
	const struct rule_inputs in = { params, now_ms, seed };
	return script_rules_evaluate(script, ruleset, &in, ret, err);
}

static int call_rules(void *script, void *ruleset, const char *function, const json_t *params,
                      int64_t now_ms, uint64_t seed, json_t **ret, struct err *err)
{
	const struct rule_inputs in = { params, now_ms, seed };
	return script_rules_call(script, ruleset, function, &in, ret, err);
}

const struct scripting_ops script_ops = {
	.datamodel = &script_datamodel_ops,
	.open = open_script,
	.close = close_script,
	.ruleset_new = new_ruleset,
	.ruleset_unref = unref_ruleset,
	.rules_evaluate = evaluate_rules,
	.rules_call = call_rules,
};
