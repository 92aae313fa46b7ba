# SPDX-License-Identifier: MIT
# The command line.
noinst_LIBRARIES += %D%/libgw_cli.a
%C%_libgw_cli_a_SOURCES = \
	%D%/cli.c \
	%D%/cli.h \
	%D%/cli_access.c \
	%D%/cli_again.c \
	%D%/cli_audit.c \
	%D%/cli_backup.c \
	%D%/cli_commands.h \
	%D%/cli_demo.c \
	%D%/cli_doctor.c \
	%D%/cli_engine.c \
	%D%/cli_exec.c \
	%D%/cli_format.c \
	%D%/cli_graph.c \
	%D%/cli_heads.c \
	%D%/cli_graph.h \
	%D%/cli_int.h \
	%D%/cli_live.c \
	%D%/cli_notify.c \
	%D%/cli_plugin.c \
	%D%/cli_plugin_new.c \
	%D%/cli_print.c \
	%D%/cli_reload.c \
	%D%/cli_rules.c \
	%D%/cli_run.c \
	%D%/cli_schedule.c \
	%D%/cli_serve.c \
	%D%/cli_serve.h \
	%D%/cli_story.c \
	%D%/cli_story.h \
	%D%/cli_story_cover.c \
	%D%/cli_story_match.c \
	%D%/cli_story_paths.c \
	%D%/cli_story_place.c \
	%D%/cli_story_play.c \
	%D%/cli_story_read.c \
	%D%/cli_story_search.h \
	%D%/cli_story_task.c \
	%D%/cli_story_try.c \
	%D%/cli_table.c \
	%D%/cli_task.c \
	%D%/cli_token.c \
	%D%/cli_top.c \
	%D%/cli_world.c

use_cli = %D%/libgw_cli.a $(use_serve) $(use_run) $(use_script) $(use_report)
