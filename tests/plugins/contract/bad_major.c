/* SPDX-License-Identifier: MIT */
/* Built for another major of the interface. */
#define SMALL_MAJOR 2
#include "small.h"
