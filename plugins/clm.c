/* SPDX-License-Identifier: MIT */
/*
 * clm - reads contracts from DocuSign: from eSignature, where a contract is an
 * envelope, or from CLM, where it is a document with attributes; the settings say
 * which, and the graph cannot tell.
 *
 * An envelope is found by its id, or by custom fields that name the account or
 * the CRM's contract.  Its status says less than one thinks: "delivered" means
 * viewed, "signed" is never seen for long, so SIGNED is derived from the
 * recipients.  CLM has no status of its own: it is an attribute that the
 * organisation made up.  Which names it uses is in the connection's settings.
 */
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "gw_plugin.h"

enum { GUID_LEN = 36, DATE_LEN = 10, LOOKS_MAX = 20, LOOK_MS = 1000 };

#define INCLUDE "include=recipients,custom_fields"
#define EXPAND "?expand=AttributeGroups"

static bool is(struct gw_str text, const char *what)
{
	return text.len == strlen(what) && strncasecmp(text.ptr, what, text.len) == 0;
}

static bool is_equal(struct gw_str a, struct gw_str b)
{
	return a.len == b.len && strncasecmp(a.ptr, b.ptr, a.len) == 0;
}

/* Cuts the next part off a list; blanks around it are dropped.  False at the end. */
static bool next_part(struct gw_str *list, char separator, struct gw_str *ret)
{
	if (list->len == 0)
		return false;
	const char *end = memchr(list->ptr, separator, list->len);
	size_t len = end ? (size_t)(end - list->ptr) : list->len, skip = end ? len + 1 : len;
	struct gw_str part = { list->ptr, len };
	while (part.len > 0 && part.ptr[0] == ' ')
		part = (struct gw_str){ part.ptr + 1, part.len - 1 };
	while (part.len > 0 && part.ptr[part.len - 1] == ' ')
		part.len--;
	*list = (struct gw_str){ list->ptr + skip, list->len - skip };
	*ret = part;
	return true;
}

/* --- what went wrong ------------------------------------------------------ */

/* eSignature: {"errorCode","message"}; CLM: {"Error":{"ErrorCode","UserMessage"}}. */
static struct gw_str error_code(const struct gw_host *host, struct gw_call *call,
                                const struct gw_json *body)
{
	int64_t number = host->json->integer(host->json->get(body, "Error.ErrorCode"), 0);
	return number ? host->call->format(call, "CLM_%lld", (long long)number)
	              : host->json->str(host->json->get(body, "errorCode"));
}

/* Limits were HTTP 400 for years and become 429; the code alone tells them. */
static bool is_limit(struct gw_str code)
{
	static const char tail[] = "_LIMIT_EXCEEDED";
	size_t len = sizeof(tail) - 1;
	if (is(code, "CLM_103"))
		return true;
	return code.len > len && strncasecmp(code.ptr + code.len - len, tail, len) == 0 &&
	       !is(code, "RECIPIENT_LIMIT_EXCEEDED") && !is(code, "DOCUMENT_LIMIT_EXCEEDED");
}

static int32_t classify(const struct gw_host *host, struct gw_call *call,
                        const struct gw_http_reply *reply)
{
	if (reply->code == 401)
		return GW_REPLY_REAUTH;
	if (reply->code != 400 && reply->code != 429)
		return GW_REPLY_DEFAULT;
	struct gw_str code = error_code(host, call, host->json->parse(call, reply->body));
	if (is_limit(code))
		return GW_REPLY_RETRY;
	return reply->code == 429 && code.len > 0 ? GW_REPLY_PERMANENT : GW_REPLY_DEFAULT;
}

