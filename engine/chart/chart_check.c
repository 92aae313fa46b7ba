/* SPDX-License-Identifier: MIT */
/*
 * The checker: collects what its parts find, drops the warnings that the
 * author allowed with a reason, and reports the rest in the order of the file.
 * It never executes anything of the graph.
 *
 * No part may be quadratic in the size of the graph: 5,000 states are checked
 * in well under a quarter of a second.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "chart/chart_int.h"

static void ATTR_PRINTF(6, 0)
	add(struct checker *k, bool is_error, const char *code, struct chart_place at,
            const char *hint, const char *format, va_list args)
{
	char text[640];
	vsnprintf(text, sizeof(text), format, args);
	*vec_add(&k->found) = (struct chart_diag){
		.is_error = is_error,
		.code = code,
		.at = at,
		.text = arena_dup_str(&k->arena, text),
		.hint = arena_dup_str(&k->arena, hint),
	};
}

void check_error(struct checker *k, const char *code, struct chart_place at, const char *hint,
                 const char *format, ...)
{
	va_list args;
	va_start(args, format);
	add(k, true, code, at, hint, format, args);
	va_end(args);
}

void check_warn(struct checker *k, const char *code, struct chart_place at, const char *hint,
                const char *format, ...)
{
	va_list args;
	va_start(args, format);
	add(k, false, code, at, hint, format, args);
	va_end(args);
}

const char *check_nearest(struct checker *k, const char *name, const char *const *names,
                          size_t count)
{
	if (strlen(name) > 200 || k->nearest_asked++ >= CHART_NEAREST_MAX)
		return NULL;
	const char *nearest = str_nearest(name, names, count);
	return nearest ? arena_format(&k->arena, "did you mean '%s'?", nearest) : NULL;
}

int check_read(struct checker *k, const char *name, struct buf *text, struct err *err)
{
	buf_init(text, LIMIT_GRAPH_BYTES);
	if (!k->folder)
		return err_set(err, ERR_ABSENT, "this graph stands alone, without a folder");
	return k->folder->read(k->folder->ctx, name, text, err);
}

/* A schema named by gw:input or gw:output; new, or NULL when it is reported. */
static json_t *read_schema(struct checker *k, const char *attr, const char *name)
{
	struct chart_place at = k->chart->states[0].at;
	struct buf text;
	struct err err = { 0 };
	json_t *schema = NULL;
	if (check_read(k, name, &text, &err) < 0)
		check_error(k, "gw.absent_file", at, "put the file beside the graph",
		            "%s names '%s', which cannot be read: %s", attr, name, err.text);
	else if (json_read(buf_str(&text), LIMIT_JSON_BYTES, &schema, &err) < 0)
		check_error(k, "gw.bad_schema", at, NULL, "%s: %s: %s", attr, name, err.text);
	buf_release(&text);
	return schema;
}

/* The members of a run's input override top-level data; any other member would be lost. */
static void check_input(struct checker *k)
{
	if (!k->chart->input_schema || !k->folder)
		return;
	json_t *schema = read_schema(k, "gw:input", k->chart->input_schema);
	const struct chart_state *root = &k->chart->states[0];
	struct map known;
	map_init(&known);
	for (size_t i = 0; i < root->data_count; i++)
		map_set(&known, root->data[i].id, k);
	const char *name;
	json_t *member;
	json_object_foreach(json_at(schema, "properties"), name, member)
		if (!map_get(&known, name))
			check_warn(k, "gw.input_without_data", root->at,
			           "declare it in the top-level <datamodel>",
			           "the input member '%.80s' (%s) has no <data> of that name: the "
			           "graph never sees it",
			           name, k->chart->input_schema);
	map_release(&known);
	json_decref(schema);
}

static void check_output(struct checker *k)
{
	if (k->chart->output_schema && k->folder)
		json_decref(read_schema(k, "gw:output", k->chart->output_schema));
}

