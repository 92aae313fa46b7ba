/* SPDX-License-Identifier: MIT */
/*
 * The hash chain of a run: whatever is done to its records - a bit turned, one
 * taken out, put in, exchanged, written anew - reading names the first record
 * that is not as it was.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/crypto.h"
#include "base/mem.h"
#include "check.h"
#include "journal/journal.h"

enum { RECORDS = 6, RUN = 3 };

struct stored {
	int64_t seq;
	unsigned char hash[JOURNAL_HASH_BYTES];
	char *bytes;
	size_t len;
};

struct chain {
	struct stored at[RECORDS + 2];
	size_t len;
};

static void chain_init(struct chain *chain)
{
	struct journal_head head = { 0 };
	static const char *const kinds[] = { "start", "step", "step", "request", "task", "step" };
	*chain = (struct chain){ 0 };
	for (int i = 0; i < RECORDS; i++) {
		json_t *body = json_pack("{s:i,s:s,s:{s:f}}", "i", i, "text", "\xc3\xa4 \\ \" \n",
		                         "deep", "number", 0.5);
		struct stored *at = &chain->at[chain->len++];
		at->bytes = journal_seal(&head, kinds[i], 1000 + i, body, &at->len);
		at->seq = head.seq;
		memcpy(at->hash, head.hash, sizeof(at->hash));
		json_decref(body);
	}
}

static void chain_release(struct chain *chain)
{
	for (size_t i = 0; i < chain->len; i++)
		free(chain->at[i].bytes);
}

static void chain_store(const struct chain *chain, struct store *store)
{
	struct err err = { 0 };
	for (size_t i = 0; i < chain->len; i++) {
		struct store_op op = { .kind = STORE_OP_RECORD,
			               .no = RUN,
			               .seq = chain->at[i].seq,
			               .body = { chain->at[i].bytes, chain->at[i].len } };
		memcpy(op.hash, chain->at[i].hash, sizeof(op.hash));
		struct store_item item = { .ops = &op, .count = 1 };
		if (store->ops->apply(store, &item, 1, &err) < 0 || item.result < 0)
			abort();
	}
}

struct reading {
	int64_t last;
	int count;
};

static int found(void *arg, const json_t *record, struct err *err)
{
	struct reading *reading = arg;
	(void)err;
	reading->count++;
	reading->last = json_int(record, "seq", 0);
	return 0;
}

/* Reads what is stored: the number of the first bad record, 0: all is well, -1: it is not named. */
static int64_t first_bad(const struct chain *chain)
{
	struct store *store = store_memory_new();
	struct journal_head head = { 0 };
	struct reading reading = { 0 };
	struct err err = { 0 };
	long long seq = -1;
	chain_store(chain, store);
	int status = journal_read(store, RUN, &head, found, &reading, &err);
	store->ops->close(store);
	if (status == 0)
		return 0;
	if (status != ERR_STORE || strcmp(err.id, "journal.broken") != 0 ||
	    sscanf(err.text, "record %lld:", &seq) != 1 || head.seq != seq - 1)
		return -1;
	return seq;
}

static void test_good(void)
{
	struct chain chain;
	chain_init(&chain);
	CHECK(first_bad(&chain) == 0);
	/* A record is canonical JSON that says what it is and what it follows. */
	json_t *first = json_loadb(chain.at[0].bytes, chain.at[0].len, 0, NULL);
	json_t *second = json_loadb(chain.at[1].bytes, chain.at[1].len, 0, NULL);
	char hex[2 * JOURNAL_HASH_BYTES + 1];
	CHECK(json_int(first, "v", 0) == 1 && json_int(first, "seq", 0) == 1);
	CHECK_STR(json_str(first, "kind", ""), "start");
	CHECK(json_int(first, "at", 0) == 1000);
	CHECK_STR(json_str(first, "prev", ""),
	          "0000000000000000000000000000000000000000000000000000000000000000");
	crypto_hex(chain.at[0].hash, sizeof(chain.at[0].hash), hex);
	CHECK_STR(json_str(second, "prev", ""), hex);
	char *canon = json_canon(second);
	CHECK_STR(canon, chain.at[1].bytes);
	free(canon);
	json_decref(first);
	json_decref(second);
	chain_release(&chain);
}

