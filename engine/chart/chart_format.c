/* SPDX-License-Identifier: MIT */
/*
 * A graph laid out.  The author's line breaks, comments, order and quoting of
 * text stay; indentation, blanks and blank lines become regular.  Nothing that
 * the chart can see changes: what holds text keeps its bytes, but for the
 * indentation of its lines where no Lua string can reach over them.
 *
 * The text has passed the guard and the parser, so the tags nest; this reader
 * is careful all the same and copies what it does not understand.
 */
#include <string.h>

#include "base/limits.h"
#include "chart/chart_int.h"

enum { INDENT = 2, WIDTH = 120 };

enum node_kind { NODE_ELEMENT, NODE_TEXT, NODE_OTHER }; /* OTHER: comments, instructions */

struct attr {
	struct attr *next;
	struct str name, value; /* value without its quotes */
	char quote;
	bool has_break; /* the author began a line with it */
};

struct node {
	struct node *next, *first, *last;
	enum node_kind kind;
	struct str raw;     /* TEXT, OTHER; of an element its content */
	struct str margin;  /* blanks at the beginning of the line it stands in */
	size_t breaks;      /* newlines before it */
	size_t blanks;      /* else blanks before it */
	struct str name;    /* ELEMENT */
	struct attr *attrs; /* in order */
	bool is_block;      /* only elements and comments inside */
	bool is_flat;       /* one line, as the author wrote it */
	size_t width;       /* of that line */
};

struct layout {
	struct arena arena;
	const char *at, *end, *line; /* line: where the current one begins */
	struct str prefix;           /* of the root element's name, with its colon */
	struct buf *out;
	size_t column, lines; /* lines: how many were ended */
};

/* --- reading ------------------------------------------------------------------------------- */

