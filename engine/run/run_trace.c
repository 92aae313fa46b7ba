/* SPDX-License-Identifier: MIT */
/*
 * The picture of a run: its journal is replayed beside the run itself, and what
 * the machine tells on the way - states entered, transitions taken, calls that
 * failed - becomes the colours of the graph it is pinned to.
 *
 * States are known by their ids, because a repin may have changed the graph.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run/run_int.h"

enum { PICTURE_BYTES = 16 * 1024 * 1024, WHY_BYTES = 70 };

struct tracing {
	struct run *run;
	json_t *states; /* {id: {"times","ms","since"?,"failed"?}}; since: it is active */
	json_t *calls;  /* {number: state} */
	json_t *taken;  /* {"source:index": times} */
};

static json_t *state_of(struct tracing *t, const char *id)
{
	json_t *ret = json_at(t->states, id);
	if (!ret) {
		ret = json_object();
		json_put(t->states, id, ret);
	}
	return ret;
}

static void add_to(json_t *object, const char *key, int64_t number)
{
	json_put_int(object, key, json_int(object, key, 0) + number);
}

/* --- watching the replay ---------------------------------------------------- */

/* A transition is its source's n-th, which is more than a number of the whole chart would say. */
static void transition_key(const struct chart *chart, int32_t transition, char ret[300])
{
	const struct chart_transition *own = &chart->transitions[transition];
	const struct chart_state *source = &chart->states[own->source];
	snprintf(ret, 300, "%.250s:%d", source->id, (int)(transition - source->first_transition));
}

static void on_trace(void *ctx, const struct chart *chart, int32_t state, int32_t transition)
{
	struct tracing *t = ((struct run *)ctx)->on_replayed_arg;
	if (chart != t->run->release->chart)
		return; /* of a child chart */
	if (state != CHART_NONE) {
		json_t *entered = state_of(t, chart->states[state].id);
		add_to(entered, "times", 1);
		json_put_int(entered, "since", t->run->last_step_ms);
	} else {
		char key[300];
		transition_key(chart, transition, key);
		add_to(t->taken, key, 1);
	}
}

static void fail_state(struct tracing *t, const char *state, const char *why)
{
	if (state)
		json_put_str(state_of(t, state), "failed", why);
}

/* What is not active any more has its time. */
static void leave_states(struct tracing *t, int64_t at_ms)
{
	json_t *active = machine_states(t->run->machine, false), *names = json_object();
	const char *id;
	json_t *state;
	for (size_t i = 0; i < json_array_size(active); i++)
		json_put(names, json_string_value(json_array_get(active, i)), json_true());
	json_object_foreach(t->states, id, state) {
		if (!json_at(state, "since") || json_at(names, id))
			continue;
		add_to(state, "ms", at_ms - json_int(state, "since", at_ms));
		json_object_del(state, "since");
	}
	json_decref(active);
	json_decref(names);
}

static void on_replayed(void *arg, const json_t *record, const struct effects *effects)
{
	struct tracing *t = arg;
	const json_t *input = json_at(record, "input"), *failure = json_at(input, "failure");
	char number[32];
	for (size_t i = 0; i < effects->len; i++) {
		snprintf(number, sizeof(number), "%llu", (unsigned long long)effects->at[i].number);
		json_put_str(t->calls, number, effects->at[i].state);
	}
	snprintf(number, sizeof(number), "%lld", (long long)json_int(input, "number", 0));
	if (failure)
		fail_state(t, json_str(t->calls, number, NULL),
		           json_str(failure, "error_code", json_str(failure, "message", "failed")));
	leave_states(t, json_int(record, "at", 0));
}

static int trace_record(void *arg, const json_t *record, struct err *err)
{
	struct tracing *t = arg;
	int status = run_replay_record(t->run, record, err);
	/* A blocked step happened nowhere: the run stands where it stood. */
	if (status == 0 && strcmp(json_str(record, "kind", ""), "blocked") == 0 &&
	    t->run->machine) {
		json_t *active = machine_states(t->run->machine, true);
		for (size_t i = 0; i < json_array_size(active); i++)
			fail_state(t, json_string_value(json_array_get(active, i)),
			           json_str(json_at(record, "reason"), "text", "blocked"));
		json_decref(active);
	}
	return status;
}

/* --- colours ------------------------------------------------------------------ */

struct painting {
	const struct tracing *trace;
	const struct chart *chart;
	int64_t now_ms;
	char note[WHY_BYTES + 64]; /* of the state asked for last */
};

