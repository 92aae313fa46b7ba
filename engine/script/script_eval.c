/* SPDX-License-Identifier: MIT */
/*
 * Evaluating for a session: expressions, scripts, inline text, locations, and
 * what is assigned.  A value is checked to be JSON-shaped where it is assigned
 * to a name; what code may have done inside of tables is left to check().
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/must.h"
#include "script/script_int.h"

enum { TEXT_STEPS = 10000 }; /* for inline text: literals, not programs */

/* --- evaluation ------------------------------------------------------- */

/* Pushes the chunk of expr, joined with this session's environment. */
static int push_chunk(struct datamodel *dm, const struct chart_expr *expr, enum chart_role role,
                      struct expr_code **ret, struct err *err)
{
	lua_State *L = dm->script->L;
	datamodel_make_event(dm);
	if (chart_code_push(dm->script, dm->code, expr, role, ret, err) < 0)
		return err->code;
	datamodel_push_ref(dm, dm->holder_ref);
	lua_upvaluejoin(L, -2, 1, -1, 1);
	lua_pop(L, 1);
	return 0;
}

/* Code that may have changed data in a way that only a look at all of it can tell. */
static void note_writes(struct datamodel *dm, const struct expr_code *code)
{
	unsigned writes = dm->has_library ? SCAN_WRITES | SCAN_CALL : SCAN_WRITES;
	if (code->flags & writes)
		dm->is_suspect = true;
}

/* Calls the chunk below its nargs arguments. */
static int call(struct datamodel *dm, const struct chart_expr *expr, enum chart_role role,
                const struct expr_code *code, int nargs, int nresults, struct err *err)
{
	struct box_host host = datamodel_host(dm);
	note_writes(dm, code);
	int64_t steps = dm->script->limits.steps_max;
	if (box_call(dm->script, nargs, nresults, &host, steps) != LUA_OK)
		return chart_code_failed(dm->script, expr, role, err);
	return 0;
}

/* Pushes the value of expr. */
int datamodel_eval(struct datamodel *dm, const struct chart_expr *expr, struct err *err)
{
	struct expr_code *code;
	if (push_chunk(dm, expr, ROLE_VALUE, &code, err) < 0)
		return err->code;
	return call(dm, expr, ROLE_VALUE, code, 0, 1, err);
}

/* err_wrap() with the place of expr, where there is one. */
int datamodel_place(struct err *err, const struct chart_expr *expr)
{
	return expr->at.line > 0 ? err_wrap(err, "line %u", expr->at.line) : err->code;
}

int datamodel_eval_bool(struct datamodel *dm, const struct chart_expr *expr, bool *ret,
                        struct err *err)
{
	lua_State *L = dm->script->L;
	if (datamodel_eval(dm, expr, err) < 0)
		return err->code;
	*ret = lua_toboolean(L, -1) && !value_is_null(L, -1);
	lua_pop(L, 1);
	return 0;
}

/* Pops the value. */
static int take_json(struct datamodel *dm, const struct chart_expr *expr, json_t **ret,
                     struct err *err)
{
	lua_State *L = dm->script->L;
	json_t *value = NULL;
	int status = value_to_json(L, -1, expr->text, &value, err);
	lua_pop(L, 1);
	if (status < 0)
		return datamodel_place(err, expr);
	*ret = value;
	return 0;
}

int datamodel_eval_json(struct datamodel *dm, const struct chart_expr *expr, json_t **ret,
                        struct err *err)
{
	return datamodel_eval(dm, expr, err) < 0 ? err->code : take_json(dm, expr, ret, err);
}

