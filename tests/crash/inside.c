/* SPDX-License-Identifier: MIT */
/* The program's own way to an engine (cli/cli_engine.c), taken by hand. */
#include "inside.h"

#include <pthread.h>
#include <stdlib.h>

#include "cli/cli_int.h"
#include "plugin/plugin.h"
#include "report/report.h"
#include "run/engine.h"

struct inside {
	struct cli cli;
	struct engine *engine;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	json_t *last; /* NULL: has not come */
};

struct inside *inside_new(const char *config_path, const char *plugin_folder)
{
	struct inside *inside = mem_alloc(sizeof(*inside));
	struct err err = { 0 };
	json_t *findings = json_array();
	pthread_mutex_init(&inside->lock, NULL);
	pthread_cond_init(&inside->changed, NULL);
	inside->cli.config_path = mem_dup_str(config_path);
	const struct clock clock = clock_system();
	inside->cli.log = report_log_new(-1, REPORT_NOTHING, &clock);
	inside->cli.plugins = plugins_new();
	must(plugins_load_folder(inside->cli.plugins, plugin_folder, findings, &err) == 0);
	json_decref(findings);
	return inside;
}

void inside_configure(struct inside *inside)
{
	struct err err = { 0 };
	if (inside->cli.has_config)
		config_release(&inside->cli.config);
	inside->cli.has_config = false;
	must(cli_config(&inside->cli, &err) == 0);
}

void inside_free(struct inside *inside)
{
	if (inside->cli.has_config)
		config_release(&inside->cli.config);
	cli_release(&inside->cli);
	free((char *)(uintptr_t)inside->cli.config_path);
	pthread_mutex_destroy(&inside->lock);
	pthread_cond_destroy(&inside->changed);
	free(inside);
}

char *inside_open(struct inside *inside)
{
	struct err err = { 0 };
	if (cli_engine_open(&inside->cli, &inside->engine, &err) == 0)
		return NULL;
	inside->engine = NULL;
	return mem_dup_str(err.text);
}

void inside_close(struct inside *inside)
{
	engine_close(inside->engine);
	inside->engine = NULL;
}

static void take_reply(void *arg, const json_t *reply, bool is_last)
{
	struct inside *inside = arg;
	if (!is_last)
		return;
	pthread_mutex_lock(&inside->lock);
	inside->last = json_deep_copy(reply);
	pthread_cond_signal(&inside->changed);
	pthread_mutex_unlock(&inside->lock);
}

json_t *inside_ask(struct inside *inside, json_t *request_taken)
{
	engine_request(inside->engine, request_taken, take_reply, inside);
	pthread_mutex_lock(&inside->lock);
	while (!inside->last)
		pthread_cond_wait(&inside->changed, &inside->lock);
	json_t *ret = inside->last;
	inside->last = NULL;
	pthread_mutex_unlock(&inside->lock);
	json_decref(request_taken);
	engine_wait_rest(inside->engine);
	return ret;
}
