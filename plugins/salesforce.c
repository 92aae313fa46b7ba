/* SPDX-License-Identifier: MIT */
/*
 * salesforce - reads and writes records of a Salesforce org (REST API).
 *
 * onboarding() asks for the account, its opportunities and its owner in one
 * Composite request whose parts refer to one another.  What that answer leaves
 * open is asked for singly, at most four requests: first the account, then the
 * rest side by side.  A Composite is HTTP 200 whatever its parts did, a part that
 * was only halted hides the real cause, and 403 may mean "later".
 */
#include <stdbool.h>
#include <string.h>

#include "gw_plugin.h"

enum { ROWS_DEFAULT = 200, PAGES_MAX = 20, NAME_BYTES = 80 };

#define ACCOUNT_FIELDS "Id, Name, AccountNumber, IsDeleted, BillingCountry, Industry, OwnerId"
#define ACCOUNT_ORDER "ORDER BY LastModifiedDate DESC LIMIT 5"
#define OPPORTUNITY_FIELDS "Id, Name, StageName, Amount, CloseDate, AccountId, ContractId"
#define OPPORTUNITY_ORDER "ORDER BY IsWon DESC, CloseDate DESC NULLS LAST, Id DESC LIMIT 20"
#define USER_FIELDS "Id,Name,IsActive,Email,ProfileId,Title,Department,ManagerId"

static bool is(struct gw_str text, const char *what)
{
	return text.len == strlen(what) && memcmp(text.ptr, what, text.len) == 0;
}

static bool begins(struct gw_str text, const char *what)
{
	return text.len >= strlen(what) && memcmp(text.ptr, what, strlen(what)) == 0;
}

/* --- what went wrong ------------------------------------------------------ */

struct cause {
	struct gw_str code, message;
};

/* One error is an object, several are a list, a gateway's are HTML (json is NULL then). */
static struct cause cause_of(const struct gw_host *host, const struct gw_json *json)
{
	const struct gw_json_ops *j = host->json;
	const struct gw_json *error = json;
	for (size_t i = 0; j->type(json) == GW_JSON_LIST && i < j->count(json); i++) {
		error = j->at(json, i);
		/* A halted part tells nothing; what halted it does. */
		if (!is(j->str(j->get(error, "errorCode")), "PROCESSING_HALTED"))
			break;
	}
	struct cause cause = { j->str(j->get(error, "errorCode")),
		               j->str(j->get(error, "message")) };
	if (cause.code.len == 0)
		cause = (struct cause){ j->str(j->get(error, "error")),
			                j->str(j->get(error, "error_description")) };
	return cause;
}

static void fail(const struct gw_host *host, struct gw_call *call, int status,
                 const struct gw_http_reply *reply)
{
	struct cause cause = { GW_LIT(""), GW_LIT("that is no answer to the request") };
	if (status != GW_OK)
		cause = cause_of(host, host->json->parse(call, reply->body));
	if (cause.message.len > 0)
		cause.message = host->call->format(call, "Salesforce: %.*s", (int)cause.message.len,
		                                   cause.message.ptr);
	host->call->fail_reply(call, status, reply, cause.code, cause.message);
}

/* What a reply brought: an object, or its member that is a list.  NULL: the call has failed. */
static const struct gw_json *answer(const struct gw_host *host, struct gw_call *call, int status,
                                    const struct gw_http_reply *reply, const char *list)
{
	const struct gw_json *body = host->json->parse(call, reply->body);
	const struct gw_json *value = host->json->get(body, list);
	int32_t type = list[0] ? GW_JSON_LIST : GW_JSON_OBJECT;
	if (status == GW_OK && host->json->type(value) == type)
		return value;
	fail(host, call, status, reply);
	return NULL;
}

static void refuse(const struct gw_host *host, struct gw_call *call, int status, const char *code,
                   struct gw_str message)
{
	struct gw_failure failure = { .size = sizeof(failure),
		                      .status = status,
		                      .message = message,
		                      .error_code = { code, strlen(code) },
		                      .http_status = status == GW_E_ABSENT ? 404 : 0 };
	host->call->fail(call, &failure);
}

