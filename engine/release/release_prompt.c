/* SPDX-License-Identifier: MIT */
/*
 * Prompts, as prompts/README.md defines them: reading the file, cutting the
 * values down to the allow-list, masking personal data, putting the rest in.
 * Every error names file and line.
 */
#include "release/release_prompt.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "release/release_mask.h"

enum { PROMPT_BYTES_MAX = 64 * 1024, NAME_MAX_BYTES = 64, TEXT_MAX_BYTES = 500, LIST_MAX = 50 };

struct prompt {
	const char *name;
	json_t *front;                /* key -> text */
	json_t *lines;                /* key -> where it stands */
	char *system, *user, *schema; /* schema may be NULL */
	int system_line, user_line, schema_line;
	json_t *fields; /* [path] */
	json_t *masks;  /* {class: [path]} */
};

static void prompt_release(struct prompt *prompt)
{
	json_decref(prompt->front);
	json_decref(prompt->lines);
	json_decref(prompt->fields);
	json_decref(prompt->masks);
	free(prompt->system);
	free(prompt->user);
	free(prompt->schema);
}

static int wrong(const struct prompt *prompt, int line, struct err *err, const char *format, ...)
	ATTR_PRINTF(4, 5);

static int wrong(const struct prompt *prompt, int line, struct err *err, const char *format, ...)
{
	char what[300];
	va_list args;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	return err_set_id(err, ERR_INPUT, "prompt.form", "%s.md:%d: %s", prompt->name, line, what);
}

/* --- lines ---------------------------------------------------------------------------- */

struct lines {
	struct str left;
	int number;
};

static bool next_line(struct lines *lines, struct str *ret)
{
	if (lines->left.len == 0)
		return false;
	const char *end = memchr(lines->left.ptr, '\n', lines->left.len);
	size_t len = end ? (size_t)(end - lines->left.ptr) : lines->left.len;
	*ret = (struct str){ lines->left.ptr, len };
	if (len > 0 && ret->ptr[len - 1] == '\r')
		ret->len--;
	size_t step = end ? len + 1 : len;
	lines->left.ptr += step;
	lines->left.len -= step;
	lines->number++;
	return true;
}

static struct str trim(struct str text)
{
	while (text.len > 0 && isspace((unsigned char)text.ptr[0]))
		text.ptr++, text.len--;
	while (text.len > 0 && isspace((unsigned char)text.ptr[text.len - 1]))
		text.len--;
	return text;
}

/* --- front matter ------------------------------------------------------------------------- */

static bool is_known_key(const char *key)
{
	static const char *const keys[] = { "name",        "version",     "model",
		                            "max_tokens",  "temperature", "fields",
		                            "mask.person", "mask.email",  "mask.phone",
		                            "mask.amount" };
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (strcmp(keys[i], key) == 0)
			return true;
	return false;
}

static int read_pair(struct prompt *prompt, struct str line, int number, char key[NAME_MAX_BYTES],
                     struct err *err)
{
	const char *colon = memchr(line.ptr, ':', line.len);
	if (!colon)
		return wrong(prompt, number, err, "expected 'key: value'");
	struct str name = trim((struct str){ line.ptr, (size_t)(colon - line.ptr) });
	struct str value =
		trim((struct str){ colon + 1, line.len - (size_t)(colon - line.ptr) - 1 });
	snprintf(key, NAME_MAX_BYTES, "%.*s", (int)name.len, name.ptr);
	if (!is_known_key(key))
		return wrong(prompt, number, err, "there is no key '%s'", key);
	if (json_object_get(prompt->front, key))
		return wrong(prompt, number, err, "the key '%s' is there twice", key);
	json_put(prompt->front, key, json_text(value));
	json_put_int(prompt->lines, key, number);
	return 0;
}

static void continue_value(struct prompt *prompt, const char *key, struct str line)
{
	struct str more = trim(line);
	const char *before = json_str(prompt->front, key, "");
	json_put(prompt->front, key,
	         json_sprintf("%s%s%.*s", before, *before ? " " : "", (int)more.len, more.ptr));
}

