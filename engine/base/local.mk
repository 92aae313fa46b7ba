# SPDX-License-Identifier: MIT
# Words that every folder speaks; jansson and libcrypto.
noinst_LIBRARIES += %D%/libgw_base.a
%C%_libgw_base_a_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS) $(CRYPTO_CFLAGS)
%C%_libgw_base_a_SOURCES = \
	%D%/arena.c \
	%D%/arena.h \
	%D%/attr.h \
	%D%/bits.h \
	%D%/buf.c \
	%D%/buf.h \
	%D%/clock.c \
	%D%/clock.h \
	%D%/crypto.c \
	%D%/crypto.h \
	%D%/crypto_jwk.c \
	%D%/crypto_key.c \
	%D%/err.c \
	%D%/err.h \
	%D%/json.c \
	%D%/json.h \
	%D%/json_canon.c \
	%D%/json_int.h \
	%D%/json_quick.c \
	%D%/json_read.c \
	%D%/limits.h \
	%D%/loop.h \
	%D%/map.c \
	%D%/map.h \
	%D%/mem.c \
	%D%/mem.h \
	%D%/must.c \
	%D%/must.h \
	%D%/rand.c \
	%D%/rand.h \
	%D%/str.c \
	%D%/str.h \
	%D%/vec.c \
	%D%/vec.h \
	%D%/zone.c \
	%D%/zone.h

use_base = %D%/libgw_base.a $(JANSSON_LIBS) $(CRYPTO_LIBS) -lm
