/* SPDX-License-Identifier: MIT */
/*
 * People in a story: approvals are given, items of checklists are done, and
 * what is overdue is told, as the engine does it for a durable run.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "cli/cli_story.h"

enum { LATE_BY_DEFAULT_MS = 3 * 24 * 3600 * 1000, ROUNDS_MAX = 100 };

const json_t *story_call(const struct play *play, const char *id)
{
	const json_t *calls = driver_calls(play->driver);
	for (size_t i = 0; i < json_array_size(calls); i++) {
		const json_t *effect = json_array_get(calls, i);
		if (strcmp(json_str(effect, "id", ""), id) == 0)
			return effect;
	}
	return NULL;
}

int story_stepped(struct play *play, int status, struct err *err)
{
	if (status == 0)
		return 0;
	play->blocked = *err;
	err_clear(err);
	return 0;
}

int story_end_call(struct play *play, const json_t *effect, bool ok, const json_t *value,
                   struct err *err)
{
	int status = driver_end_call(play->driver, (uint64_t)json_int(effect, "number", 0),
	                             (uint32_t)json_int(effect, "element", 0), ok, value, err);
	return story_stepped(play, status, err);
}

static int64_t read_span(const json_t *value, int64_t otherwise)
{
	struct err ignored = { 0 }; /* the check of the call's parameters has told it */
	int64_t ret = otherwise;
	if (json_is_number(value))
		return (int64_t)json_number_value(value);
	if (json_is_string(value) &&
	    chart_parse_delay(json_string_value(value), &ret, &ignored) < 0)
		return otherwise;
	return ret;
}

/* --- approvals ----------------------------------------------------------------------------- */

static int approve(struct play *play, const json_t *effect, const json_t *step, struct err *err)
{
	const char *outcome = json_str(step, "outcome", ""), *by = json_str(step, "by", "someone");
	const json_t *shown = json_path(effect, "data.shown");
	char at[CLOCK_ISO_BYTES], hash[SHA256_HEX];
	if (strcmp(outcome, "approved") != 0 && strcmp(outcome, "rejected") != 0)
		return err_set(err, ERR_INPUT, "an approval is answered with approved or rejected");
	if (strcmp(by, json_str(json_at(effect, "data"), "requested_by", "")) == 0)
		return err_set(err, ERR_INPUT, "who asked for an approval may not give it");
	json_t *none = json_null();
	char *text = json_canon(shown ? shown : none);
	clock_iso(driver_now(play->driver), at);
	crypto_sha256_hex(str_of(text), hash);
	json_t *value = json_pack("{s:s,s:s,s:s,s:s}", "outcome", outcome, "by", by, "at", at,
	                          "shown_sha256", hash);
	json_put_str(value, "comment", json_str(step, "comment", NULL));
	int status = story_end_call(play, effect, true, value, err);
	json_decref(value);
	free(text);
	return status;
}

/* --- checklists ------------------------------------------------------------------------------- */

static json_t *find_item(const json_t *items, const char *id)
{
	for (size_t i = 0; i < json_array_size(items); i++)
		if (strcmp(json_str(json_array_get(items, i), "id", ""), id) == 0)
			return json_array_get(items, i);
	return NULL;
}

static bool has_status(const json_t *item, const char *status)
{
	return strcmp(json_str(item, "status", ""), status) == 0;
}

static bool is_free(const json_t *items, const json_t *item)
{
	const json_t *after = json_at(item, "after");
	for (size_t i = 0; i < json_array_size(after); i++) {
		const char *name = json_string_value(json_array_get(after, i));
		if (!has_status(find_item(items, name ? name : ""), "done"))
			return false;
	}
	return true;
}

static void set_done(json_t *item, const char *by, int64_t now_ms)
{
	json_put_str(item, "status", "done");
	json_put_str(item, "by", by);
	json_put_int(item, "done_ms", now_ms);
}

