/* SPDX-License-Identifier: MIT */
/* The JSON form of inputs: what records hold and replay reads. */
#include <string.h>

#include "base/must.h"
#include "machine/machine_int.h"

static const char *const kind_names[] = {
	[INPUT_START] = "start", [INPUT_EVENT] = "event",   [INPUT_RESULT] = "result",
	[INPUT_TIMER] = "timer", [INPUT_QUEUED] = "queued", [INPUT_CANCEL] = "cancel",
};
enum { KIND_COUNT = sizeof(kind_names) / sizeof(kind_names[0]) };

json_t *input_to_json(const struct input *input)
{
	json_t *ret = json_object();
	json_put_str(ret, "kind", kind_names[input->kind]);
	json_put_int(ret, "at_ms", input->at_ms);
	switch (input->kind) {
	case INPUT_START: json_put(ret, "data", json_incref(input->data)); break;
	case INPUT_EVENT:
		json_put_str(ret, "session", input->session);
		json_put(ret, "event", event_to_json(&input->event));
		break;
	case INPUT_RESULT:
		json_put_int(ret, "number", (int64_t)input->number);
		if (input->element > 0)
			json_put_int(ret, "element", input->element);
		json_put(ret, "ok", json_boolean(input->ok));
		json_put(ret, input->ok ? "data" : "failure",
		         json_incref(input->ok ? input->data : input->failure));
		json_put_int(ret, "took_ms", input->took_ms);
		break;
	case INPUT_TIMER: json_put_int(ret, "number", (int64_t)input->number); break;
	case INPUT_QUEUED:
	case INPUT_CANCEL: break;
	}
	return ret;
}

static void release_event(void *arg)
{
	event_release(arg);
}

static void release_json(void *arg)
{
	json_decref(arg);
}

/* The arena holds a reference for what ret borrows. */
static json_t *held(const json_t *json, const char *key, struct arena *arena)
{
	json_t *ret = json_incref(json_at(json, key));
	if (ret)
		arena_defer(arena, release_json, ret);
	return ret;
}

int input_from_json(const json_t *json, struct arena *arena, struct input *ret, struct err *err)
{
	const char *kind = json_str(json, "kind", "");
	int found = INPUT_START;
	while (found < KIND_COUNT && strcmp(kind, kind_names[found]) != 0)
		found++;
	if (found == KIND_COUNT)
		return err_set(err, ERR_INPUT, "'%s' is no kind of input", kind);
	struct input input = {
		.kind = (enum input_kind)found,
		.at_ms = json_int(json, "at_ms", 0),
		.number = (uint64_t)json_int(json, "number", 0),
		.element = (uint32_t)json_int(json, "element", 0),
		.ok = json_truth(json, "ok", false),
		.data = held(json, "data", arena),
		.failure = held(json, "failure", arena),
		.took_ms = json_int(json, "took_ms", 0),
		.session = arena_dup_str(arena, json_str(json, "session", NULL)),
	};
	if (input.kind == INPUT_EVENT) {
		struct event *event = arena_alloc(arena, sizeof(*event));
		if (event_from_json(json_at(json, "event"), event, err) < 0)
			return err->code;
		arena_defer(arena, release_event, event);
		input.event = *event;
	}
	*ret = input;
	return 0;
}
