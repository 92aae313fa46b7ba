/* SPDX-License-Identifier: MIT */
/* Read it beside appendix D; every shortcut would defeat its purpose. */
#include "reference.h"

#include <stdlib.h>
#include <string.h>
#include "base/limits.h"
#include "base/mem.h"
#include "base/vec.h"
#include "toy.h"

struct names {
	char **at;
	size_t len, size, head;
};

struct list {
	int32_t *at;
	size_t len, size;
};

struct reference {
	const struct chart *chart;
	int32_t count;
	bool *configuration;
	bool **history_value; /* by history state; NULL: none */
	struct names internal, external;
	struct toy toy;
	bool running, done, stuck;
	int iterations;
	struct buf trace;
	char *told;
	int *guards; /* by transition, within a selection: -1 unknown */
	struct list enabled;
	bool *to_enter, *default_entry;
	int32_t *default_history; /* by parent: transition, or CHART_NONE */
};

static const struct chart_state *st(const struct reference *r, int32_t s)
{
	return &r->chart->states[s];
}

static bool in(void *ctx, const char *id)
{
	const struct reference *r = ctx;
	int32_t s = chart_find(r->chart, id);
	return s > 0 && r->configuration[s];
}

struct reference *reference_new(const struct chart *chart)
{
	struct reference *r = mem_alloc(sizeof(*r));
	size_t count = (size_t)chart->state_count;
	r->chart = chart;
	r->count = chart->state_count;
	r->configuration = mem_alloc(count);
	r->history_value = mem_alloc(count * sizeof(r->history_value[0]));
	r->guards = mem_alloc((size_t)chart->transition_count * sizeof(r->guards[0]) + 1);
	r->to_enter = mem_alloc(count);
	r->default_entry = mem_alloc(count);
	r->default_history = mem_alloc(count * sizeof(r->default_history[0]));
	r->toy.in = in;
	r->toy.ctx = r;
	buf_init(&r->trace, 64 * 1024 * 1024);
	return r;
}

static void names_release(struct names *names)
{
	for (size_t i = names->head; i < names->len; i++)
		free(names->at[i]);
	free(names->at);
}

void reference_free(struct reference *r)
{
	for (int32_t s = 0; s < r->count; s++)
		free(r->history_value[s]);
	free(r->history_value);
	free(r->configuration);
	free(r->guards);
	free(r->to_enter);
	free(r->default_entry);
	free(r->default_history);
	free(r->enabled.at);
	names_release(&r->internal);
	names_release(&r->external);
	buf_release(&r->trace);
	free(r->told);
	free(r);
}

/* A queue that runs over is a livelock too. */
static void enqueue(struct reference *r, struct names *names, char *name)
{
	r->stuck = r->stuck || names->len - names->head >= LIMIT_QUEUE_EVENTS;
	*vec_add(names) = name;
}

static bool is_descendant(const struct reference *r, int32_t s, int32_t ancestor)
{
	for (int32_t a = st(r, s)->parent; a != CHART_NONE; a = st(r, a)->parent) {
		if (a == ancestor)
			return true;
	}
	return false;
}

static bool is_kind(const struct reference *r, int32_t s, enum chart_state_kind kind)
{
	return st(r, s)->kind == kind;
}

static bool is_atomic(const struct reference *r, int32_t s)
{
	return st(r, s)->child_count == 0 && !is_kind(r, s, STATE_HISTORY);
}

static bool raise_error(struct reference *r)
{
	enqueue(r, &r->internal, mem_dup_str("error.execution"));
	return false;
}

static bool guard(struct reference *r, const struct chart_expr *cond)
{
	bool ret = true;
	if (cond->text && toy_guard(&r->toy, cond->text, &ret) < 0)
		return raise_error(r);
	return ret;
}

static bool run(struct reference *r, const struct chart_block *block);