static int read_front(struct prompt *prompt, struct lines *lines, struct err *err)
{
	struct str line;
	char key[NAME_MAX_BYTES] = "";
	if (!next_line(lines, &line) || !str_is(line, "---"))
		return wrong(prompt, 1, err, "the first line must be '---'");
	while (next_line(lines, &line)) {
		if (str_is(line, "---"))
			return 0;
		if (trim(line).len == 0 || line.ptr[0] == '#')
			continue;
		if (isspace((unsigned char)line.ptr[0]) && *key)
			continue_value(prompt, key, line);
		else if (read_pair(prompt, line, lines->number, key, err) < 0)
			return err->code;
	}
	return wrong(prompt, lines->number, err, "the front matter has no end ('---')");
}

/* --- sections -------------------------------------------------------------------------------- */

/* *line is where it was begun, and becomes where its text begins. */
static char *section_text(const char *start, const char *end, int *line)
{
	struct str text = trim((struct str){ start, (size_t)(end - start) });
	char *ret = mem_dup(text.ptr, text.len);
	char *to = ret;
	for (const char *blank = start; text.len > 0 && blank < text.ptr; blank++)
		*line += *blank == '\n';
	for (const char *from = ret; *from; from++)
		if (!(from[0] == '\r' && from[1] == '\n'))
			*to++ = *from;
	*to = '\0';
	return ret;
}

static int read_sections(struct prompt *prompt, struct lines *lines, struct err *err)
{
	static const char *const heads[] = { "# system", "# user", "# schema" };
	char **texts[] = { &prompt->system, &prompt->user, &prompt->schema };
	int *numbers[] = { &prompt->system_line, &prompt->user_line, &prompt->schema_line };
	struct str line;
	const char *start = NULL;
	int at = -1;
	while (next_line(lines, &line)) {
		int found = -1;
		for (int i = 0; i < 3; i++)
			if (str_is(line, heads[i]))
				found = i;
		if (found < 0 && at < 0 && trim(line).len > 0)
			return wrong(prompt, lines->number, err,
			             "there is text before the first section");
		if (found < 0)
			continue;
		if (found <= at)
			return wrong(prompt, lines->number, err, "'%s' is out of order",
			             heads[found]);
		if (at >= 0)
			*texts[at] = section_text(start, line.ptr, numbers[at]);
		at = found;
		start = lines->left.ptr;
		*numbers[at] = lines->number + 1;
	}
	if (at >= 0)
		*texts[at] = section_text(start, lines->left.ptr, numbers[at]);
	if (!prompt->system || !*prompt->system || !prompt->user || !*prompt->user)
		return wrong(prompt, lines->number, err,
		             "'# system' and '# user' must be there and not be empty");
	return 0;
}

/* --- meaning ---------------------------------------------------------------------------------- */

static json_t *split_list(const char *text)
{
	json_t *ret = json_array();
	while (*text) {
		size_t len = strcspn(text, ",");
		struct str item = trim((struct str){ text, len });
		if (item.len > 0)
			json_push(ret, json_text(item));
		text += len + (text[len] == ',');
	}
	return ret;
}

static bool is_path(const char *path)
{
	bool is_start = true;
	for (; *path; path++) {
		if (isalnum((unsigned char)*path) || *path == '_') {
			is_start = false;
		} else if (!is_start && path[0] == '[' && path[1] == ']' &&
		           (path[2] == '.' || !path[2])) {
			path++;
		} else if (!is_start && *path == '.') {
			is_start = true;
		} else {
			return false;
		}
	}
	return !is_start;
}

static int line_of(const struct prompt *prompt, const char *key)
{
	return (int)json_int(prompt->lines, key, 1);
}

/* A number between these, where the key is there at all. */
static int check_number(const struct prompt *prompt, const char *key, double min, double max,
                        bool is_whole, struct err *err)
{
	const char *text = json_str(prompt->front, key, NULL);
	char *end = NULL;
	double number = text ? strtod(text, &end) : 0;
	bool is_good = text && *text && *end == '\0' &&
	               strspn(text, "0123456789.") == strlen(text) && number >= min &&
	               number <= max && (!is_whole || !strchr(text, '.'));
	if (!text || is_good)
		return 0;
	return wrong(prompt, line_of(prompt, key), err, "'%s' must be %s from %g to %g, not '%s'",
	             key, is_whole ? "a whole number" : "a number", min, max, text);
}

