/* SPDX-License-Identifier: MIT */
/* What the world, or the chart itself, tells a machine (SCXML 5.10.1). */
#ifndef MACHINE_EVENT_H
#define MACHINE_EVENT_H

#include "base/json.h"

/* Of the SCXML event I/O processor (C.1); "#_scxml_<session id>" names a session. */
#define SCXML_EVENT_TYPE "http://www.w3.org/TR/scxml/#SCXMLEventProcessor"
#define SESSION_TARGET "#_scxml_"

enum event_type { EVENT_PLATFORM, EVENT_INTERNAL, EVENT_EXTERNAL };

/* Blank fields are NULL.  Who makes one owns its parts;
 * event_copy() and event_release() serve queues. */
struct event {
	enum event_type type;
	char *name;
	char *sendid, *origin, *origintype, *invokeid;
	char *raw;    /* _event.raw: the data as it came, where it is wanted (SCXML test 178) */
	json_t *data; /* NULL: none, which is not JSON null */
};

void event_copy(struct event *to, const struct event *from);
void event_release(struct event *event);
json_t *event_to_json(const struct event *event); /* new */
/* *ret is to be released. */
int event_from_json(const json_t *json, struct event *ret, struct err *err);

#endif
