/* SPDX-License-Identifier: MIT */
/*
 * Sessions: the root and the children that <invoke> started.  What a session
 * needs per state of its chart is allocated once, here; a step then touches only
 * what is active.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/must.h"
#include "machine/http_event.h"
#include "machine/machine_int.h"

static bool is_in(void *ctx, const char *state_id)
{
	const struct session *s = ctx;
	int32_t state = chart_find(s->chart, state_id);
	return state > 0 && bits_has(s->active, (size_t)state);
}

static void put_location(json_t *processors, const char *name, const char *uri, json_t *location)
{
	json_t *entry = json_object();
	json_put(entry, "location", location);
	json_object_set(processors, name, entry);
	json_put(processors, uri, entry);
}

static json_t *ioprocessors_new(const struct session *s)
{
	json_t *ret = json_object();
	put_location(ret, "scxml", SCXML_EVENT_TYPE, json_string(s->location));
	if (s->machine->http_location) {
		char *location = mem_format("%s/%s", s->machine->http_location, s->id);
		put_location(ret, "basichttp", HTTP_EVENT_TYPE, json_string(location));
		free(location);
	}
	return ret;
}

static int datamodel_new(struct session *s, struct err *err)
{
	const struct machine_env *env = s->machine->env;
	const char *name = s->chart->datamodel;
	void *factory = NULL;
	if (env->datamodel)
		s->ops = env->datamodel(env->ctx, name, &factory);
	if (!s->ops && strcmp(name, datamodel_null_ops.name) == 0)
		s->ops = &datamodel_null_ops;
	if (!s->ops)
		return err_set_id(err, ERR_INPUT, "graph.datamodel",
		                  "graph '%s' wants the data model '%s', which does not exist",
		                  s->chart->name, name);
	json_t *processors = ioprocessors_new(s);
	struct datamodel_setup setup = {
		.chart = s->chart,
		.session_id = s->id,
		.name = s->chart->name,
		.ioprocessors = processors,
		.seed = s->machine->seed + s->serial,
		.in = is_in,
		.ctx = s,
	};
	int status = s->ops->create(factory, &setup, &s->dm, err);
	json_decref(processors);
	return status;
}

/* A state can be skipped in eventless selection when nobody on its way up has such a transition. */
static void find_eventless(struct session *s)
{
	const struct chart *chart = s->chart;
	for (int32_t i = 0; i < chart->state_count; i++) {
		const struct chart_state *state = &chart->states[i];
		bool has = state->parent != CHART_NONE &&
		           bits_has(s->eventless, (size_t)state->parent);
		for (size_t k = 0; !has && k < state->transition_count; k++) {
			int32_t at = state->first_transition + (int32_t)k;
			has = chart->transitions[at].event_count == 0;
		}
		if (has)
			bits_set(s->eventless, (size_t)i);
	}
}

static void allocate_tables(struct session *s)
{
	size_t count = (size_t)s->chart->state_count, words = bits_words(count);
	uint64_t **sets[] = { &s->active,   &s->entered, &s->eventless,    &s->to_invoke,
		              &s->entering, &s->covered, &s->default_entry };
	size_t set_count = sizeof(sets) / sizeof(sets[0]);
	uint64_t *all = mem_alloc(set_count * words * sizeof(all[0]));
	for (size_t i = 0; i < set_count; i++)
		*sets[i] = all + i * words;
	s->visits = mem_alloc(count * sizeof(s->visits[0]));
	s->active_child = mem_alloc(count * sizeof(s->active_child[0]));
	memset(s->active_child, 0xff, count * sizeof(s->active_child[0])); /* CHART_NONE */
	find_eventless(s);
}

/*
 * serial: the number it bears for ever.  The chart is referenced.  The session
 * is the last of the machine's; it does not run yet.
 */
int session_new(struct machine *machine, const struct chart *chart, struct session *parent,
                uint32_t serial, struct session **ret, struct err *err)
{
	struct session *s = mem_alloc(sizeof(*s));
	must(machine->sessions.len == 0 ||
	     machine->sessions.at[machine->sessions.len - 1]->serial < serial);
	s->machine = machine;
	s->serial = serial;
	s->id = serial == 0 ? mem_dup_str(machine->run_id)
	                    : mem_format("%s.%" PRIu32, machine->run_id, serial);
	s->location = mem_format(SESSION_TARGET "%s", s->id);
	s->chart = chart_ref(chart);
	s->parent = parent;
	s->told_ms = INT64_MIN;
	allocate_tables(s);
	if (datamodel_new(s, err) < 0) {
		session_free(s);
		return err->code;
	}
	*vec_add(&machine->sessions) = s;
	*ret = s;
	return 0;
}

