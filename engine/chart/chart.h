/* SPDX-License-Identifier: MIT */
/*
 * A chart is a compiled graph: immutable tables, shared by all runs and
 * threads.  States stand in document order, so that the descendants of state s
 * are exactly the indices s < i <= s.last; ancestry is two comparisons.
 *
 * Loading (chart_new) refuses what is no SCXML: malformed XML, limits, unknown
 * targets, duplicate ids (structural errors).  A broken Lua expression loads;
 * it raises its error when it is evaluated (Recommendation 5.9) and chart_check
 * reports it beforehand.
 *
 * Source: State Chart XML (SCXML), W3C Recommendation 1 September 2015.
 */
#ifndef CHART_H
#define CHART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"

#define CHART_NS_SCXML "http://www.w3.org/2005/07/scxml"
#define CHART_NS_GW "https://gangway.dev/ns/graph"
enum { CHART_NONE = -1 };

/* Where something stands in the author's file; both count from 1. */
struct chart_place {
	uint32_t line, column;
};

/*
 * A piece of the data model's language.  text is NULL when the attribute is
 * absent.  id is dense over the whole chart, 0 .. expr_count-1, so that the
 * data model can keep what it compiled in an array.
 */
struct chart_expr {
	const char *text;
	uint32_t id;
	struct chart_place at;
};

/* Either fixed text (attribute) or an expression (its ...expr twin), or neither. */
struct chart_value {
	const char *text;
	struct chart_expr expr;
};

struct chart_param {
	const char *name;
	struct chart_expr expr; /* expr or location: both are evaluated as a value */
	bool is_location;
	const char *render; /* gw:render: a template of the folder; expr may be absent */
	struct chart_place at;
};

/* <content>: an expression, or its children as text (XML children serialised,
 * XML declares is_xml). */
struct chart_content {
	bool present;
	struct chart_expr expr;
	const char *text; /* NULL when expr is given */
	bool is_xml;
	uint32_t id; /* in the numbering of chart_expr, for the inline text */
	struct chart_place at;
};

/* What <send>, <invoke> and <donedata> carry. */
struct chart_payload {
	const struct chart_expr *names; /* namelist: each a location; its text is also the key */
	size_t name_count;
	const struct chart_param *params;
	size_t param_count;
	struct chart_content content;
};

/* gw attributes of a dispatch (DESIGN.md 3); absent ones keep these defaults. */
struct chart_dispatch {
	const char *connection;                 /* NULL: the plugin's name */
	int64_t timeout_ms;                     /* -1: the connection's */
	int32_t retries;                        /* -1: the connection's */
	int64_t backoff_min_ms, backoff_max_ms; /* -1 */
	struct chart_expr each;                 /* gw:each */
	const char *as;                         /* gw:as; "item" by default */
	int32_t parallel;                       /* gw:parallel; 1 by default */
	const char *advisory;                   /* gw:advisory: name of the advice, or NULL */
	const char *fallback;                   /* gw:fallback */
	const char *on_unsure;                  /* "reconcile", "retry", "fail" */
};

enum chart_op_kind {
	OP_RAISE,
	OP_IF,
	OP_FOREACH,
	OP_LOG,
	OP_ASSIGN,
	OP_SCRIPT,
	OP_SEND,
	OP_CANCEL
};

struct chart_op;

/* A sequence of executable content; one handler (an <onentry>, a <transition>, ...). */
struct chart_block {
	const struct chart_op *ops;
	size_t count;
	struct chart_place at;
};

struct chart_branch {
	struct chart_expr cond; /* absent for else */
	struct chart_block block;
};

struct chart_send {
	struct chart_value event, target, type, delay;
	const char *id;
	struct chart_expr idlocation;
	struct chart_payload payload;
	struct chart_dispatch dispatch;
};

struct chart_op {
	enum chart_op_kind kind;
	struct chart_place at;
	union {
		struct {
			const char *event;
		} raise;
		struct {
			const struct chart_branch *branches;
			size_t count;
		} choice; /* OP_IF */
		struct {
			/* item and index are locations; index may be absent. */
			struct chart_expr array, item, index;
			struct chart_block block;
		} foreach;
		struct {
			const char *label;
			struct chart_expr expr;
		} log;
		struct {
			struct chart_expr location, expr;
			const char *text; /* children, when expr is absent */
			bool is_xml;
			uint32_t text_id; /* in the numbering of chart_expr */
		} assign;
		struct {
			struct chart_expr code;
		} script;
		struct chart_send send;
		struct {
			struct chart_value sendid;
		} cancel;
	};
};

