/* SPDX-License-Identifier: MIT */
/* Building commits; private to run/.  See run_commit.c. */
#ifndef RUN_COMMIT_H
#define RUN_COMMIT_H

#include "run/run_int.h"

struct commit *commit_new(struct run *run);
/* The text lives as long as the commit. */
const char *commit_keep(struct commit *commit, char *text_taken);
struct store_op *commit_op(struct commit *commit, enum store_op_kind kind);
/* Seals body as the run's next record and adds it. */
void commit_record(struct commit *commit, const char *kind, int64_t at_ms, json_t *body);
/* The files of the run's release that the store may not have yet. */
void commit_pins(struct commit *commit);
void commit_blobs_known(struct commit *commit);
void commit_submit(struct commit *commit);
/* What the run waits for as it stands now. */
int run_status_now(const struct run *run, int64_t *ret_wake_ms);

#endif
