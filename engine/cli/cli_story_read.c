/* SPDX-License-Identifier: MIT */
/*
 * Reading a folder of stories.  A story may be "like" another: it starts from
 * that one's graph, time, input and answers, and says what is different.  An
 * answer may be a file with a patch, so that a story names only what matters.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "cli/cli_story.h"
#include "schema/schema.h"

/* --- finding -------------------------------------------------------------------------- */

static bool is_folder(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool is_file(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

struct names {
	char **at;
	size_t len, size;
};

static void names_release(struct names *names)
{
	for (size_t i = 0; i < names->len; i++)
		free(names->at[i]);
	free(names->at);
}

/* The files of a folder with this ending, sorted. */
static int list_files(const char *path, const char *ending, struct names *ret, struct err *err)
{
	DIR *dir = opendir(path);
	if (!dir)
		return err_set(err, errno == ENOENT ? ERR_ABSENT : ERR_SYSTEM, "%s: %s", path,
		               strerror(errno));
	for (struct dirent *entry; (entry = readdir(dir));)
		if (entry->d_name[0] != '.' && str_ends(entry->d_name, ending))
			*vec_add(ret) = mem_dup_str(entry->d_name);
	closedir(dir);
	if (ret->len > 0)
		qsort(ret->at, ret->len, sizeof(*ret->at), compare_names);
	return 0;
}

/* <folder>/<folder>.scxml, or the only graph there is. */
static int find_main(struct suite *suite, struct err *err)
{
	char absolute[PATH_MAX];
	struct names names = { 0 };
	const char *base = realpath(suite->folder, absolute) ? strrchr(absolute, '/') + 1
	                                                     : suite->folder;
	char *path = mem_format("%s/%s.scxml", suite->folder, base);
	int status = 0;
	if (is_file(path))
		suite->main_file = mem_format("%s.scxml", base);
	else
		status = list_files(suite->folder, ".scxml", &names, err);
	if (status == 0 && !suite->main_file && names.len == 1)
		suite->main_file = mem_dup_str(names.at[0]);
	else if (status == 0 && !suite->main_file)
		status = err_set(err, ERR_ABSENT, "%s: there is no graph %s.scxml here",
		                 suite->folder, base);
	names_release(&names);
	free(path);
	return status;
}

/* --- answers ------------------------------------------------------------------------------ */

static char *story_path(const struct suite *suite, const char *file, struct err *err)
{
	if (*file == '/' || strstr(file, "..")) {
		err_set(err, ERR_INPUT, "'%.80s' is not inside the folder of the stories", file);
		return NULL;
	}
	return mem_format("%s/stories/%s", suite->folder, file);
}

/* RFC 7386: members replace, null removes, objects are merged; new. */
static json_t *merge_patch(const json_t *target, const json_t *patch)
{
	const char *key;
	json_t *value;
	if (!json_is_object(patch))
		return json_deep_copy(patch);
	json_t *ret = json_is_object(target) ? json_deep_copy(target) : json_object();
	json_object_foreach((json_t *)(uintptr_t)patch, key, value) {
		if (json_is_null(value))
			json_object_del(ret, key);
		else
			json_put(ret, key, merge_patch(json_at(ret, key), value));
	}
	return ret;
}

static int read_part(const struct suite *suite, const char *file, const json_t *with, json_t **ret,
                     struct err *err)
{
	char *path = story_path(suite, file, err);
	json_t *json = NULL;
	if (path && json_read_file(path, LIMIT_JSON_BYTES, &json, err) == 0)
		*ret = with ? merge_patch(json, with) : json_incref(json);
	json_decref(json);
	free(path);
	return err->code;
}

static int check_keys(const json_t *object, const char *const *known, const char *what,
                      struct err *err)
{
	const char *key;
	json_t *value;
	size_t count = 0;
	while (known[count])
		count++;
	if (!json_is_object(object))
		return err_set(err, ERR_INPUT, "%s is no object", what);
	json_object_foreach((json_t *)(uintptr_t)object, key, value) {
		size_t i = 0;
		while (i < count && strcmp(known[i], key) != 0)
			i++;
		if (i < count)
			continue;
		const char *nearest = str_nearest(key, known, count);
		err_set(err, ERR_INPUT, "%s: there is no '%.60s'", what, key);
		return nearest ? err_hint(err, "did you mean '%s'?", nearest) : err->code;
	}
	return 0;
}

int story_answer(const struct suite *suite, const json_t *given, json_t **ret, struct err *err)
{
	static const char *const known[] = { "result", "error",  "file", "with",
		                             "after",  "answer", NULL };
	const char *file = json_str(given, "file", NULL);
	if (check_keys(given, known, "an answer", err) < 0)
		return err->code;
	json_t *answer = json_object(), *part = NULL;
	json_put(answer, "result", json_incref(json_at(given, "result")));
	json_put(answer, "error", json_incref(json_at(given, "error")));
	json_put(answer, "after", json_incref(json_at(given, "after")));
	if (file && read_part(suite, file, json_at(given, "with"), &part, err) == 0)
		json_put(answer, "result", part);
	json_t *all = err->code == 0 ? json_pack("{s:O}", "it", answer) : NULL;
	if (all && world_check_answers(all, err) == 0)
		*ret = json_incref(answer);
	json_decref(all);
	json_decref(answer);
	return err->code;
}

/* Every answer of a story, whole: {"plugin.action":[{"result"}|{"error"}]}. */
static int resolve_answers(const struct suite *suite, const json_t *given, json_t *ret,
                           struct err *err)
{
	const char *action;
	json_t *list;
	if (given && !json_is_object(given))
		return err_set(err, ERR_INPUT, "answers: no object of \"plugin.action\": [...]");
	json_object_foreach((json_t *)(uintptr_t)given, action, list) {
		json_t *resolved = json_array();
		size_t count = json_is_array(list) ? json_array_size(list) : 1;
		json_put(ret, action, resolved);
		for (size_t i = 0; i < count; i++) {
			json_t *answer = NULL;
			if (story_answer(suite,
			                 json_is_array(list) ? json_array_get(list, i) : list,
			                 &answer, err) < 0)
				return err_wrap(err, "answers of '%.80s'", action);
			json_push(resolved, answer);
		}
	}
	return 0;
}

/* --- a story --------------------------------------------------------------------------------- */

static const char *const story_keys[] = { "name", "like",    "graph", "now",    "input",
	                                  "note", "answers", "steps", "expect", NULL };

static int read_story(const struct suite *suite, const char *file, int depth, json_t **ret,
                      struct err *err);

/* What a story takes over from the one it is like. */
static void inherit(json_t *story, const json_t *base)
{
	static const char *const taken[] = { "graph", "now", NULL };
	static const char *const merged[] = { "input", "answers", NULL };
	for (size_t i = 0; taken[i]; i++)
		if (!json_at(story, taken[i]))
			json_put(story, taken[i], json_incref(json_at(base, taken[i])));
	for (size_t i = 0; merged[i]; i++) {
		json_t *from = json_at(base, merged[i]), *own = json_at(story, merged[i]);
		json_t *both = from ? json_copy(from) : NULL;
		if (both && own)
			json_object_update(both, own);
		json_put(story, merged[i], both);
	}
}

static int read_like(const struct suite *suite, json_t *story, int depth, struct err *err)
{
	const char *like = json_str(story, "like", NULL);
	json_t *base = NULL;
	if (!like)
		return 0;
	if (depth >= STORY_PARTS_DEEP)
		return err_set(err, ERR_INPUT, "stories are like one another without end");
	if (read_story(suite, like, depth + 1, &base, err) < 0)
		return err_wrap(err, "like '%.80s'", like);
	inherit(story, base);
	json_decref(base);
	return 0;
}

static int read_story(const struct suite *suite, const char *file, int depth, json_t **ret,
                      struct err *err)
{
	char *path = story_path(suite, file, err);
	json_t *json = NULL, *story = NULL;
	int status = path ? json_read_file(path, LIMIT_JSON_BYTES, &json, err) : err->code;
	if (status == 0)
		status = check_keys(json, story_keys, "the story", err);
	if (status == 0) {
		story = json_copy(json);
		status = read_like(suite, story, depth, err);
	}
	json_decref(json);
	free(path);
	if (status < 0) {
		json_decref(story);
		return status;
	}
	*ret = story;
	return 0;
}

static int check_parts(const json_t *story, struct err *err)
{
	const json_t *now = json_at(story, "now"), *input = json_at(story, "input");
	if (now && (!json_is_string(now) || clock_parse_iso(json_string_value(now)) < 0))
		return err_set(err, ERR_INPUT, "now: no date and no RFC 3339 time");
	if (input && !json_is_object(input))
		return err_set(err, ERR_INPUT, "input: no object");
	if (json_at(story, "steps") && !json_is_array(json_at(story, "steps")))
		return err_set(err, ERR_INPUT, "steps: no list");
	if (json_at(story, "expect") && !json_is_object(json_at(story, "expect")))
		return err_set(err, ERR_INPUT, "expect: no object");
	return 0;
}

static int add_story(struct suite *suite, const char *file, struct err *err)
{
	json_t *story = NULL, *answers = json_object();
	int status = read_story(suite, file, 0, &story, err);
	if (status == 0)
		status = check_parts(story, err);
	if (status == 0)
		status = resolve_answers(suite, json_at(story, "answers"), answers, err);
	if (status == 0) {
		/* What was given stays, in its short form, for the stories that paths makes. */
		json_put(story, "given", json_incref(json_at(story, "answers")));
		json_put(story, "answers", json_incref(answers));
		json_put_str(story, "file", file);
		json_push(suite->stories, json_incref(story));
	}
	json_decref(story);
	json_decref(answers);
	return status;
}

/* A story that cannot be read fails like one that went otherwise; the others are told too. */
static void add_wrong(struct suite *suite, const char *file, const struct err *err)
{
	json_t *story = json_object();
	json_put_str(story, "file", file);
	char *text = mem_format("%s%s%s", err->text, err->hint[0] ? "; " : "", err->hint);
	json_put_str(story, "wrong", text);
	free(text);
	json_push(suite->stories, story);
}

/* --- the suite -------------------------------------------------------------------------------- */

static int add_stories(struct suite *suite, struct err *err)
{
	struct names names = { 0 };
	char *path = mem_format("%s/stories", suite->folder);
	int status = 0;
	if (is_folder(path))
		status = list_files(path, ".json", &names, err);
	for (size_t i = 0; status == 0 && i < names.len; i++) {
		struct err wrong = { 0 };
		if (add_story(suite, names.at[i], &wrong) < 0)
			add_wrong(suite, names.at[i], &wrong);
	}
	names_release(&names);
	free(path);
	return status;
}

int suite_open(struct cli *cli, const char *name, const char *graph, struct suite *ret,
               struct err *err)
{
	*ret = (struct suite){ .cli = cli, .stories = json_array() };
	map_init(&ret->schemas);
	ret->folder = is_folder(name) || strchr(name, '/')
	                      ? mem_dup_str(name)
	                      : mem_format("%s/%s", cli->config.graphs, name);
	size_t len = strlen(ret->folder);
	while (len > 1 && ret->folder[len - 1] == '/')
		ret->folder[--len] = '\0';
	if (!is_folder(ret->folder))
		return err_set(err, ERR_ABSENT, "there is no folder %s", ret->folder);
	ret->main_file = mem_dup_str(graph);
	if (!graph && find_main(ret, err) < 0)
		return err->code;
	return add_stories(ret, err);
}

void suite_release(struct suite *suite)
{
	struct map_entry *entry;
	for (size_t i = 0; i < suite->graphs.len; i++) {
		struct story_graph *graph = suite->graphs.at[i];
		coverage_release(&graph->coverage);
		graph_release(&graph->graph);
		free(graph->file);
		free(graph);
	}
	vec_release(&suite->graphs);
	for (size_t i = 0; (entry = map_each(&suite->schemas, &i));)
		schema_free(entry->value);
	map_release(&suite->schemas);
	json_decref(suite->stories);
	free(suite->folder);
	free(suite->main_file);
}

int suite_graph(struct suite *suite, const char *file, struct story_graph **ret, struct err *err)
{
	for (size_t i = 0; i < suite->graphs.len; i++)
		if (strcmp(suite->graphs.at[i]->file, file) == 0) {
			*ret = suite->graphs.at[i];
			return 0;
		}
	if (*file == '/' || strstr(file, ".."))
		return err_set(err, ERR_INPUT, "the graph '%.80s' is not in the folder", file);
	struct story_graph *graph = mem_alloc(sizeof(*graph));
	char *path = mem_format("%s/%s", suite->folder, file);
	int status = graph_read(suite->cli, path, &graph->graph, err);
	if (status == 0 && !graph->graph.chart)
		status = err_set(err, ERR_INPUT, "%s:%u:%u: %s", path,
		                 graph->graph.diags.at[0].at.line,
		                 graph->graph.diags.at[0].at.column, graph->graph.diags.at[0].text);
	free(path);
	if (status < 0) {
		graph_release(&graph->graph);
		free(graph);
		return status;
	}
	graph->file = mem_dup_str(file);
	coverage_init(&graph->coverage, graph->graph.chart);
	*vec_add(&suite->graphs) = graph;
	*ret = graph;
	return 0;
}
