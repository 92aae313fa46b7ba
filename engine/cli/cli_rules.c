/* SPDX-License-Identifier: MIT */
/* gangway rules ...: checking and testing a rule set without starting anything. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli_commands.h"
#include "release/release.h"
#include "script/script.h"

struct opened {
	struct script *script;
	struct ruleset *set;
};

static void close_rules(struct opened *opened)
{
	ruleset_unref(opened->set);
	script_free(opened->script);
}

/* NAME in the configured folder, or a folder's path. */
static int open_rules(struct cli *cli, struct opened *ret, struct err *err)
{
	const char *name = cli->args[0];
	if (cli_config(cli, err) < 0)
		return err->code;
	char *path = strchr(name, '/') ? mem_dup_str(name)
	                               : mem_format("%s/%s", cli->config.rules, name);
	json_t *files;
	char hash[65];
	int status = release_read_folder(path, &files, hash, err);
	if (status == 0) {
		const struct script_limits limits = { LIMIT_LUA_STEPS, LIMIT_LUA_BYTES,
			                              LIMIT_LUA_MS };
		const struct clock clock = clock_system();
		const char *base = strrchr(path, '/');
		ret->script = script_new(&limits, &clock);
		ret->set = ruleset_new(base && base[1] ? base + 1 : name, hash, files);
		json_decref(files);
	} else {
		err_wrap(err, "rule set '%s'", name);
	}
	free(path);
	return status;
}

static int rules_check(struct cli *cli)
{
	struct err err = { 0 };
	struct opened opened;
	if (open_rules(cli, &opened, &err) < 0)
		return cli_fail(cli, &err);
	json_t *info = NULL;
	json_t *findings = script_ruleset_check(opened.script, opened.set, &info);
	size_t errors = 0;
	for (size_t i = 0; i < json_array_size(findings); i++) {
		const json_t *finding = json_array_get(findings, i);
		bool is_warning = strcmp(json_str(finding, "level", "error"), "warning") == 0;
		errors += !is_warning;
		if (cli->is_json)
			continue;
		long long line = json_int(finding, "line", 0); /* 0: the file as a whole */
		char *place = line > 0 ? mem_format(":%lld", line) : mem_dup_str("");
		printf("%s%s: %s: %s [%s]\n", json_str(finding, "file", "?"), place,
		       is_warning ? "warning" : "error", json_str(finding, "text", ""),
		       json_str(finding, "code", ""));
		free(place);
		if (*json_str(finding, "hint", ""))
			printf("    hint: %s\n", json_str(finding, "hint", ""));
	}
	if (cli->is_json) {
		json_t *out = json_pack("{s:O,s:b}", "findings", findings, "ok", errors == 0);
		json_put(out, "info", json_incref(info));
		cli_print_json(out);
		json_decref(out);
	} else if (errors == 0) {
		printf("%s@%s: %zu rules in %zu domains, no errors\n",
		       json_str(info, "name", cli->args[0]), json_str(info, "version", "?"),
		       json_array_size(json_at(info, "rules")),
		       json_array_size(json_at(info, "domains")));
	}
	json_decref(info);
	json_decref(findings);
	close_rules(&opened);
	return errors == 0 ? 0 : EXIT_USAGE;
}

static int rules_test(struct cli *cli)
{
	struct err err = { 0 };
	struct opened opened;
	if (open_rules(cli, &opened, &err) < 0)
		return cli_fail(cli, &err);
	json_t *results = script_rules_test(opened.script, opened.set);
	size_t failed = 0;
	for (size_t i = 0; i < json_array_size(results); i++) {
		const json_t *result = json_array_get(results, i);
		bool ok = json_truth(result, "ok", false);
		failed += !ok;
		if (!cli->is_json && !ok)
			printf("FAILED  %s\n        %s\n", json_str(result, "case", ""),
			       json_str(result, "text", ""));
	}
	size_t passed = json_array_size(results) - failed;
	if (cli->is_json) {
		json_t *out = json_pack("{s:O,s:i,s:i}", "cases", results, "passed", (int)passed,
		                        "failed", (int)failed);
		cli_print_json(out);
		json_decref(out);
	} else {
		printf("%zu passed, %zu failed\n", passed, failed);
	}
	json_decref(results);
	close_rules(&opened);
	return failed == 0 ? 0 : EXIT_NO;
}

static const char *const no_options[] = { NULL };

const struct command command_rules_check = {
	"rules",
	"check",
	"RULESET",
	1,
	1,
	no_options,
	"check a rule set: syntax, ids, messages, owners",
	"RULESET is a name in the configured folder, or a path.\n"
	"exit: 0 no errors (warnings are shown), 2 errors",
	"gangway rules check onboarding",
	rules_check
};
const struct command command_rules_test = {
	"rules",
	"test",
	"RULESET",
	1,
	1,
	no_options,
	"run the cases beside a rule set",
	"Each rule needs a case that fires it and one that does not.\nexit: 0 all passed, 1 some "
	"failed",
	"gangway rules test onboarding",
	rules_test
};
