/* SPDX-License-Identifier: MIT */
/*
 * Requests that could be read in two ways, targets that hide something, bodies
 * and headers beyond the limits, clients that never finish (RELIABILITY rows
 * 47-52), as bytes over a socket.  What is pipelined behind a bad request would
 * start a run; none ever does.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/mem.h"
#include "check.h"
#include "served.h"

#define SMUGGLED                                                                          \
	"POST /v1/runs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n" \
	"Content-Length: 40\r\n\r\n{\"graph\":\"echo\",\"correlation_id\":\"evil\"}"
#define HOST "Host: 127.0.0.1\r\n"

static size_t count_runs(struct served *served)
{
	json_t *reply = served_ask(served, json_pack("{s:s}", "op", "run.list"));
	size_t ret = json_array_size(json_at(reply, "runs"));
	json_decref(reply);
	return ret;
}

struct shape {
	const char *name, *bytes;
	int status; /* 0: any 4xx or 5xx, or closed without a word */
};

static const struct shape shapes[] = {
	{ "length and encoding",
	  "POST /v1/runs HTTP/1.1\r\n" HOST
	  "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SMUGGLED,
	  400 },
	{ "encoding and length",
	  "POST /v1/runs HTTP/1.1\r\n" HOST
	  "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" SMUGGLED,
	  400 },
	{ "two lengths",
	  "POST /v1/runs HTTP/1.1\r\n" HOST
	  "Content-Length: 0\r\nContent-Length: 5\r\n\r\n" SMUGGLED,
	  400 },
	{ "the same length twice",
	  "POST /v1/runs HTTP/1.1\r\n" HOST
	  "Content-Length: 0\r\nContent-Length: 0\r\n\r\n" SMUGGLED,
	  400 },
	{ "a list of lengths",
	  "POST /v1/runs HTTP/1.1\r\n" HOST "Content-Length: 0, 0\r\n\r\n" SMUGGLED, 400 },
	{ "a signed length",
	  "POST /v1/runs HTTP/1.1\r\n" HOST "Content-Length: +3\r\n\r\nabc" SMUGGLED, 400 },
	{ "a hexadecimal length",
	  "POST /v1/runs HTTP/1.1\r\n" HOST "Content-Length: 0x3\r\n\r\nabc" SMUGGLED, 400 },
	{ "an empty length", "POST /v1/runs HTTP/1.1\r\n" HOST "Content-Length: \r\n\r\n" SMUGGLED,
	  400 },
	{ "an endless length",
	  "POST /v1/runs HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999\r\n\r\n" SMUGGLED,
	  0 },
	{ "another encoding",
	  "POST /v1/runs HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n" SMUGGLED, 400 },
	{ "two encodings",
	  "POST /v1/runs HTTP/1.1\r\n" HOST
	  "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" SMUGGLED,
	  400 },
	{ "a list of encodings",
	  "POST /v1/runs HTTP/1.1\r\n" HOST
	  "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" SMUGGLED,
	  400 },
	{ "an encoding in HTTP/1.0",
	  "POST /v1/runs HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SMUGGLED,
	  400 },
	{ "a chunk of no size",
	  "POST /v1/runs HTTP/1.1\r\n" HOST
	  "Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n" SMUGGLED,
	  0 },
	{ "a space before the colon",
	  "POST /v1/runs HTTP/1.1\r\n" HOST "Content-Length : 0\r\n\r\n" SMUGGLED, 0 },
	{ "no Host", "GET /healthz HTTP/1.1\r\n\r\n" SMUGGLED, 0 },
	{ "two Hosts", "GET /healthz HTTP/1.1\r\n" HOST "Host: other\r\n\r\n" SMUGGLED, 400 },
	{ "a Host that is none", "GET /healthz HTTP/1.1\r\nHost: a b\r\n\r\n" SMUGGLED, 400 },
	{ "a Host with a user", "GET /healthz HTTP/1.1\r\nHost: me@other\r\n\r\n" SMUGGLED, 400 },
	{ "a bracket in a name", "GET /healthz HTTP/1.1\r\n" HOST "X(y): x\r\n\r\n" SMUGGLED, 400 },
	{ "two tokens",
	  "GET /v1/runs HTTP/1.1\r\n" HOST
	  "Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n" SMUGGLED,
	  400 },
	{ "another version", "GET /healthz HTTP/1.2\r\n" HOST "\r\n" SMUGGLED, 0 },
	{ "version 3", "GET /healthz HTTP/3.0\r\n" HOST "\r\n" SMUGGLED, 0 },
	{ "no version", "GET /healthz\r\n\r\n" SMUGGLED, 0 },
	{ "an unknown expectation",
	  "POST /v1/runs HTTP/1.1\r\n" HOST "Expect: money\r\nContent-Length: 0\r\n\r\n" SMUGGLED,
	  417 },
	{ "a whole URL", "GET http://other/healthz HTTP/1.1\r\n" HOST "\r\n" SMUGGLED, 400 },
	{ "an asterisk", "OPTIONS * HTTP/1.1\r\n" HOST "\r\n" SMUGGLED, 400 },
	{ "a percent zero", "GET /healthz%00.html HTTP/1.1\r\n" HOST "\r\n" SMUGGLED, 400 },
	{ "an encoded slash", "GET /v1%2fruns HTTP/1.1\r\n" HOST "\r\n" SMUGGLED, 400 },
	{ "an encoded backslash", "GET /v1%5cruns HTTP/1.1\r\n" HOST "\r\n" SMUGGLED, 400 },
	{ "a backslash", "GET /v1\\runs HTTP/1.1\r\n" HOST "\r\n" SMUGGLED, 400 },
	{ "dots", "GET /v1/../healthz HTTP/1.1\r\n" HOST "\r\n" SMUGGLED, 400 },
	{ "encoded dots", "GET /v1/%2e%2e/healthz HTTP/1.1\r\n" HOST "\r\n" SMUGGLED, 400 },
	{ "two slashes", "GET //healthz HTTP/1.1\r\n" HOST "\r\n" SMUGGLED, 400 },
	{ "an overlong slash", "GET /v1%c0%afruns HTTP/1.1\r\n" HOST "\r\n" SMUGGLED, 400 },
	{ "half a percent", "GET /healthz%4 HTTP/1.1\r\n" HOST "\r\n" SMUGGLED, 400 },
	{ "a control character", "GET /healthz%0d%0ax HTTP/1.1\r\n" HOST "\r\n" SMUGGLED, 400 },
	{ "a raw control character", "GET /health\x01z HTTP/1.1\r\n" HOST "\r\n" SMUGGLED, 400 },
	{ "a fragment", "GET /healthz#x HTTP/1.1\r\n" HOST "\r\n" SMUGGLED, 400 },
	{ "nonsense", "\x16\x03\x01\x02\r\n\r\n" SMUGGLED, 0 },
};

