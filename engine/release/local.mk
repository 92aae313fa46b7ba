# SPDX-License-Identifier: MIT
# Versions and pins.
noinst_LIBRARIES += %D%/libgw_release.a
%C%_libgw_release_a_SOURCES = \
	%D%/release.c \
	%D%/release.h \
	%D%/release_current.c \
	%D%/release_folder.c \
	%D%/release_int.h \
	%D%/release_mask.c \
	%D%/release_mask.h \
	%D%/release_prompt.c \
	%D%/release_prompt.h \
	%D%/release_shape.c \
	%D%/release_shape.h \
	%D%/release_watch.c

use_release = %D%/libgw_release.a $(use_chart) $(use_store)
