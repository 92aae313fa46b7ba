/* SPDX-License-Identifier: MIT */
/*
 * A mail through curl's SMTP.  One transaction for all recipients; a refused one
 * does not end it (MAIL_RCPT_ALLLOWFAILS).  curl keeps only the last reply code,
 * so the dialogue is followed here: commands through the debug callback, replies
 * through the header callback, and each recipient gets its own answer.
 *
 * curl blocks for an SMTP server's last word, also with the multi interface, so
 * a mail is one curl_easy_perform on a thread of the loop's pool, and its
 * connection ends with it.
 *
 * Until the server said 354 nothing has left; after it, only its last word tells
 * whether the mail was taken.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/must.h"
#include "wire/wire_curl_int.h"

static bool is_command(const char *bytes, size_t len, const char *command)
{
	return len >= strlen(command) && strncmp(bytes, command, strlen(command)) == 0;
}

static int follow(CURL *easy, curl_infotype type, char *bytes, size_t len, void *arg)
{
	struct wire_slot *slot = arg;
	struct wire_smtp *smtp = &slot->smtp;
	(void)easy;
	if (type != CURLINFO_HEADER_OUT)
		return 0;
	if (is_command(bytes, len, "MAIL FROM:"))
		smtp->step = WIRE_SMTP_FROM;
	else if (is_command(bytes, len, "RCPT TO:"))
		smtp->step = WIRE_SMTP_TO;
	else if (is_command(bytes, len, "DATA"))
		smtp->step = WIRE_SMTP_DATA;
	else if (is_command(bytes, len, "QUIT"))
		smtp->step = WIRE_SMTP_OVER;
	return 0;
}

static void keep_words(char *to, size_t size, const char *line, size_t len)
{
	while (len > 0 && (line[len - 1] == '\r' || line[len - 1] == '\n'))
		len--;
	snprintf(to, size, "%.*s", (int)(len < size ? len : size - 1), line);
}

static void take_recipient(struct wire_slot *slot, int code, const char *line, size_t len)
{
	struct wire_smtp *smtp = &slot->smtp;
	if (smtp->next >= smtp->pending_count)
		return;
	size_t index = smtp->pending[smtp->next++];
	struct wire_recipient *recipient = &slot->request->envelope->recipients[index];
	recipient->code = code;
	keep_words(recipient->text, sizeof(recipient->text), line, len);
}

void wire_smtp_line(struct wire_slot *slot, const char *line, size_t len)
{
	struct wire_smtp *smtp = &slot->smtp;
	bool is_reply = len >= 4 && line[0] >= '2' && line[0] <= '5' && line[1] >= '0' &&
	                line[1] <= '9' && line[2] >= '0' && line[2] <= '9';
	if (!is_reply || line[3] == '-')
		return; /* more lines of this reply follow */
	if (smtp->step == WIRE_SMTP_OVER)
		return;
	int code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
	keep_words(smtp->text, sizeof(smtp->text), line, len);
	switch (smtp->step) {
	case WIRE_SMTP_HELLO:
	case WIRE_SMTP_FROM:
		if (code >= 400)
			smtp->code = code;
		break;
	case WIRE_SMTP_TO: take_recipient(slot, code, line, len); break;
	case WIRE_SMTP_DATA:
		if (code == 354) {
			smtp->step = WIRE_SMTP_BODY;
			smtp->has_left = true;
		} else {
			smtp->code = code;
		}
		break;
	case WIRE_SMTP_BODY:
		smtp->has_left = false; /* answered */
		smtp->is_accepted = code < 300;
		smtp->code = smtp->is_accepted ? 0 : code;
		smtp->step = WIRE_SMTP_OVER;
		break;
	case WIRE_SMTP_OVER: break;
	}
}

static size_t give_bytes(char *bytes, size_t size, size_t count, void *arg)
{
	struct wire_slot *slot = arg;
	struct str message = slot->request->envelope->bytes;
	size_t len = message.len - slot->uploaded;
	if (len > size * count)
		len = size * count;
	memcpy(bytes, message.ptr + slot->uploaded, len);
	slot->uploaded += len;
	return len;
}

/* curl asks at least once a second, also while it waits. */
static int go_on(void *arg, curl_off_t down, curl_off_t down_now, curl_off_t up, curl_off_t up_now)
{
	struct wire_slot *slot = arg;
	(void)down;
	(void)down_now;
	(void)up;
	(void)up_now;
	return atomic_load(&slot->is_aborted) ? 1 : 0;
}

