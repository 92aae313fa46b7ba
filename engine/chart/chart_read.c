/* SPDX-License-Identifier: MIT */
/*
 * libxml2's SAX2 events to a raw tree with places; the one file that knows
 * libxml2.  No document is built, no entity exists, nothing is loaded.
 *
 * Elements of the SCXML namespace become nodes.  What stands inside <content>,
 * <data> and <assign> is kept as the text it is: a slice of the source, with
 * the namespaces in scope declared on its outer elements, so that it can be
 * compiled later as a graph of its own.  Elements of other namespaces are
 * skipped with a note for the checker.
 *
 * Places come from byte offsets: a start tag begins at the last '<' before
 * the point where the parser stands, because an attribute cannot contain one.
 */
#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/must.h"
#include "chart/chart_int.h"

static const char ns_xinclude[] = "http://www.w3.org/2001/XInclude";

struct scope {
	const char *prefix, *uri; /* prefix "" for the default namespace */
	size_t depth;
	size_t hides; /* 1 + index of the outer declaration of the same prefix, or 0 */
	bool is_hidden;
};

struct reader {
	struct compile *c;
	xmlParserCtxtPtr ctxt;
	struct xml_node *root, *node; /* node: the innermost open one */
	size_t depth;                 /* open elements of any kind */
	size_t node_depth;            /* depth of node; deeper elements are opaque or foreign */
	bool is_stopped;
	struct buf chars;   /* characters of node, when it holds text */
	struct buf xml;     /* its children as XML, as far as read */
	size_t copied;      /* up to where the source is in xml */
	size_t child_begin; /* where its current child element begins */
	char *declarations; /* what has to be declared on that child */
	bool is_noted;      /* stray text was noted for node */
	VEC(struct scope) scopes;
	size_t offset; /* of place */
	struct chart_place place;
};

/* Out of memory stops the process: 2.9.14 was seen to empty attributes when one malloc failed. */
static void *xml_malloc(size_t bytes)
{
	return mem_grow(NULL, bytes ? bytes : 1, 1);
}

static void *xml_realloc(void *old, size_t bytes)
{
	return mem_grow(old, bytes ? bytes : 1, 1);
}

static char *xml_strdup(const char *text)
{
	return mem_dup_str(text);
}

static void libxml_once(void)
{
	xmlMemSetup(free, xml_malloc, xml_realloc, xml_strdup);
	xmlInitParser();
}

static void libxml_init(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, libxml_once);
}

/* The place of an offset; cheap when offsets grow. */
static struct chart_place place_of(struct reader *r, size_t offset)
{
	struct str text = r->c->text;
	if (offset < r->offset) {
		r->offset = 0;
		r->place = (struct chart_place){ 1, 1 };
	}
	for (; r->offset < offset && r->offset < text.len; r->offset++) {
		unsigned char byte = (unsigned char)text.ptr[r->offset];
		if (byte == '\n') {
			r->place.line++;
			r->place.column = 1;
		} else if ((byte & 0xC0) != 0x80) {
			r->place.column++;
		}
	}
	return r->place;
}

static size_t parser_offset(const struct reader *r)
{
	long at = xmlByteConsumed(r->ctxt);
	must(at >= 0 && (size_t)at <= r->c->text.len);
	return (size_t)at;
}

/* The '<' of the tag that ends at or after offset. */
static size_t tag_begin(const struct reader *r, size_t offset)
{
	const char *begin = memrchr(r->c->text.ptr, '<', offset);
	must(begin);
	return (size_t)(begin - r->c->text.ptr);
}

static void stop(struct reader *r)
{
	r->is_stopped = true;
	xmlStopParser(r->ctxt);
}

static const char *local_text(struct reader *r, const xmlChar *text)
{
	return arena_dup_str(&r->c->scratch, text ? (const char *)text : "");
}

static void push_scopes(struct reader *r, const xmlChar **namespaces, int count, size_t begin)
{
	if (r->scopes.len + (size_t)count > LIMIT_GRAPH_NAMESPACES) {
		compile_limit(r->c, "xml.namespaces", place_of(r, begin),
		              "more than %d namespace declarations are in force "
		              "(LIMIT_GRAPH_NAMESPACES)",
		              LIMIT_GRAPH_NAMESPACES);
		stop(r);
		return;
	}
	for (int i = 0; i < count; i++) {
		struct scope *scope = vec_add(&r->scopes);
		scope->prefix = local_text(r, namespaces[2 * i]);
		scope->uri = local_text(r, namespaces[2 * i + 1]);
		scope->depth = r->depth;
		for (size_t k = r->scopes.len - 1; k-- > 0 && scope->hides == 0;)
			if (strcmp(r->scopes.at[k].prefix, scope->prefix) == 0)
				scope->hides = k + 1;
		if (scope->hides > 0)
			r->scopes.at[scope->hides - 1].is_hidden = true;
	}
}

