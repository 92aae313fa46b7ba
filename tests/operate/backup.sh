# SPDX-License-Identifier: MIT
# Backups of a store that is in use, the way back, and gangway top.  Part of run.sh.

cat >gangway.lua <<'END'
return { serve = { port = 0, anonymous = { "viewer", "operator" } } }
END
rm -rf state
start
for id in a b c; do
	get -o /dev/null -X POST -H 'Content-Type: application/json' -d "{\"graph\":\"idle\",\"correlation_id\":\"$id\"}" "$url/v1/runs"
done
"$bin" backup copy.db >told 2>&1 || cp told said
[ ! -s said ] && [ "$(stat -c %a copy.db)" = 600 ]
check "a backup of a store that is in use"
"$bin" backup copy.db >told 2>&1
[ $? -eq 5 ] && grep -q "is there already" told
check "an older backup is not overwritten"
get -o /dev/null -X POST -H 'Content-Type: application/json' -d '{"graph":"idle","correlation_id":"later"}' "$url/v1/runs"
"$bin" restore copy.db --replace >told 2>&1
[ $? -eq 6 ] && grep -q "in use" told
check "nothing is restored under a running server"
"$bin" top --once >top.txt 2>said && grep -q 'runs *0 running *4 waiting' top.txt || cat top.txt >>said
[ ! -s said ]
check "gangway top"
[ "$("$bin" top --once --json | grep -o '"gw_runs_started_total":{[^]]*' | grep -o '"value":[0-9.]*')" = '"value":4.0' ]
check "and for programs"
stop

names() { "$bin" run list --json | grep -o '"correlation_id":"[a-z]*"' | sort | tr -d '\n'; }
"$bin" restore copy.db >told 2>&1
[ $? -eq 5 ] && grep -q -- "--replace" told
check "a store is not replaced by accident"
"$bin" restore copy.db --replace >told 2>&1 && [ "$(names)" = '"correlation_id":"a""correlation_id":"b""correlation_id":"c"' ] || cp told said
[ ! -s said ]
check "what was backed up is back"
for run in $("$bin" run list --json | grep -o '"id":"[^"]*"' | cut -d'"' -f4); do "$bin" audit verify "$run"; done >told 2>&1 || cp told said
[ ! -s said ]
check "and its journals verify"
mv state/gangway.db.before state/gangway.db && [ "$(names)" = '"correlation_id":"a""correlation_id":"b""correlation_id":"c""correlation_id":"later"' ]
check "the store that was there is kept"
"$bin" backup cold.db >told 2>&1 && rm -rf state && mkdir state && "$bin" restore cold.db >told 2>&1 && names | grep -q later || cp told said
[ ! -s said ]
check "without a server, and to an empty place"
head -c 20000 copy.db >cut.db
"$bin" restore cut.db --replace >told 2>&1
[ $? -ne 0 ] && names | grep -q later
check "a broken backup is refused, and the store stays"
echo "no store" >foreign.db
"$bin" restore foreign.db --replace >told 2>&1
[ $? -ne 0 ] && names | grep -q later
check "so is what is no store"
