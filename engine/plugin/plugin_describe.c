/* SPDX-License-Identifier: MIT */
/*
 * A plugin's descriptor, looked at before anything of it is used.
 *
 * The descriptor is somebody else's memory.  The ABI major is read first, for
 * it alone has the same place in every major; then the size, which says how far
 * the rest may be read; then every text, number and pointer.  What passes is
 * copied into structs of our size, so that no other file ever looks beyond what
 * the plugin's maker knew.
 */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "plugin/plugin_int.h"

enum { NAME_BYTES = 64, SIZE_MAX_SANE = 65536 };

bool plugin_sized(void *ret, size_t ret_bytes, const void *from, uint32_t size)
{
	memset(ret, 0, ret_bytes);
	if (size < sizeof(uint32_t) || size > SIZE_MAX_SANE)
		return false;
	memcpy(ret, from, size < ret_bytes ? size : ret_bytes);
	return true;
}

/* --- texts -------------------------------------------------------------- */

static bool is_name(const char *text)
{
	if (!text || text[0] < 'a' || text[0] > 'z')
		return false;
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_");
	return text[len] == '\0' && len <= NAME_BYTES;
}

static bool is_version(const char *text)
{
	size_t len = text ? strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	                                 "0123456789.+-_")
	                  : 0;
	return len > 0 && len <= NAME_BYTES && text[len] == '\0';
}

/* NULL is fine where the text may be absent. */
static int check_text(const char *text, const char *what, struct err *err)
{
	if (!text)
		return 0;
	size_t len = strnlen(text, LIMIT_PLUGIN_TEXT_BYTES + 1);
	if (len > LIMIT_PLUGIN_TEXT_BYTES)
		return err_set_id(err, ERR_LIMIT, "plugin.text", "its %s is longer than %d bytes",
		                  what, LIMIT_PLUGIN_TEXT_BYTES);
	if (!str_is_utf8((struct str){ text, len }))
		return err_set_id(err, ERR_INPUT, "plugin.text", "its %s is not valid UTF-8", what);
	return 0;
}

static int check_schema(const char *text, const char *what, json_t **ret_json, struct schema **ret,
                        struct err *err)
{
	if (check_text(text, what, err) < 0)
		return err->code;
	if (!text)
		return 0;
	json_t *json = NULL;
	int status = json_read(str_of(text), LIMIT_PLUGIN_TEXT_BYTES, &json, err);
	if (status == 0)
		status = schema_new(json, NULL, NULL, ret, err);
	if (status < 0) {
		json_decref(json);
		return err_wrap(err, "the JSON Schema of its %s", what);
	}
	*ret_json = json;
	return 0;
}

/* Space-separated paths such as "params.customer.email result.lines[].name". */
static json_t *paths_new(const char *text)
{
	json_t *list = json_array();
	while (text && *text) {
		size_t len = strcspn(text, " ");
		if (len > 0)
			json_push(list, json_stringn(text, len));
		text += len + strspn(text + len, " ");
	}
	return list;
}

/* --- actions ------------------------------------------------------------ */

static const char *effect_name(int32_t effect)
{
	static const char *const names[] = { "", "READ", "KEYED", "ONCE", "PURE" };
	return effect >= GW_EFFECT_READ && effect <= GW_EFFECT_PURE ? names[effect] : NULL;
}

static int check_action_fields(const struct gw_action *own, struct err *err)
{
	if (!effect_name(own->effect))
		return err_set_id(err, ERR_INPUT, "plugin.effect",
		                  "its effect is %d, which is none of enum gw_effect",
		                  (int)own->effect);
	if (!own->start)
		return err_set_id(err, ERR_INPUT, "plugin.start", "it has no start function");
	if (own->state_size > LIMIT_PLUGIN_STATE_BYTES)
		return err_set_id(err, ERR_LIMIT, "plugin.state",
		                  "it asks for %zu bytes of state per call; the limit is %d",
		                  own->state_size, LIMIT_PLUGIN_STATE_BYTES);
	if (check_text(own->summary, "summary", err) < 0 ||
	    check_text(own->secret, "list of secret parameters", err) < 0 ||
	    check_text(own->personal, "list of personal fields", err) < 0)
		return err->code;
	return 0;
}

