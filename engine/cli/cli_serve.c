/* SPDX-License-Identifier: MIT */
/* gangway serve: owns the store and answers over HTTP until it is told to stop; gangway version. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/cli_commands.h"
#include "cli/cli_serve.h"
#include "report/report.h"
#include "run/engine.h"
#include "serve/serve.h"
#include "wire/wire.h"

static void write_line(void *log, const json_t *line)
{
	report_log_write(log, line);
}

static int port_of(const struct cli *cli, struct err *err)
{
	const char *text = cli_option(cli, "port");
	if (!text)
		return -1;
	char *end;
	long port = strtol(text, &end, 10);
	if (*end == '\0' && *text != '\0' && port >= 0 && port <= 65535)
		return (int)port;
	err_set_id(err, ERR_INPUT, "serve.port", "'%.20s' is no port", text);
	return err_hint(err, "0 to 65535; 0: any that is free");
}

struct token_count {
	size_t tokens;
};

static void count_tokens(void *arg, const json_t *reply, bool is_last)
{
	struct token_count *count = arg;
	if (is_last)
		count->tokens = json_array_size(json_at(reply, "tokens"));
}

static void tell(const struct cli *cli, const struct serve *server)
{
	const char *health = serve_health_address(server);
	if (cli->is_json) {
		json_t *line = json_pack("{s:s,s:s,s:s}", "store", cli->config.store, "socket",
		                         cli->config.socket, "address", serve_address(server));
		json_put_str(line, "health_address", health);
		cli_print_json(line);
		json_decref(line);
	} else {
		printf("gangway %s owns %s\nlistens on %s\n", GANGWAY_VERSION, cli->config.store,
		       serve_address(server));
		if (health)
			printf("health on  %s\n", health);
		printf("other commands reach it over %s\nstop it with Ctrl-C or SIGTERM\n",
		       cli->config.socket);
	}
	fflush(stdout);
}

/* Nothing is open by default: whoever starts it for the first time must know how to get in. */
static void tell_of_tokens(const struct cli *cli)
{
	struct token_count count = { 0 };
	struct err err = { 0 };
	json_t *request = json_pack("{s:s}", "op", "token.list");
	int status = engine_ask(cli->config.socket, request, count_tokens, &count, &err);
	json_decref(request);
	if (status == 0 && count.tokens == 0 && !json_at(cli->config.serve, "anonymous"))
		fprintf(stderr, "gangway: nobody may ask over HTTP yet; make the first token with\n"
		                "  gangway token new --role operator --owner YOU\n");
}

/* Once a second: has a file changed, and does whoever watches over us want a sign of life? */
static void look_around(struct server *server)
{
	json_decref(server_reload(server, false));
	notify("WATCHDOG=1");
}

static void wait_for_stop(struct server *server, const sigset_t *signals)
{
	const struct timespec second = { 1, 0 };
	for (;;) {
		int caught = sigtimedwait(signals, NULL, &second);
		if (caught == SIGTERM || caught == SIGINT)
			return;
		if (caught != SIGHUP) {
			look_around(server);
			continue;
		}
		notify_reloading();
		json_decref(server_reload(server, true));
		notify("READY=1");
	}
}

static int serve_until_stopped(struct server *server, const sigset_t *signals, int port)
{
	struct err err = { 0 };
	struct cli *cli = server->cli;
	const struct serve_options options = { .engine = server->engine,
		                               .config = cli->config.serve,
		                               .port = port,
		                               .version = GANGWAY_VERSION,
		                               .clock = clock_system(),
		                               .secret_read = wire_secret_read,
		                               .secret_free = wire_secret_free,
		                               .log = write_line,
		                               .log_ctx = cli->log };
	if (serve_start(&options, &server->serve, &err) < 0) {
		engine_close(server->engine);
		return cli_fail(cli, &err);
	}
	server_begin(server);
	tell(cli, server->serve);
	tell_of_tokens(cli);
	notify("READY=1\nSTATUS=answers on %s", serve_address(server->serve));
	wait_for_stop(server, signals);
	notify("STOPPING=1");
	if (!cli->is_json)
		printf("stopping; what is open goes on at the next start\n");
	serve_drain(server->serve);
	engine_close(server->engine);
	serve_free(server->serve);
	return 0;
}

static int serve(struct cli *cli)
{
	struct err err = { 0 };
	struct server server = { .cli = cli };
	sigset_t signals;
	int port = port_of(cli, &err);
	if (err.code < 0)
		return cli_fail(cli, &err);
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	/* Before the engine's threads exist: they inherit it, and the signal waits for us. */
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	pthread_mutex_init(&server.lock, NULL);
	cli->keeps_schedules = true;
	cli->release_check = server_check;
	cli->control = server_control;
	cli->program_ctx = &server;
	if (cli_engine_open(cli, &server.engine, &err) < 0)
		return cli_fail(cli, &err);
	int code = serve_until_stopped(&server, &signals, port);
	pthread_mutex_destroy(&server.lock);
	return code;
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
static const char *const serve_options[] = { "port=", NULL };

const struct command command_serve = {
	"serve",
	NULL,
	"",
	0,
	0,
	serve_options,
	"own the store: carry runs and timers, answer over HTTP",
	"  --port N    instead of the configuration's; 0: any that is free\n\n"
	"Runs until SIGTERM or SIGINT; SIGHUP reloads (gangway reload).\n"
	"Other gangway commands with the same configuration talk to it.\n"
	"docs/reference/http-api.md tells what can be asked over HTTP.",
	"gangway serve --port 8080",
	serve
};
const struct command command_version = {
	"version", NULL, "", 0, 0, no_options, "print the version", NULL, "gangway version --json",
	version
};
