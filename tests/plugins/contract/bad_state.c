/* SPDX-License-Identifier: MIT */
/* More state than a call may have. */
#define SMALL_STATE ((size_t)1 << 40)
#include "small.h"