/* false: an error ends the block. */
static bool run_op(struct reference *r, const struct chart_op *op)
{
	if (op->kind == OP_RAISE) {
		enqueue(r, &r->internal, mem_dup_str(op->raise.event));
	} else if (op->kind == OP_LOG) {
		buf_printf(&r->trace, "log %s\n", op->log.label);
	} else if (op->kind == OP_ASSIGN) {
		if (toy_assign(&r->toy, op->assign.location.text, op->assign.expr.text) == 0)
			return true;
		return raise_error(r);
	} else if (op->kind == OP_SEND) {
		if (!op->send.target.text) {
			enqueue(r, &r->external, mem_dup_str(op->send.event.text));
			return true;
		}
		return raise_error(r);
	} else if (op->kind == OP_IF) {
		for (size_t i = 0; i < op->choice.count; i++) {
			if (guard(r, &op->choice.branches[i].cond))
				return run(r, &op->choice.branches[i].block);
		}
	}
	return true;
}

static bool run(struct reference *r, const struct chart_block *block)
{
	for (size_t i = 0; i < block->count; i++) {
		if (!run_op(r, &block->ops[i]))
			return false;
	}
	return true;
}

static bool name_matches(const struct chart_transition *t, const char *name)
{
	for (size_t i = 0; i < t->event_count; i++) {
		char *dotted = mem_format("%s.", t->events[i]);
		bool matches = strcmp(t->events[i], "*") == 0 || strcmp(t->events[i], name) == 0 ||
		               strncmp(dotted, name, strlen(dotted)) == 0;
		free(dotted);
		if (matches)
			return true;
	}
	return false;
}

static bool condition_matches(struct reference *r, int32_t t)
{
	if (r->guards[t] < 0)
		r->guards[t] = guard(r, &r->chart->transitions[t].cond);
	return r->guards[t] == 1;
}

static struct list effective_targets(const struct reference *r, const struct chart_transition *t)
{
	struct list ret = { 0 };
	for (size_t i = 0; i < t->target_count; i++) {
		int32_t s = t->targets[i];
		if (!is_kind(r, s, STATE_HISTORY)) {
			*vec_add(&ret) = s;
		} else if (r->history_value[s]) {
			for (int32_t h = 0; h < r->count; h++) {
				if (r->history_value[s][h])
					*vec_add(&ret) = h;
			}
		} else {
			int32_t initial = st(r, s)->initial;
			struct list more = effective_targets(r, &r->chart->transitions[initial]);
			for (size_t k = 0; k < more.len; k++)
				*vec_add(&ret) = more.at[k];
			free(more.at);
		}
	}
	return ret;
}

static bool all_below(const struct reference *r, const struct list *states, int32_t ancestor)
{
	for (size_t i = 0; i < states->len; i++) {
		if (!is_descendant(r, states->at[i], ancestor))
			return false;
	}
	return true;
}

static int32_t transition_domain(const struct reference *r, const struct chart_transition *t)
{
	struct list targets = effective_targets(r, t);
	int32_t ret = CHART_NONE;
	if (targets.len > 0 && t->is_internal && is_kind(r, t->source, STATE_COMPOUND) &&
	    all_below(r, &targets, t->source)) {
		ret = t->source;
	} else if (targets.len > 0) {
		for (int32_t a = st(r, t->source)->parent; a != CHART_NONE && ret == CHART_NONE;
		     a = st(r, a)->parent) {
			if ((is_kind(r, a, STATE_COMPOUND) || a == 0) && all_below(r, &targets, a))
				ret = a;
		}
	}
	free(targets.at);
	return ret;
}

/* domain CHART_NONE: the exit set of a transition without target is empty. */
static bool in_exit_set(const struct reference *r, int32_t domain, int32_t s)
{
	return domain != CHART_NONE && r->configuration[s] && is_descendant(r, s, domain);
}

