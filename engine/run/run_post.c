/* SPDX-License-Identifier: MIT */
/*
 * Events for somewhere else (SCXML C.1, C.2): to a session of another run it is
 * a signal there, taken once under the event's own key; over HTTP it is a POST
 * whose path and body are on record before it leaves.  Such a POST is ONCE:
 * nobody promises that the other side can tell a repeat.  gw:on-unsure="retry" says
 * that it can.
 */
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "machine/http_event.h"
#include "run/run_commit.h"

bool post_is(const json_t *effect)
{
	const char *kind = json_str(effect, "kind", "");
	return strcmp(kind, "http_event") == 0 || strcmp(kind, "event") == 0;
}

static bool is_http(const struct call *call)
{
	return strcmp(json_str(call->effect, "kind", ""), "http_event") == 0;
}

static const char *on_unsure(const struct call *call)
{
	return json_str(json_at(call->effect, "dispatch"), "on_unsure", "reconcile");
}

/* --- check ---------------------------------------------------------------------------------- */

static int check_http(const struct run *run, const struct effect *effect, struct err *err)
{
	const char *name = effect->dispatch ? effect->dispatch->connection : NULL, *path;
	if (connection_reaching(run->worker->engine, name, effect->target, &path))
		return 0;
	err_set_id(err, ERR_SYSTEM, "connection.absent", "no connection%s%s%s leads to '%.200s'",
	           name ? " '" : "", name ? name : "", name ? "'" : "", effect->target);
	return err_hint(err, "add one with this URL under connections in gangway.lua");
}

/* The run whose session this is, to be freed: a child's id has a dot and a number more. */
static char *run_of(const char *target)
{
	const char *session = target + strlen(SESSION_TARGET);
	return mem_dup(session, strcspn(session, "."));
}

static void keep_status(void *arg, const struct store_run *row)
{
	*(int *)arg = row->status;
}

static int check_run(struct run *run, const struct effect *effect, struct err *err)
{
	struct store *store = run->worker->engine->store;
	struct err ignored = { 0 };
	char *id = run_of(effect->target);
	int status = STORE_ENDED;
	bool is_there = strcmp(id, run->id) != 0 &&
	                store->ops->run_by_id(store, id, keep_status, &status, &ignored) == 0 &&
	                status < STORE_ENDED;
	free(id);
	return is_there ? 0
	                : err_set_id(err, ERR_SYSTEM, "graph.send_unreachable",
	                             "there is no session '%.200s', or it has ended",
	                             effect->target);
}

int post_check(struct run *run, const struct effect *effect, struct err *err)
{
	return effect->kind == EFFECT_HTTP_EVENT ? check_http(run, effect, err)
	                                         : check_run(run, effect, err);
}

/* --- building ---------------------------------------------------------------------------- */

static json_t *request_of(const struct call *call, struct err *err)
{
	const char *target = json_str(call->effect, "target", ""), *path = "/";
	struct wire_connection *connection = connection_reaching(
		call->run->worker->engine,
		json_str(json_at(call->effect, "dispatch"), "connection", NULL), target, &path);
	struct buf body;
	json_t *ret = NULL;
	buf_init(&body, LIMIT_REQUEST_BYTES);
	if (!connection)
		err_set_id(err, ERR_ABSENT, "connection.absent", "no connection leads to '%.200s'",
		           target);
	else if (http_event_encode(json_str(call->effect, "action", NULL),
	                           json_at(call->effect, "data"), &body, err) == 0)
		ret = json_pack("{s:i,s:s,s:s,s:s,s:s,s:s,s:o}", "ordinal", 0, "effect", "ONCE",
		                "method", "POST", "connection", wire_connection_name(connection),
		                "path", path, "content_type", HTTP_EVENT_FORM, "body",
		                json_text(buf_str(&body)));
	buf_release(&body);
	return ret;
}

static json_t *failure_of(const char *type, const char *code, int http_status, const char *text,
                          int attempts)
{
	return json_pack("{s:s,s:s,s:i,s:o,s:s,s:s,s:i,s:b}", "error_type", type, "error_code",
	                 code, "http_status", http_status, "message", json_text(str_of(text)),
	                 "resolution", "Look at the other side", "owner", "Operator", "attempts",
	                 attempts, "retryable", 0);
}

void post_begin(struct call *call)
{
	struct err err = { 0 };
	if (!is_http(call) || json_array_size(call->requests) > 0)
		return;
	json_t *request = request_of(call, &err);
	if (request)
		json_push(call->requests, request);
	else
		call_answer(call, false, failure_of("validation", err.id, 0, err.text, 0),
		            json_object());
}

/* --- acting ------------------------------------------------------------------------------ */

/* On its way.  It knows the call by number: the run may leave memory meanwhile. */
struct sending {
	struct worker *worker;
	int64_t run_no;
	uint64_t number;
};

static struct sending *sending_new(const struct call *call)
{
	struct sending *ret = mem_alloc(sizeof(*ret));
	*ret = (struct sending){ call->run->worker, call->run->no, call->number };
	return ret;
}

/* The end of it, to the run; takes over both. */
static void tell(struct sending *sending, json_t *end)
{
	struct message *message = mem_alloc(sizeof(*message));
	message->kind = MESSAGE_REQUEST;
	message->run_no = sending->run_no;
	message->request = end;
	json_put_str(end, "op", "internal.post");
	json_put_int(end, "number", (int64_t)sending->number);
	worker_post(sending->worker, message);
	free(sending);
}

