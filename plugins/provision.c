/* SPDX-License-Identifier: MIT */
/*
 * provision - creates tenants in the product's provisioning service.
 *
 * A tenant is there at once (201), or an operation is, which is asked until it
 * has ended (202).  The same key brings the same answer, so creating may be
 * repeated after a crash at any point; the operation is found again through it.
 */
#include <stdbool.h>
#include <string.h>

#include "gw_plugin.h"

enum { POLLS_MAX = 60, PAUSE_MS = 5000, PAUSE_MS_MIN = 100, PAUSE_S_MAX = 60 };

struct create {
	struct gw_str operation; /* its path */
	int polls;
};

static bool is(struct gw_str text, const char *what)
{
	return text.len == strlen(what) && memcmp(text.ptr, what, text.len) == 0;
}

static struct gw_str text_at(const struct gw_host *host, const struct gw_json *value,
                             const char *path)
{
	return host->json->str(host->json->get(value, path));
}

/* --- what went wrong ------------------------------------------------------ */

/* Problem details (RFC 9457): the last part of the type's URI is the code. */
static struct gw_str problem_code(const struct gw_host *host, const struct gw_json *problem)
{
	struct gw_str type = text_at(host, problem, "type");
	size_t from = type.len;
	while (from > 0 && type.ptr[from - 1] != '/' && type.ptr[from - 1] != ':')
		from--;
	return (struct gw_str){ type.ptr + from, type.len - from };
}

static struct gw_str problem_text(const struct gw_host *host, struct gw_call *call,
                                  const struct gw_json *problem)
{
	struct gw_str text = text_at(host, problem, "detail");
	if (text.len == 0)
		text = text_at(host, problem, "title");
	if (text.len > 0)
		text = host->call->format(call, "Provisioning: %.*s", (int)text.len, text.ptr);
	return text;
}

static void fail(const struct gw_host *host, struct gw_call *call, int status,
                 const struct gw_http_reply *reply)
{
	const struct gw_json *problem = host->json->parse(call, reply->body);
	if (status == GW_OK || reply->code / 100 == 2)
		host->call->fail_reply(call, GW_OK, reply, GW_LIT(""),
		                       GW_LIT("Provisioning: that is no answer to the request"));
	else
		host->call->fail_reply(call, status, reply, problem_code(host, problem),
		                       problem_text(host, call, problem));
}

static void refuse(const struct gw_host *host, struct gw_call *call, int status, int http_status,
                   struct gw_str code, struct gw_str message)
{
	struct gw_failure failure = { .size = sizeof(failure),
		                      .status = status,
		                      .message = message,
		                      .http_status = http_status,
		                      .error_code = code };
	host->call->fail(call, &failure);
}

/*
 * 409 while the first request of this key still runs: its answer will be ours.  A good status with
 * a body that is none (a proxy's page, say) tells nothing of what was done; nothing here is done
 * twice under one key, so it is asked again.
 */
static int32_t classify(const struct gw_host *host, struct gw_call *call,
                        const struct gw_http_reply *reply)
{
	static const char word[] = "idempotency-key-in-";
	if (reply->code / 100 == 2 && reply->body.len > 0 &&
	    host->json->type(host->json->parse(call, reply->body)) != GW_JSON_OBJECT)
		return GW_REPLY_RETRY;
	if (reply->code != 409)
		return GW_REPLY_DEFAULT;
	struct gw_str code = problem_code(host, host->json->parse(call, reply->body));
	bool is_running = code.len >= sizeof(word) - 1 &&
	                  memcmp(code.ptr, word, sizeof(word) - 1) == 0;
	return is_running ? GW_REPLY_RETRY : GW_REPLY_DEFAULT;
}

/* --- tenants ------------------------------------------------------------------ */

static void send(const struct gw_host *host, struct gw_call *call, const char *method,
                 struct gw_str path, const struct gw_json *body, gw_http_cb *then)
{
	struct gw_http_req req = { .size = sizeof(req), .method = method, .path = path };
	if (body)
		req.body = host->json->text(call, body);
	else
		req.effect = GW_EFFECT_READ;
	host->http->send(call, &req, then);
}

static void done(const struct gw_host *host, struct gw_call *call, const struct gw_json *tenant,
                 int64_t count)
{
	struct gw_json *result = host->json->object(call);
	struct gw_str url = text_at(host, tenant, "login_url"),
		      tier = text_at(host, tenant, "tier");
	if (url.len == 0)
		url = text_at(host, tenant, "loginUrl");
	if (tier.len == 0)
		tier = text_at(host, tenant, "plan");
	host->json->set(result, "tenant_id", host->json->get(tenant, "id"));
	host->json->set(result, "external_id", host->json->get(tenant, "externalId"));
	host->json->set(result, "status", host->json->get(tenant, "status"));
	host->json->set_str(result, "login_url", url);
	host->json->set_str(result, "tier", tier);
	host->json->set_int(result, "tenants", count);
	host->call->done(call, result);
}

