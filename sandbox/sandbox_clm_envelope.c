/* SPDX-License-Identifier: MIT */
/*
 * DocuSign eSignature's envelopes over the scenarios' contracts.
 *
 * A contract becomes an envelope: its dates and terms are text custom fields,
 * its signatories are signers (the customer's has the role name "Customer").
 * An envelope's status never is "signed" for long, so a contract that is SIGNED
 * but not EXECUTED is an envelope still on its way whose signers have all
 * signed while a recipient of a copy has yet to confirm.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "sandbox/sandbox_clm.h"

/* --- contracts as envelopes ------------------------------------------------------ */

const char *clm_envelope_status(const json_t *contract)
{
	static const char *const ours[][2] = { { "DRAFT", "created" },
		                               { "SENT", "sent" },
		                               { "SIGNED", "delivered" },
		                               { "EXECUTED", "completed" } };
	const char *status = json_str(contract, "status", "sent");
	for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++)
		if (strcasecmp(ours[i][0], status) == 0)
			return ours[i][1];
	return status; /* a DocuSign status such as "voided" */
}

static bool is_signed_only(const json_t *contract)
{
	return strcasecmp(json_str(contract, "status", ""), "SIGNED") == 0;
}

/* A date becomes a time of that day in DocuSign's form; NULL stays NULL. */
static char *time_new(const char *date, const char *time_of_day)
{
	if (!date)
		return NULL;
	return strchr(date, 'T') ? mem_dup_str(date)
	                         : mem_format("%sT%s.0000000Z", date, time_of_day);
}

void clm_put_time(json_t *object, const char *key, const char *date, const char *time_of_day)
{
	char *text = time_new(date, time_of_day);
	json_put_str(object, key, text);
	free(text);
}

static json_t *signer_new(const json_t *contract, const json_t *signatory, size_t index)
{
	char number[24];
	json_t *signer = json_object();
	const char *whole = clm_envelope_status(contract);
	bool all_signed = strcmp(whole, "completed") == 0 || is_signed_only(contract);
	const char *status = json_str(signatory, "status", all_signed ? "completed" : whole);
	const char *signed_at = json_str(signatory, "signed_at",
	                                 json_str(contract, "completed_at", NULL));
	bool is_customer = json_truth(signatory, "customer", false);
	snprintf(number, sizeof(number), "%zu", index + 1);
	json_put_str(signer, "recipientId", number);
	json_put_str(signer, "routingOrder", number);
	json_put_str(signer, "name", json_str(signatory, "name", NULL));
	json_put_str(signer, "email", json_str(signatory, "email", NULL));
	json_put_str(signer, "roleName",
	             json_str(signatory, "role", is_customer ? "Customer" : "Company"));
	json_put_str(signer, "recipientType", "signer");
	json_put_str(signer, "status", status);
	if (strcmp(status, "completed") == 0 || strcmp(status, "signed") == 0)
		clm_put_time(signer, "signedDateTime", signed_at, "15:29:58");
	return signer;
}

static json_t *recipients_new(const json_t *contract)
{
	json_t *recipients = json_object(), *signers = json_array(), *copies = json_array();
	const json_t *signatories = json_at(contract, "signatories");
	char count[24];
	size_t len = json_array_size(signatories);
	for (size_t i = 0; i < len; i++)
		json_push(signers, signer_new(contract, json_array_get(signatories, i), i));
	if (is_signed_only(contract)) {
		json_t *copy = json_object();
		snprintf(count, sizeof(count), "%zu", ++len);
		json_put_str(copy, "recipientId", count);
		json_put_str(copy, "routingOrder", count);
		json_put_str(copy, "name", "Contract Archive");
		json_put_str(copy, "email", "archive@gangway.example");
		json_put_str(copy, "recipientType", "certifieddelivery");
		json_put_str(copy, "status", "sent");
		json_push(copies, copy);
	}
	json_put(recipients, "signers", signers);
	json_put(recipients, "certifiedDeliveries", copies);
	json_put(recipients, "agents", json_array());
	json_put(recipients, "editors", json_array());
	json_put(recipients, "intermediaries", json_array());
	json_put(recipients, "carbonCopies", json_array());
	json_put(recipients, "inPersonSigners", json_array());
	snprintf(count, sizeof(count), "%zu", len);
	json_put_str(recipients, "recipientCount", count);
	json_put_str(recipients, "currentRoutingOrder", "1");
	return recipients;
}

static void put_field(json_t *fields, const char *name, const char *value)
{
	char id[24];
	if (!value)
		return;
	json_t *field = json_object();
	snprintf(id, sizeof(id), "%zu", 10001 + json_array_size(fields));
	json_put_str(field, "fieldId", id);
	json_put_str(field, "name", name);
	json_put_str(field, "show", "true");
	json_put_str(field, "required", "false");
	json_put_str(field, "value", value);
	json_push(fields, field);
}

