#!/bin/bash
# SPDX-License-Identifier: MIT
# The commands as one meets them: help, exit codes, and that they find what they need from wherever
# they are called.  Prints TAP.
#
#   GANGWAY_BIN, GANGWAY_SANDBOX   the programs (./gangway, ./gangway-sandbox of the build folder)
set -u
here=$(cd "$(dirname "$0")" && pwd)
bin=$(readlink -f "${GANGWAY_BIN:-${BUILDDIR:-$PWD}/gangway}")
sandbox=$(readlink -f "${GANGWAY_SANDBOX:-${BUILDDIR:-$PWD}/gangway-sandbox}")
sources=${SRCDIR:-$(cd "$here/../.." && pwd)}
plugins=${GANGWAY_PLUGIN_DIR:-${BUILDDIR:-$PWD}/plugins/.libs}
[ -x "$bin" ] || { echo "Bail out! there is no $bin"; exit 2; }
unset GANGWAY_CONFIG GANGWAY_SCENARIOS GANGWAY_USER GANGWAY_PLUGIN_DIR
unset CLM_URL SALESFORCE_URL NETSUITE_URL SMTP_URL SLACK_TOKEN PROVISION_URL OPENAI_API_KEY
work=$(mktemp -d "${TMPDIR:-/tmp}/gangway-cli.XXXXXX") || exit 2
work=$(readlink -f "$work")
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
count=0

result() { # STATUS NAME
	count=$((count + 1))
	if [ "$1" = 0 ]; then echo "ok $count - $2"; return; fi
	echo "not ok $count - $2"
	head -c 1500 "$work/out" | sed 's/^/#   /'
}
run() { timeout 120 "$@" >"$work/out" 2>&1 </dev/null; code=$?; }
is() { [ "$code" = "$1" ]; result $? "$2 (status $code)"; }
says() { grep -qF -- "$1" "$work/out"; result $? "${2:-it says: $1}"; }
hides() { ! grep -qF -- "$1" "$work/out"; result $? "${2:-it does not say: $1}"; }

