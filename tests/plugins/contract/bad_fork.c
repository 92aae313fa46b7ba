/* SPDX-License-Identifier: MIT */
/* A constructor that starts a process. */
#include <unistd.h>

#include "small.h"

__attribute__((constructor)) static void multiply(void)
{
	if (fork() == 0)
		_exit(0);
}
