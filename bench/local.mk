# SPDX-License-Identifier: MIT
# Measurements; built when asked for: make bench/engine_bench
EXTRA_PROGRAMS += \
	%D%/engine_bench
%C%_engine_bench_LDADD = $(use_cli)
EXTRA_DIST += bench
