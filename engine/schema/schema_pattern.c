/* SPDX-License-Identifier: MIT */
/*
 * Regular expressions: the one file that includes PCRE2.
 *
 * A hostile text must not be able to keep a pattern busy.  PCRE2's own match
 * limit counts per starting position, so it does not bound a quadratic search;
 * therefore patterns are compiled with a callout before every item, and each
 * callout is charged for itself and for the bytes passed over since the last
 * one.  One account per check, so a thousand slow strings are no way around it.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/must.h"
#include "schema/schema_int.h"

struct pattern {
	const char *text;
	pcre2_code *code;
};

static void free_code(void *code)
{
	pcre2_code_free(code);
}

static pcre2_code *compile(struct str text, struct err *err)
{
	pcre2_compile_context *context = pcre2_compile_context_create(NULL);
	if (!context)
		mem_out();
	pcre2_set_parens_nest_limit(context, 64);
	int code;
	PCRE2_SIZE at;
	pcre2_code *ret = pcre2_compile((PCRE2_SPTR)text.ptr, text.len,
	                                PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_ALLOW_EMPTY_CLASS |
	                                        PCRE2_MATCH_UNSET_BACKREF |
	                                        PCRE2_NEVER_BACKSLASH_C | PCRE2_AUTO_CALLOUT,
	                                &code, &at, context);
	pcre2_compile_context_free(context);
	if (!ret) {
		char message[128];
		pcre2_get_error_message(code, (PCRE2_UCHAR *)message, sizeof(message));
		err_set(err, ERR_INPUT, "%s", message);
	}
	return ret;
}

struct pattern *pattern_new(struct arena *arena, const char *text, struct err *err)
{
	struct buf translated;
	buf_init(&translated, LIMIT_PATTERN_BYTES);
	pcre2_code *code = NULL;
	if (ecma_translate(text, &translated, err) == 0)
		code = compile(buf_str(&translated), err);
	buf_release(&translated);
	if (!code)
		return NULL;
	arena_defer(arena, free_code, code);
	struct pattern *ret = arena_alloc(arena, sizeof(*ret));
	*ret = (struct pattern){ arena_dup_str(arena, text), code };
	return ret;
}

const char *pattern_text(const struct pattern *pattern)
{
	return pattern->text;
}

/* Charged before every item of the pattern; not 0 ends the match. */
static int charge(pcre2_callout_block *block, void *arg)
{
	struct matcher *matcher = arg;
	size_t now = block->current_position;
	size_t passed = now > matcher->last ? now - matcher->last : matcher->last - now;
	matcher->last = now;
	matcher->steps += 1 + passed;
	return matcher->steps > LIMIT_PATTERN_STEPS ? PCRE2_ERROR_CALLOUT : 0;
}

static void prepare(struct matcher *matcher)
{
	pcre2_match_context *context = pcre2_match_context_create(NULL);
	matcher->context = context;
	matcher->data = pcre2_match_data_create(1, NULL);
	if (!context || !matcher->data)
		mem_out();
	pcre2_set_callout(context, charge, matcher);
	pcre2_set_heap_limit(context, LIMIT_PATTERN_KIB);
}

bool pattern_matches(const struct pattern *pattern, struct str text, struct matcher *matcher)
{
	if (matcher->is_over)
		return false;
	if (!matcher->context)
		prepare(matcher);
	matcher->last = 0;
	int found = pcre2_match(pattern->code, (PCRE2_SPTR)text.ptr, text.len, 0, 0, matcher->data,
	                        matcher->context);
	if (found >= 0)
		return true;
	bool no_utf8 = found <= PCRE2_ERROR_UTF8_ERR1 && found >= PCRE2_ERROR_UTF8_ERR21;
	matcher->is_over = found != PCRE2_ERROR_NOMATCH && !no_utf8;
	return false;
}

void matcher_release(struct matcher *matcher)
{
	pcre2_match_data_free(matcher->data);
	pcre2_match_context_free(matcher->context);
	*matcher = (struct matcher){ 0 };
}
