/* SPDX-License-Identifier: MIT */
/*
 * Signing with a private key as JSON Web Signatures want it (RFC 7518, 3): RSA
 * with PKCS #1 or PSS, where the salt is as long as the digest (libcrypto's own
 * choice is the longest that fits, which others refuse), and ECDSA as the two
 * numbers r and s one behind the other, each padded to the curve's size, where
 * libcrypto speaks DER.
 */
#include "base/crypto.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "base/mem.h"
#include "base/must.h"

enum { SIGNATURE_BYTES = 2048, PART_BYTES = 66, RSA_BITS_MIN = 2048 };

struct crypto_key {
	EVP_PKEY *pkey;
	bool is_private;
};

struct algorithm {
	const char *name, *digest;
	int type; /* EVP_PKEY_RSA or EVP_PKEY_EC */
	bool is_pss;
	int curve_bits;
};

static const struct algorithm algorithms[] = {
	[CRYPTO_RS256] = { "RS256", "SHA256", EVP_PKEY_RSA, false, 0 },
	[CRYPTO_PS256] = { "PS256", "SHA256", EVP_PKEY_RSA, true, 0 },
	[CRYPTO_PS384] = { "PS384", "SHA384", EVP_PKEY_RSA, true, 0 },
	[CRYPTO_PS512] = { "PS512", "SHA512", EVP_PKEY_RSA, true, 0 },
	[CRYPTO_ES256] = { "ES256", "SHA256", EVP_PKEY_EC, false, 256 },
	[CRYPTO_ES384] = { "ES384", "SHA384", EVP_PKEY_EC, false, 384 },
	[CRYPTO_ES512] = { "ES512", "SHA512", EVP_PKEY_EC, false, 521 },
	[CRYPTO_EDDSA] = { "EdDSA", NULL, EVP_PKEY_ED25519, false, 0 },
};

bool crypto_algorithm_named(const char *name, enum crypto_algorithm *ret)
{
	for (size_t i = 0; i < sizeof(algorithms) / sizeof(*algorithms); i++)
		if (strcmp(name, algorithms[i].name) == 0) {
			*ret = (enum crypto_algorithm)i;
			return true;
		}
	return false;
}

const char *crypto_algorithm_name(enum crypto_algorithm algorithm)
{
	return algorithms[algorithm].name;
}

/* --- keys ---------------------------------------------------------------------- */

/* Nobody is there to be asked for a pass phrase. */
static int no_pass_phrase(char *bytes, int size, int is_writing, void *arg)
{
	(void)bytes;
	(void)size;
	(void)is_writing;
	(void)arg;
	return -1;
}

int crypto_key_read(struct str pem, struct crypto_key **ret, struct err *err)
{
	must(pem.len < 1 << 20);
	BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
	must(bio != NULL);
	bool is_private = true;
	EVP_PKEY *pkey = PEM_read_bio_PrivateKey(bio, NULL, no_pass_phrase, NULL);
	if (!pkey) {
		is_private = false;
		(void)BIO_reset(bio);
		pkey = PEM_read_bio_PUBKEY(bio, NULL, no_pass_phrase, NULL);
	}
	BIO_free(bio);
	ERR_clear_error();
	if (!pkey) {
		err_set(err, ERR_INPUT, "this is no key in PEM form, or it has a pass phrase");
		return err_hint(err, "it begins with -----BEGIN PRIVATE KEY-----");
	}
	*ret = mem_alloc(sizeof(**ret));
	**ret = (struct crypto_key){ pkey, is_private };
	return 0;
}

void crypto_key_free(struct crypto_key *key)
{
	if (!key)
		return;
	EVP_PKEY_free(key->pkey);
	free(key);
}

int crypto_key_check(const struct crypto_key *key, enum crypto_algorithm algorithm, struct err *err)
{
	const struct algorithm *how = &algorithms[algorithm];
	int bits = EVP_PKEY_get_bits(key->pkey);
	bool is_right_type = EVP_PKEY_get_base_id(key->pkey) == how->type &&
	                     (how->curve_bits == 0 || how->curve_bits == bits);
	if (!is_right_type)
		return err_set(err, ERR_INPUT, "the key does not fit %s, which takes %s", how->name,
		               how->type == EVP_PKEY_RSA       ? "an RSA key"
		               : how->type == EVP_PKEY_ED25519 ? "an Ed25519 key"
		               : how->curve_bits == 256        ? "a P-256 key"
		               : how->curve_bits == 384        ? "a P-384 key"
		                                               : "a P-521 key");
	if (how->type == EVP_PKEY_RSA && bits < RSA_BITS_MIN)
		return err_set(err, ERR_INPUT, "the key has %d bits; %d is the least", bits,
		               RSA_BITS_MIN);
	return 0;
}

