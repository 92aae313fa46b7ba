#!/bin/bash
# SPDX-License-Identifier: MIT
# Plays the catalogue of bad input (cases/*.case) with the real program.  Prints TAP.
# README.md says how a case is written.
#
#   tests/hostile/run.sh [WORDS]     only cases whose name has the words
#
# It finds what it needs by environment variables; without them, in the build folder it was called from.
#   GANGWAY_BIN           the program                          (./gangway)
#   GANGWAY_SANDBOX       the stand-in for the systems         (./gangway-sandbox)
#   GANGWAY_PLUGIN_DIR    the built plugins                    (./plugins/.libs)
#   GANGWAY_CONTRACT_DIR  plugins that are wrong on purpose    (./tests/plugins/contract/.libs)
set -u
here=$(cd "$(dirname "$0")" && pwd)
build=${BUILDDIR:-$PWD}
bin=${GANGWAY_BIN:-$build/gangway}
sandbox_bin=${GANGWAY_SANDBOX:-$build/gangway-sandbox}
export GANGWAY_PLUGIN_DIR=${GANGWAY_PLUGIN_DIR:-$build/plugins/.libs}
export CONTRACT=${GANGWAY_CONTRACT_DIR:-$build/tests/plugins/contract/.libs}
export SOURCES=${SRCDIR:-$(cd "$here/../.." && pwd)}
[ -x "$bin" ] || { echo "Bail out! there is no $bin"; exit 2; }
only=${1-}
unset GANGWAY_CONFIG
work=$(mktemp -d)
trap 'stop_sandbox; umount "$work"/*/small-disk 2>/dev/null; rm -rf "$work"' EXIT

# --- what a case may use ----------------------------------------------------------------------

gangway() { timeout 60 "$bin" "$@"; }

# a_string N CHARACTER: N times the character.
a_string() { head -c "$1" /dev/zero | tr '\0' "$2"; }

# fires CODE: what the base's one rule does instead of its work.
fires() {
	CODE=$1 awk '/return missing/ { print "        " ENVIRON["CODE"]; next } { print }' rules/small/thing.lua >.thing &&
		mv .thing rules/small/thing.lua
}

