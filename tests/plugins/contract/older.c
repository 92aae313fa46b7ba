/* SPDX-License-Identifier: MIT */
/*
 * A plugin of an earlier minor: its descriptor ends with the actions, and what
 * lies behind it in memory is not for us to read.
 */
#include "gw_plugin.h"

static void start(const struct gw_host *host, struct gw_call *call)
{
	host->call->done(call, NULL);
}

static const struct gw_action action = {
	.size = sizeof(action),
	.effect = GW_EFFECT_PURE,
	.name = "run",
	.start = start,
};

static const struct gw_action *const actions[] = { &action, NULL };

enum { KNOWN = offsetof(struct gw_plugin, actions) + sizeof(actions[0]) };

static const struct gw_plugin plugin = {
	.abi_major = GW_ABI_MAJOR,
	.abi_minor = 0,
	.size = KNOWN,
	.name = "older",
	.version = "0.1",
	.actions = actions,
	.errors = (const struct gw_error_row *const *)(const void *)"not for you",
	.settings = "{ not for you",
};

const struct gw_plugin *gw_plugin_entry(void)
{
	return &plugin;
}
