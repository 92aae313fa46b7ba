/* SPDX-License-Identifier: MIT */
/*
 * Envelopes that a client makes: created or sent, changed, voided, their files
 * read.  They are kept in the shape of a scenario's contract, so that everything
 * that shows a contract shows them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/crypto.h"
#include "base/mem.h"
#include "sandbox/sandbox_clm.h"

/* --- creating --------------------------------------------------------------------- */

static void put_signers(json_t *contract, const json_t *signers)
{
	json_t *list = json_array();
	for (size_t i = 0; i < json_array_size(signers); i++) {
		const json_t *signer = json_array_get(signers, i);
		json_t *one = json_object();
		json_put_str(one, "name", json_str(signer, "name", NULL));
		json_put_str(one, "email", json_str(signer, "email", NULL));
		json_put_str(one, "role", json_str(signer, "roleName", "Signer"));
		json_push(list, one);
	}
	json_put(contract, "signatories", list);
}

static void put_fields(json_t *contract, const json_t *custom)
{
	static const char *const kinds[] = { "textCustomFields", "listCustomFields" };
	json_t *fields = json_object();
	for (size_t k = 0; k < sizeof(kinds) / sizeof(*kinds); k++) {
		const json_t *list = json_at(custom, kinds[k]);
		for (size_t i = 0; i < json_array_size(list); i++) {
			const json_t *field = json_array_get(list, i);
			if (*json_str(field, "name", ""))
				json_put_str(fields, json_str(field, "name", ""),
				             json_str(field, "value", ""));
		}
	}
	json_put(contract, "custom_fields", fields);
}

/* What DocuSign misses in it, or NULL. */
static const char *fault_of(const json_t *body)
{
	const json_t *signers = json_path(body, "recipients.signers");
	bool is_sent = strcmp(json_str(body, "status", "created"), "sent") == 0;
	bool has_template = json_at(body, "templateId") || json_at(body, "compositeTemplates");
	if (!json_is_object(body))
		return "INVALID_REQUEST_BODY";
	if (!is_sent)
		return strcmp(json_str(body, "status", "created"), "created") == 0
		               ? NULL
		               : "INVALID_REQUEST_PARAMETER";
	if (json_array_size(json_at(body, "documents")) == 0 && !has_template)
		return "ENVELOPE_HAS_NO_DOCUMENTS";
	if (json_array_size(signers) == 0 && !has_template)
		return "ENVELOPE_IS_INCOMPLETE";
	for (size_t i = 0; i < json_array_size(signers); i++) {
		const json_t *signer = json_array_get(signers, i);
		if (!strchr(json_str(signer, "email", ""), '@') || !*json_str(signer, "name", ""))
			return "INVALID_EMAIL_ADDRESS_FOR_RECIPIENT";
	}
	return *json_str(body, "emailSubject", "") || has_template ? NULL
	                                                           : "ENVELOPE_IS_INCOMPLETE";
}

static void put_summary(const struct sandbox *box, const json_t *contract, struct reply *reply)
{
	json_t *body = json_object();
	const char *id = json_str(contract, "contract_id", "");
	char *uri = mem_format("/envelopes/%s", id);
	(void)box;
	json_put_str(body, "envelopeId", id);
	json_put_str(body, "uri", uri);
	json_put_str(body, "statusDateTime", json_str(contract, "created_at", ""));
	json_put_str(body, "status", clm_envelope_status(contract));
	reply_json(reply, 201, body);
	free(uri);
}

void clm_envelope_create(struct sandbox *box, struct request *request, const struct parts *parts,
                         struct reply *reply)
{
	const json_t *body = request->json;
	char id[40], now[CLOCK_ISO_BYTES];
	if (!clm_account_is_ours(parts, reply))
		return;
	const char *fault = request_is(request, "application/json", false) ? fault_of(body)
	                                                                   : "INVALID_CONTENT_TYPE";
	if (fault) {
		clm_error(reply, 400, fault, "The request contained at least one invalid part.");
		return;
	}
	snprintf(id, sizeof(id), "5a4d0000-0000-4000-8000-%012llx",
	         (unsigned long long)++box->envelope_count);
	clock_iso(request->now_ms, now);
	json_t *contract = json_object();
	bool is_sent = strcmp(json_str(body, "status", "created"), "sent") == 0;
	json_put_str(contract, "contract_id", id);
	json_put_str(contract, "title", json_str(body, "emailSubject", ""));
	json_put_str(contract, "status", is_sent ? "SENT" : "DRAFT");
	json_put_str(contract, "created_at", now);
	json_put_str(contract, "sent_at", is_sent ? now : NULL);
	put_signers(contract, json_path(body, "recipients.signers"));
	put_fields(contract, json_at(body, "customFields"));
	json_put(contract, "documents", json_deep_copy(json_at(body, "documents")));
	put_summary(box, contract, reply);
	keep_push(box->envelopes, contract, MAX_KEPT);
}

