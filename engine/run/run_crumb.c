/* SPDX-License-Identifier: MIT */
/*
 * The breadcrumb: which plugin each worker was inside of, in a file that is
 * mapped and so survives the death of the process.  A plugin that was inside a
 * call when the process died is named at the next start, and quarantined after
 * three such deaths in a row (DESIGN.md 5).
 *
 * It says nothing about durability: it is written without a sync, and a lost
 * or broken file only means that nobody is named.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "run/run_int.h"

enum { NAME_BYTES = 60, SLOTS = 64, PLUGINS = 64, DEATHS_MAX = 3 };

struct crumb_row {
	char name[NAME_BYTES];
	uint32_t deaths;
};

struct run_crumb {
	struct crumb_row inside[SLOTS];   /* by worker; name empty: in no plugin */
	struct crumb_row counts[PLUGINS]; /* deaths in a row by plugin */
};

static uint32_t count_death(struct run_crumb *crumb, const char *name)
{
	struct crumb_row *free_row = NULL;
	for (int i = 0; i < PLUGINS; i++) {
		struct crumb_row *row = &crumb->counts[i];
		if (strcmp(row->name, name) == 0)
			return ++row->deaths;
		if (!row->name[0] && !free_row)
			free_row = row;
	}
	if (!free_row)
		return 1;
	snprintf(free_row->name, sizeof(free_row->name), "%s", name);
	return free_row->deaths = 1;
}

static bool was_inside(const struct run_crumb *crumb, const char *name)
{
	for (int i = 0; i < SLOTS; i++)
		if (strcmp(crumb->inside[i].name, name) == 0)
			return true;
	return false;
}

/* Names who was inside, and starts anew. */
static void read_crumb(struct engine *engine, struct run_crumb *crumb)
{
	for (int i = 0; i < SLOTS; i++)
		crumb->inside[i].name[NAME_BYTES - 1] = '\0';
	for (int i = 0; i < PLUGINS; i++) {
		crumb->counts[i].name[NAME_BYTES - 1] = '\0';
		if (!was_inside(crumb, crumb->counts[i].name))
			memset(&crumb->counts[i], 0,
			       sizeof(crumb->counts[i])); /* not in a row any more */
	}
	for (int i = 0; i < SLOTS; i++) {
		const char *name = crumb->inside[i].name;
		if (!name[0])
			continue;
		uint32_t deaths = count_death(crumb, name);
		engine_log(engine, "error", "plugin.died_inside",
		           json_pack("{s:s,s:i}", "plugin", name, "times_in_a_row", (int)deaths));
		if (deaths >= DEATHS_MAX)
			plugins_quarantine(engine->options.plugins, name,
			                   "the process died inside it three times in a row");
	}
	memset(crumb->inside, 0, sizeof(crumb->inside));
}

void crumb_open(struct engine *engine)
{
	if (engine->ground || strcmp(engine->options.store_path, "memory:") == 0)
		return;
	char *path = mem_format("%s.crumb", engine->options.store_path);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0 && ftruncate(fd, sizeof(struct run_crumb)) == 0) {
		void *at = mmap(NULL, sizeof(struct run_crumb), PROT_READ | PROT_WRITE, MAP_SHARED,
		                fd, 0);
		engine->crumb = at == MAP_FAILED ? NULL : at;
	}
	if (fd >= 0)
		close(fd);
	if (engine->crumb)
		read_crumb(engine, engine->crumb);
	else
		engine_log(engine, "error", "crumb.unwritable",
		           json_pack("{s:s,s:s}", "path", path, "text", strerror(errno)));
	free(path);
}

/* An orderly end: whoever was inside has come out. */
void crumb_close(struct engine *engine)
{
	if (!engine->crumb)
		return;
	memset(engine->crumb->inside, 0, sizeof(engine->crumb->inside));
	munmap(engine->crumb, sizeof(*engine->crumb));
	engine->crumb = NULL;
}

void crumb_enter(struct worker *worker, const char *plugin)
{
	struct run_crumb *crumb = worker->engine->crumb;
	if (!crumb || worker->index >= SLOTS)
		return;
	char *name = crumb->inside[worker->index].name;
	if (plugin)
		snprintf(name, NAME_BYTES, "%s", plugin);
	else
		name[0] = '\0';
}