static void check_shapes(struct served *served)
{
	for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++) {
		const struct shape *shape = &shapes[i];
		int fd = client_dial(served->port);
		client_send(fd, shape->bytes, strlen(shape->bytes));
		char *reply = client_response(fd);
		int status = reply ? (int)strtol(reply + 9, NULL, 10) : 0;
		CHECK_MSG(shape->status ? status == shape->status : status == 0 || status >= 400,
		          "%s: answered %d", shape->name, status);
		CHECK_MSG(client_is_closed(fd), "%s: the connection is closed", shape->name);
		close(fd);
		free(reply);
	}
	CHECK_MSG(count_runs(served) == 0, "nothing that was pipelined behind ever ran");
}

/* What libmicrohttpd shows nothing of is harmless: no second request, no other meaning (row 48). */
static void check_lenient(struct served *served)
{
	static const char *const bytes[] = {
		"GET /healthz HTTP/1.1\nHost: 127.0.0.1\n\n",
		("GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: b\r\n c\r\n"
		 "Connection: close\r\n\r\n"),
		"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n: x\r\nConnection: close\r\n\r\n",
	};
	for (size_t i = 0; i < sizeof(bytes) / sizeof(*bytes); i++) {
		int fd = client_dial(served->port);
		client_send(fd, bytes[i], strlen(bytes[i]));
		char *reply = client_response(fd);
		int status = reply ? (int)strtol(reply + 9, NULL, 10) : 0;
		CHECK_MSG(status == 200 || status >= 400 || status == 0,
		          "bare LF, folding, no name: answered %d", status);
		free(reply);
		close(fd);
	}
	CHECK(count_runs(served) == 0);
}

