/* SPDX-License-Identifier: MIT */
/*
 * What may stand in a header or a path, and reading the few reply headers that
 * mean something to us.  curl sends what it is given: every byte that could
 * begin a second header or leave the connection's host is refused here.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "wire/wire_int.h"

bool wire_header_is_safe(const char *value)
{
	for (; *value; value++)
		if ((unsigned char)*value < 0x20 || *value == 0x7f)
			return false;
	return true;
}

bool wire_header_is_name(const char *name)
{
	static const char others[] = "!#$%&'*+-.^_`|~";
	if (*name == '\0')
		return false;
	for (; *name; name++) {
		bool is_alnum = (*name >= '0' && *name <= '9') || (*name >= 'A' && *name <= 'Z') ||
		                (*name >= 'a' && *name <= 'z');
		if (!is_alnum && !strchr(others, *name))
			return false;
	}
	return true;
}

/* Headers that frame the message or carry credentials are the engine's alone. */
bool wire_header_is_reserved(const char *name)
{
	static const char *const reserved[] = {
		"Host",
		"Content-Length",
		"Transfer-Encoding",
		"Connection",
		"Keep-Alive",
		"Upgrade",
		"TE",
		"Trailer",
		"Expect",
		"Authorization",
		"Proxy-Authorization",
		"Proxy-Connection",
		"X-Correlation-ID",
		"traceparent",
	};
	for (size_t i = 0; i < sizeof(reserved) / sizeof(*reserved); i++)
		if (strcasecmp(name, reserved[i]) == 0)
			return true;
	return false;
}

bool wire_header_line_is(const char *line, const char *name)
{
	size_t len = strlen(name);
	return strncasecmp(line, name, len) == 0 && (line[len] == ':' || line[len] == ';');
}

/* Is this segment "." or "..", percent-encoded or not? */
static bool is_dots(const char *at, size_t len)
{
	size_t dots = 0;
	for (size_t i = 0; i < len; dots++) {
		if (at[i] == '.')
			i++;
		else if (len - i >= 3 && strncasecmp(at + i, "%2e", 3) == 0)
			i += 3;
		else
			return false;
	}
	return dots == 1 || dots == 2;
}

int wire_path_check(const char *path, struct err *err)
{
	if (path[0] != '/' || path[1] == '/')
		return err_set(err, ERR_INPUT, "the path must begin with one '/'");
	size_t path_len = strcspn(path, "?");
	for (const char *p = path; *p; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return err_set(err, ERR_INPUT, "the path contains a control character");
		if ((unsigned char)*p > 0x7e || strchr(" \"<>\\^`{|}#", *p))
			return err_set(err, ERR_INPUT,
			               "the path contains '%c', which must be percent-encoded",
			               (unsigned char)*p > 0x7e ? '?' : *p);
	}
	for (size_t i = 0; i < path_len;) {
		size_t len = strcspn(path + i + 1, "/?");
		if (is_dots(path + i + 1, len))
			return err_set(err, ERR_INPUT, "the path contains the segment '.' or '..'");
		i += 1 + len;
	}
	return 0;
}

const char *wire_reply_header(const struct wire_reply *reply, const char *name)
{
	for (size_t i = 0; i < reply->header_count; i++)
		if (strcasecmp(reply->headers[i].name, name) == 0)
			return reply->headers[i].value;
	return NULL;
}

/* --- dates (RFC 9110 5.6.7) ------------------------------------------------ */

static int month_of(const char *name)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	for (int i = 0; i < 12; i++)
		if (strncmp(names + (size_t)i * 3, name, 3) == 0)
			return i;
	return -1;
}

int64_t wire_http_date_ms(const char *text)
{
	struct tm tm = { 0 };
	char month[4] = "", rest[8] = "";
	int used = 0;
	if (sscanf(text, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d %3s%n", &tm.tm_mday, month,
	           &tm.tm_year, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, rest, &used) == 7) {
		tm.tm_year -= 1900;
	} else if (sscanf(text, "%*9[A-Za-z], %2d-%3[A-Za-z]-%2d %2d:%2d:%2d %3s%n", &tm.tm_mday,
	                  month, &tm.tm_year, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, rest,
	                  &used) == 7) {
		/* Two digits: the century that is nearest; 70..99 are the last one. */
		tm.tm_year += tm.tm_year < 70 ? 100 : 0;
	} else if (sscanf(text, "%*3[A-Za-z] %3[A-Za-z] %2d %2d:%2d:%2d %4d%n", month, &tm.tm_mday,
	                  &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &tm.tm_year, &used) == 6) {
		tm.tm_year -= 1900;
		snprintf(rest, sizeof(rest), "GMT");
	} else {
		return -1;
	}
	tm.tm_mon = month_of(month);
	bool is_sane = tm.tm_mon >= 0 && tm.tm_mday >= 1 && tm.tm_mday <= 31 && tm.tm_hour >= 0 &&
	               tm.tm_hour < 24 && tm.tm_min >= 0 && tm.tm_min < 60 && tm.tm_sec >= 0 &&
	               tm.tm_sec <= 60 && tm.tm_year >= 0;
	if (!is_sane || strcmp(rest, "GMT") != 0 || text[used] != '\0')
		return -1;
	return (int64_t)timegm(&tm) * 1000;
}

int64_t wire_retry_after_ms(const char *value, int64_t wall_ms)
{
	enum { SECONDS_MAX = 1000000000 };
	if (*value >= '0' && *value <= '9') {
		int64_t seconds = 0;
		for (; *value >= '0' && *value <= '9'; value++)
			seconds = seconds < SECONDS_MAX ? seconds * 10 + (*value - '0') : seconds;
		return *value == '\0' ? seconds * 1000 : -1;
	}
	int64_t at_ms = wire_http_date_ms(value);
	if (at_ms < 0)
		return -1;
	return at_ms > wall_ms ? at_ms - wall_ms : 0;
}