static void posted(void *arg, const struct wire_reply *reply)
{
	struct sending *sending = arg;
	if (reply->status == WIRE_CANCELLED) {
		free(sending); /* we are stopping: recovery takes it up */
		return;
	}
	json_t *end = json_object();
	json_put_int(end, "attempts", reply->attempts);
	json_put_int(end, "took_ms", reply->took_ms);
	json_put_int(end, "code", reply->code);
	if (reply->status != WIRE_OK)
		json_put(end, "failure",
		         failure_of("communication", wire_status_name(reply->status), reply->code,
		                    reply->text, reply->attempts));
	if (reply->may_have_left && reply->code == 0)
		json_put(end, "is_unsure", json_true());
	tell(sending, end);
}

static void send_http(struct call *call)
{
	struct run *run = call->run;
	const json_t *request = json_array_get(call->requests, 0), *body = json_at(request, "body");
	const json_t *dispatch = json_at(call->effect, "dispatch");
	struct wire_connection *connection = map_get(&run->worker->engine->connections,
	                                             json_str(request, "connection", ""));
	if (!connection) {
		call_answer(call, false,
		            failure_of("communication", "connection.absent", 0,
		                       "the connection is not configured any more", 0),
		            json_object());
		return;
	}
	char key[SHA256_HEX];
	plugin_key(run->id, call->number, 0, 0, key);
	struct wire_send_options options = {
		.connection = connection,
		.method = json_str(request, "method", "POST"),
		.path = json_str(request, "path", "/"),
		.content_type = json_str(request, "content_type", NULL),
		.body = { json_string_value(body), json_string_length(body) },
		.effect = strcmp(on_unsure(call), "retry") == 0 ? WIRE_KEYED : WIRE_ONCE,
		.key = key,
		.correlation_id = run->correlation_id,
		.timeout_ms = json_int(dispatch, "timeout_ms", 0),
		.retries = (int32_t)json_int(dispatch, "retries", -1),
		.backoff_min_ms = json_int(dispatch, "backoff_min_ms", -1),
		.backoff_max_ms = json_int(dispatch, "backoff_max_ms", -1),
		.done = posted,
		.arg = sending_new(call),
	};
	(void)wire_send(run->worker->wire, &options);
}

static void signalled(void *arg, const json_t *reply, bool is_last)
{
	if (!is_last)
		return;
	const json_t *error = json_at(reply, "error");
	json_t *end = json_object();
	if (error)
		json_put(end, "failure",
		         failure_of("communication", json_str(error, "id", "run"), 0,
		                    json_str(error, "text", ""), 1));
	tell(arg, end);
}

/* From the session that sends, so that _event.origin leads back to it (5.10.1). */
static void signal_run(struct call *call)
{
	struct run *run = call->run;
	const char *target = json_str(call->effect, "target", "");
	char *to = run_of(target), key[SHA256_HEX];
	plugin_key(run->id, call->number, 0, 0, key);
	json_t *request = json_object();
	json_put_str(request, "op", "run.signal");
	json_put_str(request, "run", to);
	json_put_str(request, "origintype", SCXML_EVENT_TYPE);
	json_put_str(request, "session", target + strlen(SESSION_TARGET));
	json_put_str(request, "event", json_str(call->effect, "action", ""));
	json_put(request, "data", json_incref(json_at(call->effect, "data")));
	json_put_str(request, "id", key);
	json_put_str(request, "by", run->id);
	json_put(request, "origin",
	         json_sprintf(SESSION_TARGET "%s", json_str(call->effect, "session", run->id)));
	engine_request(run->worker->engine, request, signalled, sending_new(call));
	json_decref(request);
	free(to);
}

void post_release(struct call *call)
{
	if (is_http(call))
		send_http(call);
	else
		signal_run(call);
}

/* internal.post: what became of it. */
void post_ended(struct run *run, const json_t *end)
{
	struct call *call = run_call(run, (uint64_t)json_int(end, "number", 0), 0);
	json_t *failure = json_at(end, "failure");
	if (!call || call->state != CALL_OPEN)
		return;
	if (json_truth(end, "is_unsure", false) && strcmp(on_unsure(call), "reconcile") == 0) {
		struct intake *intake = intake_new(INTAKE_UNSURE);
		intake->number = call->number;
		run_intake(run, intake);
		return;
	}
	json_t *extra = json_object();
	json_put(extra, "attempts", json_incref(json_at(end, "attempts")));
	json_put(extra, "took_ms", json_incref(json_at(end, "took_ms")));
	call_answer(call, !failure, json_incref(failure), extra);
}

/* --- from outside ------------------------------------------------------------------------ */

json_t *post_read(const json_t *request, struct err *err)
{
	const json_t *body = json_at(request, "body");
	struct str text = { json_is_string(body) ? json_string_value(body) : "",
		            json_string_length(body) };
	struct event event;
	if (http_event_decode(json_str(request, "method", "POST"),
	                      json_str(request, "content_type", NULL), text, &event, err) < 0)
		return NULL;
	json_t *ret = json_object();
	json_put_str(ret, "event", event.name);
	json_put(ret, "data", json_incref(event.data));
	json_put_str(ret, "raw", event.raw);
	json_put_str(ret, "origintype", event.origintype);
	json_put_str(ret, "session", json_str(request, "session", NULL));
	json_put_str(ret, "id", json_str(request, "id", NULL));
	json_put_str(ret, "by", json_str(request, "by", NULL));
	event_release(&event);
	return ret;
}
