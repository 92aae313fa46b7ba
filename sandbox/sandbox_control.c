/* SPDX-License-Identifier: MIT */
/*
 * /_sandbox/...: what was received, and what shall go wrong.  Every listener
 * answers /_sandbox/requests for its own system; the control listener answers
 * everything for all.  None of this is logged.
 */
#include <stdlib.h>
#include <string.h>

#include "sandbox/sandbox.h"

static void refuse(struct reply *reply, int status, const char *text)
{
	json_t *body = json_object();
	json_put_str(body, "error", text);
	reply_json(reply, status, body);
}

/* The system asked for: the listener's own, ?system= on the control listener, -1 for all. */
static bool system_wanted(const struct request *request, int *ret)
{
	const char *name = pairs_get(&request->query, "system");
	*ret = name ? system_by_name(name) : -1;
	if (request->system != SYSTEM_CONTROL)
		*ret = (int)request->system;
	return request->system != SYSTEM_CONTROL || !name || *ret >= 0;
}

static void requests_list(struct sandbox *box, struct request *request, const struct parts *parts,
                          struct reply *reply)
{
	(void)parts;
	int system;
	if (!system_wanted(request, &system)) {
		refuse(reply, 400, system_names());
		return;
	}
	reply_text(reply, 200, "application/json", "");
	log_list_put(box, system, pairs_get(&request->query, "account"), &reply->body);
}

static void requests_clear(struct sandbox *box, struct request *request, const struct parts *parts,
                           struct reply *reply)
{
	(void)parts;
	int system;
	if (!system_wanted(request, &system)) {
		refuse(reply, 400, system_names());
		return;
	}
	log_clear(box, system);
	reply_text(reply, 204, NULL, "");
}

static void faults_list(struct sandbox *box, struct request *request, const struct parts *parts,
                        struct reply *reply)
{
	(void)request;
	(void)parts;
	reply_json(reply, 200, fault_list_new(box));
}

static void faults_add(struct sandbox *box, struct request *request, const struct parts *parts,
                       struct reply *reply)
{
	(void)parts;
	struct err err = { 0 };
	if (!json_is_object(request->json))
		refuse(reply, 400,
		       "the body is {\"system\",\"kind\",\"rate\",\"count\",\"seed\",\"path\"}");
	else if (fault_add(box, request->json, &err) < 0)
		refuse(reply, 400, err.text);
	else
		reply_json(reply, 201, fault_list_new(box));
}

static void faults_clear(struct sandbox *box, struct request *request, const struct parts *parts,
                         struct reply *reply)
{
	(void)request;
	(void)parts;
	fault_clear(box);
	reply_text(reply, 204, NULL, "");
}

static void show(struct reply *reply, json_t *list)
{
	reply_json(reply, 200, json_incref(list));
}

static void mail_list(struct sandbox *box, struct request *request, const struct parts *parts,
                      struct reply *reply)
{
	(void)request;
	(void)parts;
	show(reply, box->mails);
}

static void tenants_list(struct sandbox *box, struct request *request, const struct parts *parts,
                         struct reply *reply)
{
	(void)request;
	(void)parts;
	show(reply, box->tenants);
}

static void messages_list(struct sandbox *box, struct request *request, const struct parts *parts,
                          struct reply *reply)
{
	(void)request;
	(void)parts;
	show(reply, box->messages);
}

static void reset(struct sandbox *box, struct request *request, const struct parts *parts,
                  struct reply *reply)
{
	(void)request;
	(void)parts;
	fault_clear(box);
	sandbox_reset(box);
	reply_text(reply, 204, NULL, "");
}

/* Every token issued so far is expired. */
static void tokens_expire(struct sandbox *box, struct request *request, const struct parts *parts,
                          struct reply *reply)
{
	(void)parts;
	int system;
	if (!system_wanted(request, &system)) {
		refuse(reply, 400, system_names());
		return;
	}
	for (int i = 0; i < SYSTEM_COUNT; i++)
		if (system < 0 || system == i)
			box->token_generation[i]++;
	reply_text(reply, 204, NULL, "");
}

static void health(struct sandbox *box, struct request *request, const struct parts *parts,
                   struct reply *reply)
{
	(void)request;
	(void)parts;
	scenario_refresh(box);
	json_t *body = json_object(), *accounts = json_array(), *errors = json_array();
	json_t *endpoints = json_object();
	for (int i = 0; i < SYSTEM_COUNT; i++)
		json_put_int(endpoints, system_ops((enum system)i)->name, box->listeners[i].port);
	for (size_t i = 0; i < box->scenarios.len; i++) {
		const struct scenario *scenario = box->scenarios.at[i];
		if (scenario->account_id)
			json_push(accounts, json_text(str_of(scenario->account_id)));
		if (scenario->error)
			json_push(errors, json_text(str_of(scenario->error)));
	}
	json_put_str(body, "status", json_array_size(errors) ? "degraded" : "ok");
	json_put_str(body, "scenarios", box->scenarios.dir);
	json_put(body, "accounts", accounts);
	json_put(body, "errors", errors);
	json_put(body, "ports", endpoints);
	json_put_int(body, "seed", (int64_t)box->seed);
	json_put_int(body, "requests_kept", (int64_t)box->log.len);
	reply_json(reply, 200, body);
}

void control_serve(struct sandbox *box, struct request *request, struct reply *reply)
{
	static const struct route routes[] = {
		{ "GET", "/_sandbox/requests", requests_list },
		{ "DELETE", "/_sandbox/requests", requests_clear },
		{ "GET", "/_sandbox/health", health },
		{ "GET", "/_sandbox/faults", faults_list },
		{ "POST", "/_sandbox/faults", faults_add },
		{ "DELETE", "/_sandbox/faults", faults_clear },
		{ "GET", "/_sandbox/mail", mail_list },
		{ "GET", "/_sandbox/messages", messages_list },
		{ "GET", "/_sandbox/tenants", tenants_list },
		{ "DELETE", "/_sandbox/tokens", tokens_expire },
		{ "POST", "/_sandbox/reset", reset },
		{ "POST", "/_sandbox/click", slack_click },
		{ "POST", "/_sandbox/connect", clm_connect },
	};
	/* A system's own listener speaks of its own requests only. */
	size_t count = request->system == SYSTEM_CONTROL ? sizeof(routes) / sizeof(*routes) : 2;
	switch (route_serve(routes, count, box, request, reply)) {
	case ROUTE_SERVED: return;
	case ROUTE_OTHER_METHOD: refuse(reply, 405, "this path takes another method"); return;
	case ROUTE_NONE: refuse(reply, 404, "sandbox/README.md lists the paths"); return;
	}
}
