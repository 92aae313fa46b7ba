/* SPDX-License-Identifier: MIT */
/*
 * Bytes as a graph: checked, compiled, drawn, laid out; then run with 200 events that the
 * bytes choose, answered calls and a clock that moves; half of them are saved and
 * restored after every step at first.  What must hold: no byte does harm, and a
 * graph that fails while it runs says why.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/rand.h"
#include "chart/chart.h"
#include "machine/driver.h"
#include "script/script.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

enum { EVENTS = 200, SCRIPT_STEPS = 2000, SCRIPT_BYTES = 1024 * 1024, DRAWING_BYTES = 1 << 24 };
/* A graph that makes ever more work is not run to its end: there are others. */
enum { EFFECTS_MAX = 3000, EFFECTS_SAVED = 200, PASSING_MS = 30 };

struct world {
	struct script *script;
	uint64_t state;
	struct rand rand;
	const struct chart *chart;
	struct driver_options options;
	int effects;
};

/* --- what the checker and the machine ask --------------------------------------------------- */

static int compiles(void *ctx, const char *code, bool is_statement, struct err *err)
{
	(void)ctx;
	return script_compiles(code, is_statement, err);
}

static void globals(void *ctx, const char *code, bool is_statement,
                    void (*found)(void *arg, const char *name, bool is_write), void *arg)
{
	(void)ctx;
	script_globals(code, is_statement, found, arg);
}

/* Every file of the folder has the same text: good as data, script and child chart alike. */
static int read_file(void *ctx, const char *name, struct buf *ret, struct err *err)
{
	static const char text[] = "shared = 1";
	(void)ctx;
	if (strchr(name, 'x'))
		return err_set(err, ERR_ABSENT, "there is no such file");
	return buf_add(ret, text, sizeof(text) - 1, err);
}

static int check_effect(void *ctx, const struct effect *effect, struct err *err)
{
	struct world *world = ctx;
	if (effect->kind == EFFECT_EVENT)
		return err_set(err, ERR_SYSTEM, "there is no session '%s'", effect->target);
	if (rand_below(&world->rand, 4) == 0)
		return err_set_id(err, ERR_ABSENT, "plugin.absent", "there is no such plugin");
	return 0;
}

static bool is_inline(void *ctx, const struct effect *effect)
{
	(void)ctx;
	return effect->type && strcmp(effect->type, "rules") == 0;
}

static int answer(void *ctx, const struct effect *effect, struct datamodel *dm,
                  const struct datamodel_ops *ops, struct machine_answer *ret, struct err *err)
{
	struct world *world = ctx;
	(void)dm;
	(void)ops;
	(void)err;
	json_t *value = json_object();
	json_put_str(value, "error_code", "rule.absent");
	json_put(value, "params", json_incref(effect->data));
	if (rand_below(&world->rand, 2) == 0)
		ret->result = value;
	else
		ret->failure = value;
	return 0;
}

static int child_chart(void *ctx, const char *src, struct chart **ret, struct err *err)
{
	const struct world *world = ctx;
	if (strcmp(src, "self.scxml") != 0)
		return err_set(err, ERR_ABSENT, "there is no chart '%s'", src);
	*ret = chart_ref(world->chart);
	return 0;
}

static const struct datamodel_ops *find_datamodel(void *ctx, const char *name, void **factory)
{
	const struct world *world = ctx;
	if (strcmp(name, script_datamodel_ops.name) != 0)
		return NULL;
	*factory = world->script;
	return &script_datamodel_ops;
}

static void count_effect(void *ctx, const json_t *effect)
{
	struct world *world = ctx;
	(void)effect;
	if (++world->effects > EFFECTS_SAVED)
		world->options.restarts = false;
}

/* --- running ---------------------------------------------------------------------------------- */

/* One that some transition listens to, perhaps with a token more; now and then another. */
static char *some_name(struct world *world)
{
	const struct chart *chart = world->chart;
	const char *name = "other";
	if (chart->transition_count > 0) {
		uint64_t at = rand_below(&world->rand, (uint64_t)chart->transition_count);
		const struct chart_transition *t = &chart->transitions[at];
		if (t->event_count > 0)
			name = t->events[rand_below(&world->rand, t->event_count)];
	}
	bool is_longer = strcmp(name, "*") == 0 || rand_below(&world->rand, 8) == 0;
	return mem_format("%.100s%s", name, is_longer ? ".more" : "");
}

static int end_some_call(struct world *world, struct driver *driver, struct err *err)
{
	const json_t *calls = driver_calls(driver);
	size_t count = json_array_size(calls);
	if (count == 0)
		return 0;
	const json_t *call = json_array_get(calls, (size_t)rand_below(&world->rand, count));
	json_t *value = json_object();
	json_put_int(value, "answer", 42);
	int status = driver_end_call(driver, (uint64_t)json_int(call, "number", 0),
	                             (uint32_t)json_int(call, "element", 0),
	                             rand_below(&world->rand, 2) == 0, value, err);
	json_decref(value);
	return status;
}

