/* SPDX-License-Identifier: MIT */
/*
 * netsuite - reads invoices and records from NetSuite (SuiteTalk REST, SuiteQL).
 *
 * SuiteQL answers with strings: keys in lower case, numbers as text, "T" and "F"
 * for booleans, nothing at all for null, a letter for a status.  Here they become
 * what they mean.  It knows no bound parameters either, so values are quoted here.
 */
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "gw_plugin.h"

static bool is(struct gw_str text, const char *what)
{
	return text.len == strlen(what) && strncasecmp(text.ptr, what, text.len) == 0;
}

static bool contains(struct gw_str text, const char *what)
{
	size_t len = strlen(what);
	for (size_t i = 0; i + len <= text.len; i++)
		if (strncasecmp(text.ptr + i, what, len) == 0)
			return true;
	return false;
}

/* --- what went wrong ------------------------------------------------------ */

static void fail(const struct gw_host *host, struct gw_call *call, int status,
                 const struct gw_http_reply *reply)
{
	const struct gw_json *body = host->json->parse(call, reply->body);
	const struct gw_json *details = host->json->member(body, GW_LIT("o:errorDetails"));
	const struct gw_json *first = host->json->at(details, 0);
	struct gw_str code = host->json->str(host->json->member(first, GW_LIT("o:errorCode")));
	struct gw_str message = host->json->str(host->json->get(first, "detail"));
	if (message.len == 0)
		message = host->json->str(host->json->get(body, "title"));
	if (status == GW_OK)
		message = GW_LIT("that is no answer to the request");
	if (message.len > 0)
		message = host->call->format(call, "NetSuite: %.*s", (int)message.len, message.ptr);
	host->call->fail_reply(call, status, reply, code, message);
}

static void refuse(const struct gw_host *host, struct gw_call *call, int status, int http_status,
                   struct gw_str code, struct gw_str message)
{
	struct gw_failure failure = { .size = sizeof(failure),
		                      .status = status,
		                      .message = message,
		                      .http_status = http_status,
		                      .error_code = code };
	host->call->fail(call, &failure);
}

/* Signed requests have no token to renew; with a fresh nonce and time one repetition may help. */
static int32_t classify(const struct gw_host *host, struct gw_call *call,
                        const struct gw_http_reply *reply)
{
	(void)host;
	(void)call;
	return reply->code == 401 ? GW_REPLY_REAUTH : GW_REPLY_DEFAULT;
}

/* --- SuiteQL ---------------------------------------------------------------- */

/* A string literal: the quote is doubled, nothing else is special. */
static struct gw_str quoted(const struct gw_host *host, struct gw_call *call, struct gw_str value)
{
	char *out = host->call->alloc(call, value.len * 2 + 2), *to = out;
	*to++ = '\'';
	for (size_t i = 0; i < value.len; i++) {
		if (value.ptr[i] == '\'')
			*to++ = '\'';
		*to++ = value.ptr[i];
	}
	*to++ = '\'';
	return (struct gw_str){ out, (size_t)(to - out) };
}

static bool is_word(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '_';
}

/* The length of the next piece of a query: a string, a :name, or text without either. */
static size_t piece_len(const char *at, size_t left)
{
	size_t len = 1;
	if (*at == '\'') {
		while (len < left && at[len] != '\'')
			len++;
		return len < left ? len + 1 : left;
	}
	bool is_name = *at == ':';
	while (len < left && (is_name ? is_word(at[len]) : at[len] != '\'' && at[len] != ':'))
		len++;
	return len;
}

static struct gw_str literal(const struct gw_host *host, struct gw_call *call,
                             const struct gw_json *value)
{
	int32_t type = host->json->type(value);
	if (type == GW_JSON_STR)
		return quoted(host, call, host->json->str(value));
	if (type == GW_JSON_BOOL)
		return host->json->truth(value) ? GW_LIT("'T'") : GW_LIT("'F'");
	return type == GW_JSON_INT || type == GW_JSON_REAL ? host->json->text(call, value)
	                                                   : GW_LIT("");
}

