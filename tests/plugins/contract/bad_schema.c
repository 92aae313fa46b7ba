/* SPDX-License-Identifier: MIT */
/* A schema that is no JSON. */
#define SMALL_PARAMS "{\"type\":"
#include "small.h"
