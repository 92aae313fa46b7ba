/* SPDX-License-Identifier: MIT */
/*
 * The engine as a whole: opening the store and the connections, starting the
 * writer and the worker loops, recovering what was open, and routing requests
 * to the worker that owns the run they are about.
 */
#include "run/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run/run_int.h"
#include "run/run_schedule.h"
#include "run/run_socket.h"

enum {
	WORKERS_MAX = 64,
	WAKE_AGAIN_MS = 1000,
	LOAD_AGAIN_MS = 30000,
	WAKE_MAX_MS = 3600 * 1000,
	DUE_BATCH = 256
};

int64_t engine_now(const struct engine *engine)
{
	return clock_wall_ms(&engine->options.clock);
}

bool engine_logs(const struct engine *engine, const char *level)
{
	const struct engine_options *options = &engine->options;
	return options->log && (!options->logs || options->logs(options->log_ctx, level));
}

void engine_log(struct engine *engine, const char *level, const char *event, json_t *fields_taken)
{
	json_t *line = fields_taken ? fields_taken : json_object();
	json_put_str(line, "level", level);
	json_put_str(line, "event", event);
	if (engine->options.log)
		engine->options.log(engine->options.log_ctx, line);
	json_decref(line);
}

void *engine_ruleset(struct engine *engine, const struct release *release, const char *set)
{
	const json_t *entry = json_at(release->rules, set);
	const char *hash = json_str(entry, "sha256", "");
	pthread_mutex_lock(&engine->lock);
	void *ruleset = map_get(&engine->rulesets, hash);
	if (!ruleset) {
		ruleset = engine->options.scripting->ruleset_new(set, hash,
		                                                 json_at(entry, "files"));
		map_set(&engine->rulesets, hash, ruleset);
	}
	pthread_mutex_unlock(&engine->lock);
	return ruleset;
}

struct worker *engine_worker(struct engine *engine, int64_t run_no)
{
	return &engine->workers[run_no % engine->worker_count];
}

void worker_post_all(struct worker *worker, struct message_list *list)
{
	if (message_queue_push_all(&worker->inbox, list) && worker->wake)
		worker->loop->ops->wake_send(worker->wake);
}

void worker_post(struct worker *worker, struct message *message)
{
	struct message_list one = { 0 };
	message_list_add(&one, message);
	worker_post_all(worker, &one);
}

/* Has the run taken up again.  It is counted as resident until it counts for itself: nobody may
 * think that there is nothing to do. */
static void recover_run(struct engine *engine, int64_t no)
{
	struct message *message = mem_alloc(sizeof(*message));
	message->kind = MESSAGE_REQUEST;
	message->run_no = no;
	message->request = json_pack("{s:s}", "op", "internal.recover");
	engine_count(engine, 1);
	worker_post(engine_worker(engine, no), message);
}

/* --- a worker --------------------------------------------------------------------- */

/* Its plugin's side ends now: an answer must not meet a run that is gone. */
void worker_bury(struct worker *worker, struct call *call)
{
	plugin_call_free(call->plugin);
	call->plugin = NULL;
	call->next_dead = worker->dead_calls;
	worker->dead_calls = call;
}

/* Calls that ended inside one of their own callbacks are freed out here. */
static void free_dead_calls(struct worker *worker)
{
	while (worker->dead_calls) {
		struct call *call = worker->dead_calls;
		worker->dead_calls = call->next_dead;
		call_free(call);
	}
}

static void wake_due(void *arg);

static void arm_due_timer(struct worker *worker, int64_t at_ms)
{
	int64_t delay = at_ms - engine_now(worker->engine);
	if (worker->due_timer)
		worker->loop->ops->timer_stop(worker->loop, worker->due_timer);
	delay = delay < 0 ? 0 : delay > WAKE_MAX_MS ? WAKE_MAX_MS : delay;
	worker->due_at_ms = at_ms;
	worker->due_timer = worker->loop->ops->timer_start(worker->loop, delay, wake_due, worker);
}

