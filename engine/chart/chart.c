/* SPDX-License-Identifier: MIT */
/*
 * Making, sharing and finding: the way from text to a chart and the reference
 * count.  A chart and all its tables live in one arena; the last unref frees
 * them whole.
 */
#include "chart/chart.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "base/mem.h"
#include "base/must.h"
#include "chart/chart_int.h"

static const int64_t delay_max_ms = INT64_C(10) * 366 * 86400 * 1000;

static struct chart_int *own_new(struct str text, const char *file)
{
	struct chart_int *own = mem_alloc(sizeof(*own));
	arena_init(&own->arena);
	map_init(&own->ids);
	atomic_init(&own->references, 1);
	own->chart.own = own;
	own->chart.file = arena_dup_str(&own->arena, file);
	crypto_sha256_hex(text, own->chart.hash);
	return own;
}

static void own_free(struct chart_int *own)
{
	vec_release(&own->findings);
	vec_release(&own->allows);
	map_release(&own->ids);
	arena_release(&own->arena);
	free(own);
}

/* The first error of the (sorted) findings, with its place in front. */
static int first_error(const struct compile *c, struct err *err)
{
	for (size_t i = 0; i < c->diags->len; i++) {
		const struct chart_diag *diag = &c->diags->at[i];
		if (!diag->is_error)
			continue;
		err_set_id(err, c->status, diag->code, "%s:%u:%u: %s", c->file, diag->at.line,
		           diag->at.column, diag->text);
		if (diag->hint)
			err_hint(err, "%s", diag->hint);
		return err->code;
	}
	must_not_reach();
}

static void compile(struct compile *c)
{
	if (!guard_source(c))
		return;
	struct xml_node *root = read_source(c);
	if (!root)
		return;
	rules_check(c, root);
	build_chart(c, root);
}

int chart_new(struct str text, const char *file, const struct chart_folder *folder,
              struct chart_diags *diags, struct chart **ret, struct err *err)
{
	struct chart_diags none = { 0 };
	struct chart_int *own = own_new(text, file);
	struct compile c = {
		.text = text.ptr ? text : (struct str){ "", 0 },
		.file = file,
		.folder = folder,
		.diags = diags ? diags : &none,
		.chart = &own->chart,
	};
	arena_init(&c.scratch);
	compile(&c);
	arena_release(&c.scratch);
	diags_sort(c.diags);
	int status = c.status;
	if (status < 0) {
		status = first_error(&c, err);
		own_free(own);
	} else {
		*ret = &own->chart;
	}
	chart_diags_release(&none);
	return status;
}

struct chart *chart_ref(const struct chart *chart)
{
	atomic_fetch_add_explicit(&chart->own->references, 1, memory_order_relaxed);
	return &chart->own->chart;
}

void chart_unref(const struct chart *chart)
{
	if (!chart)
		return;
	if (atomic_fetch_sub_explicit(&chart->own->references, 1, memory_order_acq_rel) == 1)
		own_free(chart->own);
}

int32_t chart_find(const struct chart *chart, const char *id)
{
	const struct chart_state *state = map_get(&chart->own->ids, id);
	return state ? (int32_t)(state - chart->states) : CHART_NONE;
}

static double unit_ms(const char *unit)
{
	static const struct {
		const char *name;
		double ms;
	} units[] = { { "", 1 },      { "ms", 1 },      { "s", 1000 },
		      { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 } };
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(units[i].name, unit) == 0)
			return units[i].ms;
	return 0;
}

int chart_parse_delay(const char *text, int64_t *ret_ms, struct err *err)
{
	const char *p = text + strspn(text, " \t\r\n");
	double number = 0, scale = 1;
	size_t digits = 0;
	for (; *p >= '0' && *p <= '9' && digits < 18; p++, digits++)
		number = number * 10 + (*p - '0');
	if (*p == '.')
		for (p++; *p >= '0' && *p <= '9' && digits < 18; p++, digits++)
			number += (*p - '0') * (scale /= 10);
	char unit[4] = "";
	size_t len = strcspn(p, " \t\r\n");
	if (len < sizeof(unit))
		memcpy(unit, p, len);
	double ms = len < sizeof(unit) ? round(number * unit_ms(unit)) : 0;
	bool is_number = digits > 0 && len < sizeof(unit) && unit_ms(unit) > 0;
	if (!is_number || p[len + strspn(p + len, " \t\r\n")] != '\0' ||
	    ms > (double)delay_max_ms) {
		err_set_id(err, ERR_INPUT, "send.bad_delay", "'%.80s' is not a time", text);
		return err_hint(err, "write a time such as 1s, 1.5s, 10ms, 2m, 1h or 1d");
	}
	*ret_ms = (int64_t)ms;
	return 0;
}

static int foreign(const char *src, const char *why, struct err *err)
{
	err_set_id(err, ERR_INPUT, "scxml.foreign_src", "'%.200s' %s", src, why);
	return err_hint(err, "copy the file into the graph's folder and name it without a path");
}

int chart_src_path(const char *src, const char **ret, struct err *err)
{
	const char *path = str_begins(src, "file:") ? src + 5 : src;
	while (str_begins(path, "./"))
		path += 2;
	if (path[strcspn(path, ":\\/?#")] == ':')
		return foreign(src, "would be fetched from elsewhere", err);
	if (*path == '/' || strchr(path, '\\'))
		return foreign(src, "is not in the graph's folder", err);
	for (const char *part = path;; part++) {
		size_t len = strcspn(part, "/");
		if (len == 0 || (len <= 2 && strncmp(part, "..", len) == 0))
			return foreign(src, "is not in the graph's folder", err);
		part += len;
		if (*part == '\0')
			break;
	}
	*ret = path;
	return 0;
}

bool chart_is_scxml_type(const char *type)
{
	return !type || strcmp(type, "scxml") == 0 ||
	       strcmp(type, "http://www.w3.org/TR/scxml/") == 0 ||
	       strcmp(type, "http://www.w3.org/TR/scxml") == 0;
}
