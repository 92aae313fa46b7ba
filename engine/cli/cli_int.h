/* SPDX-License-Identifier: MIT */
/* What the commands share: options, talking to the engine, printing. */
#ifndef CLI_INT_H
#define CLI_INT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/must.h"
#include "cli/cli.h"
#include "config.h"

struct plugins;
struct engine;
struct release;
struct report_log;

enum {
	EXIT_NO = 1,
	EXIT_USAGE = 2,
	EXIT_RUNTIME = 3,
	EXIT_ABSENT = 4,
	EXIT_CONFLICT = 5,
	EXIT_BUSY = 6
};

/* One command being carried out. */
struct cli {
	const struct command *command;
	const char *config_path; /* --config; NULL: the usual places */
	struct config config;    /* read when first needed: cli_config() */
	bool has_config;
	json_t *connections; /* instead of the configuration's (gangway demo); NULL: none */
	bool is_json;        /* --json */
	bool is_terminal;    /* stdout is a terminal */
	json_t *options;     /* {"input": "...", "wait": true}: without the dashes */
	const char **args;   /* what is no option */
	int arg_count;
	struct plugins *plugins; /* loaded when first needed: cli_plugins() */
	bool keeps_schedules;    /* the engine that it becomes fires what is scheduled */
	struct report_log *log;  /* of the engine, when this command owns the store */
	/* Of a server, as engine_options has them; NULL: it is none. */
	int (*release_check)(void *ctx, struct release *release, struct err *err);
	json_t *(*control)(void *ctx, const json_t *request);
	void *program_ctx;
};

/* "name" takes a value when it ends in '=', else it is a switch. */
struct command {
	const char *noun, *verb; /* verb NULL: the noun alone */
	const char *args;        /* as shown: "GRAPH" */
	int arg_min, arg_max;
	const char *const *options; /* NULL-terminated: "input=", "wait" */
	const char *summary;        /* one sentence */
	const char *help;           /* more, and what each option means */
	const char *example;        /* at least one line that works */
	int (*run)(struct cli *cli);
};

extern const struct command *const cli_commands[]; /* NULL-terminated; cli_table.c */

/* NULL when it was not given. */
const char *cli_option(const struct cli *cli, const char *name);
bool cli_switch(const struct cli *cli, const char *name);

/* --- printing ---------------------------------------------------------------------- */

/* Prints the error ("gangway: ..." on stderr, JSON with --json) and gives the exit code. */
int cli_fail(const struct cli *cli, const struct err *err);
/* The same for {"code","id","text","hint"} as engine replies carry it. */
int cli_fail_json(const struct cli *cli, const json_t *error);
/* With --json: one line of JSON on stdout. */
void cli_print_json(const json_t *value);
/* Columns, padded; the first row is the heading. */
struct cli_table {
	char **cells;
	size_t columns, len, size;
};
void cli_table_init(struct cli_table *table, size_t columns);
void cli_table_cell(struct cli_table *table, const char *text); /* row by row */
void cli_table_print(struct cli_table *table);                  /* and releases it */
/* Control characters of data never reach a terminal. */
char *cli_clean(const char *text); /* to be freed */

/* --- the engine ------------------------------------------------------------------------ */

int cli_config(struct cli *cli, struct err *err) ATTR_MUST_USE;
/* The configured plugins; a plugin that cannot be loaded is told on stderr once. */
int cli_plugins(struct cli *cli, struct err *err) ATTR_MUST_USE;
void cli_release(struct cli *cli); /* plugins and log */

typedef void cli_reply_cb(void *arg, const json_t *reply);
/*
 * Asks the owner of the store; where there is none, becomes it for as long as
 * the command takes and until what is open waits only for people and time.
 * Every reply goes to cb (may be NULL); *last is the final one, new.
 */
int cli_ask(struct cli *cli, const json_t *request, cli_reply_cb *cb, void *arg, json_t **last,
            struct err *err) ATTR_MUST_USE;
/* The same of a running owner alone: ERR_ABSENT when there is none. */
int cli_ask_owner(struct cli *cli, const json_t *request, json_t **last,
                  struct err *err) ATTR_MUST_USE;
/* Asks, prints what comes back (with show, or as JSON), and gives the exit code. */
int cli_ask_and_show(struct cli *cli, json_t *request_taken, void (*show)(const json_t *reply));
void cli_show_run(const json_t *reply); /* {"run": RUN} */
/* Opens the engine on the configured store; for serve and demo. */
int cli_engine_open(struct cli *cli, struct engine **ret, struct err *err) ATTR_MUST_USE;
/* Reads --input: JSON text, or @FILE, or - for standard input. */
int cli_read_json(const char *text, json_t **ret, struct err *err) ATTR_MUST_USE;
/* Who acts: --by, else $GANGWAY_USER, else the login name. */
const char *cli_by(const struct cli *cli);
/* Who is named: --by, else $GANGWAY_USER; NULL: nobody. */
const char *cli_named(const struct cli *cli);

/*
 * Shows {"step":...} replies as they come: live on a terminal (not with
 * NO_COLOR or TERM=dumb), plain lines else.  It stays where it is: its own
 * thread draws it.
 */
struct cli_live {
	const struct cli *cli;
	int64_t started_ms;
	json_t *open;                /* "number.element" -> {"what","title","at"} */
	struct cli_painter *painter; /* NULL: plain lines */
};
void cli_live_init(struct cli_live *live, const struct cli *cli);
void cli_live_step(struct cli_live *live, const json_t *reply);
/* The calls that were open when somebody began to watch: the "asks" of a reply. */
void cli_live_open(struct cli_live *live, const json_t *asks);
/* Before anything else is printed. */
void cli_live_end(struct cli_live *live);

/* cli_heads.c */
int audit_verify_heads(struct cli *cli, const char *path);

#endif
