# SPDX-License-Identifier: MIT
# Plugins and their calls; dlopen.  A test may put another wire below it.
noinst_LIBRARIES += %D%/libgw_plugin.a
%C%_libgw_plugin_a_SOURCES = \
	%D%/plugin.h \
	%D%/plugin_call.c \
	%D%/plugin_describe.c \
	%D%/plugin_failure.c \
	%D%/plugin_host.c \
	%D%/plugin_int.h \
	%D%/plugin_json.c \
	%D%/plugin_load.c \
	%D%/plugin_request.c

use_plugin = %D%/libgw_plugin.a $(use_schema) -ldl
