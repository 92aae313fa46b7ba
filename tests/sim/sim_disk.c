/* SPDX-License-Identifier: MIT */
/*
 * The disk: the memory store, and between it and the engine what disks do.  A
 * batch is written late; it fails; the process dies before it, after it, or in
 * the middle of it, when some of its items are there and others not (more than
 * the contract of store.h allows to happen, which makes the engine's life
 * harder, not easier: none of them was acknowledged).
 *
 * It reads along: what is on record is what may leave.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/must.h"
#include "sim.h"

struct disk {
	struct store base; /* first */
	struct world *world;
	struct store *below;
};

static struct world *world_of(struct store *store)
{
	return ((struct disk *)(void *)store)->world;
}

static struct store *below(struct store *store)
{
	return ((struct disk *)(void *)store)->below;
}

bool boundary(struct world *world, const char *where)
{
	if (!world->is_dead && !world->is_healed && lucky(world, world->options.crash_inside)) {
		say(world, "dies at: %s", where);
		world->is_dead = true;
	}
	return world->is_dead;
}

/* --- reading along ---------------------------------------------------------------------------- */

static void note_request(struct world *world, const char *run, int64_t number, int64_t element,
                         json_t *request)
{
	char key[65];
	plugin_key(run, (uint64_t)number, (uint32_t)element,
	           (uint32_t)json_int(request, "ordinal", 0), key);
	if (json_at(world->durable, key))
		complain(world, "C2: a request is on record twice: run %s call %lld.%lld", run,
		         (long long)number, (long long)element);
	json_put(world->durable, key, json_incref(request));
}

static void note_record(struct world *world, const struct store_op *op)
{
	char no[24];
	snprintf(no, sizeof(no), "%lld", (long long)op->no);
	const char *run = json_str(world->run_ids, no, NULL);
	json_t *record = json_loadb(op->body.ptr, op->body.len, 0, NULL);
	must(run && record);
	const json_t *calls = json_at(record, "calls");
	for (size_t i = 0; i < json_array_size(calls); i++) {
		const json_t *call = json_array_get(calls, i);
		json_t *requests = json_at(call, "requests");
		for (size_t j = 0; j < json_array_size(requests); j++)
			note_request(world, run, json_int(call, "n", 0), json_int(call, "e", 0),
			             json_array_get(requests, j));
	}
	const char *kind = json_str(record, "kind", "");
	if (strcmp(kind, "request") == 0)
		note_request(world, run, json_int(record, "n", 0), json_int(record, "e", 0),
		             json_at(record, "request"));
	world->seen.records++;
	world->seen.unsure += strcmp(kind, "unsure") == 0;
	world->seen.blocked += strcmp(kind, "blocked") == 0;
	world->seen.late += strcmp(kind, "late") == 0;
	say(world, "record %s %lld %s %s", run, (long long)op->seq, kind,
	    json_str(json_at(record, "input"), "kind", ""));
	json_decref(record);
}

static void note_item(struct world *world, const struct store_item *item)
{
	for (size_t i = 0; i < item->count; i++) {
		const struct store_op *op = &item->ops[i];
		if (op->kind == STORE_OP_RUN_NEW) {
			char no[24];
			snprintf(no, sizeof(no), "%lld", (long long)op->run.no);
			json_put(world->run_ids, no, json_string(op->run.id));
		}
	}
	for (size_t i = 0; i < item->count; i++) {
		const struct store_op *op = &item->ops[i];
		if (op->kind == STORE_OP_RECORD)
			note_record(world, op);
	}
}

/* --- writing ---------------------------------------------------------------------------------- */

static int broken(struct err *err)
{
	return err_set(err, ERR_STORE, "the disk says no");
}