static bool is_blank_byte(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool begins(const struct layout *l, const char *text)
{
	size_t len = strlen(text);
	return (size_t)(l->end - l->at) >= len && memcmp(l->at, text, len) == 0;
}

/* Goes on to `to`, minding where lines begin. */
static void go(struct layout *l, const char *to)
{
	for (; l->at < to; l->at++) {
		if (*l->at == '\n')
			l->line = l->at + 1;
	}
}

/* Past the text, or to the end. */
static void go_past(struct layout *l, const char *text)
{
	const char *found = memmem(l->at, (size_t)(l->end - l->at), text, strlen(text));
	go(l, found ? found + strlen(text) : l->end);
}

static struct str margin_of(const struct layout *l)
{
	struct str ret = { l->line, 0 };
	while (l->line + ret.len < l->at && (ret.ptr[ret.len] == ' ' || ret.ptr[ret.len] == '\t'))
		ret.len++;
	return ret;
}

static struct node *node_new(struct layout *l, enum node_kind kind)
{
	struct node *ret = arena_alloc(&l->arena, sizeof(*ret));
	*ret = (struct node){ .kind = kind, .margin = margin_of(l) };
	return ret;
}

static void node_add(struct node *parent, struct node *node)
{
	if (parent->last)
		parent->last->next = node;
	else
		parent->first = node;
	parent->last = node;
}

static struct str name_at(struct layout *l)
{
	struct str ret = { l->at, 0 };
	while (l->at < l->end && !is_blank_byte(*l->at) && !strchr("=/><", *l->at))
		go(l, l->at + 1);
	ret.len = (size_t)(l->at - ret.ptr);
	return ret;
}

/* Answers whether a line began. */
static bool skip_blanks(struct layout *l)
{
	const char *line = l->line;
	while (l->at < l->end && is_blank_byte(*l->at))
		go(l, l->at + 1);
	return l->line != line;
}

static struct attr *attr_at(struct layout *l, bool has_break)
{
	struct attr *ret = arena_alloc(&l->arena, sizeof(*ret));
	*ret = (struct attr){ .name = name_at(l), .quote = '"', .has_break = has_break };
	skip_blanks(l);
	if (!begins(l, "="))
		return ret;
	go(l, l->at + 1);
	skip_blanks(l);
	if (l->at == l->end)
		return ret;
	ret->quote = *l->at;
	go(l, l->at + 1);
	ret->value.ptr = l->at;
	const char *close = memchr(l->at, ret->quote, (size_t)(l->end - l->at));
	go(l, close ? close : l->end);
	ret->value.len = (size_t)(l->at - ret->value.ptr);
	go(l, l->at < l->end ? l->at + 1 : l->end);
	if (ret->quote == '\'' && !memchr(ret->value.ptr, '"', ret->value.len))
		ret->quote = '"';
	return ret;
}

static void read_children(struct layout *l, struct node *parent, int depth);

static void read_attrs(struct layout *l, struct node *node)
{
	struct attr **last = &node->attrs;
	while (l->at < l->end) {
		bool has_break = skip_blanks(l);
		const char *before = l->at;
		if (l->at == l->end || *l->at == '>' || *l->at == '/')
			return;
		*last = attr_at(l, has_break);
		last = &(*last)->next;
		if (l->at == before)
			go(l, l->at + 1); /* no name: never in what the parser took */
	}
}

static struct node *read_element(struct layout *l, int depth)
{
	struct node *ret = node_new(l, NODE_ELEMENT);
	go(l, l->at + 1);
	ret->name = name_at(l);
	read_attrs(l, ret);
	ret->raw.ptr = l->at;
	if (begins(l, "/")) {
		go_past(l, ">");
		return ret;
	}
	go_past(l, ">");
	ret->raw.ptr = l->at;
	read_children(l, ret, depth + 1);
	ret->raw.len = (size_t)(l->at - ret->raw.ptr);
	go_past(l, ">");
	return ret;
}

static void read_other(struct layout *l, struct node *node)
{
	const char *end = begins(l, "<!--") ? "-->" : "?>";
	go_past(l, *end == '-' ? "<!--" : "<?"); /* "<!-->" does not end itself */
	go_past(l, end);
	node->raw.len = (size_t)(l->at - node->raw.ptr);
}

/* Characters and CDATA, up to the next tag or comment. */
static void read_text(struct layout *l, struct node *node)
{
	while (l->at < l->end && (*l->at != '<' || begins(l, "<![CDATA["))) {
		if (*l->at == '<')
			go_past(l, "]]>");
		else
			go(l, l->at + 1);
	}
	node->raw.len = (size_t)(l->at - node->raw.ptr);
}

/* Stops before an end tag.  Blanks alone are no node; the next one knows of them. */
static void read_children(struct layout *l, struct node *parent, int depth)
{
	size_t breaks = 0, blanks = 0;
	while (l->at < l->end && !begins(l, "</") && depth <= LIMIT_GRAPH_DEPTH + 1) {
		struct node *node;
		if (*l->at == '<' && !begins(l, "<!") && !begins(l, "<?")) {
			node = read_element(l, depth);
		} else if (begins(l, "<!--") || begins(l, "<?")) {
			node = node_new(l, NODE_OTHER);
			node->raw.ptr = l->at;
			read_other(l, node);
		} else {
			node = node_new(l, NODE_TEXT);
			node->raw.ptr = l->at;
			read_text(l, node);
			breaks = blanks = 0;
			bool is_empty = true;
			for (size_t i = 0; i < node->raw.len; i++) {
				is_empty &= is_blank_byte(node->raw.ptr[i]);
				breaks += node->raw.ptr[i] == '\n';
				blanks += node->raw.ptr[i] == ' ' || node->raw.ptr[i] == '\t';
			}
			if (is_empty)
				continue;
		}
		node->breaks = breaks;
		node->blanks = blanks;
		node_add(parent, node);
		breaks = blanks = 0;
	}
}

/* --- what may be laid out -------------------------------------------------------------------- */

/* Elements in which blanks between children mean nothing. */
static bool is_container(struct str name)
{
	static const char *const names[] = {
		"scxml",      "state",   "parallel", "final",     "history",  "initial",
		"transition", "onentry", "onexit",   "datamodel", "donedata", "invoke",
		"finalize",   "if",      "elseif",   "else",      "foreach",  "send",
		"raise",      "log",     "cancel",   "param",
	};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (str_is(name, names[i]))
			return true;
	return false;
}

static struct str local_name(const struct layout *l, struct str name)
{
	if (name.len > l->prefix.len && memcmp(name.ptr, l->prefix.ptr, l->prefix.len) == 0)
		return (struct str){ name.ptr + l->prefix.len, name.len - l->prefix.len };
	return name;
}

static bool has_text(const struct node *node)
{
	for (const struct node *child = node->first; child; child = child->next)
		if (child->kind == NODE_TEXT)
			return true;
	return false;
}

/* The content of an invoke is a graph too. */
static bool is_inner_graph(const struct layout *l, const struct node *node)
{
	const struct node *first = node->first;
	while (first && first->kind == NODE_OTHER)
		first = first->next;
	return str_is(local_name(l, node->name), "content") && first && !first->next &&
	       first->kind == NODE_ELEMENT && str_is(local_name(l, first->name), "scxml");
}

static size_t columns(struct str text)
{
	size_t ret = 0;
	for (size_t i = 0; i < text.len; i++)
		ret += ((unsigned char)text.ptr[i] & 0xC0) != 0x80;
	return ret;
}

static bool has_line(struct str text)
{
	return memchr(text.ptr ? text.ptr : "", '\n', text.len) != NULL;
}

/* "<name a="b">" or "/>" on one line; 0: it has more than one. */
static size_t tag_width(const struct node *node)
{
	size_t ret = 1 + columns(node->name) + 2;
	for (const struct attr *a = node->attrs; a; a = a->next) {
		if (a->has_break || has_line(a->value))
			return 0;
		ret += 1 + columns(a->name) + 3 + columns(a->value);
	}
	return ret;
}

static size_t gap(const struct node *node)
{
	if (node->kind == NODE_OTHER)
		return node->blanks; /* comments may stand in a column */
	return node->blanks > 0;
}

/* From the leaves up: is it a block, is it one line, and how wide. */
static void measure(const struct layout *l, struct node *node, bool is_opaque)
{
	if (node->kind != NODE_ELEMENT) {
		node->is_flat = !has_line(node->raw);
		node->width = columns(node->raw);
		return;
	}
	bool is_inside = is_opaque ||
	                 !(is_container(local_name(l, node->name)) || is_inner_graph(l, node));
	node->is_block = !is_inside && !has_text(node);
	node->is_flat = !has_line(node->raw);
	node->width = tag_width(node);
	node->is_flat &= node->width > 0;
	if (!node->is_block) {
		node->width += node->raw.len ? columns(node->raw) + 2 + columns(node->name) : 0;
		return;
	}
	size_t inner = 0;
	for (struct node *child = node->first; child; child = child->next) {
		measure(l, child, is_inside);
		node->is_flat &= child->is_flat && child->breaks == 0;
		inner += child->width + (child == node->first ? 0 : gap(child));
	}
	if (node->first)
		node->width += inner + 2 + columns(node->name);
}

/* --- writing ---------------------------------------------------------------------------------- */

static void put(struct layout *l, struct str text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '\r' && i + 1 < text.len && text.ptr[i + 1] == '\n')
			continue;
		l->lines += text.ptr[i] == '\n';
		buf_put_byte(l->out, text.ptr[i]);
	}
	const char *line = text.len ? memrchr(text.ptr, '\n', text.len) : NULL;
	if (line)
		l->column =
			columns((struct str){ line + 1, (size_t)(text.ptr + text.len - line) - 1 });
	else
		l->column += columns(text);
}

