/* SPDX-License-Identifier: MIT */
/*
 * The end of the chain: one multi handle per wire, driven by the loop.  (Mails
 * go through threads of the pool: wire_smtp.c.)
 *
 * curl says which sockets it waits for and when it wants to be called; both are
 * passed on lazily.  A timer that is armed already is left running when it fires
 * early enough (it looks again when it fires), and a socket that goes idle in
 * curl's pool stays registered until it speaks up or is closed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/must.h"
#include "wire/wire_curl_int.h"

enum { FREE_SLOTS = 256, KEPT_CONNECTIONS = 256 };

/* --- sockets --------------------------------------------------------------------- */

static struct wire_socket *socket_at(struct wire_curl *curl, curl_socket_t fd)
{
	must(fd >= 0);
	while (curl->sockets.len <= (size_t)fd)
		(void)vec_add(&curl->sockets);
	return &curl->sockets.at[fd];
}

static void unwatch(struct wire_curl *curl, struct wire_socket *socket)
{
	if (socket->watch)
		curl->wire->loop->ops->watch_stop(curl->wire->loop, socket->watch);
	socket->watch = NULL;
	socket->armed = socket->wanted = 0;
}

static void finish_transfers(struct wire_curl *curl)
{
	int left;
	for (CURLMsg *message; (message = curl_multi_info_read(curl->multi, &left));) {
		if (message->msg != CURLMSG_DONE)
			continue;
		struct wire_slot *slot = NULL;
		CURLcode result = message->data.result;
		CURL *easy = message->easy_handle;
		must(curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&slot) == CURLE_OK);
		must(curl_multi_remove_handle(curl->multi, easy) == CURLM_OK);
		wire_slot_collect(slot, result);
		wire_up(slot->request);
	}
}

static void act(struct wire_curl *curl, curl_socket_t fd, int events)
{
	int running;
	struct wire *wire = curl->wire;
	must(curl_multi_socket_action(curl->multi, fd, events, &running) == CURLM_OK);
	finish_transfers(curl);
	wire_turn(wire);
}

static void socket_ready(void *arg, int fd, int ready)
{
	struct wire_curl *curl = arg;
	struct wire_socket *socket = socket_at(curl, fd);
	if (socket->wanted == 0) {
		/* Idle in the pool, and the other side closed it: curl finds out before it is used
		 * again; we must only stop listening. */
		socket->armed = 0;
		curl->wire->loop->ops->watch_set(curl->wire->loop, socket->watch, 0);
		return;
	}
	act(curl, fd,
	    (ready & LOOP_READ ? CURL_CSELECT_IN : 0) |
	            (ready & LOOP_WRITE ? CURL_CSELECT_OUT : 0));
}

static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *unused)
{
	struct wire_curl *curl = arg;
	struct loop *loop = curl->wire->loop;
	struct wire_socket *socket = socket_at(curl, fd);
	(void)easy;
	(void)unused;
	if (what == CURL_POLL_REMOVE && !socket->is_ours) {
		unwatch(curl, socket);
		return 0;
	}
	socket->wanted = (what & CURL_POLL_IN ? LOOP_READ : 0) |
	                 (what & CURL_POLL_OUT ? LOOP_WRITE : 0);
	if (what == CURL_POLL_REMOVE)
		socket->wanted = 0;
	/* An idle socket stays armed for reading, a writable one would spin. */
	int arm = socket->wanted ? socket->wanted : socket->armed & LOOP_READ;
	if (!socket->watch)
		socket->watch = loop->ops->watch_start(loop, fd, arm, socket_ready, curl);
	else if (arm != socket->armed)
		loop->ops->watch_set(loop, socket->watch, arm);
	socket->armed = arm;
	return 0;
}

curl_socket_t wire_curl_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct wire_slot *slot = arg;
	(void)purpose;
	if (!slot->request->connection->is_private && !wire_address_is_public(&address->addr)) {
		slot->was_private = true;
		return CURL_SOCKET_BAD;
	}
	int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
	if (fd < 0)
		return CURL_SOCKET_BAD;
	if (slot->is_mail)
		return fd; /* on a thread of its own; the loop never sees it */
	struct wire_socket *socket = socket_at(slot->wire->curl, fd);
	unwatch(slot->wire->curl, socket); /* what had this number before is gone */
	socket->is_ours = true;
	return fd;
}

int wire_curl_close(void *arg, curl_socket_t fd)
{
	struct wire *wire = arg;
	struct wire_socket *socket = socket_at(wire->curl, fd);
	unwatch(wire->curl, socket);
	socket->is_ours = false;
	return close(fd);
}

/* --- the timer --------------------------------------------------------------------- */

static void timer_over(void *arg);

static void arm_timer(struct wire_curl *curl)
{
	struct loop *loop = curl->wire->loop;
	if (curl->due_ms == INT64_MAX || (curl->timer && curl->timer_ms <= curl->due_ms))
		return;
	if (curl->timer)
		loop->ops->timer_stop(loop, curl->timer);
	int64_t delay_ms = curl->due_ms - wire_now_ms(curl->wire);
	curl->timer_ms = curl->due_ms;
	curl->timer = loop->ops->timer_start(loop, delay_ms > 0 ? delay_ms : 0, timer_over, curl);
}

