/* SPDX-License-Identifier: MIT */
/*
 * What the files of script/ share.
 *
 * Two modes.  In host mode the engine itself works on the Lua state: nothing
 * is limited, nothing can raise (the only Lua error possible there is out of
 * memory, which stops the process).  In guarded mode, between the first and
 * the last instruction of box_call() and box_load(), budgets hold and errors
 * fly; C functions called then keep no memory of their own.
 *
 * Tables have one of three shapes: plain; marked as a list (the shared list
 * metatable, so that an empty list stays one); frozen (empty, its contents in
 * a backing table behind the metatable, so that it can be read but not
 * written).  Scripts can reach no metatable.
 */
#ifndef SCRIPT_INT_H
#define SCRIPT_INT_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/map.h"
#include "base/vec.h"
#include "script/script.h"

/* --- the box: script_box.c -------------------------------------------- */

enum box_spent { SPENT_NOTHING, SPENT_STEPS, SPENT_TIME, SPENT_MEMORY };

/* Whom now(), random() and In() answer for during one evaluation. */
struct box_host {
	int64_t now_ms;
	uint64_t *rng;
	bool (*in)(void *ctx, const char *state_id); /* NULL: there is no In() */
	void *ctx;
};

struct script {
	lua_State *L;
	struct script_limits limits;
	struct clock clock;

	/* The evaluation in progress. */
	bool is_guarded;
	enum box_spent spent; /* once set, no script code runs on */
	int64_t steps_left;
	int64_t deadline_ns; /* 0 until the first hook: short evaluations never ask the clock */
	size_t bytes_used, bytes_max;
	size_t longest; /* string made so far: comparing long ones takes long */
	int refusals;   /* allocations refused so far */
	struct box_host host;
	bool has_asked; /* now(), today() or random() was called */

	int globals_ref; /* the box's functions */
	const void *list_metatable;
	struct map charts;    /* of struct chart_code, script_chart.c */
	struct map rulesets;  /* of struct rule_code, script_rule.c */
	struct map templates; /* of struct template_code, script_template.c */
	uint64_t uses;        /* counts, to find the oldest of a cache */
};

static inline struct script *box_of(lua_State *L)
{
	return *(struct script **)lua_getextraspace(L);
}

/* Ends the evaluation; no pcall of a script stops it. */
void box_spend(lua_State *L, enum box_spent why) ATTR_NORETURN;
void box_charge_slow(lua_State *L);
/* Work done inside a library function: one step and one more for each 64 bytes or elements. */
static inline void box_charge(lua_State *L, size_t amount)
{
	struct script *script = box_of(L);
	script->steps_left -= 1 + (int64_t)(amount / 64);
	if (script->steps_left < 0)
		box_charge_slow(L);
}

/*
 * Calls the function below its nargs arguments with the budget of steps.  0:
 * nresults values are on the stack.  Else a Lua status, and one error value is.
 */
int box_call(struct script *script, int nargs, int nresults, const struct box_host *host,
             int64_t steps);
/* The same with however many values it returns; *ret_results of them are on the stack. */
int box_call_any(struct script *script, int nargs, const struct box_host *host, int64_t steps,
                 int *ret_results);
/* Compiles prefix + code as text; pushes the function, or the error value with a Lua status. */
int box_load(struct script *script, const char *prefix, struct str code, const char *chunk_name);
/* Pops the error value; its sentence without the chunk's name goes to text, its line is returned
 * (0: unknown).  Non-strings are described. */
int box_error_text(struct script *script, char *text, size_t size);
/* ERR_BLOCKED and true when the evaluation ran out of something; the error value stays. */
bool box_is_spent(const struct script *script, struct err *err);
/* Compiles without a script; the message begins with the chunk's name where that is not "=lua". */
int box_compiles(const char *prefix, struct str code, const char *chunk_name, struct err *err);
/* Pushes a copy of the box's functions without In(). */
void box_push_functions(struct script *script);

/* --- growing text inside guarded code: script_out.c ------------------- */

/* Bytes in a userdata at a stack index, so that an error frees them. */
struct out {
	lua_State *L;
	int index;
	char *bytes;
	size_t len, size;
	size_t owed; /* bytes not yet charged */
};

void out_init(struct out *out, lua_State *L); /* pushes one value */
char *out_room(struct out *out, size_t more); /* charges; then set len */
void out_add(struct out *out, const char *bytes, size_t len);
void out_push(struct out *out); /* pushes the string; the userdata stays */

/* --- the functions of the box ----------------------------------------- */

void box_open_base(struct script *script, int globals);    /* script_base.c */
void box_open_string(struct script *script, int globals);  /* script_string.c */
void box_open_table(struct script *script, int globals);   /* script_table.c */
void box_open_math(struct script *script, int globals);    /* script_math.c */
void box_open_helpers(struct script *script, int globals); /* script_helpers.c */
/* Fills a new frozen library table name of globals; pushes its backing. */
void box_library(struct script *script, int globals, const char *name, const luaL_Reg *functions);
bool box_knows(const char *name); /* is it a name that the box defines? */