static void action_free(struct plugin_action *action)
{
	if (!action)
		return;
	schema_free(action->params);
	schema_free(action->result);
	json_decref(action->describe);
	free(action);
}

static int action_fill(struct plugin_action *action, struct err *err)
{
	json_t *params = NULL, *result = NULL;
	if (check_action_fields(&action->own, err) < 0 ||
	    check_schema(action->own.params, "parameters", &params, &action->params, err) < 0)
		return err->code;
	if (check_schema(action->own.result, "result", &result, &action->result, err) < 0) {
		json_decref(params);
		return err->code;
	}
	json_t *describe = json_object();
	json_put_str(describe, "name", action->own.name);
	json_put_str(describe, "summary", action->own.summary ? action->own.summary : "");
	json_put_str(describe, "effect", effect_name(action->own.effect));
	json_put(describe, "params", params ? params : json_true());
	json_put(describe, "result", result ? result : json_true());
	json_put(describe, "secret", paths_new(action->own.secret));
	json_put(describe, "personal", paths_new(action->own.personal));
	action->describe = describe;
	return 0;
}

static int add_action(struct plugin *plugin, const struct gw_action *given, struct err *err)
{
	struct gw_action own;
	if (!plugin_sized(&own, sizeof(own), given, given->size))
		return err_set_id(err, ERR_INPUT, "plugin.size",
		                  "action %zu does not say its size (.size = sizeof(...))",
		                  plugin->actions.len + 1);
	if (!is_name(own.name))
		return err_set_id(err, ERR_INPUT, "plugin.name",
		                  "the name of action %zu is not of the form [a-z][a-z0-9_]*",
		                  plugin->actions.len + 1);
	if (plugin_action_find(plugin, own.name))
		return err_set_id(err, ERR_INPUT, "plugin.name", "it has two actions named '%s'",
		                  own.name);
	struct plugin_action *action = mem_alloc(sizeof(*action));
	action->plugin = plugin;
	action->own = own;
	*vec_add(&plugin->actions) = action;
	if (action_fill(action, err) < 0)
		return err_wrap(err, "action '%s'", own.name);
	return 0;
}

static int add_actions(struct plugin *plugin, struct err *err)
{
	if (!plugin->own.actions || !plugin->own.actions[0])
		return err_set_id(err, ERR_INPUT, "plugin.actions", "it offers no action");
	for (size_t i = 0; plugin->own.actions[i]; i++) {
		if (i >= LIMIT_PLUGIN_ACTIONS)
			return err_set_id(
				err, ERR_LIMIT, "plugin.actions",
				"it offers more than %d actions, or its list does not end "
				"with NULL",
				LIMIT_PLUGIN_ACTIONS);
		if (add_action(plugin, plugin->own.actions[i], err) < 0)
			return err->code;
	}
	return 0;
}

/* --- the error table ---------------------------------------------------- */

static int check_row(const struct gw_error_row *row, struct err *err)
{
	if (row->http_status != 0 && (row->http_status < 100 || row->http_status > 599))
		return err_set_id(err, ERR_INPUT, "plugin.errors", "http_status %d is none",
		                  (int)row->http_status);
	if (check_text(row->error_code, "error_code", err) < 0 ||
	    check_text(row->error_type, "error_type", err) < 0 ||
	    check_text(row->resolution, "resolution", err) < 0 ||
	    check_text(row->owner, "owner", err) < 0)
		return err->code;
	return 0;
}

