#!/bin/bash
# SPDX-License-Identifier: MIT
# A sample of the W3C's tests in real time: each is a run of the real program, with its store, its loops and the
# system's clock; timers of up to two seconds.  w3c.c plays all of them with a virtual clock.  Prints TAP.
# GANGWAY_BIN is the program; ./gangway of the build folder when it is not set.
set -u
here=$(cd "$(dirname "$0")" && pwd)
bin=$(readlink -f "${GANGWAY_BIN:-${BUILDDIR:-$PWD}/gangway}")
corpus=${GANGWAY_SCXML_DIR:-${GANGWAY_SHARED:-$here/../../../shared}/scxml}
sample="175 186 187 193 207 225 237 252 298 402 409 422 423 501 530 570 580"
if [ ! -e "$corpus/manifest.tsv" ]; then
	echo "ok 1 - real time # SKIP the corpus is not here"
	echo "1..1"
	exit 0
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/gangway-w3c.XXXXXX") || exit 2
trap 'rm -rf "$work"' EXIT

play() { # NUMBER: what it ended in, in its folder
	local folder=$work/$1
	mkdir -p "$folder/graphs/test$1" && cp "$corpus/test$1.scxml" "$folder/graphs/test$1/" || return
	cp "$corpus/test$1"sub*.scxml "$folder/graphs/test$1/" 2>/dev/null
	echo 'return { graphs = "graphs", store = "store/runs.db", artifacts = "out" }' >"$folder/gangway.lua"
	"$bin" run start "test$1" --wait --quiet --json --config "$folder/gangway.lua" >"$folder/log" 2>&1 </dev/null
}

for number in $sample; do
	play "$number" &
done
wait
count=0
for number in $sample; do
	count=$((count + 1))
	if grep -q '"states":\["pass"\],"status":"ended"' "$work/$number/log"; then
		echo "ok $count - $number passes in real time"
	else
		echo "not ok $count - $number passes in real time"
		tail -n 3 "$work/$number/log" | cut -c 1-600 | sed 's/^/#   /'
	fi
done
echo "1..$count"
