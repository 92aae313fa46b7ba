/* SPDX-License-Identifier: MIT */
/*
 * What arrives for a run and waits its turn: inputs, answers of calls, what
 * people ask.  A blocked run goes on collecting; it is parked then: in memory,
 * but not counted among those that the engine waits for.
 */
#include <stdlib.h>

#include "run/run_commit.h"

struct intake *intake_new(enum intake_kind kind)
{
	struct intake *intake = mem_alloc(sizeof(*intake));
	intake->kind = kind;
	return intake;
}

void intake_free(struct intake *intake)
{
	json_decref(intake->input.data);
	json_decref(intake->input.failure);
	event_release(&intake->input.event);
	json_decref(intake->extra);
	free(intake->label);
	free(intake);
}

/* Calls under way; also those that only finish for the record. */
bool run_has_live_call(const struct run *run)
{
	for (size_t i = 0; i < run->calls.len; i++)
		if (run->calls.at[i]->plugin && run->calls.at[i]->state != CALL_ENDED)
			return true;
	return false;
}

/* Blocked, it keeps answers that cannot be taken: in memory, but nobody waits for it to leave. */
void run_park(struct run *run)
{
	if (run->is_parked || run_has_live_call(run))
		return;
	run->is_parked = true;
	engine_count(run->worker->engine, -1);
}

void run_unpark(struct run *run)
{
	if (!run->is_parked)
		return;
	run->is_parked = false;
	engine_count(run->worker->engine, 1);
}

void run_intake(struct run *run, struct intake *intake_taken)
{
	intake_taken->next = NULL;
	*run->last = intake_taken;
	run->last = &intake_taken->next;
	run->intake_count++;
	run_turn(run);
	if (run->reason && run->intake_count > 0 && !run->is_committing && !run->is_deciding)
		run_park(run);
}

/* A blocked run takes no input of its machine, but people and plugins go on around it. */
static bool may_take(const struct run *run, const struct intake *intake)
{
	return !run->reason || intake->kind != INTAKE_INPUT || intake->input.kind == INPUT_CANCEL;
}

static struct intake *unlink_intake(struct run *run, struct intake **at)
{
	struct intake *intake = *at;
	*at = intake->next;
	if (run->last == &intake->next)
		run->last = at;
	run->intake_count--;
	intake->next = NULL;
	return intake;
}

/* What was sent earlier comes first: the machine's own queue, then arrivals, then what is due. */
struct intake *run_next_intake(struct run *run)
{
	if (!run->reason && machine_has_queued(run->machine)) {
		struct intake *intake = intake_new(INTAKE_INPUT);
		intake->input.kind = INPUT_QUEUED;
		return intake;
	}
	for (struct intake **at = &run->first; *at; at = &(*at)->next)
		if (may_take(run, *at))
			return unlink_intake(run, at);
	uint64_t number;
	if (!run->reason &&
	    machine_next_due(run->machine, &number) <= engine_now(run->worker->engine)) {
		struct intake *intake = intake_new(INTAKE_INPUT);
		intake->input.kind = INPUT_TIMER;
		intake->input.number = number;
		return intake;
	}
	return NULL;
}

/* Taken from the queue and not decided: whoever waits for it is told. */
void intake_refuse(const struct intake *intake, const char *id, const char *text)
{
	struct err err = { 0 };
	err_set_id(&err, ERR_CONFLICT, id, "%s", text);
	reply_error(&intake->asker, &err);
}

/* What nobody but a repin can let in: whoever waits for it is told, answers of calls are kept. */
void run_refuse_waiting(struct run *run)
{
	for (struct intake **at = &run->first; *at;) {
		if (!(*at)->asker.cb) {
			at = &(*at)->next;
			continue;
		}
		struct intake *intake = unlink_intake(run, at);
		intake_refuse(intake, "run.blocked", "the run is blocked; repin it first");
		intake_free(intake);
	}
}
