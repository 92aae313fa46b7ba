/* SPDX-License-Identifier: MIT */
/*
 * Requests made from the OpenAPI document, valid ones and others: whatever comes,
 * the answer is none of the server's own faults, and one that the document names.
 * The seed is fixed; --seed N and --rounds N look elsewhere and longer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rand.h"
#include "check.h"
#include "serve/serve_int.h"
#include "served.h"

enum { ROUNDS = 20, KNOWN_MAX = 8 };

struct fuzz {
	struct served *served;
	struct rand rand;
	const json_t *document;
	char known[KNOWN_MAX][100]; /* names that exist: runs, tasks, a schedule, a graph */
	size_t known_count;
	size_t by_class[6];
};

static uint64_t below(struct fuzz *f, uint64_t count)
{
	return rand_below(&f->rand, count);
}

static void put_encoded(struct buf *out, const char *text)
{
	for (const char *c = text; *c; c++)
		if ((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '.' || *c == '-')
			buf_put_len(out, c, 1);
		else
			buf_printf(out, "%%%02X", (unsigned)(unsigned char)*c);
}

static const char *odd_text(struct fuzz *f)
{
	static const char *const odd[] = {
		"",
		"0",
		"-1",
		"1",
		"true",
		"null",
		"x",
		"2026-11-21",
		"soon",
		"99999999999",
		"a b",
		"<script>",
		"'; DROP",
		"../../etc",
		"\xc3\xa4",
		"%s%n",
		"open",
		"echo",
		"idle",
		"0 6 * * *",
		"@daily",
		"approved",
		"done",
		"cancel",
		"signal",
		"go",
		"9007199254740993",
		"2026-11-21T07:31:57Z",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	};
	if (below(f, 3) == 0)
		return f->known[below(f, f->known_count)];
	return odd[below(f, sizeof(odd) / sizeof(*odd))];
}

/* --- the target ---------------------------------------------------------------------- */

static void put_path(struct fuzz *f, const char *path, struct buf *out)
{
	for (const char *c = path; *c; c++) {
		if (*c != '{') {
			buf_put_len(out, c, 1);
			continue;
		}
		const char *text = odd_text(f);
		put_encoded(out, *text ? text : "q");
		c += strcspn(c, "}");
	}
}

static void put_query(struct fuzz *f, const json_t *operation, struct buf *out)
{
	const json_t *parameters = json_at(operation, "parameters");
	char mark = '?';
	for (size_t i = 0; i < json_array_size(parameters); i++) {
		const json_t *parameter = json_array_get(parameters, i);
		const char *name = json_str(parameter, "name", "");
		if (strcmp(json_str(parameter, "in", ""), "query") != 0 || below(f, 3) != 0)
			continue;
		buf_put_len(out, &mark, 1);
		mark = '&';
		size_t len = strcspn(name, "*");
		buf_printf(out, "%.*s%s=", (int)len, name, name[len] ? "say" : "");
		/* Nobody waits here: the time to wait is none, or no number. */
		put_encoded(out,
		            strcmp(name, "wait") == 0 ? (below(f, 2) ? "0" : "x") : odd_text(f));
	}
	if (below(f, 20) == 0)
		buf_printf(out, "%cunknown=1", mark);
}

/* --- the body -------------------------------------------------------------------------- */

static json_t *any_json(struct fuzz *f, int depth)
{
	switch (below(f, depth > 3 ? 6 : 8)) {
	case 0: return json_null();
	case 1: return json_boolean(below(f, 2));
	case 2: return json_integer((json_int_t)below(f, 100) - 1);
	case 3: return json_real(1.5);
	case 4: return json_string(odd_text(f));
	case 5: return json_object();
	case 6: {
		json_t *ret = json_array();
		for (uint64_t i = below(f, 4); i > 0; i--)
			json_push(ret, any_json(f, depth + 1));
		return ret;
	}
	default: {
		json_t *ret = json_object();
		for (uint64_t i = below(f, 4); i > 0; i--)
			json_put(ret, odd_text(f), any_json(f, depth + 1));
		json_put_str(ret, "graph", below(f, 2) ? "echo" : "idle");
		return ret;
	}
	}
}

static json_t *value_for(struct fuzz *f, const char *type)
{
	if (below(f, 10) == 0)
		return any_json(f, 0);
	if (strcmp(type, "string") == 0)
		return json_string(odd_text(f));
	if (strcmp(type, "integer") == 0)
		return json_integer((json_int_t)below(f, 20) - 2);
	if (strcmp(type, "boolean") == 0)
		return json_boolean(below(f, 2));
	if (strcmp(type, "object") == 0)
		return json_pack("{s:s}", "say", odd_text(f));
	if (strcmp(type, "array") == 0)
		return json_pack("[o,o]", any_json(f, 1), json_pack("{s:s}", "graph", "echo"));
	return any_json(f, 0);
}

static char *make_body(struct fuzz *f, const json_t *operation)
{
	const json_t *schema = json_path(operation, "requestBody.content");
	schema = json_at(json_at(schema, "application/json"), "schema");
	const char *name;
	json_t *property;
	json_t *body = json_object();
	if (!schema && below(f, 8) != 0) {
		json_decref(body);
		return NULL;
	}
	json_object_foreach(json_at(schema, "properties"), name, property)
		if (below(f, 3) != 0)
			json_put(body, name, value_for(f, json_str(property, "type", "")));
	if (below(f, 20) == 0)
		json_put(body, "unknown", json_true());
	char *text = json_dumps(body, JSON_COMPACT);
	json_decref(body);
	if (below(f, 20) == 0)
		text[below(f, strlen(text))] = (char)('!' + below(f, 90)); /* no JSON any more */
	return text;
}

/* --- a request and its answer ------------------------------------------------------------ */

static void check_answer(struct fuzz *f, const char *method, const char *target, const char *body,
                         const json_t *operation, const struct reply *reply)
{
	char status[8];
	snprintf(status, sizeof(status), "%d", reply->status);
	const json_t *answer = json_at(json_at(operation, "responses"), status);
	bool is_problem = reply->status < 400 ||
	                  (strstr(reply->text, "application/problem+json") &&
	                   json_str(reply->json, "code", NULL) &&
	                   json_str(reply->json, "title", NULL) &&
	                   json_int(reply->json, "status", 0) == reply->status);
	f->by_class[reply->status / 100 % 6]++;
	if (reply->status < 500 && answer && is_problem)
		return; /* thousands of them: only what is wrong is told */
	CHECK_MSG(false, "%s %s %.200s: %d %s%s%s", method, target, body ? body : "", reply->status,
	          reply_code(reply), answer ? "" : ", which is not documented",
	          is_problem ? "" : ", which is no problem (RFC 9457)");
}

static void ask_once(struct fuzz *f, const char *path, const char *method, const json_t *operation)
{
	static const char *const more[] = { NULL,
		                            NULL,
		                            NULL,
		                            "Idempotency-Key: k1\r\n",
		                            "If-Match: \"x\"\r\n",
		                            "Content-Type: text/plain\r\n",
		                            "Last-Event-ID: x\r\n",
		                            "Accept: application/xml\r\n" };
	struct buf target;
	char upper[16] = "";
	for (size_t i = 0; method[i] && i + 1 < sizeof(upper); i++)
		upper[i] = (char)(method[i] & ~0x20);
	buf_init(&target, 1 << 16);
	put_path(f, path, &target);
	put_query(f, operation, &target);
	char *body = make_body(f, operation);
	struct reply reply = client_call(f->served->port, upper, target.bytes, NULL,
	                                 more[below(f, sizeof(more) / sizeof(*more))], body);
	check_answer(f, upper, target.bytes, body, operation, &reply);
	reply_release(&reply);
	buf_release(&target);
	free(body);
}

static void know(struct fuzz *f, const char *name)
{
	if (*name && f->known_count < KNOWN_MAX)
		snprintf(f->known[f->known_count++], sizeof(f->known[0]), "%s", name);
}

static void make_known(struct fuzz *f)
{
	static const char *const graphs[] = { "echo", "idle", "ask" };
	for (size_t i = 0; i < 3; i++) {
		char body[60];
		snprintf(body, sizeof(body), "{\"graph\":\"%s\"}", graphs[i]);
		struct reply reply = client_call(f->served->port, "POST", "/v1/runs", NULL, NULL,
		                                 body);
		know(f, json_str(reply.json, "id", ""));
		know(f, json_str(json_array_get(json_at(reply.json, "tasks"), 0), "id", ""));
		reply_release(&reply);
	}
	know(f, "echo");
	know(f, "early");
}

static void ask_all(struct fuzz *f, long rounds)
{
	const char *path, *method;
	json_t *item, *operation;
	for (long round = 0; round < rounds; round++)
		json_object_foreach(json_at(f->document, "paths"), path, item)
			json_object_foreach(item, method, operation)
				ask_once(f, path, method, operation);
}

int main(int argc, char **argv)
{
	struct served served;
	struct fuzz f = { .served = &served };
	uint64_t seed = 1, seed_state;
	long rounds = ROUNDS;
	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--seed") == 0)
			seed = strtoull(argv[i + 1], NULL, 10);
		if (strcmp(argv[i], "--rounds") == 0)
			rounds = strtol(argv[i + 1], NULL, 10);
	}
	mem_install();
	served_start(&served, "{\"anonymous\":[\"operator\",\"approver\",\"admin\",\"sender\"],"
	                      "\"per_address\":0}");
	seed_state = seed;
	f.rand = rand_seeded(&seed_state);
	struct reply document = client_call(served.port, "GET", "/v1/openapi.json", NULL, NULL,
	                                    NULL);
	f.document = document.json;
	make_known(&f);
	ask_all(&f, rounds);
	CHECK_MSG(f.by_class[5] == 0, "seed %llu: %zu answers 2xx, %zu 4xx, %zu 5xx",
	          (unsigned long long)seed, f.by_class[2], f.by_class[4], f.by_class[5]);
	CHECK_MSG(f.by_class[2] > 100 && f.by_class[4] > 100, "both kinds are met");
	reply_release(&document);
	served_stop(&served);
	return check_done();
}
