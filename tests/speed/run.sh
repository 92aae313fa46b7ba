#!/bin/bash
# SPDX-License-Identifier: MIT
# Instructions per durable step of W2, counted by callgrind: as many as bench/instructions says,
# within 5 %.  Prints TAP.  SPEED_WRITE=1 writes the file anew.
set -u
here=$(cd "$(dirname "$0")" && pwd)
build=${BUILDDIR:-$PWD}
program=$(readlink -f "$build/bench/engine_bench")
if [ ! -x "$program" ] || ! command -v valgrind >/dev/null; then
	echo "1..0 # SKIP valgrind or bench/engine_bench is not there"
	exit 0
fi
# The figure is that of the machines where it was written: Debian 12, x86-64.
if [ "$(uname -m)" != x86_64 ] || ! grep -q '^VERSION_ID="12"' /etc/os-release; then
	echo "1..0 # SKIP the figure holds on Debian 12, x86-64"
	exit 0
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/gangway-speed.XXXXXX") || exit 2
trap 'rm -rf "$work"' EXIT

# All instructions of so many runs, one at a time.
count() {
	valgrind --tool=callgrind --callgrind-out-file=/dev/null "$program" "$here/../../bench" w2 "$1" 1 \
		"$work/$1.db" '{"id":"r-1"}' 2>&1 | sed -n 's/.*Collected : //p' | tail -1
}

few=$(count 50)
many=$(count 150)
if [ -z "$few" ] || [ -z "$many" ]; then
	echo "1..1"
	echo "not ok 1 - the workload ran under callgrind"
	exit 1
fi
now=$(((many - few) / 1000))
file=$here/../../bench/instructions
[ -z "${SPEED_WRITE-}" ] || echo "$now" >"$file"
was=$(cat "$file")
echo "1..1"
if [ $((now * 100)) -le $((was * 105)) ] && [ $((now * 100)) -ge $((was * 95)) ]; then
	echo "ok 1 - $now instructions per W2 step, $was are on file"
else
	echo "not ok 1 - $now instructions per W2 step, but $was are on file"
	echo "# more: find out why; fewer: SPEED_WRITE=1 tests/speed/run.sh writes the figure anew"
	exit 1
fi