static void fail(const struct gw_host *host, struct gw_call *call, int status,
                 const struct gw_http_reply *reply)
{
	const struct gw_json *body = host->json->parse(call, reply->body);
	struct gw_str code = error_code(host, call, body);
	struct gw_str message = host->json->str(host->json->get(body, "message"));
	if (message.len == 0)
		message = host->json->str(host->json->get(body, "Error.UserMessage"));
	if (status == GW_OK)
		message = GW_LIT("it answered with what is no contract");
	if (message.len > 0)
		message = host->call->format(call, "CLM: %.*s", (int)message.len, message.ptr);
	if (!is_limit(code)) {
		host->call->fail_reply(call, status, reply, code, message);
		return;
	}
	struct gw_failure failure = { sizeof(failure), GW_E_BUSY,    reply->code, code,
		                      message,         "rate_limit", NULL,        NULL };
	host->call->fail(call, &failure);
}

static void refuse(const struct gw_host *host, struct gw_call *call, int status, int http_status,
                   struct gw_str code, struct gw_str message)
{
	struct gw_failure failure = { sizeof(failure), status, http_status, code,
		                      message,         NULL,   NULL,        NULL };
	host->call->fail(call, &failure);
}

/* --- one envelope ------------------------------------------------------------ */

static struct gw_str text_at(const struct gw_host *host, const struct gw_json *value,
                             const char *path)
{
	return host->json->str(host->json->get(value, path));
}

/* The value of the custom field whose name stands in that setting. */
static struct gw_str field(const struct gw_host *host, struct gw_call *call,
                           const struct gw_json *envelope, const char *setting,
                           const char *fallback)
{
	static const char *const lists[] = { "customFields.textCustomFields",
		                             "customFields.listCustomFields" };
	struct gw_str name = host->call->setting(call, setting, fallback);
	for (size_t k = 0; k < sizeof(lists) / sizeof(*lists); k++) {
		const struct gw_json *list = host->json->get(envelope, lists[k]);
		for (size_t i = 0; i < host->json->count(list); i++) {
			const struct gw_json *one = host->json->at(list, i);
			if (is_equal(text_at(host, one, "name"), name))
				return text_at(host, one, "value");
		}
	}
	return GW_LIT("");
}

/* What the settings say of a status; empty: nothing. */
static struct gw_str mapped(const struct gw_host *host, struct gw_call *call, struct gw_str raw)
{
	struct gw_str list = host->call->setting(call, "statuses", ""), pair, name;
	while (next_part(&list, ',', &pair))
		if (next_part(&pair, '=', &name) && is_equal(name, raw) &&
		    next_part(&pair, '=', &name))
			return name;
	return GW_LIT("");
}

/* The settings' word, else what DocuSign means by it. */
static struct gw_str status_of(const struct gw_host *host, struct gw_call *call,
                               const struct gw_json *envelope)
{
	static const char *const known[][2] = {
		{ "created", "DRAFT" },     { "sent", "SENT" },     { "delivered", "SENT" },
		{ "correct", "SENT" },      { "signed", "SIGNED" }, { "completed", "EXECUTED" },
		{ "declined", "DECLINED" }, { "voided", "VOIDED" }, { "deleted", "VOIDED" },
		{ "timedout", "EXPIRED" },
	};
	struct gw_str raw = text_at(host, envelope, "status"), ours = mapped(host, call, raw);
	if (ours.len > 0)
		return ours;
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (is(raw, known[i][0]))
			return (struct gw_str){ known[i][1], strlen(known[i][1]) };
	if (is(raw, "processing"))
		return text_at(host, envelope, "sentDateTime").len > 0 ? GW_LIT("SENT")
		                                                       : GW_LIT("DRAFT");
	return GW_LIT("UNKNOWN");
}

static bool is_over(struct gw_str status)
{
	return is(status, "VOIDED") || is(status, "DECLINED") || is(status, "EXPIRED");
}

static bool is_customer(const struct gw_host *host, struct gw_call *call, struct gw_str role)
{
	struct gw_str list = host->call->setting(call, "customer_roles", "Customer"), one;
	while (next_part(&list, ',', &one))
		if (is_equal(one, role))
			return true;
	return false;
}