char *clm_terms_new(const json_t *terms)
{
	struct buf text;
	buf_init(&text, MAX_SCENARIO_BYTES * 2);
	if (json_is_string(terms))
		return mem_dup_str(json_string_value(terms));
	if (!json_is_array(terms))
		return json_is_object(terms) ? json_canon(terms) : NULL;
	for (size_t i = 0; i < json_array_size(terms); i++) {
		const json_t *term = json_array_get(terms, i);
		buf_printf(&text, "%s%s", i ? "; " : "",
		           json_is_string(term) ? json_string_value(term) : "");
	}
	return buf_take(&text);
}

static json_t *text_fields_new(const struct scenario *scenario, const json_t *contract)
{
	const char *name;
	json_t *value, *fields = json_array();
	char *terms = clm_terms_new(json_at(contract, "key_terms"));
	if (scenario)
		put_field(fields, "account_id", scenario->account_id);
	put_field(fields, "effective_date", json_str(contract, "effective_date", NULL));
	put_field(fields, "expiry_date", json_str(contract, "expiry_date", NULL));
	put_field(fields, "key_terms", terms);
	if (scenario)
		put_field(fields, "salesforce_contract_id",
		          json_str(json_path(scenario->data, "salesforce.contract"), "Id", NULL));
	json_object_foreach(json_at(contract, "custom_fields"), name, value)
		put_field(fields, name, json_string_value(value));
	free(terms);
	return fields;
}

static json_t *custom_fields_new(const struct scenario *scenario, const json_t *contract)
{
	json_t *custom = json_object();
	json_put(custom, "textCustomFields", text_fields_new(scenario, contract));
	json_put(custom, "listCustomFields", json_array());
	return custom;
}

static bool includes(const struct request *request, const char *part)
{
	const char *include = pairs_get(&request->query, "include");
	return include && strstr(include, part);
}

static json_t *envelope_new(const struct request *request, const struct scenario *scenario,
                            const json_t *contract)
{
	json_t *envelope = json_object();
	const char *id = json_str(contract, "contract_id", NULL);
	const char *status = clm_envelope_status(contract);
	const char *sent = json_str(contract, "sent_at", NULL);
	const char *completed = json_str(contract, "completed_at", NULL);
	char *subject = mem_format("%s order form", scenario ? scenario->account_id : "An");
	bool is_completed = strcmp(status, "completed") == 0;
	json_put_str(envelope, "envelopeId", id);
	json_put_str(envelope, "status", status);
	json_put_str(envelope, "emailSubject", json_str(contract, "title", subject));
	json_put_str(envelope, "expireEnabled", "true");
	json_put_str(envelope, "expireAfter", "120");
	clm_put_time(envelope, "createdDateTime", json_str(contract, "created_at", sent),
	             "09:00:00");
	if (strcmp(status, "created") != 0)
		clm_put_time(envelope, "sentDateTime", sent, "09:05:00");
	if (is_completed)
		clm_put_time(envelope, "completedDateTime", completed, "15:30:00");
	clm_put_time(envelope, "statusChangedDateTime",
	             is_completed && completed ? completed : sent,
	             is_completed ? "15:30:00" : "09:05:00");
	json_put_str(envelope, "voidedReason", json_str(contract, "voided_reason", NULL));
	if (includes(request, "recipients"))
		json_put(envelope, "recipients", recipients_new(contract));
	if (includes(request, "custom_fields"))
		json_put(envelope, "customFields", custom_fields_new(scenario, contract));
	free(subject);
	return envelope;
}

/* --- finding -------------------------------------------------------------------- */

static json_t *changed_new(struct sandbox *box, const json_t *contract)
{
	json_t *copy = json_copy((json_t *)(uintptr_t)contract);
	const char *id = json_str(contract, "contract_id", "");
	json_t *changes = json_at(box->envelope_changes, id);
	if (json_is_object(changes))
		json_object_update(copy, changes);
	return copy;
}

/*
 * By envelope id or CLM document id; and, since Salesforce's ContractId is what
 * an onboarding knows, by that id too (the first contract of its scenario).
 */
static bool is_meant(const struct scenario *scenario, const json_t *contract, const char *id)
{
	const json_t *salesforce = scenario ? json_path(scenario->data, "salesforce.contract")
	                                    : NULL;
	return strcasecmp(json_str(contract, "contract_id", ""), id) == 0 ||
	       strcasecmp(json_str(contract, "document_id", ""), id) == 0 ||
	       (salesforce_id_is(id) && strncmp(json_str(salesforce, "Id", ""), id, 15) == 0);
}

