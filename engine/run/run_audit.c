/* SPDX-License-Identifier: MIT */
/*
 * The audit of a run, told from its journal alone: which versions, which calls,
 * which rules saw what, who decided, and the hash chain.
 *
 * Verifying takes three looks.  The chain: every record continues the one
 * before.  The decision: the run is replayed from its inputs with the pinned
 * graph, and every PURE call is evaluated anew with the pinned rules; effects,
 * answers and states must come out as recorded, so that a falsified decision
 * is found even when the chain was hashed anew.  What stands beside the
 * journal: the run's row knows the head it was written with and what the run
 * came to, so that a cut tail is missed; and an audit that was handed in must
 * say what the journal says, down to the first record whose hash differs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "run/run_commit.h"

/* --- telling ------------------------------------------------------------------------------ */

struct telling {
	json_t *audit;
	json_t *calls;  /* by "number.element" */
	json_t *builds; /* {plugin: build} that served its calls so far */
	json_t *rules, *advice, *artifacts, *chain, *people, *blocks, *pins;
	json_t *prompts_used;
	json_t *decisions;
};

static void iso_put(json_t *object, const char *key, int64_t ms)
{
	char text[CLOCK_ISO_BYTES];
	clock_iso(ms, text);
	json_put_str(object, key, text);
}

static void call_key(const json_t *at, const char *number, const char *element, char ret[48])
{
	snprintf(ret, 48, "%lld.%lld", (long long)json_int(at, number, 0),
	         (long long)json_int(at, element, 0));
}

static void tell_effects(struct telling *telling, const json_t *record)
{
	const json_t *effects = json_at(record, "effects");
	const char *run_id = json_str(telling->audit, "run", "");
	for (size_t i = 0; i < json_array_size(effects); i++) {
		const json_t *effect = json_array_get(effects, i);
		const char *kind = json_str(effect, "kind", "");
		if (strcmp(kind, "call") != 0 && strcmp(kind, "send") != 0)
			continue;
		char at[48], key[65];
		call_key(effect, "number", "element", at);
		plugin_key(run_id, (uint64_t)json_int(effect, "number", 0),
		           (uint32_t)json_int(effect, "element", 0), 0, key);
		json_t *call =
			json_pack("{s:O,s:s,s:s,s:s,s:s,s:s}", "number", json_at(effect, "number"),
		                  "kind", kind, "type", json_str(effect, "type", ""), "action",
		                  json_str(effect, "action", ""), "key", key, "outcome", "open");
		if (json_at(effect, "element"))
			json_put(call, "element", json_incref(json_at(effect, "element")));
		json_put_str(call, "state", json_str(effect, "state", NULL));
		json_put_str(call, "advisory",
		             json_str(json_at(effect, "dispatch"), "advisory", NULL));
		iso_put(call, "asked_at", json_int(record, "at", 0));
		json_put(telling->calls, at, call);
	}
}

static void tell_result(struct telling *telling, const json_t *record)
{
	const json_t *input = json_at(record, "input");
	if (strcmp(json_str(input, "kind", ""), "result") != 0)
		return;
	char at[48];
	call_key(input, "number", "element", at);
	json_t *call = json_at(telling->calls, at);
	if (!call)
		return;
	bool ok = json_truth(input, "ok", false);
	bool is_late = strcmp(json_str(record, "kind", ""), "late") == 0;
	json_put_str(call, "outcome", is_late ? "late" : ok ? "ok" : "failed");
	iso_put(call, "answered_at", json_int(record, "at", 0));
	if (!ok)
		json_put(call, "failure", json_incref(json_at(input, "failure")));
	const json_t *extra = json_at(record, "call");
	static const char *const members[] = { "attempts", "took_ms", "plugin",
		                               "facts",    "notes",   "requests" };
	for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++)
		json_put(call, members[i], json_incref(json_at(extra, members[i])));
	/* A record names the build where it is another than the plugin's last one. */
	const char *type = json_str(call, "type", "");
	if (json_at(call, "plugin"))
		json_put(telling->builds, type, json_incref(json_at(call, "plugin")));
	else
		json_put(call, "plugin", json_incref(json_at(telling->builds, type)));
	if (strcmp(json_str(call, "type", ""), "approval") == 0 && ok)
		json_push(telling->people, json_deep_copy(json_at(input, "data")));
}

