/* SPDX-License-Identifier: MIT */
/* See server_poll.h. */
#include "server_poll.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/vec.h"

enum { BYTES_MAX = 64 * 1024 * 1024 };

struct script {
	char *bytes; /* NULL: no reply */
	size_t len;
	enum server_then then;
};

struct rule {
	char *command, *reply;
};

struct client {
	struct server *server;
	struct client *next;
	int fd;
	struct loop_watch *watch;
	struct buf in, out;
	bool is_closing, is_reset, in_message, is_waiting;
};

struct server {
	struct loop_poll *poll;
	struct loop *loop;
	bool is_smtp;
	int fd, port;
	char url[64];
	struct loop_watch *watch;
	struct client *clients;
	size_t accepted, at;
	VEC(struct script) scripts;
	VEC(struct rule) rules;
	VEC(char *) requests;
	char *message_reply;
	struct buf heard;
};

static void client_free(struct client *client)
{
	struct server *server = client->server;
	struct client **at = &server->clients;
	while (*at != client)
		at = &(*at)->next;
	*at = client->next;
	server->loop->ops->watch_stop(server->loop, client->watch);
	if (client->is_reset) {
		struct linger linger = { 1, 0 };
		must(setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) == 0);
	}
	close(client->fd);
	buf_release(&client->in);
	buf_release(&client->out);
	free(client);
}

static void consume(struct buf *buf, size_t len)
{
	memmove(buf->bytes, buf->bytes + len, buf->len - len + 1);
	buf->len -= len;
}

/* --- HTTP ----------------------------------------------------------------------- */

/* The length of the first whole request in the buffer; 0: not there yet. */
static size_t whole_request(const struct client *client)
{
	const char *end = client->in.bytes ? strstr(client->in.bytes, "\r\n\r\n") : NULL;
	if (!end)
		return 0;
	size_t head = (size_t)(end - client->in.bytes) + 4, body = 0;
	for (const char *line = client->in.bytes; line < end; line = strstr(line, "\r\n") + 2)
		if (strncasecmp(line, "Content-Length:", 15) == 0)
			body = (size_t)strtoul(line + 15, NULL, 10);
	return client->in.len >= head + body ? head + body : 0;
}

static void apply(struct client *client, const char *bytes, size_t len, enum server_then then)
{
	if (bytes)
		buf_put_len(&client->out, bytes, len);
	client->is_waiting = !bytes && then == SERVER_KEEP;
	client->is_closing = then != SERVER_KEEP;
	client->is_reset = then == SERVER_RESET;
}

