/* SPDX-License-Identifier: MIT */
/*
 * Stories: a graph's tests, one JSON file each in the folder stories/ beside it
 * (docs/guide/stories.md).  What the files of graph test share.
 *
 * A suite is a folder with its graphs, stories and what they covered.  A play
 * is one story being told: a driver, the world it runs in, and what happened.
 */
#ifndef CLI_STORY_H
#define CLI_STORY_H

#include "base/bits.h"
#include "base/vec.h"
#include "cli/cli_graph.h"

enum { STORY_PARTS_DEEP = 8 };

/* --- a graph and what stories covered of it (cli_story_cover.c) ---------------------------- */

struct coverage {
	const struct chart *chart;
	uint64_t *states, *transitions; /* entered, taken; by any story */
};
void coverage_init(struct coverage *coverage, const struct chart *chart);
void coverage_release(struct coverage *coverage);
/* Does it count: a state with an own life, a transition that the author wrote? */
bool coverage_counts_state(const struct chart *chart, int32_t state);
bool coverage_counts_transition(const struct chart *chart, int32_t transition);
bool coverage_is_full(const struct coverage *coverage);
/* {"graph","states":{"covered","of","missing":[...]},"transitions":{...}}; new. */
json_t *coverage_json(const struct coverage *coverage);
/* "line 12: transition on done.invoke.x [cond] of state y"; to be freed. */
char *coverage_name_transition(const struct chart *chart, int32_t transition);

struct story_graph {
	char *file; /* in the folder */
	struct graph graph;
	struct coverage coverage;
};

struct suite {
	struct cli *cli;
	char *folder;                     /* of the graph */
	char *main_file;                  /* the graph that stories mean when they name none */
	VEC(struct story_graph *) graphs; /* in the order in which stories named them */
	json_t *stories;                  /* [{"file","story":resolved}] */
	struct map schemas;               /* what actions, graphs say: name -> struct schema */
};

/* --- reading (cli_story_read.c) ------------------------------------------------------------ */

/* Opens the folder: finds the stories and, when graph is NULL, the graph;
 * but reads no graph yet. */
int suite_open(struct cli *cli, const char *name, const char *graph, struct suite *ret,
               struct err *err) ATTR_MUST_USE;
void suite_release(struct suite *suite);
/* The graph of that file, read once; ERR_INPUT when it is refused. */
int suite_graph(struct suite *suite, const char *file, struct story_graph **ret,
                struct err *err) ATTR_MUST_USE;
/* {"result"}, {"error"} or {"file","with"} to one of the first two; new. */
int story_answer(const struct suite *suite, const json_t *given, json_t **ret,
                 struct err *err) ATTR_MUST_USE;

/* --- playing (cli_story_play.c) --------------------------------------------------------------- */

struct play {
	struct suite *suite;
	struct story_graph *graph;
	struct world world;
	struct driver_options options;
	struct driver *driver;
	json_t *calls;      /* [{"call","id","params","at_ms","number","result"?}] in order */
	json_t *lines;      /* stable configurations: {"at_ms","event","atomic"} */
	json_t *visited;    /* {state: true} */
	json_t *result;     /* of the run; NULL: not ended */
	json_t *checklists; /* {number: [items]} */
	json_t *differs;    /* ["data.decision: wanted \"BLOCK\", got \"PROCEED\""] */
	bool is_cancelled;
	struct err blocked; /* why the run cannot go on; code 0: it can */
};

/* Tells one story; differs is a new array, empty when all is as expected.  log, new:
 * what happened. */
void story_play(struct suite *suite, const json_t *story, json_t **ret_differs, json_t **ret_log);

/* --- comparing (cli_story_match.c) ------------------------------------------------------------ */

/*
 * Is everything that wanted says true of got (NULL: absent)?  Each difference is
 * added to differs as a sentence that begins with place; false when there is any.
 */
bool story_match(const json_t *wanted, const json_t *got, const char *place, json_t *differs);
void story_differs(json_t *differs, const char *format, ...) ATTR_PRINTF(2, 3);
/* A value as it is shown: canonical, cut; to be freed. */
char *story_show(const json_t *value);

/* --- people (cli_story_task.c) ---------------------------------------------------------------- */

/* {"task":id,"outcome",...}: what a person does.  A story's mistake is ERR_INPUT. */
int story_task(struct play *play, const json_t *step, struct err *err) ATTR_MUST_USE;
/* Calls of built-in types that need nobody: open checklists, what is overdue. */
int story_built_ins(struct play *play, struct err *err) ATTR_MUST_USE;
/* The open call of that id; NULL when there is none. */
const json_t *story_call(const struct play *play, const char *id);
/* Ends it; a graph that cannot go on is noted in play->blocked and is no failure here. */
int story_end_call(struct play *play, const json_t *effect, bool ok, const json_t *value,
                   struct err *err) ATTR_MUST_USE;
/* Whatever status a step of the driver gave: a graph that cannot go on blocks the play. */
int story_stepped(struct play *play, int status, struct err *err) ATTR_MUST_USE;

/* --- searching (cli_story_paths.c) ------------------------------------------------------------ */

/* Stories for the transitions that no story takes: {"stories":[...],"not_found":[...]}; new. */
json_t *suite_paths(struct suite *suite, struct err *err);

#endif
