/* SPDX-License-Identifier: MIT */
/*
 * The base URL of a connection, read by curl's own parser so that what is
 * checked is what curl will use.  It ends before a path that begins with one
 * '/' (wire_path_check), so nothing that is appended can change the host.
 */
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "wire/wire_int.h"

enum part { SCHEME, HOST, PORT, PATH, PARTS };

static const struct {
	const char *scheme, *port;
	bool is_mail, is_tls;
} schemes[] = {
	{ "http", "80", false, false },
	{ "https", "443", false, true },
	{ "smtp", "25", true, false },
	{ "smtps", "465", true, true },
};

static int check_host(const char *host, struct err *err)
{
	if (*host == '\0')
		return err_set(err, ERR_INPUT, "the URL names no host");
	for (const char *p = host; *p; p++)
		if ((unsigned char)*p <= 0x20 || (unsigned char)*p >= 0x7f)
			return err_set(err, ERR_INPUT,
			               "the URL's host must be ASCII (write its xn-- form)");
	return 0;
}

static int build(char *const parts[PARTS], struct wire_url *ret, struct err *err)
{
	size_t i = 0, count = sizeof(schemes) / sizeof(*schemes);
	while (i < count && strcmp(parts[SCHEME], schemes[i].scheme) != 0)
		i++;
	if (i == count)
		return err_set(err, ERR_INPUT,
		               "the URL's scheme must be http, https, smtp or smtps");
	if (check_host(parts[HOST], err) < 0)
		return err->code;
	size_t path_len = parts[PATH] ? strlen(parts[PATH]) : 0;
	while (path_len > 0 && parts[PATH][path_len - 1] == '/')
		path_len--;
	if (schemes[i].is_mail && path_len > 0)
		return err_set(err, ERR_INPUT,
		               "a mail URL has no path (the name for EHLO is hello_name)");
	const char *port = parts[PORT];
	if (port && strcmp(port, schemes[i].port) == 0)
		port = NULL;
	ret->host = mem_dup_str(parts[HOST]);
	for (char *p = ret->host; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	ret->base = mem_format("%s://%s%s%s%.*s", parts[SCHEME], ret->host, port ? ":" : "",
	                       port ? port : "", (int)path_len, path_len ? parts[PATH] : "");
	ret->is_mail = schemes[i].is_mail;
	ret->is_tls = schemes[i].is_tls;
	return 0;
}

static bool has_part(CURLU *url, CURLUPart part)
{
	char *text = NULL;
	bool ret = curl_url_get(url, part, &text, 0) == CURLUE_OK;
	curl_free(text);
	return ret;
}

static int read_parts(CURLU *url, const char *text, struct wire_url *ret, struct err *err)
{
	static const CURLUPart names[PARTS] = { CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT,
		                                CURLUPART_PATH };
	CURLUcode code = curl_url_set(url, CURLUPART_URL, text, CURLU_DISALLOW_USER);
	if (code == CURLUE_USER_NOT_ALLOWED)
		return err_set(err, ERR_INPUT, "credentials must not stand in the URL");
	if (code != CURLUE_OK)
		return err_set(err, ERR_INPUT, "this is no URL: %s", curl_url_strerror(code));
	if (has_part(url, CURLUPART_QUERY) || has_part(url, CURLUPART_FRAGMENT))
		return err_set(err, ERR_INPUT, "a base URL has no query and no fragment");
	char *parts[PARTS] = { NULL };
	for (size_t i = 0; i < PARTS; i++)
		if (curl_url_get(url, names[i], &parts[i], 0) != CURLUE_OK)
			parts[i] = NULL;
	int status = parts[SCHEME] && parts[HOST]
	                     ? build(parts, ret, err)
	                     : err_set(err, ERR_INPUT,
	                               "the URL must begin with http:// or https://");
	for (size_t i = 0; i < PARTS; i++)
		curl_free(parts[i]);
	return status;
}

/* What is sent to is what was read: "0%2e1" reads as 0.1, and that as 0.0.0.1. */
static int check_meaning(const struct wire_url *read, struct err *err)
{
	CURLU *url = curl_url();
	char *host = NULL;
	if (!url)
		mem_out();
	bool is_same = curl_url_set(url, CURLUPART_URL, read->base, 0) == CURLUE_OK &&
	               curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
	               strcmp(host, read->host) == 0;
	curl_free(host);
	curl_url_cleanup(url);
	return is_same ? 0
	               : err_set(err, ERR_INPUT, "the URL's host can be read in more than one way");
}

int wire_url_read(const char *text, struct wire_url *ret, struct err *err)
{
	CURLU *url = curl_url();
	if (!url)
		mem_out();
	enum { BASE_BYTES = 2048 };
	int status = strlen(text) > BASE_BYTES
	                     ? err_set(err, ERR_LIMIT, "the URL is longer than %d bytes",
	                               BASE_BYTES)
	                     : read_parts(url, text, ret, err);
	curl_url_cleanup(url);
	if (status == 0 && check_meaning(ret, err) < 0) {
		wire_url_release(ret);
		status = err->code;
	}
	return status;
}

void wire_url_release(struct wire_url *url)
{
	free(url->base);
	free(url->host);
	*url = (struct wire_url){ 0 };
}
