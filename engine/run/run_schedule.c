/* SPDX-License-Identifier: MIT */
/*
 * Schedules: runs that start by the calendar.  The table stands in the store as
 * one value under "schedules", and is changed on the first worker alone.
 *
 * A firing is named by its due time ("schedule:NAME:2026-11-21T06:00:00Z"), and
 * that is the run's correlation id: first the starts are durable, then the table
 * moves on.  A crash in between fires again, and meets the same runs.
 *
 * What was due while nobody looked is missed; the schedule's policy says what
 * becomes of it: one (the last of them), all, skip.  run_fire.c fires.
 */
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "run/run_schedule.h"

enum { NAME_BYTES = 64 };

/* --- opening ------------------------------------------------------------------------------- */

static void keep_body(void *arg, int64_t seq, struct str body)
{
	(void)seq;
	*(json_t **)arg = json_loadb(body.ptr, body.len, 0, NULL);
}

int schedules_open(struct engine *engine, struct err *err)
{
	json_t *found = NULL;
	int status = engine->store->ops->meta(engine->store, "schedules", keep_body, &found, err);
	if (status < 0 && status != ERR_ABSENT)
		return status;
	err_clear(err);
	engine->schedules = mem_alloc(sizeof(*engine->schedules));
	engine->schedules->by_name = json_is_object(found) ? found : json_object();
	engine->schedules->firing = json_object();
	return 0;
}

void schedules_close(struct engine *engine)
{
	struct schedules *schedules = engine->schedules;
	if (!schedules)
		return;
	json_decref(schedules->by_name);
	json_decref(schedules->firing);
	free(schedules);
	engine->schedules = NULL;
}

bool schedule_is_op(const char *op)
{
	return str_begins(op, "schedule.");
}

/* --- what people see ------------------------------------------------------------------------ */

static void schedule_etag(const json_t *schedule, char ret[SHA256_HEX])
{
	static const char *const members[] = { "name",  "graph",      "cron",   "zone",
		                               "input", "input_from", "missed", "paused" };
	json_t *about = json_object();
	for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++)
		json_put(about, members[i], json_incref(json_at(schedule, members[i])));
	char *text = json_canon(about);
	crypto_sha256_hex(str_of(text), ret);
	ret[32] = '\0';
	free(text);
	json_decref(about);
}

static void put_iso(json_t *object, const char *from, const char *to)
{
	char text[CLOCK_ISO_BYTES];
	if (!json_at(object, from))
		return;
	clock_iso(json_int(object, from, 0), text);
	json_put_str(object, to, text);
	json_object_del(object, from);
}

static json_t *shown(const json_t *schedule)
{
	json_t *ret = json_copy((json_t *)(uintptr_t)schedule);
	put_iso(ret, "next_ms", "next_at");
	put_iso(ret, "last_ms", "last_at");
	put_iso(ret, "created_ms", "created_at");
	if (json_truth(schedule, "paused", false))
		json_object_del(ret, "next_at");
	return ret;
}

json_t *schedule_reply(const json_t *schedule)
{
	char etag[SHA256_HEX];
	schedule_etag(schedule, etag);
	return json_pack("{s:o,s:s}", "schedule", shown(schedule), "etag", etag);
}

static void list(const struct schedules *schedules, const struct asker *asker)
{
	json_t *ret = json_array();
	const char *name;
	json_t *schedule;
	json_object_foreach(schedules->by_name, name, schedule)
		json_push(ret, shown(schedule));
	reply_last(asker, json_pack("{s:o}", "schedules", ret));
}

/* --- changing the table ----------------------------------------------------------------------- */

static void change_is_durable(struct commit *commit)
{
	commit->worker->commits_open--;
	reply_last(&commit->asker, json_incref(commit->reply));
	schedules_arm(commit->worker);
	commit_free(commit);
}

void schedules_submit(struct worker *worker, json_t *by_name_taken, json_t *reply_taken,
                      const struct asker *asker)
{
	struct schedules *schedules = worker->engine->schedules;
	struct commit *commit = mem_alloc(sizeof(*commit));
	json_decref(schedules->by_name);
	schedules->by_name = by_name_taken;
	commit->message.commit = commit;
	commit->worker = worker;
	commit->asker = *asker;
	commit->done = change_is_durable;
	commit->reply = reply_taken;
	struct store_op *op = vec_add(&commit->ops);
	op->kind = STORE_OP_META;
	op->name = "schedules";
	op->body = str_of(commit_keep(commit, json_canon(by_name_taken)));
	commit->item = (struct store_item){ .ops = commit->ops.at, .count = commit->ops.len };
	worker->commits_open++;
	writer_post(worker->engine, &commit->message);
}

