/* SPDX-License-Identifier: MIT */
/*
 * The pure machine in memory: events per second, and what a large graph costs.
 *
 *	machine_bench [SECONDS]
 *
 * One line of JSON per measurement: {"name","per_s"} or {"name","ms","kib"}.
 * run.sh puts XState's figures on the same charts beside them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "machine/machine.h"
#include "script/script.h"

#define HEAD "<scxml xmlns=\"http://www.w3.org/2005/07/scxml\" version=\"1.0\" datamodel=\"lua\">"

enum { REGIONS = 8 };

static int64_t now_ns(void)
{
	const struct clock clock = clock_system();
	return clock_monotonic_ns(&clock);
}

static const struct datamodel_ops *find_datamodel(void *ctx, const char *name, void **factory)
{
	(void)name;
	*factory = ctx;
	return &script_datamodel_ops;
}

static void die(const struct err *err)
{
	fprintf(stderr, "machine_bench: %s\n", err->text);
	exit(1);
}

/* --- charts --------------------------------------------------------------------------------- */

static void put_toggle(struct buf *out, const char *name)
{
	buf_printf(out,
	           "<state id=\"%s\" initial=\"%s.a\">"
	           "<state id=\"%s.a\"><transition event=\"t\" target=\"%s.b\"/></state>"
	           "<state id=\"%s.b\"><transition event=\"t\" target=\"%s.a\"/></state></state>",
	           name, name, name, name, name, name);
}

static void put_flat(struct buf *out)
{
	buf_put(out, HEAD "<state id=\"a\"><transition event=\"t\" target=\"b\"/></state>"
	                  "<state id=\"b\"><transition event=\"t\" target=\"a\"/></state></scxml>");
}

/* Every event moves all regions; each asks a guard, the first one counts. */
static void put_parallel(struct buf *out)
{
	buf_put(out, HEAD "<datamodel><data id=\"n\" expr=\"0\"/></datamodel>"
	                  "<state id=\"top\"><parallel id=\"p\">");
	for (int i = 1; i <= REGIONS; i++) {
		const char *count = i == 1 ? "<assign location=\"n\" expr=\"n + 1\"/>" : "";
		buf_printf(out,
		           "<state id=\"r%d\"><state id=\"r%da\"><transition event=\"t\" "
		           "cond=\"n %% 2 == 0\" target=\"r%db\">%s</transition></state>"
		           "<state id=\"r%db\"><transition event=\"t\" cond=\"n %% 2 == 1\" "
		           "target=\"r%da\">%s</transition></state></state>",
		           i, i, i, count, i, i, count);
	}
	buf_put(out, "</parallel></state></scxml>");
}

/* So many states, of which three are active. */
static void put_many(struct buf *out, int count)
{
	buf_put(out, HEAD);
	for (int i = 0; i < count / 3; i++) {
		char name[32];
		snprintf(name, sizeof(name), "s%d", i);
		put_toggle(out, name);
	}
	buf_put(out, "</scxml>");
}

/* --- measuring ------------------------------------------------------------------------------- */

