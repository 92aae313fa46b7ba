/* SPDX-License-Identifier: MIT */
/*
 * Raw tree to tables.  States are numbered in document order, then each
 * state's own transitions are laid out side by side, then the initial and
 * default transitions that belong to no state's list.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/must.h"
#include "chart/chart_int.h"

struct build {
	struct compile *c;
	struct arena *arena;
	struct chart_int *own;
	struct chart_state *states;
	const struct xml_node **nodes; /* of the states */
	int32_t count;
	VEC(struct chart_transition) transitions;
	VEC(const char *) names; /* of the author's state ids, for "did you mean" */
};

static bool is_state(const struct xml_node *node)
{
	return !node->is_refused && node->kind >= EL_SCXML && node->kind <= EL_HISTORY;
}

static size_t count_states(const struct xml_node *node)
{
	size_t count = 1;
	for (const struct xml_node *child = node->first; child; child = child->next)
		if (is_state(child))
			count += count_states(child);
	return count;
}

static enum chart_state_kind kind_of(const struct xml_node *node, size_t child_count)
{
	switch ((int)node->kind) {
	case EL_SCXML: return STATE_ROOT;
	case EL_PARALLEL: return STATE_PARALLEL;
	case EL_FINAL: return STATE_FINAL;
	case EL_HISTORY: return STATE_HISTORY;
	default: return child_count > 0 ? STATE_COMPOUND : STATE_ATOMIC;
	}
}

static int32_t number_states(struct build *b, const struct xml_node *node, int32_t parent)
{
	int32_t index = b->count++;
	struct chart_state *state = &b->states[index];
	b->nodes[index] = node;
	state->parent = parent;
	state->depth = parent == CHART_NONE ? 0 : b->states[parent].depth + 1;
	state->at = node->at;
	state->initial = CHART_NONE;
	size_t children = 0, histories = 0;
	for (const struct xml_node *child = node->first; child; child = child->next)
		if (is_state(child))
			*(child->kind == EL_HISTORY ? &histories : &children) += 1;
	int32_t *child_at = arena_alloc(b->arena, (children + histories + 1) * sizeof(*child_at));
	int32_t *history_at = child_at + children;
	state->children = child_at;
	state->histories = history_at;
	for (const struct xml_node *child = node->first; child; child = child->next) {
		if (!is_state(child))
			continue;
		int32_t at = number_states(b, child, index);
		if (child->kind == EL_HISTORY)
			history_at[state->history_count++] = at;
		else
			child_at[state->child_count++] = at;
	}
	state->last = b->count - 1;
	state->kind = kind_of(node, state->child_count);
	return index;
}

static void check_id(struct build *b, const struct xml_attr *id)
{
	if (id->value[0] == '\0' || strpbrk(id->value, " \t\r\n"))
		compile_error(b->c, "scxml.bad_id", id->at, "write a name without blanks",
		              "'%.80s' cannot be an id", id->value);
	if (text_has_bidi(id->value))
		compile_error(b->c, "xml.bidi", id->at, "remove it",
		              "this id contains a character that changes the direction of text");
}

static void name_states(struct build *b)
{
	for (int32_t i = 0; i < b->count; i++) {
		const struct xml_attr *id = i > 0 ? node_attr(b->nodes[i], "id") : NULL;
		if (!id)
			continue;
		check_id(b, id);
		b->states[i].id = arena_dup_str(b->arena, id->value);
		b->states[i].has_id = true;
		const struct chart_state *first = map_get(&b->own->ids, id->value);
		if (first) {
			compile_error(b->c, "scxml.duplicate_id", id->at,
			              "give one of them another id",
			              "the id '%.80s' is taken by the <%s> of line %u", id->value,
			              b->nodes[first - b->states]->name, first->at.line);
			continue;
		}
		map_set(&b->own->ids, id->value, &b->states[i]);
		*vec_add(&b->names) = b->states[i].id;
	}
}

/* States without an id get one that no author has given. */
static void name_others(struct build *b)
{
	for (int32_t i = 0; i < b->count; i++) {
		if (b->states[i].has_id)
			continue;
		const char *id = arena_format(b->arena, "_state.%d", i);
		while (map_get(&b->own->ids, id))
			id = arena_format(b->arena, "%s_", id);
		b->states[i].id = id;
		map_set(&b->own->ids, id, &b->states[i]);
	}
}

