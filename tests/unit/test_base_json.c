/* SPDX-License-Identifier: MIT */
/* base/json: what is refused and why, what is written, and that both fit together. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json_int.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/rand.h"
#include "check.h"

/* --- json: what is refused ----------------------------------------------------------- */

static int read_len(const char *text, size_t len, json_t **ret, struct err *err)
{
	*ret = NULL;
	return json_read((struct str){ text, len }, LIMIT_JSON_BYTES, ret, err);
}

struct refusal {
	const char *text;
	size_t len; /* 0: to its NUL */
	int code;
	const char *id;
};

/* RELIABILITY.md, rows 31 to 36. */
static const struct refusal refusals[] = {
	{ "{\"a\":1,\"a\":2}", 0, ERR_INPUT, "json.syntax" },
	{ "{\"a\":{\"b\":1,\"b\":1}}", 0, ERR_INPUT, "json.syntax" },
	{ "9223372036854775808", 0, ERR_INPUT, "json.number" },
	{ "[-9223372036854775809]", 0, ERR_INPUT, "json.number" },
	{ "1e400", 0, ERR_INPUT, "json.number" },
	{ "-1e400", 0, ERR_INPUT, "json.number" },
	{ "{\"a\":1e-999}", 0, ERR_INPUT, "json.number" },
	{ "0.0000000000000000000000000000000001e-300", 0, ERR_INPUT, "json.number" },
	{ "-0", 0, ERR_INPUT, "json.number" },
	{ "[1,-0]", 0, ERR_INPUT, "json.number" },
	{ "1234567890123456789012345678901234567890123456789012345678901234.5", 0, ERR_INPUT,
	  "json.number" },
	{ "NaN", 0, ERR_INPUT, "json.syntax" },
	{ "Infinity", 0, ERR_INPUT, "json.syntax" },
	{ "-Infinity", 0, ERR_INPUT, "json.syntax" },
	{ "01", 0, ERR_INPUT, "json.syntax" },
	{ "+1", 0, ERR_INPUT, "json.syntax" },
	{ "1.", 0, ERR_INPUT, "json.syntax" },
	{ ".5", 0, ERR_INPUT, "json.syntax" },
	{ "0x10", 0, ERR_INPUT, "json.syntax" },
	{ "\"\\u0000\"", 0, ERR_INPUT, "json.syntax" },
	{ "{\"\\u0000\":1}", 0, ERR_INPUT, "json.syntax" },
	{ "\"a\0b\"", 5, ERR_INPUT, "json.nul" },
	{ "1\0", 2, ERR_INPUT, "json.nul" },
	{ "\"\\ud800\"", 0, ERR_INPUT, "json.syntax" },
	{ "\"\\udc00\\ud800\"", 0, ERR_INPUT, "json.syntax" },
	{ "\"\xed\xa0\x80\"", 0, ERR_INPUT, "json.utf8" },
	{ "\"\xc0\x80\"", 0, ERR_INPUT, "json.utf8" },
	{ "\"\xff\"", 0, ERR_INPUT, "json.utf8" },
	{ "\xef\xbb\xbf{}", 0, ERR_INPUT, "json.bom" },
	{ "{} {}", 0, ERR_INPUT, "json.syntax" },
	{ "1 x", 0, ERR_INPUT, "json.syntax" },
	{ "[1,]", 0, ERR_INPUT, "json.syntax" },
	{ "{\"a\":1", 0, ERR_INPUT, "json.syntax" },
	{ "{'a':1}", 0, ERR_INPUT, "json.syntax" },
	{ "\"tab\there\"", 0, ERR_INPUT, "json.syntax" },
	{ "// no\n1", 0, ERR_INPUT, "json.syntax" },
	{ "\"open", 0, ERR_INPUT, "json.syntax" },
	{ "\"open\\", 0, ERR_INPUT, "json.syntax" },
	{ " ", 0, ERR_INPUT, "json.syntax" },
};

static void test_json_refusals(void)
{
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		const struct refusal *r = &refusals[i];
		struct err err = { 0 };
		json_t *value;
		int status = read_len(r->text, r->len ? r->len : strlen(r->text), &value, &err);
		CHECK_MSG(status == r->code && !value && strcmp(err.id, r->id) == 0 && err.text[0],
		          "refusal %zu: %s: %s", i, err.id, err.text);
		json_decref(value);
	}
	struct err err = { 0 };
	json_t *value;
	CHECK(read_len("", 0, &value, &err) == ERR_INPUT);
	err_clear(&err);
	CHECK(json_read((struct str){ NULL, 0 }, 10, &value, &err) == ERR_INPUT);
	err_clear(&err);
	CHECK(json_read(STR_LIT("[1,2,3]"), 6, &value, &err) == ERR_LIMIT);
	CHECK_STR(err.id, "json.bytes");
}

