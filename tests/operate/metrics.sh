# SPDX-License-Identifier: MIT
# The page of metrics, docs/reference/metrics.md, the alerts and the dashboard.  Part of run.sh.

start
get -X POST -H 'Content-Type: application/json' -d '{"graph":"idle"}' "$url/v1/runs" >/dev/null
get "$url/metrics" >metrics.txt
get -H 'Accept: application/openmetrics-text' "$url/metrics" >openmetrics.txt
stop

grep -q '^gw_runs_started_total{graph="idle"} 1$' metrics.txt
check "a run that was started is counted"

# "name type" of each family, from the page and from the documentation.
sed -n 's/^# TYPE //p' metrics.txt | sort >have
sed -n 's/^| `\([a-z_]*\)` | \([a-z]*\) |.*/\1 \2/p' "$sources/docs/reference/metrics.md" | sort >told
diff told have >said
check "docs/reference/metrics.md lists what there is"

# Labels of what has samples here: le belongs to histograms.
sed -n 's/^| `\([a-z_]*\)` | [a-z]* | \([a-z_, ]*\) |.*/\1 \2/p' "$sources/docs/reference/metrics.md" | tr -d , >labels
awk 'FNR == NR { name = $1; $1 = ""; labels[name] = $0; next }
	/^#/ || !/{/ { next }
	{
		name = $0; sub(/{.*/, "", name); sub(/_(bucket|count|sum)$/, "", name)
		text = $0; sub(/^[^{]*{/, "", text); sub(/}[^}]*$/, "", text)
		have = ""
		while (match(text, /[a-z_]+="([^"\\]|\\.)*"/)) {
			label = substr(text, RSTART, RLENGTH); sub(/=.*/, "", label)
			if (label != "le") have = have " " label
			text = substr(text, RSTART + RLENGTH)
		}
		if (have != labels[name]) print name ":" have " instead of" labels[name] > "/dev/stderr"
		bad += have != labels[name]
	}
	END { exit bad > 0 }' labels metrics.txt 2>said
check "and their labels"

tail -n 1 openmetrics.txt | grep -qx '# EOF'
check "OpenMetrics for who asks for it"

# Names that rules and panels ask for must be there; promtool and Grafana would not miss them.
asked() { grep -oE '\b(gw|gen_ai|http_(server|client)|process)_[a-z_]+(total|seconds|bytes|usage|info|state|depth|open|overdue|flight|waiting|resident|connections|streams|runs)(_bucket|_count|_sum)?\b|\bgw_runs\b' "$@" | sed 's/_\(bucket\|count\|sum\)$//' | sort -u; }
sed 's/ .*//' have >names
asked -h "$sources/operate/alerts.yml" "$sources/operate/alerts_test.yml" "$sources/operate/dashboard.json" | grep -vxF -f names >said
[ ! -s said ]
check "alerts and dashboard ask for what there is"
for name in gw_runs gw_decisions_total gw_calls_total gw_circuit_breaker_state gw_commit_duration_seconds gw_fsync_duration_seconds \
	gw_queue_depth gw_llm_cost_total gen_ai_client_token_usage gw_rule_firings_total gw_tasks_overdue; do
	asked -h "$sources/operate/dashboard.json" | grep -qxF $name || echo "$name" >>said
done
[ ! -s said ]
check "and the dashboard shows all that matters"

if command -v promtool >/dev/null; then
	promtool check metrics <metrics.txt >said 2>&1
	check "promtool check metrics"
	promtool check rules "$sources/operate/alerts.yml" >said 2>&1
	check "promtool check rules"
	promtool test rules "$sources/operate/alerts_test.yml" >said 2>&1
	check "promtool test rules"
	sed -n 's/^      - alert: //p' "$sources/operate/alerts.yml" | while read -r name; do
		grep -q "alertname: $name\$" "$sources/operate/alerts_test.yml" || echo "$name"
	done >said
	[ ! -s said ]
	check "every alert is tested"
else
	skip "promtool check and test" "promtool is not installed"
fi