static int check_paths(const struct prompt *prompt, const char *key, const json_t *paths,
                       struct err *err)
{
	for (size_t i = 0; i < json_array_size(paths); i++)
		if (!is_path(json_string_value(json_array_get(paths, i))))
			return wrong(prompt, line_of(prompt, key), err, "'%s': '%s' is no path",
			             key, json_string_value(json_array_get(paths, i)));
	return 0;
}

static int read_meaning(struct prompt *prompt, struct err *err)
{
	static const char *const must_be[] = { "name", "version", "fields" };
	static const char *const classes[] = { "person", "email", "phone", "amount" };
	for (size_t i = 0; i < 3; i++)
		if (!json_object_get(prompt->front, must_be[i]))
			return wrong(prompt, 1, err, "the key '%s' is missing", must_be[i]);
	if (strcmp(json_str(prompt->front, "name", ""), prompt->name) != 0)
		return wrong(prompt, line_of(prompt, "name"), err,
		             "the name is '%s', the file is '%s.md'",
		             json_str(prompt->front, "name", ""), prompt->name);
	if (check_number(prompt, "max_tokens", 1, 100000, true, err) < 0 ||
	    check_number(prompt, "temperature", 0, 2, false, err) < 0)
		return err->code;
	prompt->fields = split_list(json_str(prompt->front, "fields", ""));
	if (check_paths(prompt, "fields", prompt->fields, err) < 0)
		return err->code;
	prompt->masks = json_object();
	for (size_t i = 0; i < 4; i++) {
		char key[24];
		snprintf(key, sizeof(key), "mask.%s", classes[i]);
		json_t *paths = split_list(json_str(prompt->front, key, ""));
		json_put(prompt->masks, classes[i], paths);
		if (check_paths(prompt, key, paths, err) < 0)
			return err->code;
	}
	return 0;
}

static int prompt_read(const char *name, struct str text, struct prompt *ret, struct err *err)
{
	*ret = (struct prompt){ .name = name, .front = json_object(), .lines = json_object() };
	struct lines lines = { text, 0 };
	if (text.len > PROMPT_BYTES_MAX)
		return wrong(ret, 1, err, "more than %d bytes", PROMPT_BYTES_MAX);
	if (!str_is_utf8(text) || memchr(text.ptr, '\0', text.len))
		return wrong(ret, 1, err, "it is no UTF-8");
	if (read_front(ret, &lines, err) < 0 || read_sections(ret, &lines, err) < 0)
		return err->code;
	return read_meaning(ret, err);
}

/* --- putting values in ------------------------------------------------------------------------ */

/* JSON in which no character can end a block or start markup. */
static int put_safe_json(const json_t *value, bool is_indented, struct buf *out, struct err *err)
{
	char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_SORT_KEYS |
	                                       (is_indented ? JSON_INDENT(2) : JSON_COMPACT));
	static const char special[] = "&<>";
	static const char *const written[] = { "\\u0026", "\\u003c", "\\u003e" };
	int status = 0;
	for (const char *c = text; *c && status == 0; c++) {
		const char *at = strchr(special, *c);
		status = at ? buf_add(out, written[at - special], 6, err) : buf_add(out, c, 1, err);
	}
	free(text);
	return status;
}