int datamodel_eval_string(struct datamodel *dm, const struct chart_expr *expr, char **ret,
                          struct err *err)
{
	lua_State *L = dm->script->L;
	if (datamodel_eval(dm, expr, err) < 0)
		return err->code;
	struct str text = { 0 };
	if (lua_type(L, -1) == LUA_TSTRING || lua_type(L, -1) == LUA_TNUMBER)
		text.ptr = lua_tolstring(L, -1, &text.len);
	if (!text.ptr)
		err_set(err, ERR_INPUT, "'%.80s' is a %s, not a string", expr->text,
		        value_is_null(L, -1) ? "null" : luaL_typename(L, -1));
	else if (memchr(text.ptr, '\0', text.len) || !str_is_utf8(text))
		err_set(err, ERR_INPUT, "'%.80s' is not valid UTF-8 text", expr->text);
	else
		*ret = mem_dup(text.ptr, text.len);
	lua_pop(L, 1);
	return err->code < 0 ? datamodel_place(err, expr) : 0;
}

int datamodel_script(struct datamodel *dm, const struct chart_expr *expr, struct err *err)
{
	struct expr_code *code;
	if (push_chunk(dm, expr, ROLE_SCRIPT, &code, err) < 0)
		return err->code;
	return call(dm, expr, ROLE_SCRIPT, code, 0, 0, err);
}

/* --- inline text ------------------------------------------------------ */

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static json_t *normalise_space(const char *text)
{
	struct buf out;
	buf_init(&out, strlen(text) + 1);
	for (const char *p = text; *p;) {
		while (is_space(*p))
			p++;
		size_t len = 0;
		while (p[len] && !is_space(p[len]))
			len++;
		if (len > 0 && out.len > 0)
			buf_put(&out, " ");
		buf_put_len(&out, p, len);
		p += len;
	}
	json_t *ret = json_text(buf_str(&out));
	buf_release(&out);
	return ret;
}

/* The value of text in an empty environment; NULL when it has none. */
static json_t *value_of_text(struct script *script, struct str text)
{
	lua_State *L = script->L;
	unsigned flags;
	json_t *ret = NULL;
	struct err unused = { 0 };
	struct box_host nobody = { 0 };
	if (box_load(script, "return ", text, "=lua") == LUA_OK) {
		lua_newtable(L);
		lua_setupvalue(L, -2, 1);
		if (scan_expression(text, &flags, NULL, NULL) &&
		    box_call(script, 0, 1, &nobody, TEXT_STEPS) == LUA_OK &&
		    value_to_json(L, -1, "", &ret, &unused) < 0)
			ret = NULL;
	}
	lua_settop(L, 0);
	return ret;
}

int datamodel_eval_text(struct datamodel *dm, uint32_t id, const char *text, bool is_xml,
                        json_t **ret, struct err *err)
{
	(void)err;
	must(id < dm->code->chart->expr_count && text);
	struct expr_code *code = &dm->code->exprs[id];
	if (!code->is_text_known) {
		code->text = is_xml ? json_text(str_of(text))
		                    : value_of_text(dm->script, str_of(text));
		if (!code->text)
			code->text = normalise_space(text);
		code->is_text_known = true;
	}
	*ret = json_deep_copy(code->text);
	must(*ret);
	return 0;
}

/* --- locations -------------------------------------------------------- */

static int check_base(struct datamodel *dm, const struct chart_expr *location,
                      const struct expr_code *code, bool is_write, struct err *err)
{
	bool is_system = datamodel_is_system(code->base);
	if (is_system && !is_write)
		return 0;
	if (is_system)
		err_set(err, ERR_INPUT, "'%s' is a system variable and cannot be written",
		        code->base);
	else if (!datamodel_is_declared(dm, code->base))
		err_set(err, ERR_INPUT, "'%s' is not declared: there is no <data id=\"%s\"/>",
		        code->base, code->base);
	return err->code < 0 ? datamodel_place(err, location) : 0;
}

