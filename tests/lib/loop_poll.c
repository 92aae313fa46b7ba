/* SPDX-License-Identifier: MIT */
/* See loop_poll.h.  Small and slow on purpose: lists, no heaps. */
#include "loop_poll.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/must.h"

struct loop_timer {
	struct loop_timer *next;
	int64_t at_ms;
	uint64_t number; /* timers of the same time run in the order they were armed */
	loop_timer_cb *cb;
	void *arg;
};

struct loop_watch {
	struct loop_watch *next;
	int fd, want;
	bool is_stopped;
	loop_watch_cb *cb;
	void *arg;
};

struct loop_wake {
	struct loop_wake *next;
	struct loop_poll *poll;
	bool is_sent;
	loop_wake_cb *cb;
	void *arg;
};

struct work {
	struct work *next;
	struct loop_poll *poll;
	pthread_t thread;
	loop_work_cb *work, *done;
	void *arg;
	bool is_over; /* under the loop's lock */
};

struct loop_poll {
	struct loop loop; /* first: the operations get its address */
	struct clock real;
	int64_t offset_ms;
	uint64_t seed, numbers;
	struct loop_timer *timers;
	struct loop_watch *watches;
	struct loop_wake *wakes;
	struct work *works;
	pthread_mutex_t lock; /* of wakes and works */
	int bell[2];
};

static struct loop_poll *of(struct loop *loop)
{
	return (struct loop_poll *)(void *)loop;
}

static int64_t wall_ms(void *ctx)
{
	struct loop_poll *poll = ctx;
	return clock_wall_ms(&poll->real) + poll->offset_ms;
}

static int64_t monotonic_ns(void *ctx)
{
	struct loop_poll *poll = ctx;
	return clock_monotonic_ns(&poll->real) + poll->offset_ms * 1000000;
}

static int64_t now_ms(struct loop_poll *poll)
{
	return clock_monotonic_ms(&poll->loop.clock);
}

static struct loop_timer *timer_start(struct loop *loop, int64_t delay_ms, loop_timer_cb *cb,
                                      void *arg)
{
	struct loop_poll *poll = of(loop);
	struct loop_timer *timer = mem_alloc(sizeof(*timer));
	*timer = (struct loop_timer){ poll->timers, now_ms(poll) + delay_ms, poll->numbers++, cb,
		                      arg };
	poll->timers = timer;
	return timer;
}

static void timer_stop(struct loop *loop, struct loop_timer *timer)
{
	struct loop_timer **at = &of(loop)->timers;
	while (*at && *at != timer)
		at = &(*at)->next;
	must(*at);
	*at = timer->next;
	free(timer);
}

static struct loop_watch *watch_start(struct loop *loop, int fd, int want, loop_watch_cb *cb,
                                      void *arg)
{
	struct loop_poll *poll = of(loop);
	struct loop_watch *watch = mem_alloc(sizeof(*watch));
	for (struct loop_watch *other = poll->watches; other; other = other->next)
		must(other->is_stopped || other->fd != fd);
	*watch = (struct loop_watch){ poll->watches, fd, want, false, cb, arg };
	poll->watches = watch;
	return watch;
}

static void watch_set(struct loop *loop, struct loop_watch *watch, int want)
{
	(void)loop;
	watch->want = want;
}

static void watch_stop(struct loop *loop, struct loop_watch *watch)
{
	(void)loop;
	watch->is_stopped = true; /* freed by the next round */
}

static void *work_run(void *arg)
{
	struct work *item = arg;
	item->work(item->arg);
	pthread_mutex_lock(&item->poll->lock);
	item->is_over = true;
	pthread_mutex_unlock(&item->poll->lock);
	must(write(item->poll->bell[1], "", 1) == 1);
	return NULL;
}

/* One thread for each piece: tests have few. */
static void work_start(struct loop *loop, loop_work_cb *work, loop_work_cb *done, void *arg)
{
	struct loop_poll *poll = of(loop);
	struct work *item = mem_alloc(sizeof(*item));
	*item = (struct work){
		.next = poll->works, .poll = poll, .work = work, .done = done, .arg = arg
	};
	poll->works = item;
	must(pthread_create(&item->thread, NULL, work_run, item) == 0);
}

