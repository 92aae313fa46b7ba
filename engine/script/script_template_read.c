/* SPDX-License-Identifier: MIT */
/*
 * Reading a template.  Each piece of text becomes a call that writes it by
 * number, each expression a call that writes its value, each statement stands
 * as it is.  A line that holds nothing but statements and comments leaves no
 * line behind.
 */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "script/script_template_int.h"

struct reader {
	const char *name;
	const char *at, *end;
	int line;
	struct template_source *ret;
	struct err *err;
};

enum tag { TAG_NONE, TAG_VALUE, TAG_RAW, TAG_STATEMENT, TAG_COMMENT };

static enum tag tag_at(const char *p, const char *end)
{
	if (end - p < 2 || p[0] != '{')
		return TAG_NONE;
	switch (p[1]) {
	case '%': return TAG_STATEMENT;
	case '#': return TAG_COMMENT;
	case '{': return end - p >= 3 && p[2] == '{' ? TAG_RAW : TAG_VALUE;
	}
	return TAG_NONE;
}

static size_t opener_len(enum tag tag)
{
	return tag == TAG_RAW ? 3 : 2;
}

static const char *skip_string(const char *p, const char *end)
{
	char quote = *p++;
	while (p < end && *p != quote && *p != '\n')
		p += *p == '\\' && p + 1 < end ? 2 : 1;
	return p < end ? p + 1 : end;
}

/* Where the closer of the tag begins; NULL when there is none.  Not inside of strings or tables. */
static const char *closer_of(enum tag tag, const char *p, const char *end)
{
	static const char *const closers[] = { "", "}}", "}}}", "%}", "#}" };
	const char *closer = closers[tag];
	size_t len = strlen(closer);
	int depth = 0;
	while ((size_t)(end - p) >= len) {
		bool is_here = memcmp(p, closer, len) == 0;
		if (is_here && depth == 0)
			return p;
		if (tag != TAG_COMMENT && (*p == '"' || *p == '\'')) {
			p = skip_string(p, end);
			continue;
		}
		if (tag == TAG_VALUE || tag == TAG_RAW)
			depth += *p == '{' ? 1 : *p == '}' && depth > 0 ? -1 : 0;
		p++;
	}
	return NULL;
}

/* --- emitting --------------------------------------------------------- */

/* Newlines of the source become newlines of the code, so that lines agree. */
static void emit_lines(struct reader *reader, const char *from, const char *to)
{
	for (; from < to; from++) {
		if (*from != '\n')
			continue;
		buf_put(&reader->ret->code, "\n");
		reader->line++;
	}
}

static void emit_text(struct reader *reader, const char *from, const char *to)
{
	if (from == to)
		return;
	*vec_add(&reader->ret->texts) = (struct str){ from, (size_t)(to - from) };
	buf_printf(&reader->ret->code, " __t(%zu)", reader->ret->texts.len);
	emit_lines(reader, from, to);
}

/* A Lua comment would reach beyond the tag, so it is left out. */
static void emit_code(struct reader *reader, const char *from, const char *to)
{
	while (from < to) {
		const char *next = from + 1;
		if (*from == '"' || *from == '\'') {
			next = skip_string(from, to);
		} else if (*from == '-' && next < to && *next == '-') {
			while (from < to && *from != '\n')
				from++;
			continue;
		}
		buf_put_len(&reader->ret->code, from, (size_t)(next - from));
		reader->line += *from == '\n';
		from = next;
	}
}

static int emit_tag(struct reader *reader, enum tag tag, const char *from, const char *to)
{
	struct buf *code = &reader->ret->code;
	struct str text = { from, (size_t)(to - from) };
	unsigned flags;
	bool is_value = tag == TAG_VALUE || tag == TAG_RAW;
	if (is_value && !scan_expression(text, &flags, NULL, NULL))
		return err_set(reader->err, ERR_INPUT, "%s:%d: '%.*s' is not one expression",
		               reader->name, reader->line, text.len < 60 ? (int)text.len : 60,
		               from);
	if (tag == TAG_COMMENT) {
		emit_lines(reader, from, to);
		return 0;
	}
	buf_put(code, tag == TAG_VALUE ? " __v(" : tag == TAG_RAW ? " __r(" : " ");
	emit_code(reader, from, to);
	buf_put(code, is_value ? ")" : " ");
	return 0;
}

/* Takes the tag at reader->at. */
static int take_tag(struct reader *reader)
{
	enum tag tag = tag_at(reader->at, reader->end);
	const char *from = reader->at + opener_len(tag);
	const char *to = closer_of(tag, from, reader->end);
	if (!to)
		return err_set(reader->err, ERR_INPUT, "%s:%d: '%.*s' is not closed", reader->name,
		               reader->line, (int)opener_len(tag), reader->at);
	if (emit_tag(reader, tag, from, to) < 0)
		return reader->err->code;
	reader->at = to + opener_len(tag);
	return 0;
}

/* --- lines of nothing but tags ---------------------------------------- */

static const char *skip_blanks(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\r'))
		p++;
	return p;
}

/* Behind the line that begins at p when it holds only statements and comments, else NULL. */
static const char *silent_line_end(const char *p, const char *end)
{
	size_t tags = 0;
	for (;;) {
		p = skip_blanks(p, end);
		if (p == end || *p == '\n')
			return tags == 0 ? NULL : p == end ? p : p + 1;
		enum tag tag = tag_at(p, end);
		if (tag != TAG_STATEMENT && tag != TAG_COMMENT)
			return NULL;
		p = closer_of(tag, p + opener_len(tag), end);
		if (!p)
			return NULL;
		p += opener_len(tag);
		tags++;
	}
}

