/* SPDX-License-Identifier: MIT */
/* gangway token ...: who may ask over HTTP.  A token is shown once; its SHA-256 is what is kept. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli_commands.h"
#include "run/engine.h"
#include "serve/serve.h"

enum { DAY_MS = 24 * 3600 * 1000, DAYS_DEFAULT = 90, DAYS_MAX = 365 };

/* "cs-lead,finance" to a list; NULL: none. */
static json_t *read_teams(const char *text)
{
	json_t *ret = text ? json_array() : NULL;
	while (text && *text) {
		size_t len = strcspn(text, ",");
		json_push(ret, json_stringn(text, len));
		text += len + (text[len] == ',');
	}
	return ret;
}

/* "operator,approver" to a list, each checked. */
static int read_roles(const char *text, json_t **ret, struct err *err)
{
	json_t *roles = json_array();
	while (*text) {
		size_t len = strcspn(text, ",");
		char *role = mem_dup(text, len);
		int status = serve_role_check(role, err);
		if (status == 0)
			json_push(roles, json_string(role));
		free(role);
		if (status < 0) {
			json_decref(roles);
			return status;
		}
		text += len + (text[len] == ',');
	}
	*ret = roles;
	return 0;
}

static int read_days(const struct cli *cli, int64_t *ret, struct err *err)
{
	const char *text = cli_option(cli, "days");
	char *end;
	*ret = text ? strtol(text, &end, 10) : DAYS_DEFAULT;
	if (text && (*end != '\0' || *ret < 1 || *ret > DAYS_MAX))
		return err_set_id(err, ERR_INPUT, "token.days", "--days must be 1 to %d", DAYS_MAX);
	return 0;
}

static int make_request(struct cli *cli, char token[SERVE_TOKEN_BYTES], json_t **ret,
                        struct err *err)
{
	const char *role = cli_option(cli, "role");
	const char *owner = cli_option(cli, "owner");
	char hash[65];
	json_t *roles;
	int64_t days;
	if (!role) {
		err_set_id(err, ERR_INPUT, "token.role",
		           "say which role it has: --role ROLE[,ROLE]");
		return err_hint(err, "viewer, operator, approver, analyst, engineer, admin");
	}
	if (read_days(cli, &days, err) < 0 || read_roles(role, &roles, err) < 0)
		return err->code;
	const struct clock clock = clock_system();
	const char *kind = json_string_value(json_array_get(roles, 0));
	serve_token_make(kind ? kind : "none", token, hash);
	*ret = json_pack("{s:s,s:s,s:s,s:o,s:b,s:I,s:s}", "op", "token.new", "sha256", hash,
	                 "owner", owner ? owner : cli_by(cli), "roles", roles, "data",
	                 (int)cli_switch(cli, "data"), "expires_ms",
	                 (json_int_t)(clock_wall_ms(&clock) + days * DAY_MS), "by", cli_by(cli));
	json_put(*ret, "teams", read_teams(cli_option(cli, "team")));
	return 0;
}

static int token_new(struct cli *cli)
{
	struct err err = { 0 };
	char token[SERVE_TOKEN_BYTES];
	json_t *request = NULL, *last;
	if (make_request(cli, token, &request, &err) < 0)
		return cli_fail(cli, &err);
	int status = cli_ask(cli, request, NULL, NULL, &last, &err);
	json_decref(request);
	if (status < 0)
		return cli_fail(cli, &err);
	int code = 0;
	if (json_at(last, "error")) {
		code = cli_fail_json(cli, json_at(last, "error"));
	} else if (cli->is_json) {
		json_object_del(last, "last");
		json_put_str(last, "text", token);
		cli_print_json(last);
	} else {
		printf("%s\n", token);
		fprintf(stderr, "this is shown once; send it as  Authorization: Bearer ...\n");
	}
	json_decref(last);
	explicit_bzero(token, sizeof(token));
	return code;
}

static void show_tokens(const json_t *reply)
{
	static const char *const heads[] = { "TOKEN", "OWNER", "ROLES", "DATA", "EXPIRES" };
	const json_t *tokens = json_at(reply, "tokens");
	struct cli_table table;
	cli_table_init(&table, 5);
	for (size_t i = 0; i < 5; i++)
		cli_table_cell(&table, heads[i]);
	for (size_t i = 0; i < json_array_size(tokens); i++) {
		const json_t *token = json_array_get(tokens, i);
		char *roles = json_canon(json_at(token, "roles"));
		char at[CLOCK_ISO_BYTES] = "-";
		if (json_at(token, "expires_ms"))
			clock_iso(json_int(token, "expires_ms", 0), at);
		cli_table_cell(&table, json_str(token, "id", ""));
		cli_table_cell(&table, json_str(token, "owner", ""));
		cli_table_cell(&table, roles);
		cli_table_cell(&table, json_truth(token, "data", false) ? "yes" : "-");
		cli_table_cell(&table, at);
		free(roles);
	}
	if (json_array_size(tokens) == 0)
		printf("no tokens\n");
	cli_table_print(&table);
}

static int token_list(struct cli *cli)
{
	return cli_ask_and_show(cli, json_pack("{s:s}", "op", "token.list"), show_tokens);
}

static void show_revoked(const json_t *reply)
{
	printf("token %s of %s is revoked\n", json_str(json_at(reply, "token"), "id", ""),
	       json_str(json_at(reply, "token"), "owner", ""));
}

static int token_revoke(struct cli *cli)
{
	return cli_ask_and_show(cli,
	                        json_pack("{s:s,s:s,s:s}", "op", "token.revoke", "id", cli->args[0],
	                                  "by", cli_by(cli)),
	                        show_revoked);
}

static const char *const new_options[] = {
	"role=", "owner=", "team=", "days=", "data", "by=", NULL
};
static const char *const list_options[] = { NULL };
static const char *const revoke_options[] = { "by=", NULL };

const struct command command_token_new = {
	"token",
	"new",
	"",
	0,
	0,
	new_options,
	"make a token for the HTTP API; it is shown once",
	"  --role ROLE[,ROLE]  viewer, operator, approver, analyst, engineer, admin\n"
	"  --owner WHO         the person (default: the login name)\n"
	"  --team TEAM[,TEAM]  answers only these teams' tasks (default: any)\n"
	"  --days N            how long it is valid (default: 90)\n"
	"  --data              it may also read what runs know, where its role allows the grant",
	"gangway token new --role operator --owner ann",
	token_new
};
const struct command command_token_list = { "token",
	                                    "list",
	                                    "",
	                                    0,
	                                    0,
	                                    list_options,
	                                    "list the tokens, without what they are",
	                                    NULL,
	                                    "gangway token list",
	                                    token_list };
const struct command command_token_revoke = {
	"token",
	"revoke",
	"TOKEN",
	1,
	1,
	revoke_options,
	"revoke a token; it is refused from now on",
	"  --by WHO   for the record (default: the login name)",
	"gangway token revoke 3f2a9c0d1e4b",
	token_revoke
};
