/* SPDX-License-Identifier: MIT */
/* Salesforce's Outbound Messages and clicks in Slack: what counts, and whose. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "base/mem.h"
#include "check.h"
#include "serve/serve_int.h"
#include "served.h"

static const char config[] =
	"{\"per_address\":0,\"anonymous\":\"operator\","
	"\"slack\":{\"secret\":\"env:GW_SLACK\",\"people\":{"
	"\"U0ANN\":{\"person\":\"ann\",\"roles\":[\"approver\"]},"
	"\"U0BOB\":{\"person\":\"bob\",\"roles\":[\"approver\"],\"teams\":[\"finance\"]},"
	"\"U0EVE\":{\"person\":\"eve\",\"roles\":[\"viewer\"]}}},"
	"\"webhooks\":{\"crm\":{\"graph\":\"echo\",\"scheme\":\"salesforce\","
	"\"secret\":\"env:GW_CRM\",\"organization_id\":\"00Dxx0000001gEREAY\","
	"\"fields\":{\"Name\":\"say\"}}}}";

/* --- Outbound Messages -------------------------------------------------------------- */

#define HEAD                                                                              \
	"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"                                    \
	"<soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" "  \
	"xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\"><soapenv:Body>"                   \
	"<notifications xmlns=\"http://soap.sforce.com/2005/09/outbound\">"               \
	"<OrganizationId>00Dxx0000001gEREAY</OrganizationId><ActionId>04kxx0000004C92AAE" \
	"</ActionId><SessionId xsi:nil=\"true\"/>"
#define ONE(id, name)                                                                           \
	"<Notification><Id>" id "</Id><sObject xsi:type=\"sf:Account\" "                        \
	"xmlns:sf=\"urn:sobject.enterprise.soap.sforce.com\"><sf:Id>001xx000003DGb1AAG</sf:Id>" \
	"<sf:Name>" name "</sf:Name></sObject></Notification>"
#define TAIL "</notifications></soapenv:Body></soapenv:Envelope>"

static void expect_message(struct served *served, const char *query, const char *body, int status,
                           const char *what)
{
	char path[100];
	snprintf(path, sizeof(path), "/webhook/crm%s", query);
	struct reply reply = client_call(served->port, "POST", path, NULL,
	                                 "Content-Type: text/xml; charset=utf-8\r\n", body);
	CHECK_MSG(reply.status == status && strstr(reply.text, what), "%.40s: %d %.300s", body,
	          reply.status, reply.text ? strstr(reply.text, "\r\n\r\n") : "");
	reply_release(&reply);
}

static void check_run(struct served *served, const char *id, const char *said)
{
	json_t *reply = served_ask(served, json_pack("{s:s}", "op", "run.list"));
	size_t found = 0;
	for (size_t i = 0; i < json_array_size(json_at(reply, "runs")); i++) {
		const json_t *run = json_array_get(json_at(reply, "runs"), i);
		if (strcmp(json_str(run, "correlation_id", ""), id) != 0)
			continue;
		found++;
		CHECK_STR(json_str(json_at(run, "search"), "say", ""), said);
	}
	CHECK_MSG(found == 1, "%s is %zu runs", id, found);
	json_decref(reply);
}

#define YES "<Ack>true</Ack>"
#define KEY "?key=crm-key-of-ours"

