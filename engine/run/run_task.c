/* SPDX-License-Identifier: MIT */
/*
 * What people do, and the other built-in actions.
 *
 *   approval   one task; its answer is the call's result
 *   checklist  many tasks with owners, dependencies and due dates; the call ends
 *              when all are done
 *   tasks      get_overdue: what is late, from the store (READ)
 *   gw:run     starts an independent run, idempotent by its correlation id
 *
 * A task's body travels in the record that changes it ("tasks"), and in the
 * store's task table in the same transaction; the table is only an index.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "run/run_commit.h"

enum { DAY_MS = 24 * 3600 * 1000 };

bool built_in_is(const char *type)
{
	static const char *const types[] = { "approval", "checklist", "tasks", "gw:run" };
	for (size_t i = 0; type && i < sizeof(types) / sizeof(*types); i++)
		if (strcmp(type, types[i]) == 0)
			return true;
	return false;
}

/* "3d", "72h", "30m", "10s" or a number of ms; -1 when it is none. */
static int64_t read_span(const json_t *value)
{
	if (json_is_integer(value))
		return json_integer_value(value);
	if (json_is_real(value))
		return (int64_t)json_real_value(value);
	if (!json_is_string(value))
		return -1;
	struct err ignored = { 0 }; /* the caller says it in its own words */
	int64_t ms;
	return chart_parse_delay(json_string_value(value), &ms, &ignored) == 0 ? ms : -1;
}

/* --- checks ------------------------------------------------------------------------ */

/* Parameters that an author got wrong. */
#define bad(err, ...) err_set_id(err, ERR_INPUT, "task.params", __VA_ARGS__)

static int check_item(const json_t *items, size_t at, struct err *err)
{
	const json_t *item = json_array_get(items, at);
	const char *id = json_str(item, "id", "");
	if (!*id || !*json_str(item, "title", ""))
		return bad(err, "checklist: each item needs %s", "an id and a title");
	const json_t *after = json_at(item, "after");
	for (size_t i = 0; i < json_array_size(after); i++) {
		const char *name = json_string_value(json_array_get(after, i));
		bool is_known = false;
		for (size_t j = 0; j < json_array_size(items); j++)
			is_known = is_known || (name && j != at &&
			                        strcmp(json_str(json_array_get(items, j), "id", ""),
			                               name) == 0);
		if (!is_known)
			return bad(err,
			           "checklist: an item waits for '%s', which is not in the list",
			           name ? name : "?");
	}
	for (size_t j = 0; j < at; j++)
		if (strcmp(json_str(json_array_get(items, j), "id", ""), id) == 0)
			return bad(err, "checklist: the id '%s' is there twice", id);
	if (json_at(item, "due") && read_span(json_at(item, "due")) < 0)
		return bad(err, "checklist: the due date of '%s' is no time span such as \"3d\"",
		           id);
	return 0;
}

/* Items that wait for each other in a circle would wait for ever. */
static int check_order(const json_t *items, struct err *err)
{
	json_t *settled = json_object();
	const char *left = NULL;
	for (bool changed = true; changed;) {
		changed = false;
		left = NULL;
		for (size_t i = 0; i < json_array_size(items); i++) {
			const json_t *item = json_array_get(items, i),
				     *after = json_at(item, "after");
			const char *id = json_str(item, "id", "");
			bool is_free = !json_at(settled, id);
			for (size_t j = 0; is_free && j < json_array_size(after); j++)
				is_free = json_at(settled,
				                  json_string_value(json_array_get(after, j)));
			if (is_free) {
				json_put(settled, id, json_true());
				changed = true;
			} else if (!json_at(settled, id)) {
				left = id;
			}
		}
	}
	json_decref(settled);
	return left ? bad(err, "checklist: '%s' waits for itself, in a circle", left) : 0;
}

