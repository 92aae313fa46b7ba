/* SPDX-License-Identifier: MIT */
/*
 * The yardstick of the webhook figures: libmicrohttpd, set up as engine/serve
 * sets it up, in front of one SQLite table in WAL mode with synchronous=FULL.  A
 * request is answered 202 once its bytes are durable; one writer commits what
 * has gathered in one transaction.  It checks nothing and starts nothing.
 *
 *   webhook_bare FILE        prints "port N", stops with SIGTERM or at the end of its input
 */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { THREADS = 2, CONNECTIONS = 4096, MEMORY = 32 * 1024, BODY_BYTES = 64 * 1024 };

struct request {
	struct request *next;
	struct MHD_Connection *mhd;
	size_t len;
	bool is_durable;
	char body[]; /* BODY_BYTES at most, grown as it comes */
};

struct bare {
	sqlite3 *db;
	sqlite3_stmt *begin, *insert, *commit;
	pthread_mutex_t lock;
	pthread_cond_t filled;
	struct request *first, **last;
	bool is_stopping;
};

static void die(const char *what)
{
	fprintf(stderr, "bare: %s\n", what);
	exit(1);
}

/* --- the writer ---------------------------------------------------------------- */

static void step(sqlite3_stmt *statement)
{
	if (sqlite3_step(statement) != SQLITE_DONE)
		die("SQLite");
	sqlite3_reset(statement);
}

static void commit(struct bare *bare, struct request *first)
{
	step(bare->begin);
	for (struct request *request = first; request; request = request->next) {
		sqlite3_bind_blob64(bare->insert, 1, request->body, request->len, SQLITE_STATIC);
		step(bare->insert);
	}
	step(bare->commit);
	while (first) {
		struct request *next = first->next;
		first->is_durable = true;
		MHD_resume_connection(first->mhd);
		first = next;
	}
}

static void *write_all(void *arg)
{
	struct bare *bare = arg;
	for (;;) {
		pthread_mutex_lock(&bare->lock);
		while (!bare->first && !bare->is_stopping)
			pthread_cond_wait(&bare->filled, &bare->lock);
		struct request *first = bare->first;
		bare->first = NULL;
		bare->last = &bare->first;
		pthread_mutex_unlock(&bare->lock);
		if (!first)
			return NULL;
		commit(bare, first);
	}
}

static void hand_over(struct bare *bare, struct request *request)
{
	MHD_suspend_connection(request->mhd);
	pthread_mutex_lock(&bare->lock);
	request->next = NULL;
	*bare->last = request;
	bare->last = &request->next;
	pthread_cond_signal(&bare->filled);
	pthread_mutex_unlock(&bare->lock);
}

/* --- the server ------------------------------------------------------------------ */

static enum MHD_Result answer(struct MHD_Connection *mhd)
{
	static const char body[] = "{\"is_new\":true,\"status\":\"accepted\"}\n";
	struct MHD_Response *response = MHD_create_response_from_buffer(
		sizeof(body) - 1, (void *)(uintptr_t)body, MHD_RESPMEM_PERSISTENT);
	MHD_add_response_header(response, "Content-Type", "application/json");
	enum MHD_Result ret = MHD_queue_response(mhd, 202, response);
	MHD_destroy_response(response);
	return ret;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *mhd, const char *url,
                                  const char *method, const char *version, const char *bytes,
                                  size_t *len, void **own)
{
	struct request *request = *own;
	(void)url;
	(void)method;
	(void)version;
	if (!request) {
		request = calloc(1, sizeof(*request));
		if (!request)
			die("memory");
		request->mhd = mhd;
		*own = request;
		return MHD_YES;
	}
	if (*len > 0) {
		if (request->len + *len > BODY_BYTES)
			return MHD_NO;
		request = realloc(request, sizeof(*request) + request->len + *len);
		if (!request)
			die("memory");
		memcpy(request->body + request->len, bytes, *len);
		request->len += *len;
		*len = 0;
		*own = request;
		return MHD_YES;
	}
	if (request->is_durable)
		return answer(mhd);
	hand_over(cls, request);
	return MHD_YES;
}

static void on_completed(void *cls, struct MHD_Connection *mhd, void **own,
                         enum MHD_RequestTerminationCode code)
{
	(void)cls;
	(void)mhd;
	(void)code;
	free(*own);
	*own = NULL;
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *ret = NULL;
	if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &ret, NULL) != SQLITE_OK)
		die(sqlite3_errmsg(db));
	return ret;
}

static void open_store(struct bare *bare, const char *file)
{
	if (sqlite3_open(file, &bare->db) != SQLITE_OK ||
	    sqlite3_exec(bare->db,
	                 "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA mmap_size=0;"
	                 "PRAGMA wal_autocheckpoint=2000; PRAGMA cache_size=-8192;"
	                 "CREATE TABLE delivery(id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT",
	                 NULL, NULL, NULL) != SQLITE_OK)
		die(sqlite3_errmsg(bare->db));
	bare->begin = prepare(bare->db, "BEGIN IMMEDIATE");
	bare->insert = prepare(bare->db, "INSERT INTO delivery(body) VALUES(?)");
	bare->commit = prepare(bare->db, "COMMIT");
}

int main(int argc, char **argv)
{
	struct bare bare = { .last = &bare.first };
	pthread_t writer;
	sigset_t stops;
	int caught;
	if (argc != 2)
		die("usage: webhook_bare FILE");
	open_store(&bare, argv[1]);
	pthread_mutex_init(&bare.lock, NULL);
	pthread_cond_init(&bare.filled, NULL);
	sigemptyset(&stops);
	sigaddset(&stops, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &stops, NULL);
	if (pthread_create(&writer, NULL, write_all, &bare) != 0)
		die("no thread can be had");
	struct sockaddr_in address = { .sin_family = AF_INET,
		                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct MHD_Daemon *daemon = MHD_start_daemon(
		MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request,
		&bare, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address,
		MHD_OPTION_THREAD_POOL_SIZE, (unsigned int)THREADS, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned int)CONNECTIONS, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_END);
	if (!daemon)
		die("the server cannot start");
	printf("port %d\n", MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
	fflush(stdout);
	sigwait(&stops, &caught);
	MHD_stop_daemon(daemon);
	pthread_mutex_lock(&bare.lock);
	bare.is_stopping = true;
	pthread_cond_signal(&bare.filled);
	pthread_mutex_unlock(&bare.lock);
	pthread_join(writer, NULL);
	sqlite3_close_v2(bare.db);
	return 0;
}
