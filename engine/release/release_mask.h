/* SPDX-License-Identifier: MIT */
/* Cutting values down to an allow-list and masking personal data;
 * prompts/README.md has the rules. */
#ifndef RELEASE_MASK_H
#define RELEASE_MASK_H

#include "base/json.h"

struct mask_limits {
	size_t text_bytes_max, list_items_max;
};

/*
 * The tree of what fields allow, masked; new.  fields: [path]; classes: {"person": [path], ...}.
 * tokens (an object) is filled with {"[PERSON_1]": original}.
 */
json_t *mask_values(const json_t *values, const json_t *fields, const json_t *classes,
                    const struct mask_limits *limits, json_t *tokens);

#endif
