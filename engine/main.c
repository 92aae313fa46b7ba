/* SPDX-License-Identifier: MIT */
/* Sets the process up and hands over to the command line. */
#include <signal.h>

#include "base/mem.h"
#include "cli/cli.h"

int main(int argc, char **argv)
{
	mem_install();
	signal(SIGPIPE, SIG_IGN); /* a reader that left is an error of write, not a death */
	return cli_main(argc, argv);
}
