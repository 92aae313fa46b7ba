/* SPDX-License-Identifier: MIT */
/*
 * Finding the command in the table, its options, its help.  An option that the
 * command does not know is refused by name.
 */
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli_int.h"

const char *cli_option(const struct cli *cli, const char *name)
{
	return json_str(cli->options, name, NULL);
}

bool cli_switch(const struct cli *cli, const char *name)
{
	return json_truth(cli->options, name, false);
}

/* --- help ------------------------------------------------------------------------------ */

static void print_usage(const struct command *command, FILE *out)
{
	fprintf(out, "usage: gangway %s", command->noun);
	if (command->verb)
		fprintf(out, " %s", command->verb);
	if (*command->args)
		fprintf(out, " %s", command->args);
	for (const char *const *option = command->options; option && *option; option++) {
		size_t len = strlen(*option);
		bool has_value = (*option)[len - 1] == '=';
		fprintf(out, " [--%.*s%s]", (int)(has_value ? len - 1 : len), *option,
		        has_value ? " X" : "");
	}
	fprintf(out, " [--json] [--config FILE]\n");
}

static int help_command(const struct command *command)
{
	printf("%s\n\n", command->summary);
	print_usage(command, stdout);
	if (command->help)
		printf("\n%s\n", command->help);
	if (!command->help || !strstr(command->help, "exit:"))
		printf("\nexit: 0 done, 2 what was given is wrong, 3 it failed, 4 not found, "
		       "5 a conflict\n");
	printf("\nexample:\n  %s\n", command->example);
	return 0;
}

static int help_all(FILE *out)
{
	fprintf(out, "gangway - durable workflows: graphs in SCXML, rules in Lua, integrations as "
	             "plugins\n\n"
	             "usage: gangway <noun> <verb> [arguments] [--json] [--config FILE]\n\n");
	for (const struct command *const *c = cli_commands; *c; c++)
		fprintf(out, "  %-8s %-9s %s\n", (*c)->noun, (*c)->verb ? (*c)->verb : "",
		        (*c)->summary);
	fprintf(out,
	        "\n'gangway <noun> <verb> --help' tells more, with an example.\n"
	        "To see it work: gangway demo\n"
	        "exit: 0 done, 1 the answer is no, 2 what was given is wrong, 3 it failed,\n"
	        "      4 not found, 5 a conflict, 6 busy, 70 out of memory, 74 the store failed\n");
	return 0;
}

static int help_noun(const char *noun, FILE *out)
{
	bool is_known = false;
	for (const struct command *const *c = cli_commands; *c; c++) {
		if (strcmp((*c)->noun, noun) != 0)
			continue;
		fprintf(out, "  gangway %s %-9s %s\n", noun, (*c)->verb ? (*c)->verb : "",
		        (*c)->summary);
		is_known = true;
	}
	return is_known ? 0 : EXIT_USAGE;
}

/* --- finding ------------------------------------------------------------------------------ */

static const struct command *find(const char *noun, const char *verb)
{
	for (const struct command *const *c = cli_commands; *c; c++) {
		if (strcmp((*c)->noun, noun) != 0)
			continue;
		if (!(*c)->verb || (verb && strcmp((*c)->verb, verb) == 0))
			return *c;
	}
	return NULL;
}

static int unknown(const char *noun, const char *verb)
{
	const char *names[128] = { NULL };
	size_t count = 0;
	bool is_noun = false;
	for (const struct command *const *c = cli_commands; *c; c++)
		is_noun = is_noun || strcmp((*c)->noun, noun) == 0;
	for (const struct command *const *c = cli_commands; *c && count < 128; c++)
		if (!is_noun || strcmp((*c)->noun, noun) == 0)
			names[count++] = is_noun ? (*c)->verb : (*c)->noun;
	const char *given = is_noun ? (verb ? verb : "") : noun;
	const char *nearest = str_nearest(given, names, count);
	char *clean = cli_clean(given);
	char *what = is_noun ? mem_format("'%s' verb", noun) : mem_dup_str("command");
	if (is_noun && !verb)
		fprintf(stderr, "gangway: %s needs a verb\n", noun);
	else
		fprintf(stderr, "gangway: there is no %s '%.80s'%s%s%s\n", what, clean,
		        nearest ? "; did you mean '" : "", nearest ? nearest : "",
		        nearest ? "'?" : "");
	free(clean);
	free(what);
	if (is_noun)
		(void)help_noun(noun, stderr);
	else
		fprintf(stderr, "'gangway --help' lists the commands\n");
	return EXIT_USAGE;
}

