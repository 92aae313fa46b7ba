/* SPDX-License-Identifier: MIT */
/*
 * What people are asked: looking, answering, giving it to others.  Whose token
 * names teams answers for these alone; the engine compares, here they are told.
 */
#include "serve/serve_int.h"

enum { TASKS_MAX = 1000 };

void handle_task_list(struct exchange *x)
{
	static const char *const params[] = { "role", "owner", "team", "status", "run" };
	int64_t limit = exchange_number(x, "limit", 1, TASKS_MAX, TASKS_MAX);
	const char *overdue = target_param(&x->target, "overdue");
	if (limit < 0)
		return;
	json_t *request = exchange_request(x, "task.list");
	for (size_t i = 0; i < sizeof(params) / sizeof(*params); i++)
		exchange_param(request, x, params[i]);
	json_put(request, "overdue", json_boolean(overdue && strcmp(overdue, "true") == 0));
	json_put_int(request, "limit", limit);
	if (exchange_time(x, request, "due_before", "due_before_ms"))
		exchange_ask_member(x, request, NULL);
	else
		json_decref(request);
}

/* What was shown is data: for who may read it, and for who is to answer. */
static void task_replied(struct exchange *x, const json_t *reply, bool is_last)
{
	const json_t *error = json_at(reply, "error");
	if (!is_last)
		return;
	if (error) {
		exchange_error(x, error);
		return;
	}
	json_t *task = json_copy(json_at(reply, "task"));
	snprintf(x->etag, sizeof(x->etag), "%s", json_str(reply, "etag", ""));
	if (!role_may(x->who.roles, x->who.has_grant, MAY_DATA) &&
	    !role_may(x->who.roles, x->who.has_grant, MAY_APPROVE)) {
		json_object_del(task, "shown");
		json_put(task, "masked", json_true());
	}
	exchange_json(x, 200, task);
	json_decref(task);
}

void handle_task_show(struct exchange *x)
{
	exchange_ask(x, exchange_about(x, "task.show", "task"), task_replied);
}

/* --- answering ---------------------------------------------------------------------------- */

static json_t *about_task(const struct exchange *x, const char *op)
{
	json_t *request = exchange_with_body(x, exchange_about(x, op, "task"));
	if (x->who.teams)
		json_put(request, "teams", json_incref((json_t *)(uintptr_t)x->who.teams));
	return request;
}

static void answer_task(struct exchange *x, const char *outcome)
{
	json_t *request = about_task(x, "task.answer");
	json_put_str(request, "outcome", outcome);
	exchange_ask_member(x, request, "run");
}

void handle_task_approve(struct exchange *x)
{
	answer_task(x, "approved");
}

void handle_task_reject(struct exchange *x)
{
	answer_task(x, "rejected");
}

/* Never an approval's outcome: that is another permission. */
void handle_task_complete(struct exchange *x)
{
	static const char *const outcomes[] = { "done", "happened", "repeat", "failed" };
	const char *outcome = json_str(x->json, "outcome", "done");
	for (size_t i = 0; i < sizeof(outcomes) / sizeof(*outcomes); i++)
		if (strcmp(outcomes[i], outcome) == 0) {
			answer_task(x, outcomes[i]);
			return;
		}
	exchange_problem(x, 422, "task.outcome", "body.outcome", "there is no such outcome here",
	                 "done, happened, repeat, failed");
}

/* --- giving it to others ------------------------------------------------------------------ */

void handle_task_reassign(struct exchange *x)
{
	json_t *request = about_task(x, "task.assign");
	const char *due = json_str(request, "due_at", NULL);
	int64_t due_ms = due ? clock_parse_iso(due) : -1;
	if (due && due_ms < 0) {
		json_decref(request);
		exchange_problem(x, 422, "task.due", "body.due_at", "this is no date or time",
		                 "2026-11-21 or RFC 3339");
		return;
	}
	if (due)
		json_put_int(request, "due_ms", due_ms);
	json_put_str(request, "etag", exchange_if_match(x));
	exchange_ask(x, request, task_replied);
}