static struct work *work_take(struct loop_poll *poll)
{
	struct work *ret = NULL;
	pthread_mutex_lock(&poll->lock);
	for (struct work **at = &poll->works; *at; at = &(*at)->next)
		if ((*at)->is_over) {
			ret = *at;
			*at = ret->next;
			break;
		}
	pthread_mutex_unlock(&poll->lock);
	return ret;
}

static void work_finish(struct work *item)
{
	must(pthread_join(item->thread, NULL) == 0);
	item->done(item->arg);
	free(item);
}

static struct loop_wake *wake_new(struct loop *loop, loop_wake_cb *cb, void *arg)
{
	struct loop_poll *poll = of(loop);
	struct loop_wake *wake = mem_alloc(sizeof(*wake));
	*wake = (struct loop_wake){ poll->wakes, poll, false, cb, arg };
	poll->wakes = wake;
	return wake;
}

static void wake_send(struct loop_wake *wake)
{
	pthread_mutex_lock(&wake->poll->lock);
	wake->is_sent = true;
	pthread_mutex_unlock(&wake->poll->lock);
	must(write(wake->poll->bell[1], "", 1) == 1);
}

static void wake_free(struct loop_wake *wake)
{
	struct loop_wake **at = &wake->poll->wakes;
	while (*at != wake)
		at = &(*at)->next;
	*at = wake->next;
	free(wake);
}

static const struct loop_ops ops = { timer_start, timer_stop, watch_start, watch_set, watch_stop,
	                             work_start,  wake_new,   wake_send,   wake_free };

struct loop_poll *loop_poll_new(uint64_t seed)
{
	struct loop_poll *poll = mem_alloc(sizeof(*poll));
	poll->real = clock_system();
	poll->seed = seed;
	poll->loop.ops = &ops;
	poll->loop.clock = (struct clock){ poll, wall_ms, monotonic_ns };
	poll->loop.rand = rand_seeded(&poll->seed);
	pthread_mutex_init(&poll->lock, NULL);
	must(pipe(poll->bell) == 0);
	return poll;
}

static void sweep(struct loop_poll *poll)
{
	for (struct loop_watch **at = &poll->watches; *at;) {
		struct loop_watch *watch = *at;
		if (watch->is_stopped) {
			*at = watch->next;
			free(watch);
		} else {
			at = &watch->next;
		}
	}
}

void loop_poll_free(struct loop_poll *poll)
{
	while (poll->works) {
		struct work *item = poll->works;
		poll->works = item->next;
		work_finish(item);
	}
	while (poll->timers)
		timer_stop(&poll->loop, poll->timers);
	for (struct loop_watch *watch = poll->watches; watch; watch = watch->next)
		watch->is_stopped = true;
	sweep(poll);
	while (poll->wakes)
		wake_free(poll->wakes);
	close(poll->bell[0]);
	close(poll->bell[1]);
	pthread_mutex_destroy(&poll->lock);
	free(poll);
}

struct loop *loop_poll_loop(struct loop_poll *poll)
{
	return &poll->loop;
}

static struct loop_timer *first_timer(struct loop_poll *poll)
{
	struct loop_timer *ret = NULL;
	for (struct loop_timer *timer = poll->timers; timer; timer = timer->next)
		if (!ret || timer->at_ms < ret->at_ms ||
		    (timer->at_ms == ret->at_ms && timer->number < ret->number))
			ret = timer;
	return ret;
}

/* Only timers armed before this round, so that a timer of 0 cannot keep it. */
static bool run_timers(struct loop_poll *poll)
{
	uint64_t limit = poll->numbers;
	int64_t now = now_ms(poll);
	bool ret = false;
	for (struct loop_timer *timer;
	     (timer = first_timer(poll)) && timer->at_ms <= now && timer->number < limit;) {
		loop_timer_cb *cb = timer->cb;
		void *arg = timer->arg;
		timer_stop(&poll->loop, timer);
		cb(arg);
		ret = true;
	}
	return ret;
}

