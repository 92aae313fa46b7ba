/* SPDX-License-Identifier: MIT */
/* The vocabulary of base/: what every folder relies on without asking. */
#include <math.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/bits.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/err.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/rand.h"
#include "base/str.h"
#include "base/vec.h"
#include "check.h"

/* --- err -------------------------------------------------------------------------- */

static void test_err(void)
{
	struct err err = { 0 };
	CHECK(err_set_id(&err, ERR_INPUT, "xml.dtd", "line %d: no DTD", 3) == ERR_INPUT);
	CHECK(err_set(&err, ERR_SYSTEM, "later") == ERR_INPUT);
	CHECK(err_wrap(&err, "graph '%s'", "order") == ERR_INPUT);
	err_hint(&err, "first");
	err_hint(&err, "second");
	CHECK_STR(err.id, "xml.dtd");
	CHECK_STR(err.text, "graph 'order': line 3: no DTD");
	CHECK_STR(err.hint, "first");
	err_clear(&err);
	CHECK(err.code == 0 && err.text[0] == '\0' && err.hint[0] == '\0' && err.id[0] == '\0');
}

/* Whatever the length, a cut text is whole characters. */
static void test_err_cut(void)
{
	char text[2000];
	bool whole = true, full = true;
	for (size_t lead = 0; lead < 4; lead++) {
		struct err err = { 0 };
		memset(text, 'x', lead);
		for (size_t i = lead; i + 4 < sizeof(text); i += 4)
			memcpy(text + i, "\xf0\x9f\x98\x80", 5);
		err_set(&err, ERR_INPUT, "%s", text);
		err_wrap(&err, "place");
		err_hint(&err, "%s", text);
		whole = whole && str_is_utf8(str_of(err.text)) && str_is_utf8(str_of(err.hint));
		full = full && strlen(err.text) >= sizeof(err.text) - 4 - 4;
	}
	CHECK(whole);
	CHECK(full);
}

/* --- memory ----------------------------------------------------------------------- */

static void test_mem(void)
{
	unsigned char *zeroed = mem_alloc(100);
	bool clean = true;
	for (size_t i = 0; i < 100; i++)
		clean = clean && zeroed[i] == 0;
	CHECK(clean);
	free(zeroed);
	char *copy = mem_dup("ab\0cd", 5), *text = mem_format("%s-%d", "x", 7);
	CHECK(memcmp(copy, "ab\0cd", 6) == 0);
	CHECK_STR(text, "x-7");
	CHECK(mem_dup_str(NULL) == NULL);
	free(copy);
	free(text);
	free(mem_alloc(0));
	free(mem_grow(NULL, 0, 8));
}

/* Runs in a child; true when it ended as asked: by this signal, or with this exit status. */
static bool dies(void (*deed)(void), int by_signal, int status)
{
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		close(STDERR_FILENO); /* its last words are not ours */
		deed();
		_exit(0);
	}
	int how = 0;
	waitpid(child, &how, 0);
	return by_signal ? WIFSIGNALED(how) && WTERMSIG(how) == by_signal
	                 : WIFEXITED(how) && WEXITSTATUS(how) == status;
}

static void overflow_size(void)
{
	free(mem_grow(NULL, SIZE_MAX / 4, 8));
}

static void break_invariant(void)
{
	must(1 + 1 == 3);
}

static void overfill_buf(void)
{
	struct buf buf;
	buf_init(&buf, 3);
	buf_put(&buf, "four");
}

static void test_stops(void)
{
	CHECK_MSG(dies(overflow_size, 0, 70), "a size that overflows stops the process");
	CHECK_MSG(dies(break_invariant, SIGABRT, 0), "a broken invariant stops the process");
	CHECK_MSG(dies(overfill_buf, SIGABRT, 0), "buf_put beyond the maximum stops the process");
}

struct diary {
	char text[16];
};

static void note_a(void *diary)
{
	strncat(((struct diary *)diary)->text, "a", 2);
}

static void note_b(void *diary)
{
	strncat(((struct diary *)diary)->text, "b", 2);
}

