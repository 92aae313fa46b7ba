/* SPDX-License-Identifier: MIT */
/* No action at all. */
#define SMALL_ACTIONS              \
	{                          \
		0 ? &action : NULL \
	}
#include "small.h"
