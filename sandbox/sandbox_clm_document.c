/* SPDX-License-Identifier: MIT */
/*
 * CLM documents, the service that was SpringCM: names in capitals, identity by
 * Href, attributes in groups that an organisation makes up for itself.  Searches
 * and workflows are tasks; a search of ours is done when it is answered.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "sandbox/sandbox_clm.h"

enum { PAGE_ITEMS = 20, WORKFLOWS_MAX = 1000 };

static void document_error(struct reply *reply, int status, const char *text, int code)
{
	json_t *body = json_object(), *error = json_object();
	json_put_int(error, "HttpStatusCode", status);
	json_put_str(error, "UserMessage", text);
	json_put_str(error, "DeveloperMessage", text);
	json_put_int(error, "ErrorCode", code);
	json_put_str(error, "ReferenceId", "5594dbc0-0000-4000-8000-0000000ac001");
	json_put(body, "Error", error);
	reply_json(reply, status, body);
}

static void put_attribute(json_t *group, const char *name, const char *type, const char *value)
{
	if (!value)
		return;
	json_t *attribute = json_object();
	json_put_str(attribute, "AttributeType", type);
	json_put(attribute, "RepeatingAttribute", json_false());
	json_put_str(attribute, "Value", value);
	json_put(group, name, attribute);
}

/* The attributes of a group that were changed take the place of the old. */
static void merge(json_t *groups, const char *name, json_t *changed)
{
	json_t *group = json_at(groups, name);
	if (group)
		json_object_update(group, changed);
	else
		json_put(groups, name, json_deep_copy(changed));
}

static json_t *attribute_groups_new(const struct sandbox *box, const struct clm_found *found,
                                    const char *id)
{
	static const char *const words[][2] = { { "DRAFT", "Draft" },
		                                { "SENT", "Sent" },
		                                { "SIGNED", "Signed" },
		                                { "EXECUTED", "Executed" } };
	json_t *groups = json_object(), *group = json_object();
	const char *status = json_str(found->contract, "status", NULL);
	for (size_t i = 0; status && i < sizeof(words) / sizeof(*words); i++)
		if (strcmp(status, words[i][0]) == 0)
			status = words[i][1];
	char *terms = clm_terms_new(json_at(found->contract, "key_terms"));
	put_attribute(group, "Status", "String", status);
	put_attribute(group, "Account Id", "String",
	              found->scenario ? found->scenario->account_id : NULL);
	put_attribute(group, "Effective Date", "Date",
	              json_str(found->contract, "effective_date", NULL));
	put_attribute(group, "Expiry Date", "Date", json_str(found->contract, "expiry_date", NULL));
	put_attribute(group, "Key Terms", "String", terms);
	json_put(groups, "Contract", group);
	const char *name;
	json_t *changed;
	json_object_foreach(json_at(box->document_changes, id), name, changed)
		merge(groups, name, changed);
	free(terms);
	return groups;
}

/* The document; with its attributes when the request asks for them. */
static json_t *document_new(const struct sandbox *box, const struct request *request,
                            const struct clm_found *found)
{
	const char *expand = pairs_get(&request->query, "expand");
	const char *id = json_str(found->contract, "document_id",
	                          json_str(found->contract, "contract_id", ""));
	char *base = request_base_new(request);
	char *href = mem_format("%s/v2/%s/documents/%s", base, CLM_ACCOUNT, id);
	char *groups_href = mem_format("%s/attributegroups", href);
	json_t *body = json_object(), *groups = json_object();
	json_put_str(body, "Name", json_str(found->contract, "title", "Order form.pdf"));
	json_put_str(body, "Description", "");
	clm_put_time(body, "CreatedDate", json_str(found->contract, "created_at", NULL),
	             "09:00:00");
	clm_put_time(body, "UpdatedDate", json_str(found->contract, "completed_at", NULL),
	             "15:30:00");
	json_put_int(body, "PageCount", 12);
	json_put_str(body, "LockStatus", "Unlocked");
	json_put_str(groups, "Href", groups_href);
	if (expand && strcasestr(expand, "AttributeGroups")) {
		json_decref(groups);
		groups = attribute_groups_new(box, found, id);
	}
	json_put(body, "AttributeGroups", groups);
	json_put_str(body, "Href", href);
	free(base);
	free(href);
	free(groups_href);
	return body;
}

static bool account_is_ours(const struct parts *parts, struct reply *reply)
{
	if (strcasecmp(parts->at[0], CLM_ACCOUNT) == 0)
		return true;
	document_error(reply, 403, "Access to the account is denied.", 102);
	return false;
}

static bool find(struct sandbox *box, const struct parts *parts, struct clm_found *ret,
                 struct reply *reply)
{
	if (!account_is_ours(parts, reply))
		return false;
	if (clm_find(box, parts->at[1], ret))
		return true;
	document_error(reply, 404, "The requested document was not found.", 101);
	return false;
}

void clm_document_show(struct sandbox *box, struct request *request, const struct parts *parts,
                       struct reply *reply)
{
	struct clm_found found;
	if (!find(box, parts, &found, reply))
		return;
	reply_json(reply, 200, document_new(box, request, &found));
	json_decref(found.contract);
}

/* What the body leaves out stays as it was: that is what PATCH is for. */
void clm_document_change(struct sandbox *box, struct request *request, const struct parts *parts,
                         struct reply *reply)
{
	struct clm_found found;
	const json_t *given = json_at(request->json, "AttributeGroups");
	if (!find(box, parts, &found, reply))
		return;
	if (!json_is_object(given)) {
		document_error(reply, 422, "AttributeGroups is missing.", 104);
	} else {
		const char *id = json_str(found.contract, "document_id",
		                          json_str(found.contract, "contract_id", ""));
		const char *name;
		json_t *group, *kept = json_at(box->document_changes, id);
		if (!kept) {
			kept = json_object();
			json_put(box->document_changes, id, kept);
		}
		json_object_foreach((json_t *)(uintptr_t)given, name, group)
			if (json_is_object(group))
				merge(kept, name, group);
		reply_json(reply, 200, document_new(box, request, &found));
	}
	json_decref(found.contract);
}

