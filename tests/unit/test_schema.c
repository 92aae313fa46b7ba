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

#include "base/mem.h"
#include "check.h"
#include "schema_text.h"

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

int main(void)
{
	mem_install();
	test_suite();
	test_sentences();
	test_findings();
	test_mistakes();
	test_documents();
	return check_done();
}
