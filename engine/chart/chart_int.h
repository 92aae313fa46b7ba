/* SPDX-License-Identifier: MIT */
/*
 * What the files of chart/ share: the raw tree that chart_read makes of the
 * XML, the state of one compilation, and what a chart keeps for the checker.
 *
 * The way: guard (bytes) -> read (libxml2, raw tree) -> rules (which element
 * may stand where, with which attributes) -> build (tables).  The raw tree lives
 * in a scratch arena and is gone when chart_new returns.
 */
#ifndef CHART_INT_H
#define CHART_INT_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/vec.h"
#include "chart/chart.h"

enum { CHART_DIAGS_MAX = 500, CHART_WARNINGS_MAX = 300, CHART_NEAREST_MAX = 40 };

enum element {
	EL_SCXML,
	EL_STATE,
	EL_PARALLEL,
	EL_FINAL,
	EL_HISTORY,
	EL_INITIAL,
	EL_TRANSITION,
	EL_ONENTRY,
	EL_ONEXIT,
	EL_DATAMODEL,
	EL_DATA,
	EL_DONEDATA,
	EL_INVOKE,
	EL_FINALIZE,
	EL_PARAM,
	EL_CONTENT,
	EL_RAISE,
	EL_IF,
	EL_ELSEIF,
	EL_ELSE,
	EL_FOREACH,
	EL_LOG,
	EL_ASSIGN,
	EL_SCRIPT,
	EL_SEND,
	EL_CANCEL,
	EL_UNKNOWN /* of the SCXML namespace, but not in the Recommendation */
};

enum attr_space { ATTR_PLAIN, ATTR_GW, ATTR_FOREIGN };

struct xml_attr {
	const char *name, *value;
	enum attr_space space;
	struct chart_place at;
};

/* An element of the SCXML namespace that stands outside <content>, <data> and <assign>. */
struct xml_node {
	enum element kind;
	const char *name;
	const struct xml_attr *attrs;
	size_t attr_count;
	struct xml_node *parent, *first, *last, *next;
	const char
		*text;   /* the characters of an element that may hold text; NULL when XML is set */
	const char *xml; /* its children as XML text, when there is an element among them */
	bool is_refused; /* misplaced or unknown: reported, not built */
	struct chart_place at, text_at, end;
};

/* One compilation. */
struct compile {
	struct str text;
	const char *file;
	const struct chart_folder *folder;
	struct arena scratch;
	struct chart_diags *diags;
	struct chart *chart;
	int status; /* the first error's code: ERR_INPUT or ERR_LIMIT */
	size_t nearest_asked;
};

/* A finding that loading does not mind and chart_check reports. */
struct chart_finding {
	bool is_error;
	const char *code, *text, *hint;
	struct chart_place at;
};

/* gw:allow: warnings with these codes are wanted between begin and end. */
struct chart_allow {
	const char *const *codes;
	size_t code_count;
	const char *because; /* NULL: no reason was given, so nothing is silenced */
	struct chart_place begin, end;
};

struct chart_int {
	struct chart chart;
	struct arena arena;
	atomic_size_t references;
	struct map ids; /* state id -> &states[i] */
	VEC(struct chart_finding) findings;
	VEC(struct chart_allow) allows;
};

/* chart_diag.c: an error, which ends in refusal; a finding kept for the checker. */
void compile_error(struct compile *c, const char *code, struct chart_place at, const char *hint,
                   const char *format, ...) ATTR_PRINTF(5, 6);
void compile_limit(struct compile *c, const char *code, struct chart_place at, const char *format,
                   ...) ATTR_PRINTF(4, 5);
void compile_note(struct compile *c, bool is_error, const char *code, struct chart_place at,
                  const char *hint, const char *format, ...) ATTR_PRINTF(6, 7);
/* "did you mean 'x'?", or NULL; asked for a bounded number of findings only. */
const char *compile_nearest(struct compile *c, const char *name, const char *const *names,
                            size_t count);
void diags_sort(struct chart_diags *diags);
/* The same as chart_diags_add, with a va_list. */
void diags_add_va(struct chart_diags *diags, bool is_error, const char *code, struct chart_place at,
                  const char *hint, const char *format, va_list args) ATTR_PRINTF(6, 0);

/* chart_guard.c: bytes that must not reach the parser; false when something was refused. */
bool guard_source(struct compile *c);
struct chart_place place_in(struct str text, size_t offset);
bool text_has_bidi(const char *text);

/* chart_read.c: the raw tree in c->scratch; NULL when something was refused. */
struct xml_node *read_source(struct compile *c);

