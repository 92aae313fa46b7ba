/* SPDX-License-Identifier: MIT */
/*
 * Making tokens.  256 bits of chance need no slow hash: their SHA-256 is what is
 * kept.  The name in front and the checksum behind let a scanner of leaked
 * secrets know one when it sees it.
 */
#include <stdio.h>

#include "base/crypto.h"
#include "serve/serve_int.h"

static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

enum { RANDOM_CHARS = 43, SUM_CHARS = 6 };

static uint32_t crc32_of(const char *text)
{
	uint32_t crc = 0xffffffffu;
	for (; *text; text++) {
		crc ^= (unsigned char)*text;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

void serve_token_make(const char *kind, char ret[SERVE_TOKEN_BYTES], char ret_sha256[65])
{
	int len = snprintf(ret, SERVE_TOKEN_BYTES, "gw_%.20s_", kind);
	must(len > 0 && len + RANDOM_CHARS + SUM_CHARS < SERVE_TOKEN_BYTES);
	char *at = ret + len;
	for (int i = 0; i < RANDOM_CHARS;) {
		unsigned char chance;
		crypto_random(&chance, sizeof(chance));
		if (chance < 248) /* 4 times 62: no character is likelier than another */
			at[i++] = digits[chance % 62];
	}
	at[RANDOM_CHARS] = '\0';
	uint32_t sum = crc32_of(ret);
	for (int i = SUM_CHARS - 1; i >= 0; i--, sum /= 62)
		at[RANDOM_CHARS + i] = digits[sum % 62];
	at[RANDOM_CHARS + SUM_CHARS] = '\0';
	crypto_sha256_hex(str_of(ret), ret_sha256);
}
