#!/bin/bash
# SPDX-License-Identifier: MIT
# What operators get, from the real program: the page of metrics against its documentation, alerts and dashboard against
# both.  Prints TAP.  Checks by promtool (Debian package prometheus) are skipped where it is not installed.
set -u
here=$(cd "$(dirname "$0")" && pwd)
build=${BUILDDIR:-$PWD}
sources=${SRCDIR:-$(cd "$here/../.." && pwd)}
export GANGWAY_PLUGIN_DIR=${GANGWAY_PLUGIN_DIR:-$build/plugins/.libs}
bin=${GANGWAY_BIN:-$build/gangway}
[ -x "$bin" ] || { echo "Bail out! there is no $bin"; exit 2; }
command -v curl >/dev/null || { echo "1..0 # SKIP curl is not installed"; exit 0; }
unset GANGWAY_CONFIG GANGWAY_LOG NOTIFY_SOCKET
work=$(mktemp -d)
server=
trap 'stop; rm -rf "$work"' EXIT
cd "$work" || exit 2

count=0
# check WORDS: the last command's status is the result; what it said on stderr is shown.
check() {
	local ok=$?
	count=$((count + 1))
	[ $ok -eq 0 ] && echo "ok $count - $*" || { echo "not ok $count - $*"; [ -s said ] && sed 's/^/# /' said; }
	: >said
}
skip() { count=$((count + 1)); echo "ok $count - $1 # SKIP $2"; }

# start OPTION...: serves in the background and waits until it listens; $url is where.
start() {
	mkfifo ready
	"$bin" serve --json "$@" >ready 2>log </dev/null &
	server=$!
	read -r line <ready || line=
	rm -f ready
	url=$(sed -n 's/.*"address":"\([^"]*\)".*/\1/p' <<<"$line")
	health=$(sed -n 's/.*"health_address":"\([^"]*\)".*/\1/p' <<<"$line")
	[ -n "$url" ] || { cat log >&2; echo "Bail out! the server does not start"; exit 1; }
}
stop() {
	[ -n "$server" ] && kill "$server" 2>/dev/null && wait "$server"
	server=
}
get() { curl -s --max-time 20 "$@"; }

mkdir -p graphs/idle rules prompts
cp "$sources/tests/serve/graphs/idle/idle.scxml" graphs/idle/
cat >gangway.lua <<'END'
return { serve = { port = 0, health_port = 0, anonymous = { "viewer", "operator" } } }
END

. "$here/metrics.sh"
. "$here/reload.sh"
. "$here/tls.sh"
. "$here/backup.sh"

echo "1..$count"
