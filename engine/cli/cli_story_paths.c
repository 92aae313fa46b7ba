/* SPDX-License-Identifier: MIT */
/*
 * The shortest stories to the transitions that no story takes: a search in
 * breadth over what the world may do next - end a call well, with each result
 * that a story knows, or with an error; let a send fail; let the next timer
 * fire; send an event that is listened to.
 *
 * A place of the search is a saved machine with its open calls.  Two places
 * with the same states, data and open calls are one.  Where several calls are
 * open the first pass ends them in their order only; what it does not find, a
 * second pass looks for in every order.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/cli_story_search.h"

enum { VARIANTS_MAX = 8, ROOTS_MAX = 8 };

/* --- what stories know ----------------------------------------------------------------------- */

static void add_variant(json_t *variants, const char *key, const json_t *given,
                        const json_t *answer)
{
	json_t *list = json_at(variants, key);
	if (!list) {
		list = json_array();
		json_put(variants, key, list);
	}
	for (size_t i = 0; i < json_array_size(list); i++)
		if (json_equal(json_at(json_array_get(list, i), "answer"),
		               (json_t *)(uintptr_t)answer))
			return;
	if (json_array_size(list) < VARIANTS_MAX)
		json_push(list, json_pack("{s:O,s:O}", "given", given, "answer", answer));
}

static void add_answers(struct search *search, const json_t *story)
{
	const char *key;
	json_t *list;
	json_object_foreach(json_at(story, "answers"), key, list) {
		const json_t *given = json_at(json_at(story, "given"), key);
		char *plain = mem_dup(key, strcspn(key, "#"));
		for (size_t i = 0; i < json_array_size(list); i++)
			add_variant(search->variants, plain,
			            json_is_array(given) ? json_array_get(given, i) : given,
			            json_array_get(list, i));
		free(plain);
	}
}

/* Answers in steps are known by the call's id: "#id". */
static void add_steps(struct search *search, const json_t *story)
{
	const json_t *steps = json_at(story, "steps");
	for (size_t i = 0; i < json_array_size(steps); i++) {
		const json_t *step = json_array_get(steps, i), *event = json_at(step, "event");
		struct err ignored = { 0 }; /* the story itself has told it */
		json_t *answer = NULL;
		if (event) {
			const char *name = json_is_string(event) ? json_string_value(event)
			                                         : json_str(event, "name", "?");
			add_variant(search->events, name, event, event);
		}
		if (!json_at(step, "answer") ||
		    story_answer(search->suite, step, &answer, &ignored) < 0)
			continue;
		json_t *given = json_copy((json_t *)(uintptr_t)step);
		char *key = mem_format("#%s", json_str(step, "answer", ""));
		json_object_del(given, "answer");
		add_variant(search->variants, key, given, answer);
		free(key);
		json_decref(given);
		json_decref(answer);
	}
}

/* --- the whole search ------------------------------------------------------------------------- */

/* The inputs that stories begin with, each once; an empty one when there is none. */
static void add_roots(struct search *search)
{
	const json_t *stories = search->suite->stories;
	json_t *known = json_array(), *none = json_object();
	for (size_t i = 0; i < json_array_size(stories) && json_array_size(known) < ROOTS_MAX;
	     i++) {
		json_t *story = json_array_get(stories, i);
		bool is_known = strcmp(json_str(story, "graph", search->suite->main_file),
		                       search->suite->main_file) != 0;
		for (size_t k = 0; k < json_array_size(known); k++)
			is_known = is_known ||
			           json_equal(json_at(json_array_get(known, k), "input"),
			                      json_at(story, "input"));
		if (is_known)
			continue;
		json_push(known, json_incref(story));
		search_begin(search, story);
	}
	if (json_array_size(known) == 0)
		search_begin(search, none);
	json_decref(known);
	json_decref(none);
}

static void forget_places(struct search *search)
{
	for (size_t i = 0; i < search->places.len; i++)
		place_free(search->places.at[i]);
	search->places.len = search->next = 0;
	map_release(&search->seen);
	map_init(&search->seen);
}

static void search_pass(struct search *search, bool is_any_order)
{
	search->is_any_order = is_any_order;
	forget_places(search);
	add_roots(search);
	search->tries = 0;
	while (search->next < search->places.len && search->tries < TRIES_MAX &&
	       !search_is_satisfied(search)) {
		struct place *place = search->places.at[search->next++];
		search_look(search, place);
		json_decref(place->saved); /* it is never looked at again */
		place->saved = NULL;
	}
}

static void search_init(struct search *search, struct suite *suite, struct story_graph *graph)
{
	const struct chart *chart = graph->graph.chart;
	size_t words = bits_words((size_t)chart->transition_count);
	*search = (struct search){ .suite = suite,
		                   .graph = graph,
		                   .taken = mem_alloc(words * sizeof(uint64_t)),
		                   .wanted = mem_alloc(words * sizeof(uint64_t)),
		                   .variants = json_object(),
		                   .events = json_object(),
		                   .found = json_array() };
	world_init(&search->world, suite->cli, &graph->graph);
	search->world.run_id = "story";
	search->world.owner = search;
	search->world.trusts = true;
	search->world.env.trace = search_trace;
	search->options = (struct machine_options){ .chart = chart,
		                                    .env = &search->world.env,
		                                    .run_id = "story",
		                                    .seed = 1,
		                                    .http_location = "http://localhost/scxml" };
	arena_init(&search->arena);
	effects_init(&search->effects, &search->arena);
	map_init(&search->seen);
	for (int32_t i = 0; i < chart->transition_count; i++)
		if (coverage_counts_transition(chart, i) &&
		    !bits_has(graph->coverage.transitions, (size_t)i))
			bits_set(search->wanted, (size_t)i);
	for (size_t i = 0; i < json_array_size(suite->stories); i++) {
		add_answers(search, json_array_get(suite->stories, i));
		add_steps(search, json_array_get(suite->stories, i));
	}
}

static void search_release(struct search *search)
{
	forget_places(search);
	vec_release(&search->places);
	map_release(&search->seen);
	effects_release(&search->effects);
	arena_release(&search->arena);
	world_release(&search->world);
	json_decref(search->variants);
	json_decref(search->events);
	json_decref(search->found);
	free(search->taken);
	free(search->wanted);
}

json_t *suite_paths(struct suite *suite, struct err *err)
{
	struct story_graph *graph;
	struct search search;
	if (suite_graph(suite, suite->main_file, &graph, err) < 0)
		return NULL;
	const struct chart *chart = graph->graph.chart;
	search_init(&search, suite, graph);
	search_pass(&search, false);
	if (!search_is_satisfied(&search))
		search_pass(&search, true);
	json_t *not_found = json_array();
	for (int32_t i = 0; i < chart->transition_count; i++) {
		if (!bits_has(search.wanted, (size_t)i))
			continue;
		char *name = coverage_name_transition(chart, i);
		json_push(not_found, json_text(str_of(name)));
		free(name);
	}
	json_t *ret = json_pack("{s:O,s:o}", "stories", search.found, "not_found", not_found);
	search_release(&search);
	return ret;
}
