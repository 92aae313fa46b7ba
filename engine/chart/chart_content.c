/* SPDX-License-Identifier: MIT */
/*
 * Executable content, payloads, data and invocations: raw tree to tables.
 * Every expression and every inline text gets one number from the same
 * counter, in the order of the document.
 */
#include <string.h>

#include "base/limits.h"
#include "chart/chart_int.h"

static struct arena *arena_of(struct compile *c)
{
	return &c->chart->own->arena;
}

static const char *text_of(struct compile *c, const struct xml_node *node, const char *name)
{
	const struct xml_attr *attr = node_attr(node, name);
	return attr ? arena_dup_str(arena_of(c), attr->value) : NULL;
}

/* Names that people and other systems see must be what they look like (RELIABILITY row 11). */
static const char *plain_text_of(struct compile *c, const struct xml_node *node, const char *name)
{
	const struct xml_attr *attr = node_attr(node, name);
	if (attr && text_has_bidi(attr->value))
		compile_error(c, "xml.bidi", attr->at, "remove it",
		              "the %s of this <%s> contains a character that changes the direction "
		              "of text",
		              name, node->name);
	return text_of(c, node, name);
}

struct chart_expr content_expr(struct compile *c, const struct xml_attr *attr)
{
	if (!attr)
		return (struct chart_expr){ 0 };
	return (struct chart_expr){
		.text = arena_dup_str(arena_of(c), attr->value),
		.id = c->chart->expr_count++,
		.at = attr->at,
	};
}

static struct chart_expr expr_of(struct compile *c, const struct xml_node *node, const char *name)
{
	return content_expr(c, node_attr(node, name));
}

static struct chart_value value_of(struct compile *c, const struct xml_node *node, const char *name,
                                   const char *twin)
{
	return (struct chart_value){ plain_text_of(c, node, name), expr_of(c, node, twin) };
}

static size_t count_children(const struct xml_node *node, uint64_t kinds)
{
	size_t count = 0;
	for (const struct xml_node *child = node->first; child; child = child->next)
		count += !child->is_refused && ((kinds >> child->kind) & 1);
	return count;
}

/* Reads the file that src names; NULL when that was refused. */
static const char *read_src(struct compile *c, const struct xml_node *node,
                            const struct xml_attr *src)
{
	const char *name;
	struct err err = { 0 };
	if (chart_src_path(src->value, &name, &err) < 0) {
		compile_error(c, "scxml.foreign_src", src->at, err.hint, "<%s>: %s", node->name,
		              err.text);
		return NULL;
	}
	struct buf text;
	buf_init(&text, LIMIT_GRAPH_BYTES);
	int got = c->folder
	                  ? c->folder->read(c->folder->ctx, name, &text, &err)
	                  : err_set(&err, ERR_ABSENT, "this graph stands alone, without a folder");
	const char *ret = NULL;
	if (got < 0)
		compile_error(c, "scxml.src_absent", src->at, "put the file beside the graph",
		              "<%s> cannot read '%.200s': %s", node->name, name, err.text);
	else if (!str_is_utf8(buf_str(&text)) ||
	         memchr(text.bytes ? text.bytes : "", '\0', text.len))
		compile_error(c, "scxml.src_absent", src->at, "save the file as UTF-8",
		              "<%s>: '%.200s' is not text in UTF-8", node->name, name);
	else
		ret = arena_dup(arena_of(c), text.bytes, text.len);
	buf_release(&text);
	return ret;
}

/* <script>: its text, or its file. */
static struct chart_expr script_code(struct compile *c, const struct xml_node *node)
{
	const struct xml_attr *src = node_attr(node, "src");
	struct chart_expr code = { .id = c->chart->expr_count++,
		                   .at = src ? src->at : node->text_at };
	code.text = src ? read_src(c, node, src) : arena_dup_str(arena_of(c), node->text);
	if (!code.text)
		code.text = "";
	return code;
}

struct chart_data content_data(struct compile *c, const struct xml_node *node)
{
	const struct xml_attr *src = node_attr(node, "src");
	struct chart_data data = {
		.id = plain_text_of(c, node, "id"),
		.expr = expr_of(c, node, "expr"),
		.is_search = read_truth(c, node_gw(node, "search")),
		.is_exclusive = read_truth(c, node_gw(node, "exclusive")),
		.at = node->at,
	};
	if (src) {
		data.text = read_src(c, node, src);
		data.is_xml = data.text && str_ends(src->value, ".xml");
	} else if (node->xml) {
		data.text = arena_dup_str(arena_of(c), node->xml);
		data.is_xml = true;
	} else if (node->text && !is_blank(node->text)) {
		data.text = arena_dup_str(arena_of(c), node->text);
	}
	if (data.text)
		data.text_id = c->chart->expr_count++;
	return data;
}

