/* SPDX-License-Identifier: MIT */
/*
 * What must hold after any crash, whatever the scenario: what was acknowledged
 * is there; the journal is a chain and its decisions follow from it; each result
 * is on record once; the far side saw one key and one body per call, and no
 * message twice whose call is on record as answered; what nobody can know is one
 * task; every artifact that the journal names lies there whole.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "crash.h"

void complain(struct trial *trial, const char *format, ...)
{
	char text[1000];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	buf_printf(&trial->complaints, "#   %s\n", text);
}

json_t *trial_ask(struct trial *trial, const char *format, ...)
{
	va_list args;
	char text[2000];
	va_start(args, format);
	int len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	json_t *request = len < (int)sizeof(text) ? json_loads(text, 0, NULL) : NULL;
	if (!request)
		abort();
	json_t *reply = inside_ask(trial->world->inside, request);
	if (json_at(reply, "error"))
		complain(trial, "%s: %s", text, json_str(json_at(reply, "error"), "text", ""));
	return reply;
}

json_t *trial_find(struct trial *trial, const char *graph, const char *correlation_id)
{
	json_t *ret = NULL;
	json_t *reply = trial_ask(trial, "{\"op\":\"run.list\",\"graph\":\"%s\",\"limit\":1000}",
	                          graph);
	const json_t *runs = json_at(reply, "runs");
	for (size_t i = 0; i < json_array_size(runs); i++)
		if (strcmp(json_str(json_array_get(runs, i), "correlation_id", ""),
		           correlation_id) == 0)
			ret = json_incref(json_array_get(runs, i));
	json_decref(reply);
	return ret;
}

/* --- what the journals say -------------------------------------------------------------------- */

/* By "run number.element": {"type", "answered": n, "unsure": n}. */
struct facts {
	json_t *calls;
	json_t *artifacts; /* name -> text, the last one written */
	json_t *audits;    /* names of audit files that must be there */
};

static json_t *fact_of(struct facts *facts, const char *run, const json_t *at, const char *number,
                       const char *element)
{
	char *key = mem_format("%s %lld.%lld", run, (long long)json_int(at, number, 0),
	                       (long long)json_int(at, element, 0));
	json_t *fact = json_at(facts->calls, key);
	if (!fact) {
		fact = json_object();
		json_put(facts->calls, key, fact);
	}
	free(key);
	return fact;
}

static void count_up(json_t *fact, const char *what)
{
	json_put_int(fact, what, json_int(fact, what, 0) + 1);
}

static void learn_record(struct facts *facts, const char *run, const json_t *record)
{
	const char *kind = json_str(record, "kind", "");
	const json_t *effects = json_at(record, "effects"), *input = json_at(record, "input");
	for (size_t i = 0; i < json_array_size(effects); i++) {
		const json_t *effect = json_array_get(effects, i);
		if (json_at(effect, "type"))
			json_put_str(fact_of(facts, run, effect, "number", "element"), "type",
			             json_str(effect, "type", ""));
	}
	if (strcmp(json_str(input, "kind", ""), "result") == 0) {
		json_t *fact = fact_of(facts, run, input, "number", "element");
		bool is_blocked = strcmp(kind, "blocked") == 0;
		count_up(fact, is_blocked                       ? "blocked"
		               : json_truth(input, "ok", false) ? "answered"
		                                                : "failed");
	}
	if (strcmp(kind, "unsure") == 0)
		count_up(fact_of(facts, run, record, "n", "e"), "unsure");
	const json_t *artifacts = json_at(record, "artifacts");
	for (size_t i = 0; i < json_array_size(artifacts); i++) {
		const json_t *row = json_array_get(artifacts, i);
		json_put(facts->artifacts, json_str(row, "name", ""),
		         json_incref(json_at(row, "text")));
	}
}

/* What the process said before it died must be what the journal says. */
static void check_acknowledged(struct trial *trial, const char *run, const json_t *records)
{
	for (size_t i = 0; i < json_array_size(trial->first.lines); i++) {
		const json_t *step = json_at(json_array_get(trial->first.lines, i), "step");
		if (!step || strcmp(json_str(step, "run", ""), run) != 0)
			continue;
		const json_t *record = json_array_get(records,
		                                      (size_t)(json_int(step, "seq", 1) - 1));
		if (!record || !json_equal(json_at(record, "at"), json_at(step, "at")) ||
		    !json_equal(json_at(record, "kind"), json_at(step, "kind")))
			complain(trial, "record %lld of run %s was acknowledged and is not there",
			         (long long)json_int(step, "seq", 0), run);
	}
}