int datamodel_eval_location(struct datamodel *dm, const struct chart_expr *location, json_t **ret,
                            struct err *err)
{
	struct expr_code *code;
	if (push_chunk(dm, location, ROLE_GET, &code, err) < 0)
		return err->code;
	if (check_base(dm, location, code, false, err) < 0) {
		lua_pop(dm->script->L, 1);
		return err->code;
	}
	if (call(dm, location, ROLE_GET, code, 0, 1, err) < 0)
		return err->code;
	return take_json(dm, location, ret, err);
}

/* Stores the value on top of the stack, checked or not; pops it. */
static int store(struct datamodel *dm, const struct chart_expr *location, bool is_checked,
                 struct err *err)
{
	lua_State *L = dm->script->L;
	struct expr_code *code;
	if (push_chunk(dm, location, ROLE_SET, &code, err) < 0) {
		lua_pop(L, 1);
		return err->code;
	}
	if (check_base(dm, location, code, true, err) < 0) {
		lua_pop(L, 2);
		return err->code;
	}
	if (!is_checked && value_check(L, -2, location->text, err) < 0) {
		lua_pop(L, 2);
		return datamodel_place(err, location);
	}
	if (code->is_plain) {
		lua_pop(L, 1);
		datamodel_set(dm, code->base);
		return 0;
	}
	map_set(&dm->suspects, code->base, dm);
	lua_insert(L, -2);
	return call(dm, location, ROLE_SET, code, 1, 0, err);
}

int datamodel_store(struct datamodel *dm, const struct chart_expr *location, struct err *err)
{
	return store(dm, location, false, err);
}

/* A part of data or of the event is as JSON-shaped as the whole, which was checked. */
static bool is_known_json(struct datamodel *dm, const struct expr_code *code)
{
	return code->is_path && !dm->is_suspect && dm->suspects.live == 0 &&
	       (strcmp(code->base, "_event") == 0 || datamodel_is_declared(dm, code->base));
}

int datamodel_assign(struct datamodel *dm, const struct chart_expr *location,
                     const struct chart_expr *expr, struct err *err)
{
	struct expr_code *code;
	if (push_chunk(dm, expr, ROLE_VALUE, &code, err) < 0)
		return err->code;
	bool is_checked = is_known_json(dm, code);
	if (call(dm, expr, ROLE_VALUE, code, 0, 1, err) < 0)
		return err->code;
	return store(dm, location, is_checked, err);
}

int datamodel_assign_json(struct datamodel *dm, const struct chart_expr *location,
                          const json_t *value, struct err *err)
{
	value_push_json(dm->script->L, value);
	return datamodel_store(dm, location, err);
}

int datamodel_assign_text(struct datamodel *dm, const struct chart_expr *location, uint32_t id,
                          const char *text, bool is_xml, struct err *err)
{
	json_t *value;
	if (datamodel_eval_text(dm, id, text, is_xml, &value, err) < 0)
		return err->code;
	int status = datamodel_assign_json(dm, location, value, err);
	json_decref(value);
	return status;
}

/* --- <data> ----------------------------------------------------------- */

int datamodel_init_data(struct datamodel *dm, const struct chart_data *data, const json_t *value,
                        struct err *err)
{
	lua_State *L = dm->script->L;
	datamodel_declare(dm, data->id);
	if (datamodel_is_system(data->id))
		return err_set(err, ERR_INPUT, "'%s' is a system variable and cannot be data",
		               data->id);
	json_t *made = NULL;
	if (value) {
		value_push_json(L, value);
	} else if (data->expr.text) {
		if (datamodel_eval(dm, &data->expr, err) < 0)
			return err->code;
		if (value_check(L, -1, data->id, err) < 0) {
			lua_pop(L, 1);
			return datamodel_place(err, &data->expr);
		}
	} else if (data->text) {
		if (datamodel_eval_text(dm, data->text_id, data->text, data->is_xml, &made, err) <
		    0)
			return err->code;
		value_push_json(L, made);
		json_decref(made);
	} else {
		lua_pushnil(L);
	}
	datamodel_set(dm, data->id);
	return 0;
}