/* Rules: every outcome with the values it saw, and the decision with its reasons. */
static void tell_inline(struct telling *telling, const json_t *record)
{
	const json_t *made = json_at(record, "inline");
	for (size_t i = 0; i < json_array_size(made); i++) {
		const json_t *row = json_array_get(made, i);
		const json_t *result = json_at(json_array_get(row, 1), "result");
		if (!json_at(result, "outcomes"))
			continue;
		json_t *rules = json_deep_copy(result);
		json_put(rules, "number", json_incref(json_array_get(row, 0)));
		json_put(rules, "seq", json_incref(json_at(record, "seq")));
		json_push(telling->rules, rules);
	}
}

static void tell_advice(struct telling *telling, const json_t *record)
{
	const char *name;
	json_t *advice;
	json_object_foreach(json_at(record, "advice"), name, advice) {
		json_t *row = json_pack("{s:s,s:O}", "name", name, "source",
		                        json_at(advice, "source"));
		json_t *data = json_at(advice, "data");
		json_put(row, "data", json_incref(data));
		json_put_str(row, "model", json_str(data, "model", NULL));
		json_put(row, "prompt", json_incref(json_at(data, "prompt")));
		json_put(row, "error", json_incref(json_at(advice, "error")));
		json_push(telling->advice, row);
	}
}

static void tell_people(struct telling *telling, const json_t *record)
{
	const char *kind = json_str(record, "kind", "");
	if (strcmp(kind, "task") == 0)
		json_push(telling->people, json_deep_copy(json_at(record, "answer")));
	if (strcmp(kind, "repin") == 0 || strcmp(kind, "repeat") == 0 ||
	    strcmp(kind, "resume") == 0 || strcmp(kind, "retry") == 0 ||
	    strcmp(kind, "fork") == 0 || strcmp(kind, "assign") == 0 ||
	    strcmp(json_path(record, "input.kind")
	                   ? json_string_value(json_path(record, "input.kind"))
	                   : "",
	           "cancel") == 0) {
		json_t *row = json_pack("{s:s,s:O,s:s}", "what", kind, "seq",
		                        json_at(record, "seq"), "by",
		                        json_str(record, "by", "someone"));
		json_put(row, "release", json_incref(json_at(record, "release")));
		json_put(row, "fork", json_incref(json_at(record, "fork")));
		json_put(row, "assign", json_incref(json_at(record, "assign")));
		json_push(telling->people, row);
	}
	if (strcmp(kind, "blocked") == 0)
		json_push(telling->blocks, json_pack("{s:O,s:O}", "seq", json_at(record, "seq"),
		                                     "reason", json_at(record, "reason")));
}

static void tell_artifacts(struct telling *telling, const json_t *record)
{
	const json_t *artifacts = json_at(record, "artifacts");
	for (size_t i = 0; i < json_array_size(artifacts); i++) {
		const json_t *row = json_array_get(artifacts, i);
		const json_t *text = json_at(row, "text");
		char hash[SHA256_HEX];
		crypto_sha256_hex((struct str){ json_string_value(text), json_string_length(text) },
		                  hash);
		json_push(telling->artifacts,
		          json_pack("{s:O,s:s}", "name", json_at(row, "name"), "sha256", hash));
	}
}

struct chain_reading {
	struct telling *telling;
	struct journal_head head;
	struct err *err;
	int status;
};

static void tell_record(struct telling *telling, const json_t *record)
{
	const json_t *start = json_at(record, "start");
	if (start) {
		json_put(telling->audit, "release", json_incref(json_at(start, "release")));
		json_put(telling->audit, "input", json_incref(json_path(record, "input.data")));
		iso_put(telling->audit, "started_at", json_int(record, "at", 0));
		json_put_str(telling->audit, "started_by", json_str(start, "by", NULL));
	}
	tell_effects(telling, record);
	tell_result(telling, record);
	tell_inline(telling, record);
	tell_advice(telling, record);
	tell_people(telling, record);
	tell_artifacts(telling, record);
}

static bool tell_stored(void *arg, int64_t seq, const unsigned char hash[32], struct str body)
{
	struct chain_reading *reading = arg;
	json_t *record;
	reading->status = journal_open(&reading->head, seq, hash, body, &record, reading->err);
	if (reading->status < 0)
		return false;
	tell_record(reading->telling, record);
	char hex[2 * JOURNAL_HASH_BYTES + 1];
	crypto_hex(hash, JOURNAL_HASH_BYTES, hex);
	json_push(reading->telling->chain,
	          json_pack("{s:I,s:O,s:O,s:s}", "seq", (json_int_t)seq, "kind",
	                    json_at(record, "kind"), "at", json_at(record, "at"), "hash", hex));
	json_decref(record);
	return true;
}

