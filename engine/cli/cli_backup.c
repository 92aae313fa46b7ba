/* SPDX-License-Identifier: MIT */
/* gangway backup, gangway restore: copies of the store, and the way back. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli_commands.h"
#include "store/store.h"

/* The owner's working folder may be another. */
static char *absolute(const char *path)
{
	char cwd[PATH_MAX];
	return *path == '/' || !getcwd(cwd, sizeof(cwd)) ? mem_dup_str(path)
	                                                 : mem_format("%s/%s", cwd, path);
}

/* Nobody owns the store: it is opened for as long as the copy takes; no run is carried on. */
static int copy_at_rest(struct cli *cli, const char *path, struct err *err)
{
	struct store *store;
	if (access(cli->config.store, F_OK) < 0)
		return err_set_id(err, ERR_ABSENT, "store.absent", "%s: %s", cli->config.store,
		                  strerror(errno));
	if (store_sqlite_open(cli->config.store, &store, err) < 0)
		return err->code;
	int status = store->ops->backup(store, path, err);
	store->ops->close(store);
	return status;
}

static int tell(const struct cli *cli, const char *what, const char *path)
{
	if (cli->is_json) {
		json_t *line = json_pack("{s:s,s:s}", what, path, "store", cli->config.store);
		cli_print_json(line);
		json_decref(line);
	} else {
		printf("%s %s: whole and checked\n", what, path);
	}
	return 0;
}

static int backup(struct cli *cli)
{
	struct err err = { 0 };
	json_t *last = NULL;
	char *path = absolute(cli->args[0]);
	json_t *request = json_pack("{s:s,s:s}", "op", "store.backup", "path", path);
	int code, status = cli_ask_owner(cli, request, &last, &err);
	if (status == ERR_ABSENT && cli->has_config) {
		err_clear(&err);
		status = copy_at_rest(cli, path, &err);
	}
	if (status < 0)
		code = cli_fail(cli, &err);
	else if (json_at(last, "error"))
		code = cli_fail_json(cli, json_at(last, "error"));
	else
		code = tell(cli, "backup", path);
	json_decref(request);
	json_decref(last);
	free(path);
	return code;
}

static int restore(struct cli *cli)
{
	struct err err = { 0 };
	if (cli_config(cli, &err) < 0 || store_sqlite_restore(cli->args[0], cli->config.store,
	                                                      cli_switch(cli, "replace"), &err) < 0)
		return cli_fail(cli, &err);
	return tell(cli, "restored", cli->args[0]);
}

static const char *const no_options[] = { NULL };
static const char *const restore_options[] = { "replace", NULL };

const struct command command_backup = {
	"backup",
	NULL,
	"FILE",
	1,
	1,
	no_options,
	"copy the store to FILE, also while it is in use",
	"The copy is of one moment, checked, and there whole or not at all; runs go on.\n"
	"Reports and audits (artifacts) are files of their own.",
	"gangway backup /backup/gangway-2026-11-21.db",
	backup
};
const struct command command_restore = {
	"restore",
	NULL,
	"FILE",
	1,
	1,
	restore_options,
	"make a backup the store",
	"  --replace   also when there is a store; it is kept beside as STORE.before\n\n"
	"The server must not run.  What was under way when the backup was made goes on at the\n"
	"next start: calls that may be repeated are, those that may not become tasks for people.",
	"gangway restore /backup/gangway-2026-11-21.db",
	restore
};
