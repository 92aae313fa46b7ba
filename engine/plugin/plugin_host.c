/* SPDX-License-Identifier: MIT */
/*
 * struct gw_host: what a plugin can ask of the engine, function by function.
 *
 * Everything a plugin hands over is taken as it might be meant by somebody who
 * has not read the contract: NULL, empty, too long, no UTF-8, at the wrong time.
 * Nothing here stops the process; a broken contract ends the call.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "plugin/plugin_int.h"

static struct gw_str lit(const char *text)
{
	return (struct gw_str){ text, strlen(text) };
}

static struct str str_from(struct gw_str text)
{
	return text.ptr ? (struct str){ text.ptr, text.len } : (struct str){ "", 0 };
}

/* --- reading the call --------------------------------------------------- */

static const struct gw_json *call_params(const struct gw_call *call)
{
	return plugin_json(call->own, call->own->params);
}

static struct gw_str call_str(struct gw_call *call, const char *path)
{
	const json_t *value = path ? json_path(call->own->params, path) : NULL;
	if (json_is_string(value))
		return (struct gw_str){ json_string_value(value), json_string_length(value) };
	if (json_is_number(value) || json_is_boolean(value))
		return plugin_json_text(call->own, value);
	return lit("");
}

static struct gw_str call_setting(struct gw_call *call, const char *name, const char *fallback)
{
	const char *value = NULL;
	if (call->own->connection && name)
		value = wire_connection_setting(call->own->connection, name);
	return lit(value ? value : fallback ? fallback : "");
}

static struct gw_str call_key(struct gw_call *call)
{
	struct plugin_call *own = call->own;
	char *key = arena_alloc(&own->arena, SHA256_HEX);
	plugin_key(own->run_id, own->number, own->element, (uint32_t)own->requests.len, key);
	return lit(key);
}

static struct gw_str call_correlation_id(const struct gw_call *call)
{
	return lit(call->own->correlation_id);
}

static struct gw_str call_run_id(const struct gw_call *call)
{
	return lit(call->own->run_id);
}

static int64_t call_now_ms(const struct gw_call *call)
{
	return call->own->now_ms;
}

/* --- memory and text ---------------------------------------------------- */

static void *call_state(struct gw_call *call)
{
	struct plugin_call *own = call->own;
	if (!own->state)
		own->state = arena_alloc(&own->arena, sizeof(max_align_t));
	return own->state;
}

static void *call_alloc(struct gw_call *call, size_t bytes)
{
	return arena_alloc(&call->own->arena, bytes > 0 ? bytes : 1);
}

static struct gw_str call_format(struct gw_call *call, const char *format, ...) ATTR_PRINTF(2, 3);
static struct gw_str call_format(struct gw_call *call, const char *format, ...)
{
	va_list args, again;
	va_start(args, format);
	va_copy(again, args);
	int len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	char *text = arena_alloc(&call->own->arena, len < 0 ? 1 : (size_t)len + 1);
	if (len > 0)
		vsnprintf(text, (size_t)len + 1, format, again);
	va_end(again);
	return (struct gw_str){ text, len < 0 ? 0 : (size_t)len };
}

static struct gw_str call_url(struct gw_call *call, struct gw_str given)
{
	static const char hex[] = "0123456789ABCDEF";
	struct str text = str_from(given);
	char *out = arena_alloc(&call->own->arena, text.len * 3 + 1), *to = out;
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];
		bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		                (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
		                c == '~';
		if (is_plain) {
			*to++ = (char)c;
		} else {
			*to++ = '%';
			*to++ = hex[c >> 4];
			*to++ = hex[c & 15];
		}
	}
	return (struct gw_str){ out, (size_t)(to - out) };
}

/* --- ending the call ---------------------------------------------------- */

static int last_attempts(const struct plugin_call *call)
{
	return call->reply ? call->reply->attempts : 0;
}

