# SPDX-License-Identifier: MIT
# One line per plugin: plugins/x.la is built from plugins/x.c.
plugin_LTLIBRARIES += \
	%D%/clm.la \
	%D%/email.la \
	%D%/http.la \
	%D%/llm.la \
	%D%/netsuite.la \
	%D%/pagerduty.la \
	%D%/provision.la \
	%D%/salesforce.la \
	%D%/slack.la
