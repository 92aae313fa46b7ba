# SPDX-License-Identifier: MIT
# Fuzz targets: x is fuzz_x.c, which has LLVMFuzzerTestOneInput().  A build with sanitizers by a clang that has
# libFuzzer links it; every other build links fuzz_main.c, which plays the seeds and some mutations of them.
EXTRA_DIST += %D%/README.md %D%/floors %D%/run.sh %D%/seeds %D%/words

fuzz_programs = \
	%D%/fuzz_graph \
	%D%/fuzz_json \
	%D%/fuzz_record \
	%D%/fuzz_rule \
	%D%/fuzz_url

%C%_fuzz_graph_LDADD = $(use_fuzz) $(use_script)
%C%_fuzz_json_LDADD = $(use_fuzz) $(use_base)
%C%_fuzz_record_LDADD = $(use_fuzz) $(use_journal)
%C%_fuzz_rule_LDADD = $(use_fuzz) $(use_script)
%C%_fuzz_url_CPPFLAGS = $(AM_CPPFLAGS) $(CURL_CFLAGS)
%C%_fuzz_url_LDADD = $(use_fuzz) $(use_wire)

check_PROGRAMS += $(fuzz_programs)
check_LIBRARIES += %D%/libfuzz.a
%C%_libfuzz_a_SOURCES = %D%/fuzz_main.c
if FUZZER
tests/fuzz/fuzz_%: AM_LDFLAGS += -fsanitize=fuzzer
else
use_fuzz = %D%/libfuzz.a
endif
