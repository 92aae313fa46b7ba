/* SPDX-License-Identifier: MIT */
/*
 * The guard reads the bytes before libxml2 does and refuses what must never
 * reach it: other encodings than UTF-8, any DOCTYPE (so no entity, no default
 * attribute, no external file), instructions that load something, and whatever
 * exceeds a limit of size, depth, elements or attributes.
 *
 * Up to the first error of syntax it sees the same tags as the parser does;
 * after that the parser stops.  So nothing that passes here can be larger for
 * the parser than it was for the guard.
 */
#include <string.h>
#include <strings.h>

#include "base/limits.h"
#include "chart/chart_int.h"

struct guard {
	struct compile *c;
	const char *begin, *at, *end;
	size_t depth, elements;
};

struct chart_place place_in(struct str text, size_t offset)
{
	struct chart_place place = { 1, 1 };
	for (size_t i = 0; i < offset && i < text.len; i++) {
		if (text.ptr[i] == '\n') {
			place.line++;
			place.column = 1;
		} else if (((unsigned char)text.ptr[i] & 0xC0) != 0x80) {
			place.column++; /* continuation bytes belong to the character before them */
		}
	}
	return place;
}

static struct chart_place guard_place(const struct guard *g)
{
	return place_in(g->c->text, (size_t)(g->at - g->begin));
}

/* U+202A-202E and U+2066-2069 make text look different from what it is. */
bool text_has_bidi(const char *text)
{
	for (const char *p = text; (p = strchr(p, '\xE2')); p++) {
		unsigned char second = (unsigned char)p[1],
			      third = second ? (unsigned char)p[2] : 0;
		if (second == 0x80 && third >= 0xAA && third <= 0xAE)
			return true;
		if (second == 0x81 && third >= 0xA6 && third <= 0xA9)
			return true;
	}
	return false;
}

static bool begins(const struct guard *g, const char *text)
{
	size_t len = strlen(text);
	return (size_t)(g->end - g->at) >= len && memcmp(g->at, text, len) == 0;
}

/* To just behind the text, or to the end (the parser will complain). */
static void skip_past(struct guard *g, const char *text)
{
	const char *found = memmem(g->at, (size_t)(g->end - g->at), text, strlen(text));
	g->at = found ? found + strlen(text) : g->end;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The declared encoding in <?xml ... ?>: UTF-8, in any case, or none. */
static bool guard_declaration(struct guard *g)
{
	const char *close = memmem(g->at, (size_t)(g->end - g->at), "?>", 2);
	if (!close) {
		g->at = g->end; /* malformed: the parser says how */
		return true;
	}
	const char *word = memmem(g->at, (size_t)(close - g->at), "encoding", 8);
	if (word) {
		for (word += 8; word < close && (is_space(*word) || *word == '='); word++)
			;
		if (word < close && (*word == '"' || *word == '\'')) {
			const char *last = memchr(word + 1, *word, (size_t)(close - word - 1));
			size_t len = last ? (size_t)(last - word - 1) : 0;
			if (len != 5 || strncasecmp(word + 1, "utf-8", 5) != 0) {
				compile_error(g->c, "xml.encoding", guard_place(g),
				              "save the file as UTF-8 and declare that, or nothing",
				              "the graph declares the encoding '%.*s', but graphs "
				              "are UTF-8",
				              (int)(len < 40 ? len : 40), word + 1);
				return false;
			}
		}
	}
	g->at = close + 2;
	return true;
}

static bool guard_instruction(struct guard *g)
{
	static const char *const forbidden[] = { "xml-stylesheet", "oasis-xml-catalog" };
	for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++) {
		size_t len = strlen(forbidden[i]);
		if ((size_t)(g->end - g->at) > len + 2 &&
		    memcmp(g->at + 2, forbidden[i], len) == 0) {
			compile_error(g->c, "xml.instruction_forbidden", guard_place(g),
			              "remove it",
			              "<?%s?> would load another file; a graph loads nothing",
			              forbidden[i]);
			return false;
		}
	}
	skip_past(g, "?>");
	return true;
}

static bool guard_attribute(struct guard *g, size_t count, size_t value_bytes)
{
	if (count > LIMIT_GRAPH_ATTRIBUTES) {
		compile_limit(g->c, "xml.attributes", guard_place(g),
		              "an element has more than %d attributes (LIMIT_GRAPH_ATTRIBUTES)",
		              LIMIT_GRAPH_ATTRIBUTES);
		return false;
	}
	if (value_bytes > LIMIT_GRAPH_ATTRIBUTE_BYTES) {
		compile_limit(g->c, "xml.attribute_bytes", guard_place(g),
		              "an attribute is longer than %d bytes (LIMIT_GRAPH_ATTRIBUTE_BYTES)",
		              LIMIT_GRAPH_ATTRIBUTE_BYTES);
		return false;
	}
	return true;
}

