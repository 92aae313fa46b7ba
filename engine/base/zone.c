/* SPDX-License-Identifier: MIT */
/*
 * TZif, version 2 or later: the 64-bit transitions, then the rule in the footer
 * for every time after the last of them.  Of POSIX rules only the form with
 * months, weeks and days ("M3.5.0/2") is read: no zone in use has another.
 */
#include "base/zone.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

#define ZONE_FOLDER "/usr/share/zoneinfo"

enum { ZONE_BYTES_MAX = 256 * 1024, ZONE_TRANSITIONS_MAX = 4096, HEAD = 44, DAY_S = 86400 };

struct turn {
	int month, week, weekday;
	int64_t at_s; /* after midnight, by the clock that holds until then */
};

struct zone {
	int64_t *at_s; /* transitions, ascending */
	int64_t *offset_s;
	size_t count;
	int64_t first_s; /* before the first transition */
	bool has_rule, has_summer;
	int64_t normal_s, summer_s;
	struct turn to_summer, to_normal;
};

/* --- days ------------------------------------------------------------------------- */

/* Days since 1970-01-01 of a civil date (proleptic Gregorian). */
static int64_t days_of(int64_t year, int month, int day)
{
	year -= month <= 2;
	int64_t era = (year >= 0 ? year : year - 399) / 400;
	int64_t in_era = year - era * 400;
	int64_t in_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719468;
}

struct civil {
	int64_t year;
	int month, day, weekday; /* 0: Sunday */
};

static struct civil civil_of(int64_t days)
{
	int64_t z = days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t in_era = z - era * 146097;
	int64_t year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
	int64_t in_year = in_era - (365 * year + year / 4 - year / 100);
	int64_t m = (5 * in_year + 2) / 153;
	struct civil ret = { .day = (int)(in_year - (153 * m + 2) / 5 + 1),
		             .month = (int)(m < 10 ? m + 3 : m - 9) };
	ret.year = year + era * 400 + (ret.month <= 2);
	ret.weekday = (int)(((days + 4) % 7 + 7) % 7);
	return ret;
}

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/* --- the rule in the footer --------------------------------------------------------- */

/* "[+-]h[h[h]][:mm[:ss]]" */
static bool read_clock(const char **at, int64_t *ret)
{
	int sign = **at == '-' ? -1 : 1;
	int64_t parts[3] = { 0, 0, 0 };
	if (**at == '-' || **at == '+')
		(*at)++;
	for (int i = 0; i < 3; i++) {
		char *end;
		if (**at < '0' || **at > '9')
			return false;
		parts[i] = strtol(*at, &end, 10);
		*at = end;
		if (**at != ':')
			break;
		(*at)++;
	}
	*ret = sign * (parts[0] * 3600 + parts[1] * 60 + parts[2]);
	return parts[0] <= 167 && parts[1] < 60 && parts[2] < 60;
}

