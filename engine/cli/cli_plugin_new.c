/* SPDX-License-Identifier: MIT */
/*
 * gangway plugin new NAME: a plugin to begin with, its stories, its page and its
 * build line.  Within the tree of Gangway each goes where it belongs; anywhere
 * else they go into a folder of their own with a Makefile.
 *
 * Nothing that is there already is written over.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli_commands.h"

enum { NAME_MAX_BYTES = 32, FILE_BYTES_MAX = 256 * 1024 };

/* @ stands for the name. */
static const char source_text[] =
	"/* SPDX-License-Identifier: MIT */\n"
	"/*\n"
	" * @ - what it does, in a sentence.\n"
	" *\n"
	" * What the service means by its words is said here once: which status means what,\n"
	" * what is safe to repeat, where it says no inside of HTTP 200.\n"
	" */\n"
	"#include \"gw_plugin.h\"\n"
	"\n"
	"static void got(const struct gw_host *host, struct gw_call *call, int status,\n"
	"                const struct gw_http_reply *reply)\n"
	"{\n"
	"\tconst struct gw_json *body = host->json->parse(call, reply->body);\n"
	"\tconst struct gw_json *name = host->json->get(body, \"name\");\n"
	"\tstruct gw_json *result = host->json->object(call);\n"
	"\tif (status != GW_OK || host->json->type(name) != GW_JSON_STR) {\n"
	"\t\thost->call->fail_reply(call, status, reply,\n"
	"\t\t                       host->json->str(host->json->get(body, \"error.code\")),\n"
	"\t\t                       host->json->str(host->json->get(body, \"error.message\")));\n"
	"\t\treturn;\n"
	"\t}\n"
	"\thost->json->set(result, \"name\", name);\n"
	"\thost->call->done(call, result);\n"
	"}\n"
	"\n"
	"static void get(const struct gw_host *host, struct gw_call *call)\n"
	"{\n"
	"\tstruct gw_str id = host->call->str(call, \"id\");\n"
	"\tstruct gw_http_req req = { .size = sizeof(req), .method = \"GET\" };\n"
	"\tid = host->call->url(call, id); /* what comes from outside is text, never syntax */\n"
	"\treq.path = host->call->format(call, \"/things/%.*s\", (int)id.len, id.ptr);\n"
	"\thost->http->send(call, &req, got);\n"
	"}\n"
	"\n"
	"/* --- what there is ------------------------------------------------------------ */\n"
	"\n"
	"/* Schemas and tables have lines of their own. */\n"
	"/* clang-format off */\n"
	"static const struct gw_action get_action = {\n"
	"\t.size = sizeof(get_action), .effect = GW_EFFECT_READ, .name = \"get\",\n"
	"\t.summary = \"Reads a thing by its id.\",\n"
	"\t.params = \"{\\\"type\\\":\\\"object\\\",\\\"additionalProperties\\\":false,"
	"\\\"required\\\":[\\\"id\\\"],\"\n"
	"\t\t\"\\\"properties\\\":{\\\"id\\\":{\\\"type\\\":\\\"string\\\",\\\"minLength\\\":1,\"\n"
	"\t\t\"\\\"description\\\":\\\"The thing\\\"}}}\",\n"
	"\t.result = \"{\\\"type\\\":\\\"object\\\",\\\"required\\\":[\\\"name\\\"],"
	"\\\"properties\\\":{\"\n"
	"\t\t\"\\\"name\\\":{\\\"type\\\":\\\"string\\\",\\\"description\\\":\\\"What it is "
	"called\\\"}}}\",\n"
	"\t.start = get,\n"
	"};\n"
	"\n"
	"static const struct gw_action *const actions[] = { &get_action, NULL };\n"
	"\n"
	"static const struct gw_error_row *const errors[] = {\n"
	"\t&(const struct gw_error_row){ sizeof(struct gw_error_row), 404, NULL, \"not_found\",\n"
	"\t                              \"Name a thing that is there.\", \"CS\" },\n"
	"\tNULL,\n"
	"};\n"
	"\n"
	"static const struct gw_plugin plugin = {\n"
	"\t.abi_major = GW_ABI_MAJOR, .abi_minor = GW_ABI_MINOR, .size = sizeof(plugin),\n"
	"\t.name = \"@\", .version = \"0.1.0\", .summary = \"Reads things.\",\n"
	"\t.actions = actions, .errors = errors,\n"
	"\t.settings = \"{\\\"type\\\":\\\"object\\\",\\\"additionalProperties\\\":false,"
	"\\\"properties\\\":{}}\",\n"
	"};\n"
	"/* clang-format on */\n"
	"\n"
	"GW_EXPORT const struct gw_plugin *gw_plugin_entry(void)\n"
	"{\n"
	"\treturn &plugin;\n"
	"}\n";