int engine_check_built_in(const struct effect *effect, struct err *err)
{
	const json_t *data = effect->data;
	if (strcmp(effect->type, "approval") == 0) {
		if (!*json_str(data, "role", ""))
			return bad(err, "approval: the parameter '%s' is missing", "role");
		if (json_at(data, "due") && read_span(json_at(data, "due")) < 0)
			return bad(err, "approval: '%s' is no time span such as \"72h\"", "due");
		return 0;
	}
	if (strcmp(effect->type, "checklist") == 0) {
		const json_t *items = json_at(data, "items");
		if (json_array_size(items) == 0)
			return bad(err, "checklist: the parameter '%s' is no list of items",
			           "items");
		for (size_t i = 0; i < json_array_size(items); i++)
			if (check_item(items, i, err) < 0)
				return err->code;
		return check_order(items, err);
	}
	if (strcmp(effect->type, "tasks") == 0)
		return effect->action && strcmp(effect->action, "get_overdue") == 0
		               ? 0
		               : bad(err,
		                     "tasks: there is no action '%s' (did you mean 'get_overdue'?)",
		                     effect->action ? effect->action : "");
	if (!effect->action)
		return bad(err, "gw:run: '%s' must name the graph", "event");
	return 0;
}

int built_in_check(struct run *run, const struct effect *effect, struct err *err)
{
	(void)run;
	return engine_check_built_in(effect, err);
}

bool engine_is_built_in(const char *type)
{
	return built_in_is(type);
}

/* --- opening tasks ---------------------------------------------------------------------- */

static int status_number(const char *status)
{
	static const char *const names[] = { "", "waiting", "open", "done", "withdrawn" };
	for (int i = 1; i < 5; i++)
		if (strcmp(names[i], status) == 0)
			return i;
	return 4;
}

/* Into the record and into the index, as it is now. */
void task_put(struct commit *commit, json_t *body, json_t *task_taken)
{
	json_t *tasks = json_at(body, "tasks");
	if (!tasks) {
		tasks = json_array();
		json_put(body, "tasks", tasks);
	}
	struct store_op *op = commit_op(commit, STORE_OP_TASK);
	*vec_add(&commit->owned_json) = json_incref(task_taken);
	op->task = (struct store_task){
		.id = json_str(task_taken, "id", ""),
		.run = commit->run->no,
		.status = status_number(json_str(task_taken, "status", "")),
		.role = json_str(task_taken, "role", NULL),
		.owner = json_str(task_taken, "owner", NULL),
		.due_ms = json_int(task_taken, "due_ms", -1),
		.body = commit_keep(commit, json_canon(task_taken)),
	};
	json_push(tasks, task_taken);
}

static json_t *new_task(const struct call *call, const char *kind, const char *suffix)
{
	struct run *run = call->run;
	json_t *task = json_object();
	json_put(task, "id",
	         json_sprintf("%s.%llu%s%s", run->id, (unsigned long long)call->number,
	                      *suffix ? "." : "", suffix));
	json_put_str(task, "kind", kind);
	json_put_str(task, "run", run->id);
	json_put_str(task, "graph", run->graph);
	json_put_str(task, "correlation_id", run->correlation_id);
	json_put_int(task, "number", (int64_t)call->number);
	json_put_int(task, "element", call->element);
	json_put_int(task, "created_ms", call->opened_ms);
	return task;
}

/* Nobody answers what was asked for in that person's name: by default, who started the run. */
static const char *requested_by(const struct run *run, const json_t *data)
{
	const char *starter = run->started_by;
	bool is_person = starter && strcmp(starter, "anonymous") != 0 && !strchr(starter, ':');
	return json_str(data, "requested_by", is_person ? starter : NULL);
}

static void open_approval(struct call *call, struct commit *commit, json_t *body)
{
	const json_t *data = json_at(call->effect, "data");
	json_t *task = new_task(call, "approval", "");
	json_put_str(task, "title", json_str(data, "title", "Approve or reject"));
	json_put_str(task, "role", json_str(data, "role", ""));
	json_put_str(task, "requested_by", requested_by(call->run, data));
	json_put_str(task, "status", "open");
	int64_t span = read_span(json_at(data, "due"));
	json_put_int(task, "due_ms", call->opened_ms + (span < 0 ? 3 * DAY_MS : span));
	const json_t *shown = json_at(data, "shown");
	json_put(task, "shown", shown ? json_incref((json_t *)(uintptr_t)shown) : json_null());
	char hash[SHA256_HEX];
	char *text = json_canon(json_at(task, "shown"));
	crypto_sha256_hex(str_of(text), hash);
	free(text);
	json_put_str(task, "shown_sha256", hash);
	task_put(commit, body, task);
}