static void end_malformed(struct plugin_call *call, const char *why)
{
	const char *text = arena_format(&call->arena, "the result of '%s' does not fit: %s",
	                                plugin_call_name(call), why);
	struct plugin_failure failure = {
		.status = GW_E_REPLY,
		.is_malformed = true,
		.http_status = call->reply ? call->reply->code : 0,
		.message = str_of(text),
		.attempts = last_attempts(call),
	};
	plugin_end(call, false, plugin_failure_json(call->action->plugin, &failure));
}

static void call_done(struct gw_call *call, const struct gw_json *result)
{
	struct plugin_call *own = call->own;
	struct err err = { 0 };
	if (!plugin_may_act(own, "call->done"))
		return;
	json_t *none = json_null();
	json_t *value = result ? result->json : none;
	if (own->is_ended)
		plugin_end(own, true, NULL);
	else if (!plugin_json_is_sane(value))
		end_malformed(own, "it is too deep or too large");
	else if (own->action->result && schema_check(own->action->result, value, &err) < 0)
		end_malformed(own, err.text);
	else
		plugin_end(own, true, json_deep_copy(value));
}

static int sane_status(int status)
{
	return status <= GW_E_INPUT && status >= GW_E_NETWORK ? status : GW_E_BUG;
}

static void end_failure(struct plugin_call *call, struct plugin_failure *failure)
{
	if (call->is_ended) {
		plugin_end(call, false, NULL);
		return;
	}
	const char *text = NULL;
	failure->is_once = call->current && call->current->effect == WIRE_ONCE;
	if (failure->message.len == 0) {
		text = call->reply && call->reply->text[0]
		               ? arena_format(&call->arena, "%s: %s: %s", plugin_call_name(call),
		                              plugin_request_name(call, call->current),
		                              call->reply->text)
		               : arena_format(&call->arena, "%s failed", plugin_call_name(call));
		failure->message = str_of(text);
	}
	plugin_end(call, false, plugin_failure_json(call->action->plugin, failure));
}

static void call_fail(struct gw_call *call, const struct gw_failure *given)
{
	struct plugin_call *own = call->own;
	struct gw_failure said;
	if (!plugin_may_act(own, "call->fail"))
		return;
	if (!given || !plugin_sized(&said, sizeof(said), given, given->size)) {
		plugin_bug(own, "a failure does not say its size (.size = sizeof(failure))");
		return;
	}
	struct plugin_failure failure = {
		.status = sane_status(said.status),
		.http_status = said.http_status,
		.error_code = str_from(said.error_code),
		.message = str_from(said.message),
		.error_type = said.error_type,
		.resolution = said.resolution,
		.owner = said.owner,
		.attempts = last_attempts(own),
	};
	end_failure(own, &failure);
}

static void call_fail_reply(struct gw_call *call, int status, const struct gw_http_reply *reply,
                            struct gw_str error_code, struct gw_str message)
{
	struct plugin_call *own = call->own;
	if (!plugin_may_act(own, "call->fail_reply"))
		return;
	/* The plugin may hand over any reply; only the one just given says how it was had. */
	bool is_current = reply && own->reply && reply->own == own->reply;
	bool is_mail = is_current && plugin_request_is_mail(own->current);
	/* A reply that is fine in form: either it says no in its own words, or it is nonsense. */
	int meant = error_code.len > 0 ? GW_E_INPUT : GW_E_REPLY;
	struct plugin_failure failure = {
		.status = status == GW_OK ? meant : sane_status(status),
		.http_status = reply && !is_mail ? reply->code : 0,
		.wire = is_current && status != GW_OK ? own->reply->status : WIRE_OK,
		.error_code = str_from(error_code),
		.message = str_from(message),
		.attempts = is_current ? own->reply->attempts : 0,
	};
	end_failure(own, &failure);
}

/* --- the record --------------------------------------------------------- */

static void call_note(struct gw_call *call, const char *message)
{
	if (message)
		plugin_note(call->own, "%s", message);
}

