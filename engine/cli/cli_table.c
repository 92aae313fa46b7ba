/* SPDX-License-Identifier: MIT */
/* All commands, in the order in which help shows them. */
#include <stddef.h>

#include "cli/cli_commands.h"

const struct command *const cli_commands[] = {
	&command_run_start,  &command_run_list,   &command_run_show,  &command_run_events,
	&command_run_cancel, &command_run_signal, &command_run_repin, &command_run_replay,
	&command_serve,      &command_version,    NULL,
};
