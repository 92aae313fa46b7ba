/* SPDX-License-Identifier: MIT */
/* What the files of the Salesforce stand-in share: objects, records, errors. */
#ifndef SANDBOX_SALESFORCE_H
#define SANDBOX_SALESFORCE_H

#include "sandbox/sandbox.h"

enum sf_type { SF_ID, SF_TEXT, SF_BOOLEAN, SF_NUMBER, SF_DATE, SF_DATETIME };

struct sf_field {
	const char *name;
	enum sf_type type;
	bool is_required; /* on create */
};

/* A parent that a path may go through: "Account.Name" reads the record of AccountId. */
struct sf_parent {
	const char *name, *id_field, *object;
};

enum { SF_FIELDS_MAX = 40, SF_PARENTS_MAX = 4 };

struct sf_object {
	const char *name, *prefix;
	const char *singular, *plural; /* in a scenario's "salesforce" */
	struct sf_field fields[SF_FIELDS_MAX];
	struct sf_parent parents[SF_PARENTS_MAX];
};

const struct sf_object *sf_object_find(const char *name); /* case does not count */
const struct sf_object *sf_object_at(size_t i);           /* NULL behind the last */
const struct sf_field *sf_field_find(const struct sf_object *object, const char *name);
const struct sf_parent *sf_parent_find(const struct sf_object *object, const char *name,
                                       size_t len);
const char *sf_type_name(enum sf_type type);

/*
 * All records of an object, deleted ones included, as copies.  A record that
 * leaves out the field which ties it to its account carries the tie under
 * "~<field>", so that it can still be found (sf_value's for_filter).
 */
json_t *sf_rows_new(struct sandbox *box, const struct sf_object *object);
/* Borrowed from the row, or null. */
json_t *sf_value(const json_t *row, const char *field, bool for_filter);
/* The record of that id, deleted or not; NULL: none. */
json_t *sf_find_new(struct sandbox *box, const struct sf_object *object, const char *id);
bool sf_id_equal(const char *a, const char *b);
json_t *sf_attributes_new(const char *version, const struct sf_object *object, const char *id);

/* Writes; false with the reply filled when they are refused. */
bool sf_create(struct sandbox *box, const struct sf_object *object, const json_t *fields,
               struct reply *reply, char ret_id[19]);
bool sf_update(struct sandbox *box, const struct sf_object *object, const char *id,
               const json_t *fields, struct reply *reply);

/* The field's own name, when it serves as an external id; else NULL with the reply filled. */
const char *sf_external_field(const struct sf_object *object, const char *name,
                              struct reply *reply);
/* Changes the one record whose field has that value, or creates it. */
bool sf_put_external(struct sandbox *box, const struct sf_object *object, const char *field,
                     const char *value, const json_t *given, struct reply *reply, char ret_id[19],
                     bool *ret_is_new);

void sf_error(struct reply *reply, int status, const char *code, const char *format, ...)
	ATTR_PRINTF(4, 5);

/* Answers a request whose token was checked: the routes under /services/data/vXX.X. */
void sf_dispatch(struct sandbox *box, struct request *request, struct reply *reply);
int sf_version(const char *text); /* "60.0" -> 60; 0: none that is served */

void sf_objects_list(struct sandbox *box, struct request *request, const struct parts *parts,
                     struct reply *reply);
void sf_object_show(struct sandbox *box, struct request *request, const struct parts *parts,
                    struct reply *reply);
void sf_object_describe(struct sandbox *box, struct request *request, const struct parts *parts,
                        struct reply *reply);
void sf_record_show(struct sandbox *box, struct request *request, const struct parts *parts,
                    struct reply *reply);
void sf_external_show(struct sandbox *box, struct request *request, const struct parts *parts,
                      struct reply *reply);
void sf_record_create(struct sandbox *box, struct request *request, const struct parts *parts,
                      struct reply *reply);
void sf_record_change(struct sandbox *box, struct request *request, const struct parts *parts,
                      struct reply *reply);
void sf_record_delete(struct sandbox *box, struct request *request, const struct parts *parts,
                      struct reply *reply);
void sf_upsert(struct sandbox *box, struct request *request, const struct parts *parts,
               struct reply *reply);

void sf_query(struct sandbox *box, struct request *request, const struct parts *parts,
              struct reply *reply);
void sf_query_all(struct sandbox *box, struct request *request, const struct parts *parts,
                  struct reply *reply);
void sf_query_more(struct sandbox *box, struct request *request, const struct parts *parts,
                   struct reply *reply);
void sf_composite(struct sandbox *box, struct request *request, const struct parts *parts,
                  struct reply *reply);
void sf_batch(struct sandbox *box, struct request *request, const struct parts *parts,
              struct reply *reply);
void sf_collection(struct sandbox *box, struct request *request, const struct parts *parts,
                   struct reply *reply);
void sf_collection_upsert(struct sandbox *box, struct request *request, const struct parts *parts,
                          struct reply *reply);
void sf_collection_delete(struct sandbox *box, struct request *request, const struct parts *parts,
                          struct reply *reply);
void sf_collection_read(struct sandbox *box, struct request *request, const struct parts *parts,
                        struct reply *reply);
void sf_tree(struct sandbox *box, struct request *request, const struct parts *parts,
             struct reply *reply);
void sf_search(struct sandbox *box, struct request *request, const struct parts *parts,
               struct reply *reply);
void sf_search_by_parameters(struct sandbox *box, struct request *request,
                             const struct parts *parts, struct reply *reply);
void sf_recent(struct sandbox *box, struct request *request, const struct parts *parts,
               struct reply *reply);
void sf_changed(struct sandbox *box, struct request *request, const struct parts *parts,
                struct reply *reply);

#endif
