/* SPDX-License-Identifier: MIT */
/* Sealing and opening records: the hash chain of one run. */
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "base/mem.h"
#include "journal/journal.h"

#define JOURNAL_PREFIX "gw-journal-v1\n"
enum {
	JOURNAL_VERSION = 1,
	JOURNAL_RECORD_BYTES_USUAL = 2000,
	JOURNAL_RECORD_BYTES_MAX = 64 * 1024 * 1024
};

/* The prefix keeps a record's hash from being the hash of anything else. */
static void hash_bytes(struct str bytes, unsigned char ret[JOURNAL_HASH_BYTES])
{
	crypto_sha256_two(STR_LIT(JOURNAL_PREFIX), bytes, ret);
}

char *journal_seal(struct journal_head *head, const char *kind, int64_t at_ms, json_t *body,
                   size_t *ret_len)
{
	char prev[2 * JOURNAL_HASH_BYTES + 1];
	crypto_hex(head->hash, sizeof(head->hash), prev);
	head->seq++;
	json_put_int(body, "v", JOURNAL_VERSION);
	json_put_int(body, "seq", head->seq);
	json_put_str(body, "kind", kind);
	json_put_int(body, "at", at_ms);
	json_put_str(body, "prev", prev);
	struct buf text;
	buf_init(&text, JOURNAL_RECORD_BYTES_MAX);
	buf_reserve(&text, JOURNAL_RECORD_BYTES_USUAL);
	json_canon_put(body, &text);
	hash_bytes(buf_str(&text), head->hash);
	*ret_len = text.len;
	return buf_take(&text);
}

static int broken(struct err *err, int64_t seq, const char *why)
{
	err_set_id(err, ERR_STORE, "journal.broken", "record %lld: %s", (long long)seq, why);
	return err_hint(err,
	                "the journal was changed outside the engine; keep the files as they are");
}

int journal_open(struct journal_head *head, int64_t seq, const unsigned char *hash,
                 struct str bytes, json_t **ret, struct err *err)
{
	unsigned char actual[JOURNAL_HASH_BYTES];
	if (seq != head->seq + 1)
		return broken(err, head->seq + 1, "is missing");
	hash_bytes(bytes, actual);
	if (memcmp(actual, hash, sizeof(actual)) != 0)
		return broken(err, seq, "its bytes are not those that were recorded");
	json_error_t at;
	json_t *record = json_loadb(bytes.ptr, bytes.len, JSON_REJECT_DUPLICATES, &at);
	if (!json_is_object(record)) {
		json_decref(record);
		return broken(err, seq, "is no JSON object");
	}
	char prev[2 * JOURNAL_HASH_BYTES + 1];
	crypto_hex(head->hash, sizeof(head->hash), prev);
	int status = 0;
	if (json_int(record, "v", 0) != JOURNAL_VERSION)
		status = broken(err, seq, "was written by another version of the journal");
	else if (json_int(record, "seq", 0) != seq)
		status = broken(err, seq, "carries another number");
	else if (strcmp(json_str(record, "prev", ""), prev) != 0)
		status = broken(err, seq, "does not continue the record before it");
	if (status < 0) {
		json_decref(record);
		return status;
	}
	head->seq = seq;
	memcpy(head->hash, actual, sizeof(actual));
	*ret = record;
	return 0;
}

struct reading {
	struct journal_head *head;
	int (*found)(void *arg, const json_t *record, struct err *err);
	void *arg;
	struct err *err;
	int status;
	json_t *kept; /* copies: the reader's lock is not held while records are worked on */
};

static bool keep(void *arg, int64_t seq, const unsigned char hash[32], struct str body)
{
	struct reading *reading = arg;
	json_t *record = NULL;
	reading->status = journal_open(reading->head, seq, hash, body, &record, reading->err);
	if (reading->status < 0)
		return false;
	json_push(reading->kept, record);
	return true;
}

int journal_read(struct store *store, int64_t run_no, struct journal_head *head,
                 int (*found)(void *arg, const json_t *record, struct err *err), void *arg,
                 struct err *err)
{
	struct reading reading = { head, found, arg, err, 0, json_array() };
	int status = store->ops->records(store, run_no, head->seq + 1, keep, &reading, err);
	if (status == 0)
		status = reading.status;
	for (size_t i = 0; status == 0 && i < json_array_size(reading.kept); i++)
		status = found(arg, json_array_get(reading.kept, i), err);
	json_decref(reading.kept);
	return status;
}