static void put_text(struct layout *l, const char *text)
{
	put(l, str_of(text));
}

static void put_line(struct layout *l, size_t indent)
{
	l->lines++;
	buf_put_byte(l->out, '\n');
	for (size_t i = 0; i < indent; i++)
		buf_put_byte(l->out, ' ');
	l->column = indent;
}

static void put_attr(struct layout *l, const struct attr *a)
{
	const char quote[] = { a->quote, '\0' };
	put(l, a->name);
	if (!a->value.ptr)
		return;
	put_text(l, "=");
	put_text(l, quote);
	put(l, a->value);
	put_text(l, quote);
}

/* How wide it is up to its first line's end. */
static size_t attr_width(const struct attr *a, const char *close)
{
	struct str line = a->value;
	const char *end = line.ptr ? memchr(line.ptr, '\n', line.len) : NULL;
	if (end)
		line.len = (size_t)(end - line.ptr);
	return columns(a->name) + 3 + columns(line) + (a->next || end ? 0 : strlen(close));
}

/* Up to ">" or "/>"; lines of attributes begin below the first one. */
static void put_tag(struct layout *l, const struct node *node, const char *close)
{
	size_t below = l->column + 1 + columns(node->name) + 1;
	put_text(l, "<");
	put(l, node->name);
	for (const struct attr *a = node->attrs; a; a = a->next) {
		size_t width = attr_width(a, close);
		bool is_too_wide = l->column + 1 + width > WIDTH && below + width <= WIDTH;
		if (a != node->attrs && (a->has_break || is_too_wide))
			put_line(l, below);
		else
			put_text(l, " ");
		put_attr(l, a);
	}
	put_text(l, close);
}

/* May the lines of this text be moved, or does a Lua string reach over them? */
static bool is_movable(struct str text)
{
	for (size_t i = 0; i + 1 < text.len; i++) {
		char c = text.ptr[i], next = text.ptr[i + 1];
		if ((c == '[' && (next == '[' || next == '=')) ||
		    (c == '\\' && (next == '\n' || next == '\r' || next == 'z')))
			return false;
	}
	return true;
}

/* Lines that began at the old margin begin at the new one; no blanks end a line. */
static void put_moved(struct layout *l, struct str text, struct str margin, size_t indent)
{
	while (has_line(text)) {
		const char *end = memchr(text.ptr, '\n', text.len);
		struct str line = { text.ptr, (size_t)(end - text.ptr) };
		text.len -= line.len + 1;
		text.ptr = end + 1;
		while (line.len > 0 && is_blank_byte(line.ptr[line.len - 1]))
			line.len--;
		put(l, line);
		bool is_empty = text.len > 0 && (*text.ptr == '\n' || *text.ptr == '\r');
		bool is_below = text.len >= margin.len &&
		                memcmp(text.ptr, margin.ptr, margin.len) == 0;
		if (is_below) {
			text.ptr += margin.len;
			text.len -= margin.len;
		}
		put_line(l, is_below && !is_empty ? indent : 0);
	}
	put(l, text);
}

