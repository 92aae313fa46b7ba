/* SPDX-License-Identifier: MIT */
/*
 * Advice: what an advisory call said, or what the fallback rules say when it
 * failed, was invalid, or could not be dispatched at all.  It is filed beside
 * the run for templates and people; no condition of a graph can see it.
 */
#include <stdlib.h>
#include <string.h>

#include "run/run_int.h"

static int ask_fallback(struct run *run, const char *fallback, const json_t *params,
                        uint64_t number, json_t **ret, struct err *err)
{
	const char *hash = strchr(fallback, '#');
	struct engine *engine = run->worker->engine;
	if (!hash)
		return err_set_id(err, ERR_BLOCKED, "advice.fallback",
		                  "the fallback '%s' names no function (SET#file.function)",
		                  fallback);
	char *set = mem_dup(fallback, (size_t)(hash - fallback));
	const json_t *values = json_at(params, "values");
	int status = engine->options.scripting->rules_call(
		run->worker->script, engine_ruleset(engine, run->release, set), hash + 1,
		values ? values : params, run->last_step_ms, run->seed ^ number, ret, err);
	free(set);
	if (status == 0)
		return 0;
	err->code = ERR_BLOCKED; /* rules that err never decide, nor advise */
	return err_wrap(err, "fallback '%s'", fallback);
}

int run_advise(struct run *run, const struct advised *call, const json_t *data,
               const json_t *failure, struct err *err)
{
	json_t *advice = json_object();
	json_put_str(advice, "source", failure ? "rules" : call->type);
	if (failure) {
		json_t *said = NULL;
		json_put(advice, "error", json_incref((json_t *)(uintptr_t)failure));
		if (call->fallback &&
		    ask_fallback(run, call->fallback, call->params, call->number, &said, err) < 0) {
			json_decref(advice);
			return err_wrap(err, "advice '%s'", call->name);
		}
		json_put(advice, "data", said);
	} else {
		json_put(advice, "data", json_incref((json_t *)(uintptr_t)data));
	}
	json_put(run->step_advice, call->name, json_incref(advice));
	json_put(run->advice, call->name, advice);
	return 0;
}
