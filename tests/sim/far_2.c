/* SPDX-License-Identifier: MIT */
/* Another build: other paths, other bodies. */
#define FAR_BUILD "2"
#include "far.h"
