/* SPDX-License-Identifier: MIT */
/* The OpenAPI 3.1 document, made from the table of routes. */
#include "serve/serve_int.h"

static json_t *reference(const char *to)
{
	return json_pack("{s:s}", "$ref", to);
}

static json_t *parameter(const char *name, const char *in, bool is_required)
{
	return json_pack("{s:s,s:s,s:b,s:{s:s}}", "name", name, "in", in, "required",
	                 (int)is_required, "schema", "type", "string");
}

static json_t *parameters(const struct route *route)
{
	json_t *ret = json_array();
	for (const char *at = strchr(route->path, '{'); at; at = strchr(at + 1, '{')) {
		char *name = mem_dup(at + 1, strcspn(at + 1, "}"));
		json_push(ret, parameter(name, "path", true));
		free(name);
	}
	for (size_t i = 0; i < ROUTE_QUERY && route->query[i]; i++)
		json_push(ret, parameter(route->query[i], "query", false));
	return ret;
}

static const char *type_name(char type)
{
	switch (type) {
	case 's': return "string";
	case 'o': return "object";
	case 'a': return "array";
	case 'i': return "integer";
	case 'b': return "boolean";
	default: return NULL; /* any JSON */
	}
}

static json_t *body_schema(const struct route *route)
{
	json_t *properties = json_object(), *required = json_array();
	for (size_t i = 0; i < ROUTE_FIELDS && route->fields[i].name; i++) {
		const struct field *field = &route->fields[i];
		json_t *schema = json_pack("{s:s}", "description", field->note);
		json_put_str(schema, "type", type_name(field->type));
		json_put(properties, field->name, schema);
		if (field->is_required)
			json_push(required, json_string(field->name));
	}
	json_t *ret = json_pack("{s:s,s:o,s:b}", "type", "object", "properties", properties,
	                        "additionalProperties", 0);
	if (json_array_size(required) > 0)
		json_put(ret, "required", json_incref(required));
	json_decref(required);
	return ret;
}

static void put_body(const struct route *route, json_t *operation)
{
	if (route->body_max == 0)
		return;
	const struct field *first = &route->fields[0];
	json_t *schema = route->is_raw ? json_pack("{s:s}", "type", "object") : body_schema(route);
	json_put(operation, "requestBody",
	         json_pack("{s:b,s:{s:{s:o}}}", "required",
	                   (int)(first->name && first->is_required), "content", "application/json",
	                   "schema", schema));
}

/* What a route may answer besides its success. */
static void put_responses(const struct route *route, json_t *operation)
{
	static const int all[] = { 400, 431, 503, 505 }, admitted[] = { 401, 403, 421 },
			 with_body[] = { 409, 412, 413, 415, 422, 429 };
	json_t *responses = json_object();
	char status[8];
	const char *type = route->type ? route->type : "application/json";
	snprintf(status, sizeof(status), "%d", route->ok);
	json_put(responses, status,
	         json_pack("{s:s,s:{s:{}}}", "description", route->summary, "content", type));
	if (route->ok == 202)
		json_put(responses, "200", json_incref(json_at(responses, "202")));
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		snprintf(status, sizeof(status), "%d", all[i]);
		json_put(responses, status, reference("#/components/responses/problem"));
	}
	for (size_t i = 0;
	     i < sizeof(admitted) / sizeof(*admitted) && route->permission != MAY_ANYONE; i++) {
		snprintf(status, sizeof(status), "%d", admitted[i]);
		json_put(responses, status, reference("#/components/responses/problem"));
	}
	if (strchr(route->path, '{') || route->body_max > 0)
		json_put(responses, "404", reference("#/components/responses/problem"));
	json_put(responses, "413", reference("#/components/responses/problem"));
	json_put(responses, "417", reference("#/components/responses/problem"));
	json_put(responses, "422", reference("#/components/responses/problem"));
	for (size_t i = 0; i < sizeof(with_body) / sizeof(*with_body) && route->body_max > 0; i++) {
		snprintf(status, sizeof(status), "%d", with_body[i]);
		json_put(responses, status, reference("#/components/responses/problem"));
	}
	json_put(operation, "responses", responses);
}

static json_t *operation(const struct route *route)
{
	json_t *ret = json_pack("{s:s,s:o,s:s}", "summary", route->summary, "parameters",
	                        parameters(route), "x-permission",
	                        permission_name(route->permission));
	put_body(route, ret);
	put_responses(route, ret);
	json_put(ret, "security",
	         route->permission == MAY_ANYONE || route->permission == MAY_SIGNED
	                 ? json_array()
	                 : json_pack("[{s:[]}]", "token"));
	return ret;
}

static json_t *components(void)
{
	static const char problem[] =
		"{\"responses\":{\"problem\":{\"description\":\"RFC 9457\",\"content\":"
		"{\"application/problem+json\":{\"schema\":{\"type\":\"object\",\"properties\":{"
		"\"title\":{\"type\":\"string\"},\"status\":{\"type\":\"integer\"},"
		"\"code\":{\"type\":\"string\"},\"detail\":{\"type\":\"string\"},"
		"\"where\":{\"type\":\"string\"},\"hint\":{\"type\":\"string\"}},"
		"\"required\":[\"title\",\"status\",\"code\",\"detail\"]}}}}},"
		"\"securitySchemes\":{\"token\":{\"type\":\"http\",\"scheme\":\"bearer\"}}}";
	json_t *ret = json_loads(problem, 0, NULL);
	must(ret != NULL);
	return ret;
}

void handle_openapi(struct exchange *x)
{
	json_t *paths = json_object();
	for (size_t i = 0; i < serve_route_count; i++) {
		const struct route *route = &serve_routes[i];
		char method[16] = "";
		for (size_t c = 0; route->method[c] && c + 1 < sizeof(method); c++)
			method[c] = (char)(route->method[c] | 0x20);
		json_t *path = json_at(paths, route->path);
		if (!path) {
			path = json_object();
			json_put(paths, route->path, path);
		}
		json_put(path, method, operation(route));
	}
	json_t *document = json_pack("{s:s,s:{s:s,s:s},s:o,s:o}", "openapi", "3.1.0", "info",
	                             "title", "Gangway", "version", x->serve->options.version,
	                             "paths", paths, "components", components());
	exchange_json(x, 200, document);
	json_decref(document);
}
