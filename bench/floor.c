/* SPDX-License-Identifier: MIT */
/*
 * What W1 costs without an engine: the same HTTP calls in the same order with a
 * libcurl multi handle, and the same rows (7 records of the same size, the run's
 * row when it starts and when it ends) in SQLite, committed in groups, with the
 * next call of a run only after its record is durable.  Nothing is parsed,
 * decided or checked.  One thread calls, one commits.
 *
 *   floor URL IN_FLIGHT SECONDS STORE
 *
 * Prints one line of JSON.
 */
#include <curl/curl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { STEPS = 7, RECORD_BYTES = 1150, SUMMARY_BYTES = 200, BATCH_MAX = 512 };

/* The calls after each record; the last record has none. */
static const struct {
	const char *path, *body;
} calls[STEPS - 1] = {
	{ "/kyc", NULL },
	{ "/bank", NULL },
	{ "/profile", NULL },
	{ "/llm", "{\"model\":\"stub-1\",\"id\":\"r-1\",\"messages\":[{\"role\":\"user\","
	          "\"content\":\"assess the five domains: identity, address, contact\"}]}" },
	{ "/provision", "{\"id\":\"r-1\",\"tier\":\"standard\"}" },
	{ "/notify", "{\"id\":\"r-1\",\"decision\":\"approve\",\"account\":\"ACC-0001\"}" },
};

struct run {
	struct run *next;
	sqlite3_int64 no;
	int step; /* records written */
	CURL *easy;
};

struct queue {
	pthread_mutex_t lock;
	pthread_cond_t filled;
	struct run *first, **last;
};

struct floor {
	const char *url;
	CURLM *multi;
	struct curl_slist *json;
	sqlite3 *db;
	sqlite3_stmt *begin, *commit, *record, *start, *end;
	struct queue to_commit, committed;
	sqlite3_int64 next_no;
	long ended, commits;
	bool is_over;
};

static void die(const char *what)
{
	fprintf(stderr, "floor: %s\n", what);
	exit(1);
}

/* --- queues ---------------------------------------------------------------- */

static void queue_init(struct queue *queue)
{
	pthread_mutex_init(&queue->lock, NULL);
	pthread_cond_init(&queue->filled, NULL);
	queue->last = &queue->first;
}

static void queue_push(struct queue *queue, struct run *first, struct run **last)
{
	if (!first)
		return;
	pthread_mutex_lock(&queue->lock);
	*queue->last = first;
	queue->last = last;
	pthread_cond_signal(&queue->filled);
	pthread_mutex_unlock(&queue->lock);
}

static struct run *queue_take(struct queue *queue, bool waits)
{
	pthread_mutex_lock(&queue->lock);
	if (waits && !queue->first) {
		struct timespec until;
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec++;
		pthread_cond_timedwait(&queue->filled, &queue->lock, &until);
	}
	struct run *ret = queue->first;
	queue->first = NULL;
	queue->last = &queue->first;
	pthread_mutex_unlock(&queue->lock);
	return ret;
}

/* --- the thread that commits ------------------------------------------------ */

static void step(struct floor *floor, sqlite3_stmt *st)
{
	int code = sqlite3_step(st);
	if (code != SQLITE_DONE)
		die(sqlite3_errmsg(floor->db));
	sqlite3_reset(st);
}

static void write_run(struct floor *floor, struct run *run)
{
	static const char bytes[RECORD_BYTES], hash[32];
	if (run->step == 0 || run->step == STEPS - 1) {
		char id[32];
		sqlite3_stmt *st = run->step == 0 ? floor->start : floor->end;
		snprintf(id, sizeof(id), "%026lld", run->no);
		sqlite3_bind_int64(st, 1, run->no);
		sqlite3_bind_int64(st, 2, run->step);
		sqlite3_bind_blob(st, 3, bytes, SUMMARY_BYTES, SQLITE_STATIC);
		if (run->step == 0)
			sqlite3_bind_text(st, 4, id, -1, SQLITE_TRANSIENT);
		step(floor, st);
	}
	sqlite3_bind_int64(floor->record, 1, run->no);
	sqlite3_bind_int64(floor->record, 2, run->step);
	sqlite3_bind_blob(floor->record, 3, hash, sizeof(hash), SQLITE_STATIC);
	sqlite3_bind_blob(floor->record, 4, bytes, sizeof(bytes), SQLITE_STATIC);
	step(floor, floor->record);
}

static void *commit_main(void *arg)
{
	struct floor *floor = arg;
	while (!floor->is_over) {
		struct run *first = queue_take(&floor->to_commit, true), **last = &first;
		if (!first)
			continue;
		step(floor, floor->begin);
		for (; *last; last = &(*last)->next)
			write_run(floor, *last);
		step(floor, floor->commit);
		floor->commits++;
		queue_push(&floor->committed, first, last);
		curl_multi_wakeup(floor->multi);
	}
	return NULL;
}

