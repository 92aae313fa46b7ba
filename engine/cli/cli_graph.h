/* SPDX-License-Identifier: MIT */
/*
 * What the commands about graphs share: a graph read from its file, and the
 * world in memory that graph exec and graph test run it in.
 */
#ifndef CLI_GRAPH_H
#define CLI_GRAPH_H

#include "base/map.h"
#include "chart/chart.h"
#include "cli/cli_int.h"
#include "machine/driver.h"

struct script;

/* --- a graph ------------------------------------------------------------------------- */

struct graph {
	char *path; /* as shown */
	char *folder;
	struct buf text;
	struct chart_folder files;
	struct chart *chart; /* NULL when it was refused; then diags say why */
	struct chart_diags diags;
};

/* Reads FILE, or the graph of that name; release it in any case. */
int graph_read(struct cli *cli, const char *name, struct graph *ret, struct err *err) ATTR_MUST_USE;
void graph_release(struct graph *graph);
/* What code and actions there are, for chart_check(); cli's plugins are loaded. */
struct chart_world graph_world(struct cli *cli);
/* Prints the findings, as text or JSON; gives the exit code: EXIT_USAGE when one is an error. */
int graph_print_diags(const struct cli *cli, const struct graph *graph);
int graph_read_whole(const char *path, struct buf *ret, struct err *err) ATTR_MUST_USE;

/* --- a world in memory ------------------------------------------------------------------ */

/*
 * Answers what a machine may ask within a step: rule sets are evaluated and
 * templates rendered, from the files as they are; plugin calls are checked but
 * not made.  Nothing leaves the process.
 */
struct world {
	struct cli *cli; /* its plugins may be NULL: then answers say what there is */
	const struct graph *graph;
	const json_t *answers;       /* as the driver's; an answered action is never inline */
	const struct driver *driver; /* whose clock counts; NULL: now_ms */
	int64_t now_ms;
	const char *run_id;
	void *owner;       /* whoever made it; the callbacks of a play find it here */
	bool trusts;       /* when no plugin at all is loaded, every plugin exists */
	json_t *advice;    /* {name: {"source","data","error"}} */
	json_t *artifacts; /* {"report.md": text}, by the name without the run's id */
	/* [{"call","params","result"|"error"}] of rules, templates, PURE actions. */
	json_t *inlined;
	struct machine_env env;
	struct script *script;
	struct map rules; /* name -> struct ruleset */
};

/* cli's configuration has been read.  The environment is world->env. */
void world_init(struct world *world, struct cli *cli, const struct graph *graph);
void world_release(struct world *world);
/* For another run in the same world: rule sets stay. */
void world_clear(struct world *world);
/* The driver's on_result: files what an advisory call said, or its fallback. */
int world_take_result(struct world *world, const json_t *effect, bool ok, const json_t *value,
                      struct err *err) ATTR_MUST_USE;
/* Are these answers as the driver takes them?  ERR_INPUT names the action. */
int world_check_answers(const json_t *answers, struct err *err) ATTR_MUST_USE;

#endif
