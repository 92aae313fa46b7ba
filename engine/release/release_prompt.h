/* SPDX-License-Identifier: MIT */
/*
 * Prompts: prompts/NAME.md (prompts/README.md has the form).  Rendering keeps
 * only the fields that the prompt's allow-list names and replaces personal data
 * by stable tokens before the text leaves the engine (DESIGN.md 8,
 * RELIABILITY.md 7.8).
 */
#ifndef RELEASE_PROMPT_H
#define RELEASE_PROMPT_H

#include "base/attr.h"
#include "base/err.h"
#include "base/json.h"

/* The version its front matter names; "unversioned" when there is none. */
void prompt_version(struct str text, char *ret, size_t ret_bytes);
/*
 * values put into the prompt's text.  *ret is new: {"name","version","model","system","user",
 * "schema","max_tokens","temperature","masks":{token: original}}; absent members are left out.
 * ERR_INPUT names the line of a prompt that is wrong.
 */
int prompt_render(const char *name, struct str text, const json_t *values, json_t **ret,
                  struct err *err) ATTR_MUST_USE;

#endif