static int add_errors(struct plugin *plugin, struct err *err)
{
	const struct gw_error_row *const *rows = plugin->own.errors;
	for (size_t i = 0; rows && rows[i]; i++) {
		struct gw_error_row row;
		if (i >= LIMIT_PLUGIN_ERRORS)
			return err_set_id(err, ERR_LIMIT, "plugin.errors",
			                  "its error table has more than %d rows, or does not end "
			                  "with NULL",
			                  LIMIT_PLUGIN_ERRORS);
		if (!plugin_sized(&row, sizeof(row), rows[i], rows[i]->size))
			return err_set_id(err, ERR_INPUT, "plugin.size",
			                  "row %zu of its error table does not say its size",
			                  i + 1);
		if (check_row(&row, err) < 0)
			return err_wrap(err, "row %zu of its error table", i + 1);
		*vec_add(&plugin->errors) = row;
	}
	return 0;
}

static json_t *errors_new(const struct plugin *plugin)
{
	json_t *list = json_array();
	for (size_t i = 0; i < plugin->errors.len; i++) {
		const struct gw_error_row *row = &plugin->errors.at[i];
		json_t *json = json_object();
		if (row->http_status != 0)
			json_put_int(json, "http_status", row->http_status);
		json_put_str(json, "error_code", row->error_code);
		json_put_str(json, "error_type", row->error_type);
		json_put_str(json, "resolution", row->resolution);
		json_put_str(json, "owner", row->owner);
		json_push(list, json);
	}
	return list;
}

/* --- the plugin --------------------------------------------------------- */

/* The major stands first in every major there will ever be. */
static int check_abi(const struct gw_plugin *given, struct err *err)
{
	if (given->abi_major == GW_ABI_MAJOR)
		return 0;
	err_set_id(err, ERR_INPUT, "plugin.abi",
	           "it was built for version %u of the plugin interface; this engine speaks "
	           "version %d",
	           (unsigned)given->abi_major, GW_ABI_MAJOR);
	if (given->abi_major > GW_ABI_MAJOR)
		return err_hint(err, "Update the engine, or build the plugin with this engine's "
		                     "gw_plugin.h.");
	return err_hint(err, "Build the plugin anew with this engine's gw_plugin.h.");
}

static int check_name(const char *name, struct err *err)
{
	static const char *const taken[] = { "scxml",     "rules", "template", "approval",
		                             "checklist", "tasks", "run" };
	if (!is_name(name))
		return err_set_id(err, ERR_INPUT, "plugin.name",
		                  "its name is not of the form [a-z][a-z0-9_]*, at most %d bytes",
		                  NAME_BYTES);
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
		if (strcmp(name, taken[i]) == 0)
			return err_set_id(err, ERR_CONFLICT, "plugin.name",
			                  "'%s' is a type of the engine's own; no plugin may be "
			                  "called so",
			                  name);
	return 0;
}

static int fill(struct plugin *plugin, const struct gw_plugin *given, struct err *err)
{
	size_t least = offsetof(struct gw_plugin, actions) + sizeof(given->actions);
	if (given->size < least ||
	    !plugin_sized(&plugin->own, sizeof(plugin->own), given, given->size))
		return err_set_id(err, ERR_INPUT, "plugin.size",
		                  "its descriptor says it has %u bytes; that cannot be (.size = "
		                  "sizeof(struct gw_plugin))",
		                  (unsigned)given->size);
	const struct gw_plugin *own = &plugin->own;
	json_t *settings = NULL;
	if (check_name(own->name, err) < 0)
		return err->code;
	if (!is_version(own->version))
		return err_set_id(err, ERR_INPUT, "plugin.version",
		                  "its version is missing or no version, such as \"1.2.0\"");
	if (check_text(own->summary, "summary", err) < 0 || add_actions(plugin, err) < 0 ||
	    add_errors(plugin, err) < 0 ||
	    check_schema(own->settings, "settings", &settings, &plugin->settings, err) < 0)
		return err->code;
	json_t *describe = json_object();
	json_put_str(describe, "name", own->name);
	json_put_str(describe, "version", own->version);
	json_put_str(describe, "sha256", plugin->sha256);
	json_put_str(describe, "file", plugin->file);
	json_put_str(describe, "summary", own->summary ? own->summary : "");
	json_t *actions = json_array();
	for (size_t i = 0; i < plugin->actions.len; i++)
		json_push(actions, json_incref(plugin->actions.at[i]->describe));
	json_put(describe, "actions", actions);
	json_put(describe, "errors", errors_new(plugin));
	json_put(describe, "settings", settings);
	plugin->describe = describe;
	return 0;
}

