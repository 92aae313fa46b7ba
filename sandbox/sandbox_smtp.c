/* SPDX-License-Identifier: MIT */
/*
 * The SMTP sink: takes what a strict server takes and keeps it.  Lines end in
 * CRLF; a bare LF or CR spoils a command, and a message as a whole (that is the
 * gap through which a second message could be smuggled).  Addresses on a
 * scenario's "refuse" list get 550.  A fault strikes at the end of DATA, where
 * a real server decides, too.
 *
 * One thread accepts, one per session; both end when the sandbox does.
 */
#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/must.h"
#include "sandbox/sandbox.h"
#include "sandbox/sandbox_mime.h"

enum {
	SESSIONS_MAX = 100,
	IDLE_MS = 120000,
	COMMAND_BYTES_MAX = 2000,
	TEXT_LINE_BYTES_MAX = 998, /* RFC 5321, without CRLF */
	RECIPIENTS_MAX = 100
};

struct smtp {
	struct sandbox *box;
	int fd;
	bool is_tls; /* from the first byte */
	pthread_t acceptor;
	pthread_mutex_t lock;
	pthread_cond_t quiet;
	int sessions;
};

struct session {
	struct smtp *smtp;
	struct sandbox *box;
	int fd;
	struct tls_session *tls; /* NULL: in the clear */
	char in[8192];
	size_t in_len, in_at;
	bool has_greeted, is_over, is_authenticated;
	char *from; /* NULL: no MAIL yet */
	json_t *recipients;
};

/* --- lines ---------------------------------------------------------------------- */

static void say(struct session *session, const char *format, ...) ATTR_PRINTF(2, 3);

static void say(struct session *session, const char *format, ...)
{
	char line[1024];
	va_list args;
	va_start(args, format);
	int len = vsnprintf(line, sizeof(line) - 2, format, args);
	va_end(args);
	if (len > (int)sizeof(line) - 3)
		len = (int)sizeof(line) - 3;
	memcpy(line + len, "\r\n", 2);
	for (size_t sent = 0; sent < (size_t)len + 2;) {
		size_t left = (size_t)len + 2 - sent;
		ssize_t got = session->tls ? tls_write(session->tls, line + sent, left)
		                           : send(session->fd, line + sent, left, MSG_NOSIGNAL);
		if (got <= 0) {
			session->is_over = true;
			return;
		}
		sent += (size_t)got;
	}
}

static bool fill(struct session *session)
{
	struct pollfd polls[2] = { { .fd = session->fd, .events = POLLIN },
		                   { .fd = session->box->stop_fd, .events = POLLIN } };
	int ready = session->tls && tls_has_more(session->tls);
	while (ready == 0 || (ready < 0 && errno == EINTR)) {
		ready = poll(polls, 2, IDLE_MS);
		if (ready == 0)
			return false;
	}
	if (ready < 0 || polls[1].revents)
		return false;
	ssize_t got = session->tls ? tls_read(session->tls, session->in, sizeof(session->in))
	                           : recv(session->fd, session->in, sizeof(session->in), 0);
	session->in_at = 0;
	session->in_len = got > 0 ? (size_t)got : 0;
	return got > 0;
}

enum line_end { LINE_GOOD, LINE_BARE, LINE_LONG, LINE_NONE };

/* One line without its end.  Bare: a CR or LF that is no part of CRLF was in it. */
static enum line_end read_line(struct session *session, struct buf *line, size_t max)
{
	bool is_long = false, is_bare = false, after_cr = false;
	buf_clear(line);
	for (;;) {
		if (session->in_at == session->in_len && !fill(session)) {
			session->is_over = true;
			return LINE_NONE;
		}
		char c = session->in[session->in_at++];
		if (c == '\n') {
			is_bare |= !after_cr;
			break;
		}
		is_bare |= after_cr;
		after_cr = c == '\r';
		if (after_cr)
			continue;
		if (line->len >= max)
			is_long = true;
		else
			buf_put_len(line, &c, 1);
	}
	buf_put(line, "");
	return is_bare ? LINE_BARE : is_long ? LINE_LONG : LINE_GOOD;
}

/* --- commands ------------------------------------------------------------------- */

static void forget(struct session *session)
{
	free(session->from);
	session->from = NULL;
	json_array_clear(session->recipients);
}

static bool is_address(const char *text, size_t len)
{
	const char *at = memrchr(text, '@', len);
	size_t name = at ? (size_t)(at - text) : 0;
	if (name == 0 || name > 64 || len - name < 2 || len > 254)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isgraph((unsigned char)text[i]) || strchr("<>(),;:\\\"[]", text[i]))
			return false;
	return true;
}

