# SPDX-License-Identifier: MIT
# Tests.  A program x is built from x.c and prints TAP; x_LDADD says what it may use.
# `make check` builds and runs all of them; tests/README.md tells more.
EXTRA_DIST += %D%/README.md %D%/run-tests %D%/abi %D%/audit %D%/cases %D%/cli %D%/crash %D%/graph %D%/hostile %D%/house %D%/io %D%/operate %D%/plugins %D%/sandbox %D%/serve %D%/sim/README.md %D%/w3c
EXTRA_DIST += %D%/planted %D%/memory

# The absolute place of the sources, where tests find their data.
tests/%.$(OBJEXT): AM_CPPFLAGS += -I$(top_srcdir)/tests/lib -DSRCDIR='"$(abs_top_srcdir)"'

# --- what tests share -----------------------------------------------------------------------
check_LIBRARIES += %D%/lib/libtest.a %D%/lib/libtest_plugin.a
%C%_lib_libtest_a_SOURCES = \
	%D%/lib/chart_gen.c \
	%D%/lib/chart_gen.h \
	%D%/lib/check.c \
	%D%/lib/check.h \
	%D%/lib/engine_rig.c \
	%D%/lib/engine_rig.h \
	%D%/lib/loop_poll.c \
	%D%/lib/loop_poll.h \
	%D%/lib/plugin_dir.c \
	%D%/lib/plugin_dir.h \
	%D%/lib/reference.c \
	%D%/lib/reference.h \
	%D%/lib/rig.c \
	%D%/lib/rig.h \
	%D%/lib/server_poll.c \
	%D%/lib/server_poll.h \
	%D%/lib/test_keys.h \
	%D%/lib/toy.c \
	%D%/lib/toy.h

# A wire that goes nowhere takes the place of the real one: never link both.
%C%_lib_libtest_plugin_a_SOURCES = \
	%D%/lib/fake_wire.c \
	%D%/lib/fake_wire.h \
	%D%/lib/plugin_case.c \
	%D%/lib/plugin_case.h

use_test = %D%/lib/libtest.a
use_test_plugin = %D%/lib/libtest_plugin.a $(use_test) $(use_plugin)

# --- programs -------------------------------------------------------------------------------
check_PROGRAMS += \
	%D%/audit/test_mutations \
	%D%/sim/sim \
	%D%/unit/test_base \
	%D%/unit/test_base_json \
	%D%/unit/test_chart \
	%D%/unit/test_chart_api \
	%D%/unit/test_chart_lua \
	%D%/unit/test_chart_rng \
	%D%/unit/test_driver \
	%D%/unit/test_figures \
	%D%/unit/test_journal \
	%D%/unit/test_machine \
	%D%/unit/test_machine_call \
	%D%/unit/test_metrics \
	%D%/unit/test_plugin \
	%D%/unit/test_plugin_call \
	%D%/unit/test_plugin_contract \
	%D%/unit/test_plugin_guide \
	%D%/unit/test_prompt \
	%D%/unit/test_reference \
	%D%/unit/test_release \
	%D%/unit/test_run \
	%D%/unit/test_run_call \
	%D%/unit/test_run_post \
	%D%/unit/test_run_again \
	%D%/unit/test_run_schedule \
	%D%/unit/test_run_task \
	%D%/unit/test_schema \
	%D%/unit/test_schema_limits \
	%D%/unit/test_script \
	%D%/unit/test_script_box \
	%D%/unit/test_script_guide \
	%D%/unit/test_script_rules \
	%D%/unit/test_script_templates \
	%D%/unit/test_store \
	%D%/unit/test_zone \
	%D%/unit/test_wire \
	%D%/unit/test_wire_auth \
	%D%/unit/test_wire_connection \
	%D%/unit/test_wire_mail \
	%D%/unit/test_wire_retry \
	%D%/unit/test_wire_shared \
	%D%/crash/crash \
	%D%/plugins/test_cases \
	%D%/serve/test_access \
	%D%/serve/test_api \
	%D%/serve/test_doors \
	%D%/serve/test_frame \
	%D%/serve/test_oidc \
	%D%/serve/test_openapi \
	%D%/serve/test_rows \
	%D%/serve/test_runs \
	%D%/serve/test_sign \
	%D%/serve/test_stream \
	%D%/serve/test_webhook \
	%D%/sandbox/test_sandbox \
	%D%/w3c/w3c

