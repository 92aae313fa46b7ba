/* SPDX-License-Identifier: MIT */
/* What people and programs see of runs, tasks and the engine: JSON, never the insides. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run/run_int.h"

enum { LIST_DEFAULT = 50, LIST_MAX = 1000 };

const char *status_name(int status)
{
	switch ((enum store_status)status) {
	case STORE_RUNNING: return "running";
	case STORE_WAITING: return "waiting";
	case STORE_PEOPLE: return "waiting_for_people";
	case STORE_BLOCKED: return "blocked";
	case STORE_ENDED: return "ended";
	case STORE_CANCELLED: return "cancelled";
	}
	return "unknown";
}

static int status_of_name(const char *name)
{
	static const int all[] = { STORE_RUNNING, STORE_WAITING, STORE_PEOPLE,
		                   STORE_BLOCKED, STORE_ENDED,   STORE_CANCELLED };
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (strcmp(status_name(all[i]), name) == 0)
			return all[i];
	return -1;
}

static void put_time(json_t *object, const char *key, int64_t ms)
{
	char text[CLOCK_ISO_BYTES];
	if (ms < 0)
		return;
	clock_iso(ms, text);
	json_put_str(object, key, text);
}

/* Adds what stands in the row's columns to its summary. */
static json_t *row_json(const struct store_run *row, json_t *ret)
{
	json_put_str(ret, "id", row->id);
	json_put_int(ret, "no", row->no);
	json_put_str(ret, "graph", row->graph);
	json_put_str(ret, "correlation_id", row->correlation_id);
	json_put_str(ret, "status", status_name(row->status));
	put_time(ret, "created_at", row->created_ms);
	put_time(ret, "updated_at", row->updated_ms);
	put_time(ret, "wake_at", row->wake_ms > 0 ? row->wake_ms : -1);
	json_put_int(ret, "took_ms", row->updated_ms - row->created_ms);
	/* The engine writes it after the last record, so no record names it. */
	if (row->status >= STORE_ENDED && json_at(ret, "artifacts"))
		json_push(json_at(ret, "artifacts"), json_sprintf("audit_%s.json", row->id));
	return ret;
}

json_t *run_row_json(const struct store_run *row)
{
	json_t *summary = json_loads(row->summary ? row->summary : "{}", 0, NULL);
	return row_json(row, summary ? summary : json_object());
}

/* A resident run as it is now, in the same form. */
json_t *run_json(const struct run *run)
{
	struct store_run row = { run->no,
		                 run->id,
		                 run->graph,
		                 run->correlation_id,
		                 run->status,
		                 run->created_ms,
		                 run->updated_ms,
		                 run->wake_ms,
		                 NULL,
		                 NULL };
	json_t *ret = row_json(&row, run_summary(run));
	if (json_object_size(run->tasks) > 0) {
		json_t *tasks = json_array();
		const char *id;
		json_t *task;
		json_object_foreach(run->tasks, id, task)
			json_push(tasks, json_incref(task));
		json_put(ret, "tasks", tasks);
	}
	const char *folder = run->worker->engine->options.artifacts;
	json_t *paths = json_array();
	const json_t *names = json_at(ret, "artifacts");
	for (size_t i = 0; folder && i < json_array_size(names); i++)
		json_push(paths, json_sprintf("%s/%s", folder,
		                              json_string_value(json_array_get(names, i))));
	json_put(ret, "artifact_paths", paths);
	return ret;
}

static json_t *calls_json(const struct run *run)
{
	static const char *const states[] = { "held", "open", "unsure", "ended" };
	json_t *ret = json_array();
	for (size_t i = 0; i < run->calls.len; i++) {
		const struct call *call = run->calls.at[i];
		json_t *row = json_pack("{s:I,s:I,s:s,s:b}", "number", (json_int_t)call->number,
		                        "element", (json_int_t)call->element, "state",
		                        states[call->state], "cancelled", (int)call->is_cancelled);
		json_put_str(row, "type", json_str(call->effect, "type", NULL));
		json_put_str(row, "action", json_str(call->effect, "action", NULL));
		put_time(row, "since", call->opened_ms);
		json_push(ret, row);
	}
	return ret;
}

json_t *run_show(struct worker *worker, int64_t no, struct err *err)
{
	struct run *run;
	bool was_resident = run_resident(worker, no) != NULL;
	if (run_load(worker, no, &run, err) < 0)
		return NULL;
	json_t *ret = run_json(run);
	if (run->machine)
		json_put(ret, "data", machine_data(run->machine));
	json_put(ret, "advice", json_incref(run->advice));
	json_put(ret, "calls", calls_json(run));
	json_put(ret, "pins", json_incref(run->release->pins));
	json_put_int(ret, "records", run->head.seq);
	if (!was_resident)
		run_evict(run);
	return ret;
}

