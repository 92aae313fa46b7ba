/* SPDX-License-Identifier: MIT */
/*
 * The search for paths, shared by its files: cli_story_paths.c leads it,
 * cli_story_try.c says what the world may do next, cli_story_place.c does it and
 * keeps where that led.
 */
#ifndef CLI_STORY_SEARCH_H
#define CLI_STORY_SEARCH_H

#include "cli/cli_story.h"

enum { PLACES_MAX = 3000, TRIES_MAX = 6000 };

struct place {
	json_t *saved; /* the machine */
	json_t *calls; /* effects of open calls and sends */
	json_t *trail; /* steps of a story that lead here */
	json_t *advice;
	const json_t *root; /* the story whose input and time it began with */
	int64_t now_ms;
};

/* See suite_paths(). */
struct search {
	struct suite *suite;
	struct story_graph *graph;
	struct world world;
	struct machine_options options;
	struct arena arena;
	struct effects effects;
	uint64_t *taken;  /* by the step that is being tried */
	uint64_t *wanted; /* transitions that are still looked for */
	json_t *variants; /* {"plugin.action": [{"given","answer"}]} of all stories */
	json_t *events;   /* {name: [event]} of all stories */
	json_t *found;    /* stories */
	struct map seen;
	VEC(struct place *) places; /* the queue; places[0 .. next) were looked at */
	size_t next, tries;
	bool is_any_order;
};

/* What a step is tried with, and what a story says for it. */
struct attempt {
	struct input *input;
	int64_t now_ms;
	size_t without_call; /* index of the call that it ends; SIZE_MAX: none */
	json_t *said_taken;
};

/* cli_story_place.c */
void place_free(struct place *place);
void search_trace(void *ctx, const struct chart *chart, int32_t state, int32_t transition);
/* From the story's beginning; new places go to the queue, what is found to found. */
void search_begin(struct search *search, const json_t *story);
void search_try(struct search *search, const struct place *from, const struct attempt *attempt);
bool search_is_satisfied(const struct search *search);

/* cli_story_try.c */
void search_look(struct search *search, const struct place *place);

#endif
