/* SPDX-License-Identifier: MIT */
/* What the files of wire/ that speak libcurl share. */
#ifndef WIRE_CURL_INT_H
#define WIRE_CURL_INT_H

#include <curl/curl.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "wire/wire_int.h"

/* Which command of an SMTP dialogue waits for its reply. */
enum wire_smtp_step {
	WIRE_SMTP_HELLO, /* greeting, EHLO, STARTTLS, AUTH */
	WIRE_SMTP_FROM,
	WIRE_SMTP_TO,
	WIRE_SMTP_DATA,
	WIRE_SMTP_BODY, /* 354 was seen: the message is on its way */
	WIRE_SMTP_OVER  /* what follows (QUIT) says nothing about the mail */
};

struct wire_smtp {
	enum wire_smtp_step step;
	size_t pending[LIMIT_MAIL_RECIPIENTS]; /* indexes of the recipients of this attempt */
	size_t pending_count, next;
	int code; /* of the last refusal that ends the transaction */
	bool has_left, is_accepted;
	char text[128]; /* the words of the last reply */
};

/*
 * A mail on a thread of the pool.  curl waits for the last word of an SMTP server
 * (and for the answer to QUIT) without giving the loop back, so a mail must not
 * be on the loop's thread.  The job outlives the wire: the pool calls back last.
 */
enum wire_job_state { WIRE_JOB_QUEUED, WIRE_JOB_RUNNING, WIRE_JOB_OVER };

struct wire_job {
	pthread_mutex_t lock;
	pthread_cond_t over;
	enum wire_job_state state;
	bool is_dropped;              /* nobody waits for it any more */
	struct wire_slot *slot;       /* the job's own while it runs */
	struct wire_job *prev, *next; /* of the wire's jobs, unless dropped */
	CURLcode result;
};

/* One transfer.  The easy handle keeps what is the same for all of its kind. */
struct wire_slot {
	CURL *easy;
	struct wire *wire;
	struct wire_request *request;
	struct wire_slot *next_free;
	bool is_mail;
	char *ca_file; /* set in the handle */
	struct buf url;
	VEC(struct curl_slist) list; /* header lines, or recipients */
	struct buf body;
	struct buf head; /* the reply's headers: name NUL value NUL ... */
	VEC(struct wire_header) headers;
	size_t head_bytes, head_lines;
	size_t uploaded;
	struct wire_smtp smtp;
	struct wire_job *job;
	atomic_bool is_aborted; /* looked at by the running transfer */
	bool was_private, is_too_large, has_connected, was_resend;
	char error[CURL_ERROR_SIZE];
};

/* A socket that curl uses.  Those we opened stay watched while they idle in curl's pool, so that
 * a kept connection costs no system call between two requests. */
struct wire_socket {
	struct loop_watch *watch;
	int armed, wanted; /* LOOP_READ | LOOP_WRITE */
	bool is_ours;
};

struct wire_curl {
	struct wire *wire;
	CURLM *multi;
	struct loop_timer *timer;
	int64_t timer_ms, due_ms;        /* what is armed, what curl wants; INT64_MAX: nothing */
	VEC(struct wire_socket) sockets; /* by file descriptor */
	struct wire_slot *free_http, *free_mail;
	size_t free_count;
	struct wire_job *jobs; /* mails on their way */
};

/* wire_curl.c */
curl_socket_t wire_curl_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address);
int wire_curl_close(void *arg, curl_socket_t fd);

/* wire_transfer.c */
struct wire_slot *wire_slot_new(struct wire *wire, bool is_mail);
void wire_slot_free(struct wire_slot *slot);
void wire_slot_clear(struct wire_slot *slot);
void wire_slot_prepare(struct wire_slot *slot);                  /* from slot->request */
void wire_slot_collect(struct wire_slot *slot, CURLcode result); /* into request->reply */
bool wire_slot_may_have_left(const struct wire_slot *slot);
void wire_slot_set_long(struct wire_slot *slot, CURLoption option, long value);
void wire_slot_set_pointer(struct wire_slot *slot, CURLoption option, const void *value);
void wire_slot_set_size(struct wire_slot *slot, CURLoption option, size_t value);

/* wire_smtp.c */
void wire_smtp_constants(struct wire_slot *slot);
void wire_smtp_prepare(struct wire_slot *slot);
void wire_smtp_collect(struct wire_slot *slot, CURLcode result);
/* A mail's transfer, from the stage; and its end before its time. */
void wire_smtp_start(struct wire_slot *slot);
bool wire_smtp_cancel(struct wire_slot *slot);
void wire_smtp_line(struct wire_slot *slot, const char *line, size_t len); /* of a reply */

#endif
