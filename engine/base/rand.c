/* SPDX-License-Identifier: MIT */
#include "base/rand.h"

#include <stddef.h>

#include "base/crypto.h"
#include "base/must.h"

static uint64_t system_next(void *ctx)
{
	(void)ctx;
	uint64_t ret;
	crypto_random(&ret, sizeof(ret));
	return ret;
}

static uint64_t seeded_next(void *ctx)
{
	uint64_t *state = ctx;
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

struct rand rand_system(void)
{
	return (struct rand){ NULL, system_next };
}

struct rand rand_seeded(uint64_t *state)
{
	return (struct rand){ state, seeded_next };
}

uint64_t rand_next(const struct rand *rand)
{
	return rand->next(rand->ctx);
}

uint64_t rand_below(const struct rand *rand, uint64_t limit)
{
	must(limit > 0);
	return rand_next(rand) % limit;
}
