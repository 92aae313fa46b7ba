/* SPDX-License-Identifier: MIT */
/* The rows of the command table, each defined where it is carried out. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/cli_int.h"

extern const struct command command_run_start, command_run_list, command_run_show,
	command_run_events, command_run_cancel, command_run_signal, command_run_replay,
	command_run_repin, command_run_explain, command_run_resume, command_run_retry,
	command_run_fork, command_run_batch, command_run_bulk;
extern const struct command command_task_list, command_task_approve, command_task_reject,
	command_task_done, command_task_show, command_task_assign;
extern const struct command command_graph_check, command_graph_exec, command_graph_test,
	command_graph_dot, command_graph_fmt, command_graph_mermaid;
extern const struct command command_rules_check, command_rules_test;
extern const struct command command_plugin_list, command_plugin_describe, command_plugin_check,
	command_plugin_new;
extern const struct command command_audit_show, command_audit_access, command_audit_verify,
	command_audit_key;
extern const struct command command_token_new, command_token_list, command_token_revoke;
extern const struct command command_schedule_add, command_schedule_list, command_schedule_show,
	command_schedule_pause, command_schedule_resume, command_schedule_remove,
	command_schedule_trigger, command_schedule_backfill;
extern const struct command command_demo, command_doctor, command_serve, command_version;
extern const struct command command_reload, command_log, command_backup, command_restore,
	command_top;

#endif