/* "FROM:<ann@acme.example> SIZE=123": the address, new; *ret_rest the parameters. */
static char *path_new(const char *text, const char *word, bool may_be_empty, const char **ret_rest)
{
	size_t len = strlen(word);
	if (strncasecmp(text, word, len) != 0)
		return NULL;
	text += len + strspn(text + len, " ");
	const char *end = *text == '<' ? strchr(text, '>') : NULL;
	size_t size = end ? (size_t)(end - text - 1) : 0;
	if (!end || (end[1] && end[1] != ' ') || (size == 0 && !may_be_empty) ||
	    (size > 0 && !is_address(text + 1, size)))
		return NULL;
	*ret_rest = end + 1;
	return mem_dup(text + 1, size);
}

static void greet(struct session *session, bool is_extended)
{
	const struct sandbox *box = session->box;
	forget(session);
	session->has_greeted = true;
	if (!is_extended) {
		say(session, "250 gangway-sandbox");
		return;
	}
	say(session, "250-gangway-sandbox greets you");
	say(session, "250-PIPELINING");
	say(session, "250-SIZE %d", MAX_MAIL_BYTES);
	say(session, "250-8BITMIME");
	if (box->tls && !session->tls)
		say(session, "250-STARTTLS");
	if (session->tls || !box->tls || !box->wants_mail_login)
		say(session, "250-AUTH PLAIN");
	say(session, "250 ENHANCEDSTATUSCODES");
}

static void mail(struct session *session, const char *rest)
{
	const char *parameters = "";
	char *from = path_new(rest, "FROM:", true, &parameters);
	const char *size = from ? strcasestr(parameters, "SIZE=") : NULL;
	if (!session->has_greeted)
		say(session, "503 5.5.1 EHLO first");
	else if (session->box->wants_mail_login && !session->is_authenticated)
		say(session, "530 5.7.0 authentication required");
	else if (session->from)
		say(session, "503 5.5.1 a transaction is open already");
	else if (!from)
		say(session, "501 5.1.7 MAIL FROM:<address> is expected");
	else if (size && strtoll(size + 5, NULL, 10) > MAX_MAIL_BYTES)
		say(session, "552 5.3.4 the message is too big");
	else {
		session->from = from;
		say(session, "250 2.1.0 sender accepted");
		return;
	}
	free(from);
}

static bool is_listed(const json_t *list, const char *address)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);
		if (json_is_string(one) && strcasecmp(json_string_value(one), address) == 0)
			return true;
	}
	return false;
}

static bool is_refused(struct sandbox *box, const char *address)
{
	bool refused = false;
	pthread_mutex_lock(&box->lock);
	scenario_refresh(box);
	for (size_t i = 0; i < box->scenarios.len; i++) {
		const json_t *data = box->scenarios.at[i]->data;
		refused |= is_listed(json_at(data, "refuse"), address) ||
		           is_listed(json_path(data, "smtp.refuse"), address);
	}
	pthread_mutex_unlock(&box->lock);
	return refused;
}

static void recipient(struct session *session, const char *rest)
{
	const char *parameters;
	char *to = path_new(rest, "TO:", false, &parameters);
	if (!session->from)
		say(session, "503 5.5.1 MAIL first");
	else if (!to)
		say(session, "501 5.1.3 RCPT TO:<address> is expected");
	else if (json_array_size(session->recipients) >= RECIPIENTS_MAX)
		say(session, "452 4.5.3 too many recipients");
	else if (is_refused(session->box, to))
		say(session, "550 5.1.1 <%s>: no such mailbox", to);
	else {
		json_push(session->recipients, json_text(str_of(to)));
		say(session, "250 2.1.5 recipient accepted");
	}
	free(to);
}