static bool do_exit_sets_meet(const struct reference *r, int32_t a, int32_t b)
{
	int32_t domain_a = transition_domain(r, &r->chart->transitions[a]);
	int32_t domain_b = transition_domain(r, &r->chart->transitions[b]);
	for (int32_t s = 0; s < r->count; s++) {
		if (in_exit_set(r, domain_a, s) && in_exit_set(r, domain_b, s))
			return true;
	}
	return false;
}

static void remove_conflicting_transitions(struct reference *r)
{
	struct list filtered = { 0 };
	for (size_t i = 0; i < r->enabled.len; i++) {
		int32_t t1 = r->enabled.at[i];
		bool preempted = false;
		bool *remove = mem_alloc(filtered.len + 1);
		for (size_t k = 0; k < filtered.len && !preempted; k++) {
			int32_t t2 = filtered.at[k];
			if (!do_exit_sets_meet(r, t1, t2))
				continue;
			if (is_descendant(r, r->chart->transitions[t1].source,
			                  r->chart->transitions[t2].source))
				remove[k] = true;
			else
				preempted = true;
		}
		if (!preempted) {
			struct list kept = { 0 };
			for (size_t k = 0; k < filtered.len; k++) {
				if (!remove[k])
					*vec_add(&kept) = filtered.at[k];
			}
			*vec_add(&kept) = t1;
			free(filtered.at);
			filtered = kept;
		}
		free(remove);
	}
	free(r->enabled.at);
	r->enabled = filtered;
}

static int32_t first_enabled(struct reference *r, int32_t s, const char *event)
{
	for (; s != CHART_NONE; s = st(r, s)->parent) {
		for (size_t i = 0; i < st(r, s)->transition_count; i++) {
			int32_t t = st(r, s)->first_transition + (int32_t)i;
			const struct chart_transition *own = &r->chart->transitions[t];
			bool fits = event ? name_matches(own, event) : own->event_count == 0;
			if (fits && condition_matches(r, t))
				return t;
		}
	}
	return CHART_NONE;
}

static void select_transitions(struct reference *r, const char *event)
{
	r->enabled.len = 0;
	for (int32_t t = 0; t < r->chart->transition_count; t++)
		r->guards[t] = -1;
	for (int32_t s = 0; s < r->count; s++) {
		if (!r->configuration[s] || !is_atomic(r, s))
			continue;
		int32_t t = first_enabled(r, s, event);
		bool is_new = t != CHART_NONE;
		for (size_t i = 0; i < r->enabled.len; i++)
			is_new = is_new && r->enabled.at[i] != t;
		if (is_new)
			*vec_add(&r->enabled) = t;
	}
	remove_conflicting_transitions(r);
}

static void exit_state(struct reference *r, int32_t s)
{
	for (size_t k = 0; k < st(r, s)->onexit_count; k++)
		(void)run(r, &st(r, s)->onexit[k]);
	r->configuration[s] = false;
}

static void exit_states(struct reference *r)
{
	bool *exits = mem_alloc((size_t)r->count);
	for (size_t i = 0; i < r->enabled.len; i++) {
		int32_t domain = transition_domain(r, &r->chart->transitions[r->enabled.at[i]]);
		for (int32_t s = 0; s < r->count; s++)
			exits[s] |= in_exit_set(r, domain, s);
	}
	for (int32_t s = 0; s < r->count; s++) {
		for (size_t h = 0; exits[s] && h < st(r, s)->history_count; h++) {
			int32_t history = st(r, s)->histories[h];
			free(r->history_value[history]);
			bool *value = mem_alloc((size_t)r->count);
			for (int32_t a = 0; a < r->count; a++)
				value[a] = r->configuration[a] &&
				           (st(r, history)->is_deep
				                    ? is_atomic(r, a) && is_descendant(r, a, s)
				                    : st(r, a)->parent == s);
			r->history_value[history] = value;
		}
	}
	for (int32_t s = r->count - 1; s >= 0; s--) {
		if (exits[s])
			exit_state(r, s);
	}
	free(exits);
}

