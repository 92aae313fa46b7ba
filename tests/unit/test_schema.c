/* SPDX-License-Identifier: MIT */
/*
 * JSON Schema: the official test suite of draft 2020-12 (required tests; in
 * ../shared/json-schema, GANGWAY_JSON_SCHEMA_DIR or GANGWAY_SHARED), what users
 * read when a value does not fit, what authors read when a schema is wrong,
 * and the limits.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "check.h"
#include "schema/schema.h"

/* JSON with ' for ", to be legible in C. */
static json_t *json(const char *text)
{
	char *copy = mem_dup_str(text);
	for (char *p = copy; *p; p++)
		if (*p == '\'')
			*p = '"';
	json_error_t at;
	json_t *ret = json_loads(copy, JSON_DECODE_ANY | JSON_ALLOW_NUL, &at);
	if (!ret)
		printf("# bad JSON in a test: %s: %s\n", at.text, text);
	free(copy);
	return ret;
}

static struct schema *compile(const char *text, struct err *err)
{
	json_t *source = json(text);
	struct schema *ret = NULL;
	int status = schema_new(source, NULL, NULL, &ret, err);
	json_decref(source);
	return status == 0 ? ret : NULL;
}

/* --- the official suite --------------------------------------------------------- */

static char *suite_dir(void)
{
	const char *own = getenv("GANGWAY_JSON_SCHEMA_DIR"), *shared = getenv("GANGWAY_SHARED");
	if (own)
		return mem_dup_str(own);
	return mem_format("%s/json-schema", shared ? shared : SRCDIR "/../shared");
}

/* The remotes that the suite expects at http://localhost:1234/. */
struct remotes {
	const char *dir;
	json_t *loaded; /* by URI; keeps them for as long as they are borrowed */
};

static json_t *find_remote(void *ctx, const char *uri)
{
	static const char host[] = "http://localhost:1234/";
	struct remotes *remotes = ctx;
	json_t *known = json_object_get(remotes->loaded, uri);
	if (known || strncmp(uri, host, strlen(host)) != 0)
		return known;
	char *path = mem_format("%s/remotes/%s", remotes->dir, uri + strlen(host));
	char *text = check_file(path);
	json_t *ret = text ? json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL) : NULL;
	free(path);
	free(text);
	if (ret)
		json_object_set_new(remotes->loaded, uri, ret);
	return ret;
}

struct tally {
	int groups, tests, wrong;
};

/*
 * Required tests that cannot pass, with the reason.  None: the suite keeps
 * numbers beyond 64 bits among its optional tests.
 */
static const struct {
	const char *file, *description, *reason;
} exceptions[] = { { "", "", "" } };

static bool is_excepted(const char *file, const char *description)
{
	for (size_t i = 0; i < sizeof(exceptions) / sizeof(exceptions[0]); i++)
		if (strcmp(exceptions[i].file, file) == 0 &&
		    strcmp(exceptions[i].description, description) == 0)
			return true;
	return false;
}

static void run_one(const char *file, const char *group, const struct schema *schema,
                    const json_t *test, struct tally *tally)
{
	const char *description = json_str(test, "description", "");
	if (is_excepted(file, description))
		return;
	const json_t *data = json_object_get(test, "data");
	bool valid = json_truth(test, "valid", false);
	struct err err = { 0 };
	int status = schema_check(schema, data, &err);
	json_t *findings = schema_findings(schema, data, 10);
	bool found = json_array_size(findings) > 0;
	bool ok = valid ? status == 0 && !found
	                : status == ERR_INPUT && found && err.text[0] &&
	                          strncmp(err.id, "schema.", 7) == 0;
	json_decref(findings);
	tally->tests++;
	if (ok)
		return;
	tally->wrong++;
	printf("# %s: %s: %s: said %d \"%s\"\n", file, group, description, status, err.text);
}

static void run_group(const char *file, const json_t *group, struct remotes *remotes,
                      struct tally *tally)
{
	const char *description = json_str(group, "description", "");
	struct schema_source source = { remotes, find_remote };
	struct schema *schema = NULL;
	struct err err = { 0 };
	tally->groups++;
	if (schema_new(json_object_get(group, "schema"), NULL, &source, &schema, &err) < 0) {
		tally->wrong++;
		printf("# %s: %s: does not compile: %s\n", file, description, err.text);
		return;
	}
	size_t i;
	json_t *test;
	json_array_foreach(json_object_get(group, "tests"), i, test)
		run_one(file, description, schema, test, tally);
	schema_free(schema);
}

