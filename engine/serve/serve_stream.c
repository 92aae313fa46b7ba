/* SPDX-License-Identifier: MIT */
/*
 * Server-Sent Events from the durable journal.  The engine only says that a run
 * has a new record; what is sent is read from the journal, beginning behind the
 * last number that was sent or that Last-Event-ID names.  So there is no gap and
 * no repetition, whatever was missed in between.
 *
 * A stream asks for at most one piece of the journal at a time.  With nothing to
 * send its connection is suspended; a record, a heartbeat or the end wakes it.
 */
#include <stdio.h>

#include "serve/serve_int.h"

enum { STREAM_BYTES_MAX = 32 * 1024 * 1024, FEED_PAGE = 500 };

struct stream {
	struct stream *prev, *next;
	struct serve *serve;
	struct exchange *exchange; /* NULL once its connection is gone */
	char run_id[64]; /* empty: of all runs, and numbers are places in the store's feed */
	atomic_int refs;
	pthread_mutex_t lock; /* what follows */
	struct buf out;       /* not sent yet */
	int64_t last_seq;     /* the last that is in out, or was sent */
	int64_t beat_ms;
	bool is_asking, is_dirty; /* dirty: look again when the answer is there */
	bool is_suspended, is_over, is_gone;
};

static void stream_unref(struct stream *stream)
{
	if (atomic_fetch_sub(&stream->refs, 1) != 1)
		return;
	buf_release(&stream->out);
	pthread_mutex_destroy(&stream->lock);
	free(stream);
}

/* With the lock held. */
static void wake(struct stream *stream)
{
	if (!stream->is_suspended || stream->is_gone)
		return;
	stream->is_suspended = false;
	http_resume(stream->exchange->mhd);
}

/* --- reading the journal --------------------------------------------------------------------- */

/* One record as one event; what a run knows stays in the journal. */
static void put_event(struct stream *stream, const json_t *record)
{
	static const char *const shown[] = { "seq", "at", "kind", "states", "reason", "by" };
	json_t *line = json_object();
	for (size_t i = 0; i < sizeof(shown) / sizeof(*shown); i++)
		if (json_at(record, shown[i]))
			json_put(line, shown[i], json_incref(json_at(record, shown[i])));
	bool is_of_all = *stream->run_id == '\0';
	json_put_str(line, "run", is_of_all ? json_str(record, "run", "") : stream->run_id);
	json_put_str(line, "input",
	             is_of_all ? json_str(record, "input", NULL)
	                       : json_str(json_at(record, "input"), "kind", NULL));
	int64_t at = json_int(record, "at", -1);
	if (at >= 0) {
		char text[CLOCK_ISO_BYTES];
		clock_iso(at, text);
		json_put_str(line, "at", text);
	}
	char *text = json_dumps(line, JSON_COMPACT);
	json_decref(line);
	stream->last_seq = json_int(record, is_of_all ? "place" : "seq", stream->last_seq);
	buf_printf(&stream->out, "id: %lld\nevent: %s\ndata: %s\n\n", (long long)stream->last_seq,
	           json_str(record, "kind", "record"), text);
	free(text);
}

static void look(struct stream *stream);

static void journal_read(void *arg, const json_t *reply, bool is_last)
{
	struct stream *stream = arg;
	bool is_of_all = *stream->run_id == '\0';
	const json_t *records = json_at(reply, is_of_all ? "events" : "records");
	if (!is_last)
		return;
	pthread_mutex_lock(&stream->lock);
	for (size_t i = 0; i < json_array_size(records); i++)
		if (json_int(json_array_get(records, i), is_of_all ? "place" : "seq", 0) >
		    stream->last_seq)
			put_event(stream, json_array_get(records, i));
	stream->is_asking = false;
	if (is_of_all && json_array_size(records) == FEED_PAGE)
		stream->is_dirty = true; /* there is more */
	bool again = stream->is_dirty && !stream->is_over;
	if (stream->out.len > 0)
		wake(stream);
	pthread_mutex_unlock(&stream->lock);
	if (again)
		look(stream);
	atomic_fetch_sub(&stream->serve->engine_owes, 1);
	stream_unref(stream);
}