/* A start tag: counts it and its attributes, steps behind its '>'. */
static bool guard_tag(struct guard *g)
{
	size_t attributes = 0;
	if (++g->elements > LIMIT_GRAPH_ELEMENTS) {
		compile_limit(g->c, "xml.elements", guard_place(g),
		              "the graph has more than %d elements (LIMIT_GRAPH_ELEMENTS)",
		              LIMIT_GRAPH_ELEMENTS);
		return false;
	}
	const char *p = g->at + 1;
	while (p < g->end && *p != '>') {
		if (*p == '"' || *p == '\'') {
			const char *close = memchr(p + 1, *p, (size_t)(g->end - p - 1));
			if (!close)
				close = g->end;
			if (!guard_attribute(g, ++attributes, (size_t)(close - p)))
				return false;
			p = close < g->end ? close + 1 : g->end;
		} else {
			p++;
		}
	}
	bool is_empty = p < g->end && p[-1] == '/';
	if (!is_empty && ++g->depth > LIMIT_GRAPH_DEPTH) {
		compile_limit(g->c, "xml.depth", guard_place(g),
		              "elements are nested deeper than %d (LIMIT_GRAPH_DEPTH)",
		              LIMIT_GRAPH_DEPTH);
		return false;
	}
	g->at = p < g->end ? p + 1 : g->end;
	return true;
}

static bool guard_markup(struct guard *g)
{
	if (begins(g, "<!--")) {
		g->at += 4;
		skip_past(g, "-->");
		return true;
	}
	if (begins(g, "<![CDATA[")) {
		skip_past(g, "]]>");
		return true;
	}
	if (begins(g, "<!")) {
		compile_error(g->c, "xml.dtd_forbidden", guard_place(g),
		              "remove the DOCTYPE with everything in it; write the text of an "
		              "entity instead of it",
		              "a graph must not have a DOCTYPE");
		return false;
	}
	if (begins(g, "<?xml") && g->end - g->at > 5 && is_space(g->at[5]))
		return guard_declaration(g);
	if (begins(g, "<?"))
		return guard_instruction(g);
	if (begins(g, "</")) {
		g->depth -= g->depth > 0;
		skip_past(g, ">");
		return true;
	}
	return guard_tag(g);
}

/* Encoding, NUL; the byte order mark of UTF-8 is taken off. */
static bool guard_bytes(struct compile *c)
{
	static const char wanted[] = "save the file as UTF-8";
	struct str *text = &c->text;
	if (text->len > LIMIT_GRAPH_BYTES) {
		compile_limit(c, "xml.bytes", (struct chart_place){ 1, 1 },
		              "the graph has %zu bytes, more than %d (LIMIT_GRAPH_BYTES)",
		              text->len, LIMIT_GRAPH_BYTES);
		return false;
	}
	if (text->len >= 2 &&
	    (memcmp(text->ptr, "\xFE\xFF", 2) == 0 || memcmp(text->ptr, "\xFF\xFE", 2) == 0)) {
		compile_error(c, "xml.encoding", (struct chart_place){ 1, 1 }, wanted,
		              "the graph is written in UTF-16 or UTF-32, but graphs are UTF-8");
		return false;
	}
	const char *nul = memchr(text->ptr, '\0', text->len);
	if (nul) {
		compile_error(c, "xml.encoding", place_in(*text, (size_t)(nul - text->ptr)), wanted,
		              "the graph contains a NUL byte");
		return false;
	}
	if (text->len >= 3 && memcmp(text->ptr, "\xEF\xBB\xBF", 3) == 0) {
		text->ptr += 3;
		text->len -= 3;
	}
	if (str_is_utf8(*text))
		return true;
	size_t good = 0; /* the longest valid prefix, found by halves */
	for (size_t bad = text->len; bad - good > 1;) {
		size_t middle = good + (bad - good) / 2, cut = middle;
		while (cut > good && ((unsigned char)text->ptr[cut] & 0xC0) == 0x80)
			cut--;
		if (cut > good && str_is_utf8((struct str){ text->ptr, cut }))
			good = cut;
		else
			bad = middle;
	}
	compile_error(c, "xml.encoding", place_in(*text, good), wanted,
	              "the graph is not valid UTF-8");
	return false;
}

bool guard_source(struct compile *c)
{
	if (!guard_bytes(c))
		return false;
	struct guard g = { .c = c, .begin = c->text.ptr, .at = c->text.ptr };
	g.end = g.begin + c->text.len;
	while (g.at < g.end) {
		g.at = memchr(g.at, '<', (size_t)(g.end - g.at));
		if (!g.at)
			break;
		if (!guard_markup(&g))
			return false;
	}
	return true;
}
