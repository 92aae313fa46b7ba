/* SPDX-License-Identifier: MIT */
/*
 * The owner's door: other processes of the same user send requests over a Unix
 * socket, one JSON object per line each way (engine.h).  A thread accepts, a
 * thread per client reads; replies come from the engine's threads and are
 * written under the client's lock.  The socket's mode is 0600.
 */
#include "run/run_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "run/run_int.h"

enum { CLIENTS_MAX = 64, REPLY_SECONDS = 2 };

struct run_door {
	struct engine *engine;
	int fd;
	int stop_pipe[2];
	pthread_t thread;
	char *path;
	pthread_mutex_t lock;
	int clients;
	bool is_left;                /* by the engine: the last client frees it */
	int client_fds[CLIENTS_MAX]; /* -1: free */
};

/* One connected process.  Freed when its thread ended and no reply is owed any more. */
struct client {
	struct run_door *door;
	int fd, slot;
	pthread_mutex_t lock;
	int refs;
	bool is_gone; /* it does not read any more: nothing is sent to it */
};

static void door_free(struct run_door *door)
{
	pthread_mutex_destroy(&door->lock);
	free(door->path);
	free(door);
}

static void client_unref(struct client *client)
{
	pthread_mutex_lock(&client->lock);
	bool is_last = --client->refs == 0;
	pthread_mutex_unlock(&client->lock);
	if (!is_last)
		return;
	struct run_door *door = client->door;
	pthread_mutex_lock(&door->lock);
	close(client->fd);
	door->client_fds[client->slot] = -1;
	door->clients--;
	bool is_empty = door->is_left && door->clients == 0;
	pthread_mutex_unlock(&door->lock);
	pthread_mutex_destroy(&client->lock);
	free(client);
	if (is_empty)
		door_free(door);
}

static bool send_all(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return false;
		bytes += sent;
		len -= (size_t)sent;
	}
	return true;
}

static void client_reply(void *arg, const json_t *reply, bool is_last)
{
	struct client *client = arg;
	char *text = json_canon(reply);
	pthread_mutex_lock(&client->lock);
	/* A client that left, or reads too slowly, misses its answers and harms nobody else. */
	if (!client->is_gone)
		client->is_gone = !send_all(client->fd, text, strlen(text)) ||
		                  !send_all(client->fd, "\n", 1);
	pthread_mutex_unlock(&client->lock);
	free(text);
	if (is_last)
		client_unref(client);
}

static void take_line(struct client *client, struct str line)
{
	json_t *request;
	struct err err = { 0 };
	pthread_mutex_lock(&client->lock);
	client->refs++;
	pthread_mutex_unlock(&client->lock);
	struct asker asker = { client_reply, client };
	if (json_read(line, LIMIT_SOCKET_MESSAGE_BYTES, &request, &err) < 0) {
		reply_error(&asker, &err);
		return;
	}
	if (strcmp(json_str(request, "op", ""), "stop") == 0) {
		reply_last(&asker, json_pack("{s:b}", "stopping", 1));
		kill(getpid(), SIGTERM);
	} else {
		engine_request(client->door->engine, request, client_reply, client);
	}
	json_decref(request);
}

static void *client_main(void *arg)
{
	struct client *client = arg;
	struct buf in;
	buf_init(&in, LIMIT_SOCKET_MESSAGE_BYTES);
	char chunk[65536];
	ssize_t got;
	struct err err = { 0 };
	while ((got = recv(client->fd, chunk, sizeof(chunk), 0)) > 0) {
		if (buf_add(&in, chunk, (size_t)got, &err) < 0)
			break;
		char *end;
		while (in.len > 0 && (end = memchr(in.bytes, '\n', in.len))) {
			size_t len = (size_t)(end - in.bytes);
			take_line(client, (struct str){ in.bytes, len });
			memmove(in.bytes, end + 1, in.len - len - 1);
			in.len -= len + 1;
		}
	}
	buf_release(&in);
	client_unref(client);
	return NULL;
}

static void accept_client(struct run_door *door)
{
	int fd = accept4(door->fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return;
	pthread_mutex_lock(&door->lock);
	int slot = 0;
	while (slot < CLIENTS_MAX && door->client_fds[slot] >= 0)
		slot++;
	if (slot < CLIENTS_MAX) {
		door->client_fds[slot] = fd;
		door->clients++;
	}
	pthread_mutex_unlock(&door->lock);
	if (slot == CLIENTS_MAX) {
		close(fd);
		return;
	}
	/* Replies are sent on the engine's threads: none of them waits longer than this. */
	const struct timeval patience = { .tv_sec = REPLY_SECONDS };
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	struct client *client = mem_alloc(sizeof(*client));
	client->door = door;
	client->fd = fd;
	client->slot = slot;
	client->refs = 1;
	pthread_mutex_init(&client->lock, NULL);
	pthread_t thread;
	if (pthread_create(&thread, NULL, client_main, client) == 0)
		pthread_detach(thread);
	else
		client_unref(client);
}

static void *door_main(void *arg)
{
	struct run_door *door = arg;
	for (;;) {
		struct pollfd fds[2] = { { door->fd, POLLIN, 0 },
			                 { door->stop_pipe[0], POLLIN, 0 } };
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return NULL;
		if (fds[1].revents)
			return NULL;
		if (fds[0].revents)
			accept_client(door);
	}
}

/*
 * An address has room for 107 bytes.  A longer path is written by way of its
 * folder, which *ret_folder holds open until the address was used; else -1.
 */
static int make_address(const char *path, struct sockaddr_un *ret, int *ret_folder, struct err *err)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	*ret_folder = -1;
	const char *name = strrchr(path, '/');
	if (name && strlen(path) >= sizeof(ret->sun_path)) {
		char *folder = mem_dup(path, (size_t)(name - path));
		*ret_folder = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
		free(folder);
		if (*ret_folder < 0)
			return err_set_id(err, errno == ENOENT ? ERR_ABSENT : ERR_SYSTEM,
			                  "socket.connect", "%s: %s", path, strerror(errno));
	}
	int len = *ret_folder < 0 ? snprintf(ret->sun_path, sizeof(ret->sun_path), "%s", path)
	                          : snprintf(ret->sun_path, sizeof(ret->sun_path),
	                                     "/proc/self/fd/%d%s", *ret_folder, name);
	if (len < (int)sizeof(ret->sun_path))
		return 0;
	if (*ret_folder >= 0)
		close(*ret_folder);
	err_set_id(err, ERR_LIMIT, "socket.path", "the socket's path is longer than %zu bytes: %s",
	           sizeof(ret->sun_path) - 1, path);
	return err_hint(err, "choose a shorter name for the store");
}

