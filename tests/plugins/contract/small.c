/* SPDX-License-Identifier: MIT */
/* Nothing is wrong with this one. */
#include "small.h"