/* --- checklists ------------------------------------------------------------------------------ */

static void list_key(const struct call *call, char ret[32])
{
	snprintf(ret, 32, "%llu", (unsigned long long)call->number);
}

static json_t *find_item(const json_t *items, const char *id)
{
	for (size_t i = 0; i < json_array_size(items); i++)
		if (strcmp(json_str(json_array_get(items, i), "id", ""), id) == 0)
			return json_array_get(items, i);
	return NULL;
}

static bool is_done(const json_t *item)
{
	return item && strcmp(json_str(item, "status", ""), "done") == 0;
}

static bool is_free(const json_t *items, const json_t *item)
{
	const json_t *after = json_at(item, "after");
	for (size_t i = 0; i < json_array_size(after); i++)
		if (!is_done(find_item(items, json_string_value(json_array_get(after, i)))))
			return false;
	return true;
}

/* Frees what nothing holds back any more; an automatic item completes itself then. */
static void advance_items(json_t *items, int64_t now_ms)
{
	for (bool changed = true; changed;) {
		changed = false;
		for (size_t i = 0; i < json_array_size(items); i++) {
			json_t *item = json_array_get(items, i);
			if (strcmp(json_str(item, "status", ""), "waiting") != 0 ||
			    !is_free(items, item))
				continue;
			bool is_auto = json_truth(item, "automatic", false);
			json_put_str(item, "status", is_auto ? "done" : "open");
			if (is_auto) {
				json_put_str(item, "by", "gangway");
				json_put_int(item, "done_ms", now_ms);
			}
			changed = true;
		}
	}
}

static json_t *new_items(const struct call *call)
{
	const json_t *given = json_path(call->effect, "data.items");
	json_t *items = json_array();
	for (size_t i = 0; i < json_array_size(given); i++) {
		const json_t *from = json_array_get(given, i);
		json_t *item = json_deep_copy(from);
		bool is_done_already = json_truth(from, "done", false);
		json_put_str(item, "status", is_done_already ? "done" : "waiting");
		if (is_done_already) {
			json_put_str(item, "by", "gangway");
			json_put_int(item, "done_ms", call->opened_ms);
		}
		int64_t span = read_span(json_at(from, "due"));
		if (span >= 0)
			json_put_int(item, "due_ms", call->opened_ms + span);
		json_push(items, item);
	}
	return items;
}

/* The items that changed become task updates. */
static void put_items(const struct call *call, const json_t *items, const json_t *before,
                      struct commit *commit, json_t *body)
{
	for (size_t i = 0; i < json_array_size(items); i++) {
		const json_t *item = json_array_get(items, i);
		const json_t *was = before ? json_array_get(before, i) : NULL;
		if (was && json_equal(was, item))
			continue;
		json_t *task = new_task(call, "item", json_str(item, "id", ""));
		json_t *fields = json_deep_copy(item);
		json_put_str(fields, "item", json_str(item, "id", ""));
		json_object_del(fields, "id");
		json_object_update(task, fields);
		json_decref(fields);
		json_put(task, "subject", json_incref(json_path(call->effect, "data.subject")));
		task_put(commit, body, task);
	}
}

static bool all_done(const json_t *items)
{
	for (size_t i = 0; i < json_array_size(items); i++)
		if (!is_done(json_array_get(items, i)))
			return false;
	return true;
}

static void store_list(const struct call *call, json_t *items_taken, json_t *body)
{
	char key[32];
	list_key(call, key);
	json_t *lists = json_object();
	json_put(lists, key, json_pack("{s:o}", "items", items_taken));
	json_put(body, "checklists", lists);
}

static void end_list_if_done(struct call *call, const json_t *items)
{
	if (all_done(items))
		call_answer(call, true, json_pack("{s:O}", "items", (json_t *)(uintptr_t)items),
		            json_object());
}

