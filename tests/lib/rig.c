/* SPDX-License-Identifier: MIT */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/must.h"

static json_t *parsed(const char *text)
{
	struct err err = { 0 };
	json_t *ret = NULL;
	if (text && json_read(str_of(text), LIMIT_JSON_BYTES, &ret, &err) < 0) {
		printf("# bad JSON in a test: %s\n", text);
		abort();
	}
	return ret;
}

static bool is_type(const char *list, const struct effect *effect)
{
	return list && effect->type && strcmp(list, effect->type) == 0;
}

static int check_effect(void *ctx, const struct effect *effect, struct err *err)
{
	const struct rig *rig = ctx;
	if (effect->kind == EFFECT_EVENT)
		return err_set(err, ERR_SYSTEM, "there is no session '%s'", effect->target);
	if (is_type(rig->refused, effect))
		return err_set_id(err, ERR_ABSENT, "plugin.absent", "there is no plugin '%s'",
		                  effect->type);
	if (is_type(rig->unreachable, effect))
		return err_set_id(err, ERR_SYSTEM, "wire.open", "'%s' is down", effect->type);
	return 0;
}

static bool is_inline(void *ctx, const struct effect *effect)
{
	const struct rig *rig = ctx;
	return is_type(rig->inlined, effect);
}

static int answer(void *ctx, const struct effect *effect, struct datamodel *dm,
                  const struct datamodel_ops *ops, struct machine_answer *ret, struct err *err)
{
	struct rig *rig = ctx;
	(void)effect;
	(void)dm;
	(void)ops;
	rig->asked++;
	if (!rig->inline_failure && !rig->inline_result)
		return err_set_id(err, ERR_BLOCKED, "rule.error", "nothing can be decided");
	if (rig->inline_failure)
		ret->failure = parsed(rig->inline_failure);
	else
		ret->result = parsed(rig->inline_result);
	return 0;
}

/* Every rendered parameter becomes "<file>". */
static int render(void *ctx, struct effect *effect, struct datamodel *dm,
                  const struct datamodel_ops *ops, struct err *err)
{
	const char *name;
	json_t *file;
	(void)ctx;
	(void)dm;
	(void)ops;
	(void)err;
	json_object_foreach(effect->renders, name, file) {
		char *text = mem_format("<%s>", json_string_value(file));
		json_put_str(effect->data, name, text);
		free(text);
	}
	return 0;
}

static int child_chart(void *ctx, const char *src, struct chart **ret, struct err *err)
{
	const struct rig *rig = ctx;
	if (!rig->child_name || strcmp(rig->child_name, src) != 0)
		return err_set(err, ERR_ABSENT, "there is no chart '%s'", src);
	return chart_new(str_of(rig->child_text), src, NULL, NULL, ret, err);
}

static const struct datamodel_ops *find_datamodel(void *ctx, const char *name, void **factory)
{
	const struct rig *rig = ctx;
	if (strcmp(name, script_datamodel_ops.name) != 0)
		return NULL;
	*factory = rig->script;
	return &script_datamodel_ops;
}

void rig_init_chart(struct rig *rig, const char *text)
{
	struct script_limits limits = { LIMIT_LUA_STEPS, LIMIT_LUA_BYTES, LIMIT_LUA_MS };
	struct clock clock = clock_system();
	*rig = (struct rig){ .restarts = true };
	rig->script = script_new(&limits, &clock);
	rig->env = (struct machine_env){
		.ctx = rig,
		.check = check_effect,
		.is_inline = is_inline,
		.answer = answer,
		.render = render,
		.child_chart = child_chart,
		.datamodel = find_datamodel,
	};
	arena_init(&rig->arena);
	effects_init(&rig->effects, &rig->arena);
	if (chart_new(str_of(text), "rig.scxml", NULL, NULL, &rig->chart, &rig->err) < 0) {
		printf("# %s\n", rig->err.text);
		abort();
	}
	rig->options = (struct machine_options){
		.chart = rig->chart,
		.env = &rig->env,
		.run_id = "r",
		.seed = 7,
		.http_location = "http://here/scxml",
	};
	if (machine_new(&rig->options, &rig->machine, &rig->err) < 0)
		abort();
}

void rig_init(struct rig *rig, const char *attributes, const char *body)
{
	char *text = mem_format("<scxml xmlns=\"http://www.w3.org/2005/07/scxml\" "
	                        "xmlns:gw=\"https://gangway.dev/ns/graph\" version=\"1.0\" "
	                        "datamodel=\"lua\" name=\"rig\" %s>%s</scxml>",
	                        attributes, body);
	rig_init_chart(rig, text);
	free(text);
}

