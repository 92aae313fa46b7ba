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

#include "chart/chart.h"
#include "cli/cli_commands.h"
#include "machine/driver.h"
#include "plugin/plugin.h"
#include "release/release.h"
#include "script/script.h"

/* --- reading a graph ------------------------------------------------------------------ */

struct graph {
	char *path; /* as shown */
	char *folder;
	struct buf text;
	struct chart_folder files;
	struct chart *chart;
	struct chart_diags diags;
};

static int read_whole(const char *path, struct buf *ret, struct err *err)
{
	FILE *file = fopen(path, "rbe");
	if (!file)
		return err_set(err, errno == ENOENT ? ERR_ABSENT : ERR_INPUT, "%s: %s", path,
		               strerror(errno));
	char chunk[8192];
	size_t got;
	int status = 0;
	while (status == 0 && (got = fread(chunk, 1, sizeof(chunk), file)) > 0)
		status = buf_add(ret, chunk, got, err);
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
	int status = read_whole(path, ret, err);
	free(path);
	return status;
}

static char *find_path(struct cli *cli, const char *name)
{
	struct err ignored = { 0 };
	if (access(name, R_OK) == 0 && strchr(name, '.'))
		return mem_dup_str(name);
	if (str_ends(name, ".scxml") || cli_config(cli, &ignored) < 0)
		return mem_dup_str(name);
	const char *slash = strrchr(name, '/');
	return slash ? mem_format("%s/%s.scxml", cli->config.graphs, name)
	             : mem_format("%s/%s/%s.scxml", cli->config.graphs, name, name);
}

static void graph_release(struct graph *graph)
{
	chart_unref(graph->chart);
	chart_diags_release(&graph->diags);
	buf_release(&graph->text);
	free(graph->path);
	free(graph->folder);
}