/* Adds the signers of one kind; how many of them have not signed. */
static size_t add_signatories(const struct gw_host *host, struct gw_call *call,
                              const struct gw_json *signers, struct gw_json *list)
{
	const struct gw_json_ops *j = host->json;
	size_t pending = 0;
	for (size_t i = 0; i < j->count(signers); i++) {
		const struct gw_json *signer = j->at(signers, i);
		struct gw_json *one = j->object(call);
		struct gw_str status = text_at(host, signer, "status");
		bool has_signed = is(status, "completed") || is(status, "signed");
		j->set(one, "name", j->get(signer, "name"));
		j->set(one, "email", j->get(signer, "email"));
		j->set(one, "role", j->get(signer, "roleName"));
		j->set_str(one, "state",
		           has_signed               ? GW_LIT("SIGNED")
		           : is(status, "declined") ? GW_LIT("DECLINED")
		                                    : GW_LIT("PENDING"));
		j->set(one, "signed_at", j->get(signer, "signedDateTime"));
		j->set_bool(one, "customer",
		            is_customer(host, call, text_at(host, signer, "roleName")));
		j->push(list, one);
		pending += !has_signed;
	}
	return pending;
}

/*
 * Somebody who does not sign has yet to act: the one reason why an envelope that everybody has
 * signed is not completed.  Without it the envelope contradicts itself, and its status counts.
 */
static bool awaits_others(const struct gw_host *host, const struct gw_json *recipients)
{
	static const char *const kinds[] = {
		"certifiedDeliveries", "carbonCopies", "agents",  "editors",
		"intermediaries",      "witnesses",    "notaries"
	};
	for (size_t k = 0; k < sizeof(kinds) / sizeof(*kinds); k++) {
		const struct gw_json *list = host->json->get(recipients, kinds[k]);
		for (size_t i = 0; i < host->json->count(list); i++)
			if (!is(text_at(host, host->json->at(list, i), "status"), "completed"))
				return true;
	}
	return false;
}

/* YYYY-MM-DD at the beginning, or nothing: another form would be guessed at. */
static void set_date(const struct gw_host *host, struct gw_call *call, struct gw_json *result,
                     const char *key, struct gw_str text)
{
	static const char shape[] = "dddd-dd-dd";
	bool is_date = text.len >= DATE_LEN;
	for (size_t i = 0; is_date && shape[i]; i++)
		is_date = shape[i] == 'd' ? text.ptr[i] >= '0' && text.ptr[i] <= '9'
		                          : text.ptr[i] == shape[i];
	if (is_date)
		host->json->set_str(result, key, (struct gw_str){ text.ptr, DATE_LEN });
	else
		host->json->set_null(result, key);
	if (!is_date && text.len > 0)
		host->call->note(call,
		                 "a date of the envelope is not in the form YYYY-MM-DD and was "
		                 "taken as missing");
}

static void set_terms(const struct gw_host *host, struct gw_call *call, struct gw_json *result,
                      struct gw_str text)
{
	struct gw_json *terms = host->json->list(call);
	struct gw_str term;
	while (next_part(&text, ';', &term))
		if (term.len > 0)
			host->json->push_str(terms, term);
	host->json->set(result, "key_terms", terms);
}

struct contract {
	int64_t alive;      /* envelopes or documents that are not void, declined or expired */
	int64_t looks;      /* at a search that goes on */
	struct gw_str task; /* its path */
};

/* The contract is of another account: false, and the call has failed. */
static bool is_of_account(const struct gw_host *host, struct gw_call *call, struct gw_str account)
{
	if (account.len == 0 || is_equal(account, host->call->str(call, "account_id")))
		return true;
	refuse(host, call, GW_E_CONFLICT, 0, GW_LIT("ACCOUNT_MISMATCH"),
	       host->call->format(call, "CLM: the contract is of the account %.*s",
	                          (int)account.len, account.ptr));
	return false;
}

/* What both services end with: dates, terms, and how many contracts there are. */
static void finish_with(const struct gw_host *host, struct gw_call *call, struct gw_json *result,
                        struct gw_str effective, struct gw_str expiry, struct gw_str terms)
{
	const struct contract *all = host->call->state(call);
	set_date(host, call, result, "effective_date", effective);
	set_date(host, call, result, "expiry_date", expiry);
	set_terms(host, call, result, terms);
	host->json->set_int(result, "contracts", all->alive);
	host->json->set_bool(result, "amended", all->alive > 1);
	host->call->done(call, result);
}

