# SPDX-License-Identifier: MIT
# JSON Schema; PCRE2.
noinst_LIBRARIES += %D%/libgw_schema.a
%C%_libgw_schema_a_CPPFLAGS = $(AM_CPPFLAGS) $(PCRE2_CFLAGS)
%C%_libgw_schema_a_SOURCES = \
	%D%/schema.h \
	%D%/schema_apply.c \
	%D%/schema_check.c \
	%D%/schema_compile.c \
	%D%/schema_ecma.c \
	%D%/schema_explain.c \
	%D%/schema_index.c \
	%D%/schema_int.h \
	%D%/schema_keywords.c \
	%D%/schema_meta.c \
	%D%/schema_pattern.c \
	%D%/schema_uri.c \
	%D%/schema_value.c

use_schema = %D%/libgw_schema.a $(PCRE2_LIBS) $(use_base)
