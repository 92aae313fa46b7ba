/* SPDX-License-Identifier: MIT */
/*
 * The engine's lives in a world.  Phase 1: everything may happen, and what is
 * promised is held against the store at once.  Phase 2: disk, network, services,
 * clocks and people are well; every run must come to its end, and then all that
 * happened is looked at (sim_check.c).
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/must.h"
#include "script/script.h"
#include "sim.h"

enum { HEAL_S = 60 * 24 * 3600, EVENTS_MAX = 400000, COMPLAINTS_MAX = 20 };

void complain(struct world *world, const char *format, ...)
{
	char text[1000];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (world->complaint_count++ < COMPLAINTS_MAX)
		buf_printf(&world->complaints, "#   %s\n", text);
	say(world, "COMPLAINT %s", text);
}

void say(struct world *world, const char *format, ...)
{
	char text[1000];
	va_list args;
	if (!world->is_verbose)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	printf("# %12lld ms  %s\n", (long long)world->time.now_ms, text);
}

/* --- options ---------------------------------------------------------------------------------- */

/* Half of the faults are away in a world, the others more or less often. */
static int some(uint64_t *state, int most)
{
	struct rand rand = rand_seeded(state);
	if (rand_below(&rand, 2) == 0)
		return 0;
	return 1 + (int)rand_below(&rand, (uint64_t)most);
}

void options_choose(struct sim_options *options, uint64_t seed)
{
	uint64_t state = seed * 0x9e3779b97f4a7c15u + 99;
	struct rand rand = rand_seeded(&state);
	static const int64_t lives[] = { 0, 0, 12 * 3600000, 24 * 3600000 };
	*options = (struct sim_options){
		.seed = seed,
		.workers = 1 + (int)rand_below(&rand, SIM_WORKERS),
		.graphs = 1 + (int)rand_below(&rand, SIM_GRAPHS),
		.starts = 1 + (int)rand_below(&rand, SIM_STARTS),
	};
	int *const faults[] = {
		&options->crash_between, &options->crash_inside,  &options->disk_slow,
		&options->disk_error,    &options->disk_torn,     &options->read_error,
		&options->net_refuse,    &options->net_lose,      &options->net_late,
		&options->net_break,     &options->net_double,    &options->far_401,
		&options->far_429,       &options->far_500,       &options->far_after,
		&options->far_garbage,   &options->far_half,      &options->stall,
		&options->clock_jump,    &options->person_late,   &options->person_twice,
		&options->person_wrong,  &options->person_cancel, &options->edit,
		&options->break_graph,   &options->other_build,   &options->orderly
	};
	static const int most[] = { 8,   25,  300, 10,  20,  5,   200, 200, 200,
		                    100, 300, 100, 200, 200, 150, 100, 100, 30,
		                    300, 900, 500, 500, 40,  300, 200, 500, 4 };
	for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++)
		*faults[i] = some(&state, most[i]);
	options->key_life_ms = lives[rand_below(&rand, 4)];
	options->faults_ms = 60000 + (int64_t)rand_below(&rand, 6 * 3600000);
}

void options_print(const struct sim_options *o)
{
	printf("# seed %llu: %d workers, %d graphs, %d starts, faults for %lld s, keys kept for "
	       "%lld s\n"
	       "# per mille: crash between %d inside %d, orderly %d; disk slow %d error %d torn %d "
	       "read %d;\n"
	       "#   net refuse %d lose %d late %d break %d double %d; far 401 %d 429 %d 500 %d "
	       "after %d garbage %d half %d;\n"
	       "#   stall %d clock %d; people late %d twice %d wrong %d cancel %d; edit %d break "
	       "%d other build %d\n",
	       (unsigned long long)o->seed, o->workers, o->graphs, o->starts,
	       (long long)o->faults_ms / 1000, (long long)o->key_life_ms / 1000, o->crash_between,
	       o->crash_inside, o->orderly, o->disk_slow, o->disk_error, o->disk_torn,
	       o->read_error, o->net_refuse, o->net_lose, o->net_late, o->net_break, o->net_double,
	       o->far_401, o->far_429, o->far_500, o->far_after, o->far_garbage, o->far_half,
	       o->stall, o->clock_jump, o->person_late, o->person_twice, o->person_wrong,
	       o->person_cancel, o->edit, o->break_graph, o->other_build);
}