static int by_index(const void *left, const void *right)
{
	int32_t a = *(const int32_t *)left, b = *(const int32_t *)right;
	return a < b ? -1 : a > b;
}

/* A history stands for some state below its parent: as a target it counts as the parent. */
static int32_t stands_for(const struct build *b, int32_t state)
{
	return b->states[state].kind == STATE_HISTORY ? b->states[state].parent : state;
}

/*
 * May both be active at once (SCXML 3.11)?  Yes when one contains the other or
 * the innermost state that contains both is a parallel.
 */
static bool can_coexist(const struct build *b, int32_t a, int32_t z)
{
	while (b->states[a].depth > b->states[z].depth)
		a = b->states[a].parent;
	while (b->states[z].depth > b->states[a].depth)
		z = b->states[z].parent;
	if (a == z)
		return true;
	while (b->states[a].parent != b->states[z].parent) {
		a = b->states[a].parent;
		z = b->states[z].parent;
	}
	return b->states[b->states[a].parent].kind == STATE_PARALLEL;
}

/* In document order the innermost common ancestors of neighbours are those of all pairs. */
static void check_target_set(struct build *b, const struct xml_attr *attr, const int32_t *targets,
                             size_t count)
{
	if (count < 2)
		return;
	int32_t *sorted = arena_alloc(&b->c->scratch, count * sizeof(*sorted));
	for (size_t i = 0; i < count; i++)
		sorted[i] = stands_for(b, targets[i]);
	qsort(sorted, count, sizeof(*sorted), by_index);
	for (size_t i = 1; i < count; i++) {
		if (can_coexist(b, sorted[i - 1], sorted[i]))
			continue;
		compile_error(b->c, "graph.illegal_target_set", attr->at,
		              "name states of different regions of one <parallel>, or only one of "
		              "the two",
		              "'%.80s' and '%.80s' can never be active together",
		              b->states[sorted[i - 1]].id, b->states[sorted[i]].id);
		return;
	}
}

static void resolve_targets(struct build *b, const struct xml_attr *attr,
                            struct chart_transition *ret)
{
	size_t count;
	const char *const *words = split_words(&b->c->scratch, attr->value, &count);
	int32_t *targets = arena_alloc(b->arena, (count + 1) * sizeof(*targets));
	if (text_has_bidi(attr->value))
		compile_error(b->c, "xml.bidi", attr->at, "remove it",
		              "the %s contains a character that changes the direction of text",
		              attr->name);
	struct map seen;
	map_init(&seen);
	for (size_t i = 0; i < count; i++) {
		const struct chart_state *state = map_get(&b->own->ids, words[i]);
		if (!state) {
			compile_error(b->c, "graph.unknown_target", attr->at,
			              compile_nearest(b->c, words[i], b->names.at, b->names.len),
			              "there is no state '%.80s'", words[i]);
			continue;
		}
		if (!map_get(&seen, words[i]))
			targets[ret->target_count++] = (int32_t)(state - b->states);
		map_set(&seen, words[i], &b->states[0]);
	}
	map_release(&seen);
	ret->targets = targets;
	check_target_set(b, attr, targets, ret->target_count);
}

/* "a.b.*" and "a.b." say the same as "a.b" (SCXML 3.12.1). */
static void read_events(struct build *b, const struct xml_attr *attr, struct chart_transition *ret)
{
	if (text_has_bidi(attr->value))
		compile_error(b->c, "xml.bidi", attr->at, "remove it",
		              "the event contains a character that changes the direction of text");
	const char *const *words = split_words(b->arena, attr->value, &ret->event_count);
	const char **events = arena_alloc(b->arena, (ret->event_count + 1) * sizeof(*events));
	for (size_t i = 0; i < ret->event_count; i++) {
		size_t len = strlen(words[i]);
		if (len > 2 && strcmp(words[i] + len - 2, ".*") == 0)
			len -= 2;
		while (len > 1 && words[i][len - 1] == '.')
			len--;
		events[i] = arena_dup(b->arena, words[i], len);
	}
	ret->events = events;
}

static int32_t add_transition(struct build *b, struct chart_transition transition)
{
	transition.index = (int32_t)b->transitions.len;
	*vec_add(&b->transitions) = transition;
	return transition.index;
}

