/* SPDX-License-Identifier: MIT */
/*
 * What happens next.  Events have a time; at the same time the owners take turns
 * that the seed gives, and each owner keeps its own order.  An owner that stands
 * still does nothing until it goes on: its events wait.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/must.h"
#include "sim.h"

struct sim_event {
	int64_t at_ms;
	uint64_t turn, number;
	enum sim_owner owner;
	sim_cb *cb;
	void *arg;
	bool is_dropped;
};

struct loop_timer {
	struct sim_event *event;
	struct sim_loop *loop;
	loop_timer_cb *cb;
	void *arg;
};

struct loop_wake {
	struct sim_event *event; /* NULL: not sent */
	struct sim_loop *loop;
	loop_wake_cb *cb;
	void *arg;
};

/* --- chance ----------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9u;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

uint64_t chance(struct world *world, uint64_t below)
{
	struct rand rand = rand_seeded(&world->time.rand);
	return rand_below(&rand, below);
}

bool lucky(struct world *world, int per_mille)
{
	return per_mille > 0 && chance(world, 1000) < (uint64_t)per_mille;
}

int64_t between(struct world *world, int64_t least, int64_t most)
{
	return least + (int64_t)chance(world, (uint64_t)(most - least + 1));
}

void trace_text(struct world *world, const char *text)
{
	uint64_t hash = world->time.trace;
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 1099511628211u;
	world->time.trace = mix(hash ^ (uint64_t)world->time.now_ms);
}

/* --- the heap --------------------------------------------------------------------------------- */

static bool is_before(const struct sim_event *a, const struct sim_event *b)
{
	if (a->at_ms != b->at_ms)
		return a->at_ms < b->at_ms;
	if (a->turn != b->turn)
		return a->turn < b->turn;
	return a->number < b->number;
}

static void heap_push(struct sim_time *time, struct sim_event *event)
{
	if (time->len == time->size) {
		time->size = time->size ? time->size * 2 : 64;
		time->heap = mem_grow(time->heap, time->size, sizeof(struct sim_event *));
	}
	size_t at = time->len++;
	for (size_t up; at > 0 && is_before(event, time->heap[up = (at - 1) / 2]); at = up)
		time->heap[at] = time->heap[up];
	time->heap[at] = event;
}

static struct sim_event *heap_pop(struct sim_time *time)
{
	struct sim_event *ret = time->heap[0], *last = time->heap[--time->len];
	size_t at = 0;
	for (;;) {
		size_t down = 2 * at + 1;
		if (down >= time->len)
			break;
		if (down + 1 < time->len && is_before(time->heap[down + 1], time->heap[down]))
			down++;
		if (!is_before(time->heap[down], last))
			break;
		time->heap[at] = time->heap[down];
		at = down;
	}
	if (time->len > 0)
		time->heap[at] = last;
	return ret;
}

static void schedule(struct world *world, struct sim_event *event, int64_t at_ms)
{
	event->at_ms = at_ms;
	event->turn = mix(world->options.seed ^ (uint64_t)at_ms * 31 ^ (uint64_t)event->owner);
	heap_push(&world->time, event);
}

struct sim_event *time_after(struct world *world, enum sim_owner owner, int64_t delay_ms,
                             sim_cb *cb, void *arg)
{
	struct sim_event *event = mem_alloc(sizeof(*event));
	event->owner = owner;
	event->cb = cb;
	event->arg = arg;
	event->number = world->time.numbers++;
	schedule(world, event, world->time.now_ms + (delay_ms > 0 ? delay_ms : 0));
	return event;
}

static void stall(struct world *world, enum sim_owner owner)
{
	if (owner > SIM_WRITER || world->is_healed || !lucky(world, world->options.stall))
		return;
	int64_t most = lucky(world, 100) ? 2 * 3600 * 1000 : 5000;
	world->time.stalled_ms[owner] = world->time.now_ms + between(world, 1, most);
}

bool time_step(struct world *world, int64_t until_ms)
{
	struct sim_time *time = &world->time;
	while (time->len > 0 && time->heap[0]->at_ms <= until_ms) {
		struct sim_event *event = heap_pop(time);
		if (event->is_dropped) {
			free(event);
			continue;
		}
		must(event->at_ms >= time->now_ms);
		time->now_ms = event->at_ms;
		if (time->stalled_ms[event->owner] > event->at_ms && !world->is_healed) {
			schedule(world, event, time->stalled_ms[event->owner]);
			continue;
		}
		sim_cb *cb = event->cb;
		void *arg = event->arg;
		enum sim_owner owner = event->owner;
		free(event);
		time->happened++;
		time->trace = mix(time->trace ^ (uint64_t)time->now_ms ^ (uint64_t)owner << 56);
		cb(world, arg);
		stall(world, owner);
		return true;
	}
	return false;
}

