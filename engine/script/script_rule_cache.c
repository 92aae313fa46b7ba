/* SPDX-License-Identifier: MIT */
/* Compiled rule sets of one Lua state, by the hash of their folder; the oldest go first. */
#include <string.h>

#include "script/script_rule_int.h"

enum { CACHED_SETS_MAX = 64 };

static void evict(struct script *script)
{
	struct map_entry *entry, *oldest = NULL;
	size_t cursor = 0;
	if (script->rulesets.live <= CACHED_SETS_MAX)
		return;
	while ((entry = map_each(&script->rulesets, &cursor)))
		if (!oldest || ((struct rule_code *)entry->value)->last_use <
		                       ((struct rule_code *)oldest->value)->last_use)
			oldest = entry;
	struct rule_code *code = oldest->value;
	map_remove(&script->rulesets, code->set->hash);
	rule_code_free(script, code);
}

struct rule_code *rule_code_get(struct script *script, struct ruleset *set, struct err *err)
{
	struct rule_code *code = map_get(&script->rulesets, set->hash);
	if (!code) {
		json_t *findings = json_array();
		const json_t *first;
		code = rule_code_new(script, set, findings);
		if (rule_has_error(findings, &first)) {
			err_set_id(err, ERR_BLOCKED, json_str(first, "code", "rule.error"),
			           "%s:%d: %s", json_str(first, "file", "?"),
			           (int)json_int(first, "line", 0), json_str(first, "text", ""));
			rule_code_free(script, code);
			code = NULL;
		} else {
			map_set(&script->rulesets, set->hash, code);
		}
		json_decref(findings);
	}
	if (code) {
		code->last_use = ++script->uses;
		evict(script);
	}
	return code;
}

void rule_code_release_all(struct script *script)
{
	size_t cursor = 0;
	struct map_entry *entry;
	while ((entry = map_each(&script->rulesets, &cursor)))
		rule_code_free(script, entry->value);
}
