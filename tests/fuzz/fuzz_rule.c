/* SPDX-License-Identifier: MIT */
/*
 * Bytes as a rule and its input: Lua up to a line "--json", JSON behind it, so
 * that both are mutated together.  What must hold: the box holds; the same rule
 * says the same of the same input in a box of its own, or fails in the same way.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/must.h"
#include "script/script.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

enum { RULE_STEPS = 20000, RULE_BYTES = 2 * 1024 * 1024, JSON_BYTES = 4096, TIME_MS = 60 * 1000 };

static const char set_text[] =
	"return { name = 'f', version = '1', domains = {'r'}, decide = 'd.d' }";
static const char decide_text[] = "return { d = function(v) return 'X', {} end }";

/* What was said, or how it failed; to be freed. */
static char *ask(const char *rule, const json_t *params, bool calls_one)
{
	const struct script_limits limits = { RULE_STEPS, RULE_BYTES, TIME_MS };
	int64_t now_ms = 1700000000000;
	struct clock clock = clock_fixed(&now_ms);
	struct script *script = script_new(&limits, &clock);
	json_t *files = json_pack("{s:s,s:s}", "ruleset.lua", set_text, "d.lua", decide_text);
	json_put(files, "r.lua", json_text(str_of(rule)));
	struct ruleset *set = ruleset_new("f", "0", files);
	const struct rule_inputs in = { params, now_ms, 7 };
	struct err err = { 0 };
	json_t *result = NULL;
	int status = calls_one ? script_rules_call(script, set, "r.f", &in, &result, &err)
	                       : script_rules_evaluate(script, set, &in, &result, &err);
	must(status == 0 || err.text[0] != '\0');
	char *ret = status == 0 ? json_canon(result)
	                        : mem_format("%d %s %s", err.code, err.id, err.text);
	json_decref(result);
	json_decref(files);
	ruleset_unref(set);
	script_free(script);
	return ret;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	char *rule = mem_dup((const char *)data, size);
	char *line = strstr(rule, "--json\n");
	struct err err = { 0 };
	json_t *params = NULL;
	if (!line || json_read(str_of(line + 7), JSON_BYTES, &params, &err) < 0)
		params = json_pack("{s:{s:i}}", "facts", "amount", 5);
	if (line)
		*line = '\0';
	for (int i = 0; i < 2; i++) {
		char *first = ask(rule, params, i), *second = ask(rule, params, i);
		must(strcmp(first, second) == 0);
		free(first);
		free(second);
	}
	json_decref(params);
	free(rule);
	return 0;
}