static void tell_row(void *arg, const struct store_run *row)
{
	json_t *audit = arg;
	json_t *json = run_row_json(row);
	json_put_str(audit, "run", row->id);
	json_put_str(audit, "graph", row->graph);
	json_put_str(audit, "correlation_id", row->correlation_id);
	json_put_str(audit, "status", status_name(row->status));
	json_put(audit, "search", json_incref(json_at(json, "search")));
	json_put(audit, "result", json_incref(json_at(json, "result")));
	iso_put(audit, "created_at", row->created_ms);
	json_decref(json);
}

static json_t *call_list(const json_t *calls)
{
	json_t *ret = json_array();
	const char *key;
	json_t *call;
	json_object_foreach((json_t *)(uintptr_t)calls, key, call)
		json_push(ret, json_incref(call));
	return ret;
}

/* The last verdict decides; who approved stands beside it. */
static void put_decision(json_t *audit, const struct telling *telling)
{
	size_t count = json_array_size(telling->rules);
	if (count == 0)
		return;
	const json_t *last = json_array_get(telling->rules, count - 1);
	json_t *decision = json_pack("{s:O,s:O}", "decision", json_at(last, "decision"), "reasons",
	                             json_at(last, "reasons"));
	json_put(decision, "ruleset", json_incref(json_at(last, "ruleset")));
	json_put(audit, "decision", decision);
}

/* The record names the release by its hash; what it pins stands in the store under that hash. */
static int put_pins(struct engine *engine, json_t *audit, struct err *err)
{
	struct release *release;
	if (release_load(engine->releases, engine->store, json_str(audit, "release", ""), &release,
	                 err) < 0)
		return err->code;
	json_put(audit, "pins", json_incref(release->pins));
	release_unref(release);
	return 0;
}

json_t *run_audit(struct engine *engine, int64_t no, struct err *err)
{
	json_t *audit = json_object();
	if (engine->store->ops->run_by_no(engine->store, no, tell_row, audit, err) < 0) {
		json_decref(audit);
		return NULL;
	}
	struct telling telling = { .audit = audit,
		                   .calls = json_object(),
		                   .builds = json_object(),
		                   .rules = json_array(),
		                   .advice = json_array(),
		                   .artifacts = json_array(),
		                   .chain = json_array(),
		                   .people = json_array(),
		                   .blocks = json_array() };
	struct chain_reading reading = { .telling = &telling, .err = err };
	int status = engine->store->ops->records(engine->store, no, 1, tell_stored, &reading, err);
	if (status == 0)
		status = reading.status;
	if (status == 0)
		status = put_pins(engine, audit, err);
	json_put(audit, "format", json_string("gangway-audit-1"));
	json_put(audit, "engine", json_pack("{s:s}", "version", engine->options.version));
	put_decision(audit, &telling);
	json_put(audit, "calls", call_list(telling.calls));
	json_decref(telling.calls);
	json_decref(telling.builds);
	json_put(audit, "rules", telling.rules);
	json_put(audit, "advice", telling.advice);
	json_put(audit, "people", telling.people);
	json_put(audit, "blocked", telling.blocks);
	json_put(audit, "artifacts", telling.artifacts);
	json_put(audit, "chain", telling.chain);
	char head[2 * JOURNAL_HASH_BYTES + 1];
	crypto_hex(reading.head.hash, JOURNAL_HASH_BYTES, head);
	json_put(audit, "head",
	         json_pack("{s:I,s:s}", "seq", (json_int_t)reading.head.seq, "hash", head));
	if (status < 0) {
		json_decref(audit);
		return NULL;
	}
	return audit;
}

void run_write_audit(struct run *run)
{
	struct engine *engine = run->worker->engine;
	struct err err = { 0 };
	if (!engine->options.artifacts || engine->options.has_no_audit_files)
		return; /* `audit show` makes it from the journal at any time */
	json_t *audit = run_audit(engine, run->no, &err);
	if (!audit) {
		engine_log(engine, "error", "audit.failed",
		           json_pack("{s:s,s:s}", "run", run->id, "text", err.text));
		run->is_unwritten = true;
		return;
	}
	char *text = json_dumps(audit, JSON_INDENT(2) | JSON_SORT_KEYS);
	char *name = mem_format("audit_%s.json", run->id);
	run_write_file(run, name, str_of(text));
	free(name);
	free(text);
	json_decref(audit);
}

/* --- verifying ------------------------------------------------------------------------------- */

