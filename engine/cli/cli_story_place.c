/* SPDX-License-Identifier: MIT */
/* Places of the search for paths: getting to them, knowing them again, telling how. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "cli/cli_story_search.h"

/* --- places ----------------------------------------------------------------------------------- */

void place_free(struct place *place)
{
	json_decref(place->saved);
	json_decref(place->calls);
	json_decref(place->trail);
	json_decref(place->advice);
	free(place);
}

void search_trace(void *ctx, const struct chart *chart, int32_t state, int32_t transition)
{
	struct search *search = ((struct world *)ctx)->owner;
	(void)state;
	if (transition != CHART_NONE && chart == search->graph->graph.chart)
		bits_set(search->taken, (size_t)transition);
}

static void take_effects(struct search *search, json_t *calls)
{
	for (size_t i = 0; i < search->effects.len; i++) {
		const struct effect *effect = &search->effects.at[i];
		if (effect->kind == EFFECT_CALL || effect->kind == EFFECT_SEND)
			json_push(calls, effect_to_json(effect));
		for (size_t k = json_array_size(calls); effect->kind == EFFECT_CANCEL && k-- > 0;)
			if ((uint64_t)json_int(json_array_get(calls, k), "number", 0) ==
			    effect->number)
				json_array_remove(calls, k);
	}
	search->effects.len = 0;
	arena_clear(&search->arena);
}

/* One input and the machine's own messages after it; false: the run cannot go on. */
static bool step(struct search *search, struct machine *machine, struct input *input, json_t *calls)
{
	struct input queued = { .kind = INPUT_QUEUED, .at_ms = search->world.now_ms };
	struct err err = { 0 };
	int rounds = 0;
	input->at_ms = search->world.now_ms;
	do {
		json_t *made = NULL;
		if (machine_step(machine, input, NULL, &made, &search->effects, &err) < 0 ||
		    ++rounds > LIMIT_MICROSTEPS) {
			json_decref(made);
			search->effects.len = 0;
			arena_clear(&search->arena);
			return false;
		}
		json_decref(made);
		take_effects(search, calls);
		json_array_clear(search->world.inlined);
		input = &queued;
	} while (machine_has_queued(machine));
	return true;
}

/* What makes two places one. */
static void place_key(const struct machine *machine, const struct place *place,
                      char ret[SHA256_HEX])
{
	json_t *ids = json_array();
	int64_t due_ms = machine_next_due(machine, NULL);
	for (size_t i = 0; i < json_array_size(place->calls); i++)
		json_push(ids, json_incref(json_at(json_array_get(place->calls, i), "id")));
	json_t *all = json_pack("{s:o,s:o,s:o,s:I}", "states", machine_states(machine, false),
	                        "data", machine_data(machine), "calls", ids, "due",
	                        (json_int_t)(due_ms == INT64_MAX ? -1 : due_ms - place->now_ms));
	char *text = json_canon(all);
	crypto_sha256_hex(str_of(text), ret);
	free(text);
	json_decref(all);
}

/* Into the queue, unless it is known; the place is taken. */
static void add_place(struct search *search, const struct machine *machine,
                      struct place *place_taken)
{
	char key[SHA256_HEX];
	place_key(machine, place_taken, key);
	if (machine_is_done(machine) || map_get(&search->seen, key) ||
	    search->places.len >= PLACES_MAX) {
		place_free(place_taken);
		return;
	}
	map_set(&search->seen, key, search);
	place_taken->saved = machine_save(machine);
	place_taken->advice = json_copy(search->world.advice);
	*vec_add(&search->places) = place_taken;
}

/* --- what was found --------------------------------------------------------------------------- */

