/* SPDX-License-Identifier: MIT */
/*
 * The store's contract (store.h): one suite, run against every store.  Behind
 * it, what only a file can show: it is there after reopening, it has one owner,
 * what is not ours or was damaged is refused.
 */
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/vec.h"
#include "check.h"
#include "store/store.h"

/* --- helpers ---------------------------------------------------------------------------------- */

struct seen {
	VEC(int64_t) nos; /* of runs, in order */
	struct buf text;  /* whatever the test wants to compare */
	int limit;        /* records: stop after so many; 0: never */
};

static void seen_init(struct seen *seen)
{
	*seen = (struct seen){ 0 };
	buf_init(&seen->text, 1 << 20);
	buf_put(&seen->text, "");
}

static void seen_release(struct seen *seen)
{
	vec_release(&seen->nos);
	buf_release(&seen->text);
}

static void see_run(void *arg, const struct store_run *run)
{
	struct seen *seen = arg;
	*vec_add(&seen->nos) = run->no;
	buf_printf(&seen->text, "%s%lld", seen->text.len ? " " : "", (long long)run->no);
}

static void see_all(void *arg, const struct store_run *run)
{
	struct seen *seen = arg;
	buf_printf(&seen->text, "%lld %s %s %s %d %lld %lld %lld %s %s", (long long)run->no,
	           run->id, run->graph, run->correlation_id, run->status,
	           (long long)run->created_ms, (long long)run->updated_ms, (long long)run->wake_ms,
	           run->exclusive ? run->exclusive : "-", run->summary);
}

static void see_task(void *arg, const struct store_task *task)
{
	struct seen *seen = arg;
	buf_printf(&seen->text, "%s%s", seen->text.len ? " " : "", task->id);
}

static bool see_record(void *arg, int64_t seq, const unsigned char hash[32], struct str body)
{
	struct seen *seen = arg;
	buf_printf(&seen->text, "%s%lld:%02x:%.*s", seen->text.len ? " " : "", (long long)seq,
	           hash[0], (int)body.len, body.ptr);
	return seen->limit == 0 || --seen->limit > 0;
}

static void see_bytes(void *arg, int64_t seq, struct str body)
{
	struct seen *seen = arg;
	buf_printf(&seen->text, "%lld:%.*s", (long long)seq, (int)body.len, body.ptr);
}

static struct store_op run_new(int64_t no, const char *graph, const char *correlation_id)
{
	static const char *const ids[] = { "r0", "r1", "r2", "r3", "r4",
		                           "r5", "r6", "r7", "r8", "r9" };
	return (struct store_op){ .kind = STORE_OP_RUN_NEW,
		                  .no = no,
		                  .run = { .no = no,
		                           .id = ids[no % 10],
		                           .graph = graph,
		                           .correlation_id = correlation_id,
		                           .status = STORE_RUNNING,
		                           .created_ms = 1000 * no,
		                           .updated_ms = 1000 * no,
		                           .wake_ms = -1,
		                           .summary = "{}" } };
}

static struct store_op record(int64_t no, int64_t seq, const char *body)
{
	struct store_op op = {
		.kind = STORE_OP_RECORD, .no = no, .seq = seq, .body = str_of(body)
	};
	memset(op.hash, (int)seq, sizeof(op.hash));
	return op;
}

/* One item of these operations; its result. */
static int apply(struct store *store, const struct store_op *ops, size_t count,
                 struct store_item *ret)
{
	struct store_item item = { .ops = ops, .count = count };
	struct err err = { 0 };
	CHECK_MSG(store->ops->apply(store, &item, 1, &err) == 0, "the transaction is done %s",
	          err.text);
	if (ret)
		*ret = item;
	return item.result;
}

static int apply_one(struct store *store, struct store_op op)
{
	return apply(store, &op, 1, NULL);
}

/* The numbers that a filter finds, in order. */
static void check_runs(struct store *store, struct store_filter filter, const char *want)
{
	struct seen seen;
	struct err err = { 0 };
	seen_init(&seen);
	CHECK(store->ops->runs(store, &filter, see_run, &seen, &err) == 0);
	CHECK_STR(seen.text.bytes, want);
	seen_release(&seen);
}

static void check_tasks(struct store *store, struct store_task_filter filter, const char *want)
{
	struct seen seen;
	struct err err = { 0 };
	seen_init(&seen);
	CHECK(store->ops->tasks(store, &filter, see_task, &seen, &err) == 0);
	CHECK_STR(seen.text.bytes, want);
	seen_release(&seen);
}