/* What people call the state, or the nearest around it that has a title; NULL: none has. */
static const char *title_of(const struct run *run, const char *state)
{
	const struct chart *chart = run->release ? run->release->chart : NULL;
	int32_t s = chart && state ? chart_find(chart, state) : 0;
	while (s > 0 && !chart->states[s].title)
		s = chart->states[s].parent;
	return s > 0 ? chart->states[s].title : NULL;
}

/* A call that was asked for, for whoever watches. */
static json_t *ask_line(const struct run *run, const json_t *effect)
{
	const char *state = json_str(effect, "state", NULL);
	json_t *ret = json_pack("{s:O,s:s,s:s,s:s}", "number", json_at(effect, "number"), "kind",
	                        json_str(effect, "kind", ""), "type", json_str(effect, "type", ""),
	                        "action", json_str(effect, "action", ""));
	if (json_at(effect, "element"))
		json_put(ret, "element", json_incref(json_at(effect, "element")));
	json_put_str(ret, "state", state);
	json_put_str(ret, "id", json_str(effect, "id", NULL));
	json_put_str(ret, "title", title_of(run, state));
	return ret;
}

json_t *run_asks(const struct run *run)
{
	json_t *ret = json_array();
	for (size_t i = 0; i < run->calls.len; i++) {
		const struct call *call = run->calls.at[i];
		if (call->state == CALL_ENDED)
			continue;
		json_t *line = ask_line(run, call->effect);
		json_put_int(line, "at", call->opened_ms);
		json_push(ret, line);
	}
	return ret;
}

/* One record as a line for whoever watches a run go by. */
json_t *run_line(const struct run *run, const json_t *record)
{
	json_t *ret = json_pack("{s:O,s:O,s:O}", "seq", json_at(record, "seq"), "at",
	                        json_at(record, "at"), "kind", json_at(record, "kind"));
	const json_t *input = json_at(record, "input");
	json_put_str(ret, "run", run->id);
	json_put(ret, "states", json_incref(json_at(record, "states")));
	json_put(ret, "reason", json_incref(json_at(record, "reason")));
	json_put_str(ret, "input", json_str(input, "kind", NULL));
	if (json_at(input, "number"))
		json_put(ret, "number", json_incref(json_at(input, "number")));
	if (json_at(input, "element"))
		json_put(ret, "element", json_incref(json_at(input, "element")));
	if (json_at(input, "failure"))
		json_put(ret, "failure", json_incref(json_at(input, "failure")));
	json_put(ret, "took_ms", json_incref(json_path(record, "call.took_ms")));
	json_t *asks = json_array();
	const json_t *effects = json_at(record, "effects");
	for (size_t i = 0; i < json_array_size(effects); i++) {
		const json_t *effect = json_array_get(effects, i);
		const char *kind = json_str(effect, "kind", "");
		if (strcmp(kind, "call") == 0 || strcmp(kind, "send") == 0)
			json_push(asks, ask_line(run, effect));
	}
	json_put(ret, "asks", asks);
	const json_t *artifacts = json_at(record, "artifacts");
	json_t *names = json_array();
	for (size_t i = 0; i < json_array_size(artifacts); i++)
		json_push(names, json_incref(json_at(json_array_get(artifacts, i), "name")));
	json_put(ret, "artifacts", names);
	if (run->release) {
		json_t *titles = json_array();
		const json_t *states = json_at(record, "states");
		for (size_t i = 0; i < json_array_size(states); i++) {
			const char *title = title_of(run,
			                             json_string_value(json_array_get(states, i)));
			if (title)
				json_push(titles, json_string(title));
		}
		json_put(ret, "titles", titles);
	}
	return ret;
}

/* --- lists -------------------------------------------------------------------------------- */

struct row_list {
	json_t *rows;
	int64_t last_no;
};

static void add_row(void *arg, const struct store_run *row)
{
	struct row_list *list = arg;
	list->last_no = row->no;
	json_push(list->rows, run_row_json(row));
}

enum { WHERE_MAX = 4 };

