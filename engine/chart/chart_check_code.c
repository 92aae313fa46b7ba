/* SPDX-License-Identifier: MIT */
/*
 * The Lua of a graph: does it compile, does it name what exists, do two
 * regions write the same datum.  What a name means is asked of the world
 * (chart_world), since chart/ knows no Lua.
 *
 * The same text often stands in many places; it is compiled once.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "chart/chart_int.h"

enum { PATH_MAX_BYTES = 200 }; /* of a location, as far as regions are compared by it */

/* Names that every session has: the data model's functions and the system variables. */
static const char *const known_names[] = {
	"In",       "null",          "has",    "missing", "now",      "today",    "days_between",
	"date_add", "is_date",       "money",  "json",    "list",     "count",    "get",
	"number",   "random",        "string", "table",   "math",     "utf8",     "ipairs",
	"pairs",    "pcall",         "error",  "assert",  "select",   "tonumber", "tostring",
	"type",     "sort",          "next",   "print",   "_VERSION", "_event",   "_sessionid",
	"_name",    "_ioprocessors", "_x",
};

static const char *const system_names[] = { "_event", "_sessionid", "_name", "_ioprocessors",
	                                    "_x" };

/* One write: the path as it was written, and who wrote it. */
struct write {
	const char *path;
	int32_t state;
	struct chart_place at;
};

struct code_check {
	struct checker *k;
	struct map known;       /* name -> anything */
	struct map compiled;    /* kind and text -> "" (it compiles) or the compiler's sentence */
	struct map names;       /* path -> its index + 1 into writes, first of them after sorting */
	VEC(const char *) data; /* names for "did you mean" */
	VEC(struct write) writes;
	const struct code *code; /* while globals are read */
};

static bool is_system(const char *name)
{
	for (size_t i = 0; i < sizeof(system_names) / sizeof(system_names[0]); i++)
		if (strcmp(system_names[i], name) == 0)
			return true;
	return false;
}

static void know(struct code_check *x, const char *name, bool is_suggested)
{
	if (!map_get(&x->known, name) && is_suggested)
		*vec_add(&x->data) = arena_dup_str(&x->k->arena, name);
	map_set(&x->known, name, x);
}

/* The text to compile: a location is compiled as what is assigned to. */
static const char *source_of(struct code_check *x, const struct code *code)
{
	if (code->kind != CODE_PLACE)
		return code->expr->text;
	return arena_format(&x->k->arena, "%s = nil", code->expr->text);
}

static bool is_statement(const struct code *code)
{
	return code->kind == CODE_SCRIPT || code->kind == CODE_PLACE;
}

static const char *compile_text(struct code_check *x, const char *text, bool statement)
{
	const struct chart_world *world = x->k->world;
	char *key = mem_format("%c%s", statement ? 's' : 'e', text);
	const char *known = map_get(&x->compiled, key);
	if (!known) {
		struct err err = { 0 };
		int status = world->compiles(world->ctx, text, statement, &err);
		known = status == 0   ? ""
		        : err.text[0] ? arena_dup_str(&x->k->arena, err.text)
		                      : "this is no Lua";
		map_set(&x->compiled, key, (void *)(uintptr_t)known);
	}
	free(key);
	return known;
}

/* How other languages write what Lua writes otherwise, where the compiler stumbled over it. */
static const char *operator_hint(const char *wrong, bool is_script)
{
	static const struct {
		const char *near, *hint;
	} hints[] = {
		{ "near '!'", "Lua writes ~= for 'is not equal', and not for negation" },
		{ "near '&'", "Lua writes and" },
		{ "near '|'", "Lua writes or" },
		{ "near '+'", "Lua has no ++ and no +=: write x = x + 1" },
	};
	for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++)
		if (strstr(wrong, hints[i].near))
			return hints[i].hint;
	return !is_script && strstr(wrong, "near '='") ? "Lua compares with ==" : NULL;
}

/* Does it compile, as far as anybody knows? */
static bool check_syntax(struct code_check *x, const struct code *code)
{
	if (text_has_bidi(code->expr->text))
		check_warn(x->k, "lua.bidi", code->expr->at, "remove it",
		           "this code contains a character that changes the direction of text: it "
		           "is not what it looks like");
	if (!x->k->world->compiles)
		return true;
	const char *wrong = compile_text(x, source_of(x, code), is_statement(code));
	if (*wrong)
		check_error(x->k, "lua.syntax", code->expr->at,
		            operator_hint(wrong, is_statement(code)), "%s", wrong);
	return *wrong == '\0';
}

/* The dotted name at the beginning of a location: "facts.crm[1]" gives "facts.crm". */
static char *path_of(struct arena *arena, const char *text)
{
	while (isspace((unsigned char)*text))
		text++;
	size_t len = 0;
	while (len < PATH_MAX_BYTES && (isalnum((unsigned char)text[len]) || text[len] == '_' ||
	                                (text[len] == '.' && len > 0)))
		len++;
	while (len > 0 && text[len - 1] == '.')
		len--;
	return arena_dup(arena, text, len);
}

