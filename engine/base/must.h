/* SPDX-License-Identifier: MIT */
/*
 * Broken invariants.  must() stops the process in every build: the engine is
 * built to be killed at any instruction, so stopping is always safe, and going
 * on with a broken invariant never is.  Wrong input is not an invariant: that
 * is an error (err.h).
 */
#ifndef BASE_MUST_H
#define BASE_MUST_H

#include "base/attr.h"

void must_fail(const char *file, int line, const char *what) ATTR_NORETURN;

#define must(condition) ((condition) ? (void)0 : must_fail(__FILE__, __LINE__, #condition))
#define must_not_reach() must_fail(__FILE__, __LINE__, "this line is never reached")

#endif
