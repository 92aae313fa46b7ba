# SPDX-License-Identifier: MIT
# HTTPS with a certificate of the configuration, and what proxies say of who asks.  Part of run.sh.

if command -v openssl >/dev/null; then
	(umask 077 && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
		-addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out chain.pem) >/dev/null 2>&1
	cat >gangway.lua <<-END
		return { serve = { port = 0, health_port = 0, anonymous = { "viewer", "operator" }, tls = { certificate = "$work/chain.pem", key = "file:$work/key.pem" } } }
	END
	start
	case $url in https://127.0.0.1:*) ;; *) false ;; esac
	check "it says that it is https"
	[ "$(get --cacert chain.pem -o said.json -w '%{http_code}' -X POST -H 'Content-Type: application/json' -d '{"graph":"idle"}' "$url/v1/runs")" = 202 ]
	check "a run is started over TLS"
	get --cacert chain.pem "$url/metrics" | grep -q 'http_server_request_duration_seconds_count{.*url_scheme="https"} 1'
	check "and counted so"
	get --cacert chain.pem --tls-max 1.1 --ciphers DEFAULT@SECLEVEL=0 "$url/healthz" >/dev/null
	[ $? -eq 35 ]
	check "an old TLS is refused"
	[ "$(get -o /dev/null -w '%{http_code}' "http${url#https}/healthz")" != 200 ] && [ "$(get -o /dev/null -w '%{http_code}' "$health/healthz")" = 200 ]
	check "plain HTTP is not answered there, but on the listener of health"
	stop
	openssl genpkey -algorithm ed25519 2>/dev/null | sed 's/^/ /' >other.pem
	chmod 600 other.pem
	sed 's/key.pem/other.pem/; s/port = 0,/port = 0,/' gangway.lua >wrong.lua
	"$bin" serve --config wrong.lua >told 2>&1
	[ $? -ne 0 ] && grep -q "serve" told
	check "a key of another certificate does not start"
	chmod 644 key.pem
	"$bin" serve >told 2>&1
	[ $? -ne 0 ] && grep -q "key.pem" told
	check "nor one that others may read"
else
	skip "HTTPS" "openssl is not installed"
fi

# Behind a proxy that is trusted (this machine, in the test) the client is who it says; nobody else is believed.
client_of() { : >log; get -o /dev/null "$@" "$url/v1/tokens"; sed -n 's/.*"from":"\([^"]*\)".*/\1/p' log | tail -n 1; }
cat >gangway.lua <<'END'
return { serve = { port = 0, anonymous = "viewer", trusted_proxies = { "127.0.0.0/8", "10.0.0.0/8", "fd00::/8" } } }
END
start
while read -r want header; do
	got=$(client_of -H "X-Forwarded-For: $header")
	[ "$got" = "$want" ] || echo "$header: $got instead of $want" >>said
done <<'END'
192.0.2.7 192.0.2.7
192.0.2.7 203.0.113.9, 192.0.2.7
192.0.2.7 203.0.113.9, 192.0.2.7, 10.1.2.3
192.0.2.7 127.0.0.1, 192.0.2.7,10.1.2.3 , 10.255.0.1
2001:db8::5 2001:db8::5, fd00::1
10.1.2.3 nonsense, 10.1.2.3
END
[ "$(client_of -H 'X-Forwarded-For: 198.51.100.1' -H 'X-Forwarded-For: 192.0.2.8, 10.0.0.1')" = 192.0.2.8 ] || echo "two headers" >>said
[ "$(client_of)" = 127.0.0.1 ] || echo "no header" >>said
[ ! -s said ]
check "who asks behind proxies"
code() { get -o /dev/null -w '%{http_code}' "$@" "$url/v1/graphs"; }
[ "$(code)$(code -H 'X-Forwarded-For: 127.0.0.1')$(code -H 'X-Forwarded-For: 192.0.2.7')$(code -H 'Forwarded: for=192.0.2.7')" = 200200401401 ]
check "anonymous is for this machine, also through a proxy"
stop
sed 's/, trusted_proxies = .*/ } }/' gangway.lua >plain.lua
start --config plain.lua
[ "$(client_of -H 'X-Forwarded-For: 192.0.2.7')" = 127.0.0.1 ] && [ "$(code -H 'X-Forwarded-For: 127.0.0.1')" = 401 ]
check "no proxy is trusted that is not configured"
stop
echo 'return { serve = { trusted_proxies = { "10.0.0.0/33" } } }' >wrong.lua
"$bin" serve --config wrong.lua 2>&1 | grep -q "'10.0.0.0/33' is no address or network"
check "and what is no network is refused"
