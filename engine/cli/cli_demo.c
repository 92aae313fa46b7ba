/* SPDX-License-Identifier: MIT */
/*
 * gangway demo: the whole thing before one's eyes, offline.  It starts the
 * sandbox, runs the five accounts, kills one of them half way with -9 and
 * starts it again, and shows the decisions and where the reports lie.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli_commands.h"

struct demo {
	struct cli *cli;
	char self[PATH_MAX];
	char *sandbox_path, *folder;
	pid_t sandbox;
	char *control; /* address of the sandbox's control port */
};

static const struct {
	const char *account, *what, *expected;
} accounts[] = {
	{ "ACME-001", "all checks pass, contract executed, invoice paid", "PROCEED" },
	{ "BETA-002", "opportunity still in negotiation", "BLOCK" },
	{ "GAMMA-003", "invoice overdue", "ESCALATE" },
	{ "DELETED-004", "account deleted in Salesforce", "BLOCK" },
	{ "MISSING-999", "exists in no system", "BLOCK" },
};
enum { ACCOUNT_COUNT = sizeof(accounts) / sizeof(*accounts), KILLED = 0 };

/* --- processes ------------------------------------------------------------------------- */

/* Starts program with its standard output on a pipe; *ret_fd is the reading end. */
static pid_t start(const char *const *argv, int *ret_fd)
{
	int ends[2];
	must(pipe(ends) == 0);
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		dup2(ends[1], STDOUT_FILENO);
		close(ends[0]);
		close(ends[1]);
		execv(argv[0], (char *const *)(uintptr_t)argv);
		fprintf(stderr, "gangway: %s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	close(ends[1]);
	*ret_fd = ends[0];
	fcntl(ends[0], F_SETFD, FD_CLOEXEC);
	return pid;
}

static char *beside(const char *self, const char *name)
{
	const char *slash = strrchr(self, '/');
	return mem_format("%.*s/%s", (int)(slash - self), self, name);
}

/* "name address" lines until "ready"; the addresses become environment variables. */
static bool read_addresses(struct demo *demo, FILE *out)
{
	char line[512];
	while (fgets(line, sizeof(line), out)) {
		line[strcspn(line, "\n")] = '\0';
		if (strcmp(line, "ready") == 0)
			return true;
		char *blank = strchr(line, ' ');
		if (!blank)
			continue;
		*blank = '\0';
		bool is_llm = strcmp(line, "llm") == 0;
		char *name = mem_format("%s_URL", is_llm ? "OPENAI_BASE" : line);
		for (char *c = name; *c; c++)
			*c = *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c;
		setenv(name, blank + 1, 1);
		if (strcmp(line, "control") == 0)
			demo->control = mem_dup_str(blank + 1);
		free(name);
	}
	return false;
}

/* export NAME='value' lines of gangway-sandbox --env. */
static void read_credentials(const struct demo *demo)
{
	const char *argv[] = { demo->sandbox_path, "--env", NULL };
	int fd;
	pid_t pid = start(argv, &fd);
	FILE *out = fdopen(fd, "r");
	char line[512];
	while (out && fgets(line, sizeof(line), out)) {
		char *name = line + strlen("export "), *equals = strchr(line, '=');
		char *end = equals ? strrchr(equals, '\'') : NULL;
		if (!end || end <= equals + 1)
			continue;
		*equals = *end = '\0';
		setenv(name, equals + 2, 1);
	}
	if (out)
		fclose(out);
	waitpid(pid, NULL, 0);
}

static bool start_sandbox(struct demo *demo)
{
	const char *argv[] = { demo->sandbox_path, "--die-with-parent", NULL };
	int fd;
	demo->sandbox = start(argv, &fd);
	FILE *out = fdopen(fd, "r");
	bool is_ready = out && read_addresses(demo, out);
	if (out && !is_ready)
		fclose(out);
	/* The pipe stays open: the sandbox writes nothing more to it. */
	return is_ready;
}

/* --- the configuration of the demo -------------------------------------------------------- */

static int write_config(struct demo *demo, struct err *err)
{
	struct cli *cli = demo->cli;
	char *path = mem_format("%s/gangway.json", demo->folder);
	/* Afterwards the sandbox is gone and its credentials with it;
	 * looking must work all the same. */
	const char *name;
	json_t *connection;
	json_object_foreach(cli->config.connections, name, connection)
		json_put(connection, "optional", json_true());
	json_t *settings = json_pack("{s:s,s:s,s:s,s:s,s:s,s:O,s:O,s:i}", "store", "gangway.db",
	                             "artifacts", "out", "graphs", cli->config.graphs, "rules",
	                             cli->config.rules, "prompts", cli->config.prompts, "plugins",
	                             cli->config.plugin_folders, "connections",
	                             cli->config.connections, "workers", 0);
	int status = json_dump_file(settings, path, JSON_INDENT(2)) == 0
	                     ? 0
	                     : err_set(err, ERR_SYSTEM, "%s: %s", path, strerror(errno));
	json_decref(settings);
	free(path);
	return status;
}

static void forget(const struct demo *demo, const char *name)
{
	char *path = mem_format("%s/%s", demo->folder, name);
	(void)unlink(path);
	free(path);
}

/* What an earlier demo wrote about runs that are no more. */
static void forget_artifacts(const struct demo *demo)
{
	char *path = mem_format("%s/out", demo->folder);
	DIR *dir = opendir(path);
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		if (!str_begins(entry->d_name, "run_report_") &&
		    !str_begins(entry->d_name, "email_") && !str_begins(entry->d_name, "audit_"))
			continue;
		char *name = mem_format("out/%s", entry->d_name);
		forget(demo, name);
		free(name);
	}
	if (dir)
		closedir(dir);
	free(path);
}

