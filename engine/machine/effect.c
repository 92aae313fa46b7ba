/* SPDX-License-Identifier: MIT */
/* The list of effects of a step, and the JSON form that is journaled. */
#include "machine/effect.h"

#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "machine/machine_int.h"

void effects_init(struct effects *effects, struct arena *arena)
{
	*effects = (struct effects){ .arena = arena };
}

void effects_release(struct effects *effects)
{
	free(effects->at);
	*effects = (struct effects){ 0 };
}

static const char *kind_name(enum effect_kind kind)
{
	switch (kind) {
	case EFFECT_CALL: return "call";
	case EFFECT_SEND: return "send";
	case EFFECT_CANCEL: return "cancel";
	case EFFECT_TIMER: return "timer";
	case EFFECT_TIMER_STOP: return "timer_stop";
	case EFFECT_HTTP_EVENT: return "http_event";
	case EFFECT_EVENT: return "event";
	case EFFECT_LOG: return "log";
	case EFFECT_DROPPED: return "dropped";
	case EFFECT_DONE: return "done";
	}
	must_not_reach();
}

static const char usual_unsure[] = "reconcile";

static void put_unless(json_t *object, const char *key, int64_t number, int64_t usual)
{
	if (number != usual)
		json_put_int(object, key, number);
}

/* Only what the author wrote: an absent attribute is an absent member. */
json_t *dispatch_to_json(const struct chart_dispatch *dispatch)
{
	json_t *ret = json_object();
	json_put_str(ret, "connection", dispatch->connection);
	put_unless(ret, "timeout_ms", dispatch->timeout_ms, -1);
	put_unless(ret, "retries", dispatch->retries, -1);
	put_unless(ret, "backoff_min_ms", dispatch->backoff_min_ms, -1);
	put_unless(ret, "backoff_max_ms", dispatch->backoff_max_ms, -1);
	if (dispatch->each.text) {
		json_put_str(ret, "each", dispatch->each.text);
		json_put_str(ret, "as", dispatch->as);
		put_unless(ret, "parallel", dispatch->parallel, 1);
	}
	json_put_str(ret, "advisory", dispatch->advisory);
	json_put_str(ret, "fallback", dispatch->fallback);
	if (strcmp(dispatch->on_unsure, usual_unsure) != 0)
		json_put_str(ret, "on_unsure", dispatch->on_unsure);
	return ret;
}

const struct chart_dispatch *dispatch_from_json(const json_t *json, struct arena *arena)
{
	struct chart_dispatch *ret = arena_alloc(arena, sizeof(*ret));
	*ret = (struct chart_dispatch){
		.connection = arena_dup_str(arena, json_str(json, "connection", NULL)),
		.timeout_ms = json_int(json, "timeout_ms", -1),
		.retries = (int32_t)json_int(json, "retries", -1),
		.backoff_min_ms = json_int(json, "backoff_min_ms", -1),
		.backoff_max_ms = json_int(json, "backoff_max_ms", -1),
		.each = { .text = arena_dup_str(arena, json_str(json, "each", NULL)) },
		.as = arena_dup_str(arena, json_str(json, "as", "item")),
		.parallel = (int32_t)json_int(json, "parallel", 1),
		.advisory = arena_dup_str(arena, json_str(json, "advisory", NULL)),
		.fallback = arena_dup_str(arena, json_str(json, "fallback", NULL)),
		.on_unsure = arena_dup_str(arena, json_str(json, "on_unsure", usual_unsure)),
	};
	return ret;
}

json_t *effect_to_json(const struct effect *effect)
{
	json_t *ret = json_object();
	json_put_str(ret, "kind", kind_name(effect->kind));
	json_put_int(ret, "number", (int64_t)effect->number);
	if (effect->elements > 0) {
		json_put_int(ret, "element", effect->element);
		json_put_int(ret, "elements", effect->elements);
	}
	json_put_str(ret, "session", effect->session);
	json_put_str(ret, "state", effect->state);
	json_put_str(ret, "id", effect->id);
	json_put_str(ret, "type", effect->type);
	json_put_str(ret, "action", effect->action);
	json_put_str(ret, "target", effect->target);
	json_put(ret, "data", json_incref(effect->data));
	json_put(ret, "renders", json_incref(effect->renders));
	if (effect->dispatch)
		json_put(ret, "dispatch", dispatch_to_json(effect->dispatch));
	if (effect->kind == EFFECT_TIMER)
		json_put_int(ret, "due_ms", effect->due_ms);
	json_put_str(ret, "label", effect->label);
	return ret;
}