static void finish(const struct gw_host *host, struct gw_call *call, const struct gw_json *envelope)
{
	const struct gw_json_ops *j = host->json;
	struct gw_json *result = j->object(call), *signatories = j->list(call);
	struct gw_str status = status_of(host, call, envelope);
	struct gw_str account = field(host, call, envelope, "field_account", "account_id");
	size_t pending = add_signatories(host, call, j->get(envelope, "recipients.signers"),
	                                 signatories);
	pending += add_signatories(host, call, j->get(envelope, "recipients.inPersonSigners"),
	                           signatories);
	if (!is_of_account(host, call, account))
		return;
	if (is(status, "SENT") && j->count(signatories) > 0 && pending == 0 &&
	    awaits_others(host, j->get(envelope, "recipients")))
		status = GW_LIT("SIGNED");
	j->set_null(result, "contract_id");
	j->set(result, "contract_id", j->get(envelope, "envelopeId"));
	j->set_str(result, "status", status);
	j->set(result, "title", j->get(envelope, "emailSubject"));
	j->set(result, "signatories", signatories);
	j->set(result, "executed_at", j->get(envelope, "completedDateTime"));
	j->set(result, "void_reason", j->get(envelope, "voidedReason"));
	finish_with(host, call, result,
	            field(host, call, envelope, "field_effective", "effective_date"),
	            field(host, call, envelope, "field_expiry", "expiry_date"),
	            field(host, call, envelope, "field_terms", "key_terms"));
}

/* --- finding it ---------------------------------------------------------------- */

/* root and tail stand around the account and the path. */
static void ask(const struct gw_host *host, struct gw_call *call, const char *root,
                struct gw_str path, const char *tail, struct gw_str body, gw_http_cb *then)
{
	struct gw_str account = host->call->setting(call, "account_id", "");
	account = host->call->url(call, account);
	struct gw_http_req req = { .size = sizeof(req), .body = body };
	req.method = body.len > 0 ? "POST" : "GET";
	req.path = host->call->format(call, "%s%.*s%.*s%s", account.len > 0 ? root : "",
	                              (int)account.len, account.ptr, (int)path.len, path.ptr, tail);
	host->http->send(call, &req, then);
}

static void send(const struct gw_host *host, struct gw_call *call, struct gw_str path,
                 gw_http_cb *then)
{
	path = host->call->format(call, "/envelopes%.*s", (int)path.len, path.ptr);
	ask(host, call, "/restapi/v2.1/accounts/", path, "", GW_LIT(""), then);
}

static void envelope_done(const struct gw_host *host, struct gw_call *call, int status,
                          const struct gw_http_reply *reply)
{
	const struct gw_json *envelope = host->json->parse(call, reply->body);
	if (status != GW_OK || text_at(host, envelope, "status").len == 0)
		fail(host, call, status, reply);
	else
		finish(host, call, envelope);
}

static void read_envelope(const struct gw_host *host, struct gw_call *call, struct gw_str id)
{
	id = host->call->url(call, id);
	send(host, call, host->call->format(call, "/%.*s?" INCLUDE, (int)id.len, id.ptr),
	     envelope_done);
}

/* The value of the attribute whose name stands in that setting. */
static struct gw_str attribute(const struct gw_host *host, struct gw_call *call,
                               const struct gw_json *document, const char *setting,
                               const char *fallback)
{
	struct gw_str group = host->call->setting(call, "attribute_group", "Contract");
	const struct gw_json *attributes =
		host->json->member(host->json->get(document, "AttributeGroups"), group);
	const struct gw_json *one =
		host->json->member(attributes, host->call->setting(call, setting, fallback));
	return text_at(host, one, "Value");
}