/* The query with each :name outside of strings replaced; empty when the call has failed. */
static struct gw_str bind(const struct gw_host *host, struct gw_call *call, struct gw_str query)
{
	const struct gw_json *values = host->json->get(host->call->params(call), "values");
	struct gw_str ret = GW_LIT("");
	for (size_t i = 0, len; i < query.len; i += len) {
		len = piece_len(query.ptr + i, query.len - i);
		struct gw_str piece = { query.ptr + i, len }, name = { query.ptr + i + 1, len - 1 };
		if (piece.ptr[0] == ':' && len > 1)
			piece = literal(host, call, host->json->member(values, name));
		if (piece.len == 0) {
			refuse(host, call, GW_E_INPUT, 0, GW_LIT("UNBOUND_VALUE"),
			       host->call->format(call,
			                          "the query names :%.*s, and values has no such "
			                          "text, number or boolean",
			                          (int)name.len, name.ptr));
			return piece;
		}
		ret = host->call->format(call, "%.*s%.*s", (int)ret.len, ret.ptr, (int)piece.len,
		                         piece.ptr);
	}
	return ret;
}

static void send_query(const struct gw_host *host, struct gw_call *call, struct gw_str query,
                       int64_t limit, int64_t offset, gw_http_cb *then)
{
	/* Refused without it. */
	static const struct gw_header headers[] = { { { "Prefer", 6 }, { "transient", 9 } } };
	struct gw_json *body = host->json->object(call);
	host->json->set_str(body, "q", query);
	struct gw_http_req req = { .size = sizeof(req),
		                   .method = "POST",
		                   .headers = headers,
		                   .header_count = 1,
		                   .effect = GW_EFFECT_READ };
	req.path = host->call->format(call,
	                              "/services/rest/query/v1/suiteql?limit=%lld&offset=%lld",
	                              (long long)limit, (long long)offset);
	req.body = host->json->text(call, body);
	host->http->send(call, &req, then);
}

/* --- invoices ----------------------------------------------------------------- */

enum { INVOICES_MAX = 50 };

#define INVOICE_COLUMNS                                                                         \
	"id, tranid, TO_CHAR(trandate, 'YYYY-MM-DD') AS trandate, "                             \
	"TO_CHAR(duedate, 'YYYY-MM-DD') AS duedate, status, BUILTIN.DF(status) AS statusname, " \
	"voided, foreigntotal, foreignamountunpaid, BUILTIN.DF(currency) AS currencyname, "     \
	"BUILTIN.DF(entity) AS entityname"

/* What the settings say of a letter ("C=CANCELLED, P=PENDING"), or "". */
static struct gw_str status_in(struct gw_str list, struct gw_str letter)
{
	for (size_t i = 0; letter.len == 1 && i + 1 < list.len; i++) {
		bool is_start = i == 0 || list.ptr[i - 1] == ',' || list.ptr[i - 1] == ' ';
		if (!is_start || list.ptr[i] != letter.ptr[0] || list.ptr[i + 1] != '=')
			continue;
		size_t from = i + 2, to = from;
		while (to < list.len && is_word(list.ptr[to]))
			to++;
		return (struct gw_str){ list.ptr + from, to - from };
	}
	return GW_LIT("");
}

static struct gw_str status_of(const struct gw_host *host, struct gw_call *call,
                               const struct gw_json *row)
{
	static const char *const letters[][2] = { { "A", "OPEN" },
		                                  { "B", "PAID" },
		                                  { "D", "PENDING" },
		                                  { "E", "CANCELLED" },
		                                  { "V", "VOIDED" } };
	/* The name that people see counts more than the letter when it says that something is
	 * wrong. */
	static const char *const words[][2] = {
		{ "void", "VOIDED" },     { "cancel", "CANCELLED" },  { "reject", "CANCELLED" },
		{ "pending", "PENDING" }, { "paid in full", "PAID" }, { "open", "OPEN" }
	};
	enum { WRONG_WORDS = 4 };
	size_t word = 0;
	struct gw_str letter = host->json->str(host->json->get(row, "status"));
	struct gw_str shown = host->json->str(host->json->get(row, "statusname"));
	struct gw_str own = status_in(host->call->setting(call, "statuses", ""), letter);
	if (host->json->truth(host->json->get(row, "voided")))
		return GW_LIT("VOIDED");
	if (own.len > 0)
		return own;
	while (word < sizeof(words) / sizeof(*words) && !contains(shown, words[word][0]))
		word++;
	for (size_t i = 0; word >= WRONG_WORDS && i < sizeof(letters) / sizeof(*letters); i++)
		if (is(letter, letters[i][0]))
			return (struct gw_str){ letters[i][1], strlen(letters[i][1]) };
	if (word < sizeof(words) / sizeof(*words))
		return (struct gw_str){ words[word][1], strlen(words[word][1]) };
	return GW_LIT("UNKNOWN");
}

/* Null when the column was left out, which is how SuiteQL says null. */
static void set_text(const struct gw_host *host, struct gw_json *invoice, const char *key,
                     const struct gw_json *row, const char *column)
{
	host->json->set_null(invoice, key);
	host->json->set(invoice, key, host->json->get(row, column));
}