static char *root_of(struct arena *arena, const char *path)
{
	return arena_dup(arena, path, strcspn(path, "."));
}

static void add_write(struct code_check *x, const char *path, const struct code *code)
{
	if (*path)
		*vec_add(&x->writes) = (struct write){ path, code->state, code->expr->at };
}

static void found_write(void *arg, const char *name, bool is_write)
{
	struct code_check *x = arg;
	if (!is_write || is_system(name))
		return;
	know(x, name, true);
	add_write(x, arena_dup_str(&x->k->arena, name), x->code);
}

/* First pass: what a script writes exists from then on. */
static void collect_code(void *ctx, const struct code *code)
{
	struct code_check *x = ctx;
	const struct chart_world *world = x->k->world;
	x->code = code;
	if (code->kind == CODE_SCRIPT && world->globals)
		world->globals(world->ctx, code->expr->text, true, found_write, x);
	if (code->kind == CODE_PLACE)
		add_write(x, path_of(&x->k->arena, code->expr->text), code);
}

static void collect_op(void *ctx, int32_t state, const struct chart_op *op)
{
	struct code_check *x = ctx;
	(void)state;
	if (op->kind != OP_FOREACH)
		return;
	/* <foreach> declares its variables (SCXML 4.6). */
	know(x, path_of(&x->k->arena, op->foreach.item.text ? op->foreach.item.text : ""), true);
	if (op->foreach.index.text)
		know(x, path_of(&x->k->arena, op->foreach.index.text), true);
}

static void collect_invoke(void *ctx, const struct chart_invoke *invoke)
{
	struct code_check *x = ctx;
	if (invoke->dispatch.each.text)
		know(x, invoke->dispatch.as, true);
}

static bool is_name(const char *text)
{
	if (!isalpha((unsigned char)*text) && *text != '_')
		return false;
	while (isalnum((unsigned char)*text) || *text == '_')
		text++;
	return *text == '\0';
}

static void collect_data(struct code_check *x)
{
	static const char *const keywords[] = {
		"and",      "break",  "do",   "else", "elseif", "end",   "false", "for",
		"function", "goto",   "if",   "in",   "local",  "nil",   "not",   "or",
		"repeat",   "return", "then", "true", "until",  "while",
	};
	for (int32_t i = 0; i < x->k->chart->state_count; i++) {
		const struct chart_state *state = &x->k->chart->states[i];
		for (size_t n = 0; n < state->data_count; n++) {
			const struct chart_data *data = &state->data[n];
			bool is_good = is_name(data->id);
			for (size_t w = 0; w < sizeof(keywords) / sizeof(keywords[0]); w++)
				is_good &= strcmp(keywords[w], data->id) != 0;
			if (!is_good)
				check_warn(x->k, "lua.bad_name", data->at,
				           "use letters, digits and _",
				           "no Lua can read a datum named '%.80s'", data->id);
			if (is_system(data->id))
				check_warn(x->k, "lua.read_only", data->at, "choose another name",
				           "'%s' is a system variable and cannot be declared",
				           data->id);
			know(x, data->id, true);
		}
	}
}

static void found_read(void *arg, const char *name, bool is_write)
{
	struct code_check *x = arg;
	if (is_system(name) && is_write)
		check_warn(x->k, "lua.read_only", x->code->expr->at, NULL,
		           "the system variable '%s' cannot be written", name);
	if (is_write || map_get(&x->known, name))
		return;
	check_warn(x->k, "lua.undeclared", x->code->expr->at,
	           check_nearest(x->k, name, x->data.at, x->data.len),
	           "'%.80s' is declared nowhere in this graph", name);
}

/* An <assign> to a name that does not exist raises error.execution (SCXML 5.4). */
static void check_location(struct code_check *x, const struct code *code)
{
	const char *root = root_of(&x->k->arena, path_of(&x->k->arena, code->expr->text));
	if (!*root)
		return;
	if (is_system(root))
		check_warn(x->k, "lua.read_only", code->expr->at, NULL,
		           "the system variable '%s' cannot be written", root);
	else if (!map_get(&x->known, root))
		check_warn(x->k, "lua.undeclared", code->expr->at,
		           check_nearest(x->k, root, x->data.at, x->data.len),
		           "'%.80s' is declared nowhere in this graph, so it cannot be assigned",
		           root);
}

/* In('state') with a literal: does the state exist? */
static void check_in(struct code_check *x, const struct code *code)
{
	for (const char *p = strstr(code->expr->text, "In("); p; p = strstr(p + 1, "In(")) {
		const char *at = p + 3 + strspn(p + 3, " \t");
		bool is_call = p == code->expr->text ||
		               !(isalnum((unsigned char)p[-1]) || p[-1] == '_' || p[-1] == '.');
		const char *close = *at == '\'' || *at == '"' ? strchr(at + 1, *at) : NULL;
		if (!is_call || !close || close - at > 500)
			continue;
		char *id = arena_dup(&x->k->arena, at + 1, (size_t)(close - at - 1));
		if (chart_find(x->k->chart, id) != CHART_NONE)
			continue;
		VEC(const char *) names = { 0 };
		for (int32_t i = 1; i < x->k->chart->state_count && names.len < 1000; i++)
			*vec_add(&names) = x->k->chart->states[i].id;
		check_warn(x->k, "graph.unknown_state", code->expr->at,
		           check_nearest(x->k, id, names.at, names.len),
		           "In() asks for the state '%.80s', which does not exist", id);
		vec_release(&names);
	}
}