static bool is_name(const char *name)
{
	size_t len = strlen(name);
	return len > 0 && len <= NAME_BYTES &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") ==
	               len;
}

static int check_input(const json_t *schedule, struct err *err)
{
	const json_t *input = json_at(schedule, "input");
	bool is_list = json_is_array(input);
	if (input && !is_list && !json_is_object(input))
		return err_set_id(err, ERR_INPUT, "schedule.input",
		                  "the input is an object, or a list of objects: a run for each");
	if (is_list && json_array_size(input) == 0)
		return err_set_id(err, ERR_INPUT, "schedule.input", "the list of inputs is empty");
	for (size_t i = 0; is_list && i < json_array_size(input); i++)
		if (!json_is_object(json_array_get(input, i)))
			return err_set_id(err, ERR_INPUT, "schedule.input",
			                  "input[%zu] is no object", i);
	if (json_array_size(input) > LIMIT_BATCH_STARTS)
		return err_set_id(err, ERR_INPUT, "schedule.input",
		                  "more than %d inputs (LIMIT_BATCH_STARTS)", LIMIT_BATCH_STARTS);
	if (input && json_at(schedule, "input_from"))
		return err_set_id(err, ERR_INPUT, "schedule.input",
		                  "input or input_from, not both");
	return 0;
}

static int check_schedule(struct engine *engine, const json_t *schedule, int64_t *ret_next,
                          struct err *err)
{
	const char *missed = json_str(schedule, "missed", "");
	struct release *release;
	if (!is_name(json_str(schedule, "name", "")))
		return err_set_id(err, ERR_INPUT, "schedule.name",
		                  "a schedule's name is 1 to %d letters, digits, _ and -",
		                  NAME_BYTES);
	if (strcmp(missed, "one") != 0 && strcmp(missed, "all") != 0 &&
	    strcmp(missed, "skip") != 0) {
		err_set_id(err, ERR_INPUT, "schedule.missed", "'%.40s' is no policy", missed);
		return err_hint(err, "one (the last of what was missed), all, skip");
	}
	if (check_input(schedule, err) < 0 ||
	    schedule_next(schedule, engine_now(engine), ret_next, err) < 0 ||
	    release_current(engine->releases, json_str(schedule, "graph", ""), &release, err) < 0)
		return err->code;
	release_unref(release);
	return *ret_next < 0 ? err_set_id(err, ERR_INPUT, "cron.never", "'%s' is never due",
	                                  json_str(schedule, "cron", ""))
	                     : 0;
}

static json_t *read_schedule(struct engine *engine, const json_t *request)
{
	static const char *const members[] = { "name", "graph", "cron", "input", "input_from" };
	json_t *ret = json_pack("{s:s,s:s,s:b,s:s,s:I}", "zone", json_str(request, "zone", "UTC"),
	                        "missed", json_str(request, "missed", "one"), "paused",
	                        (int)json_truth(request, "paused", false), "by",
	                        json_str(request, "by", "someone"), "created_ms",
	                        (json_int_t)engine_now(engine));
	for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++)
		json_put(ret, members[i], json_incref(json_at(request, members[i])));
	return ret;
}

static int check_etag(const json_t *request, const json_t *schedule, struct err *err)
{
	const char *wanted = json_str(request, "etag", NULL);
	char etag[SHA256_HEX];
	if (!wanted)
		return 0;
	if (schedule)
		schedule_etag(schedule, etag);
	return schedule && strcmp(wanted, etag) == 0
	               ? 0
	               : err_set_id(err, ERR_CONFLICT, "etag.changed",
	                            "the schedule is not any more what it was when it was read");
}

static void note_change(struct worker *worker, const json_t *request, const char *name)
{
	engine_log(
		worker->engine, "info", json_str(request, "op", ""),
		json_pack("{s:s,s:s}", "schedule", name, "by", json_str(request, "by", "someone")));
	access_note(worker, json_pack("{s:s,s:s,s:s}", "what", json_str(request, "op", ""), "about",
	                              name, "by", json_str(request, "by", "someone")));
}