/* The known answer: the format may not change by accident. */
static void test_known(void)
{
	struct journal_head head = { 0 };
	json_t *body = json_pack("{s:s}", "b", "x");
	size_t len;
	char *bytes = journal_seal(&head, "start", 5, body, &len), *text;
	CHECK_STR(bytes, "{\"at\":5,\"b\":\"x\",\"kind\":\"start\","
	                 "\"prev\":\"000000000000000000000000000000000000000"
	                 "0000000000000000000000000\",\"seq\":1,\"v\":1}");
	unsigned char hash[JOURNAL_HASH_BYTES];
	text = mem_format("gw-journal-v1\n%s", bytes);
	crypto_sha256(str_of(text), hash);
	CHECK(memcmp(hash, head.hash, sizeof(hash)) == 0 && head.seq == 1 && strlen(bytes) == len);
	free(text);
	free(bytes);
	json_decref(body);
}

static void test_every_bit(void)
{
	struct chain chain;
	int changes = 0, found_right = 0;
	chain_init(&chain);
	for (size_t i = 0; i < chain.len; i++) {
		for (size_t at = 0; at < chain.at[i].len; at++) {
			for (int bit = 0; bit < 8; bit++) {
				chain.at[i].bytes[at] ^= (char)(1 << bit);
				found_right += first_bad(&chain) == chain.at[i].seq;
				chain.at[i].bytes[at] ^= (char)(1 << bit);
				changes++;
			}
		}
		for (size_t at = 0; at < sizeof(chain.at[i].hash); at++) {
			chain.at[i].hash[at] ^= 1;
			found_right += first_bad(&chain) == chain.at[i].seq;
			chain.at[i].hash[at] ^= 1;
			changes++;
		}
	}
	CHECK_MSG(changes > 5000 && found_right == changes,
	          "of %d changed bits %d are found at their record", changes, found_right);
	CHECK(first_bad(&chain) == 0);
	chain_release(&chain);
}

static void test_lengths(void)
{
	struct chain chain;
	chain_init(&chain);
	for (size_t i = 0; i < chain.len; i++) {
		chain.at[i].len--;
		CHECK(first_bad(&chain) == chain.at[i].seq);
		chain.at[i].len++;
	}
	chain_release(&chain);
}

static void test_removed(void)
{
	struct chain chain;
	chain_init(&chain);
	for (size_t i = 0; i + 1 < RECORDS; i++) {
		struct chain without = { .len = chain.len - 1 };
		memcpy(without.at, chain.at, i * sizeof(*chain.at));
		memcpy(without.at + i, chain.at + i + 1, (chain.len - i - 1) * sizeof(*chain.at));
		CHECK(first_bad(&without) == (int64_t)i + 1);
		/* The rest moved up, so that the numbers are without a gap. */
		for (size_t j = i; j < without.len; j++)
			without.at[j].seq = (int64_t)j + 1;
		CHECK(first_bad(&without) == (int64_t)i + 1);
	}
	chain_release(&chain);
}

static void test_swapped(void)
{
	struct chain chain;
	chain_init(&chain);
	for (size_t i = 0; i < RECORDS; i++) {
		for (size_t j = i + 1; j < RECORDS; j++) {
			struct chain other = chain;
			other.at[i] = chain.at[j];
			other.at[j] = chain.at[i];
			other.at[i].seq = (int64_t)i + 1;
			other.at[j].seq = (int64_t)j + 1;
			CHECK(first_bad(&other) == (int64_t)i + 1);
		}
	}
	chain_release(&chain);
}

/* A record that is good by itself, put in between: sealed after another one, or going on. */
static void test_inserted(void)
{
	struct chain chain;
	chain_init(&chain);
	for (size_t i = 0; i < RECORDS; i++) {
		struct chain more = { .len = chain.len + 1 };
		struct journal_head head = { .seq = (int64_t)i };
		json_t *body = json_pack("{s:s}", "by", "somebody");
		memcpy(more.at, chain.at, i * sizeof(*chain.at));
		memcpy(more.at + i + 1, chain.at + i, (chain.len - i) * sizeof(*chain.at));
		more.at[i].bytes = journal_seal(&head, "step", 1, body, &more.at[i].len);
		memcpy(more.at[i].hash, head.hash, sizeof(head.hash));
		for (size_t j = 0; j < more.len; j++)
			more.at[j].seq = (int64_t)j + 1;
		/* In the first place it is a good beginning, but the old first does not go on. */
		CHECK(first_bad(&more) == (int64_t)i + 1 + (i == 0));
		free(more.at[i].bytes);
		if (i > 0) {
			/* Hashed on from the record before it: the next one betrays it. */
			head = (struct journal_head){ .seq = (int64_t)i };
			memcpy(head.hash, chain.at[i - 1].hash, sizeof(head.hash));
			more.at[i].bytes = journal_seal(&head, "step", 1, body, &more.at[i].len);
			memcpy(more.at[i].hash, head.hash, sizeof(head.hash));
			CHECK(first_bad(&more) == (int64_t)i + 2);
			free(more.at[i].bytes);
		}
		json_decref(body);
	}
	chain_release(&chain);
}