static void timer_over(void *arg)
{
	struct wire_curl *curl = arg;
	curl->timer = NULL;
	if (wire_now_ms(curl->wire) < curl->due_ms) {
		arm_timer(curl);
		return;
	}
	curl->due_ms = INT64_MAX;
	act(curl, CURL_SOCKET_TIMEOUT, 0);
}

static int set_timer(CURLM *multi, long timeout_ms, void *arg)
{
	struct wire_curl *curl = arg;
	(void)multi;
	curl->due_ms = timeout_ms < 0 ? INT64_MAX : wire_now_ms(curl->wire) + timeout_ms;
	arm_timer(curl);
	return 0;
}

/* --- slots ---------------------------------------------------------------------------- */

static struct wire_slot *slot_take(struct wire_curl *curl, bool is_mail)
{
	struct wire_slot **pool = is_mail ? &curl->free_mail : &curl->free_http;
	struct wire_slot *slot = *pool;
	if (!slot)
		return wire_slot_new(curl->wire, is_mail);
	*pool = slot->next_free;
	curl->free_count--;
	return slot;
}

void wire_slot_release(struct wire_request *request)
{
	struct wire_slot *slot = request->slot;
	if (!slot)
		return;
	struct wire_curl *curl = request->wire->curl;
	request->slot = NULL;
	request->reply.headers = NULL;
	request->reply.header_count = 0;
	request->reply.body = STR_LIT("");
	if (curl->free_count >= FREE_SLOTS) {
		wire_slot_free(slot);
		return;
	}
	struct wire_slot **pool = slot->is_mail ? &curl->free_mail : &curl->free_http;
	wire_slot_clear(slot);
	slot->next_free = *pool;
	*pool = slot;
	curl->free_count++;
}

/* --- the stage -------------------------------------------------------------------------- */

static void curl_send(struct wire_request *request)
{
	struct wire_curl *curl = request->wire->curl;
	wire_slot_release(request);
	if (wire_left_ms(request) == 0) {
		wire_answer(request, WIRE_TIMEOUT, 0, "no time left for an attempt");
		return;
	}
	struct wire_slot *slot = slot_take(curl, request->envelope != NULL);
	slot->request = request;
	request->slot = slot;
	request->was_dispatched = true;
	wire_slot_prepare(slot);
	if (slot->is_mail)
		wire_smtp_start(slot);
	else if (curl_multi_add_handle(curl->multi, slot->easy) != CURLM_OK)
		mem_out(); /* a new handle that is in no other multi: nothing else can be wrong */
}

/* Cut off: what was sent so far may have arrived. */
static bool curl_cancel(struct wire_request *request)
{
	struct wire_slot *slot = request->slot;
	if (slot->is_mail)
		return wire_smtp_cancel(slot);
	request->reply.may_have_left = wire_slot_may_have_left(slot);
	must(curl_multi_remove_handle(request->wire->curl->multi, slot->easy) == CURLM_OK);
	return true;
}

const struct wire_stage wire_curl_stage = { "curl", curl_send, NULL, NULL, curl_cancel };

struct wire_curl *wire_curl_new(struct wire *wire)
{
	must(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
	struct wire_curl *curl = mem_alloc(sizeof(*curl));
	curl->wire = wire;
	curl->due_ms = INT64_MAX;
	curl->multi = curl_multi_init();
	if (!curl->multi)
		mem_out();
	must(curl_multi_setopt(curl->multi, CURLMOPT_SOCKETFUNCTION, watch_socket) == CURLM_OK);
	must(curl_multi_setopt(curl->multi, CURLMOPT_SOCKETDATA, curl) == CURLM_OK);
	must(curl_multi_setopt(curl->multi, CURLMOPT_TIMERFUNCTION, set_timer) == CURLM_OK);
	must(curl_multi_setopt(curl->multi, CURLMOPT_TIMERDATA, curl) == CURLM_OK);
	must(curl_multi_setopt(curl->multi, CURLMOPT_MAXCONNECTS, (long)KEPT_CONNECTIONS) ==
	     CURLM_OK);
	return curl;
}

static void free_slots(struct wire_slot *slot)
{
	while (slot) {
		struct wire_slot *next = slot->next_free;
		wire_slot_free(slot);
		slot = next;
	}
}

void wire_curl_free(struct wire_curl *curl)
{
	free_slots(curl->free_http);
	free_slots(curl->free_mail);
	/* Closes what is kept open, through wire_curl_close. */
	must(curl_multi_cleanup(curl->multi) == CURLM_OK);
	if (curl->timer)
		curl->wire->loop->ops->timer_stop(curl->wire->loop, curl->timer);
	for (size_t i = 0; i < curl->sockets.len; i++)
		unwatch(curl, &curl->sockets.at[i]);
	vec_release(&curl->sockets);
	free(curl);
	curl_global_cleanup();
}
