/* SPDX-License-Identifier: MIT */
/* What the files of the LLM stand-in share. */
#ifndef SANDBOX_LLM_H
#define SANDBOX_LLM_H

#include "sandbox/sandbox.h"

/* Keeps the schema to the strict subset?  If not, the fault says why. */
bool llm_schema_is_strict(const json_t *schema, char fault[300]);
/* A value that fulfils the schema; hint is used wherever it fits (NULL: none). */
json_t *llm_value_new(const json_t *schema, const json_t *hint, const char *question);
/* The text of the answer to a request; own is the account's "llm" or NULL. */
char *llm_answer_new(struct sandbox *box, const json_t *body, const json_t *own,
                     const char *question);
/* The calls of tools that tool_choice demands; NULL when it demands none. */
json_t *llm_tool_calls_new(const json_t *body, const char *question);

#endif
