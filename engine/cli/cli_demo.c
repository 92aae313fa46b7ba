/* SPDX-License-Identifier: MIT */
/* placeholder */
#include "cli/cli_commands.h"
static int demo(struct cli *cli) { (void)cli; return 0; }
static const char *const no_options[] = { NULL };
const struct command command_demo = { "demo", NULL, "", 0, 0, no_options, "see it work", NULL, "gangway demo", demo };