static void look(struct stream *stream)
{
	pthread_mutex_lock(&stream->lock);
	bool may_ask = !stream->is_asking && !stream->is_gone && !stream->is_over &&
	               stream->out.len < STREAM_BYTES_MAX / 8;
	stream->is_dirty = !may_ask;
	stream->is_asking = stream->is_asking || may_ask;
	int64_t from = stream->last_seq + 1;
	pthread_mutex_unlock(&stream->lock);
	if (!may_ask)
		return;
	json_t *request = *stream->run_id ? json_pack("{s:s,s:s,s:I}", "op", "run.events", "run",
	                                              stream->run_id, "from", (json_int_t)from)
	                                  : json_pack("{s:s,s:I,s:i}", "op", "events", "after",
	                                              (json_int_t)(from - 1), "limit", FEED_PAGE);
	atomic_fetch_add(&stream->refs, 1);
	atomic_fetch_add(&stream->serve->engine_owes, 1);
	engine_request(stream->serve->options.engine, request, journal_read, stream);
	json_decref(request);
}

/* --- what wakes it --------------------------------------------------------------------------- */

/* On the run's own thread: marks its streams; the connection's thread does the reading. */
static void on_record(void *arg, const char *run_id, int64_t seq)
{
	struct serve *serve = arg;
	(void)seq;
	if (atomic_load(&serve->stream_count) == 0)
		return;
	pthread_mutex_lock(&serve->lock);
	for (struct stream *stream = serve->streams; stream; stream = stream->next) {
		if (*stream->run_id && strcmp(stream->run_id, run_id) != 0)
			continue;
		pthread_mutex_lock(&stream->lock);
		stream->is_dirty = true;
		wake(stream);
		pthread_mutex_unlock(&stream->lock);
	}
	pthread_mutex_unlock(&serve->lock);
}

void streams_begin(struct serve *serve)
{
	engine_on_record(serve->options.engine, on_record, serve);
}

void streams_beat(struct serve *serve, int64_t now_ms)
{
	if (atomic_load(&serve->stream_count) == 0)
		return;
	pthread_mutex_lock(&serve->lock);
	for (struct stream *stream = serve->streams; stream; stream = stream->next) {
		pthread_mutex_lock(&stream->lock);
		if (now_ms >= stream->beat_ms) {
			stream->beat_ms = now_ms + serve->config.heartbeat_seconds * 1000;
			if (stream->out.len == 0)
				buf_put(&stream->out, ": still here\n\n");
			wake(stream);
		}
		pthread_mutex_unlock(&stream->lock);
	}
	pthread_mutex_unlock(&serve->lock);
}

void streams_end(struct serve *serve)
{
	pthread_mutex_lock(&serve->lock);
	for (struct stream *stream = serve->streams; stream; stream = stream->next) {
		pthread_mutex_lock(&stream->lock);
		stream->is_over = true;
		wake(stream);
		pthread_mutex_unlock(&stream->lock);
	}
	pthread_mutex_unlock(&serve->lock);
}

/* --- its connection's thread ----------------------------------------------------------------- */

long stream_read(struct stream *stream, struct MHD_Connection *mhd, char *ret, size_t max)
{
	pthread_mutex_lock(&stream->lock);
	bool is_dirty = stream->is_dirty && !stream->is_asking;
	pthread_mutex_unlock(&stream->lock);
	if (is_dirty)
		look(stream);
	pthread_mutex_lock(&stream->lock);
	long len = (long)(stream->out.len < max ? stream->out.len : max);
	if (len > 0) {
		memcpy(ret, stream->out.bytes, (size_t)len);
		memmove(stream->out.bytes, stream->out.bytes + len, stream->out.len - (size_t)len);
		stream->out.len -= (size_t)len;
	} else if (stream->is_over) {
		len = -1;
	} else if (!(stream->is_dirty && !stream->is_asking)) {
		http_suspend(mhd);
		stream->is_suspended = true;
	}
	pthread_mutex_unlock(&stream->lock);
	return len;
}