static void test_json_numbers(void)
{
	static const char *const kept[] = {
		"9223372036854775807",
		"-9223372036854775808",
		"0",
		"-1",
		"0.1",
		"-0.0",
		"1e+300",
		"1e-300",
		"5e-324",
		"1.7976931348623157e+308",
		"0.0",
		"19.99",
		"123456789.12",
	};
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		struct err err = { 0 };
		json_t *value;
		int status = read_len(kept[i], strlen(kept[i]), &value, &err);
		char *text = status == 0 ? json_canon(value) : NULL;
		CHECK_STR(text, kept[i]);
		free(text);
		json_decref(value);
	}
}

/* count times text, between open and close, with commas when asked. */
static char *repeat(const char *open, const char *text, const char *close, size_t count,
                    const char *separator)
{
	struct buf buf;
	buf_init(&buf, 4 << 20);
	buf_put(&buf, open);
	for (size_t i = 0; i < count; i++)
		buf_printf(&buf, "%s%s", i > 0 ? separator : "", text);
	buf_put(&buf, close);
	return buf_take(&buf);
}

static void check_size(char *text, const char *id, const char *what)
{
	struct err err = { 0 };
	json_t *value;
	int status = read_len(text, strlen(text), &value, &err);
	if (id)
		CHECK_MSG(status == ERR_LIMIT && strcmp(err.id, id) == 0, "%s: %s", what, err.text);
	else
		CHECK_MSG(status == 0, "%s is taken %s", what, err.text);
	json_decref(value);
	free(text);
}

static void test_json_sizes(void)
{
	char *open = repeat("", "[", "", 64, ""), *close = repeat("", "]", "", 64, "");
	check_size(mem_format("%s%s", open, close), NULL, "depth 64");
	check_size(mem_format("[%s%s]", open, close), "json.depth", "depth 65");
	check_size(mem_format("{\"a\":%s%s}", open, close), "json.depth", "depth 65 of two kinds");
	check_size(repeat("", "[", "", 100000, ""), "json.depth", "100,000 brackets");
	check_size(repeat("\"", "[", "\"", 1000, ""), NULL, "brackets in a string");
	check_size(repeat("[", "1", "]", 49999, ","), NULL, "50,000 values");
	check_size(repeat("[", "1", "]", 50000, ","), "json.nodes", "50,001 values");
	check_size(repeat("[", "{}", "]", 49999, ","), NULL, "50,000 values, empty objects");
	check_size(repeat("[", "{}", "]", 50000, ","), "json.nodes", "50,001, empty objects");
	check_size(repeat("[", "{\"k\":\"v,v:v\"}", "]", 24999, ","), NULL, "keys are no values");
	check_size(repeat("[", "{\"k\":true}", "]", 25000, ","), "json.nodes",
	           "literals are values");
	check_size(repeat("[", "\"\\\"\\\\\"", "]", 49999, ","), NULL, "escapes in strings");
	check_size(repeat("[", "null", "]", 50000, " ,\n "), "json.nodes", "spread out");
	free(open);
	free(close);
}

/* Distinct keys beyond number: bounded by the node cap, and quick, whatever they hash to. */
static void test_json_keys(void)
{
	struct buf buf;
	struct err err = { 0 };
	json_t *value;
	buf_init(&buf, 4 << 20);
	for (int i = 0; i < 49999; i++)
		buf_printf(&buf, "%s\"k%d\":%d", i > 0 ? "," : "{", i, i);
	buf_put(&buf, "}");
	CHECK(json_read(buf_str(&buf), LIMIT_JSON_BYTES, &value, &err) == 0);
	const char *key;
	json_t *member;
	int next = 0;
	json_object_foreach(value, key, member)
		next += json_integer_value(member) == next;
	CHECK_MSG(next == 49999, "members keep the order they were written in");
	json_decref(value);
	buf_release(&buf);
}

static void test_json_file(void)
{
	char path[] = "/tmp/gangway-test-XXXXXX";
	int fd = mkstemp(path);
	FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
	struct err err = { 0 };
	json_t *value = NULL;
	if (!CHECK(file != NULL))
		return;
	fputs("{\n  \"a\": [1, 2],\n  \"b\" 3\n}\n", file);
	fclose(file);
	CHECK(json_read_file(path, 1000, &value, &err) == ERR_INPUT);
	CHECK_MSG(str_begins(err.text, path) && strstr(err.text, "line 3, column "), "%s",
	          err.text);
	err_clear(&err);
	CHECK(json_read_file(path, 10, &value, &err) == ERR_LIMIT);
	unlink(path);
	err_clear(&err);
	CHECK(json_read_file(path, 1000, &value, &err) == ERR_ABSENT);
	err_clear(&err);
	CHECK(json_read_file("/", 1000, &value, &err) == ERR_INPUT);
}