static void check_pipelining(struct served *served)
{
	static const char two[] = "GET /healthz HTTP/1.1\r\n" HOST
				  "\r\nGET /readyz HTTP/1.1\r\n" HOST "\r\n";
	int fd = client_dial(served->port);
	client_send(fd, two, strlen(two));
	char *first = client_response(fd), *second = client_response(fd);
	CHECK_MSG(first && strstr(first, "\"ok\""), "the first of two");
	CHECK_MSG(second && strstr(second, "\"ready\""), "the second of two, on one connection");
	free(first);
	free(second);
	close(fd);
}

static void check_chunked(struct served *served)
{
	static const char bytes[] =
		"POST /v1/runs?wait=20 HTTP/1.1\r\n" HOST "Content-Type: application/json\r\n"
		"Transfer-Encoding: chunked\r\n\r\n9\r\n{\"graph\":\r\n7\r\n\"echo\"}\r\n0\r\n\r\n";
	int fd = client_dial(served->port);
	client_send(fd, bytes, strlen(bytes));
	char *reply = client_response(fd);
	CHECK_MSG(reply && strstr(reply, "\"ended\""), "a chunked body is a body");
	free(reply);
	close(fd);
}

static int answer_of(int fd)
{
	char *reply = client_response(fd);
	int ret = reply ? (int)strtol(reply + 9, NULL, 10) : 0;
	free(reply);
	return ret;
}

static void check_large(struct served *served)
{
	char *big = mem_alloc(6 * 1024 * 1024);
	int len = snprintf(big, 200, "GET /healthz HTTP/1.1\r\n" HOST "X-Big: ");
	memset(big + len, 'a', 80 * 1024);
	memcpy(big + len + 80 * 1024, "\r\n\r\n", 4);
	int fd = client_dial(served->port);
	client_send(fd, big, (size_t)len + 80 * 1024 + 4);
	int status = answer_of(fd);
	CHECK_MSG(status == 431 || status == 413 || status == 0, "a header of 80 KiB: %d", status);
	close(fd);

	len = snprintf(big, 200, "GET /healthz?");
	for (int i = 0; i < 200; i++)
		len += snprintf(big + len, 64, "p%d=%d&", i, i);
	len += snprintf(big + len, 200, " HTTP/1.1\r\n" HOST "\r\n");
	fd = client_dial(served->port);
	client_send(fd, big, (size_t)len);
	status = answer_of(fd);
	CHECK_MSG(status == 400, "200 parameters: %d", status);
	close(fd);

	len = snprintf(big, 200, "GET /healthz?");
	/* Here the library's own memory is full before we are asked. */
	for (int i = 0; i < 10000; i++)
		len += snprintf(big + len, 64, "p%d=%d&", i, i);
	len += snprintf(big + len, 200, " HTTP/1.1\r\n" HOST "\r\n");
	fd = client_dial(served->port);
	client_send(fd, big, (size_t)len);
	status = answer_of(fd);
	CHECK_MSG(status >= 400 && status < 500, "10,000 parameters: %d", status);
	close(fd);

	static const char head[] = "POST /v1/runs HTTP/1.1\r\n" HOST
				   "Content-Type: application/json\r\n"
				   "Content-Length: 5368709120\r\n\r\n{";
	fd = client_dial(served->port);
	client_send(fd, head, strlen(head));
	status = answer_of(fd);
	CHECK_MSG(status == 413, "a body of 5 GB is refused before it comes: %d", status);
	CHECK(client_is_closed(fd));
	close(fd);

	static const char chunked[] = "POST /v1/runs HTTP/1.1\r\n" HOST
				      "Content-Type: application/json\r\n"
				      "Transfer-Encoding: chunked\r\n\r\n200000\r\n";
	fd = client_dial(served->port);
	client_send(fd, chunked, strlen(chunked));
	memset(big, ' ', 0x200000);
	client_send(fd, big, 0x200000);
	client_send(fd, "\r\n0\r\n\r\n", 7);
	status = answer_of(fd);
	CHECK_MSG(status == 413 || status == 0, "2 MiB in chunks: %d", status);
	close(fd);
	free(big);
}