static void authenticate(struct session *session, const char *rest, struct buf *line)
{
	struct buf text;
	if (session->box->wants_mail_login && session->box->tls && !session->tls) {
		say(session, "538 5.7.11 STARTTLS first");
		return;
	}
	if (strncasecmp(rest, "PLAIN", 5) != 0) {
		say(session, "504 5.5.4 only PLAIN is offered");
		return;
	}
	rest += 5 + strspn(rest + 5, " ");
	if (!*rest) {
		say(session, "334 ");
		if (read_line(session, line, COMMAND_BYTES_MAX) != LINE_GOOD)
			return;
		rest = buf_str(line).ptr;
	}
	static const char want[] = "\0" SMTP_USER "\0" SMTP_PASSWORD;
	buf_init(&text, COMMAND_BYTES_MAX);
	bool good = url_base64_decode(str_of(rest), &text);
	/* The authorisation identity before the first NUL may repeat the user's name. */
	const char *first = good && text.len ? memchr(text.bytes, '\0', text.len) : NULL;
	size_t left = first ? text.len - (size_t)(first - text.bytes) : 0;
	session->is_authenticated = left == sizeof(want) - 1 && memcmp(first, want, left) == 0;
	say(session, session->is_authenticated ? "235 2.7.0 authenticated"
	                                       : "535 5.7.8 credentials refused");
	buf_release(&text);
}

/* What came before the handshake, pipelined in the clear, must not count after it. */
static void start_tls(struct session *session)
{
	if (!session->box->tls || session->tls) {
		say(session, "502 5.5.1 TLS is not to be had here");
		return;
	}
	say(session, "220 2.0.0 ready");
	forget(session);
	session->has_greeted = session->is_authenticated = false;
	session->in_at = session->in_len = 0;
	session->tls = tls_accept(session->box, session->fd);
	session->is_over = !session->tls;
}

/* --- messages ------------------------------------------------------------------- */

/* Why a message is not taken, or NULL. */
static const char *read_message(struct session *session, struct buf *line, struct buf *message)
{
	const char *fault = NULL;
	for (;;) {
		enum line_end end = read_line(session, line, TEXT_LINE_BYTES_MAX);
		struct err full = { 0 };
		if (end == LINE_NONE)
			return "the connection was closed within DATA";
		if (end == LINE_GOOD && str_is(buf_str(line), "."))
			return fault;
		if (end == LINE_BARE)
			fault = "554 5.6.0 bare CR or LF: lines end in CRLF";
		else if (end == LINE_LONG)
			fault = "554 5.6.0 a line has more than 998 bytes";
		size_t dot = line->len > 0 && line->bytes[0] == '.';
		if (!fault &&
		    (buf_add(message, buf_str(line).ptr + dot, line->len - dot, &full) < 0 ||
		     buf_add(message, "\r\n", 2, &full) < 0))
			fault = "552 5.3.4 the message is too big";
	}
}

static void put_account(struct sandbox *box, json_t *mail_data, struct request *request)
{
	char *text = json_canon(mail_data);
	const struct scenario *scenario = scenario_mentioned(box, str_of(text));
	if (scenario)
		request_account_set(request, scenario->account_id);
	json_put(mail_data, "account",
	         scenario ? json_text(str_of(scenario->account_id)) : json_null());
	free(text);
}

/* A memory of mails is bounded in bytes, too. */
static void keep_mail(struct sandbox *box, json_t *mail_taken, size_t size)
{
	box->mail_bytes += size;
	json_push(box->mails, mail_taken);
	while (json_array_size(box->mails) > 1 &&
	       (json_array_size(box->mails) > MAX_KEPT || box->mail_bytes > MAX_MAIL_STORE_BYTES)) {
		box->mail_bytes -= (size_t)json_int(json_array_get(box->mails, 0), "size", 0);
		json_array_remove(box->mails, 0);
	}
}

static char *envelope_text_new(const struct session *session)
{
	struct buf text;
	buf_init(&text, MAX_BODY_BYTES);
	buf_printf(&text, "<%s> ->", session->from);
	for (size_t i = 0; i < json_array_size(session->recipients); i++)
		buf_printf(&text, " <%s>",
		           json_string_value(json_array_get(session->recipients, i)));
	return buf_take(&text);
}

static int status_of(const struct fault *fault)
{
	if (fault->kind != FAULT_STATUS)
		return 250;
	if (fault->status == 401)
		return 530;
	return fault->status == 429 || fault->status >= 500 ? 451 : 554;
}

