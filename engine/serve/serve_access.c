/* SPDX-License-Identifier: MIT */
/*
 * The access journal over HTTP, and what goes into it from here: who was denied
 * what, and who did what no run's journal tells.  Noting waits for nobody: the
 * answer does not depend on it, and the engine counts what comes too fast.
 */
#include "serve/serve_int.h"

static void noted(void *arg, const json_t *reply, bool is_last)
{
	struct serve *serve = arg;
	(void)reply;
	if (is_last)
		atomic_fetch_sub(&serve->engine_owes, 1);
}

void access_tell(struct exchange *x, const char *outcome, const char *code)
{
	struct serve *serve = x->serve;
	json_t *what = json_pack("{s:s,s:s,s:s,s:s}", "outcome", outcome, "method",
	                         x->route->method, "path", x->route->path, "needs",
	                         permission_name(x->route->permission));
	json_put_str(what, "code", code);
	json_put_str(what, "by", *x->who.owner ? x->who.owner : NULL);
	/* Which one: a name from the path, which anybody may have made up. */
	if (x->ids[0])
		json_put(what, "about", json_sprintf("%.80s", x->ids[0]));
	json_t *request = json_pack("{s:s,s:o}", "op", "access.note", "what", what);
	atomic_fetch_add(&serve->engine_owes, 1);
	engine_request(serve->options.engine, request, noted, serve);
	json_decref(request);
}

void handle_access_list(struct exchange *x)
{
	int64_t from = exchange_number(x, "from", 1, INT64_MAX, 1);
	int64_t limit = from < 0 ? -1 : exchange_number(x, "limit", 1, 1000, 1000);
	if (limit < 0)
		return;
	json_t *request = exchange_request(x, "access.list");
	json_put_int(request, "from", from);
	json_put_int(request, "limit", limit);
	exchange_ask_member(x, request, NULL);
}

void handle_access_verify(struct exchange *x)
{
	exchange_ask_member(x, exchange_request(x, "access.verify"), "verify");
}