static struct chart_content content_of(struct compile *c, const struct xml_node *node)
{
	struct chart_content content = { .present = true,
		                         .expr = expr_of(c, node, "expr"),
		                         .at = node->at };
	if (content.expr.text)
		return content;
	content.is_xml = node->xml != NULL;
	content.text = arena_dup_str(arena_of(c), node->xml ? node->xml : node->text);
	content.id = c->chart->expr_count++;
	content.at = node->text_at;
	return content;
}

static struct chart_param param_of(struct compile *c, const struct xml_node *node)
{
	const struct xml_attr *location = node_attr(node, "location"),
			      *render = node_gw(node, "render");
	struct chart_param param = {
		.name = plain_text_of(c, node, "name"),
		.expr = content_expr(c, location ? location : node_attr(node, "expr")),
		.is_location = location != NULL,
		.at = node->at,
	};
	if (render) {
		const char *path;
		struct err err = { 0 };
		if (chart_src_path(render->value, &path, &err) < 0)
			compile_error(c, "scxml.foreign_src", render->at, err.hint, "gw:render: %s",
			              err.text);
		else
			param.render = arena_dup_str(arena_of(c), path);
	}
	return param;
}

struct chart_payload content_payload(struct compile *c, const struct xml_node *node)
{
	struct chart_payload ret = { 0 };
	const struct xml_attr *list = node_attr(node, "namelist");
	if (list) {
		const char *const *names = split_words(arena_of(c), list->value, &ret.name_count);
		struct chart_expr *at = arena_alloc(arena_of(c),
		                                    (ret.name_count + 1) * sizeof(*at));
		for (size_t i = 0; i < ret.name_count; i++)
			at[i] = (struct chart_expr){ names[i], c->chart->expr_count++, list->at };
		ret.names = at;
	}
	size_t params = count_children(node, UINT64_C(1) << EL_PARAM);
	struct chart_param *param = arena_alloc(arena_of(c), (params + 1) * sizeof(*param));
	for (const struct xml_node *child = node->first; child; child = child->next) {
		if (child->is_refused)
			continue;
		if (child->kind == EL_PARAM)
			param[ret.param_count++] = param_of(c, child);
		else if (child->kind == EL_CONTENT && !ret.content.present)
			ret.content = content_of(c, child);
	}
	ret.params = param;
	return ret;
}

static struct chart_send send_of(struct compile *c, const struct xml_node *node)
{
	return (struct chart_send){
		.event = value_of(c, node, "event", "eventexpr"),
		.target = value_of(c, node, "target", "targetexpr"),
		.type = value_of(c, node, "type", "typeexpr"),
		.delay = value_of(c, node, "delay", "delayexpr"),
		.id = plain_text_of(c, node, "id"),
		.idlocation = expr_of(c, node, "idlocation"),
		.payload = content_payload(c, node),
		.dispatch = content_dispatch(c, node),
	};
}

static bool is_action(enum element kind)
{
	return kind >= EL_RAISE && kind <= EL_CANCEL && kind != EL_ELSEIF && kind != EL_ELSE;
}

static struct chart_op op_of(struct compile *c, const struct xml_node *node);

/* The actions from first up to (not including) end. */
static struct chart_block block_of(struct compile *c, const struct xml_node *first,
                                   const struct xml_node *end, struct chart_place at)
{
	size_t count = 0;
	for (const struct xml_node *node = first; node != end; node = node->next)
		count += !node->is_refused && is_action(node->kind);
	struct chart_op *ops = arena_alloc(arena_of(c), (count + 1) * sizeof(*ops));
	size_t filled = 0;
	for (const struct xml_node *node = first; node != end; node = node->next)
		if (!node->is_refused && is_action(node->kind))
			ops[filled++] = op_of(c, node);
	return (struct chart_block){ ops, count, at };
}

struct chart_block content_block(struct compile *c, const struct xml_node *node)
{
	return block_of(c, node->first, NULL, node->at);
}

