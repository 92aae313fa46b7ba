#!/bin/bash
# SPDX-License-Identifier: MIT
# Webhooks to a durable 202: how fast beside a bare server, and what a burst does.
#
#   bench/webhook.sh BUILD [rate|burst]...     BUILD: the build folder; without a word, all
#
# rate       64 connections, one delivery each at a time, against BUILD/gangway and against BUILD/bench/webhook_bare (libmicrohttpd
#            and group-committed SQLite inserts of the same bytes), turn by turn, three times
# burst      50,000 deliveries over 5,000 connections, ten waiting on each, faster than can be taken: every 202 is a run
#            (it is sent again and must be known), the rest is 429; the memory it took
# One line of JSON per measurement on standard output.
set -eu
build=$(cd "$1" && pwd) && shift
[ $# -gt 0 ] || set -- rate burst
here=$(cd "$(dirname "$0")" && pwd)
make -C "$build" -s --no-print-directory bench/webhook_load bench/webhook_bare >&2
work=$(mktemp -d "${TMPDIR:-/tmp}/gangway-bench.XXXXXX")
pid=
trap '[ -z "$pid" ] || kill $pid; rm -rf "$work"' EXIT
cd "$work"
mkdir graphs rules prompts out
cp -r "$here/graphs/rests" graphs/
cat >gangway.lua <<'END'
return { serve = { port = 0, anonymous = { "viewer", "operator" }, connections = 12000, per_address = 0,
  webhooks = { w = { graph = "rests", scheme = "secret", secret = "env:WEBHOOK_SECRET" } } } }
END
export WEBHOOK_SECRET=bench-secret
ulimit -n 20000

serve() {
	rm -rf state
	"$build/gangway" serve --json >ready 2>log &
	pid=$!
	until port=$(sed -n 's/.*"address":"http:..127.0.0.1:\([0-9]*\)".*/\1/p' ready) && [ -n "$port" ]; do sleep 0.05; done
}
bare() {
	rm -f bare.db*
	"$build/bench/webhook_bare" bare.db >ready &
	pid=$!
	until port=$(sed -n 's/^port //p' ready) && [ -n "$port" ]; do sleep 0.05; done
}
stop() { kill $pid; wait $pid || :; pid=; }
load() { "$build/bench/webhook_load" "$port" /webhook/w "$1" "$2" "X-Webhook-Secret: bench-secret" "$3" "${4-1}"; }
cpu_ms() { awk -v hz="$(getconf CLK_TCK)" '{ print int(($14 + $15) * 1000 / hz) }' "/proc/$pid/stat"; }
rss_kib() { sed -n "s/^$1:[^0-9]*\\([0-9]*\\).*/\\1/p" "/proc/$pid/status"; }
tell() { printf '{"what":"%s",%s}\n' "$1" "$2"; }

rate() {
	local turn what before answer
	for turn in 1 2 3; do
		for what in bare serve; do
			$what
			load 64 5000 1 >/dev/null
			before=$(cpu_ms)
			answer=$(load 64 60000 100000)
			tell "$what" "\"turn\":$turn,\"cpu_us\":$((($(cpu_ms) - before) * 1000 / 60000)),\"load\":$answer"
			stop
		done
	done
}

burst() {
	local answer before
	serve
	load 64 5000 1 >/dev/null
	before=$(rss_kib VmRSS)
	answer=$(LOAD_ACCEPTED=accepted load 5000 50000 100000 10)
	tell burst "\"rss_before_kib\":$before,\"rss_peak_kib\":$(rss_kib VmHWM),\"load\":$answer"
	tell known "\"accepted\":$(wc -l <accepted),\"again\":$(LOAD_ONLY=accepted load 64 "$(wc -l <accepted)" 1)"
	stop
}

for word; do "$word"; done
