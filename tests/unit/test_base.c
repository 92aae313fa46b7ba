/* SPDX-License-Identifier: MIT */
/* The vocabulary of base/: what every folder relies on without asking. */
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
	struct timespec now = clock_deadline(0), later = clock_deadline(5500);
	CHECK(later.tv_nsec >= 0 && later.tv_nsec < 1000000000);
	CHECK((later.tv_sec - now.tv_sec) * 1000 + (later.tv_nsec - now.tv_nsec) / 1000000 >= 5500);
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
	test_clock();
	test_parse_iso();
	test_rand();
	test_crypto();
	return check_done();
}