static void check_one(void *ctx, const struct code *code)
{
	struct code_check *x = ctx;
	const struct chart_world *world = x->k->world;
	x->code = code;
	check_in(x, code);
	if (strcmp(x->k->chart->datamodel, "lua") != 0)
		return;
	if (!check_syntax(x, code))
		return;
	if (code->kind == CODE_PLACE)
		check_location(x, code);
	else if (world->globals)
		world->globals(world->ctx, code->expr->text, is_statement(code), found_read, x);
}

static int by_path(const void *left, const void *right)
{
	const struct write *a = left, *b = right;
	int order = strcmp(a->path, b->path);
	return order ? order : a->state < b->state ? -1 : a->state > b->state;
}

static void report_write(struct code_check *x, const struct write *a, const struct write *z)
{
	const struct chart *chart = x->k->chart;
	int32_t common = tree_common(chart, a->state, z->state);
	check_warn(x->k, "data.parallel_write", z->at,
	           "let each region write a datum of its own, or a field of its own",
	           "'%.80s' is written here in '%.80s' and in line %u in '%.80s': both regions of "
	           "'%.80s' can do so in one step",
	           z->path, chart->states[z->state].id, a->at.line, chart->states[a->state].id,
	           chart->states[common].id);
}

/* The writes with this path: from *ret up to the returned end. */
static size_t range_of(const struct code_check *x, const char *path, size_t *ret)
{
	size_t first = (size_t)(uintptr_t)map_get(&x->names, path);
	*ret = first > 0 ? first - 1 : 0;
	size_t end = *ret;
	while (first > 0 && end < x->writes.len && strcmp(x->writes.at[end].path, path) == 0)
		end++;
	return end;
}

/* "facts" and "facts.crm" are the same datum; "facts.crm" and "facts.clm" are not. */
static void check_shorter(struct code_check *x, const struct write *write)
{
	char *path = mem_dup_str(write->path);
	for (char *dot = strrchr(path, '.'); dot; dot = strrchr(path, '.')) {
		*dot = '\0';
		size_t first, end = range_of(x, path, &first);
		if (end == first)
			continue;
		const struct write *ends[] = { &x->writes.at[first], &x->writes.at[end - 1] };
		for (size_t i = 0; i < 2; i++) {
			if (!tree_is_orthogonal(x->k->chart, ends[i]->state, write->state))
				continue;
			report_write(x, ends[i], write);
			break;
		}
	}
	free(path);
}

/* In document order the innermost common ancestors of neighbours are those of all pairs. */
static void check_parallel_writes(struct code_check *x)
{
	if (x->writes.len < 2)
		return;
	qsort(x->writes.at, x->writes.len, sizeof(*x->writes.at), by_path);
	for (size_t i = x->writes.len; i-- > 0;)
		map_set(&x->names, x->writes.at[i].path, (void *)(uintptr_t)(i + 1));
	for (size_t i = 0; i < x->writes.len; i++) {
		const struct write *write = &x->writes.at[i], *last = i > 0 ? write - 1 : NULL;
		if (last && strcmp(last->path, write->path) == 0 &&
		    tree_is_orthogonal(x->k->chart, last->state, write->state))
			report_write(x, last, write);
		check_shorter(x, write);
	}
}

static void check_null_op(void *ctx, int32_t state, const struct chart_op *op)
{
	struct code_check *x = ctx;
	(void)state;
	if (op->kind == OP_ASSIGN || op->kind == OP_SCRIPT || op->kind == OP_FOREACH)
		check_warn(x->k, "null.no_data", op->at, "write datamodel=\"lua\"",
		           "the null data model has no data and no scripts");
}

void check_code(struct checker *k)
{
	struct code_check x = { .k = k };
	map_init(&x.known);
	map_init(&x.compiled);
	map_init(&x.names);
	bool is_lua = strcmp(k->chart->datamodel, "lua") == 0;
	for (size_t i = 0; i < sizeof(known_names) / sizeof(known_names[0]); i++)
		know(&x, known_names[i], false);
	if (is_lua) {
		collect_data(&x);
		walk_chart(k->chart,
		           &(struct walker){ &x, collect_code, collect_op, collect_invoke });
	} else {
		walk_chart(k->chart, &(struct walker){ .ctx = &x, .op = check_null_op });
	}
	walk_chart(k->chart, &(struct walker){ .ctx = &x, .code = check_one });
	check_parallel_writes(&x);
	map_release(&x.known);
	map_release(&x.compiled);
	map_release(&x.names);
	vec_release(&x.data);
	vec_release(&x.writes);
}
