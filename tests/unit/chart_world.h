/* SPDX-License-Identifier: MIT */
/* What a graph of the tests of chart/ finds around it: a folder, plugins, a language. */
#ifndef TESTS_CHART_WORLD_H
#define TESTS_CHART_WORLD_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/limits.h"
#include "base/mem.h"
#include "chart/chart.h"
#include "check.h"

#ifndef SRCDIR /* the house compiles each header alone */
#define SRCDIR "."
#endif

#define ROOT "<scxml xmlns=\"" CHART_NS_SCXML "\" xmlns:gw=\"" CHART_NS_GW "\" version=\"1.0\">"
enum { OUT_BYTES = 128 * 1024 * 1024 };

/* The folder beside every graph of this test. */
static ATTR_UNUSED int read_file(void *ctx, const char *name, struct buf *ret, struct err *err)
{
	static const struct {
		const char *name, *text;
		size_t len;
	} files[] = {
		{ "rules.lua", "function half(x) return x / 2 end\n", 0 },
		{ "words.txt", "three small words", 0 },
		{ "letter.md", "Dear {{ name }}", 0 },
		{ "note.md", "note", 0 },
		{ "bytes.bin", "a\0b", 3 },
		{ "child.scxml",
		  "<scxml xmlns=\"" CHART_NS_SCXML "\" version=\"1.0\"><final/></scxml>", 0 },
		{ "broken.scxml",
		  "<scxml xmlns=\"" CHART_NS_SCXML "\" version=\"1.0\" "
		  "initial=\"x\"><final/></scxml>",
		  0 },
		{ "input.schema.json", "{\"properties\":{\"account_id\":{},\"amount\":{}}}", 0 },
		{ "broken.json", "{", 0 },
	};
	(void)ctx;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (strcmp(files[i].name, name) == 0)
			return buf_add(ret, files[i].text,
			               files[i].len ? files[i].len : strlen(files[i].text), err);
	return err_set(err, ERR_ABSENT, "there is no such file");
}

static const struct chart_folder folder = { NULL, read_file };

/* A toy language in place of Lua: brackets must close, and no operator may stand at the end. */
static ATTR_UNUSED int toy_compiles(void *ctx, const char *code, bool is_statement, struct err *err)
{
	(void)ctx;
	(void)is_statement;
	int depth = 0;
	char last = ' ';
	for (const char *p = code; *p; p++) {
		depth += (*p == '(') - (*p == ')');
		if (*p != ' ' && *p != '\n')
			last = *p;
	}
	if (depth != 0)
		return err_set(err, ERR_INPUT, "a bracket is not closed");
	if (strchr("=+<>", last))
		return err_set(err, ERR_INPUT, "an expression is expected after '%c'", last);
	return 0;
}

static ATTR_UNUSED bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* Every word outside quotes and after no dot is a global; before a single '=' it is written. */
static ATTR_UNUSED void toy_globals(void *ctx, const char *code, bool is_statement,
                                    void (*found)(void *arg, const char *name, bool is_write),
                                    void *arg)
{
	static const char *const words[] = { "and",      "or",     "not", "nil",  "true", "false",
		                             "function", "return", "if",  "then", "end",  "x1" };
	(void)ctx;
	for (const char *p = code; *p;) {
		if (*p == '\'') {
			p = strchrnul(p + 1, '\'');
			p += *p != '\0';
		} else if (is_letter(*p) && (p == code || p[-1] != '.')) {
			char name[64] = "";
			size_t len = 0;
			while (is_letter(*p) || (*p >= '0' && *p <= '9')) {
				if (len < sizeof(name) - 1)
					name[len++] = *p;
				p++;
			}
			bool is_word = false;
			for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
				is_word |= strcmp(words[i], name) == 0;
			const char *next = p + strspn(p, " ");
			if (!is_word)
				found(arg, name, is_statement && next[0] == '=' && next[1] != '=');
		} else {
			p += is_letter(*p) ? 1 + strcspn(p, " .()[]") : 1;
		}
	}
}

struct toy_world {
	json_t *plugins; /* {"plugin":{"action":description}} */
};

static ATTR_UNUSED const json_t *toy_action(void *ctx, const char *type, const char *action)
{
	const struct toy_world *toy = ctx;
	const json_t *plugin = json_at(toy->plugins, type);
	return action ? json_at(plugin, action) : plugin;
}

static ATTR_UNUSED size_t toy_names(void *ctx, const char *type, const char **ret, size_t max)
{
	const struct toy_world *toy = ctx;
	size_t count = 0;
	const char *key;
	json_t *value;
	json_object_foreach(type ? json_at(toy->plugins, type) : toy->plugins, key, value)
		if (count < max)
			ret[count++] = key;
	return count;
}

static ATTR_UNUSED struct toy_world *toy_new(void)
{
	static const char text[] =
		"{\"salesforce\":{\"onboarding\":{\"effect\":\"READ\",\"params\":{\"type\":"
		"\"object\","
		"\"properties\":{\"account_id\":{\"type\":\"string\"},\"region\":{\"enum\":[\"eu\","
		"\"us\"]},"
		"\"note\":{\"type\":\"string\"}},"
		"\"required\":[\"account_id\"],\"additionalProperties\":false},"
		"\"result\":{\"type\":\"object\",\"properties\":{\"name\":{},\"status\":{},"
		"\"address\":{\"type\":\"object\",\"properties\":{\"street\":{}},"
		"\"additionalProperties\":false}}}}},"
		"\"slack\":{\"post\":{\"effect\":\"ONCE\",\"params\":{\"properties\":{\"text\":{"
		"\"type\":\"string\"}}}}},"
		"\"llm\":{\"risk\":{\"effect\":\"READ\"}},\"provision\":{\"tenant\":{}},\"clm\":{"
		"\"contract\":{}},"
		"\"email\":{\"send\":{}}}";
	struct toy_world *toy = mem_alloc(sizeof(*toy));
	struct err err = { 0 };
	if (json_read(str_of(text), LIMIT_JSON_BYTES, &toy->plugins, &err) < 0)
		CHECK_MSG(false, "the toy world: %s", err.text);
	return toy;
}

static ATTR_UNUSED void toy_free(struct toy_world *toy)
{
	json_decref(toy->plugins);
	free(toy);
}

static ATTR_UNUSED char *path_of(const char *kind, const char *name, const char *extension)
{
	return mem_format("%s/tests/cases/chart/%s/%s%s", SRCDIR, kind, name, extension);
}

static ATTR_UNUSED struct chart *load(const char *name, const char *text)
{
	struct err err = { 0 };
	struct chart *chart = NULL;
	char *file = mem_format("%s.scxml", name);
	if (chart_new(str_of(text), file, &folder, NULL, &chart, &err) < 0)
		CHECK_MSG(false, "%s loads: %s", name, err.text);
	free(file);
	return chart;
}

static ATTR_UNUSED char *repeat(const char *head, const char *part, size_t count, const char *tail)
{
	size_t len = strlen(part), before = strlen(head);
	char *ret = mem_alloc(before + len * count + strlen(tail) + 1);
	memcpy(ret, head, before);
	for (size_t i = 0; i < count; i++)
		memcpy(ret + before + i * len, part, len);
	memcpy(ret + before + len * count, tail, strlen(tail));
	return ret;
}

#endif
