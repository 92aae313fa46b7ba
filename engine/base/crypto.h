/* SPDX-License-Identifier: MIT */
/* SHA-256, HMAC, base64, hex, signatures over OpenSSL's libcrypto;
 * the one place that includes it. */
#ifndef BASE_CRYPTO_H
#define BASE_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum { SHA256_BYTES = 32, SHA256_HEX = 65 };

void crypto_sha256(struct str bytes, unsigned char ret[SHA256_BYTES]);
/* Of the one followed by the other. */
void crypto_sha256_two(struct str first, struct str second, unsigned char ret[SHA256_BYTES]);
void crypto_sha256_hex(struct str bytes, char ret[SHA256_HEX]); /* lower case, NUL-terminated */
void crypto_hmac_sha256(struct str key, struct str bytes, unsigned char ret[SHA256_BYTES]);
void crypto_hex(const unsigned char *bytes, size_t len, char *ret); /* 2 * len + 1 */
void crypto_base64_put(struct str bytes, struct buf *out);
void crypto_base64url_put(struct str bytes, struct buf *out); /* no padding (RFC 4648, 5) */
bool crypto_equal(struct str a, struct str b); /* in time that depends on the length only */
void crypto_random(void *bytes, size_t len);   /* stops the process when there is none */

/*
 * Signatures as in JSON Web Signature (RFC 7518).  A key is read once and may be used by several
 * threads; its bytes are zeroed when it is freed.
 */
enum crypto_algorithm {
	CRYPTO_RS256,
	CRYPTO_PS256, /* PSS, the salt as long as the digest */
	CRYPTO_PS384,
	CRYPTO_PS512,
	CRYPTO_ES256, /* the signature is r and s, 64 bytes; no DER */
	CRYPTO_ES384,
	CRYPTO_ES512,
	CRYPTO_EDDSA /* Ed25519 (RFC 8037) */
};
struct crypto_key;

bool crypto_algorithm_named(const char *name, enum crypto_algorithm *ret);
const char *crypto_algorithm_name(enum crypto_algorithm algorithm);
/* A private or public key in PEM form without a pass phrase; no error shows any of it. */
int crypto_key_read(struct str pem, struct crypto_key **ret, struct err *err) ATTR_MUST_USE;
/* Public keys from their numbers, as a JSON Web Key has them (big endian). */
int crypto_key_rsa(struct str modulus, struct str exponent, struct crypto_key **ret,
                   struct err *err) ATTR_MUST_USE;
int crypto_key_p256(struct str x, struct str y, struct crypto_key **ret,
                    struct err *err) ATTR_MUST_USE;
void crypto_key_free(struct crypto_key *key);
/* A new private Ed25519 key in PEM form; to be freed. */
char *crypto_key_new(void);
/* The public half in PEM form; to be freed. */
char *crypto_key_public(const struct crypto_key *key);
/* Does the key fit?  RSA of at least 2048 bits, or the algorithm's curve. */
int crypto_key_check(const struct crypto_key *key, enum crypto_algorithm algorithm,
                     struct err *err) ATTR_MUST_USE;
int crypto_sign(const struct crypto_key *key, enum crypto_algorithm algorithm, struct str bytes,
                struct buf *out, struct err *err) ATTR_MUST_USE;
bool crypto_verify(const struct crypto_key *key, enum crypto_algorithm algorithm, struct str bytes,
                   struct str signature);

#endif
