#!/bin/bash
# SPDX-License-Identifier: MIT
# Does the crash test notice?  A program that acknowledges before it commits must fail it, at
# a boundary between the two.  Prints TAP.
set -u
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/gangway-planted.XXXXXX") || exit 2
trap 'rm -rf "$work"' EXIT
echo 1..1
if ! "$here/../planted/plant" "$here/../planted/ack-before-commit.patch" "$work/gangway" >"$work/said" 2>&1; then
	echo "not ok 1 - the bug can be planted"
	sed 's/^/# /' "$work/said"
	exit 1
fi
GANGWAY_BIN=$work/gangway "$here/run.sh" --full --scenario ticks --mode before >"$work/said" 2>&1
status=$?
bad=$(grep -c 'was acknowledged and is not there' "$work/said")
if [ "$status" -eq 77 ]; then
	echo "ok 1 - an acknowledgement before the commit # SKIP the crash test cannot run"
elif [ "$status" -ne 0 ] && [ "$bad" -gt 0 ]; then
	echo "ok 1 - an acknowledgement before the commit is noticed, at $bad boundaries"
else
	echo "not ok 1 - an acknowledgement before the commit is not noticed"
	sed 's/^/# /' "$work/said"
	exit 1
fi
