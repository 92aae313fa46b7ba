# SPDX-License-Identifier: MIT
# Bytes kept; SQLite.
noinst_LIBRARIES += %D%/libgw_store.a
%C%_libgw_store_a_CPPFLAGS = $(AM_CPPFLAGS) $(SQLITE_CFLAGS)
%C%_libgw_store_a_SOURCES = \
	%D%/store.h \
	%D%/store_memory.c \
	%D%/store_sqlite.c \
	%D%/store_sqlite_backup.c \
	%D%/store_sqlite_int.h \
	%D%/store_sqlite_read.c \
	%D%/store_sqlite_schema.h \
	%D%/store_sqlite_vfs.c

use_store = %D%/libgw_store.a $(SQLITE_LIBS) $(use_base)
