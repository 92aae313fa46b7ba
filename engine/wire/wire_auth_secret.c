/* SPDX-License-Identifier: MIT */
/*
 * Secrets that stand in the request itself, such as PagerDuty's routing key.
 * The plugin writes "${secret:routing_key}"; the value is put in here, below
 * tape, trace and log.
 *
 * Data from outside must not be able to ask for a secret by containing such a
 * text.  So a reference counts in one place only: as the whole value of the
 * header, or of the member at the top of a JSON object, that bears the secret's
 * own name.  Anywhere else it is text like any other and leaves as it is.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "wire/wire_int.h"

static const char opening[] = "${secret:";

static bool is_asked(const char *name, const char *value)
{
	size_t len = strlen(name), start = sizeof(opening) - 1;
	return str_begins(value, opening) && strncasecmp(value + start, name, len) == 0 &&
	       strcmp(value + start + len, "}") == 0;
}

static const char *secret_named(const struct wire_connection *connection, const char *name)
{
	for (size_t i = 0; i < connection->named_secrets.len; i++)
		if (strcasecmp(connection->named_secrets.at[i].name, name) == 0)
			return connection->named_secrets.at[i].value;
	return NULL;
}

static int absent(const struct wire_connection *connection, const char *name, struct err *err)
{
	err_set(err, ERR_ABSENT, "connection '%s' has no secret '%s'", connection->name, name);
	return err_hint(err, "add secrets = { %s = \"env:NAME\" } to it", name);
}

static int put_headers(struct wire_request *request, struct err *err)
{
	for (size_t i = 0; i < request->header_count; i++) {
		const struct wire_header *header = &request->headers[i];
		if (!is_asked(header->name, header->value))
			continue;
		const char *secret = secret_named(request->connection, header->name);
		if (!secret)
			return absent(request->connection, header->name, err);
		for (size_t k = 0; k < request->line_count; k++)
			if (wire_header_line_is(request->lines[k], header->name)) {
				request->lines[k] = mem_format("%s: %s", header->name, secret);
				*vec_add(&request->own_lines) = request->lines[k];
			}
	}
	return 0;
}

static int put_body(struct wire_request *request, struct err *err)
{
	struct err none = { 0 };
	json_t *json = NULL;
	const char *name;
	json_t *value;
	bool has_asked = false;
	int status = 0;
	if (request->own_body ||
	    !memmem(request->body.ptr, request->body.len, opening, sizeof(opening) - 1) ||
	    json_read(request->body, LIMIT_REQUEST_BYTES, &json, &none) < 0)
		return 0;
	json_object_foreach(json, name, value) {
		const char *text = json_is_string(value) ? json_string_value(value) : "";
		if (!is_asked(name, text))
			continue;
		const char *secret = secret_named(request->connection, name);
		if (!secret) {
			status = absent(request->connection, name, err);
			break;
		}
		json_put_str(json, name, secret);
		has_asked = true;
	}
	if (has_asked && status == 0) {
		request->own_body = json_canon(json);
		request->sent_body = str_of(request->own_body);
	}
	json_decref(json);
	return status;
}

int wire_secrets_put(struct wire_request *request, struct err *err)
{
	if (put_headers(request, err) < 0 || put_body(request, err) < 0)
		return err->code;
	return 0;
}