bool clm_find(struct sandbox *box, const char *id, struct clm_found *ret)
{
	*ret = (struct clm_found){ NULL, NULL };
	for (size_t i = 0; *id && !ret->contract && i < box->scenarios.len; i++) {
		const struct scenario *scenario = box->scenarios.at[i];
		json_t *contracts = scenario_records_new(scenario, "clm", "contract", "contracts");
		for (size_t k = 0; !ret->contract && k < json_array_size(contracts); k++) {
			const json_t *contract = json_array_get(contracts, k);
			if (is_meant(scenario, contract, id))
				*ret = (struct clm_found){ scenario, changed_new(box, contract) };
		}
		json_decref(contracts);
	}
	for (size_t i = 0; *id && !ret->contract && i < json_array_size(box->envelopes); i++)
		if (is_meant(NULL, json_array_get(box->envelopes, i), id))
			ret->contract = changed_new(box, json_array_get(box->envelopes, i));
	return ret->contract != NULL;
}

bool clm_find_or_refuse(struct sandbox *box, struct request *request, const char *id,
                        struct clm_found *ret, struct reply *reply)
{
	if (clm_find(box, id, ret)) {
		if (ret->scenario)
			request_account_set(request, ret->scenario->account_id);
		return true;
	}
	clm_error(reply, 400, "ENVELOPE_DOES_NOT_EXIST",
	          "The envelope specified does not exist in the account.");
	return false;
}

/* custom_field=name=value; both must be the field's whole text. */
static bool has_field(const struct scenario *scenario, const json_t *contract, const char *wanted)
{
	const char *equals = strchr(wanted, '=');
	json_t *fields = text_fields_new(scenario, contract);
	bool found = false;
	for (size_t i = 0; equals && i < json_array_size(fields); i++) {
		const json_t *field = json_array_get(fields, i);
		const char *name = json_str(field, "name", "");
		if (strlen(name) == (size_t)(equals - wanted) &&
		    strncasecmp(name, wanted, strlen(name)) == 0 &&
		    strcasecmp(json_str(field, "value", ""), equals + 1) == 0)
			found = true;
	}
	json_decref(fields);
	return found;
}

static bool has_text(const struct scenario *scenario, const json_t *contract, const char *wanted)
{
	json_t *fields = text_fields_new(scenario, contract);
	const json_t *signatories = json_at(contract, "signatories");
	bool found = strcasestr(json_str(contract, "title", ""), wanted) != NULL;
	for (size_t i = 0; i < json_array_size(fields); i++)
		found |= strcasestr(json_str(json_array_get(fields, i), "value", ""), wanted) !=
		         NULL;
	for (size_t i = 0; i < json_array_size(signatories); i++) {
		const json_t *one = json_array_get(signatories, i);
		found |= strcasestr(json_str(one, "name", ""), wanted) != NULL ||
		         strcasestr(json_str(one, "email", ""), wanted) != NULL;
	}
	json_decref(fields);
	return found;
}

/* Comma-separated list holds the word, without regard to case. */
static bool lists(const char *list, const char *word)
{
	size_t len = strlen(word);
	while (list && *list) {
		size_t part = strcspn(list, ",");
		if (part == len && strncasecmp(list, word, len) == 0)
			return true;
		list += part + (list[part] == ',');
	}
	return false;
}

static bool is_listed(const struct request *request, const struct scenario *scenario,
                      const json_t *contract, const json_t *envelope)
{
	const char *field = pairs_get(&request->query, "custom_field");
	const char *text = pairs_get(&request->query, "search_text");
	const char *ids = pairs_get(&request->query, "envelope_ids");
	const char *status = pairs_get(&request->query, "status");
	const char *from = pairs_get(&request->query, "from_date");
	int64_t from_ms = from ? clock_parse_iso(from) : -1;
	int64_t changed_ms = clock_parse_iso(json_str(envelope, "statusChangedDateTime", ""));
	if (from_ms >= 0 && changed_ms >= 0 && changed_ms < from_ms)
		return false;
	if (ids && !lists(ids, json_str(contract, "contract_id", "-")))
		return false;
	if (status && strcasecmp(status, "any") != 0 &&
	    !lists(status, clm_envelope_status(contract)))
		return false;
	if (field && !has_field(scenario, contract, field))
		return false;
	return !text || has_text(scenario, contract, text);
}

/* --- envelopes ------------------------------------------------------------------ */

bool clm_account_is_ours(const struct parts *parts, struct reply *reply)
{
	if (strcasecmp(parts->at[0], CLM_ACCOUNT) == 0)
		return true;
	clm_error(reply, 401, "USER_LACKS_MEMBERSHIP",
	          "The UserID does not have a valid membership in this Account.");
	return false;
}