static char *take_pem(BIO *bio)
{
	char *bytes;
	long len = BIO_get_mem_data(bio, &bytes);
	must(len > 0);
	char *ret = mem_dup(bytes, (size_t)len);
	OPENSSL_cleanse(bytes, (size_t)len);
	BIO_free(bio);
	return ret;
}

char *crypto_key_new(void)
{
	EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	BIO *bio = BIO_new(BIO_s_mem());
	must(pkey && bio &&
	     PEM_write_bio_PKCS8PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL) == 1);
	EVP_PKEY_free(pkey);
	return take_pem(bio);
}

char *crypto_key_public(const struct crypto_key *key)
{
	BIO *bio = BIO_new(BIO_s_mem());
	must(bio && PEM_write_bio_PUBKEY(bio, key->pkey) == 1);
	return take_pem(bio);
}

/* --- signatures ------------------------------------------------------------------- */

static bool begin(EVP_MD_CTX *ctx, const struct crypto_key *key, const struct algorithm *how,
                  bool is_signing)
{
	EVP_PKEY_CTX *pkey_ctx = NULL;
	const EVP_MD *digest = how->digest ? EVP_get_digestbyname(how->digest) : NULL;
	int done = is_signing ? EVP_DigestSignInit(ctx, &pkey_ctx, digest, NULL, key->pkey)
	                      : EVP_DigestVerifyInit(ctx, &pkey_ctx, digest, NULL, key->pkey);
	if (done != 1)
		return false;
	return !how->is_pss ||
	       (EVP_PKEY_CTX_set_rsa_padding(pkey_ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
	        EVP_PKEY_CTX_set_rsa_pss_saltlen(pkey_ctx, RSA_PSS_SALTLEN_DIGEST) == 1);
}

/* DER to r and s; false when it is none. */
static bool put_raw(const unsigned char *der, size_t len, int curve_bits, struct buf *out)
{
	int part = (curve_bits + 7) / 8;
	unsigned char raw[2 * PART_BYTES];
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)len);
	bool is_good = sig && BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, part) == part &&
	               BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + part, part) == part;
	if (is_good)
		buf_put_len(out, raw, (size_t)part * 2);
	ECDSA_SIG_free(sig);
	return is_good;
}

int crypto_sign(const struct crypto_key *key, enum crypto_algorithm algorithm, struct str bytes,
                struct buf *out, struct err *err)
{
	const struct algorithm *how = &algorithms[algorithm];
	unsigned char signature[SIGNATURE_BYTES];
	size_t len = sizeof(signature);
	if (!key->is_private)
		return err_set(err, ERR_INPUT, "a public key cannot sign");
	if (crypto_key_check(key, algorithm, err) < 0)
		return err->code;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	must(ctx != NULL);
	bool is_done = begin(ctx, key, how, true) &&
	               EVP_DigestSign(ctx, signature, &len, (const unsigned char *)bytes.ptr,
	                              bytes.len) == 1;
	EVP_MD_CTX_free(ctx);
	if (is_done && how->curve_bits)
		is_done = put_raw(signature, len, how->curve_bits, out);
	else if (is_done)
		buf_put_len(out, signature, len);
	ERR_clear_error();
	return is_done ? 0 : err_set(err, ERR_SYSTEM, "signing with %s failed", how->name);
}

/* r and s to DER, to be freed with OPENSSL_free; 0 when they are none. */
static int der_of(struct str raw, int curve_bits, unsigned char **ret)
{
	int part = (curve_bits + 7) / 8;
	if (raw.len != (size_t)part * 2)
		return 0;
	const unsigned char *bytes = (const unsigned char *)raw.ptr;
	ECDSA_SIG *sig = ECDSA_SIG_new();
	must(sig != NULL);
	BIGNUM *r = BN_bin2bn(bytes, part, NULL), *s = BN_bin2bn(bytes + part, part, NULL);
	must(r && s && ECDSA_SIG_set0(sig, r, s) == 1);
	int len = i2d_ECDSA_SIG(sig, ret);
	ECDSA_SIG_free(sig);
	return len > 0 ? len : 0;
}

bool crypto_verify(const struct crypto_key *key, enum crypto_algorithm algorithm, struct str bytes,
                   struct str signature)
{
	const struct algorithm *how = &algorithms[algorithm];
	struct err err = { 0 };
	unsigned char *der = NULL;
	if (crypto_key_check(key, algorithm, &err) < 0)
		return false;
	const unsigned char *given = (const unsigned char *)signature.ptr;
	size_t len = signature.len;
	if (how->curve_bits) {
		len = (size_t)der_of(signature, how->curve_bits, &der);
		given = der;
	}
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	must(ctx != NULL);
	bool is_good = len > 0 && begin(ctx, key, how, false) &&
	               EVP_DigestVerify(ctx, given, len, (const unsigned char *)bytes.ptr,
	                                bytes.len) == 1;
	EVP_MD_CTX_free(ctx);
	OPENSSL_free(der);
	ERR_clear_error();
	return is_good;
}