# --- an installed program, in a folder that nobody configured -----------------------------------
at=$work/usr
mkdir -p "$at/bin" "$at/lib/gangway/plugins" "$at/share/gangway" "$work/elsewhere/deep"
cp "$bin" "$at/bin/gangway" && cp "$sandbox" "$at/bin/gangway-sandbox"
cp "$plugins"/*.so "$at/lib/gangway/plugins" && chmod go-w "$at/lib/gangway/plugins"
cp -r "$sources/graphs" "$sources/rules" "$sources/prompts" "$sources/gangway.lua" "$at/share/gangway"
mkdir "$at/share/gangway/sandbox" && cp -r "$sources/sandbox/scenarios" "$at/share/gangway/sandbox"
cd "$work/elsewhere" || exit 2
gangway=$at/bin/gangway

run "$gangway" rules check onboarding;  is 0 "an installed program finds its rules"
run "$gangway" graph check onboarding;  is 0 "and its graphs and plugins"
run "$gangway" doctor;                  is 1 "the doctor is not content"
says "$at/share/gangway/gangway.lua (it came with the program)" "the doctor names the configuration"
says "CLM_URL is not set" "and what is missing"
chmod -R a-w "$at/share"
run "$gangway" demo --folder shown;     is 0 "demo works in any folder, and writes nothing where it was installed"
says "ACME-001     PROCEED   PROCEED   ended" "and shows the decisions"
says "$work/elsewhere/shown/out/audit_" "the audit is among the artifacts"
says "answered  Contract                        clm.get_contract" "what is asked and answered is told, with what it is for"
says "was started before; it goes on" "the killed run goes on"
hides "call answered" "which call was answered is known after a kill too"
grep -q 'waits for      approval$' "$work/out"; result $? "it waits for an approval"
chmod -R u+w "$at/share"
if command -v script >/dev/null; then
	run env TERM=xterm LANG=C.UTF-8 script -qec "$gangway run start onboarding --input '{\"account_id\":\"ACME-001\"}' --correlation-id live --wait --config shown/gangway.json" /dev/null
	says $'\342\234\223' "on a terminal what has ended is marked"
	run env TERM=dumb script -qec "$gangway run list --config shown/gangway.json" /dev/null
	hides $'\033' "not on one that cannot"
fi
run env PATH="$at/bin:$PATH" "$gangway" demo --folder shown; says "  gangway audit verify" "it names itself as one would type it"
run "$gangway" audit verify shown/out/audit_*.json --config shown/gangway.json; is 2 "one audit is verified at a time"
first=$(ls shown/out/audit_*.json | head -n 1)
run "$gangway" audit verify "$first" --config shown/gangway.json; is 0 "an audit of the demo verifies without the sandbox"

# --- where a configuration is looked for --------------------------------------------------------
mkdir -p mine/a/b
cat >mine/gangway.lua <<-END
	return { graphs = "$sources/graphs", rules = "$sources/rules", prompts = "$sources/prompts", plugins = "$at/lib/gangway/plugins",
	  connections = { clm = { url = "env:CLM_URL", auth = { kind = "none" } } } }
END
cd mine/a/b || exit 2
run "$gangway" run list;                is 0 "a configuration above is found; looking needs no credentials"
says "looking only" "which is said"
says "no runs" "there are no runs"
hides "CORRELATION" "then there is no table"
[ -e ../../state/gangway.db ]; result $? "the store lies where its configuration lies"
run "$gangway" run start onboarding --input '{"account_id":"A"}'; is 4 "starting needs them"
if [ "$(id -u)" = 0 ]; then
	chown 12345 ../../gangway.lua
	run "$gangway" doctor; says "share/gangway/gangway.lua" "a stranger's configuration above is not believed"
	chown 0 ../../gangway.lua
fi
chmod o+w ../../gangway.lua
run "$gangway" doctor; says "share/gangway/gangway.lua" "nor one that anybody can write to"
chmod o-w ../../gangway.lua
run "$gangway" run list --config nowhere.lua; is 4 "a configuration that was named must be there"
cd "$work/elsewhere" || exit 2
mv "$at/share/gangway/gangway.lua" "$at/kept.lua"
run "$gangway" rules test onboarding;   is 4 "without any configuration there are no rules"
says "$work/elsewhere/gangway.lua and the folders above it" "and it says where it looked"
mv "$at/share/gangway/sandbox" "$at/kept"
run "$at/bin/gangway-sandbox";          is 1 "a sandbox without scenarios does not start"
says "../share/gangway/sandbox/scenarios" "and says where it looked"
mv "$at/kept.lua" "$at/share/gangway/gangway.lua" && mv "$at/kept" "$at/share/gangway/sandbox"

deep=$work/$(printf 'a-folder-with-a-long-name/%.0s' 1 2 3 4 5 6)
mkdir -p "$deep" && cp mine/gangway.lua "$deep" && echo "$deep" >"$work/out"
run "$gangway" run list --config "$deep/gangway.lua"; is 0 "a store may lie deep"

# --- exit codes ----------------------------------------------------------------------------------
cp -r "$sources/rules/onboarding" broken && echo 'return {' >broken/tier.lua
run "$gangway" rules check ./broken;    is 2 "a rule set with errors is wrong input"
mkdir -p bad && echo '<scxml xmlns="http://www.w3.org/2005/07/scxml" version="1.0" initial="x"/>' >bad/bad.scxml
run "$gangway" graph check bad/bad.scxml; is 2 "and so is a graph with errors"
sed 's/local OVERDUE_AFTER_DAYS = 0/local OVERDUE_AFTER_DAYS = 9/' "$sources/rules/onboarding/invoice.lua" >broken/invoice.lua
cp "$sources/rules/onboarding/tier.lua" broken/tier.lua
run "$gangway" rules test ./broken;     is 1 "cases that fail are the answer no"
run "$gangway" run show 01m8nowhere --config mine/gangway.lua; is 4 "what there is not"
run "$gangway" run fly;                 is 2 "a verb there is not"
run "$gangway" run start onboarding --inptu x; is 2 "an option there is not"

# --- help ----------------------------------------------------------------------------------------
run "$gangway" --help;                  is 0 "--help"
says "4 not found" "it tells the exit codes"
"$gangway" --help | sed -n 's/^  \([a-z]*\)  *\([a-z]*\)  .*/\1 \2/p' | while read -r noun verb; do
	[ -n "$noun" ] || continue
	text=$("$gangway" $noun $verb --help 2>&1) || echo "gangway $noun $verb --help fails"
	grep -q '^example:' <<<"$text" || echo "gangway $noun $verb --help has no example"
	grep -q -- '--json' <<<"$text" || echo "gangway $noun $verb --help knows no --json"
	grep -q '^exit:' <<<"$text" || echo "gangway $noun $verb --help tells no exit codes"
	grep -qF -- "\`$noun${verb:+ $verb}\`" "$sources/docs/reference/commands.md" ||
		echo "docs/reference/commands.md does not name $noun $verb"
done >"$work/out" 2>&1
[ ! -s "$work/out" ]; result $? "every command has help with an example and stands in the reference"
[ "$("$gangway" --help | grep -c '^  [a-z]')" -ge 30 ]; result $? "which was looked at for each of them"
echo "1..$count"
