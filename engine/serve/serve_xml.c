/* SPDX-License-Identifier: MIT */
/*
 * Just enough XML for SOAP messages of known senders: elements, text, the five
 * entities and numbers.  No DOCTYPE, no other entity, no processing instruction
 * but the declaration; UTF-8 only; names lose their prefix.  One pass, in place
 * of a tree: each leaf is told as its path and text.
 */
#include "serve/serve_int.h"

enum { XML_DEPTH = 16, XML_NAME = 64, XML_TEXT = 32 * 1024 };

struct xml {
	const char *at, *end;
	char names[XML_DEPTH][XML_NAME];
	size_t depth;
	char text[XML_TEXT];
	size_t len;
	bool has_children; /* of the element that is being read */
};

static bool fail(struct err *err, const char *why)
{
	err_set_id(err, ERR_INPUT, "xml.syntax", "the XML cannot be read: %s", why);
	return false;
}

static bool skip_past(struct xml *xml, const char *mark)
{
	size_t len = strlen(mark);
	for (; (size_t)(xml->end - xml->at) >= len; xml->at++)
		if (memcmp(xml->at, mark, len) == 0) {
			xml->at += len;
			return true;
		}
	return false;
}

static bool is_at(const struct xml *xml, const char *text)
{
	size_t len = strlen(text);
	return (size_t)(xml->end - xml->at) >= len && memcmp(xml->at, text, len) == 0;
}

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-' || c == '.' || c == ':';
}

static bool read_name(struct xml *xml, char ret[XML_NAME], struct err *err)
{
	const char *begin = xml->at, *colon = NULL;
	while (xml->at < xml->end && is_name_char(*xml->at)) {
		if (*xml->at == ':')
			colon = xml->at;
		xml->at++;
	}
	const char *local = colon ? colon + 1 : begin;
	size_t len = (size_t)(xml->at - local);
	if (len == 0 || len >= XML_NAME)
		return fail(err, "a name is missing or too long");
	memcpy(ret, local, len);
	ret[len] = '\0';
	return true;
}

static bool put_utf8(struct xml *xml, unsigned long c, struct err *err)
{
	char bytes[4];
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ||
	    (c < 0x20 && c != '\t' && c != '\n' && c != '\r'))
		return fail(err, "a character may not stand in XML");
	if (xml->len + n >= XML_TEXT)
		return fail(err, "a text is too long");
	static const unsigned char lead[] = { 0, 0x00, 0xc0, 0xe0, 0xf0 };
	for (size_t i = n; i-- > 1; c >>= 6)
		bytes[i] = (char)(0x80 | (c & 0x3f));
	bytes[0] = (char)(lead[n] | c);
	memcpy(xml->text + xml->len, bytes, n);
	xml->len += n;
	return true;
}

static bool read_entity(struct xml *xml, struct err *err)
{
	static const struct {
		const char *name, c;
	} known[] = { { "&lt;", '<' },
		      { "&gt;", '>' },
		      { "&amp;", '&' },
		      { "&quot;", '"' },
		      { "&apos;", '\'' } };
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (is_at(xml, known[i].name)) {
			xml->at += strlen(known[i].name);
			return put_utf8(xml, (unsigned char)known[i].c, err);
		}
	char digits[12] = { 0 };
	size_t left = (size_t)(xml->end - xml->at);
	const char *semicolon = memchr(xml->at, ';', left < 12 ? left : 12);
	if (!is_at(xml, "&#") || !semicolon)
		return fail(err, "an entity is not known");
	bool is_hex = xml->at[2] == 'x';
	memcpy(digits, xml->at + (is_hex ? 3 : 2),
	       (size_t)(semicolon - xml->at) - (is_hex ? 3 : 2));
	if (*digits == '\0' ||
	    strspn(digits, is_hex ? "0123456789abcdefABCDEF" : "0123456789") != strlen(digits))
		return fail(err, "a number of a character is none");
	xml->at = semicolon + 1;
	return put_utf8(xml, strtoul(digits, NULL, is_hex ? 16 : 10), err);
}