/* Two decimals of a percentage; the casts cut. */
static double percent(double part, double whole)
{
	return (double)(int64_t)(part * 10000 / whole + (part < 0 ? -0.5 : 0.5)) / 100;
}

static struct gw_json *invoice_of(const struct gw_host *host, struct gw_call *call,
                                  const struct gw_json *row)
{
	const struct gw_json_ops *j = host->json;
	struct gw_json *invoice = j->object(call);
	struct gw_str status = status_of(host, call, row);
	const double none = -1e300;
	double total = j->number(j->get(row, "foreigntotal"), none);
	double unpaid = j->number(j->get(row, "foreignamountunpaid"), none);
	bool has_both = total > none && unpaid > none && total != 0;
	set_text(host, invoice, "id", row, "id");
	set_text(host, invoice, "tranId", row, "tranid");
	set_text(host, invoice, "tranDate", row, "trandate");
	set_text(host, invoice, "dueDate", row, "duedate");
	set_text(host, invoice, "status_name", row, "statusname");
	set_text(host, invoice, "currency", row, "currencyname");
	set_text(host, invoice, "entity", row, "entityname");
	j->set_str(invoice, "status", status);
	j->set_bool(invoice, "voided", is(status, "VOIDED"));
	j->set_bool(invoice, "cancelled", is(status, "CANCELLED"));
	j->set_null(invoice, "total");
	j->set_null(invoice, "amountRemaining");
	j->set_null(invoice, "paid_percent");
	if (total > none)
		j->set_num(invoice, "total", total);
	if (unpaid > none)
		j->set_num(invoice, "amountRemaining", unpaid);
	if (has_both)
		j->set_num(invoice, "paid_percent", percent(total - unpaid, total));
	return invoice;
}

/* 0: still to be settled, 1: settled, 2: never to be. */
static int rank(const struct gw_host *host, const struct gw_json *invoice)
{
	struct gw_str status = host->json->str(host->json->get(invoice, "status"));
	return is(status, "VOIDED") || is(status, "CANCELLED") ? 2 : is(status, "PAID");
}

/* The open one that is due first; else the latest. */
static bool is_better(const struct gw_host *host, const struct gw_json *a, const struct gw_json *b)
{
	int x = rank(host, a), y = rank(host, b);
	struct gw_str due = host->json->str(host->json->get(a, "dueDate"));
	struct gw_str other = host->json->str(host->json->get(b, "dueDate"));
	if (x != y)
		return x < y;
	if (x != 0 || due.len == 0 || other.len != due.len)
		return x == 0 && due.len > 0 && other.len == 0;
	return memcmp(due.ptr, other.ptr, due.len) < 0;
}

static void invoices_done(const struct gw_host *host, struct gw_call *call, int status,
                          const struct gw_http_reply *reply)
{
	const struct gw_json_ops *j = host->json;
	const struct gw_json *body = j->parse(call, reply->body), *rows = j->get(body, "items");
	const struct gw_json *best = NULL;
	struct gw_str account = host->call->str(call, "account_id");
	if (status != GW_OK || j->type(rows) != GW_JSON_LIST) {
		fail(host, call, status, reply);
		return;
	}
	struct gw_json *result = j->object(call), *all = j->list(call);
	for (size_t i = 0; i < j->count(rows); i++) {
		const struct gw_json *invoice = invoice_of(host, call, j->at(rows, i));
		j->push(all, invoice);
		if (!best || is_better(host, invoice, best))
			best = invoice;
	}
	if (!best) {
		refuse(host, call, GW_E_ABSENT, 404, GW_LIT("NOT_FOUND"),
		       host->call->format(call, "NetSuite has no invoice of the account %.*s",
		                          (int)account.len, account.ptr));
		return;
	}
	j->set(result, "invoice", best);
	j->set_int(result, "invoices",
	           j->integer(j->get(body, "totalResults"), (int64_t)j->count(all)));
	j->set(result, "all", all);
	host->call->done(call, result);
}

static void get_invoice(const struct gw_host *host, struct gw_call *call)
{
	struct gw_str id = quoted(host, call, host->call->str(call, "account_id"));
	struct gw_str field = host->call->setting(call, "customer_field", "entityid");
	struct gw_str query = host->call->format(
		call,
		"SELECT " INVOICE_COLUMNS " FROM transaction WHERE type = 'CustInvc' AND "
		"entity IN (SELECT id FROM customer WHERE %.*s = %.*s) ORDER BY id DESC",
		(int)field.len, field.ptr, (int)id.len, id.ptr);
	send_query(host, call, query, INVOICES_MAX, 0, invoices_done);
}