static void open_checklist(struct call *call, struct commit *commit, json_t *body)
{
	json_t *items = new_items(call);
	advance_items(items, call->opened_ms);
	put_items(call, items, NULL, commit, body);
	end_list_if_done(call, items);
	store_list(call, items, body);
}

void checklist_answer(struct run *run, const json_t *answer, struct commit *commit, json_t *body,
                      int64_t at_ms)
{
	struct call *call = run_call(run, (uint64_t)json_int(answer, "number", 0), 0);
	char key[32] = "";
	if (call)
		list_key(call, key);
	const json_t *before = json_at(json_at(run->checklists, key), "items");
	if (!call || !before)
		return;
	json_t *items = json_deep_copy(before);
	json_t *item = find_item(items, json_str(answer, "item", ""));
	if (item && !is_done(item)) {
		json_put_str(item, "status", "done");
		json_put_str(item, "by", json_str(answer, "by", NULL));
		json_put_str(item, "comment", json_str(answer, "comment", NULL));
		json_put_int(item, "done_ms", at_ms);
		advance_items(items, at_ms);
	}
	put_items(call, items, before, commit, body);
	json_put(body, "answer", json_incref((json_t *)(uintptr_t)answer));
	end_list_if_done(call, items);
	store_list(call, items, body);
}

/* --- unsure ----------------------------------------------------------------------------------- */

void unsure_open(struct call *call, struct commit *commit, json_t *body)
{
	char suffix[32];
	snprintf(suffix, sizeof(suffix), "unsure%u", call->element);
	json_t *task = new_task(call, "unsure", suffix);
	json_put(task, "title",
	         json_sprintf("Did %s.%s happen? The engine cannot know.",
	                      json_str(call->effect, "type", "?"),
	                      json_str(call->effect, "action", "?")));
	json_put_str(task, "role", "operator");
	json_put_str(task, "status", "open");
	json_put_int(task, "due_ms", engine_now(call->run->worker->engine) + DAY_MS);
	json_put(task, "shown", json_incref(call->requests));
	json_put_str(task, "action", json_str(call->effect, "action", NULL));
	json_put_str(task, "plugin", json_str(call->effect, "type", NULL));
	task_put(commit, body, task);
}

/* --- beginning, releasing, withdrawing -------------------------------------------------------- */

void built_in_begin(struct call *call, struct commit *commit, json_t *body)
{
	const char *type = json_str(call->effect, "type", "");
	if (strcmp(type, "approval") == 0)
		open_approval(call, commit, body);
	else if (strcmp(type, "checklist") == 0)
		open_checklist(call, commit, body);
}

static void copy_task(const json_t *task, struct commit *commit, json_t *body, const char *status)
{
	json_t *copy = json_deep_copy(task);
	json_put_str(copy, "status", status);
	task_put(commit, body, copy);
}

void built_in_withdraw(struct call *call, struct commit *commit, json_t *body)
{
	const char *id;
	json_t *task;
	void *next;
	json_object_foreach_safe(call->run->tasks, next, id,
	                         task) if ((uint64_t)json_int(task, "number", -1) == call->number)
		copy_task(task, commit, body, "withdrawn");
	run_call_drop(call->run, call);
}

void task_close(struct commit *commit, json_t *body, const char *task_id)
{
	const json_t *task = json_at(commit->run->tasks, task_id);
	if (task)
		copy_task(task, commit, body, "done");
}

struct overdue_list {
	json_t *tasks;
	const char *graph;
};

static void add_overdue(void *arg, const struct store_task *row)
{
	struct overdue_list *list = arg;
	json_t *task = json_loads(row->body, 0, NULL);
	if (task && (!list->graph || strcmp(json_str(task, "graph", ""), list->graph) == 0))
		json_push(list->tasks, task);
	else
		json_decref(task);
}