/* The chart is NULL when it was refused; then diags say why. */
static int graph_read(struct cli *cli, struct graph *graph, struct err *err)
{
	*graph = (struct graph){ .path = find_path(cli, cli->args[0]) };
	const char *slash = strrchr(graph->path, '/');
	graph->folder = slash ? mem_dup(graph->path, (size_t)(slash - graph->path))
	                      : mem_dup_str(".");
	graph->files = (struct chart_folder){ graph, read_beside };
	buf_init(&graph->text, LIMIT_GRAPH_BYTES);
	if (read_whole(graph->path, &graph->text, err) < 0)
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

static int print_diags(const struct cli *cli, const struct graph *graph)
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

/* A graph that was refused: why, on stderr or as JSON. */
static int refuse(const struct cli *cli, const struct graph *graph)
{
	(void)print_diags(cli, graph);
	return EXIT_USAGE;
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
	(void)type;
	return plugins_names(cli->plugins, ret, max);
}

static int graph_check(struct cli *cli)
{
	struct err err = { 0 };
	struct graph graph;
	if (cli_plugins(cli, &err) < 0)
		return cli_fail(cli, &err);
	if (graph_read(cli, &graph, &err) < 0) {
		graph_release(&graph);
		return cli_fail(cli, &err);
	}
	if (graph.chart) {
		struct chart_world world = { cli, world_compiles, world_globals, world_action,
			                     world_names };
		chart_check(graph.chart, &graph.files, &world, &graph.diags);
	}
	int code = print_diags(cli, &graph);
	if (!cli->is_json && graph.diags.len == 0)
		printf("%s: %d states, %d transitions, nothing to complain about\n", graph.path,
		       graph.chart->state_count - 1, graph.chart->transition_count);
	graph_release(&graph);
	return code;
}

/* --- exec ----------------------------------------------------------------------------------- */

struct exec {
	struct cli *cli;
	struct graph graph;
	struct script *script;
	const json_t *answers;
	char *rules; /* folder of rule sets, or NULL */
	struct ruleset *sets[16];
	char *set_names[16];
	size_t set_count;
};

static bool has_answer(const struct exec *exec, const struct effect *effect)
{
	char *key = mem_format("%s.%s", effect->type, effect->action ? effect->action : "");
	bool ret = json_at(exec->answers, key) != NULL;
	free(key);
	return ret;
}

static bool is_built_in(const char *type)
{
	static const char *const types[] = { "rules",     "template", "approval",
		                             "checklist", "tasks",    "gw:run" };
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (strcmp(types[i], type) == 0)
			return true;
	return false;
}

static int exec_check(void *ctx, const struct effect *effect, struct err *err)
{
	struct exec *exec = ctx;
	const char *type = effect->type;
	const char *action = effect->action ? effect->action : "";
	if (is_built_in(type) || has_answer(exec, effect))
		return 0;
	const struct plugin *plugin = exec->cli->plugins ? plugins_find(exec->cli->plugins, type)
	                                                 : NULL;
	const struct plugin_action *found = plugin ? plugin_action_find(plugin, action) : NULL;
	if (!plugin)
		return err_set(err, ERR_ABSENT, "there is no plugin '%s'", type);
	if (!found)
		return err_set(err, ERR_ABSENT, "the plugin '%s' has no action '%s'", type, action);
	json_t *params = effect->data ? json_copy(effect->data) : json_object();
	const char *name;
	json_t *file;
	json_object_foreach(effect->renders, name, file)
		json_put_str(params, name, "");
	int status = plugin_action_check(found, params, err);
	json_decref(params);
	return status;
}

static bool exec_is_inline(void *ctx, const struct effect *effect)
{
	struct exec *exec = ctx;
	bool is_ours = effect->kind == EFFECT_CALL && (strcmp(effect->type, "rules") == 0 ||
	                                               strcmp(effect->type, "template") == 0);
	return is_ours && !has_answer(exec, effect);
}

static struct ruleset *find_rules(struct exec *exec, const char *src, struct err *err)
{
	char *name = mem_dup(src, strcspn(src, "#"));
	struct ruleset *ret = NULL;
	for (size_t i = 0; i < exec->set_count; i++)
		if (strcmp(exec->set_names[i], name) == 0)
			ret = exec->sets[i];
	if (!ret && exec->set_count < 16) {
		char *path = mem_format("%s/%s", exec->rules ? exec->rules : "rules", name);
		json_t *files;
		char hash[65];
		if (release_read_folder(path, &files, hash, err) == 0) {
			ret = exec->sets[exec->set_count] = ruleset_new(name, hash, files);
			exec->set_names[exec->set_count++] = mem_dup_str(name);
			json_decref(files);
		}
		free(path);
	}
	free(name);
	return ret;
}

static int exec_answer(void *ctx, const struct effect *effect, struct datamodel *dm,
                       const struct datamodel_ops *ops, struct machine_answer *ret, struct err *err)
{
	struct exec *exec = ctx;
	if (strcmp(effect->type, "template") == 0) {
		(void)dm;
		(void)ops;
		ret->result = json_pack("{s:s}", "artifact", effect->action ? effect->action : "");
		return 0;
	}
	const char *src = effect->action ? effect->action : "";
	const char *hash = strchr(src, '#');
	struct ruleset *set = find_rules(exec, src, err);
	if (!set)
		return err->code ? err->code : err_set(err, ERR_ABSENT, "too many rule sets");
	const struct rule_inputs in = { effect->data, 0, effect->number };
	int status = hash ? script_rules_call(exec->script, set, hash + 1, &in, &ret->result, err)
	                  : script_rules_evaluate(exec->script, set, &in, &ret->result, err);
	return status < 0 ? (err->code = ERR_BLOCKED) : 0;
}

static int exec_child(void *ctx, const char *src, struct chart **ret, struct err *err)
{
	struct exec *exec = ctx;
	struct buf text;
	struct chart_diags diags = { 0 };
	const char *path;
	if (chart_src_path(src, &path, err) < 0)
		return err->code;
	buf_init(&text, LIMIT_GRAPH_BYTES);
	int status = read_beside(&exec->graph, path, &text, err);
	if (status == 0)
		status = chart_new(buf_str(&text), path, &exec->graph.files, &diags, ret, err);
	chart_diags_release(&diags);
	buf_release(&text);
	return status;
}

static const struct datamodel_ops *exec_datamodel(void *ctx, const char *name, void **factory)
{
	struct exec *exec = ctx;
	*factory = exec->script;
	if (strcmp(name, "lua") == 0)
		return &script_datamodel_ops;
	return strcmp(name, "null") == 0 ? &datamodel_null_ops : NULL;
}

static void exec_stable(void *ctx, const json_t *line)
{
	const struct exec *exec = ctx;
	if (exec->cli->is_json || !exec->cli->is_terminal) {
		cli_print_json(line);
		return;
	}
	struct buf states;
	buf_init(&states, LIMIT_JSON_BYTES);
	const json_t *atomic = json_at(line, "atomic");
	for (size_t i = 0; i < json_array_size(atomic); i++)
		buf_printf(&states, "%s%s", i ? ", " : "",
		           json_string_value(json_array_get(atomic, i)));
	const json_t *event = json_at(line, "event");
	const char *name = json_is_string(event) ? json_string_value(event)
	                                         : json_str(event, "name", "start");
	printf("%8.3f s  %-24s %s%s\n", (double)json_int(line, "at_ms", 0) / 1000.0, name,
	       states.bytes ? states.bytes : "",
	       json_truth(line, "final", false) ? "  (final)" : "");
	buf_release(&states);
}

static int read_optional(struct cli *cli, const char *option, json_t **ret, struct err *err)
{
	const char *path = cli_option(cli, option);
	if (!path)
		return 0;
	if (json_read_file(path, LIMIT_JSON_BYTES, ret, err) < 0)
		return err_wrap(err, "--%s", option);
	return 0;
}

static int execute(struct exec *exec, struct err *err)
{
	struct cli *cli = exec->cli;
	json_t *events = NULL, *answers = NULL, *input = NULL;
	const char *until = cli_option(cli, "until"), *text = cli_option(cli, "input");
	bool is_final = false;
	int status = read_optional(cli, "events", &events, err);
	if (status == 0)
		status = read_optional(cli, "answers", &answers, err);
	if (status == 0 && text && cli_read_json(text, &input, err) < 0)
		status = err_wrap(err, "--input");
	if (status == 0 && events && !json_is_array(events))
		status =
			err_set(err, ERR_INPUT,
		                "--events: a list of {\"event\":{\"name\",\"data\"},\"after\":ms}");
	if (status < 0)
		err->code = ERR_INPUT;
	exec->answers = answers;
	const struct machine_env env = { .ctx = exec,
		                         .check = exec_check,
		                         .is_inline = exec_is_inline,
		                         .answer = exec_answer,
		                         .child_chart = exec_child,
		                         .datamodel = exec_datamodel };
	const struct driver_options options = { .chart = exec->graph.chart,
		                                .env = &env,
		                                .input = input,
		                                .script = events,
		                                .answers = answers,
		                                .until_ms = until ? strtol(until, NULL, 10) : -1,
		                                .on_stable = exec_stable,
		                                .ctx = exec };
	bool has_run = status == 0;
	if (status == 0)
		status = driver_run(&options, &is_final, err);
	if (status < 0 && has_run)
		err->code = ERR_SYSTEM; /* exit code 3: it failed while it ran */
	json_decref(events);
	json_decref(answers);
	json_decref(input);
	return status;
}

static int graph_exec(struct cli *cli)
{
	struct err err = { 0 };
	struct exec exec = { .cli = cli };
	if (cli_config(cli, &err) < 0)
		return cli_fail(cli, &err);
	if (graph_read(cli, &exec.graph, &err) < 0) {
		graph_release(&exec.graph);
		return cli_fail(cli, &err);
	}
	int code = 0;
	if (exec.graph.chart) {
		struct err ignored = {
			0
		}; /* without plugins their calls fail; the graph may not need any */
		if (cli_plugins(cli, &ignored) < 0 && !cli->is_json)
			fprintf(stderr, "gangway: going on without plugins: %s\n", ignored.text);
		const struct script_limits limits = { LIMIT_LUA_STEPS, LIMIT_LUA_BYTES,
			                              LIMIT_LUA_MS };
		const struct clock clock = clock_system();
		exec.script = script_new(&limits, &clock);
		exec.rules = cli->config.rules;
		if (execute(&exec, &err) < 0)
			code = cli_fail(cli, &err);
		for (size_t i = 0; i < exec.set_count; i++) {
			ruleset_unref(exec.sets[i]);
			free(exec.set_names[i]);
		}
		script_free(exec.script);
	} else {
		code = refuse(cli, &exec.graph);
	}
	graph_release(&exec.graph);
	return code;
}

/* --- pictures -------------------------------------------------------------------------------- */

static int draw(struct cli *cli, void (*put)(const struct chart *chart, struct buf *out))
{
	struct err err = { 0 };
	struct graph graph;
	int code = 0;
	if (graph_read(cli, &graph, &err) < 0) {
		code = cli_fail(cli, &err);
	} else if (!graph.chart) {
		code = refuse(cli, &graph);
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

static int graph_dot(struct cli *cli)
{
	return draw(cli, chart_dot);
}

static int graph_mermaid(struct cli *cli)
{
	return draw(cli, chart_mermaid);
}

static const char *const no_options[] = { NULL };
static const char *const exec_options[] = { "events=", "answers=", "input=", "until=", NULL };

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
const struct command command_graph_exec = {
	"graph",
	"exec",
	"FILE",
	1,
	1,
	exec_options,
	"run a graph alone, in memory, on a virtual clock",
	"One JSON line per stable configuration (with --json, or when piped).\n"
	"  --input JSON      the run's input\n"
	"  --events FILE     [{\"event\":{\"name\":\"t\",\"data\":{}},\"after\":100}, ...]\n"
	"  --answers FILE    {\"plugin.action\":[{\"result\":...},{\"error\":...}]}; the last repeats\n"
	"  --until MS        stop at this virtual time\n"
	"exit: 0 final or nothing more can happen, 2 refused, 3 failed while it ran",
	"gangway graph exec graphs/onboarding/onboarding.scxml --input '{\"account_id\":\"ACME-001\"}'",
	graph_exec
};
const struct command command_graph_dot = {
	"graph",
	"dot",
	"GRAPH|FILE",
	1,
	1,
	no_options,
	"draw a graph for Graphviz",
	NULL,
	"gangway graph dot onboarding | dot -Tsvg > onboarding.svg",
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