/* tostring() without addresses; pushes a string. */
void box_tostring(lua_State *L, int index);
/* The pattern functions: find, match, gmatch, gsub (script_match.c). */
int box_string_find(lua_State *L);
int box_string_match(lua_State *L);
int box_string_gmatch(lua_State *L);
int box_string_gsub(lua_State *L);
int box_string_format(lua_State *L); /* script_format.c */

/* --- values: script_value.c ------------------------------------------- */

enum frozen_kind { FROZEN_NONE, FROZEN_LIBRARY, FROZEN_EVENT, FROZEN_IO };

void value_push_null(lua_State *L);
bool value_is_null(lua_State *L, int index);
void value_mark_list(lua_State *L, int index);
bool value_is_marked(lua_State *L, int index);
/* Replaces the table on top, the contents, by a frozen table over it. */
void value_freeze(lua_State *L, enum frozen_kind kind);
/* Pushes the table whose raw contents the table at index shows: itself or its backing. */
enum frozen_kind value_contents(lua_State *L, int index);
/* The keys of the table at index, numbers before strings, as a new list on top; -1 and nothing
 * pushed when a key is neither. */
int value_push_sorted_keys(lua_State *L, int index);

/* Pushes what stands at "a.b[1].c" (indices from 1) below the table at index, nil when there is
 * nothing; false and nothing pushed when the path is malformed. */
bool value_push_path(lua_State *L, int index, const char *path);
bool value_is_path(const char *path);

/* Pushes a copy. */
void value_push_json(lua_State *L, const json_t *json);
/* name begins the path of an error: "facts.crm[2] is a function".  *ret is new, NULL for nil. */
int value_to_json(lua_State *L, int index, const char *name, json_t **ret,
                  struct err *err) ATTR_MUST_USE;
/* Would value_to_json succeed? */
int value_check(lua_State *L, int index, const char *name, struct err *err) ATTR_MUST_USE;

/* Keys of the table at index in order; strings are borrowed from the table. */
struct value_key {
	const char *text; /* NULL: number is the key */
	size_t len;
	lua_Integer number;
};
struct value_keys {
	struct value_key *at;
	size_t len, size;
	bool is_list, has_bad; /* dense 1..n; a key that is neither an integer nor a string */
};
void value_keys_read(lua_State *L, int index, struct value_keys *keys);
void value_keys_sort(struct value_keys *keys);

/* --- reading Lua without running it: script_scan.c -------------------- */

enum scan_flag {
	SCAN_INDEX_WRITE = 1 << 0, /* t.x = ..., function t.f(), to more than a fresh table */
	SCAN_GLOBAL_WRITE = 1 << 1,
	SCAN_UPVALUE_WRITE = 1 << 2, /* a function assigns a local of an outer one */
	SCAN_MUTATOR = 1 << 3,       /* names table (but .concat, .unpack) or list */
	SCAN_CALL = 1 << 4,          /* calls anything */
	SCAN_ENV = 1 << 5,           /* names _ENV */
	SCAN_DEEP_WRITE = 1 << 6     /* SCAN_INDEX_WRITE inside of a function */
};
/* Code with none of these changes no table that it did not make itself. */
#define SCAN_WRITES (SCAN_INDEX_WRITE | SCAN_GLOBAL_WRITE | SCAN_UPVALUE_WRITE | SCAN_MUTATOR)
/* Code with none of these makes functions of which that is true. */
#define SCAN_LATER_WRITES (SCAN_DEEP_WRITE | SCAN_GLOBAL_WRITE | SCAN_UPVALUE_WRITE | SCAN_MUTATOR)

enum scan_use { SCAN_READ, SCAN_WRITE, SCAN_POWER };
typedef void scan_found(void *arg, enum scan_use use, struct str name, int line);

/* Flags of a chunk that compiles; found may be NULL.  Names that the box defines are not found. */
unsigned scan_chunk(struct str code, scan_found *found, void *arg);
/* Is it exactly one expression (given that "return " + code compiles)? */
bool scan_expression(struct str code, unsigned *flags, scan_found *found, void *arg);
/* Is it a location: a name with .name and [expression] behind it?  *base is the name. */
bool scan_location(struct str code, struct str *base, bool *is_plain);
bool scan_is_name(struct str text); /* a Lua name that is no reserved word */

/* --- compiled charts: script_chart.c ---------------------------------- */

enum chart_role { ROLE_VALUE, ROLE_SCRIPT, ROLE_SET, ROLE_GET };

/* What is known of one chart_expr in one script; filled when first used. */
struct expr_code {
	char *error; /* why it does not compile; NULL: it does */
	int error_line;
	char *base; /* of a location; of a value that is a path: name or name.field.field */
	bool is_path;
	bool is_plain;
	bool is_compiled, is_readable; /* under id + 1; under -(id + 1) for ROLE_GET */
	bool is_text_known;
	unsigned flags;
	json_t *text; /* of inline text */
};

