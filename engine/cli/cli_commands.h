/* SPDX-License-Identifier: MIT */
/* The rows of the command table, each defined where it is carried out. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/cli_int.h"

extern const struct command command_run_start, command_run_list, command_run_show, command_run_events,
	command_run_cancel, command_run_signal, command_run_replay, command_run_repin;
extern const struct command command_serve, command_version;

#endif