/* chart_rules.c */
enum element element_of(const char *name);
const char *element_name(enum element kind);
bool element_holds_text(enum element kind); /* script, data, assign, content */
void rules_check(struct compile *c, struct xml_node *root);
const struct xml_attr *node_attr(const struct xml_node *node, const char *name);
const struct xml_attr *node_gw(const struct xml_node *node, const char *name);
/* Blank-separated words, copied into the arena. */
const char *const *split_words(struct arena *arena, const char *text, size_t *ret_count);
bool is_blank(const char *text);

/* chart_content.c: executable content and payloads. */
struct chart_expr content_expr(struct compile *c, const struct xml_attr *attr);
struct chart_block content_block(struct compile *c, const struct xml_node *node);
struct chart_payload content_payload(struct compile *c, const struct xml_node *node);
struct chart_invoke content_invoke(struct compile *c, const struct xml_node *node, int32_t state);
struct chart_data content_data(struct compile *c, const struct xml_node *node);

/* chart_dispatch.c */
struct chart_dispatch content_dispatch(struct compile *c, const struct xml_node *node);
bool read_truth(struct compile *c, const struct xml_attr *attr); /* absent: false */

/* chart_walk.c: every piece of code of a chart, in the order of the tables. */
enum code_kind {
	CODE_VALUE, /* an expression */
	CODE_COND,
	CODE_PLACE, /* a location that is written: <assign>, idlocation, <foreach item> */
	CODE_READ,  /* a location that is read: namelist, <param location> */
	CODE_SCRIPT
};

struct code {
	enum code_kind kind;
	const struct chart_expr *expr;
	int32_t state;                             /* where it stands; 0 for top-level scripts */
	const struct chart_transition *transition; /* NULL outside transitions */
};

struct walker {
	void *ctx;
	void (*code)(void *ctx, const struct code *code); /* any of the three may be NULL */
	void (*op)(void *ctx, int32_t state, const struct chart_op *op);
	void (*invoke)(void *ctx, const struct chart_invoke *invoke);
};
void walk_chart(const struct chart *chart, const struct walker *walker);

/* The checker: chart_check.c and its parts. */
struct checker {
	const struct chart *chart;
	const struct chart_folder *folder;
	const struct chart_world *world; /* never NULL; its members may be */
	struct arena arena;
	VEC(struct chart_diag) found; /* text and hint in arena */
	size_t nearest_asked;
};
void check_error(struct checker *k, const char *code, struct chart_place at, const char *hint,
                 const char *format, ...) ATTR_PRINTF(5, 6);
void check_warn(struct checker *k, const char *code, struct chart_place at, const char *hint,
                const char *format, ...) ATTR_PRINTF(5, 6);
const char *check_nearest(struct checker *k, const char *name, const char *const *names,
                          size_t count);
/* 0, or what the folder says; without a folder ERR_ABSENT.  text is to be released. */
int check_read(struct checker *k, const char *name, struct buf *text, struct err *err);
void check_flow(struct checker *k);   /* chart_check_flow.c: unreachable, trap, shadowed */
void check_cycles(struct checker *k); /* chart_check_cycle.c */
void check_calls(struct checker *k);  /* chart_check_calls.c: invokes and sends */
void check_params(struct checker *k, const struct chart_payload *payload, const json_t *action,
                  const char *what, struct chart_place at); /* chart_check_params.c */
void check_results(struct checker *k);
void check_code(struct checker *k); /* chart_check_code.c: Lua */

/* chart_tree.c: questions about states that several parts ask. */
/* The compound state or root that a transition with targets does not leave (appendix D). */
int32_t tree_domain(const struct chart *chart, const struct chart_transition *transition);
/* The innermost state that contains both or is one of them. */
int32_t tree_common(const struct chart *chart, int32_t a, int32_t z);
/* In different regions of one parallel? */
bool tree_is_orthogonal(const struct chart *chart, int32_t a, int32_t z);
/* Does the descriptor take events of this name (SCXML 3.12.1)? */
bool tree_matches(const char *descriptor, const char *name);

/* chart_label.c: what pictures say; each appends to out, cut to what fits. */
const char *label_name(const struct chart_state *state); /* its title, else its id */
/* "event other [guard]", with between instead of the blanks */
void label_transition(const struct chart_transition *transition, const char *between,
                      struct buf *out);
/* "salesforce.onboarding", "approval legal", "chart child.scxml" */
void label_invoke(const struct chart_invoke *invoke, struct buf *out);
/* "slack.post" for each send of the block to a plugin, blank-separated. */
void label_sends(const struct chart_block *block, struct buf *out);
bool invoke_is_task(const struct chart_invoke *invoke);
bool state_has_task(const struct chart_state *state);
/* Appends text with at most max characters, blanks folded, "..." where it was cut. */
void label_cut(const char *text, size_t max, struct buf *out);

/* chart_build.c: fills c->chart. */
void build_chart(struct compile *c, const struct xml_node *root);

#endif
