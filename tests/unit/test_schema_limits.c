/* SPDX-License-Identifier: MIT */
/*
 * JSON Schema: patterns as ECMA-262 reads them, what a hostile value or schema
 * may cost, numbers beyond a double, ids, and the meta-schema.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "check.h"
#include "schema_text.h"

/* --- patterns ----------------------------------------------------------------------- */

/* ECMA-262's meaning where PCRE2's differs. */
static const struct {
	const char *pattern, *text;
	bool matches;
} patterns[] = {
	{ "^\\\\d$", "7", true },
	{ "^\\\\d$", "\u0967", false },
	{ "^\\\\w$", "a", true },
	{ "^\\\\w$", "é", false },
	{ "^\\\\W$", "é", true },
	{ "^\\\\s$", "\u00a0", true },
	{ "^\\\\s$", "\ufeff", true },
	{ "^\\\\s$", "\u2028", true },
	{ "^\\\\S$", "\u00a0", false },
	{ "^\\\\S$", "\U0001f600", true },
	{ "^[\\\\s]$", "\u3000", true },
	{ "^[\\\\S]$", "\u3000", false },
	{ "^[^\\\\s]$", "\u3000", false },
	{ "^[\\\\w-.]+$", "a-.b", true },
	{ "^[\\\\w-]+$", "a-b", true },
	{ "^[\\\\s-x]$", "-", true },
	{ "^abc$", "abc\\n", false },
	{ "^.$", "\\n", false },
	{ "^.$", "\u2028", false },
	{ "^.$", "\U0001f600", true },
	{ "^\\\\p{Letter}+$", "Größe", true },
	{ "^\\\\p{Script=Greek}$", "π", true },
	{ "^\\\\p{gc=Lu}$", "Ä", true },
	{ "^\\\\P{L}$", "1", true },
	{ "^\\\\p{Assigned}$", "a", true },
	{ "^[\\\\p{Lu}-z]+$", "A-z", true },
	{ "^\\\\u00e9$", "é", true },
	{ "^\\\\ud83d\\\\ude00$", "\U0001f600", true },
	{ "^\\\\u{1f600}$", "\U0001f600", true },
	{ "^\\\\x41$", "A", true },
	{ "^\\\\cA$", "\\u0001", true },
	{ "^[\\\\b]$", "\\b", true },
	{ "^\\\\v$", "\\u000b", true },
	{ "^[]$", "]", false },
	{ "^[^]$", "\\n", true },
	{ "^[[:a]+$", "[:a", true },
	{ "^a{$", "a{", true },
	{ "^\\\\/\\\\-\\\\@$", "/-@", true },
	{ "^(a)\\\\1$", "aa", true },
	{ "^(?<x>a)\\\\k<x>$", "aa", true },
	{ "^(?:(a)|b)\\\\1$", "b", true },
	{ "(?<=a)b(?!c)", "abd", true },
	{ "^a{2,3}?$", "aaa", true },
	{ "^[a-z]+$", "", false },
	{ "\\\\0", "\\u0000", true },
};

static void test_patterns(void)
{
	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
		char *source = mem_format("{'pattern':'%s'}", patterns[i].pattern);
		char *quoted = mem_format("'%s'", patterns[i].text);
		struct err err = { 0 };
		struct schema *schema = compile(source, &err);
		json_t *value = json(quoted);
		CHECK_MSG(schema && value &&
		                  (schema_check(schema, value, &err) == 0) == patterns[i].matches,
		          "pattern %s %s \"%s\" %s", patterns[i].pattern,
		          patterns[i].matches ? "matches" : "does not match", patterns[i].text,
		          schema ? "" : err.text);
		json_decref(value);
		schema_free(schema);
		free(source);
		free(quoted);
	}
}

static void test_foreign_patterns(void)
{
	static const char *const foreign[] = {
		"(*UCP)a",
		"(?R)",
		"(?i)a",
		"(?#x)",
		"\\\\Aa",
		"a\\\\Z",
		"\\\\Ka",
		"\\\\Qa\\\\E",
		"a++",
		"a*+",
		"a{2}{3}",
		"\\\\h",
		"\\\\R",
		"\\\\C",
		"\\\\a",
		"(?|a)",
		"(?>a)",
		"^*",
		"\\\\p{Nonsense}",
		"\\\\pL",
		"\\\\ud800",
		"\\\\x4",
		"\\\\u{110000}",
		"\\\\1",
		"[b-a]",
		"[a",
		"a)",
		"\\\\01",
		"(?<n",
		"(?P<n>a)",
		"\\\\k{n}",
	};
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
		char *source = mem_format("{'pattern':'%s'}", foreign[i]);
		struct err err = { 0 };
		struct schema *schema = compile(source, &err);
		CHECK_MSG(!schema && strncmp(err.text,
		                             "/pattern: is no regular expression: ", 36) == 0,
		          "pattern %s is refused: %s", foreign[i], err.text);
		schema_free(schema);
		free(source);
	}
}