static void run_file(const char *dir, const char *file, struct remotes *remotes,
                     struct tally *total)
{
	char *path = mem_format("%s/tests/draft2020-12/%s", dir, file);
	char *text = check_file(path);
	json_t *groups = text ? json_loads(text, JSON_ALLOW_NUL, NULL) : NULL;
	struct tally tally = { 0 };
	size_t i;
	json_t *group;
	json_array_foreach(groups, i, group)
		run_group(file, group, remotes, &tally);
	CHECK_MSG(tally.tests > 0 && tally.wrong == 0, "suite: %s: %d tests", file, tally.tests);
	total->groups += tally.groups;
	total->tests += tally.tests;
	total->wrong += tally.wrong;
	json_decref(groups);
	free(text);
	free(path);
}

static int is_json(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');
	return dot && strcmp(dot, ".json") == 0;
}

static void test_suite(void)
{
	char *dir = suite_dir();
	char *tests = mem_format("%s/tests/draft2020-12", dir);
	struct dirent **files;
	int count = scandir(tests, &files, is_json, alphasort);
	struct remotes remotes = { dir, json_object() };
	struct tally total = { 0 };
	if (count < 0)
		check_skip("the JSON Schema test suite is not there");
	for (int i = 0; i < count; i++) {
		run_file(dir, files[i]->d_name, &remotes, &total);
		free(files[i]);
	}
	if (count >= 0) {
		free(files);
		CHECK_MSG(total.tests >= 1200, "suite: %d tests in %d groups, %d wrong",
		          total.tests, total.groups, total.wrong);
	}
	json_decref(remotes.loaded);
	free(tests);
	free(dir);
}

/* --- what users read ------------------------------------------------------------ */

/* A schema, a value and the complete error: id, text and hint ("" when there is none). */
struct sentence {
	const char *schema, *value, *id, *text, *hint;
};

#define CUSTOMER                                                                       \
	"{'type':'object','required':['customer'],'properties':{'customer':{'type':"   \
	"'object','required':['email','name'],'properties':{'email':{'type':'string'," \
	"'description':'where the welcome mail goes','pattern':'^[^@]+@[^@]+$'},"      \
	"'name':{'type':'string','minLength':2}},'additionalProperties':false},"       \
	"'lines':{'items':{'properties':{'amount':{'type':'string'}}}},"               \
	"'tier':{'enum':['Enterprise','Growth','Starter']},"                           \
	"'odd key':{'type':'integer'}}}"