static void add_descendants(struct reference *r, int32_t s);

static bool some_below(const struct reference *r, int32_t ancestor)
{
	for (int32_t s = 0; s < r->count; s++) {
		if (r->to_enter[s] && is_descendant(r, s, ancestor))
			return true;
	}
	return false;
}

static void add_regions(struct reference *r, int32_t parallel)
{
	for (size_t i = 0; i < st(r, parallel)->child_count; i++) {
		if (!some_below(r, st(r, parallel)->children[i]))
			add_descendants(r, st(r, parallel)->children[i]);
	}
}

static void add_ancestors(struct reference *r, int32_t s, int32_t ancestor)
{
	for (int32_t a = st(r, s)->parent; a != CHART_NONE && a != ancestor; a = st(r, a)->parent) {
		r->to_enter[a] = true;
		if (is_kind(r, a, STATE_PARALLEL))
			add_regions(r, a);
	}
}

static void add_all(struct reference *r, const int32_t *states, size_t count, int32_t ancestor)
{
	for (size_t i = 0; i < count; i++)
		add_descendants(r, states[i]);
	for (size_t i = 0; i < count; i++)
		add_ancestors(r, states[i], ancestor);
}

static void add_history(struct reference *r, int32_t s)
{
	int32_t parent = st(r, s)->parent;
	if (!r->history_value[s]) {
		const struct chart_transition *t = &r->chart->transitions[st(r, s)->initial];
		r->default_history[parent] = st(r, s)->initial;
		add_all(r, t->targets, t->target_count, parent);
		return;
	}
	for (int32_t h = 0; h < r->count; h++) {
		if (r->history_value[s][h])
			add_descendants(r, h);
	}
	for (int32_t h = 0; h < r->count; h++) {
		if (r->history_value[s][h])
			add_ancestors(r, h, parent);
	}
}

static void add_descendants(struct reference *r, int32_t s)
{
	if (is_kind(r, s, STATE_HISTORY)) {
		add_history(r, s);
		return;
	}
	r->to_enter[s] = true;
	if (is_kind(r, s, STATE_COMPOUND)) {
		const struct chart_transition *t = &r->chart->transitions[st(r, s)->initial];
		r->default_entry[s] = true;
		add_all(r, t->targets, t->target_count, s);
	} else if (is_kind(r, s, STATE_PARALLEL)) {
		add_regions(r, s);
	}
}

static void compute_entry_set(struct reference *r)
{
	for (int32_t s = 0; s < r->count; s++) {
		r->to_enter[s] = r->default_entry[s] = false;
		r->default_history[s] = CHART_NONE;
	}
	for (size_t i = 0; i < r->enabled.len; i++) {
		const struct chart_transition *t = &r->chart->transitions[r->enabled.at[i]];
		for (size_t k = 0; k < t->target_count; k++)
			add_descendants(r, t->targets[k]);
		if (t->target_count == 0)
			continue;
		int32_t ancestor = t->source == 0 ? 0 : transition_domain(r, t);
		struct list targets = effective_targets(r, t);
		for (size_t k = 0; k < targets.len; k++)
			add_ancestors(r, targets.at[k], ancestor);
		free(targets.at);
	}
}

static bool is_in_final_state(const struct reference *r, int32_t s)
{
	for (size_t i = 0; i < st(r, s)->child_count; i++) {
		int32_t child = st(r, s)->children[i];
		bool ends = is_kind(r, s, STATE_COMPOUND)
		                    ? is_kind(r, child, STATE_FINAL) && r->configuration[child]
		                    : is_in_final_state(r, child);
		if (ends == is_kind(r, s, STATE_COMPOUND))
			return ends;
	}
	return is_kind(r, s, STATE_PARALLEL);
}

