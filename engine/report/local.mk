# SPDX-License-Identifier: MIT
# What operators see.
noinst_LIBRARIES += %D%/libgw_report.a
%C%_libgw_report_a_SOURCES = \
	%D%/report.h \
	%D%/report_log.c \
	%D%/report_metrics.c \
	%D%/report_metrics.h \
	%D%/report_process.c

use_report = %D%/libgw_report.a $(use_base)
