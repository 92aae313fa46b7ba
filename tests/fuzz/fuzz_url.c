/* SPDX-License-Identifier: MIT */
/*
 * Bytes as the URL of a connection.  What must hold: what is accepted means to
 * curl, which will use it, the host that was checked, and nothing else: no
 * credentials, no query, http or https (or mail) alone.
 */
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/must.h"
#include "wire/wire_int.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void compare(CURLU *curl, const struct wire_url *url)
{
	char *host = NULL, *part = NULL;
	must(curl_url_set(curl, CURLUPART_URL, url->base, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK);
	must(curl_url_get(curl, CURLUPART_HOST, &host, 0) == CURLUE_OK);
	size_t len = strlen(host);
	bool has_brackets = host[0] == '[' && len > 2;
	bool is_same = strcasecmp(host, url->host) == 0 ||
	               (has_brackets && strncasecmp(host + 1, url->host, len - 2) == 0);
	must(is_same);
	must(curl_url_get(curl, CURLUPART_USER, &part, 0) != CURLUE_OK);
	must(curl_url_get(curl, CURLUPART_PASSWORD, &part, 0) != CURLUE_OK);
	must(curl_url_get(curl, CURLUPART_QUERY, &part, 0) != CURLUE_OK);
	must(curl_url_get(curl, CURLUPART_FRAGMENT, &part, 0) != CURLUE_OK);
	curl_free(host);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	char *text = mem_dup((const char *)data, size);
	struct wire_url url = { 0 };
	struct err err = { 0 };
	if (wire_url_read(text, &url, &err) < 0) {
		must(err.text[0] != '\0');
	} else {
		CURLU *curl = curl_url();
		must(curl != NULL);
		compare(curl, &url);
		curl_url_cleanup(curl);
		(void)wire_address_text_is_public(url.host);
		wire_url_release(&url);
	}
	free(text);
	return 0;
}
