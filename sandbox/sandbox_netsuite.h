/* SPDX-License-Identifier: MIT */
/* What the files of the NetSuite stand-in share. */
#ifndef SANDBOX_NETSUITE_H
#define SANDBOX_NETSUITE_H

#include "sandbox/sandbox.h"

/*
 * The OAuth 1.0a signature (RFC 5849, HMAC-SHA256) in base64.  url is absolute
 * and holds the query as sent; oauth holds the oauth_* parameters, decoded.
 * NULL when the query cannot be decoded.
 */
char *netsuite_signature_new(const char *method, const char *url, const struct pairs *oauth,
                             const char *consumer_secret, const char *token_secret);

void netsuite_error(struct reply *reply, int status, const char *code, const char *format, ...)
	ATTR_PRINTF(4, 5);
/* All invoices as transaction rows: column name -> string, number, bool or null. */
json_t *netsuite_transactions_new(struct sandbox *box);
json_t *netsuite_customers_new(struct sandbox *box);
const char *netsuite_status_name(const json_t *transaction);
void netsuite_suiteql(struct sandbox *box, struct request *request, const struct parts *parts,
                      struct reply *reply);

/* sandbox_netsuite_record.c */
void netsuite_catalog(struct sandbox *box, struct request *request, const struct parts *parts,
                      struct reply *reply);
void netsuite_record_list(struct sandbox *box, struct request *request, const struct parts *parts,
                          struct reply *reply);
void netsuite_record_show(struct sandbox *box, struct request *request, const struct parts *parts,
                          struct reply *reply);
void netsuite_record_create(struct sandbox *box, struct request *request, const struct parts *parts,
                            struct reply *reply);
void netsuite_record_change(struct sandbox *box, struct request *request, const struct parts *parts,
                            struct reply *reply);

#endif