static int prepare(struct demo *demo, struct err *err)
{
	ssize_t len = readlink("/proc/self/exe", demo->self, sizeof(demo->self) - 1);
	demo->self[len > 0 ? len : 0] = '\0';
	demo->sandbox_path = beside(demo->self, "gangway-sandbox");
	if (access(demo->sandbox_path, X_OK) < 0) {
		err_set(err, ERR_ABSENT, "the sandbox is not where it should be: %s",
		        demo->sandbox_path);
		return err_hint(err, "build it: make gangway-sandbox");
	}
	read_credentials(demo);
	if (!start_sandbox(demo))
		return err_set(err, ERR_SYSTEM, "the sandbox did not start");
	if (cli_config(demo->cli, err) < 0)
		return err->code;
	const char *folder = cli_option(demo->cli, "folder");
	demo->folder = mem_dup_str(folder ? folder : "demo-out");
	if (mkdir(demo->folder, 0755) < 0 && errno != EEXIST)
		return err_set(err, ERR_SYSTEM, "%s: %s", demo->folder, strerror(errno));
	static const char *const old[] = { "gangway.db", "gangway.db-wal", "gangway.db-shm",
		                           "gangway.db.sock" };
	for (size_t i = 0; i < sizeof(old) / sizeof(*old); i++)
		forget(demo, old[i]);
	forget_artifacts(demo);
	return write_config(demo, err);
}

/* --- one account ------------------------------------------------------------------------------ */

static pid_t start_run(const struct demo *demo, size_t i, bool is_quiet, int *ret_fd)
{
	char *input = mem_format("{\"account_id\":\"%s\"}", accounts[i].account);
	char *config = mem_format("%s/gangway.json", demo->folder);
	char *name = mem_format("demo-%s", accounts[i].account);
	const char *argv[] = { demo->self,
		               "run",
		               "start",
		               "onboarding",
		               "--input",
		               input,
		               "--correlation-id",
		               name,
		               "--wait",
		               "--config",
		               config,
		               is_quiet ? "--quiet" : NULL,
		               NULL };
	pid_t pid = start(argv, ret_fd);
	free(input);
	free(config);
	free(name);
	return pid;
}

