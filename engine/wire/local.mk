# SPDX-License-Identifier: MIT
# HTTP and mail out; libcurl.
noinst_LIBRARIES += %D%/libgw_wire.a
%C%_libgw_wire_a_CPPFLAGS = $(AM_CPPFLAGS) $(CURL_CFLAGS)
%C%_libgw_wire_a_SOURCES = \
	%D%/wire.c \
	%D%/wire.h \
	%D%/wire_address.c \
	%D%/wire_auth.c \
	%D%/wire_auth_secret.c \
	%D%/wire_break.c \
	%D%/wire_connection.c \
	%D%/wire_curl.c \
	%D%/wire_curl_int.h \
	%D%/wire_far.c \
	%D%/wire_header.c \
	%D%/wire_int.h \
	%D%/wire_jwt.c \
	%D%/wire_limit.c \
	%D%/wire_mail.c \
	%D%/wire_mail_text.c \
	%D%/wire_oauth1.c \
	%D%/wire_query.c \
	%D%/wire_request.c \
	%D%/wire_retry.c \
	%D%/wire_secret.c \
	%D%/wire_signed.c \
	%D%/wire_sigv4.c \
	%D%/wire_smtp.c \
	%D%/wire_tape.c \
	%D%/wire_token.c \
	%D%/wire_trace.c \
	%D%/wire_transfer.c \
	%D%/wire_url.c

use_wire = %D%/libgw_wire.a $(CURL_LIBS) $(use_base)
