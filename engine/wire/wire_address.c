/* SPDX-License-Identifier: MIT */
/*
 * Is an address one of the public internet's?  Asked after resolution, for
 * every socket and again for every reused one, so that no name can lead a
 * request into the machine or its network (RELIABILITY row 63).  What is not
 * clearly public is private.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "wire/wire_int.h"

static bool ip4_is_public(uint32_t ip)
{
	static const struct {
		uint32_t net;
		int bits;
	} others[] = {
		{ 0x00000000, 8 },  /* this network */
		{ 0x0a000000, 8 },  /* private */
		{ 0x64400000, 10 }, /* shared (carrier) */
		{ 0x7f000000, 8 },  /* loopback */
		{ 0xa9fe0000, 16 }, /* link-local, cloud metadata */
		{ 0xac100000, 12 }, /* private */
		{ 0xc0000000, 24 }, /* protocol assignments */
		{ 0xc0000200, 24 }, /* documentation */
		{ 0xc0586300, 24 }, /* 6to4 relay */
		{ 0xc0a80000, 16 }, /* private */
		{ 0xc6120000, 15 }, /* benchmarking */
		{ 0xc6336400, 24 }, /* documentation */
		{ 0xcb007100, 24 }, /* documentation */
		{ 0xe0000000, 4 },  /* multicast */
		{ 0xf0000000, 4 },  /* reserved, broadcast */
	};
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		if ((ip ^ others[i].net) >> (32 - others[i].bits) == 0)
			return false;
	return true;
}

static uint32_t ip4_inside(const unsigned char *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
	       bytes[3];
}

static bool ip6_is_public(const unsigned char ip[16])
{
	static const unsigned char nat64[12] = { 0x00, 0x64, 0xff, 0x9b };
	static const unsigned char documentation[4] = { 0x20, 0x01, 0x0d, 0xb8 };
	static const unsigned char teredo[4] = { 0x20, 0x01, 0x00, 0x00 };
	if (memcmp(ip, nat64, sizeof(nat64)) == 0)
		return ip4_is_public(ip4_inside(ip + 12));
	if (ip[0] == 0x20 && ip[1] == 0x02) /* 6to4 */
		return ip4_is_public(ip4_inside(ip + 2));
	if (memcmp(ip, documentation, 4) == 0 || memcmp(ip, teredo, 4) == 0)
		return false;
	/* Global unicast is 2000::/3; the rest is local, mapped, multicast or unassigned. */
	return (ip[0] & 0xe0) == 0x20;
}

bool wire_address_is_public(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET) {
		struct sockaddr_in in;
		memcpy(&in, address, sizeof(in));
		return ip4_is_public(ntohl(in.sin_addr.s_addr));
	}
	if (address->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;
		memcpy(&in6, address, sizeof(in6));
		return ip6_is_public(in6.sin6_addr.s6_addr);
	}
	return false;
}

bool wire_address_text_is_public(const char *text)
{
	struct in_addr ip4;
	struct in6_addr ip6;
	if (inet_pton(AF_INET, text, &ip4) == 1)
		return ip4_is_public(ntohl(ip4.s_addr));
	if (inet_pton(AF_INET6, text, &ip6) == 1)
		return ip6_is_public(ip6.s6_addr);
	return false;
}
