/* SPDX-License-Identifier: MIT */
/*
 * Many at once.  A batch of starts is decided on one worker and handed to the
 * writer as one chain, so that all of it stands in one commit; a start that
 * cannot be, or meets an older run, is refused alone.  A bulk action is asked of
 * every run that a filter finds, each on its own worker.
 *
 * The answers are gathered; the last one to come replies.
 */
#include <stdlib.h>
#include <string.h>

#include "run/run_commit.h"

struct many {
	pthread_mutex_t lock;
	struct asker asker;
	json_t *reply;   /* begun by the caller; "results" is filled here */
	json_t *results; /* in it */
	size_t left;
};

struct one {
	struct many *many;
	size_t index;
};

static struct many *many_new(const struct asker *asker, json_t *reply_taken, size_t count)
{
	struct many *many = mem_alloc(sizeof(*many));
	pthread_mutex_init(&many->lock, NULL);
	many->asker = *asker;
	many->reply = reply_taken;
	many->results = json_array();
	for (size_t i = 0; i < count; i++)
		json_push(many->results, json_null());
	json_put(reply_taken, "results", many->results);
	many->left = count;
	return many;
}

static void many_end(struct many *many)
{
	reply_last(&many->asker, many->reply);
	pthread_mutex_destroy(&many->lock);
	free(many);
}

static json_t *result_of(const json_t *reply)
{
	const json_t *error = json_at(reply, "error"), *run = json_at(reply, "run");
	if (error)
		return json_pack("{s:O}", "error", error);
	json_t *ret = json_object();
	static const char *const members[] = { "id", "correlation_id", "status" };
	for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++)
		json_put(ret, i == 0 ? "run" : members[i], json_incref(json_at(run, members[i])));
	json_put(ret, "is_new", json_incref(json_at(reply, "is_new")));
	return ret;
}

static void one_replied(void *arg, const json_t *reply, bool is_last)
{
	struct one *one = arg;
	struct many *many = one->many;
	if (!is_last)
		return;
	pthread_mutex_lock(&many->lock);
	json_t *result = result_of(reply);
	const json_t *named = json_array_get(many->results, one->index);
	if (json_is_string(named)) /* of a bulk action: the run it is about */
		json_put(result, "run", json_incref((json_t *)(uintptr_t)named));
	json_array_set_new(many->results, one->index, result);
	bool is_over = --many->left == 0;
	pthread_mutex_unlock(&many->lock);
	free(one);
	if (is_over)
		many_end(many);
}

static struct asker asker_of(struct many *many, size_t index)
{
	struct one *one = mem_alloc(sizeof(*one));
	*one = (struct one){ many, index };
	return (struct asker){ one_replied, one };
}

/* --- a batch of starts ------------------------------------------------------------------- */

void commit_push(struct commit *commit)
{
	struct worker *worker = commit->worker;
	if (commit->is_filed && worker->engine->filer.is_running) {
		filer_post(&worker->engine->filer, &commit->message);
		return;
	}
	if (!worker->is_holding) {
		writer_post(worker->engine, &commit->message);
		return;
	}
	commit->message.next = NULL;
	*worker->held_last = &commit->message;
	worker->held_last = &commit->message.next;
	worker->held_count++;
}

static void pins_are_durable(struct commit *commit)
{
	commit->worker->commits_open--;
	commit_blobs_known(commit);
	commit_free(commit);
}

/*
 * A start may be refused alone, and then nothing of its item is kept: what all
 * of a batch need stands in an item of its own, once, ahead of them.
 */
struct commit *many_pins(struct commit *commit)
{
	struct worker *worker = commit->worker;
	const char *sha256 = commit->run->release->sha256;
	if (!worker->is_holding)
		return commit;
	if (json_at(worker->held_releases, sha256))
		return NULL;
	json_put(worker->held_releases, sha256, json_true());
	if (!worker->held_pins) {
		struct commit *pins = mem_alloc(sizeof(*pins));
		pins->message.commit = pins;
		pins->worker = worker;
		pins->done = pins_are_durable;
		worker->held_pins = pins;
	}
	worker->held_pins->run = commit->run; /* for the ops' number alone */
	return worker->held_pins;
}

static void hold(struct worker *worker)
{
	worker->held_releases = json_object();
	worker->held_pins = NULL;
	worker->is_holding = true;
	worker->held = NULL;
	worker->held_last = &worker->held;
	worker->held_count = 0;
}

static void let_go(struct worker *worker)
{
	worker->is_holding = false;
	json_decref(worker->held_releases);
	if (worker->held_pins && worker->held) {
		struct commit *pins = worker->held_pins;
		pins->run = NULL;
		pins->item = (struct store_item){ .ops = pins->ops.at, .count = pins->ops.len };
		pins->message.next = worker->held;
		worker->held = &pins->message;
		worker->held_count++;
		worker->commits_open++;
	}
	if (worker->held)
		writer_post_chain(worker->engine, worker->held, worker->held_last,
		                  worker->held_count);
}

