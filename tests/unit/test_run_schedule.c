/* SPDX-License-Identifier: MIT */
/* Runs that start by the calendar: what is missed, what is asked for, what a restart finds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "check.h"
#include "engine_rig.h"

#define WAITS                                                          \
	"<datamodel><data id='n' expr='0'/></datamodel><state id='a'>" \
	"<transition event='go' target='b'/></state><final id='b'/>"

/* 2026-11-21T12:00:00Z, a Saturday. */
#define NOON 1795262400000LL
enum { HOUR = 3600 * 1000, DAY = 24 * HOUR };

static void begin(struct engine_rig *rig)
{
	engine_rig_init(rig, true);
	engine_rig_graph(rig, "g", "", WAITS);
	rig->options.keeps_schedules = true;
	atomic_store(&rig->now_ms, NOON);
	engine_rig_open(rig);
}

static void add(struct engine_rig *rig, const char *name, const char *more, const char *want)
{
	json_t *reply = engine_rig_ask(rig,
	                               "{\"op\":\"schedule.add\",\"name\":\"%s\",\"by\":\"ann\","
	                               "\"graph\":\"g\",%s}",
	                               name, more);
	CHECK_MSG(strcmp(rig_error(reply), want) == 0, "%s: %s", more, rig_error(reply));
	json_decref(reply);
}

/* The engine was away until then. */
static void come_back(struct engine_rig *rig, int64_t now_ms)
{
	engine_rig_close(rig);
	atomic_store(&rig->now_ms, now_ms);
	engine_rig_open(rig);
}

/* Correlation ids of the runs, newest first; to be freed. */
static char *names(struct engine_rig *rig)
{
	json_t *reply = engine_rig_ask(rig, "{\"op\":\"run.list\",\"limit\":1000}");
	struct buf out;
	buf_init(&out, 1 << 20);
	buf_put(&out, "");
	for (size_t i = 0; i < json_array_size(json_at(reply, "runs")); i++)
		buf_printf(
			&out, "%s%s", i ? " " : "",
			json_str(json_array_get(json_at(reply, "runs"), i), "correlation_id", ""));
	json_decref(reply);
	return buf_take(&out);
}

static int64_t member(struct engine_rig *rig, const char *name, const char *what)
{
	json_t *reply = engine_rig_ask(rig, "{\"op\":\"schedule.show\",\"name\":\"%s\"}", name);
	int64_t ret = json_int(json_at(reply, "schedule"), what, 0);
	json_decref(reply);
	return ret;
}

/* It has fired so often in all, and the table knows it. */
static void wait_for(struct engine_rig *rig, const char *name, int64_t started, int64_t skipped)
{
	while (member(rig, name, "started") < started || member(rig, name, "skipped") < skipped)
		;
	CHECK_MSG(member(rig, name, "started") == started &&
	                  member(rig, name, "skipped") == skipped,
	          "%s: %lld started, %lld skipped", name, (long long)member(rig, name, "started"),
	          (long long)member(rig, name, "skipped"));
}

static void check_names(struct engine_rig *rig, const char *want)
{
	char *got = names(rig);
	CHECK_STR(got, want);
	free(got);
}

static void test_missed(void)
{
	static const struct {
		const char *policy, *names;
		int64_t started, skipped;
	} rows[] = {
		{ "one", "schedule:s:2026-11-24T05:00:00Z", 1, 2 },
		{ "all",
		  "schedule:s:2026-11-24T05:00:00Z schedule:s:2026-11-23T05:00:00Z "
		  "schedule:s:2026-11-22T05:00:00Z",
		  3, 0 },
		{ "skip", "", 0, 3 },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct engine_rig rig;
		char more[200];
		begin(&rig);
		snprintf(more, sizeof(more),
		         "\"cron\":\"0 6 * * *\",\"zone\":\"%s\",\"missed\":\"%s\"",
		         "Europe/Berlin", rows[i].policy);
		add(&rig, "s", more, "");
		check_names(&rig, "");
		come_back(&rig, NOON + 3 * DAY);
		wait_for(&rig, "s", rows[i].started, rows[i].skipped);
		check_names(&rig, rows[i].names);
		come_back(&rig, NOON + 3 * DAY + HOUR); /* nothing new is due */
		check_names(&rig, rows[i].names);
		engine_rig_release(&rig);
	}
}

