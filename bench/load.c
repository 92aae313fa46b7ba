/* SPDX-License-Identifier: MIT */
/*
 * A closed-loop HTTP/1.1 load generator for loopback: so many requests are in
 * flight, each answered one is followed by the next.  One thread, epoll,
 * connections kept alive.
 *
 *   load PORT PATH IN_FLIGHT WARM_S MEASURE_S COUNT BODY [MUST_HOLD]
 *
 * In BODY every % stands for an id of its own.  COUNT > 0 ends the measured
 * phase after so many answers (MEASURE_S is the most it takes then).  An answer
 * that is no 2xx, or lacks the text MUST_HOLD, is bad.  Prints START and END at
 * the edges of the measured phase and one line of JSON at the end.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { REPLY_BYTES = 128 * 1024, REQUEST_BYTES = 4096, EVENTS = 256, DRAIN_S = 15 };

struct connection {
	int fd;
	bool is_busy;
	double sent_s;
	size_t len;
	char reply[REPLY_BYTES];
};

enum phase { WARMING, MEASURING, DRAINING };

struct load {
	int epoll, port;
	const char *path, *body, *must_hold;
	char prefix[48];
	unsigned long next_id;
	enum phase phase;
	double began_s, measured_s, ended_s, cpu_s;
	double warm_s, length_s;
	size_t count;
	float *latencies; /* of the measured phase, in seconds */
	size_t len, size;
	long good, bad, waiting;
	char first_bad[400];
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static double now_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu_s(void)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* --- requests ------------------------------------------------------------- */

static void dial(const struct load *load, struct connection *c)
{
	int one = 1;
	struct sockaddr_in to = { .sin_family = AF_INET,
		                  .sin_port = htons((uint16_t)load->port),
		                  .sin_addr = { htonl(INADDR_LOOPBACK) } };
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		die("connect");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	fcntl(c->fd, F_SETFL, O_NONBLOCK);
	c->is_busy = false;
	c->len = 0;
	struct epoll_event event = { .events = EPOLLIN, .data = { .ptr = c } };
	epoll_ctl(load->epoll, EPOLL_CTL_ADD, c->fd, &event);
}

static void send_next(struct load *load, struct connection *c)
{
	char body[REQUEST_BYTES / 2], text[REQUEST_BYTES];
	size_t len = 0;
	unsigned long id = load->next_id++;
	for (const char *p = load->body; *p && len + sizeof(load->prefix) + 24 < sizeof(body); p++)
		if (*p == '%')
			len += (size_t)snprintf(body + len, sizeof(body) - len, "%s-%lu",
			                        load->prefix, id);
		else
			body[len++] = *p;
	int all = snprintf(text, sizeof(text),
	                   "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\n"
	                   "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%.*s",
	                   load->path, len, (int)len, body);
	c->len = 0;
	c->is_busy = true;
	c->sent_s = now_s();
	load->waiting++;
	if (write(c->fd, text, (size_t)all) != all)
		die("write");
}

/* --- answers -------------------------------------------------------------- */

static bool chunks_are_complete(const char *at, const char *end)
{
	for (;;) {
		const char *line = memmem(at, (size_t)(end - at), "\r\n", 2);
		if (!line)
			return false;
		size_t len = strtoul(at, NULL, 16);
		if (len + 4 > (size_t)(end - line))
			return false;
		at = line + 2 + len + 2;
		if (len == 0)
			return true;
	}
}

/* Is the whole answer there?  *status is its status then. */
static bool is_complete(struct connection *c, int *status)
{
	c->reply[c->len] = '\0';
	char *end = memmem(c->reply, c->len, "\r\n\r\n", 4);
	if (!end)
		return false;
	size_t head = (size_t)(end - c->reply) + 4;
	end[2] = '\0';
	*status = (int)strtol(c->reply + 9, NULL, 10);
	const char *length = strcasestr(c->reply, "\r\ncontent-length:");
	bool is_chunked = strcasestr(c->reply, "\r\ntransfer-encoding:") != NULL;
	end[2] = '\r';
	if (length)
		return c->len >= head + strtoul(length + 17, NULL, 10);
	return !is_chunked || chunks_are_complete(c->reply + head, c->reply + c->len);
}

static void note(struct load *load, struct connection *c, int status)
{
	double took_s = now_s() - c->sent_s;
	c->is_busy = false;
	load->waiting--;
	bool is_good = status / 100 == 2 && (!load->must_hold || strstr(c->reply, load->must_hold));
	if (!is_good) {
		load->bad++;
		if (load->bad == 1)
			snprintf(load->first_bad, sizeof(load->first_bad), "%.399s", c->reply);
		return;
	}
	load->good++;
	if (load->phase == MEASURING && load->len < load->size)
		load->latencies[load->len++] = (float)took_s;
}