/* What the row said before the journal was read: it may be older than the journal, never newer. */
struct row_values {
	char *id, *graph, *correlation_id;
	int64_t created_ms;
	int status;
	json_t *json;
};

struct verifying {
	json_t *findings;
	struct run *run;
	struct row_values row;
	int64_t records;
};

static void find(struct verifying *v, int64_t seq, const char *format, ...) ATTR_PRINTF(3, 4);

static void find(struct verifying *v, int64_t seq, const char *format, ...)
{
	char text[400];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	json_push(v->findings,
	          json_pack("{s:I,s:o}", "seq", (json_int_t)seq, "text", json_text(str_of(text))));
}

static bool same(const json_t *a, const json_t *b)
{
	if (!a || !b)
		return json_array_size(a ? a : b) == 0;
	char *x = json_canon(a), *y = json_canon(b);
	bool ret = strcmp(x, y) == 0;
	free(x);
	free(y);
	return ret;
}

/*
 * Sees each replayed step before the run goes on: what the machine asked for
 * and where it stands must be what the record says.
 */
static void compare_step(void *arg, const json_t *record, const struct effects *effects)
{
	struct verifying *v = arg;
	int64_t seq = json_int(record, "seq", 0);
	json_t *asked = json_array();
	for (size_t i = 0; i < effects->len; i++)
		json_push(asked, effect_to_json(&effects->at[i]));
	if (!same(asked, json_at(record, "effects")))
		find(v, seq, "%s", "the graph asks for something else than is recorded");
	json_decref(asked);
	json_t *states = machine_states(v->run->machine, true);
	if (!same(states, json_at(record, "states")))
		find(v, seq, "%s", "the graph stands in other states than are recorded");
	json_decref(states);
}

/* Who the run is stands in its first record as well. */
static void compare_start(struct verifying *v, const json_t *start, int64_t seq)
{
	const char *const members[][2] = { { "run", v->row.id },
		                           { "graph", v->row.graph },
		                           { "correlation_id", v->row.correlation_id } };
	for (size_t i = 0; start && i < sizeof(members) / sizeof(*members); i++)
		if (strcmp(json_str(start, members[i][0], ""), members[i][1]) != 0)
			find(v, seq, "the run's row has another %s than the journal's start",
			     members[i][0]);
}

/* hash: of the record with this number, as the chain gives it. */
static void compare_head(struct verifying *v, int64_t seq, const char *hash)
{
	const json_t *head = json_at(v->row.json, "head");
	if (head && seq == json_int(head, "seq", 0) &&
	    strcmp(hash, json_str(head, "hash", "")) != 0)
		find(v, seq, "%s",
		     "the chain is another than the one the run's row was written with");
}

/* In verify, inline calls are answered anew and compared with the record. */
static int verify_record(void *arg, const json_t *record, struct err *err)
{
	struct verifying *v = arg;
	struct run *run = v->run;
	v->records++;
	run->verify_findings = v->findings;
	run->verify_seq = json_int(record, "seq", 0);
	compare_head(v, run->verify_seq - 1, json_str(record, "prev", ""));
	compare_start(v, json_at(record, "start"), run->verify_seq);
	return run_replay_record(run, record, err);
}

/* The first record that the file knows otherwise; what was recorded since the file is no fault. */
static void compare_chain(struct verifying *v, const json_t *file, const json_t *now)
{
	const json_t *before = json_at(file, "chain"), *after = json_at(now, "chain");
	for (size_t i = 0; i < json_array_size(before); i++) {
		const json_t *row = json_array_get(before, i);
		if (i < json_array_size(after) && same(row, json_array_get(after, i)))
			continue;
		find(v, json_int(row, "seq", (int64_t)i + 1), "%s",
		     i < json_array_size(after)
		             ? "the audit file knows another record under this number"
		             : "the audit file knows a record that the journal has not");
		return;
	}
}

static void compare_file(struct verifying *v, const json_t *file, const json_t *now)
{
	const char *key;
	json_t *value;
	if (!file || !now)
		return;
	compare_chain(v, file, now);
	json_object_foreach((json_t *)(uintptr_t)now, key, value) {
		if (!same(json_at(file, key), value))
			find(v, 0, "the audit file's '%s' is not what the journal says", key);
	}
	json_object_foreach((json_t *)(uintptr_t)file, key, value)
		if (!json_at(now, key))
			find(v, 0, "the audit file has a member '%s' that no audit has", key);
}