/* {name: value}, all of which must hold; the texts go to values, for the caller to free. */
static int read_where(const json_t *where, struct store_filter *filter, char *values[WHERE_MAX],
                      struct err *err)
{
	const char *name;
	json_t *value;
	size_t count = 0;
	json_object_foreach((json_t *)(uintptr_t)where, name, value) {
		if (count == WHERE_MAX)
			return err_set_id(err, ERR_INPUT, "run.where",
			                  "more than %d things are asked for at once", WHERE_MAX);
		values[count] = json_is_string(value) ? mem_dup_str(json_string_value(value))
		                                      : json_canon(value);
		if (count == 0) {
			filter->search_name = name;
			filter->search_value = values[count];
		} else {
			filter->also[count - 1].name = name;
			filter->also[count - 1].value = values[count];
		}
		count++;
	}
	return 0;
}

static int list_runs(struct engine *engine, const json_t *request, json_t **ret, struct err *err)
{
	struct row_list list = { json_array(), 0 };
	int64_t limit = json_int(request, "limit", LIST_DEFAULT);
	struct store_filter filter = {
		.graph = json_str(request, "graph", NULL),
		.before_no = json_int(request, "before", 0),
		.since_ms = json_int(request, "since_ms", 0),
		.until_ms = json_int(request, "until_ms", 0),
		.limit = (int)(limit < 1          ? 1
		               : limit > LIST_MAX ? LIST_MAX
		                                  : limit),
	};
	const char *status = json_str(request, "status", NULL);
	if (status && (filter.status = status_of_name(status)) < 0) {
		json_decref(list.rows);
		err_set_id(err, ERR_INPUT, "run.status", "'%.40s' is no status", status);
		return err_hint(err,
		                "running, waiting, waiting_for_people, blocked, ended, cancelled");
	}
	char *values[WHERE_MAX] = { NULL };
	int code = read_where(json_at(request, "where"), &filter, values, err);
	if (code == 0)
		code = engine->store->ops->runs(engine->store, &filter, add_row, &list, err);
	for (size_t i = 0; i < WHERE_MAX; i++)
		free(values[i]);
	if (code < 0) {
		json_decref(list.rows);
		return code;
	}
	bool is_full = (int)json_array_size(list.rows) == filter.limit;
	*ret = json_pack("{s:o}", "runs", list.rows);
	if (is_full)
		json_put_int(*ret, "next", list.last_no);
	return 0;
}

json_t *task_json(const struct store_task *task)
{
	json_t *ret = json_loads(task->body, 0, NULL);
	if (!ret)
		ret = json_object();
	put_time(ret, "due_at", json_int(ret, "due_ms", -1));
	put_time(ret, "created_at", json_int(ret, "created_ms", -1));
	return ret;
}

static void add_task(void *arg, const struct store_task *task)
{
	json_push(arg, task_json(task));
}

static int task_status(const char *name)
{
	static const char *const names[] = { "waiting", "open", "done", "withdrawn" };
	for (int i = 0; i < 4; i++)
		if (strcmp(names[i], name) == 0)
			return i + 1;
	return -1;
}

static void keep_no(void *arg, const struct store_run *row)
{
	*(int64_t *)arg = row->no;
}

static int no_such_run(const char *id, struct err *err)
{
	if (err->code != ERR_ABSENT)
		return err->code;
	err_clear(err);
	return err_set_id(err, ERR_ABSENT, "run.absent", "there is no run '%.80s'", id);
}

/* Those of one team: it has the role, or it is the owner. */
static void keep_team(json_t *tasks, const char *team, size_t limit)
{
	for (size_t i = json_array_size(tasks); i-- > 0;) {
		const json_t *task = json_array_get(tasks, i);
		if (strcmp(json_str(task, "role", ""), team) != 0 &&
		    strcmp(json_str(task, "owner", ""), team) != 0)
			json_array_remove(tasks, i);
	}
	while (json_array_size(tasks) > limit)
		json_array_remove(tasks, json_array_size(tasks) - 1);
}

static int list_tasks(struct engine *engine, const json_t *request, json_t **ret, struct err *err)
{
	const char *run = json_str(request, "run", NULL), *team = json_str(request, "team", NULL);
	int64_t limit = json_int(request, "limit", LIST_MAX);
	struct store_task_filter filter = { .role = json_str(request, "role", NULL),
		                            .owner = json_str(request, "owner", NULL),
		                            .run = json_int(request, "run_no", 0),
		                            .limit = team ? 0 : (int)limit };
	if (run && engine->store->ops->run_by_id(engine->store, run, keep_no, &filter.run, err) < 0)
		return no_such_run(run, err);
	const char *status = json_str(request, "status", NULL);
	if (status && (filter.status = task_status(status)) < 0)
		return err_set_id(err, ERR_INPUT, "task.status",
		                  "'%.40s' is no status of a task (waiting, open, done, withdrawn)",
		                  status);
	filter.due_before_ms = json_int(request, "due_before_ms", 0);
	if (json_truth(request, "overdue", false))
		filter.due_before_ms = engine_now(engine);
	json_t *tasks = json_array();
	if (engine->store->ops->tasks(engine->store, &filter, add_task, tasks, err) < 0) {
		json_decref(tasks);
		return err->code;
	}
	if (team)
		keep_team(tasks, team, (size_t)limit);
	*ret = json_pack("{s:o}", "tasks", tasks);
	return 0;
}

