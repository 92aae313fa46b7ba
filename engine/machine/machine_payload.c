/* SPDX-License-Identifier: MIT */
/* What <send>, <invoke> and <donedata> carry: namelist, <param>, <content>. */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "machine/http_event.h"
#include "machine/machine_int.h"

void payload_release(struct payload *payload)
{
	json_decref(payload->data);
	json_decref(payload->renders);
	free(payload->raw);
	*payload = (struct payload){ 0 };
}

/* Either of the twins; *ret is new, NULL when neither was written.  The error is raised. */
int eval_value(struct session *s, const struct chart_value *value, const struct blame *blame,
               char **ret)
{
	*ret = NULL;
	if (value->expr.text) {
		struct err *err = attempt(s);
		if (s->ops->eval_string(s->dm, &value->expr, ret, err) < 0)
			return raise_attempt(s, value->expr.at, blame);
		return 0;
	}
	*ret = mem_dup_str(value->text);
	return 0;
}

/* "name=value&...", to be freed; NULL when it would be too long. */
static char *form_of(const json_t *data)
{
	struct err err = { 0 };
	struct buf form;
	buf_init(&form, LIMIT_JSON_BYTES);
	char *ret = http_event_encode(NULL, data, &form, &err) == 0 ? buf_take(&form) : NULL;
	buf_release(&form);
	return ret;
}

/*
 * A name may be given twice; then the last value is the data, and raw shows all
 * of them.  raw is made only then.
 */
static void note_pair(struct payload *ret, const char *name, const json_t *value)
{
	json_t *one = json_object();
	json_object_set(one, name, (json_t *)value);
	char *before = ret->raw ? ret->raw : form_of(ret->data), *pair = form_of(one);
	ret->raw = before && pair ? mem_format("%s&%s", before, pair) : NULL;
	free(before);
	free(pair);
	json_decref(one);
}

/* Takes over value; NULL (nil) leaves the name out, as in a table. */
static void put_pair(struct payload *ret, const char *name, json_t *value)
{
	if (!ret->data)
		ret->data = json_object();
	if (!value)
		return;
	if (ret->raw || json_object_get(ret->data, name))
		note_pair(ret, name, value);
	json_put(ret->data, name, value);
}

static int eval_name(struct session *s, const struct chart_expr *name, const struct blame *blame,
                     struct payload *ret)
{
	json_t *value = NULL;
	struct err *err = attempt(s);
	if (s->ops->eval_location(s->dm, name, &value, err) < 0)
		return raise_attempt(s, name->at, blame);
	put_pair(ret, name->text, value);
	return 0;
}

static int eval_param(struct session *s, const struct chart_param *param, const struct blame *blame,
                      struct payload *ret)
{
	json_t *value = NULL;
	int status = 0;
	struct err *err = attempt(s);
	if (param->render) {
		if (!ret->renders)
			ret->renders = json_object();
		json_put_str(ret->renders, param->name, param->render);
		if (!ret->data)
			ret->data = json_object(); /* for the rendered text to go to */
		if (!param->expr.text)
			return 0;
	}
	if (param->is_location)
		status = s->ops->eval_location(s->dm, &param->expr, &value, err);
	else if (param->expr.text)
		status = s->ops->eval_json(s->dm, &param->expr, &value, err);
	if (status < 0)
		return raise_attempt(s, param->expr.at, blame);
	put_pair(ret, param->name, value);
	return 0;
}

static int eval_content(struct session *s, const struct chart_content *content,
                        const struct blame *blame, struct payload *ret)
{
	struct err *err = attempt(s);
	int status = 0;
	if (content->expr.text)
		status = s->ops->eval_json(s->dm, &content->expr, &ret->data, err);
	else if (content->text)
		status = s->ops->eval_text(s->dm, content->id, content->text, content->is_xml,
		                           &ret->data, err);
	if (status == 0)
		return 0;
	return raise_attempt(s, content->expr.text ? content->expr.at : content->at, blame);
}

/* Namelist and parameters; lenient: those that fail are left out (5.7). */
static int eval_pairs(struct session *s, const struct chart_payload *payload,
                      const struct blame *blame, bool is_lenient, struct payload *ret)
{
	int status = 0;
	for (size_t i = 0; status == 0 && i < payload->name_count; i++) {
		status = eval_name(s, &payload->names[i], blame, ret);
		if (status == CONTENT_STOPPED && is_lenient)
			status = 0;
	}
	for (size_t i = 0; status == 0 && i < payload->param_count; i++) {
		status = eval_param(s, &payload->params[i], blame, ret);
		if (status == CONTENT_STOPPED && is_lenient)
			status = 0;
	}
	return status;
}

/* CONTENT_STOPPED at the first failure: then nothing is sent or invoked (6.2, 6.4). */
int eval_payload(struct session *s, const struct chart_payload *payload, const struct blame *blame,
                 struct payload *ret)
{
	*ret = (struct payload){ 0 };
	int status = payload->content.present ? eval_content(s, &payload->content, blame, ret)
	                                      : eval_pairs(s, payload, blame, false, ret);
	if (status != 0)
		payload_release(ret);
	return status;
}

/* *ret is new; NULL: none.  Content that fails is no content (5.6). */
int eval_donedata(struct session *s, const struct chart_donedata *donedata, json_t **ret)
{
	struct payload payload = { 0 };
	int status = 0;
	*ret = NULL;
	if (!donedata->present)
		return 0;
	if (donedata->payload.content.present)
		status = eval_content(s, &donedata->payload.content, NULL, &payload);
	else
		status = eval_pairs(s, &donedata->payload, NULL, true, &payload);
	*ret = json_incref(payload.data);
	payload_release(&payload);
	return status < 0 ? status : 0;
}