static const struct sentence sentences[] = {
	{ CUSTOMER, "{'customer':{'name':'Ann'}}", "schema.required", "customer.email: is missing",
	  "where the welcome mail goes" },
	{ CUSTOMER, "{'customer':{'name':'Ann','emial':'a@b'}}", "schema.required",
	  "customer.email: is missing", "there is \"emial\": is it meant?" },
	{ CUSTOMER, "{'customer':{'name':'Ann','email':'a@b','nmae':1}}",
	  "schema.additionalProperties", "customer.nmae: is not a known property",
	  "did you mean 'name'?" },
	{ CUSTOMER, "{'customer':{'name':'Ann','email':'a@b','telephone':1}}",
	  "schema.additionalProperties", "customer.telephone: is not a known property",
	  "known are email, name" },
	{ CUSTOMER, "{'customer':{'name':'Ann','email':'ann'}}", "schema.pattern",
	  "customer.email: \"ann\" does not match the pattern ^[^@]+@[^@]+$",
	  "where the welcome mail goes" },
	{ CUSTOMER, "{'customer':{'name':'A','email':'a@b'}}", "schema.minLength",
	  "customer.name: \"A\" has 1 character; at least 2", "" },
	{ CUSTOMER, "{'customer':{'name':'','email':'a@b'}}", "schema.minLength",
	  "customer.name: is empty; at least 2 characters", "" },
	{ CUSTOMER, "{'customer':{'name':'Ann','email':'a@b'},'lines':[{},{},{'amount':12}]}",
	  "schema.type", "lines[2].amount: 12 is not a string", "write it in quotes" },
	{ CUSTOMER, "{'customer':{'name':'Ann','email':'a@b'},'tier':'Grwoth'}", "schema.enum",
	  "tier: \"Grwoth\" is not one of the allowed values",
	  "did you mean \"Growth\"? allowed: \"Enterprise\", \"Growth\", \"Starter\"" },
	{ CUSTOMER, "{'customer':{'name':'Ann','email':'a@b'},'odd key':1.5}", "schema.type",
	  "[\"odd key\"]: 1.5 is not a whole number", "" },
	{ CUSTOMER, "[]", "schema.type", "an array is not an object", "" },
	{ "{'type':'integer'}", "'12'", "schema.type", "\"12\" is not a whole number",
	  "write it without quotes" },
	{ "{'type':['boolean','null']}", "'true'", "schema.type",
	  "\"true\" is not true or false or null", "write it without quotes" },
	{ "{'const':{'a':1}}", "{'a':2}", "schema.const", "an object is not an object", "" },
	{ "{'const':'x'}", "'y'", "schema.const", "\"y\" is not \"x\"", "" },
	{ "{'multipleOf':0.01}", "1.005", "schema.multipleOf", "1.005 is not a multiple of 0.01",
	  "" },
	{ "{'maximum':10}", "12", "schema.maximum", "12 is more than 10", "" },
	{ "{'exclusiveMaximum':10}", "10", "schema.exclusiveMaximum", "10 is not less than 10",
	  "" },
	{ "{'minimum':0.5}", "-1", "schema.minimum", "-1 is less than 0.5", "" },
	{ "{'exclusiveMinimum':0}", "0", "schema.exclusiveMinimum", "0 is not more than 0", "" },
	{ "{'maxLength':2}", "'abc'", "schema.maxLength", "\"abc\" has 3 characters; at most 2",
	  "" },
	{ "{'maxItems':1}", "[1,2]", "schema.maxItems", "has 2 items; at most 1", "" },
	{ "{'minItems':2}", "[1]", "schema.minItems", "has 1 item; at least 2", "" },
	{ "{'uniqueItems':true}", "[1,'a',2,'a']", "schema.uniqueItems",
	  "items 1 and 3 are equal: \"a\"", "" },
	{ "{'maxProperties':0}", "{'a':1}", "schema.maxProperties", "has 1 member; at most 0", "" },
	{ "{'minProperties':2}", "{'a':1}", "schema.minProperties", "has 1 member; at least 2",
	  "" },
	{ "{'dependentRequired':{'card':['owner']}}", "{'card':1}", "schema.dependentRequired",
	  "owner: is missing; 'card' needs it", "" },
	{ "{'propertyNames':{'maxLength':2}}", "{'abc':1}", "schema.propertyNames",
	  "abc: the name is wrong: \"abc\" has 3 characters; at most 2", "" },
	{ "{'properties':{'a':false}}", "{'a':1}", "schema.false", "a: is not allowed", "" },
	{ "{'prefixItems':[true],'items':false}", "[1,2]", "schema.items",
	  "[1]: is one item too many; at most 1", "" },
	{ "{'prefixItems':[true],'unevaluatedItems':false}", "[1,2]", "schema.unevaluatedItems",
	  "[1]: is one item too many; at most 1", "" },
	{ "{'allOf':[{'properties':{'name':true}}],'unevaluatedProperties':false}", "{'nmae':1}",
	  "schema.unevaluatedProperties", "nmae: is not a known property", "did you mean 'name'?" },
	{ "{'contains':{'type':'string'}}", "[1]", "schema.contains",
	  "has 0 items of the wanted form; at least 1", "" },
	{ "{'contains':{'type':'string'},'maxContains':1}", "['a','b']", "schema.maxContains",
	  "has 2 items of the wanted form; at most 1", "" },
	{ "{'not':{'type':'string','description':'no texts here'}}", "'a'", "schema.not",
	  "\"a\" is of a form that is excluded", "no texts here" },
	{ "{'oneOf':[{'minimum':1},{'minimum':2}]}", "3", "schema.oneOf",
	  "fits 2 of the 2 forms of which exactly one is wanted", "" },
	{ "{'anyOf':[{'type':'string'},{'type':'null'}]}", "12", "schema.anyOf",
	  "12 fits none of the 2 allowed forms", "either 12 is not a string; or 12 is not null" },
	{ "{'if':{'required':['a']},'then':{'required':['b']}}", "{'a':1}", "schema.required",
	  "b: is missing", "" },
	/* The form that was meant is the one whose tag fits; its finding is the answer. */
	{ "{'oneOf':[{'properties':{'kind':{'const':'card'}},'required':['number']},"
	  "{'properties':{'kind':{'const':'iban'},'iban':{'minLength':15}},'required':['iban']}]}",
	  "{'kind':'iban','iban':'DE1'}", "schema.minLength",
	  "iban: \"DE1\" has 3 characters; at least 15", "" },
	{ "{'$ref':'#/$defs/a','$defs':{'a':{'items':{'type':'string'}}}}", "[1]", "schema.type",
	  "[0]: 1 is not a string", "write it in quotes" },
	/* What is shown is short, whole characters only, and cannot play with a terminal. */
	{ "{'type':'null'}", "'ääääääääääääääääääääääääääääääääääääääääääääääääää'", "schema.type",
	  "\"äääääääääääääääääääääääääääääääääääää...\" is not null", "" },
	{ "{'type':'null'}", "'a\\u001b[31m\\u007f\\u009b\\\\'", "schema.type",
	  "\"a\\u001b[31m\\u007f\\u009b\\\\\" is not null", "" },
	{ "false", "1", "schema.false", "is not allowed", "" },
};

