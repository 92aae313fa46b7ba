/* SPDX-License-Identifier: MIT */
/* Chance as a parameter: a source of 64-bit numbers, real or seeded. */
#ifndef BASE_RAND_H
#define BASE_RAND_H

#include <stdint.h>

struct rand {
	void *ctx; /* NULL: the operating system's */
	uint64_t (*next)(void *ctx);
};

struct rand rand_system(void);
/* splitmix64 over the caller's *state: the same seed gives the same numbers for ever. */
struct rand rand_seeded(uint64_t *state);
uint64_t rand_next(const struct rand *rand);
uint64_t rand_below(const struct rand *rand, uint64_t limit); /* 0 .. limit-1; limit > 0 */

#endif
