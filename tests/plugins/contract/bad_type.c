/* SPDX-License-Identifier: MIT */
/* The name of a type of the engine. */
#define SMALL_NAME "rules"
#include "small.h"