static bool skip_name(const char **at)
{
	size_t len = **at == '<'
	                     ? strcspn(*at, ">")
	                     : strspn(*at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
	if (**at == '<' && (*at)[len] == '>')
		len++;
	*at += len;
	return len >= 3;
}

static bool read_turn(const char **at, struct turn *ret)
{
	int used = 0;
	if (sscanf(*at, ",M%2d.%1d.%1d%n", &ret->month, &ret->week, &ret->weekday, &used) != 3)
		return false;
	*at += used;
	ret->at_s = 2 * 3600;
	if (**at == '/') {
		(*at)++;
		if (!read_clock(at, &ret->at_s))
			return false;
	}
	return ret->month >= 1 && ret->month <= 12 && ret->week >= 1 && ret->week <= 5 &&
	       ret->weekday <= 6;
}

static bool read_rule(const char *text, struct zone *zone)
{
	const char *at = text;
	int64_t west;
	if (!skip_name(&at) || !read_clock(&at, &west))
		return false;
	zone->normal_s = -west;
	zone->has_rule = true;
	if (*at == '\0')
		return true;
	zone->has_summer = true;
	zone->summer_s = zone->normal_s + 3600;
	if (!skip_name(&at))
		return false;
	if (*at != ',') {
		if (!read_clock(&at, &west))
			return false;
		zone->summer_s = -west;
	}
	return read_turn(&at, &zone->to_summer) && read_turn(&at, &zone->to_normal) && *at == '\0';
}

/* The moment of a turn in a year, by the clock that is offset_s ahead until then. */
static int64_t turn_at(const struct turn *turn, int64_t year, int64_t offset_s)
{
	int64_t first = days_of(year, turn->month, 1);
	int64_t next = turn->month == 12 ? days_of(year + 1, 1, 1)
	                                 : days_of(year, turn->month + 1, 1);
	int64_t day = first + (turn->weekday - civil_of(first).weekday + 7) % 7 +
	              7 * (turn->week - 1);
	if (day >= next)
		day -= 7;
	return day * DAY_S + turn->at_s - offset_s;
}

static int64_t rule_offset(const struct zone *zone, int64_t utc_s)
{
	if (!zone->has_summer)
		return zone->normal_s;
	int64_t year = civil_of(floor_div(utc_s + zone->normal_s, DAY_S)).year;
	int64_t begins = turn_at(&zone->to_summer, year, zone->normal_s);
	int64_t ends = turn_at(&zone->to_normal, year, zone->summer_s);
	bool is_summer = begins < ends ? utc_s >= begins && utc_s < ends
	                               : utc_s >= begins || utc_s < ends;
	return is_summer ? zone->summer_s : zone->normal_s;
}

int64_t zone_offset(const struct zone *zone, int64_t utc_s)
{
	if (zone->count == 0 || (zone->has_rule && utc_s >= zone->at_s[zone->count - 1]))
		return zone->has_rule ? rule_offset(zone, utc_s) : zone->first_s;
	size_t low = 0, high = zone->count; /* the last transition that is not later */
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (zone->at_s[middle] <= utc_s)
			low = middle + 1;
		else
			high = middle;
	}
	return low == 0 ? zone->first_s : zone->offset_s[low - 1];
}

/* --- the file ------------------------------------------------------------------------------ */

static int64_t big_endian(const unsigned char *bytes, int count)
{
	uint64_t ret = bytes[0] & 0x80 ? UINT64_MAX : 0;
	for (int i = 0; i < count; i++)
		ret = ret << 8 | bytes[i];
	return (int64_t)ret;
}

struct tzif {
	size_t isut, isstd, leaps, times, types, chars;
};

static bool read_head(const unsigned char *bytes, size_t len, struct tzif *ret)
{
	if (len < HEAD || memcmp(bytes, "TZif", 4) != 0 || bytes[4] < '2')
		return false;
	size_t counts[6];
	for (int i = 0; i < 6; i++) {
		int64_t count = big_endian(bytes + 20 + 4 * i, 4);
		if (count < 0 || count > ZONE_TRANSITIONS_MAX)
			return false;
		counts[i] = (size_t)count;
	}
	*ret = (struct tzif){ counts[0], counts[1], counts[2], counts[3], counts[4], counts[5] };
	return ret->types > 0 && ret->types <= 256;
}

static size_t body_bytes(const struct tzif *head, size_t time_bytes)
{
	return head->times * (time_bytes + 1) + head->types * 6 + head->chars +
	       head->leaps * (time_bytes + 4) + head->isstd + head->isut;
}

static bool take_transitions(struct zone *zone, const unsigned char *bytes, const struct tzif *head)
{
	const unsigned char *kinds = bytes + head->times * 8, *types = kinds + head->times;
	zone->first_s = big_endian(types, 4);
	zone->at_s = mem_alloc((head->times + 1) * sizeof(*zone->at_s));
	zone->offset_s = mem_alloc((head->times + 1) * sizeof(*zone->offset_s));
	zone->count = head->times;
	for (size_t i = 0; i < head->times; i++) {
		if (kinds[i] >= head->types)
			return false;
		zone->at_s[i] = big_endian(bytes + 8 * i, 8);
		zone->offset_s[i] = big_endian(types + (size_t)6 * kinds[i], 4);
	}
	return true;
}

static bool read_tzif(const unsigned char *bytes, size_t len, struct zone *zone)
{
	struct tzif head;
	if (!read_head(bytes, len, &head))
		return false;
	size_t skipped = HEAD + body_bytes(&head, 4);
	if (skipped > len || !read_head(bytes + skipped, len - skipped, &head))
		return false;
	bytes += skipped + HEAD;
	len -= skipped + HEAD;
	size_t body = body_bytes(&head, 8);
	if (body > len || !take_transitions(zone, bytes, &head))
		return false;
	if (len - body < 2 || bytes[body] != '\n' || bytes[len - 1] != '\n')
		return false;
	char *rule = mem_dup((const char *)bytes + body + 1, len - body - 2);
	bool is_good = *rule == '\0' || read_rule(rule, zone);
	free(rule);
	return is_good;
}