static void test_sentences(void)
{
	for (size_t i = 0; i < sizeof(sentences) / sizeof(sentences[0]); i++) {
		const struct sentence *s = &sentences[i];
		struct err err = { 0 };
		struct schema *schema = compile(s->schema, &err);
		json_t *value = json(s->value);
		if (CHECK_MSG(schema && value, "sentence %zu compiles: %s", i, err.text)) {
			int status = schema_check(schema, value, &err);
			CHECK_MSG(status == ERR_INPUT, "sentence %zu is refused", i);
			CHECK_STR(err.id, s->id);
			CHECK_STR(err.text, s->text);
			CHECK_STR(err.hint, s->hint);
		}
		json_decref(value);
		schema_free(schema);
	}
}

static void test_findings(void)
{
	struct err err = { 0 };
	struct schema *schema = compile(CUSTOMER, &err);
	json_t *value = json("{'customer':{'name':1,'x':2},'tier':'?','lines':[{'amount':1}]}");
	json_t *all = schema_findings(schema, value, 100), *two = schema_findings(schema, value, 2);
	char *text = json_canon(all);
	CHECK_STR(
		text,
		"[{\"at\":\"customer.email\",\"hint\":\"where the welcome mail goes\","
		"\"keyword\":\"required\",\"text\":\"is missing\"},"
		"{\"at\":\"customer.name\",\"hint\":\"write it in quotes\",\"keyword\":\"type\","
		"\"text\":\"1 is not a string\"},"
		"{\"at\":\"customer.x\",\"hint\":\"known are email, name\","
		"\"keyword\":\"additionalProperties\",\"text\":\"is not a known property\"},"
		"{\"at\":\"tier\",\"hint\":\"allowed: \\\"Enterprise\\\", \\\"Growth\\\", "
		"\\\"Starter\\\"\",\"keyword\":\"enum\",\"text\":\"\\\"?\\\" is not one of the "
		"allowed values\"},"
		"{\"at\":\"lines[0].amount\",\"hint\":\"write it in quotes\",\"keyword\":\"type\","
		"\"text\":\"1 is not a string\"}]");
	CHECK(json_array_size(two) == 2);
	free(text);
	json_decref(all);
	json_decref(two);
	json_decref(value);
	value = json("{'customer':{'name':'Ann','email':'a@b'}}");
	all = schema_findings(schema, value, 100);
	CHECK(json_array_size(all) == 0);
	json_decref(all);
	json_decref(value);
	schema_free(schema);
}

/* --- what authors of schemas read ------------------------------------------------- */

struct mistake {
	const char *schema, *text, *hint;
};