sandbox_pid=
sandbox() { # starts it on ports of the kernel's choice; sets the addresses and credentials
	mkfifo ready
	"$sandbox_bin" --scenarios "$SOURCES/sandbox/scenarios" >ready 2>sandbox.log &
	sandbox_pid=$!
	local name address
	while read -r name address; do
		[ "$name" != ready ] || break
		case $name in
		llm) export OPENAI_BASE_URL=$address ;;
		control) export CONTROL=$address ;;
		*) export "${name^^}_URL=$address" ;;
		esac
	done <ready
	eval "$("$sandbox_bin" --env | grep -v '_URL=')"
}
ask() { # PATH [BODY]: of the sandbox's control port; its answer
	local port=${CONTROL##*:} fd
	exec {fd}<>"/dev/tcp/127.0.0.1/$port" || return
	printf '%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s' \
		"$([ -n "${2-}" ] && echo POST || echo GET)" "$1" "$(printf %s "${2-}" | wc -c)" "${2-}" >&$fd
	sed '1,/^\r*$/d' <&$fd
	exec {fd}>&-
}
stop_sandbox() {
	[ -z "$sandbox_pid" ] || { kill "$sandbox_pid"; wait "$sandbox_pid"; } 2>/dev/null
	sandbox_pid=
}

# Everything that a refused command must not change: files, and the runs of the store.
state_of() {
	find . -type f ! -path './state/*' ! -name '.before' ! -name '.after' ! -name '.said' \
		-exec sha256sum {} + | sort
	if [ -e state/gangway.db ]; then
		gangway run list --json 2>&1
	else
		echo '{"runs":[]}' # a store that was made and is empty is no change
	fi
}

# --- one case -----------------------------------------------------------------------------------

count=0 failed=0
title= setup= command= status= says=() hides=() checks=() leaves= needs= reason=

result() { # ok|not ok, then lines that explain
	count=$((count + 1))
	echo "$1 $count - $title${2:+ # SKIP $2}"
}

why() { sed 's/^/#   /' | head -n 40; }

judge() { # sets reason; prints nothing
	local text
	reason=
	[ "$code" = "$status" ] || reason="status $code, wanted $status"
	for text in ${says[@]+"${says[@]}"}; do
		grep -qF -- "$text" .said || reason="$reason; does not say: $text"
	done
	for text in ${hides[@]+"${hides[@]}"}; do
		! grep -qF -- "$text" .said || reason="$reason; shows: $text"
	done
	[ "$(wc -c <.said)" -lt 200000 ] || reason="$reason; says more than 200 kB"
	if [ -z "$leaves" ]; then
		state_of >.after
		cmp -s .before .after || reason="$reason; changed: $(diff .before .after | head -n 5 | tr '\n' ' ')"
	fi
	for text in ${checks[@]+"${checks[@]}"}; do
		(eval "$text") >.then 2>&1 || reason="$reason; afterwards failed: $text ($(head -c 200 .then | tr '\n' ' '))"
	done
}

play() {
	[ -n "$title" ] || return 0
	case $title in *"$only"*) ;; *) title=; return 0 ;; esac
	if [ -n "$needs" ] && ! (eval "$needs") >/dev/null 2>&1; then
		result ok "needs: $needs"
		title=
		return 0
	fi
	local folder=$work/$((count + 1))
	mkdir "$folder"
	cp -r "$here/base/." "$folder"
	chmod -R u+w "$folder"
	cp -r "$work/files/." "$folder" 2>/dev/null
	cd "$folder" || exit 2
	export HOME=$folder
	set +u
	if ! eval "$setup" >.setup 2>&1; then
		result "not ok"
		{ echo "the preparation failed: $setup"; cat .setup; } | why
		failed=1
	else
		rm -f .setup
		[ -n "$leaves" ] || state_of >.before
		(eval "$command") >.said 2>&1 </dev/null
		code=$?
		judge
		result "${reason:+not }ok"
		[ -z "$reason" ] || { { echo "$command"; echo "$reason"; head -c 1500 .said; } | why; failed=1; }
	fi
	set -u
	stop_sandbox
	cd "$work" || exit 2
	umount "$folder/small-disk" 2>/dev/null
	chmod -R u+w "$folder" 2>/dev/null
	rm -rf "$folder"
	title=
}

begin() {
	play
	title="$group $1" setup=: command=: status=0 says=() hides=() checks=() leaves= needs=
	rm -rf "$work/files"
	mkdir -p "$work/files"
}

# --- reading the cases ----------------------------------------------------------------------------

for cases in "$here"/cases/*.case; do
	group=$(basename "$cases" .case) file=
	while IFS= read -r line || [ -n "$line" ]; do
		if [ -n "$file" ]; then
			if [ "${line:0:1}" = $'\t' ]; then
				printf '%s\n' "${line:1}" >>"$work/files/$file"
				continue
			fi
			file=
		fi
		rest=${line#* }
		case $line in
		'' | '#'*) ;;
		'row '*) begin "$rest" ;;
		'file '*) file=$rest; mkdir -p "$work/files/$(dirname "$file")"; : >"$work/files/$file" ;;
		'do '*) setup="$setup && $rest" ;;
		'run '*) command=$rest ;;
		'exit '*) status=$rest ;;
		'says '*) says+=("$rest") ;;
		'hides '*) hides+=("$rest") ;;
		'then '*) checks+=("$rest") ;;
		'needs '*) needs=$rest ;;
		leaves*) leaves=1 ;;
		*) echo "Bail out! $cases: cannot read: $line"; exit 2 ;;
		esac
	done <"$cases"
	play
done
echo "1..$count"
exit $failed
