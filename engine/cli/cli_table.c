/* SPDX-License-Identifier: MIT */
/* All commands, in the order in which help shows them. */
#include <stddef.h>

#include "cli/cli_commands.h"

const struct command *const cli_commands[] = {
	&command_demo,         &command_run_start,
	&command_run_list,     &command_run_show,
	&command_run_events,   &command_run_cancel,
	&command_run_signal,   &command_run_repin,
	&command_run_replay,   &command_run_explain,
	&command_run_resume,   &command_run_retry,
	&command_run_fork,     &command_run_batch,
	&command_run_bulk,     &command_task_list,
	&command_task_show,    &command_task_assign,
	&command_task_approve, &command_task_reject,
	&command_task_done,    &command_graph_check,
	&command_graph_test,   &command_graph_exec,
	&command_graph_dot,    &command_graph_mermaid,
	&command_rules_check,  &command_rules_test,
	&command_plugin_list,  &command_plugin_describe,
	&command_plugin_check, &command_token_new,
	&command_token_list,   &command_token_revoke,
	&command_audit_show,   &command_audit_verify,
	&command_doctor,       &command_serve,
	&command_version,      NULL,
};
