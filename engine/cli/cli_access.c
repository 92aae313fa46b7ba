/* SPDX-License-Identifier: MIT */
/* gangway audit access: who was denied, and who did what no run's journal tells. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/cli_commands.h"

static void show_access(const json_t *reply)
{
	static const char *const heads[] = { "NO", "WHEN", "WHO", "OUTCOME", "WHAT", "ABOUT" };
	const json_t *records = json_at(reply, "records");
	struct cli_table table;
	cli_table_init(&table, 6);
	for (size_t i = 0; i < 6; i++)
		cli_table_cell(&table, heads[i]);
	for (size_t i = 0; i < json_array_size(records); i++) {
		const json_t *record = json_array_get(records, i);
		char no[24], at[CLOCK_ISO_BYTES];
		snprintf(no, sizeof(no), "%lld", (long long)json_int(record, "seq", 0));
		clock_iso(json_int(record, "at", 0), at);
		cli_table_cell(&table, no);
		cli_table_cell(&table, at);
		cli_table_cell(&table, json_str(record, "by", "-"));
		cli_table_cell(&table, json_str(record, "code", json_str(record, "outcome", "")));
		cli_table_cell(&table, json_str(record, "what", json_str(record, "path", "")));
		cli_table_cell(&table, json_str(record, "about", "-"));
	}
	if (json_array_size(records) == 0)
		printf("nothing was denied or changed yet\n");
	cli_table_print(&table);
}

static void show_verify(const json_t *reply)
{
	const json_t *verify = json_at(reply, "verify"), *findings = json_at(verify, "findings");
	for (size_t i = 0; i < json_array_size(findings); i++)
		printf("record %lld: %s\n",
		       (long long)json_int(json_array_get(findings, i), "seq", 0),
		       json_str(json_array_get(findings, i), "text", ""));
	printf("%lld records, %s\n", (long long)json_int(verify, "records", 0),
	       json_truth(verify, "ok", false) ? "the chain is whole" : "the chain is broken");
}

static int audit_access(struct cli *cli)
{
	const char *from = cli_option(cli, "from");
	if (cli_switch(cli, "verify"))
		return cli_ask_and_show(cli, json_pack("{s:s}", "op", "access.verify"),
		                        show_verify);
	json_t *request = json_pack("{s:s,s:I}", "op", "access.list", "from",
	                            (json_int_t)(from ? strtoll(from, NULL, 10) : 1));
	return cli_ask_and_show(cli, request, show_access);
}

static const char *const options[] = { "from=", "verify", NULL };

const struct command command_audit_access = {
	"audit",
	"access",
	"",
	0,
	0,
	options,
	"show who was denied, and who changed tokens and schedules or read audits",
	"  --from N    from this record on (1000 at most)\n"
	"  --verify    check the chain of its records",
	"gangway audit access --from 100",
	audit_access
};