static void run_wakes(struct loop_poll *poll)
{
	char bytes[256];
	(void)!read(poll->bell[0], bytes, sizeof(bytes));
	for (struct loop_wake *wake = poll->wakes, *next; wake; wake = next) {
		next = wake->next;
		pthread_mutex_lock(&poll->lock);
		bool is_sent = wake->is_sent;
		wake->is_sent = false;
		pthread_mutex_unlock(&poll->lock);
		if (is_sent)
			wake->cb(wake->arg);
	}
	for (struct work *item; (item = work_take(poll));)
		work_finish(item);
}

enum { WATCHES_MAX = 512 };

static bool run_ready(struct loop_poll *poll, struct pollfd *fds, struct loop_watch **watches,
                      size_t count)
{
	bool ret = false;
	if (fds[0].revents) {
		run_wakes(poll);
		ret = true;
	}
	for (size_t i = 1; i < count; i++) {
		struct loop_watch *watch = watches[i];
		int ready = (fds[i].revents & (POLLIN | POLLHUP | POLLERR) ? LOOP_READ : 0) |
		            (fds[i].revents & (POLLOUT | POLLHUP | POLLERR) ? LOOP_WRITE : 0);
		if (ready && !watch->is_stopped && watch->want) {
			watch->cb(watch->arg, watch->fd, ready);
			ret = true;
		}
	}
	return ret;
}

/* Here because a parameter named poll hides the function. */
static int wait_for(struct pollfd *fds, size_t count, int wait_ms)
{
	return poll(fds, (nfds_t)count, wait_ms);
}

static bool run_round(struct loop_poll *poll, int wait_ms)
{
	struct pollfd fds[WATCHES_MAX] = { { poll->bell[0], POLLIN, 0 } };
	struct loop_watch *watches[WATCHES_MAX];
	size_t count = 1;
	sweep(poll);
	for (struct loop_watch *watch = poll->watches; watch; watch = watch->next) {
		if (!watch->want)
			continue;
		must(count < WATCHES_MAX);
		watches[count] = watch;
		fds[count++] = (struct pollfd){ watch->fd,
			                        (short)((watch->want & LOOP_READ ? POLLIN : 0) |
			                                (watch->want & LOOP_WRITE ? POLLOUT : 0)),
			                        0 };
	}
	int64_t next_ms = loop_poll_next_ms(poll);
	if (next_ms >= 0 && next_ms < wait_ms)
		wait_ms = (int)next_ms;
	bool ret = false;
	if (wait_for(fds, count, wait_ms) > 0)
		ret = run_ready(poll, fds, watches, count);
	return run_timers(poll) || ret;
}

void loop_poll_once(struct loop_poll *poll, int max_ms)
{
	(void)run_round(poll, max_ms);
}

bool loop_poll_until(struct loop_poll *poll, const bool *flag)
{
	enum { HANG_MS = 10000 };
	int64_t begun_ms = clock_monotonic_ms(&poll->real);
	while (!*flag && clock_monotonic_ms(&poll->real) - begun_ms < HANG_MS)
		(void)run_round(poll, 100);
	return *flag;
}

void loop_poll_settle(struct loop_poll *poll)
{
	enum { QUIET_ROUNDS = 3, ROUND_MS = 5 };
	for (int quiet = 0; quiet < QUIET_ROUNDS;)
		quiet = run_round(poll, ROUND_MS) ? 0 : quiet + 1;
}

void loop_poll_skip(struct loop_poll *poll, int64_t ms)
{
	poll->offset_ms += ms;
}

int64_t loop_poll_next_ms(struct loop_poll *poll)
{
	const struct loop_timer *timer = first_timer(poll);
	if (!timer)
		return -1;
	int64_t left_ms = timer->at_ms - now_ms(poll);
	return left_ms > 0 ? left_ms : 0;
}

int loop_poll_timers(const struct loop_poll *poll)
{
	int ret = 0;
	for (const struct loop_timer *timer = poll->timers; timer; timer = timer->next)
		ret++;
	return ret;
}

int loop_poll_handles(const struct loop_poll *poll)
{
	int ret = loop_poll_timers(poll);
	for (const struct loop_watch *watch = poll->watches; watch; watch = watch->next)
		ret += watch->is_stopped ? 0 : 1;
	return ret;
}
