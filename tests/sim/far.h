/* SPDX-License-Identifier: MIT */
/*
 * The plugin that simulated runs use; two builds of it (FAR_BUILD) write their
 * bodies differently, so that a repeat under another build shows what is sent:
 * what stands on record.  Each request says which one it is ("mark": its key), so
 * that the simulator knows also those that carry no key.
 *
 *   look  READ    put   KEYED    pay   ONCE
 *   poll  KEYED, then looks until the job is done
 *   pair  KEYED, and another KEYED one with what the first said
 *   mute  KEYED, and forgets to answer
 */
#ifndef FAR_H
#define FAR_H

#include <string.h>

#include "gw_plugin.h"

#ifndef FAR_BUILD
#define FAR_BUILD "1"
#endif

static struct gw_str body_of(const struct gw_host *host, struct gw_call *call, struct gw_str more)
{
	struct gw_json *body = host->json->object(call);
	host->json->set_str(body, "mark", host->call->key(call));
	host->json->set_str(body, "run", host->call->run_id(call));
	host->json->set_str(body, "tag", host->call->str(call, "tag"));
	host->json->set_str(body, "build", GW_LIT(FAR_BUILD));
	host->json->set_int(body, "now", host->call->now_ms(call));
	if (more.len > 0)
		host->json->set_str(body, "more", more);
	return host->json->text(call, body);
}

static void post(const struct gw_host *host, struct gw_call *call, const char *what,
                 struct gw_str more, gw_http_cb *then)
{
	struct gw_http_req req = {
		.size = sizeof(req),
		.method = "POST",
		.path = host->call->format(call, "/%s/%s", what, FAR_BUILD),
		.body = body_of(host, call, more),
	};
	host->http->send(call, &req, then);
}

static void get(const struct gw_host *host, struct gw_call *call, struct gw_str path,
                gw_http_cb *then)
{
	struct gw_http_req req = {
		.size = sizeof(req), .method = "GET", .path = path, .effect = GW_EFFECT_READ
	};
	host->http->send(call, &req, then);
}

static const struct gw_json *number_of(const struct gw_host *host, struct gw_call *call,
                                       const struct gw_http_reply *reply)
{
	return host->json->get(host->json->parse(call, reply->body), "n");
}

static void answered(const struct gw_host *host, struct gw_call *call, int status,
                     const struct gw_http_reply *reply)
{
	const struct gw_json *n = number_of(host, call, reply);
	if (status != GW_OK || !n) {
		host->call->fail_reply(call, status, reply, GW_LIT(""), GW_LIT(""));
		return;
	}
	struct gw_json *result = host->json->object(call);
	host->json->set(result, "n", n);
	host->call->done(call, result);
}

static void look(const struct gw_host *host, struct gw_call *call)
{
	struct gw_str tag = host->call->url(call, host->call->str(call, "tag"));
	get(host, call, host->call->format(call, "/look/%.*s", (int)tag.len, tag.ptr), answered);
}

static void put(const struct gw_host *host, struct gw_call *call)
{
	post(host, call, "put", GW_LIT(""), answered);
}

static void pay(const struct gw_host *host, struct gw_call *call)
{
	post(host, call, "pay", GW_LIT(""), answered);
}

static void mute(const struct gw_host *host, struct gw_call *call, int status,
                 const struct gw_http_reply *reply)
{
	(void)status;
	(void)reply;
	host->call->note(call, "says nothing");
}

static void forget(const struct gw_host *host, struct gw_call *call)
{
	post(host, call, "put", GW_LIT(""), mute);
}

static void look_again(const struct gw_host *host, struct gw_call *call);

static void looked(const struct gw_host *host, struct gw_call *call, int status,
                   const struct gw_http_reply *reply)
{
	if (status == GW_OK && reply->code == 202) {
		host->call->note(call, "not done yet");
		host->later(call, 700, look_again);
		return;
	}
	answered(host, call, status, reply);
}

static void look_again(const struct gw_host *host, struct gw_call *call)
{
	int64_t *job = host->call->state(call);
	get(host, call, host->call->format(call, "/job/%lld", (long long)*job), looked);
}

static void polling(const struct gw_host *host, struct gw_call *call, int status,
                    const struct gw_http_reply *reply)
{
	const struct gw_json *n = number_of(host, call, reply);
	if (status != GW_OK || !n) {
		host->call->fail_reply(call, status, reply, GW_LIT(""), GW_LIT(""));
		return;
	}
	*(int64_t *)host->call->state(call) = host->json->integer(n, 0);
	host->later(call, 700, look_again);
}

static void poll_job(const struct gw_host *host, struct gw_call *call)
{
	post(host, call, "job", GW_LIT(""), polling);
}

static void first_answered(const struct gw_host *host, struct gw_call *call, int status,
                           const struct gw_http_reply *reply)
{
	const struct gw_json *n = number_of(host, call, reply);
	if (status != GW_OK || !n) {
		host->call->fail_reply(call, status, reply, GW_LIT(""), GW_LIT(""));
		return;
	}
	post(host, call, "put", host->json->text(call, n), answered);
}

static void pair(const struct gw_host *host, struct gw_call *call)
{
	post(host, call, "put", GW_LIT(""), first_answered);
}

#define PARAMS                                                         \
	"{\"type\":\"object\",\"required\":[\"tag\"],\"properties\":{" \
	"\"tag\":{\"type\":\"string\"}}}"
#define RESULT \
	"{\"type\":\"object\",\"required\":[\"n\"],\"properties\":{\"n\":{\"type\":\"integer\"}}}"

/* clang-format off */
static const struct gw_action actions_far[] = {
	{ .size = sizeof(struct gw_action), .effect = GW_EFFECT_READ, .name = "look",
	  .summary = "Looks.", .params = PARAMS, .result = RESULT, .start = look },
	{ .size = sizeof(struct gw_action), .effect = GW_EFFECT_KEYED, .name = "put",
	  .summary = "Puts, by key.", .params = PARAMS, .result = RESULT, .start = put },
	{ .size = sizeof(struct gw_action), .effect = GW_EFFECT_ONCE, .name = "pay",
	  .summary = "Pays, once.", .params = PARAMS, .result = RESULT, .start = pay },
	{ .size = sizeof(struct gw_action), .effect = GW_EFFECT_KEYED, .name = "poll",
	  .summary = "Begins a job and waits for it.", .params = PARAMS, .result = RESULT,
	  .state_size = sizeof(int64_t), .start = poll_job },
	{ .size = sizeof(struct gw_action), .effect = GW_EFFECT_KEYED, .name = "pair",
	  .summary = "Puts twice.", .params = PARAMS, .result = RESULT, .start = pair },
	{ .size = sizeof(struct gw_action), .effect = GW_EFFECT_KEYED, .name = "mute",
	  .summary = "Forgets to answer.", .params = PARAMS, .result = RESULT, .start = forget },
};
static const struct gw_action *const actions[] = { &actions_far[0], &actions_far[1],
	                                           &actions_far[2], &actions_far[3],
	                                           &actions_far[4], &actions_far[5], NULL };

static const struct gw_plugin plugin = {
	.abi_major = GW_ABI_MAJOR, .abi_minor = GW_ABI_MINOR, .size = sizeof(plugin),
	.name = "far", .version = FAR_BUILD ".0.0", .summary = "The other side of simulated runs.",
	.actions = actions,
};
/* clang-format on */

GW_EXPORT const struct gw_plugin *gw_plugin_entry(void)
{
	return &plugin;
}

#endif
