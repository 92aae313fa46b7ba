/* SPDX-License-Identifier: MIT */
/*
 * A mail from its fields: the envelope and the bytes of the message.
 *
 * Every address is read strictly (ASCII dot-atom at a host name) and every header
 * value is free of control characters, so nothing can begin a second header or a
 * second recipient.  The bytes are ours to the last boundary, which is made from
 * the content: the same mail is the same bytes on every attempt.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/crypto.h"
#include "base/mem.h"
#include "wire/wire_int.h"

enum { MAIL_BYTES = 4 * LIMIT_REQUEST_BYTES };

/* --- addresses --------------------------------------------------------------------- */

struct mailbox {
	struct str name, address;
};

static bool is_atom(struct str text, const char *others)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		bool is_alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
		                (c >= 'a' && c <= 'z');
		bool is_dot = c == '.' && i > 0 && i + 1 < text.len && text.ptr[i - 1] != '.';
		if (!is_alnum && !is_dot && (c == '.' || c == '\0' || !strchr(others, c)))
			return false;
	}
	return text.len > 0;
}

static int check_address(struct str address, struct err *err)
{
	const char *at = memchr(address.ptr, '@', address.len);
	struct str local = { address.ptr, at ? (size_t)(at - address.ptr) : 0 };
	struct str host = { at ? at + 1 : "", at ? address.len - local.len - 1 : 0 };
	bool is_good = is_atom(local, "!#$%&'*+-/=?^_`{|}~") && local.len <= 64 &&
	               is_atom(host, "-") && host.len <= 253 && host.ptr[0] != '-';
	if (!is_good)
		return err_set(err, ERR_INPUT, "'%.*s' is no mail address",
		               (int)(address.len < 80 ? address.len : 80), address.ptr);
	return 0;
}

static struct str trim(struct str text)
{
	while (text.len > 0 && text.ptr[0] == ' ')
		text.ptr++, text.len--;
	while (text.len > 0 && text.ptr[text.len - 1] == ' ')
		text.len--;
	return text;
}

/* "a@b", "Name <a@b>" or "\"Name\" <a@b>". */
static int read_mailbox(struct str text, struct mailbox *ret, struct err *err)
{
	text = trim(text);
	const char *open = memchr(text.ptr, '<', text.len);
	*ret = (struct mailbox){ .address = text };
	if (open) {
		if (text.ptr[text.len - 1] != '>')
			return err_set(err, ERR_INPUT, "an address has '<' without '>' at its end");
		size_t before = (size_t)(open - text.ptr);
		ret->name = trim((struct str){ text.ptr, before });
		ret->address = (struct str){ open + 1, text.len - before - 2 };
		if (ret->name.len >= 2 && ret->name.ptr[0] == '"' &&
		    ret->name.ptr[ret->name.len - 1] == '"')
			ret->name = (struct str){ ret->name.ptr + 1, ret->name.len - 2 };
	}
	if (memchr(ret->name.ptr ? ret->name.ptr : "", '"', ret->name.len) ||
	    memchr(ret->name.ptr ? ret->name.ptr : "", '\\', ret->name.len))
		return err_set(err, ERR_INPUT, "the name of an address contains a quote");
	return check_address(ret->address, err);
}

/* The next element of a comma-separated list; commas inside quotes are no separators. */
static bool next_mailbox(const char **list, struct str *ret)
{
	const char *at = *list;
	bool in_quotes = false;
	if (!at)
		return false;
	size_t len = 0;
	for (; at[len] && (in_quotes || at[len] != ','); len++)
		in_quotes = in_quotes != (at[len] == '"');
	*ret = (struct str){ at, len };
	*list = at[len] ? at + len + 1 : NULL;
	return true;
}

static bool is_plain_name(struct str name)
{
	for (size_t i = 0; i < name.len; i++)
		if ((unsigned char)name.ptr[i] >= 0x7f)
			return false;
	return true;
}

