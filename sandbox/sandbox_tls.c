/* SPDX-License-Identifier: MIT */
/*
 * TLS, for the clients that speak nothing else: an authority of the sandbox's
 * own, made anew at each start, and one certificate of it for 127.0.0.1 and
 * localhost.  The authority's certificate is written to a file that a client is
 * told to trust; its key is gone as soon as the certificate is signed, so the
 * file opens nothing but this process.
 *
 * HTTP listeners hand the certificate to libmicrohttpd; SMTP sessions come here.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "sandbox/sandbox.h"

enum { DAY_S = 24 * 3600, LIFE_DAYS = 30, PEM_BYTES_MAX = 64 * 1024, CERTIFICATE_V3 = 2 };

struct tls {
	char *key, *certificate; /* PEM, of the listener */
	SSL_CTX *context;
};

/* --- certificates ----------------------------------------------------------------- */

static bool extend(X509 *certificate, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	bool done = extension && X509_add_ext(certificate, extension, -1);
	X509_EXTENSION_free(extension);
	return done;
}

static bool name_put(X509_NAME *name, const char *text)
{
	return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)text,
	                                  -1, -1, 0);
}

static X509 *certificate_new(const char *name, EVP_PKEY *key, X509 *issuer, long serial)
{
	X509 *made = X509_new();
	bool done = made && X509_set_version(made, CERTIFICATE_V3) &&
	            ASN1_INTEGER_set(X509_get_serialNumber(made), serial) &&
	            X509_gmtime_adj(X509_getm_notBefore(made), -DAY_S) &&
	            X509_gmtime_adj(X509_getm_notAfter(made), (long)LIFE_DAYS * DAY_S) &&
	            name_put(X509_get_subject_name(made), name) &&
	            X509_set_issuer_name(made, X509_get_subject_name(issuer ? issuer : made)) &&
	            X509_set_pubkey(made, key);
	if (done)
		return made;
	X509_free(made);
	return NULL;
}

static bool authority_finish(X509 *authority, EVP_PKEY *key)
{
	return extend(authority, authority, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
	       extend(authority, authority, NID_key_usage, "critical,keyCertSign,cRLSign") &&
	       extend(authority, authority, NID_subject_key_identifier, "hash") &&
	       X509_sign(authority, key, EVP_sha256()) > 0;
}

static bool server_finish(X509 *server, X509 *authority, EVP_PKEY *key)
{
	return extend(server, authority, NID_basic_constraints, "critical,CA:FALSE") &&
	       extend(server, authority, NID_key_usage, "critical,digitalSignature") &&
	       extend(server, authority, NID_ext_key_usage, "serverAuth") &&
	       extend(server, authority, NID_subject_alt_name, "IP:127.0.0.1,DNS:localhost") &&
	       extend(server, authority, NID_authority_key_identifier, "keyid") &&
	       X509_sign(server, key, EVP_sha256()) > 0;
}

/* --- PEM -------------------------------------------------------------------------- */

static char *pem_take(BIO *bio)
{
	char *bytes;
	long len = BIO_get_mem_data(bio, &bytes);
	return mem_dup(bytes, len > 0 ? (size_t)len : 0);
}

static char *certificate_pem_new(X509 *certificate)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = bio && PEM_write_bio_X509(bio, certificate) ? pem_take(bio) : NULL;
	BIO_free(bio);
	return text;
}

static char *key_pem_new(EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = bio && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL)
	                     ? pem_take(bio)
	                     : NULL;
	BIO_free(bio);
	return text;
}

static int write_file(const char *path, const char *text, struct err *err)
{
	FILE *out = fopen(path, "we");
	bool done = out && fputs(text, out) >= 0;
	if (out && fclose(out) != 0)
		done = false;
	return done ? 0 : err_set(err, ERR_SYSTEM, "--ca %s: %s", path, strerror(errno));
}

/* --- opening ---------------------------------------------------------------------- */

/* Certificate and key of the listeners; *ret_authority is PEM. */
static bool make(struct tls *tls, char **ret_authority)
{
	EVP_PKEY *authority_key = EVP_EC_gen("P-256"), *key = EVP_EC_gen("P-256");
	X509 *authority = authority_key ? certificate_new("gangway-sandbox test CA", authority_key,
	                                                  NULL, 1)
	                                : NULL;
	X509 *server = authority && key ? certificate_new("127.0.0.1", key, authority, 2) : NULL;
	bool done = server && authority_finish(authority, authority_key) &&
	            server_finish(server, authority, authority_key);
	if (done) {
		*ret_authority = certificate_pem_new(authority);
		tls->certificate = certificate_pem_new(server);
		tls->key = key_pem_new(key);
		tls->context = SSL_CTX_new(TLS_server_method());
		done = tls->context &&
		       SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION) &&
		       SSL_CTX_use_certificate(tls->context, server) == 1 &&
		       SSL_CTX_use_PrivateKey(tls->context, key) == 1;
	}
	X509_free(server);
	X509_free(authority);
	EVP_PKEY_free(key);
	EVP_PKEY_free(authority_key);
	return done && *ret_authority && tls->certificate && tls->key;
}

int tls_open(struct sandbox *box, const char *ca_file, struct err *err)
{
	char *authority = NULL;
	box->tls = mem_alloc(sizeof(*box->tls));
	int status = make(box->tls, &authority)
	                     ? write_file(ca_file, authority, err)
	                     : err_set(err, ERR_SYSTEM, "no certificate could be made: %s",
	                               ERR_reason_error_string(ERR_peek_last_error()));
	free(authority);
	return status;
}

void tls_close(struct sandbox *box)
{
	if (!box->tls)
		return;
	SSL_CTX_free(box->tls->context);
	free(box->tls->key);
	free(box->tls->certificate);
	free(box->tls);
	box->tls = NULL;
}

const char *tls_key(const struct sandbox *box)
{
	return box->tls->key;
}

const char *tls_certificate(const struct sandbox *box)
{
	return box->tls->certificate;
}

/* --- one connection ---------------------------------------------------------------- */

struct tls_session {
	SSL *ssl;
};

struct tls_session *tls_accept(const struct sandbox *box, int fd)
{
	SSL *ssl = SSL_new(box->tls->context);
	if (!ssl || !SSL_set_fd(ssl, fd) || SSL_accept(ssl) != 1) {
		SSL_free(ssl);
		ERR_clear_error();
		return NULL;
	}
	struct tls_session *session = mem_alloc(sizeof(*session));
	session->ssl = ssl;
	return session;
}

bool tls_has_more(const struct tls_session *session)
{
	return SSL_pending(session->ssl) > 0;
}

long tls_read(struct tls_session *session, char *bytes, size_t max)
{
	int got = SSL_read(session->ssl, bytes, max < INT32_MAX ? (int)max : INT32_MAX);
	ERR_clear_error();
	return got > 0 ? got : -1;
}

long tls_write(struct tls_session *session, const char *bytes, size_t len)
{
	int sent = SSL_write(session->ssl, bytes, len < INT32_MAX ? (int)len : INT32_MAX);
	ERR_clear_error();
	return sent > 0 ? sent : -1;
}

void tls_end(struct tls_session *session)
{
	if (!session)
		return;
	(void)SSL_shutdown(session->ssl);
	ERR_clear_error();
	SSL_free(session->ssl);
	free(session);
}
