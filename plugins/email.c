/* SPDX-License-Identifier: MIT */
/*
 * email - sends mail through the connection's SMTP server.
 *
 * The engine builds the message: Date, Message-ID (made from the idempotency key,
 * so that a repetition can be recognised), MIME parts, headers that cannot be
 * broken out of.  Here addresses are looked at before anything leaves, because
 * a server's answer to a bad one is seldom a sentence.
 */
#include <stdbool.h>
#include <string.h>

#include "gw_plugin.h"

enum { HEADERS_MAX = 20, ADDRESSES_MAX = 50, ADDRESS_BYTES_MAX = 254, LOCAL_BYTES_MAX = 64 };

static void refuse(const struct gw_host *host, struct gw_call *call, struct gw_str message)
{
	struct gw_failure failure = { .size = sizeof(failure),
		                      .status = GW_E_INPUT,
		                      .error_code = GW_LIT("INVALID_MAIL"),
		                      .message = message };
	host->call->fail(call, &failure);
}

static bool is_domain_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || (unsigned char)c >= 128;
}

/* What is wrong with one address (no display name, no quotes); NULL: nothing. */
static const char *address_fault(struct gw_str address)
{
	const char *at = NULL;
	if (address.len == 0)
		return "it is empty";
	if (address.len > ADDRESS_BYTES_MAX)
		return "it is longer than 254 bytes";
	for (size_t i = 0; i < address.len; i++) {
		unsigned char c = (unsigned char)address.ptr[i];
		if (c <= ' ' || c == 127)
			return "it contains a blank or a control character";
		if (strchr("<>,;:\"()[]\\", c))
			return "it must be a bare address such as ann@acme.example";
		if (c == '@' && at)
			return "it contains two @";
		if (c == '@')
			at = address.ptr + i;
	}
	if (!at || at == address.ptr)
		return "it has no name before an @";
	if (at - address.ptr > LOCAL_BYTES_MAX)
		return "its name is longer than 64 bytes";
	struct gw_str domain = { at + 1, address.len - (size_t)(at + 1 - address.ptr) };
	bool is_edge = true;
	for (size_t i = 0; i < domain.len; i++) {
		if (!is_domain_byte(domain.ptr[i]) || (is_edge && domain.ptr[i] == '.'))
			return "its domain is none";
		is_edge = domain.ptr[i] == '.';
	}
	return is_edge ? "its domain is none" : NULL;
}

/* "a@x.example, b@y.example", or a list of them, as one text; false when the call has failed. */
static bool addresses_of(const struct gw_host *host, struct gw_call *call, const char *name,
                         struct gw_str *ret)
{
	const struct gw_json_ops *j = host->json;
	const struct gw_json *value = j->get(host->call->params(call), name);
	bool is_list = j->type(value) == GW_JSON_LIST;
	size_t count = is_list ? j->count(value) : j->type(value) == GW_JSON_STR, addresses = 0;
	*ret = GW_LIT("");
	for (size_t i = 0; i < count; i++) {
		struct gw_str text = j->str(is_list ? j->at(value, i) : value);
		for (size_t from = 0, len; from <= text.len; from += len + 1) {
			const char *comma = memchr(text.ptr + from, ',', text.len - from);
			len = comma && !is_list ? (size_t)(comma - text.ptr) - from
			                        : text.len - from;
			struct gw_str one = { text.ptr + from, len };
			while (one.len > 0 && one.ptr[0] == ' ')
				one = (struct gw_str){ one.ptr + 1, one.len - 1 };
			while (one.len > 0 && one.ptr[one.len - 1] == ' ')
				one.len--;
			const char *fault = address_fault(one);
			if (++addresses > ADDRESSES_MAX)
				fault = "there are more than 50 addresses";
			if (fault) {
				refuse(host, call,
				       host->call->format(
					       call,
					       "the address \"%.*s\" in %s cannot be used: %s",
					       one.len < 100 ? (int)one.len : 100, one.ptr, name,
					       fault));
				return false;
			}
			*ret = host->call->format(call, "%.*s%s%.*s", (int)ret->len, ret->ptr,
			                          ret->len > 0 ? ", " : "", (int)one.len, one.ptr);
		}
	}
	return true;
}

static void sent(const struct gw_host *host, struct gw_call *call, int status,
                 const struct gw_http_reply *reply)
{
	struct gw_json *result = host->json->object(call);
	if (status != GW_OK) {
		struct gw_str code = GW_LIT("");
		if (reply->code > 0)
			code = host->call->format(call, "SMTP_%d", (int)reply->code);
		host->call->fail_reply(call, status, reply, code, GW_LIT(""));
		return;
	}
	host->json->set_bool(result, "accepted", true);
	host->json->set_bool(result, "by_all", reply->code / 100 == 2);
	if (reply->code / 100 != 2)
		host->call->note(call, "the server refused a recipient; the others have the mail");
	host->call->done(call, result);
}