static void open_store(struct floor *floor, const char *path)
{
	static const char schema[] =
		"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=2000;"
		"PRAGMA cache_size=-8192;"
		"CREATE TABLE run(no INTEGER PRIMARY KEY, status INTEGER, summary BLOB,"
		" id TEXT NOT NULL UNIQUE);"
		"CREATE TABLE record(id INTEGER PRIMARY KEY, run INTEGER NOT NULL,"
		" seq INTEGER NOT NULL, hash BLOB, body BLOB, UNIQUE(run, seq))";
	if (sqlite3_open(path, &floor->db) != SQLITE_OK ||
	    sqlite3_exec(floor->db, schema, NULL, NULL, NULL) != SQLITE_OK)
		die(sqlite3_errmsg(floor->db));
	struct {
		sqlite3_stmt **st;
		const char *sql;
	} all[] = { { &floor->begin, "BEGIN IMMEDIATE" },
		    { &floor->commit, "COMMIT" },
		    { &floor->start, "INSERT INTO run(no,status,summary,id) VALUES(?,?,?,?)" },
		    { &floor->end, "UPDATE run SET status=?2,summary=?3 WHERE no=?1" },
		    { &floor->record, "INSERT INTO record(run,seq,hash,body) VALUES(?,?,?,?)" } };
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (sqlite3_prepare_v2(floor->db, all[i].sql, -1, all[i].st, NULL) != SQLITE_OK)
			die(sqlite3_errmsg(floor->db));
}

/* --- the thread that calls --------------------------------------------------- */

static size_t swallow(char *bytes, size_t size, size_t count, void *arg)
{
	(void)bytes;
	(void)arg;
	return size * count;
}

static void call(struct floor *floor, struct run *run)
{
	char url[256];
	const char *body = calls[run->step - 1].body;
	snprintf(url, sizeof(url), "%s%s", floor->url, calls[run->step - 1].path);
	curl_easy_setopt(run->easy, CURLOPT_URL, url);
	curl_easy_setopt(run->easy, CURLOPT_PRIVATE, run);
	curl_easy_setopt(run->easy, CURLOPT_WRITEFUNCTION, swallow);
	curl_easy_setopt(run->easy, CURLOPT_NOSIGNAL, 1L);
	if (body) {
		curl_easy_setopt(run->easy, CURLOPT_POSTFIELDS, body);
		curl_easy_setopt(run->easy, CURLOPT_HTTPHEADER, floor->json);
	} else {
		curl_easy_setopt(run->easy, CURLOPT_HTTPGET, 1L);
		curl_easy_setopt(run->easy, CURLOPT_HTTPHEADER, NULL);
	}
	curl_multi_add_handle(floor->multi, run->easy);
}

/* Each run that was committed makes its next call; one that has none is a new run. */
static void go_on(struct floor *floor)
{
	struct run *run = queue_take(&floor->committed, false), *next, *fresh = NULL,
		   **last = &fresh;
	for (; run; run = next) {
		next = run->next;
		run->next = NULL;
		if (++run->step < STEPS) {
			call(floor, run);
			continue;
		}
		floor->ended++;
		run->no = ++floor->next_no;
		run->step = 0;
		*last = run;
		last = &run->next;
	}
	queue_push(&floor->to_commit, fresh, last);
}

static void finish_calls(struct floor *floor)
{
	struct run *first = NULL, **last = &first;
	int left;
	for (CURLMsg *message; (message = curl_multi_info_read(floor->multi, &left));) {
		struct run *run;
		long code = 0;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&run);
		curl_easy_getinfo(message->easy_handle, CURLINFO_RESPONSE_CODE, &code);
		if (message->data.result != CURLE_OK || code != 200)
			die("a call failed");
		curl_multi_remove_handle(floor->multi, run->easy);
		*last = run;
		last = &run->next;
	}
	queue_push(&floor->to_commit, first, last);
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

static void turn(struct floor *floor, double until_s)
{
	int running;
	while (now_s() < until_s) {
		go_on(floor);
		curl_multi_perform(floor->multi, &running);
		finish_calls(floor);
		curl_multi_poll(floor->multi, NULL, 0, 100, NULL);
	}
}

int main(int argc, char **argv)
{
	if (argc < 5) {
		fprintf(stderr, "usage: floor URL IN_FLIGHT SECONDS STORE\n");
		return 2;
	}
	struct floor floor = { .url = argv[1] };
	int in_flight = (int)strtol(argv[2], NULL, 10);
	double seconds = strtod(argv[3], NULL);
	pthread_t thread;
	struct run *first = NULL, **last = &first;
	curl_global_init(CURL_GLOBAL_DEFAULT);
	floor.multi = curl_multi_init();
	curl_multi_setopt(floor.multi, CURLMOPT_MAXCONNECTS, (long)in_flight);
	floor.json = curl_slist_append(NULL, "Content-Type: application/json");
	open_store(&floor, argv[4]);
	queue_init(&floor.to_commit);
	queue_init(&floor.committed);
	for (int i = 0; i < in_flight; i++) {
		*last = calloc(1, sizeof(**last));
		(*last)->easy = curl_easy_init();
		(*last)->no = ++floor.next_no;
		last = &(*last)->next;
	}
	queue_push(&floor.to_commit, first, last);
	if (pthread_create(&thread, NULL, commit_main, &floor) != 0)
		die("no thread");
	turn(&floor, now_s() + 1); /* to warm up */
	double began = now_s(), cpu = cpu_s();
	long ended = floor.ended, commits = floor.commits;
	turn(&floor, began + seconds);
	double took = now_s() - began;
	cpu = cpu_s() - cpu;
	ended = floor.ended - ended;
	printf("{\"runs_per_s\":%.1f,\"cpu_us_per_run\":%.1f,\"syncs_per_run\":%.3f}\n",
	       (double)ended / took, cpu * 1e6 / (double)ended,
	       (double)(floor.commits - commits) / (double)ended);
	fflush(stdout);
	_exit(0); /* what is in flight is of no interest */
}
