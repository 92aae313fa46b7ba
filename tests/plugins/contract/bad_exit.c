/* SPDX-License-Identifier: MIT */
/* A constructor that ends the process. */
#include <stdlib.h>

#include "small.h"

__attribute__((constructor)) static void leave(void)
{
	exit(3);
}
