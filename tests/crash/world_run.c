/* SPDX-License-Identifier: MIT */
/* The real program as a child: see world.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "world.h"

enum { OUTPUT_BYTES_MAX = 64 * 1024 * 1024, PATIENCE_MS = 60000, ARGS_MAX = 24 };

const char *const crash_mode_names[5] = { "before", "after", "half", "power", "error" };

/* --- HTTP ------------------------------------------------------------------------------------- */

int world_talk(int port, const char *method, const char *path, const char *headers,
               const char *body, char **ret_body)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), status = 0;
	char *request = mem_format("%s %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Length: %zu\r\n"
	                           "%sConnection: close\r\n\r\n%s",
	                           method, path, port, body ? strlen(body) : 0,
	                           headers ? headers : "", body ? body : "");
	struct buf reply;
	char chunk[16384];
	ssize_t got = -1;
	buf_init(&reply, OUTPUT_BYTES_MAX);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 &&
	    send(fd, request, strlen(request), MSG_NOSIGNAL) > 0)
		while ((got = recv(fd, chunk, sizeof(chunk), 0)) > 0)
			buf_put_len(&reply, chunk, (size_t)got);
	const char *text = reply.len > 0 ? strstr(reply.bytes, "\r\n\r\n") : NULL;
	/* The end of the process is no answer, however much of one had come. */
	if (got == 0 && text && sscanf(reply.bytes, "HTTP/1.1 %3d", &status) == 1 && ret_body)
		*ret_body = mem_dup_str(text + 4);
	buf_release(&reply);
	free(request);
	close(fd);
	return status;
}

/* --- starting --------------------------------------------------------------------------------- */

struct child {
	pid_t pid;
	int out; /* what it prints */
	struct buf text;
	char *count_file, *error_file;
};

static void set_fault(const struct world *world, const struct fault *fault, const char *count_file)
{
	char *track = mem_format("%s/state:%s/out", world->folder, world->folder);
	char *hold = mem_format("%s/hold", world->folder);
	char at[24], seed[24];
	snprintf(at, sizeof(at), "%ld", fault->at);
	snprintf(seed, sizeof(seed), "%lu", fault->seed);
	setenv("LD_PRELOAD", world->shim, 1);
	setenv("CRASH_TRACK", track, 1);
	setenv("CRASH_HOLD", hold, 1);
	setenv("CRASH_AT", at, 1);
	setenv("CRASH_SEED", seed, 1);
	setenv("CRASH_MODE", crash_mode_names[fault->mode], 1);
	setenv("CRASH_COUNT_FILE", count_file, 1);
	if (fault->error)
		setenv("CRASH_ERROR", fault->error, 1);
	if (fault->is_sticky)
		setenv("CRASH_STICKY", "1", 1);
	free(track);
	free(hold);
}