void clm_envelope_show(struct sandbox *box, struct request *request, const struct parts *parts,
                       struct reply *reply)
{
	struct clm_found found;
	if (!clm_account_is_ours(parts, reply) ||
	    !clm_find_or_refuse(box, request, parts->at[1], &found, reply))
		return;
	reply_json(reply, 200, envelope_new(request, found.scenario, found.contract));
	json_decref(found.contract);
}

void clm_recipients_show(struct sandbox *box, struct request *request, const struct parts *parts,
                         struct reply *reply)
{
	struct clm_found found;
	if (!clm_account_is_ours(parts, reply) ||
	    !clm_find_or_refuse(box, request, parts->at[1], &found, reply))
		return;
	reply_json(reply, 200, recipients_new(found.contract));
	json_decref(found.contract);
}

void clm_fields_show(struct sandbox *box, struct request *request, const struct parts *parts,
                     struct reply *reply)
{
	struct clm_found found;
	if (!clm_account_is_ours(parts, reply) ||
	    !clm_find_or_refuse(box, request, parts->at[1], &found, reply))
		return;
	reply_json(reply, 200, custom_fields_new(found.scenario, found.contract));
	json_decref(found.contract);
}

static void list_put(struct sandbox *box, const struct request *request,
                     const struct scenario *scenario, const json_t *given, json_t *list)
{
	json_t *contract = changed_new(box, given);
	json_t *envelope = envelope_new(request, scenario, contract);
	if (is_listed(request, scenario, contract, envelope))
		json_push(list, json_incref(envelope));
	json_decref(envelope);
	json_decref(contract);
}

static json_t *listed_new(struct sandbox *box, const struct request *request)
{
	json_t *list = json_array();
	for (size_t i = 0; i < box->scenarios.len; i++) {
		const struct scenario *scenario = box->scenarios.at[i];
		json_t *contracts = scenario_records_new(scenario, "clm", "contract", "contracts");
		for (size_t k = 0; k < json_array_size(contracts); k++)
			list_put(box, request, scenario, json_array_get(contracts, k), list);
		json_decref(contracts);
	}
	for (size_t i = 0; i < json_array_size(box->envelopes); i++)
		list_put(box, request, NULL, json_array_get(box->envelopes, i), list);
	return list;
}

static void put_number(json_t *object, const char *key, size_t number)
{
	char text[24];
	snprintf(text, sizeof(text), "%zu", number);
	json_put_str(object, key, text);
}

static void put_list(json_t *list_taken, struct reply *reply)
{
	json_t *body = json_object();
	size_t count = json_array_size(list_taken);
	put_number(body, "resultSetSize", count);
	put_number(body, "totalSetSize", count);
	put_number(body, "startPosition", 0);
	put_number(body, "endPosition", count ? count - 1 : 0);
	json_put_str(body, "nextUri", "");
	json_put_str(body, "previousUri", "");
	if (count)
		json_put(body, "envelopes", json_incref(list_taken));
	json_decref(list_taken);
	reply_json(reply, 200, body);
}

void clm_envelope_list(struct sandbox *box, struct request *request, const struct parts *parts,
                       struct reply *reply)
{
	const char *from = pairs_get(&request->query, "from_date");
	if (!clm_account_is_ours(parts, reply))
		return;
	if (!from && !pairs_get(&request->query, "envelope_ids")) {
		clm_error(reply, 400, "INVALID_REQUEST_PARAMETER",
		          "The request contained at least one invalid parameter. Query parameter "
		          "'from_date' must be set to a valid DateTime, or 'envelope_ids' or "
		          "'transaction_ids' must be specified.");
		return;
	}
	if (from && clock_parse_iso(from) < 0) {
		clm_error(reply, 400, "INVALID_REQUEST_PARAMETER",
		          "Query parameter 'from_date' must be set to a valid DateTime.");
		return;
	}
	put_list(listed_new(box, request), reply);
}

/* PUT {"envelopeIds":[..]}: the ids are in the body where they are too many for a query. */
void clm_envelope_statuses(struct sandbox *box, struct request *request, const struct parts *parts,
                           struct reply *reply)
{
	const json_t *ids = json_at(request->json, "envelopeIds");
	if (!clm_account_is_ours(parts, reply))
		return;
	json_t *list = json_array(), *all;
	struct pairs asked = request->query;
	request->query = (struct pairs){ 0 };
	all = listed_new(box, request);
	request->query = asked;
	for (size_t i = 0; i < json_array_size(all); i++)
		for (size_t k = 0; k < json_array_size(ids); k++)
			if (json_equal(json_array_get(ids, k),
			               json_at(json_array_get(all, i), "envelopeId")))
				json_array_append(list, json_array_get(all, i));
	json_decref(all);
	put_list(list, reply);
}
