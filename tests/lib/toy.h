/* SPDX-License-Identifier: MIT */
/*
 * A toy data model: four numbers v0 .. v3.  Guards are "true", "false",
 * "In(id)", "not In(id)", "v0 < 3"; an assignment sets "v1" to "v1 + 1" or to a
 * number; everything else is an error.  The naive interpreter of reference.h
 * uses the same functions, so that the two differ in nothing but the algorithm.
 */
#ifndef TESTS_TOY_H
#define TESTS_TOY_H

#include "machine/datamodel.h"

enum { TOY_NUMBERS = 4 };

struct toy {
	int64_t numbers[TOY_NUMBERS];
	bool (*in)(void *ctx, const char *state_id);
	void *ctx;
};

/* 0 or -1: an error of the expression. */
int toy_guard(const struct toy *toy, const char *text, bool *ret);
int toy_assign(struct toy *toy, const char *location, const char *text);

extern const struct datamodel_ops toy_datamodel_ops;

#endif
