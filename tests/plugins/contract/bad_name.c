/* SPDX-License-Identifier: MIT */
/* A name that no graph could write. */
#define SMALL_NAME "Bad-Name"
#include "small.h"