static void call_fact(struct gw_call *call, const char *name, const struct gw_json *value)
{
	struct plugin_call *own = call->own;
	if (!name || !value || !str_is_utf8(str_of(name)) || strlen(name) > LIMIT_CALL_NOTE_BYTES ||
	    json_object_size(own->facts) >= LIMIT_CALL_NOTES || !plugin_json_is_sane(value->json)) {
		plugin_note(own, "a fact was dropped: no name, no value, too large or too many");
		return;
	}
	json_put(own->facts, name, json_deep_copy(value->json));
}

/* --- the world ---------------------------------------------------------- */

static void http_send(struct gw_call *call, const struct gw_http_req *req, gw_http_cb *then)
{
	plugin_ask_http(call->own, req, then);
}

static void mail_send(struct gw_call *call, const struct gw_mail *mail, gw_http_cb *then)
{
	plugin_ask_mail(call->own, mail, then);
}

static void host_later(struct gw_call *call, int64_t delay_ms, gw_call_cb *then)
{
	struct plugin_call *own = call->own;
	if (!plugin_may_act(own, "later") || own->is_ended || own->is_cancelled)
		return;
	if (!then)
		plugin_bug(own, "later() without a callback");
	else if (plugin_action_is_pure(own->action))
		plugin_bug(own, "the action is declared PURE but asks for time");
	else if (plugin_pending_other_than_read(own))
		plugin_bug(own, "later() while a request that is not READ is open");
	else if (own->timers.len >= LIMIT_REQUESTS_PER_CALL)
		plugin_bug(own, "more than %d timers in one call", LIMIT_REQUESTS_PER_CALL);
	else if (!own->loop)
		plugin_bug(own, "later() is not to be had here");
	if (own->is_ended)
		return;
	struct plugin_timer *timer = mem_alloc(sizeof(*timer));
	timer->call = own;
	timer->then = then;
	timer->delay_ms = delay_ms < 1 ? 1 : delay_ms > LIMIT_LATER_MS ? LIMIT_LATER_MS : delay_ms;
	*vec_add(&own->timers) = timer;
}

/* --- prompts ------------------------------------------------------------ */

static struct gw_str text_at(const json_t *json, const char *key)
{
	const json_t *value = json_at(json, key);
	return json_is_string(value)
	               ? (struct gw_str){ json_string_value(value), json_string_length(value) }
	               : lit("");
}

static const struct gw_prompt *show_prompt(struct plugin_call *call, json_t *json)
{
	struct gw_prompt *prompt = arena_alloc(&call->arena, sizeof(*prompt));
	json_t *schema = json_at(json, "schema"), *temperature = json_at(json, "temperature");
	plugin_json_take(call, json); /* keeps it */
	*prompt = (struct gw_prompt){
		.size = sizeof(*prompt),
		.name = text_at(json, "name"),
		.version = text_at(json, "version"),
		.sha256 = text_at(json, "sha256"),
		.model = text_at(json, "model"),
		.system = text_at(json, "system"),
		.user = text_at(json, "user"),
		.schema = json_is_object(schema) ? plugin_json(call, schema) : NULL,
		.max_tokens = json_int(json, "max_tokens", 0),
		.temperature = json_is_number(temperature) ? json_number_value(temperature) : -1,
	};
	return prompt;
}

static const struct gw_prompt *prompt_render(struct gw_call *call, struct gw_str name,
                                             const struct gw_json *values)
{
	struct plugin_call *own = call->own;
	struct err err = { 0 };
	if (!plugin_may_act(own, "prompt->render") || own->is_ended)
		return NULL;
	if (!own->hooks->prompt || !name.ptr || memchr(name.ptr, '\0', name.len)) {
		plugin_refuse(own, "no prompt can be had here");
		return NULL;
	}
	json_t *none = json_object();
	const char *text = arena_dup(&own->arena, name.ptr, name.len);
	json_t *json = own->hooks->prompt(own->hooks->ctx, own, text, values ? values->json : none,
	                                  &err);
	json_decref(none);
	if (!json) {
		plugin_refuse(own, "%s", err.text);
		return NULL;
	}
	json_t *masks = json_at(json, "masks");
	if (json_is_object(masks))
		(void)json_object_update(own->masks, masks); /* fails only without memory */
	return show_prompt(own, json);
}