static void check_outbound(struct served *served)
{
	expect_message(served, KEY,
	               HEAD ONE("04lxx0000000001AAA", "ACME &amp; S&#xF6;hne")
	                       ONE("04lxx0000000002AAA", "BETA") TAIL,
	               200, YES);
	check_run(served, "04lxx0000000001AAA", "ACME & S\xc3\xb6hne");
	check_run(served, "04lxx0000000002AAA", "BETA");
	/* Once more, with the values of now: the run has it, and it is acknowledged. */
	expect_message(served, KEY, HEAD ONE("04lxx0000000001AAA", "ACME Ltd") TAIL, 200, YES);
	check_run(served, "04lxx0000000001AAA", "ACME & S\xc3\xb6hne");
	expect_message(served, "", HEAD ONE("04lxx0000000003AAA", "X") TAIL, 401, "signature");
	expect_message(served, "?key=another", HEAD ONE("04lxx0000000003AAA", "X") TAIL, 401,
	               "signature");
	expect_message(served, KEY,
	               "<Envelope><Body><notifications><OrganizationId>00Dxx0000002gEREAY"
	               "</OrganizationId>" ONE("04lxx0000000003AAA", "X") TAIL,
	               401, "signature");
	expect_message(served, KEY, HEAD TAIL, 422, "soap.notifications");
	expect_message(served, KEY, HEAD ONE("short", "X") TAIL, 422, "soap.notifications");
	static const char *const broken[] = {
		HEAD ONE("04lxx0000000003AAA", "&bomb;") TAIL,
		HEAD ONE("04lxx0000000003AAA", "&#0;") TAIL,
		HEAD ONE("04lxx0000000003AAA", "&#xD800;") TAIL,
		HEAD ONE("04lxx0000000003AAA", "X"),
		HEAD ONE("04lxx0000000003AAA", "X") TAIL "<more/>",
		HEAD ONE("04lxx0000000003AAA", "<![CDATA[X]]>") TAIL,
	};
	for (size_t i = 0; i < sizeof(broken) / sizeof(*broken); i++)
		expect_message(served, KEY, broken[i], 400, "xml.");
	expect_message(served, KEY, "<!DOCTYPE x [<!ENTITY a \"b\">]>" HEAD TAIL, 401, "signature");
	expect_message(served, KEY, "", 401, "signature");
	json_t *reply = served_ask(served, json_pack("{s:s}", "op", "run.list"));
	CHECK(json_array_size(json_at(reply, "runs")) == 2);
	json_decref(reply);
}

/* --- clicks ------------------------------------------------------------------------- */

static struct reply click_signed(struct served *served, const char *secret, long at,
                                 const char *payload)
{
	struct buf body, text;
	char hex[65], more[300];
	unsigned char digest[SHA256_BYTES];
	buf_init(&body, 1 << 16);
	buf_init(&text, 1 << 16);
	buf_put(&body, "payload=");
	for (const char *c = payload; *c; c++)
		buf_printf(&body, "%%%02X", (unsigned)(unsigned char)*c);
	buf_printf(&text, "v0:%ld:%s", at, body.bytes);
	crypto_hmac_sha256(str_of(secret), buf_str(&text), digest);
	crypto_hex(digest, sizeof(digest), hex);
	snprintf(more, sizeof(more),
	         "Content-Type: application/x-www-form-urlencoded\r\n"
	         "X-Slack-Request-Timestamp: %ld\r\nX-Slack-Signature: v0=%s\r\n",
	         at, hex);
	struct reply ret = client_call(served->port, "POST", "/slack/interactions", NULL, more,
	                               body.bytes);
	buf_release(&body);
	buf_release(&text);
	return ret;
}

static void click(struct served *served, const char *user, const char *action, const char *value,
                  int status, const char *code)
{
	char payload[1000];
	snprintf(payload, sizeof(payload),
	         "{\"type\":\"block_actions\",\"user\":{\"id\":\"%s\"},\"actions\":[{\"type\":"
	         "\"button\",\"action_id\":\"%s\",\"value\":\"%s\"}]}",
	         user, action, value);
	struct reply reply = click_signed(served, "slack-signing-secret",
	                                  (long)(served->wall_ms / 1000), payload);
	CHECK_MSG(reply.status == status && strcmp(reply_code(&reply), code) == 0,
	          "%s of %s on %.40s: %d %s", action, user, value, reply.status,
	          reply_code(&reply));
	if (status == 200)
		CHECK_MSG(strstr(reply.text, "Content-Length: 0\r\n"), "and nothing is said");
	reply_release(&reply);
}

/* A run that asks; its id and its task's, and the hash of what was shown. */
static void ask(struct served *served, char run[64], char task[100], char hash[80])
{
	struct reply reply = client_call(served->port, "POST", "/v1/runs?wait=20", NULL, NULL,
	                                 "{\"graph\":\"ask\"}");
	const json_t *open = json_array_get(json_at(reply.json, "tasks"), 0);
	snprintf(run, 64, "%s", json_str(reply.json, "id", ""));
	snprintf(task, 100, "%s", json_str(open, "id", ""));
	snprintf(hash, 80, "%s", json_str(open, "shown_sha256", ""));
	reply_release(&reply);
}