static void become(const struct world *world, const char *const *args, const struct fault *fault,
                   const struct child *child, int out)
{
	const char *argv[ARGS_MAX] = { world->program };
	int count = 1;
	for (; *args && count < ARGS_MAX - 5; args++)
		argv[count++] = *args;
	/* What is told early is an acknowledgement too. */
	if (count > 2 && strcmp(argv[1], "run") == 0 && strcmp(argv[2], "start") == 0)
		argv[count++] = "--steps";
	argv[count++] = "--json";
	argv[count++] = "--config";
	argv[count] = mem_format("%s/gangway.lua", world->folder);
	int errors = open(child->error_file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	dup2(out, STDOUT_FILENO);
	dup2(errors, STDERR_FILENO);
	if (fault)
		set_fault(world, fault, child->count_file);
	execv(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
}

static void start_child(struct world *world, const char *const *args, const struct fault *fault,
                        struct child *ret)
{
	int ends[2];
	*ret = (struct child){ .count_file = mem_format("%s/count", world->folder),
		               .error_file = mem_format("%s/errors", world->folder) };
	buf_init(&ret->text, OUTPUT_BYTES_MAX);
	unlink(ret->count_file);
	if (pipe2(ends, O_CLOEXEC) < 0)
		abort();
	ret->pid = fork();
	if (ret->pid == 0)
		become(world, args, fault, ret, ends[1]);
	close(ends[1]);
	ret->out = ends[0];
}

/* --- listening -------------------------------------------------------------------------------- */

static int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

enum heard { HEARD_LINE, HEARD_END, HEARD_NOTHING };

/* Reads until the child closes its end, or has printed a line; nothing: it takes too long. */
static enum heard listen_to(struct child *child, bool is_line_enough)
{
	int64_t until = now_ms() + PATIENCE_MS;
	char chunk[16384];
	for (;;) {
		struct pollfd poll_fd = { child->out, POLLIN, 0 };
		int64_t left = until - now_ms();
		if (left <= 0 || poll(&poll_fd, 1, (int)left) == 0)
			return HEARD_NOTHING;
		ssize_t got = read(child->out, chunk, sizeof(chunk));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return HEARD_END;
		buf_put_len(&child->text, chunk, (size_t)got);
		if (is_line_enough && memchr(chunk, '\n', (size_t)got))
			return HEARD_LINE;
	}
}

static json_t *parse_lines(const char *text)
{
	json_t *ret = json_array();
	while (text && *text) {
		const char *end = strchr(text, '\n');
		if (!end)
			break; /* cut off by the end of the process */
		json_t *value = json_loadb(text, (size_t)(end - text), 0, NULL);
		if (value)
			json_push(ret, value);
		text = end + 1;
	}
	return ret;
}

static void end_child(struct child *child, struct ending *ret)
{
	int status = 0;
	*ret = (struct ending){ .is_late = listen_to(child, false) == HEARD_NOTHING };
	if (ret->is_late)
		kill(child->pid, SIGKILL);
	waitpid(child->pid, &status, 0);
	close(child->out);
	ret->is_killed = !ret->is_late && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	ret->code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	ret->lines = parse_lines(child->text.bytes);
	ret->errors = world_read(child->error_file);
	char counts[512] = "";
	FILE *file = fopen(child->count_file, "r");
	if (file && (!fgets(counts, sizeof(counts), file) ||
	             sscanf(counts, "%ld %ld", &ret->count, &ret->file_count) != 2))
		abort();
	if (file)
		fclose(file);
	ret->is_written_after = strstr(counts, "written-after") != NULL;
	buf_release(&child->text);
	free(child->count_file);
	free(child->error_file);
}

void world_run(struct world *world, const char *const *args, const struct fault *fault,
               struct ending *ret)
{
	struct child child;
	start_child(world, args, fault, &child);
	end_child(&child, ret);
}

static int port_of(const struct child *child)
{
	json_t *line = json_loads(child->text.bytes, JSON_DISABLE_EOF_CHECK, NULL);
	const char *address = json_str(line, "address", "");
	const char *colon = strrchr(address, ':');
	int port = colon ? (int)strtol(colon + 1, NULL, 10) : 0;
	json_decref(line);
	return port;
}

void world_serve(struct world *world, const struct fault *fault, world_talk_cb *talk, void *arg,
                 struct ending *ret)
{
	static const char *const args[] = { "serve", "--port", "0", NULL };
	struct child child;
	start_child(world, args, fault, &child);
	if (listen_to(&child, true) == HEARD_LINE) {
		talk(arg, port_of(&child));
		kill(child.pid, SIGTERM);
	}
	end_child(&child, ret);
}

void ending_release(struct ending *ending)
{
	json_decref(ending->lines);
	free(ending->errors);
	*ending = (struct ending){ 0 };
}

const json_t *ending_last(const struct ending *ending)
{
	size_t count = json_array_size(ending->lines);
	return count ? json_array_get(ending->lines, count - 1) : NULL;
}
