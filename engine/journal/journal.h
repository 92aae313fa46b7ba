/* SPDX-License-Identifier: MIT */
/*
 * What a record is.  A run's journal is a chain of records, numbered from 1;
 * each is one canonical JSON object and names the hash of the one before it,
 * so that any edit, removal, insertion or reorder is found (DESIGN.md 6).
 *
 *   {"v":1, "seq":N, "kind":"step", "at":ms, "prev":"<64 hex>", ...}
 *   hash = SHA-256("gw-journal-v1\n" followed by the bytes of the record)
 *
 * Kinds have names that are never reused:
 *   start    the run's pins and input, and the first step
 *   step     one input of the machine, what it decided, what it asks for
 *   request  a later request of an action, before it leaves
 *   task     a person's work on a checklist item
 *   late     the answer of a call the chart no longer wanted: evidence only
 *   unsure   an effect that may have happened: a person must look
 *   blocked  nothing could be decided; the input is kept for a retry
 *   repin    the run moved to other versions
 *   resume   what was blocked is tried once more
 *   retry    the call whose failure blocked the run goes out once more
 *   fork     the first record of a run that begins where another one stood
 *   assign   a task went to somebody else
 */
#ifndef JOURNAL_H
#define JOURNAL_H

#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/json.h"
#include "store/store.h"

enum { JOURNAL_HASH_BYTES = 32 };

/* The last record of a journal; seq 0 and zeroes before the first. */
struct journal_head {
	int64_t seq;
	unsigned char hash[JOURNAL_HASH_BYTES];
};

/*
 * Completes body (adds v, seq, kind, at, prev), advances head and gives the
 * bytes to store (*ret_len of them, to be freed).  body is borrowed.
 */
char *journal_seal(struct journal_head *head, const char *kind, int64_t at_ms, json_t *body,
                   size_t *ret_len);

/*
 * Reads a stored record and advances head: ERR_STORE with id journal.broken and
 * the first bad seq when it does not continue the chain.  hash is the stored one.
 */
int journal_open(struct journal_head *head, int64_t seq, const unsigned char *hash,
                 struct str bytes, json_t **ret, struct err *err) ATTR_MUST_USE;

/* All records of a run from from_seq on, checked against head (the one before them) and given
 * to found, which returns 0 or the error it set.  head advances. */
int journal_read(struct store *store, int64_t run_no, struct journal_head *head,
                 int (*found)(void *arg, const json_t *record, struct err *err), void *arg,
                 struct err *err) ATTR_MUST_USE;

#endif
