/* SPDX-License-Identifier: MIT */
/*
 * A script language as run/ needs it: the data model of graphs, and rule sets.  script/ fills
 * this table for Lua, so that run/ includes no Lua.
 *
 * Thread: what open returns belongs to one worker loop; rule sets are immutable and shared.
 */
#ifndef MACHINE_SCRIPTING_H
#define MACHINE_SCRIPTING_H

#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "machine/datamodel.h"

struct scripting_ops {
	const struct datamodel_ops *datamodel; /* its factory is what open returned */

	/* time_max_ms: of one evaluation, by clock; a backstop behind the counted budgets. */
	void *(*open)(const struct clock *clock, int64_t time_max_ms);
	void (*close)(void *script);

	/* files: {"account.lua": "text", ...}; hash: of the folder. */
	void *(*ruleset_new)(const char *name, const char *hash, const json_t *files);
	void (*ruleset_unref)(void *ruleset);
	/* The verdict of all domains; ERR_BLOCKED: nothing can be decided. */
	int (*rules_evaluate)(void *script, void *ruleset, const json_t *params, int64_t now_ms,
	                      uint64_t seed, json_t **ret, struct err *err);
	/* One function, "file.function". */
	int (*rules_call)(void *script, void *ruleset, const char *function, const json_t *params,
	                  int64_t now_ms, uint64_t seed, json_t **ret, struct err *err);
};

#endif