%C%_audit_test_mutations_CPPFLAGS = $(AM_CPPFLAGS) $(UV_CFLAGS)
%C%_audit_test_mutations_LDADD = $(use_test) $(use_run) $(use_script)
%C%_unit_test_base_LDADD = $(use_test) $(use_base)
%C%_unit_test_zone_LDADD = $(use_test) $(use_base)
%C%_unit_test_base_json_LDADD = $(use_test) $(use_base)
%C%_unit_test_chart_LDADD = $(use_test) $(use_chart)
%C%_unit_test_chart_api_LDADD = $(use_test) $(use_chart)
%C%_unit_test_chart_lua_LDADD = $(use_test) $(use_script)
%C%_unit_test_chart_rng_CPPFLAGS = $(AM_CPPFLAGS) $(LIBXML_CFLAGS)
%C%_unit_test_chart_rng_LDADD = $(use_test) $(use_chart)
%C%_unit_test_driver_LDADD = $(use_test) $(use_script)
%C%_unit_test_figures_LDADD = $(use_test) $(use_run) $(use_script)
%C%_unit_test_journal_LDADD = $(use_test) $(use_journal)
%C%_unit_test_machine_LDADD = $(use_test) $(use_script)
%C%_unit_test_machine_call_LDADD = $(use_test) $(use_script)
%C%_unit_test_metrics_LDADD = $(use_test) $(use_report)
%C%_unit_test_plugin_LDADD = $(use_test_plugin)
%C%_unit_test_plugin_call_LDADD = $(use_test_plugin)
%C%_unit_test_plugin_contract_LDADD = $(use_test_plugin)
%C%_unit_test_plugin_guide_LDADD = $(use_test)
%C%_unit_test_prompt_LDADD = $(use_test) $(use_release) $(use_chart)
%C%_unit_test_reference_LDADD = $(use_test) $(use_machine)
%C%_unit_test_release_LDADD = $(use_test) $(use_release) $(use_chart)
%C%_unit_test_run_LDADD = $(use_test) $(use_run) $(use_script)
%C%_unit_test_run_call_LDADD = $(use_test) $(use_run) $(use_script)
%C%_unit_test_run_post_LDADD = $(use_test) $(use_run) $(use_script)
%C%_unit_test_run_again_LDADD = $(use_test) $(use_run) $(use_script)
%C%_unit_test_run_schedule_LDADD = $(use_test) $(use_run) $(use_script)
%C%_unit_test_run_task_LDADD = $(use_test) $(use_run) $(use_script)
%C%_unit_test_schema_LDADD = $(use_test) $(use_schema)
%C%_unit_test_schema_limits_LDADD = $(use_test) $(use_schema)
%C%_unit_test_script_LDADD = $(use_test) $(use_script)
%C%_unit_test_script_box_LDADD = $(use_test) $(use_script)
%C%_unit_test_script_guide_LDADD = $(use_test) $(use_script)
%C%_unit_test_script_rules_LDADD = $(use_test) $(use_script)
%C%_unit_test_script_templates_LDADD = $(use_test) $(use_script)
%C%_unit_test_store_CPPFLAGS = $(AM_CPPFLAGS) $(SQLITE_CFLAGS)
%C%_unit_test_store_LDADD = $(use_test) $(use_store)
%C%_unit_test_wire_LDADD = $(use_test) $(use_wire)
%C%_unit_test_wire_auth_LDADD = $(use_test) $(use_wire)
%C%_unit_test_wire_connection_LDADD = $(use_test) $(use_wire)
%C%_unit_test_wire_mail_LDADD = $(use_test) $(use_wire)
%C%_unit_test_wire_retry_LDADD = $(use_test) $(use_wire)
%C%_unit_test_wire_shared_LDADD = $(use_test) $(use_wire)
%C%_crash_shim_la_SOURCES = %D%/crash/shim.c %D%/crash/shim.h %D%/crash/shim_disk.c
# What they stand before must not be inline.
%C%_crash_shim_la_CFLAGS = $(plain_CFLAGS) -U_FORTIFY_SOURCE
%C%_io_shim_la_CFLAGS = $(plain_CFLAGS) -U_FORTIFY_SOURCE
%C%_crash_crash_SOURCES = \
	engine/config.c \
	engine/config_find.c \
	%D%/crash/crash.c \
	%D%/crash/crash.h \
	%D%/crash/crash_check.c \
	%D%/crash/crash_scenarios.c \
	%D%/crash/crash_scenarios_more.c \
	%D%/crash/inside.c \
	%D%/crash/inside.h \
	%D%/crash/scenario_parts.c \
	%D%/crash/world.c \
	%D%/crash/world.h \
	%D%/crash/world_run.c
