/* SPDX-License-Identifier: MIT */
/*
 * A machine on the bench: a chart given as text, a world that is described by a
 * few fields, inputs by short calls.  After every step the machine can be saved
 * and restored, so that each test is also one of machine_restore().
 */
#ifndef TESTS_RIG_H
#define TESTS_RIG_H

#include "machine/machine.h"
#include "script/script.h"

struct rig {
	struct script *script;
	struct chart *chart;
	struct machine *machine;
	struct machine_env env;
	struct machine_options options;
	struct arena arena;
	struct effects effects; /* of the last step */
	json_t *made;           /* inline answers of the last step */
	const json_t *answers;  /* to replay, or NULL */
	struct err err;
	int64_t now_ms;
	bool restarts;
	/* The world: a type that is refused, unreachable, answered inline, and the answer. */
	const char *refused, *unreachable, *inlined;
	const char *inline_result, *inline_failure; /* JSON text */
	int asked;                                  /* how often env->answer was called */
	const char *child_name, *child_text;        /* one file of the folder */
};

/* body goes into <scxml ... datamodel="lua">; attributes may add to the root element. */
void rig_init(struct rig *rig, const char *attributes, const char *body);
void rig_init_chart(struct rig *rig, const char *text);
void rig_release(struct rig *rig);
/* The inputs answer machine_step()'s status; rig->err has the reason. */
int rig_input(struct rig *rig, struct input *input);
int rig_start(struct rig *rig, const char *data);
int rig_event(struct rig *rig, const char *name, const char *data);
int rig_result(struct rig *rig, uint64_t number, const char *data);
int rig_element(struct rig *rig, uint64_t number, uint32_t element, const char *data);
int rig_failure(struct rig *rig, uint64_t number, const char *failure);
int rig_timer(struct rig *rig, uint64_t number);
int rig_queued(struct rig *rig);
int rig_cancel(struct rig *rig);
/* The n-th effect of this kind of the last step; NULL when there are fewer. */
const struct effect *rig_effect(const struct rig *rig, enum effect_kind kind, size_t n);
size_t rig_count(const struct rig *rig, enum effect_kind kind);
/* Static text, good until the next call: active atomic states "a b", a datum as JSON, any JSON. */
const char *rig_states(const struct rig *rig);
const char *rig_datum(const struct rig *rig, const char *name);
const char *rig_json(const json_t *json);

#endif
