/* SPDX-License-Identifier: MIT */
/*
 * Bytes as a stored record, with the hash that they have: somebody who can write
 * the store can do that much.  What must hold: it continues the chain or is
 * refused with a reason; what it says came in is an input or is refused; a sealed
 * record opens again.
 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/crypto.h"
#include "base/must.h"
#include "journal/journal.h"
#include "machine/machine.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void read_input(const json_t *record)
{
	struct arena arena;
	struct input input;
	struct err err = { 0 };
	arena_init(&arena);
	if (input_from_json(json_at(record, "input"), &arena, &input, &err) < 0) {
		must(err.text[0] != '\0');
	} else {
		json_t *json = input_to_json(&input);
		json_decref(json);
	}
	arena_release(&arena);
}

static void open_again(json_t *record)
{
	struct journal_head head = { 0 }, before = { 0 };
	struct err err = { 0 };
	json_t *again;
	size_t len;
	char *text = journal_seal(&head, "step", 1, record, &len);
	must(journal_open(&before, 1, head.hash, (struct str){ text, len }, &again, &err) == 0);
	must(memcmp(&before, &head, sizeof(head)) == 0);
	json_decref(again);
	free(text);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	static const char prefix[] = "gw-journal-v1\n";
	struct str bytes = { (const char *)data, size };
	struct journal_head head = { 0 };
	struct err err = { 0 };
	unsigned char hash[JOURNAL_HASH_BYTES];
	json_t *record = NULL;
	crypto_sha256_two(str_of(prefix), bytes, hash);
	if (journal_open(&head, 1, hash, bytes, &record, &err) < 0) {
		must(err.text[0] != '\0' && head.seq == 0);
		record = json_loadb(bytes.ptr, size, JSON_REJECT_DUPLICATES, NULL);
	}
	if (json_is_object(record)) {
		read_input(record);
		open_again(record);
	}
	json_decref(record);
	return 0;
}