/* Opens what waits for nothing any more; an automatic item is done then, which may open others. */
static void advance(json_t *items, int64_t now_ms)
{
	for (bool changed = true; changed;) {
		changed = false;
		for (size_t i = 0; i < json_array_size(items); i++) {
			json_t *item = json_array_get(items, i);
			if (!has_status(item, "waiting") || !is_free(items, item))
				continue;
			if (json_truth(item, "automatic", false))
				set_done(item, "gangway", now_ms);
			else
				json_put_str(item, "status", "open");
			changed = true;
		}
	}
}

static json_t *open_list(const struct play *play, const json_t *effect)
{
	json_t *items = json_deep_copy(json_path(effect, "data.items"));
	int64_t now_ms = driver_now(play->driver);
	for (size_t i = 0; i < json_array_size(items); i++) {
		json_t *item = json_array_get(items, i);
		int64_t span = read_span(json_at(item, "due"), -1);
		json_put_str(item, "status", "waiting");
		if (json_truth(item, "done", false))
			set_done(item, "gangway", now_ms);
		if (span >= 0)
			json_put_int(item, "due_ms", now_ms + span);
	}
	advance(items, now_ms);
	return items;
}

static json_t *list_of(struct play *play, const json_t *effect)
{
	char key[32];
	snprintf(key, sizeof(key), "%lld", (long long)json_int(effect, "number", 0));
	if (!json_at(play->checklists, key))
		json_put(play->checklists, key, open_list(play, effect));
	return json_at(play->checklists, key);
}

static int end_if_done(struct play *play, const json_t *effect, json_t *items, bool *ret_did,
                       struct err *err)
{
	for (size_t i = 0; i < json_array_size(items); i++)
		if (!has_status(json_array_get(items, i), "done"))
			return 0;
	*ret_did = true;
	json_t *value = json_pack("{s:O}", "items", items);
	int status = story_end_call(play, effect, true, value, err);
	json_decref(value);
	return status;
}

static int do_item(struct play *play, json_t *items, const char *id, const char *by,
                   struct err *err)
{
	json_t *item = find_item(items, id);
	if (!item)
		return err_set(err, ERR_INPUT, "the checklist has no item '%.80s'", id);
	if (has_status(item, "done"))
		return err_set(err, ERR_INPUT, "the item '%.80s' is done already", id);
	if (!has_status(item, "open"))
		return err_set(err, ERR_INPUT, "the item '%.80s' waits for others to be done first",
		               id);
	set_done(item, by, driver_now(play->driver));
	advance(items, driver_now(play->driver));
	return 0;
}

/* Every item that can be done, again and again, until nothing is left. */
static void do_all(struct play *play, json_t *items, const char *by)
{
	for (bool changed = true; changed;) {
		changed = false;
		for (size_t i = 0; i < json_array_size(items); i++) {
			json_t *item = json_array_get(items, i);
			if (!has_status(item, "open"))
				continue;
			set_done(item, by, driver_now(play->driver));
			changed = true;
		}
		advance(items, driver_now(play->driver));
	}
}

static int work_list(struct play *play, const json_t *effect, const json_t *step, struct err *err)
{
	const char *item = json_str(step, "item", NULL), *by = json_str(step, "by", "someone");
	const json_t *given = json_at(step, "items");
	json_t *items = list_of(play, effect);
	bool did = false;
	int status = 0;
	if (strcmp(json_str(step, "outcome", "done"), "done") != 0)
		return err_set(err, ERR_INPUT, "an item of a checklist is answered with done");
	if (item)
		status = do_item(play, items, item, by, err);
	for (size_t i = 0; status == 0 && i < json_array_size(given); i++) {
		const char *name = json_string_value(json_array_get(given, i));
		status = do_item(play, items, name ? name : "?", by, err);
	}
	if (!item && !given)
		do_all(play, items, by);
	return status < 0 ? status : end_if_done(play, effect, items, &did, err);
}

