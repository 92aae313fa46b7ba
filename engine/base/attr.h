/* SPDX-License-Identifier: MIT */
/* Compiler attributes under plain names: the only place that spells them. */
#ifndef BASE_ATTR_H
#define BASE_ATTR_H

/* first is 0 for functions that take a va_list. */
#define ATTR_PRINTF(text, first) __attribute__((format(printf, text, first), nonnull(text)))
#define ATTR_NORETURN __attribute__((noreturn))
#define ATTR_MUST_USE __attribute__((warn_unused_result))
#define ATTR_UNUSED __attribute__((unused))

#endif