/* The chain and the decision, and what an audit file says of them. */
static void check_audit(struct trial *trial, const char *run, const char *file_text)
{
	char why[600];
	json_t *request = json_pack("{s:s,s:s}", "op", "audit.verify", "run", run);
	if (file_text)
		json_put(request, "file", json_loads(file_text, 0, NULL));
	json_t *reply = inside_ask(trial->world->inside, request);
	if (!json_truth(json_at(reply, "verify"), "ok", false)) {
		char *text = json_dumps(reply, JSON_COMPACT);
		snprintf(why, sizeof(why), "%s", text ? text : "?");
		complain(trial, "audit verify of %s%s: %s", run, file_text ? " with its file" : "",
		         why);
		free(text);
	}
	json_decref(reply);
}

static void check_run(struct trial *trial, struct facts *facts, const json_t *run)
{
	const char *id = json_str(run, "id", ""), *status = json_str(run, "status", "");
	json_t *reply = trial_ask(trial, "{\"op\":\"run.events\",\"run\":\"%s\"}", id);
	const json_t *records = json_at(reply, "records");
	for (size_t i = 0; i < json_array_size(records); i++)
		learn_record(facts, id, json_array_get(records, i));
	check_acknowledged(trial, id, records);
	json_decref(reply);
	check_audit(trial, id, NULL);
	bool is_ended = strcmp(status, "ended") == 0 || strcmp(status, "cancelled") == 0;
	if (is_ended)
		json_put(facts->audits, id, json_true());
	else if (strcmp(status, "blocked") == 0 || strcmp(status, "running") == 0)
		complain(trial, "run %s of %s is %s", id, json_str(run, "graph", ""), status);
}

static bool is_among(const json_t *runs, const char *id)
{
	for (size_t i = 0; i < json_array_size(runs); i++)
		if (strcmp(json_str(json_array_get(runs, i), "id", ""), id) == 0)
			return true;
	return false;
}

/* Each acknowledged run is one of those that are there. */
static void check_started(struct trial *trial, const json_t *runs)
{
	const char *accepted;
	json_t *ignored;
	json_object_foreach(trial->accepted, accepted, ignored)
		if (!is_among(runs, accepted))
			complain(trial, "run %s was answered with 2xx and is not there", accepted);
	for (size_t i = 0; i < json_array_size(trial->first.lines); i++) {
		const json_t *line = json_array_get(trial->first.lines, i);
		const char *id = json_at(line, "step") ? json_str(json_at(line, "step"), "run", "")
		                                       : json_str(json_at(line, "run"), "id", NULL);
		if (id && !is_among(runs, id))
			complain(trial, "run %s was acknowledged and is not there", id);
	}
}

/* --- what the far side saw -------------------------------------------------------------------- */

/* Messages of one kind: at least those answered, at most those and the unsure ones; none twice. */
static void check_messages(struct trial *trial, const struct facts *facts, const char *type,
                           const char *path, const char *text_key)
{
	int answered = 0, unsure = 0;
	const char *key;
	json_t *fact;
	json_object_foreach(facts->calls, key, fact) {
		if (strcmp(json_str(fact, "type", ""), type) != 0)
			continue;
		answered += json_int(fact, "answered", 0) > 0;
		unsure += json_int(fact, "answered", 0) == 0 && json_int(fact, "unsure", 0) > 0;
		if (json_int(fact, "failed", 0) > 0)
			complain(trial, "the call %s of %s failed", key, type);
	}
	json_t *seen = world_heard(trial->world, path), *texts = json_object();
	int got = (int)json_array_size(seen);
	if (got < answered || got > answered + unsure)
		complain(trial, "%s: %d messages came, %d are on record as answered, %d as unsure",
		         type, got, answered, unsure);
	for (size_t i = 0; i < json_array_size(seen); i++) {
		const char *text = json_str(json_array_get(seen, i), text_key, "");
		if (json_at(texts, text))
			complain(trial, "%s: this message came twice: %.60s", type, text);
		json_put(texts, text, json_true());
	}
	json_decref(texts);
	json_decref(seen);
	trial->unsure += unsure;
}