/* Adds to the header's value, one mailbox per line, and to the envelope. */
static int take_list(const char *list, struct buf *value, struct wire_request *request,
                     bool is_recipient, struct err *err)
{
	struct str item;
	struct mailbox box;
	while (next_mailbox(&list, &item)) {
		if (read_mailbox(item, &box, err) < 0)
			return err->code;
		buf_put(value, value->len ? ",\r\n " : "");
		if (box.name.len && is_plain_name(box.name))
			buf_printf(value, "\"%.*s\" ", (int)box.name.len, box.name.ptr);
		else if (box.name.len)
			wire_mail_put_words(value, box.name);
		buf_printf(value, "%s%.*s%s", box.name.len ? "<" : "", (int)box.address.len,
		           box.address.ptr, box.name.len ? ">" : "");
		struct wire_envelope *envelope = request->envelope;
		if (is_recipient && envelope->count == LIMIT_MAIL_RECIPIENTS)
			return err_set(err, ERR_LIMIT,
			               "more than %d recipients (LIMIT_MAIL_RECIPIENTS)",
			               LIMIT_MAIL_RECIPIENTS);
		char *address = arena_dup(&request->arena, box.address.ptr, box.address.len);
		if (is_recipient)
			envelope->recipients[envelope->count++].address = address;
		else if (!envelope->from)
			envelope->from = address;
	}
	return 0;
}

static int put_list(const char *name, const char *list, struct wire_request *request,
                    bool is_recipient, struct buf *out, struct err *err)
{
	struct buf value;
	if (!list || !*list)
		return 0;
	if (!wire_header_is_safe(list))
		return err_set(err, ERR_INPUT, "%s contains a control character", name);
	if (strlen(list) > 64 * 1024)
		return err_set(err, ERR_LIMIT, "%s is too long", name);
	buf_init(&value, MAIL_BYTES);
	if (take_list(list, &value, request, is_recipient, err) == 0)
		buf_printf(out, "%s: %s\r\n", name, value.bytes ? value.bytes : "");
	buf_release(&value);
	return err->code < 0 ? err_wrap(err, "%s", name) : 0;
}

/* --- headers ------------------------------------------------------------------------- */

/* A mailbox has one From, and the sender of an answer's envelope is it. */
static int put_from(const struct wire_mail *mail, struct wire_request *request, struct buf *out,
                    struct err *err)
{
	const char *from = mail->from && *mail->from ? mail->from : request->connection->from;
	if (!from)
		return err_set(err, ERR_INPUT,
		               "the mail has no sender and connection '%s' no 'from'",
		               request->connection->name);
	struct str item;
	const char *rest = from;
	(void)next_mailbox(&rest, &item);
	if (rest)
		return err_set(err, ERR_INPUT, "From: only one sender is possible");
	return put_list("From", from, request, false, out, err);
}

static bool is_own_header(const char *name)
{
	static const char *const own[] = {
		"Date",       "From",         "Sender",           "To",
		"Cc",         "Bcc",          "Reply-To",         "Subject",
		"Message-ID", "MIME-Version", "X-Correlation-ID", "Return-Path",
		"Received"
	};
	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++)
		if (strcasecmp(name, own[i]) == 0)
			return true;
	return strncasecmp(name, "Content-", strlen("Content-")) == 0;
}