/* Automatic mail says so (RFC 3834), so that no out-of-office answer comes back. */
static size_t headers_of(const struct gw_host *host, struct gw_call *call,
                         struct gw_header headers[HEADERS_MAX + 1])
{
	const struct gw_json *given = host->json->get(host->call->params(call), "headers");
	size_t count = 0;
	for (; count < host->json->count(given) && count < HEADERS_MAX; count++)
		headers[count] = (struct gw_header){
			host->json->key(given, count), host->json->str(host->json->at(given, count))
		};
	if (!host->json->member(given, GW_LIT("Auto-Submitted")))
		headers[count++] = (struct gw_header){ GW_LIT("Auto-Submitted"),
			                               GW_LIT("auto-generated") };
	return count;
}

static void send(const struct gw_host *host, struct gw_call *call)
{
	struct gw_header headers[HEADERS_MAX + 1];
	struct gw_mail mail = { .size = sizeof(mail),
		                .headers = headers,
		                .subject = host->call->str(call, "subject"),
		                .text = host->call->str(call, "text"),
		                .html = host->call->str(call, "html") };
	mail.header_count = headers_of(host, call, headers);
	if (!addresses_of(host, call, "to", &mail.to) ||
	    !addresses_of(host, call, "cc", &mail.cc) ||
	    !addresses_of(host, call, "reply_to", &mail.reply_to))
		return;
	if (mail.to.len == 0) {
		refuse(host, call, GW_LIT("the mail has no recipient"));
		return;
	}
	host->mail->send(call, &mail, sent);
}

/* --- what there is ------------------------------------------------------------ */

/* Schemas and tables have lines of their own. */
/* clang-format off */
#define ADDRESSES(name, what) "\"" name "\":{\"type\":[\"string\",\"array\"],\"maxLength\":10000," \
	"\"items\":{\"type\":\"string\"},\"description\":\"" what "\"}"

static const struct gw_action send_action = {
	.size = sizeof(send_action), .effect = GW_EFFECT_ONCE, .name = "send",
	.summary = "Sends a mail, as text or as text and HTML.",
	.params =
		"{\"type\":\"object\",\"additionalProperties\":false,"
		"\"required\":[\"to\",\"subject\",\"text\"],\"properties\":{"
		ADDRESSES("to", "The recipients: addresses, as a list or separated by commas") ","
		ADDRESSES("cc", "Further recipients") ","
		ADDRESSES("reply_to", "Where answers go") ","
		"\"subject\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":300},"
		"\"text\":{\"type\":\"string\",\"minLength\":1,\"description\":\"The mail as plain "
		"text\"},"
		"\"html\":{\"type\":\"string\",\"description\":\"The same as HTML\"},"
		"\"headers\":{\"type\":\"object\",\"maxProperties\":20,\"propertyNames\":{"
		"\"pattern\":"
		"\"^(X-[A-Za-z0-9-]+|List-[A-Za-z0-9-]+|Auto-Submitted|Importance|In-Reply-To|"
		"References)$\"},\"additionalProperties\":{\"type\":\"string\"},\"description\":"
		"\"Further headers: X-..., List-..., Auto-Submitted, Importance, In-Reply-To, "
		"References\"}}}",
	.result = "{\"type\":\"object\",\"required\":[\"accepted\",\"by_all\"],\"properties\":{"
		"\"accepted\":{\"type\":\"boolean\",\"description\":\"The server took it\"},"
		"\"by_all\":{\"type\":\"boolean\",\"description\":\"For every recipient\"}}}",
	.personal = "params.to params.cc params.reply_to params.text params.html",
	.start = send,
};

static const struct gw_action *const actions[] = { &send_action, NULL };

#define ROW(code, type, text, who) \
	&(const struct gw_error_row){ sizeof(struct gw_error_row), 0, code, type, text, who }
#define ADDRESS "Correct the address."
#define LATER "Try again later: the server would not take it now."

static const struct gw_error_row *const errors[] = {
	ROW("INVALID_MAIL", "validation", ADDRESS, "CS"),
	ROW("SMTP_421", "server", LATER, "IT/DevOps"),
	ROW("SMTP_450", "server", LATER, "IT/DevOps"),
	ROW("SMTP_451", "server", LATER, "IT/DevOps"),
	ROW("SMTP_452", "server", LATER, "IT/DevOps"),
	ROW("SMTP_530", "authentication", "Give the mail connection a user and password.",
	    "IT/DevOps"),
	ROW("SMTP_535", "authentication", "Correct the mail connection's user and password.",
	    "IT/DevOps"),
	ROW("SMTP_550", "not_found",
	    "Correct the recipient's address; the server knows no such box.",
	    "CS"),
	ROW("SMTP_551", "not_found", ADDRESS, "CS"),
	ROW("SMTP_552", "validation", "Make the mail smaller.", "Integration Admin"),
	ROW("SMTP_553", "validation", ADDRESS, "CS"),
	ROW("SMTP_554", "authorization", "Ask the server's administrator why it refuses our mail.",
	    "IT/DevOps"),
	NULL,
};

static const struct gw_plugin plugin = {
	.abi_major = GW_ABI_MAJOR, .abi_minor = GW_ABI_MINOR, .size = sizeof(plugin),
	.name = "email", .version = "1.0.0",
	.summary = "Sends mail.",
	.actions = actions, .errors = errors,
	.settings = "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{}}",
};
/* clang-format on */

GW_EXPORT const struct gw_plugin *gw_plugin_entry(void)
{
	return &plugin;
}