static int fill(const struct prompt *prompt, const char *text, int line, const json_t *values,
                struct buf *out, struct err *err)
{
	for (const char *c = text; *c; c++) {
		line += *c == '\n';
		if (c[0] != '{' || c[1] != '{') {
			if (buf_add(out, c, 1, err) < 0)
				return err_wrap(err, "%s.md", prompt->name);
			continue;
		}
		const char *end = strstr(c, "}}");
		struct str inside = end ? trim((struct str){ c + 2, (size_t)(end - c) - 2 })
		                        : STR_LIT("");
		char *path = mem_dup(inside.ptr, inside.len);
		bool is_all = strcmp(path, "*") == 0;
		if (!is_all && (!is_path(path) || strchr(path, '['))) {
			free(path);
			return wrong(prompt, line, err, "'{{' must be {{ * }} or {{ path }}");
		}
		json_t *value = is_all ? (json_t *)(uintptr_t)values : json_path(values, path);
		json_t *none = json_null();
		int status = put_safe_json(value ? value : none, is_all, out, err);
		free(path);
		json_decref(none);
		if (status < 0)
			return err_wrap(err, "%s.md", prompt->name);
		c = end + 1;
	}
	return 0;
}

static int put_schema(const struct prompt *prompt, json_t *ret, struct err *err)
{
	if (!prompt->schema || !*prompt->schema)
		return 0;
	struct str text = str_of(prompt->schema);
	if (str_begins(text.ptr, "```")) {
		const char *start = strchr(text.ptr, '\n');
		const char *end = start ? strstr(start, "\n```") : NULL;
		if (!end)
			return wrong(prompt, prompt->schema_line, err,
			             "the fence around the schema has no end");
		text = (struct str){ start + 1, (size_t)(end - start) };
	}
	json_t *schema;
	if (json_read(text, PROMPT_BYTES_MAX, &schema, err) < 0)
		return err_wrap(err, "%s.md:%d: the schema", prompt->name, prompt->schema_line);
	if (!json_is_object(schema)) {
		json_decref(schema);
		return wrong(prompt, prompt->schema_line, err, "the schema is no JSON object");
	}
	json_put(ret, "schema", schema);
	return 0;
}

static int build(const struct prompt *prompt, const json_t *values, json_t **ret, struct err *err)
{
	struct buf system, user;
	buf_init(&system, PROMPT_BYTES_MAX);
	buf_init(&user, PROMPT_BYTES_MAX);
	struct mask_limits limits = { TEXT_MAX_BYTES, LIST_MAX };
	json_t *tokens = json_object();
	json_t *cut = mask_values(values, prompt->fields, prompt->masks, &limits, tokens);
	json_t *out = json_object();
	int status = fill(prompt, prompt->system, prompt->system_line, cut, &system, err);
	if (status == 0)
		status = fill(prompt, prompt->user, prompt->user_line, cut, &user, err);
	if (status == 0)
		status = put_schema(prompt, out, err);
	if (status == 0) {
		json_put_str(out, "name", prompt->name);
		json_put_str(out, "version", json_str(prompt->front, "version", ""));
		json_put_str(out, "model", json_str(prompt->front, "model", NULL));
		json_put(out, "system", json_text(buf_str(&system)));
		json_put(out, "user", json_text(buf_str(&user)));
		json_put(out, "masks", json_incref(tokens));
		const char *max_tokens = json_str(prompt->front, "max_tokens", NULL);
		const char *temperature = json_str(prompt->front, "temperature", NULL);
		if (max_tokens)
			json_put_int(out, "max_tokens", strtol(max_tokens, NULL, 10));
		if (temperature)
			json_put(out, "temperature", json_real(strtod(temperature, NULL)));
		*ret = json_incref(out);
	}
	json_decref(out);
	json_decref(cut);
	json_decref(tokens);
	buf_release(&system);
	buf_release(&user);
	return status;
}

int prompt_render(const char *name, struct str text, const json_t *values, json_t **ret,
                  struct err *err)
{
	struct prompt prompt;
	int status = prompt_read(name, text, &prompt, err);
	if (status == 0)
		status = build(&prompt, values, ret, err);
	prompt_release(&prompt);
	return status;
}

void prompt_version(struct str text, char *ret, size_t ret_bytes)
{
	struct prompt prompt = { .name = "prompt", .front = json_object(), .lines = json_object() };
	struct lines lines = { text, 0 };
	struct err ignored = { 0 }; /* a broken prompt is told when it is used */
	(void)read_front(&prompt, &lines, &ignored);
	snprintf(ret, ret_bytes, "%s", json_str(prompt.front, "version", "unversioned"));
	prompt_release(&prompt);
}
