/* SPDX-License-Identifier: MIT */
/*
 * Sends deliveries over many connections as fast as they are answered, and says
 * how fast that was.  Loopback only; one thread; no request is repeated.
 *
 *   webhook_load PORT PATH CONNECTIONS REQUESTS [HEADER [FROM [DEPTH]]]
 *
 * Every body has 240 bytes and a correlation id of its own: the prefix "load-"
 * and a number, from FROM (default 1) on.  HEADER is one more line of the
 * request ("X-Webhook-Secret: s").  With a DEPTH so many requests wait on each
 * connection (pipelined): what is offered is not slowed by the answers.
 * $LOAD_ONLY names a file of numbers: only these are sent.  One line of JSON tells
 * rate, latencies and answers by status; $LOAD_ACCEPTED names a file for the
 * numbers of what was answered 202.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { REPLY_BYTES = 8192, REQUEST_BYTES = 1024, DEPTH_MAX = 16 };
enum { BUCKET_US = 10, BUCKETS = 1000000, STATUSES = 600 };

struct conn {
	int fd;
	/* Requests under way, the oldest first. */
	struct {
		long number;
		int64_t sent_ns;
	} asked[DEPTH_MAX];
	int depth;
	size_t len;
	char reply[REPLY_BYTES];
};

struct load {
	int epoll, port;
	long next, end, open;
	int depth;
	FILE *only;
	double written_s; /* until the last request was written */
	int64_t began_ns;
	const char *path, *header;
	uint32_t *buckets; /* latencies in steps of BUCKET_US */
	long by_status[STATUSES];
	long broken; /* connections that closed without an answer */
	int64_t max_ns;
	FILE *accepted;
	char first_bad[200];
};

static void die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void dial(struct load *load, struct conn *conn)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		                       .sin_port = htons((uint16_t)load->port),
		                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int one = 1;
	conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (conn->fd < 0 || connect(conn->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		die("connect");
	setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	fcntl(conn->fd, F_SETFL, O_NONBLOCK);
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = conn };
	if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, conn->fd, &event) < 0)
		die("epoll");
}

/* -1: all are on their way. */
static long next_number(struct load *load)
{
	char line[32];
	if (!load->only)
		return load->next < load->end ? load->next++ : -1;
	return fgets(line, sizeof(line), load->only) ? strtol(line, NULL, 10) : -1;
}

static void ask(struct load *load, struct conn *conn)
{
	char body[320], request[REQUEST_BYTES];
	long number = conn->depth < load->depth ? next_number(load) : -1;
	if (number < 0)
		return;
	int body_len = snprintf(body, sizeof(body),
	                        "{\"account_id\":\"0015g00000XyZ%06ld\",\"correlation_id\":"
	                        "\"load-%010ld\",\"event\":\"opportunity.closed_won\",\"amount\":"
	                        "125000.50,\"currency\":\"EUR\",\"owner\":\"ann@example.com\","
	                        "\"products\":[\"core\",\"reports\",\"sso\"],\"note\":\"%038d\"}",
	                        number % 1000000, number, 0);
	int len = snprintf(request, sizeof(request),
	                   "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json"
	                   "\r\n%s%sContent-Length: %d\r\n\r\n%s",
	                   load->path, load->header ? load->header : "", load->header ? "\r\n" : "",
	                   body_len, body);
	conn->asked[conn->depth].number = number;
	conn->asked[conn->depth++].sent_ns = now_ns();
	if (write(conn->fd, request, (size_t)len) != len)
		die("write");
	load->open++;
	load->written_s = (double)(now_ns() - load->began_ns) / 1e9;
}

/* The status of the first reply when it is there whole; 0: it is not yet. */
static int status_of(struct conn *conn, size_t *ret_len)
{
	conn->reply[conn->len] = '\0';
	const char *end = strstr(conn->reply, "\r\n\r\n");
	const char *length = strcasestr(conn->reply, "\r\ncontent-length:");
	if (!end || !length || length > end)
		return 0;
	size_t whole = (size_t)(end + 4 - conn->reply) + strtoul(length + 17, NULL, 10);
	*ret_len = whole;
	return conn->len >= whole ? (int)strtol(conn->reply + 9, NULL, 10) : 0;
}

