/* SPDX-License-Identifier: MIT */
/*
 * Invocations and sends: does what they name exist, do the parameters fit, is
 * a failure handled, is an answer waited for that nobody gives.
 *
 * Which transitions take a failure is asked by name: every descriptor that
 * begins with "error" (or is "*") is filed under its state, and an invocation
 * looks up its failure's name and the shorter forms of it in its ancestors.
 */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "chart/chart_int.h"

enum { NAMES_MAX = 256 };

struct named {
	const char *id;
	int32_t state;
	const struct chart_invoke *invoke; /* NULL: a send */
};

/* Sorted by id, then state. */
struct names {
	struct named *at;
	size_t len, size;
};

struct calls {
	struct checker *k;
	struct map handled;  /* "state descriptor" */
	struct map charts;   /* src of child charts that were looked at */
	struct names ids;    /* of invokes and sends */
	struct names wholes; /* of states that raise done.state */
	bool has_unnamed;    /* an invoke whose id is generated */
};

static const char *const builtin_invokes[] = { "rules", "template", "approval", "checklist",
	                                       "tasks" };

static bool is_one_of(const char *text, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(text, list[i]) == 0)
			return true;
	return false;
}

static bool is_builtin_invoke(const char *type)
{
	return is_one_of(type, builtin_invokes,
	                 sizeof(builtin_invokes) / sizeof(builtin_invokes[0]));
}

static bool is_scxml_send(const char *type)
{
	static const char *const types[] = { "scxml",
		                             "http://www.w3.org/TR/scxml/#SCXMLEventProcessor",
		                             "http://www.w3.org/TR/scxml",
		                             "http://www.w3.org/TR/scxml/" };
	return !type || is_one_of(type, types, sizeof(types) / sizeof(types[0]));
}

static bool is_builtin_send(const char *type)
{
	static const char *const types[] = {
		"basichttp", "gw:run", "http://www.w3.org/TR/scxml/#BasicHTTPEventProcessor"
	};
	return is_scxml_send(type) || is_one_of(type, types, sizeof(types) / sizeof(types[0]));
}

static const json_t *describe(const struct calls *q, const char *type, const char *action)
{
	const struct chart_world *world = q->k->world;
	return world->action ? world->action(world->ctx, type, action) : NULL;
}

static const char *nearest_name(struct calls *q, const char *type, const char *name)
{
	const struct chart_world *world = q->k->world;
	const char *names[NAMES_MAX];
	size_t count = world->names ? world->names(world->ctx, type, names, NAMES_MAX) : 0;
	return check_nearest(q->k, name, names, count < NAMES_MAX ? count : NAMES_MAX);
}

/* What plugin and action say of themselves; NULL when unknown: reported unless is_builtin. */
static const json_t *find_action(struct calls *q, const char *type, const char *action,
                                 bool is_builtin, struct chart_place at)
{
	if (!q->k->world->action)
		return NULL;
	if (!describe(q, type, NULL)) {
		if (!is_builtin)
			check_error(q->k, "invoke.unknown_plugin", at, nearest_name(q, NULL, type),
			            "there is no plugin '%.80s'", type);
		return NULL;
	}
	const json_t *found = action ? describe(q, type, action) : NULL;
	if (!found && !is_builtin && !action)
		check_error(q->k, "invoke.unknown_action", at, NULL,
		            "which action of '%.80s'? An <invoke> names it by src, a <send> by "
		            "event",
		            type);
	else if (!found && action)
		check_error(q->k, "invoke.unknown_action", at, nearest_name(q, type, action),
		            "'%.80s' has no '%.80s'", type, action);
	return found;
}

static void file_handlers(struct calls *q)
{
	const struct chart *chart = q->k->chart;
	for (int32_t i = 0; i < chart->transition_count; i++) {
		const struct chart_transition *t = &chart->transitions[i];
		for (size_t n = 0; n < t->event_count; n++)
			if (str_begins(t->events[n], "error") || strcmp(t->events[n], "*") == 0)
				map_set(&q->handled,
				        arena_format(&q->k->arena, "%d %s", t->source,
				                     t->events[n]),
				        q);
	}
}