static int32_t classify(const struct gw_host *host, struct gw_call *call,
                        const struct gw_http_reply *reply)
{
	if (reply->code == 401)
		return GW_REPLY_REAUTH;
	if (reply->code != 400 && reply->code != 403)
		return GW_REPLY_DEFAULT;
	struct gw_str code = cause_of(host, host->json->parse(call, reply->body)).code;
	bool is_limit = reply->code == 403 && is(code, "REQUEST_LIMIT_EXCEEDED");
	bool is_passing = is(code, "UNABLE_TO_LOCK_ROW") || is(code, "QUERY_TIMEOUT");
	return is_limit || (reply->code == 400 && is_passing) ? GW_REPLY_RETRY : GW_REPLY_DEFAULT;
}

/* --- SOQL ------------------------------------------------------------------- */

/* A string literal.  Backslash escapes only: SOQL knows no doubled quote. */
static struct gw_str quoted(const struct gw_host *host, struct gw_call *call, struct gw_str value)
{
	static const char special[] = "\\'\n\r\t\f", shown[] = "\\'nrtf",
			  hex[] = "0123456789ABCDEF";
	char *out = host->call->alloc(call, value.len * 6 + 2), *to = out;
	*to++ = '\'';
	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = (unsigned char)value.ptr[i];
		const char *known = c ? strchr(special, c) : NULL;
		if (known) {
			*to++ = '\\';
			*to++ = shown[known - special];
		} else if (c < ' ' || c == 127) {
			memcpy(to, "\\u00", 4);
			to[4] = hex[c >> 4];
			to[5] = hex[c & 15];
			to += 6;
		} else {
			*to++ = (char)c;
		}
	}
	*to++ = '\'';
	return (struct gw_str){ out, (size_t)(to - out) };
}

static struct gw_str join(const struct gw_host *host, struct gw_call *call, struct gw_str a,
                          struct gw_str b)
{
	return host->call->format(call, "%.*s%.*s", (int)a.len, a.ptr, (int)b.len, b.ptr);
}

/* A bound value as SOQL writes it; empty when it cannot be one. */
static struct gw_str literal(const struct gw_host *host, struct gw_call *call,
                             const struct gw_json *value, bool is_element)
{
	const struct gw_json_ops *j = host->json;
	struct gw_str list = GW_LIT("");
	int type = j->type(value);
	if (type == GW_JSON_STR)
		return quoted(host, call, j->str(value));
	if (type == GW_JSON_NULL || type == GW_JSON_BOOL || type == GW_JSON_INT ||
	    type == GW_JSON_REAL)
		return j->text(call, value);
	for (size_t i = 0; type == GW_JSON_LIST && !is_element && i < j->count(value); i++) {
		struct gw_str one = literal(host, call, j->at(value, i), true);
		if (one.len == 0)
			return one;
		list = join(host, call, list, i > 0 ? GW_LIT(",") : GW_LIT("("));
		list = join(host, call, list, one);
	}
	return list.len > 0 ? join(host, call, list, GW_LIT(")")) : list;
}

