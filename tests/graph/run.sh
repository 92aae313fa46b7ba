#!/bin/bash
# SPDX-License-Identifier: MIT
# What the commands about graphs print, and their exit codes.  Prints TAP.
#
# Each folder of cases/ is one story: `args` (the arguments, one command a line, each run in a copy of the
# folder), `code` (the exit codes, 0 when absent), `out` (the whole of stdout), `err` (lines that stderr must
# have), and for files that a command writes `after.FILE`.  What is absent is not looked at.  With a file
# `plugins` the built plugins are there, else none is.
# GANGWAY_BIN is the program; ./gangway of the build folder when it is not set.
set -u
here=$(cd "$(dirname "$0")" && pwd)
bin=$(readlink -f "${GANGWAY_BIN:-${BUILDDIR:-$PWD}/gangway}")
export SRCDIR=${SRCDIR:-$(cd "$here/../.." && pwd)}
unset GANGWAY_CONFIG
plugins=${GANGWAY_PLUGIN_DIR:-/nowhere}
work=$(mktemp -d "${TMPDIR:-/tmp}/gangway-graph.XXXXXX") || exit 2
trap 'rm -rf "$work"' EXIT
count=0

result() { # ok-or-not name [file to show]
	count=$((count + 1))
	echo "$1 $count - $2"
	[ "$1" = ok ] || [ ! -e "${3:-}" ] || sed -n '1,40s/^/#   /p' "$3"
}

compare() { # name wanted got
	if diff -u "$2" "$3" >"$work/diff" 2>&1; then result ok "$1"; else result "not ok" "$1" "$work/diff"; fi
}

play() {
	local name=$1 from=$here/cases/$1 line
	mkdir "$work/$name" && cp -R "$from/." "$work/$name" && chmod -R u+w "$work/$name" || exit 2
	cd "$work/$name" || exit 2
	export GANGWAY_PLUGIN_DIR=/nowhere # a plugin built beside would refuse what most stories send
	[ ! -e "$from/plugins" ] || GANGWAY_PLUGIN_DIR=$plugins
	: >"$work/out" && : >"$work/err" && : >"$work/code"
	while IFS= read -r line; do
		eval "\"$bin\" $line" >>"$work/out" 2>>"$work/err" </dev/null
		echo $? >>"$work/code"
	done <"$from/args"
	if [ -e "$from/code" ]; then compare "$name: exit code" "$from/code" "$work/code"
	else compare "$name: exit code" <(sed 's/.*/0/' "$from/args") "$work/code"; fi
	[ ! -e "$from/out" ] || compare "$name: output" "$from/out" "$work/out"
	if [ -e "$from/err" ]; then
		while IFS= read -r line; do
			if grep -qF -- "$line" "$work/err"; then result ok "$name: says \"$line\""
			else result "not ok" "$name: says \"$line\"" "$work/err"; fi
		done <"$from/err"
	fi
	for line in "$from"/after.*; do
		[ ! -e "$line" ] || compare "$name: ${line##*/after.}" "$line" "${line##*/after.}"
	done
}

only=${1:-}
for folder in "$here"/cases/*/; do
	name=$(basename "$folder")
	case $name in *"$only"*) play "$name" ;; esac
done
echo "1..$count"
