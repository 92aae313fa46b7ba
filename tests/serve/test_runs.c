/* SPDX-License-Identifier: MIT */
/* Batches, bulk actions, forks, filters, tasks that change hands: over HTTP, and who sees what. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "check.h"
#include "serve/serve_int.h"
#include "served.h"

static const char open_config[] =
	"{\"anonymous\":[\"operator\",\"approver\",\"admin\"],\"per_address\":0}";

static struct reply post(struct served *served, const char *path, const char *more,
                         const char *body)
{
	return client_call(served->port, "POST", path, NULL, more, body);
}

static void expect(struct served *served, const char *method, const char *path, const char *body,
                   int status, const char *code)
{
	struct reply reply = client_call(served->port, method, path, NULL, NULL, body);
	CHECK_MSG(reply.status == status && strcmp(reply_code(&reply), code) == 0,
	          "%s %s %.60s: %d %s", method, path, body ? body : "", reply.status,
	          reply_code(&reply));
	reply_release(&reply);
}

static size_t listed(struct served *served, const char *query)
{
	char path[200];
	snprintf(path, sizeof(path), "/v1/runs?%s", query);
	struct reply reply = client_call(served->port, "GET", path, NULL, NULL, NULL);
	size_t ret = json_array_size(json_at(reply.json, "runs"));
	CHECK_MSG(reply.status == 200, "%s: %d %s", query, reply.status, reply_code(&reply));
	reply_release(&reply);
	return ret;
}

static void check_batch(struct served *served)
{
	static const char body[] =
		"{\"starts\":["
		"{\"graph\":\"find\",\"input\":{\"decision\":\"BLOCK\",\"who\":\"a\"}},"
		"{\"graph\":\"find\",\"input\":{\"decision\":\"BLOCK\",\"who\":\"b\"}},"
		"{\"graph\":\"find\",\"input\":{\"decision\":\"PROCEED\",\"who\":\"a\"},"
		"\"correlation_id\":\"third\"},{\"graph\":\"none\"}]}";
	struct reply reply = post(served, "/v1/runs:batch", "Idempotency-Key: day-1\r\n", body);
	CHECK(reply.status == 202 && json_int(reply.json, "started", 0) == 3 &&
	      json_int(reply.json, "refused", 0) == 1);
	const json_t *first = json_array_get(json_at(reply.json, "results"), 0);
	CHECK_STR(json_str(first, "correlation_id", ""), "day-1/0");
	reply_release(&reply);
	reply = post(served, "/v1/runs:batch", "Idempotency-Key: day-1\r\n", body);
	CHECK(reply.status == 200 && json_int(reply.json, "known", 0) == 3 &&
	      strstr(reply.text, "Idempotent-Replayed: true"));
	reply_release(&reply);
	expect(served, "POST", "/v1/runs:batch", "{}", 422, "body.missing_member");
	expect(served, "POST", "/v1/runs:batch", "{\"starts\":[]}", 422, "batch.starts");
	expect(served, "POST", "/v1/runs:batch", "{\"starts\":[1]}", 422, "batch.starts");
}

static void check_filters(struct served *served)
{
	CHECK(listed(served, "decision=BLOCK") == 2);
	CHECK(listed(served, "decision=BLOCK&where.who=a") == 1);
	CHECK(listed(served, "where.who=a&where.decision=PROCEED") == 1);
	CHECK(listed(served, "decision=ESCALATE") == 0);
	CHECK(listed(served, "graph=find&until=2001-01-01") == 0);
	expect(served, "GET", "/v1/runs?where.a=1&where.b=1&where.c=1&where.d=1&where.e=1", NULL,
	       422, "run.where");
	expect(served, "GET", "/v1/runs?decision=A&where.decision=B&where.c=1", NULL, 200, "");
}

static void check_bulk(struct served *served)
{
	for (int i = 0; i < 3; i++) {
		struct reply reply = post(served, "/v1/runs", NULL, "{\"graph\":\"idle\"}");
		CHECK(reply.status == 202);
		reply_release(&reply);
	}
	struct reply reply = post(served, "/v1/runs:bulk", NULL,
	                          "{\"action\":\"signal\",\"event\":\"go\",\"graph\":\"idle\","
	                          "\"status\":\"waiting\",\"dry_run\":true}");
	CHECK(reply.status == 200 && json_int(reply.json, "matched", 0) == 3);
	reply_release(&reply);
	CHECK(listed(served, "graph=idle&status=waiting") == 3);
	reply = post(served, "/v1/runs:bulk", NULL,
	             "{\"action\":\"cancel\",\"graph\":\"idle\",\"limit\":2,\"reason\":\"typo\"}");
	CHECK(json_int(reply.json, "matched", 0) == 2 && json_int(reply.json, "next", 0) > 0);
	reply_release(&reply);
	CHECK(listed(served, "graph=idle&status=cancelled") == 2);
	expect(served, "POST", "/v1/runs:bulk", "{\"action\":\"cancel\"}", 422, "bulk.filter");
	expect(served, "POST", "/v1/runs:bulk", "{\"action\":\"x\",\"graph\":\"idle\"}", 422,
	       "bulk.action");
	expect(served, "POST", "/v1/runs:bulk", "{\"action\":\"cancel\",\"since\":\"soon\"}", 422,
	       "body.time");
	expect(served, "POST", "/v1/runs:bulk",
	       "{\"action\":\"cancel\",\"graph\":\"idle\",\"limit\":0}", 422, "bulk.limit");
	expect(served, "POST", "/v1/runs:bulk",
	       "{\"action\":\"cancel\",\"graph\":\"idle\",\"dry_run\":1}", 422, "body.type");
}

static void check_again(struct served *served)
{
	char path[200], id[64];
	struct reply reply = post(served, "/v1/runs", NULL, "{\"graph\":\"idle\"}");
	snprintf(id, sizeof(id), "%s", json_str(reply.json, "id", ""));
	reply_release(&reply);
	snprintf(path, sizeof(path), "/v1/runs/%s/resume", id);
	expect(served, "POST", path, "{}", 409, "run.not_blocked");
	snprintf(path, sizeof(path), "/v1/runs/%s/retry", id);
	expect(served, "POST", path, "{}", 409, "run.not_blocked");
	snprintf(path, sizeof(path), "/v1/runs/%s/fork", id);
	expect(served, "POST", path, "{}", 422, "body.missing_member");
	expect(served, "POST", path, "{\"record\":\"1\"}", 422, "body.type");
	expect(served, "POST", path, "{\"record\":7}", 422, "fork.record");
	reply = post(served, path, "Idempotency-Key: f1\r\n", "{\"record\":1}");
	CHECK(reply.status == 202 && strstr(reply.text, "\r\nLocation: /v1/runs/"));
	reply_release(&reply);
	reply = post(served, path, "Idempotency-Key: f1\r\n", "{\"record\":1}");
	CHECK_MSG(reply.status == 200, "the same fork again: %d", reply.status);
	reply_release(&reply);
	expect(served, "POST", "/v1/runs/none/fork", "{\"record\":1}", 404, "run.absent");
	expect(served, "GET", "/v1/explain/none", NULL, 404, "run.absent");
}

static void check_task(struct served *served)
{
	char path[200], viewer[SERVE_TOKEN_BYTES], task[100], etag[60], more[100];
	served_token(served, "viewer", "eve", false, viewer);
	struct reply reply = post(served, "/v1/runs?wait=20", NULL, "{\"graph\":\"ask\"}");
	const json_t *open = json_array_get(json_at(reply.json, "tasks"), 0);
	snprintf(task, sizeof(task), "%s", json_str(open, "id", ""));
	snprintf(path, sizeof(path), "/v1/explain/%s", json_str(reply.json, "id", ""));
	reply_release(&reply);
	reply = client_call(served->port, "GET", path, viewer, NULL, NULL);
	CHECK(reply.status == 200 && json_truth(reply.json, "masked", false) &&
	      !json_at(reply.json, "why") && json_at(reply.json, "must_act"));
	reply_release(&reply);
	reply = client_call(served->port, "GET", path, NULL, NULL, NULL);
	CHECK(strstr(json_str(reply.json, "text", ""), "lead must act: May it go on?"));
	reply_release(&reply);

	snprintf(path, sizeof(path), "/v1/tasks/%s", task);
	reply = client_call(served->port, "GET", path, NULL, NULL, NULL);
	const char *header = reply.text ? strstr(reply.text, "\r\nETag: ") : NULL;
	CHECK(reply.status == 200 && header);
	snprintf(etag, sizeof(etag), "%.*s", header ? (int)strcspn(header + 8, "\r") : 0,
	         header ? header + 8 : "");
	reply_release(&reply);
	reply = client_call(served->port, "GET", path, viewer, NULL, NULL);
	CHECK_MSG(json_truth(reply.json, "masked", false), "a viewer does not see what was shown");
	reply_release(&reply);

	snprintf(path, sizeof(path), "/v1/tasks/%s/reassign", task);
	snprintf(more, sizeof(more), "If-Match: %s\r\n", etag);
	reply = post(served, path, "If-Match: \"0123\"\r\n", "{\"role\":\"director\"}");
	CHECK_MSG(reply.status == 412, "another ETag: %d", reply.status);
	reply_release(&reply);
	reply = post(served, path, "If-Match: W/\"0123\"\r\n", "{\"role\":\"director\"}");
	CHECK(reply.status == 412);
	reply_release(&reply);
	reply = post(served, path, more, "{\"role\":\"director\",\"due_at\":\"2027-01-01\"}");
	CHECK(reply.status == 200);
	CHECK_STR(json_str(reply.json, "role", ""), "director");
	reply_release(&reply);
	reply = post(served, path, more, "{\"role\":\"lead\"}");
	CHECK_MSG(reply.status == 412, "the ETag of before: %d", reply.status);
	reply_release(&reply);
	expect(served, "POST", path, "{\"due_at\":\"soon\"}", 422, "task.due");
	expect(served, "POST", path, "{}", 422, "task.assign");
	expect(served, "GET", "/v1/tasks/none.1", NULL, 404, "task.absent");

	/* Whose token names teams answers these teams' tasks alone. */
	char token[SERVE_TOKEN_BYTES], hash[65];
	serve_token_make("approver", token, hash);
	json_t *made = served_ask(served, json_pack("{s:s,s:s,s:s,s:[s],s:[s]}", "op", "token.new",
	                                            "sha256", hash, "owner", "pat", "roles",
	                                            "approver", "teams", "finance"));
	json_decref(made);
	snprintf(path, sizeof(path), "/v1/tasks/%s/approve", task);
	reply = client_call(served->port, "POST", path, token, NULL, "{}");
	CHECK_MSG(reply.status == 403 && strcmp(reply_code(&reply), "task.team") == 0,
	          "another team's task: %d %s", reply.status, reply_code(&reply));
	reply_release(&reply);
	reply = client_call(served->port, "GET", "/v1/tasks?team=director&due_before=2027-01-02",
	                    NULL, NULL, NULL);
	CHECK(json_array_size(json_at(reply.json, "tasks")) == 1);
	reply_release(&reply);
	reply = client_call(served->port, "GET", "/v1/tasks?team=director&due_before=2026-01-02",
	                    NULL, NULL, NULL);
	CHECK(json_array_size(json_at(reply.json, "tasks")) == 0);
	reply_release(&reply);
}