static const char story_text[] =
	"# What @ asks, what comes back, and how it ends.\n"
	"\n"
	"story a thing, and an id that is text\n"
	"call @.get {\"id\": \"a/b?c\"}\n"
	"expect GET /things/a%2Fb%3Fc\n"
	"reply 200 {\"name\": \"Thing\"}\n"
	"end done {\"name\": \"Thing\"}\n"
	"\n"
	"story one that is not there\n"
	"call @.get {\"id\": \"x\"}\n"
	"expect GET /things/x\n"
	"reply 404 {\"error\": {\"code\": \"no_such_thing\", \"message\": \"no such thing\"}}\n"
	"final\n"
	"end fail {\"error_type\": \"not_found\", \"error_code\": \"no_such_thing\"}\n"
	"\n"
	"story the service is ill, then well\n"
	"call @.get {\"id\": \"x\"}\n"
	"expect GET /things/x\n"
	"reply 503\n"
	"reply 200 {\"name\": \"Thing\"}\n"
	"end done {\"name\": \"Thing\"}\n"
	"\n"
	"story an answer that is none\n"
	"call @.get {\"id\": \"x\"}\n"
	"expect GET /things/x\n"
	"reply 200 <html>maintenance</html>\n"
	"end fail {}\n";

static const char page_text[] =
	"# @\n"
	"\n"
	"What it is for, in a sentence.\n"
	"\n"
	"```lua\n"
	"@ = {\n"
	"  url = \"env:@_URL\",\n"
	"  auth = { kind = \"bearer\", token = \"env:@_TOKEN\" },\n"
	"}\n"
	"```\n"
	"\n"
	"## Actions\n"
	"\n"
	"| action | effect | |\n"
	"|---|---|---|\n"
	"| `get` | READ | Reads a thing by its id. |\n"
	"\n"
	"### @.get\n"
	"\n"
	"```xml\n"
	"<invoke id=\"thing\" type=\"@\" src=\"get\">\n"
	"  <param name=\"id\" expr=\"thing_id\"/>\n"
	"</invoke>\n"
	"```\n"
	"\n"
	"| parameter | type | must | |\n"
	"|---|---|---|---|\n"
	"| `id` | string | yes | The thing |\n"
	"\n"
	"| result | type | |\n"
	"|---|---|---|\n"
	"| `name` | string | What it is called |\n"
	"\n"
	"## Settings of the connection\n"
	"\n"
	"None of its own.\n"
	"\n"
	"## Errors\n"
	"\n"
	"| HTTP | code | type | owner | resolution |\n"
	"|---|---|---|---|---|\n"
	"| 404 | any | not_found | CS | Name a thing that is there. |\n"
	"\n"
	"## Limits of the service\n"
	"\n"
	"- How many calls it takes, how it says that it was too many, what it cannot undo.\n";

static const char makefile_text[] =
	"# make: builds @.so; make check: does it keep the contract?; make install: it is found\n"
	"CFLAGS ?= -O2 -Wall -Wextra\n"
	"PLUGINS ?= $(shell pkg-config --variable=plugindir gangway)\n"
	"\n"
	"@.so: @.c\n"
	"\t$(CC) -std=c11 $(CFLAGS) -fPIC -shared -fvisibility=hidden $(shell pkg-config --cflags "
	"gangway) -o $@ $<\n"
	"\n"
	"check: @.so\n"
	"\tgangway plugin check $(CURDIR)/@.so\n"
	"\n"
	"install: @.so\n"
	"\tinstall -m 755 @.so $(DESTDIR)$(PLUGINS)/\n"
	"\n"
	".PHONY: check install\n";

/* --- writing ----------------------------------------------------------------------------- */

struct making {
	const struct cli *cli;
	const char *name, *root;
	json_t *files; /* written */
};

/* Every @ becomes the name, every @_ the name in capitals; $@ is make's. */
static char *filled_new(const char *text, const char *name)
{
	struct buf out;
	buf_init(&out, FILE_BYTES_MAX);
	for (const char *at = text; *at; at++) {
		if (*at != '@' || (at > text && at[-1] == '$')) {
			buf_put_len(&out, at, 1);
			continue;
		}
		bool is_capital = at[1] == '_';
		for (const char *c = name; *c; c++) {
			char one = *c;
			if (is_capital && one >= 'a' && one <= 'z')
				one = (char)(one - 'a' + 'A');
			buf_put_len(&out, &one, 1);
		}
	}
	return buf_take(&out);
}

static int write_new(struct making *making, char *path_taken, const char *text, struct err *err)
{
	char *filled = filled_new(text, making->name);
	FILE *out = fopen(path_taken, "wxe");
	bool done = out && fputs(filled, out) >= 0;
	if (!out)
		err_set(err, errno == EEXIST ? ERR_CONFLICT : ERR_SYSTEM, "%s: %s", path_taken,
		        strerror(errno));
	else if (fclose(out) != 0 || !done)
		err_set(err, ERR_SYSTEM, "%s: %s", path_taken, strerror(errno));
	else
		json_push(making->files, json_text(str_of(path_taken)));
	free(filled);
	free(path_taken);
	return err->code;
}

static int make_folder(char *path_taken, struct err *err)
{
	if (mkdir(path_taken, 0777) < 0 && errno != EEXIST)
		err_set(err, ERR_SYSTEM, "%s: %s", path_taken, strerror(errno));
	free(path_taken);
	return err->code;
}

