/* SPDX-License-Identifier: MIT */
/*
 * What wire/ and plugin/ need of an event loop.  run/ fills it with libuv, the
 * tests and the simulator with a virtual clock.  Everything happens on the
 * loop's own thread (but wake_send, which any thread may call); callbacks never
 * run inside the call that arms them.
 */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <stdint.h>

#include "base/clock.h"
#include "base/rand.h"

struct loop;
struct loop_timer;
struct loop_watch;
struct loop_wake;

enum { LOOP_READ = 1, LOOP_WRITE = 2 };

typedef void loop_timer_cb(void *arg);
typedef void loop_watch_cb(void *arg, int fd, int ready); /* ready: LOOP_READ | LOOP_WRITE */
typedef void loop_work_cb(void *arg);
typedef void loop_wake_cb(void *arg);

struct loop_ops {
	/* One shot; the handle is valid until it fired or was stopped. */
	struct loop_timer *(*timer_start)(struct loop *loop, int64_t delay_ms, loop_timer_cb *cb,
	                                  void *arg);
	void (*timer_stop)(struct loop *loop, struct loop_timer *timer);
	/* Watches until stopped; watch_set changes what is waited for (0: nothing for now).  An
	 * error or hang-up of the file counts as both ready bits. */
	struct loop_watch *(*watch_start)(struct loop *loop, int fd, int want, loop_watch_cb *cb,
	                                  void *arg);
	void (*watch_set)(struct loop *loop, struct loop_watch *watch, int want);
	void (*watch_stop)(struct loop *loop, struct loop_watch *watch);
	/* work on a thread of the pool, then done on the loop's thread. */
	void (*work)(struct loop *loop, loop_work_cb *work, loop_work_cb *done, void *arg);
	/*
	 * Runs cb soon, on the loop's thread; several sends before that may become one
	 * call (uv_async_t).  After wake_free, cb does not run any more.  All three may
	 * be NULL: then who needs it looks by timer.
	 */
	struct loop_wake *(*wake_new)(struct loop *loop, loop_wake_cb *cb, void *arg);
	void (*wake_send)(struct loop_wake *wake);
	void (*wake_free)(struct loop_wake *wake);
};

struct loop {
	const struct loop_ops *ops;
	struct clock clock;
	struct rand rand;
};

#endif