/* When the store's next sleeper wants to wake, but not before earliest_ms. */
static int64_t next_wake(struct worker *worker, int64_t earliest_ms)
{
	struct engine *engine = worker->engine;
	int64_t wake;
	struct err err = { 0 };
	if (engine->store->ops->next_wake(engine->store, &wake, &err) < 0)
		wake = engine_now(engine) + WAKE_AGAIN_MS;
	else if (wake == INT64_MAX)
		wake = engine_now(engine) + WAKE_MAX_MS;
	return wake < earliest_ms ? earliest_ms : wake;
}

struct due_runs {
	struct worker *worker;
	VEC(int64_t) nos;
};

static void keep_due(void *arg, const struct store_run *row)
{
	struct due_runs *due = arg;
	if (engine_worker(due->worker->engine, row->no) == due->worker &&
	    !run_resident(due->worker, row->no))
		*vec_add(&due->nos) = row->no;
}

/* Loads what is due by now; the run's own timer takes it from there. */
static void wake_due(void *arg)
{
	struct worker *worker = arg;
	struct engine *engine = worker->engine;
	struct due_runs due = { .worker = worker };
	struct err err = { 0 };
	worker->due_timer = NULL;
	(void)engine->store->ops->due(engine->store, engine_now(engine), DUE_BATCH, keep_due, &due,
	                              &err);
	for (size_t i = 0; i < due.nos.len; i++) {
		struct run *run;
		struct err load_err = { 0 };
		if (run_load(worker, due.nos.at[i], &run, &load_err) < 0) {
			engine_log(engine, "error", "run.load_failed",
			           json_pack("{s:I,s:s}", "no", (json_int_t)due.nos.at[i], "text",
			                     load_err.text));
			continue;
		}
		run_turn(run);
		run_settle(run);
	}
	vec_release(&due.nos);
	/* Those of other workers are still in the list: a pause,
	 * so that we do not spin over them. */
	arm_due_timer(worker, next_wake(worker, engine_now(engine) + WAKE_AGAIN_MS));
}

static void load_unloaded(void *arg)
{
	struct worker *worker = arg;
	worker->unloaded_timer = NULL;
	for (size_t i = 0; i < worker->unloaded.len; i++)
		recover_run(worker->engine, worker->unloaded.at[i]);
	worker->unloaded.len = 0;
}

void worker_load_again(struct worker *worker, int64_t no)
{
	*vec_add(&worker->unloaded) = no;
	if (!worker->unloaded_timer)
		worker->unloaded_timer = worker->loop->ops->timer_start(worker->loop, LOAD_AGAIN_MS,
		                                                        load_unloaded, worker);
}

void worker_mind(struct worker *worker, int64_t wake_ms)
{
	if (wake_ms >= 0 && (!worker->due_timer || wake_ms < worker->due_at_ms))
		arm_due_timer(worker, wake_ms);
}

static void arm_head_timer(struct worker *worker);

static void want_head(void *arg)
{
	struct worker *worker = arg;
	writer_want_head(worker->engine);
	arm_head_timer(worker);
}

static void arm_head_timer(struct worker *worker)
{
	worker->head_timer = worker->loop->ops->timer_start(worker->loop, LIMIT_HEAD_MS / 2,
	                                                    want_head, worker);
}

static void on_wake(void *arg)
{
	struct worker *worker = arg;
	struct message *message = message_queue_take_all(&worker->inbox, false);
	free_dead_calls(worker);
	while (message) {
		struct message *next = message->next;
		switch (message->kind) {
		case MESSAGE_COMMITTED: /* the message is part of the commit */
			if (message->commit->done)
				message->commit->done(message->commit);
			else
				run_committed(message->commit);
			break;
		case MESSAGE_REQUEST:
			worker_request(worker, message);
			json_decref(message->request);
			free(message);
			break;
		case MESSAGE_WAKE:
			arm_due_timer(worker, next_wake(worker, 0));
			if (worker->index == 0)
				schedules_arm(worker);
			if (worker->index == 0 && worker->engine->heads && !worker->head_timer)
				arm_head_timer(worker);
			free(message);
			break;
		case MESSAGE_STOP:
			worker->is_stopping = true;
			free(message);
			break;
		case MESSAGE_HEAD: must_not_reach(); /* the writer's */
		}
		message = next;
	}
	if (worker->is_stopping && worker->commits_open == 0 && !worker->engine->ground)
		run_loop_stop(worker->loop);
}

