/* SPDX-License-Identifier: MIT */
/*
 * The data model of one session, as the machine sees it.  script/ fills this
 * table for "lua"; machine/ has the null data model and tests have toy ones.
 *
 * Two kinds of failure.  ERR_INPUT is an error of the author's expression: the
 * machine raises error.execution and goes on as the Recommendation says.
 * ERR_BLOCKED is one that no chart may catch (a budget, data that cannot be
 * kept): the step fails and the machine is spoiled.
 *
 * Thread: one at a time; a data model belongs to one machine.
 */
#ifndef MACHINE_DATAMODEL_H
#define MACHINE_DATAMODEL_H

#include "base/err.h"
#include "base/json.h"
#include "chart/chart.h"
#include "machine/event.h"

struct datamodel; /* the implementer's */

struct datamodel_setup {
	const struct chart *chart;
	const char *session_id; /* _sessionid */
	const char *name;       /* _name */
	/* _ioprocessors: type URI or short name -> {"location": ...}; borrowed during create. */
	const json_t *ioprocessors;
	uint64_t seed; /* of random() */
	/* In(id): is the state active? */
	bool (*in)(void *ctx, const char *state_id);
	/* log lines of scripts (print); may be NULL */
	void *ctx;
};

struct datamodel_ops {
	const char *name; /* "lua", "null" */
	int (*create)(void *factory, const struct datamodel_setup *setup, struct datamodel **ret,
	              struct err *err);
	void (*free)(struct datamodel *dm);

	/* Before each macrostep: what now() answers until the next call;
	 * never goes back within a run. */
	void (*set_now)(struct datamodel *dm, int64_t now_ms);
	/* The document-level <script>: runs once, at start; with early binding after the data got
	 * their values, with late binding before (appendix D). */
	int (*load_script)(struct datamodel *dm, const struct chart_expr *code, struct err *err);

	/* Makes the variable exist, without a value. */
	void (*declare)(struct datamodel *dm, const char *id);
	/* Gives a <data> its value: from value when it is not NULL (input, invoke params), else
	 * from its own expr or text.  On failure the variable exists without a value. */
	int (*init_data)(struct datamodel *dm, const struct chart_data *data, const json_t *value,
	                 struct err *err);

	/* event NULL: no event (_event is nil).  Data is copied in. */
	void (*set_event)(struct datamodel *dm, const struct event *event);

	int (*eval_bool)(struct datamodel *dm, const struct chart_expr *expr, bool *ret,
	                 struct err *err);
	/* A new JSON value; *ret NULL means "no value" (nil). */
	int (*eval_json)(struct datamodel *dm, const struct chart_expr *expr, json_t **ret,
	                 struct err *err);
	/* A new string, to be freed (numbers are converted); ERR_INPUT for other values. */
	int (*eval_string)(struct datamodel *dm, const struct chart_expr *expr, char **ret,
	                   struct err *err);
	/* Inline text as DESIGN.md 3 says: a Lua value if it evaluates in an empty environment,
	 * else a space-normalised string; XML children are their text.  Also used for <content>
	 * children. */
	int (*eval_text)(struct datamodel *dm, uint32_t id, const char *text, bool is_xml,
	                 json_t **ret, struct err *err);
	/* The value of a location named in namelist or <param location>. */
	int (*eval_location)(struct datamodel *dm, const struct chart_expr *location, json_t **ret,
	                     struct err *err);

	/* <assign>: aliases tables when expr is a table in place, as Lua does. */
	int (*assign)(struct datamodel *dm, const struct chart_expr *location,
	              const struct chart_expr *expr, struct err *err);
	int (*assign_text)(struct datamodel *dm, const struct chart_expr *location, uint32_t id,
	                   const char *text, bool is_xml, struct err *err);
	/* Stores a value the machine made: idlocation, finalize without content. */
	int (*assign_json)(struct datamodel *dm, const struct chart_expr *location,
	                   const json_t *value, struct err *err);
	int (*script)(struct datamodel *dm, const struct chart_expr *code, struct err *err);

	/*
	 * <foreach>: begin checks array, item and index (ERR_INPUT: illegal) and takes a snapshot
	 * of 1..#t; next sets item and index and answers *more false at the end; end always follows
	 * a successful begin.
	 */
	int (*foreach_begin)(struct datamodel *dm, const struct chart_expr *array,
	                     const struct chart_expr *item, const struct chart_expr *index,
	                     void **iter, struct err *err);
	int (*foreach_next)(struct datamodel *dm, void *iter, bool *more, struct err *err);
	void (*foreach_end)(struct datamodel *dm, void *iter);

	/* After each macrostep: is everything still JSON-shaped (DESIGN 4)?  Cheap when nothing was
	 * written.  ERR_INPUT names the datum; the machine raises error.execution and the datum has
	 * no value afterwards. */
	int (*check)(struct datamodel *dm, struct err *err);
	/* All data as one JSON object, for people, --json, search keys and rules;
	 * aliases are copied; new. */
	json_t *(*snapshot)(struct datamodel *dm);
	/* Everything a restart needs, aliases numbered, _event included; new.  restore undoes it on
	 * a data model that was just created (declare, init_data and load_script are not called
	 * then; the implementer runs the document-level scripts itself to get the functions
	 * back). */
	json_t *(*save)(struct datamodel *dm);
	int (*restore)(struct datamodel *dm, const json_t *saved, struct err *err);
	/* Renders a template with the data model's globals plus the members of extra as globals
	 * (advice, run, ...).  *ret is to be freed.  NULL: not supported. */
	int (*render)(struct datamodel *dm, const char *name, struct str source,
	              const json_t *extra, char **ret, struct err *err);
};

extern const struct datamodel_ops datamodel_null_ops; /* SCXML B.1: In() only */

#endif
