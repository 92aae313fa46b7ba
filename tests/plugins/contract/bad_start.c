/* SPDX-License-Identifier: MIT */
/* An action without start. */
#define SMALL_START (0 ? start : NULL)
#include "small.h"