static void check_schedules(struct served *served)
{
	struct reply reply = post(served, "/v1/schedules", NULL,
	                          "{\"name\":\"early\",\"graph\":\"echo\","
	                          "\"cron\":\"0 6 * * *\",\"input\":{\"say\":\"x\"}}");
	const char *header = reply.text ? strstr(reply.text, "\r\nETag: ") : NULL;
	char more[100];
	CHECK(reply.status == 201 && header &&
	      strstr(reply.text, "\r\nLocation: /v1/schedules/early"));
	snprintf(more, sizeof(more), "If-Match: %.*s\r\n",
	         header ? (int)strcspn(header + 8, "\r") : 0, header ? header + 8 : "");
	reply_release(&reply);
	static const char other[] = "{\"graph\":\"echo\",\"cron\":\"0 7 * * *\"}";
	reply = client_call(served->port, "PUT", "/v1/schedules/early", NULL, more, other);
	CHECK(reply.status == 200);
	reply_release(&reply);
	reply = client_call(served->port, "PUT", "/v1/schedules/early", NULL, more, other);
	CHECK_MSG(reply.status == 412, "the ETag of before: %d", reply.status);
	reply_release(&reply);
	expect(served, "POST", "/v1/schedules",
	       "{\"name\":\"x\",\"graph\":\"echo\",\"cron\":\"* *\"}", 422, "cron.field");
	expect(served, "POST", "/v1/schedules",
	       "{\"name\":\"x\",\"graph\":\"echo\",\"cron\":\"@daily\","
	       "\"input_from\":\"/etc/passwd\"}",
	       422, "body.unknown_member");
	reply = post(served, "/v1/schedules/early/trigger", "Idempotency-Key: k\r\n", "{}");
	CHECK(reply.status == 200 && json_array_size(json_at(reply.json, "results")) == 1);
	reply_release(&reply);
	expect(served, "POST", "/v1/schedules/early/backfill", "{\"from\":\"x\",\"to\":\"y\"}", 422,
	       "body.time");
	expect(served, "POST", "/v1/schedules/early/pause", "{}", 200, "");
	expect(served, "POST", "/v1/schedules/early/resume", "{}", 200, "");
	expect(served, "GET", "/v1/schedules", NULL, 200, "");
	expect(served, "DELETE", "/v1/schedules/early", NULL, 200, "");
	expect(served, "GET", "/v1/schedules/early", NULL, 404, "schedule.absent");
}

static void check_versions(struct served *served)
{
	struct reply reply = client_call(served->port, "GET", "/v1/graphs/echo", NULL, NULL, NULL);
	CHECK(reply.status == 200 && strlen(json_str(reply.json, "release", "")) == 64);
	CHECK(json_string_length(json_path(reply.json, "pins.graph.sha256")) == 64);
	reply_release(&reply);
	expect(served, "GET", "/v1/graphs/none", NULL, 404, "graph.absent");
	expect(served, "GET", "/v1/rules", NULL, 200, "");
	expect(served, "GET", "/v1/prompts", NULL, 200, "");
}

int main(void)
{
	struct served served;
	mem_install();
	served_start(&served, open_config);
	check_batch(&served);
	check_filters(&served);
	check_bulk(&served);
	check_again(&served);
	check_task(&served);
	check_schedules(&served);
	check_versions(&served);
	served_stop(&served);
	return check_done();
}