/* The longest mask that stands at this place of the text, so that X1 never hides X12. */
static const char *mask_at(const json_t *masks, const char *text, size_t left, const char **meant)
{
	const char *best = NULL, *mask;
	json_t *value;
	json_object_foreach((json_t *)(uintptr_t)masks, mask, value) {
		size_t len = strlen(mask);
		if (len > 0 && len <= left && memcmp(text, mask, len) == 0 &&
		    json_is_string(value) && (!best || len > strlen(best))) {
			best = mask;
			*meant = json_string_value(value);
		}
	}
	return best;
}

static json_t *unmask_text(const json_t *masks, const json_t *value)
{
	const char *text = json_string_value(value), *meant = NULL;
	size_t len = json_string_length(value);
	struct buf out;
	buf_init(&out, SIZE_MAX / 8); /* bounded where it is used */
	for (size_t i = 0; i < len;) {
		const char *mask = mask_at(masks, text + i, len - i, &meant);
		if (mask)
			buf_put(&out, meant);
		else
			buf_put_len(&out, text + i, 1);
		i += mask ? strlen(mask) : 1;
	}
	json_t *ret = json_text(buf_str(&out));
	buf_release(&out);
	return ret;
}

/* New; values only, for keys are the schema's. */
static json_t *unmask(const json_t *masks, const json_t *value)
{
	size_t index;
	const char *key;
	json_t *item, *ret;
	if (json_is_string(value))
		return unmask_text(masks, value);
	if (json_is_object(value)) {
		ret = json_object();
		json_object_foreach((json_t *)(uintptr_t)value, key, item)
			json_put(ret, key, unmask(masks, item));
		return ret;
	}
	if (json_is_array(value)) {
		ret = json_array();
		json_array_foreach(value, index, item)
			json_push(ret, unmask(masks, item));
		return ret;
	}
	return json_copy((json_t *)(uintptr_t)value);
}

static const struct gw_json *prompt_unmask(struct gw_call *call, const struct gw_json *value)
{
	if (!value || !plugin_json_is_sane(value->json))
		return NULL;
	return plugin_json_take(call->own, unmask(call->own->masks, value->json));
}

/* --- the tables --------------------------------------------------------- */

static const struct gw_call_ops call_ops = {
	.size = sizeof(call_ops),
	.params = call_params,
	.str = call_str,
	.setting = call_setting,
	.key = call_key,
	.correlation_id = call_correlation_id,
	.run_id = call_run_id,
	.now_ms = call_now_ms,
	.state = call_state,
	.alloc = call_alloc,
	.format = call_format,
	.url = call_url,
	.done = call_done,
	.fail = call_fail,
	.fail_reply = call_fail_reply,
	.note = call_note,
	.fact = call_fact,
};

static const struct gw_http_ops http_ops = { .size = sizeof(http_ops), .send = http_send };
static const struct gw_mail_ops mail_ops = { .size = sizeof(mail_ops), .send = mail_send };
static const struct gw_prompt_ops prompt_ops = {
	.size = sizeof(prompt_ops),
	.render = prompt_render,
	.unmask = prompt_unmask,
};

const struct gw_host plugin_host = {
	.size = sizeof(plugin_host),
	.abi_minor = GW_ABI_MINOR,
	.call = &call_ops,
	.http = &http_ops,
	.json = &plugin_json_ops,
	.mail = &mail_ops,
	.prompt = &prompt_ops,
	.later = host_later,
};