/* --- options --------------------------------------------------------------------------------- */

static int bad_option(const struct command *command, const char *format, const char *name)
{
	char *clean = cli_clean(name);
	fprintf(stderr, "gangway: ");
	fprintf(stderr,
	        strcmp(format, "value") == 0 ? "the option '%.80s' needs a value\n"
	                                     : "there is no option '%.80s' here\n",
	        clean);
	free(clean);
	print_usage(command, stderr);
	return EXIT_USAGE;
}

/* 1: a switch, 2: takes a value, 0: unknown. */
static int option_kind(const struct command *command, const char *name, size_t len)
{
	if (len == 4 && strncmp(name, "json", 4) == 0)
		return 1;
	if (len == 6 && strncmp(name, "config", 6) == 0)
		return 2;
	for (const char *const *option = command->options; option && *option; option++) {
		size_t option_len = strcspn(*option, "=");
		if (option_len == len && strncmp(*option, name, len) == 0)
			return (*option)[option_len] == '=' ? 2 : 1;
	}
	return 0;
}

static int read_options(struct cli *cli, int argc, char **argv)
{
	const struct command *command = cli->command;
	bool is_only_args = false;
	for (int i = 0; i < argc; i++) {
		const char *arg = argv[i];
		if (is_only_args || strncmp(arg, "--", 2) != 0) {
			cli->args[cli->arg_count++] = arg;
			continue;
		}
		if (arg[2] == '\0') {
			is_only_args = true;
			continue;
		}
		size_t len = strcspn(arg + 2, "=");
		int kind = option_kind(command, arg + 2, len);
		if (kind == 0)
			return bad_option(command, "name", arg);
		char *name = mem_dup(arg + 2, len);
		const char *value = arg[2 + len] == '=' ? arg + 3 + len : NULL;
		if (kind == 2 && !value && i + 1 < argc)
			value = argv[++i];
		if ((kind == 2) != (value != NULL)) {
			free(name);
			return bad_option(command, "value", arg);
		}
		json_put(cli->options, name, kind == 2 ? json_text(str_of(value)) : json_true());
		free(name);
	}
	if (cli->arg_count >= command->arg_min && cli->arg_count <= command->arg_max)
		return 0;
	fprintf(stderr, "gangway: %s\n",
	        cli->arg_count < command->arg_min ? "something is missing" : "too many arguments");
	print_usage(command, stderr);
	return EXIT_USAGE;
}

static bool asks_for_help(int argc, char **argv)
{
	for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
	return false;
}

static int run_command(const struct command *command, int argc, char **argv)
{
	struct cli cli = { .command = command,
		           .options = json_object(),
		           .args = mem_alloc(((size_t)argc + 1) * sizeof(*cli.args)),
		           .is_terminal = isatty(STDOUT_FILENO) };
	int code = read_options(&cli, argc, argv);
	cli.is_json = cli_switch(&cli, "json");
	cli.config_path = cli_option(&cli, "config");
	if (code == 0)
		code = command->run(&cli);
	cli_release(&cli);
	if (cli.has_config)
		config_release(&cli.config);
	json_decref(cli.connections);
	json_decref(cli.options);
	free(cli.args);
	return code;
}

int cli_main(int argc, char **argv)
{
	if (argc < 2)
		return help_all(stderr), EXIT_USAGE;
	const char *noun = argv[1], *verb = argc > 2 ? argv[2] : NULL;
	if (strcmp(noun, "--help") == 0 || strcmp(noun, "-h") == 0 || strcmp(noun, "help") == 0)
		return help_all(stdout);
	if (strcmp(noun, "--version") == 0)
		noun = "version";
	const struct command *command = find(noun, verb);
	if (!command && verb && (strcmp(verb, "--help") == 0 || strcmp(verb, "-h") == 0) &&
	    help_noun(noun, stdout) == 0)
		return 0;
	if (!command)
		return unknown(noun, verb);
	int skip = command->verb ? 3 : 2;
	if (asks_for_help(argc - skip, argv + skip))
		return help_command(command);
	return run_command(command, argc - skip, argv + skip);
}