static const struct mistake mistakes[] = {
	{ "12", "the schema: a schema is an object or a boolean, not a number", "" },
	{ "{'properties':{'a':{'type':'strng'}}}", "/properties/a/type: 'strng' is no type",
	  "did you mean 'string'?" },
	{ "{'type':'money'}", "/type: 'money' is no type",
	  "types are null, boolean, object, array, string, number, integer" },
	{ "{'type':[]}", "/type: must not be empty", "" },
	{ "{'properties':{'a/b~c':{'minimum':'1'}}}",
	  "/properties/a~1b~0c/minimum: must be a number, not a string", "" },
	{ "{'maxLength':-1}", "/maxLength: must be a whole number from 0 on", "" },
	{ "{'maxLength':1.5}", "/maxLength: must be a whole number from 0 on", "" },
	{ "{'multipleOf':0}", "/multipleOf: must be more than 0", "" },
	{ "{'required':'a'}", "/required: must be an array of property names, not a string", "" },
	{ "{'required':[1]}", "/required: must be an array of property names, not a number", "" },
	{ "{'enum':1}", "/enum: must be an array, not a number", "" },
	{ "{'uniqueItems':1}", "/uniqueItems: must be a boolean, not a number", "" },
	{ "{'properties':[]}", "/properties: must be an object of schemas, not an array", "" },
	{ "{'allOf':[]}", "/allOf: must be an array of schemas, not empty", "" },
	{ "{'anyOf':[true,1]}", "/anyOf/1: a schema is an object or a boolean, not a number", "" },
	{ "{'items':[true]}", "/items: a schema is an object or a boolean, not an array", "" },
	{ "{'dependentRequired':{'a':'b'}}",
	  "/dependentRequired: must be an array of property names, not a string", "" },
	{ "{'pattern':'('}", "/pattern: is no regular expression: missing closing parenthesis",
	  "" },
	{ "{'patternProperties':{'a**':true}}",
	  "/patternProperties: 'a**' is no regular expression: nothing to repeat at \"*\"", "" },
	{ "{'$ref':'#/$defs/adress','$defs':{'address':true}}",
	  "/$ref: '#/$defs/adress' leads nowhere: there is no 'adress'",
	  "did you mean 'address'?" },
	{ "{'$ref':'#x'}", "/$ref: there is no anchor 'x' in ''", "" },
	{ "{'$ref':'other.json'}", "/$ref: there is no schema 'other.json'",
	  "schemas are never fetched from the network: the file must be there, or the \"$id\" in "
	  "this one" },
	{ "{'$ref':1}", "/$ref: must be a string, not a number", "" },
	{ "{'$ref':'#'}", "the schema: refers to itself without end", "" },
	{ "{'$defs':{'a':{'allOf':[{'$ref':'#/$defs/b'}]},'b':{'not':{'$ref':'#/$defs/a'}}},"
	  "'properties':{'x':{'$ref':'#/$defs/a'}}}",
	  "/$defs/a: refers to itself without end", "" },
	{ "{'$id':'http://x/a','$defs':{'b':{'$id':'b','minimum':null}},'$ref':'b'}",
	  "/$defs/b/minimum: must be a number, not null", "" },
	{ "{'$id':'a#b'}", "/$id: must not have a fragment: 'a#b'",
	  "a name within a schema is an \"$anchor\"" },
	{ "{'$defs':{'a':{'$id':'x'},'b':{'$id':'x'}}}",
	  "/$defs/b/$id: 'x' is the $id of another place already", "" },
	{ "{'$defs':{'a':{'$anchor':'x'},'b':{'$anchor':'x'}}}",
	  "/$defs/b/$anchor: 'x' is the anchor of another place already", "" },
	{ "{'$anchor':'1x'}", "/$anchor: must be a name of letters, digits, '_', '-' and '.'", "" },
	{ "{'$schema':'http://json-schema.org/draft-07/schema#'}",
	  "/$schema: the meta-schema 'http://json-schema.org/draft-07/schema' is not known",
	  "this engine reads draft 2020-12: \"https://json-schema.org/draft/2020-12/schema\"" },
	{ "{'description':1}", "/description: must be a string, not a number", "" },
};

static void test_mistakes(void)
{
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		struct err err = { 0 };
		struct schema *schema = compile(mistakes[i].schema, &err);
		CHECK_MSG(!schema && err.code == ERR_INPUT, "mistake %zu is refused", i);
		CHECK_STR(err.id, "schema.invalid");
		CHECK_STR(err.text, mistakes[i].text);
		CHECK_STR(err.hint, mistakes[i].hint);
		schema_free(schema);
	}
}

static json_t *find_broken(void *ctx, const char *uri)
{
	return strcmp(uri, "http://x/money.json") == 0 ? ctx : NULL;
}

/* A mistake in another document names that document; ids are relative to the base given. */
static void test_documents(void)
{
	json_t *money = json("{'$defs':{'amount':{'type':'decimal'}}}");
	json_t *main_schema = json("{'properties':{'a':{'$ref':'money.json#/$defs/amount'}}}");
	struct schema_source source = { money, find_broken };
	struct schema *schema = NULL;
	struct err err = { 0 };
	CHECK(schema_new(main_schema, "http://x/order.json", &source, &schema, &err) == ERR_INPUT);
	CHECK_STR(err.text, "http://x/money.json#/$defs/amount/type: 'decimal' is no type");
	json_object_set_new(json_path(money, "$defs.amount"), "type", json_string("string"));
	err_clear(&err);
	CHECK(schema_new(main_schema, "http://x/order.json", &source, &schema, &err) == 0);
	json_decref(main_schema);
	json_decref(money); /* the compiled schema needs neither */
	json_t *value = json("{'a':12}");
	CHECK(schema_check(schema, value, &err) == ERR_INPUT);
	CHECK_STR(err.text, "a: 12 is not a string");
	json_decref(value);
	schema_free(schema);
	schema_free(NULL);
}

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
	test_suite();
	test_sentences();
	test_findings();
	test_mistakes();
	test_documents();
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