static int32_t read_transition(struct build *b, const struct xml_node *node, int32_t source)
{
	const struct xml_attr *event = node_attr(node, "event"),
			      *target = node_attr(node, "target");
	const struct xml_attr *type = node_attr(node, "type");
	struct chart_transition ret = {
		.source = source,
		.cond = content_expr(b->c, node_attr(node, "cond")),
		.is_internal = type && strcmp(type->value, "internal") == 0,
		.at = node->at,
	};
	if (event)
		read_events(b, event, &ret);
	if (target)
		resolve_targets(b, target, &ret);
	ret.block = content_block(b->c, node);
	return add_transition(b, ret);
}

static const struct xml_node *child_of(const struct xml_node *node, enum element kind)
{
	for (const struct xml_node *child = node->first; child; child = child->next)
		if (child->kind == kind && !child->is_refused)
			return child;
	return NULL;
}

static void check_below(struct build *b, int32_t transition, int32_t ancestor, const char *code,
                        struct chart_place at)
{
	const struct chart_transition *t = &b->transitions.at[transition];
	for (size_t i = 0; i < t->target_count; i++) {
		if (t->targets[i] > ancestor && t->targets[i] <= b->states[ancestor].last)
			continue;
		const struct chart_state *target = &b->states[t->targets[i]];
		compile_error(b->c, code, at, "name a state inside it",
		              "'%.80s' is not inside %s%.80s%s", target->id,
		              b->states[ancestor].has_id ? "'" : "this state",
		              b->states[ancestor].has_id ? b->states[ancestor].id : "",
		              b->states[ancestor].has_id ? "'" : "");
	}
}

/* The initial transition: <initial>, the attribute, or the first child in document order. */
static void read_initial(struct build *b, int32_t index)
{
	struct chart_state *state = &b->states[index];
	const struct xml_node *node = b->nodes[index], *element = child_of(node, EL_INITIAL);
	const struct xml_attr *attr = state->kind == STATE_PARALLEL ? NULL
	                                                            : node_attr(node, "initial");
	const struct xml_node *transition = element ? child_of(element, EL_TRANSITION) : NULL;
	if (element && attr)
		compile_error(b->c, "scxml.conflict", attr->at, "keep one of the two",
		              "this state has the attribute 'initial' and also <initial>");
	if ((element || attr) && state->kind == STATE_ATOMIC) {
		compile_error(b->c, "graph.initial_outside", attr ? attr->at : element->at,
		              "add the states inside it, or remove initial",
		              "a state without states inside it has no initial state");
		return;
	}
	if (state->kind != STATE_COMPOUND && state->kind != STATE_ROOT)
		return;
	if (transition) {
		state->initial = read_transition(b, transition, index);
		check_below(b, state->initial, index, "graph.initial_outside", transition->at);
		return;
	}
	struct chart_transition made = { .source = index, .at = attr ? attr->at : state->at };
	made.block.at = made.at;
	if (attr) {
		resolve_targets(b, attr, &made);
		if (is_blank(attr->value))
			compile_error(b->c, "scxml.empty_attribute", attr->at,
			              "name a state, or remove it",
			              "the attribute 'initial' is empty");
	} else if (state->child_count > 0) {
		made.targets = state->children;
		made.target_count = 1;
	}
	state->initial = add_transition(b, made);
	check_below(b, state->initial, index, "graph.initial_outside", made.at);
}

static void read_history(struct build *b, int32_t index)
{
	struct chart_state *state = &b->states[index];
	const struct xml_node *node = b->nodes[index], *transition = child_of(node, EL_TRANSITION);
	const struct xml_attr *type = node_attr(node, "type");
	state->is_deep = type && strcmp(type->value, "deep") == 0;
	if (type && !state->is_deep && strcmp(type->value, "shallow") != 0)
		compile_error(b->c, "scxml.bad_value", type->at, "write shallow or deep",
		              "a history cannot be of type '%.80s'", type->value);
	if (b->states[state->parent].child_count == 0)
		compile_error(b->c, "graph.history_outside", node->at, NULL,
		              "a history belongs to a state that has states inside it");
	if (!transition)
		return; /* reported by the rules */
	state->initial = read_transition(b, transition, index);
	check_below(b, state->initial, state->parent, "graph.history_outside", transition->at);
	/* Two histories that default to each other would have no end. */
	const struct chart_transition *t = &b->transitions.at[state->initial];
	for (size_t i = 0; i < t->target_count; i++)
		if (b->states[t->targets[i]].kind == STATE_HISTORY)
			compile_error(b->c, "scxml.history_transition", transition->at,
			              "name a state",
			              "the default of a history cannot be the history '%.80s'",
			              b->states[t->targets[i]].id);
}

