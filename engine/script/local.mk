# SPDX-License-Identifier: MIT
# Lua in a box.
noinst_LIBRARIES += %D%/libgw_script.a
%C%_libgw_script_a_CPPFLAGS = $(AM_CPPFLAGS) $(LUA_CFLAGS)
%C%_libgw_script_a_SOURCES = \
	%D%/script.h \
	%D%/script_base.c \
	%D%/script_box.c \
	%D%/script_chart.c \
	%D%/script_config.c \
	%D%/script_datamodel.c \
	%D%/script_eval.c \
	%D%/script_foreach.c \
	%D%/script_format.c \
	%D%/script_helpers.c \
	%D%/script_int.h \
	%D%/script_match.c \
	%D%/script_math.c \
	%D%/script_ops.c \
	%D%/script_out.c \
	%D%/script_rule.c \
	%D%/script_rule_cache.c \
	%D%/script_rule_check.c \
	%D%/script_rule_int.h \
	%D%/script_ruleset.c \
	%D%/script_save.c \
	%D%/script_scan.c \
	%D%/script_scan_int.h \
	%D%/script_string.c \
	%D%/script_table.c \
	%D%/script_template.c \
	%D%/script_template_int.h \
	%D%/script_template_read.c \
	%D%/script_token.c \
	%D%/script_value.c

use_script = %D%/libgw_script.a $(LUA_LIBS) $(use_machine)