static void test_arena(void)
{
	struct arena arena;
	struct diary diary = { "" };
	arena_init(&arena);
	bool aligned = true, zeroed = true;
	for (size_t i = 1; i < 3000; i++) {
		unsigned char *bytes = arena_alloc(&arena, i % 37);
		aligned = aligned && (uintptr_t)bytes % _Alignof(max_align_t) == 0;
		for (size_t j = 0; j < i % 37; j++)
			zeroed = zeroed && bytes[j] == 0;
		memset(bytes, 0xff, i % 37);
	}
	CHECK(aligned);
	CHECK(zeroed);
	char *large = arena_alloc(&arena, 100000);
	memset(large, 1, 100000);
	CHECK_STR(arena_dup(&arena, "abc", 2), "ab");
	CHECK_STR(arena_format(&arena, "%05d", 42), "00042");
	CHECK(arena_dup_str(&arena, NULL) == NULL);
	arena_defer(&arena, note_a, &diary);
	arena_defer(&arena, note_b, &diary);
	arena_clear(&arena);
	CHECK_STR(diary.text, "ba");
	unsigned char *again = arena_alloc(&arena, 1000);
	bool clean = true;
	for (size_t i = 0; i < 1000; i++)
		clean = clean && again[i] == 0;
	CHECK_MSG(clean, "memory is zeroed again after arena_clear()");
	arena_defer(&arena, note_a, &diary);
	arena_release(&arena);
	CHECK_STR(diary.text, "baa");
	arena_release(&arena);
}

static void test_buf(void)
{
	struct buf buf;
	struct err err = { 0 };
	buf_init(&buf, 10);
	CHECK(buf_str(&buf).len == 0 && buf_str(&buf).ptr[0] == '\0');
	CHECK(buf_add(&buf, "12345", 5, &err) == 0);
	CHECK(buf_add(&buf, "678901", 6, &err) == ERR_LIMIT);
	CHECK(buf.len == 5);
	buf_printf(&buf, "%s", "67890");
	CHECK_STR(buf.bytes, "1234567890");
	err_clear(&err);
	CHECK(buf_add(&buf, "", 0, &err) == 0);
	CHECK(buf_add(&buf, "x", 1, &err) == ERR_LIMIT);
	buf_clear(&buf);
	CHECK_STR(buf.bytes, "");
	buf_put_len(&buf, "a\0b", 3);
	char *taken = buf_take(&buf);
	CHECK(memcmp(taken, "a\0b", 4) == 0 && buf.len == 0 && buf.bytes == NULL);
	free(taken);
	taken = buf_take(&buf);
	CHECK_STR(taken, "");
	free(taken);
	buf_release(&buf);
	buf_init(&buf, 1 << 20);
	for (int i = 0; i < 10000; i++)
		buf_printf(&buf, "%d,", i);
	CHECK(buf.len == 48890 && strcmp(buf.bytes + buf.len - 10, "9998,9999,") == 0);
	buf_release(&buf);
}

/* --- containers --------------------------------------------------------------------- */

static void test_vec_and_bits(void)
{
	VEC(int) numbers = { 0 };
	for (int i = 0; i < 1000; i++) {
		int *room = vec_add(&numbers);
		if (*room != 0)
			break;
		*room = i;
	}
	CHECK(numbers.len == 1000 && numbers.at[0] == 0 && numbers.at[999] == 999);
	vec_release(&numbers);
	CHECK(numbers.len == 0 && numbers.at == NULL);
	uint64_t words[3] = { 0 };
	CHECK(bits_words(0) == 0 && bits_words(64) == 1 && bits_words(65) == 2);
	bits_set(words, 0);
	bits_set(words, 63);
	bits_set(words, 64);
	bits_set(words, 130);
	bits_clear(words, 63);
	CHECK(bits_has(words, 0) && !bits_has(words, 63) && bits_has(words, 64));
	CHECK(words[0] == 1 && words[1] == 1 && words[2] == 4);
}