/* --- any query, any record ------------------------------------------------------ */

static void suiteql_done(const struct gw_host *host, struct gw_call *call, int status,
                         const struct gw_http_reply *reply)
{
	const struct gw_json_ops *j = host->json;
	const struct gw_json *body = j->parse(call, reply->body), *items = j->get(body, "items");
	struct gw_json *result = j->object(call);
	if (status != GW_OK || j->type(items) != GW_JSON_LIST) {
		fail(host, call, status, reply);
		return;
	}
	j->set(result, "items", items);
	j->set_int(result, "total",
	           j->integer(j->get(body, "totalResults"), (int64_t)j->count(items)));
	j->set_bool(result, "more", j->truth(j->get(body, "hasMore")));
	host->call->done(call, result);
}

static void suiteql(const struct gw_host *host, struct gw_call *call)
{
	const struct gw_json *params = host->call->params(call);
	struct gw_str query = bind(host, call, host->call->str(call, "query"));
	if (query.len > 0)
		send_query(host, call, query,
		           host->json->integer(host->json->get(params, "limit"), 100),
		           host->json->integer(host->json->get(params, "offset"), 0), suiteql_done);
}

static void record_done(const struct gw_host *host, struct gw_call *call, int status,
                        const struct gw_http_reply *reply)
{
	const struct gw_json *record = host->json->parse(call, reply->body);
	struct gw_json *result = host->json->object(call);
	if (status != GW_OK || host->json->type(record) != GW_JSON_OBJECT) {
		fail(host, call, status, reply);
		return;
	}
	host->json->set(result, "record", record);
	host->call->done(call, result);
}

static void get_record(const struct gw_host *host, struct gw_call *call)
{
	struct gw_str type = host->call->str(call, "type");
	struct gw_str id = host->call->url(call, host->call->str(call, "id"));
	bool expand = host->json->truth(host->json->get(host->call->params(call), "expand"));
	struct gw_http_req req = { .size = sizeof(req), .method = "GET" };
	req.path = host->call->format(call, "/services/rest/record/v1/%.*s/%.*s%s", (int)type.len,
	                              type.ptr, (int)id.len, id.ptr,
	                              expand ? "?expandSubResources=true" : "");
	host->http->send(call, &req, record_done);
}

/* --- what there is ------------------------------------------------------------ */

/* Schemas and tables have lines of their own. */
/* clang-format off */
#define PARAMS(required) "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[" \
	required "],\"properties\":{"
#define TEXT(name) "\"" name "\":{\"type\":[\"string\",\"null\"]},"
#define NUMBER(name) "\"" name "\":{\"type\":[\"number\",\"null\"]},"
#define INVOICE "{\"type\":\"object\",\"required\":[\"id\",\"status\",\"voided\",\"cancelled\"]," \
	"\"properties\":{" TEXT("id") TEXT("tranId") TEXT("tranDate") TEXT("dueDate") \
	TEXT("status_name") TEXT("currency") TEXT("entity") NUMBER("total") \
	NUMBER("amountRemaining") NUMBER("paid_percent") \
	"\"status\":{\"enum\":[\"OPEN\",\"PAID\",\"PENDING\",\"VOIDED\",\"CANCELLED\"," \
	"\"UNKNOWN\"]}," \
	"\"voided\":{\"type\":\"boolean\"},\"cancelled\":{\"type\":\"boolean\"}}}"

static const struct gw_action get_invoice_action = {
	.size = sizeof(get_invoice_action), .effect = GW_EFFECT_READ, .name = "get_invoice",
	.summary = "Reads the invoices of an account's customer.",
	.params = PARAMS("\"account_id\"")
		"\"account_id\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":255,"
		"\"description\":\"What names the customer in NetSuite\"}}}",
	.result =
		"{\"type\":\"object\",\"required\":[\"invoice\",\"invoices\",\"all\"],"
		"\"properties\":{"
		"\"invoice\":" INVOICE ",\"invoices\":{\"type\":\"integer\",\"description\":\"How "
		"many there are\"},\"all\":{\"type\":\"array\",\"items\":" INVOICE "}}}",
	.start = get_invoice,
};

