/* SPDX-License-Identifier: MIT */
/* What the engine counts, for who operates it; and the word to who follows records. */
#include "run/run_int.h"

void run_count(const struct run *run, const struct commit *commit)
{
	struct engine *engine = run->worker->engine;
	if (commit->is_start)
		atomic_fetch_add(&engine->figures.starts, 1);
	if (commit->ends_run)
		atomic_fetch_add(&engine->figures.ends, 1);
	if (run->status == STORE_BLOCKED)
		atomic_fetch_add(&engine->figures.blocks, 1);
	engine_record_cb *cb = atomic_load(&engine->on_record);
	if (cb)
		cb(engine->on_record_arg, run->id, run->head.seq);
}

static void put(json_t *figures, const char *name, unsigned long long value)
{
	json_put_int(figures, name, (int64_t)value);
}

json_t *engine_figures(struct engine *engine)
{
	json_t *ret = json_object();
	put(ret, "runs_started_total", atomic_load(&engine->figures.starts));
	put(ret, "runs_ended_total", atomic_load(&engine->figures.ends));
	put(ret, "runs_blocked_total", atomic_load(&engine->figures.blocks));
	put(ret, "runs_resident", (unsigned long long)atomic_load(&engine->resident));
	put(ret, "commits_total", atomic_load(&engine->figures.commits));
	put(ret, "records_total", atomic_load(&engine->figures.items));
	json_put(ret, "commit_seconds_total",
	         json_real((double)atomic_load(&engine->figures.commit_us) / 1e6));
	return ret;
}

json_t *engine_plugins(const struct engine *engine)
{
	enum { NAMES_MAX = 256 };
	const char *names[NAMES_MAX];
	const struct plugins *plugins = engine->options.plugins;
	size_t count = plugins ? plugins_names(plugins, names, NAMES_MAX) : 0;
	json_t *ret = json_array();
	for (size_t i = 0; i < count; i++) {
		const struct plugin *plugin = plugins_find(plugins, names[i]);
		if (plugin)
			json_push(ret, json_pack("{s:s,s:s,s:s}", "name", names[i], "version",
			                         plugin_version(plugin), "sha256",
			                         plugin_sha256(plugin)));
	}
	return ret;
}