static void answer_overdue(struct call *call)
{
	struct run *run = call->run;
	struct store *store = run->worker->engine->store;
	const json_t *params = json_at(call->effect, "data");
	struct overdue_list list = { json_array(), json_str(params, "graph", NULL) };
	struct store_task_filter filter = { .owner = json_str(params, "owner", NULL),
		                            .status = 2,
		                            .due_before_ms = engine_now(run->worker->engine),
		                            .limit = (int)json_int(params, "limit", 1000) };
	if (json_truth(params, "this_run", false))
		filter.run = run->no;
	struct err err = { 0 };
	if (store->ops->tasks(store, &filter, add_overdue, &list, &err) < 0) {
		json_decref(list.tasks);
		call_answer(call, false,
		            json_pack("{s:s,s:s,s:s}", "error_type", "server", "error_code",
		                      "store", "message", err.text),
		            json_object());
		return;
	}
	call_answer(call, true,
	            json_pack("{s:i,s:o}", "count", (int)json_array_size(list.tasks), "tasks",
	                      list.tasks),
	            json_object());
}

/* --- gw:run ----------------------------------------------------------------------------------- */

struct child_start {
	struct worker *worker;
	int64_t run_no;
	uint64_t number;
};

static void child_started(void *arg, const json_t *reply, bool is_last)
{
	struct child_start *child = arg;
	if (!is_last)
		return;
	struct message *message = mem_alloc(sizeof(*message));
	message->kind = MESSAGE_REQUEST;
	message->run_no = child->run_no;
	message->request = json_pack("{s:s,s:I,s:O}", "op", "internal.child", "number",
	                             (json_int_t)child->number, "reply",
	                             (json_t *)(uintptr_t)reply);
	worker_post(child->worker, message);
	free(child);
}

static void start_child(struct call *call)
{
	struct run *run = call->run;
	const json_t *data = json_at(call->effect, "data");
	struct child_start *child = mem_alloc(sizeof(*child));
	*child = (struct child_start){ run->worker, run->no, call->number };
	char *own = mem_format("%s.%llu", run->id, (unsigned long long)call->number);
	const json_t *input = json_at(data, "input");
	worker_start_child(run->worker, json_str(call->effect, "action", ""),
	                   json_str(data, "correlation_id", own), input ? input : data, run->id,
	                   child_started, child);
	free(own);
}

/* Its last item is on record and its end was not, when the process died. */
static void resume_checklist(struct call *call)
{
	char key[32];
	list_key(call, key);
	const json_t *items = json_at(json_at(call->run->checklists, key), "items");
	if (items)
		end_list_if_done(call, items);
}

void built_in_release(struct call *call)
{
	const char *type = json_str(call->effect, "type", "");
	if (strcmp(type, "tasks") == 0)
		answer_overdue(call);
	else if (strcmp(type, "gw:run") == 0)
		start_child(call);
	else if (strcmp(type, "checklist") == 0)
		resume_checklist(call);
}

/* --- answers ---------------------------------------------------------------------------------- */

static int refuse(struct err *err, int code, const char *id, const char *text)
{
	return err_set_id(err, code, id, "%s", text);
}

static struct intake *result_of(const json_t *task, const json_t *request, bool ok, json_t *value)
{
	struct intake *intake = intake_new(INTAKE_INPUT);
	intake->input.kind = INPUT_RESULT;
	intake->input.number = (uint64_t)json_int(task, "number", 0);
	intake->input.element = (uint32_t)json_int(task, "element", 0);
	intake->input.ok = ok;
	*(ok ? &intake->input.data : &intake->input.failure) = value;
	intake->extra = json_pack("{s:O,s:O}", "task", json_at(task, "id"), "by",
	                          json_at(request, "by"));
	intake->task = json_str(intake->extra, "task", NULL);
	intake->by = json_str(intake->extra, "by", NULL);
	return intake;
}