int plugin_new(const struct gw_plugin *descriptor, const char *file, const char *sha256,
               struct plugin **ret, struct err *err)
{
	if (!descriptor)
		return err_set_id(err, ERR_INPUT, "plugin.descriptor",
		                  "its gw_plugin_entry() returned nothing");
	if (check_abi(descriptor, err) < 0)
		return err->code;
	struct plugin *plugin = mem_alloc(sizeof(*plugin));
	plugin->file = mem_dup_str(file);
	memcpy(plugin->sha256, sha256, strnlen(sha256, SHA256_HEX - 1));
	if (fill(plugin, descriptor, err) < 0) {
		plugin_free(plugin);
		return err->code;
	}
	*ret = plugin;
	return 0;
}

void plugin_free(struct plugin *plugin)
{
	if (!plugin)
		return;
	for (size_t i = 0; i < plugin->actions.len; i++)
		action_free(plugin->actions.at[i]);
	vec_release(&plugin->actions);
	vec_release(&plugin->errors);
	schema_free(plugin->settings);
	json_decref(plugin->describe);
	free(plugin->file);
	free(plugin);
}

const char *plugin_name(const struct plugin *plugin)
{
	return plugin->own.name;
}

const char *plugin_version(const struct plugin *plugin)
{
	return plugin->own.version;
}

const char *plugin_sha256(const struct plugin *plugin)
{
	return plugin->sha256;
}

json_t *plugin_describe(const struct plugin *plugin)
{
	return json_deep_copy(plugin->describe);
}

const struct plugin_action *plugin_action_find(const struct plugin *plugin, const char *name)
{
	for (size_t i = 0; i < plugin->actions.len; i++)
		if (strcmp(plugin->actions.at[i]->own.name, name) == 0)
			return plugin->actions.at[i];
	return NULL;
}

size_t plugin_action_names(const struct plugin *plugin, const char **ret, size_t max)
{
	for (size_t i = 0; i < plugin->actions.len && i < max; i++)
		ret[i] = plugin->actions.at[i]->own.name;
	return plugin->actions.len;
}

const json_t *plugin_action_describe(const struct plugin_action *action)
{
	return action->describe;
}

bool plugin_action_has_lookup(const struct plugin_action *action)
{
	return action->own.lookup != NULL;
}

bool plugin_action_is_pure(const struct plugin_action *action)
{
	return action->own.effect == GW_EFFECT_PURE;
}

enum wire_effect plugin_action_effect(const struct plugin_action *action)
{
	switch ((enum gw_effect)action->own.effect) {
	case GW_EFFECT_READ:
	case GW_EFFECT_PURE: return WIRE_READ;
	case GW_EFFECT_KEYED: return WIRE_KEYED;
	case GW_EFFECT_ONCE: return WIRE_ONCE;
	}
	return WIRE_ONCE;
}

int plugin_action_check(const struct plugin_action *action, const json_t *params, struct err *err)
{
	json_t *none = params ? NULL : json_object();
	const json_t *value = params ? params : none;
	int status = 0;
	if (!json_is_object(value))
		status = err_set_id(err, ERR_INPUT, "schema.type", "the parameters are no object");
	else if (action->params)
		status = schema_check(action->params, value, err);
	json_decref(none);
	if (status < 0)
		return err_wrap(err, "parameters of '%s.%s'", action->plugin->own.name,
		                action->own.name);
	return 0;
}

int plugin_settings_check(const struct plugin *plugin, const json_t *settings, struct err *err)
{
	json_t *none = settings ? NULL : json_object();
	int status = 0;
	if (plugin->settings)
		status = schema_check(plugin->settings, settings ? settings : none, err);
	json_decref(none);
	return status < 0 ? err_wrap(err, "settings for the plugin '%s'", plugin->own.name) : 0;
}
