/* SPDX-License-Identifier: MIT */
/* SHA-256, HMAC, base64, hex over OpenSSL's libcrypto; the one place that includes it. */
#ifndef BASE_CRYPTO_H
#define BASE_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

enum { SHA256_BYTES = 32, SHA256_HEX = 65 };

void crypto_sha256(struct str bytes, unsigned char ret[SHA256_BYTES]);
void crypto_sha256_hex(struct str bytes, char ret[SHA256_HEX]); /* lower case, NUL-terminated */
void crypto_hmac_sha256(struct str key, struct str bytes, unsigned char ret[SHA256_BYTES]);
void crypto_hex(const unsigned char *bytes, size_t len, char *ret); /* 2 * len + 1 */
void crypto_base64_put(struct str bytes, struct buf *out);
void crypto_base64url_put(struct str bytes, struct buf *out); /* no padding (RFC 4648, 5) */
bool crypto_equal(struct str a, struct str b); /* in time that depends on the length only */
void crypto_random(void *bytes, size_t len); /* stops the process when there is none */

#endif