/* Sealed correctly, yet no record of ours: another version or number, no object, a key twice. */
static void test_wrong_records(void)
{
	static const char *const texts[] = {
		"{\"at\":1,\"kind\":\"start\",\"prev\":\"%s\",\"seq\":1,\"v\":2}",
		"{\"at\":1,\"kind\":\"start\",\"prev\":\"%s\",\"seq\":2,\"v\":1}",
		"{\"at\":1,\"kind\":\"start\",\"prev\":\"%s\",\"seq\":1,\"seq\":1,\"v\":1}",
		"[\"%s\"]",
		"%s",
		"",
	};
	char zeroes[65];
	memset(zeroes, '0', 64);
	zeroes[64] = '\0';
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct chain chain = { .len = 1 };
		struct buf text;
		const char *mark = strstr(texts[i], "%s");
		buf_init(&text, 1000);
		buf_put_len(&text, texts[i], mark ? (size_t)(mark - texts[i]) : strlen(texts[i]));
		if (mark) {
			buf_put(&text, zeroes);
			buf_put(&text, mark + 2);
		}
		char *sealed = mem_format("gw-journal-v1\n%s", text.bytes ? text.bytes : "");
		crypto_sha256(str_of(sealed), chain.at[0].hash);
		chain.at[0].seq = 1;
		chain.at[0].len = text.len;
		chain.at[0].bytes = buf_take(&text);
		CHECK_MSG(first_bad(&chain) == 1, "refused: %s",
		          chain.at[0].bytes ? chain.at[0].bytes : "");
		free(sealed);
		free(chain.at[0].bytes);
	}
}

/* From the middle, as after a snapshot: the head says what came before. */
static void test_from_snapshot(void)
{
	struct chain chain;
	struct store *store = store_memory_new();
	struct reading reading = { 0 };
	struct err err = { 0 };
	chain_init(&chain);
	chain_store(&chain, store);
	struct journal_head head = { .seq = 4 };
	memcpy(head.hash, chain.at[3].hash, sizeof(head.hash));
	CHECK(journal_read(store, RUN, &head, found, &reading, &err) == 0);
	CHECK(reading.count == 2 && reading.last == RECORDS && head.seq == RECORDS);
	CHECK(memcmp(head.hash, chain.at[RECORDS - 1].hash, sizeof(head.hash)) == 0);
	head.seq = 4;
	memcpy(head.hash, chain.at[2].hash, sizeof(head.hash));
	reading = (struct reading){ 0 };
	CHECK(journal_read(store, RUN, &head, found, &reading, &err) == ERR_STORE &&
	      reading.count == 0);
	CHECK_STR(err.text, "record 5: does not continue the record before it");
	store->ops->close(store);
	chain_release(&chain);
}

static int refuse_third(void *arg, const json_t *record, struct err *err)
{
	++*(int *)arg;
	return json_int(record, "seq", 0) == 3 ? err_set(err, ERR_INPUT, "not this one") : 0;
}

static void test_reader_stops(void)
{
	struct chain chain;
	struct store *store = store_memory_new();
	struct journal_head head = { 0 };
	struct err err = { 0 };
	int count = 0;
	chain_init(&chain);
	chain_store(&chain, store);
	CHECK(journal_read(store, RUN, &head, refuse_third, &count, &err) == ERR_INPUT &&
	      count == 3);
	CHECK_STR(err.text, "not this one");
	store->ops->close(store);
	chain_release(&chain);
}

int main(void)
{
	mem_install();
	test_good();
	test_known();
	test_every_bit();
	test_lengths();
	test_removed();
	test_swapped();
	test_inserted();
	test_wrong_records();
	test_from_snapshot();
	test_reader_stops();
	return check_done();
}