/* --- changing ----------------------------------------------------------------------- */

static void change(struct sandbox *box, const char *id, const char *status, const char *key,
                   const char *value)
{
	json_t *changes = json_object();
	json_put_str(changes, "status", status);
	json_put_str(changes, key, value);
	json_put(box->envelope_changes, id, changes);
}

/* "sent" sends a draft; "voided" with a reason ends what is on its way. */
static void apply(struct sandbox *box, const struct request *request, const json_t *contract,
                  struct reply *reply)
{
	const char *id = json_str(contract, "contract_id", "");
	const char *is = clm_envelope_status(contract), *reason, *wanted;
	char now[CLOCK_ISO_BYTES];
	reason = json_str(request->json, "voidedReason", "");
	wanted = json_str(request->json, "status", "");
	bool is_open = strcmp(is, "sent") == 0 || strcmp(is, "delivered") == 0;
	clock_iso(request->now_ms, now);
	if (strcmp(wanted, "voided") == 0 && !*reason) {
		clm_error(reply, 400, "INVALID_REQUEST_BODY", "voidedReason is missing.");
	} else if (strcmp(wanted, "voided") == 0 && !is_open) {
		clm_error(reply, 400, "ENVELOPE_CANNOT_VOID_INVALID_STATE",
		          "Only envelopes in the 'Sent' or 'Delivered' states may be voided.");
	} else if (strcmp(wanted, "sent") == 0 && strcmp(is, "created") != 0) {
		clm_error(reply, 400, "ENVELOPE_INVALID_STATUS",
		          "The envelope status is not one of: created.");
	} else if (strcmp(wanted, "voided") != 0 && strcmp(wanted, "sent") != 0) {
		clm_error(reply, 400, "INVALID_REQUEST_BODY",
		          "status \"sent\" or \"voided\" is what the sandbox understands.");
	} else {
		json_t *body = json_object();
		if (strcmp(wanted, "sent") == 0)
			change(box, id, "SENT", "sent_at", now);
		else
			change(box, id, "voided", "voided_reason", reason);
		json_put_str(body, "envelopeId", id);
		reply_json(reply, 200, body);
	}
}

void clm_envelope_change(struct sandbox *box, struct request *request, const struct parts *parts,
                         struct reply *reply)
{
	struct clm_found found;
	if (!clm_account_is_ours(parts, reply) ||
	    !clm_find_or_refuse(box, request, parts->at[1], &found, reply))
		return;
	apply(box, request, found.contract, reply);
	json_decref(found.contract);
}

/* Signers may be told again; who they are stays. */
void clm_recipients_change(struct sandbox *box, struct request *request, const struct parts *parts,
                           struct reply *reply)
{
	struct clm_found found;
	if (!clm_account_is_ours(parts, reply) ||
	    !clm_find_or_refuse(box, request, parts->at[1], &found, reply))
		return;
	json_t *body = json_object();
	json_put(body, "recipientUpdateResults", json_array());
	reply_json(reply, 200, body);
	json_decref(found.contract);
}

/* --- files -------------------------------------------------------------------------- */

static json_t *file_new(const char *envelope, const char *id, const char *name, const char *type)
{
	json_t *file = json_object();
	char *uri = mem_format("/envelopes/%s/documents/%s", envelope, id);
	json_put_str(file, "documentId", id);
	json_put_str(file, "name", name);
	json_put_str(file, "type", type);
	json_put_str(file, "uri", uri);
	json_put_str(file, "order", id);
	free(uri);
	return file;
}

