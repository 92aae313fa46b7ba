/* SPDX-License-Identifier: MIT */
/*
 * The machine against a naive interpreter, event by event, on charts made by
 * chance: same configuration, same order of everything that content does, same
 * livelocks.  The machine is restarted after every step.
 *
 * GANGWAY_SEED=n plays one case and prints its chart; GANGWAY_CASES=n plays n.
 * A seed that once found something goes into kept_seeds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "chart_gen.h"
#include "check.h"
#include "machine/machine.h"
#include "reference.h"
#include "toy.h"

enum { CASES = 500, EVENTS = 30 };

static const uint64_t kept_seeds[] = { 8, 32, 165, 187, 678, 837, 1112 };

struct play {
	struct chart *chart;
	struct machine *machine;
	struct reference *reference;
	struct machine_options options;
	struct arena arena;
	struct effects effects;
	char why[4000];
};

static const struct datamodel_ops *find_datamodel(void *ctx, const char *name, void **factory)
{
	(void)ctx;
	(void)name;
	(void)factory;
	return &toy_datamodel_ops;
}

static char *trace_of(const struct effects *effects)
{
	struct buf trace;
	buf_init(&trace, 64 * 1024 * 1024);
	for (size_t i = 0; i < effects->len; i++) {
		const struct effect *effect = &effects->at[i];
		if (effect->kind == EFFECT_LOG)
			buf_printf(&trace, "log %s\n", effect->label);
		else if (effect->kind == EFFECT_DROPPED)
			buf_printf(&trace, "dropped %s\n", effect->label);
		else if (effect->kind == EFFECT_DONE)
			buf_put(&trace, "done\n");
	}
	return trace.len ? buf_take(&trace) : mem_dup_str("");
}

/* Does every state agree? */
static bool is_same_configuration(struct play *play)
{
	json_t *states = machine_states(play->machine, false);
	size_t active = 0, i;
	json_t *id;
	bool is_same = true;
	json_array_foreach(states, i, id)
		is_same = is_same &&
		          reference_is_active(play->reference,
		                              chart_find(play->chart, json_string_value(id)));
	for (int32_t s = 1; s < play->chart->state_count; s++)
		active += reference_is_active(play->reference, s);
	is_same = is_same && active == json_array_size(states);
	json_decref(states);
	return is_same;
}

static bool restart(struct play *play)
{
	json_t *saved = machine_save(play->machine);
	struct machine *again = NULL;
	struct err err = { 0 };
	if (machine_restore(&play->options, saved, &again, &err) < 0) {
		snprintf(play->why, sizeof(play->why), "restore: %.500s", err.text);
	} else {
		machine_free(play->machine);
		play->machine = again;
	}
	json_decref(saved);
	return again != NULL;
}

/* The reference has taken the input already.  false: it is over, agreed or not. */
static bool step(struct play *play, struct input *input)
{
	struct err err = { 0 };
	json_t *made = NULL;
	play->effects.len = 0;
	arena_clear(&play->arena);
	if (machine_step(play->machine, input, NULL, &made, &play->effects, &err) < 0) {
		bool is_limit = strcmp(err.id, "graph.livelock") == 0 ||
		                strcmp(err.id, "limit.queue_events") == 0;
		if (!reference_is_stuck(play->reference) || !is_limit)
			snprintf(play->why, sizeof(play->why), "the step failed: %.500s", err.text);
		return false;
	}
	json_decref(made);
	if (reference_is_stuck(play->reference)) {
		snprintf(play->why, sizeof(play->why), "only the reference is in a livelock");
		return false;
	}
	char *trace = trace_of(&play->effects);
	const char *want = reference_trace(play->reference);
	if (strcmp(trace, want) != 0)
		snprintf(play->why, sizeof(play->why), "traces differ: got\n%.1800s\nwant\n%.1800s",
		         trace, want);
	else if (!is_same_configuration(play))
		snprintf(play->why, sizeof(play->why), "configurations differ");
	else if (machine_is_done(play->machine) != reference_is_done(play->reference))
		snprintf(play->why, sizeof(play->why), "only one of them is done");
	free(trace);
	return play->why[0] == '\0' && !machine_is_done(play->machine) && restart(play);
}

