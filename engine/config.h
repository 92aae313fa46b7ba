/* SPDX-License-Identifier: MIT */
/*
 * The configuration: gangway.lua, a Lua file that returns one table.  Every key
 * has a default; unknown keys are refused by name.  Relative paths count from
 * the file's folder.  docs/reference/configuration.md lists the keys.
 */
#ifndef CONFIG_H
#define CONFIG_H

#include "base/attr.h"
#include "base/err.h"
#include "base/json.h"

struct config {
	char *file;   /* where it was read; NULL: defaults only */
	char *folder; /* absolute; relative paths count from here */
	char *store, *socket;
	char *graphs, *rules, *prompts, *artifacts;
	json_t *plugin_folders;
	json_t *plugin_pins; /* {name: sha256} */
	json_t *connections;
	json_t *serve; /* as serve_start() takes it */
	int workers;
};

/*
 * path NULL: $GANGWAY_CONFIG, else ./gangway.lua, else the defaults.
 * ERR_INPUT names file, line and key.
 */
int config_read(const char *path, struct config *ret, struct err *err) ATTR_MUST_USE;
void config_release(struct config *config);

#endif