%C%_crash_crash_CPPFLAGS = $(AM_CPPFLAGS) $(SQLITE_CFLAGS)
%C%_crash_crash_LDADD = $(use_test) $(use_cli)
%C%_sim_sim_SOURCES = \
	%D%/sim/sim.c \
	%D%/sim/sim.h \
	%D%/sim/sim_check.c \
	%D%/sim/sim_disk.c \
	%D%/sim/sim_far.c \
	%D%/sim/sim_graph.c \
	%D%/sim/sim_people.c \
	%D%/sim/sim_time.c \
	%D%/sim/sim_world.c
%C%_sim_sim_LDADD = $(use_test) $(use_run) $(use_script)
%C%_plugins_test_cases_LDADD = $(use_test_plugin)
%C%_sandbox_test_sandbox_LDADD = $(use_test) $(use_sandbox)
%C%_serve_test_access_SOURCES = %D%/serve/test_access.c %D%/serve/served.c %D%/serve/served.h
%C%_serve_test_access_LDADD = $(use_test) $(use_serve) $(use_script)
%C%_serve_test_api_SOURCES = %D%/serve/test_api.c %D%/serve/served.c %D%/serve/served.h
%C%_serve_test_api_LDADD = $(use_test) $(use_serve) $(use_script)
%C%_serve_test_frame_SOURCES = %D%/serve/test_frame.c %D%/serve/served.c %D%/serve/served.h
%C%_serve_test_frame_LDADD = $(use_test) $(use_serve) $(use_script)
%C%_serve_test_oidc_SOURCES = %D%/serve/test_oidc.c %D%/serve/served.c %D%/serve/served.h
%C%_serve_test_oidc_LDADD = $(use_test) $(use_serve) $(use_script)
%C%_serve_test_openapi_SOURCES = %D%/serve/test_openapi.c %D%/serve/served.c %D%/serve/served.h
%C%_serve_test_openapi_LDADD = $(use_test) $(use_serve) $(use_script)
%C%_serve_test_rows_SOURCES = %D%/serve/test_rows.c %D%/serve/served.c %D%/serve/served.h
%C%_serve_test_rows_LDADD = $(use_test) $(use_serve) $(use_script)
%C%_serve_test_runs_SOURCES = %D%/serve/test_runs.c %D%/serve/served.c %D%/serve/served.h
%C%_serve_test_runs_LDADD = $(use_test) $(use_serve) $(use_script)
%C%_serve_test_doors_SOURCES = %D%/serve/test_doors.c %D%/serve/served.c %D%/serve/served.h
%C%_serve_test_doors_LDADD = $(use_test) $(use_serve) $(use_script)
%C%_serve_test_stream_SOURCES = %D%/serve/test_stream.c %D%/serve/served.c %D%/serve/served.h
%C%_serve_test_stream_LDADD = $(use_test) $(use_serve) $(use_script)
%C%_serve_test_webhook_SOURCES = %D%/serve/test_webhook.c %D%/serve/served.c %D%/serve/served.h
%C%_serve_test_webhook_LDADD = $(use_test) $(use_serve) $(use_script)
%C%_serve_test_sign_LDADD = $(use_test) $(use_serve) $(use_script)
%C%_w3c_w3c_LDADD = $(use_test) $(use_script)

# Its allocator stands where a sanitizer's would.
if PLAIN
check_PROGRAMS += %D%/memory/test_memory
endif
%C%_memory_test_memory_SOURCES = \
	engine/config.c \
	engine/config_find.c \
	%D%/memory/test_memory.c
%C%_memory_test_memory_LDADD = $(use_test) $(use_cli)

# --- plugins that only tests load -----------------------------------------------------------
EXTRA_DIST += \
	%D%/plugins/contract/small.h \
	%D%/sim/far.h \
	%D%/unit/chart_world.h \
	%D%/unit/plugin_stage.h \
	%D%/unit/schema_text.h \
	%D%/unit/script_session.h \
	%D%/unit/wire_bench.h
check_LTLIBRARIES += \
	docs/guide/example_plugin.la \
	%D%/crash/shim.la \
	%D%/io/shim.la \
	%D%/plugins/contract/bad_actions.la \
	%D%/plugins/contract/bad_crash.la \
	%D%/plugins/contract/bad_effect.la \
	%D%/plugins/contract/bad_exit.la \
	%D%/plugins/contract/bad_fork.la \
	%D%/plugins/contract/bad_keyword.la \
	%D%/plugins/contract/bad_link.la \
	%D%/plugins/contract/bad_major.la \
	%D%/plugins/contract/bad_name.la \
	%D%/plugins/contract/bad_null.la \
	%D%/plugins/contract/bad_schema.la \
	%D%/plugins/contract/bad_size.la \
	%D%/plugins/contract/bad_start.la \
	%D%/plugins/contract/bad_state.la \
	%D%/plugins/contract/bad_symbol.la \
	%D%/plugins/contract/bad_twins.la \
	%D%/plugins/contract/bad_type.la \
	%D%/plugins/contract/bad_version.la \
	%D%/plugins/contract/contract.la \
	%D%/plugins/contract/frozen.la \
	%D%/plugins/contract/newer.la \
	%D%/plugins/contract/older.la \
	%D%/plugins/contract/small.la \
	%D%/plugins/contract/small_twin.la \
	%D%/sim/far_1.la \
	%D%/sim/far_2.la

