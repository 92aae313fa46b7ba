/* SPDX-License-Identifier: MIT */
/* One call with all it needs, and a wire that answers when told to. */
#ifndef TESTS_PLUGIN_STAGE_H
#define TESTS_PLUGIN_STAGE_H

#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/limits.h"
#include "base/mem.h"
#include "check.h"
#include "fake_wire.h"
#include "plugin/plugin.h"
#include "plugin_dir.h"

/* One call with all it needs; what the hooks saw is written down as lines. */
struct stage {
	const struct plugin *plugin;
	struct plugin_call *call;
	struct wire *wire;
	struct wire_connection *connection;
	struct fake_loop loop;
	struct plugin_call_hooks hooks;
	struct buf seen; /* "request 0 held; ", "answer 0; ", "end ok; " */
	json_t *end;
	bool is_inside; /* by the on_enter hook */
	bool frees_at_end, cancels_on_request;
	json_t *recorded, *prompt;
};

static ATTR_UNUSED void on_request(void *ctx, struct plugin_call *call,
                                   const struct plugin_request *request)
{
	struct stage *stage = ctx;
	CHECK(!stage->is_inside);
	buf_printf(&stage->seen, "request %u %s; ", request->ordinal,
	           request->is_released ? "sent" : "held");
	if (stage->cancels_on_request)
		plugin_call_cancel(call);
}

static ATTR_UNUSED void on_answer(void *ctx, struct plugin_call *call, uint32_t ordinal,
                                  const struct wire_reply *reply)
{
	struct stage *stage = ctx;
	(void)call;
	buf_printf(&stage->seen, "answer %u %d; ", ordinal, reply->code);
}

static ATTR_UNUSED void on_end(void *ctx, struct plugin_call *call, bool ok, json_t *value)
{
	struct stage *stage = ctx;
	CHECK(!stage->is_inside);
	buf_printf(&stage->seen, "end %s; ", ok ? "ok" : json_str(value, "error_type", "?"));
	json_decref(stage->end);
	stage->end = value;
	if (stage->frees_at_end) {
		plugin_call_free(call);
		stage->call = NULL;
	}
}

static ATTR_UNUSED json_t *on_prompt(void *ctx, struct plugin_call *call, const char *name,
                                     const json_t *values, struct err *err)
{
	struct stage *stage = ctx;
	(void)call;
	buf_printf(&stage->seen, "prompt %s %s; ", name, json_str(values, "name", ""));
	if (!stage->prompt)
		err_set(err, ERR_ABSENT, "no prompt '%s'", name);
	return json_incref(stage->prompt);
}

static ATTR_UNUSED void on_enter(void *ctx, const char *plugin)
{
	struct stage *stage = ctx;
	stage->is_inside = plugin != NULL;
	if (plugin)
		CHECK_STR(plugin, "contract");
}

static ATTR_UNUSED void stage_init(struct stage *stage, const struct plugin *plugin)
{
	*stage = (struct stage){ .plugin = plugin };
	stage->wire = fake_wire_new();
	stage->connection = fake_connection_new("contract");
	fake_loop_init(&stage->loop);
	buf_init(&stage->seen, 65536);
	stage->hooks = (struct plugin_call_hooks){ stage,  on_request, on_answer,
		                                   on_end, on_prompt,  on_enter };
}

static ATTR_UNUSED void stage_release(struct stage *stage)
{
	plugin_call_free(stage->call);
	fake_wire_free(stage->wire);
	fake_connection_free(stage->connection);
	fake_loop_release(&stage->loop);
	buf_release(&stage->seen);
	json_decref(stage->end);
	json_decref(stage->recorded);
	json_decref(stage->prompt);
}

/* Everything up to and with start.  params is taken. */
static ATTR_UNUSED void begin(struct stage *stage, const char *action, json_t *params)
{
	struct plugin_call_options options = {
		.action = plugin_action_find(stage->plugin, action),
		.wire = stage->wire,
		.connection = stage->connection,
		.params = params,
		.run_id = "run-1",
		.correlation_id = "ACME 001\r\nBcc: x",
		.traceparent = "00-11111111111111111111111111111111-2222222222222222-01",
		.number = 7,
		.element = 2,
		.now_ms = 1700000000000,
		.timeout_ms = -1,
		.retries = -1,
		.backoff_min_ms = -1,
		.backoff_max_ms = -1,
		.recorded = stage->recorded,
		.hooks = &stage->hooks,
		.loop = &stage->loop.loop,
	};
	struct err err = { 0 };
	CHECK_MSG(plugin_call_new(&options, &stage->call, &err) == 0, "%s: %s", action, err.text);
	json_decref(params);
	plugin_call_start(stage->call);
}

/* The end that start brought about. */
static ATTR_UNUSED const json_t *early_end(struct stage *stage, bool *ok)
{
	json_t *value = NULL;
	*ok = false;
	CHECK(plugin_call_is_ended(stage->call));
	CHECK(plugin_call_take_end(stage->call, ok, &value));
	CHECK(!plugin_call_take_end(stage->call, ok, &value));
	CHECK(stage->seen.len == 0); /* no hook */
	stage->end = value;
	return value;
}

static ATTR_UNUSED void answer(struct stage *stage, size_t i, int code, const char *body)
{
	fake_wire_answer(fake_wire_at(stage->wire, i), code, body);
}

static ATTR_UNUSED const char *seen(struct stage *stage)
{
	return stage->seen.bytes ? stage->seen.bytes : "";
}

static ATTR_UNUSED const char *end_str(const struct stage *stage, const char *key)
{
	return json_str(stage->end, key, "?");
}

/* Runs an action that ends in start and compares two members of its end. */
static ATTR_UNUSED void check_failure(const struct plugin *plugin, const char *action,
                                      json_t *params, const char *type, const char *says)
{
	struct stage stage;
	bool ok;
	stage_init(&stage, plugin);
	begin(&stage, action, params);
	const json_t *end = early_end(&stage, &ok);
	CHECK_MSG(!ok && strcmp(json_str(end, "error_type", ""), type) == 0, "%s fails as %s: %s",
	          action, type, json_str(end, "error_type", "?"));
	CHECK_MSG(strstr(json_str(end, "message", ""), says) != NULL, "%s says \"%s\": %s", action,
	          says, json_str(end, "message", "?"));
	CHECK(plugin_call_request_count(stage.call) == 0);
	CHECK(fake_wire_at(stage.wire, 0) == NULL);
	stage_release(&stage);
}

#endif