static void copy_row(void *arg, const struct store_run *row)
{
	struct row_values *values = arg;
	values->id = mem_dup_str(row->id);
	values->graph = mem_dup_str(row->graph);
	values->correlation_id = mem_dup_str(row->correlation_id);
	values->created_ms = row->created_ms;
	values->status = row->status;
	values->json = run_row_json(row);
}

static void read_status(void *arg, const struct store_run *row)
{
	int *status = arg;
	*status = row->status;
}

/*
 * The row is only an index: what people see in lists must follow from the journal too.  A run that
 * goes on meanwhile is no fault: the row of an ended one stays, and a row read after the journal
 * is at least as new.
 */
static int compare_row(struct verifying *v, struct err *err)
{
	struct engine *engine = v->run->worker->engine;
	const struct row_values *row = &v->row;
	char hash[2 * JOURNAL_HASH_BYTES + 1];
	crypto_hex(v->run->head.hash, JOURNAL_HASH_BYTES, hash);
	compare_head(v, v->run->head.seq, hash);
	if (v->run->head.seq < json_int(json_at(row->json, "head"), "seq", 1))
		find(v, v->run->head.seq + 1, "%s", "the journal ends before its row was written");
	if (!v->run->release)
		return 0;
	int64_t ignored_wake;
	int status = run_status_now(v->run, &ignored_wake), now = row->status;
	if (status >= STORE_ENDED &&
	    engine->store->ops->run_by_no(engine->store, v->run->no, read_status, &now, err) < 0)
		return err->code;
	if ((status >= STORE_ENDED || now >= STORE_ENDED) && status != now)
		find(v, 0, "the run's row says '%s' and its journal '%s'", status_name(now),
		     status_name(status));
	json_t *summary = run_summary(v->run);
	static const char *const members[] = { "search", "result", "states", "release" };
	for (size_t i = 0; row->status >= STORE_ENDED && i < sizeof(members) / sizeof(*members);
	     i++)
		if (!same(json_at(summary, members[i]), json_at(row->json, members[i])))
			find(v, 0, "the run's row has another '%s' than its journal gives",
			     members[i]);
	json_decref(summary);
	return 0;
}

/*
 * The lowest number that a finding names: from there on nothing is to be trusted.  0: no record
 * is at fault, only what stands beside them.
 */
static int64_t first_bad(const json_t *findings)
{
	int64_t ret = 0;
	for (size_t i = 0; i < json_array_size(findings); i++) {
		int64_t seq = json_int(json_array_get(findings, i), "seq", 0);
		if (seq > 0 && (ret == 0 || seq < ret))
			ret = seq;
	}
	return ret;
}

static void verify_journal(struct verifying *v)
{
	struct engine *engine = v->run->worker->engine;
	struct err broken = { 0 };
	/* A second run object of the same number, seen by nobody: it is not in the worker's map. */
	v->run->created_ms = v->row.created_ms;
	v->run->status = v->row.status;
	v->run->on_replayed = compare_step;
	v->run->on_replayed_arg = v;
	if (journal_read(engine->store, v->run->no, &v->run->head, verify_record, v, &broken) ==
	            0 &&
	    compare_row(v, &broken) == 0)
		return;
	bool is_chain = strcmp(broken.id, "journal.broken") == 0;
	find(v, is_chain ? v->run->head.seq + 1 : v->run->verify_seq, "%s", broken.text);
}

json_t *run_verify(struct worker *worker, int64_t no, const json_t *file, struct err *err)
{
	struct engine *engine = worker->engine;
	struct verifying v = { 0 };
	if (engine->store->ops->run_by_no(engine->store, no, copy_row, &v.row, err) < 0)
		return NULL;
	v.findings = json_array();
	v.run = run_new_detached(worker, no, v.row.id, v.row.graph, v.row.correlation_id);
	verify_journal(&v);
	struct err ignored = { 0 }; /* found already */
	json_t *now = run_audit(engine, no, &ignored);
	compare_file(&v, file, now);
	json_t *ret = json_pack("{s:b,s:s,s:I,s:O}", "ok", json_array_size(v.findings) == 0, "run",
	                        v.row.id, "records", (json_int_t)v.records, "findings", v.findings);
	if (json_array_size(v.findings) > 0)
		json_put_int(ret, "first_bad", first_bad(v.findings));
	else if (now)
		json_put(ret, "head", json_incref(json_at(now, "head")));
	json_decref(v.findings);
	json_decref(now);
	run_free(v.run);
	json_decref(v.row.json);
	free(v.row.id);
	free(v.row.graph);
	free(v.row.correlation_id);
	return ret;
}