void session_free(struct session *s)
{
	if (!s)
		return;
	for (size_t i = s->internal.head; i < s->internal.len; i++)
		event_release(&s->internal.at[i]);
	for (size_t i = 0; i < s->histories.len; i++)
		free(s->histories.at[i].states);
	for (size_t i = 0; i < s->invocations.len; i++)
		invocation_release(&s->invocations.at[i]);
	if (s->dm)
		s->ops->free(s->dm);
	free(s->internal.at);
	free(s->config.at);
	free(s->active); /* and the other sets with it */
	free(s->visits);
	free(s->active_child);
	free(s->histories.at);
	free(s->to_invoke_list.at);
	free(s->invocations.at);
	free(s->enabled.at);
	free(s->exit_set.at);
	free(s->entry_set.at);
	free(s->targets.at);
	free(s->covered_list.at);
	free(s->default_history_content.at);
	json_decref(s->done_data);
	chart_unref(s->chart);
	free(s->source_text);
	free(s->invokeid);
	free(s->location);
	free(s->id);
	free(s);
}

void session_remove(struct session *s)
{
	struct machine *machine = s->machine;
	size_t at = 0;
	while (machine->sessions.at[at] != s)
		at++;
	memmove(&machine->sessions.at[at], &machine->sessions.at[at + 1],
	        (machine->sessions.len - 1 - at) * sizeof(machine->sessions.at[0]));
	machine->sessions.len--;
	session_free(s);
}

struct session *session_find(const struct machine *machine, uint32_t serial)
{
	for (size_t i = 0; i < machine->sessions.len; i++) {
		if (machine->sessions.at[i]->serial == serial)
			return machine->sessions.at[i];
	}
	return NULL;
}

/* One that can still hear something. */
struct session *session_by_id(const struct machine *machine, const char *id)
{
	for (size_t i = 0; i < machine->sessions.len; i++) {
		struct session *s = machine->sessions.at[i];
		if (!s->is_done && strcmp(s->id, id) == 0)
			return s;
	}
	return NULL;
}

void tell_now(struct session *s)
{
	if (s->told_ms == s->machine->now_ms)
		return;
	s->told_ms = s->machine->now_ms;
	s->ops->set_now(s->dm, s->told_ms);
}

/* Gives the <data> of one state their values; what is in values comes from outside. */
int initialize_datamodel(struct session *s, int32_t state, const json_t *values)
{
	const struct chart_state *own = &s->chart->states[state];
	for (size_t i = 0; i < own->data_count; i++) {
		const struct chart_data *data = &own->data[i];
		struct err *err = attempt(s);
		if (s->ops->init_data(s->dm, data, json_at(values, data->id), err) == 0)
			continue;
		int status = raise_attempt(s, data->at, NULL);
		if (status < 0)
			return status;
	}
	return 0;
}

static void declare_all(struct session *s)
{
	for (int32_t i = 0; i < s->chart->state_count; i++) {
		const struct chart_state *state = &s->chart->states[i];
		for (size_t k = 0; k < state->data_count; k++)
			s->ops->declare(s->dm, state->data[k].id);
	}
}

static int execute_global_script_element(struct session *s)
{
	for (size_t i = 0; i < s->chart->script_count; i++) {
		const struct chart_block *block = &s->chart->scripts[i];
		for (size_t k = 0; k < block->count; k++) {
			const struct chart_op *op = &block->ops[k];
			struct err *err = attempt(s);
			if (!op->script.code.text ||
			    s->ops->load_script(s->dm, &op->script.code, err) == 0)
				continue;
			int status = raise_attempt(s, op->at, NULL);
			if (status < 0)
				return status;
		}
	}
	return 0;
}

/*
 * The beginning of the appendix's interpret(): early binding gives all data
 * their values before the document's script runs, late binding the document's
 * own data after it and a state's when it is first entered.
 */
int session_start(struct session *s, const json_t *input)
{
	const struct chart *chart = s->chart;
	int status = 0;
	s->is_running = true;
	s->iterations = 0;
	tell_now(s);
	declare_all(s);
	for (int32_t i = 0; status == 0 && !chart->is_binding_late && i < chart->state_count; i++)
		status = initialize_datamodel(s, i, i == 0 ? input : NULL);
	if (status == 0)
		status = execute_global_script_element(s);
	if (status == 0 && chart->is_binding_late)
		status = initialize_datamodel(s, 0, input);
	if (status == 0)
		status = enter_initial(s);
	return status < 0 ? status : main_event_loop(s);
}

