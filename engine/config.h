/* SPDX-License-Identifier: MIT */
/*
 * The configuration: gangway.lua, a Lua file that returns one table.  Every key
 * has a default; unknown keys are refused by name.  Relative paths count from
 * the file's folder.  docs/reference/configuration.md lists the keys.
 *
 * Where nobody says which file, it is looked for: here, in the folders above,
 * beside the program, where it was installed.  Of the one that came with the
 * program, graphs, rules and prompts lie with it; what is written (store,
 * artifacts) stays in the current folder.
 */
#ifndef CONFIG_H
#define CONFIG_H

#include <stdbool.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/json.h"

struct config {
	char *file;      /* where it was read; NULL: defaults only */
	char *looked;    /* then: where one was looked for, for people */
	bool is_shipped; /* the one that came with the program */
	char *folder;    /* absolute; relative paths count from here */
	char *work;      /* absolute; and those of what is written from here */
	char *store, *socket;
	char *graphs, *rules, *prompts, *artifacts;
	bool has_audit_files;
	json_t *plugin_folders;
	json_t *plugin_pins; /* {name: sha256} */
	json_t *connections;
	json_t *serve;       /* as serve_start() takes it */
	char *http_location; /* serve.public_url with the door's path; NULL: none is configured */
	char *log;           /* level; NULL: the usual one */
	char *audit_key;     /* PEM of the key that signs heads; NULL: none */
	char *heads_file;    /* where signed heads are appended; NULL: nowhere */
	int workers;
};

/*
 * path NULL: $GANGWAY_CONFIG, else the first one found, else the defaults.
 * ERR_INPUT names file, line and key.
 */
int config_read(const char *path, struct config *ret, struct err *err) ATTR_MUST_USE;
void config_release(struct config *config);

#endif