/* The map against a plain table, through 20,000 random steps. */
static void test_map_at_random(void)
{
	enum { KEYS = 300, STEPS = 20000 };
	static int values[KEYS];
	bool present[KEYS] = { false }, same = true;
	uint64_t seed = 7;
	struct rand rand = rand_seeded(&seed);
	struct map map;
	map_init(&map);
	for (int step = 0; step < STEPS && same; step++) {
		size_t k = rand_below(&rand, KEYS);
		char key[24];
		snprintf(key, sizeof(key), "key-%zu", k);
		switch (rand_below(&rand, 3)) {
		case 0:
			map_set(&map, key, &values[k]);
			present[k] = true;
			break;
		case 1:
			same = map_remove(&map, key) == (present[k] ? &values[k] : NULL);
			present[k] = false;
			break;
		default: same = map_get(&map, key) == (present[k] ? &values[k] : NULL); break;
		}
	}
	size_t live = 0, cursor = 0, seen = 0;
	for (size_t k = 0; k < KEYS; k++)
		live += present[k];
	for (struct map_entry *entry; (entry = map_each(&map, &cursor));)
		seen += present[(int *)entry->value - values];
	CHECK_MSG(same, "a map answers as a table does");
	CHECK(map.live == live && seen == live);
	CHECK_MSG(map.len < 4 * KEYS, "removed entries do not pile up");
	map_release(&map);
}

static void test_map(void)
{
	struct map map;
	int a, b, c;
	map_init(&map);
	CHECK(map_get(&map, "a") == NULL && map_remove(&map, "a") == NULL);
	map_set(&map, "b", &b);
	map_set(&map, "a", &a);
	map_set(&map, "c", &c);
	map_set(&map, "a", &b);
	CHECK(map_get(&map, "a") == &b && map.live == 3);
	CHECK(map_remove(&map, "b") == &b && map_get(&map, "b") == NULL);
	map_set(&map, "b", &c);
	char order[8] = "";
	size_t cursor = 0;
	for (struct map_entry *entry; (entry = map_each(&map, &cursor));)
		strncat(order, entry->key, 2);
	CHECK_STR(order, "acb");
	map_set(&map, "", &a);
	CHECK(map_get(&map, "") == &a);
	map_release(&map);
	map_release(&map);
	test_map_at_random();
}

/* --- str --------------------------------------------------------------------------- */

static void test_utf8(void)
{
	static const struct {
		const char *text;
		bool ok;
	} cases[] = {
		{ "", true },
		{ "abc", true },
		{ "\xc3\xa4", true },
		{ "\xe2\x82\xac", true },
		{ "\xf0\x9f\x98\x80", true },
		{ "\xf4\x8f\xbf\xbf", true },
		{ "\xef\xbf\xbf", true },
		{ "\xc0\x80", false },
		{ "\xc1\xbf", false },
		{ "\xe0\x9f\xbf", false },
		{ "\xf0\x8f\xbf\xbf", false },
		{ "\xed\xa0\x80", false },
		{ "\xed\xbf\xbf", false },
		{ "\xf4\x90\x80\x80", false },
		{ "\xf5\x80\x80\x80", false },
		{ "\x80", false },
		{ "\xc3", false },
		{ "\xe2\x82", false },
		{ "\xf0\x9f\x98", false },
		{ "\xff", false },
		{ "a\xc3"
		  "b",
		  false },
	};
	bool ok = true;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ok = ok && str_is_utf8(str_of(cases[i].text)) == cases[i].ok;
	CHECK(ok);
	CHECK(str_is_utf8((struct str){ NULL, 0 }));
	CHECK(str_is_utf8((struct str){ "a\0b", 3 }));
}

static void test_str(void)
{
	CHECK(str_of(NULL).len == 0 && str_of("abc").len == 3);
	CHECK(str_eq(STR_LIT("ab"), (struct str){ "abc", 2 }));
	CHECK(!str_eq(STR_LIT("ab"), STR_LIT("abc")));
	CHECK(str_is(STR_LIT("x"), "x") && !str_is(STR_LIT("x"), ""));
	CHECK(str_begins("gangway", "gang") && !str_begins("gang", "gangway"));
	CHECK(str_ends("a.scxml", ".scxml") && !str_ends("l", "ml") && str_ends("x", ""));
}

