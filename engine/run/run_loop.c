/* SPDX-License-Identifier: MIT */
/*
 * base/loop.h over libuv: timers, descriptor watches, the thread pool.  Handles
 * are closed, not freed: libuv calls back once they are really gone.
 */
#include <stdlib.h>
#include <uv.h>

#include "run/run_int.h"

struct loop_timer {
	uv_timer_t uv;
	loop_timer_cb *cb;
	void *arg;
};

struct loop_watch {
	uv_poll_t uv;
	int fd;
	loop_watch_cb *cb;
	void *arg;
};

struct loop_wake {
	uv_async_t uv;
	loop_wake_cb *cb;
	void *arg;
};

struct loop_work_request {
	uv_work_t uv;
	loop_work_cb *work, *done;
	void *arg;
};

struct uv_loop_adapter {
	struct loop base;
	uv_loop_t uv;
	uv_prepare_t before_wait;
	loop_wake_cb *before_wait_cb;
	void *before_wait_arg;
};

static struct uv_loop_adapter *adapter(struct loop *loop)
{
	return (struct uv_loop_adapter *)loop;
}

static void free_handle(uv_handle_t *handle)
{
	free(handle); /* each handle is the first member of what was allocated */
}

static void timer_fired(uv_timer_t *uv)
{
	struct loop_timer *timer = (struct loop_timer *)uv;
	loop_timer_cb *cb = timer->cb;
	void *arg = timer->arg;
	uv_close((uv_handle_t *)uv, free_handle);
	cb(arg);
}

static struct loop_timer *timer_start(struct loop *loop, int64_t delay_ms, loop_timer_cb *cb,
                                      void *arg)
{
	struct loop_timer *timer = mem_alloc(sizeof(*timer));
	timer->cb = cb;
	timer->arg = arg;
	must(uv_timer_init(&adapter(loop)->uv, &timer->uv) == 0);
	/* libuv's idea of now is that of the loop's last turn; long work may have passed since. */
	uv_update_time(&adapter(loop)->uv);
	must(uv_timer_start(&timer->uv, timer_fired, delay_ms > 0 ? (uint64_t)delay_ms : 0, 0) ==
	     0);
	return timer;
}

static void timer_stop(struct loop *loop, struct loop_timer *timer)
{
	(void)loop;
	uv_timer_stop(&timer->uv);
	uv_close((uv_handle_t *)&timer->uv, free_handle);
}

static void watch_ready(uv_poll_t *uv, int status, int events)
{
	struct loop_watch *watch = (struct loop_watch *)uv;
	int ready = (events & UV_READABLE ? LOOP_READ : 0) |
	            (events & UV_WRITABLE ? LOOP_WRITE : 0);
	if (status < 0)
		ready = LOOP_READ | LOOP_WRITE; /* let the owner of the descriptor find out */
	watch->cb(watch->arg, watch->fd, ready);
}

static void watch_set(struct loop *loop, struct loop_watch *watch, int want)
{
	(void)loop;
	int events = (want & LOOP_READ ? UV_READABLE : 0) | (want & LOOP_WRITE ? UV_WRITABLE : 0);
	if (events)
		must(uv_poll_start(&watch->uv, events, watch_ready) == 0);
	else
		uv_poll_stop(&watch->uv);
}

static struct loop_watch *watch_start(struct loop *loop, int fd, int want, loop_watch_cb *cb,
                                      void *arg)
{
	struct loop_watch *watch = mem_alloc(sizeof(*watch));
	watch->fd = fd;
	watch->cb = cb;
	watch->arg = arg;
	must(uv_poll_init(&adapter(loop)->uv, &watch->uv, fd) == 0);
	watch_set(loop, watch, want);
	return watch;
}

static void watch_stop(struct loop *loop, struct loop_watch *watch)
{
	(void)loop;
	uv_poll_stop(&watch->uv);
	uv_close((uv_handle_t *)&watch->uv, free_handle);
}

static void work_run(uv_work_t *uv)
{
	struct loop_work_request *request = (struct loop_work_request *)uv;
	request->work(request->arg);
}

static void work_done(uv_work_t *uv, int status)
{
	struct loop_work_request *request = (struct loop_work_request *)uv;
	(void)status;
	request->done(request->arg);
	free(request);
}

static void work(struct loop *loop, loop_work_cb *work_cb, loop_work_cb *done, void *arg)
{
	struct loop_work_request *request = mem_alloc(sizeof(*request));
	request->work = work_cb;
	request->done = done;
	request->arg = arg;
	must(uv_queue_work(&adapter(loop)->uv, &request->uv, work_run, work_done) == 0);
}

static void wake_sent(uv_async_t *uv)
{
	struct loop_wake *wake = (struct loop_wake *)uv;
	wake->cb(wake->arg);
}

static struct loop_wake *wake_new(struct loop *loop, loop_wake_cb *cb, void *arg)
{
	struct loop_wake *wake = mem_alloc(sizeof(*wake));
	wake->cb = cb;
	wake->arg = arg;
	must(uv_async_init(&adapter(loop)->uv, &wake->uv, wake_sent) == 0);
	return wake;
}

static void wake_send(struct loop_wake *wake)
{
	must(uv_async_send(&wake->uv) == 0);
}

static void wake_free(struct loop_wake *wake)
{
	uv_close((uv_handle_t *)&wake->uv, free_handle);
}

struct loop *run_loop_new(struct clock clock)
{
	static const struct loop_ops ops = {
		.timer_start = timer_start,
		.timer_stop = timer_stop,
		.watch_start = watch_start,
		.watch_set = watch_set,
		.watch_stop = watch_stop,
		.work = work,
		.wake_new = wake_new,
		.wake_send = wake_send,
		.wake_free = wake_free,
	};
	struct uv_loop_adapter *loop = mem_alloc(sizeof(*loop));
	loop->base = (struct loop){ &ops, clock, rand_system() };
	must(uv_loop_init(&loop->uv) == 0);
	return &loop->base;
}

static void about_to_wait(uv_prepare_t *prepare)
{
	struct uv_loop_adapter *loop = prepare->data;
	loop->before_wait_cb(loop->before_wait_arg);
}

void run_loop_before_wait(struct loop *loop, loop_wake_cb *cb, void *arg)
{
	struct uv_loop_adapter *own = adapter(loop);
	own->before_wait_cb = cb;
	own->before_wait_arg = arg;
	own->before_wait.data = own;
	must(uv_prepare_init(&own->uv, &own->before_wait) == 0);
	must(uv_prepare_start(&own->before_wait, about_to_wait) == 0);
}

void run_loop_run(struct loop *loop)
{
	uv_run(&adapter(loop)->uv, UV_RUN_DEFAULT);
}

void run_loop_stop(struct loop *loop)
{
	uv_stop(&adapter(loop)->uv);
}

static void close_handle(uv_handle_t *handle, void *arg)
{
	(void)arg;
	if (uv_is_closing(handle))
		return;
	/* Asyncs and pipes are members of other structs; timers and polls are ours to free. */
	bool is_ours = handle->type == UV_TIMER || handle->type == UV_POLL;
	uv_close(handle, is_ours ? free_handle : NULL);
}

void run_loop_free(struct loop *loop)
{
	uv_loop_t *uv = &adapter(loop)->uv;
	uv_walk(uv, close_handle, NULL);
	uv_run(uv, UV_RUN_DEFAULT);
	must(uv_loop_close(uv) == 0);
	free(adapter(loop));
}
