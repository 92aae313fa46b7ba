/* SPDX-License-Identifier: MIT */
#include "toy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static int number_index(const char *name)
{
	bool is_one = name && name[0] == 'v' && name[1] >= '0' && name[1] < '0' + TOY_NUMBERS;
	return is_one ? name[1] - '0' : -1;
}

int toy_guard(const struct toy *toy, const char *text, bool *ret)
{
	char id[64];
	int index = number_index(text), limit;
	if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
		*ret = text[0] == 't';
	else if (sscanf(text, "In(%63[^)])", id) == 1)
		*ret = toy->in(toy->ctx, id);
	else if (sscanf(text, "not In(%63[^)])", id) == 1)
		*ret = !toy->in(toy->ctx, id);
	else if (index >= 0 && sscanf(text + 2, " < %d", &limit) == 1)
		*ret = toy->numbers[index] < limit;
	else
		return -1;
	return 0;
}

int toy_assign(struct toy *toy, const char *location, const char *text)
{
	int to = number_index(location), from = number_index(text), add;
	if (to < 0 || !text)
		return -1;
	if (from >= 0 && sscanf(text + 2, " + %d", &add) == 1)
		toy->numbers[to] = toy->numbers[from] + add;
	else if (from < 0 && sscanf(text, "%d", &add) == 1)
		toy->numbers[to] = add;
	else
		return -1;
	return 0;
}

struct datamodel {
	struct toy toy;
};

static int create(void *factory, const struct datamodel_setup *setup, struct datamodel **ret,
                  struct err *err)
{
	(void)factory;
	(void)err;
	*ret = mem_alloc(sizeof(**ret));
	(*ret)->toy.in = setup->in;
	(*ret)->toy.ctx = setup->ctx;
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

static void set_event(struct datamodel *dm, const struct event *event)
{
	(void)dm;
	(void)event;
}

static int eval_bool(struct datamodel *dm, const struct chart_expr *expr, bool *ret,
                     struct err *err)
{
	if (toy_guard(&dm->toy, expr->text, ret) == 0)
		return 0;
	return err_set(err, ERR_INPUT, "'%s' is no guard", expr->text);
}

static int assign(struct datamodel *dm, const struct chart_expr *location,
                  const struct chart_expr *expr, struct err *err)
{
	if (toy_assign(&dm->toy, location->text, expr->text) == 0)
		return 0;
	return err_set(err, ERR_INPUT, "'%s' cannot be assigned", location->text);
}

static int check(struct datamodel *dm, struct err *err)
{
	(void)dm;
	(void)err;
	return 0;
}

static json_t *snapshot(struct datamodel *dm)
{
	json_t *ret = json_array();
	for (int i = 0; i < TOY_NUMBERS; i++)
		json_push(ret, json_integer(dm->toy.numbers[i]));
	return ret;
}

static int restore(struct datamodel *dm, const json_t *saved, struct err *err)
{
	(void)err;
	for (size_t i = 0; i < TOY_NUMBERS; i++)
		dm->toy.numbers[i] = json_integer_value(json_array_get(saved, i));
	return 0;
}

/* The generated charts use nothing else. */
const struct datamodel_ops toy_datamodel_ops = {
	.name = "toy",
	.create = create,
	.free = destroy,
	.set_now = set_now,
	.set_event = set_event,
	.eval_bool = eval_bool,
	.assign = assign,
	.check = check,
	.snapshot = snapshot,
	.save = snapshot,
	.restore = restore,
};
