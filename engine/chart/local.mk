# SPDX-License-Identifier: MIT
# SCXML to tables; libxml2.
dist_pkgdata_DATA += %D%/gangway-scxml.rng
noinst_LIBRARIES += %D%/libgw_chart.a
%C%_libgw_chart_a_CPPFLAGS = $(AM_CPPFLAGS) $(LIBXML_CFLAGS)
%C%_libgw_chart_a_SOURCES = \
	%D%/chart.c \
	%D%/chart.h \
	%D%/chart_build.c \
	%D%/chart_check.c \
	%D%/chart_check_calls.c \
	%D%/chart_check_code.c \
	%D%/chart_check_cycle.c \
	%D%/chart_check_flow.c \
	%D%/chart_check_params.c \
	%D%/chart_content.c \
	%D%/chart_diag.c \
	%D%/chart_dispatch.c \
	%D%/chart_dot.c \
	%D%/chart_dump.c \
	%D%/chart_format.c \
	%D%/chart_guard.c \
	%D%/chart_int.h \
	%D%/chart_label.c \
	%D%/chart_mermaid.c \
	%D%/chart_read.c \
	%D%/chart_rules.c \
	%D%/chart_tree.c \
	%D%/chart_walk.c

use_chart = %D%/libgw_chart.a $(LIBXML_LIBS) $(use_base)
