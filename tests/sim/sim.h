/* SPDX-License-Identifier: MIT */
/*
 * The simulator: a seed makes a world - worker loops, disk, network, services,
 * people, graphs - and the engine lives in it, dies, and lives again.  One
 * thread, virtual time; the same seed gives the same world, event by event.
 *
 *   sim_time.c    what happens next: the clock, the loops, chance
 *   sim_disk.c    the store that tears, fails and lies in wait
 *   sim_far.c     the network and the services behind it
 *   sim_graph.c   the graphs and rules of the world, whole, changed and broken
 *   sim_people.c  who starts, signals, approves, cancels, mends
 *   sim_world.c   the engine's lives; phase 1 faults, phase 2 heals
 *   sim_check.c   what must hold (C1 to C8 of RELIABILITY.md)
 */
#ifndef SIM_H
#define SIM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/map.h"
#include "base/vec.h"
#include "plugin/plugin.h"
#include "run/engine.h"
#include "run/ground.h"

enum { SIM_WORKERS = 4, SIM_GRAPHS = 3, SIM_BLOCKS = 7, SIM_STARTS = 8, SIM_START_MS = 1795000000 };

struct world;

/* --- sim_time.c ------------------------------------------------------------------------------- */

/* Who an event belongs to: a worker, or one of these. */
enum sim_owner { SIM_WRITER = SIM_WORKERS, SIM_NETWORK, SIM_PEOPLE, SIM_OWNERS };

typedef void sim_cb(struct world *world, void *arg);

struct sim_event;

struct sim_loop {
	struct loop base; /* first */
	struct world *world;
	int owner;
	int handles; /* timers and wakes that are still there */
};

struct sim_time {
	int64_t now_ms;      /* monotonic */
	int64_t wall_off_ms; /* the wall clock, which jumps */
	uint64_t rand;       /* of the world */
	uint64_t own_rand;   /* of what the engine asks for */
	uint64_t numbers;
	struct sim_event **heap;
	size_t len, size;
	int64_t stalled_ms[SIM_OWNERS]; /* until when it does nothing */
	struct sim_loop loops[SIM_WORKERS];
	uint64_t trace; /* hash over all that happened */
	long happened;
};

void time_init(struct world *world, uint64_t seed);
void time_release(struct world *world);
struct sim_event *time_after(struct world *world, enum sim_owner owner, int64_t delay_ms,
                             sim_cb *cb, void *arg);
/* Runs the next event; false: there is none, or it lies beyond until_ms. */
bool time_step(struct world *world, int64_t until_ms);
struct clock time_clock(struct world *world);
uint64_t chance(struct world *world, uint64_t below); /* 0 .. below-1 */
bool lucky(struct world *world, int per_mille);
int64_t between(struct world *world, int64_t least, int64_t most);
void trace_text(struct world *world, const char *text);

/* --- what a seed chooses ---------------------------------------------------------------------- */

struct sim_options {
	uint64_t seed;
	int workers, graphs, starts;
	/* Per mille, of what is named, while there are faults. */
	int crash_between; /* events */
	int crash_inside;  /* commits, sends, answers, files */
	int disk_slow, disk_error, disk_torn, read_error;
	int net_refuse, net_lose, net_late, net_break, net_double;
	int far_401, far_429, far_500, far_after, far_garbage, far_half;
	int stall;      /* events after which a loop stands still */
	int clock_jump; /* looks of the operator at which the clock jumps */
	int person_late, person_twice, person_wrong, person_cancel;
	int edit, break_graph; /* looks at which files change */
	int other_build;       /* starts of the engine with the other build of the plugin */
	int orderly;           /* ends that are a stop, not a death */
	int64_t key_life_ms;   /* how long the services remember a key; 0: for ever */
	int64_t faults_ms;     /* length of phase 1 */
};

/* --- the world -------------------------------------------------------------------------------- */