static void pop_scopes(struct reader *r)
{
	while (r->scopes.len > 0 && r->scopes.at[r->scopes.len - 1].depth == r->depth) {
		const struct scope *scope = &r->scopes.at[--r->scopes.len];
		if (scope->hides > 0)
			r->scopes.at[scope->hides - 1].is_hidden = false;
	}
}

static void put_escaped(struct buf *out, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '&': buf_put(out, "&amp;"); break;
		case '<': buf_put(out, "&lt;"); break;
		case '"': buf_put(out, "&quot;"); break;
		default: buf_put_len(out, text, 1); break;
		}
	}
}

/* The namespaces in scope that the outermost opaque child does not declare itself. */
static char *outer_declarations(struct reader *r)
{
	struct buf out;
	buf_init(&out, 8 * LIMIT_GRAPH_BYTES); /* at most all of the source, escaped */
	buf_put(&out, "");
	for (size_t i = 0; i < r->scopes.len; i++) {
		const struct scope *scope = &r->scopes.at[i];
		if (scope->depth == r->depth || scope->uri[0] == '\0' || scope->is_hidden)
			continue;
		buf_printf(&out, " xmlns%s%s=\"", scope->prefix[0] ? ":" : "", scope->prefix);
		put_escaped(&out, scope->uri);
		buf_put(&out, "\"");
	}
	return buf_take(&out);
}

static void begin_opaque(struct reader *r)
{
	if (r->depth != r->node_depth + 1 || !element_holds_text(r->node->kind))
		return;
	r->child_begin = tag_begin(r, parser_offset(r));
	r->declarations = outer_declarations(r);
}

/* Copies the child with its declarations behind its name: <name[ here]. */
static void end_opaque(struct reader *r)
{
	if (r->depth != r->node_depth + 1 || !r->declarations)
		return;
	const char *text = r->c->text.ptr;
	size_t end = parser_offset(r), name = r->child_begin + 1;
	while (name < end && !strchr(" \t\r\n/>", text[name]))
		name++;
	struct err full = { 0 };
	if (buf_add(&r->xml, text + r->copied, name - r->copied, &full) < 0 ||
	    buf_add(&r->xml, r->declarations, strlen(r->declarations), &full) < 0 ||
	    buf_add(&r->xml, text + name, end - name, &full) < 0) {
		compile_limit(r->c, "xml.bytes", r->node->at,
		              "the XML in this <%s>, with its namespaces, is longer than %d bytes "
		              "(LIMIT_GRAPH_BYTES)",
		              r->node->name, LIMIT_GRAPH_BYTES);
		stop(r);
	}
	r->copied = end;
	free(r->declarations);
	r->declarations = NULL;
}

static size_t skip_space(const char *text, size_t at, size_t end)
{
	while (at < end && strchr(" \t\r\n", text[at]))
		at++;
	return at;
}

/* Steps over one attribute of a well-formed start tag: name = "value". */
static size_t skip_attribute(const char *text, size_t at, size_t end)
{
	while (at < end && text[at] != '"' && text[at] != '\'')
		at++;
	const char *close = at < end ? memchr(text + at + 1, text[at], end - at - 1) : NULL;
	return close ? (size_t)(close - text) + 1 : end;
}

static bool is_declaration(const char *text, size_t at)
{
	return strncmp(text + at, "xmlns", 5) == 0 && strchr(":= \t\r\n", text[at + 5]);
}

/* libxml2 gives attributes in document order, five pointers each, without the xmlns ones. */
static void read_attrs(struct reader *r, struct xml_node *node, int count, const xmlChar **raw,
                       size_t begin, size_t end)
{
	const char *text = r->c->text.ptr;
	struct xml_attr *attrs = arena_alloc(&r->c->scratch, (size_t)count * sizeof(*attrs));
	size_t at = begin;
	while (at < end && !strchr(" \t\r\n", text[at]))
		at++;
	for (int i = 0; i < count; i++, raw += 5) {
		at = skip_space(text, at, end);
		while (at < end && is_declaration(text, at))
			at = skip_space(text, skip_attribute(text, at, end), end);
		const char *uri = (const char *)raw[2];
		attrs[i] = (struct xml_attr){
			.name = local_text(r, raw[0]),
			.value = arena_dup(&r->c->scratch, (const char *)raw[3],
			                   (size_t)(raw[4] - raw[3])),
			.space = !uri                            ? ATTR_PLAIN
			         : strcmp(uri, CHART_NS_GW) == 0 ? ATTR_GW
			                                         : ATTR_FOREIGN,
			.at = place_of(r, at),
		};
		at = skip_attribute(text, at, end);
	}
	node->attrs = attrs;
	node->attr_count = (size_t)count;
}