int many_check_batch(const json_t *request, struct err *err)
{
	const json_t *starts = json_at(request, "starts");
	size_t count = json_array_size(starts);
	if (count == 0 || count > LIMIT_BATCH_STARTS)
		return err_set_id(err, ERR_INPUT, "batch.starts",
		                  "a batch is 1 to %d starts (LIMIT_BATCH_STARTS)",
		                  LIMIT_BATCH_STARTS);
	for (size_t i = 0; i < count; i++) {
		const json_t *start = json_array_get(starts, i);
		const char *name;
		json_t *value;
		if (!json_is_string(json_at(start, "graph")))
			return err_set_id(err, ERR_INPUT, "batch.starts",
			                  "starts[%zu] names no graph", i);
		json_object_foreach((json_t *)(uintptr_t)start, name, value)
			if (strcmp(name, "graph") != 0 && strcmp(name, "input") != 0 &&
			    strcmp(name, "correlation_id") != 0)
				return err_set_id(err, ERR_INPUT, "body.unknown_member",
				                  "starts[%zu] has a member '%.40s' that is not "
				                  "known here",
				                  i, name);
	}
	return 0;
}

void many_start(struct worker *worker, const json_t *request, const struct asker *asker)
{
	const json_t *starts = json_at(request, "starts");
	size_t count = json_array_size(starts);
	const char *prefix = json_str(request, "key", NULL);
	struct many *many = many_new(asker, json_object(), count);
	hold(worker);
	for (size_t i = 0; i < count; i++) {
		json_t *start = json_copy(json_array_get(starts, i));
		json_put_str(start, "by", json_str(request, "by", NULL));
		if (prefix && !json_at(start, "correlation_id"))
			json_put(start, "correlation_id", json_sprintf("%.190s/%zu", prefix, i));
		struct asker one = asker_of(many, i);
		worker_start_run(worker, start, &one);
		json_decref(start);
	}
	let_go(worker);
}

/* --- an action on all that a filter finds ---------------------------------------------------- */

static const char *const actions[] = { "cancel", "signal", "retry", "resume", "repin" };

static bool has_filter(const json_t *request)
{
	static const char *const filters[] = { "graph", "status", "where", "since_ms", "until_ms" };
	for (size_t i = 0; i < sizeof(filters) / sizeof(*filters); i++)
		if (json_at(request, filters[i]) &&
		    !(json_is_object(json_at(request, filters[i])) &&
		      json_object_size(json_at(request, filters[i])) == 0))
			return true;
	return false;
}

static int check_bulk(const json_t *request, struct err *err)
{
	const char *action = json_str(request, "action", "");
	bool is_known = false;
	for (size_t i = 0; i < sizeof(actions) / sizeof(*actions); i++)
		is_known = is_known || strcmp(action, actions[i]) == 0;
	if (!is_known) {
		err_set_id(err, ERR_INPUT, "bulk.action", "'%.40s' cannot be done to many", action);
		return err_hint(err, "cancel, signal, retry, resume, repin");
	}
	if (!has_filter(request)) {
		err_set_id(err, ERR_INPUT, "bulk.filter", "say which runs are meant");
		return err_hint(err, "graph, status, where, since or until");
	}
	return 0;
}

static void keep_reply(void *arg, const json_t *reply, bool is_last)
{
	(void)is_last;
	*(json_t **)arg = json_deep_copy(reply);
}

static json_t *action_on(const json_t *request, const json_t *run)
{
	static const char *const members[] = { "by", "reason", "event", "data", "id" };
	json_t *ret = json_pack("{s:o,s:O}", "op",
	                        json_sprintf("run.%s", json_str(request, "action", "")), "run",
	                        json_at(run, "id"));
	for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++)
		json_put(ret, members[i], json_incref(json_at(request, members[i])));
	return ret;
}

void many_act(struct engine *engine, const json_t *request, const struct asker *asker)
{
	struct err err = { 0 };
	json_t *found = NULL;
	if (check_bulk(request, &err) < 0) {
		reply_error(asker, &err);
		return;
	}
	json_t *list = json_copy((json_t *)(uintptr_t)request);
	json_put_str(list, "op", "run.list");
	engine_query(engine, list, &(struct asker){ keep_reply, &found });
	json_decref(list);
	const json_t *runs = json_at(found, "runs");
	size_t count = json_array_size(runs);
	if (json_at(found, "error")) {
		reply_last(asker, json_pack("{s:O}", "error", json_at(found, "error")));
	} else {
		bool is_dry = json_truth(request, "dry_run", false);
		json_t *reply = json_pack("{s:I,s:b}", "matched", (json_int_t)count, "dry_run",
		                          (int)is_dry);
		json_put(reply, "next", json_incref(json_at(found, "next")));
		struct many *many = many_new(asker, reply, count);
		for (size_t i = 0; i < count; i++)
			json_array_set(many->results, i, json_at(json_array_get(runs, i), "id"));
		if (is_dry || count == 0)
			many_end(many);
		for (size_t i = 0; i < count && !is_dry; i++) {
			json_t *one = action_on(request, json_array_get(runs, i));
			struct asker told = asker_of(many, i);
			engine_request(engine, one, told.cb, told.arg);
			json_decref(one);
		}
	}
	json_decref(found);
}