static size_t count_kind(const struct xml_node *node, enum element kind)
{
	size_t count = 0;
	for (const struct xml_node *child = node->first; child; child = child->next)
		count += child->kind == kind && !child->is_refused;
	return count;
}

static const struct chart_block *read_blocks(struct build *b, const struct xml_node *node,
                                             enum element kind, size_t *ret_count)
{
	*ret_count = count_kind(node, kind);
	struct chart_block *blocks = arena_alloc(b->arena, (*ret_count + 1) * sizeof(*blocks));
	size_t filled = 0;
	for (const struct xml_node *child = node->first; child; child = child->next)
		if (child->kind == kind && !child->is_refused)
			blocks[filled++] = content_block(b->c, child);
	return blocks;
}

static void read_data(struct build *b, const struct xml_node *node, struct chart_state *state,
                      struct map *seen)
{
	for (const struct xml_node *model = node->first; model; model = model->next)
		if (model->kind == EL_DATAMODEL && !model->is_refused)
			state->data_count += count_kind(model, EL_DATA);
	struct chart_data *data = arena_alloc(b->arena, (state->data_count + 1) * sizeof(*data));
	size_t filled = 0;
	state->data = data;
	for (const struct xml_node *model = node->first; model; model = model->next) {
		if (model->kind != EL_DATAMODEL || model->is_refused)
			continue;
		for (const struct xml_node *child = model->first; child; child = child->next) {
			if (child->kind != EL_DATA || child->is_refused)
				continue;
			struct chart_data *datum = &data[filled++];
			*datum = content_data(b->c, child);
			if (!datum->id)
				datum->id = ""; /* reported as missing */
			const struct chart_data *first = map_get(seen, datum->id);
			if (first)
				compile_error(b->c, "scxml.duplicate_id", child->at,
				              "give one of them another id",
				              "the datum '%.80s' is declared in line %u already",
				              datum->id, first->at.line);
			else
				map_set(seen, datum->id, datum);
		}
	}
}

static const char *gw_text(struct build *b, const struct xml_node *node, const char *name)
{
	const struct xml_attr *attr = node_gw(node, name);
	return attr ? arena_dup_str(b->arena, attr->value) : NULL;
}

static void read_state(struct build *b, int32_t index, struct map *data_seen)
{
	struct chart_state *state = &b->states[index];
	const struct xml_node *node = b->nodes[index];
	state->title = gw_text(b, node, "title");
	state->note = gw_text(b, node, "note");
	read_data(b, node, state, data_seen);
	state->onentry = read_blocks(b, node, EL_ONENTRY, &state->onentry_count);
	state->onexit = read_blocks(b, node, EL_ONEXIT, &state->onexit_count);
	state->first_transition = (int32_t)b->transitions.len;
	struct chart_invoke *invokes =
		arena_alloc(b->arena, (count_kind(node, EL_INVOKE) + 1) * sizeof(*invokes));
	state->invokes = invokes;
	for (const struct xml_node *child = node->first; child; child = child->next) {
		if (child->is_refused)
			continue;
		if (child->kind == EL_TRANSITION && state->kind != STATE_HISTORY) {
			read_transition(b, child, index);
			state->transition_count++;
		} else if (child->kind == EL_INVOKE) {
			invokes[state->invoke_count++] = content_invoke(b->c, child, index);
		} else if (child->kind == EL_DONEDATA && !state->donedata.present) {
			state->donedata.present = true;
			state->donedata.at = child->at;
			state->donedata.payload = content_payload(b->c, child);
		}
	}
}

static void read_scripts(struct build *b, const struct xml_node *root)
{
	struct chart *chart = b->c->chart;
	chart->script_count = count_kind(root, EL_SCRIPT);
	struct chart_block *blocks = arena_alloc(b->arena,
	                                         (chart->script_count + 1) * sizeof(*blocks));
	size_t filled = 0;
	for (struct xml_node *child = root->first; child; child = child->next) {
		if (child->kind != EL_SCRIPT || child->is_refused)
			continue;
		struct xml_node alone = *child, holder = *root;
		alone.next = NULL;
		holder.first = &alone;
		holder.at = child->at;
		blocks[filled++] = content_block(b->c, &holder);
	}
	chart->scripts = blocks;
}

