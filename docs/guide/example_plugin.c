/* SPDX-License-Identifier: MIT */
/* ticket - opens tickets in the tracker of the call's connection. */
#include "gw_plugin.h"

static void created(const struct gw_host *host, struct gw_call *call, int status,
                    const struct gw_http_reply *reply)
{
	const struct gw_json *ticket = host->json->parse(call, reply->body);
	if (status == GW_OK)
		host->call->done(call, ticket);
	else
		host->call->fail_reply(call, status, reply,
		                       host->json->str(host->json->get(ticket, "error.code")),
		                       host->json->str(host->json->get(ticket, "error.text")));
}

static void create(const struct gw_host *host, struct gw_call *call)
{
	struct gw_json *body = host->json->object(call);
	host->json->set_str(body, "title", host->call->str(call, "title"));
	host->json->set(body, "level", host->json->get(host->call->params(call), "level"));
	struct gw_http_req req = { .size = sizeof(req), .method = "POST",
		                   .path = GW_LIT("/tickets"),
		                   .body = host->json->text(call, body) };
	host->http->send(call, &req, created);
}

static const struct gw_action create_action = {
	.size = sizeof(create_action), .effect = GW_EFFECT_KEYED, .name = "create",
	.summary = "Opens a ticket and answers with it.",
	.params = "{\"type\":\"object\",\"required\":[\"title\"],\"properties\":{"
	          "\"title\":{\"type\":\"string\"},\"level\":{\"type\":\"integer\"}}}",
	.result = "{\"type\":\"object\",\"required\":[\"id\"]}",
	.start = create,
};
static const struct gw_action *const actions[] = { &create_action, NULL };
static const struct gw_plugin plugin = {
	.abi_major = GW_ABI_MAJOR, .abi_minor = GW_ABI_MINOR, .size = sizeof(plugin),
	.name = "ticket", .version = "1.0.0", .summary = "The ticket tracker.", .actions = actions,
};

const struct gw_plugin *gw_plugin_entry(void)
{
	return &plugin;
}