static void note_foreign(struct reader *r, const char *name, const char *uri, size_t begin)
{
	if (strcmp(uri, ns_xinclude) == 0) {
		compile_error(r->c, "xml.include_forbidden", place_of(r, begin),
		              "write the content itself",
		              "<%s> would load another file; a graph loads nothing", name);
		stop(r);
	} else if (r->depth == r->node_depth + 1 && !element_holds_text(r->node->kind)) {
		bool is_gw = strcmp(uri, CHART_NS_GW) == 0;
		compile_note(r->c, is_gw, is_gw ? "gw.unknown_element" : "scxml.foreign_element",
		             place_of(r, begin), is_gw ? "gw has attributes only" : NULL,
		             "<%s> is no SCXML element (its namespace is '%.80s'): it is ignored",
		             name, uri);
	}
}

static bool check_root_name(struct reader *r, const char *name, const char *uri, size_t begin)
{
	if (strcmp(name, "scxml") != 0)
		compile_error(r->c, "scxml.root", place_of(r, begin), NULL,
		              "the root of a graph is <scxml>, not <%s>", name);
	else if (strcmp(uri, CHART_NS_SCXML) != 0)
		compile_error(r->c, "scxml.namespace", place_of(r, begin),
		              "write <scxml xmlns=\"" CHART_NS_SCXML "\" ...>",
		              "<scxml> is not in the namespace of SCXML");
	else
		return true;
	stop(r);
	return false;
}

static void open_node(struct reader *r, const char *name, int attr_count, const xmlChar **attrs,
                      size_t begin, size_t end)
{
	struct xml_node *node = arena_alloc(&r->c->scratch, sizeof(*node));
	node->kind = element_of(name);
	node->name = arena_dup_str(&r->c->scratch, name);
	node->at = place_of(r, begin);
	read_attrs(r, node, attr_count, attrs, begin, end);
	node->parent = r->node;
	if (!r->node) {
		r->root = node;
	} else if (r->node->last) {
		r->node->last->next = node;
		r->node->last = node;
	} else {
		r->node->first = r->node->last = node;
	}
	r->node = node;
	r->node_depth = r->depth;
	r->is_noted = false;
	if (element_holds_text(node->kind)) {
		node->text_at = place_of(r, end + 1);
		r->copied = end + 1;
		buf_clear(&r->chars);
		buf_clear(&r->xml);
	}
}

static void on_start(void *arg, const xmlChar *local, const xmlChar *prefix, const xmlChar *uri_raw,
                     int ns_count, const xmlChar **namespaces, int attr_count, int defaulted,
                     const xmlChar **attrs)
{
	struct reader *r = arg;
	(void)prefix;
	(void)defaulted; /* there is no DTD */
	if (r->is_stopped)
		return;
	const char *name = (const char *)local, *uri = uri_raw ? (const char *)uri_raw : "";
	size_t end = parser_offset(r), begin = tag_begin(r, end);
	r->depth++;
	push_scopes(r, namespaces, ns_count, begin);
	if (r->is_stopped)
		return;
	if (!r->node && !check_root_name(r, name, uri, begin))
		return;
	bool is_scxml = strcmp(uri, CHART_NS_SCXML) == 0;
	bool is_inside = !r->node || r->depth == r->node_depth + 1;
	if (is_scxml && is_inside && !(r->node && element_holds_text(r->node->kind))) {
		open_node(r, name, attr_count, attrs, begin, end);
		return;
	}
	if (!is_scxml)
		note_foreign(r, name, uri, begin);
	if (!r->is_stopped)
		begin_opaque(r);
}

/* Takes the text of <script>, <data>, <assign>, <content> when its end tag was read. */
static void take_text(struct reader *r, struct xml_node *node, size_t end)
{
	struct arena *scratch = &r->c->scratch;
	if (r->xml.len == 0) {
		node->text = arena_dup(scratch, r->chars.bytes ? r->chars.bytes : "", r->chars.len);
		return;
	}
	size_t inner_end = tag_begin(r, end);
	must(inner_end >= r->copied);
	struct err full = { 0 };
	if (buf_add(&r->xml, r->c->text.ptr + r->copied, inner_end - r->copied, &full) < 0)
		compile_limit(r->c, "xml.bytes", node->at,
		              "the XML in this <%s> is too long (LIMIT_GRAPH_BYTES)", node->name);
	node->xml = arena_dup(scratch, r->xml.bytes, r->xml.len);
}

