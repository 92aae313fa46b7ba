/* SPDX-License-Identifier: MIT */
/* An effect that is none. */
#define SMALL_EFFECT 9
#include "small.h"