static int put_further(const struct wire_mail *mail, struct buf *out, struct err *err)
{
	bool has_auto = false;
	if (mail->header_count > LIMIT_HEADERS)
		return err_set(err, ERR_LIMIT, "more than %d headers (LIMIT_HEADERS)",
		               LIMIT_HEADERS);
	for (size_t i = 0; i < mail->header_count; i++) {
		const struct wire_header *header = &mail->headers[i];
		if (!wire_header_is_name(header->name) || strlen(header->name) > 60)
			return err_set(err, ERR_INPUT, "header %zu has a name that is none", i + 1);
		if (is_own_header(header->name))
			return err_set(err, ERR_INPUT, "the header '%s' is not the caller's to set",
			               header->name);
		if (!wire_header_is_safe(header->value) || strlen(header->value) > 8192)
			return err_set(err, ERR_INPUT,
			               "the value of header '%s' is too long or contains a control "
			               "character",
			               header->name);
		has_auto = has_auto || strcasecmp(header->name, "Auto-Submitted") == 0;
		wire_mail_put_header(out, header->name, header->value);
	}
	if (!has_auto)
		buf_put(out, "Auto-Submitted: auto-generated\r\n");
	return 0;
}

static int put_id(const struct wire_send_options *options, struct wire_request *request,
                  struct buf *out, struct err *err)
{
	const char *id = options->mail->message_id;
	const char *host = strchr(request->envelope->from, '@');
	char made[SHA256_HEX];
	if (id) {
		struct str text = str_of(id);
		if (check_address(text, err) < 0)
			return err_wrap(err, "Message-ID");
		buf_printf(out, "Message-ID: <%s>\r\n", id);
		return 0;
	}
	/* The same key is the same mail, so a repeat can be recognised. */
	char *seed =
		options->key
			? mem_dup_str(options->key)
			: mem_format("%llx%llx",
	                             (unsigned long long)rand_next(&request->wire->loop->rand),
	                             (unsigned long long)rand_next(&request->wire->loop->rand));
	crypto_sha256_hex(str_of(seed), made);
	free(seed);
	buf_printf(out, "Message-ID: <%.40s%s>\r\n", made, host);
	return 0;
}

static int put_headers(const struct wire_send_options *options, struct wire_request *request,
                       struct buf *out, struct err *err)
{
	const struct wire_mail *mail = options->mail;
	const char *subject = mail->subject ? mail->subject : "";
	char date[CLOCK_ISO_BYTES];
	clock_rfc5322(mail->date_ms > 0 ? mail->date_ms
	                                : clock_wall_ms(&request->wire->loop->clock),
	              date);
	buf_printf(out, "Date: %s\r\n", date);
	if (put_from(mail, request, out, err) < 0 ||
	    put_list("To", mail->to, request, true, out, err) < 0 ||
	    put_list("Cc", mail->cc, request, true, out, err) < 0 ||
	    put_list("Reply-To", mail->reply_to, request, false, out, err) < 0)
		return err->code;
	if (request->envelope->count == 0)
		return err_set(err, ERR_INPUT, "the mail has no recipient");
	if (!wire_header_is_safe(subject) || strlen(subject) > 4096)
		return err_set(err, ERR_INPUT,
		               "the subject is too long or contains a control character");
	wire_mail_put_header(out, "Subject", subject);
	if (put_id(options, request, out, err) < 0)
		return err->code;
	if (options->correlation_id)
		wire_mail_put_header(out, "X-Correlation-ID", options->correlation_id);
	return put_further(mail, out, err);
}

/* --- the message ----------------------------------------------------------------------- */

/* "=_" is never seen in quoted-printable or base64, so no content can contain it. */
static void make_boundary(const struct wire_mail *mail, char ret[48])
{
	char text[SHA256_HEX], html[SHA256_HEX], both[SHA256_HEX];
	crypto_sha256_hex(mail->text, text);
	crypto_sha256_hex(mail->html, html);
	char *pair = mem_format("%s%s", text, html);
	crypto_sha256_hex(str_of(pair), both);
	free(pair);
	snprintf(ret, 48, "=_gangway_%.32s", both);
}

