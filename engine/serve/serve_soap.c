/* SPDX-License-Identifier: MIT */
/*
 * Salesforce Outbound Messages: a SOAP call with up to 100 notifications, each
 * about one record.  Nothing signs it: the sender is known by the organization's
 * id and a secret in the address (?key=), both compared in constant time.
 *
 * Every notification starts a run, named by its own Id, so that one that comes
 * again meets the run it has: it brings the record's latest values then, which
 * is no conflict here.  All of a message stand in one commit.  What is answered
 * is the Ack and not the status: true once all of them are durable, false when
 * Salesforce shall send them again.
 */
#include <strings.h>

#include "base/crypto.h"
#include "serve/serve_int.h"

struct message {
	const struct source *source;
	char organization[40];
	json_t *starts;
	json_t *fields; /* of the notification being read */
	char id[40];
	bool is_broken;
};

static const char ack[] =
	"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	"<soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\">"
	"<soapenv:Body><notificationsResponse xmlns=\"http://soap.sforce.com/2005/09/outbound\">"
	"<Ack>%s</Ack></notificationsResponse></soapenv:Body></soapenv:Envelope>\n";

static void answer_ack(struct exchange *x, bool is_taken)
{
	char *text = mem_format(ack, is_taken ? "true" : "false");
	exchange_text(x, 200, "text/xml; charset=utf-8", text, strlen(text));
}

/* --- reading ------------------------------------------------------------------------------ */

static bool is_path(const char *const *path, size_t depth, const char *const *want, size_t count)
{
	if (depth != count)
		return false;
	for (size_t i = 0; i < count; i++)
		if (strcmp(path[i], want[i]) != 0)
			return false;
	return true;
}

/* What has been read of a notification becomes a start. */
static void end_notification(struct message *message)
{
	const struct source *source = message->source;
	if (!*message->id)
		return;
	json_t *input = json_object();
	const char *field;
	json_t *name;
	json_object_foreach(source->map, field, name)
		json_put(input, json_string_value(name),
		         json_incref(json_at(message->fields, field)));
	if (json_object_size(source->map) == 0)
		json_object_update(input, message->fields);
	json_push(message->starts, json_pack("{s:s,s:s,s:o}", "graph", source->graph,
	                                     "correlation_id", message->id, "input", input));
	json_object_clear(message->fields);
	message->id[0] = '\0';
}

static void take_leaf(void *arg, const char *const *path, size_t depth, const char *text)
{
	static const char *const organization[] = { "Envelope", "Body", "notifications",
		                                    "OrganizationId" };
	static const char *const id[] = { "Envelope", "Body", "notifications", "Notification",
		                          "Id" };
	static const char *const object[] = { "Envelope", "Body", "notifications", "Notification",
		                              "sObject" };
	struct message *message = arg;
	if (is_path(path, depth, organization, 4))
		snprintf(message->organization, sizeof(message->organization), "%s", text);
	if (is_path(path, depth, id, 5)) {
		end_notification(message); /* the Id stands first in each */
		message->is_broken = message->is_broken || *text == '\0' || strlen(text) > 18 ||
		                     strlen(text) < 15;
		snprintf(message->id, sizeof(message->id), "%s", text);
	}
	if (depth == 6 && is_path(path, 5, object, 5)) {
		message->is_broken = message->is_broken || !*message->id;
		json_put(message->fields, path[5], json_text(str_of(text)));
	}
}

static bool is_sender(struct exchange *x, const struct source *source, const char *organization)
{
	const char *key = target_param(&x->target, "key");
	bool is_good = false;
	for (size_t i = 0; key && i < source->secret_count; i++)
		is_good = crypto_equal(str_of(key), (struct str){ source->secrets[i].bytes,
		                                                  source->secrets[i].len }) ||
		          is_good;
	/* The 15 characters that both forms of an id have in common. */
	if (source->organization &&
	    (strlen(organization) < 15 || !crypto_equal((struct str){ organization, 15 },
	                                                (struct str){ source->organization, 15 })))
		is_good = false;
	return is_good;
}

/* --- starting ------------------------------------------------------------------------------- */

static void started(struct exchange *x, const json_t *reply, bool is_last)
{
	const json_t *results = json_at(reply, "results");
	bool is_taken = !json_at(reply, "error");
	if (!is_last)
		return;
	for (size_t i = 0; i < json_array_size(results); i++) {
		const json_t *error = json_at(json_array_get(results, i), "error");
		/* It came before, with the values of then: the run has it. */
		if (!error || strcmp(json_str(error, "id", ""), "run.conflict") == 0)
			continue;
		is_taken = false;
		serve_log(x->serve, "error", "webhook.failed",
		          json_pack("{s:s,s:s}", "source", x->ids[0], "text",
		                    json_str(error, "text", "")));
	}
	answer_ack(x, is_taken);
}

void soap_deliver(struct exchange *x, struct source *source)
{
	struct message message = { .source = source,
		                   .starts = json_array(),
		                   .fields = json_object() };
	struct err err = { 0 };
	int status = xml_leaves(buf_str(&x->body), take_leaf, &message, &err);
	bool is_sent = is_sender(x, source, message.organization);
	if (status == 0)
		end_notification(&message);
	size_t count = json_array_size(message.starts);
	if (!is_sent) {
		atomic_fetch_add(&source->refused, 1);
		exchange_deny(x, 401, "webhook.signature", "query key",
		              "the delivery does not come from whom it should");
	} else if (status < 0) {
		exchange_problem(x, 400, err.id, "body", err.text, NULL);
	} else if (message.is_broken || count == 0 || count > 100) {
		exchange_problem(
			x, 422, "soap.notifications", "body",
			"these are no notifications of Salesforce (1 to 100, each with its "
			"Id)",
			NULL);
	} else if (!source_is_throttled(x, source)) {
		atomic_fetch_add(&source->accepted, 1);
		exchange_ask(x,
		             json_pack("{s:s,s:O,s:o}", "op", "run.batch", "starts", message.starts,
		                       "by", json_sprintf("webhook:%s", source->name)),
		             started);
	}
	json_decref(message.starts);
	json_decref(message.fields);
}
