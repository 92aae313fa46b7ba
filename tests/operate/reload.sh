# SPDX-License-Identifier: MIT
# A running server takes changed files after a check, and keeps what it had when they are wrong.  Part of run.sh.

# runs GRAPH: the status of a start over HTTP.
runs() { get -o said.json -w '%{http_code}' -X POST -H 'Content-Type: application/json' -d "{\"graph\":\"$1\"}" "$url/v1/runs?wait=20"; }
field() { sed -n "s/.*\"$1\":\"\\([^\"]*\\)\".*/\\1/p"; }

graph_with() {
	cat >graphs/idle/idle.scxml <<-END
		<scxml xmlns="http://www.w3.org/2005/07/scxml" xmlns:gw="https://gangway.dev/ns/graph" version="1.0" datamodel="lua" name="idle" initial="end">
		  <final id="end"><donedata><param name="said" expr="$1"/></donedata></final>
		</scxml>
	END
}

cat >gangway.lua <<'END'
return { serve = { port = 0, anonymous = { "viewer", "operator" },
	webhooks = { w = { graph = "idle", scheme = "secret", secret = "env:FIRST" } } } }
END
cp gangway.lua good.lua
graph_with "'one'"
# A socket that systemd would listen on: what is written to it can be read here.
if command -v socat >/dev/null; then
	socat -u UNIX-RECVFROM:"$work/notify",fork - >notified 2>/dev/null &
	listener=$!
	while [ ! -S "$work/notify" ]; do :; done
	export NOTIFY_SOCKET=$work/notify
fi
FIRST=first-secret SECOND=second-secret start
runs idle >/dev/null
grep -q '"said":"one"' said.json
check "a run starts with the graph as it is"

graph_with "'two'"
runs idle >/dev/null
grep -q '"said":"two"' said.json
check "an edited graph counts for the next run"

graph_with "1 +"
runs idle >/dev/null
grep -q '"said":"two"' said.json
check "a graph that the check refuses starts no run; the one before it stays"
grep -q '"event":"reload.refused".*idle.scxml:2' log || cat log >said
[ ! -s said ]
check "and is named in the log, with its line"
[ "$(grep -c reload.refused log)" -eq 1 ]
check "once"

"$bin" reload >told 2>&1
[ $? -eq 0 ] && grep -q '^taken   configuration' told || cp told said
[ ! -s said ]
check "gangway reload looks at the configuration too"

graph_with "'three'"
"$bin" reload >told 2>&1 && grep -q '^taken   graph idle' told && runs idle >/dev/null && grep -q '"said":"three"' said.json
check "gangway reload takes a mended graph"

hook() { get -o /dev/null -w '%{http_code}' -X POST -H "X-Webhook-Secret: $1" -d "{\"correlation_id\":\"$2\"}" "$url/webhook/w"; }
[ "$(hook first-secret a)$(hook second-secret b)" = 202401 ]
check "a webhook's secret"
sed 's/env:FIRST/env:SECOND/' good.lua >gangway.lua
"$bin" reload >told 2>&1
[ "$(hook first-secret c)$(hook second-secret d)" = 401202 ] || cp told said
[ ! -s said ]
check "and another one after a reload"

sed 's/scheme = "secret"/scheme = "sekret"/' good.lua >gangway.lua
"$bin" reload >told 2>&1
[ $? -eq 1 ] && grep -q "^REFUSED configuration: serve.webhooks.w: its scheme is not known" told || cp told said
[ "$(hook second-secret e)" = 202 ] && [ ! -s said ]
check "a wrong configuration is named, and the one before it stays"
cp good.lua gangway.lua

sed 's/port = 0/port = 1/' good.lua >gangway.lua
"$bin" reload 2>&1 | grep -q "only a restart takes: serve"
check "what a running server does not take is named"
cp good.lua gangway.lua

[ "$("$bin" log)" = warning ] && [ "$("$bin" log debug)" = debug ] && [ "$("$bin" log)" = debug ]
check "the log's level at run time"
"$bin" log nonsense >told 2>&1
[ $? -eq 2 ] && grep -q "is no level" told
check "and one that is none"

: >log.before
kill -HUP "$server"
graph_with "'four'"
kill -HUP "$server"
while ! { runs idle >/dev/null; grep -q '"said":"four"' said.json; }; do :; done
check "SIGHUP reloads"

stop
"$bin" reload >told 2>&1
[ $? -eq 4 ] && grep -q "no server runs" told
check "without a server there is nothing to reload"
if [ -n "${NOTIFY_SOCKET-}" ]; then
	kill $listener
	wait $listener 2>/dev/null
	unset NOTIFY_SOCKET
	tr -s '\n' ' ' <notified >flat
	grep -q 'READY=1 STATUS=answers on http.*RELOADING=1 MONOTONIC_USEC=[0-9]* *READY=1.*STOPPING=1' flat || cp flat said
	[ ! -s said ]
	check "a service manager is told: ready, reloading, stopping"
else
	skip "a service manager is told" "socat is not installed"
fi
cp "$sources/tests/serve/graphs/idle/idle.scxml" graphs/idle/

if command -v systemd-analyze >/dev/null; then
	sed "s|/usr/local/bin/gangway|$bin|" "$sources/operate/gangway.service" >gangway.service
	systemd-analyze verify ./gangway.service >said 2>&1
	check "systemd-analyze verify"
else
	skip "systemd-analyze verify" "systemd is not installed"
fi
