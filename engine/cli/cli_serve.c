/* SPDX-License-Identifier: MIT */
/* gangway serve: owns the store until it is told to stop; gangway version. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli_commands.h"
#include "run/engine.h"

static int serve(struct cli *cli)
{
	struct err err = { 0 };
	struct engine *engine;
	sigset_t stops;
	sigemptyset(&stops);
	sigaddset(&stops, SIGTERM);
	sigaddset(&stops, SIGINT);
	/* Before the engine's threads exist: they inherit it, and the signal waits for us. */
	pthread_sigmask(SIG_BLOCK, &stops, NULL);
	if (cli_engine_open(cli, &engine, &err) < 0)
		return cli_fail(cli, &err);
	if (cli->is_json) {
		json_t *line = json_pack("{s:s,s:s}", "store", cli->config.store, "socket",
		                         cli->config.socket);
		cli_print_json(line);
		json_decref(line);
	} else {
		printf("gangway %s owns %s\nother commands reach it over %s\nstop it with Ctrl-C or SIGTERM\n",
		       GANGWAY_VERSION, cli->config.store, cli->config.socket);
		fflush(stdout);
	}
	int caught;
	sigwait(&stops, &caught);
	if (!cli->is_json)
		printf("stopping; what is open goes on at the next start\n");
	engine_close(engine);
	return 0;
}

static int version(struct cli *cli)
{
	json_t *value = json_pack("{s:s,s:i}", "version", GANGWAY_VERSION, "abi_major", 1);
	if (cli->is_json)
		cli_print_json(value);
	else
		printf("gangway %s (plugin ABI 1)\n", GANGWAY_VERSION);
	json_decref(value);
	return 0;
}

static const char *const no_options[] = { NULL };

const struct command command_serve = {
	"serve",
	NULL,
	"",
	0,
	0,
	no_options,
	"own the store: carry runs, timers and other commands' requests",
	"Runs until SIGTERM or SIGINT.  Other gangway commands with the same configuration talk to it.",
	"gangway serve",
	serve
};
const struct command command_version = {
	"version", NULL, "", 0, 0, no_options, "print the version", NULL, "gangway version --json",
	version
};