struct chart_data {
	const char *id;
	struct chart_expr expr;
	const char *text; /* inline children or the file that src names */
	bool is_xml;
	uint32_t text_id;
	bool is_search;    /* gw:search */
	bool is_exclusive; /* gw:exclusive */
	struct chart_place at;
};

struct chart_invoke {
	int32_t state;  /* whose child it is */
	const char *id; /* NULL: generated when invoked */
	struct chart_expr idlocation;
	struct chart_value type, src;
	struct chart_payload payload;
	bool is_autoforward;
	bool has_finalize;
	struct chart_block finalize;
	struct chart_dispatch dispatch;
	struct chart_place at;
};

struct chart_transition {
	int32_t source;
	/* Descriptors with a trailing ".*" or "." removed; "*" alone matches all. */
	const char *const *events;
	size_t event_count; /* 0: eventless */
	struct chart_expr cond;
	const int32_t *targets; /* states and history states */
	size_t target_count;    /* 0: no target */
	bool is_internal;
	struct chart_block block;
	struct chart_place at;
	int32_t index; /* in chart->transitions */
};

enum chart_state_kind {
	STATE_ROOT, /* <scxml>; index 0 */
	STATE_ATOMIC,
	STATE_COMPOUND,
	STATE_PARALLEL,
	STATE_FINAL,
	STATE_HISTORY
};

struct chart_donedata {
	bool present;
	struct chart_payload payload;
	struct chart_place at;
};

struct chart_state {
	enum chart_state_kind kind;
	const char *id; /* never NULL; "_state.N" where the author gave none */
	bool has_id;
	int32_t parent;          /* CHART_NONE for the root */
	int32_t last;            /* index of the last descendant; its own when it has none */
	int32_t depth;           /* root: 0 */
	const int32_t *children; /* child states proper, document order, without history */
	size_t child_count;
	const int32_t *histories;
	size_t history_count;
	bool is_deep; /* history */
	/* Index into transitions: the initial transition of a compound state and of
	 * the root (synthesised when it is an attribute or the default), the default
	 * transition of a history state.  CHART_NONE otherwise. */
	int32_t initial;
	int32_t first_transition; /* the state's own transitions: contiguous, document order */
	size_t transition_count;
	const struct chart_block *onentry, *onexit;
	size_t onentry_count, onexit_count;
	const struct chart_invoke *invokes;
	size_t invoke_count;
	const struct chart_data *data;
	size_t data_count;
	struct chart_donedata donedata;
	const char *title, *note; /* gw:title, gw:note */
	struct chart_place at;
};

struct chart {
	const char *name;      /* of <scxml name>; else the file's stem; never NULL */
	const char *file;      /* shown in messages */
	const char *datamodel; /* "lua" or "null" */
	bool is_binding_late;
	bool on_error_block;                      /* gw:on-error="block" */
	const char *input_schema, *output_schema; /* gw:input, gw:output: files, or NULL */
	const struct chart_state *states;
	int32_t state_count;
	const struct chart_transition *transitions;
	int32_t transition_count;
	const struct chart_block *scripts; /* top-level <script>: 0 or 1 ops each */
	size_t script_count;
	uint32_t expr_count;
	char hash[65];         /* SHA-256 of the source text, hex */
	struct chart_int *own; /* private: memory and the reference count */
};

/* The files beside a graph: <script src>, <data src>, schemas, templates, child charts. */
struct chart_folder {
	void *ctx;
	/* name is relative and stays inside the folder; ERR_ABSENT when there is none. */
	int (*read)(void *ctx, const char *name, struct buf *ret, struct err *err);
};

struct chart_diag {
	bool is_error;    /* else a warning */
	const char *code; /* stable: "xml.dtd_forbidden", "graph.unknown_target", ... */
	struct chart_place at;
	char *text, *hint; /* hint may be NULL */
};

struct chart_diags {
	struct chart_diag *at;
	size_t len, size;
	size_t error_count;
};

/* Adds a finding; hint may be NULL.  Beyond 500
 * (300 warnings) the rest is left out; error_count counts all. */
void chart_diags_add(struct chart_diags *diags, bool is_error, const char *code,
                     struct chart_place at, const char *hint, const char *format, ...)
	ATTR_PRINTF(6, 7);
void chart_diags_release(struct chart_diags *diags);
/* [{"level","code","file","line","column","text","hint"}]; new. */
json_t *chart_diags_json(const struct chart_diags *diags, const char *file);
/* "file:line:col: error: text [code]\n    hint: ..." a line each. */
void chart_diags_text(const struct chart_diags *diags, const char *file, struct buf *out);