static int apply(struct store *store, struct store_item *items, size_t count, struct err *err)
{
	struct world *world = world_of(store);
	const struct sim_options *options = &world->options;
	bool has_faults = !world->is_healed;
	if (boundary(world, "before a commit"))
		return broken(err);
	if (has_faults && lucky(world, options->disk_error)) {
		say(world, "a commit fails");
		return broken(err);
	}
	bool is_torn = has_faults && lucky(world, options->disk_torn);
	for (size_t i = 0; i < count; i++) {
		if (is_torn && lucky(world, 500))
			continue;
		must(below(store)->ops->apply(below(store), &items[i], 1, err) == 0);
		if (items[i].result == 0)
			note_item(world, &items[i]);
	}
	world->seen.commits++;
	if (is_torn) {
		say(world, "dies in the middle of a commit");
		world->is_dead = true;
		return broken(err);
	}
	(void)boundary(world, "after a commit");
	return 0;
}

static void write_now(struct world *world, void *arg)
{
	(void)arg;
	world->is_writing = false;
	if (world->engine && !world->is_dead)
		engine_write(world->engine);
}

static void write_soon(void *ctx)
{
	struct world *world = ctx;
	if (world->is_writing || world->is_dead)
		return;
	world->is_writing = true;
	bool is_slow = !world->is_healed && lucky(world, world->options.disk_slow);
	int64_t delay_ms = is_slow ? between(world, 100, 30000) : between(world, 1, 4);
	(void)time_after(world, SIM_WRITER, delay_ms, write_now, NULL);
}

static void stop(void *ctx, const struct err *err)
{
	struct world *world = ctx;
	(void)err;
	world->is_dead = true;
}

static void put_file(void *ctx, const char *name, struct str text)
{
	struct world *world = ctx;
	if (boundary(world, "before a file"))
		return;
	json_put(world->files, name, json_stringn(text.ptr, text.len));
	(void)boundary(world, "after a file");
}

static struct loop *loop_of(void *ctx, int worker)
{
	struct world *world = ctx;
	return &world->time.loops[worker].base;
}

/* --- reading ---------------------------------------------------------------------------------- */

static bool fails(struct store *store)
{
	struct world *world = world_of(store);
	return world->is_dead || (!world->is_healed && lucky(world, world->options.read_error));
}

static void disk_close(struct store *store)
{
	(void)store;
	must_not_reach(); /* the ground's */
}

static int last_no(struct store *store, int64_t *ret, struct err *err)
{
	return fails(store) ? broken(err) : below(store)->ops->last_no(below(store), ret, err);
}

static int run_by_no(struct store *store, int64_t no, store_run_cb *cb, void *arg, struct err *err)
{
	return fails(store) ? broken(err)
	                    : below(store)->ops->run_by_no(below(store), no, cb, arg, err);
}

static int run_by_id(struct store *store, const char *id, store_run_cb *cb, void *arg,
                     struct err *err)
{
	return fails(store) ? broken(err)
	                    : below(store)->ops->run_by_id(below(store), id, cb, arg, err);
}

static int run_by_key(struct store *store, const char *graph, const char *correlation_id,
                      store_run_cb *cb, void *arg, struct err *err)
{
	return fails(store) ? broken(err)
	                    : below(store)->ops->run_by_key(below(store), graph, correlation_id, cb,
	                                                    arg, err);
}

static int runs(struct store *store, const struct store_filter *filter, store_run_cb *cb, void *arg,
                struct err *err)
{
	return fails(store) ? broken(err)
	                    : below(store)->ops->runs(below(store), filter, cb, arg, err);
}

static int due(struct store *store, int64_t until_ms, int limit, store_run_cb *cb, void *arg,
               struct err *err)
{
	return fails(store) ? broken(err)
	                    : below(store)->ops->due(below(store), until_ms, limit, cb, arg, err);
}

static int owing(struct store *store, store_run_cb *cb, void *arg, struct err *err)
{
	return fails(store) ? broken(err) : below(store)->ops->owing(below(store), cb, arg, err);
}

