/* SPDX-License-Identifier: MIT */
/*
 * What stories covered of a graph.  A state is covered when it was entered, a
 * transition when it was taken.  The document's own initial transitions do not
 * count: whoever enters the state took them.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/cli_story.h"

void coverage_init(struct coverage *coverage, const struct chart *chart)
{
	coverage->chart = chart;
	coverage->states = mem_alloc(bits_words((size_t)chart->state_count) * sizeof(uint64_t));
	coverage->transitions =
		mem_alloc(bits_words((size_t)chart->transition_count) * sizeof(uint64_t));
}

void coverage_release(struct coverage *coverage)
{
	free(coverage->states);
	free(coverage->transitions);
}

bool coverage_counts_state(const struct chart *chart, int32_t state)
{
	return state > 0 && chart->states[state].kind != STATE_HISTORY;
}

bool coverage_counts_transition(const struct chart *chart, int32_t transition)
{
	const struct chart_state *source = &chart->states[chart->transitions[transition].source];
	return transition >= source->first_transition &&
	       transition < source->first_transition + (int32_t)source->transition_count;
}

char *coverage_name_transition(const struct chart *chart, int32_t transition)
{
	const struct chart_transition *own = &chart->transitions[transition];
	struct buf out;
	buf_init(&out, LIMIT_JSON_BYTES);
	buf_printf(&out, "line %u: '%s'", own->at.line, chart->states[own->source].id);
	for (size_t i = 0; i < own->event_count; i++)
		buf_printf(&out, "%s%s", i ? " " : " on ", own->events[i]);
	if (own->cond.text)
		buf_printf(&out, " [%.120s]", own->cond.text);
	return buf_take(&out);
}

struct tally {
	size_t covered, of;
	json_t *missing;
};

static void count(struct tally *tally, bool is_covered, char *name_taken)
{
	tally->of++;
	if (is_covered)
		tally->covered++;
	else
		json_push(tally->missing, json_text(str_of(name_taken)));
	free(name_taken);
}

static struct tally tally_states(const struct coverage *coverage)
{
	const struct chart *chart = coverage->chart;
	struct tally ret = { .missing = json_array() };
	for (int32_t i = 0; i < chart->state_count; i++)
		if (coverage_counts_state(chart, i))
			count(&ret, bits_has(coverage->states, (size_t)i),
			      mem_format("line %u: '%s'", chart->states[i].at.line,
			                 chart->states[i].id));
	return ret;
}

static struct tally tally_transitions(const struct coverage *coverage)
{
	const struct chart *chart = coverage->chart;
	struct tally ret = { .missing = json_array() };
	for (int32_t i = 0; i < chart->transition_count; i++)
		if (coverage_counts_transition(chart, i))
			count(&ret, bits_has(coverage->transitions, (size_t)i),
			      coverage_name_transition(chart, i));
	return ret;
}

static json_t *tally_json(const struct tally *tally)
{
	return json_pack("{s:i,s:i,s:o}", "covered", (int)tally->covered, "of", (int)tally->of,
	                 "missing", tally->missing);
}

bool coverage_is_full(const struct coverage *coverage)
{
	const struct tally states = tally_states(coverage),
			   transitions = tally_transitions(coverage);
	bool ret = states.covered == states.of && transitions.covered == transitions.of;
	json_decref(states.missing);
	json_decref(transitions.missing);
	return ret;
}

json_t *coverage_json(const struct coverage *coverage)
{
	const struct tally states = tally_states(coverage),
			   transitions = tally_transitions(coverage);
	return json_pack("{s:s,s:o,s:o}", "graph", coverage->chart->file, "states",
	                 tally_json(&states), "transitions", tally_json(&transitions));
}