/* On time it fires, whatever the policy. */
static void test_on_time(void)
{
	struct engine_rig rig;
	begin(&rig);
	add(&rig, "s", "\"cron\":\"0 13 * * *\",\"missed\":\"skip\",\"input\":{\"n\":7}", "");
	come_back(&rig, NOON + HOUR + 500);
	wait_for(&rig, "s", 1, 0);
	check_names(&rig, "schedule:s:2026-11-21T13:00:00Z");
	json_t *reply = engine_rig_ask(&rig, "{\"op\":\"run.list\",\"status\":\"waiting\"}");
	char run[32];
	snprintf(run, sizeof(run), "%s",
	         json_str(json_array_get(json_at(reply, "runs"), 0), "id", ""));
	json_decref(reply);
	reply = engine_rig_ask(&rig, "{\"op\":\"run.show\",\"run\":\"%s\"}", run);
	CHECK(json_int(json_path(reply, "run.data"), "n", 0) == 7);
	json_decref(reply);
	engine_rig_release(&rig);
}

static void test_pause(void)
{
	struct engine_rig rig;
	begin(&rig);
	add(&rig, "s", "\"cron\":\"0 6 * * *\",\"missed\":\"all\"", "");
	json_decref(
		engine_rig_ask(&rig, "{\"op\":\"schedule.pause\",\"name\":\"s\",\"by\":\"a\"}"));
	come_back(&rig, NOON + 3 * DAY);
	json_t *reply = engine_rig_ask(&rig,
	                               "{\"op\":\"schedule.resume\",\"name\":\"s\",\"by\":\"a\"}");
	CHECK_STR(json_str(json_at(reply, "schedule"), "next_at", ""), "2026-11-25T06:00:00.000Z");
	json_decref(reply);
	check_names(&rig, "");
	engine_rig_release(&rig);
}

static void test_people(void)
{
	struct engine_rig rig;
	begin(&rig);
	add(&rig, "s", "\"cron\":\"0 6 * * *\",\"input\":[{\"n\":1},{\"n\":2}]", "");
	json_t *reply = engine_rig_ask(
		&rig, "{\"op\":\"schedule.trigger\",\"name\":\"s\",\"by\":\"ann\",\"key\":\"k\"}");
	CHECK(json_array_size(json_at(reply, "results")) == 2);
	json_decref(reply);
	atomic_fetch_add(&rig.now_ms, HOUR);
	json_decref(engine_rig_ask(
		&rig, "{\"op\":\"schedule.trigger\",\"name\":\"s\",\"by\":\"ann\",\"key\":\"k\"}"));
	char *got = names(&rig);
	CHECK_MSG(strstr(got, "/1 ") && !strchr(strchr(got, ' ') + 1, ' '),
	          "the same key is one trigger: %s", got);
	free(got);
	for (int i = 0; i < 2; i++) { /* twice: the second finds all of it there */
		reply = engine_rig_ask(&rig,
		                       "{\"op\":\"schedule.backfill\",\"name\":\"s\",\"by\":\"a\","
		                       "\"from_ms\":%lld,\"to_ms\":%lld}",
		                       NOON - 2 * DAY, NOON);
		const json_t *first = json_array_get(json_at(reply, "results"), 0);
		CHECK(json_array_size(json_at(reply, "results")) == 4 &&
		      json_truth(first, "is_new", false) == (i == 0));
		json_decref(reply);
	}
	reply = engine_rig_ask(&rig,
	                       "{\"op\":\"schedule.backfill\",\"name\":\"s\",\"from_ms\":%lld,"
	                       "\"to_ms\":%lld}",
	                       NOON, NOON + 2 * DAY);
	CHECK_STR(rig_error(reply), "schedule.backfill");
	json_decref(reply);
	engine_rig_release(&rig);
}