static const struct gw_action suiteql_action = {
	.size = sizeof(suiteql_action), .effect = GW_EFFECT_READ, .name = "suiteql",
	.summary = "Runs a SuiteQL query; values are bound by name, so that no text becomes "
		   "syntax.",
	.params = PARAMS("\"query\"")
		"\"query\":{\"type\":\"string\",\"minLength\":1,\"description\":\"The query, with "
		":name where a value stands\"},"
		"\"values\":{\"type\":\"object\",\"description\":\"The values by name: text, "
		"number or boolean\"},"
		"\"limit\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000,\"description\":"
		"\"Rows of a page; 100 when absent\"},"
		"\"offset\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":99999}}}",
	.result =
		"{\"type\":\"object\",\"required\":[\"items\",\"total\",\"more\"],\"properties\":{"
		"\"items\":{\"type\":\"array\",\"items\":{\"type\":\"object\"},\"description\":"
		"\"Rows; keys in lower case, values as text, nulls left out\"},"
		"\"total\":{\"type\":\"integer\"},\"more\":{\"type\":\"boolean\"}}}",
	.start = suiteql,
};

static const struct gw_action get_record_action = {
	.size = sizeof(get_record_action), .effect = GW_EFFECT_READ, .name = "get_record",
	.summary = "Reads one record by its type and id.",
	.params = PARAMS("\"type\",\"id\"")
		"\"type\":{\"type\":\"string\",\"pattern\":\"^[A-Za-z][A-Za-z0-9_]{0,79}$\","
		"\"description\":\"The record's type, such as invoice\"},"
		"\"id\":{\"type\":[\"string\",\"integer\"],\"minLength\":1,\"maxLength\":80,"
		"\"description\":\"Its internal id, or eid: and its external id\"},"
		"\"expand\":{\"type\":\"boolean\",\"description\":\"With its lines\"}}}",
	.result = "{\"type\":\"object\",\"required\":[\"record\"],\"properties\":{\"record\":"
		"{\"type\":\"object\"}}}",
	.start = get_record,
};

static const struct gw_action *const actions[] = { &get_invoice_action, &suiteql_action,
	                                           &get_record_action, NULL };

#define ROW(status, code, type, text, who) \
	&(const struct gw_error_row){ sizeof(struct gw_error_row), status, code, type, text, who }
#define LOGIN "Check the connection's keys and token, the realm, and this machine's clock."
#define ACCESS "Give the integration's role the permission, and REST Web Services."
#define FIND "Check that the customer and the invoice exist in NetSuite."
#define BUSY "Lower the connection's concurrency, or ask for SuiteCloud Plus licences."

static const struct gw_error_row *const errors[] = {
	ROW(401, "INVALID_LOGIN", "authentication", LOGIN, "IT/DevOps"),
	ROW(401, NULL, "authentication", LOGIN, "IT/DevOps"),
	ROW(403, "INSUFFICIENT_PERMISSION", "authorization", ACCESS, "System Admin"),
	ROW(403, NULL, "authorization", ACCESS, "System Admin"),
	ROW(0, "INVALID_PARAMETER", "validation", "Correct the query.", "Integration Admin"),
	ROW(0, "UNBOUND_VALUE", "validation", "Give the query the value it names.",
	    "Integration Admin"),
	ROW(400, NULL, "validation", "Correct the data that was refused.", "Data Admin"),
	ROW(404, "NOT_FOUND", "not_found", FIND, "Finance"),
	ROW(404, NULL, "not_found", "Check that the record exists and that its id is right.",
	    "Data Admin"),
	ROW(429, "CONCURRENCY_LIMIT_EXCEEDED", "rate_limit", BUSY, "Integration Admin"),
	ROW(429, NULL, "rate_limit", BUSY, "Integration Admin"),
	ROW(500, NULL, "server", "Try again later; see status.netsuite.com.", "Support Team"),
	ROW(503, NULL, "server", "Try again later; see status.netsuite.com.", "Support Team"),
	NULL,
};

static const struct gw_plugin plugin = {
	.abi_major = GW_ABI_MAJOR, .abi_minor = GW_ABI_MINOR, .size = sizeof(plugin),
	.name = "netsuite", .version = "1.0.0",
	.summary = "Reads invoices and records from NetSuite.",
	.actions = actions, .errors = errors, .classify = classify,
	.settings = PARAMS("")
		"\"customer_field\":{\"type\":\"string\","
		"\"pattern\":\"^[A-Za-z][A-Za-z0-9_]{0,79}$\","
		"\"default\":\"entityid\",\"description\":\"The customer's column that holds what "
		"account_id names\"},"
		"\"statuses\":{\"type\":\"string\",\"description\":\"Further status letters, such "
		"as C=CANCELLED, P=PENDING\"}}}",
};
/* clang-format on */

GW_EXPORT const struct gw_plugin *gw_plugin_entry(void)
{
	return &plugin;
}
