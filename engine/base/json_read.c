/* SPDX-License-Identifier: MIT */
/*
 * Reading JSON.  Two ways lead to the same value: the quick one (json_quick.c)
 * takes what is plain, in one pass; whatever it does not take for certain goes
 * the careful way, through the checks below and jansson, which also say what is
 * wrong.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_int.h"
#include "base/limits.h"

/*
 * One pass over the text before jansson builds anything: a tree can take 79
 * times its text (RELIABILITY M7), so depth and nodes are counted here, and
 * numbers that jansson would round to something else are found (row 33).  It
 * need not be exact about grammar; jansson refuses what is no JSON.
 */
struct scan {
	struct str text;
	size_t at, depth, nodes;
};

static void skip_string(struct scan *scan)
{
	for (scan->at++; scan->at < scan->text.len; scan->at++) {
		char c = scan->text.ptr[scan->at];
		if (c == '"')
			return;
		if (c == '\\')
			scan->at++;
	}
}

static bool is_numeral(char c)
{
	return (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.' || c == 'e' || c == 'E';
}

/* Does the double keep the number, but for digits beyond its precision? */
static bool real_is_kept(const char *number)
{
	double value = strtod(number, NULL);
	bool is_zero = true;
	for (const char *p = number; *p && *p != 'e' && *p != 'E'; p++)
		is_zero = is_zero && !(*p >= '1' && *p <= '9');
	return isfinite(value) && (value != 0 || is_zero);
}

static bool integer_is_kept(const char *number)
{
	errno = 0;
	(void)strtoll(number, NULL, 10); /* asked for ERANGE only */
	return errno == 0 && strcmp(number, "-0") != 0;
}

static int scan_number(struct scan *scan, struct err *err)
{
	const char *start = scan->text.ptr + scan->at;
	size_t len = 0;
	char number[64];
	while (scan->at + len < scan->text.len && is_numeral(start[len]))
		len++;
	if (len >= sizeof(number))
		return err_set_id(err, ERR_INPUT, "json.number",
		                  "a JSON number of %zu characters cannot be kept exactly", len);
	memcpy(number, start, len);
	number[len] = '\0';
	if (strpbrk(number, ".eE") ? !real_is_kept(number) : !integer_is_kept(number))
		return err_set_id(err, ERR_INPUT, "json.number",
		                  "the JSON number %s cannot be kept exactly", number);
	scan->at += len - 1;
	return 0;
}

static int scan_one(struct scan *scan, struct err *err)
{
	char c = scan->text.ptr[scan->at];
	char before = scan->at > 0 ? scan->text.ptr[scan->at - 1] : ' ';
	if (c == '"') {
		scan->nodes++;
		skip_string(scan);
	} else if (c == '[' || c == '{') {
		scan->depth++;
		scan->nodes++;
	} else if ((c == ']' || c == '}') && scan->depth > 0) {
		scan->depth--;
	} else if (c == ':' && scan->nodes > 0) {
		scan->nodes--; /* the string before it was a key */
	} else if (c == '-' || (c >= '0' && c <= '9')) {
		scan->nodes++;
		return scan_number(scan, err);
	} else if (c >= 'a' && c <= 'z' && !(before >= 'a' && before <= 'z')) {
		scan->nodes++; /* true, false, null */
	}
	return 0;
}

static int scan_text(struct str text, struct err *err)
{
	struct scan scan = { .text = text };
	for (; scan.at < text.len; scan.at++) {
		if (scan_one(&scan, err) < 0)
			return err->code;
		if (scan.depth > LIMIT_JSON_DEPTH)
			return err_set_id(err, ERR_LIMIT, "json.depth",
			                  "JSON nested deeper than %d (LIMIT_JSON_DEPTH)",
			                  LIMIT_JSON_DEPTH);
		if (scan.nodes > LIMIT_JSON_NODES)
			return err_set_id(err, ERR_LIMIT, "json.nodes",
			                  "JSON with more than %d values (LIMIT_JSON_NODES)",
			                  LIMIT_JSON_NODES);
	}
	return 0;
}

int json_read(struct str text, size_t max_bytes, json_t **ret, struct err *err)
{
	static const char byte_order_mark[] = "\xef\xbb\xbf";
	if (text.len > max_bytes)
		return err_set_id(err, ERR_LIMIT, "json.bytes", "JSON of more than %zu bytes",
		                  max_bytes);
	if (text.len >= 3 && memcmp(text.ptr, byte_order_mark, 3) == 0)
		return err_set_id(err, ERR_INPUT, "json.bom",
		                  "JSON that begins with a byte order mark");
	if (!str_is_utf8(text))
		return err_set_id(err, ERR_INPUT, "json.utf8", "JSON that is not valid UTF-8");
	if (text.len > 0 && memchr(text.ptr, '\0', text.len)) /* jansson takes it for the end */
		return err_set_id(err, ERR_INPUT, "json.nul", "JSON with a NUL byte in it");
	json_t *value = json_quick(text);
	if (value) {
		*ret = value;
		return 0;
	}
	if (scan_text(text, err) < 0)
		return err->code;
	json_error_t at;
	value = json_loadb(text.len > 0 ? text.ptr : "", text.len,
	                   JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &at);
	if (!value)
		return err_set_id(err, ERR_INPUT, "json.syntax", "not JSON: line %d, column %d: %s",
		                  at.line, at.column, at.text);
	*ret = value;
	return 0;
}

int json_read_file(const char *path, size_t max_bytes, json_t **ret, struct err *err)
{
	FILE *file = fopen(path, "rb");
	if (!file)
		return err_set(err, errno == ENOENT ? ERR_ABSENT : ERR_SYSTEM, "%s: %s", path,
		               strerror(errno));
	struct buf text;
	buf_init(&text, max_bytes);
	char chunk[8192];
	size_t got;
	int status = 0;
	while (status == 0 && (got = fread(chunk, 1, sizeof(chunk), file)) > 0)
		if (buf_add(&text, chunk, got, err) < 0) {
			err_clear(err);
			status = err_set_id(err, ERR_LIMIT, "json.bytes",
			                    "more than %zu bytes (LIMIT_JSON_BYTES)", max_bytes);
		}
	if (status == 0 && ferror(file))
		status = err_set(err, errno == EISDIR ? ERR_INPUT : ERR_SYSTEM,
		                 "cannot be read: %s", strerror(errno));
	fclose(file);
	if (status == 0)
		status = json_read(buf_str(&text), max_bytes, ret, err);
	buf_release(&text);
	return status < 0 ? err_wrap(err, "%s", path) : 0;
}