static int take_silent_line(struct reader *reader, const char *line_end)
{
	while (reader->at < line_end) {
		if (tag_at(reader->at, reader->end) != TAG_NONE) {
			if (take_tag(reader) < 0)
				return reader->err->code;
		} else {
			emit_lines(reader, reader->at, reader->at + 1);
			reader->at++;
		}
	}
	return 0;
}

/* Text to the next tag or to the end of the line. */
static void take_text(struct reader *reader)
{
	const char *from = reader->at;
	while (reader->at < reader->end && tag_at(reader->at, reader->end) == TAG_NONE)
		if (*reader->at++ == '\n')
			break;
	emit_text(reader, from, reader->at);
}

int template_read(const char *name, struct str source, struct template_source *ret, struct err *err)
{
	struct reader reader = { name, source.ptr, source.ptr + source.len, 1, ret, err };
	*ret = (struct template_source){ 0 };
	buf_init(&ret->code, 32 * (size_t)LIMIT_TEMPLATE_BYTES);
	if (source.len > LIMIT_TEMPLATE_BYTES)
		return err_set(err, ERR_LIMIT, "%s: more than %d bytes (LIMIT_TEMPLATE_BYTES)",
		               name, LIMIT_TEMPLATE_BYTES);
	if (!str_is_utf8(source) || (source.len > 0 && memchr(source.ptr, '\0', source.len)))
		return err_set(err, ERR_INPUT, "%s: not valid UTF-8 text", name);
	buf_put(&ret->code, "local __t, __v, __r = ...");
	int status = 0;
	bool is_line_start = true;
	while (reader.at < reader.end && status == 0) {
		const char *line_end = is_line_start ? silent_line_end(reader.at, reader.end)
		                                     : NULL;
		if (line_end)
			status = take_silent_line(&reader, line_end);
		else if (tag_at(reader.at, reader.end) != TAG_NONE)
			status = take_tag(&reader);
		else
			take_text(&reader);
		is_line_start = reader.at > source.ptr && reader.at[-1] == '\n';
	}
	return status;
}

void template_source_release(struct template_source *source)
{
	buf_release(&source->code);
	vec_release(&source->texts);
}

/* --- escaping --------------------------------------------------------- */

enum template_kind template_kind_of(const char *name)
{
	if (str_ends(name, ".html") || str_ends(name, ".htm"))
		return TEMPLATE_HTML;
	if (str_ends(name, ".md"))
		return TEMPLATE_MARKDOWN;
	return str_ends(name, ".slack") ? TEMPLATE_SLACK : TEMPLATE_PLAIN;
}

static const char *entity_of(enum template_kind kind, char c)
{
	switch (c) {
	case '&': return "&amp;";
	case '<': return "&lt;";
	case '>': return "&gt;";
	case '"': return kind == TEMPLATE_HTML ? "&quot;" : NULL;
	case '\'': return kind == TEMPLATE_HTML ? "&#39;" : NULL;
	}
	return NULL;
}

static bool is_word_char(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       c == '_' || (unsigned char)c >= 0x80;
}

/* Would the character begin markup here?  An underscore inside of a word does not. */
static bool is_markdown_mark(struct str text, size_t at, bool is_line_start)
{
	char c = text.ptr[at], next = at + 1 < text.len ? text.ptr[at + 1] : '\n';
	switch (c) {
	case '\\':
	case '`':
	case '*':
	case '[':
	case ']':
	case '|':
	case '~': return true;
	case '_': return at == 0 || !is_word_char(text.ptr[at - 1]) || !is_word_char(next);
	case '#': return is_line_start;
	case '-':
	case '+':
	case '=':
		return is_line_start && (next == ' ' || next == '\t' || next == '\n' || next == c);
	case '.':
	case ')': { /* "1. " begins a list */
		size_t digits = 0;
		while (digits < at && text.ptr[at - digits - 1] >= '0' &&
		       text.ptr[at - digits - 1] <= '9')
			digits++;
		bool begins = digits == at || text.ptr[at - digits - 1] == '\n';
		return digits > 0 && begins && (next == ' ' || next == '\t' || next == '\n');
	}
	}
	return false;
}

int template_escape(enum template_kind kind, struct str text, struct buf *out, struct err *err)
{
	if (kind == TEMPLATE_PLAIN)
		return buf_add(out, text.ptr, text.len, err);
	bool is_line_start = true;
	int status = 0;
	for (size_t i = 0; i < text.len && status == 0; i++) {
		char c = text.ptr[i];
		const char *entity = entity_of(kind, c);
		bool is_markdown = kind == TEMPLATE_MARKDOWN;
		if (is_markdown && is_line_start && i > 0 && (c == ' ' || c == '\t'))
			continue; /* indented text would be code */
		if (entity)
			status = buf_add(out, entity, strlen(entity), err);
		else if (is_markdown && is_markdown_mark(text, i, is_line_start))
			status = buf_add(out, (char[]){ '\\', c }, 2, err);
		else
			status = buf_add(out, &c, 1, err);
		is_line_start = c == '\n';
	}
	return status;
}
