/* SPDX-License-Identifier: MIT */
/*
 * What a machine asks of the world.  Effects of one step are made in an arena
 * that the caller gives and gone when it is cleared; JSON members are owned by
 * that arena too.
 *
 * number is the effect counter of the machine: it never repeats within a run
 * and is part of every idempotency key (DESIGN.md 4).
 */
#ifndef MACHINE_EFFECT_H
#define MACHINE_EFFECT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/vec.h"
#include "chart/chart.h"

enum effect_kind {
	EFFECT_CALL = 1,   /* start an action; its result comes back as INPUT_RESULT */
	EFFECT_SEND,       /* the same, fire and forget: only a failure reaches the chart */
	EFFECT_CANCEL,     /* the chart left the state of a call: drop, abort or file as late */
	EFFECT_TIMER,      /* fire INPUT_TIMER with this number at due_ms */
	EFFECT_TIMER_STOP, /* it is no longer wanted */
	EFFECT_HTTP_EVENT, /* BasicHTTP event processor: POST to target */
	EFFECT_EVENT,      /* to a session that is not of this machine: target is its location */
	EFFECT_LOG,        /* <log> */
	EFFECT_DROPPED,    /* an error event that no transition took (recorded and shown) */
	EFFECT_DONE        /* the root session ended; data is its result, or NULL */
};

struct effect {
	enum effect_kind kind;
	uint64_t number;
	uint32_t element;    /* of gw:each, from 0 */
	uint32_t elements;   /* how many the gw:each has; 0 when there is no gw:each */
	const char *session; /* id of the session that asks; NULL: the root */
	const char *state;   /* id of the state it came from, for people; may be NULL */
	const char *id;      /* invokeid or sendid; may be NULL for a send */
	const char *type;    /* plugin name or built-in type */
	const char *action;  /* src of an invoke, event of a send */
	const char *target;  /* EFFECT_EVENT, EFFECT_HTTP_EVENT */
	json_t *data;        /* parameters, event data, log value; NULL: none */
	json_t *renders;     /* {"param": "template file"} of gw:render; NULL: none */
	const struct chart_dispatch *dispatch; /* never NULL for CALL and SEND */
	int64_t due_ms;                        /* TIMER */
	const char *label;                     /* LOG */
};

struct effects {
	struct arena *arena;
	struct effect *at;
	size_t len, size; /* VEC shape; memory of at belongs to effects_release */
};

void effects_init(struct effects *effects, struct arena *arena);
void effects_release(struct effects *effects);
/* Everything but pointers into the chart becomes JSON (dispatch included); new.
 * Stable: it is journaled. */
json_t *effect_to_json(const struct effect *effect);

#endif