static int one_event(struct world *world, struct driver *driver, struct err *err)
{
	switch (rand_below(&world->rand, 8)) {
	case 0: return driver_pass(driver, (int64_t)rand_below(&world->rand, PASSING_MS), err);
	case 1: return end_some_call(world, driver, err);
	default: break;
	}
	char *name = some_name(world);
	json_t *event = json_object();
	json_put_str(event, "name", name);
	if (rand_below(&world->rand, 2) == 0)
		json_put_int(event, "data", (int64_t)rand_below(&world->rand, 3));
	int status = driver_event(driver, event, err);
	json_decref(event);
	free(name);
	return status;
}

static void run(struct world *world)
{
	struct err err = { 0 };
	struct driver *driver = NULL;
	const struct machine_env env = {
		.ctx = world,
		.check = check_effect,
		.is_inline = is_inline,
		.answer = answer,
		.child_chart = child_chart,
		.datamodel = find_datamodel,
	};
	world->options = (struct driver_options){
		.chart = world->chart,
		.env = &env,
		.until_ms = -1,
		.restarts = rand_below(&world->rand, 2) == 0,
		.on_effect = count_effect,
		.ctx = world,
	};
	int status = driver_new(&world->options, &driver, &err);
	if (status == 0)
		status = driver_start(driver, &err);
	if (status == 0)
		status = driver_settle(driver, &err);
	for (int i = 0; status == 0 && i < EVENTS && !machine_is_done(driver_machine(driver));
	     i++) {
		status = one_event(world, driver, &err);
		if (status == 0)
			status = driver_settle(driver, &err);
	}
	if (status == 0)
		status = driver_cancel(driver, &err);
	must(status == 0 || err.text[0] != '\0');
	driver_free(driver);
}

/* --- one input -------------------------------------------------------------------------------- */

static void draw(const struct chart *chart)
{
	void (*const drawings[])(const struct chart *, struct buf *) = { chart_dump, chart_dot,
		                                                         chart_mermaid };
	for (size_t i = 0; i < sizeof(drawings) / sizeof(drawings[0]); i++) {
		struct buf out;
		buf_init(&out, DRAWING_BYTES);
		drawings[i](chart, &out);
		buf_release(&out);
	}
}

/* Laid out, it is as good as before, and laid out. */
static void lay_out(const unsigned char *data, size_t size, const struct chart_folder *folder)
{
	struct buf once, twice;
	struct chart *chart = NULL;
	struct err err = { 0 };
	buf_init(&once, DRAWING_BYTES);
	buf_init(&twice, DRAWING_BYTES);
	chart_format((struct str){ (const char *)data, size }, &once);
	must(chart_new(buf_str(&once), "laid.scxml", folder, NULL, &chart, &err) == 0);
	chart_format(buf_str(&once), &twice);
	must(str_eq(buf_str(&once), buf_str(&twice)));
	chart_unref(chart);
	buf_release(&once);
	buf_release(&twice);
}

/* FNV-1a: the bytes choose the events too. */
static uint64_t number_of(const unsigned char *data, size_t size)
{
	uint64_t ret = UINT64_C(14695981039346656037);
	for (size_t i = 0; i < size; i++)
		ret = (ret ^ data[i]) * UINT64_C(1099511628211);
	return ret;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	const struct script_limits limits = { SCRIPT_STEPS, SCRIPT_BYTES, LIMIT_LUA_MS };
	int64_t now_ms = 0;
	struct clock clock = clock_fixed(&now_ms);
	struct world world = { .state = number_of(data, size) };
	const struct chart_world checks = { .compiles = compiles, .globals = globals };
	const struct chart_folder folder = { NULL, read_file };
	struct chart_diags diags = { 0 };
	struct chart *chart = NULL;
	struct err err = { 0 };
	world.rand = rand_seeded(&world.state);
	if (chart_new((struct str){ (const char *)data, size }, "fuzz.scxml", &folder, &diags,
	              &chart, &err) == 0) {
		chart_check(chart, &folder, &checks, &diags);
		draw(chart);
		lay_out(data, size, &folder);
		world.chart = chart;
		world.script = script_new(&limits, &clock);
		run(&world);
		script_free(world.script);
	} else {
		must(diags.error_count > 0 && err.text[0] != '\0');
	}
	json_decref(chart_diags_json(&diags, "fuzz.scxml"));
	chart_diags_release(&diags);
	chart_unref(chart);
	return 0;
}