static int answer_approval(struct run *run, const json_t *task, const json_t *request,
                           struct intake **ret, struct err *err)
{
	const char *outcome = json_str(request, "outcome", ""), *by = json_str(request, "by", "");
	if (strcmp(outcome, "approved") != 0 && strcmp(outcome, "rejected") != 0)
		return refuse(err, ERR_INPUT, "task.outcome",
		              "an approval is answered with approved or rejected");
	if (strcmp(by, json_str(task, "requested_by", "")) == 0)
		return refuse(err, ERR_CONFLICT, "task.self_approval",
		              "who asked for an approval may not give it");
	const char *shown = json_str(request, "shown_sha256", NULL);
	if (shown && strcmp(shown, json_str(task, "shown_sha256", "")) != 0)
		return refuse(err, ERR_CONFLICT, "task.changed",
		              "what was shown is not what is asked for now");
	char at[CLOCK_ISO_BYTES];
	clock_iso(engine_now(run->worker->engine), at);
	json_t *value = json_pack("{s:s,s:s,s:s,s:s}", "outcome", outcome, "by", by, "at", at,
	                          "shown_sha256", json_str(task, "shown_sha256", ""));
	json_put_str(value, "comment", json_str(request, "comment", NULL));
	*ret = result_of(task, request, true, value);
	return 0;
}

static int answer_item(const json_t *task, const json_t *request, struct intake **ret,
                       struct err *err)
{
	if (strcmp(json_str(request, "outcome", ""), "done") != 0)
		return refuse(err, ERR_INPUT, "task.outcome",
		              "a checklist item is answered with done");
	if (strcmp(json_str(task, "status", ""), "open") != 0)
		return refuse(err, ERR_CONFLICT, "task.waiting",
		              "this item waits for others to be done first");
	*ret = intake_new(INTAKE_TASK);
	(*ret)->extra = json_pack("{s:O,s:O,s:O,s:O}", "task", json_at(task, "id"), "number",
	                          json_at(task, "number"), "item", json_at(task, "item"), "by",
	                          json_at(request, "by"));
	(*ret)->task = json_str((*ret)->extra, "task", NULL);
	json_put_str((*ret)->extra, "comment", json_str(request, "comment", NULL));
	return 0;
}

static int answer_unsure(struct run *run, const json_t *task, const json_t *request,
                         struct intake **ret, struct err *err)
{
	const char *outcome = json_str(request, "outcome", "");
	if (strcmp(outcome, "happened") == 0 || strcmp(outcome, "done") == 0) {
		json_t *value = json_at(request, "result");
		*ret = result_of(task, request, true, value ? json_incref(value) : json_object());
		return 0;
	}
	if (strcmp(outcome, "failed") == 0) {
		*ret = result_of(task, request, false,
		                 json_pack("{s:s,s:s,s:s,s:b}", "error_type", "unsure",
		                           "error_code", "not_happened", "message",
		                           "a person found that it did not happen", "retryable",
		                           0));
		return 0;
	}
	if (strcmp(outcome, "repeat") != 0)
		return refuse(err, ERR_INPUT, "task.outcome",
		              "an unsure call is answered with happened, repeat or failed");
	struct call *call = run_call(run, (uint64_t)json_int(task, "number", 0),
	                             (uint32_t)json_int(task, "element", 0));
	if (!call)
		return refuse(err, ERR_CONFLICT, "task.closed",
		              "this call has been answered already");
	*ret = intake_new(INTAKE_REPEAT);
	(*ret)->number = call->number;
	(*ret)->element = call->element;
	(*ret)->extra = json_pack("{s:O,s:O}", "task", json_at(task, "id"), "by",
	                          json_at(request, "by"));
	(*ret)->task = json_str((*ret)->extra, "task", NULL);
	(*ret)->by = json_str((*ret)->extra, "by", NULL);
	return 0;
}

int task_answer(struct run *run, const json_t *request, struct intake **ret, struct err *err)
{
	const char *id = json_str(request, "task", "");
	const json_t *task = json_at(run->tasks, id);
	if (!*json_str(request, "by", ""))
		return refuse(err, ERR_INPUT, "task.by", "say who answers");
	if (!task)
		return err_set_id(err, ERR_CONFLICT, "task.closed", "the task %s is not open", id);
	if (task_check_team(task, json_at(request, "teams"), err) < 0)
		return err->code;
	const char *kind = json_str(task, "kind", "");
	if (strcmp(kind, "approval") == 0)
		return answer_approval(run, task, request, ret, err);
	if (strcmp(kind, "item") == 0)
		return answer_item(task, request, ret, err);
	return answer_unsure(run, task, request, ret, err);
}
