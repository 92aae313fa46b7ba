# SPDX-License-Identifier: MIT
# The pure statechart.
noinst_LIBRARIES += %D%/libgw_machine.a
%C%_libgw_machine_a_SOURCES = \
	%D%/datamodel.h \
	%D%/datamodel_null.c \
	%D%/driver.c \
	%D%/driver.h \
	%D%/effect.c \
	%D%/effect.h \
	%D%/event.c \
	%D%/event.h \
	%D%/http_event.c \
	%D%/http_event.h \
	%D%/machine.h \
	%D%/machine_call.c \
	%D%/machine_content.c \
	%D%/machine_input.c \
	%D%/machine_int.h \
	%D%/machine_invoke.c \
	%D%/machine_payload.c \
	%D%/machine_restore.c \
	%D%/machine_save.c \
	%D%/machine_select.c \
	%D%/machine_send.c \
	%D%/machine_session.c \
	%D%/machine_step.c \
	%D%/scripting.h

use_machine = %D%/libgw_machine.a $(use_chart)
