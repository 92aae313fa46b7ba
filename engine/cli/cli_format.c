/* SPDX-License-Identifier: MIT */
/* gangway graph fmt: graphs laid out, on stdout or in place. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/cli_commands.h"
#include "cli/cli_graph.h"

enum { FORMATTED_BYTES = 128 * 1024 * 1024 };

/* What a graph can be laid out in spite of: anything but text that is no XML. */
static bool is_readable(const struct graph *graph)
{
	for (size_t i = 0; i < graph->diags.len; i++) {
		const struct chart_diag *diag = &graph->diags.at[i];
		if (diag->is_error &&
		    (str_begins(diag->code, "xml.") || str_begins(diag->code, "limit.")))
			return false;
	}
	return true;
}

/* Whole or not at all, with the mode it had. */
static int replace(const char *path, struct str text, struct err *err)
{
	char *beside = mem_format("%s.fmt", path);
	struct stat info;
	FILE *file = stat(path, &info) == 0 ? fopen(beside, "wxe") : NULL;
	bool is_written = file && fwrite(text.ptr, 1, text.len, file) == text.len &&
	                  fchmod(fileno(file), info.st_mode & 0777) == 0;
	int why = errno;
	if (file && fclose(file) != 0 && is_written) {
		is_written = false;
		why = errno;
	}
	if (is_written && rename(beside, path) < 0) {
		is_written = false;
		why = errno;
	}
	if (file && !is_written)
		(void)unlink(beside);
	free(beside);
	return is_written ? 0 : err_set(err, ERR_SYSTEM, "%s: %s", path, strerror(why));
}

struct formatting {
	struct cli *cli;
	bool writes, checks;
	size_t changed;
	json_t *files; /* of --json */
};

static int take(struct formatting *f, const struct graph *graph, struct err *err)
{
	struct buf out;
	int status = 0;
	buf_init(&out, FORMATTED_BYTES);
	chart_format(buf_str(&graph->text), &out);
	bool is_changed = !str_eq(buf_str(&out), buf_str(&graph->text));
	f->changed += is_changed;
	json_push(f->files,
	          json_pack("{s:s,s:b}", "file", graph->path, "changed", (int)is_changed));
	if (f->writes && is_changed)
		status = replace(graph->path, buf_str(&out), err);
	else if (!f->writes && !f->checks && !f->cli->is_json)
		fwrite(out.bytes, 1, out.len, stdout);
	if (is_changed && (f->checks || f->writes) && !f->cli->is_json && status == 0)
		printf("%s\n", graph->path);
	buf_release(&out);
	return status;
}

/* The exit code; 0: go on. */
static int format(struct formatting *f, const char *name)
{
	struct err err = { 0 };
	struct graph graph;
	int code = 0;
	if (graph_read(f->cli, name, &graph, &err) < 0)
		code = cli_fail(f->cli, &err);
	else if (!is_readable(&graph))
		code = graph_print_diags(f->cli, &graph);
	else if (take(f, &graph, &err) < 0)
		code = cli_fail(f->cli, &err);
	graph_release(&graph);
	return code;
}

static int graph_format(struct cli *cli)
{
	struct err err = { 0 };
	struct formatting f = {
		.cli = cli,
		.writes = cli_switch(cli, "write"),
		.checks = cli_switch(cli, "check"),
		.files = json_array(),
	};
	int code = 0;
	if (f.writes && f.checks) {
		err_set(&err, ERR_INPUT, "say either --write or --check");
		code = cli_fail(cli, &err);
	}
	for (int i = 0; code == 0 && i < cli->arg_count; i++)
		code = format(&f, cli->args[i]);
	if (cli->is_json && code == 0) {
		json_t *all = json_pack("{s:O}", "files", f.files);
		cli_print_json(all);
		json_decref(all);
	}
	json_decref(f.files);
	return code == 0 && f.checks && f.changed > 0 ? EXIT_NO : code;
}

static const char *const format_options[] = { "write", "check", NULL };

const struct command command_graph_fmt = {
	"graph",
	"fmt",
	"GRAPH|FILE...",
	1,
	1000,
	format_options,
	"lay a graph out: indentation, blanks, attributes",
	"  --write  in place, the names of the files that changed are printed; else to stdout\n"
	"  --check  only name the files that would change\n"
	"Comments, order and line breaks are the author's; what the graph means does not change.\n"
	"exit: 0, 1 a file would change (--check), 2 no XML",
	"gangway graph fmt --write graphs/*/*.scxml",
	graph_format
};