static void *worker_main(void *arg)
{
	struct worker *worker = arg;
	run_loop_run(worker->loop);
	return NULL;
}

static void hand_over(void *arg)
{
	writer_hand_over(arg);
}

static void on_attempt(void *ctx, const json_t *span)
{
	figures_attempt(ctx, span);
}

static void worker_init(struct worker *worker, struct engine *engine, int index)
{
	worker->engine = engine;
	worker->index = index;
	const struct engine_ground *ground = engine->ground;
	worker->loop = ground ? ground->loop(ground->ctx, index)
	                      : run_loop_new(engine->options.clock);
	message_queue_init(&worker->inbox);
	map_init(&worker->runs);
	worker->wake = worker->loop->ops->wake_new(worker->loop, on_wake, worker);
	if (!ground)
		run_loop_before_wait(worker->loop, hand_over, worker);
	struct wire_options options = { .loop = worker->loop,
		                        .far = ground ? ground->far : NULL,
		                        .trace = on_attempt,
		                        .trace_ctx = engine };
	worker->wire = wire_new(&options);
	worker->script = engine->options.scripting->open(
		&engine->options.clock,
		engine->options.script_ms ? engine->options.script_ms : LIMIT_LUA_MS);
}

static void drop_messages(struct message *message)
{
	while (message) {
		struct message *next = message->next;
		if (message->kind == MESSAGE_COMMITTED) {
			commit_drop(message->commit); /* of a process that died */
		} else {
			reply_stopping(&message->asker);
			json_decref(message->request);
			free(message);
		}
		message = next;
	}
}

static void worker_release(struct worker *worker)
{
	struct map_entry *entry;
	worker->is_stopping = true;
	for (size_t i = 0; (entry = map_each(&worker->runs, &i));)
		run_free(entry->value);
	map_release(&worker->runs);
	free_dead_calls(worker);
	wire_free(worker->wire);
	worker->engine->options.scripting->close(worker->script);
	if (worker->index == 0 && worker->engine->schedules->timer)
		worker->loop->ops->timer_stop(worker->loop, worker->engine->schedules->timer);
	if (worker->due_timer)
		worker->loop->ops->timer_stop(worker->loop, worker->due_timer);
	if (worker->unloaded_timer)
		worker->loop->ops->timer_stop(worker->loop, worker->unloaded_timer);
	if (worker->head_timer)
		worker->loop->ops->timer_stop(worker->loop, worker->head_timer);
	vec_release(&worker->unloaded);
	worker->loop->ops->wake_free(worker->wake);
	worker->wake = NULL;
	if (!worker->engine->ground)
		run_loop_free(worker->loop);
	/* Who is told that nothing will come may send a last message. */
	struct message *message;
	while ((message = message_queue_take_all(&worker->inbox, false)))
		drop_messages(message);
	message_queue_release(&worker->inbox);
}

/* --- opening ----------------------------------------------------------------------------- */

static json_t *plugin_pins(const struct plugins *plugins)
{
	const char *names[256];
	json_t *ret = json_object();
	size_t count = plugins ? plugins_names(plugins, names, 256) : 0;
	for (size_t i = 0; i < count; i++) {
		const struct plugin *plugin = plugins_find(plugins, names[i]);
		if (plugin)
			json_put(ret, names[i],
			         json_pack("{s:s,s:s}", "version", plugin_version(plugin), "sha256",
			                   plugin_sha256(plugin)));
	}
	return ret;
}

struct open_runs {
	struct engine *engine;
	VEC(int64_t) nos;
};

