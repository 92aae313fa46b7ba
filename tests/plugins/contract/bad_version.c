/* SPDX-License-Identifier: MIT */
/* No version. */
#define SMALL_VERSION ""
#include "small.h"