/* --- searches ----------------------------------------------------------------------- */

static bool has_words(const struct clm_found *found, const char *words)
{
	char *text = json_canon(found->contract);
	bool has = strcasestr(text, words) != NULL ||
	           strcasestr(found->scenario->account_id, words) != NULL;
	free(text);
	return has;
}

static bool is_wanted(const struct clm_found *found, const json_t *criteria)
{
	static const char *const words[] = { "AllWords", "AnyWords", "Phrase" };
	const char *title = json_str(criteria, "Title", NULL);
	if (title && !strcasestr(json_str(found->contract, "title", ""), title))
		return false;
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		const char *text = json_str(criteria, words[i], NULL);
		if (text && !has_words(found, text))
			return false;
	}
	return true;
}

static json_t *items_new(struct sandbox *box, const struct request *request)
{
	json_t *items = json_array();
	for (size_t i = 0; i < box->scenarios.len; i++) {
		const struct scenario *scenario = box->scenarios.at[i];
		json_t *contracts = scenario_records_new(scenario, "clm", "contract", "contracts");
		for (size_t k = 0; k < json_array_size(contracts); k++) {
			struct clm_found found = { scenario, json_array_get(contracts, k) };
			if (is_wanted(&found, request->json) && json_array_size(items) < PAGE_ITEMS)
				json_push(items, document_new(box, request, &found));
		}
		json_decref(contracts);
	}
	return items;
}

void clm_document_search(struct sandbox *box, struct request *request, const struct parts *parts,
                         struct reply *reply)
{
	static const char *const criteria[] = { "Title", "AllWords", "AnyWords", "Phrase" };
	bool has_any = false;
	if (!account_is_ours(parts, reply))
		return;
	for (size_t i = 0; i < sizeof(criteria) / sizeof(*criteria); i++)
		has_any |= *json_str(request->json, criteria[i], "") != '\0';
	if (!has_any) {
		document_error(reply, 422, "No valid search parameters were found", 104);
		return;
	}
	json_t *body = json_object(), *result = json_object(), *items = items_new(box, request);
	char *base = request_base_new(request);
	char *href = mem_format("%s/v2/%s/documentsearchtasks/%016llx", base, CLM_ACCOUNT,
	                        (unsigned long long)++box->envelope_count);
	json_put_int(result, "Offset", 0);
	json_put_int(result, "Limit", PAGE_ITEMS);
	json_put_int(result, "Total", (int64_t)json_array_size(items));
	json_put(result, "Items", items);
	json_put_str(body, "Status", "Success");
	json_put(body, "Result", result);
	json_put_str(body, "Href", href);
	reply_json(reply, 200, body);
	free(base);
	free(href);
}

/* --- workflows ------------------------------------------------------------------------ */

/* {"Name","Params"}: Params is XML as a text. */
void clm_workflow_start(struct sandbox *box, struct request *request, const struct parts *parts,
                        struct reply *reply)
{
	const char *name = json_str(request->json, "Name", "");
	const char *params = json_str(request->json, "Params", "<Params/>");
	if (!account_is_ours(parts, reply))
		return;
	if (!*name || *params != '<') {
		document_error(reply, 422, *name ? "Params is no XML." : "Name is missing.", 104);
		return;
	}
	char id[40];
	char *base = request_base_new(request);
	snprintf(id, sizeof(id), "3f100000-0000-4000-8000-%012llx",
	         (unsigned long long)++box->envelope_count);
	char *href = mem_format("%s/v2/%s/workflows/%s", base, CLM_ACCOUNT, id);
	json_t *workflow = json_object();
	json_put_str(workflow, "Name", name);
	json_put_str(workflow, "Params", params);
	json_put_str(workflow, "Status", "Execution Pending");
	json_put_str(workflow, "Href", href);
	if (json_object_size(box->workflows) >= WORKFLOWS_MAX)
		json_object_clear(box->workflows);
	json_put(box->workflows, id, workflow);
	reply_json(reply, 201, json_deep_copy(workflow));
	free(base);
	free(href);
}

/* Every look takes it one step further. */
void clm_workflow_show(struct sandbox *box, struct request *request, const struct parts *parts,
                       struct reply *reply)
{
	(void)request;
	json_t *workflow = json_at(box->workflows, parts->at[1]);
	if (!account_is_ours(parts, reply))
		return;
	if (!workflow) {
		document_error(reply, 404, "The requested workflow was not found.", 101);
		return;
	}
	reply_json(reply, 200, json_deep_copy(workflow));
	bool is_pending = strcmp(json_str(workflow, "Status", ""), "Execution Pending") == 0;
	json_put_str(workflow, "Status", is_pending ? "Executing" : "Completed");
}

void clm_document_refuse(const struct request *request, int status, struct reply *reply)
{
	switch (status) {
	case 401: document_error(reply, 401, "The access token is not valid.", 100); return;
	case 403: document_error(reply, 403, "Access is denied.", 102); return;
	case 404: document_error(reply, 404, "The requested document was not found.", 101); return;
	case 429:
		document_error(reply, 429, "Rate limit exceeded.", 103);
		/* A second ahead, as if the hour were about to end. */
		reply_header(reply, "X-RateLimit-Reset", "%lld",
		             (long long)(request->now_ms / 1000 + 1));
		return;
	default: document_error(reply, status, "The request could not be handled.", 105); return;
	}
}