/* Attributes are read over: nothing we want stands in them. */
static bool skip_attributes(struct xml *xml, bool *ret_is_empty, struct err *err)
{
	while (xml->at < xml->end && *xml->at != '>' && !is_at(xml, "/>")) {
		char quote = *xml->at++;
		if (quote == '<')
			return fail(err, "'<' inside a tag");
		if (quote != '"' && quote != '\'')
			continue;
		while (xml->at < xml->end && *xml->at != quote && *xml->at != '<')
			xml->at++;
		if (xml->at >= xml->end || *xml->at != quote)
			return fail(err, "an attribute does not end");
		xml->at++;
	}
	*ret_is_empty = is_at(xml, "/>");
	if (xml->at >= xml->end)
		return fail(err, "a tag does not end");
	xml->at += *ret_is_empty ? 2 : 1;
	return true;
}

static void tell(struct xml *xml, xml_leaf_cb *found, void *arg)
{
	const char *path[XML_DEPTH];
	for (size_t i = 0; i < xml->depth; i++)
		path[i] = xml->names[i];
	xml->text[xml->len] = '\0';
	if (!xml->has_children)
		found(arg, path, xml->depth, xml->text);
	xml->depth--;
	xml->len = 0;
	xml->has_children = true;
}

static bool open_tag(struct xml *xml, xml_leaf_cb *found, void *arg, struct err *err)
{
	bool is_empty;
	xml->at++;
	if (xml->depth == XML_DEPTH)
		return fail(err, "it is nested too deeply");
	if (!read_name(xml, xml->names[xml->depth], err) || !skip_attributes(xml, &is_empty, err))
		return false;
	xml->depth++;
	xml->len = 0;
	xml->has_children = false;
	if (is_empty)
		tell(xml, found, arg);
	return true;
}

static bool close_tag(struct xml *xml, xml_leaf_cb *found, void *arg, struct err *err)
{
	char name[XML_NAME];
	xml->at += 2;
	if (!read_name(xml, name, err))
		return false;
	while (xml->at < xml->end && strchr(" \t\r\n", *xml->at))
		xml->at++;
	if (xml->at >= xml->end || *xml->at++ != '>' || xml->depth == 0 ||
	    strcmp(name, xml->names[xml->depth - 1]) != 0)
		return fail(err, "an end tag ends another element");
	tell(xml, found, arg);
	return true;
}

static bool read_markup(struct xml *xml, bool *ret_is_over, xml_leaf_cb *found, void *arg,
                        struct err *err)
{
	if (is_at(xml, "<!--"))
		return skip_past(xml, "-->") || fail(err, "a comment does not end");
	if (is_at(xml, "<!")) {
		err_set_id(err, ERR_INPUT, "xml.dtd_forbidden",
		           "the XML has a DOCTYPE or a section that is not taken");
		return false;
	}
	if (is_at(xml, "<?"))
		return fail(err, "a processing instruction");
	bool ok = is_at(xml, "</") ? close_tag(xml, found, arg, err)
	                           : open_tag(xml, found, arg, err);
	*ret_is_over = ok && xml->depth == 0;
	return ok;
}

int xml_leaves(struct str text, xml_leaf_cb *found, void *arg, struct err *err)
{
	struct xml *xml = mem_alloc(sizeof(*xml));
	bool is_over = false, ok = str_is_utf8(text) || fail(err, "it is no UTF-8");
	xml->at = text.ptr;
	xml->end = text.ptr + text.len;
	if (ok && is_at(xml, "<?xml "))
		ok = skip_past(xml, "?>") || fail(err, "the declaration does not end");
	while (ok && xml->at < xml->end) {
		bool is_blank = strchr(" \t\r\n", *xml->at) != NULL && *xml->at;
		if (*xml->at == '<' && !is_over)
			ok = read_markup(xml, &is_over, found, arg, err);
		else if (xml->depth == 0 && !is_blank)
			ok = fail(err, "text outside of the document");
		else if (*xml->at == '&')
			ok = read_entity(xml, err);
		else if (xml->depth == 0)
			xml->at++;
		else
			ok = (unsigned char)*xml->at >= 0x80
			             ? (xml->len + 2 < XML_TEXT ||
			                fail(err, "a text is too long")) &&
			                       (xml->text[xml->len++] = *xml->at++, true)
			             : put_utf8(xml, (unsigned char)*xml->at++, err);
	}
	free(xml);
	if (ok && !is_over)
		(void)fail(err, "it ends too early");
	return err->code;
}