static void tenant_done(const struct gw_host *host, struct gw_call *call, int status,
                        const struct gw_http_reply *reply)
{
	const struct gw_json *tenant = host->json->parse(call, reply->body);
	if (status != GW_OK || text_at(host, tenant, "id").len == 0)
		fail(host, call, status, reply);
	else
		done(host, call, tenant, 1);
}

static void read_tenant(const struct gw_host *host, struct gw_call *call, struct gw_str id)
{
	id = host->call->url(call, id);
	send(host, call, "GET", host->call->format(call, "/v1/tenants/%.*s", (int)id.len, id.ptr),
	     NULL, tenant_done);
}

/* --- an operation that runs ------------------------------------------------------ */

static void poll_done(const struct gw_host *host, struct gw_call *call, int status,
                      const struct gw_http_reply *reply);

static void poll(const struct gw_host *host, struct gw_call *call)
{
	const struct create *create = host->call->state(call);
	send(host, call, "GET", create->operation, NULL, poll_done);
}

/* Retry-After in seconds; its other form, a date, is of no use to who polls. */
static int64_t pause_ms(const struct gw_http_reply *reply)
{
	struct gw_str text = reply->header(reply, "Retry-After");
	int64_t seconds = 0;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9' || i > 5)
			return PAUSE_MS;
		seconds = seconds * 10 + (text.ptr[i] - '0');
	}
	if (text.len == 0)
		return PAUSE_MS;
	return seconds == 0 ? PAUSE_MS_MIN : (seconds < PAUSE_S_MAX ? seconds : PAUSE_S_MAX) * 1000;
}

static void poll_later(const struct gw_host *host, struct gw_call *call,
                       const struct gw_http_reply *reply)
{
	struct create *create = host->call->state(call);
	if (++create->polls <= POLLS_MAX)
		host->later(call, pause_ms(reply), poll);
	else
		refuse(host, call, GW_E_TIMEOUT, 0, GW_LIT("STILL_RUNNING"),
		       GW_LIT("Provisioning: the operation has not ended in time; it goes on "
		              "there"));
}

static void poll_done(const struct gw_host *host, struct gw_call *call, int status,
                      const struct gw_http_reply *reply)
{
	const struct gw_json *operation = host->json->parse(call, reply->body);
	const struct gw_json *error = host->json->get(operation, "error");
	struct gw_str state = text_at(host, operation, "status");
	struct gw_str tenant = text_at(host, operation, "tenantId");
	if (status == GW_OK && is(state, "running"))
		poll_later(host, call, reply);
	else if (status == GW_OK && is(state, "succeeded") && tenant.len > 0)
		read_tenant(host, call, tenant);
	else if (status == GW_OK && is(state, "failed"))
		refuse(host, call, GW_E_INPUT,
		       (int)host->json->integer(host->json->get(error, "status"), 0),
		       problem_code(host, error), problem_text(host, call, error));
	else
		fail(host, call, status, reply);
}

/* Where the operation is asked: Location when it is a path of this service, else by its id. */
static struct gw_str operation_path(const struct gw_host *host, struct gw_call *call,
                                    const struct gw_http_reply *reply, struct gw_str id)
{
	static const char below[] = "/v1/operations/";
	struct gw_str location = reply->header(reply, "Location");
	if (location.len > sizeof(below) - 1 && memcmp(location.ptr, below, sizeof(below) - 1) == 0)
		return host->call->format(call, "%.*s", (int)location.len, location.ptr);
	id = host->call->url(call, id);
	return host->call->format(call, "%s%.*s", below, (int)id.len, id.ptr);
}

static void create_done(const struct gw_host *host, struct gw_call *call, int status,
                        const struct gw_http_reply *reply)
{
	struct create *create = host->call->state(call);
	const struct gw_json *body = host->json->parse(call, reply->body);
	struct gw_str id = text_at(host, body, "id");
	if (status != GW_OK || id.len == 0) {
		fail(host, call, status, reply);
	} else if (reply->code == 202) {
		create->operation = operation_path(host, call, reply, id);
		poll_later(host, call, reply);
	} else {
		done(host, call, body, 1);
	}
}

static void create_tenant(const struct gw_host *host, struct gw_call *call)
{
	static const char *const names[][2] = { { "external_id", "externalId" },
		                                { "name", "name" },
		                                { "plan", "plan" },
		                                { "region", "region" },
		                                { "admin_email", "adminEmail" },
		                                { "configuration", "configuration" } };
	const struct gw_json *params = host->call->params(call);
	struct gw_json *body = host->json->object(call);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		host->json->set(body, names[i][1], host->json->get(params, names[i][0]));
	send(host, call, "POST", GW_LIT("/v1/tenants"), body, create_done);
}

/* --- looking one up ---------------------------------------------------------------- */

static void list_done(const struct gw_host *host, struct gw_call *call, int status,
                      const struct gw_http_reply *reply)
{
	const struct gw_json *items = host->json->get(host->json->parse(call, reply->body),
	                                              "items");
	struct gw_str id = host->call->str(call, "external_id");
	if (status != GW_OK || host->json->type(items) != GW_JSON_LIST)
		fail(host, call, status, reply);
	else if (host->json->count(items) == 0)
		refuse(host, call, GW_E_ABSENT, 404, GW_LIT("not-found"),
		       host->call->format(call, "Provisioning: %.*s has no tenant", (int)id.len,
		                          id.ptr));
	else
		done(host, call, host->json->at(items, 0), (int64_t)host->json->count(items));
}