/* Shows what the run prints; kills it when it has come to this word.  True: it was killed. */
static bool show(const struct demo *demo, pid_t pid, int fd, const char *kill_at)
{
	FILE *out = fdopen(fd, "r");
	char line[4096];
	bool is_killed = false;
	while (out && fgets(line, sizeof(line), out)) {
		if (!demo->cli->is_json)
			printf("    %s", line);
		fflush(stdout);
		if (kill_at && !is_killed && strstr(line, kill_at)) {
			kill(pid, SIGKILL);
			is_killed = true;
		}
	}
	if (out)
		fclose(out);
	waitpid(pid, NULL, 0);
	return is_killed;
}

static void say(const struct demo *demo, const char *text)
{
	if (!demo->cli->is_json)
		printf("%s\n", text);
	fflush(stdout);
}

static void run_account(const struct demo *demo, size_t i)
{
	int fd;
	char *head = mem_format("\n%s - %s", accounts[i].account, accounts[i].what);
	say(demo, head);
	free(head);
	pid_t pid = start_run(demo, i, i != KILLED, &fd);
	if (!show(demo, pid, fd, i == KILLED ? "provision.create_tenant" : NULL))
		return;
	say(demo, "    ^ killed with -9 while the tenant was being made.  The same command again:");
	show(demo, start_run(demo, i, false, &fd), fd, NULL);
}

/* --- the table -------------------------------------------------------------------------------- */

static json_t *list_runs(struct demo *demo, struct err *err)
{
	struct cli *cli = demo->cli;
	char *config = mem_format("%s/gangway.json", demo->folder);
	struct cli listing = { .command = cli->command,
		               .config_path = config,
		               .options = cli->options };
	json_t *request = json_pack("{s:s,s:s}", "op", "run.list", "graph", "onboarding"),
	       *last = NULL;
	int status = cli_ask(&listing, request, NULL, NULL, &last, err);
	json_decref(request);
	if (status < 0) {
		json_decref(last);
		last = NULL;
	}
	if (listing.has_config)
		config_release(&listing.config);
	cli_release(&listing);
	free(config);
	return last;
}

static const json_t *find_run(const json_t *runs, const char *account)
{
	for (size_t i = 0; i < json_array_size(runs); i++) {
		const json_t *run = json_array_get(runs, i);
		if (strcmp(json_str(json_at(run, "search"), "account_id", ""), account) == 0)
			return run;
	}
	return NULL;
}

static int print_table(struct demo *demo, const json_t *runs, int64_t took_ms)
{
	struct cli_table table;
	int wrong = 0;
	json_t *rows = json_array();
	static const char *const heads[] = { "ACCOUNT", "DECISION", "EXPECTED", "STATUS", "RUN" };
	cli_table_init(&table, 5);
	for (size_t i = 0; i < 5; i++)
		cli_table_cell(&table, heads[i]);
	for (size_t i = 0; i < ACCOUNT_COUNT; i++) {
		const json_t *run = find_run(runs, accounts[i].account);
		const char *decision = json_str(json_at(run, "search"), "decision", "-");
		wrong += strcmp(decision, accounts[i].expected) != 0;
		const char *cells[] = { accounts[i].account, decision, accounts[i].expected,
			                json_str(run, "status", "-"), json_str(run, "id", "-") };
		for (size_t c = 0; c < 5; c++)
			cli_table_cell(&table, cells[c]);
		json_push(rows, json_pack("{s:s,s:s,s:s,s:s,s:s}", "account", cells[0], "decision",
		                          cells[1], "expected", cells[2], "status", cells[3], "run",
		                          cells[4]));
	}
	if (demo->cli->is_json) {
		json_t *out = json_pack("{s:O,s:I,s:s,s:b}", "accounts", rows, "took_ms",
		                        (json_int_t)took_ms, "folder", demo->folder, "ok",
		                        wrong == 0);
		cli_print_json(out);
		json_decref(out);
		for (size_t i = 0; i < table.len; i++)
			free(table.cells[i]);
		free(table.cells);
	} else {
		printf("\n");
		cli_table_print(&table);
	}
	json_decref(rows);
	return wrong;
}