static void check_records(struct store *store, int64_t no, int64_t from, int limit,
                          const char *want)
{
	struct seen seen;
	struct err err = { 0 };
	seen_init(&seen);
	seen.limit = limit;
	CHECK(store->ops->records(store, no, from, see_record, &seen, &err) == 0);
	CHECK_STR(seen.text.bytes, want);
	seen_release(&seen);
}

/* --- the suite -------------------------------------------------------------------------------- */

static void test_empty(struct store *store)
{
	struct err err = { 0 };
	struct seen seen;
	int64_t number = 7;
	unsigned char hash[32] = { 0 };
	seen_init(&seen);
	CHECK(store->ops->last_no(store, &number, &err) == 0 && number == 0);
	CHECK(store->ops->next_wake(store, &number, &err) == 0 && number == INT64_MAX);
	CHECK(store->ops->run_by_no(store, 1, see_run, &seen, &err) == ERR_ABSENT);
	err_clear(&err);
	CHECK(store->ops->run_by_id(store, "r1", see_run, &seen, &err) == ERR_ABSENT);
	err_clear(&err);
	CHECK(store->ops->run_by_key(store, "g", "c", see_run, &seen, &err) == ERR_ABSENT);
	err_clear(&err);
	CHECK(store->ops->snapshot(store, 1, see_bytes, &seen, &err) == ERR_ABSENT);
	err_clear(&err);
	CHECK(store->ops->task(store, "r1.1", see_task, &seen, &err) == ERR_ABSENT);
	err_clear(&err);
	CHECK(store->ops->blob(store, hash, see_bytes, &seen, &err) == ERR_ABSENT);
	err_clear(&err);
	CHECK(store->ops->meta(store, "x", see_bytes, &seen, &err) == ERR_ABSENT);
	CHECK(seen.text.len == 0);
	check_runs(store, (struct store_filter){ 0 }, "");
	check_tasks(store, (struct store_task_filter){ 0 }, "");
	check_records(store, 1, 1, 0, "");
	seen_release(&seen);
}

static void test_run_rows(struct store *store)
{
	struct err err = { 0 };
	struct seen seen;
	struct store_op made = run_new(1, "onboarding", "c1");
	made.run.exclusive = "a\x1f"
			     "b";
	made.run.wake_ms = 5000;
	CHECK(apply_one(store, made) == 0);
	seen_init(&seen);
	CHECK(store->ops->run_by_key(store, "onboarding", "c1", see_all, &seen, &err) == 0);
	CHECK_STR(seen.text.bytes, "1 r1 onboarding c1 1 1000 1000 5000 a\x1f"
	                           "b {}");
	struct store_op set = { .kind = STORE_OP_RUN_SET,
		                .no = 1,
		                .run = { .no = 1,
		                         .status = STORE_ENDED,
		                         .updated_ms = 2222,
		                         .wake_ms = -1,
		                         .summary = "{\"a\":1}" } };
	CHECK(apply_one(store, set) == 0);
	buf_clear(&seen.text);
	CHECK(store->ops->run_by_id(store, "r1", see_all, &seen, &err) == 0);
	CHECK_STR(seen.text.bytes, "1 r1 onboarding c1 10 1000 2222 -1 - {\"a\":1}");
	seen_release(&seen);
}

/* The second of a name is refused alone; with it, nothing of its item is kept. */
static void test_conflicts(struct store *store)
{
	struct store_op first[] = { run_new(1, "g", "c"), record(1, 1, "one") };
	struct store_op second[] = { run_new(2, "g", "c"), record(2, 1, "two") };
	struct store_op third[] = { run_new(3, "h", "c"), record(3, 1, "three") };
	struct store_item items[] = { { .ops = first, .count = 2 },
		                      { .ops = second, .count = 2 },
		                      { .ops = third, .count = 2 } };
	struct err err = { 0 };
	CHECK(store->ops->apply(store, items, 3, &err) == 0);
	CHECK(items[0].result == 0 && items[2].result == 0);
	CHECK(items[1].result == ERR_CONFLICT && items[1].conflict_no == 1);
	CHECK(!items[1].is_exclusive_conflict);
	check_runs(store, (struct store_filter){ 0 }, "3 1");
	check_records(store, 2, 1, 0, "");
	struct store_item item;
	CHECK(apply(store, second, 2, &item) == ERR_CONFLICT && item.conflict_no == 1);

	/* A record's number is taken once; the rest of the item is not kept either. */
	struct store_op again[] = { record(1, 2, "two"), record(1, 1, "other") };
	CHECK(apply(store, again, 2, &item) == ERR_CONFLICT && item.conflict_no == 1);
	check_records(store, 1, 1, 0, "1:01:one");
}

