#!/bin/bash
# SPDX-License-Identifier: MIT
# The machine in memory beside XState 5 on the same charts, in one session, in turns.  From the build folder:
#
#   make bench/machine/machine_bench && ../bench/machine/run.sh [SECONDS] [ROUNDS]
#
# Prints a table: the medians of ROUNDS (3).  Without node and npm the column of XState is empty.
set -u
here=$(cd "$(dirname "$0")" && pwd)
bench=${MACHINE_BENCH:-$PWD/bench/machine/machine_bench}
seconds=${1:-2} rounds=${2:-3}
work=$(mktemp -d "${TMPDIR:-/tmp}/gangway-bench.XXXXXX") || exit 2
trap 'rm -rf "$work"' EXIT

peer=
if command -v node >/dev/null && command -v npm >/dev/null &&
	cp "$here/package.json" "$here/xstate.mjs" "$work" &&
	(cd "$work" && npm install --silent --no-audit --no-fund >npm.log 2>&1); then
	peer=$(sed -n 's/^  "version": "\(.*\)",*/\1/p' "$work/node_modules/xstate/package.json")
else
	echo "XState is left out: node, npm or the network is missing" >&2
fi
for ((round = 0; round < rounds; round++)); do
	"$bench" "$seconds" | sed 's/^{/{"who":"gangway",/' >>"$work/rows" || exit 1
	[ -z "$peer" ] || (cd "$work" && node xstate.mjs "$seconds") | sed 's/^{/{"who":"xstate",/' >>"$work/rows"
done

awk -v peer="$peer" '
	function field(name, text) {
		if (!match($0, "\"" name "\":(\"[^\"]*\"|[0-9.]+)")) return ""
		text = substr($0, RSTART + length(name) + 3, RLENGTH - length(name) - 3)
		gsub(/"/, "", text)
		return text
	}
	function median(list, n, part, i, k, swap) {
		n = split(list, part, " ")
		for (i = 1; i <= n; i++) for (k = i + 1; k <= n; k++)
			if (part[k] + 0 < part[i] + 0) { swap = part[i]; part[i] = part[k]; part[k] = swap }
		return part[int((n + 1) / 2)]
	}
	{
		name = field("name")
		if (!(name in seen)) { seen[name] = 1; order[++count] = name }
		if (field("per_s") != "") rate[name, field("who")] = rate[name, field("who")] " " field("per_s")
		else { ms[name] = ms[name] " " field("ms"); kib[name] = field("kib") }
	}
	END {
		print "| events per second | Gangway | XState " peer " | times |"
		print "|---|---|---|---|"
		for (i = 1; i <= count; i++) if ((order[i], "gangway") in rate) {
			own = median(rate[order[i], "gangway"]); other = median(rate[order[i], "xstate"])
			printf "| %s | %d | %s | %s |\n", order[i], own, other, other ? sprintf("%.1f", own / other) : ""
		}
		print ""
		print "| a large graph | ms | peak RSS, MiB |"
		print "|---|---|---|"
		for (i = 1; i <= count; i++) if (order[i] in ms)
			printf "| %s | %.1f | %.1f |\n", order[i], median(ms[order[i]]), kib[order[i]] / 1024
	}' "$work/rows"