static void check_data_marks(struct checker *k)
{
	for (int32_t i = 1; i < k->chart->state_count; i++) {
		const struct chart_state *state = &k->chart->states[i];
		for (size_t n = 0; n < state->data_count; n++)
			if (state->data[n].is_search || state->data[n].is_exclusive)
				check_warn(k, "gw.misplaced", state->data[n].at,
				           "move the <data> to the top-level <datamodel>",
				           "gw:search and gw:exclusive work for top-level data "
				           "only");
	}
}

/* An error nobody handles is dropped by the Recommendation; a workflow wants to stop there. */
static void check_on_error(struct checker *k)
{
	const struct chart *chart = k->chart;
	if (chart->on_error_block)
		return;
	for (int32_t i = 0; i < chart->state_count; i++)
		for (size_t n = 0; n < chart->states[i].invoke_count; n++) {
			const struct chart_value *type = &chart->states[i].invokes[n].type;
			if (!type->text || chart_is_scxml_type(type->text))
				continue;
			check_warn(k, "graph.on_error", chart->states[0].at,
			           "add gw:on-error=\"block\" to <scxml>",
			           "an error that no transition takes would be dropped silently");
			return;
		}
}

static void take_findings(struct checker *k)
{
	const struct chart_int *own = k->chart->own;
	for (size_t i = 0; i < own->findings.len; i++) {
		const struct chart_finding *finding = &own->findings.at[i];
		(finding->is_error ? check_error : check_warn)(k, finding->code, finding->at,
		                                               finding->hint, "%s", finding->text);
	}
}

static bool is_before(struct chart_place a, struct chart_place b)
{
	return a.line != b.line ? a.line < b.line : a.column < b.column;
}

static bool allow_has(const struct chart_allow *allow, const char *code)
{
	for (size_t i = 0; i < allow->code_count; i++)
		if (strcmp(allow->codes[i], code) == 0)
			return true;
	return false;
}

/*
 * Hands the findings over in the order of the file.  The elements with
 * gw:allow are nested or apart, in document order: a stack of the open ones
 * follows the findings.
 */
static void report(struct checker *k, struct chart_diags *diags)
{
	const struct chart_int *own = k->chart->own;
	struct chart_diags sorted = { .at = k->found.at, .len = k->found.len };
	diags_sort(&sorted);
	const struct chart_allow *open[LIMIT_GRAPH_DEPTH + 1];
	size_t depth = 0, next = 0;
	for (size_t i = 0; i < sorted.len; i++) {
		const struct chart_diag *diag = &sorted.at[i];
		while (next < own->allows.len && !is_before(diag->at, own->allows.at[next].begin)) {
			while (depth > 0 &&
			       !is_before(own->allows.at[next].begin, open[depth - 1]->end))
				depth--;
			open[depth++] = &own->allows.at[next++];
		}
		while (depth > 0 && !is_before(diag->at, open[depth - 1]->end))
			depth--;
		bool is_allowed = false;
		for (size_t n = 0; n < depth && !diag->is_error; n++)
			is_allowed |= open[n]->because && allow_has(open[n], diag->code);
		if (!is_allowed)
			chart_diags_add(diags, diag->is_error, diag->code, diag->at, diag->hint,
			                "%s", diag->text);
	}
}

void chart_check(const struct chart *chart, const struct chart_folder *folder,
                 const struct chart_world *world, struct chart_diags *diags)
{
	static const struct chart_world empty;
	struct checker k = { .chart = chart, .folder = folder, .world = world ? world : &empty };
	arena_init(&k.arena);
	take_findings(&k);
	check_input(&k);
	check_output(&k);
	check_data_marks(&k);
	check_on_error(&k);
	check_flow(&k);
	check_cycles(&k);
	check_calls(&k);
	check_results(&k);
	check_code(&k);
	report(&k, diags);
	vec_release(&k.found);
	arena_release(&k.arena);
}