static bool takes(const struct calls *q, int32_t state, const char *name)
{
	char *key = mem_format("%d *", state);
	bool ret = map_get(&q->handled, key) != NULL;
	free(key);
	key = mem_format("%d %s", state, name);
	for (char *end = key + strlen(key); end && !ret; end = strrchr(key, '.')) {
		*end = '\0';
		ret = map_get(&q->handled, key) != NULL;
	}
	free(key);
	return ret;
}

static bool is_handled(const struct calls *q, int32_t state, const char *name)
{
	for (; state != CHART_NONE; state = q->k->chart->states[state].parent)
		if (takes(q, state, name))
			return true;
	return false;
}

static void check_failure(struct calls *q, const struct chart_invoke *invoke)
{
	static const char *const kinds[] = { "error.communication", "error.execution" };
	const char *id = invoke->id ? invoke->id : q->k->chart->states[invoke->state].id;
	for (size_t i = 0; i < 2; i++) {
		const char *name = arena_format(&q->k->arena, "%s.%s", kinds[i], id);
		if (is_handled(q, invoke->state, name))
			continue;
		check_warn(q->k, "invoke.unhandled_failure", invoke->at,
		           arena_format(&q->k->arena, "add <transition event=\"%s\" ...>",
		                        invoke->id ? name : kinds[i]),
		           "when this call of '%.80s' fails, no transition takes %.120s",
		           invoke->type.text, invoke->id ? name : kinds[i]);
		return;
	}
}

static void check_file(struct calls *q, const char *name, const char *what, struct chart_place at)
{
	struct buf text;
	struct err err = { 0 };
	if (q->k->folder && check_read(q->k, name, &text, &err) < 0)
		check_error(q->k, "gw.absent_file", at, "put the file beside the graph",
		            "%s names '%.80s', which cannot be read: %s", what, name, err.text);
	if (q->k->folder)
		buf_release(&text);
}

static void check_renders(struct calls *q, const struct chart_payload *payload, bool is_scxml)
{
	for (size_t i = 0; i < payload->param_count; i++) {
		const struct chart_param *param = &payload->params[i];
		if (param->render && is_scxml)
			check_error(q->k, "gw.misplaced", param->at, "use expr",
			            "gw:render works for plugins only, and this goes to a chart");
		else if (param->render)
			check_file(q, param->render, "gw:render", param->at);
	}
}

/* Attributes of a dispatch where nothing is dispatched. */
static void check_dispatch(struct calls *q, const struct chart_dispatch *dispatch, const char *what,
                           struct chart_place at)
{
	const char *name = dispatch->each.text             ? "each"
	                   : dispatch->timeout_ms >= 0     ? "timeout"
	                   : dispatch->retries >= 0        ? "retries"
	                   : dispatch->backoff_min_ms >= 0 ? "backoff"
	                   : dispatch->connection          ? "connection"
	                                                   : NULL;
	if (name)
		check_warn(q->k, "gw.misplaced", at, "remove it",
		           "gw:%s means nothing here: %s calls no plugin", name, what);
}

/* Checks a chart that stands in <content>; its lines are lines of this file. */
static void check_inner(struct calls *q, const struct chart_content *content)
{
	struct chart_diags inner = { 0 };
	struct chart *chart = NULL;
	struct err err = { 0 };
	if (chart_new(str_of(content->text), q->k->chart->file, q->k->folder, &inner, &chart,
	              &err) == 0)
		chart_check(chart, q->k->folder, q->k->world, &inner);
	for (size_t i = 0; i < inner.len; i++) {
		const struct chart_diag *diag = &inner.at[i];
		struct chart_place at = diag->at;
		if (at.line == 1)
			at.column += content->at.column - 1;
		at.line += content->at.line - 1;
		(diag->is_error ? check_error : check_warn)(q->k, diag->code, at, diag->hint, "%s",
		                                            diag->text);
	}
	chart_unref(chart);
	chart_diags_release(&inner);
}

