/* SPDX-License-Identifier: MIT */
/* Copying events, and their JSON form, which stands in records and snapshots. */
#include "machine/event.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static const char *const type_names[] = {
	[EVENT_PLATFORM] = "platform",
	[EVENT_INTERNAL] = "internal",
	[EVENT_EXTERNAL] = "external",
};
enum { TYPE_COUNT = sizeof(type_names) / sizeof(type_names[0]) };

/* Data is shared, not copied: nobody changes a JSON value once it is in an event. */
void event_copy(struct event *to, const struct event *from)
{
	*to = (struct event){
		.type = from->type,
		.name = mem_dup_str(from->name),
		.sendid = mem_dup_str(from->sendid),
		.origin = mem_dup_str(from->origin),
		.origintype = mem_dup_str(from->origintype),
		.invokeid = mem_dup_str(from->invokeid),
		.raw = mem_dup_str(from->raw),
		.data = json_incref(from->data),
	};
}

void event_release(struct event *event)
{
	free(event->name);
	free(event->sendid);
	free(event->origin);
	free(event->origintype);
	free(event->invokeid);
	free(event->raw);
	json_decref(event->data);
	*event = (struct event){ 0 };
}

json_t *event_to_json(const struct event *event)
{
	json_t *ret = json_object();
	json_put_str(ret, "type", type_names[event->type]);
	json_put_str(ret, "name", event->name);
	json_put_str(ret, "sendid", event->sendid);
	json_put_str(ret, "origin", event->origin);
	json_put_str(ret, "origintype", event->origintype);
	json_put_str(ret, "invokeid", event->invokeid);
	json_put_str(ret, "raw", event->raw);
	json_put(ret, "data", json_incref(event->data));
	return ret;
}

static char *copy_of(const json_t *json, const char *key)
{
	return mem_dup_str(json_str(json, key, NULL));
}

int event_from_json(const json_t *json, struct event *ret, struct err *err)
{
	const char *name = json_str(json, "name", NULL);
	if (!name)
		return err_set(err, ERR_INPUT, "an event needs a name");
	const char *type = json_str(json, "type", "external");
	int found = 0;
	while (found < TYPE_COUNT && strcmp(type, type_names[found]) != 0)
		found++;
	if (found == TYPE_COUNT)
		return err_set(err, ERR_INPUT, "'%s' is no type of event", type);
	*ret = (struct event){
		.type = (enum event_type)found,
		.name = mem_dup_str(name),
		.sendid = copy_of(json, "sendid"),
		.origin = copy_of(json, "origin"),
		.origintype = copy_of(json, "origintype"),
		.invokeid = copy_of(json, "invokeid"),
		.raw = copy_of(json, "raw"),
		.data = json_incref(json_at(json, "data")),
	};
	return 0;
}