/* Row 50: deadlines of one second. */
static void check_slow(void)
{
	struct served served;
	served_start(&served, "{\"anonymous\":\"operator\",\"header_seconds\":1,\"body_seconds\":1,"
	                      "\"idle_seconds\":2,\"per_address\":0}");
	int fd = client_dial(served.port);
	client_send(fd, "GET /he", 7);
	CHECK_MSG(client_is_closed(fd), "half a request line is closed at its deadline");
	close(fd);
	fd = client_dial(served.port);
	client_send(fd, "GET /healthz HTTP/1.1\r\nHost: 127", 33);
	CHECK_MSG(client_is_closed(fd), "half a header is closed at its deadline");
	close(fd);
	fd = client_dial(served.port);
	static const char half[] = "POST /v1/runs HTTP/1.1\r\n" HOST
				   "Content-Type: application/json\r\n"
				   "Content-Length: 100\r\n\r\n{";
	client_send(fd, half, strlen(half));
	CHECK_MSG(client_is_closed(fd), "half a body is closed at its deadline");
	close(fd);
	fd = client_dial(served.port);
	client_send(fd, "GET /healthz HTTP/1.1\r\n" HOST "\r\n", 42);
	CHECK(answer_of(fd) == 200);
	CHECK_MSG(client_is_closed(fd), "an idle connection is closed after a while");
	close(fd);
	served_stop(&served);
}

/* Row 51: no room for many.  A server of its own, with deadlines that nothing here comes near:
 * the library counts a connection until it has cleaned up, later than a client can see. */
static void check_crowd(void)
{
	struct served served;
	served_start(&served, "{\"anonymous\":\"operator\",\"per_address\":3,\"health_port\":0}");
	int idle[3];
	for (int i = 0; i < 3; i++) {
		idle[i] = client_dial(served.port);
		client_send(idle[i], "GET /healthz HTTP/1.1\r\n" HOST "\r\n", 42);
		CHECK(answer_of(idle[i]) == 200);
	}
	int fd = client_dial(served.port);
	client_send(fd, "GET /healthz HTTP/1.1\r\n" HOST "\r\n", 42);
	CHECK_MSG(answer_of(fd) == 0, "a fourth connection from one address is not taken");
	close(fd);
	fd = client_dial(served.health_port);
	client_send(fd, "GET /readyz HTTP/1.1\r\n" HOST "\r\n", 41);
	CHECK_MSG(answer_of(fd) == 200, "the health port is not affected");
	client_send(fd, "GET /v1/runs HTTP/1.1\r\n" HOST "\r\n", 42);
	CHECK_MSG(answer_of(fd) == 404, "and offers nothing else");
	close(fd);
	for (int i = 0; i < 3; i++)
		close(idle[i]);
	served_stop(&served);
}

int main(void)
{
	struct served served;
	mem_install();
	served_start(&served, "{\"anonymous\":\"operator\",\"per_address\":0}");
	check_shapes(&served);
	check_lenient(&served);
	check_pipelining(&served);
	check_large(&served);
	CHECK(count_runs(&served) == 0);
	check_chunked(&served);
	served_stop(&served);
	check_slow();
	check_crowd();
	return check_done();
}
