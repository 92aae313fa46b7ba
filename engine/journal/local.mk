# SPDX-License-Identifier: MIT
# What a record is.
noinst_LIBRARIES += %D%/libgw_journal.a
%C%_libgw_journal_a_SOURCES = \
	%D%/journal.h \
	%D%/journal_record.c

use_journal = %D%/libgw_journal.a $(use_machine) $(use_store)