static struct store_op exclusive_run(int64_t no, const char *value)
{
	static const char *const names[] = { "c0", "c1", "c2", "c3", "c4" };
	struct store_op op = run_new(no, "g", names[no]);
	op.run.exclusive = value;
	return op;
}

static void test_exclusive(struct store *store)
{
	struct store_item item;
	struct store_op one = exclusive_run(1, "acme"), two = exclusive_run(2, "acme"),
			other = exclusive_run(3, "beta"), none = exclusive_run(4, NULL);
	CHECK(apply(store, &one, 1, &item) == 0);
	CHECK(apply(store, &two, 1, &item) == ERR_CONFLICT);
	CHECK(item.is_exclusive_conflict && item.conflict_no == 1);
	CHECK(apply(store, &other, 1, NULL) == 0);
	CHECK(apply(store, &none, 1, NULL) == 0);
	/* The same name as well: that counts first, for a second start gets the first run. */
	struct store_op same = exclusive_run(1, "acme");
	same.no = same.run.no = 5;
	CHECK(apply(store, &same, 1, &item) == ERR_CONFLICT && !item.is_exclusive_conflict);
	struct store_op end = {
		.kind = STORE_OP_RUN_SET,
		.no = 1,
		.run = { .no = 1, .status = STORE_ENDED, .wake_ms = -1, .summary = "{}" }
	};
	CHECK(apply_one(store, end) == 0);
	CHECK(apply(store, &two, 1, &item) == 0 && !item.is_exclusive_conflict);
}

static void set_wake(struct store *store, int64_t no, int status, int64_t wake_ms)
{
	struct store_op set = {
		.kind = STORE_OP_RUN_SET,
		.no = no,
		.run = { .no = no, .status = status, .wake_ms = wake_ms, .summary = "{}" }
	};
	CHECK(apply_one(store, set) == 0);
}

static void check_due(struct store *store, int64_t until_ms, int limit, const char *want)
{
	struct seen seen;
	struct err err = { 0 };
	seen_init(&seen);
	CHECK(store->ops->due(store, until_ms, limit, see_run, &seen, &err) == 0);
	CHECK_STR(seen.text.bytes, want);
	seen_release(&seen);
}

static void test_due(struct store *store)
{
	static const int64_t wakes[] = { 0, 300, 100, 200, 100, 0, -1 };
	static const char *const names[] = { "c0", "c1", "c2", "c3", "c4", "c5", "c6" };
	struct err err = { 0 };
	struct seen seen;
	int64_t next;
	for (int64_t no = 1; no <= 6; no++) {
		CHECK(apply_one(store, run_new(no, "g", names[no])) == 0);
		set_wake(store, no, STORE_WAITING, wakes[no]);
	}
	check_due(store, 99, 10, "");
	check_due(store, 100, 10, "2 4");
	check_due(store, 1000, 10, "2 4 3 1");
	check_due(store, 1000, 2, "2 4");
	CHECK(store->ops->next_wake(store, &next, &err) == 0 && next == 100);
	/* 0 is no time: such a run owes something, and is told apart. */
	seen_init(&seen);
	CHECK(store->ops->owing(store, see_run, &seen, &err) == 0);
	CHECK_STR(seen.text.bytes, "5");
	seen_release(&seen);
	set_wake(store, 2, STORE_ENDED, -1);
	set_wake(store, 4, STORE_ENDED, -1);
	check_due(store, 1000, 10, "3 1");
	CHECK(store->ops->next_wake(store, &next, &err) == 0 && next == 200);
}