static int next_wake(struct store *store, int64_t *ret, struct err *err)
{
	return fails(store) ? broken(err) : below(store)->ops->next_wake(below(store), ret, err);
}

static int records(struct store *store, int64_t no, int64_t from_seq, store_record_cb *cb,
                   void *arg, struct err *err)
{
	return fails(store) ? broken(err)
	                    : below(store)->ops->records(below(store), no, from_seq, cb, arg, err);
}

static int snapshot(struct store *store, int64_t no, store_bytes_cb *cb, void *arg, struct err *err)
{
	return fails(store) ? broken(err)
	                    : below(store)->ops->snapshot(below(store), no, cb, arg, err);
}

static int tasks(struct store *store, const struct store_task_filter *filter, store_task_cb *cb,
                 void *arg, struct err *err)
{
	return fails(store) ? broken(err)
	                    : below(store)->ops->tasks(below(store), filter, cb, arg, err);
}

static int task(struct store *store, const char *id, store_task_cb *cb, void *arg, struct err *err)
{
	return fails(store) ? broken(err) : below(store)->ops->task(below(store), id, cb, arg, err);
}

static int blob(struct store *store, const unsigned char sha256[32], store_bytes_cb *cb, void *arg,
                struct err *err)
{
	return fails(store) ? broken(err)
	                    : below(store)->ops->blob(below(store), sha256, cb, arg, err);
}

static int meta(struct store *store, const char *name, store_bytes_cb *cb, void *arg,
                struct err *err)
{
	return fails(store) ? broken(err)
	                    : below(store)->ops->meta(below(store), name, cb, arg, err);
}

static int run_counts(struct store *store, store_count_cb *cb, void *arg, struct err *err)
{
	return fails(store) ? broken(err)
	                    : below(store)->ops->run_counts(below(store), cb, arg, err);
}

static int task_counts(struct store *store, int64_t now_ms, store_count_cb *cb, void *arg,
                       struct err *err)
{
	return fails(store) ? broken(err)
	                    : below(store)->ops->task_counts(below(store), now_ms, cb, arg, err);
}

static int feed(struct store *store, int64_t after, int limit, store_feed_cb *cb, void *arg,
                struct err *err)
{
	return fails(store) ? broken(err)
	                    : below(store)->ops->feed(below(store), after, limit, cb, arg, err);
}

/* Whoever gives stores another operation gives the disk one too. */
_Static_assert(sizeof(struct store_ops) == 20 * sizeof(void (*)(void)), "an operation is missing");

void disk_init(struct world *world)
{
	static const struct store_ops ops = {
		.close = disk_close,
		.apply = apply,
		.last_no = last_no,
		.run_by_no = run_by_no,
		.run_by_id = run_by_id,
		.run_by_key = run_by_key,
		.runs = runs,
		.due = due,
		.owing = owing,
		.next_wake = next_wake,
		.records = records,
		.snapshot = snapshot,
		.tasks = tasks,
		.task = task,
		.blob = blob,
		.meta = meta,
		.run_counts = run_counts,
		.task_counts = task_counts,
		.feed = feed,
		.backup = NULL, /* such a store cannot be copied */
	};
	struct disk *disk = mem_alloc(sizeof(*disk));
	disk->base.ops = &ops;
	disk->world = world;
	disk->below = store_memory_new();
	world->disk = disk->below;
	world->store = &disk->base;
	world->durable = json_object();
	world->run_ids = json_object();
	world->files = json_object();
	world->ground = (struct engine_ground){
		.ctx = world,
		.store = world->store,
		.rand = rand_seeded(&world->time.own_rand),
		.far = &world->far,
		.loop = loop_of,
		.write_soon = write_soon,
		.stop = stop,
		.put_file = put_file,
	};
}

void disk_release(struct world *world)
{
	world->disk->ops->close(world->disk);
	free(world->store);
	json_decref(world->durable);
	json_decref(world->run_ids);
	json_decref(world->files);
}
