/* SPDX-License-Identifier: MIT */
/* Time zones and cron: what is due when, also where the clocks jump. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/zone.h"
#include "check.h"

/* POSIX rules, so that the test needs no database. */
#define BERLIN "CET-1CEST,M3.5.0,M10.5.0/3"
#define NEW_YORK "EST5EDT,M3.2.0,M11.1.0"
#define SYDNEY "AEST-10AEDT,M10.1.0,M4.1.0/3"
#define KABUL "<+0430>-4:30"

static const struct {
	const char *rule, *cron, *after, *next; /* next NULL: never */
} due[] = {
	{ "UTC0", "0 6 * * *", "2026-11-21T05:59:59Z", "2026-11-21T06:00:00.000Z" },
	{ "UTC0", "0 6 * * *", "2026-11-21T06:00:00Z", "2026-11-22T06:00:00.000Z" },
	{ "UTC0", "*/15 * * * *", "2026-11-21T06:01:00Z", "2026-11-21T06:15:00.000Z" },
	{ "UTC0", "5/20 1,3 * * *", "2026-11-21T01:46:00Z", "2026-11-21T03:05:00.000Z" },
	{ "UTC0", "0 0 29 2 *", "2026-03-01T00:00:00Z", "2028-02-29T00:00:00.000Z" },
	{ "UTC0", "0 0 29 2 *", "2096-03-01T00:00:00Z", "2104-02-29T00:00:00.000Z" },
	{ "UTC0", "0 0 30 2 *", "2026-03-01T00:00:00Z", NULL },
	{ "UTC0", "0 9 * * mon-fri", "2026-11-20T09:00:00Z", "2026-11-23T09:00:00.000Z" },
	{ "UTC0", "0 9 * * 7", "2026-11-20T09:00:00Z", "2026-11-22T09:00:00.000Z" },
	/* A day and a weekday: either will do. */
	{ "UTC0", "0 9 1 * mon", "2026-11-21T00:00:00Z", "2026-11-23T09:00:00.000Z" },
	{ "UTC0", "0 9 1 * mon", "2026-11-30T09:00:00Z", "2026-12-01T09:00:00.000Z" },
	{ "UTC0", "@monthly", "2026-11-21T00:00:00Z", "2026-12-01T00:00:00.000Z" },
	{ "UTC0", "0 0 1 JAN *", "2026-11-21T00:00:00Z", "2027-01-01T00:00:00.000Z" },
	/* Winter and summer. */
	{ BERLIN, "0 6 * * *", "2026-01-10T00:00:00Z", "2026-01-10T05:00:00.000Z" },
	{ BERLIN, "0 6 * * *", "2026-07-10T00:00:00Z", "2026-07-10T04:00:00.000Z" },
	{ NEW_YORK, "0 6 * * *", "2026-07-10T00:00:00Z", "2026-07-10T10:00:00.000Z" },
	{ SYDNEY, "0 6 * * *", "2026-01-10T00:00:00Z", "2026-01-10T19:00:00.000Z" },
	{ SYDNEY, "0 6 * * *", "2026-07-10T00:00:00Z", "2026-07-10T20:00:00.000Z" },
	{ KABUL, "0 6 * * *", "2026-07-10T00:00:00Z", "2026-07-10T01:30:00.000Z" },
	/* 29 March 2026, 02:00 to 03:00 does not exist: at the jump, and once. */
	{ BERLIN, "30 2 * * *", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00.000Z" },
	{ BERLIN, "30 2 * * *", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00.000Z" },
	/* 25 October 2026, 02:00 to 03:00 comes twice: at its first, and once. */
	{ BERLIN, "30 2 * * *", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00.000Z" },
	{ BERLIN, "30 2 * * *", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00.000Z" },
	{ NEW_YORK, "30 1 * * *", "2026-10-31T12:00:00Z", "2026-11-01T05:30:00.000Z" },
	{ NEW_YORK, "30 1 * * *", "2026-11-01T05:30:00Z", "2026-11-02T06:30:00.000Z" },
};

static void check_due(void)
{
	for (size_t i = 0; i < sizeof(due) / sizeof(*due); i++) {
		struct err err = { 0 };
		struct zone *zone;
		struct cron cron;
		char text[CLOCK_ISO_BYTES] = "never";
		CHECK(zone_rule(due[i].rule, &zone, &err) == 0 &&
		      cron_read(due[i].cron, &cron, &err) == 0);
		int64_t next = cron_next(&cron, zone, clock_parse_iso(due[i].after));
		if (next >= 0)
			clock_iso(next, text);
		CHECK_MSG(strcmp(text, due[i].next ? due[i].next : "never") == 0,
		          "%s after %s by %s: %s", due[i].cron, due[i].after, due[i].rule, text);
		zone_free(zone);
	}
}

static void check_refused(void)
{
	static const char *const crons[] = {
		"",           "* * * *",    "60 * * * *",  "* 24 * * *",  "* * 0 * *",
		"* * * 13 *", "* * * * 8",  "* * * * * *", "5-1 * * * *", "*/0 * * * *",
		"a * * * *",  "1, * * * *", "@often",      "-1 * * * *",  "1.5 * * * *"
	};
	static const char *const zones[] = { "",          "../../etc/passwd", "/etc/passwd",
		                             "Nowhere/X", "Europe",           "posixrules;",
		                             "zone.tab" };
	static const char *const rules[] = { "",
		                             "CET",
		                             "CET-1CEST",
		                             "CET-1CEST,M13.5.0,M10.5.0",
		                             "CET-1CEST,M3.6.0,M10.5.0",
		                             "C-1",
		                             "CET-1CEST,60,300" };
	struct cron cron;
	struct zone *zone;
	for (size_t i = 0; i < sizeof(crons) / sizeof(*crons); i++) {
		struct err err = { 0 };
		CHECK_MSG(cron_read(crons[i], &cron, &err) == ERR_INPUT, "'%s': %s", crons[i],
		          err.text);
	}
	for (size_t i = 0; i < sizeof(zones) / sizeof(*zones); i++) {
		struct err err = { 0 };
		CHECK_MSG(zone_open(zones[i], &zone, &err) == ERR_INPUT, "'%s': %s", zones[i],
		          err.text);
	}
	for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++) {
		struct err err = { 0 };
		CHECK_MSG(zone_rule(rules[i], &zone, &err) == ERR_INPUT, "'%s'", rules[i]);
	}
}

/* The database and the rule say the same, where there is a database. */
static void check_database(void)
{
	struct err err = { 0 };
	struct zone *file, *rule;
	if (zone_open("Europe/Berlin", &file, &err) < 0) {
		CHECK_MSG(true, "there is no database of zones # SKIP");
		return;
	}
	CHECK(zone_rule(BERLIN, &rule, &err) == 0);
	int differ = 0;
	for (int64_t at = 1700000000; at < 3000000000; at += 3571)
		differ += zone_offset(file, at) != zone_offset(rule, at);
	CHECK_MSG(differ == 0, "2023 to 2065: %d moments differ", differ);
	CHECK_MSG(zone_offset(file, -1000000000) == 3600, "1938 was winter time");
	CHECK_MSG(zone_offset(file, -3000000000) == 3208, "1874 was the sun's");
	zone_free(file);
	zone_free(rule);
}

int main(void)
{
	mem_install();
	check_due();
	check_refused();
	check_database();
	return check_done();
}