/* By the settings, else by our own words in any case. */
static struct gw_str document_status(const struct gw_host *host, struct gw_call *call,
                                     const struct gw_json *document)
{
	static const char *const words[] = { "DRAFT",    "SENT",   "SIGNED", "EXECUTED",
		                             "DECLINED", "VOIDED", "EXPIRED" };
	struct gw_str raw = attribute(host, call, document, "attribute_status", "Status");
	struct gw_str ours = mapped(host, call, raw);
	for (size_t i = 0; ours.len == 0 && i < sizeof(words) / sizeof(*words); i++)
		if (is(raw, words[i]))
			ours = (struct gw_str){ words[i], strlen(words[i]) };
	return ours.len > 0 ? ours : GW_LIT("UNKNOWN");
}

/* Later: sent later, or where neither was sent, created later. */
static bool is_later(const struct gw_host *host, const struct gw_json *a, const struct gw_json *b)
{
	static const char *const times[] = { "UpdatedDate", "sentDateTime", "createdDateTime",
		                             "envelopeId" };
	for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++) {
		struct gw_str x = text_at(host, a, times[i]), y = text_at(host, b, times[i]);
		int order = memcmp(x.ptr, y.ptr, x.len < y.len ? x.len : y.len);
		if (order != 0 || x.len != y.len)
			return order != 0 ? order > 0 : x.len > y.len;
	}
	return false;
}

/* In force, on its way, over. */
static int rank(struct gw_str status)
{
	return is(status, "EXECUTED") || is(status, "SIGNED") ? 2 : !is_over(status);
}

/*
 * Of several the latest that is in force, else the latest that is not void: an amendment that
 * nobody has signed yet does not undo what was signed.  How many there are the caller is told.
 * A document must name the account: a search finds its words anywhere.
 */
static const struct gw_json *chosen(const struct gw_host *host, struct gw_call *call,
                                    const struct gw_json *list, bool is_document)
{
	struct contract *all = host->call->state(call);
	const struct gw_json *best = NULL;
	int best_rank = 0;
	for (size_t i = 0; i < host->json->count(list); i++) {
		const struct gw_json *one = host->json->at(list, i);
		if (is_document &&
		    !is_equal(attribute(host, call, one, "attribute_account", "Account Id"),
		              host->call->str(call, "account_id")))
			continue;
		int own = rank(is_document ? document_status(host, call, one)
		                           : status_of(host, call, one));
		all->alive += own > 0;
		if (best && (own != best_rank ? own < best_rank : !is_later(host, one, best)))
			continue;
		best = one;
		best_rank = own;
	}
	return best;
}

static void refuse_absent(const struct gw_host *host, struct gw_call *call)
{
	struct gw_str account = host->call->str(call, "account_id");
	refuse(host, call, GW_E_ABSENT, 404, GW_LIT("ENVELOPE_DOES_NOT_EXIST"),
	       host->call->format(call, "CLM: there is no contract of the account %.*s",
	                          (int)account.len, account.ptr));
}

static void list_done(const struct gw_host *host, struct gw_call *call, int status,
                      const struct gw_http_reply *reply)
{
	const struct gw_json *body = host->json->parse(call, reply->body);
	if (status != GW_OK || host->json->type(body) != GW_JSON_OBJECT) {
		fail(host, call, status, reply);
		return;
	}
	const struct gw_json *envelope = chosen(host, call, host->json->get(body, "envelopes"),
	                                        false);
	struct gw_str id = text_at(host, envelope, "envelopeId");
	if (!envelope)
		refuse_absent(host, call);
	else if (!host->json->get(envelope, "recipients") && id.len > 0)
		read_envelope(host, call, id);
	else
		finish(host, call, envelope);
}

static bool is_guid(struct gw_str id)
{
	for (size_t i = 0; i < id.len; i++) {
		bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
		if (is_dash ? id.ptr[i] != '-' : !memchr("0123456789abcdefABCDEF", id.ptr[i], 22))
			return false;
	}
	return id.len == GUID_LEN;
}

/* --- CLM documents ----------------------------------------------------------------- */

