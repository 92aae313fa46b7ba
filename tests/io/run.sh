#!/bin/bash
# SPDX-License-Identifier: MIT
# The real program when the disk or the memory fails it; see README.md.  Prints TAP.
#
#   GANGWAY_CASES=n   how many points of failure per row (default 5; 0: every one)
#   GANGWAY_BIN, IO_SHIM   the program and tests/io/shim.c as a library, if not the build folder's
set -u
here=$(cd "$(dirname "$0")" && pwd)
build=${BUILDDIR:-$PWD}
bin=$(readlink -f "${GANGWAY_BIN:-$build/gangway}")
shim=$(readlink -f "${IO_SHIM:-$build/tests/io/.libs/shim.so}")
cases=${GANGWAY_CASES:-5}
if [ ! -x "$bin" ] || [ ! -e "$shim" ] || ! command -v sqlite3 >/dev/null; then
	echo "1..0 # SKIP the program, the shim or sqlite3 is not there"
	exit 0
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/gangway-io.XXXXXX") || exit 2
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 2
unset GANGWAY_CONFIG
export GANGWAY_USER=tester
# What a process that gives up leaves in memory goes with it.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0
cat >gangway.lua <<EOF
return { store = 'state/gw.db', artifacts = 'out.d', graphs = '$here/../audit/graphs',
  rules = '$here/../audit/rules', prompts = '$here', plugins = '$work/none', workers = 1 }
EOF
mkdir none
count=0

result() { # ok-or-not name [file to show]
	count=$((count + 1))
	echo "$1 $count - $2"
	[ "$1" = ok ] || [ ! -e "${3:-}" ] || sed -n '1,30s/^/#   /p' "$3"
}

# --- what is asked of the program ------------------------------------------------------------

declare -A asked=(
	[start]="run start credit --correlation-id one --wait --json --config gangway.lua"
	[check]="graph check $here/../audit/graphs/credit/credit.scxml --config gangway.lua"
	[rules]="rules check credit --config gangway.lua"
)

# run_it COMMAND [NAME=VALUE...]: the exit status; what it said is in out and err.
run_it() {
	local words
	read -ra words <<<"${asked[$1]}"
	[ "$1" != start ] || words+=(--input '{"facts":{"name":"Ann","amount":400}}')
	shift
	{ timeout 20 env "$@" "$bin" "${words[@]}" >out 2>err; } 2>/dev/null
}

fresh() {
	rm -rf state out.d
	mkdir state out.d
}

# What of the output must be the same each time: all of it, but of a run only what was decided.
essence() {
	if [ "$1" = start ]; then
		grep -o '"status":"ended"\|"decision":"[A-Z]*"\|"paid":[0-9.]*' out | sort -u
	else
		cat out
	fi
}

# The command is disturbed, then given again: what is wrong, one line each.
trial() { # command with at sticky
	local status again first=
	fresh
	run_it "$1" LD_PRELOAD="$shim" FAIL_WITH="$2" FAIL_AT="$3" FAIL_TRACK="$work/state" ${4:+FAIL_STICKY=1}
	status=$?
	if [ "$status" -eq 0 ]; then
		essence "$1" | cmp -s - "good.$1" || { echo "it ended well with another result:"; cat out; }
	elif [ "$status" -ge 124 ]; then
		echo "it died with status $status:"; cat err
	elif ! cat out err | tail -n 1 | grep -q 'gangway: [a-z]\|"error":{.*"text":'; then
		echo "it ended with $status and said nothing"
	elif [ "$2" = MEMORY ] && [ "$status" -ne 70 ] && ! grep -q memory out err; then
		echo "it ended with $status, not 70:"; cat out err
	fi
	[ "$1" = start ] || return 0
	first=$(grep -o '"id":"[0-9a-z]\{26\}"' out | sort -u)
	run_it start
	again=$?
	[ "$again" -eq 0 ] || { echo "the same command again ends with $again:"; cat out err; }
	essence start | cmp -s - good.start || { echo "the same command again has another result:"; cat out; }
	[ -z "$first" ] || grep -q "$first" out || echo "the run that was acknowledged is another one now"
	[ "$(sqlite3 state/gw.db 'PRAGMA integrity_check')" = ok ] || echo "the store is not whole"
	[ "$(sqlite3 state/gw.db 'SELECT count(*) FROM run')" = 1 ] || echo "there is not one run"
	"$bin" audit verify "$(sqlite3 state/gw.db 'SELECT id FROM run')" --config gangway.lua >verified 2>&1 ||
		{ echo "the audit does not verify:"; cat verified; }
}

# series COMMAND WITH [sticky]: every point, or some of them evenly.
series() {
	local name="$1, $2${3:+ from then on}" points step at bad=0 trials=0
	fresh
	rm -f counted
	run_it "$1" LD_PRELOAD="$shim" FAIL_WITH="$2" FAIL_TRACK="$work/state" FAIL_COUNT_FILE="$work/counted"
	points=$(cat counted 2>/dev/null || echo 0)
	if [ "$points" -eq 0 ]; then
		result ok "$name # SKIP nothing is counted here: another allocator stands in front"
		return
	fi
	step=$((cases > 0 ? points / cases + 1 : 1))
	: >complaints
	for ((at = 1 + step / 3; at <= points; at += step)); do
		trial "$1" "$2" "$at" "${3:-}" >said
		trials=$((trials + 1))
		[ ! -s said ] || { bad=$((bad + 1)); { echo "call $at of $points:"; cat said; } >>complaints; }
	done
	if [ "$bad" -eq 0 ]; then
		result ok "$name: $trials of $points points"
	else
		result "not ok" "$name: $bad of $trials trials" complaints
	fi
}

for command in start check rules; do
	fresh
	run_it "$command" || { result "not ok" "$command, undisturbed" err; }
	essence "$command" >"good.$command"
done
[ "$(wc -l <good.start)" -eq 3 ] || result "not ok" "a good start says what it decided" out
# EINTR comes once: whoever is interrupted tries again.
for with in EIO ENOSPC; do
	series start $with
	series start $with sticky
done
series start EINTR
series start SHORT
for command in start check rules; do
	series $command MEMORY
done
series start MEMORY sticky
echo "1..$count"
