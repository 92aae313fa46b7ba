# SPDX-License-Identifier: MIT
# Decide, record, act; libuv.
noinst_LIBRARIES += %D%/libgw_run.a
%C%_libgw_run_a_CPPFLAGS = $(AM_CPPFLAGS) $(UV_CFLAGS)
%C%_libgw_run_a_SOURCES = \
	%D%/engine.c \
	%D%/engine.h \
	%D%/ground.h \
	%D%/run_access.c \
	%D%/run_advice.c \
	%D%/run_again.c \
	%D%/run_ask.c \
	%D%/run_assign.c \
	%D%/run_audit.c \
	%D%/run_call.c \
	%D%/run_commit.c \
	%D%/run_commit.h \
	%D%/run_connection.c \
	%D%/run_crumb.c \
	%D%/run_env.c \
	%D%/run_explain.c \
	%D%/run_figures.c \
	%D%/run_file.c \
	%D%/run_heads.c \
	%D%/run_filer.c \
	%D%/run_fire.c \
	%D%/run_int.h \
	%D%/run_intake.c \
	%D%/run_life.c \
	%D%/run_look.c \
	%D%/run_loop.c \
	%D%/run_many.c \
	%D%/run_post.c \
	%D%/run_prompt.c \
	%D%/run_queue.c \
	%D%/run_replay.c \
	%D%/run_request.c \
	%D%/run_schedule.c \
	%D%/run_schedule.h \
	%D%/run_socket.c \
	%D%/run_socket.h \
	%D%/run_step.c \
	%D%/run_task.c \
	%D%/run_token.c \
	%D%/run_trace.c \
	%D%/run_view.c

use_run = %D%/libgw_run.a $(use_report) $(use_plugin) $(use_journal) $(use_release) $(use_wire) $(UV_LIBS)
