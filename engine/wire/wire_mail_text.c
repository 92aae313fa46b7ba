/* SPDX-License-Identifier: MIT */
/*
 * Text as mail carries it: lines that end in CR LF, bodies in quoted-printable
 * or base64, header values as they are when they are short ASCII and as encoded
 * words (RFC 2047) otherwise, folded.
 */
#include <stdio.h>
#include <string.h>

#include "base/crypto.h"
#include "wire/wire_int.h"

enum {
	LINE_CHARS = 76, /* RFC 2045 6.7 */
	WORD_BYTES = 45, /* of text in one encoded word: 60 characters of base64 */
	WORD_CHARS = 900 /* without a blank, in a header value that stays as it is */
};

static void put_code(struct buf *out, unsigned char c)
{
	static const char digits[] = "0123456789ABCDEF";
	char code[3] = { '=', digits[c >> 4], digits[c & 15] };
	buf_put_len(out, code, 3);
}

/* Is there a line's end at i?  CR LF, LF or CR; says how long it is. */
static size_t line_end(struct str text, size_t i)
{
	if (text.ptr[i] == '\r')
		return i + 1 < text.len && text.ptr[i + 1] == '\n' ? 2 : 1;
	return text.ptr[i] == '\n' ? 1 : 0;
}

void wire_mail_put_quoted(struct buf *out, struct str text)
{
	size_t column = 0;
	for (size_t i = 0; i < text.len;) {
		size_t end = line_end(text, i);
		if (end > 0) {
			buf_put(out, "\r\n");
			column = 0;
			i += end;
			continue;
		}
		unsigned char c = (unsigned char)text.ptr[i];
		bool is_last = i + 1 == text.len || line_end(text, i + 1) > 0;
		bool is_blank = c == ' ' || c == '\t';
		bool is_plain = (c > 0x20 && c < 0x7f && c != '=') || (is_blank && !is_last);
		size_t width = is_plain ? 1 : 3;
		/* One column is kept for the soft break itself. */
		if (column + width > LINE_CHARS - 1) {
			buf_put(out, "=\r\n");
			column = 0;
		}
		if (is_plain)
			buf_put_len(out, &c, 1);
		else
			put_code(out, c);
		column += width;
		i++;
	}
}

void wire_mail_put_base64(struct buf *out, struct str text)
{
	enum { BYTES = LINE_CHARS / 4 * 3 };
	char line[BYTES];
	size_t len = 0;
	for (size_t i = 0; i < text.len;) {
		size_t end = line_end(text, i);
		for (size_t k = 0; k < (end ? 2 : 1); k++) {
			line[len++] = end ? "\r\n"[k] : text.ptr[i];
			if (len == BYTES) {
				crypto_base64_put((struct str){ line, len }, out);
				buf_put(out, "\r\n");
				len = 0;
			}
		}
		i += end ? end : 1;
	}
	crypto_base64_put((struct str){ line, len }, out);
	buf_put(out, len ? "\r\n" : "");
}

void wire_mail_put_body(struct buf *out, const char *type, struct str text)
{
	size_t high = 0;
	for (size_t i = 0; i < text.len; i++)
		high += (unsigned char)text.ptr[i] >= 0x80 ? 1 : 0;
	bool is_foreign = high > text.len / 4; /* mostly another script: base64 is shorter */
	buf_printf(out, "Content-Type: %s; charset=utf-8\r\n", type);
	buf_printf(out, "Content-Transfer-Encoding: %s\r\n\r\n",
	           is_foreign ? "base64" : "quoted-printable");
	if (is_foreign)
		wire_mail_put_base64(out, text);
	else
		wire_mail_put_quoted(out, text);
	bool ends_line = out->len >= 2 && memcmp(out->bytes + out->len - 2, "\r\n", 2) == 0;
	buf_put(out, ends_line ? "" : "\r\n");
}

/* Encoded words, each whole characters only, each on its own line; a blank at the end. */
void wire_mail_put_words(struct buf *out, struct str text)
{
	for (size_t i = 0; i < text.len;) {
		size_t len = text.len - i < WORD_BYTES ? text.len - i : WORD_BYTES;
		while (i + len < text.len && len > 1 &&
		       ((unsigned char)text.ptr[i + len] & 0xc0) == 0x80)
			len--;
		buf_put(out, i ? "\r\n =?UTF-8?B?" : "=?UTF-8?B?");
		crypto_base64_put((struct str){ text.ptr + i, len }, out);
		buf_put(out, "?=");
		i += len;
	}
	buf_put(out, " ");
}

/* ASCII: broken before a blank that a word follows, so that unfolding gives it back. */
static void put_folded(struct buf *out, struct str text, size_t column)
{
	for (size_t i = 0; i < text.len;) {
		size_t len = 1;
		while (i + len < text.len &&
		       !(text.ptr[i + len] == ' ' && text.ptr[i + len - 1] != ' '))
			len++;
		bool is_blank = strspn(text.ptr + i, " ") >= len;
		if (i > 0 && !is_blank && column + len > LINE_CHARS) {
			buf_put(out, "\r\n");
			column = 0;
		}
		buf_put_len(out, text.ptr + i, len);
		column += len;
		i += len;
	}
}

/* May it stand as it is?  No line of mail is longer than 998. */
static bool is_plain_value(const char *value)
{
	size_t word = 0;
	for (const char *p = value; *p; p++) {
		word = *p == ' ' ? 0 : word + 1;
		if ((unsigned char)*p >= 0x7f || word > WORD_CHARS)
			return false;
	}
	return !strstr(value, "=?");
}

void wire_mail_put_header(struct buf *out, const char *name, const char *value)
{
	struct str text = str_of(value);
	buf_printf(out, "%s: ", name);
	if (is_plain_value(value)) {
		put_folded(out, text, strlen(name) + 2);
	} else {
		wire_mail_put_words(out, text);
		out->len--; /* the blank behind the last word */
		out->bytes[out->len] = '\0';
	}
	buf_put(out, "\r\n");
}