/* gw:allow="code code" gw:because="reason", on any element. */
static void read_allows(struct build *b, const struct xml_node *node)
{
	const struct xml_attr *allow = node_gw(node, "allow"), *because = node_gw(node, "because");
	if (allow) {
		struct chart_allow *ret = vec_add(&b->own->allows);
		ret->codes = split_words(b->arena, allow->value, &ret->code_count);
		ret->because = because && !is_blank(because->value)
		                       ? arena_dup_str(b->arena, because->value)
		                       : NULL;
		ret->begin = node->at;
		ret->end = node->end;
		if (!ret->because)
			compile_note(b->c, false, "gw.allow_without_reason", allow->at,
			             "add gw:because=\"...\"",
			             "gw:allow silences nothing without a reason");
	}
	for (const struct xml_node *child = node->first; child; child = child->next)
		read_allows(b, child);
}

/* The name of a graph: what it says, else its file without folder and extension. */
static const char *name_of(struct build *b, const struct xml_node *root)
{
	const struct xml_attr *name = node_attr(root, "name");
	if (name && !is_blank(name->value)) {
		if (text_has_bidi(name->value))
			compile_error(b->c, "xml.bidi", name->at, "remove it",
			              "the name contains a character that changes the direction of "
			              "text");
		return arena_dup_str(b->arena, name->value);
	}
	const char *slash = strrchr(b->c->file, '/'), *stem = slash ? slash + 1 : b->c->file;
	const char *dot = strrchr(stem, '.');
	return arena_dup(b->arena, stem, dot && dot > stem ? (size_t)(dot - stem) : strlen(stem));
}

/* A schema file of the folder, as a path. */
static const char *schema_of(struct build *b, const struct xml_node *root, const char *name)
{
	const struct xml_attr *attr = node_gw(root, name);
	const char *path = NULL;
	struct err err = { 0 };
	if (attr && chart_src_path(attr->value, &path, &err) < 0)
		compile_error(b->c, "scxml.foreign_src", attr->at, err.hint, "gw:%s: %s", name,
		              err.text);
	return arena_dup_str(b->arena, path);
}

static void read_root(struct build *b, const struct xml_node *root)
{
	struct chart *chart = b->c->chart;
	const struct xml_attr *model = node_attr(root, "datamodel"),
			      *binding = node_attr(root, "binding");
	chart->name = name_of(b, root);
	chart->datamodel = model && strcmp(model->value, "null") == 0 ? "null" : "lua";
	chart->is_binding_late = binding && strcmp(binding->value, "late") == 0;
	chart->on_error_block = node_gw(root, "on-error") != NULL;
	chart->input_schema = schema_of(b, root, "input");
	chart->output_schema = schema_of(b, root, "output");
	read_scripts(b, root);
}

void build_chart(struct compile *c, const struct xml_node *root)
{
	struct build b = { .c = c, .own = c->chart->own, .arena = &c->chart->own->arena };
	size_t count = count_states(root);
	b.states = arena_alloc(b.arena, count * sizeof(*b.states));
	b.nodes = arena_alloc(&c->scratch, count * sizeof(*b.nodes));
	number_states(&b, root, CHART_NONE);
	must((size_t)b.count == count);
	name_states(&b);
	read_root(&b, root);
	struct map data_seen;
	map_init(&data_seen);
	for (int32_t i = 0; i < b.count; i++)
		read_state(&b, i, &data_seen);
	map_release(&data_seen);
	for (int32_t i = 0; i < b.count; i++) {
		if (b.states[i].kind == STATE_HISTORY)
			read_history(&b, i);
		else
			read_initial(&b, i);
	}
	name_others(&b);
	read_allows(&b, root);
	size_t bytes = b.transitions.len * sizeof(*b.transitions.at);
	struct chart_transition *transitions = arena_alloc(b.arena, bytes + 1);
	if (bytes > 0)
		memcpy(transitions, b.transitions.at, bytes);
	c->chart->states = b.states;
	c->chart->state_count = b.count;
	c->chart->transitions = transitions;
	c->chart->transition_count = (int32_t)b.transitions.len;
	vec_release(&b.transitions);
	vec_release(&b.names);
}
