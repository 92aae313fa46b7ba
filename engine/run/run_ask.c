/* SPDX-License-Identifier: MIT */
/*
 * A question to a connection on behalf of the engine itself, not of a run:
 * nothing of it is recorded.  serve/ reads an identity provider's keys with it,
 * and the sandbox's control port.  What changes something is for runs.
 */
#include <stdlib.h>
#include <string.h>

#include "run/run_int.h"

static void answered(void *arg, const struct wire_reply *reply)
{
	struct asker *asker = arg;
	struct err err = { 0 };
	if (reply->status == WIRE_OK || reply->status == WIRE_STATUS) {
		reply_last(asker, json_pack("{s:i,s:o}", "code", reply->code, "body",
		                            json_text(reply->body)));
	} else {
		err_set_id(&err, ERR_BUSY, "wire.no_answer", "%s", reply->text);
		reply_error(asker, &err);
	}
	free(asker);
}

void worker_ask(struct worker *worker, const json_t *request, const struct asker *asker)
{
	const char *name = json_str(request, "connection", "");
	struct wire_connection *connection = map_get(&worker->engine->connections, name);
	struct err err = { 0 };
	if (!connection) {
		err_set_id(&err, ERR_ABSENT, "connection.absent", "there is no connection '%.60s'",
		           name);
		reply_error(asker, &err);
		return;
	}
	struct asker *own = mem_alloc(sizeof(*own));
	*own = *asker;
	const json_t *body = json_at(request, "body");
	char *text = body ? json_canon(body) : NULL;
	const struct wire_send_options options = {
		.connection = connection,
		.method = json_str(request, "method", "GET"),
		.path = json_str(request, "path", "/"),
		.content_type = text ? "application/json" : NULL,
		.body = str_of(text),
		.effect = WIRE_READ,
		.retries = (int)json_int(request, "retries", 0),
		.timeout_ms = json_int(request, "timeout_ms", 0),
		.backoff_min_ms = -1,
		.backoff_max_ms = -1,
		.done = answered,
		.arg = own,
	};
	(void)wire_send(worker->wire,
	                &options); /* the answer comes to `answered`, whatever it is */
	free(text);
}