/* A document has no Id: it is the last segment of its Href. */
static struct gw_str href_end(struct gw_str href)
{
	size_t from = href.len;
	while (from > 0 && href.ptr[from - 1] != '/')
		from--;
	return (struct gw_str){ href.ptr + from, href.len - from };
}

static void finish_document(const struct gw_host *host, struct gw_call *call,
                            const struct gw_json *document)
{
	const struct gw_json_ops *j = host->json;
	struct gw_json *result = j->object(call);
	if (!is_of_account(host, call,
	                   attribute(host, call, document, "attribute_account", "Account Id")))
		return;
	struct gw_str status = document_status(host, call, document);
	j->set_str(result, "contract_id", href_end(text_at(host, document, "Href")));
	j->set_str(result, "status", status);
	j->set(result, "title", j->get(document, "Name"));
	j->set(result, "signatories", j->list(call));
	if (is(status, "EXECUTED"))
		j->set(result, "executed_at", j->get(document, "UpdatedDate"));
	finish_with(host, call, result,
	            attribute(host, call, document, "attribute_effective", "Effective Date"),
	            attribute(host, call, document, "attribute_expiry", "Expiry Date"),
	            attribute(host, call, document, "attribute_terms", "Key Terms"));
}

static void document_done(const struct gw_host *host, struct gw_call *call, int status,
                          const struct gw_http_reply *reply)
{
	const struct gw_json *document = host->json->parse(call, reply->body);
	if (status != GW_OK || text_at(host, document, "Href").len == 0)
		fail(host, call, status, reply);
	else
		finish_document(host, call, document);
}

static void search_done(const struct gw_host *host, struct gw_call *call, int status,
                        const struct gw_http_reply *reply);

static void look_again(const struct gw_host *host, struct gw_call *call)
{
	const struct contract *all = host->call->state(call);
	ask(host, call, "/v2/", all->task, EXPAND, GW_LIT(""), search_done);
}

/* A search is a task: mostly it is done at once, else it is looked at again. */
static void search_done(const struct gw_host *host, struct gw_call *call, int status,
                        const struct gw_http_reply *reply)
{
	struct contract *all = host->call->state(call);
	const struct gw_json *body = host->json->parse(call, reply->body);
	struct gw_str state = text_at(host, body, "Status"), href = text_at(host, body, "Href");
	const struct gw_json *items = host->json->get(body, "Result.Items");
	if (status != GW_OK || (!is(state, "Success") && href.len == 0) || is(state, "Failure")) {
		fail(host, call, status, reply);
	} else if (!is(state, "Success")) {
		struct gw_str id = href_end(href);
		id = host->call->url(call, id);
		all->task = host->call->format(call, "/documentsearchtasks/%.*s", (int)id.len,
		                               id.ptr);
		if (++all->looks > LOOKS_MAX)
			refuse(host, call, GW_E_TIMEOUT, 0, GW_LIT("SEARCH_NOT_DONE"),
			       GW_LIT("CLM: the search for the contract does not end"));
		else
			host->later(call, LOOK_MS, look_again);
	} else {
		const struct gw_json *document = chosen(host, call, items, true);
		if (document)
			finish_document(host, call, document);
		else
			refuse_absent(host, call);
	}
}

static void get_document(const struct gw_host *host, struct gw_call *call)
{
	struct gw_str id = host->call->str(call, "contract_id");
	if (is_guid(id)) {
		((struct contract *)host->call->state(call))->alive = 1;
		id = host->call->format(call, "/documents/%.*s", (int)id.len, id.ptr);
		ask(host, call, "/v2/", id, EXPAND, GW_LIT(""), document_done);
		return;
	}
	struct gw_json *criteria = host->json->object(call);
	host->json->set_str(criteria, "AllWords", host->call->str(call, "account_id"));
	ask(host, call, "/v2/", GW_LIT("/documentsearchtasks"), EXPAND,
	    host->json->text(call, criteria), search_done);
}

/* --- the action --------------------------------------------------------------------- */