static bool drain(struct play *play)
{
	for (int i = 0; i < 50 && reference_queued(play->reference); i++) {
		struct input input = { .kind = INPUT_QUEUED };
		if (!step(play, &input))
			return false;
	}
	return true;
}

static int play_events(struct play *play, uint64_t seed)
{
	struct rand rand = rand_seeded(&seed);
	struct input input = { .kind = INPUT_START };
	int steps = 1;
	reference_start(play->reference);
	bool goes_on = step(play, &input) && drain(play);
	for (int i = 0; goes_on && i < EVENTS; i++, steps++) {
		const char *name = chart_gen_event(&rand);
		input = (struct input){ .kind = INPUT_EVENT };
		input.event = (struct event){ .type = EVENT_EXTERNAL, .name = mem_dup_str(name) };
		reference_event(play->reference, name);
		goes_on = step(play, &input) && drain(play);
		event_release(&input.event);
	}
	return steps;
}

/* How many events it took; 0: the chart was refused; -1: a difference. */
static int play_case(uint64_t seed, bool is_verbose)
{
	static const struct machine_env env = { .datamodel = find_datamodel };
	struct play play = { 0 };
	struct err err = { 0 };
	struct buf text;
	int ret = 0;
	buf_init(&text, LIMIT_GRAPH_BYTES);
	chart_gen(seed, &text);
	if (is_verbose)
		printf("%s", text.bytes);
	if (chart_new(buf_str(&text), "generated", NULL, NULL, &play.chart, &err) == 0) {
		play.options = (struct machine_options){
			.chart = play.chart, .env = &env, .run_id = "r", .seed = seed
		};
		play.reference = reference_new(play.chart);
		arena_init(&play.arena);
		effects_init(&play.effects, &play.arena);
		if (machine_new(&play.options, &play.machine, &err) < 0)
			abort();
		ret = play_events(&play, seed);
		if (play.why[0]) {
			printf("# seed %llu, event %d: %s\n", (unsigned long long)seed, ret,
			       play.why);
			ret = -1;
		}
		effects_release(&play.effects);
		arena_release(&play.arena);
		reference_free(play.reference);
		machine_free(play.machine);
	} else if (is_verbose) {
		printf("# %s\n", err.text);
	}
	chart_unref(play.chart);
	buf_release(&text);
	return ret;
}

static uint64_t number_of(const char *name, uint64_t usual)
{
	const char *text = getenv(name);
	return text ? strtoull(text, NULL, 10) : usual;
}

int main(void)
{
	uint64_t one = number_of("GANGWAY_SEED", 0), cases = number_of("GANGWAY_CASES", CASES);
	uint64_t refused = 0, differ = 0, events = 0;
	mem_install();
	if (one) {
		CHECK_MSG(play_case(one, true) >= 0, "seed %llu", (unsigned long long)one);
		return check_done();
	}
	for (size_t i = 0; i < sizeof(kept_seeds) / sizeof(kept_seeds[0]); i++)
		CHECK_MSG(play_case(kept_seeds[i], false) > 0, "kept seed %llu",
		          (unsigned long long)kept_seeds[i]);
	for (uint64_t seed = 1; seed <= cases && differ < 5; seed++) {
		int took = play_case(seed, false);
		refused += took == 0;
		differ += took < 0;
		events += took > 0 ? (uint64_t)took : 0;
	}
	CHECK_MSG(differ == 0, "no difference in %llu charts (seeds 1 to %llu), %llu events",
	          (unsigned long long)(cases - refused), (unsigned long long)cases,
	          (unsigned long long)events);
	CHECK_MSG(refused * 20 <= cases, "%llu of the generated charts are refused",
	          (unsigned long long)refused);
	return check_done();
}
