/* SPDX-License-Identifier: MIT */
/*
 * Every route, once: what may be asked, who may, how much is read, who answers.
 * Matching, permissions, limits, the check of parameters and members, the
 * OpenAPI document and the figures all come from this table.
 */
#include "serve/serve_int.h"

enum { SMALL = 16 * 1024, FULL = LIMIT_JSON_BYTES };

const struct route serve_routes[] = {
	{ .method = "GET",
	  .path = "/healthz",
	  .permission = MAY_ANYONE,
	  .handle = handle_health,
	  .ok = 200,
	  .summary = "Is the process alive?" },
	{ .method = "GET",
	  .path = "/readyz",
	  .permission = MAY_ANYONE,
	  .handle = handle_ready,
	  .ok = 200,
	  .summary = "Does it take work?" },
	{ .method = "GET",
	  .path = "/metrics",
	  .permission = MAY_READ,
	  .handle = handle_metrics,
	  .ok = 200,
	  .summary = "Figures, in the text format of Prometheus",
	  .type = "text/plain; version=0.0.4" },
	{ .method = "GET",
	  .path = "/v1/openapi.json",
	  .permission = MAY_READ,
	  .handle = handle_openapi,
	  .ok = 200,
	  .summary = "This document" },

	{ .method = "POST",
	  .path = "/v1/runs",
	  .permission = MAY_RUN,
	  .handle = handle_run_start,
	  .ok = 202,
	  .body_max = FULL,
	  .query = { "wait" },
	  .summary = "Start a run; with wait=SECONDS the answer comes when it rests (200)",
	  .fields = { { "graph", 's', true, "the graph's name" },
	              { "input", 'o', false, "what the run is given" },
	              { "correlation_id", 's', false,
	                "names the run once; default: Idempotency-Key" } } },
	{ .method = "GET",
	  .path = "/v1/runs",
	  .permission = MAY_READ,
	  .handle = handle_run_list,
	  .ok = 200,
	  .summary = "Runs, newest first; next is the cursor of the next page",
	  .query = { "graph", "status", "since", "until", "where.*", "limit", "cursor" } },
	{ .method = "GET",
	  .path = "/v1/runs/{run}",
	  .permission = MAY_READ,
	  .handle = handle_run_show,
	  .ok = 200,
	  .summary = "A run; its data only for who may read data" },
	{ .method = "GET",
	  .path = "/v1/runs/{run}/journal",
	  .permission = MAY_DATA,
	  .handle = handle_run_journal,
	  .ok = 200,
	  .summary = "Its records",
	  .query = { "from", "limit" } },
	{ .method = "GET",
	  .path = "/v1/runs/{run}/artifacts",
	  .permission = MAY_DATA,
	  .handle = handle_run_artifacts,
	  .ok = 200,
	  .summary = "Names of the files it made" },
	{ .method = "GET",
	  .path = "/v1/runs/{run}/artifacts/{name}",
	  .permission = MAY_DATA,
	  .handle = handle_run_artifact,
	  .ok = 200,
	  .summary = "One of them",
	  .type = "text/plain" },
	{ .method = "GET",
	  .path = "/v1/runs/{run}/events",
	  .permission = MAY_READ,
	  .handle = handle_run_events,
	  .ok = 200,
	  .summary = "Its records as they come (Server-Sent Events)",
	  .type = "text/event-stream" },
	{ .method = "POST",
	  .path = "/v1/runs/{run}/cancel",
	  .permission = MAY_RUN,
	  .handle = handle_run_cancel,
	  .ok = 200,
	  .body_max = SMALL,
	  .summary = "Cancel it",
	  .fields = { { "reason", 's', false, "for the record" } } },
	{ .method = "POST",
	  .path = "/v1/runs/{run}/signal",
	  .permission = MAY_RUN,
	  .handle = handle_run_signal,
	  .ok = 200,
	  .body_max = FULL,
	  .summary = "Send it an event",
	  .fields = { { "event", 's', true, "a name that does not begin with done. or error." },
	              { "data", 'j', false, "the event's data" },
	              { "id", 's', false,
	                "the same id is taken once; default: Idempotency-Key" } } },
	{ .method = "POST",
	  .path = "/v1/runs/{run}/repin",
	  .permission = MAY_RUN,
	  .handle = handle_run_repin,
	  .ok = 200,
	  .body_max = SMALL,
	  .summary = "Move it to the files as they are",
	  .fields = { { "reason", 's', false, "for the record" } } },
	{ .method = "POST",
	  .path = "/v1/runs/{run}/replay",
	  .permission = MAY_RUN,
	  .handle = handle_run_replay,
	  .ok = 200,
	  .body_max = SMALL,
	  .summary = "Decide it again and compare" },

	{ .method = "GET",
	  .path = "/v1/tasks",
	  .permission = MAY_READ,
	  .handle = handle_task_list,
	  .ok = 200,
	  .summary = "What waits for people",
	  .query = { "role", "owner", "status", "run", "overdue", "limit" } },
	{ .method = "POST",
	  .path = "/v1/tasks/{task}/approve",
	  .permission = MAY_APPROVE,
	  .handle = handle_task_approve,
	  .ok = 200,
	  .body_max = SMALL,
	  .summary = "Approve what was shown",
	  .fields = { { "comment", 's', false, "why" },
	              { "shown_sha256", 's', false,
	                "of what was shown; another is a conflict" } } },
	{ .method = "POST",
	  .path = "/v1/tasks/{task}/reject",
	  .permission = MAY_APPROVE,
	  .handle = handle_task_reject,
	  .ok = 200,
	  .body_max = SMALL,
	  .summary = "Reject it",
	  .fields = { { "comment", 's', false, "why" },
	              { "shown_sha256", 's', false,
	                "of what was shown; another is a conflict" } } },
	{ .method = "POST",
	  .path = "/v1/tasks/{task}/complete",
	  .permission = MAY_COMPLETE,
	  .handle = handle_task_complete,
	  .ok = 200,
	  .body_max = FULL,
	  .summary = "Say that it is done; of a call that was unsure, what happened",
	  .fields = { { "outcome", 's', false, "done (the default), happened, repeat, failed" },
	              { "comment", 's', false, "why" },
	              { "result", 'j', false, "of a call that happened: its result" } } },

	{ .method = "GET",
	  .path = "/v1/audit/{run}",
	  .permission = MAY_AUDIT,
	  .handle = handle_audit_show,
	  .ok = 200,
	  .summary = "The audit of a run" },
	{ .method = "POST",
	  .path = "/v1/audit/{run}/verify",
	  .permission = MAY_AUDIT,
	  .handle = handle_audit_verify,
	  .ok = 200,
	  .body_max = FULL,
	  .summary = "Check the chain, the decision, and an exported audit",
	  .fields = { { "file", 'o', false, "an audit that was exported" } } },
	{ .method = "GET",
	  .path = "/v1/graphs",
	  .permission = MAY_READ,
	  .handle = handle_graphs,
	  .ok = 200,
	  .summary = "Graphs that can be started" },
	{ .method = "GET",
	  .path = "/v1/plugins",
	  .permission = MAY_READ,
	  .handle = handle_plugins,
	  .ok = 200,
	  .summary = "Plugins and their versions" },
	{ .method = "GET",
	  .path = "/v1/connections",
	  .permission = MAY_READ,
	  .handle = handle_connections,
	  .ok = 200,
	  .summary = "Connections and their health" },
	{ .method = "GET",
	  .path = "/v1/tokens",
	  .permission = MAY_TOKENS,
	  .handle = handle_tokens,
	  .ok = 200,
	  .summary = "Tokens, without what they are" },
	{ .method = "DELETE",
	  .path = "/v1/tokens/{id}",
	  .permission = MAY_TOKENS,
	  .handle = handle_token_revoke,
	  .ok = 200,
	  .summary = "Revoke one, effective at once" },

	{ .method = "POST",
	  .path = "/webhook/{source}",
	  .permission = MAY_SIGNED,
	  .handle = handle_webhook,
	  .ok = 202,
	  .body_max = FULL,
	  .is_raw = true,
	  .summary = "A signed delivery; 202 once the run is durable, 200 when it came before" },
};
const size_t serve_route_count = sizeof(serve_routes) / sizeof(*serve_routes);