/* A file is read at each firing; when it cannot be, that is told and the calendar goes on. */
static void test_file(void)
{
	struct engine_rig rig;
	begin(&rig);
	engine_rig_file(&rig, "inputs.json", "[{\"n\":1},{\"n\":2},{\"n\":3}]");
	char more[300];
	snprintf(more, sizeof(more), "\"cron\":\"0 * * * *\",\"input_from\":\"%s/inputs.json\"",
	         rig.folder);
	add(&rig, "s", more, "");
	come_back(&rig, NOON + HOUR);
	wait_for(&rig, "s", 3, 0);
	engine_rig_file(&rig, "inputs.json", "{");
	come_back(&rig, NOON + 2 * HOUR);
	json_t *reply;
	for (;;) {
		reply = engine_rig_ask(&rig, "{\"op\":\"schedule.show\",\"name\":\"s\"}");
		if (json_at(json_at(reply, "schedule"), "error"))
			break;
		json_decref(reply);
	}
	CHECK_STR(json_str(json_at(reply, "schedule"), "next_at", ""), "2026-11-21T15:00:00.000Z");
	json_decref(reply);
	engine_rig_release(&rig);
}

static void test_changes(void)
{
	struct engine_rig rig;
	begin(&rig);
	add(&rig, "s", "\"cron\":\"0 6 * * *\"", "");
	add(&rig, "s", "\"cron\":\"0 6 * * *\"", "schedule.known");
	add(&rig, "a b", "\"cron\":\"0 6 * * *\"", "schedule.name");
	add(&rig, "t", "\"cron\":\"0 25 * * *\"", "cron.field");
	add(&rig, "t", "\"cron\":\"0 0 30 2 *\"", "cron.never");
	add(&rig, "t", "\"cron\":\"0 6 * * *\",\"zone\":\"Mars/Base\"", "zone.absent");
	add(&rig, "t", "\"cron\":\"0 6 * * *\",\"missed\":\"maybe\"", "schedule.missed");
	add(&rig, "t", "\"cron\":\"0 6 * * *\",\"input\":7", "schedule.input");
	add(&rig, "t", "\"cron\":\"0 6 * * *\",\"input\":[7]", "schedule.input");
	add(&rig, "t", "\"cron\":\"0 6 * * *\",\"graph\":\"none\"", "graph.absent");
	json_t *reply = engine_rig_ask(&rig, "{\"op\":\"schedule.show\",\"name\":\"s\"}");
	char etag[64];
	snprintf(etag, sizeof(etag), "%s", json_str(reply, "etag", ""));
	json_decref(reply);
	static const char set[] = "{\"op\":\"schedule.set\",\"name\":\"s\",\"graph\":\"g\","
				  "\"cron\":\"0 7 * * *\",\"etag\":\"%s\",\"by\":\"a\"}";
	reply = engine_rig_ask(&rig, set, etag);
	CHECK_STR(json_str(json_at(reply, "schedule"), "next_at", ""), "2026-11-22T07:00:00.000Z");
	json_decref(reply);
	reply = engine_rig_ask(&rig, set, etag);
	CHECK_STR(rig_error(reply), "etag.changed");
	json_decref(reply);
	json_decref(engine_rig_ask(&rig, "{\"op\":\"schedule.remove\",\"name\":\"s\"}"));
	reply = engine_rig_ask(&rig, "{\"op\":\"schedule.show\",\"name\":\"s\"}");
	CHECK_STR(rig_error(reply), "schedule.absent");
	json_decref(reply);
	engine_rig_release(&rig);
}

int main(void)
{
	mem_install();
	test_missed();
	test_on_time();
	test_pause();
	test_people();
	test_file();
	test_changes();
	return check_done();
}
