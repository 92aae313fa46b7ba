/* SPDX-License-Identifier: MIT */
/* Which versions a run would be started with now: graphs, and the rules and prompts they pin. */
#include "serve/serve_int.h"

static void graph_replied(struct exchange *x, const json_t *reply, bool is_last)
{
	const json_t *error = json_at(reply, "error");
	if (!is_last)
		return;
	if (error)
		exchange_error(x, error);
	else
		exchange_json(x, 200, json_array_get(json_at(reply, "versions"), 0));
}

void handle_graph(struct exchange *x)
{
	exchange_ask(x, exchange_about(x, "versions", "graph"), graph_replied);
}

/* Of each name: its version and hash, and the graphs whose release has it. */
static void add_pins(json_t *found, const json_t *pins, const char *graph)
{
	const char *name;
	json_t *pin;
	json_object_foreach((json_t *)(uintptr_t)pins, name, pin) {
		json_t *row = json_at(found, name);
		if (!row) {
			row = json_pack("{s:s,s:[]}", "name", name, "graphs");
			json_put(row, "version", json_incref(json_at(pin, "version")));
			json_put(row, "sha256", json_incref(json_at(pin, "sha256")));
			json_put(found, name, row);
		}
		json_push(json_at(row, "graphs"), json_string(graph));
	}
}

static void pins_replied(struct exchange *x, const json_t *reply, bool is_last)
{
	const char *kind = x->own;
	const json_t *versions = json_at(reply, "versions");
	const char *name;
	json_t *row;
	if (!is_last)
		return;
	json_t *found = json_object(), *list = json_array();
	for (size_t i = 0; i < json_array_size(versions); i++) {
		const json_t *version = json_array_get(versions, i);
		add_pins(found, json_at(json_at(version, "pins"), kind),
		         json_str(version, "graph", ""));
	}
	json_object_foreach(found, name, row)
		json_push(list, json_incref(row));
	json_t *body = json_pack("{s:o}", kind, list);
	exchange_json(x, 200, body);
	json_decref(body);
	json_decref(found);
}

void handle_rules(struct exchange *x)
{
	x->own = (void *)(uintptr_t) "rules";
	exchange_ask(x, exchange_request(x, "versions"), pins_replied);
}

void handle_prompts(struct exchange *x)
{
	x->own = (void *)(uintptr_t) "prompts";
	exchange_ask(x, exchange_request(x, "versions"), pins_replied);
}