int engine_listen(struct engine *engine, const char *socket_path, struct err *err)
{
	struct sockaddr_un address;
	int folder;
	if (make_address(socket_path, &address, &folder, err) < 0)
		return err->code;
	struct run_door *door = mem_alloc(sizeof(*door));
	door->engine = engine;
	door->path = mem_dup_str(socket_path);
	pthread_mutex_init(&door->lock, NULL);
	for (int i = 0; i < CLIENTS_MAX; i++)
		door->client_fds[i] = -1;
	door->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(door->fd >= 0 && pipe(door->stop_pipe) == 0);
	/* We hold the store's lock: whoever left this name behind is gone. */
	(void)unlink(socket_path);
	mode_t before = umask(0177);
	int bound = bind(door->fd, (struct sockaddr *)&address, sizeof(address));
	umask(before);
	if (folder >= 0)
		close(folder);
	if (bound < 0 || listen(door->fd, 16) < 0) {
		err_set_id(err, ERR_SYSTEM, "socket.bind", "%s: %s", socket_path, strerror(errno));
		close(door->fd);
		close(door->stop_pipe[0]);
		close(door->stop_pipe[1]);
		free(door->path);
		free(door);
		return err->code;
	}
	engine->door = door;
	must(pthread_create(&door->thread, NULL, door_main, door) == 0);
	return 0;
}

void engine_listen_stop(struct engine *engine)
{
	struct run_door *door = engine->door;
	if (!door)
		return;
	engine->door = NULL;
	must(write(door->stop_pipe[1], "x", 1) == 1);
	pthread_join(door->thread, NULL);
	(void)unlink(door->path);
	close(door->fd);
	close(door->stop_pipe[0]);
	close(door->stop_pipe[1]);
	pthread_mutex_lock(&door->lock);
	/* Their threads see the end of the stream; replies still owed keep the client alive. */
	for (int i = 0; i < CLIENTS_MAX; i++)
		if (door->client_fds[i] >= 0)
			shutdown(door->client_fds[i], SHUT_RDWR);
	door->is_left = true;
	bool is_empty = door->clients == 0;
	pthread_mutex_unlock(&door->lock);
	if (is_empty)
		door_free(door);
}

/* --- the client's side ------------------------------------------------------------------ */

int engine_ask(const char *socket_path, const json_t *request,
               void (*cb)(void *arg, const json_t *reply, bool is_last), void *arg, struct err *err)
{
	struct sockaddr_un address;
	int folder;
	if (make_address(socket_path, &address, &folder, err) < 0)
		return err->code;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(fd >= 0);
	int connected = connect(fd, (struct sockaddr *)&address, sizeof(address));
	int why = errno;
	if (folder >= 0)
		close(folder);
	errno = why;
	if (connected < 0) {
		int code = errno == ENOENT || errno == ECONNREFUSED ? ERR_ABSENT : ERR_SYSTEM;
		bool is_denied = errno == EACCES || errno == EPERM;
		err_set_id(err, code, "socket.connect", "%s: %s", socket_path, strerror(errno));
		close(fd);
		return is_denied ? err_hint(err, "the store's folder belongs to somebody else")
		                 : err->code;
	}
	char *text = json_canon(request);
	bool is_sent = send_all(fd, text, strlen(text)) && send_all(fd, "\n", 1);
	free(text);
	struct buf in;
	buf_init(&in, LIMIT_SOCKET_MESSAGE_BYTES);
	bool is_last = false;
	char chunk[65536];
	ssize_t got = 0;
	while (is_sent && !is_last && (got = recv(fd, chunk, sizeof(chunk), 0)) > 0) {
		if (buf_add(&in, chunk, (size_t)got, err) < 0)
			break;
		char *end;
		while (!is_last && in.len > 0 && (end = memchr(in.bytes, '\n', in.len))) {
			size_t len = (size_t)(end - in.bytes);
			json_t *reply = json_loadb(in.bytes, len, 0, NULL);
			is_last = !reply || json_truth(reply, "last", false);
			if (reply)
				cb(arg, reply, is_last);
			json_decref(reply);
			memmove(in.bytes, end + 1, in.len - len - 1);
			in.len -= len + 1;
		}
	}
	buf_release(&in);
	close(fd);
	if (is_last)
		return 0;
	return err_set_id(err, ERR_BUSY, "socket.closed",
	                  "the owner of the store stopped before it answered");
}
