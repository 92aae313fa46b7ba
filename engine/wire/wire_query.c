/* SPDX-License-Identifier: MIT */
/*
 * The parameters of a query as signatures want them: decoded, encoded once by
 * RFC 3986, and sorted by the encoded bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "wire/wire_int.h"

enum { TEXT_BYTES = 64 * LIMIT_URL_BYTES };

/* Only unreserved characters stay. */
void wire_put_encoded(struct buf *out, struct str text)
{
	static const char digits[] = "0123456789ABCDEF";
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];
		bool is_alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
		                (c >= 'a' && c <= 'z');
		if (is_alnum || c == '-' || c == '.' || c == '_' || c == '~') {
			buf_put_len(out, &c, 1);
		} else {
			char code[3] = { '%', digits[c >> 4], digits[c & 15] };
			buf_put_len(out, code, 3);
		}
	}
}

char *wire_encoded(struct str text)
{
	struct buf out;
	buf_init(&out, TEXT_BYTES);
	wire_put_encoded(&out, text);
	return buf_take(&out);
}

static int hex_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A query's name or value, decoded and encoded once more; "+" is a space there. */
static char *recoded(const char *text, size_t len)
{
	char *plain = mem_alloc(len + 1);
	size_t plain_len = 0;
	for (size_t i = 0; i < len; i++) {
		int high = i + 2 < len && text[i] == '%' ? hex_of(text[i + 1]) : -1;
		int low = high >= 0 ? hex_of(text[i + 2]) : -1;
		if (low >= 0) {
			plain[plain_len++] = (char)(high * 16 + low);
			i += 2;
		} else {
			plain[plain_len++] = text[i] == '+' ? ' ' : text[i];
		}
	}
	char *ret = wire_encoded((struct str){ plain, plain_len });
	free(plain);
	return ret;
}

void wire_parameters_add(struct wire_parameters *parameters, const char *name, const char *value)
{
	*vec_add(&parameters->list) = (struct wire_parameter){ wire_encoded(str_of(name)),
		                                               wire_encoded(str_of(value)) };
}

void wire_parameters_add_query(struct wire_parameters *parameters, const char *path)
{
	const char *query = strchr(path, '?');
	query = query ? query + 1 : "";
	while (*query) {
		size_t len = strcspn(query, "&"), name_len = strcspn(query, "=&");
		const char *value = query + name_len + (name_len < len ? 1 : 0);
		if (len > 0)
			*vec_add(&parameters->list) = (struct wire_parameter){
				recoded(query, name_len),
				recoded(value, (size_t)(query + len - value))
			};
		query += len + (query[len] == '&' ? 1 : 0);
	}
}

static int compare(const void *a, const void *b)
{
	const struct wire_parameter *one = a, *other = b;
	int order = strcmp(one->name, other->name);
	return order ? order : strcmp(one->value, other->value);
}

void wire_parameters_put(struct wire_parameters *parameters, struct buf *out)
{
	if (parameters->list.len > 0)
		qsort(parameters->list.at, parameters->list.len, sizeof(*parameters->list.at),
		      compare);
	for (size_t i = 0; i < parameters->list.len; i++)
		buf_printf(out, "%s%s=%s", i ? "&" : "", parameters->list.at[i].name,
		           parameters->list.at[i].value);
}

void wire_parameters_release(struct wire_parameters *parameters)
{
	for (size_t i = 0; i < parameters->list.len; i++) {
		free(parameters->list.at[i].name);
		free(parameters->list.at[i].value);
	}
	vec_release(&parameters->list);
}
