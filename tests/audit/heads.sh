#!/bin/bash
# SPDX-License-Identifier: MIT
# Signed heads (gangway audit verify --heads): real runs, then what somebody could do to the store
# who can write it, and to the file of heads.  Prints TAP.  From the build folder.
set -u
here=$(cd "$(dirname "$0")" && pwd)
gangway=${BUILDDIR:-$PWD}/gangway
command -v sqlite3 >/dev/null || { echo "1..0 # SKIP no sqlite3"; exit 77; }
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
export GANGWAY_CONFIG=$work/gangway.lua
mkdir rules prompts && cp -r "$here/../crash/graphs" .
echo 'return { store = "db", graphs = "graphs", artifacts = "out", audit = { key = "file:key.pem", heads = "heads" } }' >gangway.lua

number=0
is() { # CODE WORD TEXT COMMAND...: ends with the code and says the word
	local code=$1 word=$2 text=$3 got out
	shift 3
	number=$((number + 1))
	out=$("$@" 2>&1) && got=0 || got=$?
	if [ "$got" = "$code" ] && [[ $out = *"$word"* ]]; then
		echo "ok $number - $text"
	else
		echo "not ok $number - $text"
		printf '# ended with %s:\n%s\n' "$got" "$out" | sed '2,$s/^/#   /'
	fi
}
verify() { "$gangway" audit verify --heads "${1-heads}" --key key.pub; }
# Does SQL to a copy of the store, verifies, and puts the store back.
after() {
	local code
	rm -rf kept && mkdir kept && cp db heads kept/
	sqlite3 db "$1" && verify
	code=$?
	rm -f db db-wal db-shm heads && cp kept/db kept/heads .
	return $code
}

is 0 "BEGIN PUBLIC KEY" "a key is made" "$gangway" audit key key.pem
"$gangway" audit key key.pem >/dev/null 2>&1 && echo "# a key was overwritten"
is 5 "" "and not made over" "$gangway" audit key key.pem
openssl pkey -in key.pem -pubout -out key.pub 2>/dev/null
is 0 is_new "a run" "$gangway" run start ticks --correlation-id a --json
is 0 is_new "another run" "$gangway" run start relay --correlation-id b --json
is 0 is_new "a third" "$gangway" run start relay --correlation-id c --json
is 0 "as they were signed" "all is there" verify
is 0 "as they were signed" "and again" verify
is 0 "as they were signed" "by the key of the configuration" "$gangway" audit verify --heads heads
sqlite3 db "pragma wal_checkpoint(truncate)" >/dev/null
last="(select max(seq) from record where run = (select max(no) from run))"
run="(select max(no) from run)"
is 1 "not there" "a removed run" after "delete from record where run = $run; delete from run where no = $run"
is 1 "not there" "a cut tail" after "delete from record where run = $run and seq = $last"
is 1 "head" "an edited record" after "update record set body = replace(body, '\"kind\":\"step\"', '\"kind\":\"late\"') where run = $run and seq = $last"
is 1 "not there" "two runs changed over" after "update record set run = run + 1000 where run = $run"
head -n 2 heads >short
is 2 "more were made" "a file that ends too early" verify short
head -c -20 heads >torn
is 2 "more were made" "a torn file" verify torn
sed 2d heads >gap
is 1 "is missing" "a head left out" verify gap
sed '2s/"records":[0-9]*/"records":7/' heads >edited
is 1 "signature" "a head edited" verify edited
"$gangway" audit key other.pem >other.pub 2>/dev/null
is 1 "signature" "another key" "$gangway" audit verify --heads heads --key other.pub
is 4 "" "no file" "$gangway" audit verify --heads nowhere --key key.pub
echo "1..$number"