static bool is_zone_name(const char *name)
{
	size_t len = strlen(name);
	return len > 0 && len < 64 && *name != '/' && !strstr(name, "..") &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-/") ==
	               len;
}

static int refuse(const char *name, struct err *err)
{
	err_set_id(err, ERR_INPUT, "zone.absent", "there is no time zone '%.60s'", name);
	return err_hint(err, "a name such as Europe/Berlin; the package tzdata has them");
}

int zone_open(const char *name, struct zone **ret, struct err *err)
{
	if (strcmp(name, "UTC") == 0)
		return zone_rule("UTC0", ret, err);
	char *path = mem_format("%s/%s", ZONE_FOLDER, is_zone_name(name) ? name : "");
	int fd = is_zone_name(name) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	free(path);
	if (fd < 0)
		return refuse(name, err);
	unsigned char *bytes = mem_alloc(ZONE_BYTES_MAX);
	ssize_t got = 0, len = 0;
	while (len < ZONE_BYTES_MAX &&
	       (got = read(fd, bytes + len, (size_t)(ZONE_BYTES_MAX - len))) > 0)
		len += got;
	close(fd);
	struct zone *zone = mem_alloc(sizeof(*zone));
	bool is_good = got >= 0 && read_tzif(bytes, (size_t)len, zone);
	free(bytes);
	if (!is_good) {
		zone_free(zone);
		return refuse(name, err);
	}
	*ret = zone;
	return 0;
}

int zone_rule(const char *rule, struct zone **ret, struct err *err)
{
	struct zone *zone = mem_alloc(sizeof(*zone));
	if (!read_rule(rule, zone)) {
		zone_free(zone);
		return refuse(rule, err);
	}
	*ret = zone;
	return 0;
}

void zone_free(struct zone *zone)
{
	if (!zone)
		return;
	free(zone->at_s);
	free(zone->offset_s);
	free(zone);
}

/* --- cron ---------------------------------------------------------------------------------- */

struct cron_field {
	const char *name;
	int min, max;
	const char *names; /* three letters each, from min on */
};

