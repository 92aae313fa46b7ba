/* SPDX-License-Identifier: MIT */
/*
 * Who asks, when a proxy stands in front: what X-Forwarded-For says counts only
 * as far as it was written by proxies of the configuration
 * (serve.trusted_proxies).  Read from the right, the first address that is none of
 * theirs is the client; anything to the left of it may be invented.
 */
#include <arpa/inet.h>
#include <strings.h>

#include "serve/serve_int.h"

/* IPv4 as ::ffff:a.b.c.d, so that there is one kind. */
static bool read_address(const char *text, size_t len, unsigned char ret[ADDRESS_BYTES])
{
	static const unsigned char mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
	char copy[64];
	if (len == 0 || len >= sizeof(copy))
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (inet_pton(AF_INET6, copy, ret) == 1)
		return true;
	memcpy(ret, mapped, sizeof(mapped));
	return inet_pton(AF_INET, copy, ret + sizeof(mapped)) == 1;
}

void address_write(const unsigned char address[ADDRESS_BYTES], char ret[ADDRESS_TEXT])
{
	bool is_v4 = IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)(const void *)address);
	(void)inet_ntop(is_v4 ? AF_INET : AF_INET6, address + (is_v4 ? 12 : 0), ret, ADDRESS_TEXT);
}

/* "10.0.0.0/8", "2001:db8::/32", or one address. */
static int read_range(const char *text, struct address_range *ret, struct err *err)
{
	const char *slash = text ? strchr(text, '/') : NULL;
	size_t len = slash ? (size_t)(slash - text) : text ? strlen(text) : 0;
	bool is_v4 = text && !strchr(text, ':');
	char *end = NULL;
	long bits = slash ? strtol(slash + 1, &end, 10) : is_v4 ? 32 : 128;
	if (!text || !read_address(text, len, ret->bytes) || (slash && (*end || !slash[1])) ||
	    bits < 0 || bits > (is_v4 ? 32 : 128)) {
		err_set_id(err, ERR_INPUT, "config.type",
		           "serve.trusted_proxies: '%.60s' is no address or network",
		           text ? text : "?");
		return err_hint(err, "such as 10.1.2.3, 10.0.0.0/8 or fd00::/8");
	}
	ret->bits = (int)bits + (is_v4 ? 96 : 0);
	return 0;
}

int proxies_read(const json_t *value, struct serve_config *ret, struct err *err)
{
	size_t count = json_is_array(value) ? json_array_size(value) : value ? 1 : 0;
	ret->proxies = count > 0 ? mem_alloc(count * sizeof(*ret->proxies)) : NULL;
	for (; ret->proxy_count < count; ret->proxy_count++) {
		const json_t *one = json_is_array(value) ? json_array_get(value, ret->proxy_count)
		                                         : value;
		if (read_range(json_string_value(one), &ret->proxies[ret->proxy_count], err) < 0)
			return err->code;
	}
	return 0;
}

static bool is_within(const unsigned char address[ADDRESS_BYTES], const struct address_range *range)
{
	for (int bit = 0; bit < range->bits; bit += 8) {
		int left = range->bits - bit;
		unsigned char mask = (unsigned char)(left >= 8 ? 0xff : 0xff << (8 - left));
		if ((address[bit / 8] ^ range->bytes[bit / 8]) & mask)
			return false;
	}
	return true;
}

static bool is_proxy(const struct serve_config *config, const unsigned char address[ADDRESS_BYTES])
{
	for (size_t i = 0; i < config->proxy_count; i++)
		if (is_within(address, &config->proxies[i]))
			return true;
	return false;
}

static bool is_loopback(const unsigned char address[ADDRESS_BYTES])
{
	struct address_range v4, v6;
	struct err ignored = { 0 };
	return (read_range("127.0.0.0/8", &v4, &ignored) == 0 && is_within(address, &v4)) ||
	       (read_range("::1", &v6, &ignored) == 0 && is_within(address, &v6));
}

/* One header from its end; false: the client was found (or nothing sensible is to the left). */
static bool walk_back(const struct serve_config *config, const char *value,
                      unsigned char address[ADDRESS_BYTES])
{
	size_t end = strlen(value);
	while (end > 0) {
		size_t begin = end;
		while (begin > 0 && value[begin - 1] != ',')
			begin--;
		size_t from = begin, to = end;
		while (from < to && (value[from] == ' ' || value[from] == '\t'))
			from++;
		while (to > from && (value[to - 1] == ' ' || value[to - 1] == '\t'))
			to--;
		unsigned char found[ADDRESS_BYTES];
		if (!read_address(value + from, to - from, found))
			return false;
		memcpy(address, found, sizeof(found));
		if (!is_proxy(config, address))
			return false;
		end = begin > 0 ? begin - 1 : 0;
	}
	return true;
}

void client_find(struct exchange *x, const unsigned char peer[ADDRESS_BYTES])
{
	const struct serve_config *config = &x->serve->config;
	const struct frame *frame = &x->frame;
	unsigned char address[ADDRESS_BYTES];
	memcpy(address, peer, sizeof(address));
	bool goes_on = is_proxy(config, address), is_forwarded = false;
	for (size_t i = frame->pair_count; i-- > 0;) {
		const char *name = frame->pairs[2 * i];
		is_forwarded = is_forwarded || strcasecmp(name, "Forwarded") == 0;
		if (strcasecmp(name, "X-Forwarded-For") != 0)
			continue;
		is_forwarded = is_forwarded || !goes_on;
		goes_on = goes_on && walk_back(config, frame->pairs[2 * i + 1], address);
	}
	address_write(address, x->client);
	/* Who is not believed, or comes from elsewhere, is nobody of this machine. */
	x->is_local = !is_forwarded && is_loopback(address);
}
