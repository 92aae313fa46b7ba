/* SPDX-License-Identifier: MIT */
/* Two actions of one name. */
#define SMALL_ACTIONS                  \
	{                              \
		&action, &action, NULL \
	}
#include "small.h"
