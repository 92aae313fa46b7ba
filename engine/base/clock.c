/* SPDX-License-Identifier: MIT */
#include "base/clock.h"

#include <stdbool.h>
#include <stdio.h>
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

struct timespec clock_deadline(int64_t ms)
{
	int64_t at_ns = system_monotonic_ns(NULL) + ms * 1000000;
	return (struct timespec){ .tv_sec = at_ns / 1000000000, .tv_nsec = at_ns % 1000000000 };
}

void clock_cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

/* The calendar of a time and its milliseconds, also before 1970. */
static int split(int64_t wall_ms, struct tm *ret)
{
	int64_t seconds = wall_ms / 1000 - (wall_ms % 1000 < 0);
	time_t at = (time_t)seconds;
	gmtime_r(&at, ret);
	return (int)(wall_ms - seconds * 1000);
}

void clock_iso(int64_t wall_ms, char ret[CLOCK_ISO_BYTES])
{
	struct tm tm;
	int ms = split(wall_ms, &tm);
	snprintf(ret, CLOCK_ISO_BYTES, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
	         tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, ms);
}

void clock_rfc5322(int64_t wall_ms, char ret[CLOCK_ISO_BYTES])
{
	static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
		                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	struct tm tm;
	split(wall_ms, &tm);
	snprintf(ret, CLOCK_ISO_BYTES, "%s, %02d %s %04d %02d:%02d:%02d +0000",
	         days[tm.tm_wday % 7], tm.tm_mday, months[tm.tm_mon % 12], tm.tm_year + 1900,
	         tm.tm_hour, tm.tm_min, tm.tm_sec);
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

enum { NO_ZONE = -10000 };

/* "Z", "+01:00", "+0100" (Salesforce) in minutes east of UTC. */
static int read_zone(const char **text)
{
	if (**text == 'Z' || **text == 'z') {
		(*text)++;
		return 0;
	}
	char sign = **text;
	if (sign != '+' && sign != '-')
		return NO_ZONE;
	(*text)++;
	int hours = read_digits(text, 2);
	if (hours >= 0 && **text == ':')
		(*text)++;
	int minutes = hours < 0 ? -1 : read_digits(text, 2);
	if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59)
		return NO_ZONE;
	return (sign == '-' ? -1 : 1) * (hours * 60 + minutes);
}

/* ".5" in milliseconds, cut off; 0 when there is no fraction, -1 when it has no digit. */
static int read_fraction_ms(const char **text)
{
	int ret = 0, scale = 100;
	if (**text != '.')
		return 0;
	(*text)++;
	if (**text < '0' || **text > '9')
		return -1;
	for (; **text >= '0' && **text <= '9'; (*text)++, scale /= 10)
		ret += (**text - '0') * scale;
	return ret;
}

/* "05:22:52.123Z" as milliseconds of the day in UTC; false when it is none. */
static bool read_time(const char **text, int64_t *ret)
{
	int hour = read_digits(text, 2);
	int minute = hour < 0 ? -1 : read_field(text, ':', 2);
	int second = minute < 0 ? -1 : read_field(text, ':', 2);
	int fraction_ms = second < 0 ? -1 : read_fraction_ms(text);
	int zone = fraction_ms < 0 ? NO_ZONE : read_zone(text);
	/* A leap second is the first of the next minute, as the epoch has it. */
	if (zone == NO_ZONE || hour > 23 || minute > 59 || second > 60)
		return false;
	*ret = (((int64_t)hour * 60 + minute - zone) * 60 + second) * 1000 + fraction_ms;
	return true;
}

int64_t clock_parse_iso(const char *text)
{
	int year = read_digits(&text, 4);
	int month = year < 0 ? -1 : read_field(&text, '-', 2);
	int day = month < 0 ? -1 : read_field(&text, '-', 2);
	if (month < 1 || month > 12 || day < 1)
		return -1;
	struct tm tm = { .tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day };
	int64_t midnight = (int64_t)timegm(&tm);
	int64_t of_day_ms = 0;
	if (tm.tm_mday != day)
		return -1; /* 31 February */
	if (*text == 'T' || *text == 't' || *text == ' ') {
		text++;
		if (!read_time(&text, &of_day_ms))
			return -1;
	}
	return *text == '\0' ? midnight * 1000 + of_day_ms : -1;
}