static void keep_open(void *arg, const struct store_run *row)
{
	struct open_runs *open = arg;
	*vec_add(&open->nos) = row->no;
}

/* Every run that was under way, or owes files, is taken up again on its own worker. */
static int recover(struct engine *engine, struct err *err)
{
	struct open_runs open = { .engine = engine };
	struct store_filter filter = { .status = STORE_RUNNING };
	int status = engine->store->ops->runs(engine->store, &filter, keep_open, &open, err);
	if (status == 0)
		status = engine->store->ops->owing(engine->store, keep_open, &open, err);
	for (size_t i = open.nos.len; status == 0 && i-- > 0;)
		recover_run(engine, open.nos.at[i]);
	if (status == 0 && open.nos.len > 0)
		engine_log(engine, "info", "engine.recovered",
		           json_pack("{s:i}", "runs", (int)open.nos.len));
	vec_release(&open.nos);
	return status;
}

static int open_store(struct engine *engine, struct err *err)
{
	const char *path = engine->options.store_path;
	if (engine->ground)
		engine->store = engine->ground->store;
	else if (strcmp(path, "memory:") == 0)
		engine->store = store_memory_new();
	else if (store_sqlite_open(path, &engine->store, err) < 0)
		return err->code;
	int64_t last = 0;
	if (engine->store->ops->last_no(engine->store, &last, err) < 0)
		return err->code;
	atomic_store(&engine->next_no, last / engine->worker_count + 1);
	return 0;
}

static int worker_count(const struct engine_options *options)
{
	long cores = options->workers > 0 ? options->workers : sysconf(_SC_NPROCESSORS_ONLN);
	return cores < 1 ? 1 : cores > WORKERS_MAX ? WORKERS_MAX : (int)cores;
}

int engine_open(const struct engine_options *options, struct engine **ret, struct err *err)
{
	struct engine *engine = mem_alloc(sizeof(*engine));
	engine->options = *options;
	engine->ground = options->ground;
	engine->rand = engine->ground ? engine->ground->rand : rand_system();
	engine->worker_count = worker_count(options);
	pthread_mutex_init(&engine->lock, NULL);
	pthread_mutex_init(&engine->looking, NULL);
	pthread_cond_init(&engine->rested, NULL);
	map_init(&engine->connections);
	map_init(&engine->rulesets);
	map_init(&engine->known_blobs);
	json_t *pins = plugin_pins(options->plugins);
	struct release_folders folders = { options->graphs, options->rules, options->prompts,
		                           options->version, pins };
	engine->releases = releases_new(&folders);
	json_decref(pins);
	look_begin(engine);
	figures_open(engine);
	if ((!options->is_looking && connections_open(engine, err) < 0) ||
	    open_store(engine, err) < 0 || figures_store(engine, err) < 0 ||
	    tokens_open(engine, err) < 0 || heads_open(engine, err) < 0 ||
	    schedules_open(engine, err) < 0 || access_open(engine, err) < 0) {
		engine_close(engine);
		return err->code;
	}
	if (!options->is_looking)
		crumb_open(engine);
	engine->workers = mem_alloc((size_t)engine->worker_count * sizeof(*engine->workers));
	for (int i = 0; i < engine->worker_count; i++)
		worker_init(&engine->workers[i], engine, i);
	writer_init(&engine->writer, engine);
	must(engine->ground || writer_start(&engine->writer) == 0);
	if (!engine->ground && options->artifacts)
		filer_start(&engine->filer, engine);
	engine->is_running = true;
	for (int i = 0; !options->is_looking && i < engine->worker_count; i++) {
		struct message *message = mem_alloc(sizeof(*message));
		message->kind = MESSAGE_WAKE;
		worker_post(&engine->workers[i], message);
	}
	int status = options->is_looking ? 0 : recover(engine, err);
	for (int i = 0; i < engine->worker_count && !engine->ground; i++)
		must(pthread_create(&engine->workers[i].thread, NULL, worker_main,
		                    &engine->workers[i]) == 0);
	if (status < 0) {
		engine_close(engine);
		return status;
	}
	*ret = engine;
	return 0;
}

