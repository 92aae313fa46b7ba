/* SPDX-License-Identifier: MIT */
/* A task goes to another role or owner, or gets another due date; who said so is on record. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "run/run_commit.h"

enum { NAME_BYTES = 100, COMMENT_BYTES = 1000 };

static int check_name(const json_t *request, const char *member, struct err *err)
{
	const char *name = json_str(request, member, NULL);
	if (name && (*name == '\0' || strlen(name) > NAME_BYTES))
		return err_set_id(err, ERR_INPUT, "task.assign", "%s is 1 to %d bytes", member,
		                  NAME_BYTES);
	return 0;
}

void task_etag(const json_t *task, char ret[TASK_ETAG_BYTES])
{
	char hash[SHA256_HEX];
	char *text = json_canon(task);
	crypto_sha256_hex(str_of(text), hash);
	free(text);
	snprintf(ret, TASK_ETAG_BYTES, "%.32s", hash);
}

/* Who answers for certain teams alone answers no other's tasks. */
int task_check_team(const json_t *task, const json_t *teams, struct err *err)
{
	const char *role = json_str(task, "role", ""), *owner = json_str(task, "owner", "");
	if (!teams)
		return 0;
	for (size_t i = 0; i < json_array_size(teams); i++) {
		const char *team = json_string_value(json_array_get(teams, i));
		if (team && (strcmp(team, role) == 0 || strcmp(team, owner) == 0))
			return 0;
	}
	return err_set_id(err, ERR_CONFLICT, "task.team", "this task is for %s",
	                  *role    ? role
	                  : *owner ? owner
	                           : "another team");
}

int assign_intake(struct run *run, const json_t *request, struct intake **ret, struct err *err)
{
	const char *id = json_str(request, "task", "");
	const json_t *task = json_at(run->tasks, id);
	if (!task)
		return err_set_id(err, ERR_CONFLICT, "task.closed", "the task %s is not open", id);
	if (task_check_team(task, json_at(request, "teams"), err) < 0)
		return err->code;
	char etag[TASK_ETAG_BYTES];
	task_etag(task, etag);
	const char *wanted = json_str(request, "etag", NULL);
	if (wanted && strcmp(wanted, etag) != 0)
		return err_set_id(err, ERR_CONFLICT, "etag.changed",
		                  "the task is not any more what it was when it was read");
	if (!json_at(request, "role") && !json_at(request, "owner") && !json_at(request, "due_ms"))
		return err_set_id(err, ERR_INPUT, "task.assign",
		                  "say to whom: role, owner, or another due date");
	if (check_name(request, "role", err) < 0 || check_name(request, "owner", err) < 0)
		return err->code;
	if (strlen(json_str(request, "comment", "")) > COMMENT_BYTES)
		return err_set_id(err, ERR_INPUT, "task.assign",
		                  "the comment is longer than %d bytes", COMMENT_BYTES);
	*ret = intake_new(INTAKE_ASSIGN);
	(*ret)->extra = json_pack("{s:s,s:s}", "task", id, "by",
	                          json_str(request, "by", "someone"));
	static const char *const members[] = { "role", "owner", "due_ms", "comment" };
	for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++)
		json_put((*ret)->extra, members[i], json_incref(json_at(request, members[i])));
	(*ret)->task = json_str((*ret)->extra, "task", NULL);
	(*ret)->by = json_str((*ret)->extra, "by", NULL);
	return 0;
}

static void change(json_t *task, const json_t *assign)
{
	static const char *const members[] = { "role", "owner", "due_ms" };
	for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++)
		json_put(task, members[i], json_incref(json_at(assign, members[i])));
}

/* An item stands in its checklist too, where it is compared when another one is done. */
static void change_item(const struct run *run, const json_t *task, const json_t *assign,
                        json_t *body)
{
	char key[32];
	snprintf(key, sizeof(key), "%lld", (long long)json_int(task, "number", 0));
	json_t *items = json_deep_copy(json_at(json_at(run->checklists, key), "items"));
	for (size_t i = 0; i < json_array_size(items); i++)
		if (strcmp(json_str(json_array_get(items, i), "id", ""),
		           json_str(task, "item", "")) == 0)
			change(json_array_get(items, i), assign);
	if (items)
		json_put(body, "checklists", json_pack("{s:{s:o}}", key, "items", items));
}

void decide_assign(struct run *run, struct intake *intake)
{
	json_t *body = json_pack("{s:O}", "assign", intake->extra);
	json_t *task = json_deep_copy(json_at(run->tasks, intake->task));
	struct commit *commit = commit_new(run);
	commit->asker = intake->asker;
	json_put_str(body, "by", intake->by);
	change(task, intake->extra);
	if (strcmp(json_str(task, "kind", ""), "item") == 0)
		change_item(run, task, intake->extra, body);
	task_put(commit, body, task);
	run_apply(run, body);
	char etag[TASK_ETAG_BYTES];
	task_etag(task, etag);
	commit->reply = json_pack("{s:O,s:s}", "task", task, "etag", etag);
	commit_record(commit, "assign", intake->input.at_ms, body);
	commit_submit(commit);
	json_decref(body);
}