void stream_free(struct stream *stream)
{
	struct serve *serve = stream->serve;
	pthread_mutex_lock(&serve->lock);
	if (stream->prev)
		stream->prev->next = stream->next;
	else
		serve->streams = stream->next;
	if (stream->next)
		stream->next->prev = stream->prev;
	atomic_fetch_sub(&serve->stream_count, 1);
	pthread_mutex_unlock(&serve->lock);
	pthread_mutex_lock(&stream->lock);
	stream->is_gone = true;
	pthread_mutex_unlock(&stream->lock);
	stream_unref(stream);
}

static void open_stream(struct exchange *x, int64_t last_seq)
{
	struct serve *serve = x->serve;
	struct stream *stream = mem_alloc(sizeof(*stream));
	stream->serve = serve;
	stream->exchange = x;
	stream->last_seq = last_seq;
	stream->beat_ms = serve_ms(serve) + serve->config.heartbeat_seconds * 1000;
	stream->is_dirty = true;
	snprintf(stream->run_id, sizeof(stream->run_id), "%s", x->ids[0] ? x->ids[0] : "");
	atomic_init(&stream->refs, 1);
	pthread_mutex_init(&stream->lock, NULL);
	buf_init(&stream->out, STREAM_BYTES_MAX);
	pthread_mutex_lock(&serve->lock);
	stream->next = serve->streams;
	if (stream->next)
		stream->next->prev = stream;
	serve->streams = stream;
	atomic_fetch_add(&serve->stream_count, 1);
	stream->is_over = atomic_load(&serve->is_draining);
	pthread_mutex_unlock(&serve->lock);
	x->stream = stream;
}

/* Where to go on: false when the header is no number of a record, and that was answered. */
static bool read_last_event(struct exchange *x, int64_t *ret)
{
	const char *text = x->frame.last_event;
	size_t digits = text ? strspn(text, "0123456789") : 0;
	if (text && (digits == 0 || digits > 15 || text[digits] != '\0')) {
		exchange_problem(x, 400, "stream.last_event", "header Last-Event-ID",
		                 "this is no number of a record", NULL);
		return false;
	}
	if (text)
		*ret = strtoll(text, NULL, 10);
	return true;
}

static void begin_stream(struct exchange *x, int64_t last_seq)
{
	if (!exchange_claim(x))
		return;
	open_stream(x, last_seq);
	x->status = 200;
	x->type = "text/event-stream";
	exchange_ready(x);
}

/* Is there such a run?  Then the rest comes by itself. */
static void run_found(struct exchange *x, const json_t *reply, bool is_last)
{
	const json_t *error = json_at(reply, "error");
	int64_t last = 0;
	if (!is_last)
		return;
	if (error)
		exchange_error(x, error);
	else if (read_last_event(x, &last))
		begin_stream(x, last);
}

void handle_run_events(struct exchange *x)
{
	json_t *request = json_pack("{s:s,s:s,s:I}", "op", "run.events", "run", x->ids[0], "from",
	                            (json_int_t)INT32_MAX);
	exchange_ask(x, request, run_found);
}

/* Of all runs: from Last-Event-ID or from on, else what comes from now on. */
static void feed_found(struct exchange *x, const json_t *reply, bool is_last)
{
	const json_t *error = json_at(reply, "error");
	int64_t last = json_int(reply, "place", 0);
	if (!is_last)
		return;
	if (error) {
		exchange_error(x, error);
		return;
	}
	int64_t from = exchange_number(x, "from", 0, INT64_MAX, last);
	if (from >= 0 && read_last_event(x, &from))
		begin_stream(x, from);
}

void handle_all_events(struct exchange *x)
{
	exchange_ask(x, json_pack("{s:s}", "op", "events"), feed_found);
}