static void play(const char *name, const struct buf *text, double seconds)
{
	const struct script_limits limits = { LIMIT_LUA_STEPS, LIMIT_LUA_BYTES, LIMIT_LUA_MS };
	const struct clock clock = clock_system();
	struct script *script = script_new(&limits, &clock);
	const struct machine_env env = { .ctx = script, .datamodel = find_datamodel };
	struct chart *chart = NULL;
	struct machine *machine = NULL;
	struct arena arena;
	struct effects effects;
	struct err err = { 0 };
	json_t *made = NULL;
	if (chart_new(buf_str(text), name, NULL, NULL, &chart, &err) < 0)
		die(&err);
	const struct machine_options options = { .chart = chart, .env = &env, .run_id = "b" };
	arena_init(&arena);
	effects_init(&effects, &arena);
	struct input input = { .kind = INPUT_START };
	if (machine_new(&options, &machine, &err) < 0 ||
	    machine_step(machine, &input, NULL, &made, &effects, &err) < 0)
		die(&err);
	json_decref(made);
	input = (struct input){ .kind = INPUT_EVENT,
		                .event = { .type = EVENT_EXTERNAL, .name = mem_dup_str("t") } };
	int64_t began = now_ns(), count = 0, end = began + (int64_t)(seconds * 1e9);
	while (count % 1000 != 0 || now_ns() < end) {
		input.at_ms = ++count;
		if (machine_step(machine, &input, NULL, &made, &effects, &err) < 0)
			die(&err);
		json_decref(made);
		effects.len = 0;
		arena_clear(&arena);
	}
	printf("{\"name\":\"%s\",\"per_s\":%.0f}\n", name,
	       (double)count / ((double)(now_ns() - began) / 1e9));
	fflush(stdout);
	event_release(&input.event);
	machine_free(machine);
	effects_release(&effects);
	arena_release(&arena);
	chart_unref(chart);
	script_free(script);
}

static int compiles(void *ctx, const char *code, bool is_statement, struct err *err)
{
	(void)ctx;
	return script_compiles(code, is_statement, err);
}

static void globals(void *ctx, const char *code, bool is_statement,
                    void (*found)(void *arg, const char *name, bool is_write), void *arg)
{
	(void)ctx;
	script_globals(code, is_statement, found, arg);
}

static long peak_kib(void)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_maxrss;
}

/* 5,000 states in 1 MiB: guards, content, notes that fill it up. */
static void put_large(struct buf *out)
{
	enum { STATES = 5000 };
	buf_put(out, HEAD "<datamodel><data id=\"n\" expr=\"0\"/></datamodel>");
	for (int i = 0; i < STATES; i++)
		buf_printf(out,
		           "<state id=\"s%d\"><onentry><log expr=\"n + %d\"/></onentry>"
		           "<transition event=\"e.%d\" cond=\"n %% 7 ~= %d\" target=\"s%d\">"
		           "<assign location=\"n\" expr=\"n + 1\"/></transition></state>\n",
		           i, i, i, i % 7, (i + 1) % STATES);
	while (out->len < LIMIT_GRAPH_BYTES - 100)
		buf_put(out, "<!-- a note -->\n");
	buf_put(out, "</scxml>");
}

static void load_large(void)
{
	const struct chart_world world = { .compiles = compiles, .globals = globals };
	struct chart_diags diags = { 0 };
	struct chart *chart = NULL;
	struct err err = { 0 };
	struct buf text;
	buf_init(&text, LIMIT_GRAPH_BYTES);
	put_large(&text);
	int64_t began = now_ns();
	if (chart_new(buf_str(&text), "large", NULL, &diags, &chart, &err) < 0)
		die(&err);
	int64_t compiled = now_ns();
	chart_check(chart, NULL, &world, &diags);
	int64_t checked = now_ns();
	printf("{\"name\":\"compile 1 MiB, 5000 states\",\"ms\":%.1f,\"kib\":%ld}\n",
	       (double)(compiled - began) / 1e6, peak_kib());
	printf("{\"name\":\"check 1 MiB, 5000 states\",\"ms\":%.1f,\"kib\":%ld}\n",
	       (double)(checked - began) / 1e6, peak_kib());
	chart_diags_release(&diags);
	chart_unref(chart);
	buf_release(&text);
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? strtod(argv[1], NULL) : 2;
	static const int sizes[] = { 50, 5000 };
	struct buf text;
	mem_install();
	load_large();
	buf_init(&text, LIMIT_GRAPH_BYTES);
	put_flat(&text);
	play("flat toggle", &text, seconds);
	buf_clear(&text);
	put_parallel(&text);
	play("parallel of 8, Lua guards", &text, seconds);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char name[32];
		snprintf(name, sizeof(name), "%d states", sizes[i]);
		buf_clear(&text);
		put_many(&text, sizes[i]);
		play(name, &text, seconds);
	}
	buf_release(&text);
	return 0;
}
