# SPDX-License-Identifier: MIT
# The program: what stands above the law of engine/DEPS, and every folder below it.
bin_PROGRAMS += gangway
gangway_SOURCES = \
	%D%/config.c \
	%D%/config.h \
	%D%/config_find.c \
	%D%/config_int.h \
	%D%/main.c
gangway_LDADD = $(use_cli)