/* A run that somebody wants. */
struct sim_start {
	int graph;
	char *correlation_id;
	json_t *input;
	char *id; /* acknowledged: the run's; NULL: not yet */
	bool is_refused;
	bool is_asking;
	bool wants_end;
};

/* What was acknowledged and must never be lost. */
struct sim_promise {
	char *run, *what, *value; /* what: "run", "signal", "task", "cancel" */
};

struct sim_exchange;

struct world {
	struct sim_options options;
	bool is_verbose;
	struct sim_time time;
	char *folder; /* of graphs and rules */
	struct engine *engine;
	struct engine_options engine_options;
	struct engine_ground ground;
	struct wire_far far;
	struct plugins *plugins[2]; /* the two builds; the main program's */
	json_t *connections;
	bool is_dead;   /* the process has died: nothing it does counts */
	bool is_healed; /* phase 2 */
	bool is_over;
	int lives, crashes, stops, edits;
	uint64_t life; /* number of this life: answers to older ones are dropped */

	struct store *disk; /* the memory store below */
	struct store *store;
	json_t *durable;  /* {key: request} of each request on record: what may leave */
	json_t *run_ids;  /* {run number: id} */
	json_t *files;    /* {name: text} written */
	struct buf heads; /* exported */
	bool is_writing;

	json_t *services; /* {key: {"body","n","applied","at"}} */
	json_t *tokens;   /* {token: valid until} */
	int64_t far_numbers;
	VEC(struct sim_exchange *) exchanges;
	json_t *repeated; /* {key: true}: a person said repeat, or the graph takes the risk */

	VEC(struct sim_start *) starts;
	VEC(struct sim_promise) promises;
	json_t *asked; /* {number: request} what people are about to ask */
	int graph_version[SIM_GRAPHS];
	bool graph_broken[SIM_GRAPHS];
	int64_t graph_seed[SIM_GRAPHS];
	long operator_numbers;

	struct buf complaints;
	int complaint_count;
	struct {
		long records, commits, requests, answers, signals, tasks, unsure, blocked, late;
	} seen;
};

/* Something is wrong with the engine: it is told with the seed. */
void complain(struct world *world, const char *format, ...) ATTR_PRINTF(2, 3);
void say(struct world *world, const char *format, ...) ATTR_PRINTF(2, 3);

/* --- sim_disk.c ------------------------------------------------------------------------------- */

void disk_init(struct world *world);
void disk_release(struct world *world);
/* A boundary of the process: it may die here.  True: it is dead. */
bool boundary(struct world *world, const char *where);

/* --- sim_far.c -------------------------------------------------------------------------------- */

void far_init(struct world *world);
void far_release(struct world *world);
json_t *far_connections(const struct sim_options *options); /* new */

/* --- sim_graph.c ------------------------------------------------------------------------------ */

void graphs_init(struct world *world);
/* Writes graph i as it is now: its version, whole or broken. */
void graph_write(struct world *world, int i);
const char *graph_name(int i);

/* --- sim_people.c ----------------------------------------------------------------------------- */

void people_init(struct world *world);
void people_release(struct world *world);
/* Whoever waited for an answer of the life that ended asks again. */
void people_hear_of_death(struct world *world);
bool people_are_content(struct world *world);

/* --- sim_world.c ------------------------------------------------------------------------------ */

struct sim_plan {
	uint64_t seed;
	bool is_verbose;
	struct plugins *builds[2];
	const char *folder; /* for the files of worlds */
};
struct sim_result {
	uint64_t trace;
	int64_t virtual_ms;
	long events, records, requests, lives, crashes, runs, unsure, blocked, late;
	char *complaints; /* NULL: none; to be freed */
};
void world_play(const struct sim_plan *plan, struct sim_result *ret);
void options_choose(struct sim_options *options, uint64_t seed);
void options_print(const struct sim_options *options);

/* --- sim_check.c ------------------------------------------------------------------------------ */

void check_world(struct world *world);
/* Asks the engine and drives the world until the answer is there; new, NULL: none came. */
json_t *world_ask(struct world *world, json_t *request_taken);

#endif