static void check_child(struct calls *q, const struct chart_invoke *invoke)
{
	check_dispatch(q, &invoke->dispatch, "an <invoke> of a chart", invoke->at);
	check_renders(q, &invoke->payload, true);
	const struct chart_content *content = &invoke->payload.content;
	if (content->present && content->is_xml) {
		check_inner(q, content);
		return;
	}
	const char *path;
	struct buf text;
	struct err err = { 0 };
	if (!invoke->src.text || !q->k->folder ||
	    chart_src_path(invoke->src.text, &path, &err) < 0 || map_get(&q->charts, path))
		return;
	map_set(&q->charts, path, q);
	struct chart *child = NULL;
	if (check_read(q->k, path, &text, &err) < 0)
		check_error(q->k, "gw.absent_file", invoke->at, "put the file beside the graph",
		            "<invoke> names the chart '%.80s', which cannot be read: %s", path,
		            err.text);
	else if (chart_new(buf_str(&text), path, q->k->folder, NULL, &child, &err) < 0)
		check_error(q->k, "invoke.broken_chart", invoke->at, err.hint[0] ? err.hint : NULL,
		            "the chart it names is refused: %s", err.text);
	chart_unref(child);
	buf_release(&text);
}

static void check_finalize(struct calls *q, const struct chart_block *block)
{
	for (size_t i = 0; i < block->count; i++) {
		const struct chart_op *op = &block->ops[i];
		if (op->kind == OP_SEND || op->kind == OP_RAISE)
			check_warn(q->k, "invoke.finalize_sends", op->at,
			           "move it into a transition",
			           "<finalize> only takes data over; it must not raise or send "
			           "events");
		for (size_t n = 0; op->kind == OP_IF && n < op->choice.count; n++)
			check_finalize(q, &op->choice.branches[n].block);
		if (op->kind == OP_FOREACH)
			check_finalize(q, &op->foreach.block);
	}
}

static void check_builtin(struct calls *q, const struct chart_invoke *invoke)
{
	const char *type = invoke->type.text;
	char *what = mem_format("an <invoke> of %s", type);
	check_dispatch(q, &invoke->dispatch, what, invoke->at);
	free(what);
	check_renders(q, &invoke->payload, false);
	bool wants_src = strcmp(type, "rules") == 0 || strcmp(type, "template") == 0;
	if (wants_src && !invoke->src.text && !invoke->src.expr.text)
		check_error(q->k, "invoke.unknown_action", invoke->at, "add src",
		            "an <invoke> of %s names by src what it works with", type);
	const char *path;
	struct err err = { 0 };
	if (strcmp(type, "template") == 0 && invoke->src.text) {
		if (chart_src_path(invoke->src.text, &path, &err) < 0)
			check_error(q->k, "gw.absent_file", invoke->at, err.hint, "template: %s",
			            err.text);
		else
			check_file(q, path, "this <invoke>", invoke->at);
	}
	if (invoke->src.expr.text)
		return;
	const json_t *action = find_action(q, type, invoke->src.text, true, invoke->at);
	check_params(q->k, &invoke->payload, action, type, invoke->at);
}

static void on_invoke(void *ctx, const struct chart_invoke *invoke)
{
	struct calls *q = ctx;
	check_finalize(q, &invoke->finalize);
	if (invoke->type.expr.text)
		return; /* known only when it runs */
	if (chart_is_scxml_type(invoke->type.text)) {
		check_child(q, invoke);
		return;
	}
	if (is_builtin_invoke(invoke->type.text)) {
		check_builtin(q, invoke);
		return;
	}
	check_renders(q, &invoke->payload, false);
	if (!invoke->dispatch.advisory)
		check_failure(q, invoke);
	if (invoke->src.expr.text)
		return;
	const json_t *action = find_action(q, invoke->type.text, invoke->src.text, false,
	                                   invoke->at);
	char *what = mem_format("%s.%s", invoke->type.text,
	                        invoke->src.text ? invoke->src.text : "");
	check_params(q->k, &invoke->payload, action, what, invoke->at);
	free(what);
}

