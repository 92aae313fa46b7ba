/* SPDX-License-Identifier: MIT */
/*
 * gangway graph ...: checking, running alone, drawing.  FILE is a path, or the
 * name of a graph in the configured folder.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli_commands.h"
#include "cli/cli_graph.h"
#include "plugin/plugin.h"
#include "release/release.h"
#include "script/script.h"

/* --- reading a graph ------------------------------------------------------------------ */

int graph_read_whole(const char *path, struct buf *ret, struct err *err)
{
	FILE *file = fopen(path, "rbe");
	if (!file)
		return err_set(err, errno == ENOENT ? ERR_ABSENT : ERR_INPUT, "%s: %s", path,
		               strerror(errno));
	char chunk[8192];
	size_t got;
	int status = 0;
	while (status == 0 && (got = fread(chunk, 1, sizeof(chunk), file)) > 0)
		if (buf_add(ret, chunk, got, err) < 0) {
			err_clear(err);
			status = err_set_id(err, ERR_LIMIT, "xml.bytes",
			                    "more than %d bytes (LIMIT_GRAPH_BYTES)",
			                    LIMIT_GRAPH_BYTES);
		}
	if (status == 0 && ferror(file))
		status = err_set(err, ERR_INPUT, "%s", strerror(errno));
	fclose(file);
	return status < 0 ? err_wrap(err, "%s", path) : 0;
}

static int read_beside(void *ctx, const char *name, struct buf *ret, struct err *err)
{
	const struct graph *graph = ctx;
	if (*name == '/' || strstr(name, ".."))
		return err_set(err, ERR_INPUT, "'%s' is not inside the graph's folder", name);
	char *path = mem_format("%s/%s", graph->folder, name);
	int status = access(path, F_OK) == 0 && !release_is_inside(graph->folder, path)
	                     ? err_set(err, ERR_INPUT, "'%s' leads out of the graph's folder", name)
	                     : graph_read_whole(path, ret, err);
	free(path);
	return status;
}

static char *find_path(struct cli *cli, const char *name)
{
	struct err ignored = { 0 };
	if (*name == '/' || (access(name, R_OK) == 0 && strchr(name, '.')))
		return mem_dup_str(name);
	if (str_ends(name, ".scxml") || cli_config(cli, &ignored) < 0)
		return mem_dup_str(name);
	const char *slash = strrchr(name, '/');
	return slash ? mem_format("%s/%s.scxml", cli->config.graphs, name)
	             : mem_format("%s/%s/%s.scxml", cli->config.graphs, name, name);
}

void graph_release(struct graph *graph)
{
	chart_unref(graph->chart);
	chart_diags_release(&graph->diags);
	buf_release(&graph->text);
	free(graph->path);
	free(graph->folder);
}

int graph_read(struct cli *cli, const char *name, struct graph *graph, struct err *err)
{
	*graph = (struct graph){ .path = find_path(cli, name) };
	const char *slash = strrchr(graph->path, '/');
	graph->folder = slash ? mem_dup(graph->path, (size_t)(slash - graph->path))
	                      : mem_dup_str(".");
	graph->files = (struct chart_folder){ graph, read_beside };
	buf_init(&graph->text, LIMIT_GRAPH_BYTES);
	if (graph_read_whole(graph->path, &graph->text, err) < 0)
		return err->code;
	struct err refused = { 0 };
	if (chart_new(buf_str(&graph->text), graph->path, &graph->files, &graph->diags,
	              &graph->chart, &refused) < 0) {
		graph->chart = NULL;
		if (graph->diags.len == 0) {
			*err = refused;
			return err->code;
		}
	}
	return 0;
}

int graph_print_diags(const struct cli *cli, const struct graph *graph)
{
	if (cli->is_json) {
		json_t *out = json_pack("{s:o,s:b}", "findings",
		                        chart_diags_json(&graph->diags, graph->path), "ok",
		                        graph->diags.error_count == 0);
		cli_print_json(out);
		json_decref(out);
	} else {
		struct buf text;
		buf_init(&text, 16u * 1024 * 1024);
		chart_diags_text(&graph->diags, graph->path, &text);
		fputs(text.bytes ? text.bytes : "", stdout);
		buf_release(&text);
	}
	return graph->diags.error_count > 0 ? EXIT_USAGE : 0;
}

/* --- check ------------------------------------------------------------------------------- */

static int world_compiles(void *ctx, const char *code, bool is_statement, struct err *err)
{
	(void)ctx;
	return script_compiles(code, is_statement, err);
}

static void world_globals(void *ctx, const char *code, bool is_statement,
                          void (*found)(void *arg, const char *name, bool is_write), void *arg)
{
	(void)ctx;
	script_globals(code, is_statement, found, arg);
}