/* Answers of "tasks" are given beforehand: the story's own people would be quicker. */
static json_t *story_of(const struct place *place, const struct machine *machine, char *name_taken)
{
	json_t *story = json_object(), *steps = json_array(), *answers = json_object();
	for (size_t i = 0; i < json_array_size(place->trail); i++) {
		json_t *one = json_array_get(place->trail, i);
		const char *canned = json_str(one, "canned", NULL);
		if (!canned) {
			json_push(steps, json_incref(one));
			continue;
		}
		if (!json_at(answers, canned))
			json_put(answers, canned, json_array());
		json_push(json_at(answers, canned), json_incref(json_at(one, "given")));
	}
	json_put_str(story, "name", name_taken);
	json_put(story, "now", json_incref(json_at(place->root, "now")));
	json_put(story, "input", json_incref(json_at(place->root, "input")));
	if (json_object_size(answers) > 0)
		json_put(story, "answers", json_incref(answers));
	json_put(story, "steps", steps);
	json_put(story, "expect", json_pack("{s:o}", "states", machine_states(machine, true)));
	json_decref(answers);
	free(name_taken);
	return story;
}

static void note_found(struct search *search, const struct machine *machine,
                       const struct place *place)
{
	const struct chart *chart = search->graph->graph.chart;
	json_t *covers = json_array();
	for (int32_t i = 0; i < chart->transition_count; i++) {
		if (!bits_has(search->taken, (size_t)i) || !bits_has(search->wanted, (size_t)i))
			continue;
		char *name = coverage_name_transition(chart, i);
		bits_clear(search->wanted, (size_t)i);
		json_push(covers, json_text(str_of(name)));
		free(name);
	}
	if (json_array_size(covers) > 0) {
		const char *first = json_string_value(json_array_get(covers, 0));
		json_t *story = story_of(place, machine,
		                         mem_format("takes the transition of %s", first));
		json_put(story, "covers", json_incref(covers));
		json_push(search->found, story);
	}
	json_decref(covers);
}

bool search_is_satisfied(const struct search *search)
{
	size_t words = bits_words((size_t)search->graph->graph.chart->transition_count);
	for (size_t i = 0; i < words; i++)
		if (search->wanted[i])
			return false;
	return true;
}

/* --- going on ------------------------------------------------------------ */

static void clear_taken(struct search *search)
{
	size_t words = bits_words((size_t)search->graph->graph.chart->transition_count);
	memset(search->taken, 0, words * sizeof(uint64_t));
}

void search_try(struct search *search, const struct place *from, const struct attempt *attempt)
{
	struct machine *machine = NULL;
	struct err err = { 0 };
	struct place *place = mem_alloc(sizeof(*place));
	place->root = from->root;
	place->now_ms = attempt->now_ms;
	place->calls = json_copy(from->calls);
	place->trail = json_copy(from->trail);
	json_push(place->trail, attempt->said_taken);
	if (attempt->without_call < json_array_size(place->calls))
		json_array_remove(place->calls, attempt->without_call);
	json_object_update(search->world.advice, from->advice);
	search->world.now_ms = attempt->now_ms;
	clear_taken(search);
	search->tries++;
	if (machine_restore(&search->options, from->saved, &machine, &err) < 0 ||
	    !step(search, machine, attempt->input, place->calls)) {
		place_free(place);
	} else {
		note_found(search, machine, place);
		add_place(search, machine, place);
	}
	machine_free(machine);
}

void search_begin(struct search *search, const json_t *story)
{
	struct err err = { 0 };
	struct machine *machine = NULL;
	struct place *place = mem_alloc(sizeof(*place));
	json_t *input = json_at(story, "input");
	place->root = story;
	place->now_ms = clock_parse_iso(json_str(story, "now", "2026-01-01"));
	place->calls = json_array();
	place->trail = json_array();
	json_object_clear(search->world.advice);
	search->world.now_ms = place->now_ms;
	json_t *none = json_object();
	struct input start = { .kind = INPUT_START, .data = input ? input : none };
	clear_taken(search);
	if (machine_new(&search->options, &machine, &err) < 0 ||
	    !step(search, machine, &start, place->calls)) {
		place_free(place);
	} else {
		note_found(search, machine, place);
		add_place(search, machine, place);
	}
	json_decref(none);
	machine_free(machine);
}
