/* SPDX-License-Identifier: MIT */
/* Schemas and values as a test writes them: JSON with ' for ". */
#ifndef TESTS_SCHEMA_TEXT_H
#define TESTS_SCHEMA_TEXT_H

#include <stdio.h>
#include <stdlib.h>

#include "base/attr.h"
#include "base/json.h"
#include "base/mem.h"
#include "schema/schema.h"

/* A customer of a shop, to be right or wrong about. */
#define CUSTOMER                                                                       \
	"{'type':'object','required':['customer'],'properties':{'customer':{'type':"   \
	"'object','required':['email','name'],'properties':{'email':{'type':'string'," \
	"'description':'where the welcome mail goes','pattern':'^[^@]+@[^@]+$'},"      \
	"'name':{'type':'string','minLength':2}},'additionalProperties':false},"       \
	"'lines':{'items':{'properties':{'amount':{'type':'string'}}}},"               \
	"'tier':{'enum':['Enterprise','Growth','Starter']},"                           \
	"'odd key':{'type':'integer'}}}"

/* JSON with ' for ", to be legible in C. */
static ATTR_UNUSED json_t *json(const char *text)
{
	char *copy = mem_dup_str(text);
	for (char *p = copy; *p; p++)
		if (*p == '\'')
			*p = '"';
	json_error_t at;
	json_t *ret = json_loads(copy, JSON_DECODE_ANY | JSON_ALLOW_NUL, &at);
	if (!ret)
		printf("# bad JSON in a test: %s: %s\n", at.text, text);
	free(copy);
	return ret;
}

static ATTR_UNUSED struct schema *compile(const char *text, struct err *err)
{
	json_t *source = json(text);
	struct schema *ret = NULL;
	int status = schema_new(source, NULL, NULL, &ret, err);
	json_decref(source);
	return status == 0 ? ret : NULL;
}

#endif