static const json_t *world_action(void *ctx, const char *type, const char *action)
{
	const struct cli *cli = ctx;
	const struct plugin *plugin = plugins_find(cli->plugins, type);
	if (!plugin)
		return NULL;
	if (!action)
		return cli->options; /* any value: it exists */
	const struct plugin_action *found = plugin_action_find(plugin, action);
	return found ? plugin_action_describe(found) : NULL;
}

static size_t world_names(void *ctx, const char *type, const char **ret, size_t max)
{
	const struct cli *cli = ctx;
	if (!type)
		return plugins_names(cli->plugins, ret, max);
	const struct plugin *plugin = plugins_find(cli->plugins, type);
	return plugin ? plugin_action_names(plugin, ret, max) : 0;
}

struct chart_world graph_world(struct cli *cli)
{
	return (struct chart_world){ cli, world_compiles, world_globals, world_action,
		                     world_names };
}

static int graph_check(struct cli *cli)
{
	struct err err = { 0 };
	struct graph graph;
	if (cli_plugins(cli, &err) < 0)
		return cli_fail(cli, &err);
	if (graph_read(cli, cli->args[0], &graph, &err) < 0) {
		graph_release(&graph);
		return cli_fail(cli, &err);
	}
	if (graph.chart) {
		struct chart_world world = graph_world(cli);
		chart_check(graph.chart, &graph.files, &world, &graph.diags);
	}
	int code = graph_print_diags(cli, &graph);
	if (!cli->is_json && graph.diags.len == 0)
		printf("%s: %d states, %d transitions, nothing to complain about\n", graph.path,
		       graph.chart->state_count - 1, graph.chart->transition_count);
	graph_release(&graph);
	return code;
}

/* --- pictures -------------------------------------------------------------------------------- */

static int draw(struct cli *cli, void (*put)(const struct chart *chart, struct buf *out))
{
	struct err err = { 0 };
	struct graph graph;
	int code = 0;
	if (graph_read(cli, cli->args[0], &graph, &err) < 0) {
		code = cli_fail(cli, &err);
	} else if (!graph.chart) {
		code = graph_print_diags(cli, &graph);
	} else {
		struct buf out;
		buf_init(&out, 64u * 1024 * 1024);
		put(graph.chart, &out);
		fwrite(out.bytes, 1, out.len, stdout);
		buf_release(&out);
	}
	graph_release(&graph);
	return code;
}

/* The graph that the run is pinned to, in the colours of the run. */
static int draw_run(struct cli *cli, const char *id)
{
	struct err err = { 0 };
	json_t *request = json_pack("{s:s,s:s}", "op", "run.picture", "run", id), *reply = NULL;
	int code = 0;
	if (cli_ask(cli, request, NULL, NULL, &reply, &err) < 0)
		code = cli_fail(cli, &err);
	else if (json_at(reply, "error"))
		code = cli_fail_json(cli, json_at(reply, "error"));
	else if (cli->is_json)
		cli_print_json(json_at(reply, "picture"));
	else
		fputs(json_str(json_at(reply, "picture"), "dot", ""), stdout);
	json_decref(request);
	json_decref(reply);
	return code;
}

static int graph_dot(struct cli *cli)
{
	const char *run = cli_option(cli, "run");
	struct err err = { 0 };
	if (run && cli->arg_count == 0)
		return draw_run(cli, run);
	if (!run && cli->arg_count == 1)
		return draw(cli, chart_dot);
	err_set(&err, ERR_INPUT, "say either a graph or --run with a run's id");
	return cli_fail(cli, &err);
}

static int graph_mermaid(struct cli *cli)
{
	return draw(cli, chart_mermaid);
}

static const char *const no_options[] = { NULL };
static const char *const dot_options[] = { "run=", NULL };

const struct command command_graph_check = { "graph",
	                                     "check",
	                                     "GRAPH|FILE",
	                                     1,
	                                     1,
	                                     no_options,
	                                     "check a graph: everything that is wrong, at once",
	                                     "exit: 0 no errors (warnings are shown), 2 errors",
	                                     "gangway graph check onboarding",
	                                     graph_check };
const struct command command_graph_dot = {
	"graph",
	"dot",
	"GRAPH|FILE",
	0,
	1,
	dot_options,
	"draw a graph for Graphviz",
	"  --run ID  instead of a graph: the one that the run is pinned to, green where the run "
	"has\n"
	"            been, yellow where it is, red where something failed, with the time it took",
	"gangway graph dot onboarding | dot -Tsvg > onboarding.svg\n"
	"  gangway graph dot --run RUN | dot -Tsvg > run.svg",
	graph_dot
};
const struct command command_graph_mermaid = { "graph",
	                                       "mermaid",
	                                       "GRAPH|FILE",
	                                       1,
	                                       1,
	                                       no_options,
	                                       "draw a graph for Mermaid",
	                                       NULL,
	                                       "gangway graph mermaid onboarding",
	                                       graph_mermaid };