static void put_node(struct layout *l, const struct node *node, size_t indent);

static void put_end_tag(struct layout *l, const struct node *node)
{
	put_text(l, "</");
	put(l, node->name);
	put_text(l, ">");
}

/*
 * As the author had it; a comment stays with what it is about.  before is what
 * stands in this line alone, NULL: nothing does.
 */
static bool is_beside(const struct layout *l, const struct node *before, const struct node *node)
{
	if (!before || node->breaks > 0)
		return false;
	return node->kind == NODE_OTHER ||
	       (node->is_flat && l->column + gap(node) + node->width <= WIDTH);
}

/* <else/> stands below its <if>. */
static bool is_branch(const struct layout *l, const struct node *node)
{
	struct str name = local_name(l, node->name);
	return node->kind == NODE_ELEMENT && (str_is(name, "else") || str_is(name, "elseif"));
}

static void put_blanks(struct layout *l, size_t count)
{
	while (count-- > 0)
		put_text(l, " ");
}

static void put_children(struct layout *l, const struct node *node, size_t indent)
{
	const struct node *before = NULL;
	size_t line_indent = indent;
	for (const struct node *child = node->first; child; child = child->next) {
		size_t at = is_branch(l, child) ? indent - INDENT : indent;
		if (is_beside(l, node->is_flat ? NULL : before, child)) {
			put_blanks(l, gap(child));
			at = line_indent;
		} else {
			if (child->breaks > 1)
				put_line(l, 0);
			put_line(l, at);
			line_indent = at;
		}
		size_t lines = l->lines;
		put_node(l, child, at);
		before = l->lines == lines || (child->next && child->next->kind == NODE_OTHER)
		                 ? child
		                 : NULL;
	}
}

static void put_flat(struct layout *l, const struct node *node, size_t indent)
{
	for (const struct node *child = node->first; child; child = child->next) {
		if (child != node->first)
			put_blanks(l, gap(child));
		put_node(l, child, indent);
	}
}

static void put_element(struct layout *l, const struct node *node, size_t indent)
{
	bool is_empty = node->is_block ? !node->first : node->raw.len == 0;
	bool is_flat = node->is_flat && l->column + node->width <= WIDTH;
	put_tag(l, node, is_empty ? "/>" : ">");
	if (is_empty)
		return;
	if (!node->is_block) {
		bool has_elements = false;
		for (const struct node *child = node->first; child; child = child->next)
			has_elements |= child->kind == NODE_ELEMENT;
		if (!has_elements && is_movable(node->raw))
			put_moved(l, node->raw, node->margin, indent);
		else
			put(l, node->raw);
	} else if (is_flat) {
		put_flat(l, node, indent);
	} else {
		put_children(l, node, indent + INDENT);
		put_line(l, indent);
	}
	put_end_tag(l, node);
}

static void put_node(struct layout *l, const struct node *node, size_t indent)
{
	if (node->kind == NODE_ELEMENT)
		put_element(l, node, indent);
	else
		put_moved(l, node->raw, node->margin, indent);
}

/* The prefix that the root's name has is the graph's; elements with another one are not ours. */
static void find_prefix(struct layout *l, const struct node *document)
{
	const struct node *root = document->first;
	while (root && root->kind != NODE_ELEMENT)
		root = root->next;
	const char *colon = root ? memchr(root->name.ptr, ':', root->name.len) : NULL;
	if (colon)
		l->prefix = (struct str){ root->name.ptr, (size_t)(colon - root->name.ptr) + 1 };
}

void chart_format(struct str text, struct buf *out)
{
	struct layout l = { .at = text.ptr,
		            .end = text.ptr + text.len,
		            .line = text.ptr,
		            .prefix = { "", 0 },
		            .out = out };
	struct node document = { .kind = NODE_ELEMENT };
	arena_init(&l.arena);
	if (begins(&l, "\xEF\xBB\xBF"))
		go(&l, l.at + 3);
	read_children(&l, &document, 0);
	find_prefix(&l, &document);
	for (struct node *node = document.first; node; node = node->next) {
		measure(&l, node, false);
		if (node != document.first) {
			put_text(&l, "\n");
			if (node->breaks > 1)
				put_text(&l, "\n");
		}
		l.column = 0;
		put_node(&l, node, 0);
	}
	buf_put_byte(out, '\n');
	arena_release(&l.arena);
}
