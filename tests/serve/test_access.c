/* SPDX-License-Identifier: MIT */
/* Who was denied, and who did what no run's journal tells, is on record. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "check.h"
#include "serve/serve_int.h"
#include "served.h"

/* Records with these members; NULL: any. */
static size_t count(struct served *served, const char *by, const char *code, const char *what,
                    const char *about)
{
	json_t *reply = served_ask(served, json_pack("{s:s}", "op", "access.list"));
	const json_t *records = json_at(reply, "records");
	size_t ret = 0;
	for (size_t i = 0; i < json_array_size(records); i++) {
		const json_t *record = json_array_get(records, i);
		ret += (!by || strcmp(json_str(record, "by", ""), by) == 0) &&
		       (!code || strcmp(json_str(record, "code", ""), code) == 0) &&
		       (!what || strcmp(json_str(record, "what", ""), what) == 0 ||
		        strcmp(json_str(record, "path", ""), what) == 0) &&
		       (!about || strcmp(json_str(record, "about", ""), about) == 0);
	}
	json_decref(reply);
	return ret;
}

static void ask(struct served *served, const char *method, const char *path, const char *token,
                const char *body, int status)
{
	struct reply reply = client_call(served->port, method, path, token, NULL, body);
	CHECK_MSG(reply.status == status, "%s %s: %d", method, path, reply.status);
	reply_release(&reply);
}

static void check_verified(struct served *served, const char *token, bool want)
{
	struct reply reply = client_call(served->port, "POST", "/v1/access/verify", token, NULL,
	                                 "{}");
	CHECK(reply.status == 200 && json_truth(reply.json, "ok", !want) == want);
	reply_release(&reply);
}

int main(void)
{
	struct served served;
	char viewer[SERVE_TOKEN_BYTES], admin[SERVE_TOKEN_BYTES], operator[SERVE_TOKEN_BYTES];
	mem_install();
	setenv("GW_KEY", "some-secret-of-ours", 1);
	served_start(&served,
	             "{\"per_address\":0,\"webhooks\":{\"w\":{\"graph\":\"echo\",\"scheme\":"
	             "\"github\",\"secret\":\"env:GW_KEY\"}}}");
	served_token(&served, "viewer", "eve", false, viewer);
	served_token(&served, "admin", "ada", false, admin);
	served_token(&served, "operator", "olga", false, operator);
	CHECK_MSG(count(&served, NULL, NULL, "token.new", NULL) == 3, "tokens that were made");

	ask(&served, "POST", "/v1/runs", viewer, "{\"graph\":\"echo\"}", 403);
	CHECK(count(&served, "eve", "role.denied", "/v1/runs", NULL) == 1);
	ask(&served, "POST", "/v1/runs/r-17/cancel", viewer, "{}", 403);
	CHECK(count(&served, "eve", "role.denied", "/v1/runs/{run}/cancel", "r-17") == 1);
	ask(&served, "GET", "/v1/runs", NULL, NULL, 401);
	CHECK(count(&served, NULL, "token.missing", "/v1/runs", NULL) == 1);
	ask(&served, "GET", "/v1/runs", "gw_viewer_guessed", NULL, 401);
	CHECK(count(&served, NULL, "token.unknown", "/v1/runs", NULL) == 1);
	ask(&served, "POST", "/webhook/w", NULL, "{}", 401);
	CHECK(count(&served, NULL, "webhook.signature", NULL, "w") == 1);

	ask(&served, "GET", "/v1/tokens", admin, NULL, 200);
	CHECK(count(&served, "ada", NULL, "/v1/tokens", NULL) == 1);
	ask(&served, "POST", "/v1/schedules", operator,
	    "{\"name\":\"s\",\"graph\":\"echo\",\"cron\":\"@daily\"}", 201);
	CHECK(count(&served, "olga", NULL, "schedule.add", "s") == 1);
	ask(&served, "POST", "/v1/runs:bulk", operator,
	    "{\"action\":\"cancel\",\"graph\":\"idle\"}", 200);
	CHECK(count(&served, "olga", NULL, "/v1/runs:bulk", NULL) == 1);
	CHECK_MSG(count(&served, "olga", "role.denied", NULL, NULL) == 0, "and nothing else");

	ask(&served, "GET", "/v1/access", viewer, NULL, 403);
	ask(&served, "GET", "/v1/access?limit=2", operator, NULL, 200);
	check_verified(&served, admin, true);

	/* A flood is counted, not written. */
	for (int i = 0; i < 200; i++)
		ask(&served, "GET", "/v1/tokens", viewer, NULL, 403);
	size_t written = count(&served, "eve", "role.denied", "/v1/tokens", NULL);
	CHECK_MSG(written >= 1 && written <= 100, "%zu of 200 are written", written);
	check_verified(&served, admin, true);
	served_stop(&served);
	return check_done();
}