static void enter_final(struct reference *r, int32_t s)
{
	int32_t parent = st(r, s)->parent;
	if (parent == 0) {
		r->running = false;
		return;
	}
	int32_t grandparent = st(r, parent)->parent;
	enqueue(r, &r->internal, mem_format("done.state.%s", st(r, parent)->id));
	if (is_kind(r, grandparent, STATE_PARALLEL) && is_in_final_state(r, grandparent))
		enqueue(r, &r->internal, mem_format("done.state.%s", st(r, grandparent)->id));
}

static void enter_states(struct reference *r)
{
	compute_entry_set(r);
	for (int32_t s = 1; s < r->count; s++) {
		/* 3.13: what is active is not entered, though the appendix may add it. */
		if (!r->to_enter[s] || r->configuration[s])
			continue;
		r->configuration[s] = true;
		for (size_t k = 0; k < st(r, s)->onentry_count; k++)
			(void)run(r, &st(r, s)->onentry[k]);
		if (r->default_entry[s])
			(void)run(r, &r->chart->transitions[st(r, s)->initial].block);
		if (r->default_history[s] != CHART_NONE)
			(void)run(r, &r->chart->transitions[r->default_history[s]].block);
		if (is_kind(r, s, STATE_FINAL))
			enter_final(r, s);
	}
}

static void microstep(struct reference *r)
{
	exit_states(r);
	for (size_t i = 0; i < r->enabled.len; i++)
		(void)run(r, &r->chart->transitions[r->enabled.at[i]].block);
	enter_states(r);
}

static void drop_error(struct reference *r, const char *name)
{
	if (strcmp(name, "error.execution") == 0)
		buf_printf(&r->trace, "dropped %s\n", name);
}

static char *dequeue(struct names *names)
{
	return names->at[names->head++];
}

static void exit_interpreter(struct reference *r)
{
	for (int32_t s = r->count - 1; s > 0; s--) {
		for (size_t k = 0; r->configuration[s] && k < st(r, s)->onexit_count; k++)
			(void)run(r, &st(r, s)->onexit[k]);
	}
	while (r->internal.head < r->internal.len) {
		char *name = dequeue(&r->internal);
		drop_error(r, name);
		free(name);
	}
	r->done = true;
	buf_put(&r->trace, "done\n");
}

static void main_event_loop(struct reference *r)
{
	while (r->running && !r->stuck) {
		select_transitions(r, NULL);
		if (r->enabled.len == 0) {
			if (r->internal.head == r->internal.len)
				return;
			char *name = dequeue(&r->internal);
			select_transitions(r, name);
			if (r->enabled.len == 0)
				drop_error(r, name);
			free(name);
		}
		r->stuck = ++r->iterations > LIMIT_MICROSTEPS;
		if (!r->stuck && r->enabled.len > 0)
			microstep(r);
	}
	if (!r->stuck)
		exit_interpreter(r);
}

void reference_start(struct reference *r)
{
	r->running = true;
	*vec_add(&r->enabled) = st(r, 0)->initial;
	enter_states(r);
	main_event_loop(r);
}

void reference_event(struct reference *r, const char *name)
{
	if (!r->running || r->stuck)
		return;
	r->iterations = 0;
	select_transitions(r, name);
	if (r->enabled.len > 0)
		microstep(r);
	main_event_loop(r);
}

bool reference_queued(struct reference *r)
{
	if (r->done || r->external.head == r->external.len)
		return false;
	char *name = dequeue(&r->external);
	reference_event(r, name);
	free(name);
	return true;
}

bool reference_is_done(const struct reference *r)
{
	return r->done;
}

bool reference_is_stuck(const struct reference *r)
{
	return r->stuck;
}

bool reference_is_active(const struct reference *r, int32_t state)
{
	return state > 0 && r->configuration[state];
}

const char *reference_trace(struct reference *r)
{
	free(r->told);
	r->told = r->trace.len ? buf_take(&r->trace) : mem_dup_str("");
	buf_init(&r->trace, 64 * 1024 * 1024);
	return r->told;
}