/* --- lives ------------------------------------------------------------------------------------ */

static void keep_line(void *ctx, const json_t *line)
{
	struct world *world = ctx;
	if (!world->is_verbose)
		return;
	char *text = json_dumps(line, JSON_COMPACT | JSON_SORT_KEYS);
	say(world, "log %s", text);
	free(text);
}

static void be_born(struct world *world, void *arg)
{
	struct err err = { 0 };
	(void)arg;
	if (world->engine)
		return;
	world->is_dead = false;
	world->life++;
	world->lives++;
	int build = lucky(world, world->options.other_build) ? 1 : 0;
	world->engine_options.plugins = world->plugins[build];
	world->engine_options.workers = lucky(world, 100) ? 1 + (int)chance(world, SIM_WORKERS)
	                                                  : world->options.workers;
	if (engine_open(&world->engine_options, &world->engine, &err) < 0) {
		say(world, "cannot start: %s", err.text);
		if (world->is_healed)
			complain(world, "P2: the engine does not start: %s", err.text);
		world->engine = NULL;
		(void)time_after(world, SIM_PEOPLE, 5000, be_born, NULL);
		return;
	}
	say(world, "life %d, build %d, %d workers", world->lives, build,
	    world->engine_options.workers);
}

static void check_handles(struct world *world)
{
	for (int i = 0; i < SIM_WORKERS; i++)
		if (world->time.loops[i].handles != 0)
			complain(world, "the engine is gone and left %d handles on loop %d",
			         world->time.loops[i].handles, i);
}

static void end_life(struct world *world, bool is_orderly)
{
	struct engine *engine = world->engine;
	say(world, "%s", is_orderly ? "stops" : "is dead");
	if (is_orderly && !world->is_dead) {
		engine_close(engine);
		world->stops++;
	} else {
		world->is_dead = true;
		engine_abandon(engine);
		world->crashes++;
	}
	world->engine = NULL;
	world->is_dead = true;
	for (int i = 0; i < SIM_OWNERS; i++)
		world->time.stalled_ms[i] = 0;
	check_handles(world);
	people_hear_of_death(world);
}

static void wait_for_birth(struct world *world)
{
	int64_t most = lucky(world, 50) ? 40 * 3600000LL : lucky(world, 200) ? 600000 : 3000;
	(void)time_after(world, SIM_PEOPLE, world->is_healed ? 100 : between(world, 50, most),
	                 be_born, NULL);
}

static void after_step(struct world *world)
{
	bool has_faults = !world->is_healed;
	if (!world->engine)
		return;
	if (has_faults && !world->is_dead && lucky(world, world->options.crash_between))
		world->is_dead = true;
	bool is_orderly = has_faults && !world->is_dead && lucky(world, world->options.orderly);
	if (world->is_dead || is_orderly) {
		end_life(world, is_orderly);
		wait_for_birth(world);
	}
}

/* --- phases ----------------------------------------------------------------------------------- */

static void suffer(struct world *world)
{
	while (world->time.now_ms < world->options.faults_ms && world->time.happened < EVENTS_MAX) {
		if (!time_step(world, world->options.faults_ms))
			break;
		after_step(world);
	}
}

static void tell_stuck(void *arg, const struct store_run *row)
{
	struct world *world = arg;
	if (row->status < STORE_ENDED)
		complain(world,
		         "P2: run %s of %s does not come to an end: status %d, wake %lld, %s",
		         row->id, row->graph, row->status, (long long)row->wake_ms, row->summary);
}