static void stop_threads(struct engine *engine)
{
	for (int i = 0; i < engine->worker_count; i++) {
		struct message *message = mem_alloc(sizeof(*message));
		message->kind = MESSAGE_STOP;
		worker_post(&engine->workers[i], message);
	}
	for (int i = 0; i < engine->worker_count; i++)
		pthread_join(engine->workers[i].thread, NULL);
	if (engine->filer.is_running)
		filer_stop(&engine->filer);
	writer_stop(&engine->writer);
}

/* The same without threads: what is being committed is finished here. */
static void stop_in_place(struct engine *engine)
{
	for (bool is_busy = true; is_busy && !engine->is_broken;) {
		engine_write(engine);
		is_busy = false;
		for (int i = 0; i < engine->worker_count; i++) {
			engine->workers[i].is_stopping = true;
			on_wake(&engine->workers[i]);
			is_busy = is_busy || engine->workers[i].commits_open > 0;
		}
	}
	heads_stop(engine);
}

void engine_close(struct engine *engine)
{
	if (!engine)
		return;
	engine_listen_stop(engine);
	if (engine->is_running && engine->ground)
		stop_in_place(engine);
	else if (engine->is_running)
		stop_threads(engine);
	engine_abandon(engine);
}

void engine_abandon(struct engine *engine)
{
	struct map_entry *entry;
	for (int i = 0; engine->is_running && i < engine->worker_count; i++) {
		engine->workers[i].is_stopping = true;
		drop_messages(message_queue_take_all(&engine->workers[i].inbox, false));
	}
	if (engine->is_running)
		writer_release(&engine->writer);
	for (int i = 0; engine->is_running && i < engine->worker_count; i++)
		worker_release(&engine->workers[i]);
	crumb_close(engine);
	free(engine->workers);
	connections_close(engine);
	for (size_t i = 0; (entry = map_each(&engine->rulesets, &i));)
		engine->options.scripting->ruleset_unref(entry->value);
	map_release(&engine->rulesets);
	map_release(&engine->known_blobs);
	figures_close(engine);
	tokens_close(engine);
	heads_close(engine);
	schedules_close(engine);
	access_close(engine);
	releases_free(engine->releases);
	if (engine->store && !engine->ground)
		engine->store->ops->close(engine->store);
	pthread_mutex_destroy(&engine->lock);
	pthread_mutex_destroy(&engine->looking);
	pthread_cond_destroy(&engine->rested);
	free(engine);
}

void engine_count(struct engine *engine, int change)
{
	if (atomic_fetch_add(&engine->resident, change) + change > 0)
		return;
	pthread_mutex_lock(&engine->lock);
	pthread_cond_broadcast(&engine->rested);
	pthread_mutex_unlock(&engine->lock);
}

void engine_wait_rest(struct engine *engine)
{
	pthread_mutex_lock(&engine->lock);
	while (atomic_load(&engine->resident) > 0)
		pthread_cond_wait(&engine->rested, &engine->lock);
	pthread_mutex_unlock(&engine->lock);
}

/* --- requests --------------------------------------------------------------------------------- */

static void keep_no(void *arg, const struct store_run *row)
{
	*(int64_t *)arg = row->no;
}

/* A run's id, a task's id "<run>.<n>...", or a run's number. */
static int find_run(struct engine *engine, const json_t *request, int64_t *ret, struct err *err)
{
	const char *name = json_str(request, "run", json_str(request, "task", ""));
	char *id = mem_dup(name, strcspn(name, "."));
	int status = engine->store->ops->run_by_id(engine->store, id, keep_no, ret, err);
	if (status == ERR_ABSENT) {
		err_clear(err);
		err_set_id(err, ERR_ABSENT, "run.absent", "there is no run '%.60s'", id);
		status = err_hint(err, "gangway run list shows the runs");
	}
	free(id);
	return status;
}

static uint32_t spread(const char *text)
{
	uint32_t hash = 2166136261u;
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 16777619u;
	return hash;
}