static void test_filters(struct store *store)
{
	struct store_op search = { .kind = STORE_OP_SEARCH, .name = "account", .text = "A" };
	for (int64_t no = 1; no <= 4; no++) {
		static const char *const names[] = { "c0", "c1", "c2", "c3", "c4" };
		CHECK(apply_one(store, run_new(no, no % 2 ? "odd" : "even", names[no])) == 0);
		search.no = no;
		search.text = no < 3 ? "A" : "B";
		CHECK(apply_one(store, search) == 0);
	}
	set_wake(store, 3, STORE_PEOPLE, -1);
	check_runs(store, (struct store_filter){ 0 }, "4 3 2 1");
	check_runs(store, (struct store_filter){ .limit = 2 }, "4 3");
	check_runs(store, (struct store_filter){ .limit = 2, .before_no = 3 }, "2 1");
	check_runs(store, (struct store_filter){ .graph = "odd" }, "3 1");
	check_runs(store, (struct store_filter){ .graph = "none" }, "");
	check_runs(store, (struct store_filter){ .status = STORE_PEOPLE }, "3");
	check_runs(store, (struct store_filter){ .since_ms = 2000, .until_ms = 4000 }, "3 2");
	check_runs(store, (struct store_filter){ .search_name = "account", .search_value = "A" },
	           "2 1");
	check_runs(store,
	           (struct store_filter){
			   .search_name = "account", .search_value = "B", .graph = "odd" },
	           "3");
	/* Found by what it says now, no longer by what it said. */
	search.no = 1;
	search.text = "B";
	CHECK(apply_one(store, search) == 0);
	check_runs(store, (struct store_filter){ .search_name = "account", .search_value = "A" },
	           "2");
	check_runs(store, (struct store_filter){ .search_name = "account", .search_value = "B" },
	           "4 3 1");
	search.text = NULL;
	CHECK(apply_one(store, search) == 0);
	check_runs(store, (struct store_filter){ .search_name = "account", .search_value = "B" },
	           "4 3");
}

static void test_records(struct store *store)
{
	struct store_op ops[] = { run_new(1, "g", "c"), record(1, 1, "a"), record(1, 2, "b"),
		                  record(1, 3, "") };
	CHECK(apply(store, ops, 4, NULL) == 0);
	CHECK(apply_one(store, run_new(2, "g", "d")) == 0);
	CHECK(apply_one(store, record(2, 1, "other")) == 0);
	check_records(store, 1, 1, 0, "1:01:a 2:02:b 3:03:");
	check_records(store, 1, 2, 0, "2:02:b 3:03:");
	check_records(store, 1, 4, 0, "");
	check_records(store, 1, 1, 2, "1:01:a 2:02:b");
	check_records(store, 2, 1, 0, "1:01:other");
}

static void test_bytes(struct store *store)
{
	struct err err = { 0 };
	struct seen seen;
	struct store_op snapshot = {
		.kind = STORE_OP_SNAPSHOT, .no = 1, .seq = 4, .body = STR_LIT("old")
	};
	struct store_op blob = { .kind = STORE_OP_BLOB,
		                 .hash = { 1, 2, 3 },
		                 .body = STR_LIT("bytes") };
	struct store_op meta = { .kind = STORE_OP_META, .name = "key", .body = STR_LIT("v1") };
	seen_init(&seen);
	CHECK(apply_one(store, snapshot) == 0 && apply_one(store, blob) == 0 &&
	      apply_one(store, meta) == 0);
	snapshot.seq = 9;
	snapshot.body = STR_LIT("new");
	blob.body = STR_LIT("other"); /* the same hash: kept as it was first */
	meta.body = STR_LIT("v2");
	CHECK(apply_one(store, snapshot) == 0 && apply_one(store, blob) == 0 &&
	      apply_one(store, meta) == 0);
	CHECK(store->ops->snapshot(store, 1, see_bytes, &seen, &err) == 0);
	CHECK_STR(seen.text.bytes, "9:new");
	buf_clear(&seen.text);
	CHECK(store->ops->blob(store, blob.hash, see_bytes, &seen, &err) == 0);
	CHECK_STR(seen.text.bytes, "0:bytes");
	buf_clear(&seen.text);
	CHECK(store->ops->meta(store, "key", see_bytes, &seen, &err) == 0);
	CHECK_STR(seen.text.bytes, "0:v2");
	struct store_op empty = { .kind = STORE_OP_BLOB, .hash = { 9 } };
	buf_clear(&seen.text);
	CHECK(apply_one(store, empty) == 0);
	CHECK(store->ops->blob(store, empty.hash, see_bytes, &seen, &err) == 0);
	CHECK_STR(seen.text.bytes, "0:");
	seen_release(&seen);
}

static void put_task(struct store *store, const char *id, int64_t run, int status, const char *role,
                     const char *owner, int64_t due_ms)
{
	struct store_op op = { .kind = STORE_OP_TASK,
		               .no = run,
		               .task = { id, run, status, role, owner, due_ms, "{}" } };
	CHECK(apply_one(store, op) == 0);
}

