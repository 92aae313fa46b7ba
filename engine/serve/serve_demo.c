/* SPDX-License-Identifier: MIT */
/*
 * The demonstration: runs of the sandbox's accounts, and errors at random in the
 * systems that it stands in for.  Only where the sandbox's control port is a
 * connection; elsewhere there is nothing here.
 *
 *   demo = { graph = "onboarding", connection = "sandbox", member = "account_id" }
 */
#include "serve/serve_int.h"

static const char *const systems[] = {
	"salesforce", "netsuite", "clm", "slack", "llm", "provision"
};
enum { SYSTEMS = sizeof(systems) / sizeof(*systems) };
static const double default_rate = 0.2; /* of Salesforce, NetSuite and the CLM */

int demo_read(struct serve *serve, const json_t *table, struct err *err)
{
	static const char *const known[] = { "graph", "connection", "member" };
	const char *key;
	json_t *value;
	if (!table)
		return 0;
	if (!json_is_object(table))
		return err_set_id(err, ERR_INPUT, "config.demo", "serve.demo must be a table");
	json_object_foreach((json_t *)(uintptr_t)table, key, value) {
		bool is_known = false;
		for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
			is_known = is_known || strcmp(key, known[i]) == 0;
		if (!is_known || !json_is_string(value))
			return err_set_id(
				err, ERR_INPUT, "config.demo",
				"serve.demo knows graph, connection and member, which are "
				"texts; not '%.60s'",
				key);
	}
	serve->demo = json_deep_copy(table);
	return 0;
}

static bool is_there(struct exchange *x)
{
	if (x->serve->demo)
		return true;
	exchange_problem(x, 404, "demo.absent", "path", "no sandbox is configured here",
	                 "serve.demo in the configuration");
	return false;
}

/* --- runs ------------------------------------------------------------------------------ */

static json_t *start_of(const struct exchange *x, const char *account)
{
	return json_pack("{s:s,s:{s:s}}", "graph", json_str(x->serve->demo, "graph", "onboarding"),
	                 "input", json_str(x->serve->demo, "member", "account_id"), account);
}

static void started(struct exchange *x, const json_t *reply, bool is_last)
{
	const json_t *error = json_at(reply, "error"), *run = json_at(reply, "run");
	if (!is_last)
		return;
	if (error)
		exchange_error(x, error);
	else
		exchange_json_at(x, 202, run, mem_format("/v1/runs/%s", json_str(run, "id", "")));
}

void handle_demo_run(struct exchange *x)
{
	if (!is_there(x))
		return;
	json_t *request = exchange_request(x, "run.start"), *start = start_of(x, x->ids[0]);
	json_object_update(request, start);
	json_put_str(request, "correlation_id", x->frame.key);
	json_decref(start);
	exchange_ask(x, request, started);
}

static json_t *ask_control(const struct exchange *x, const char *method, const char *path)
{
	return json_pack("{s:s,s:s,s:s,s:s,s:i}", "op", "wire.ask", "connection",
	                 json_str(x->serve->demo, "connection", "sandbox"), "method", method,
	                 "path", path, "timeout_ms", 5000);
}

/* True: the sandbox answered as it should; else a problem was answered. */
static bool is_answered(struct exchange *x, const json_t *reply)
{
	const json_t *error = json_at(reply, "error");
	const char *text = json_str(error, "text", "the sandbox refused it");
	if (!error && json_int(reply, "code", 0) / 100 == 2)
		return true;
	if (strcmp(json_str(error, "id", ""), "connection.absent") == 0)
		exchange_problem(x, 404, "demo.absent", "path", "no sandbox is configured here",
		                 "set the address of its control port");
	else
		exchange_problem(x, 503, "demo.no_sandbox", NULL, text,
		                 "is gangway-sandbox running?");
	return false;
}

static void all_started(struct exchange *x, const json_t *reply, bool is_last)
{
	const json_t *error = json_at(reply, "error");
	if (!is_last)
		return;
	if (error) {
		exchange_error(x, error);
		return;
	}
	json_t *body = json_pack("{s:O}", "results", json_at(reply, "results"));
	exchange_json(x, 202, body);
	json_decref(body);
}