/* schedule.add: a new one; schedule.set: instead of the one of this name. */
static void put_schedule(struct worker *worker, const json_t *request, const struct asker *asker)
{
	struct schedules *schedules = worker->engine->schedules;
	bool is_new = strcmp(json_str(request, "op", ""), "schedule.add") == 0;
	json_t *schedule = read_schedule(worker->engine, request);
	const char *name = json_str(schedule, "name", "");
	const json_t *before = json_at(schedules->by_name, name);
	struct err err = { 0 };
	int64_t next = -1;
	if (is_new && before)
		err_set_id(&err, ERR_CONFLICT, "schedule.known", "there is a schedule '%s'", name);
	else if (!is_new && !before)
		err_set_id(&err, ERR_ABSENT, "schedule.absent", "there is no schedule '%.64s'",
		           name);
	else if (json_object_size(schedules->by_name) >= LIMIT_SCHEDULES)
		err_set_id(&err, ERR_LIMIT, "schedule.count", "there are %d schedules",
		           LIMIT_SCHEDULES);
	else if (check_etag(request, before, &err) == 0)
		err.code = check_schedule(worker->engine, schedule, &next, &err);
	if (err.code < 0) {
		json_decref(schedule);
		reply_error(asker, &err);
		return;
	}
	json_put_int(schedule, "next_ms", next);
	json_t *after = json_copy(schedules->by_name);
	json_put(after, name, schedule);
	note_change(worker, request, name);
	schedules_submit(worker, after, schedule_reply(schedule), asker);
}

/* Pausing keeps the place; going on begins with what is due from now on. */
static void pause_schedule(struct worker *worker, const json_t *request, const json_t *before,
                           const struct asker *asker)
{
	struct schedules *schedules = worker->engine->schedules;
	bool is_paused = strcmp(json_str(request, "op", ""), "schedule.pause") == 0;
	const char *name = json_str(before, "name", "");
	json_t *schedule = json_copy((json_t *)(uintptr_t)before);
	struct err ignored = { 0 }; /* it was checked when it was added */
	int64_t next;
	json_put(schedule, "paused", json_boolean(is_paused));
	if (!is_paused && json_truth(before, "paused", false) &&
	    schedule_next(schedule, engine_now(worker->engine), &next, &ignored) == 0)
		json_put_int(schedule, "next_ms", next);
	json_t *after = json_copy(schedules->by_name);
	json_put(after, name, schedule);
	note_change(worker, request, name);
	schedules_submit(worker, after, schedule_reply(schedule), asker);
}

static void remove_schedule(struct worker *worker, const json_t *request, const json_t *before,
                            const struct asker *asker)
{
	struct schedules *schedules = worker->engine->schedules;
	json_t *after = json_copy(schedules->by_name), *reply = schedule_reply(before);
	const char *name = json_str(request, "name", "");
	json_object_del(after, name);
	note_change(worker, request, name);
	schedules_submit(worker, after, reply, asker);
}

void schedule_request(struct worker *worker, const json_t *request, const struct asker *asker)
{
	struct schedules *schedules = worker->engine->schedules;
	const char *op = json_str(request, "op", "") + strlen("schedule.");
	const char *name = json_str(request, "name", "");
	const json_t *schedule = json_at(schedules->by_name, name);
	struct err err = { 0 };
	if (strcmp(op, "list") == 0)
		list(schedules, asker);
	else if (strcmp(op, "add") == 0 || strcmp(op, "set") == 0)
		put_schedule(worker, request, asker);
	else if (!schedule)
		err_set_id(&err, ERR_ABSENT, "schedule.absent", "there is no schedule '%.64s'",
		           name);
	else if (check_etag(request, schedule, &err) < 0)
		;
	else if (strcmp(op, "show") == 0)
		reply_last(asker, schedule_reply(schedule));
	else if (strcmp(op, "pause") == 0 || strcmp(op, "resume") == 0)
		pause_schedule(worker, request, schedule, asker);
	else if (strcmp(op, "remove") == 0)
		remove_schedule(worker, request, schedule, asker);
	else if (strcmp(op, "trigger") == 0)
		schedule_trigger(worker, request, schedule, asker);
	else if (strcmp(op, "backfill") == 0)
		schedule_backfill(worker, request, schedule, asker);
	else
		err_set_id(&err, ERR_INPUT, "request.op",
		           "the engine knows no request 'schedule.%.40s'", op);
	if (err.code < 0)
		reply_error(asker, &err);
}
