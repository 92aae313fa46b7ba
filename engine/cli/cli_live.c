/* SPDX-License-Identifier: MIT */
/*
 * A run going by.  On a terminal the open calls stand below the steps with the
 * time they take; piped output gets one plain line per step.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/cli_int.h"

void cli_live_init(struct cli_live *live, const struct cli *cli)
{
	*live = (struct cli_live){ .cli = cli, .open = json_object() };
}

void cli_live_end(struct cli_live *live)
{
	json_decref(live->open);
	live->open = NULL;
}

static void join(const json_t *list, const char *between, struct buf *out)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *text = json_string_value(json_array_get(list, i));
		bool is_again = i > 0 && text &&
		                strcmp(text, json_string_value(json_array_get(list, i - 1))) == 0;
		if (!text || is_again)
			continue;
		if (out->len > 0)
			buf_put(out, between);
		buf_put(out, text);
	}
}

/* What happened, in a few words. */
static void describe(struct cli_live *live, const json_t *step, struct buf *out)
{
	const char *kind = json_str(step, "kind", ""), *input = json_str(step, "input", "");
	char key[32];
	snprintf(key, sizeof(key), "%lld", (long long)json_int(step, "number", -1));
	const json_t *open = json_at(live->open, key);
	if (strcmp(kind, "start") == 0)
		buf_put(out, "started");
	else if (strcmp(kind, "blocked") == 0)
		buf_printf(out, "BLOCKED: %s", json_str(json_at(step, "reason"), "text", ""));
	else if (strcmp(kind, "step") != 0)
		buf_put(out, kind);
	else if (strcmp(input, "result") == 0)
		buf_printf(out, "%s %s", json_str(open, "name", "call"),
		           json_at(step, "failure") ? "failed" : "answered");
	else
		buf_put(out, strcmp(input, "timer") == 0 ? "timer" : input);
	if (json_at(step, "took_ms") && strcmp(input, "result") == 0)
		buf_printf(out, " in %lld ms", (long long)json_int(step, "took_ms", 0));
	if (json_at(step, "failure"))
		buf_printf(out, " (%s: %s)", json_str(json_at(step, "failure"), "error_code", "?"),
		           json_str(json_at(step, "failure"), "message", ""));
	if (open)
		json_object_del(live->open, key);
}

static void note_asks(struct cli_live *live, const json_t *step, struct buf *out)
{
	const json_t *asks = json_at(step, "asks");
	bool is_first = true;
	for (size_t i = 0; i < json_array_size(asks); i++) {
		const json_t *ask = json_array_get(asks, i);
		const char *type = json_str(ask, "type", ""), *action = json_str(ask, "action", "");
		/* Those that are answered within the step are no news. */
		if (strcmp(type, "rules") == 0 || strcmp(type, "template") == 0)
			continue;
		char key[32];
		snprintf(key, sizeof(key), "%lld", (long long)json_int(ask, "number", 0));
		json_t *name = json_sprintf(*action ? "%s.%s" : "%s%s", type, action);
		buf_printf(out, "%s%s", is_first ? "  -> " : ", ", json_string_value(name));
		json_put(live->open, key, json_pack("{s:O}", "name", name));
		json_decref(name);
		is_first = false;
	}
	const json_t *artifacts = json_at(step, "artifacts");
	if (json_array_size(artifacts) > 0) {
		buf_put(out, "  wrote ");
		for (size_t i = 0; i < json_array_size(artifacts); i++)
			buf_printf(out, "%s%s", i ? ", " : "",
			           json_string_value(json_array_get(artifacts, i)));
	}
}

void cli_live_step(struct cli_live *live, const json_t *reply)
{
	const json_t *step = json_at(reply, "step");
	if (!step || !live->open)
		return;
	if (live->cli->is_json) {
		cli_print_json(reply);
		return;
	}
	int64_t at = json_int(step, "at", 0);
	if (live->started_ms == 0)
		live->started_ms = at;
	struct buf what, where;
	buf_init(&what, LIMIT_JSON_BYTES);
	buf_init(&where, LIMIT_JSON_BYTES);
	join(json_at(step, "titles"), ", ", &where);
	if (where.len == 0)
		join(json_at(step, "states"), ", ", &where);
	describe(live, step, &what);
	note_asks(live, step, &what);
	char *left = cli_clean(where.bytes), *right = cli_clean(what.bytes);
	const char *bold = live->cli->is_terminal ? "\033[1m" : "";
	const char *dim = live->cli->is_terminal ? "\033[2m" : "";
	const char *plain = live->cli->is_terminal ? "\033[0m" : "";
	printf("%s%6.3f s%s  %s%-34s%s %s\n", dim, (double)(at - live->started_ms) / 1000.0, plain,
	       bold, left, plain, right);
	fflush(stdout);
	free(left);
	free(right);
	buf_release(&what);
	buf_release(&where);
}
