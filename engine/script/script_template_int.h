/* SPDX-License-Identifier: MIT */
/*
 * Templates: text with {{ expression }}, {{{ raw }}}, {% statement %} and
 * {# comment #} becomes one Lua chunk whose lines are the template's lines, so
 * that Lua's own messages name the right place.
 */
#ifndef SCRIPT_TEMPLATE_INT_H
#define SCRIPT_TEMPLATE_INT_H

#include "script/script_int.h"

struct template_source {
	struct buf code;       /* Lua */
	VEC(struct str) texts; /* what stands between the tags; borrowed from the source */
};

/* ERR_INPUT: "name:line: ...".  ret is to be released in any case. */
int template_read(const char *name, struct str source, struct template_source *ret,
                  struct err *err);
void template_source_release(struct template_source *source);

enum template_kind { TEMPLATE_PLAIN, TEMPLATE_HTML, TEMPLATE_MARKDOWN, TEMPLATE_SLACK };

enum template_kind template_kind_of(const char *name);
/* Appends text so that it is nothing but text in a file of that kind. */
int template_escape(enum template_kind kind, struct str text, struct buf *out, struct err *err);

#endif