static void test_tasks(struct store *store)
{
	put_task(store, "r1.2", 1, 2, "lead", NULL, 100);
	put_task(store, "r1.10", 1, 1, NULL, "CS", 50);
	put_task(store, "r1.3", 1, 3, "lead", NULL, 10);
	put_task(store, "r2.1", 2, 2, NULL, "Finance", -1);
	check_tasks(store, (struct store_task_filter){ 0 }, "r1.2 r1.3 r1.10 r2.1");
	check_tasks(store, (struct store_task_filter){ .run = 2 }, "r2.1");
	check_tasks(store, (struct store_task_filter){ .role = "lead" }, "r1.2 r1.3");
	check_tasks(store, (struct store_task_filter){ .owner = "CS" }, "r1.10");
	check_tasks(store, (struct store_task_filter){ .status = 2 }, "r1.2 r2.1");
	/* Overdue: not those that are done, nor those without a date. */
	check_tasks(store, (struct store_task_filter){ .due_before_ms = 200 }, "r1.2 r1.10");
	check_tasks(store, (struct store_task_filter){ .due_before_ms = 100 }, "r1.10");
	check_tasks(store, (struct store_task_filter){ .limit = 1 }, "r1.2");
	put_task(store, "r1.2", 1, 3, "lead", NULL, 100);
	check_tasks(store, (struct store_task_filter){ .status = 2 }, "r2.1");
	struct seen seen;
	struct err err = { 0 };
	seen_init(&seen);
	CHECK(store->ops->task(store, "r1.10", see_task, &seen, &err) == 0);
	CHECK_STR(seen.text.bytes, "r1.10");
	seen_release(&seen);
}

typedef void suite_test(struct store *store);
static suite_test *const suite[] = { test_empty,     test_run_rows, test_conflicts,
	                             test_exclusive, test_due,      test_filters,
	                             test_records,   test_bytes,    test_tasks };

/* --- files ------------------------------------------------------------------------------------ */

struct place {
	char folder[64];
	char *path;
};

static void place_init(struct place *place)
{
	snprintf(place->folder, sizeof(place->folder), "/tmp/gangway-store.XXXXXX");
	if (!mkdtemp(place->folder))
		abort();
	place->path = mem_format("%s/gw.db", place->folder);
}

static void place_release(struct place *place)
{
	static const char *const names[] = { "gw.db", "gw.db-wal", "gw.db-shm", "gw.db.lock" };
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		char *path = mem_format("%s/%s", place->folder, names[i]);
		unlink(path);
		free(path);
	}
	rmdir(place->folder);
	free(place->path);
}

static struct store *open_or_die(const char *path)
{
	struct store *store = NULL;
	struct err err = { 0 };
	if (store_sqlite_open(path, &store, &err) < 0) {
		printf("Bail out! %s\n", err.text);
		exit(1);
	}
	return store;
}

static void check_refused(const char *path, int code, const char *id)
{
	struct store *store = NULL;
	struct err err = { 0 };
	CHECK(store_sqlite_open(path, &store, &err) == code);
	if (id)
		CHECK_STR(err.id, id);
	CHECK(err.text[0] != '\0');
	if (!err.code)
		store->ops->close(store);
}

static void execute(const char *path, const char *sql)
{
	sqlite3 *db = NULL;
	CHECK(sqlite3_open(path, &db) == SQLITE_OK &&
	      sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK);
	sqlite3_close(db);
}

static void test_reopen(void)
{
	struct place place;
	place_init(&place);
	struct store *store = open_or_die(place.path);
	struct store_op ops[] = { run_new(7, "g", "c"), record(7, 1, "one") };
	CHECK(apply(store, ops, 2, NULL) == 0);
	store->ops->close(store);
	store = open_or_die(place.path);
	int64_t last = 0;
	struct err err = { 0 };
	CHECK(store->ops->last_no(store, &last, &err) == 0 && last == 7);
	check_records(store, 7, 1, 0, "1:01:one");
	struct stat st;
	CHECK(stat(place.path, &st) == 0 && (st.st_mode & 077) == 0);
	store->ops->close(store);
	place_release(&place);
}

static void test_one_owner(void)
{
	struct place place;
	place_init(&place);
	struct store *store = open_or_die(place.path);
	check_refused(place.path, ERR_BUSY, "store.owned");
	store->ops->close(store);
	store = open_or_die(place.path);
	store->ops->close(store);
	place_release(&place);
}

