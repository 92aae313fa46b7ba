#!/bin/bash
# SPDX-License-Identifier: MIT
# Runs every fuzz target; see README.md.  From the build folder, or with BUILDDIR in the environment.
#
#   tests/fuzz/run.sh [--minutes N] [--seed N] [TARGET...]
#
# Without --minutes each target takes as many inputs as `floors` asks of it, the same ones every
# time; with it, each goes on for so long, with a seed that is printed.  What a target found stays
# in tests/fuzz/work of the build folder, and the failure says how to see it again.
set -u
here=$(cd "$(dirname "$0")" && pwd)
build=${BUILDDIR:-$PWD}
work=$build/tests/fuzz/work

minutes= seed= targets=()
while [ $# -gt 0 ]; do
	case $1 in
	--minutes) minutes=$2; shift 2 ;;
	--seed) seed=$2; shift 2 ;;
	-*) sed -n '3,9s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
	*) targets+=("$1"); shift ;;
	esac
done
[ -n "$seed" ] || { [ -n "$minutes" ] && seed=$((RANDOM * 32768 + RANDOM + 1)) || seed=1; }

number=0
not_ok() { # TARGET TEXT LOG
	echo "not ok $number - $1: $2"
	tail -n 40 "$3" | sed 's/^/#   /'
}

# fuzz TARGET RUNS BYTES
fuzz() {
	local target=$1 runs=$2 bytes=$3 program=$build/tests/fuzz/fuzz_$1 log=$work/$1.log
	local options ran words=$here/words/$1
	number=$((number + 1))
	rm -rf "$work/$target" && mkdir -p "$work/$target" "$work/found"
	options=(-seed="$seed" -max_len="$bytes" -artifact_prefix="$work/found/$target-")
	if [ -n "$minutes" ]; then
		options+=(-max_total_time=$((minutes * 60)))
	else
		options+=(-runs="$runs")
	fi
	[ ! -e "$words" ] || options+=(-dict="$words")
	"$program" "${options[@]}" -timeout=60 -rss_limit_mb=2048 "$work/$target" "$here/seeds/$target" \
		>"$log" 2>&1 || {
		not_ok "$target" "failed; see it again: $program $(sed -n 's/.*Test unit written to //p' "$log")" "$log"
		return
	}
	ran=$(sed -n 's/^Done \([0-9]*\) runs.*/\1/p' "$log")
	if [ -z "$minutes" ] && [ "${ran:-0}" -lt "$runs" ]; then
		not_ok "$target" "took only ${ran:-0} of $runs inputs" "$log"
	else
		echo "ok $number - $target took $ran inputs (seed $seed)"
	fi
}

while read -r target runs bytes; do
	case $target in '' | '#'*) continue ;; esac
	[ ${#targets[@]} -eq 0 ] || [[ " ${targets[*]} " = *" $target "* ]] || continue
	# Only libFuzzer looks where it has been; elsewhere the seeds and a few mutations are enough.
	[ -n "$minutes" ] || "$build/tests/fuzz/fuzz_$target" -help=1 2>&1 | grep -q '^Usage' || runs=$((runs / 20))
	fuzz "$target" "$runs" "$bytes"
done <"$here/floors"
echo "1..$number"
