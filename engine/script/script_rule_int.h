/* SPDX-License-Identifier: MIT */
/*
 * What the files about rule sets share.
 *
 * A rule set is text (struct ruleset, shared) and, per Lua state, compiled code
 * (struct rule_code).  Its functions keep nothing between calls.  A file that
 * can change no table but its own fresh ones (script_scan.c tells) is run once
 * and its functions are called over the same parameters again and again; any
 * other file is run anew for every call, over a fresh copy of the parameters.
 */
#ifndef SCRIPT_RULE_INT_H
#define SCRIPT_RULE_INT_H

#include <stdatomic.h>

#include "script/script_int.h"

struct ruleset {
	atomic_int refs;
	char *name, *hash;
	json_t *files; /* of our own: never changed */
};

struct rule {
	char *id, *owner, *message, *fix;
	bool is_violation;
	int line;
};

struct rule_file {
	char *name;    /* "account", of account.lua */
	char *subject; /* of a domain's file; NULL for others */
	bool is_pure;
	int chunk_ref;
	int module_ref; /* what the file returned, when it is pure */
	VEC(struct rule) rules;
};

struct rule_code {
	struct ruleset *set;
	json_t *manifest; /* as JSON: name, version, domains, decide, decisions */
	VEC(struct rule_file) files;
	VEC(size_t) domains; /* indices of files, in the manifest's order */
	uint64_t last_use;
};

/*
 * Compiles and reads all files of the set.  Appends findings; the code may be
 * used when none of them has the level "error".
 */
struct rule_code *rule_code_new(struct script *script, struct ruleset *set, json_t *findings);
void rule_code_free(struct script *script, struct rule_code *code);
/* From the cache; NULL and ERR_BLOCKED when it has an error. */
struct rule_code *rule_code_get(struct script *script, struct ruleset *set, struct err *err);
struct rule_file *rule_code_file(struct rule_code *code, const char *name, size_t len);
bool rule_has_error(const json_t *findings, const json_t **first);
/* Pushes what the file returns: the kept one, or a new one.  ERR_BLOCKED when it fails. */
int rule_code_push_module(struct script *script, struct rule_file *file,
                          const struct box_host *host, struct err *err);
/* Sets err (ERR_BLOCKED: rule.error, rule.budget, ...) from a failed call; pops the error value. */
int rule_failed(struct script *script, struct err *err);
/* Names a place of a finding; line 0: none.  text is formatted. */
void rule_find(json_t *findings, const char *level, const char *file, int line, const char *code,
               const char *hint, const char *format, ...) ATTR_PRINTF(7, 8);
/* The line where "text" stands as a quoted string, 0 when it does not. */
int rule_line_of(const struct ruleset *set, const char *file, const char *text);

/* One verdict in the making: script_rule.c. */
struct verdict {
	struct script *script;
	struct rule_code *code;
	const json_t *params;
	struct box_host host;
	uint64_t rng;
	int64_t steps_left; /* of all rules together */
	int params_index;   /* stack index of the parameters as a shared table; 0: not pushed */
	json_t *violations, *warnings, *outcomes;
};

int verdict_begin(struct verdict *verdict, struct script *script, struct ruleset *set,
                  const struct rule_inputs *in, struct err *err);
/* Before the first rule: the parameters that all of them share. */
void verdict_share_params(struct verdict *verdict);
/* Runs one rule over all its subjects; appends findings and outcomes. */
int verdict_run_rule(struct verdict *verdict, struct rule_file *file, size_t index,
                     struct err *err);
void verdict_end(struct verdict *verdict);
/* The value at a path with indices from 1; borrowed, NULL when absent. */
const json_t *rule_path(const json_t *value, struct str path);
/* Calls found for each {path} of a message, and text for what is between; both may be NULL. */
void rule_message_parts(const char *message, void (*text)(void *ctx, struct str text),
                        void (*found)(void *ctx, struct str path), void *ctx);

#endif