/* --- json: what is written ------------------------------------------------------------- */

static void test_canon(void)
{
	static const struct {
		const char *text, *canon;
	} cases[] = {
		{ " { \"b\" : 1 , \"a\" : [ true , null , false ] } ",
		  "{\"a\":[true,null,false],\"b\":1}" },
		{ "{\"aa\":1,\"a\":2,\"B\":3,\"\xc3\xa4\":4}",
		  "{\"B\":3,\"a\":2,\"aa\":1,\"\xc3\xa4\":4}" },
		{ "\"\\u00e4\\/\\ud83d\\ude00\"", "\"\xc3\xa4/\xf0\x9f\x98\x80\"" },
		{ "\"\\b\\f\\n\\r\\t\\\"\\\\\\u0001\\u001f\\u007f\"",
		  "\"\\b\\f\\n\\r\\t\\\"\\\\\\u0001\\u001f\x7f\"" },
		{ "[1.0,1e2,100,1E-7,123456789012345680000.0]",
		  "[1.0,100.0,100,1e-07,1.2345678901234568e+20]" },
		{ "[0.1,0.30000000000000004,1e21,2.5]", "[0.1,0.30000000000000004,1e+21,2.5]" },
		{ "[]", "[]" },
		{ "{}", "{}" },
		{ "\"\"", "\"\"" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = { 0 };
		json_t *value, *again;
		int status = read_len(cases[i].text, strlen(cases[i].text), &value, &err);
		char *canon = status == 0 ? json_canon(value) : NULL;
		CHECK_STR(canon, cases[i].canon);
		if (canon && read_len(canon, strlen(canon), &again, &err) == 0) {
			char *twice = json_canon(again);
			CHECK_MSG(strcmp(canon, twice) == 0, "and reads back the same");
			free(twice);
			json_decref(again);
		}
		free(canon);
		json_decref(value);
	}
}

/* The same members put in any order, over removals, give the same bytes; doubles survive. */
static void test_canon_at_random(void)
{
	uint64_t seed = 11;
	struct rand rand = rand_seeded(&seed);
	json_t *up = json_object(), *down = json_object();
	for (int i = 0; i < 100; i++) {
		char key[16];
		snprintf(key, sizeof(key), "k%d", i);
		json_put_int(up, key, i);
		snprintf(key, sizeof(key), "k%d", 99 - i);
		json_put_int(down, key, 0);
		json_object_del(down, key);
		json_put_int(down, key, 99 - i);
	}
	char *a = json_canon(up), *b = json_canon(down);
	CHECK_MSG(strcmp(a, b) == 0, "equal values give equal bytes");
	free(a);
	free(b);
	json_decref(up);
	json_decref(down);
	bool kept = true;
	for (int i = 0; i < 20000 && kept; i++) {
		uint64_t bits = rand_next(&rand);
		double real, back;
		memcpy(&real, &bits, sizeof(real));
		if (!isfinite(real))
			continue;
		json_t *value = json_real(real), *again = NULL;
		struct err err = { 0 };
		char *text = json_canon(value);
		kept = read_len(text, strlen(text), &again, &err) == 0 && json_is_real(again);
		back = kept ? json_real_value(again) : 0;
		kept = kept && memcmp(&back, &real, sizeof(real)) == 0;
		free(text);
		json_decref(value);
		json_decref(again);
	}
	CHECK_MSG(kept, "every double reads back bit for bit");
}

/* The quick way takes what is plain, and nothing that the careful way would not. */
static void test_quick(void)
{
	static const char *const plain[] = {
		"{\"a\":[1,-2,0,{\"b\":\"text\"}],\"c\":null, \"d\" : true}",
		"[0.5,-0.25,12345.67,-99.99]",
		"\"\\u00e4\\n\\\"\\\\ \xc3\xa4 and more of it\"",
		"  [ ]\n",
		"{}",
		"false",
	};
	uint64_t seed = 7;
	struct rand rand = rand_seeded(&seed);
	for (size_t i = 0; i < sizeof(plain) / sizeof(*plain); i++) {
		json_t *quick = json_quick(str_of(plain[i]));
		json_t *slow = json_loads(plain[i], JSON_DECODE_ANY, NULL);
		CHECK_MSG(quick && json_equal(quick, slow), "taken: %s", plain[i]);
		json_decref(quick);
		json_decref(slow);
	}
	static const char bytes[] = "{}[]\",:0123456789.-eE \\ua\n\ttrfn";
	size_t taken = 0, wrong = 0;
	for (int i = 0; i < 200000; i++) {
		char text[128];
		size_t len = (size_t)snprintf(text, sizeof(text), "%s",
		                              plain[rand_below(&rand, 4)]);
		for (uint64_t j = rand_below(&rand, 3); j-- > 0;)
			text[rand_below(&rand, len)] = bytes[rand_below(&rand, sizeof(bytes) - 1)];
		struct str given = { text, len };
		json_t *quick = str_is_utf8(given) ? json_quick(given) : NULL;
		if (!quick)
			continue;
		json_t *slow = json_loadb(text, len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES,
		                          NULL);
		taken++;
		wrong += !slow || !json_equal(quick, slow);
		json_decref(slow);
		json_decref(quick);
	}
	CHECK_MSG(taken > 10000 && wrong == 0, "%zu of %zu texts were taken for another", wrong,
	          taken);
}

static void test_json_members(void)
{
	struct err err = { 0 };
	json_t *v;
	static const char source[] =
		"{\"a\":{\"b\":[{\"c\":7},[8]]},\"s\":\"t\",\"n\":3,\"f\":false,\"x y\":1}";
	CHECK(json_read(str_of(source), LIMIT_JSON_BYTES, &v, &err) == 0);
	CHECK(json_integer_value(json_path(v, "a.b[0].c")) == 7);
	CHECK(json_integer_value(json_path(v, "a.b[1][0]")) == 8);
	CHECK(json_integer_value(json_path(v, "x y")) == 1);
	CHECK(json_path(v, "") == v);
	static const char *const nowhere[] = { "a.b[2]",  "a.b[]",
		                               "a.b[-1]", "a.b[ 1]",
		                               "a.b[1",   "a.b[0]c",
		                               "a.",      ".a",
		                               "a..b",    "a[0]",
		                               "s.t",     "z",
		                               "a.b.[0]", "a.b[99999999999999999999]",
		                               "[0]" };
	for (size_t i = 0; i < sizeof(nowhere) / sizeof(nowhere[0]); i++)
		CHECK_MSG(json_path(v, nowhere[i]) == NULL, "path %s leads nowhere", nowhere[i]);
	CHECK(json_at(v, "s") && !json_at(v, "t") && !json_at(json_at(v, "s"), "x"));
	CHECK(!json_at(NULL, "x") && !json_path(NULL, "x"));
	CHECK_STR(json_str(v, "s", "-"), "t");
	CHECK_STR(json_str(v, "n", "-"), "-");
	CHECK(json_int(v, "n", 9) == 3 && json_int(v, "s", 9) == 9);
	CHECK(!json_truth(v, "f", true) && json_truth(v, "n", true));
	json_put_str(v, "s", NULL);
	json_put(v, "n", NULL);
	CHECK_MSG(json_at(v, "s") && json_at(v, "n"), "NULL sets nothing");
	json_decref(v);
}

static void test_json_text(void)
{
	static const struct {
		struct str bytes;
		const char *text;
	} cases[] = {
		{ { "plain", 5 }, "plain" },
		{ { NULL, 0 }, "" },
		{ { "a\xff"
		    "b",
		    3 },
		  "a\xef\xbf\xbd"
		  "b" },
		{ { "\xe2\x82"
		    "A",
		    3 },
		  "\xef\xbf\xbd\xef\xbf\xbd"
		  "A" },
		{ { "\xc3\xa4\xf0\x9f\x98\x80\xc3", 7 }, "\xc3\xa4\xf0\x9f\x98\x80\xef\xbf\xbd" },
		{ { "\xed\xa0\x80", 3 }, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ { "a\0b", 3 },
		  "a\xef\xbf\xbd"
		  "b" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *value = json_text(cases[i].bytes), *again = NULL;
		struct err err = { 0 };
		CHECK_STR(json_string_value(value), cases[i].text);
		char *canon = json_canon(value);
		CHECK_MSG(read_len(canon, strlen(canon), &again, &err) == 0,
		          "and can be read again");
		free(canon);
		json_decref(again);
		json_decref(value);
	}
}

int main(void)
{
	mem_install();
	test_json_refusals();
	test_json_numbers();
	test_json_sizes();
	test_json_keys();
	test_json_file();
	test_canon();
	test_canon_at_random();
	test_quick();
	test_json_members();
	test_json_text();
	return check_done();
}