/* Keeps the mail unless the fault refuses it; the SMTP status to answer with. */
static int file_mail(struct session *session, const struct buf *message, struct fault *ret_fault)
{
	struct sandbox *box = session->box;
	char at[CLOCK_ISO_BYTES];
	struct request request = { .system = SYSTEM_SMTP,
		                   .method = mem_dup_str("DATA"),
		                   .target = envelope_text_new(session),
		                   .body = buf_str(message),
		                   .auth = session->is_authenticated ? AUTH_ACCEPTED
		                                                     : AUTH_UNCHECKED };
	json_t *parsed = mime_mail_new(buf_str(message)), *data = json_object();
	bool has_from = false;
	const char *name;
	json_t *value;
	json_object_foreach(json_at(parsed, "headers"), name, value)
		has_from |= strcasecmp(name, "From") == 0;
	pthread_mutex_lock(&box->lock);
	request.now_ms = clock_wall_ms(&box->clock);
	clock_iso(request.now_ms, at);
	json_put_int(data, "seq", box->mail_count + 1);
	json_put_str(data, "at", at);
	json_put_str(data, "from", session->from);
	json_put(data, "to", json_deep_copy(session->recipients));
	json_object_update(data, parsed);
	json_put_int(data, "size", (int64_t)message->len);
	json_put(data, "authenticated", json_boolean(session->is_authenticated));
	scenario_refresh(box);
	put_account(box, data, &request);
	*ret_fault = fault_next(box, SYSTEM_SMTP, request.target,
	                        request.account ? scenario_find(box, request.account) : NULL);
	int status = has_from ? status_of(ret_fault) : 550;
	bool is_answered = ret_fault->kind != FAULT_TIMEOUT && ret_fault->kind != FAULT_LOST;
	if (status == 250 && ret_fault->kind != FAULT_TIMEOUT) {
		box->mail_count++;
		keep_mail(box, json_incref(data), message->len);
	}
	log_request(box, &request, is_answered ? status : 0, ret_fault->name);
	pthread_mutex_unlock(&box->lock);
	json_decref(parsed);
	json_decref(data);
	request_release(&request);
	return status;
}

static void answer_mail(struct session *session, int status, const struct fault *fault)
{
	if (fault->kind == FAULT_TIMEOUT || fault->kind == FAULT_SLOW)
		sandbox_wait(session->box, session->fd, fault->delay_ms);
	if (fault->kind == FAULT_TIMEOUT || fault->kind == FAULT_LOST) {
		session->is_over = true;
	} else if (fault->kind == FAULT_HALF) {
		if (session->tls)
			(void)tls_write(session->tls, "25", 2);
		else
			(void)!send(session->fd, "25", 2, MSG_NOSIGNAL);
		session->is_over = true;
	} else if (fault->kind == FAULT_GARBAGE) {
		say(session, "<html>Scheduled maintenance</html>");
	} else if (status == 250) {
		say(session, "250 2.0.0 message accepted");
	} else if (status == 451) {
		say(session, "451 4.3.0 try again later");
	} else if (status == 550) {
		say(session, "550 5.7.1 the From header is missing");
	} else {
		say(session, "%d 5.7.1 message refused", status);
	}
}

static void data(struct session *session, struct buf *line)
{
	if (!session->from || json_array_size(session->recipients) == 0) {
		say(session, "503 5.5.1 MAIL and RCPT first");
		return;
	}
	struct buf message;
	struct fault fault = { .kind = FAULT_NONE };
	buf_init(&message, MAX_MAIL_BYTES);
	say(session, "354 end with <CRLF>.<CRLF>");
	const char *refusal = read_message(session, line, &message);
	if (session->is_over)
		refusal = "";
	else if (refusal)
		say(session, "%s", refusal);
	if (!refusal) {
		int status = file_mail(session, &message, &fault);
		answer_mail(session, status, &fault);
	}
	buf_release(&message);
	forget(session);
}

/* --- sessions ------------------------------------------------------------------- */

static void command(struct session *session, struct buf *line)
{
	const char *text = buf_str(line).ptr;
	size_t len = strcspn(text, " ");
	const char *rest = text + len + strspn(text + len, " ");
	char verb[16];
	snprintf(verb, sizeof(verb), "%.*s", (int)(len < 15 ? len : 15), text);
	if (strcasecmp(verb, "EHLO") == 0 || strcasecmp(verb, "HELO") == 0)
		greet(session, toupper((unsigned char)*verb) == 'E');
	else if (strcasecmp(verb, "MAIL") == 0)
		mail(session, rest);
	else if (strcasecmp(verb, "RCPT") == 0)
		recipient(session, rest);
	else if (strcasecmp(verb, "DATA") == 0)
		data(session, line);
	else if (strcasecmp(verb, "AUTH") == 0)
		authenticate(session, rest, line);
	else if (strcasecmp(verb, "STARTTLS") == 0)
		start_tls(session);
	else if (strcasecmp(verb, "RSET") == 0) {
		forget(session);
		say(session, "250 2.0.0 forgotten");
	} else if (strcasecmp(verb, "NOOP") == 0)
		say(session, "250 2.0.0 ok");
	else if (strcasecmp(verb, "VRFY") == 0)
		say(session, "252 2.5.2 send it and see");
	else if (strcasecmp(verb, "QUIT") == 0) {
		say(session, "221 2.0.0 bye");
		session->is_over = true;
	} else
		say(session, "500 5.5.2 command not known");
}