void clm_files_list(struct sandbox *box, struct request *request, const struct parts *parts,
                    struct reply *reply)
{
	struct clm_found found;
	if (!clm_account_is_ours(parts, reply) ||
	    !clm_find_or_refuse(box, request, parts->at[1], &found, reply))
		return;
	const char *id = json_str(found.contract, "contract_id", "");
	const json_t *given = json_at(found.contract, "documents");
	json_t *body = json_object(), *list = json_array();
	for (size_t i = 0; i < json_array_size(given); i++) {
		const json_t *one = json_array_get(given, i);
		json_push(list, file_new(id, json_str(one, "documentId", "1"),
		                         json_str(one, "name", ""), "content"));
	}
	if (json_array_size(given) == 0)
		json_push(list, file_new(id, "1", json_str(found.contract, "title", "Order form"),
		                         "content"));
	json_push(list, file_new(id, "certificate", "Summary", "summary"));
	json_put_str(body, "envelopeId", id);
	json_put(body, "envelopeDocuments", list);
	reply_json(reply, 200, body);
	json_decref(found.contract);
}

/* A file is a PDF of nothing: enough to be saved and recognised. */
void clm_file_show(struct sandbox *box, struct request *request, const struct parts *parts,
                   struct reply *reply)
{
	struct clm_found found;
	if (!clm_account_is_ours(parts, reply) ||
	    !clm_find_or_refuse(box, request, parts->at[1], &found, reply))
		return;
	json_decref(found.contract);
	reply_text(reply, 200, "application/pdf",
	           "%PDF-1.4\n1 0 obj <</Type/Catalog/Pages 2 0 R>> endobj\n"
	           "2 0 obj <</Type/Pages/Kids[]/Count 0>> endobj\n"
	           "trailer <</Root 1 0 R>>\n%%EOF\n");
	reply_header(reply, "Content-Disposition", "file; filename=\"%s.pdf\"", "document");
}

void clm_view_create(struct sandbox *box, struct request *request, const struct parts *parts,
                     struct reply *reply)
{
	struct clm_found found;
	if (!clm_account_is_ours(parts, reply) ||
	    !clm_find_or_refuse(box, request, parts->at[1], &found, reply))
		return;
	json_t *body = json_object();
	json_decref(found.contract);
	if (!*json_str(request->json, "returnUrl", "") || !*json_str(request->json, "email", "")) {
		json_decref(body);
		clm_error(reply, 400, "INVALID_REQUEST_BODY", "returnUrl and email are required.");
		return;
	}
	json_put_str(body, "url", "https://sandbox.docusign.example/Signing/?ti=sandbox");
	reply_json(reply, 201, body);
}

/* --- Connect -------------------------------------------------------------------------- */

/*
 * {"envelope_id","event"} -> the notification that DocuSign Connect would send:
 * {"headers","body"}, signed with the key's text as it stands.
 */
void clm_connect(struct sandbox *box, struct request *request, const struct parts *parts,
                 struct reply *reply)
{
	(void)parts;
	struct clm_found found;
	const char *id = json_str(request->json, "envelope_id", "");
	if (!clm_find_or_refuse(box, request, id, &found, reply))
		return;
	json_t *note = json_object(), *data = json_object(), *sent = json_object();
	json_t *headers = json_object();
	char now[CLOCK_ISO_BYTES];
	char *uri = mem_format("/restapi/v2.1/accounts/%s/envelopes/%s", CLM_ACCOUNT, id);
	clock_iso(request->now_ms, now);
	json_put_str(note, "event", json_str(request->json, "event", "envelope-completed"));
	json_put_str(note, "apiVersion", "v2.1");
	json_put_str(note, "uri", uri);
	json_put_int(note, "retryCount", 0);
	json_put_int(note, "configurationId", 12345);
	json_put_str(note, "generatedDateTime", now);
	json_put_str(data, "accountId", CLM_ACCOUNT);
	json_put_str(data, "userId", CLM_USER_ID);
	json_put_str(data, "envelopeId", json_str(found.contract, "contract_id", ""));
	json_put(note, "data", data);
	char *body = json_canon(note);
	unsigned char digest[SHA256_BYTES];
	struct buf signature;
	buf_init(&signature, SHA256_BYTES * 2);
	crypto_hmac_sha256(str_of(CLM_CONNECT_KEY), str_of(body), digest);
	crypto_base64_put((struct str){ (const char *)digest, SHA256_BYTES }, &signature);
	json_put_str(headers, "Content-Type", "application/json; charset=utf-8");
	json_put_str(headers, "X-Authorization-Digest", "HMACSHA256");
	json_put_str(headers, "X-DocuSign-Signature-1", signature.bytes);
	json_put(sent, "headers", headers);
	json_put_str(sent, "body", body);
	reply_json(reply, 200, sent);
	buf_release(&signature);
	json_decref(note);
	json_decref(found.contract);
	free(body);
	free(uri);
}