static void get_contract(const struct gw_host *host, struct gw_call *call)
{
	struct gw_str id = host->call->str(call, "contract_id"), value = id;
	struct gw_str name = host->call->setting(call, "field_contract", "salesforce_contract_id");
	struct gw_str from = host->call->setting(call, "from_date", "2015-01-01T00:00:00Z");
	if (is(host->call->setting(call, "service", "esignature"), "documents")) {
		get_document(host, call);
		return;
	}
	if (is_guid(id)) {
		((struct contract *)host->call->state(call))->alive = 1;
		read_envelope(host, call, id);
		return;
	}
	if (id.len == 0) {
		name = host->call->setting(call, "field_account", "account_id");
		value = host->call->str(call, "account_id");
	}
	value = host->call->format(call, "%.*s=%.*s", (int)name.len, name.ptr, (int)value.len,
	                           value.ptr);
	value = host->call->url(call, value);
	from = host->call->url(call, from);
	send(host, call,
	     host->call->format(call, "?" INCLUDE "&from_date=%.*s&custom_field=%.*s",
	                        (int)from.len, from.ptr, (int)value.len, value.ptr),
	     list_done);
}

/* --- what there is ------------------------------------------------------------ */

/* Schemas and tables have lines of their own. */
/* clang-format off */
#define TEXT_OR_NULL "{\"type\":[\"string\",\"null\"]}"
#define SETTING(name, fallback, what) "\"" name "\":{\"type\":\"string\",\"minLength\":1," \
	"\"default\":\"" fallback "\",\"description\":\"" what "\"}"

static const struct gw_action get_contract_action = {
	.size = sizeof(get_contract_action), .effect = GW_EFFECT_READ, .name = "get_contract",
	.summary = "Reads the contract of an account: its status, signatories, dates and terms.",
	.params =
	"{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"account_id\"],"
	"\"properties\":{\"account_id\":{\"type\":\"string\",\"minLength\":1,"
	"\"maxLength\":255,\"description\":\"The account whose contract is meant\"},"
	"\"contract_id\":{\"type\":[\"string\",\"null\"],\"maxLength\":255,\"description\":"
	"\"The envelope's id, or the contract's id in the CRM; without it the account's "
	"contracts are searched\"}}}",
	.result =
	"{\"type\":\"object\",\"required\":[\"contract_id\",\"status\",\"signatories\","
	"\"effective_date\",\"expiry_date\",\"key_terms\",\"contracts\",\"amended\"],"
	"\"properties\":{\"contract_id\":" TEXT_OR_NULL ","
	"\"status\":{\"enum\":[\"DRAFT\",\"SENT\",\"SIGNED\",\"EXECUTED\",\"DECLINED\","
	"\"VOIDED\",\"EXPIRED\",\"UNKNOWN\"]},"
	"\"title\":" TEXT_OR_NULL ","
	"\"signatories\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{"
	"\"name\":" TEXT_OR_NULL ",\"email\":" TEXT_OR_NULL ",\"role\":" TEXT_OR_NULL ","
	"\"state\":{\"enum\":[\"PENDING\",\"SIGNED\",\"DECLINED\"]},\"signed_at\":" TEXT_OR_NULL
	",\"customer\":{\"type\":\"boolean\",\"description\":\"Does the customer sign "
	"here?\"}}}},"
	"\"effective_date\":" TEXT_OR_NULL ",\"expiry_date\":" TEXT_OR_NULL ","
	"\"key_terms\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},"
	"\"executed_at\":" TEXT_OR_NULL ",\"void_reason\":" TEXT_OR_NULL ","
	"\"contracts\":{\"type\":\"integer\",\"description\":\"How many there are that are "
	"not void\"},"
	"\"amended\":{\"type\":\"boolean\",\"description\":\"Is there more than one?\"}}}",
	.personal = "result.signatories[].name result.signatories[].email",
	.state_size = sizeof(struct contract), .start = get_contract,
};

static const struct gw_action *const actions[] = { &get_contract_action, NULL };