struct chart_code {
	const struct chart *chart;
	size_t sessions;
	uint64_t last_use;
	int chunks_ref;
	struct expr_code *exprs; /* chart->expr_count */
};

struct chart_code *chart_code_get(struct script *script, const struct chart *chart);
void chart_code_put(struct script *script, struct chart_code *code);
void chart_code_release_all(struct script *script);
/* Pushes the compiled function of expr; ERR_INPUT when it does not compile. */
int chart_code_push(struct script *script, struct chart_code *code, const struct chart_expr *expr,
                    enum chart_role role, struct expr_code **ret, struct err *err) ATTR_MUST_USE;
/* Sets err from a failed evaluation of expr; pops the error value. */
int chart_code_failed(struct script *script, const struct chart_expr *expr, enum chart_role role,
                      struct err *err);

/* --- the data model: script_datamodel.c, script_eval.c, script_save.c - */

struct datamodel {
	struct script *script;
	struct chart_code *code;
	uint64_t rng;
	int64_t now_ms;
	bool (*in)(void *ctx, const char *state_id);
	void *ctx;
	int env_ref;         /* data: the _ENV of every chunk */
	int system_ref;      /* system variables and the chart's functions: behind env */
	int declared_ref;    /* name -> true */
	int holder_ref;      /* a function whose _ENV upvalue all chunks join */
	bool is_loading;     /* the document-level script runs: it may make globals */
	bool has_library;    /* it made functions */
	bool is_suspect;     /* anything may have been written since the last check */
	struct map suspects; /* names written at an index since the last check */
	size_t slots;        /* values that the chart's functions keep between calls */
	struct event event;  /* what _event will be when anybody looks; see has_event */
	bool has_event;
};

void datamodel_declare(struct datamodel *dm, const char *name);
bool datamodel_is_declared(struct datamodel *dm, const char *name);
bool datamodel_is_system(const char *name); /* _event, _name, ... */
void datamodel_push_ref(struct datamodel *dm, int ref);
void datamodel_set(struct datamodel *dm, const char *name); /* pops the value */
int datamodel_load_scripts(struct datamodel *dm, struct err *err);
void datamodel_set_event_value(struct datamodel *dm); /* pops the value of _event */
/* Before anything looks at _event: makes it of the last event.  Most events nobody looks at. */
void datamodel_make_event(struct datamodel *dm);
/* Pushes the value of expr. */
int datamodel_eval(struct datamodel *dm, const struct chart_expr *expr, struct err *err);
/* Stores the value on top of the stack; pops it in any case. */
int datamodel_store(struct datamodel *dm, const struct chart_expr *location, struct err *err);
/* err_wrap() with the place of expr, where there is one. */
int datamodel_place(struct err *err, const struct chart_expr *expr);

/* The operations of machine/datamodel.h: script_eval.c, script_foreach.c. */
int datamodel_eval_bool(struct datamodel *dm, const struct chart_expr *expr, bool *ret,
                        struct err *err);
int datamodel_eval_json(struct datamodel *dm, const struct chart_expr *expr, json_t **ret,
                        struct err *err);
int datamodel_eval_string(struct datamodel *dm, const struct chart_expr *expr, char **ret,
                          struct err *err);
int datamodel_eval_text(struct datamodel *dm, uint32_t id, const char *text, bool is_xml,
                        json_t **ret, struct err *err);
int datamodel_eval_location(struct datamodel *dm, const struct chart_expr *location, json_t **ret,
                            struct err *err);
int datamodel_assign(struct datamodel *dm, const struct chart_expr *location,
                     const struct chart_expr *expr, struct err *err);
int datamodel_assign_json(struct datamodel *dm, const struct chart_expr *location,
                          const json_t *value, struct err *err);
int datamodel_assign_text(struct datamodel *dm, const struct chart_expr *location, uint32_t id,
                          const char *text, bool is_xml, struct err *err);
int datamodel_script(struct datamodel *dm, const struct chart_expr *expr, struct err *err);
int datamodel_init_data(struct datamodel *dm, const struct chart_data *data, const json_t *value,
                        struct err *err);
int datamodel_foreach_begin(struct datamodel *dm, const struct chart_expr *array,
                            const struct chart_expr *item, const struct chart_expr *index,
                            void **ret, struct err *err);
int datamodel_foreach_next(struct datamodel *dm, void *iter, bool *more, struct err *err);
void datamodel_foreach_end(struct datamodel *dm, void *iter);

struct box_host datamodel_host(struct datamodel *dm);

json_t *script_save(struct datamodel *dm);
int script_restore(struct datamodel *dm, const json_t *saved, struct err *err);
/* How many values the chart's functions keep (their upvalues, fields of their tables); -1: one of
 * them cannot be kept. */
long script_count_slots(struct datamodel *dm);
int script_render(struct datamodel *dm, const char *name, struct str source, const json_t *extra,
                  char **ret, struct err *err);

/* --- caches of the rest ----------------------------------------------- */

void rule_code_release_all(struct script *script);
void template_code_release_all(struct script *script);

#endif