static void count(struct load *load, const struct conn *conn, int status)
{
	int64_t took_ns = now_ns() - conn->asked[0].sent_ns;
	int64_t bucket = took_ns / 1000 / BUCKET_US;
	load->buckets[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
	load->max_ns = took_ns > load->max_ns ? took_ns : load->max_ns;
	load->by_status[status < STATUSES ? status : 0]++;
	if (status == 202 && load->accepted)
		fprintf(load->accepted, "%ld\n", conn->asked[0].number);
	if (status / 100 != 2 && status != 429 && !*load->first_bad)
		snprintf(load->first_bad, sizeof(load->first_bad), "%.199s", conn->reply);
}

static void take(struct load *load, struct conn *conn)
{
	ssize_t got = read(conn->fd, conn->reply + conn->len, REPLY_BYTES - 1 - conn->len);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		load->broken += conn->depth > 0;
		load->open -= conn->depth;
		conn->depth = 0;
		conn->len = 0;
		close(conn->fd);
		dial(load, conn);
		ask(load, conn);
		return;
	}
	conn->len += (size_t)got;
	size_t whole;
	for (int status; conn->depth > 0 && (status = status_of(conn, &whole)) != 0;) {
		load->open--;
		count(load, conn, status);
		memmove(conn->reply, conn->reply + whole, conn->len - whole);
		conn->len -= whole;
		memmove(conn->asked, conn->asked + 1, sizeof(*conn->asked) * (DEPTH_MAX - 1));
		conn->depth--;
		ask(load, conn);
	}
}

static double percentile_ms(const struct load *load, long total, double share)
{
	long below = 0;
	for (long i = 0; i < BUCKETS; i++)
		if ((below += load->buckets[i]) >= (long)((double)total * share))
			return (double)(i + 1) * BUCKET_US / 1000;
	return 0;
}

static void tell(const struct load *load, long total, double seconds)
{
	printf("{\"requests\":%ld,\"seconds\":%.3f,\"offered_per_s\":%.0f,"
	       "\"per_s\":%.0f,\"p50_ms\":%.2f,\"p99_ms\":%.2f,"
	       "\"max_ms\":%.2f,\"broken\":%ld",
	       total, seconds, (double)total / load->written_s, (double)total / seconds,
	       percentile_ms(load, total, 0.5), percentile_ms(load, total, 0.99),
	       (double)load->max_ns / 1e6, load->broken);
	for (int status = 0; status < STATUSES; status++)
		if (load->by_status[status] > 0)
			printf(",\"%d\":%ld", status, load->by_status[status]);
	printf("}\n");
	if (*load->first_bad)
		fprintf(stderr, "load: the first answer that is neither 2xx nor 429:\n%s\n",
		        load->first_bad);
}

int main(int argc, char **argv)
{
	if (argc < 5) {
		fprintf(stderr, "usage: webhook_load PORT PATH CONNECTIONS REQUESTS [HEADER [FROM "
		                "[DEPTH]]]\n");
		return 2;
	}
	long connections = strtol(argv[3], NULL, 10), total = strtol(argv[4], NULL, 10);
	long from = argc > 6 ? strtol(argv[6], NULL, 10) : 1;
	struct load load = { .epoll = epoll_create1(EPOLL_CLOEXEC),
		             .port = (int)strtol(argv[1], NULL, 10),
		             .path = argv[2],
		             .header = argc > 5 && *argv[5] ? argv[5] : NULL,
		             .next = from,
		             .end = from + total,
		             .depth = argc > 7 ? (int)strtol(argv[7], NULL, 10) : 1,
		             .buckets = calloc(BUCKETS, sizeof(uint32_t)) };
	struct conn *conns = calloc((size_t)connections, sizeof(*conns));
	const char *accepted = getenv("LOAD_ACCEPTED");
	const char *only = getenv("LOAD_ONLY");
	if (load.depth < 1 || load.depth > DEPTH_MAX || (only && !(load.only = fopen(only, "re"))))
		die("depth, or numbers to send");
	if (!load.buckets || !conns || (accepted && !(load.accepted = fopen(accepted, "we"))))
		die("setting up");
	for (long i = 0; i < connections; i++)
		dial(&load, &conns[i]);
	load.began_ns = now_ns();
	for (int depth = 0; depth < load.depth; depth++)
		for (long i = 0; i < connections; i++)
			ask(&load, &conns[i]);
	while (load.open > 0) {
		struct epoll_event events[256];
		int ready = epoll_wait(load.epoll, events, 256, 30000);
		if (ready == 0) {
			fprintf(stderr, "load: no answer for 30 s\n");
			break;
		}
		for (int i = 0; i < ready; i++)
			take(&load, events[i].data.ptr);
	}
	tell(&load, total, (double)(now_ns() - load.began_ns) / 1e9);
	if (load.accepted)
		fclose(load.accepted);
	free(conns);
	free(load.buckets);
	return 0;
}
