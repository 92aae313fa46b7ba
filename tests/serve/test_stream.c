/* SPDX-License-Identifier: MIT */
/* Event streams: from the beginning, from where one left, live, without a gap or a repetition. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "check.h"
#include "served.h"

static char *start(struct served *served)
{
	json_t *reply = served_ask(served,
	                           json_pack("{s:s,s:s}", "op", "run.start", "graph", "idle"));
	char *ret = mem_dup_str(json_str(json_at(reply, "run"), "id", ""));
	json_decref(reply);
	return ret;
}

static void signal_run(struct served *served, const char *run, const char *event)
{
	json_decref(served_ask(served, json_pack("{s:s,s:s,s:s}", "op", "run.signal", "run", run,
	                                         "event", event)));
}

static int listen_to(struct served *served, const char *run, const char *last)
{
	char request[400];
	int fd = client_dial(served->port);
	int len = snprintf(request, sizeof(request),
	                   "GET /v1/runs/%s/events HTTP/1.1\r\nHost: 127.0.0.1\r\n%s%s%s\r\n", run,
	                   last ? "Last-Event-ID: " : "", last ? last : "", last ? "\r\n" : "");
	client_send(fd, request, (size_t)len);
	return fd;
}

/* The ids in order, "1 2 3". */
static void ids_of(const char *text, char ret[400])
{
	ret[0] = '\0';
	for (const char *at = strstr(text, "id: "); at; at = strstr(at + 1, "\nid: ")) {
		const char *digits = strstr(at, "id: ") + 4;
		snprintf(ret + strlen(ret), 400 - strlen(ret), "%s%.*s", *ret ? " " : "",
		         (int)strspn(digits, "0123456789"), digits);
	}
}

static void check_live(struct served *served)
{
	char *run = start(served), ids[400];
	int fd = listen_to(served, run, NULL);
	char *text = client_until(fd, "id: 1\n");
	CHECK(strstr(text, "Content-Type: text/event-stream"));
	CHECK(strstr(text, "event: start\n"));
	free(text);
	signal_run(served, run, "tick");
	text = client_until(fd, "id: 2\n");
	CHECK_MSG(strstr(text, "event: step"), "what comes is sent");
	free(text);
	for (int i = 0; i < 5; i++)
		signal_run(served, run, "tick");
	text = client_until(fd, "id: 7\n");
	ids_of(text, ids);
	CHECK_STR(ids, "3 4 5 6 7");
	free(text);
	close(fd);

	fd = listen_to(served, run, "4");
	text = client_until(fd, "id: 7\n");
	ids_of(text, ids);
	CHECK_MSG(strcmp(ids, "5 6 7") == 0, "from where one left: %s", ids);
	free(text);
	int second = listen_to(served, run, "7");
	signal_run(served, run, "go");
	text = client_until(second, "id: 8\n");
	ids_of(text, ids);
	CHECK_MSG(strcmp(ids, "8") == 0, "nothing twice: %s", ids);
	free(text);
	text = client_until(fd, "id: 8\n");
	CHECK_MSG(strstr(text, "\"end\""), "both hear of it");
	free(text);
	close(second);
	close(fd);
	free(run);
}

static int listen_to_all(struct served *served, const char *query, const char *last)
{
	char request[300];
	int fd = client_dial(served->port);
	snprintf(request, sizeof(request),
	         "GET /v1/events%s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s%s%s\r\n", query,
	         last ? "Last-Event-ID: " : "", last ? last : "", last ? "\r\n" : "");
	client_send(fd, request, strlen(request));
	return fd;
}

/* How many events of this run came; *ret_last: the last number. */
static int count_of(const char *text, const char *run, char ret_last[32])
{
	int ret = 0;
	for (const char *at = text; (at = strstr(at, "\nid: ")); at++)
		snprintf(ret_last, 32, "%.*s", (int)strspn(at + 5, "0123456789"), at + 5);
	for (const char *at = text; (at = strstr(at, run)); at++)
		ret++;
	return ret;
}

/* Of all runs: nothing missing, nothing twice, whenever one comes back. */
static void check_all(struct served *served)
{
	char *before = start(served), last[32] = "", ignored[32] = "";
	int fd = listen_to_all(served, "", NULL);
	char *head = client_until(fd, "\r\n\r\n"); /* listening, before anything comes */
	CHECK_MSG(!strstr(head, before), "only what comes from now on");
	free(head);
	char *one = start(served), *two = start(served);
	signal_run(served, one, "tick");
	signal_run(served, two, "go");
	char *text = client_until(fd, "\"end\"");
	CHECK_MSG(count_of(text, before, last) == 0 && count_of(text, one, last) == 2 &&
	                  count_of(text, two, last) == 2,
	          "both runs, in the order of their commits");
	free(text);
	close(fd);
	signal_run(served, one, "tick");
	signal_run(served, one, "go");
	fd = listen_to_all(served, "", last);
	text = client_until(fd, "\"end\"");
	CHECK_MSG(count_of(text, one, ignored) == 2 && count_of(text, two, ignored) == 0,
	          "from where one left: %s", text);
	free(text);
	close(fd);
	fd = listen_to_all(served, "?from=0", NULL);
	text = client_until(fd, ignored);
	CHECK_MSG(count_of(text, before, last) == 1 && count_of(text, one, last) == 4,
	          "and from the first");
	free(text);
	close(fd);
	fd = listen_to_all(served, "", "x");
	text = client_response(fd);
	CHECK_MSG(text && str_begins(text, "HTTP/1.1 400"), "an id that is none");
	free(text);
	close(fd);
	free(before);
	free(one);
	free(two);
}

static void check_heartbeat(struct served *served)
{
	char *run = start(served);
	int fd = listen_to(served, run, "1");
	char *text = client_until(fd, ": still here\n");
	CHECK_MSG(strstr(text, ": still here"), "a heartbeat comes when nothing else does");
	free(text);
	close(fd);
	fd = listen_to(served, run, "x");
	text = client_response(fd);
	CHECK_MSG(text && str_begins(text, "HTTP/1.1 400"), "an id that is none");
	free(text);
	close(fd);
	free(run);
}

/* Stopping ends the streams. */
static void check_end(struct served *served)
{
	char *run = start(served);
	int fd = listen_to(served, run, NULL);
	char *text = client_until(fd, "id: 1\n");
	free(text);
	served_stop(served);
	CHECK(client_is_closed(fd));
	close(fd);
	free(run);
}

int main(void)
{
	struct served served;
	mem_install();
	served_start(&served,
	             "{\"anonymous\":\"viewer\",\"per_address\":0,\"heartbeat_seconds\":1}");
	check_live(&served);
	check_all(&served);
	check_heartbeat(&served);
	check_end(&served);
	return check_done();
}