static void take_task(void *arg, const struct store_task *task)
{
	*(json_t **)arg = json_loads(task->body, 0, NULL);
}

static int show_task(struct engine *engine, const json_t *request, json_t **ret, struct err *err)
{
	const char *id = json_str(request, "task", "");
	json_t *task = NULL;
	if (engine->store->ops->task(engine->store, id, take_task, &task, err) < 0) {
		if (err->code != ERR_ABSENT)
			return err->code;
		err_clear(err);
		return err_set_id(err, ERR_ABSENT, "task.absent", "there is no task '%.80s'", id);
	}
	char etag[TASK_ETAG_BYTES];
	task_etag(task, etag);
	put_time(task, "due_at", json_int(task, "due_ms", -1));
	put_time(task, "created_at", json_int(task, "created_ms", -1));
	*ret = json_pack("{s:o,s:s}", "task", task, "etag", etag);
	return 0;
}

/* --- the journal ----------------------------------------------------------------------------- */

struct record_list {
	json_t *records;
	int64_t from;
};

static int add_record(void *arg, const json_t *record, struct err *err)
{
	struct record_list *list = arg;
	(void)err;
	if (json_int(record, "seq", 0) >= list->from)
		json_push(list->records, json_incref((json_t *)(uintptr_t)record));
	return 0;
}

static int show_events(struct engine *engine, const json_t *request, json_t **ret, struct err *err)
{
	int64_t no;
	const char *id = json_str(request, "run", "");
	if (engine->store->ops->run_by_id(engine->store, id, keep_no, &no, err) < 0)
		return no_such_run(id, err);
	struct record_list list = { json_array(), json_int(request, "from", 1) };
	struct journal_head head = { 0 };
	if (journal_read(engine->store, no, &head, add_record, &list, err) < 0) {
		json_decref(list.records);
		return err->code;
	}
	*ret = json_pack("{s:o}", "records", list.records);
	return 0;
}

struct feed {
	json_t *events;
	int64_t last;
};

/* What passed by, without what runs know. */
static bool add_event(void *arg, int64_t place, const char *run_id, int64_t seq, struct str body)
{
	static const char *const shown[] = { "at", "kind", "states", "reason", "by" };
	struct feed *feed = arg;
	json_t *record = json_loadb(body.ptr, body.len, 0, NULL);
	json_t *event = json_pack("{s:I,s:s,s:I}", "place", (json_int_t)place, "run", run_id, "seq",
	                          (json_int_t)seq);
	for (size_t i = 0; i < sizeof(shown) / sizeof(*shown); i++)
		json_put(event, shown[i], json_incref(json_at(record, shown[i])));
	json_put_str(event, "input", json_str(json_at(record, "input"), "kind", NULL));
	json_push(feed->events, event);
	json_decref(record);
	feed->last = place;
	return true;
}

static int show_feed(struct engine *engine, const json_t *request, json_t **ret, struct err *err)
{
	int64_t after = json_int(request, "after", -1),
		limit = json_int(request, "limit", LIST_MAX);
	struct feed feed = { json_array(), after < 0 ? 0 : after };
	if (engine->store->ops->feed(engine->store, after, (int)limit, add_event, &feed, err) < 0) {
		json_decref(feed.events);
		return err->code;
	}
	if (after < 0)
		json_array_clear(feed.events); /* only where the feed ends now */
	*ret = json_pack("{s:o,s:I}", "events", feed.events, "place", (json_int_t)feed.last);
	return 0;
}

static int show_audit(struct engine *engine, const json_t *request, json_t **ret, struct err *err)
{
	int64_t no;
	const char *id = json_str(request, "run", "");
	if (engine->store->ops->run_by_id(engine->store, id, keep_no, &no, err) < 0)
		return no_such_run(id, err);
	json_t *audit = run_audit(engine, no, err);
	if (!audit)
		return err->code;
	*ret = json_pack("{s:o}", "audit", audit);
	return 0;
}