/* A path as one would type it from here; to be freed. */
static char *from_here(const char *path)
{
	char here[PATH_MAX];
	size_t len = getcwd(here, sizeof(here)) ? strlen(here) : 0;
	bool is_below = len > 0 && strncmp(path, here, len) == 0 && path[len] == '/';
	return mem_dup_str(is_below ? path + len + 1 : path);
}

/* A program as one would type it: its name alone where the shell finds it by that. */
static char *as_typed(const char *program)
{
	const char *name = strrchr(program, '/') + 1, *path = getenv("PATH");
	while (path && *path) {
		size_t len = strcspn(path, ":");
		char *there = mem_format("%.*s/%s", (int)len, path, name);
		char *real = access(there, X_OK) == 0 ? realpath(there, NULL) : NULL;
		bool is_this = real && strcmp(real, program) == 0, is_other = real && !is_this;
		free(there);
		free(real);
		if (is_this)
			return mem_dup_str(name);
		path = is_other ? NULL : path + len + (path[len] == ':');
	}
	char *ret = from_here(program);
	if (strchr(ret, '/'))
		return ret;
	char *here = mem_format("./%s", ret);
	free(ret);
	return here;
}

static void print_next(const struct demo *demo, const json_t *runs, int64_t took_ms)
{
	const json_t *escalated = find_run(runs, "GAMMA-003"), *first = find_run(runs, "ACME-001");
	char *gangway = as_typed(demo->self), *sandbox = as_typed(demo->sandbox_path);
	char *rules = from_here(demo->cli->config.rules);
	printf("\nfive accounts in %.1f s, over real HTTP to the sandbox.\n",
	       (double)took_ms / 1000.0);
	printf("reports, mails and audits lie in %s/out\n", demo->folder);
	printf("\ntry next:\n");
	printf("  %s audit verify %s --config %s/gangway.json\n", gangway,
	       json_str(first, "id", "RUN"), demo->folder);
	printf("  %s run show %s --config %s/gangway.json\n", gangway,
	       json_str(escalated, "id", "RUN"), demo->folder);
	printf("  %s task list --config %s/gangway.json\n", gangway, demo->folder);
	printf("  change a threshold in %s/onboarding/invoice.lua, then:\n"
	       "  %s rules test onboarding\n",
	       rules, gangway);
	printf("\nto go on against a sandbox that stays up:\n"
	       "  %s --port 21000 &\n"
	       "  eval \"$(%s --env --port 21000)\"\n"
	       "  %s run start onboarding --input '{\"account_id\":\"ACME-001\"}' --wait\n",
	       sandbox, sandbox, gangway);
	free(gangway);
	free(sandbox);
	free(rules);
}

static int demo(struct cli *cli)
{
	struct err err = { 0 };
	struct demo demo = { .cli = cli };
	const struct clock clock = clock_system();
	int code = 0;
	if (prepare(&demo, &err) < 0) {
		code = cli_fail(cli, &err);
	} else {
		int64_t started = clock_monotonic_ms(&clock);
		for (size_t i = 0; i < ACCOUNT_COUNT; i++)
			run_account(&demo, i);
		int64_t took_ms = clock_monotonic_ms(&clock) - started;
		json_t *last = list_runs(&demo, &err);
		const json_t *runs = json_at(last, "runs");
		code = !runs                               ? cli_fail(cli, &err)
		       : print_table(&demo, runs, took_ms) ? EXIT_NO
		                                           : 0;
		if (runs && !cli->is_json)
			print_next(&demo, runs, took_ms);
		json_decref(last);
	}
	if (demo.sandbox > 0) {
		kill(demo.sandbox, SIGTERM);
		waitpid(demo.sandbox, NULL, 0);
	}
	free(demo.sandbox_path);
	free(demo.folder);
	free(demo.control);
	return code;
}

static const char *const options[] = { "folder=", NULL };

const struct command command_demo = {
	"demo",
	NULL,
	"",
	0,
	0,
	options,
	"see it work: the sandbox, five accounts, one kill -9",
	"  --folder DIR   where the store, the reports and the configuration go (demo-out)\n"
	"exit: 0 the five decisions are as expected, 1 they are not",
	"gangway demo",
	demo
};
