/* SPDX-License-Identifier: MIT */
/*
 * Finding records other than by SOQL: a word searched for in all text fields
 * (SOSL in its plainest form), what was changed or deleted, what was seen last.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "sandbox/sandbox_salesforce.h"

enum { FOUND_MAX = 200, RECENT_MAX = 10, FIELDS_MAX = 20, WORD_BYTES = 200 };

struct search {
	char word[WORD_BYTES]; /* without * and ? at its end */
	json_t *found;
};

static bool has_word(const json_t *row, const char *word)
{
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)(uintptr_t)row, key, value)
		if (key[0] != '~' && json_is_string(value) &&
		    strcasestr(json_string_value(value), word))
			return true;
	return false;
}

/* fields: "Id, Name"; other words of the list than fields are passed over. */
static void put_fields(const struct sf_object *object, const json_t *row, const char *fields,
                       json_t *record)
{
	for (int i = 0; *fields && i < FIELDS_MAX; i++) {
		fields += strspn(fields, " ,");
		size_t len = strcspn(fields, " ,");
		char *name = mem_dup(fields, len);
		const struct sf_field *field = sf_field_find(object, name);
		if (field)
			json_put(record, field->name,
			         json_incref(sf_value(row, field->name, false)));
		free(name);
		fields += len;
	}
}

static void search_object(struct sandbox *box, const struct sf_object *object, const char *version,
                          const char *fields, struct search *search)
{
	json_t *rows = sf_rows_new(box, object);
	for (size_t i = 0; i < json_array_size(rows); i++) {
		const json_t *row = json_array_get(rows, i);
		const char *id = json_str(row, "Id", NULL);
		if (!id || json_truth(row, "IsDeleted", false) || !has_word(row, search->word) ||
		    json_array_size(search->found) >= FOUND_MAX)
			continue;
		json_t *record = json_object();
		json_put(record, "attributes", sf_attributes_new(version, object, id));
		put_fields(object, row, fields, record);
		json_push(search->found, record);
	}
	json_decref(rows);
}

static void word_set(struct search *search, const char *text, size_t len)
{
	while (len > 0 && strchr("*? ", text[len - 1]))
		len--;
	snprintf(search->word, sizeof(search->word), "%.*s", (int)len, text);
}

static void answer(struct search *search, struct reply *reply)
{
	json_t *body = json_object();
	json_put(body, "searchRecords", search->found);
	reply_json(reply, 200, body);
}

/* FIND {word} [IN ... FIELDS] [RETURNING Object(Field, ...), ...] */
void sf_search(struct sandbox *box, struct request *request, const struct parts *parts,
               struct reply *reply)
{
	const char *sosl = pairs_get(&request->query, "q");
	const char *open = sosl ? strchr(sosl, '{') : NULL,
		   *close = open ? strchr(open, '}') : NULL;
	struct search search = { "", NULL };
	if (!close || strncasecmp(sosl + strspn(sosl, " "), "FIND", 4) != 0) {
		sf_error(reply, 400, "MALFORMED_SEARCH", "FIND {words} is expected");
		return;
	}
	word_set(&search, open + 1, (size_t)(close - open - 1));
	if (strlen(search.word) < 2) {
		sf_error(reply, 400, "MALFORMED_SEARCH",
		         "search term must be longer than one character");
		return;
	}
	search.found = json_array();
	const char *at = strcasestr(close, "RETURNING");
	if (!at)
		search_object(box, sf_object_find("Account"), parts->at[0], "Id", &search);
	for (at = at ? at + strlen("RETURNING") : ""; *at;) {
		at += strspn(at, " ,");
		size_t len = strcspn(at, " ,(");
		char *name = mem_dup(at, len);
		const struct sf_object *object = sf_object_find(name);
		at += len;
		const char *end = *at == '(' ? strchr(at, ')') : NULL;
		char *fields = end ? mem_dup(at + 1, (size_t)(end - at - 1)) : mem_dup_str("Id");
		at = end ? end + 1 : at + strcspn(at, ",");
		if (object)
			search_object(box, object, parts->at[0], fields, &search);
		free(name);
		free(fields);
	}
	answer(&search, reply);
}

