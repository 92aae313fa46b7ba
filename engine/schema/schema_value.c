/* SPDX-License-Identifier: MIT */
/*
 * What JSON Schema says about values: types, equality, order and multiples.
 * Numbers are compared as the numbers they are, whether jansson keeps them as
 * 64-bit integers or as doubles; multiples are decided on decimal digits, so
 * that 0.0075 is a multiple of 0.0001 as everyone expects.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/must.h"
#include "schema/schema_int.h"

__extension__ typedef unsigned __int128 wide;

static bool is_whole(double real)
{
	return isfinite(real) && floor(real) == real;
}

unsigned int value_types(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT: return TYPE_OBJECT;
	case JSON_ARRAY: return TYPE_ARRAY;
	case JSON_STRING: return TYPE_STRING;
	case JSON_INTEGER: return TYPE_NUMBER | TYPE_INTEGER;
	case JSON_REAL:
		return is_whole(json_real_value(value)) ? TYPE_NUMBER | TYPE_INTEGER : TYPE_NUMBER;
	case JSON_TRUE:
	case JSON_FALSE: return TYPE_BOOLEAN;
	case JSON_NULL: return TYPE_NULL;
	}
	must_not_reach();
}

struct str value_str(const json_t *string)
{
	return (struct str){ json_string_value(string), json_string_length(string) };
}

size_t value_length(const json_t *string)
{
	struct str text = value_str(string);
	size_t ret = 0;
	for (size_t i = 0; i < text.len; i++)
		ret += ((unsigned char)text.ptr[i] & 0xc0) != 0x80;
	return ret;
}

/* --- order ------------------------------------------------------------------ */

/* 2^63 is the first double above every int64. */
static int compare_mixed(json_int_t integer, double real)
{
	if (real >= 9223372036854775808.0)
		return -1;
	if (real < -9223372036854775808.0)
		return 1;
	json_int_t whole = (json_int_t)real; /* towards zero */
	if (integer != whole)
		return integer < whole ? -1 : 1;
	double fraction = real - (double)whole;
	return fraction > 0 ? -1 : fraction < 0;
}

int value_compare(const json_t *a, const json_t *b)
{
	if (json_is_integer(a) && json_is_integer(b)) {
		json_int_t x = json_integer_value(a), y = json_integer_value(b);
		return x < y ? -1 : x > y;
	}
	if (json_is_integer(a))
		return compare_mixed(json_integer_value(a), json_real_value(b));
	if (json_is_integer(b))
		return -compare_mixed(json_integer_value(b), json_real_value(a));
	double x = json_real_value(a), y = json_real_value(b);
	return x < y ? -1 : x > y;
}

/* --- multiples -------------------------------------------------------------- */

/* digits * 10^exponent, without sign; 17 digits always fit. */
struct decimal {
	uint64_t digits;
	int exponent;
};

static struct decimal decimal_of_real(double real)
{
	char text[40];
	real = fabs(real);
	for (int precision = real < DBL_MIN ? 0 : 14; precision <= 16; precision++) {
		snprintf(text, sizeof(text), "%.*e", precision, real);
		if (strtod(text, NULL) == real)
			break;
	}
	struct decimal ret = { 0 };
	const char *p = text;
	for (bool fraction = false; *p != 'e'; p++) {
		if (*p < '0' || *p > '9') {
			fraction = true;
			continue;
		}
		ret.digits = ret.digits * 10 + (uint64_t)(*p - '0');
		ret.exponent -= fraction;
	}
	ret.exponent += (int)strtol(p + 1, NULL, 10);
	return ret;
}

static struct decimal decimal_of(const json_t *number)
{
	struct decimal ret = { 0 };
	if (json_is_real(number)) {
		ret = decimal_of_real(json_real_value(number));
	} else {
		json_int_t integer = json_integer_value(number);
		ret.digits = integer < 0 ? -(uint64_t)integer : (uint64_t)integer;
	}
	while (ret.digits != 0 && ret.digits % 10 == 0) {
		ret.digits /= 10;
		ret.exponent++;
	}
	return ret;
}

bool value_is_multiple(const json_t *value, const json_t *divisor)
{
	struct decimal a = decimal_of(value), b = decimal_of(divisor);
	if (a.digits == 0)
		return true;
	must(b.digits != 0);
	/* Finer than the divisor's last digit; digits have no trailing zero to give. */
	int shift = a.exponent - b.exponent;
	wide modulus = b.digits;
	for (int i = shift; i < 0; i++) {
		modulus *= 10;
		if (modulus > a.digits)
			return false;
	}
	wide rest = a.digits % modulus;
	for (int i = 0; i < shift && rest != 0; i++)
		rest = rest * 10 % modulus;
	return rest == 0;
}