static void put_span(char *ret, size_t size, int64_t ms)
{
	static const struct {
		int64_t ms;
		const char *unit;
	} units[] = { { 86400000, "d" }, { 3600000, "h" }, { 60000, "min" }, { 1000, "s" } };
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		if (ms < units[i].ms)
			continue;
		snprintf(ret, size, "%.1f %s", (double)ms / (double)units[i].ms, units[i].unit);
		return;
	}
	snprintf(ret, size, "%lld ms", (long long)ms);
}

static void make_note(struct painting *p, const json_t *state)
{
	char span[40], times[32] = "";
	const char *why = json_str(state, "failed", NULL);
	int64_t ms = json_int(state, "ms", 0), count = json_int(state, "times", 0);
	if (json_at(state, "since"))
		ms += p->now_ms - json_int(state, "since", p->now_ms);
	put_span(span, sizeof(span), ms);
	if (count > 1)
		snprintf(times, sizeof(times), ", %lld times", (long long)count);
	struct buf cut;
	buf_init(&cut, 4 * WHY_BYTES);
	if (why) {
		size_t len = strlen(why), max = len > WHY_BYTES ? WHY_BYTES : len;
		while (max < len && max > 0 && ((unsigned char)why[max] & 0xc0) == 0x80)
			max--;
		buf_printf(&cut, ": %.*s%s", (int)max, why, max < len ? "..." : "");
	}
	snprintf(p->note, sizeof(p->note), "%s%s%s", span, times, cut.len ? cut.bytes : "");
	buf_release(&cut);
}

/* Green where it has been, yellow where it is, red where it failed; grey where it never was. */
static struct chart_look look(void *ctx, int32_t index)
{
	struct painting *p = ctx;
	const struct chart_state *own = &p->chart->states[index];
	const json_t *state = json_at(p->trace->states, own->id);
	bool is_box = own->child_count == 0;
	if (!state)
		return (struct chart_look){ is_box ? "#f3f3f3" : NULL, "#c4c4c4", NULL };
	make_note(p, state);
	if (json_at(state, "failed"))
		return (struct chart_look){ is_box ? "#f8d7d5" : NULL, "#b3261e", p->note };
	if (json_at(state, "since") && p->trace->run->status < STORE_ENDED)
		return (struct chart_look){ is_box ? "#ffefb0" : NULL, "#b8860b", p->note };
	return (struct chart_look){ is_box ? "#dcefdc" : NULL, "#2e7d32", p->note };
}

static int taken(void *ctx, int32_t transition)
{
	struct painting *p = ctx;
	char key[300];
	transition_key(p->chart, transition, key);
	return (int)json_int(p->trace->taken, key, 0);
}

static json_t *paint(struct tracing *t)
{
	const struct chart *chart = t->run->release->chart;
	bool is_ended = t->run->status >= STORE_ENDED;
	struct painting painting = { .trace = t, .chart = chart };
	painting.now_ms = is_ended ? t->run->last_step_ms : engine_now(t->run->worker->engine);
	const struct chart_paint how = { &painting, look, taken };
	struct buf out;
	buf_init(&out, PICTURE_BYTES);
	chart_dot_painted(chart, &how, &out);
	json_t *ret = json_pack("{s:o,s:O}", "dot", json_text(buf_str(&out)), "states", t->states);
	buf_release(&out);
	return ret;
}

/* --- the request ----------------------------------------------------------------- */

struct traced_row {
	char *id, *graph, *correlation_id;
	int status;
};

static void copy_row(void *arg, const struct store_run *row)
{
	struct traced_row *copy = arg;
	*copy = (struct traced_row){ mem_dup_str(row->id), mem_dup_str(row->graph),
		                     mem_dup_str(row->correlation_id), row->status };
}

json_t *run_picture(struct worker *worker, int64_t no, struct err *err)
{
	struct store *store = worker->engine->store;
	struct traced_row row;
	json_t *ret = NULL;
	if (store->ops->run_by_no(store, no, copy_row, &row, err) < 0)
		return NULL;
	struct tracing t = { .run = run_new_detached(worker, no, row.id, row.graph,
		                                     row.correlation_id),
		             .states = json_object(),
		             .calls = json_object(),
		             .taken = json_object() };
	t.run->status = row.status;
	t.run->env.trace = on_trace;
	t.run->on_replayed = on_replayed;
	t.run->on_replayed_arg = &t;
	if (journal_read(store, no, &t.run->head, trace_record, &t, err) == 0)
		ret = paint(&t);
	run_free(t.run);
	json_decref(t.states);
	json_decref(t.calls);
	json_decref(t.taken);
	free(row.id);
	free(row.graph);
	free(row.correlation_id);
	return ret;
}