static void test_foreign_files(void)
{
	struct place place;
	place_init(&place);
	struct store *store = open_or_die(place.path);
	store->ops->close(store);
	execute(place.path, "PRAGMA user_version=99");
	check_refused(place.path, ERR_STORE, "store.newer");
	unlink(place.path);
	execute(place.path, "CREATE TABLE theirs(x)");
	check_refused(place.path, ERR_STORE, "store.foreign");
	unlink(place.path);
	FILE *file = fopen(place.path, "w");
	for (int i = 0; i < 200; i++)
		fputs("this is no database; ", file);
	fclose(file);
	check_refused(place.path, ERR_STORE, NULL);
	unlink(place.path);
	check_refused("/tmp/gangway-there-is-no-such-folder/gw.db", ERR_STORE, "store.open");
	place_release(&place);
}

/* Everything there is, as text; NULL when reading it fails. */
static char *read_everything(const char *path, struct err *err)
{
	struct store *store = NULL;
	struct seen seen;
	if (store_sqlite_open(path, &store, err) < 0)
		return NULL;
	seen_init(&seen);
	const struct store_filter all = { 0 };
	int status = store->ops->runs(store, &all, see_all, &seen, err);
	for (int64_t no = 1; status == 0 && no < 10; no++)
		status = store->ops->records(store, no, 1, see_record, &seen, err);
	store->ops->close(store);
	char *ret = status == 0 ? buf_take(&seen.text) : NULL;
	seen_release(&seen);
	return ret;
}

static void overwrite(const char *path, off_t at, const char *bytes, size_t len)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	CHECK(fd >= 0 && pwrite(fd, bytes, len, at) == (ssize_t)len);
	close(fd);
}

enum { PAGE_BYTES = 8192 }; /* as store_sqlite.c makes them */

/*
 * Damage is told or shows as other bytes (which the journal's chain finds),
 * never a crash; what reads the same is the same.
 */
static void test_damage(void)
{
	struct place place;
	char body[3000];
	memset(body, 'x', sizeof(body) - 1);
	body[sizeof(body) - 1] = '\0';
	place_init(&place);
	struct store *store = open_or_die(place.path);
	for (int64_t no = 1; no < 10; no++) {
		static const char *const names[] = { "c0", "c1", "c2", "c3", "c4",
			                             "c5", "c6", "c7", "c8", "c9" };
		struct store_op ops[] = { run_new(no, "g", names[no]), record(no, 1, body),
			                  record(no, 2, body), record(no, 3, body) };
		CHECK(apply(store, ops, 4, NULL) == 0);
	}
	store->ops->close(store);
	struct err err = { 0 };
	char *good = read_everything(place.path, &err);
	CHECK(good && strlen(good) > 9 * 3 * sizeof(body) - 100);
	struct stat st;
	int failed = 0, changed = 0, tried = 0;
	CHECK(stat(place.path, &st) == 0);
	for (off_t page = 0; page < st.st_size / PAGE_BYTES; page++) {
		char before[8];
		int fd = open(place.path, O_RDONLY | O_CLOEXEC);
		CHECK(fd >= 0 &&
		      pread(fd, before, 8, page * PAGE_BYTES) == (ssize_t)sizeof(before));
		close(fd);
		overwrite(place.path, page * PAGE_BYTES, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
		err_clear(&err);
		char *now = read_everything(place.path, &err);
		failed += !now;
		changed += now && strcmp(now, good) != 0;
		tried++;
		CHECK(now || err.code == ERR_STORE);
		if (page == 0)
			CHECK(!now);
		free(now);
		overwrite(place.path, page * PAGE_BYTES, before, sizeof(before));
	}
	CHECK_MSG(failed > 0 && failed + changed > tried / 2,
	          "of %d damaged pages %d fail, %d differ", tried, failed, changed);
	err_clear(&err);
	char *again = read_everything(place.path, &err);
	CHECK_STR(again, good);
	free(again);
	free(good);
	place_release(&place);
}

int main(void)
{
	mem_install();
	for (size_t i = 0; i < sizeof(suite) / sizeof(*suite); i++) {
		struct store *store = store_memory_new();
		suite[i](store);
		store->ops->close(store);
		struct place place;
		place_init(&place);
		store = open_or_die(place.path);
		suite[i](store);
		store->ops->close(store);
		place_release(&place);
	}
	test_reopen();
	test_one_owner();
	test_foreign_files();
	test_damage();
	return check_done();
}