/* {"q":"word","sobjects":[{"name","fields":[..]}],"fields":[..]} */
void sf_search_by_parameters(struct sandbox *box, struct request *request,
                             const struct parts *parts, struct reply *reply)
{
	const char *word = json_str(request->json, "q", pairs_get(&request->query, "q"));
	const json_t *objects = json_at(request->json, "sobjects");
	struct search search = { "", json_array() };
	word_set(&search, word ? word : "", word ? strlen(word) : 0);
	for (size_t i = 0; i < json_array_size(objects); i++) {
		const json_t *one = json_array_get(objects, i), *list = json_at(one, "fields");
		const struct sf_object *object = sf_object_find(json_str(one, "name", ""));
		struct buf fields;
		buf_init(&fields, MAX_BODY_BYTES);
		buf_put(&fields, "Id");
		list = list ? list : json_at(request->json, "fields");
		for (size_t k = 0; k < json_array_size(list); k++) {
			const char *name = json_string_value(json_array_get(list, k));
			buf_printf(&fields, ",%s", name ? name : "");
		}
		if (object)
			search_object(box, object, parts->at[0], fields.bytes, &search);
		buf_release(&fields);
	}
	if (json_array_size(objects) == 0)
		search_object(box, sf_object_find("Account"), parts->at[0], "Id", &search);
	answer(&search, reply);
}

void sf_recent(struct sandbox *box, struct request *request, const struct parts *parts,
               struct reply *reply)
{
	(void)request;
	const struct sf_object *object = sf_object_find("Account");
	json_t *rows = sf_rows_new(box, object), *list = json_array();
	for (size_t i = 0; i < json_array_size(rows) && i < RECENT_MAX; i++) {
		const json_t *row = json_array_get(rows, i);
		const char *id = json_str(row, "Id", NULL);
		if (!id)
			continue;
		json_t *record = json_object();
		json_put(record, "attributes", sf_attributes_new(parts->at[0], object, id));
		put_fields(object, row, "Id,Name", record);
		json_push(list, record);
	}
	json_decref(rows);
	reply_json(reply, 200, list);
}

/* What was changed, or deleted, since the sandbox began; the span asked for is the client's. */
void sf_changed(struct sandbox *box, struct request *request, const struct parts *parts,
                struct reply *reply)
{
	const struct sf_object *object = sf_object_find(parts->at[1]);
	const char *end = pairs_get(&request->query, "end");
	bool is_deleted = str_ends(request->path, "/deleted"), has_span;
	has_span = end && pairs_get(&request->query, "start");
	if (!object || !has_span) {
		sf_error(reply, object ? 400 : 404, object ? "INVALID_INPUT" : "NOT_FOUND",
		         object ? "start and end are required"
		                : "The requested resource does not exist");
		return;
	}
	json_t *rows = sf_rows_new(box, object), *list = json_array(), *body = json_object();
	for (size_t i = 0; i < json_array_size(rows); i++) {
		const json_t *row = json_array_get(rows, i);
		const char *id = json_str(row, "Id", "");
		const json_t *changes = json_at(box->salesforce_changes, id);
		if (is_deleted != json_truth(row, "IsDeleted", false) || (!is_deleted && !changes))
			continue;
		if (is_deleted) {
			json_t *one = json_object();
			json_put_str(one, "id", id);
			json_put_str(one, "deletedDate", end);
			json_push(list, one);
		} else {
			json_push(list, json_text(str_of(id)));
		}
	}
	json_put(body, is_deleted ? "deletedRecords" : "ids", list);
	json_put_str(body, is_deleted ? "earliestDateAvailable" : "latestDateCovered", end);
	if (is_deleted)
		json_put_str(body, "latestDateCovered", end);
	json_decref(rows);
	reply_json(reply, 200, body);
}
