/* SPDX-License-Identifier: MIT */
/* The build that most lives have. */
#include "far.h"