static json_t *doctor(struct engine *engine)
{
	json_t *connections = connections_describe(engine);
	json_t *ret = json_pack("{s:{s:s,s:i,s:s,s:I,s:o,s:o}}", "doctor", "engine",
	                        engine->options.version, "workers", engine->worker_count, "store",
	                        engine->options.store_path, "resident",
	                        (json_int_t)atomic_load(&engine->resident), "connections",
	                        connections, "graphs", release_graphs(engine->releases));
	json_put(json_at(ret, "doctor"), "plugins", engine_plugins(engine));
	return ret;
}

/* What a run of this graph would start with now; or why it could not. */
static json_t *version_of(struct engine *engine, const char *graph)
{
	struct release *release;
	struct err err = { 0 };
	if (release_current(engine->releases, graph, &release, &err) < 0)
		return json_pack("{s:s,s:{s:s,s:o}}", "graph", graph, "error", "id", err.id, "text",
		                 json_text(str_of(err.text)));
	json_t *ret = json_pack("{s:s,s:s,s:O}", "graph", graph, "release", release->sha256, "pins",
	                        release->pins);
	release_unref(release);
	return ret;
}

static int show_versions(struct engine *engine, const json_t *request, json_t **ret,
                         struct err *err)
{
	const char *graph = json_str(request, "graph", NULL);
	json_t *names = graph ? json_pack("[s]", graph) : release_graphs(engine->releases);
	json_t *versions = json_array();
	for (size_t i = 0; i < json_array_size(names); i++)
		json_push(versions,
		          version_of(engine, json_string_value(json_array_get(names, i))));
	json_decref(names);
	const json_t *error = graph ? json_at(json_array_get(versions, 0), "error") : NULL;
	if (error) {
		err_set_id(err, ERR_ABSENT, json_str(error, "id", ""), "%s",
		           json_str(error, "text", ""));
		json_decref(versions);
		return err->code;
	}
	*ret = json_pack("{s:o}", "versions", versions);
	return 0;
}

static int backup(struct engine *engine, const char *path, json_t **ret, struct err *err)
{
	const struct store_ops *ops = engine->store->ops;
	if (!ops->backup || *path != '/')
		return err_set_id(err, ERR_INPUT, "store.backup",
		                  *path == '/' ? "this store cannot be copied"
		                               : "the path of a backup must be absolute");
	if (ops->backup(engine->store, path, err) < 0)
		return err->code;
	*ret = json_pack("{s:s}", "path", path);
	return 0;
}

static int show_head(struct engine *engine, const json_t *request, json_t **ret, struct err *err)
{
	json_t *findings = heads_compare(engine, json_at(request, "head"), err);
	if (!findings)
		return err->code;
	*ret = json_pack("{s:o,s:I}", "findings", findings, "newest",
	                 (json_int_t)heads_last(engine));
	return 0;
}

void engine_query(struct engine *engine, const json_t *request, const struct asker *asker)
{
	const char *op = json_str(request, "op", "");
	struct err err = { 0 };
	json_t *reply = NULL;
	if (strcmp(op, "run.list") == 0)
		(void)list_runs(engine, request, &reply, &err);
	else if (strcmp(op, "task.list") == 0)
		(void)list_tasks(engine, request, &reply, &err);
	else if (strcmp(op, "task.show") == 0)
		(void)show_task(engine, request, &reply, &err);
	else if (strcmp(op, "run.events") == 0)
		(void)show_events(engine, request, &reply, &err);
	else if (strcmp(op, "events") == 0)
		(void)show_feed(engine, request, &reply, &err);
	else if (strcmp(op, "audit.show") == 0)
		(void)show_audit(engine, request, &reply, &err);
	else if (strcmp(op, "audit.head") == 0)
		(void)show_head(engine, request, &reply, &err);
	else if (strcmp(op, "figures") == 0)
		reply = engine_figures(engine, json_str(request, "as", NULL));
	else if (strcmp(op, "versions") == 0)
		(void)show_versions(engine, request, &reply, &err);
	else if (strcmp(op, "doctor") == 0)
		reply = doctor(engine);
	else if (strcmp(op, "store.backup") == 0)
		(void)backup(engine, json_str(request, "path", ""), &reply, &err);
	else if (str_begins(op, "serve.") && engine->options.control)
		reply = engine->options.control(engine->options.program_ctx, request);
	else if (str_begins(op, "serve."))
		err_set_id(&err, ERR_ABSENT, "serve.absent", "no server runs on this store");
	else
		err_set_id(&err, ERR_INPUT, "request.op", "the engine knows no request '%.60s'",
		           op);
	if (reply)
		reply_last(asker, reply);
	else
		reply_error(asker, &err);
}