static void check_outcome(struct served *served, const char *run, const char *outcome,
                          const char *by)
{
	char path[100];
	snprintf(path, sizeof(path), "/v1/runs/%s", run);
	struct reply reply = client_call(served->port, "GET", path, NULL, NULL, NULL);
	CHECK_STR(json_str(json_at(reply.json, "result"), "outcome", ""), outcome);
	CHECK_STR(json_str(json_at(reply.json, "result"), "by", ""), by);
	reply_release(&reply);
}

static void check_clicks(struct served *served)
{
	char run[64], task[100], hash[80], value[200];
	long now = (long)(served->wall_ms / 1000);
	ask(served, run, task, hash);
	click(served, "U0EVE", "approve", task, 403, "role.denied");
	click(served, "U0MAL", "approve", task, 403, "slack.unknown_user");
	click(served, "U0BOB", "approve", task, 403, "task.team");
	click(served, "U0ANN", "escalate", task, 422, "slack.payload");
	snprintf(value, sizeof(value), "%s:%064d", task, 7);
	click(served, "U0ANN", "approve", value, 409, "task.changed");
	snprintf(value, sizeof(value), "%s:%s", task, hash);
	click(served, "U0ANN", "approve", value, 200, "");
	click(served, "U0ANN", "approve", value, 409, "task.closed");
	check_outcome(served, run, "approved", "ann");

	ask(served, run, task, hash);
	click(served, "U0ANN", "reject:2", run, 200, ""); /* the button knew only the run */
	check_outcome(served, run, "rejected", "ann");
	click(served, "U0ANN", "reject", run, 409, "task.closed");
	click(served, "U0ANN", "approve", "01h00000000000000000000000", 422, "run.absent");

	struct reply reply = click_signed(served, "another-secret", now, "{}");
	CHECK(reply.status == 401);
	reply_release(&reply);
	reply = click_signed(served, "slack-signing-secret", now - 301, "{}");
	CHECK_MSG(reply.status == 401, "too old: %d", reply.status);
	reply_release(&reply);
	reply = click_signed(served, "slack-signing-secret", now, "{}");
	CHECK(reply.status == 422);
	reply_release(&reply);
	reply = click_signed(served, "slack-signing-secret", now, "not json");
	CHECK(reply.status == 422);
	reply_release(&reply);
}

static void check_config(void)
{
	CHECK_STR(served_refusal("{\"slack\":{}}"), "config.slack");
	CHECK_STR(served_refusal("{\"slack\":{\"secret\":\"plain text\"}}"), "config.slack");
	CHECK_STR(served_refusal("{\"slack\":{\"secret\":\"env:GW_EMPTY\"}}"), "secret.absent");
	CHECK_STR(served_refusal("{\"slack\":{\"secret\":\"env:GW_SLACK\",\"users\":{}}}"),
	          "config.unknown_key");
	CHECK_STR(served_refusal("{\"slack\":{\"secret\":\"env:GW_SLACK\",\"people\":{"
	                         "\"U1\":{\"person\":\"x\",\"roles\":[\"god\"]}}}}"),
	          "token.role");
	CHECK_STR(served_refusal("{\"slack\":{\"secret\":\"env:GW_SLACK\",\"people\":{"
	                         "\"U1\":{\"roles\":[\"approver\"]}}}}"),
	          "config.slack");
	CHECK_STR(served_refusal("{\"webhooks\":{\"w\":{\"scheme\":\"github\",\"secret\":"
	                         "\"env:GW_CRM\",\"fields\":{\"a\":\"b\"}}}}"),
	          "config.webhook");
	CHECK_STR(served_refusal("{\"webhooks\":{\"w\":{\"scheme\":\"salesforce\",\"secret\":"
	                         "\"env:GW_CRM\",\"organization_id\":\"00D\"}}}"),
	          "config.webhook");
}

int main(void)
{
	struct served served;
	mem_install();
	setenv("GW_SLACK", "slack-signing-secret", 1);
	setenv("GW_CRM", "crm-key-of-ours", 1);
	setenv("GW_EMPTY", "", 1);
	served_start(&served, config);
	const struct clock system = clock_system();
	served.wall_ms = clock_wall_ms(&system);
	check_outbound(&served);
	check_clicks(&served);
	served_stop(&served);
	check_config();
	return check_done();
}