static char *path_new(const struct making *making, const char *format)
{
	char *inner = filled_new(format, making->name);
	char *path = mem_format("%s/%s", making->root, inner);
	free(inner);
	return path;
}

static char *file_new(const char *path, struct err *err)
{
	FILE *in = fopen(path, "re");
	struct buf text;
	char chunk[4096];
	buf_init(&text, FILE_BYTES_MAX);
	if (!in) {
		err_set(err, ERR_SYSTEM, "%s: %s", path, strerror(errno));
		return NULL;
	}
	for (size_t len; err->code == 0 && (len = fread(chunk, 1, sizeof(chunk), in)) > 0;)
		(void)!buf_add(&text, chunk, len, err);
	fclose(in);
	buf_put(&text, "");
	return buf_take(&text);
}

/* One line of plugins/local.mk, among the others in the order of the alphabet. */
static int add_build_line(struct making *making, struct err *err)
{
	char *path = path_new(making, "plugins/local.mk");
	char *text = file_new(path, err), *line = filled_new("\t%D%/@.la \\\n", making->name);
	const char *at = text ? strstr(text, "\t%D%/") : NULL;
	if (text && !at)
		err_set(err, ERR_INPUT, "%s: there is no list of plugins in it", path);
	while (at && strncmp(at, "\t%D%/", 5) == 0 && strcmp(at, line) < 0 && strchr(at, '\\') &&
	       strchr(at, '\\') < strchr(at, '\n'))
		at = strchr(at, '\n') + 1;
	FILE *out = err->code == 0 ? fopen(path, "we") : NULL;
	if (out) {
		fprintf(out, "%.*s%s%s", (int)(at - text), text, line, at);
		if (fclose(out) != 0)
			err_set(err, ERR_SYSTEM, "%s: %s", path, strerror(errno));
		json_push(making->files, json_text(str_of(path)));
	} else if (err->code == 0) {
		err_set(err, ERR_SYSTEM, "%s: %s", path, strerror(errno));
	}
	free(text);
	free(line);
	free(path);
	return err->code;
}

static int make_in_tree(struct making *making, struct err *err)
{
	if (write_new(making, path_new(making, "plugins/@.c"), source_text, err) < 0 ||
	    write_new(making, path_new(making, "plugins/@.md"), page_text, err) < 0 ||
	    make_folder(path_new(making, "tests/plugins/@"), err) < 0 ||
	    write_new(making, path_new(making, "tests/plugins/@/@.case"), story_text, err) < 0)
		return err->code;
	return add_build_line(making, err);
}

static int make_folder_of_own(struct making *making, struct err *err)
{
	if (make_folder(path_new(making, "@"), err) < 0 ||
	    write_new(making, path_new(making, "@/@.c"), source_text, err) < 0 ||
	    write_new(making, path_new(making, "@/@.md"), page_text, err) < 0 ||
	    write_new(making, path_new(making, "@/@.case"), story_text, err) < 0)
		return err->code;
	return write_new(making, path_new(making, "@/Makefile"), makefile_text, err);
}

static bool name_is_good(const char *name)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");
	return name[len] == '\0' && len > 0 && len <= NAME_MAX_BYTES && name[0] >= 'a' &&
	       name[0] <= 'z';
}

static int plugin_new(struct cli *cli)
{
	struct err err = { 0 };
	const char *folder = cli_option(cli, "dir");
	struct making making = { cli, cli->args[0], folder ? folder : ".", json_array() };
	if (!name_is_good(making.name)) {
		json_decref(making.files);
		err_set(&err, ERR_INPUT,
		        "'%.60s' cannot be a plugin's name: a small letter, then small letters, "
		        "digits and _, %d at most",
		        making.name, NAME_MAX_BYTES);
		return cli_fail(cli, &err);
	}
	char *build = path_new(&making, "plugins/local.mk");
	bool is_tree = access(build, R_OK) == 0;
	int status = is_tree ? make_in_tree(&making, &err) : make_folder_of_own(&making, &err);
	if (cli->is_json && status == 0) {
		json_t *told = json_object();
		json_put(told, "files", json_incref(making.files));
		cli_print_json(told);
		json_decref(told);
	}
	for (size_t i = 0; !cli->is_json && i < json_array_size(making.files); i++)
		printf("%s\n", json_string_value(json_array_get(making.files, i)));
	if (status == 0 && !cli->is_json)
		printf("\n%s, then: gangway plugin check %s%s.so\n",
		       is_tree ? "make -C build check TEST_ONLY=plugins" : "make in the new folder",
		       is_tree ? "plugins/.libs/" : "./", making.name);
	json_decref(making.files);
	free(build);
	return status < 0 ? cli_fail(cli, &err) : 0;
}

static const char *const options[] = { "dir=", NULL };

const struct command command_plugin_new = {
	"plugin",
	"new",
	"NAME",
	1,
	1,
	options,
	"begin a plugin: source, stories, page and build line",
	"  --dir FOLDER          where; by default here.  In Gangway's sources the files go where\n"
	"                        they belong, else into a new folder with a Makefile\n",
	"gangway plugin new ticket",
	plugin_new
};