static bool is_about_run(const char *op)
{
	static const char *const ops[] = { "run.wait",    "run.show",     "run.cancel",
		                           "run.signal",  "run.repin",    "run.replay",
		                           "task.answer", "audit.verify", "run.picture",
		                           "run.resume",  "run.retry",    "run.fork",
		                           "run.explain", "task.assign",  "session.post" };
	for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++)
		if (strcmp(op, ops[i]) == 0)
			return true;
	return false;
}

/*
 * A start from outside is let in while there is room: what is in memory, and what
 * waits to be decided, is bounded.  Nothing of one that is refused is kept.
 */
static int check_room(struct engine *engine, struct err *err)
{
	int64_t max = engine->options.resident_max ? engine->options.resident_max
	                                           : LIMIT_RESIDENT_RUNS;
	if (atomic_load(&engine->resident) < max)
		return 0;
	err_set_id(err, ERR_LIMIT, "engine.full",
	           "%lld runs are under way, which is all that there is room for", (long long)max);
	return err_hint(err, "try again a little later");
}

void engine_request(struct engine *engine, const json_t *request, engine_reply_cb *cb, void *arg)
{
	const char *op = json_str(request, "op", "");
	struct asker asker = { cb, arg };
	struct err err = { 0 };
	int64_t no = 0;
	struct worker *worker = NULL;
	bool is_start = strcmp(op, "run.start") == 0 || strcmp(op, "run.batch") == 0;
	if (is_start && check_room(engine, &err) < 0) {
		reply_error(&asker, &err);
		return;
	}
	if (strcmp(op, "run.start") == 0) {
		/* The same name always meets the same worker,
		 * so a double start is settled there. */
		uint32_t hash = spread(json_str(request, "graph", "")) ^
		                spread(json_str(request, "correlation_id", ""));
		if (!json_at(request, "correlation_id"))
			hash = (uint32_t)atomic_fetch_add(&engine->round_robin, 1);
		worker = &engine->workers[hash % (uint32_t)engine->worker_count];
	} else if (strcmp(op, "run.batch") == 0) {
		if (many_check_batch(request, &err) < 0) {
			reply_error(&asker, &err);
			return;
		}
		worker = &engine->workers[atomic_fetch_add(&engine->round_robin, 1) %
		                          (unsigned int)engine->worker_count];
	} else if (strcmp(op, "wire.ask") == 0) {
		worker = &engine->workers[0];
	} else if (strcmp(op, "run.bulk") == 0) {
		many_act(engine, request, &asker);
		return;
	} else if (token_is_op(op) || schedule_is_op(op) || access_is_op(op)) {
		worker = &engine->workers[0];
	} else if (is_about_run(op)) {
		if (find_run(engine, request, &no, &err) < 0) {
			reply_error(&asker, &err);
			return;
		}
		worker = engine_worker(engine, no);
	}
	if (!worker) {
		engine_query(engine, request, &asker);
		return;
	}
	struct message *message = mem_alloc(sizeof(*message));
	message->kind = MESSAGE_REQUEST;
	message->request = json_deep_copy(request);
	message->asker = asker;
	message->run_no = no;
	worker_post(worker, message);
}

void engine_leave(struct engine *engine, const char *run_id, engine_reply_cb *cb, void *arg)
{
	struct err err = { 0 };
	int64_t no;
	json_t *request = json_pack("{s:s,s:s}", "op", "run.leave", "run", run_id);
	if (find_run(engine, request, &no, &err) < 0) {
		json_decref(request); /* nobody can be waiting for it */
		return;
	}
	struct message *message = mem_alloc(sizeof(*message));
	message->kind = MESSAGE_REQUEST;
	message->request = request;
	message->asker = (struct asker){ cb, arg };
	message->run_no = no;
	worker_post(engine_worker(engine, no), message);
}

void engine_on_record(struct engine *engine, engine_record_cb *cb, void *arg)
{
	engine->on_record_arg = arg;
	atomic_store(&engine->on_record, cb);
}