static void on_end(void *arg, const xmlChar *local, const xmlChar *prefix, const xmlChar *uri)
{
	struct reader *r = arg;
	(void)local;
	(void)prefix;
	(void)uri;
	if (r->is_stopped)
		return;
	if (r->depth > r->node_depth) {
		end_opaque(r);
	} else {
		struct xml_node *node = r->node;
		size_t end = parser_offset(r);
		if (element_holds_text(node->kind))
			take_text(r, node, end);
		node->end = place_of(r, end);
		r->node = node->parent;
		r->node_depth--;
	}
	pop_scopes(r);
	r->depth--;
}

static void on_characters(void *arg, const xmlChar *text, int len)
{
	struct reader *r = arg;
	if (r->is_stopped || !r->node || r->depth != r->node_depth)
		return;
	if (element_holds_text(r->node->kind)) {
		buf_put_len(&r->chars, text, (size_t)len);
		return;
	}
	for (int i = 0; i < len && !r->is_noted; i++) {
		if (strchr(" \t\r\n", text[i]))
			continue;
		compile_note(r->c, false, "scxml.stray_text", r->node->at, "put it into a comment",
		             "<%s> holds text, which means nothing there", r->node->name);
		r->is_noted = true;
	}
}

/* The guard has refused DOCTYPE and loading instructions; this is the second lock. */
static void on_doctype(void *arg, const xmlChar *name, const xmlChar *external,
                       const xmlChar *system)
{
	struct reader *r = arg;
	(void)name;
	(void)external;
	(void)system;
	compile_error(r->c, "xml.dtd_forbidden", (struct chart_place){ 1, 1 }, NULL,
	              "a graph must not have a DOCTYPE");
	stop(r);
}

static void on_error(void *arg, xmlErrorPtr error)
{
	struct reader *r = arg;
	if (r->is_stopped || error->level < XML_ERR_ERROR)
		return;
	size_t len = error->message ? strlen(error->message) : 0;
	while (len > 0 && strchr(" \r\n", error->message[len - 1]))
		len--;
	struct chart_place at = { error->line > 0 ? (uint32_t)error->line : 1,
		                  error->int2 > 0 ? (uint32_t)error->int2 : 1 };
	compile_error(r->c, "xml.malformed", at, NULL, "the XML is malformed: %.*s", (int)len,
	              error->message ? error->message : "");
	stop(r);
}

static void parse(struct reader *r)
{
	struct str text = r->c->text;
	r->ctxt = xmlCreateMemoryParserCtxt(text.ptr, (int)text.len);
	if (!r->ctxt) {
		compile_error(r->c, "xml.malformed", (struct chart_place){ 1, 1 }, NULL,
		              "the XML is malformed: there is nothing in it");
		return;
	}
	/* Without NOENT an attribute's &amp; arrives as "&#38;"; other entities need a DOCTYPE. */
	xmlCtxtUseOptions(r->ctxt, XML_PARSE_NONET | XML_PARSE_NOENT);
	*r->ctxt->sax = (xmlSAXHandler){
		.initialized = XML_SAX2_MAGIC,
		.internalSubset = on_doctype,
		.startElementNs = on_start,
		.endElementNs = on_end,
		.characters = on_characters,
		.cdataBlock = on_characters,
		.ignorableWhitespace = on_characters,
		.serror = on_error,
	};
	r->ctxt->userData = r;
	xmlParseDocument(r->ctxt);
	if (!r->ctxt->wellFormed && !r->is_stopped && r->c->status == 0)
		compile_error(r->c, "xml.malformed", (struct chart_place){ 1, 1 }, NULL,
		              "the XML is malformed");
	xmlFreeParserCtxt(r->ctxt);
}

struct xml_node *read_source(struct compile *c)
{
	libxml_init();
	struct reader r = { .c = c, .place = { 1, 1 } };
	buf_init(&r.chars, 2 * LIMIT_GRAPH_BYTES);
	/* Declarations are repeated on each outer child, so this can outgrow the source. */
	buf_init(&r.xml, LIMIT_GRAPH_BYTES);
	parse(&r);
	buf_release(&r.chars);
	buf_release(&r.xml);
	free(r.declarations);
	vec_release(&r.scopes);
	return r.is_stopped || c->status ? NULL : r.root;
}
