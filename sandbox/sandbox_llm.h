/* SPDX-License-Identifier: MIT */
/* What the files of the LLM stand-in share. */
#ifndef SANDBOX_LLM_H
#define SANDBOX_LLM_H

#include "sandbox/sandbox.h"

/* Keeps the schema to the strict subset?  If not, the fault says why. */
bool llm_schema_is_strict(const json_t *schema, char fault[300]);
/* A value that fulfils the schema; hint is used wherever it fits (NULL: none). */
json_t *llm_value_new(const json_t *schema, const json_t *hint, const char *question);
/* The text of the answer to a request; own is the account's "llm" or NULL. */
char *llm_answer_new(struct sandbox *box, const json_t *body, const json_t *own,
                     const char *question);
/* The calls of tools that tool_choice demands; NULL when it demands none. */
json_t *llm_tool_calls_new(const json_t *body, const char *question);

/* What the model says, in the words of Chat Completions, which the other two are put into. */
struct llm_said {
	json_t *message;     /* {"role","content","refusal","tool_calls"} */
	const char *finish;  /* "stop", "length", "tool_calls", ...; as long as the scenario */
	int64_t asked, said; /* tokens */
};
/* chat: {"messages","response_format","tools","tool_choice","max_completion_tokens"} */
void llm_say(struct sandbox *box, const struct request *request, const json_t *chat,
             struct llm_said *ret);
void llm_said_release(struct llm_said *said);
/* The account's scenario may hold "refusal": its text, or NULL. */
const char *llm_refusal(const struct llm_said *said);
/* Bytes of the next piece of a streamed text; 0 at its end. */
size_t llm_piece_len(const char *text);
/* "event: NAME" (NULL: none) and "data: JSON". */
void llm_event_put(struct reply *reply, const char *name, const json_t *event);
bool llm_model_is_known(const char *model);
void llm_error(struct reply *reply, int status, const char *type, const char *code,
               const char *parameter, const char *message);

/* sandbox_llm_responses.c */
void llm_responses(struct sandbox *, struct request *, const struct parts *, struct reply *);
void llm_response_show(struct sandbox *, struct request *, const struct parts *, struct reply *);
void llm_response_delete(struct sandbox *, struct request *, const struct parts *, struct reply *);
/* sandbox_llm_anthropic.c */
void anthropic_serve(struct sandbox *, struct request *, struct reply *);
void anthropic_refuse(int status, struct reply *reply);
/* sandbox_llm_bedrock.c */
void bedrock_serve(struct sandbox *, struct request *, struct reply *);
void bedrock_refuse(int status, struct reply *reply);
/* sandbox_llm_sigv4.c: why the signature of a request is refused, or NULL. */
const char *sigv4_fault(const struct request *request);

#endif
