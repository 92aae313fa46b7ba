/* SPDX-License-Identifier: MIT */
/* Legal charts by chance, in the language of toy.h: nesting, parallels, histories, finals. */
#ifndef TESTS_CHART_GEN_H
#define TESTS_CHART_GEN_H

#include <stdint.h>

#include "base/buf.h"
#include "base/rand.h"

/* SCXML text; the same seed gives the same text for ever. */
void chart_gen(uint64_t seed, struct buf *out);
/* A name for an event that such a chart may listen to. */
const char *chart_gen_event(const struct rand *rand);

#endif