int story_task(struct play *play, const json_t *step, struct err *err)
{
	const char *id = json_str(step, "task", "");
	const json_t *effect = story_call(play, id);
	const char *type = json_str(effect, "type", "");
	json_t *kept = json_incref((json_t *)(uintptr_t)effect);
	int status;
	if (strcmp(type, "approval") == 0)
		status = approve(play, effect, step, err);
	else if (strcmp(type, "checklist") == 0)
		status = work_list(play, effect, step, err);
	else if (effect)
		status = err_set(err, ERR_INPUT, "'%.80s' is no task for people but a call of %s",
		                 id, type);
	else
		status = err_set(err, ERR_INPUT, "no task '%.80s' is open", id);
	json_decref(kept);
	return status;
}

/* --- what is overdue -------------------------------------------------------------------------- */

static void add_overdue(json_t *tasks, const json_t *item, const json_t *effect, const char *kind)
{
	json_t *task = json_deep_copy(item);
	json_put_str(task, "kind", kind);
	json_put_str(task, "call", json_str(effect, "id", NULL));
	json_push(tasks, task);
}

static void overdue_of(struct play *play, const json_t *effect, int64_t now_ms, json_t *tasks)
{
	const char *type = json_str(effect, "type", "");
	if (strcmp(type, "checklist") == 0) {
		json_t *items = list_of(play, effect);
		for (size_t i = 0; i < json_array_size(items); i++) {
			const json_t *item = json_array_get(items, i);
			if (has_status(item, "open") &&
			    json_int(item, "due_ms", INT64_MAX) < now_ms)
				add_overdue(tasks, item, effect, "item");
		}
	} else if (strcmp(type, "approval") == 0) {
		int64_t opened_ms = json_int(effect, "opened_ms", now_ms);
		int64_t due_ms = opened_ms +
		                 read_span(json_path(effect, "data.due"), LATE_BY_DEFAULT_MS);
		json_t *task = json_copy(json_at(effect, "data"));
		json_put_int(task, "due_ms", due_ms);
		if (due_ms < now_ms)
			add_overdue(tasks, task, effect, "approval");
		json_decref(task);
	}
}

static int tell_overdue(struct play *play, const json_t *asking, struct err *err)
{
	const json_t *calls = driver_calls(play->driver);
	json_t *tasks = json_array();
	for (size_t i = 0; i < json_array_size(calls); i++)
		overdue_of(play, json_array_get(calls, i), driver_now(play->driver), tasks);
	json_t *value = json_pack("{s:i,s:o}", "count", (int)json_array_size(tasks), "tasks",
	                          tasks);
	int status = story_end_call(play, asking, true, value, err);
	json_decref(value);
	return status;
}

static bool is_answered(const struct play *play, const json_t *effect)
{
	const char *type = json_str(effect, "type", ""), *action = json_str(effect, "action", NULL);
	char *key = action ? mem_format("%s.%s", type, action) : mem_dup_str(type);
	bool ret = json_at(play->options.answers, key) != NULL;
	free(key);
	return ret;
}

/* One that can end now ends; *ret_did false when there is none. */
static int end_one(struct play *play, bool *ret_did, struct err *err)
{
	const json_t *calls = driver_calls(play->driver);
	int status = 0;
	*ret_did = false;
	for (size_t i = 0; status == 0 && !*ret_did && i < json_array_size(calls); i++) {
		json_t *effect = json_incref(json_array_get(calls, i));
		const char *type = json_str(effect, "type", "");
		if (is_answered(play, effect)) {
			/* the story's own answer is on its way, or was given */
		} else if (strcmp(type, "checklist") == 0) {
			status = end_if_done(play, effect, list_of(play, effect), ret_did, err);
		} else if (strcmp(type, "tasks") == 0) {
			*ret_did = true;
			status = tell_overdue(play, effect, err);
		}
		json_decref(effect);
	}
	return status;
}

int story_built_ins(struct play *play, struct err *err)
{
	bool did = true;
	for (int i = 0; did; i++) {
		if (i == ROUNDS_MAX)
			return err_set(err, ERR_INPUT, "the graph asks for tasks again and again");
		int status = end_one(play, &did, err);
		if (status == 0 && did && play->blocked.code == 0)
			status = story_stepped(play, driver_settle(play->driver, err), err);
		if (status < 0)
			return status;
		if (play->blocked.code != 0)
			return 0;
	}
	return 0;
}