/* --- limits -------------------------------------------------------------------------- */

static json_t *repeated(char c, size_t len, const char *end)
{
	char *text = mem_alloc(len + strlen(end) + 1);
	memset(text, c, len);
	memcpy(text + len, end, strlen(end) + 1);
	json_t *ret = json_string(text);
	free(text);
	return ret;
}

static void check_over(const char *source, json_t *value, const char *what)
{
	struct err err = { 0 };
	struct schema *schema = compile(source, &err);
	CHECK_MSG(schema && schema_check(schema, value, &err) == ERR_LIMIT &&
	                  strcmp(err.id, "schema.limit") == 0,
	          "%s ends: %s", what, err.text);
	json_t *findings = schema_findings(schema, value, 3);
	CHECK_STR(json_str(json_array_get(findings, 0), "keyword", NULL), "limit");
	json_decref(findings);
	json_decref(value);
	schema_free(schema);
}

static void test_hostile_texts(void)
{
	check_over("{'pattern':'^(a+)+$'}", repeated('a', 60, "!"), "an exponential pattern");
	check_over("{'pattern':'^(a|a)*$'}", repeated('a', 60, "c"), "an alternation");
	check_over("{'pattern':'a+b'}", repeated('a', 500000, "cb c"), "a quadratic pattern");
	check_over("{'not':{'pattern':'^(a+)+$'}}", repeated('a', 60, "!"),
	           "an unknown answer under not");
	check_over("{'patternProperties':{'^(a+)+$':true}}",
	           json_pack("{s:i}", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", 1),
	           "an exponential property name");
	json_t *many = json_array();
	for (int i = 0; i < 1000; i++)
		json_push(many, repeated('a', 16, "!"));
	check_over("{'items':{'not':{'pattern':'^(a+)+$'}}}", many,
	           "many texts, each within the limit");

	struct err err = { 0 };
	struct schema *schema = compile("{'pattern':'^[\\\\s\\\\S]*[a-z]$'}", &err);
	json_t *value = repeated('a', 1000000, "");
	CHECK_MSG(schema_check(schema, value, &err) == 0, "a long honest text passes");
	json_decref(value);
	schema_free(schema);
}

static void test_much_work(void)
{
	/* Each $defs doubles the work of the next: 2^40 in all. */
	json_t *defs = json_object();
	for (int i = 0; i < 40; i++) {
		char name[16], *body = mem_format(
				       "{'allOf':[{'$ref':'#/$defs/d%d'},{'$ref':'#/$defs/d%d'}]}",
				       i + 1, i + 1);
		snprintf(name, sizeof(name), "d%d", i);
		json_object_set_new(defs, name, json(body));
		free(body);
	}
	json_object_set_new(defs, "d40", json("{'type':'integer'}"));
	json_t *source = json_pack("{s:o,s:s}", "$defs", defs, "$ref", "#/$defs/d0");
	struct schema *schema = NULL;
	struct err err = { 0 };
	CHECK(schema_new(source, NULL, NULL, &schema, &err) == 0);
	json_t *value = json_integer(1);
	CHECK(schema_check(schema, value, &err) == ERR_LIMIT);
	CHECK_STR(err.text, "is too much work to check (LIMIT_SCHEMA_STEPS)");
	json_decref(value);
	json_decref(source);
	schema_free(schema);
}

static void test_depth(void)
{
	struct err err = { 0 };
	struct schema *schema = compile("{'items':{'$ref':'#'}}", &err);
	json_t *value = json_array();
	for (int i = 0; i < 200; i++) {
		json_t *outer = json_array();
		json_push(outer, value);
		value = outer;
	}
	CHECK_MSG(schema_check(schema, value, &err) == 0, "200 levels are no trouble");
	for (int i = 0; i < 200; i++) {
		json_t *outer = json_array();
		json_push(outer, value);
		value = outer;
	}
	CHECK(schema_check(schema, value, &err) == ERR_LIMIT);
	CHECK_STR(err.text, "is too much work to check (LIMIT_SCHEMA_DEPTH)");
	json_decref(value);
	schema_free(schema);

	json_t *deep = json_true();
	for (int i = 0; i <= LIMIT_SCHEMA_NESTING; i++)
		deep = json_pack("{s:o}", "not", deep);
	err_clear(&err);
	CHECK(schema_new(deep, NULL, NULL, &schema, &err) == ERR_INPUT);
	CHECK(strstr(err.text, "nested deeper than 128 schemas (LIMIT_SCHEMA_NESTING)"));
	json_decref(deep);
}

static void test_many_items(void)
{
	struct err err = { 0 };
	struct schema *schema = compile("{'uniqueItems':true,'contains':{'const':49999},"
	                                "'unevaluatedItems':{'type':'integer'}}",
	                                &err);
	json_t *value = json_array();
	for (int i = 0; i < 50000; i++)
		json_push(value, json_integer(i));
	CHECK_MSG(schema_check(schema, value, &err) == 0, "50,000 different items");
	json_array_set_new(value, 49998, json_real(7.0));
	CHECK(schema_check(schema, value, &err) == ERR_INPUT);
	CHECK_STR(err.text, "items 7 and 49998 are equal: 7");
	json_decref(value);
	schema_free(schema);
}

static void test_numbers(void)
{
	static const struct {
		const char *schema, *value;
		bool valid;
	} cases[] = {
		{ "{'maximum':9223372036854775807}", "9223372036854775807", true },
		{ "{'exclusiveMaximum':9223372036854775807}", "9223372036854775807", false },
		{ "{'maximum':9007199254740992.0}", "9007199254740993", false },
		{ "{'minimum':9007199254740993}", "9007199254740992.0", false },
		{ "{'maximum':-9223372036854775808}", "-1e300", true },
		{ "{'minimum':-9223372036854775808}", "-9223372036854775808", true },
		{ "{'const':9007199254740993}", "9007199254740992.0", false },
		{ "{'const':1}", "1.0", true },
		{ "{'const':0}", "-0.0", true },
		{ "{'const':1}", "true", false },
		{ "{'multipleOf':0.01}", "19.99", true },
		{ "{'multipleOf':0.01}", "1234567.89", true },
		{ "{'multipleOf':0.01}", "0.001", false },
		{ "{'multipleOf':3}", "9223372036854775807", false },
		{ "{'multipleOf':7}", "9223372036854775807", true },
		{ "{'multipleOf':1e-300}", "1e300", true },
		{ "{'multipleOf':5e-324}", "5e-324", true },
		{ "{'multipleOf':1e300}", "1", false },
		{ "{'multipleOf':2.5}", "-10", true },
		{ "{'type':'integer'}", "1e300", true },
		{ "{'type':'integer'}", "1.5", false },
		{ "{'uniqueItems':true}", "[0, -0.0]", false },
		{ "{'uniqueItems':true}", "[{'a':1,'b':2},{'b':2.0,'a':1}]", false },
		{ "{'maxLength':2.0}", "'ab'", true },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = { 0 };
		struct schema *schema = compile(cases[i].schema, &err);
		json_t *value = json(cases[i].value);
		CHECK_MSG(schema && (schema_check(schema, value, &err) == 0) == cases[i].valid,
		          "%s is %s for %s", cases[i].value, cases[i].valid ? "right" : "wrong",
		          cases[i].schema);
		json_decref(value);
		schema_free(schema);
	}
}

/* Identifiers relative to a base, and to none at all. */
static void test_relative_ids(void)
{
	static const char source[] =
		"{'$id':'a/b/','$ref':'../c#x','$defs':{'c':{'$id':'../c','$anchor':'x',"
		"'$ref':'./d'},'d':{'$id':'../d','type':'integer'}}}";
	static const char *const bases[] = { NULL, "http://h", "http://h/p/q?x#y", "file:///f/g" };
	json_t *schema_json = json(source), *value = json("'s'");
	for (size_t i = 0; i < sizeof(bases) / sizeof(bases[0]); i++) {
		struct schema *schema = NULL;
		struct err err = { 0 };
		int status = schema_new(schema_json, bases[i], NULL, &schema, &err);
		CHECK_MSG(status == 0, "relative ids against %s %s",
		          bases[i] ? bases[i] : "nothing", err.text);
		if (status == 0)
			CHECK(schema_check(schema, value, &err) == ERR_INPUT);
		schema_free(schema);
	}
	json_decref(schema_json);
	json_decref(value);
}

static void test_meta_schema(void)
{
	struct err err = { 0 };
	struct schema *meta = compile("{'$ref':'https://json-schema.org/draft/2020-12/schema'}",
	                              &err);
	json_t *good = json(CUSTOMER),
	       *bad = json("{'properties':{'a':{'items':{'minimum':'1'}}}}");
	CHECK_MSG(meta && schema_check(meta, good, &err) == 0, "a good schema is one %s", err.text);
	CHECK(schema_check(meta, bad, &err) == ERR_INPUT);
	CHECK_STR(err.text, "properties.a.items.minimum: \"1\" is not a number");
	json_decref(good);
	json_decref(bad);
	schema_free(meta);
}

int main(void)
{
	mem_install();
	test_patterns();
	test_foreign_patterns();
	test_hostile_texts();
	test_much_work();
	test_depth();
	test_many_items();
	test_numbers();
	test_relative_ids();
	test_meta_schema();
	return check_done();
}