static void put_content(const struct wire_mail *mail, struct buf *out)
{
	buf_put(out, "MIME-Version: 1.0\r\n");
	if (mail->text.len == 0 || mail->html.len == 0) {
		bool is_html = mail->html.len > 0;
		wire_mail_put_body(out, is_html ? "text/html" : "text/plain",
		                   is_html ? mail->html : mail->text);
		return;
	}
	char boundary[48];
	make_boundary(mail, boundary);
	buf_printf(out, "Content-Type: multipart/alternative;\r\n boundary=\"%s\"\r\n\r\n",
	           boundary);
	/* The last part is the preferred one (RFC 2046 5.1.4). */
	buf_printf(out, "--%s\r\n", boundary);
	wire_mail_put_body(out, "text/plain", mail->text);
	buf_printf(out, "\r\n--%s\r\n", boundary);
	wire_mail_put_body(out, "text/html", mail->html);
	buf_printf(out, "\r\n--%s--\r\n", boundary);
}

int wire_mail_build(struct wire_request *request, const struct wire_send_options *options,
                    struct err *err)
{
	const struct wire_mail *mail = options->mail;
	struct wire_envelope *envelope = arena_alloc(&request->arena, sizeof(*envelope));
	envelope->recipients = arena_alloc(&request->arena,
	                                   LIMIT_MAIL_RECIPIENTS * sizeof(*envelope->recipients));
	request->envelope = envelope;
	request->method = "MAIL";
	if (mail->text.len + mail->html.len > LIMIT_REQUEST_BYTES)
		return err_set(err, ERR_LIMIT,
		               "the mail is longer than %d bytes (LIMIT_REQUEST_BYTES)",
		               LIMIT_REQUEST_BYTES);
	if (!str_is_utf8(mail->text) || !str_is_utf8(mail->html))
		return err_set(err, ERR_INPUT, "the mail's text is not valid UTF-8");
	struct buf out;
	buf_init(&out, MAIL_BYTES);
	if (put_headers(options, request, &out, err) == 0) {
		put_content(mail, &out);
		envelope->bytes = (struct str){ arena_dup(&request->arena, out.bytes, out.len),
			                        out.len };
		request->mail_json = wire_mail_json(mail);
	}
	buf_release(&out);
	return err->code;
}

static void put_text(json_t *object, const char *name, struct str text)
{
	if (text.len > 0)
		json_put(object, name, json_text(text));
}

json_t *wire_mail_json(const struct wire_mail *mail)
{
	json_t *ret = json_object();
	json_put_str(ret, "message_id", mail->message_id);
	put_text(ret, "from", str_of(mail->from));
	put_text(ret, "to", str_of(mail->to));
	put_text(ret, "cc", str_of(mail->cc));
	put_text(ret, "reply_to", str_of(mail->reply_to));
	put_text(ret, "subject", str_of(mail->subject));
	put_text(ret, "text", mail->text);
	put_text(ret, "html", mail->html);
	return ret;
}

/* --- who got it -------------------------------------------------------------------------- */

void wire_mail_settle(struct wire_request *request)
{
	const struct wire_envelope *envelope = request->envelope;
	json_t *accepted = json_array(), *refused = json_array(), *both = json_object();
	int code = 0;
	for (size_t i = 0; i < envelope->count; i++) {
		const struct wire_recipient *recipient = &envelope->recipients[i];
		if (recipient->is_accepted) {
			json_push(accepted, json_string(recipient->address));
			continue;
		}
		json_t *entry = json_object();
		json_put_str(entry, "address", recipient->address);
		json_put_int(entry, "code", recipient->code);
		json_put(entry, "text", json_text(str_of(recipient->text)));
		json_push(refused, entry);
		if (code == 0)
			code = recipient->code >= 400 ? recipient->code : 450;
	}
	if (json_array_size(accepted) > 0)
		wire_reply_set(request, WIRE_OK, code ? code : 250, "%s",
		               code ? "some recipients were refused" : "");
	json_put(both, "accepted", accepted);
	json_put(both, "refused", refused);
	char *text = json_canon(both);
	request->reply.body = str_of(arena_dup_str(&request->arena, text));
	free(text);
	json_decref(both);
}