void rig_release(struct rig *rig)
{
	json_decref(rig->made);
	machine_free(rig->machine);
	effects_release(&rig->effects);
	arena_release(&rig->arena);
	chart_unref(rig->chart);
	script_free(rig->script);
}

static void restart(struct rig *rig)
{
	json_t *saved = machine_save(rig->machine);
	struct machine *again = NULL;
	struct err err = { 0 };
	if (machine_restore(&rig->options, saved, &again, &err) < 0) {
		printf("# %s\n", err.text);
		abort();
	}
	json_t *twice = machine_save(again);
	char *a = json_canon(saved), *b = json_canon(twice);
	if (strcmp(a, b) != 0) {
		printf("# saved    %s\n# restored %s\n", a, b);
		abort();
	}
	free(a);
	free(b);
	json_decref(twice);
	json_decref(saved);
	machine_free(rig->machine);
	rig->machine = again;
}

int rig_input(struct rig *rig, struct input *input)
{
	json_decref(rig->made);
	rig->made = NULL;
	rig->effects.len = 0;
	arena_clear(&rig->arena);
	err_clear(&rig->err);
	input->at_ms = rig->now_ms;
	int status = machine_step(rig->machine, input, rig->answers, &rig->made, &rig->effects,
	                          &rig->err);
	if (status == 0 && rig->restarts)
		restart(rig);
	return status;
}

int rig_start(struct rig *rig, const char *data)
{
	struct input input = { .kind = INPUT_START, .data = parsed(data) };
	int status = rig_input(rig, &input);
	json_decref(input.data);
	return status;
}

int rig_event(struct rig *rig, const char *name, const char *data)
{
	struct input input = {
		.kind = INPUT_EVENT,
		.event = { .type = EVENT_EXTERNAL, .name = mem_dup_str(name) },
	};
	input.event.data = parsed(data);
	int status = rig_input(rig, &input);
	event_release(&input.event);
	return status;
}

int rig_element(struct rig *rig, uint64_t number, uint32_t element, const char *data)
{
	struct input input = {
		.kind = INPUT_RESULT,
		.number = number,
		.element = element,
		.ok = true,
		.data = parsed(data),
		.took_ms = 5,
	};
	int status = rig_input(rig, &input);
	json_decref(input.data);
	return status;
}

int rig_result(struct rig *rig, uint64_t number, const char *data)
{
	return rig_element(rig, number, 0, data);
}

int rig_failure(struct rig *rig, uint64_t number, const char *failure)
{
	struct input input = { .kind = INPUT_RESULT, .number = number, .failure = parsed(failure) };
	int status = rig_input(rig, &input);
	json_decref(input.failure);
	return status;
}

int rig_timer(struct rig *rig, uint64_t number)
{
	struct input input = { .kind = INPUT_TIMER, .number = number };
	return rig_input(rig, &input);
}

int rig_queued(struct rig *rig)
{
	struct input input = { .kind = INPUT_QUEUED };
	return rig_input(rig, &input);
}

int rig_cancel(struct rig *rig)
{
	struct input input = { .kind = INPUT_CANCEL };
	return rig_input(rig, &input);
}

const struct effect *rig_effect(const struct rig *rig, enum effect_kind kind, size_t n)
{
	for (size_t i = 0; i < rig->effects.len; i++) {
		if (rig->effects.at[i].kind == kind && n-- == 0)
			return &rig->effects.at[i];
	}
	return NULL;
}

size_t rig_count(const struct rig *rig, enum effect_kind kind)
{
	size_t ret = 0;
	while (rig_effect(rig, kind, ret))
		ret++;
	return ret;
}

/* A few texts at once may be in use. */
static char *slot(void)
{
	static char texts[4][4096];
	static unsigned next;
	return texts[next++ % 4];
}

const char *rig_json(const json_t *json)
{
	char *ret = slot();
	if (!json)
		return NULL;
	char *text = json_canon(json);
	snprintf(ret, 4096, "%s", text);
	free(text);
	return ret;
}

const char *rig_states(const struct rig *rig)
{
	json_t *states = machine_states(rig->machine, true);
	char *ret = slot();
	size_t len = 0, i;
	json_t *id;
	ret[0] = '\0';
	json_array_foreach(states, i, id)
		len += (size_t)snprintf(ret + len, 4096 - len, "%s%s", i ? " " : "",
		                        json_string_value(id));
	json_decref(states);
	return ret;
}

const char *rig_datum(const struct rig *rig, const char *name)
{
	json_t *data = machine_data(rig->machine);
	const char *ret = rig_json(json_at(data, name));
	json_decref(data);
	return ret;
}