int machine_new(const struct machine_options *options, struct machine **ret, struct err *err)
{
	struct machine *machine = mem_alloc(sizeof(*machine));
	struct session *root = NULL;
	machine->chart = chart_ref(options->chart);
	machine->env = options->env;
	machine->run_id = mem_dup_str(options->run_id);
	machine->seed = options->seed;
	machine->http_location = mem_dup_str(options->http_location);
	machine->now_ms = INT64_MIN;
	if (session_new(machine, options->chart, NULL, 0, &root, err) < 0) {
		machine_free(machine);
		return err->code;
	}
	*ret = machine;
	return 0;
}

static void call_release(struct call *call)
{
	each_free(call->each);
	free(call->id);
}

void call_remove(struct machine *machine, struct call *call)
{
	size_t at = (size_t)(call - machine->calls.at);
	call_release(call);
	memmove(call, call + 1, (machine->calls.len - 1 - at) * sizeof(*call));
	machine->calls.len--;
}

/* A session that ended hears of none of its calls and sends any more. */
void drop_calls_of(struct session *s)
{
	struct machine *machine = s->machine;
	for (size_t i = machine->calls.len; i-- > 0;) {
		if (machine->calls.at[i].session == s)
			call_remove(machine, &machine->calls.at[i]);
	}
}

void machine_free(struct machine *machine)
{
	if (!machine)
		return;
	for (size_t i = 0; i < machine->calls.len; i++)
		call_release(&machine->calls.at[i]);
	for (size_t i = 0; i < machine->delayed.len; i++)
		message_release(&machine->delayed.at[i].message);
	for (size_t i = machine->queue.head; i < machine->queue.len; i++)
		event_release(&machine->queue.at[i].event);
	for (size_t i = machine->sessions.len; i-- > 0;)
		session_free(machine->sessions.at[i]);
	for (size_t i = 0; i < machine->content_charts.len; i++) {
		chart_unref(machine->content_charts.at[i].chart);
		chart_unref(machine->content_charts.at[i].parent);
	}
	free(machine->calls.at);
	free(machine->delayed.at);
	free(machine->queue.at);
	free(machine->sessions.at);
	free(machine->content_charts.at);
	free(machine->ready.at);
	free(machine->last_event);
	free(machine->http_location);
	free(machine->run_id);
	chart_unref(machine->chart);
	free(machine);
}

bool machine_is_done(const struct machine *machine)
{
	return machine->sessions.at[0]->is_done;
}

bool machine_has_queued(const struct machine *machine)
{
	return machine->queue.head < machine->queue.len;
}

size_t machine_queue_length(const struct machine *machine)
{
	return machine->queue.len - machine->queue.head;
}

int64_t machine_next_due(const struct machine *machine, uint64_t *number)
{
	if (machine->delayed.len == 0)
		return INT64_MAX;
	if (number)
		*number = machine->delayed.at[0].number;
	return machine->delayed.at[0].due_ms;
}

bool machine_wants(const struct machine *machine, uint64_t number)
{
	return call_find(machine, number) != NULL;
}

bool machine_listens(const struct machine *machine, const char *event_name)
{
	const struct session *root = machine->sessions.at[0];
	const struct chart *chart = root->chart;
	for (size_t i = 0; root->is_running && i < root->config.len; i++) {
		const struct chart_state *state = &chart->states[root->config.at[i]];
		for (size_t k = 0; k < state->transition_count; k++) {
			if (name_match(&chart->transitions[state->first_transition + (int32_t)k],
			               event_name))
				return true;
		}
	}
	return false;
}

json_t *machine_states(const struct machine *machine, bool atomic_only)
{
	const struct session *root = machine->sessions.at[0];
	json_t *ret = json_array();
	for (size_t i = 0; i < root->config.len; i++) {
		const struct chart_state *state = &root->chart->states[root->config.at[i]];
		if (!atomic_only || is_atomic(state))
			json_push(ret, json_string(state->id));
	}
	return ret;
}

json_t *machine_data(const struct machine *machine)
{
	const struct session *root = machine->sessions.at[0];
	return root->ops->snapshot(root->dm);
}

const struct chart *machine_chart(const struct machine *machine)
{
	return machine->chart;
}