static bool is_letter(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_word(char c)
{
	return is_letter(c) || (c >= '0' && c <= '9') || c == '_';
}

/* The length of the next piece of a query: a string, a :name, or text without either. */
static size_t piece_len(const char *at, size_t left)
{
	size_t len = 1;
	if (*at == '\'') {
		while (len < left && at[len] != '\'')
			len += at[len] == '\\' ? 2 : 1;
		return len < left ? len + 1 : left;
	}
	if (*at == ':' && left > 1 && is_letter(at[1]))
		while (len < left && is_word(at[len]))
			len++;
	else
		while (len < left && at[len] != '\'' && at[len] != ':')
			len++;
	return len;
}

/* The query with each :name outside of strings replaced; false when the call has failed. */
static bool bind(const struct gw_host *host, struct gw_call *call, struct gw_str soql,
                 struct gw_str *ret)
{
	const struct gw_json *values = host->json->get(host->call->params(call), "values");
	*ret = GW_LIT("");
	for (size_t i = 0, len; i < soql.len; i += len) {
		len = piece_len(soql.ptr + i, soql.len - i);
		struct gw_str piece = { soql.ptr + i, len }, name = { soql.ptr + i + 1, len - 1 };
		if (piece.ptr[0] == ':' && len > 1 && is_letter(name.ptr[0]))
			piece = literal(host, call, host->json->member(values, name), false);
		if (piece.len == 0) {
			refuse(host, call, GW_E_INPUT, "UNBOUND_VALUE",
			       host->call->format(call,
			                          "the query names :%.*s, and values has no such "
			                          "text, number, boolean, null or list of them",
			                          (int)name.len, name.ptr));
			return false;
		}
		*ret = join(host, call, *ret, piece);
	}
	return true;
}

/* --- requests --------------------------------------------------------------- */

static struct gw_str base(const struct gw_host *host, struct gw_call *call)
{
	struct gw_str version = host->call->setting(call, "api_version", "60.0");
	return host->call->format(call, "/services/data/v%.*s", (int)version.len, version.ptr);
}

static void send(const struct gw_host *host, struct gw_call *call, const char *method,
                 struct gw_str path, const struct gw_json *body, gw_http_cb *then)
{
	struct gw_http_req req = { .size = sizeof(req),
		                   .method = method,
		                   .path = join(host, call, base(host, call), path) };
	if (body)
		req.body = host->json->text(call, body);
	host->http->send(call, &req, then);
}

/* --- onboarding ------------------------------------------------------------- */

enum part { ACCOUNT, OPPORTUNITY, USER, PARTS };

static const char *const part_names[PARTS] = { "acc", "opp", "usr" };

struct onboarding {
	const struct gw_json *got[PARTS]; /* a list, a list, a record; NULL: not answered yet */
	const struct gw_json *account;    /* the one that is meant */
	size_t chosen;                    /* its place among the accounts */
	int64_t alive;                    /* accounts that are not deleted */
	bool asked[PARTS];                /* singly */
	int waiting;
	bool no_currency; /* the org has but one: there is no CurrencyIsoCode */
};

/* 15 or 18 letters and digits that begin with an account's 001. */
static bool is_account_id(struct gw_str id)
{
	for (size_t i = 0; i < id.len; i++)
		if (!is_word(id.ptr[i]) || id.ptr[i] == '_')
			return false;
	return (id.len == 15 || id.len == 18) && begins(id, "001");
}

static struct gw_str account_path(const struct gw_host *host, struct gw_call *call)
{
	struct gw_str id = host->call->str(call, "account_id"), value = quoted(host, call, id);
	struct gw_str field = host->call->setting(call, "account_field", "AccountNumber");
	if (is_account_id(id))
		field = GW_LIT("Id");
	/* All, so that a deleted account is seen as such.  IsDeleted itself cannot be sorted by. */
	struct gw_str soql = host->call->format(
		call, "SELECT " ACCOUNT_FIELDS " FROM Account WHERE %.*s = %.*s " ACCOUNT_ORDER,
		(int)field.len, field.ptr, (int)value.len, value.ptr);
	return join(host, call, GW_LIT("/queryAll?q="), host->call->url(call, soql));
}

static bool wants_currency(const struct gw_host *host, struct gw_call *call)
{
	const struct onboarding *all = host->call->state(call);
	return !all->no_currency && is(host->call->setting(call, "multi_currency", "true"), "true");
}

/* id is an id, or a reference that must reach Salesforce as it is written. */
static struct gw_str part_path(const struct gw_host *host, struct gw_call *call, enum part part,
                               struct gw_str id)
{
	if (part == ACCOUNT)
		return account_path(host, call);
	if (part == USER)
		return host->call->format(call, "/sobjects/User/%.*s?fields=" USER_FIELDS,
		                          (int)id.len, id.ptr);
	struct gw_str head = host->call->format(
		call, "SELECT " OPPORTUNITY_FIELDS "%s FROM Opportunity WHERE AccountId = '",
		wants_currency(host, call) ? ", CurrencyIsoCode" : "");
	struct gw_str tail = host->call->url(call, GW_LIT("' " OPPORTUNITY_ORDER));
	head = host->call->url(call, head);
	return host->call->format(call, "/query?q=%.*s%.*s%.*s", (int)head.len, head.ptr,
	                          (int)id.len, id.ptr, (int)tail.len, tail.ptr);
}

/* Among namesakes the first that is not deleted; the others stay visible in the count. */
static void choose_account(const struct gw_host *host, struct onboarding *all)
{
	const struct gw_json_ops *j = host->json;
	for (size_t i = j->count(all->got[ACCOUNT]); i-- > 0;) {
		if (j->truth(j->get(j->at(all->got[ACCOUNT], i), "IsDeleted")))
			continue;
		all->chosen = i;
		all->alive++;
	}
	all->account = j->at(all->got[ACCOUNT], all->chosen);
}

/* Is this the answer to that part? */
static bool take(const struct gw_host *host, struct onboarding *all, enum part part,
                 const struct gw_json *body)
{
	const struct gw_json *value = part == USER ? body : host->json->get(body, "records");
	if (host->json->type(value) != (part == USER ? GW_JSON_OBJECT : GW_JSON_LIST))
		return false;
	all->got[part] = value;
	if (part == ACCOUNT)
		choose_account(host, all);
	return true;
}

static const struct gw_json *picked(const struct gw_host *host, struct gw_call *call,
                                    const struct gw_json *record, const char *fields)
{
	struct gw_json *ret = host->json->object(call);
	for (const char *at = fields; *at; at += strspn(at, ", ")) {
		char name[NAME_BYTES] = { 0 };
		size_t len = strcspn(at, ", ");
		memcpy(name, at, len < NAME_BYTES ? len : NAME_BYTES - 1);
		host->json->set(ret, name, host->json->get(record, name));
		at += len;
	}
	return ret;
}

static void finish(const struct gw_host *host, struct gw_call *call)
{
	const struct gw_json_ops *j = host->json;
	const struct onboarding *all = host->call->state(call);
	const struct gw_json *opportunity = j->at(all->got[OPPORTUNITY], 0);
	struct gw_json *result = j->object(call);
	j->set(result, "account", picked(host, call, all->account, ACCOUNT_FIELDS));
	j->set_int(result, "accounts", all->alive);
	j->set_null(result, "opportunity");
	j->set_int(result, "opportunities", (int64_t)j->count(all->got[OPPORTUNITY]));
	j->set_null(result, "user");
	j->set_null(result, "contract_id");
	if (opportunity)
		j->set(result, "opportunity",
		       picked(host, call, opportunity, OPPORTUNITY_FIELDS ", CurrencyIsoCode"));
	if (all->got[USER])
		j->set(result, "user", picked(host, call, all->got[USER], USER_FIELDS));
	j->set(result, "contract_id", j->get(opportunity, "ContractId"));
	host->call->done(call, result);
}

static void ask_singly(const struct gw_host *host, struct gw_call *call);

static void single_done(const struct gw_host *host, struct gw_call *call, int status,
                        const struct gw_http_reply *reply, enum part part)
{
	struct onboarding *all = host->call->state(call);
	const struct gw_json *body = host->json->parse(call, reply->body);
	bool is_lack = part == OPPORTUNITY && is(cause_of(host, body).code, "INVALID_FIELD") &&
	               wants_currency(host, call);
	bool is_gone = part == USER && status == GW_E_ABSENT; /* an owner who is gone is no error */
	all->waiting--;
	if (is_lack) {
		all->no_currency = true;
		all->asked[part] = false;
	} else if (!is_gone && (status != GW_OK || !take(host, all, part, body))) {
		fail(host, call, status, reply);
		return;
	}
	ask_singly(host, call);
}

static void account_done(const struct gw_host *host, struct gw_call *call, int status,
                         const struct gw_http_reply *reply)
{
	single_done(host, call, status, reply, ACCOUNT);
}

static void opportunity_done(const struct gw_host *host, struct gw_call *call, int status,
                             const struct gw_http_reply *reply)
{
	single_done(host, call, status, reply, OPPORTUNITY);
}

static void user_done(const struct gw_host *host, struct gw_call *call, int status,
                      const struct gw_http_reply *reply)
{
	single_done(host, call, status, reply, USER);
}

/* Asks for what is still open: the account first, for the others are found through it. */
static void ask_singly(const struct gw_host *host, struct gw_call *call)
{
	static gw_http_cb *const then[PARTS] = { account_done, opportunity_done, user_done };
	static const char *const keys[PARTS] = { "", "Id", "OwnerId" };
	struct onboarding *all = host->call->state(call);
	struct gw_str account = host->call->str(call, "account_id");
	if (all->got[ACCOUNT] && !all->account) {
		refuse(host, call, GW_E_ABSENT, "NOT_FOUND",
		       host->call->format(call, "Salesforce has no account %.*s", (int)account.len,
		                          account.ptr));
		return;
	}
	for (enum part part = ACCOUNT; part < (all->account ? PARTS : OPPORTUNITY); part++) {
		struct gw_str id = host->json->str(host->json->get(all->account, keys[part]));
		if (all->got[part] || all->asked[part] || (part != ACCOUNT && id.len == 0))
			continue;
		all->asked[part] = true;
		all->waiting++;
		send(host, call, "GET", part_path(host, call, part, host->call->url(call, id)),
		     NULL, then[part]);
	}
	if (all->waiting == 0)
		finish(host, call);
}

/* Takes what the parts answered; what they did not stays open. */
static void take_parts(const struct gw_host *host, struct onboarding *all,
                       const struct gw_json *parts)
{
	const struct gw_json_ops *j = host->json;
	for (size_t i = 0; i < j->count(parts); i++) {
		const struct gw_json *one = j->at(parts, i), *body = j->get(one, "body");
		int64_t code = j->integer(j->get(one, "httpStatusCode"), 0);
		enum part part = ACCOUNT;
		while (part < PARTS && !is(j->str(j->get(one, "referenceId")), part_names[part]))
			part++;
		if (part < PARTS && code == 200)
			(void)take(host, all, part, body);
		if (part == OPPORTUNITY && is(cause_of(host, body).code, "INVALID_FIELD"))
			all->no_currency = true;
		if (part == USER && code == 404)
			all->asked[USER] = true; /* an owner who is gone is gone */
	}
	/* The references spoke of the first account, and of an owner that may be missing. */
	if (all->chosen != 0)
		all->got[OPPORTUNITY] = NULL;
	if (all->chosen != 0 || j->str(j->get(all->account, "OwnerId")).len == 0)
		all->got[USER] = NULL;
	if (all->chosen != 0)
		all->asked[USER] = false;
}

static void composite_done(const struct gw_host *host, struct gw_call *call, int status,
                           const struct gw_http_reply *reply)
{
	struct onboarding *all = host->call->state(call);
	/* Single reads are of no use against a login that fails, a limit, or silence. */
	bool is_server = status == GW_E_BUSY && reply->code >= 500;
	bool is_half = status == GW_E_NETWORK && reply->code > 0;
	if (status != GW_OK && status != GW_E_INPUT && status != GW_E_ABSENT &&
	    status != GW_E_REPLY && !is_server && !is_half) {
		fail(host, call, status, reply);
		return;
	}
	const struct gw_json *body = host->json->parse(call, reply->body);
	take_parts(host, all, host->json->get(body, "compositeResponse"));
	if (!all->got[ACCOUNT] || (all->account && !all->got[OPPORTUNITY]))
		host->call->note(call,
		                 "the Composite request was not answered in full; asking singly");
	ask_singly(host, call);
}

static void onboarding(const struct gw_host *host, struct gw_call *call)
{
	static const char *const refs[PARTS] = { "", "@{acc.records[0].Id}",
		                                 "@{acc.records[0].OwnerId}" };
	const struct gw_json_ops *j = host->json;
	struct gw_json *body = j->object(call), *parts = j->list(call);
	for (enum part part = ACCOUNT; part < PARTS; part++) {
		struct gw_json *one = j->object(call);
		struct gw_str ref = { refs[part], strlen(refs[part]) };
		j->set_str(one, "method", GW_LIT("GET"));
		j->set_str(one, "url",
		           join(host, call, base(host, call), part_path(host, call, part, ref)));
		j->set_str(one, "referenceId", (struct gw_str){ part_names[part], 3 });
		j->push(parts, one);
	}
	j->set_bool(body, "allOrNone", false);
	j->set(body, "compositeRequest", parts);
	send(host, call, "POST", GW_LIT("/composite"), body, composite_done);
}

/* --- single records and queries --------------------------------------------- */

static struct gw_str record_path(const struct gw_host *host, struct gw_call *call)
{
	struct gw_str object = host->call->str(call, "object");
	struct gw_str field = host->call->str(call, "field");
	struct gw_str id = host->call->str(call, field.len > 0 ? "value" : "id");
	id = host->call->url(call, id);
	return host->call->format(call, "/sobjects/%.*s%s%.*s%s%.*s", (int)object.len, object.ptr,
	                          field.len > 0 ? "/" : "", (int)field.len, field.ptr,
	                          id.len > 0 ? "/" : "", (int)id.len, id.ptr);
}

static void get_done(const struct gw_host *host, struct gw_call *call, int status,
                     const struct gw_http_reply *reply)
{
	struct gw_json *result = host->json->object(call);
	const struct gw_json *record = answer(host, call, status, reply, "");
	if (!record)
		return;
	host->json->set(result, "record", record);
	host->call->done(call, result);
}

static void get(const struct gw_host *host, struct gw_call *call)
{
	const struct gw_json *fields = host->json->get(host->call->params(call), "fields");
	struct gw_str path = record_path(host, call);
	for (size_t i = 0; i < host->json->count(fields); i++) {
		struct gw_str field = host->json->str(host->json->at(fields, i));
		path = host->call->format(call, "%.*s%s%.*s", (int)path.len, path.ptr,
		                          i == 0 ? "?fields=" : ",", (int)field.len, field.ptr);
	}
	send(host, call, "GET", path, NULL, get_done);
}

/* 201 {"id"}, 200 {"id"} or 204 without a body. */
static void write_done(const struct gw_host *host, struct gw_call *call, int status,
                       const struct gw_http_reply *reply)
{
	const struct gw_json *body = host->json->parse(call, reply->body);
	struct gw_str id = host->json->str(host->json->get(body, "id"));
	struct gw_json *result = host->json->object(call);
	if (status != GW_OK || (reply->code != 204 && id.len == 0)) {
		fail(host, call, status, reply);
		return;
	}
	if (id.len == 0)
		id = host->call->str(call, "id");
	if (id.len > 0)
		host->json->set_str(result, "id", id);
	host->json->set_bool(result, "created", reply->code == 201);
	host->call->done(call, result);
}

/* Creates when nothing says which record; else changes that one. */
static void write(const struct gw_host *host, struct gw_call *call)
{
	const struct gw_json *params = host->call->params(call);
	bool is_new = !host->json->get(params, "id") && !host->json->get(params, "value");
	send(host, call, is_new ? "POST" : "PATCH", record_path(host, call),
	     host->json->get(params, "fields"), write_done);
}

struct query {
	struct gw_json *records;
	int pages;
};

static void query_done(const struct gw_host *host, struct gw_call *call, int status,
                       const struct gw_http_reply *reply)
{
	const struct gw_json_ops *j = host->json;
	struct query *query = host->call->state(call);
	const struct gw_json *body = j->parse(call, reply->body);
	const struct gw_json *records = answer(host, call, status, reply, "records");
	size_t max = (size_t)j->integer(j->get(host->call->params(call), "max_rows"), ROWS_DEFAULT);
	if (!records)
		return;
	for (size_t i = 0; i < j->count(records) && j->count(query->records) < max; i++)
		j->push(query->records, j->at(records, i));
	struct gw_str next = j->str(j->get(body, "nextRecordsUrl"));
	if (begins(next, "/services/data/") && j->count(query->records) < max &&
	    ++query->pages < PAGES_MAX) {
		struct gw_http_req req = { .size = sizeof(req), .method = "GET", .path = next };
		host->http->send(call, &req, query_done);
		return;
	}
	int64_t total = j->integer(j->get(body, "totalSize"), 0);
	struct gw_json *result = j->object(call);
	j->set(result, "records", query->records);
	j->set_int(result, "total", total);
	j->set_bool(result, "complete", total <= (int64_t)j->count(query->records));
	host->call->done(call, result);
}

static void query(const struct gw_host *host, struct gw_call *call)
{
	struct query *state = host->call->state(call);
	struct gw_str soql;
	if (!bind(host, call, host->call->str(call, "soql"), &soql))
		return;
	bool all = host->json->truth(host->json->get(host->call->params(call), "all"));
	state->records = host->json->list(call);
	send(host, call, "GET",
	     join(host, call, all ? GW_LIT("/queryAll?q=") : GW_LIT("/query?q="),
	          host->call->url(call, soql)),
	     NULL, query_done);
}

/* --- what there is ------------------------------------------------------------ */

/* Schemas and tables have lines of their own. */
/* clang-format off */
#define PARAMS(required) "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[" \
	required "],\"properties\":{"
#define NAME "\"type\":\"string\",\"pattern\":\"^[A-Za-z][A-Za-z0-9_]{0,79}$\""
#define OBJECT "\"object\":{" NAME ",\"description\":\"The object's API name, such as Account\"}"
#define ID "\"id\":{\"type\":\"string\",\"pattern\":\"^[A-Za-z0-9]{15}([A-Za-z0-9]{3})?$\"," \
	"\"description\":\"The record's id, 15 or 18 characters\"}"
#define FIELDS "\"fields\":{\"type\":\"object\",\"minProperties\":1,\"propertyNames\":{" NAME "}," \
	"\"description\":\"The values by field name\"}"
#define WRITTEN "{\"type\":\"object\",\"required\":[\"created\"],\"properties\":{" \
	"\"id\":{\"type\":\"string\",\"description\":\"The record's id, when it was told\"}," \
	"\"created\":{\"type\":\"boolean\",\"description\":\"Is the record new?\"}}}"
#define TEXT(name) "\"" name "\":{\"type\":[\"string\",\"null\"]},"
#define TRUTH(name) "\"" name "\":{\"type\":[\"boolean\",\"null\"]}"

static const struct gw_action onboarding_action = {
	.size = sizeof(onboarding_action), .effect = GW_EFFECT_READ, .name = "onboarding",
	.summary = "Reads an account, its latest opportunity, its owner and its contract id.",
	.params = PARAMS("\"account_id\"")
		"\"account_id\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":255,"
		"\"description\":\"The account number, or the account's Salesforce id\"}}}",
	.result =
		"{\"type\":\"object\",\"required\":[\"account\",\"accounts\",\"opportunity\","
		"\"opportunities\",\"user\",\"contract_id\"],\"properties\":{"
		"\"account\":{\"type\":\"object\",\"description\":\"The account; of several with "
		"the number one that is not deleted\",\"properties\":{" TEXT("Id") TEXT("Name")
		TEXT("AccountNumber") TEXT("BillingCountry") TEXT("Industry") TEXT("OwnerId")
		TRUTH("IsDeleted") "}},"
		"\"accounts\":{\"type\":\"integer\",\"description\":\"How many of this number are "
		"not deleted\"},"
		"\"opportunity\":{\"type\":[\"object\",\"null\"],\"description\":\"The one that "
		"closes last; null: the account has none\",\"properties\":{" TEXT("Id") TEXT("Name")
		TEXT("StageName") TEXT("CloseDate") TEXT("AccountId") TEXT("ContractId")
		TEXT("CurrencyIsoCode") "\"Amount\":{\"type\":[\"number\",\"null\"]}}},"
		"\"opportunities\":{\"type\":\"integer\",\"description\":\"How many it has; 20 at "
		"most are counted\"},"
		"\"user\":{\"type\":[\"object\",\"null\"],\"description\":\"The account's owner; "
		"null: it names none, or none that is there\",\"properties\":{" TEXT("Id")
		TEXT("Name") TEXT("Email")
		TEXT("ProfileId") TEXT("Title") TEXT("Department") TEXT("ManagerId")
		TRUTH("IsActive") "}},"
		"\"contract_id\":{\"type\":[\"string\",\"null\"],\"description\":\"ContractId of "
		"the opportunity\"}}}",
	.personal = "result.user.Name result.user.Email",
	.state_size = sizeof(struct onboarding), .start = onboarding,
};

static const struct gw_action query_action = {
	.size = sizeof(query_action), .effect = GW_EFFECT_READ, .name = "query",
	.summary = "Runs a SOQL query; values are bound by name, so that no text becomes syntax.",
	.params = PARAMS("\"soql\"")
		"\"soql\":{\"type\":\"string\",\"minLength\":1,\"description\":\"The query, with "
		":name where a value stands\"},"
		"\"values\":{\"type\":\"object\",\"description\":\"The values by name: text, "
		"number, boolean, null, or a list of them\"},"
		"\"all\":{\"type\":\"boolean\",\"description\":\"Also deleted and archived "
		"records\"},"
		"\"max_rows\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":2000,"
		"\"description\":\"200 when absent\"}}}",
	.result =
		"{\"type\":\"object\",\"required\":[\"records\",\"total\",\"complete\"],"
		"\"properties\":{"
		"\"records\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}},"
		"\"total\":{\"type\":\"integer\",\"description\":\"How many there are\"},"
		"\"complete\":{\"type\":\"boolean\",\"description\":\"Are they all here?\"}}}",
	.state_size = sizeof(struct query), .start = query,
};

static const struct gw_action get_action = {
	.size = sizeof(get_action), .effect = GW_EFFECT_READ, .name = "get",
	.summary = "Reads one record by its id.",
	.params = PARAMS("\"object\",\"id\"") OBJECT "," ID ",\"fields\":{\"type\":\"array\","
		"\"minItems\":1,\"items\":{" NAME "},\"description\":\"The fields wanted; all when "
		"absent\"}}}",
	.result = "{\"type\":\"object\",\"required\":[\"record\"],\"properties\":{\"record\":"
		"{\"type\":\"object\",\"description\":\"The values by field name\"}}}",
	.start = get,
};

static const struct gw_action create_action = {
	.size = sizeof(create_action), .effect = GW_EFFECT_ONCE, .name = "create",
	.summary = "Creates a record; Salesforce cannot recognise a repetition (upsert can).",
	.params = PARAMS("\"object\",\"fields\"") OBJECT "," FIELDS "}}",
	.result = WRITTEN, .start = write,
};

static const struct gw_action update_action = {
	.size = sizeof(update_action), .effect = GW_EFFECT_KEYED, .name = "update",
	.summary = "Sets fields of a record; the same values twice are the same as once.",
	.params = PARAMS("\"object\",\"id\",\"fields\"") OBJECT "," ID "," FIELDS "}}",
	.result = WRITTEN, .start = write,
};

static const struct gw_action upsert_action = {
	.size = sizeof(upsert_action), .effect = GW_EFFECT_KEYED, .name = "upsert",
	.summary = "Creates or updates the record that has this value in an external id field.",
	.params = PARAMS("\"object\",\"field\",\"value\",\"fields\"") OBJECT ","
		"\"field\":{" NAME ",\"description\":\"The external id field, such as Ext__c\"},"
		"\"value\":{\"type\":\"string\",\"minLength\":1,\"description\":\"Its value\"},"
		FIELDS "}}",
	.result = WRITTEN, .start = write,
};

static const struct gw_action *const actions[] = { &onboarding_action, &query_action, &get_action,
	                                           &create_action, &update_action, &upsert_action,
	                                           NULL };

#define ROW(status, code, type, text, who) \
	&(const struct gw_error_row){ sizeof(struct gw_error_row), status, code, type, text, who }
#define LOGIN "Renew the credentials of the Salesforce connection and check the app's policies."
#define LIMIT "Wait for the limit to reset, or ask Salesforce for a higher one."
#define ACCESS "Give the integration user access to the object, field or record."
#define FIELD "Fill in or correct the field that the message names, then start again."
#define FIND "Check that the record exists and that its id or number is right."
#define LATER "Try again later; if it lasts, see status.salesforce.com and open a case."

static const struct gw_error_row *const errors[] = {
	ROW(401, "INVALID_SESSION_ID", "authentication", LOGIN, "IT/DevOps"),
	ROW(401, NULL, "authentication", LOGIN, "IT/DevOps"),
	ROW(403, "REQUEST_LIMIT_EXCEEDED", "rate_limit", LIMIT, "Integration Admin"),
	ROW(429, NULL, "rate_limit", LIMIT, "Integration Admin"),
	ROW(0, "INSUFFICIENT_ACCESS", "authorization", ACCESS, "System Admin"),
	ROW(0, "INSUFFICIENT_ACCESS_OR_READONLY", "authorization", ACCESS, "System Admin"),
	ROW(403, NULL, "authorization", ACCESS, "System Admin"),
	ROW(400, "REQUIRED_FIELD_MISSING", "validation", FIELD, "Data Admin"),
	ROW(400, "UNABLE_TO_LOCK_ROW", "server", LATER, "Support Team"),
	ROW(400, "QUERY_TIMEOUT", "timeout", LATER, "Support Team"),
	ROW(400, NULL, "validation", FIELD, "Data Admin"),
	ROW(0, "UNBOUND_VALUE", "validation", "Give the query the value it names.",
	    "Integration Admin"),
	ROW(300, NULL, "conflict", "Several records have this external id; merge them.",
	    "Data Admin"),
	ROW(404, NULL, "not_found", FIND, "Data Admin"),
	ROW(500, NULL, "server", LATER, "Support Team"),
	ROW(502, NULL, "server", LATER, "Support Team"),
	ROW(503, NULL, "server", LATER, "Support Team"),
	NULL,
};

static const struct gw_plugin plugin = {
	.abi_major = GW_ABI_MAJOR, .abi_minor = GW_ABI_MINOR, .size = sizeof(plugin),
	.name = "salesforce", .version = "1.0.0",
	.summary = "Reads and writes records of a Salesforce org.",
	.actions = actions, .errors = errors, .classify = classify,
	.settings = PARAMS("")
		"\"api_version\":{\"type\":\"string\",\"pattern\":\"^[0-9]{2,3}\\\\.[0-9]$\","
		"\"default\":\"60.0\",\"description\":\"Version of the REST API\"},"
		"\"account_field\":{" NAME ",\"default\":\"AccountNumber\",\"description\":\"The "
		"field that holds what account_id names\"},"
		"\"multi_currency\":{\"type\":\"boolean\",\"default\":true,\"description\":\"false "
		"saves a request where the org has one currency\"}}}",
};
/* clang-format on */

GW_EXPORT const struct gw_plugin *gw_plugin_entry(void)
{
	return &plugin;
}