static void check_keys(struct trial *trial)
{
	json_t *requests = world_heard(trial->world, "/_sandbox/requests"), *bodies = json_object();
	for (size_t i = 0; i < json_array_size(requests); i++) {
		const json_t *request = json_array_get(requests, i);
		const char *key = json_str(json_at(request, "headers"), "Idempotency-Key", NULL);
		if (!key)
			continue;
		json_t *body = json_at(request, "body"), *before = json_at(bodies, key);
		if (before && !json_equal(before, body))
			complain(trial, "one key came with two bodies: %s %s",
			         json_str(request, "system", ""), json_str(request, "path", ""));
		json_put(bodies, key, body ? json_incref(body) : json_null());
	}
	json_decref(bodies);
	json_decref(requests);
}

static void check_tenants(struct trial *trial)
{
	json_t *tenants = world_heard(trial->world, "/_sandbox/tenants"), *accounts = json_object();
	for (size_t i = 0; i < json_array_size(tenants); i++) {
		const char *account = json_str(json_array_get(tenants, i), "externalId", "?");
		if (json_at(accounts, account))
			complain(trial, "%s was provisioned twice", account);
		json_put(accounts, account, json_true());
	}
	json_decref(accounts);
	json_decref(tenants);
}

/* --- tasks and files -------------------------------------------------------------------------- */

/* Exactly one task for each call that nobody can know of, and no result twice. */
static void check_calls(struct trial *trial, const struct facts *facts)
{
	json_t *reply = trial_ask(trial, "{\"op\":\"task.list\",\"limit\":1000}");
	const json_t *tasks = json_at(reply, "tasks");
	const char *key;
	json_t *fact;
	json_object_foreach(facts->calls, key, fact) {
		int64_t results = json_int(fact, "answered", 0) + json_int(fact, "failed", 0);
		int found = 0;
		if (results > 1)
			complain(trial, "the call %s has %lld results on record", key,
			         (long long)results);
		for (size_t i = 0; i < json_array_size(tasks); i++) {
			const json_t *task = json_array_get(tasks, i);
			char *own = mem_format("%s %lld.%lld", json_str(task, "run", ""),
			                       (long long)json_int(task, "number", 0),
			                       (long long)json_int(task, "element", 0));
			found += strcmp(json_str(task, "kind", ""), "unsure") == 0 &&
			         strcmp(own, key) == 0;
			free(own);
		}
		if (found != (json_int(fact, "unsure", 0) > 0))
			complain(
				trial,
				"the call %s has %d tasks to reconcile it, %lld records say unsure",
				key, found, (long long)json_int(fact, "unsure", 0));
	}
	json_decref(reply);
}

static void check_files(struct trial *trial, const struct facts *facts)
{
	json_t *files = world_artifacts(trial->world);
	const char *name;
	json_t *text;
	json_object_foreach(facts->artifacts, name, text) {
		const json_t *file = json_at(files, name);
		if (!file)
			complain(trial, "the artifact %s is missing", name);
		else if (!json_equal(file, text))
			complain(trial, "the artifact %s is not what the journal says", name);
	}
	json_object_foreach(facts->audits, name, text) {
		char *file = mem_format("audit_%s.json", name);
		const json_t *audit = json_at(files, file);
		if (!audit)
			complain(trial, "%s is missing", file);
		else
			check_audit(trial, name, json_string_value(audit));
		free(file);
	}
	json_object_foreach(files, name, text)
		if (name[0] == '.')
			complain(trial, "a half-written file was left behind: %s", name);
	json_decref(files);
}

void trial_check_all(struct trial *trial)
{
	struct facts facts = { json_object(), json_object(), json_object() };
	json_t *reply = trial_ask(trial, "{\"op\":\"run.list\",\"limit\":1000}");
	const json_t *runs = json_at(reply, "runs");
	for (size_t i = 0; i < json_array_size(runs); i++)
		check_run(trial, &facts, json_array_get(runs, i));
	check_started(trial, runs);
	check_messages(trial, &facts, "slack", "/_sandbox/messages", "text");
	check_messages(trial, &facts, "email", "/_sandbox/mail", "subject");
	check_keys(trial);
	check_tenants(trial);
	check_calls(trial, &facts);
	check_files(trial, &facts);
	json_decref(reply);
	json_decref(facts.calls);
	json_decref(facts.artifacts);
	json_decref(facts.audits);
}
