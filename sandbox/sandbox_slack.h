/* SPDX-License-Identifier: MIT */
/* What the files of the Slack stand-in share: channels, messages, signatures. */
#ifndef SANDBOX_SLACK_H
#define SANDBOX_SLACK_H

#include "sandbox/sandbox.h"

enum { SLACK_CHANNEL_ID_BYTES = 16 };

struct slack_channel {
	char id[SLACK_CHANNEL_ID_BYTES];
	char name[96];
};

void slack_fail(struct reply *reply, const char *error);
/* id NULL: made from the name. */
void slack_channel_set(struct slack_channel *channel, const char *id, const char *name);
/* By id or name; the error, or NULL with the channel. */
const char *slack_channel_find(struct sandbox *box, const char *wanted, struct slack_channel *ret);
/* What is wrong with text and blocks, or NULL. */
const char *slack_content_fault(const json_t *arguments);
/* Borrowed, or NULL. */
json_t *slack_message_find(const struct sandbox *box, const char *channel, const char *ts);
json_t *slack_shown_new(const json_t *message);
/* Serves the method; false: it is none of these. */
bool slack_more_serve(struct sandbox *box, const char *method, const json_t *arguments,
                      struct reply *reply);
/* Answers with {"headers","body"}: the request that Slack would send. */
void slack_signed(int64_t now_s, struct str body, struct reply *reply);

#endif
