/* SPDX-License-Identifier: MIT */
/*
 * Findings: where, what, what to do.  A graph with a thousand mistakes gets
 * the first five hundred of them; error_count counts them all.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "chart/chart_int.h"

void diags_add_va(struct chart_diags *diags, bool is_error, const char *code, struct chart_place at,
                  const char *hint, const char *format, va_list args)
{
	if (is_error)
		diags->error_count++;
	/* Warnings leave room, so that they never crowd out an error. */
	if (diags->len >= (is_error ? CHART_DIAGS_MAX : CHART_WARNINGS_MAX))
		return;
	char text[640];
	vsnprintf(text, sizeof(text), format, args);
	struct chart_diag *diag = vec_add(diags);
	*diag = (struct chart_diag){
		.is_error = is_error,
		.code = code,
		.at = at,
		.text = mem_dup_str(text),
		.hint = mem_dup_str(hint),
	};
}

void chart_diags_add(struct chart_diags *diags, bool is_error, const char *code,
                     struct chart_place at, const char *hint, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	diags_add_va(diags, is_error, code, at, hint, format, args);
	va_end(args);
}

void chart_diags_release(struct chart_diags *diags)
{
	for (size_t i = 0; i < diags->len; i++) {
		free(diags->at[i].text);
		free(diags->at[i].hint);
	}
	vec_release(diags);
	diags->error_count = 0;
}

json_t *chart_diags_json(const struct chart_diags *diags, const char *file)
{
	json_t *array = json_array();
	for (size_t i = 0; i < diags->len; i++) {
		const struct chart_diag *diag = &diags->at[i];
		json_t *item = json_object();
		json_put_str(item, "level", diag->is_error ? "error" : "warning");
		json_put_str(item, "code", diag->code);
		json_put_str(item, "file", file);
		json_put_int(item, "line", diag->at.line);
		json_put_int(item, "column", diag->at.column);
		json_put(item, "text", json_text(str_of(diag->text)));
		if (diag->hint)
			json_put(item, "hint", json_text(str_of(diag->hint)));
		json_push(array, item);
	}
	return array;
}

void chart_diags_text(const struct chart_diags *diags, const char *file, struct buf *out)
{
	for (size_t i = 0; i < diags->len; i++) {
		const struct chart_diag *diag = &diags->at[i];
		buf_printf(out, "%s:%u:%u: %s: %s [%s]\n", file, diag->at.line, diag->at.column,
		           diag->is_error ? "error" : "warning", diag->text, diag->code);
		if (diag->hint)
			buf_printf(out, "    hint: %s\n", diag->hint);
	}
}

static int by_place(const void *left, const void *right)
{
	const struct chart_diag *a = left, *b = right;
	if (a->at.line != b->at.line)
		return a->at.line < b->at.line ? -1 : 1;
	if (a->at.column != b->at.column)
		return a->at.column < b->at.column ? -1 : 1;
	if (a->is_error != b->is_error)
		return a->is_error ? -1 : 1;
	int codes = strcmp(a->code, b->code);
	return codes ? codes : strcmp(a->text, b->text);
}

void diags_sort(struct chart_diags *diags)
{
	if (diags->len > 1)
		qsort(diags->at, diags->len, sizeof(*diags->at), by_place);
}

void compile_error(struct compile *c, const char *code, struct chart_place at, const char *hint,
                   const char *format, ...)
{
	va_list args;
	va_start(args, format);
	diags_add_va(c->diags, true, code, at, hint, format, args);
	va_end(args);
	if (c->status == 0)
		c->status = ERR_INPUT;
}

void compile_limit(struct compile *c, const char *code, struct chart_place at, const char *format,
                   ...)
{
	va_list args;
	va_start(args, format);
	diags_add_va(c->diags, true, code, at, NULL, format, args);
	va_end(args);
	if (c->status == 0)
		c->status = ERR_LIMIT;
}

void compile_note(struct compile *c, bool is_error, const char *code, struct chart_place at,
                  const char *hint, const char *format, ...)
{
	struct chart_int *own = c->chart->own;
	if (own->findings.len >= CHART_DIAGS_MAX)
		return;
	char text[640];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	struct chart_finding *finding = vec_add(&own->findings);
	*finding = (struct chart_finding){
		.is_error = is_error,
		.code = code,
		.text = arena_dup_str(&own->arena, text),
		.hint = arena_dup_str(&own->arena, hint),
		.at = at,
	};
}

const char *compile_nearest(struct compile *c, const char *name, const char *const *names,
                            size_t count)
{
	/* Comparing one name with all others is work: a thousand typos need not cost a thousand
	 * searches. */
	if (strlen(name) > 200 || c->nearest_asked++ >= CHART_NEAREST_MAX)
		return NULL;
	const char *nearest = str_nearest(name, names, count);
	return nearest ? arena_format(&c->scratch, "did you mean '%s'?", nearest) : NULL;
}
