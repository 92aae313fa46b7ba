/* SPDX-License-Identifier: MIT */
/*
 * The null data model (SCXML appendix B.1): guards are In(state) and nothing
 * else; there are no data, no locations, no scripts.  "In('s1')" and "In(s1)"
 * are the same.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "machine/datamodel.h"

struct datamodel {
	bool (*in)(void *ctx, const char *state_id);
	void *ctx;
};

static int create(void *factory, const struct datamodel_setup *setup, struct datamodel **ret,
                  struct err *err)
{
	(void)factory;
	(void)err;
	struct datamodel *dm = mem_alloc(sizeof(*dm));
	dm->in = setup->in;
	dm->ctx = setup->ctx;
	*ret = dm;
	return 0;
}

static void destroy(struct datamodel *dm)
{
	free(dm);
}

static void set_now(struct datamodel *dm, int64_t now_ms)
{
	(void)dm;
	(void)now_ms;
}

static int refuse(struct err *err, const char *what)
{
	return err_set_id(err, ERR_INPUT, "graph.null_datamodel", "the null data model has no %s",
	                  what);
}

static int load_script(struct datamodel *dm, const struct chart_expr *code, struct err *err)
{
	(void)dm;
	(void)code;
	return refuse(err, "scripts");
}

static void declare(struct datamodel *dm, const char *id)
{
	(void)dm;
	(void)id;
}

static int init_data(struct datamodel *dm, const struct chart_data *data, const json_t *value,
                     struct err *err)
{
	(void)dm;
	(void)data;
	(void)value;
	return refuse(err, "data");
}

static void set_event(struct datamodel *dm, const struct event *event)
{
	(void)dm;
	(void)event;
}

static const char *skip_blanks(const char *text)
{
	while (isspace((unsigned char)*text))
		text++;
	return text;
}

/* The state id of "In(id)", trimmed of blanks and quotes, to be freed; NULL when it is no In(). */
static char *in_argument(const char *text)
{
	text = skip_blanks(text);
	if (!str_begins(text, "In"))
		return NULL;
	text = skip_blanks(text + 2);
	if (*text++ != '(')
		return NULL;
	text = skip_blanks(text);
	const char *end = strrchr(text, ')');
	if (!end || *skip_blanks(end + 1) != '\0')
		return NULL;
	while (end > text && isspace((unsigned char)end[-1]))
		end--;
	bool is_quoted = end - text >= 2 && (*text == '\'' || *text == '"');
	if (is_quoted && end[-1] != *text)
		return NULL;
	if (is_quoted) {
		text++;
		end--;
	}
	return end > text ? mem_dup(text, (size_t)(end - text)) : NULL;
}

static int eval_bool(struct datamodel *dm, const struct chart_expr *expr, bool *ret,
                     struct err *err)
{
	char *id = in_argument(expr->text);
	if (!id)
		return refuse(err, "conditions but In(state)");
	*ret = dm->in(dm->ctx, id);
	free(id);
	return 0;
}

static int eval_json(struct datamodel *dm, const struct chart_expr *expr, json_t **ret,
                     struct err *err)
{
	(void)dm;
	(void)expr;
	(void)ret;
	return refuse(err, "expressions");
}

static int eval_string(struct datamodel *dm, const struct chart_expr *expr, char **ret,
                       struct err *err)
{
	(void)dm;
	(void)expr;
	(void)ret;
	return refuse(err, "expressions");
}

/* Text is text, its blanks normalised. */
static int eval_text(struct datamodel *dm, uint32_t id, const char *text, bool is_xml, json_t **ret,
                     struct err *err)
{
	char *words = mem_dup_str(text);
	size_t len = 0;
	(void)dm;
	(void)id;
	(void)err;
	for (const char *from = skip_blanks(text); *from && !is_xml;) {
		const char *next = isspace((unsigned char)*from) ? skip_blanks(from) : from + 1;
		if (*next || !isspace((unsigned char)*from))
			words[len++] = (char)(isspace((unsigned char)*from) ? ' ' : *from);
		from = next;
	}
	if (!is_xml)
		words[len] = '\0';
	*ret = json_text(str_of(words));
	free(words);
	return 0;
}

static int assign(struct datamodel *dm, const struct chart_expr *location,
                  const struct chart_expr *expr, struct err *err)
{
	(void)dm;
	(void)location;
	(void)expr;
	return refuse(err, "locations");
}

static int assign_text(struct datamodel *dm, const struct chart_expr *location, uint32_t id,
                       const char *text, bool is_xml, struct err *err)
{
	(void)dm;
	(void)location;
	(void)id;
	(void)text;
	(void)is_xml;
	return refuse(err, "locations");
}

static int assign_json(struct datamodel *dm, const struct chart_expr *location, const json_t *value,
                       struct err *err)
{
	(void)dm;
	(void)location;
	(void)value;
	return refuse(err, "locations");
}

static int foreach_begin(struct datamodel *dm, const struct chart_expr *array,
                         const struct chart_expr *item, const struct chart_expr *index, void **iter,
                         struct err *err)
{
	(void)dm;
	(void)array;
	(void)item;
	(void)index;
	(void)iter;
	return refuse(err, "foreach");
}

static int foreach_next(struct datamodel *dm, void *iter, bool *more, struct err *err)
{
	(void)dm;
	(void)iter;
	(void)more;
	return refuse(err, "foreach");
}

static void foreach_end(struct datamodel *dm, void *iter)
{
	(void)dm;
	(void)iter;
}

static int check(struct datamodel *dm, struct err *err)
{
	(void)dm;
	(void)err;
	return 0;
}

static json_t *snapshot(struct datamodel *dm)
{
	(void)dm;
	return json_object();
}

static int restore(struct datamodel *dm, const json_t *saved, struct err *err)
{
	(void)dm;
	(void)saved;
	(void)err;
	return 0;
}

const struct datamodel_ops datamodel_null_ops = {
	.name = "null",
	.create = create,
	.free = destroy,
	.set_now = set_now,
	.load_script = load_script,
	.declare = declare,
	.init_data = init_data,
	.set_event = set_event,
	.eval_bool = eval_bool,
	.eval_json = eval_json,
	.eval_string = eval_string,
	.eval_text = eval_text,
	.eval_location = eval_json,
	.assign = assign,
	.assign_text = assign_text,
	.assign_json = assign_json,
	.script = load_script,
	.foreach_begin = foreach_begin,
	.foreach_next = foreach_next,
	.foreach_end = foreach_end,
	.check = check,
	.snapshot = snapshot,
	.save = snapshot,
	.restore = restore,
};
