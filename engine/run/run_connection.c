/* SPDX-License-Identifier: MIT */
/*
 * The connections of the engine.  They may be exchanged while it runs: a call
 * ends over the connection that it began with, so those that were replaced stay
 * until the engine closes.
 */
#include <string.h>

#include "run/run_int.h"

/* *ret NULL: an optional one whose secret is not there; its calls fail, the graph decides. */
static int make(struct engine *engine, const char *name, const json_t *json,
                struct wire_connection **ret, struct err *err)
{
	json_t *own = json_copy((json_t *)(uintptr_t)json);
	json_object_del(own, "optional");
	*ret = NULL;
	int status = wire_connection_new(name, own, ret, err);
	json_decref(own);
	if (status == ERR_ABSENT && json_truth(json, "optional", false)) {
		*ret = NULL;
		engine_log(engine, "info", "connection.left_out",
		           json_pack("{s:s,s:s}", "connection", name, "text", err->text));
		err_clear(err);
		return 0;
	}
	return status < 0 ? err_wrap(err, "connections.%s", name) : 0;
}

/* A file may hold another secret than before. */
static bool has_file(const json_t *value)
{
	const char *key, *text = json_string_value(value);
	json_t *member;
	bool ret = text && str_begins(text, "file:");
	json_object_foreach((json_t *)(uintptr_t)value, key, member)
		ret = ret || has_file(member);
	return ret;
}

static struct wire_connection *same_as_before(const struct engine *engine, const char *name,
                                              json_t *json)
{
	json_t *before = json_at(engine->connections_json, name);
	return before && json_equal(before, json) && !has_file(json)
	               ? map_get(&engine->connections, name)
	               : NULL;
}

static void drop_new(const struct engine *engine, struct map *fresh)
{
	struct map_entry *entry;
	for (size_t i = 0; (entry = map_each(fresh, &i));)
		if (map_get(&engine->connections, entry->key) != entry->value)
			wire_connection_free(entry->value);
	map_release(fresh);
}

/* Under the lock: from here on the fresh ones are asked. */
static void take_over(struct engine *engine, struct map *fresh, const json_t *connections)
{
	struct map_entry *entry;
	for (size_t i = 0; (entry = map_each(&engine->connections, &i));)
		if (map_get(fresh, entry->key) != entry->value)
			*vec_add(&engine->old_connections) = entry->value;
	map_release(&engine->connections);
	engine->connections = *fresh;
	json_decref(engine->connections_json);
	engine->connections_json = json_deep_copy(connections);
}

int engine_set_connections(struct engine *engine, const json_t *connections, struct err *err)
{
	struct map fresh;
	const char *name;
	json_t *json;
	int status = 0;
	map_init(&fresh);
	pthread_mutex_lock(&engine->lock);
	json_object_foreach((json_t *)(uintptr_t)connections, name, json) {
		struct wire_connection *connection = same_as_before(engine, name, json);
		if (!connection)
			status = make(engine, name, json, &connection, err);
		if (status < 0)
			break;
		if (connection)
			map_set(&fresh, name, connection);
	}
	if (status < 0)
		drop_new(engine, &fresh);
	else
		take_over(engine, &fresh, connections);
	pthread_mutex_unlock(&engine->lock);
	return status;
}

int connections_open(struct engine *engine, struct err *err)
{
	return engine_set_connections(engine, engine->options.connections, err);
}

void connections_close(struct engine *engine)
{
	struct map_entry *entry;
	for (size_t i = 0; (entry = map_each(&engine->connections, &i));)
		wire_connection_free(entry->value);
	for (size_t i = 0; i < engine->old_connections.len; i++)
		wire_connection_free(engine->old_connections.at[i]);
	vec_release(&engine->old_connections);
	map_release(&engine->connections);
	json_decref(engine->connections_json);
}

struct wire_connection *engine_connection(struct engine *engine, const char *name)
{
	pthread_mutex_lock(&engine->lock);
	struct wire_connection *ret = map_get(&engine->connections, name);
	pthread_mutex_unlock(&engine->lock);
	return ret;
}

json_t *connections_describe(struct engine *engine)
{
	struct map_entry *entry;
	json_t *ret = json_array();
	pthread_mutex_lock(&engine->lock);
	for (size_t i = 0; (entry = map_each(&engine->connections, &i));)
		json_push(ret, wire_connection_describe(entry->value));
	pthread_mutex_unlock(&engine->lock);
	return ret;
}

struct wire_connection *connection_reaching(struct engine *engine, const char *name,
                                            const char *target, const char **ret_path)
{
	struct wire_connection *ret = NULL;
	struct map_entry *entry;
	pthread_mutex_lock(&engine->lock);
	for (size_t i = 0; !ret && (entry = map_each(&engine->connections, &i));)
		if ((!name || strcmp(name, entry->key) == 0) &&
		    wire_connection_reaches(entry->value, target, ret_path))
			ret = entry->value;
	pthread_mutex_unlock(&engine->lock);
	return ret;
}