static void test_nearest(void)
{
	static const char *const names[] = { "customer", "currency", "id", "is_final", "Email" };
	enum { COUNT = sizeof(names) / sizeof(names[0]) };
	CHECK_STR(str_nearest("custmer", names, COUNT), "customer");
	CHECK_STR(str_nearest("curency", names, COUNT), "currency");
	CHECK_STR(str_nearest("EMAIL", names, COUNT), "Email");
	CHECK_STR(str_nearest("emial", names, COUNT), "Email");
	CHECK(str_nearest("telephone", names, COUNT) == NULL);
	CHECK_MSG(str_nearest("x", names, COUNT) == NULL, "one letter is near to nothing else");
	CHECK(str_nearest("", names, COUNT) == NULL);
	char endless[301];
	memset(endless, 'a', 300);
	endless[300] = '\0';
	CHECK_MSG(str_nearest(endless, names, COUNT) == NULL, "a long name is near to nothing");
	CHECK(str_nearest("id", NULL, 0) == NULL);
}

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
	CHECK(json_read_file("/", 1000, &value, &err) == ERR_SYSTEM);
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

/* --- clock, chance, digests ------------------------------------------------------------ */

static void test_clock(void)
{
	static const struct {
		int64_t ms;
		const char *iso, *mail;
	} cases[] = {
		{ 0, "1970-01-01T00:00:00.000Z", "Thu, 01 Jan 1970 00:00:00 +0000" },
		{ 1768300200123, "2026-01-13T10:30:00.123Z", "Tue, 13 Jan 2026 10:30:00 +0000" },
		{ 951782400000, "2000-02-29T00:00:00.000Z", "Tue, 29 Feb 2000 00:00:00 +0000" },
		{ -1, "1969-12-31T23:59:59.999Z", "Wed, 31 Dec 1969 23:59:59 +0000" },
		{ -1000, "1969-12-31T23:59:59.000Z", "Wed, 31 Dec 1969 23:59:59 +0000" },
		{ -62135596800000, "0001-01-01T00:00:00.000Z", "Mon, 01 Jan 0001 00:00:00 +0000" },
		{ 253402300799999, "9999-12-31T23:59:59.999Z", "Fri, 31 Dec 9999 23:59:59 +0000" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[CLOCK_ISO_BYTES];
		clock_iso(cases[i].ms, text);
		CHECK_STR(text, cases[i].iso);
		if (cases[i].ms != -1)
			CHECK(clock_parse_iso(text) == cases[i].ms);
		clock_rfc5322(cases[i].ms, text);
		CHECK_STR(text, cases[i].mail);
	}
	char text[CLOCK_ISO_BYTES];
	clock_iso(INT64_MAX, text);
	CHECK_STR(text, "292278994-08-17T07:12:55.807Z");
	int64_t now_ms = 5;
	struct clock fixed = clock_fixed(&now_ms), real = clock_system();
	CHECK(clock_wall_ms(&fixed) == 5 && clock_monotonic_ns(&fixed) == 5000000);
	now_ms = 7;
	CHECK(clock_wall_ms(&fixed) == 7 && clock_monotonic_ms(&fixed) == 7);
	int64_t before = clock_monotonic_ns(&real);
	CHECK(clock_wall_ms(&real) > 1700000000000 && clock_monotonic_ns(&real) >= before);
}

static void test_parse_iso(void)
{
	static const struct {
		const char *text;
		int64_t ms;
	} cases[] = {
		{ "2026-11-21", 1795219200000 },
		{ "2026-11-21T05:22:52Z", 1795238572000 },
		{ "2026-11-21t05:22:52z", 1795238572000 },
		{ "2026-11-21 05:22:52Z", 1795238572000 },
		{ "2026-11-21T05:22:52.1Z", 1795238572100 },
		{ "2026-11-21T05:22:52.123999999999999999999Z", 1795238572123 },
		{ "2026-11-21T06:22:52+01:00", 1795238572000 },
		{ "2026-11-21T05:22:52.000+0000", 1795238572000 },
		{ "2026-11-20T23:52:52-05:30", 1795238572000 },
		{ "2026-11-21T00:00:00-00:00", 1795219200000 },
		{ "2016-12-31T23:59:60Z", 1483228800000 },
		{ "2024-02-29", 1709164800000 },
		{ "1950-06-15", -616896000000 },
	};
	static const char *const wrong[] = {
		"",
		"2026",
		"2026-11",
		"2026-1-1",
		"2026-00-10",
		"2026-13-01",
		"2026-11-00",
		"2026-11-31",
		"2026-11-99",
		"2025-02-29",
		"2026-11-21T",
		"2026-11-21T05:22Z",
		"2026-11-21T05:22:52",
		"2026-11-21T24:00:00Z",
		"2026-11-21T05:60:00Z",
		"2026-11-21T05:22:61Z",
		"2026-11-21T05:22:52.Z",
		"2026-11-21T05:22:52Zx",
		"2026-11-21Z",
		"2026-11-21T05:22:52+24:00",
		"2026-11-21T05:22:52+01:60",
		"2026-11-21T05:22:52+1",
		"2026-11-21T05:22:52+",
		"20261121",
		" 2026-11-21",
		"2026-11-21 ",
		"-026-11-21",
		"today",
		"2026-11-21T-1:00:00Z",
		"2026-11-21T05:22:52+:",
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CHECK_MSG(clock_parse_iso(cases[i].text) == cases[i].ms, "%s is %lld",
		          cases[i].text, (long long)clock_parse_iso(cases[i].text));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		CHECK_MSG(clock_parse_iso(wrong[i]) == -1, "\"%s\" is no time", wrong[i]);
}

static void test_rand(void)
{
	uint64_t one = 42, two = 42;
	struct rand a = rand_seeded(&one), b = rand_seeded(&two), system = rand_system();
	CHECK_MSG(rand_next(&a) == 13679457532755275413u, "splitmix64(42) begins as published");
	CHECK(rand_next(&a) == 2949826092126892291u);
	rand_next(&b);
	rand_next(&b);
	CHECK(rand_next(&a) == rand_next(&b));
	bool below = true;
	for (int i = 0; i < 1000; i++)
		below = below && rand_below(&a, 7) < 7;
	CHECK(below && rand_below(&a, 1) == 0);
	CHECK(rand_next(&system) != rand_next(&system));
}

static void check_encoded(const char *bytes, size_t len, const char *base64, const char *url)
{
	struct buf buf;
	buf_init(&buf, 100);
	crypto_base64_put((struct str){ bytes, len }, &buf);
	CHECK_STR(buf_str(&buf).ptr, base64);
	buf_clear(&buf);
	crypto_base64url_put((struct str){ bytes, len }, &buf);
	CHECK_STR(buf_str(&buf).ptr, url);
	buf_release(&buf);
}

static void test_crypto(void)
{
	char hex[SHA256_HEX];
	unsigned char digest[SHA256_BYTES], random[2][16];
	crypto_sha256_hex(STR_LIT("abc"), hex);
	CHECK_STR(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	crypto_sha256_hex((struct str){ NULL, 0 }, hex);
	CHECK_STR(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	/* RFC 4231, case 2. */
	crypto_hmac_sha256(STR_LIT("Jefe"), STR_LIT("what do ya want for nothing?"), digest);
	crypto_hex(digest, sizeof(digest), hex);
	CHECK_STR(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	/* RFC 4648, 10. */
	check_encoded("", 0, "", "");
	check_encoded("f", 1, "Zg==", "Zg");
	check_encoded("fo", 2, "Zm8=", "Zm8");
	check_encoded("foo", 3, "Zm9v", "Zm9v");
	check_encoded("foob", 4, "Zm9vYg==", "Zm9vYg");
	check_encoded("\xfb\xff\xfe", 3, "+//+", "-__-");
	CHECK(crypto_equal(STR_LIT("ab"), STR_LIT("ab")));
	CHECK(!crypto_equal(STR_LIT("ab"), STR_LIT("ac")));
	CHECK(!crypto_equal(STR_LIT("ab"), STR_LIT("abc")));
	CHECK(crypto_equal((struct str){ NULL, 0 }, STR_LIT("")));
	crypto_random(random[0], 16);
	crypto_random(random[1], 16);
	CHECK(memcmp(random[0], random[1], 16) != 0);
}

int main(void)
{
	mem_install();
	test_err();
	test_err_cut();
	test_mem();
	test_stops();
	test_arena();
	test_buf();
	test_vec_and_bits();
	test_map();
	test_utf8();
	test_str();
	test_nearest();
	test_json_refusals();
	test_json_numbers();
	test_json_sizes();
	test_json_keys();
	test_json_file();
	test_canon();
	test_canon_at_random();
	test_json_members();
	test_json_text();
	test_clock();
	test_parse_iso();
	test_rand();
	test_crypto();
	return check_done();
}