static int by_id(const void *left, const void *right)
{
	const struct named *a = left, *b = right;
	int order = strcmp(a->id, b->id);
	if (order == 0)
		order = a->state < b->state ? -1 : a->state > b->state;
	return order;
}

static void sort_names(struct names *names)
{
	if (names->len > 1)
		qsort(names->at, names->len, sizeof(*names->at), by_id);
}

/* The first that is not before id. */
static size_t first_from(const struct names *names, const char *id)
{
	size_t low = 0, high = names->len;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (strcmp(names->at[middle].id, id) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Is this one of the ids, or the beginning of one up to a dot? */
static bool is_known_id(const struct names *names, const char *id)
{
	size_t at = first_from(names, id);
	if (at < names->len && strcmp(names->at[at].id, id) == 0)
		return true;
	char *prefix = mem_format("%s.", id);
	at = first_from(names, prefix);
	bool ret = at < names->len && str_begins(names->at[at].id, prefix);
	free(prefix);
	return ret;
}

static const char *nearest_id(struct calls *q, const struct names *names, const char *id)
{
	const char *list[NAMES_MAX];
	size_t count = 0;
	for (size_t i = 0; i < names->len && count < NAMES_MAX; i++)
		list[count++] = names->at[i].id;
	return check_nearest(q->k, id, list, count);
}

static void check_target(struct calls *q, const struct chart_send *send, struct chart_place at)
{
	const char *target = send->target.text;
	if (!target || !is_scxml_send(send->type.text) || send->type.expr.text)
		return;
	if (!str_begins(target, "#_")) {
		if (!strchr(target, ':') && !strchr(target, '/'))
			check_warn(q->k, "send.unknown_target", at,
			           "write #_internal, #_parent, #_<invokeid> or "
			           "#_scxml_<sessionid>",
			           "'%.80s' is no target for an event", target);
		return;
	}
	const char *id = target + 2;
	if (strcmp(id, "internal") == 0 || strcmp(id, "parent") == 0 || str_begins(id, "scxml_"))
		return;
	if (q->has_unnamed || is_known_id(&q->ids, id))
		return;
	check_warn(q->k, "send.unknown_target", at, "write #_internal, #_parent or #_<invokeid>",
	           "no <invoke> of this graph has the id '%.80s'", id);
}

static void check_delay(struct calls *q, const struct chart_send *send, struct chart_place at)
{
	int64_t ms = 0;
	struct err err = { 0 };
	if (send->delay.text && chart_parse_delay(send->delay.text, &ms, &err) < 0)
		check_error(q->k, "send.bad_delay", at, err.hint, "the delay %s", err.text);
	if (ms > 0 && send->target.text && strcmp(send->target.text, "#_internal") == 0)
		check_warn(q->k, "send.bad_delay", at, "remove the delay or the target",
		           "an event to the internal queue cannot be delayed");
}

static void on_op(void *ctx, int32_t state, const struct chart_op *op)
{
	struct calls *q = ctx;
	(void)state;
	if (op->kind != OP_SEND)
		return;
	const struct chart_send *send = &op->send;
	check_target(q, send, op->at);
	check_delay(q, send, op->at);
	bool is_builtin = is_builtin_send(send->type.text);
	check_renders(q, &send->payload, is_builtin && !send->type.expr.text);
	if (is_builtin || send->type.expr.text) {
		if (!send->type.expr.text)
			check_dispatch(q, &send->dispatch, "this <send>", op->at);
		bool wants_event = is_scxml_send(send->type.text) && !send->type.expr.text;
		if (wants_event && !send->event.text && !send->event.expr.text)
			check_warn(q->k, "send.no_event", op->at, "add event",
			           "this <send> has no event");
		return;
	}
	if (send->event.expr.text)
		return;
	const json_t *action = find_action(q, send->type.text, send->event.text, false, op->at);
	char *what = mem_format("%s.%s", send->type.text, send->event.text ? send->event.text : "");
	check_params(q->k, &send->payload, action, what, op->at);
	free(what);
}

static void collect_invoke(void *ctx, const struct chart_invoke *invoke)
{
	struct calls *q = ctx;
	if (invoke->id)
		*vec_add(&q->ids) = (struct named){ invoke->id, invoke->state, invoke };
	else
		q->has_unnamed = true;
}

static void collect_send(void *ctx, int32_t state, const struct chart_op *op)
{
	struct calls *q = ctx;
	if (op->kind == OP_SEND && op->send.id)
		*vec_add(&q->ids) = (struct named){ op->send.id, state, NULL };
}

/* Two invocations of one id at the same time could not be told apart. */
static void check_same_ids(struct calls *q)
{
	const struct named *last = NULL;
	for (size_t i = 0; i < q->ids.len; i++) {
		const struct named *one = &q->ids.at[i];
		if (!one->invoke)
			continue;
		if (last && strcmp(last->id, one->id) == 0 &&
		    (one->state == last->state ||
		     chart_is_descendant(q->k->chart, one->state, last->state) ||
		     tree_is_orthogonal(q->k->chart, last->state, one->state)))
			check_warn(q->k, "invoke.duplicate_id", one->invoke->at,
			           "give one of them another id",
			           "the <invoke> of line %u has the id '%.80s' too, and both can "
			           "be open at once",
			           last->invoke->at.line, one->id);
		last = one;
	}
}

/* "done.invoke.crmm" with nothing of that id is a slip of the pen. */
static void check_waited_id(struct calls *q, const struct chart_transition *t, const char *event)
{
	static const char *const prefixes[] = { "done.invoke.", "error.communication.",
		                                "error.execution." };
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		if (!str_begins(event, prefixes[i]) || q->has_unnamed)
			continue;
		const char *id = event + strlen(prefixes[i]);
		if (is_known_id(&q->ids, id))
			return;
		check_warn(q->k, "graph.unknown_event", t->at, nearest_id(q, &q->ids, id),
		           "'%.120s' never comes: nothing in this graph has the id '%.80s'", event,
		           id);
	}
	if (!str_begins(event, "done.state."))
		return;
	const char *id = event + strlen("done.state.");
	if (is_known_id(&q->wholes, id))
		return;
	if (chart_find(q->k->chart, id) != CHART_NONE)
		check_warn(q->k, "graph.unknown_event", t->at, NULL,
		           "'%.120s' never comes: '%.80s' has no state inside it", event, id);
	else
		check_warn(q->k, "graph.unknown_event", t->at, nearest_id(q, &q->wholes, id),
		           "'%.120s' never comes: there is no state '%.80s'", event, id);
}

static void check_waited(struct calls *q)
{
	const struct chart *chart = q->k->chart;
	for (int32_t i = 0; i < chart->transition_count; i++)
		for (size_t n = 0; n < chart->transitions[i].event_count; n++)
			check_waited_id(q, &chart->transitions[i], chart->transitions[i].events[n]);
}

void check_calls(struct checker *k)
{
	struct calls q = { .k = k };
	map_init(&q.handled);
	map_init(&q.charts);
	walk_chart(k->chart,
	           &(struct walker){ .ctx = &q, .op = collect_send, .invoke = collect_invoke });
	for (int32_t i = 1; i < k->chart->state_count; i++)
		if (k->chart->states[i].child_count > 0)
			*vec_add(&q.wholes) = (struct named){ k->chart->states[i].id, i, NULL };
	sort_names(&q.ids);
	sort_names(&q.wholes);
	file_handlers(&q);
	walk_chart(k->chart, &(struct walker){ .ctx = &q, .op = on_op, .invoke = on_invoke });
	check_same_ids(&q);
	check_waited(&q);
	map_release(&q.handled);
	map_release(&q.charts);
	vec_release(&q.ids);
	vec_release(&q.wholes);
}
