# SPDX-License-Identifier: MIT
# Measurements; built when asked for: make bench (docs/performance.md)
check_PROGRAMS += \
	%D%/engine_bench
EXTRA_PROGRAMS += \
	%D%/floor \
	%D%/load \
	%D%/machine/machine_bench \
	%D%/webhook_bare \
	%D%/webhook_load \
	%D%/wire_bench
%C%_engine_bench_LDADD = $(use_cli)
%C%_floor_LDADD = $(CURL_LIBS) $(SQLITE_LIBS)
%C%_load_LDADD =
%C%_machine_machine_bench_LDADD = $(use_script)
%C%_webhook_bare_CPPFLAGS = $(AM_CPPFLAGS) $(MICROHTTPD_CFLAGS) $(SQLITE_CFLAGS)
%C%_webhook_bare_LDADD = $(MICROHTTPD_LIBS) $(SQLITE_LIBS)
%C%_webhook_load_LDADD =
%C%_wire_bench_LDADD = $(use_cli)
# Not the folder itself: its name is a target too.
EXTRA_DIST += $(wildcard $(srcdir)/bench/*)

# Everything that is installed here, in one run: a table, a picture.  BENCH_FLAGS='--help' tells more.
bench: %D%/engine_bench %D%/floor %D%/load %D%/wire_bench gangway $(plugin_LTLIBRARIES)
	python3 $(srcdir)/bench/bench.py --build . $(BENCH_FLAGS)
.PHONY: bench
