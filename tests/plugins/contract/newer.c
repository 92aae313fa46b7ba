/* SPDX-License-Identifier: MIT */
/*
 * A plugin of a later minor of the interface: its structs are larger than ours,
 * and it asks GW_HAS before it uses what we may not have.
 */
#include "gw_plugin.h"

struct later_action {
	struct gw_action now;
	const char *future;
};

struct later_host {
	struct gw_host now;
	void (*future)(struct gw_call *call);
};

static void start(const struct gw_host *host, struct gw_call *call)
{
	const struct later_host *later = (const struct later_host *)(const void *)host;
	struct gw_json *result = host->json->object(call);
	int32_t has_future = host->size >= sizeof(*later) && later->future;
	host->json->set_bool(result, "has_future", has_future);
	host->json->set_bool(result, "has_prompt", GW_HAS(struct gw_host, host, prompt) != 0);
	host->call->done(call, result);
}

static const struct later_action action = {
	.now = { .size = sizeof(action), .effect = GW_EFFECT_PURE, .name = "run", .start = start },
	.future = "what this engine does not know",
};

static const struct gw_action *const actions[] = { &action.now, NULL };

static const struct {
	struct gw_plugin now;
	const char *future;
} plugin = {
	.now = {
		.abi_major = GW_ABI_MAJOR,
		.abi_minor = GW_ABI_MINOR + 7,
		.size = sizeof(plugin),
		.name = "newer",
		.version = "9.0",
		.actions = actions,
	},
	.future = "what this engine does not know",
};

const struct gw_plugin *gw_plugin_entry(void)
{
	return &plugin.now;
}