static const struct cron_field fields[5] = {
	{ "minute", 0, 59, "" },
	{ "hour", 0, 23, "" },
	{ "day of the month", 1, 31, "" },
	{ "month", 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec" },
	{ "day of the week", 0, 7, "sunmontuewedthufrisat" },
};

static bool read_value(const char **at, const struct cron_field *field, int *ret)
{
	if (**at >= '0' && **at <= '9') {
		char *end;
		long value = strtol(*at, &end, 10);
		bool is_good = end - *at <= 2 && value >= field->min && value <= field->max;
		*at = end;
		*ret = (int)value;
		return is_good;
	}
	for (int i = 0; field->names[3 * i]; i++) {
		char name[4] = { 0 };
		for (int c = 0; c < 3 && (*at)[c]; c++)
			name[c] = (char)((*at)[c] | 0x20);
		if (strncmp(name, field->names + (size_t)3 * (size_t)i, 3) == 0) {
			*at += 3;
			*ret = field->min + i;
			return true;
		}
	}
	return false;
}

/* "*", "7", "1-5", each with "/step". */
static bool read_range(const char **at, const struct cron_field *field, uint64_t *ret)
{
	int from = field->min, to = field->max, step = 1;
	if (**at == '*') {
		(*at)++;
	} else {
		if (!read_value(at, field, &from))
			return false;
		to = from;
		if (**at == '-') {
			(*at)++;
			if (!read_value(at, field, &to) || to < from)
				return false;
		} else if (**at == '/') {
			to = field->max;
		}
	}
	if (**at == '/') {
		char *end;
		step = (int)strtol(*at + 1, &end, 10);
		if (end == *at + 1 || step < 1 || step > field->max)
			return false;
		*at = end;
	}
	for (int i = from; i <= to; i += step)
		*ret |= (uint64_t)1 << i;
	return true;
}

static bool read_field(const char **at, const struct cron_field *field, uint64_t *ret)
{
	*ret = 0;
	while (**at == ' ' || **at == '\t')
		(*at)++;
	for (;;) {
		if (!read_range(at, field, ret))
			return false;
		if (**at != ',')
			return **at == ' ' || **at == '\t' || **at == '\0';
		(*at)++;
	}
}

int cron_read(const char *text, struct cron *ret, struct err *err)
{
	static const char *const named[][2] = {
		{ "@hourly", "0 * * * *" },   { "@daily", "0 0 * * *" },
		{ "@midnight", "0 0 * * *" }, { "@weekly", "0 0 * * 0" },
		{ "@monthly", "0 0 1 * *" },  { "@yearly", "0 0 1 1 *" },
		{ "@annually", "0 0 1 1 *" },
	};
	const char *at = text;
	uint64_t bits[5];
	bool is_any[5];
	for (size_t i = 0; i < sizeof(named) / sizeof(*named); i++)
		if (strcmp(text, named[i][0]) == 0)
			at = named[i][1];
	for (int i = 0; i < 5; i++) {
		is_any[i] = at[strspn(at, " \t")] == '*';
		if (read_field(&at, &fields[i], &bits[i]))
			continue;
		err_set_id(err, ERR_INPUT, "cron.field", "'%.60s': the %s cannot be read", text,
		           fields[i].name);
		return err_hint(err, "minute hour day month weekday, such as 0 6 * * 1-5");
	}
	if (at[strspn(at, " \t")] != '\0')
		return err_set_id(err, ERR_INPUT, "cron.field", "'%.60s' has more than five fields",
		                  text);
	bits[4] |= bits[4] >> 7 & 1; /* 7 is Sunday too */
	*ret = (struct cron){ .minutes = bits[0],
		              .hours = (uint32_t)bits[1],
		              .days = (uint32_t)bits[2],
		              .months = (uint32_t)bits[3],
		              .weekdays = (uint32_t)bits[4],
		              .is_any_day = is_any[2],
		              .is_any_weekday = is_any[4] };
	return 0;
}

static bool is_day(const struct cron *cron, const struct civil *day)
{
	bool has_day = cron->days >> day->day & 1, has_weekday = cron->weekdays >> day->weekday & 1;
	if (!(cron->months >> day->month & 1))
		return false;
	return cron->is_any_day || cron->is_any_weekday ? has_day && has_weekday
	                                                : has_day || has_weekday;
}

/* The moment at which the clocks first show this local time, or jump over it. */
static int64_t utc_of(const struct zone *zone, int64_t local_s)
{
	int64_t before = zone_offset(zone, local_s - DAY_S),
		after = zone_offset(zone, local_s + DAY_S);
	int64_t early = local_s - (before > after ? before : after);
	int64_t late = local_s - (before > after ? after : before);
	if (early + zone_offset(zone, early) == local_s)
		return early;
	if (late + zone_offset(zone, late) == local_s)
		return late;
	/* It is jumped over: the jump lies between the two. */
	while (early + 1 < late) {
		int64_t middle = early + (late - early) / 2;
		if (zone_offset(zone, middle) == zone_offset(zone, late))
			late = middle;
		else
			early = middle;
	}
	return late;
}

int64_t cron_next(const struct cron *cron, const struct zone *zone, int64_t after_ms)
{
	enum {
		DAYS_MAX = 366 * 9 /* 29 February, over a century that has none */,
		JUMP_S = 3 * 3600
	};
	int64_t after_s = floor_div(after_ms, 1000), local_s = after_s + zone_offset(zone, after_s);
	if (zone_offset(zone, after_s - JUMP_S) != zone_offset(zone, after_s + JUMP_S))
		local_s -= JUMP_S; /* what the clocks show then may come again, or later */
	int64_t first = floor_div(local_s, DAY_S);
	int begin = (int)((local_s - first * DAY_S) / 60);
	for (int64_t days = first; days < first + DAYS_MAX; days++, begin = 0) {
		const struct civil day = civil_of(days);
		if (!is_day(cron, &day))
			continue;
		for (int minute = begin; minute < 24 * 60; minute++) {
			if (!(cron->hours >> minute / 60 & 1) ||
			    !(cron->minutes >> minute % 60 & 1))
				continue;
			int64_t utc = utc_of(zone, days * DAY_S + (int64_t)minute * 60);
			if (utc > after_s)
				return utc * 1000;
		}
	}
	return -1;
}
