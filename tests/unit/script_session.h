/* SPDX-License-Identifier: MIT */
/*
 * A session for the tests of script/.  Its chart has nothing but room for many
 * expressions, which the tests number as they come.
 */
#ifndef TESTS_SCRIPT_SESSION_H
#define TESTS_SCRIPT_SESSION_H

#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/limits.h"
#include "base/mem.h"
#include "script/script.h"

enum { EXPRS = 1024, FIRST_EXPR = 16 };

struct session {
	struct chart *chart;
	struct script *script;
	struct datamodel *dm;
	uint32_t next;
	int64_t clock_ms;
};

static const struct datamodel_ops *ops = &script_datamodel_ops;

static ATTR_UNUSED bool in_state(void *ctx, const char *id)
{
	(void)ctx;
	return strcmp(id, "here") == 0;
}

static ATTR_UNUSED struct script *new_script(int64_t *clock_ms)
{
	struct script_limits limits = { LIMIT_LUA_STEPS, LIMIT_LUA_BYTES, LIMIT_LUA_MS };
	struct clock clock = clock_fixed(clock_ms);
	return script_new(&limits, &clock);
}

static ATTR_UNUSED struct datamodel *new_dm(struct session *s)
{
	json_t *io = json_pack("{s:{s:s},s:{s:s}}", "scxml", "location", "#_scxml_s1",
	                       "http://www.w3.org/TR/scxml/#SCXMLEventProcessor", "location",
	                       "#_scxml_s1");
	struct datamodel_setup setup = { .chart = s->chart,
		                         .session_id = "s1",
		                         .name = "machine",
		                         .ioprocessors = io,
		                         .seed = 42,
		                         .in = in_state };
	struct err err = { 0 };
	struct datamodel *dm = NULL;
	CHECK(ops->create(s->script, &setup, &dm, &err) == 0);
	json_decref(io);
	return dm;
}

/* A chart with room for expressions and, where script is not NULL, a document-level script. */
static ATTR_UNUSED struct chart *new_chart(const char *script)
{
	struct buf text;
	struct err err = { 0 };
	struct chart *chart = NULL;
	struct chart_diags diags = { 0 };
	buf_init(&text, LIMIT_GRAPH_BYTES);
	buf_put(&text, "<scxml xmlns='" CHART_NS_SCXML "' version='1.0' datamodel='lua' name='t'>");
	if (script)
		buf_printf(&text, "<script><![CDATA[%s]]></script>", script);
	buf_put(&text, "<state id='s'><onentry>");
	for (int i = 0; i < EXPRS + FIRST_EXPR; i++)
		buf_put(&text, "<log expr='0'/>");
	buf_put(&text, "</onentry></state></scxml>");
	CHECK_MSG(chart_new(buf_str(&text), "t.scxml", NULL, &diags, &chart, &err) == 0,
	          "chart: %s", err.text);
	chart_diags_release(&diags);
	buf_release(&text);
	return chart;
}

static ATTR_UNUSED void session_init_with(struct session *s, const char *script)
{
	*s = (struct session){ .chart = new_chart(script), .next = FIRST_EXPR };
	s->script = new_script(&s->clock_ms);
	s->dm = new_dm(s);
}

static ATTR_UNUSED void session_init(struct session *s)
{
	session_init_with(s, NULL);
}

static ATTR_UNUSED void session_release(struct session *s)
{
	ops->free(s->dm);
	script_free(s->script);
	chart_unref(s->chart);
}

static ATTR_UNUSED struct chart_expr expr(struct session *s, const char *text)
{
	return (struct chart_expr){ text, s->next++, { 7, 1 } };
}

static ATTR_UNUSED int run_script(struct session *s, const char *code, struct err *err)
{
	struct chart_expr e = expr(s, code);
	*err = (struct err){ 0 };
	int status = ops->script(s->dm, &e, err);
	struct err check = { 0 };
	int checked = ops->check(s->dm, &check);
	if (status == 0 && checked < 0)
		*err = check;
	return status < 0 ? status : checked;
}

static ATTR_UNUSED int assign(struct session *s, const char *location, const char *value,
                              struct err *err)
{
	struct chart_expr l = expr(s, location), v = expr(s, value);
	*err = (struct err){ 0 };
	int status = ops->assign(s->dm, &l, &v, err);
	return status < 0 ? status : ops->check(s->dm, err);
}

static ATTR_UNUSED void data(struct session *s, const char *id, const char *value)
{
	struct chart_data d = { .id = id };
	struct err err = { 0 };
	if (value)
		d.expr = expr(s, value);
	CHECK_MSG(ops->init_data(s->dm, &d, NULL, &err) == 0, "data %s %s", id, err.text);
}

/* The canonical JSON of an expression, "nil", or "E:" and the error's text, "B:" and its id. */
static ATTR_UNUSED char *show(struct session *s, const char *text)
{
	struct chart_expr e = expr(s, text);
	struct err err = { 0 };
	json_t *value = NULL;
	if (ops->eval_json(s->dm, &e, &value, &err) < 0)
		return err.code == ERR_BLOCKED ? mem_format("B:%s", err.id)
		                               : mem_format("E:%s", err.text);
	char *ret = value ? json_canon(value) : mem_dup_str("nil");
	json_decref(value);
	return ret;
}

static ATTR_UNUSED void expect(struct session *s, const char *text, const char *want)
{
	char *got = show(s, text);
	bool is_prefix = (want[0] == 'E' || want[0] == 'B') && want[1] == ':';
	bool ok = is_prefix ? strstr(got, want + 2) && got[0] == want[0] : strcmp(got, want) == 0;
	CHECK_MSG(ok, "%.100s -> %s", text, want);
	if (!ok)
		printf("#   got %s\n", got);
	free(got);
}

struct row {
	const char *code, *want;
};

#endif
