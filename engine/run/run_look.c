/* SPDX-License-Identifier: MIT */
/*
 * Changed files of a server: a graph whose files changed is checked before runs
 * start with it, and what came of it is logged and counted.  What was there before
 * stays when the check refuses.
 */
#include <string.h>

#include "report/report_metrics.h"
#include "run/run_int.h"

static int check(void *ctx, struct release *release, struct err *err)
{
	struct engine *engine = ctx;
	return engine->options.release_check(engine->options.program_ctx, release, err);
}

/* The cache of releases is locked: one thread at a time. */
static void told(void *ctx, const char *graph, const struct release *release, const struct err *err)
{
	struct engine *engine = ctx;
	json_t *line = json_pack("{s:s,s:s}", "graph", graph, "release", release->sha256);
	figures_reload(engine, "graph", !err);
	if (err) {
		json_put(line, "text", json_text(str_of(err->text)));
		json_put_str(line, "hint", err->hint[0] ? err->hint : NULL);
	}
	if (engine->looked)
		json_push(engine->looked,
		          json_pack("{s:o,s:b,s:O*}", "what", json_sprintf("graph %s", graph), "ok",
		                    err == NULL, "text", json_at(line, "text")));
	engine_log(engine, err ? "error" : "info", err ? "reload.refused" : "reload.done", line);
}

void look_begin(struct engine *engine)
{
	const struct release_guard guard = { engine, check, told };
	if (engine->options.release_check)
		releases_guard(engine->releases, &guard);
}

json_t *engine_look(struct engine *engine)
{
	json_t *ret = json_array();
	pthread_mutex_lock(&engine->looking);
	engine->looked = ret;
	releases_look(engine->releases);
	engine->looked = NULL;
	pthread_mutex_unlock(&engine->looking);
	return ret;
}