static void accounts_known(struct exchange *x, const json_t *reply, bool is_last)
{
	if (!is_last || !is_answered(x, reply))
		return;
	json_t *health = json_loads(json_str(reply, "body", ""), 0, NULL);
	const json_t *accounts = json_at(health, "accounts");
	json_t *starts = json_array();
	for (size_t i = 0; i < json_array_size(accounts); i++) {
		const json_t *account = json_array_get(accounts, i);
		const char *id = json_is_string(account) ? json_string_value(account)
		                                         : json_str(account, "account_id", "");
		json_push(starts, start_of(x, id));
	}
	json_decref(health);
	json_t *request = exchange_request(x, "run.batch");
	json_put(request, "starts", starts);
	json_put_str(request, "key", x->frame.key);
	exchange_ask(x, request, all_started);
}

void handle_demo_run_all(struct exchange *x)
{
	if (is_there(x))
		exchange_ask(x, ask_control(x, "GET", "/_sandbox/health"), accounts_known);
}

/* --- errors at random ------------------------------------------------------------------ */

/* Rates by system, one told after the other. */
struct setting {
	size_t next;
	double rates[SYSTEMS];
	const char *kind;
	int64_t seed;
};

static void tell_next(struct exchange *x);

static void told(struct exchange *x, const json_t *reply, bool is_last)
{
	if (is_last && is_answered(x, reply))
		tell_next(x);
}

static void tell_next(struct exchange *x)
{
	struct setting *setting = x->own;
	while (setting->next < SYSTEMS && setting->rates[setting->next] <= 0)
		setting->next++;
	if (setting->next == SYSTEMS) {
		json_t *rates = json_object();
		for (size_t i = 0; i < SYSTEMS; i++)
			json_put(rates, systems[i], json_real(setting->rates[i]));
		json_t *body = json_pack("{s:o,s:s}", "rates", rates, "kind", setting->kind);
		exchange_json(x, 200, body);
		json_decref(body);
		return;
	}
	size_t i = setting->next++;
	json_t *request = ask_control(x, "POST", "/_sandbox/faults");
	json_put(request, "body",
	         json_pack("{s:s,s:s,s:f,s:I}", "system", systems[i], "kind", setting->kind, "rate",
	                   setting->rates[i], "seed", (json_int_t)(setting->seed + (int64_t)i)));
	exchange_ask(x, request, told);
}

/* The old rules are gone: now the new ones, if any. */
static void cleared(struct exchange *x, const json_t *reply, bool is_last)
{
	if (is_last && is_answered(x, reply))
		tell_next(x);
}

static bool read_rates(struct exchange *x, struct setting *setting)
{
	const json_t *rates = json_at(x->json, "rates");
	const char *name;
	json_t *value;
	json_object_foreach((json_t *)(uintptr_t)rates, name, value) {
		size_t i = 0;
		while (i < SYSTEMS && strcmp(systems[i], name) != 0)
			i++;
		double rate = json_number_value(value);
		if (i == SYSTEMS || !json_is_number(value) || rate < 0 || rate > 1) {
			exchange_problem(
				x, 422, "demo.rates", "body.rates",
				"a rate is 0 to 1, of a system that the sandbox stands in for",
				"salesforce, netsuite, clm, slack, llm, provision");
			return false;
		}
		setting->rates[i] = rate;
	}
	return true;
}

void handle_demo_errors_on(struct exchange *x)
{
	static const char *const kinds[] = { "400", "401",  "403",  "404",  "429",    "500",
		                             "503", "lost", "half", "slow", "garbage" };
	struct setting *setting = arena_alloc(&x->arena, sizeof(*setting));
	const char *kind = json_str(x->json, "kind", "503");
	if (!is_there(x))
		return;
	for (size_t i = 0; i < 3 && !json_at(x->json, "rates"); i++)
		setting->rates[i] = default_rate;
	setting->seed = json_int(x->json, "seed", 1);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (strcmp(kinds[i], kind) == 0)
			setting->kind = kinds[i];
	x->own = setting;
	if (!setting->kind)
		exchange_problem(x, 422, "demo.kind", "body.kind", "there is no such error",
		                 "400, 401, 403, 404, 429, 500, 503, lost, half, slow, garbage");
	else if (read_rates(x, setting))
		exchange_ask(x, ask_control(x, "DELETE", "/_sandbox/faults"), cleared);
}

void handle_demo_errors_off(struct exchange *x)
{
	struct setting *setting = arena_alloc(&x->arena, sizeof(*setting));
	setting->kind = "none";
	x->own = setting;
	if (is_there(x))
		exchange_ask(x, ask_control(x, "DELETE", "/_sandbox/faults"), cleared);
}
