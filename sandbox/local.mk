# SPDX-License-Identifier: MIT
# The offline stand-in for the outside systems: an executable of its own; libmicrohttpd.
bin_PROGRAMS += gangway-sandbox
noinst_LIBRARIES += %D%/libgw_sandbox.a
EXTRA_DIST += %D%/scenarios
gangway_sandbox_SOURCES = %D%/sandbox_main.c
gangway_sandbox_LDADD = $(use_sandbox)
%C%_libgw_sandbox_a_CPPFLAGS = $(AM_CPPFLAGS) $(MICROHTTPD_CFLAGS) $(SSL_CFLAGS)
%C%_libgw_sandbox_a_SOURCES = \
	%D%/sandbox.h \
	%D%/sandbox_clm.c \
	%D%/sandbox_clm.h \
	%D%/sandbox_clm_create.c \
	%D%/sandbox_clm_document.c \
	%D%/sandbox_clm_envelope.c \
	%D%/sandbox_control.c \
	%D%/sandbox_fault.c \
	%D%/sandbox_http.c \
	%D%/sandbox_llm.c \
	%D%/sandbox_llm.h \
	%D%/sandbox_llm_anthropic.c \
	%D%/sandbox_llm_answer.c \
	%D%/sandbox_llm_bedrock.c \
	%D%/sandbox_llm_responses.c \
	%D%/sandbox_llm_sigv4.c \
	%D%/sandbox_log.c \
	%D%/sandbox_mime.c \
	%D%/sandbox_mime.h \
	%D%/sandbox_netsuite.c \
	%D%/sandbox_netsuite.h \
	%D%/sandbox_netsuite_query.c \
	%D%/sandbox_netsuite_record.c \
	%D%/sandbox_provision.c \
	%D%/sandbox_reply.c \
	%D%/sandbox_salesforce.c \
	%D%/sandbox_salesforce.h \
	%D%/sandbox_salesforce_collection.c \
	%D%/sandbox_salesforce_composite.c \
	%D%/sandbox_salesforce_data.c \
	%D%/sandbox_salesforce_find.c \
	%D%/sandbox_salesforce_query.c \
	%D%/sandbox_salesforce_record.c \
	%D%/sandbox_scenario.c \
	%D%/sandbox_select.c \
	%D%/sandbox_slack.c \
	%D%/sandbox_slack.h \
	%D%/sandbox_slack_more.c \
	%D%/sandbox_smtp.c \
	%D%/sandbox_soql.c \
	%D%/sandbox_soql.h \
	%D%/sandbox_state.c \
	%D%/sandbox_tls.c \
	%D%/sandbox_url.c

use_sandbox = %D%/libgw_sandbox.a $(MICROHTTPD_LIBS) $(SSL_LIBS) $(use_base)