/* --- base/loop.h ------------------------------------------------------------------------------ */

static struct sim_loop *of(struct loop *loop)
{
	return (struct sim_loop *)(void *)loop;
}

static void timer_fired(struct world *world, void *arg)
{
	struct loop_timer *timer = arg;
	loop_timer_cb *cb = timer->cb;
	void *cb_arg = timer->arg;
	(void)world;
	timer->loop->handles--;
	free(timer);
	cb(cb_arg);
}

static struct loop_timer *timer_start(struct loop *loop, int64_t delay_ms, loop_timer_cb *cb,
                                      void *arg)
{
	struct loop_timer *timer = mem_alloc(sizeof(*timer));
	timer->loop = of(loop);
	timer->cb = cb;
	timer->arg = arg;
	timer->loop->handles++;
	timer->event = time_after(timer->loop->world, (enum sim_owner)timer->loop->owner, delay_ms,
	                          timer_fired, timer);
	return timer;
}

static void timer_stop(struct loop *loop, struct loop_timer *timer)
{
	(void)loop;
	timer->event->is_dropped = true;
	timer->loop->handles--;
	free(timer);
}

/* Sockets and threads do not exist here. */
static struct loop_watch *watch_start(struct loop *loop, int fd, int want, loop_watch_cb *cb,
                                      void *arg)
{
	(void)loop;
	(void)fd;
	(void)want;
	(void)cb;
	(void)arg;
	must_not_reach();
}

static void watch_set(struct loop *loop, struct loop_watch *watch, int want)
{
	(void)loop;
	(void)watch;
	(void)want;
	must_not_reach();
}

static void watch_stop(struct loop *loop, struct loop_watch *watch)
{
	(void)loop;
	(void)watch;
	must_not_reach();
}

static void work(struct loop *loop, loop_work_cb *work_cb, loop_work_cb *done, void *arg)
{
	(void)loop;
	(void)work_cb;
	(void)done;
	(void)arg;
	must_not_reach();
}

static struct loop_wake *wake_new(struct loop *loop, loop_wake_cb *cb, void *arg)
{
	struct loop_wake *wake = mem_alloc(sizeof(*wake));
	wake->loop = of(loop);
	wake->cb = cb;
	wake->arg = arg;
	wake->loop->handles++;
	return wake;
}

static void woken(struct world *world, void *arg)
{
	struct loop_wake *wake = arg;
	(void)world;
	wake->event = NULL;
	wake->cb(wake->arg);
}

static void wake_send(struct loop_wake *wake)
{
	if (!wake->event)
		wake->event = time_after(wake->loop->world, (enum sim_owner)wake->loop->owner, 0,
		                         woken, wake);
}

static void wake_free(struct loop_wake *wake)
{
	if (wake->event)
		wake->event->is_dropped = true;
	wake->loop->handles--;
	free(wake);
}

/* --- clocks ----------------------------------------------------------------------------------- */

static int64_t wall_ms(void *ctx)
{
	const struct world *world = ctx;
	return (int64_t)SIM_START_MS * 1000 + world->time.now_ms + world->time.wall_off_ms;
}

static int64_t monotonic_ns(void *ctx)
{
	const struct world *world = ctx;
	return (1000 + world->time.now_ms) * 1000000;
}

struct clock time_clock(struct world *world)
{
	return (struct clock){ world, wall_ms, monotonic_ns };
}

void time_init(struct world *world, uint64_t seed)
{
	static const struct loop_ops ops = { timer_start, timer_stop, watch_start,
		                             watch_set,   watch_stop, work,
		                             wake_new,    wake_send,  wake_free };
	struct sim_time *time = &world->time;
	time->rand = mix(seed + 1);
	time->own_rand = mix(seed + 2);
	time->trace = mix(seed);
	for (int i = 0; i < SIM_WORKERS; i++) {
		struct sim_loop *loop = &time->loops[i];
		loop->base = (struct loop){ &ops, time_clock(world), rand_seeded(&time->own_rand) };
		loop->world = world;
		loop->owner = i;
	}
}

void time_release(struct world *world)
{
	for (size_t i = 0; i < world->time.len; i++)
		free(world->time.heap[i]);
	free(world->time.heap);
}
