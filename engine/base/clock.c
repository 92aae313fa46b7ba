/* SPDX-License-Identifier: MIT */
#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t system_wall_ms(void *ctx)
{
	(void)ctx;
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t system_monotonic_ns(void *ctx)
{
	(void)ctx;
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t fixed_wall_ms(void *ctx)
{
	return *(const int64_t *)ctx;
}

static int64_t fixed_monotonic_ns(void *ctx)
{
	return *(const int64_t *)ctx * 1000000;
}

struct clock clock_system(void)
{
	return (struct clock){ NULL, system_wall_ms, system_monotonic_ns };
}

struct clock clock_fixed(int64_t *now_ms)
{
	return (struct clock){ now_ms, fixed_wall_ms, fixed_monotonic_ns };
}

int64_t clock_wall_ms(const struct clock *clock)
{
	return clock->wall_ms(clock->ctx);
}

int64_t clock_monotonic_ns(const struct clock *clock)
{
	return clock->monotonic_ns(clock->ctx);
}

int64_t clock_monotonic_ms(const struct clock *clock)
{
	return clock_monotonic_ns(clock) / 1000000;
}

void clock_iso(int64_t wall_ms, char ret[CLOCK_ISO_BYTES])
{
	int64_t seconds = wall_ms >= 0 ? wall_ms / 1000 : -((999 - wall_ms) / 1000);
	time_t at = (time_t)seconds;
	struct tm tm;
	gmtime_r(&at, &tm);
	char date[24];
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(ret, CLOCK_ISO_BYTES, "%s.%03dZ", date, (int)(wall_ms - seconds * 1000));
}

void clock_rfc5322(int64_t wall_ms, char ret[CLOCK_ISO_BYTES])
{
	static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
		                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t at = (time_t)(wall_ms / 1000);
	struct tm tm;
	gmtime_r(&at, &tm);
	char clock_text[16];
	strftime(clock_text, sizeof(clock_text), "%H:%M:%S", &tm);
	snprintf(ret, CLOCK_ISO_BYTES, "%s, %02d %s %04d %s +0000", days[tm.tm_wday % 7],
	         tm.tm_mday % 100, months[tm.tm_mon % 12], (tm.tm_year + 1900) % 10000, clock_text);
}

/* Reads `digits` decimal digits; -1 when they are none. */
static int read_digits(const char **text, int digits)
{
	int ret = 0;
	for (int i = 0; i < digits; i++, (*text)++) {
		if (**text < '0' || **text > '9')
			return -1;
		ret = ret * 10 + (**text - '0');
	}
	return ret;
}

static int read_field(const char **text, char before, int digits)
{
	if (**text != before)
		return -1;
	(*text)++;
	return read_digits(text, digits);
}

/* "Z", "+01:00", "+0100" (Salesforce) in minutes; -10000 when it is none. */
static int read_zone(const char **text)
{
	if (**text == 'Z') {
		(*text)++;
		return 0;
	}
	char sign = **text;
	if (sign != '+' && sign != '-')
		return -10000;
	(*text)++;
	int hours = read_digits(text, 2);
	if (**text == ':')
		(*text)++;
	int minutes = read_digits(text, 2);
	if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59)
		return -10000;
	return (sign == '-' ? -1 : 1) * (hours * 60 + minutes);
}

int64_t clock_parse_iso(const char *text)
{
	struct tm tm = { 0 };
	int year = read_digits(&text, 4);
	int month = year < 0 ? -1 : read_field(&text, '-', 2);
	int day = month < 1 || month > 12 ? -1 : read_field(&text, '-', 2);
	if (day < 1 || day > 31)
		return -1;
	tm.tm_year = year - 1900;
	tm.tm_mon = month - 1;
	tm.tm_mday = day;
	int64_t fraction_ms = 0;
	int zone = 0;
	if (*text == 'T' || *text == ' ') {
		text++;
		tm.tm_hour = read_digits(&text, 2);
		tm.tm_min = tm.tm_hour < 0 ? -1 : read_field(&text, ':', 2);
		tm.tm_sec = tm.tm_min < 0 ? -1 : read_field(&text, ':', 2);
		if (tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec < 0 || tm.tm_sec > 60)
			return -1;
		if (*text == '.') {
			text++;
			for (int64_t scale = 100; *text >= '0' && *text <= '9'; text++, scale /= 10)
				fraction_ms += (*text - '0') * scale;
		}
		zone = read_zone(&text);
		if (zone == -10000)
			return -1;
	}
	if (*text != '\0')
		return -1;
	struct tm check = tm;
	int64_t seconds = (int64_t)timegm(&check);
	if (check.tm_mday != day)
		return -1; /* 31 February */
	return (seconds - zone * 60) * 1000 + fraction_ms;
}