/* Does the pattern fit?  Braces take any segment. */
static bool fits(const char *pattern, char *const *segments, size_t count,
                 const char *ids[ROUTE_IDS])
{
	size_t id = 0;
	for (size_t i = 0; i < count; i++) {
		if (*pattern++ != '/')
			return false;
		size_t len = strcspn(pattern, "/");
		if (*pattern == '{') {
			must(id < ROUTE_IDS);
			ids[id++] = segments[i];
		} else if (strlen(segments[i]) != len || memcmp(segments[i], pattern, len) != 0) {
			return false;
		}
		pattern += len;
	}
	return *pattern == '\0';
}

const struct route *route_find(const char *method, char *const *segments, size_t count,
                               const char *ids[ROUTE_IDS])
{
	for (size_t i = 0; i < serve_route_count; i++) {
		const char *found[ROUTE_IDS] = { NULL, NULL };
		if (strcmp(serve_routes[i].method, method) != 0 ||
		    !fits(serve_routes[i].path, segments, count, found))
			continue;
		memcpy(ids, found, sizeof(found));
		return &serve_routes[i];
	}
	return NULL;
}

void route_methods(char *const *segments, size_t count, struct buf *ret)
{
	for (size_t i = 0; i < serve_route_count; i++) {
		const char *found[ROUTE_IDS];
		if (fits(serve_routes[i].path, segments, count, found))
			buf_printf(ret, "%s%s", ret->len > 0 ? ", " : "", serve_routes[i].method);
	}
}
