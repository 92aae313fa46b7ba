# SPDX-License-Identifier: MIT
# HTTP in; libmicrohttpd.
noinst_LIBRARIES += %D%/libgw_serve.a
%C%_libgw_serve_a_CPPFLAGS = $(AM_CPPFLAGS) $(MICROHTTPD_CFLAGS)
%C%_libgw_serve_a_SOURCES = \
	%D%/serve.c \
	%D%/serve.h \
	%D%/serve_access.c \
	%D%/serve_config.c \
	%D%/serve_conn.c \
	%D%/serve_demo.c \
	%D%/serve_exchange.c \
	%D%/serve_frame.c \
	%D%/serve_http.c \
	%D%/serve_int.h \
	%D%/serve_many.c \
	%D%/serve_metrics.c \
	%D%/serve_oidc.c \
	%D%/serve_openapi.c \
	%D%/serve_proxy.c \
	%D%/serve_role.c \
	%D%/serve_routes.c \
	%D%/serve_runs.c \
	%D%/serve_schedules.c \
	%D%/serve_sign.c \
	%D%/serve_slack.c \
	%D%/serve_soap.c \
	%D%/serve_stream.c \
	%D%/serve_target.c \
	%D%/serve_tls.c \
	%D%/serve_tasks.c \
	%D%/serve_token.c \
	%D%/serve_versions.c \
	%D%/serve_webhook.c \
	%D%/serve_xml.c

use_serve = %D%/libgw_serve.a $(use_run) $(MICROHTTPD_LIBS)
