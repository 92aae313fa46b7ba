/* SPDX-License-Identifier: MIT */
/* What the files of the CLM stand-in share: contracts, found and shown. */
#ifndef SANDBOX_CLM_H
#define SANDBOX_CLM_H

#include "sandbox/sandbox.h"

struct clm_found {
	const struct scenario *scenario; /* NULL: an envelope that a client created */
	json_t *contract;                /* owned */
};

void clm_error(struct reply *reply, int status, const char *code, const char *message);
bool clm_find(struct sandbox *box, const char *id, struct clm_found *ret);
/* A list of terms is one text with "; " between them; NULL when there are none. */
char *clm_terms_new(const json_t *terms);
/* A date becomes a time of that day in DocuSign's form; NULL puts nothing. */
void clm_put_time(json_t *object, const char *key, const char *date, const char *time_of_day);

void clm_envelope_list(struct sandbox *box, struct request *request, const struct parts *parts,
                       struct reply *reply);
void clm_envelope_show(struct sandbox *box, struct request *request, const struct parts *parts,
                       struct reply *reply);
void clm_recipients_show(struct sandbox *box, struct request *request, const struct parts *parts,
                         struct reply *reply);
void clm_fields_show(struct sandbox *box, struct request *request, const struct parts *parts,
                     struct reply *reply);

void clm_envelope_create(struct sandbox *box, struct request *request, const struct parts *parts,
                         struct reply *reply);
void clm_envelope_change(struct sandbox *box, struct request *request, const struct parts *parts,
                         struct reply *reply);
void clm_recipients_change(struct sandbox *box, struct request *request, const struct parts *parts,
                           struct reply *reply);
void clm_envelope_statuses(struct sandbox *box, struct request *request, const struct parts *parts,
                           struct reply *reply);
void clm_files_list(struct sandbox *box, struct request *request, const struct parts *parts,
                    struct reply *reply);
void clm_file_show(struct sandbox *box, struct request *request, const struct parts *parts,
                   struct reply *reply);
void clm_view_create(struct sandbox *box, struct request *request, const struct parts *parts,
                     struct reply *reply);
bool clm_account_is_ours(const struct parts *parts, struct reply *reply);
bool clm_find_or_refuse(struct sandbox *box, struct request *request, const char *id,
                        struct clm_found *ret, struct reply *reply);
const char *clm_envelope_status(const json_t *contract);

/* CLM documents, the service that was SpringCM: paths below /v2/{account}. */
void clm_document_show(struct sandbox *box, struct request *request, const struct parts *parts,
                       struct reply *reply);
void clm_document_change(struct sandbox *box, struct request *request, const struct parts *parts,
                         struct reply *reply);
void clm_document_search(struct sandbox *box, struct request *request, const struct parts *parts,
                         struct reply *reply);
void clm_workflow_start(struct sandbox *box, struct request *request, const struct parts *parts,
                        struct reply *reply);
void clm_workflow_show(struct sandbox *box, struct request *request, const struct parts *parts,
                       struct reply *reply);
void clm_document_refuse(const struct request *request, int status, struct reply *reply);

#endif
