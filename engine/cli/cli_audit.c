/* SPDX-License-Identifier: MIT */
/* gangway audit ...: what stands behind a decision, and whether anybody changed it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli_commands.h"

static void show_audit(const json_t *reply)
{
	char *text = json_dumps(json_at(reply, "audit"), JSON_INDENT(2) | JSON_SORT_KEYS);
	printf("%s\n", text);
	free(text);
}

static int audit_show(struct cli *cli)
{
	return cli_ask_and_show(
		cli, json_pack("{s:s,s:s}", "op", "audit.show", "run", cli->args[0]), show_audit);
}

static void print_verify(const json_t *verify)
{
	const json_t *findings = json_at(verify, "findings");
	bool ok = json_truth(verify, "ok", false);
	printf("run %s: %lld records, %s\n", json_str(verify, "run", ""),
	       (long long)json_int(verify, "records", 0),
	       ok ? "the chain holds and the decision follows from what is recorded"
	          : "NOT as it was recorded");
	for (size_t i = 0; i < json_array_size(findings); i++) {
		const json_t *finding = json_array_get(findings, i);
		char *text = cli_clean(json_str(finding, "text", ""));
		printf("  record %lld: %s\n", (long long)json_int(finding, "seq", 0), text);
		free(text);
	}
	if (ok)
		printf("  head %s\n", json_str(json_at(verify, "head"), "hash", ""));
}

static int verify_one(struct cli *cli, const char *run, const json_t *file)
{
	struct err err = { 0 };
	json_t *request = json_pack("{s:s,s:s}", "op", "audit.verify", "run", run);
	if (file)
		json_put(request, "file", json_incref((json_t *)(uintptr_t)file));
	json_t *last;
	int status = cli_ask(cli, request, NULL, NULL, &last, &err);
	json_decref(request);
	if (status < 0)
		return cli_fail(cli, &err);
	const json_t *verify = json_at(last, "verify");
	int code = verify ? (json_truth(verify, "ok", false) ? 0 : EXIT_NO)
	                  : cli_fail_json(cli, json_at(last, "error"));
	if (verify && cli->is_json)
		cli_print_json(verify);
	else if (verify)
		print_verify(verify);
	json_decref(last);
	return code;
}

/* RUN, or an audit file: then what it says is compared as well. */
static int audit_verify(struct cli *cli)
{
	struct err err = { 0 };
	const char *name = cli->args[0], *heads = cli_option(cli, "heads");
	json_t *file = NULL;
	if (heads)
		return audit_verify_heads(cli, heads);
	if (!name) {
		err_set(&err, ERR_INPUT, "say which run, or --heads FILE");
		return cli_fail(cli, &err);
	}
	if (!strchr(name, '/') && !str_ends(name, ".json"))
		return verify_one(cli, name, NULL);
	if (json_read_file(name, 64u * 1024 * 1024, &file, &err) < 0)
		return cli_fail(cli, &err);
	const char *run = json_str(file, "run", NULL);
	if (!run) {
		err_set(&err, ERR_INPUT, "%s is no audit file: it names no run", name);
		json_decref(file);
		return cli_fail(cli, &err);
	}
	int code = verify_one(cli, run, file);
	json_decref(file);
	return code;
}

static const char *const no_options[] = { NULL };
static const char *const verify_options[] = { "heads=", "key=", NULL };

const struct command command_audit_show = {
	"audit",
	"show",
	"RUN",
	1,
	1,
	no_options,
	"print a run's audit: versions, calls, rules, people, chain",
	NULL,
	"gangway audit show 01k9zq3v7w8e6m2x4c5b1n0p9r",
	audit_show
};
const struct command command_audit_verify = {
	"audit",
	"verify",
	"[RUN|FILE]",
	0,
	1,
	verify_options,
	"recompute a run's hash chain and its decision from the pinned versions",
	"With an audit file, what the file says is compared with the journal too.\n"
	"--heads FILE [--key FILE]: is all that was signed still there?  A removed run, a\n"
	"cut tail, a chain made anew are found, up to the last head.\n"
	"exit: 0 as recorded, 1 changed (the first bad record is named), 2 --heads: the file\n"
	"ends before the last head",
	"gangway audit verify out/audit_01k9zq3v7w8e6m2x4c5b1n0p9r.json",
	audit_verify
};
