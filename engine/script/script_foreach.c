/* SPDX-License-Identifier: MIT */
/* <foreach>: over a copy of the list, so that what the loop does to it changes nothing. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "script/script_int.h"

struct iterator {
	int list_ref;
	lua_Integer at, count;
	char *item, *index; /* plain names, or NULL */
	const struct chart_expr *item_location, *index_location;
};

/* A plain name is declared when it is not yet; any other location must have a declared base. */
static int prepare_target(struct datamodel *dm, const struct chart_expr *target, char **name,
                          struct err *err)
{
	struct str base, text = str_of(target->text);
	bool is_plain;
	if (!scan_location(text, &base, &is_plain))
		return err_set(err, ERR_INPUT, "'%.80s' is not a name that foreach can set",
		               target->text);
	char *base_name = mem_dup(base.ptr, base.len);
	int status = 0;
	if (datamodel_is_system(base_name))
		status = err_set(err, ERR_INPUT, "'%s' is a system variable and cannot be written",
		                 base_name);
	else if (is_plain)
		datamodel_declare(dm, base_name);
	else if (!datamodel_is_declared(dm, base_name))
		status = err_set(err, ERR_INPUT, "'%s' is not declared", base_name);
	if (status == 0 && is_plain)
		*name = base_name;
	else
		free(base_name);
	return status;
}

static void iterator_free(struct datamodel *dm, struct iterator *iterator)
{
	luaL_unref(dm->script->L, LUA_REGISTRYINDEX, iterator->list_ref);
	free(iterator->item);
	free(iterator->index);
	free(iterator);
}

/* Pops the array; a copy of its elements goes to the iterator. */
static int take_list(struct datamodel *dm, const struct chart_expr *array,
                     struct iterator *iterator, struct err *err)
{
	lua_State *L = dm->script->L;
	int status = 0;
	if (!lua_istable(L, -1))
		status = err_set(err, ERR_INPUT, "'%.80s' is a %s, not a list", array->text,
		                 value_is_null(L, -1) ? "null" : luaL_typename(L, -1));
	else
		status = value_check(L, -1, array->text, err);
	if (status < 0) {
		lua_pop(L, 1);
		return datamodel_place(err, array);
	}
	(void)value_contents(L, -1);
	struct value_keys keys = { 0 };
	value_keys_read(L, -1, &keys);
	if (!keys.is_list)
		status = err_set(err, ERR_INPUT, "'%.80s' is an object, not a list", array->text);
	iterator->count = (lua_Integer)keys.len;
	vec_release(&keys);
	lua_createtable(L, (int)iterator->count, 0);
	for (lua_Integer i = 1; i <= iterator->count && status == 0; i++) {
		lua_rawgeti(L, -2, i);
		lua_rawseti(L, -2, i);
	}
	iterator->list_ref = luaL_ref(L, LUA_REGISTRYINDEX);
	lua_pop(L, 2);
	return status < 0 ? datamodel_place(err, array) : 0;
}

int datamodel_foreach_begin(struct datamodel *dm, const struct chart_expr *array,
                            const struct chart_expr *item, const struct chart_expr *index,
                            void **ret, struct err *err)
{
	if (datamodel_eval(dm, array, err) < 0)
		return err->code;
	struct iterator *iterator = mem_alloc(sizeof(*iterator));
	iterator->list_ref = LUA_NOREF;
	iterator->item_location = item;
	iterator->index_location = index && index->text ? index : NULL;
	int status = take_list(dm, array, iterator, err);
	if (status == 0)
		status = prepare_target(dm, item, &iterator->item, err);
	if (status == 0 && iterator->index_location)
		status = prepare_target(dm, index, &iterator->index, err);
	if (status < 0) {
		iterator_free(dm, iterator);
		return status;
	}
	*ret = iterator;
	return 0;
}

int datamodel_foreach_next(struct datamodel *dm, void *opaque, bool *more, struct err *err)
{
	struct iterator *iterator = opaque;
	lua_State *L = dm->script->L;
	*more = iterator->at < iterator->count;
	if (!*more)
		return 0;
	iterator->at++;
	datamodel_push_ref(dm, iterator->list_ref);
	lua_rawgeti(L, -1, iterator->at);
	lua_remove(L, -2);
	if (iterator->item)
		datamodel_set(dm, iterator->item);
	else if (datamodel_store(dm, iterator->item_location, err) < 0)
		return err->code;
	if (!iterator->index_location)
		return 0;
	lua_pushinteger(L, iterator->at);
	if (!iterator->index)
		return datamodel_store(dm, iterator->index_location, err);
	datamodel_set(dm, iterator->index);
	return 0;
}

void datamodel_foreach_end(struct datamodel *dm, void *iter)
{
	iterator_free(dm, iter);
}
