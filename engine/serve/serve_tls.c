/* SPDX-License-Identifier: MIT */
/* serve.tls of the configuration: a certificate and its key, both PEM. */
#include <errno.h>
#include <stdio.h>
#include <strings.h>
#include <sys/stat.h>

#include "serve/serve_int.h"

enum { PEM_BYTES_MAX = 256 * 1024 };

static int refuse(struct err *err, const char *text)
{
	err_set_id(err, ERR_INPUT, "config.tls", "serve.tls: %s", text);
	return err_hint(
		err, "tls = { certificate = \"/path/chain.pem\", key = \"file:/path/key.pem\" }");
}

/* A key is for its owner's eyes; certificates are a chain, the server's own first. */
static int read_pem(const char *path, bool is_key, char **ret, struct err *err)
{
	struct buf text;
	struct stat st;
	char chunk[4096];
	size_t got;
	int status = 0;
	FILE *file = fopen(path, "re");
	if (!file || fstat(fileno(file), &st) < 0)
		status = err_set_id(err, ERR_INPUT, "config.tls", "serve.tls: %s: %s", path,
		                    strerror(errno));
	else if (is_key && (st.st_mode & 077))
		status = err_set_id(err, ERR_INPUT, "config.tls",
		                    "serve.tls: others may read %s (chmod 600)", path);
	buf_init(&text, PEM_BYTES_MAX);
	while (status == 0 && (got = fread(chunk, 1, sizeof(chunk), file)) > 0)
		status = buf_add(&text, chunk, got, err);
	if (file)
		fclose(file);
	if (status == 0 && (text.len == 0 ||
	                    !strstr(text.bytes, is_key ? "PRIVATE KEY-----" : "CERTIFICATE-----")))
		status = refuse(err, is_key ? "the key's file holds no PEM key"
		                            : "the certificate's file holds no PEM certificate");
	if (status == 0)
		*ret = buf_take(&text);
	else
		buf_release(&text);
	return status < 0 ? err->code : 0;
}

int tls_read(struct serve *serve, const json_t *table, struct err *err)
{
	struct serve_config *config = &serve->config;
	const char *certificate = json_str(table, "certificate", NULL);
	const char *key = json_str(table, "key", NULL);
	if (!table)
		return 0;
	if (!json_is_object(table) || json_object_size(table) != 2 || !certificate || !key)
		return refuse(err, "it must name certificate and key, and nothing else");
	if (!str_begins(key, "file:"))
		return refuse(err, "the key must be file:PATH");
	if (read_pem(key + strlen("file:"), true, &config->tls_key, err) < 0)
		return err->code;
	return read_pem(certificate, false, &config->tls_certificate, err);
}

void tls_release(struct serve *serve)
{
	if (serve->config.tls_key)
		explicit_bzero(serve->config.tls_key, strlen(serve->config.tls_key));
	free(serve->config.tls_key);
	free(serve->config.tls_certificate);
	serve->config.tls_key = serve->config.tls_certificate = NULL;
}