static void get_tenant(const struct gw_host *host, struct gw_call *call)
{
	struct gw_str id = host->call->str(call, "tenant_id");
	struct gw_str external = host->call->url(call, host->call->str(call, "external_id"));
	if (id.len > 0)
		read_tenant(host, call, id);
	else
		send(host, call, "GET",
		     host->call->format(call, "/v1/tenants?externalId=%.*s", (int)external.len,
		                        external.ptr),
		     NULL, list_done);
}

/* --- what there is ------------------------------------------------------------ */

/* Schemas and tables have lines of their own. */
/* clang-format off */
#define TEXT(name, what) "\"" name "\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":255," \
	"\"description\":\"" what "\"}"
#define TENANT \
	"{\"type\":\"object\",\"required\":[\"tenant_id\",\"login_url\",\"status\",\"tier\"]," \
	"\"properties\":{\"tenant_id\":{\"type\":\"string\",\"minLength\":1}," \
	"\"external_id\":{\"type\":\"string\"},\"login_url\":{\"type\":\"string\"}," \
	"\"status\":{\"type\":\"string\",\"description\":\"active once it can be used\"}," \
	"\"tier\":{\"type\":\"string\"},\"tenants\":{\"type\":\"integer\",\"description\":" \
	"\"How many the external id has\"}}}"

static const struct gw_action create_tenant_action = {
	.size = sizeof(create_tenant_action), .effect = GW_EFFECT_KEYED, .name = "create_tenant",
	.summary = "Creates a tenant and waits until it is there.",
	.params =
		"{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"external_id\","
		"\"name\",\"plan\"],\"properties\":{"
		TEXT("external_id", "What we call the customer, such as the account number") ","
		TEXT("name", "The customer's name") ","
		TEXT("plan", "The tier, such as enterprise") ","
		TEXT("region", "Where it shall run, such as eu-west-1") ","
		TEXT("admin_email", "The first administrator") ","
		"\"configuration\":{\"type\":\"object\","
		"\"description\":\"The tier's configuration\"}}}",
	.result = TENANT, .personal = "params.admin_email",
	.state_size = sizeof(struct create), .start = create_tenant,
};

static const struct gw_action get_tenant_action = {
	.size = sizeof(get_tenant_action), .effect = GW_EFFECT_READ, .name = "get_tenant",
	.summary = "Reads a tenant by its id, or by what we call the customer.",
	.params =
		"{\"type\":\"object\",\"additionalProperties\":false,\"minProperties\":1,"
		"\"maxProperties\":1,\"properties\":{"
		TEXT("tenant_id", "The tenant's id") ","
		TEXT("external_id", "What we call the customer") "}}",
	.result = TENANT, .start = get_tenant,
};

static const struct gw_action *const actions[] = { &create_tenant_action, &get_tenant_action,
	                                           NULL };

#define ROW(status, code, type, text, who) \
	&(const struct gw_error_row){ sizeof(struct gw_error_row), status, code, type, text, who }
#define KEY "Start the onboarding anew: the key belongs to another request."

static const struct gw_error_row *const errors[] = {
	ROW(401, NULL, "authentication", "Set a valid token for the provisioning connection.",
	    "IT/DevOps"),
	ROW(403, NULL, "authorization", "Let the token create tenants.", "System Admin"),
	ROW(0, "cannot-provision", "validation", "Mend what the message names, then start again.",
	    "IT/DevOps"),
	ROW(0, "invalid-payload", "validation", "Correct the customer's data.", "Data Admin"),
	ROW(422, "idempotency-key-reused", "conflict", KEY, "Integration Admin"),
	ROW(409, NULL, "conflict", "Look whether the customer has a tenant already.", "IT/DevOps"),
	ROW(422, NULL, "validation", "Correct the customer's data.", "Data Admin"),
	ROW(404, NULL, "not_found", "Check the customer's number and whether it was provisioned.",
	    "IT/DevOps"),
	ROW(0, "STILL_RUNNING", "timeout", "Look later whether the tenant is there.", "IT/DevOps"),
	ROW(429, NULL, "rate_limit", "Wait, then start again.", "Integration Admin"),
	ROW(500, NULL, "server", "Try again later; the same tenant will come of it.",
	    "Support Team"),
	ROW(503, NULL, "server", "Try again later; the same tenant will come of it.",
	    "Support Team"),
	NULL,
};

static const struct gw_plugin plugin = {
	.abi_major = GW_ABI_MAJOR, .abi_minor = GW_ABI_MINOR, .size = sizeof(plugin),
	.name = "provision", .version = "1.0.0",
	.summary = "Creates tenants in the provisioning service.",
	.actions = actions, .errors = errors, .classify = classify,
	.settings = "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{}}",
};
/* clang-format on */

GW_EXPORT const struct gw_plugin *gw_plugin_entry(void)
{
	return &plugin;
}