void wire_smtp_constants(struct wire_slot *slot)
{
	wire_slot_set_long(slot, CURLOPT_FORBID_REUSE, 1);
	wire_slot_set_long(slot, CURLOPT_NOPROGRESS, 0);
	must(curl_easy_setopt(slot->easy, CURLOPT_XFERINFOFUNCTION, go_on) == CURLE_OK);
	wire_slot_set_pointer(slot, CURLOPT_XFERINFODATA, slot);
	wire_slot_set_pointer(slot, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
	wire_slot_set_long(slot, CURLOPT_UPLOAD, 1);
	wire_slot_set_long(slot, CURLOPT_MAIL_RCPT_ALLLOWFAILS, 1);
	wire_slot_set_long(slot, CURLOPT_VERBOSE,
	                   1); /* for the debug callback; nothing is printed */
	must(curl_easy_setopt(slot->easy, CURLOPT_DEBUGFUNCTION, follow) == CURLE_OK);
	wire_slot_set_pointer(slot, CURLOPT_DEBUGDATA, slot);
	must(curl_easy_setopt(slot->easy, CURLOPT_READFUNCTION, give_bytes) == CURLE_OK);
	wire_slot_set_pointer(slot, CURLOPT_READDATA, slot);
}

/* Who has no final answer yet: not asked, or refused for now. */
static bool is_pending(const struct wire_recipient *recipient)
{
	return !recipient->is_accepted && recipient->code < 500;
}

void wire_smtp_prepare(struct wire_slot *slot)
{
	const struct wire_connection *connection = slot->request->connection;
	struct wire_envelope *envelope = slot->request->envelope;
	slot->smtp = (struct wire_smtp){ .step = WIRE_SMTP_HELLO };
	for (size_t i = 0; i < envelope->count; i++) {
		if (!is_pending(&envelope->recipients[i]))
			continue;
		envelope->recipients[i].code = 0;
		slot->smtp.pending[slot->smtp.pending_count++] = i;
		vec_add(&slot->list)->data = envelope->recipients[i].address;
	}
	must(slot->smtp.pending_count > 0);
	buf_put(&slot->url, connection->url.base);
	buf_put(&slot->url, "/");
	if (connection->hello_name)
		buf_put(&slot->url, connection->hello_name);
	wire_slot_set_pointer(slot, CURLOPT_URL, slot->url.bytes);
	wire_slot_set_long(slot, CURLOPT_USE_SSL,
	                   connection->is_clear_text ? CURLUSESSL_NONE : CURLUSESSL_ALL);
	wire_slot_set_pointer(slot, CURLOPT_USERNAME, connection->auth.user);
	wire_slot_set_pointer(slot, CURLOPT_PASSWORD, connection->auth.password);
	wire_slot_set_pointer(slot, CURLOPT_MAIL_FROM, envelope->from);
	wire_slot_set_size(slot, CURLOPT_INFILESIZE_LARGE, envelope->bytes.len);
}

/* The whole transaction was refused or taken: so was everybody the server had agreed to. */
static void settle_recipients(struct wire_slot *slot)
{
	struct wire_smtp *smtp = &slot->smtp;
	struct wire_envelope *envelope = slot->request->envelope;
	for (size_t i = 0; i < smtp->pending_count; i++) {
		struct wire_recipient *recipient = &envelope->recipients[smtp->pending[i]];
		bool was_agreed = i < smtp->next && recipient->code < 300;
		if (smtp->is_accepted && was_agreed) {
			recipient->is_accepted = true;
		} else if (smtp->code && (was_agreed || i >= smtp->next)) {
			recipient->code = smtp->code;
			snprintf(recipient->text, sizeof(recipient->text), "%s", smtp->text);
		}
	}
}

/* The code that decides about another attempt: a refusal for now before one for ever. */
static int deciding_code(const struct wire_slot *slot)
{
	int ret = 0;
	const struct wire_envelope *envelope = slot->request->envelope;
	for (size_t i = 0; i < envelope->count; i++) {
		const struct wire_recipient *recipient = &envelope->recipients[i];
		if (recipient->is_accepted || recipient->code < 400)
			continue;
		if (ret == 0 || (recipient->code < 500 && ret >= 500))
			ret = recipient->code;
	}
	return ret;
}

void wire_smtp_collect(struct wire_slot *slot, CURLcode result)
{
	struct wire_request *request = slot->request;
	struct wire_smtp *smtp = &slot->smtp;
	const char *name = request->connection->name;
	settle_recipients(slot);
	request->reply.may_have_left = smtp->has_left;
	int code = deciding_code(slot);
	if (result == CURLE_LOGIN_DENIED)
		wire_reply_set(request, WIRE_AUTH, smtp->code,
		               "connection '%s' refused the login: %.100s", name, smtp->text);
	else if (smtp->is_accepted)
		wire_reply_set(request, WIRE_OK, code ? code : 250, "%s",
		               code ? "some recipients were refused" : "");
	else if (code && !smtp->has_left)
		wire_reply_set(request, WIRE_STATUS, code,
		               "connection '%s' refused the mail: %.100s", name, smtp->text);
	else if (result == CURLE_OK)
		wire_reply_set(request, WIRE_NETWORK, 0, "connection '%s' never took the mail",
		               name);
}

/* --- on a thread ------------------------------------------------------------------- */

static void unlist(struct wire_job *job)
{
	struct wire_curl *curl = job->slot->wire->curl;
	if (job->prev)
		job->prev->next = job->next;
	else
		curl->jobs = job->next;
	if (job->next)
		job->next->prev = job->prev;
}

/* A thread of the pool.  While it runs, slot and envelope are its own. */
static void job_run(void *arg)
{
	struct wire_job *job = arg;
	pthread_mutex_lock(&job->lock);
	bool may_run = !job->is_dropped;
	job->state = WIRE_JOB_RUNNING;
	pthread_mutex_unlock(&job->lock);
	CURLcode result = may_run ? curl_easy_perform(job->slot->easy) : CURLE_OK;
	pthread_mutex_lock(&job->lock);
	job->result = result;
	job->state = WIRE_JOB_OVER;
	pthread_cond_signal(&job->over);
	pthread_mutex_unlock(&job->lock);
}

/* The loop's thread, last of all. */
static void job_over(void *arg)
{
	struct wire_job *job = arg;
	bool is_dropped = job->is_dropped;
	struct wire_slot *slot = job->slot;
	CURLcode result = job->result;
	if (!is_dropped) {
		unlist(job);
		slot->job = NULL;
	}
	pthread_mutex_destroy(&job->lock);
	pthread_cond_destroy(&job->over);
	free(job);
	if (is_dropped)
		return;
	struct wire *wire = slot->wire;
	wire_slot_collect(slot, result);
	wire_up(slot->request);
	wire_turn(wire);
}

void wire_smtp_start(struct wire_slot *slot)
{
	struct wire_curl *curl = slot->wire->curl;
	struct wire_job *job = mem_alloc(sizeof(*job));
	pthread_mutex_init(&job->lock, NULL);
	pthread_cond_init(&job->over, NULL);
	job->slot = slot;
	job->next = curl->jobs;
	if (job->next)
		job->next->prev = job;
	curl->jobs = job;
	slot->job = job;
	struct loop *loop = slot->wire->loop;
	loop->ops->work(loop, job_run, job_over, job);
}

/* Not begun: gone at once.  Running: told to stop, and answered when it has. */
bool wire_smtp_cancel(struct wire_slot *slot)
{
	struct wire_job *job = slot->job;
	pthread_mutex_lock(&job->lock);
	bool is_queued = job->state == WIRE_JOB_QUEUED;
	if (is_queued)
		job->is_dropped = true;
	else
		atomic_store(&slot->is_aborted, true);
	pthread_mutex_unlock(&job->lock);
	if (is_queued) {
		unlist(job);
		slot->job = NULL;
	}
	return is_queued;
}

void wire_smtp_stop(struct wire_curl *curl)
{
	for (struct wire_job *job = curl->jobs; job; job = job->next)
		atomic_store(&job->slot->is_aborted, true);
	while (curl->jobs) {
		struct wire_job *job = curl->jobs;
		struct wire_slot *slot = job->slot;
		pthread_mutex_lock(&job->lock);
		while (job->state == WIRE_JOB_RUNNING)
			pthread_cond_wait(&job->over, &job->lock);
		CURLcode result = job->state == WIRE_JOB_OVER ? job->result
		                                              : CURLE_ABORTED_BY_CALLBACK;
		job->is_dropped = true;
		pthread_mutex_unlock(&job->lock);
		unlist(job);
		slot->job = NULL;
		slot->request->is_cancelled = true;
		wire_slot_collect(slot, result);
		wire_up(slot->request);
	}
}
