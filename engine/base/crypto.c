/* SPDX-License-Identifier: MIT */
/*
 * The one-shot SHA256() of OpenSSL 3 looks its algorithm up by name on each
 * call, which costs more than hashing a record; the older three calls do not.
 */
#define OPENSSL_API_COMPAT 0x10101000L

#include "base/crypto.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <sys/random.h>

#include "base/must.h"

void crypto_sha256(struct str bytes, unsigned char ret[SHA256_BYTES])
{
	crypto_sha256_two(bytes, STR_LIT(""), ret);
}

void crypto_sha256_two(struct str first, struct str second, unsigned char ret[SHA256_BYTES])
{
	SHA256_CTX ctx;
	must(SHA256_Init(&ctx) == 1 && SHA256_Update(&ctx, first.ptr, first.len) == 1 &&
	     SHA256_Update(&ctx, second.ptr, second.len) == 1 && SHA256_Final(ret, &ctx) == 1);
}

void crypto_hex(const unsigned char *bytes, size_t len, char *ret)
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < len; i++) {
		ret[2 * i] = digits[bytes[i] >> 4];
		ret[2 * i + 1] = digits[bytes[i] & 15];
	}
	ret[2 * len] = '\0';
}

void crypto_sha256_hex(struct str bytes, char ret[SHA256_HEX])
{
	unsigned char digest[SHA256_BYTES];
	crypto_sha256(bytes, digest);
	crypto_hex(digest, sizeof(digest), ret);
}

void crypto_hmac_sha256(struct str key, struct str bytes, unsigned char ret[SHA256_BYTES])
{
	unsigned int len = SHA256_BYTES;
	must(key.len < 1 << 20);
	must(HMAC(EVP_sha256(), key.ptr, (int)key.len, (const unsigned char *)bytes.ptr, bytes.len,
	          ret, &len));
}

static void base64_put(struct str bytes, const char *alphabet, bool padded, struct buf *out)
{
	const unsigned char *p = (const unsigned char *)bytes.ptr;
	for (size_t i = 0; i < bytes.len; i += 3) {
		size_t left = bytes.len - i;
		unsigned int group = (unsigned int)p[i] << 16;
		group |= left > 1 ? (unsigned int)p[i + 1] << 8 : 0;
		group |= left > 2 ? p[i + 2] : 0;
		char four[4] = { alphabet[group >> 18], alphabet[(group >> 12) & 63],
			         alphabet[(group >> 6) & 63], alphabet[group & 63] };
		size_t digits = left > 2 ? 4 : left + 1;
		buf_put_len(out, four, digits);
		if (padded)
			buf_put_len(out, "==", 4 - digits);
	}
}

void crypto_base64_put(struct str bytes, struct buf *out)
{
	base64_put(bytes, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", true,
	           out);
}

void crypto_base64url_put(struct str bytes, struct buf *out)
{
	base64_put(bytes, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", false,
	           out);
}

bool crypto_equal(struct str a, struct str b)
{
	return a.len == b.len && (a.len == 0 || CRYPTO_memcmp(a.ptr, b.ptr, a.len) == 0);
}

void crypto_random(void *bytes, size_t len)
{
	/* The kernel's, not the library's: that one wants memory,
	 * and must not fail for want of it. */
	for (size_t done = 0; done < len;) {
		ssize_t got = getrandom((char *)bytes + done, len - done, 0);
		must(got > 0 || errno == EINTR);
		done += got > 0 ? (size_t)got : 0;
	}
}
