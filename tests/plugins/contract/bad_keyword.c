/* SPDX-License-Identifier: MIT */
/* A schema that is JSON but no schema. */
#define SMALL_PARAMS "{\"type\":\"word\"}"
#include "small.h"