static void session_run(struct session *session)
{
	struct buf line;
	buf_init(&line, COMMAND_BYTES_MAX);
	say(session, "220 gangway-sandbox ESMTP");
	for (int mistakes = 0; !session->is_over && mistakes < 20;) {
		enum line_end end = read_line(session, &line, COMMAND_BYTES_MAX - 1);
		bool is_text = memchr(buf_str(&line).ptr, '\0', line.len) == NULL;
		if (end == LINE_GOOD && is_text) {
			command(session, &line);
			continue;
		}
		mistakes++;
		if (end != LINE_NONE)
			say(session, "500 5.5.2 a command is one line that ends in CRLF");
	}
	buf_release(&line);
}

static void *session_thread(void *arg)
{
	struct session *session = arg;
	struct smtp *smtp = session->smtp;
	session->recipients = json_array();
	if (smtp->is_tls)
		session->tls = tls_accept(session->box, session->fd);
	if (session->tls || !smtp->is_tls)
		session_run(session);
	tls_end(session->tls);
	forget(session);
	json_decref(session->recipients);
	close(session->fd);
	free(session);
	pthread_mutex_lock(&smtp->lock);
	smtp->sessions--;
	pthread_cond_signal(&smtp->quiet);
	pthread_mutex_unlock(&smtp->lock);
	return NULL;
}

static void session_start(struct smtp *smtp, int fd)
{
	pthread_t thread;
	struct session *session = mem_alloc(sizeof(*session));
	*session = (struct session){ .smtp = smtp, .box = smtp->box, .fd = fd };
	pthread_mutex_lock(&smtp->lock);
	bool has_room = smtp->sessions < SESSIONS_MAX;
	if (has_room && pthread_create(&thread, NULL, session_thread, session) == 0) {
		smtp->sessions++;
		pthread_detach(thread);
	} else {
		(void)!send(fd, "421 4.3.2 too busy\r\n", 20, MSG_NOSIGNAL);
		close(fd);
		free(session);
	}
	pthread_mutex_unlock(&smtp->lock);
}

static void *accept_thread(void *arg)
{
	struct smtp *smtp = arg;
	struct pollfd polls[2] = { { .fd = smtp->fd, .events = POLLIN },
		                   { .fd = smtp->box->stop_fd, .events = POLLIN } };
	for (;;) {
		int ready = poll(polls, 2, -1);
		if (ready < 0 && errno == EINTR)
			continue;
		if (ready < 0 || polls[1].revents)
			return NULL;
		int fd = accept4(smtp->fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0)
			session_start(smtp, fd);
	}
}

int smtp_start(struct listener *listener, int port, struct err *err)
{
	int fd = sandbox_listen(port, &listener->port, err);
	if (fd < 0)
		return err_wrap(err, "smtp");
	struct smtp *smtp = mem_alloc(sizeof(*smtp));
	*smtp = (struct smtp){ .box = listener->box, .fd = fd, .is_tls = listener->is_tls };
	must(pthread_mutex_init(&smtp->lock, NULL) == 0);
	must(pthread_cond_init(&smtp->quiet, NULL) == 0);
	if (pthread_create(&smtp->acceptor, NULL, accept_thread, smtp) != 0) {
		close(fd);
		free(smtp);
		return err_set(err, ERR_SYSTEM, "smtp: no thread for the listener");
	}
	listener->server = smtp;
	return 0;
}

/* The sandbox's stop_fd is readable by now, so every thread is on its way out. */
void smtp_stop(struct listener *listener)
{
	struct smtp *smtp = listener->server;
	if (!smtp)
		return;
	pthread_join(smtp->acceptor, NULL);
	pthread_mutex_lock(&smtp->lock);
	while (smtp->sessions > 0)
		pthread_cond_wait(&smtp->quiet, &smtp->lock);
	pthread_mutex_unlock(&smtp->lock);
	pthread_mutex_destroy(&smtp->lock);
	pthread_cond_destroy(&smtp->quiet);
	close(smtp->fd);
	free(smtp);
	listener->server = NULL;
}