static bool is_branch(const struct xml_node *node)
{
	return !node->is_refused && (node->kind == EL_ELSEIF || node->kind == EL_ELSE);
}

/* <if> itself is the first branch; each <elseif> and <else> begins another. */
static void read_branches(struct compile *c, const struct xml_node *node, struct chart_op *op)
{
	size_t count = 1 + count_children(node, UINT64_C(1) << EL_ELSEIF | UINT64_C(1) << EL_ELSE);
	struct chart_branch *branches = arena_alloc(arena_of(c), count * sizeof(*branches));
	const struct xml_node *head = node, *first = node->first;
	for (size_t i = 0; i < count; i++) {
		const struct xml_node *end = first;
		while (end && !is_branch(end))
			end = end->next;
		branches[i].cond = expr_of(c, head, "cond");
		branches[i].block = block_of(c, first, end, head->at);
		head = end;
		first = end ? end->next : NULL;
	}
	op->choice.branches = branches;
	op->choice.count = count;
}

static void read_assign(struct compile *c, const struct xml_node *node, struct chart_op *op)
{
	op->assign.location = expr_of(c, node, "location");
	op->assign.expr = expr_of(c, node, "expr");
	if (op->assign.expr.text)
		return;
	op->assign.is_xml = node->xml != NULL;
	op->assign.text = arena_dup_str(arena_of(c), node->xml ? node->xml : node->text);
	op->assign.text_id = c->chart->expr_count++;
}

static void read_op(struct compile *c, const struct xml_node *node, struct chart_op *op)
{
	switch (op->kind) {
	case OP_RAISE: op->raise.event = plain_text_of(c, node, "event"); return;
	case OP_IF: read_branches(c, node, op); return;
	case OP_FOREACH:
		op->foreach.array = expr_of(c, node, "array");
		op->foreach.item = expr_of(c, node, "item");
		op->foreach.index = expr_of(c, node, "index");
		op->foreach.block = content_block(c, node);
		return;
	case OP_LOG:
		op->log.label = text_of(c, node, "label");
		op->log.expr = expr_of(c, node, "expr");
		return;
	case OP_ASSIGN: read_assign(c, node, op); return;
	case OP_SCRIPT: op->script.code = script_code(c, node); return;
	case OP_SEND: op->send = send_of(c, node); return;
	case OP_CANCEL: op->cancel.sendid = value_of(c, node, "sendid", "sendidexpr"); return;
	}
}

static struct chart_op op_of(struct compile *c, const struct xml_node *node)
{
	static const unsigned char kinds[EL_UNKNOWN] = {
		[EL_RAISE] = OP_RAISE, [EL_IF] = OP_IF,         [EL_FOREACH] = OP_FOREACH,
		[EL_LOG] = OP_LOG,     [EL_ASSIGN] = OP_ASSIGN, [EL_SCRIPT] = OP_SCRIPT,
		[EL_SEND] = OP_SEND,   [EL_CANCEL] = OP_CANCEL,
	};
	struct chart_op op = { .kind = (enum chart_op_kind)kinds[node->kind], .at = node->at };
	read_op(c, node, &op);
	return op;
}

struct chart_invoke content_invoke(struct compile *c, const struct xml_node *node, int32_t state)
{
	struct chart_invoke ret = {
		.state = state,
		.id = plain_text_of(c, node, "id"),
		.idlocation = expr_of(c, node, "idlocation"),
		.type = value_of(c, node, "type", "typeexpr"),
		.src = value_of(c, node, "src", "srcexpr"),
		.payload = content_payload(c, node),
		.is_autoforward = read_truth(c, node_attr(node, "autoforward")),
		.dispatch = content_dispatch(c, node),
		.at = node->at,
	};
	for (const struct xml_node *child = node->first; child; child = child->next) {
		if (child->is_refused || child->kind != EL_FINALIZE)
			continue;
		ret.has_finalize = true;
		ret.finalize = content_block(c, child);
	}
	const char *path;
	struct err err = { 0 };
	if (ret.src.text && !ret.type.expr.text && chart_is_scxml_type(ret.type.text) &&
	    chart_src_path(ret.src.text, &path, &err) < 0)
		compile_error(c, "scxml.foreign_src", node_attr(node, "src")->at, err.hint,
		              "<invoke>: %s", err.text);
	return ret;
}
