/* SPDX-License-Identifier: MIT */
/* A descriptor that does not say its size. */
#define SMALL_SIZE 0
#include "small.h"
