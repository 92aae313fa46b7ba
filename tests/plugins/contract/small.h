/* SPDX-License-Identifier: MIT */
/* The smallest plugin there is; each file around it changes one thing before it includes this. */
#ifndef SMALL_H
#define SMALL_H

#include "gw_plugin.h"

#ifndef SMALL_NAME
#define SMALL_NAME "small"
#endif
#ifndef SMALL_VERSION
#define SMALL_VERSION "1.0"
#endif
#ifndef SMALL_MAJOR
#define SMALL_MAJOR GW_ABI_MAJOR
#endif
#ifndef SMALL_SIZE
#define SMALL_SIZE sizeof(struct gw_plugin)
#endif
#ifndef SMALL_EFFECT
#define SMALL_EFFECT GW_EFFECT_PURE
#endif
#ifndef SMALL_PARAMS
#define SMALL_PARAMS NULL
#endif
#ifndef SMALL_STATE
#define SMALL_STATE 0
#endif
#ifndef SMALL_START
#define SMALL_START start
#endif
#ifndef SMALL_ACTIONS
#define SMALL_ACTIONS         \
	{                     \
		&action, NULL \
	}
#endif

static void start(const struct gw_host *host, struct gw_call *call)
{
	host->call->done(call, NULL);
}

static const struct gw_action action = {
	.size = sizeof(action),
	.effect = SMALL_EFFECT,
	.name = "run",
	.summary = "Does nothing.",
	.params = SMALL_PARAMS,
	.state_size = SMALL_STATE,
	.start = SMALL_START,
};

static const struct gw_action *const actions[] = SMALL_ACTIONS;

static const struct gw_plugin plugin = {
	.abi_major = SMALL_MAJOR,
	.abi_minor = GW_ABI_MINOR,
	.size = SMALL_SIZE,
	.name = SMALL_NAME,
	.version = SMALL_VERSION,
	.actions = actions,
};

const struct gw_plugin *gw_plugin_entry(void)
{
	return &plugin;
}

#endif
