# SPDX-License-Identifier: MIT
# Measurements; built when asked for: make bench/engine_bench
EXTRA_PROGRAMS += \
	%D%/engine_bench \
	%D%/machine/machine_bench
%C%_engine_bench_LDADD = $(use_cli)
%C%_machine_machine_bench_LDADD = $(use_script)
EXTRA_DIST += bench
