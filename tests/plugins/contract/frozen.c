/* SPDX-License-Identifier: MIT */
/*
 * A plugin as it was built for ABI 1.0, by the header as it was published then and
 * never changes again: it loads for ever.
 */
#include "../../abi/gw_plugin_1_0.h"

static void start(const struct gw_host *host, struct gw_call *call)
{
	struct gw_json *result = host->json->object(call);
	host->json->set(result, "text", host->json->get(host->call->params(call), "text"));
	host->call->done(call, result);
}

static const struct gw_action action = {
	.size = sizeof(action),
	.effect = GW_EFFECT_PURE,
	.name = "run",
	.summary = "Answers with what it was given.",
	.start = start,
};

static const struct gw_action *const actions[] = { &action, NULL };

static const struct gw_plugin plugin = {
	.abi_major = GW_ABI_MAJOR,
	.abi_minor = GW_ABI_MINOR,
	.size = sizeof(plugin),
	.name = "frozen",
	.version = "1.0",
	.actions = actions,
};

const struct gw_plugin *gw_plugin_entry(void)
{
	return &plugin;
}