static void take(struct load *load, struct connection *c)
{
	enum { BAD_MAX = 100 };
	int status = 0;
	ssize_t got = read(c->fd, c->reply + c->len, REPLY_BYTES - 1 - c->len);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		close(c->fd);
		if (c->is_busy) {
			load->bad++;
			load->waiting--;
		}
		dial(load, c);
	} else {
		c->len += (size_t)got;
		if (!is_complete(c, &status))
			return;
		note(load, c, status);
	}
	if (load->phase != DRAINING && load->bad < BAD_MAX)
		send_next(load, c);
}

/* --- phases --------------------------------------------------------------- */

static void look_at_clock(struct load *load)
{
	double now = now_s();
	if (load->phase == WARMING && now - load->began_s >= load->warm_s) {
		load->phase = MEASURING;
		load->measured_s = now;
		load->cpu_s = cpu_s();
		puts("START");
	} else if (load->phase == MEASURING && (now - load->measured_s >= load->length_s ||
	                                        (load->count > 0 && load->len >= load->count))) {
		load->phase = DRAINING;
		load->ended_s = now;
		load->cpu_s = cpu_s() - load->cpu_s;
		puts("END");
	}
	fflush(stdout);
}

static int compare(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;
	return (x > y) - (x < y);
}

static double percentile_ms(const struct load *load, double part)
{
	return load->len > 0 ? load->latencies[(size_t)((double)(load->len - 1) * part)] * 1e3 : 0;
}

static void report(struct load *load)
{
	double elapsed = load->ended_s - load->measured_s;
	qsort(load->latencies, load->len, sizeof(*load->latencies), compare);
	for (char *p = load->first_bad; *p; p++)
		if (*p < ' ' || *p == '"' || *p == '\\')
			*p = ' ';
	printf("{\"ok\":%zu,\"elapsed\":%.4f,\"rate\":%.2f,\"p50_ms\":%.3f,\"p90_ms\":%.3f,"
	       "\"p99_ms\":%.3f,\"max_ms\":%.3f,\"bad\":%ld,\"total_ok\":%ld,\"client_cpu\":%.4f,"
	       "\"firstbad\":\"%s\"}\n",
	       load->len, elapsed, elapsed > 0 ? (double)load->len / elapsed : 0,
	       percentile_ms(load, 0.5), percentile_ms(load, 0.9), percentile_ms(load, 0.99),
	       percentile_ms(load, 1), load->bad, load->good, load->cpu_s, load->first_bad);
}

static void run(struct load *load)
{
	struct epoll_event events[EVENTS];
	while (load->waiting > 0) {
		int count = epoll_wait(load->epoll, events, EVENTS, 100);
		look_at_clock(load);
		if (load->phase == DRAINING && now_s() - load->ended_s > DRAIN_S)
			break;
		for (int i = 0; i < count; i++)
			take(load, events[i].data.ptr);
	}
	if (load->phase != DRAINING) {
		load->ended_s = now_s();
		puts("END");
	}
}

int main(int argc, char **argv)
{
	if (argc < 8) {
		fprintf(stderr, "usage: load PORT PATH IN_FLIGHT WARM_S MEASURE_S COUNT BODY "
		                "[MUST_HOLD]\n");
		return 2;
	}
	struct load load = { .port = (int)strtol(argv[1], NULL, 10),
		             .path = argv[2],
		             .warm_s = strtod(argv[4], NULL),
		             .length_s = strtod(argv[5], NULL),
		             .count = strtoul(argv[6], NULL, 10),
		             .body = argv[7],
		             .must_hold = argc > 8 ? argv[8] : NULL,
		             .size = (size_t)1 << 24 };
	size_t in_flight = strtoul(argv[3], NULL, 10);
	snprintf(load.prefix, sizeof(load.prefix), "r%lx-%d", (long)time(NULL), (int)getpid());
	load.epoll = epoll_create1(EPOLL_CLOEXEC);
	load.latencies = malloc(load.size * sizeof(*load.latencies));
	struct connection *connections = calloc(in_flight, sizeof(*connections));
	if (!load.latencies || !connections || load.epoll < 0)
		die("memory");
	for (size_t i = 0; i < in_flight; i++)
		dial(&load, &connections[i]);
	load.began_s = load.measured_s = now_s();
	for (size_t i = 0; i < in_flight; i++)
		send_next(&load, &connections[i]);
	run(&load);
	report(&load);
	free(connections);
	free(load.latencies);
	return load.bad != 0;
}
