/* SPDX-License-Identifier: MIT */
/*
 * The hand-over queues between threads, and the writer: it takes what all
 * workers have ready, commits it as one transaction, and hands each item back.
 * The batch grows with the load by itself: while one commit syncs, the next
 * items gather.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "run/run_int.h"

enum { BATCH_ITEMS_MAX = 1024 };

void message_queue_init(struct message_queue *queue)
{
	pthread_mutex_init(&queue->lock, NULL);
	pthread_cond_init(&queue->filled, NULL);
	queue->first = NULL;
	queue->last = &queue->first;
	queue->len = 0;
}

void message_queue_release(struct message_queue *queue)
{
	pthread_mutex_destroy(&queue->lock);
	pthread_cond_destroy(&queue->filled);
}

void message_list_add(struct message_list *list, struct message *message)
{
	message->next = NULL;
	*(list->last ? list->last : &list->first) = message;
	list->last = &message->next;
	list->len++;
}

bool message_queue_push_all(struct message_queue *queue, struct message_list *list)
{
	must(list->first);
	pthread_mutex_lock(&queue->lock);
	bool was_empty = queue->first == NULL;
	*queue->last = list->first;
	queue->last = list->last;
	queue->len += list->len;
	pthread_mutex_unlock(&queue->lock);
	if (was_empty)
		pthread_cond_signal(&queue->filled);
	*list = (struct message_list){ 0 };
	return was_empty;
}

bool message_queue_push(struct message_queue *queue, struct message *message)
{
	struct message_list one = { 0 };
	message_list_add(&one, message);
	return message_queue_push_all(queue, &one);
}

struct message *message_queue_take_all(struct message_queue *queue, bool wait)
{
	pthread_mutex_lock(&queue->lock);
	while (wait && !queue->first)
		pthread_cond_wait(&queue->filled, &queue->lock);
	struct message *ret = queue->first;
	queue->first = NULL;
	queue->last = &queue->first;
	queue->len = 0;
	pthread_mutex_unlock(&queue->lock);
	return ret;
}

/*
 * A commit that failed leaves nothing to trust in memory: what was decided is
 * not on record and must not be acted on.  Stop; the store keeps the truth and
 * recovery goes on from it (RELIABILITY P17).
 */
void writer_stop_process(struct engine *engine, const struct err *err)
{
	engine->is_broken = true; /* on a ground that lets us come back */
	if (engine->ground) {
		engine->ground->stop(engine->ground->ctx, err);
		return;
	}
	fprintf(stderr, "gangway: the store failed, stopping: %s%s%s\n", err->text,
	        err->hint[0] ? "; " : "", err->hint);
	fflush(stderr);
	_exit(74);
}

/* Nobody commits them any more; they are freed with the writer. */
static void put_back(struct writer *writer, struct message *first)
{
	while (first) {
		struct message *next = first->next;
		message_queue_push(&writer->queue, first);
		first = next;
	}
}

static void commit_batch(struct writer *writer, struct message *first)
{
	struct store_item items[BATCH_ITEMS_MAX];
	while (first) {
		size_t count = 0;
		struct message *end = first;
		for (; end && count < BATCH_ITEMS_MAX &&
		       (count == 0 || count + end->chain <= BATCH_ITEMS_MAX);
		     end = end->next)
			items[count++] = end->commit->item;
		struct err err = { 0 };
		struct engine *engine = writer->engine;
		int64_t began_ns = clock_monotonic_ns(&engine->options.clock);
		if (engine->store->ops->apply(engine->store, items, count, &err) < 0) {
			writer_stop_process(engine, &err);
			put_back(writer, first);
			return;
		}
		figures_commit(engine, count,
		               clock_monotonic_ns(&engine->options.clock) - began_ns);
		heads_note(engine, items, count);
		for (size_t i = 0; i < count; i++) {
			struct message *next = first->next;
			first->commit->item = items[i];
			first->kind = MESSAGE_COMMITTED;
			message_list_add(&first->commit->worker->done, first);
			first = next;
		}
		for (int i = 0; i < engine->worker_count; i++)
			if (engine->workers[i].done.first)
				worker_post_all(&engine->workers[i], &engine->workers[i].done);
		if (heads_is_full(engine))
			heads_make(engine);
	}
}

/* One turn: false when it was told to stop. */
static bool write_turn(struct writer *writer, struct message *first)
{
	struct message **at = &first;
	bool is_stopping = false, wants_head = false;
	while (*at) {
		if ((*at)->kind == MESSAGE_STOP || (*at)->kind == MESSAGE_HEAD) {
			struct message *other = *at;
			*at = other->next;
			is_stopping = is_stopping || other->kind == MESSAGE_STOP;
			wants_head = true;
			free(other);
		} else {
			at = &(*at)->next;
		}
	}
	commit_batch(writer, first);
	if (is_stopping)
		heads_stop(writer->engine);
	else if (wants_head)
		heads_make(writer->engine);
	return !is_stopping;
}

static void *writer_main(void *arg)
{
	struct writer *writer = arg;
	while (write_turn(writer, message_queue_take_all(&writer->queue, true)))
		continue;
	return NULL;
}

void engine_write(struct engine *engine)
{
	(void)write_turn(&engine->writer, message_queue_take_all(&engine->writer.queue, false));
}

void writer_post(struct engine *engine, struct message *message)
{
	if (!engine->ground)
		message_list_add(&message->commit->worker->outbox, message);
	else if (message_queue_push(&engine->writer.queue, message))
		engine->ground->write_soon(engine->ground->ctx);
}

void writer_hand_over(struct worker *worker)
{
	if (worker->outbox.first)
		(void)message_queue_push_all(&worker->engine->writer.queue, &worker->outbox);
}

void writer_post_chain(struct engine *engine, struct message *first, struct message **last,
                       size_t count)
{
	struct message_queue *queue = &engine->writer.queue;
	writer_hand_over(first->commit->worker); /* what came before stays before */
	first->chain = count;
	*last = NULL;
	pthread_mutex_lock(&queue->lock);
	bool was_empty = queue->first == NULL;
	*queue->last = first;
	queue->last = last;
	queue->len += count;
	pthread_cond_signal(&queue->filled);
	pthread_mutex_unlock(&queue->lock);
	if (was_empty && engine->ground)
		engine->ground->write_soon(engine->ground->ctx);
}

void writer_want_head(struct engine *engine)
{
	struct message *message = mem_alloc(sizeof(*message));
	message->kind = MESSAGE_HEAD;
	if (message_queue_push(&engine->writer.queue, message) && engine->ground)
		engine->ground->write_soon(engine->ground->ctx);
}

void writer_init(struct writer *writer, struct engine *engine)
{
	writer->engine = engine;
	message_queue_init(&writer->queue);
}

int writer_start(struct writer *writer)
{
	return pthread_create(&writer->thread, NULL, writer_main, writer);
}

void writer_stop(struct writer *writer)
{
	struct message *stop = mem_alloc(sizeof(*stop));
	stop->kind = MESSAGE_STOP;
	message_queue_push(&writer->queue, stop);
	pthread_join(writer->thread, NULL);
}

void writer_release(struct writer *writer)
{
	struct message *message = message_queue_take_all(&writer->queue, false);
	while (message) {
		struct message *next = message->next;
		if (message->kind == MESSAGE_HEAD)
			free(message);
		else
			commit_drop(message->commit);
		message = next;
	}
	message_queue_release(&writer->queue);
}