/*
 * Compiles text.  file names it in messages; folder may be NULL (then nothing
 * can be included).  On ERR_INPUT or ERR_LIMIT diags (empty at first; may be
 * NULL) holds every structural finding and err the first, with its place in
 * front and its code as id.  *ret has one reference.
 */
int chart_new(struct str text, const char *file, const struct chart_folder *folder,
              struct chart_diags *diags, struct chart **ret, struct err *err) ATTR_MUST_USE;
struct chart *chart_ref(const struct chart *chart); /* thread-safe */
void chart_unref(const struct chart *chart);        /* NULL is fine */

/* CHART_NONE when there is none. */
int32_t chart_find(const struct chart *chart, const char *id);
static inline bool chart_is_descendant(const struct chart *chart, int32_t state, int32_t ancestor)
{
	return state > ancestor && state <= chart->states[ancestor].last;
}

/*
 * A duration as delays and gw:timeout write it: "1s", "1.5s", ".5s", "10ms",
 * "2m", "1h", "1d"; a bare number is milliseconds.  Blanks around it are fine.
 * ERR_INPUT for anything else, negative ones, and more than 10 years.
 */
int chart_parse_delay(const char *text, int64_t *ret_ms, struct err *err) ATTR_MUST_USE;
/*
 * The file of the graph's folder that src names: "file:" and leading "./" are
 * skipped; *ret points into src.  ERR_INPUT (scxml.foreign_src) for any other
 * scheme, an absolute path, or one that leaves the folder.
 */
int chart_src_path(const char *src, const char **ret, struct err *err) ATTR_MUST_USE;
/* Is this invoke type the built-in for charts: absent, "scxml",
 * or the URI with or without last slash? */
bool chart_is_scxml_type(const char *type);

/* What the checker asks of the world: whether code compiles,
 * what plugins offer.  Any may be NULL. */
struct chart_world {
	void *ctx;
	/* 0, or ERR_INPUT with the compiler's sentence.  is_statement:
	 * a script, else an expression. */
	int (*compiles)(void *ctx, const char *code, bool is_statement, struct err *err);
	/* Names that the code reads or writes as globals; each is given to found(). */
	void (*globals)(void *ctx, const char *code, bool is_statement,
	                void (*found)(void *arg, const char *name, bool is_write), void *arg);
	/* The action's description {"params":schema,"result":schema,"effect":"READ"}; borrowed;
	 * NULL when absent.  type alone (action NULL) asks whether the plugin exists. */
	const json_t *(*action)(void *ctx, const char *type, const char *action);
	/* Fills at most max names for "did you mean"; returns how many.  type NULL: plugins; else
	 * its actions.  A world may describe built-in types ("rules", "template", ...) too; what it
	 * does not know of them is no finding. */
	size_t (*names)(void *ctx, const char *type, const char **ret, size_t max);
};

/* All static rules of DESIGN.md 3 over a chart that loaded; appends to diags. */
void chart_check(const struct chart *chart, const struct chart_folder *folder,
                 const struct chart_world *world, struct chart_diags *diags);

/*
 * text laid out: indentation, blanks, attributes; comments, order and the author's line breaks
 * stay, and the chart is the same.  For text that chart_new did not call malformed ("xml.",
 * "limit."); idempotent.  out needs room: 128 MiB are enough for any graph within the limits.
 */
void chart_format(struct str text, struct buf *out);

/*
 * Pictures and text.  out needs room: 128 MiB are enough for any graph within the limits.
 */
/* The tables as text, for people and golden tests. */
void chart_dump(const struct chart *chart, struct buf *out);
/* Graphviz dot: nesting, regions, transitions with event and guard, invokes, tasks marked. */
void chart_dot(const struct chart *chart, struct buf *out);
void chart_mermaid(const struct chart *chart, struct buf *out);

/* How one state of a run is to look; NULL members keep the usual look. */
struct chart_look {
	const char *fill, *border; /* colours as "#rrggbb" */
	const char *note;          /* a line under the name: a duration, an error */
};
struct chart_paint {
	void *ctx;
	struct chart_look (*look)(void *ctx, int32_t state);
	/* How often was the transition taken?  Those that were stand out, others fade.
	 * May be NULL. */
	int (*taken)(void *ctx, int32_t transition);
};
/* chart_dot with the colours of a run; paint may be NULL. */
void chart_dot_painted(const struct chart *chart, const struct chart_paint *paint, struct buf *out);

#endif