#define ROW(status, code, type, text, who) \
	&(const struct gw_error_row){ sizeof(struct gw_error_row), status, code, type, text, who }
#define LOGIN "Renew the credentials of the CLM connection."
#define CONSENT "An administrator must consent once to the integration's use of DocuSign."
#define ACCESS "Give the integration's user access to the account and its envelopes."

static const struct gw_error_row *const errors[] = {
	ROW(0, "USER_AUTHENTICATION_FAILED", "authentication", LOGIN, "IT/DevOps"),
	ROW(0, "AUTHORIZATION_INVALID_TOKEN", "authentication", LOGIN, "IT/DevOps"),
	ROW(401, NULL, "authentication", LOGIN, "IT/DevOps"),
	ROW(0, "consent_required", "authentication", CONSENT, "System Admin"),
	ROW(0, "USER_LACKS_PERMISSIONS", "authorization", ACCESS, "System Admin"),
	ROW(0, "USER_LACKS_MEMBERSHIP", "authorization", ACCESS, "System Admin"),
	ROW(403, NULL, "authorization", ACCESS, "System Admin"),
	ROW(0, "ENVELOPE_DOES_NOT_EXIST", "not_found",
	    "Check that the contract was sent, and that its fields name the account.", "Legal"),
	ROW(0, "ACCOUNT_MISMATCH", "conflict",
	    "Correct the contract's account field, or the contract id in the CRM.", "Legal"),
	ROW(0, "INVALID_REQUEST_PARAMETER", "validation",
	    "Check the settings of the CLM connection.", "Integration Admin"),
	ROW(429, NULL, "rate_limit",
	    "Wait for the hour to end, or ask DocuSign for a higher limit.", "Integration Admin"),
	ROW(500, NULL, "server", "Try again later; see status.docusign.com.", "Support Team"),
	ROW(503, NULL, "server", "Try again later; see status.docusign.com.", "Support Team"),
	NULL,
};

static const struct gw_plugin plugin = {
	.abi_major = GW_ABI_MAJOR, .abi_minor = GW_ABI_MINOR, .size = sizeof(plugin),
	.name = "clm", .version = "1.0.0",
	.summary = "Reads contracts from DocuSign eSignature or DocuSign CLM.",
	.actions = actions, .errors = errors, .classify = classify,
	.settings =
	"{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
	"\"account_id\":{\"type\":\"string\",\"description\":\"The DocuSign account; "
	"absent: the connection's URL ends with it already\"},"
	"\"service\":{\"enum\":[\"esignature\",\"documents\"],\"default\":\"esignature\","
	"\"description\":\"Envelopes, or documents of CLM\"},"
	SETTING("attribute_group", "Contract", "Documents: the group of attributes") ","
	SETTING("attribute_status", "Status", "Documents: attribute of the status") ","
	SETTING("attribute_account", "Account Id", "Documents: attribute of the account") ","
	SETTING("attribute_effective", "Effective Date", "Documents: first day") ","
	SETTING("attribute_expiry", "Expiry Date", "Documents: last day") ","
	SETTING("attribute_terms", "Key Terms", "Documents: terms, separated by ;") ","
	SETTING("from_date", "2015-01-01T00:00:00Z", "Older envelopes are not searched") ","
	SETTING("field_account", "account_id", "Custom field: the account") ","
	SETTING("field_contract", "salesforce_contract_id", "Custom field: the CRM's contract") ","
	SETTING("field_effective", "effective_date", "Custom field: first day, YYYY-MM-DD") ","
	SETTING("field_expiry", "expiry_date", "Custom field: last day, YYYY-MM-DD") ","
	SETTING("field_terms", "key_terms", "Custom field: terms, separated by ;") ","
	SETTING("customer_roles", "Customer", "Role names of the customer, by comma") ","
	"\"statuses\":{\"type\":\"string\",\"description\":\"Further statuses: name=OURS, "
	"by comma\"}}}",
};
/* clang-format on */

GW_EXPORT const struct gw_plugin *gw_plugin_entry(void)
{
	return &plugin;
}
