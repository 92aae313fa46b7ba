#!/bin/sh
# SPDX-License-Identifier: MIT
# kill -9 at every boundary of the real program; see README.md.  Options go to the driver:
#   --quick, --full, --long, --jobs N, --scenario NAME, --mode before|after|half|power, --seed N, --at N
# It finds what it needs by environment variables; without them, in the build folder it was called from.
#   GANGWAY_BIN         the program                    (./gangway)
#   GANGWAY_SANDBOX     the stand-in for the systems   (./gangway-sandbox)
#   GANGWAY_PLUGIN_DIR  the built plugins              (./plugins/.libs)
#   CRASH_SHIM          tests/crash/shim.c as a library (./tests/crash/.libs/shim.so)
#   CRASH_DRIVER        the driver                     (./tests/crash/crash)
set -u
build=${BUILDDIR:-$PWD}
GANGWAY_BIN=${GANGWAY_BIN:-$build/gangway}
GANGWAY_SANDBOX=${GANGWAY_SANDBOX:-$build/gangway-sandbox}
GANGWAY_PLUGIN_DIR=${GANGWAY_PLUGIN_DIR:-$build/plugins/.libs}
CRASH_SHIM=${CRASH_SHIM:-$build/tests/crash/.libs/shim.so}
export GANGWAY_BIN GANGWAY_SANDBOX GANGWAY_PLUGIN_DIR CRASH_SHIM
exec "${CRASH_DRIVER:-$build/tests/crash/crash}" "$@"