static void check_stuck(struct world *world)
{
	struct store_filter filter = { 0 };
	struct err err = { 0 };
	for (size_t i = 0; i < world->starts.len; i++)
		if (!world->starts.at[i]->id && !world->starts.at[i]->is_refused)
			complain(world, "P2: the start %s is not answered",
			         world->starts.at[i]->correlation_id);
	must(world->disk->ops->runs(world->disk, &filter, tell_stuck, world, &err) == 0);
}

/* Once more from the beginning: what is owed since something failed is made up for. */
static void settle(struct world *world)
{
	enum { SETTLE_MS = 60000 };
	end_life(world, true);
	be_born(world, NULL);
	int64_t end_ms = world->time.now_ms + SETTLE_MS;
	while (time_step(world, end_ms))
		after_step(world);
}

static void heal(struct world *world)
{
	int64_t end_ms = world->time.now_ms + (int64_t)HEAL_S * 1000;
	long begun = world->time.happened;
	say(world, "all is well from here on");
	world->is_healed = true;
	world->time.wall_off_ms = 0;
	for (int i = 0; i < world->options.graphs; i++) {
		world->graph_broken[i] = false;
		world->graph_version[i]++;
		graph_write(world, i);
	}
	if (!world->engine)
		be_born(world, NULL);
	for (int i = 0;; i++) {
		if (i % 64 == 0 && people_are_content(world)) {
			settle(world);
			return;
		}
		if (world->time.happened - begun > EVENTS_MAX || !time_step(world, end_ms))
			break;
		after_step(world);
	}
	if (!people_are_content(world))
		check_stuck(world);
}

/* --- a world ---------------------------------------------------------------------------------- */

static void world_init(struct world *world, const struct sim_plan *plan)
{
	options_choose(&world->options, plan->seed);
	world->is_verbose = plan->is_verbose;
	buf_init(&world->complaints, 1 << 16);
	world->folder = mem_dup_str(plan->folder);
	world->plugins[0] = plan->builds[0];
	world->plugins[1] = plan->builds[1];
	time_init(world, plan->seed);
	disk_init(world);
	far_init(world);
	graphs_init(world);
	people_init(world);
	world->connections = far_connections(&world->options);
	world->engine_options = (struct engine_options){
		.store_path = "memory:",
		.graphs = mem_format("%s/graphs", plan->folder),
		.rules = mem_format("%s/rules", plan->folder),
		.prompts = mem_format("%s/prompts", plan->folder),
		.artifacts = "files",
		.connections = world->connections,
		.version = "sim",
		.clock = time_clock(world),
		.scripting = &script_ops,
		.log = keep_line,
		.log_ctx = world,
		.ground = &world->ground,
	};
}

static void world_release(struct world *world)
{
	if (world->engine)
		engine_close(world->engine);
	check_handles(world);
	people_release(world);
	far_release(world);
	disk_release(world);
	time_release(world);
	json_decref(world->connections);
	free((char *)(uintptr_t)world->engine_options.graphs);
	free((char *)(uintptr_t)world->engine_options.rules);
	free((char *)(uintptr_t)world->engine_options.prompts);
	free(world->folder);
	buf_release(&world->complaints);
}

void world_play(const struct sim_plan *plan, struct sim_result *ret)
{
	struct world *world = mem_alloc(sizeof(*world));
	world_init(world, plan);
	be_born(world, NULL);
	suffer(world);
	heal(world);
	check_world(world);
	engine_close(world->engine);
	world->engine = NULL;
	check_handles(world);
	*ret = (struct sim_result){
		.trace = world->time.trace,
		.virtual_ms = world->time.now_ms,
		.events = world->time.happened,
		.records = world->seen.records,
		.requests = world->seen.requests,
		.lives = world->lives,
		.crashes = world->crashes,
		.runs = (long)json_object_size(world->run_ids),
		.unsure = world->seen.unsure,
		.blocked = world->seen.blocked,
		.late = world->seen.late,
		.complaints = world->complaint_count ? mem_dup_str(world->complaints.bytes) : NULL,
	};
	world_release(world);
	free(world);
}