/* --- equality ----------------------------------------------------------------- */

static bool objects_equal(const json_t *a, const json_t *b)
{
	if (json_object_size(a) != json_object_size(b))
		return false;
	const char *key;
	size_t len;
	json_t *member;
	json_object_keylen_foreach((json_t *)(uintptr_t)a, key, len, member) {
		const json_t *other = json_object_getn(b, key, len);
		if (!other || !value_equal(member, other))
			return false;
	}
	return true;
}

static bool arrays_equal(const json_t *a, const json_t *b)
{
	size_t count = json_array_size(a);
	if (count != json_array_size(b))
		return false;
	for (size_t i = 0; i < count; i++)
		if (!value_equal(json_array_get(a, i), json_array_get(b, i)))
			return false;
	return true;
}

bool value_equal(const json_t *a, const json_t *b)
{
	if (json_is_number(a) && json_is_number(b))
		return value_compare(a, b) == 0;
	if (json_typeof(a) != json_typeof(b))
		return false;
	switch (json_typeof(a)) {
	case JSON_OBJECT: return objects_equal(a, b);
	case JSON_ARRAY: return arrays_equal(a, b);
	case JSON_STRING: return str_eq(value_str(a), value_str(b));
	case JSON_INTEGER:
	case JSON_REAL: must_not_reach();
	case JSON_TRUE:
	case JSON_FALSE:
	case JSON_NULL: return true;
	}
	must_not_reach();
}

/* --- twins --------------------------------------------------------------------- */

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t len)
{
	const unsigned char *p = bytes;
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ p[i]) * 1099511628211u;
	return hash ^ (hash >> 29);
}

static uint64_t hash_number(const json_t *value)
{
	double real = json_is_integer(value) ? (double)json_integer_value(value)
	                                     : json_real_value(value);
	real += 0.0; /* -0.0 becomes 0.0, which is equal */
	return hash_bytes(11, &real, sizeof(real));
}

/* Equal values have equal hashes; members are added up, because they have no order. */
static uint64_t hash_value(const json_t *value)
{
	uint64_t hash = 7;
	const char *key;
	size_t i, len;
	json_t *member;
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		json_object_keylen_foreach((json_t *)(uintptr_t)value, key, len, member)
			hash += hash_bytes(hash_value(member), key, len);
		return hash;
	case JSON_ARRAY:
		json_array_foreach(value, i, member) {
			uint64_t item = hash_value(member);
			hash = hash_bytes(hash, &item, sizeof(item));
		}
		return hash;
	case JSON_STRING:
		return hash_bytes(13, json_string_value(value), json_string_length(value));
	case JSON_INTEGER:
	case JSON_REAL: return hash_number(value);
	case JSON_TRUE: return 17;
	case JSON_FALSE: return 19;
	case JSON_NULL: return 23;
	}
	must_not_reach();
}

struct hashed {
	uint64_t hash;
	size_t index;
};

static int compare_hashed(const void *a, const void *b)
{
	const struct hashed *x = a, *y = b;
	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

bool value_find_twins(const json_t *array, size_t *steps, size_t *ret_first, size_t *ret_second)
{
	enum { HASHED_ON_STACK = 64 };
	struct hashed few[HASHED_ON_STACK];
	size_t count = json_array_size(array);
	struct hashed *items = count <= HASHED_ON_STACK ? few
	                                                : mem_grow(NULL, count, sizeof(*items));
	for (size_t i = 0; i < count; i++)
		items[i] = (struct hashed){ hash_value(json_array_get(array, i)), i };
	if (count > 1)
		qsort(items, count, sizeof(*items), compare_hashed);
	bool found = false;
	for (size_t i = 0; i < count && !found && *steps > 0; i++) {
		for (size_t j = i + 1; j < count && items[j].hash == items[i].hash; j++) {
			if (*steps == 0)
				break;
			--*steps;
			found = value_equal(json_array_get(array, items[i].index),
			                    json_array_get(array, items[j].index));
			if (!found)
				continue;
			*ret_first = items[i].index;
			*ret_second = items[j].index;
			break;
		}
	}
	if (items != few)
		free(items);
	return found;
}