static void serve_http(struct client *client)
{
	struct server *server = client->server;
	size_t len;
	while (!client->is_closing && (len = whole_request(client)) > 0) {
		*vec_add(&server->requests) = mem_dup(client->in.bytes, len);
		consume(&client->in, len);
		if (server->at < server->scripts.len) {
			struct script *script = &server->scripts.at[server->at++];
			apply(client, script->bytes, script->len, script->then);
		} else {
			static const char fine[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
			apply(client, fine, sizeof(fine) - 1, SERVER_KEEP);
		}
	}
}

/* --- SMTP ------------------------------------------------------------------------ */

static const char *rule_for(const struct server *server, const char *line, bool *ret_found)
{
	for (size_t i = server->rules.len; i-- > 0;)
		if (strncasecmp(server->rules.at[i].command, line,
		                strlen(server->rules.at[i].command)) == 0) {
			*ret_found = true;
			return server->rules.at[i].reply;
		}
	*ret_found = false;
	return NULL;
}

static void serve_command(struct client *client, const char *line)
{
	struct server *server = client->server;
	bool is_found;
	const char *reply = rule_for(server, line, &is_found);
	buf_printf(&server->heard, "%s\n", line);
	if (!is_found && strncasecmp(line, "EHLO", 4) == 0)
		reply = "250-test\r\n250-SIZE 10000000\r\n250 AUTH PLAIN\r\n";
	else if (!is_found && strncasecmp(line, "AUTH", 4) == 0)
		reply = "334 \r\n"; /* the credentials come next */
	else if (!is_found && strlen(line) % 4 == 0 && !strchr(line, ' ') &&
	         strcasecmp(line, "DATA") != 0 && strcasecmp(line, "QUIT") != 0)
		reply = "235 welcome\r\n";
	else if (!is_found && strcasecmp(line, "DATA") == 0)
		reply = "354 go on\r\n";
	else if (!is_found)
		reply = strcasecmp(line, "QUIT") == 0 ? "221 bye\r\n" : "250 fine\r\n";
	client->in_message = reply && strncmp(reply, "354", 3) == 0;
	if (reply)
		buf_put(&client->out, reply);
	client->is_closing = !reply || strcasecmp(line, "QUIT") == 0;
}

static void serve_smtp(struct client *client)
{
	struct server *server = client->server;
	while (!client->is_closing && client->in.len > 0) {
		if (client->in_message) {
			char *end = strstr(client->in.bytes, "\r\n.\r\n");
			if (!end)
				return;
			size_t len = (size_t)(end - client->in.bytes) + 2;
			*vec_add(&server->requests) = mem_dup(client->in.bytes, len);
			consume(&client->in, len + 3);
			client->in_message = false;
			if (server->message_reply)
				buf_put(&client->out, server->message_reply);
			else
				client->is_closing = true;
			continue;
		}
		char *end = strstr(client->in.bytes, "\r\n");
		if (!end)
			return;
		char *line = mem_dup(client->in.bytes, (size_t)(end - client->in.bytes));
		consume(&client->in, strlen(line) + 2);
		serve_command(client, line);
		free(line);
	}
}

/* --- sockets ------------------------------------------------------------------------ */

/* Writes what it can; false when the client is gone. */
static bool flush_client(struct client *client)
{
	struct server *server = client->server;
	while (client->out.len > 0) {
		ssize_t sent = send(client->fd, client->out.bytes, client->out.len,
		                    MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent <= 0)
			break;
		consume(&client->out, (size_t)sent);
	}
	if (client->out.len == 0 && client->is_closing) {
		client_free(client);
		return false;
	}
	server->loop->ops->watch_set(server->loop, client->watch,
	                             LOOP_READ | (client->out.len > 0 ? LOOP_WRITE : 0));
	return true;
}

static void client_ready(void *arg, int fd, int ready)
{
	struct client *client = arg;
	char bytes[65536];
	if (ready & LOOP_READ) {
		ssize_t got = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (got == 0 || (got < 0 && !(ready & LOOP_WRITE))) {
			client_free(client);
			return;
		}
		if (got > 0)
			buf_put_len(&client->in, bytes, (size_t)got);
		if (client->server->is_smtp)
			serve_smtp(client);
		else
			serve_http(client);
	}
	(void)flush_client(client);
}

static void accept_ready(void *arg, int fd, int ready)
{
	struct server *server = arg;
	(void)ready;
	int client_fd = accept(fd, NULL, NULL);
	if (client_fd < 0)
		return;
	struct client *client = mem_alloc(sizeof(*client));
	client->server = server;
	client->fd = client_fd;
	client->next = server->clients;
	server->clients = client;
	server->accepted++;
	buf_init(&client->in, BYTES_MAX);
	buf_init(&client->out, BYTES_MAX);
	client->watch = server->loop->ops->watch_start(server->loop, client_fd, LOOP_READ,
	                                               client_ready, client);
	if (server->is_smtp) {
		buf_put(&client->out, "220 test ESMTP\r\n");
		(void)flush_client(client);
	}
}

struct server *server_new(struct loop_poll *poll)
{
	struct server *server = mem_alloc(sizeof(*server));
	server->poll = poll;
	server->loop = loop_poll_loop(poll);
	buf_init(&server->heard, BYTES_MAX);
	server->message_reply = mem_dup_str("250 taken\r\n");
	server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = { .sin_family = AF_INET };
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	socklen_t len = sizeof(address);
	must(bind(server->fd, (struct sockaddr *)&address, len) == 0);
	must(listen(server->fd, 128) == 0);
	must(getsockname(server->fd, (struct sockaddr *)&address, &len) == 0);
	server->port = ntohs(address.sin_port);
	snprintf(server->url, sizeof(server->url), "http://127.0.0.1:%d", server->port);
	server->watch = server->loop->ops->watch_start(server->loop, server->fd, LOOP_READ,
	                                               accept_ready, server);
	return server;
}

struct server *server_new_smtp(struct loop_poll *poll)
{
	struct server *server = server_new(poll);
	server->is_smtp = true;
	snprintf(server->url, sizeof(server->url), "smtp://127.0.0.1:%d", server->port);
	return server;
}

void server_free(struct server *server)
{
	while (server->clients)
		client_free(server->clients);
	server->loop->ops->watch_stop(server->loop, server->watch);
	close(server->fd);
	for (size_t i = 0; i < server->scripts.len; i++)
		free(server->scripts.at[i].bytes);
	for (size_t i = 0; i < server->rules.len; i++) {
		free(server->rules.at[i].command);
		free(server->rules.at[i].reply);
	}
	for (size_t i = 0; i < server->requests.len; i++)
		free(server->requests.at[i]);
	vec_release(&server->scripts);
	vec_release(&server->rules);
	vec_release(&server->requests);
	buf_release(&server->heard);
	free(server->message_reply);
	free(server);
}

/* --- scripts and what was heard -------------------------------------------------------- */

int server_port(const struct server *server)
{
	return server->port;
}

const char *server_url(const struct server *server)
{
	return server->url;
}

void server_reply_bytes(struct server *server, const char *bytes, size_t len, enum server_then then)
{
	*vec_add(&server->scripts) = (struct script){ bytes ? mem_dup(bytes, len) : NULL, len,
		                                      then };
}

void server_reply(struct server *server, const char *bytes, enum server_then then)
{
	server_reply_bytes(server, bytes, bytes ? strlen(bytes) : 0, then);
}

void server_answer(struct server *server, int status, const char *headers, const char *body)
{
	char *bytes = mem_format("HTTP/1.1 %d Scripted\r\nContent-Length: %zu\r\n%s\r\n%s", status,
	                         strlen(body), headers ? headers : "", body);
	server_reply(server, bytes, SERVER_KEEP);
	free(bytes);
}

void server_rule(struct server *server, const char *command, const char *reply)
{
	*vec_add(&server->rules) = (struct rule){ mem_dup_str(command), mem_dup_str(reply) };
}

void server_rule_message(struct server *server, const char *reply)
{
	free(server->message_reply);
	server->message_reply = mem_dup_str(reply);
}

size_t server_count(const struct server *server)
{
	return server->requests.len;
}

const char *server_request(const struct server *server, size_t i)
{
	return i < server->requests.len ? server->requests.at[i] : "";
}

size_t server_connections(const struct server *server)
{
	return server->accepted;
}

const char *server_heard(const struct server *server)
{
	return server->heard.bytes ? server->heard.bytes : "";
}

static void release_client(struct client *client, const char *bytes)
{
	client->is_waiting = false;
	buf_put(&client->out, bytes);
	(void)flush_client(client);
}

void server_release(struct server *server, const char *bytes)
{
	for (struct client *client = server->clients, *next; client; client = next) {
		next = client->next;
		if (client->is_waiting)
			release_client(client, bytes);
	}
}

void server_release_one(struct server *server, const char *bytes)
{
	struct client *oldest = NULL;
	for (struct client *client = server->clients; client; client = client->next)
		oldest = client->is_waiting ? client : oldest;
	must(oldest);
	release_client(oldest, bytes);
}