%C%_plugins_contract_frozen_la_SOURCES = %D%/plugins/contract/frozen.c %D%/abi/gw_plugin_1_0.h

# --- running them ---------------------------------------------------------------------------
# Programs that a script drives.
driven_programs = %D%/crash/crash %D%/sim/sim bench/engine_bench $(fuzz_programs)

CRASH_FLAGS = --quick
if PLAIN
planted_tests = '$(abs_top_srcdir)/%D%/crash/planted.sh'
real_tests = '$(abs_top_srcdir)/%D%/w3c/run.sh'
speed_tests = '$(abs_top_srcdir)/%D%/speed/run.sh'
endif
SIM_FLAGS =
test_scripts = \
	'$(abs_top_srcdir)/%D%/audit/heads.sh' \
	'$(abs_top_srcdir)/%D%/cli/run.sh' \
	'$(abs_top_srcdir)/%D%/crash/run.sh $(CRASH_FLAGS)' $(planted_tests) \
	'$(abs_top_srcdir)/%D%/crash/run.sh --faults $(CRASH_FLAGS)' \
	'$(abs_top_srcdir)/%D%/fuzz/run.sh' \
	'$(abs_top_srcdir)/%D%/graph/run.sh' \
	'$(abs_top_srcdir)/%D%/hostile/run.sh' \
	'$(abs_top_srcdir)/%D%/io/run.sh' \
	'$(abs_top_srcdir)/%D%/operate/run.sh' \
	$(speed_tests) \
	'%D%/sim/sim $(SIM_FLAGS)' \
	'$(abs_top_srcdir)/%D%/sandbox/run.sh %D%/sandbox/work ./gangway-sandbox' $(real_tests)

# The sources are the same in every build: checks of the house go with the plain one.
if PLAIN
house_checks = \
	$(abs_top_srcdir)/%D%/house/bans \
	$(abs_top_srcdir)/%D%/house/build \
	$(abs_top_srcdir)/%D%/house/deps \
	$(abs_top_srcdir)/%D%/house/exports \
	$(abs_top_srcdir)/%D%/house/format \
	$(abs_top_srcdir)/%D%/house/globals \
	$(abs_top_srcdir)/%D%/house/headers \
	$(abs_top_srcdir)/%D%/house/style
endif

test_environment = \
	SRCDIR='$(abs_top_srcdir)' BUILDDIR='$(abs_top_builddir)' CC='$(CC)' \
	HOUSE_CPPFLAGS='$(AM_CPPFLAGS) $(LIBXML_CFLAGS) $(LUA_CFLAGS) -I$(top_srcdir)/tests/lib' \
	GANGWAY_CONTRACT_DIR='$(abs_top_builddir)/%D%/plugins/contract/.libs' \
	GANGWAY_GUIDE_DIR='$(abs_top_builddir)/docs/guide/.libs' \
	GANGWAY_PLUGIN_DIR='$(abs_top_builddir)/plugins/.libs' \
	GANGWAY_SIM_DIR='$(abs_top_builddir)/%D%/sim/.libs' \
	GANGWAY_SCENARIOS='$(abs_top_srcdir)/sandbox/scenarios' \
	ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1:verify_asan_link_order=0 \
	UBSAN_OPTIONS=print_stacktrace=1 TSAN_OPTIONS=halt_on_error=1

# Everything that make check runs, without running it.
check-build: all $(check_PROGRAMS) $(check_LIBRARIES) $(check_LTLIBRARIES)
.PHONY: check-build

# TEST_FLAGS passes options on (--jobs N), TEST_ONLY=WORD runs those whose command has the word.
check-local: all
	@$(test_environment) $(BASH) $(srcdir)/%D%/run-tests --logs $(abs_builddir)/%D%/logs --only '$(TEST_ONLY)' $(TEST_FLAGS) \
		$(test_scripts) $(house_checks) $(filter-out $(driven_programs),$(check_PROGRAMS))

clean-local:
	rm -rf %D%/logs %D%/fuzz/work %D%/sandbox/work

BASH = bash
