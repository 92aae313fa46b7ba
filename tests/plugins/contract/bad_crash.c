/* SPDX-License-Identifier: MIT */
/* A constructor that crashes. */
#include <signal.h>

#include "small.h"

__attribute__((constructor)) static void crash(void)
{
	(void)signal(SIGABRT, SIG_DFL);
	raise(SIGABRT);
}
