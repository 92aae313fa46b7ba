/* SPDX-License-Identifier: MIT */
/* The name is taken by small.c already. */
#define SMALL_VERSION "2.0"
#include "small.h"
