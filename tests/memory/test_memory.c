/* SPDX-License-Identifier: MIT */
/*
 * Memory that ends (RELIABILITY.md T4): commands of the program, in a child of
 * this process, with the n-th allocation failing - ours, and those of libxml2,
 * jansson, Lua, SQLite, libuv and the C library - once, or from then on.
 *
 * A command ends well, with the output of the good run; or it stops and its
 * last line says that there is no memory.  Never by a signal, never with
 * another result.  Then the same command again, with all memory there is, must
 * come to the result of the good run, and the run's audit must verify.
 *
 * GANGWAY_CASES=n: how many points of each path; default 40, 0: every one.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "check.h"
#include "cli/cli.h"

enum { OUTPUT_BYTES_MAX = 16 * 1024 * 1024, ARGS_MAX = 16, PATIENCE_S = 60 };

/* --- the allocator ---------------------------------------------------------------------------- */

extern void *__libc_malloc(size_t len);
extern void *__libc_calloc(size_t count, size_t len);
extern void *__libc_realloc(void *old, size_t len);

/* Set in a child before it begins; the count is shared with the parent. */
struct plan {
	atomic_long count;
	long at; /* 0: none */
	bool is_sticky, is_on;
};

static struct plan *plan_now(struct plan *set)
{
	static struct plan *_Atomic now;
	if (set)
		atomic_store(&now, set);
	return atomic_load(&now);
}

static bool fails(void)
{
	struct plan *plan = plan_now(NULL);
	if (!plan || !plan->is_on)
		return false;
	long number = atomic_fetch_add(&plan->count, 1) + 1;
	bool ret = plan->at > 0 && (number == plan->at || (plan->is_sticky && number > plan->at));
	if (ret)
		errno = ENOMEM;
	return ret;
}

void *malloc(size_t len)
{
	return fails() ? NULL : __libc_malloc(len);
}

void *calloc(size_t count, size_t len)
{
	return fails() ? NULL : __libc_calloc(count, len);
}

void *realloc(void *old, size_t len)
{
	return fails() ? NULL : __libc_realloc(old, len);
}

/* --- a command in a child --------------------------------------------------------------------- */

struct said {
	int code; /* -1: it died */
	char *out, *errors;
	long count; /* of allocations */
};

struct stage {
	char *folder; /* ours: gangway.lua, state/, out/ */
	struct plan *plan;
};

static char *read_file(const struct stage *stage, const char *name)
{
	char *path = mem_format("%s/%s", stage->folder, name);
	FILE *file = fopen(path, "rb");
	struct buf text;
	char chunk[8192];
	size_t got;
	buf_init(&text, OUTPUT_BYTES_MAX);
	buf_put(&text, "");
	while (file && (got = fread(chunk, 1, sizeof(chunk), file)) > 0)
		buf_put_len(&text, chunk, got);
	if (file)
		fclose(file);
	free(path);
	return buf_take(&text);
}

static void send_to(const struct stage *stage, const char *name, int fd)
{
	char *path = mem_format("%s/%s", stage->folder, name);
	int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (file < 0 || dup2(file, fd) < 0)
		_exit(99);
	free(path);
}

/* What the child of main() would be; the plan counts from here. */
static void be_the_program(const struct stage *stage, const char *const *args)
{
	const char *argv[ARGS_MAX] = { "gangway" };
	int argc = 1;
	for (; args[argc - 1]; argc++)
		argv[argc] = args[argc - 1];
	argv[argc++] = "--config";
	argv[argc++] = mem_format("%s/gangway.lua", stage->folder);
	send_to(stage, "said.out", STDOUT_FILENO);
	send_to(stage, "said.err", STDERR_FILENO);
	alarm(PATIENCE_S); /* a command that hangs dies of it */
	plan_now(stage->plan);
	stage->plan->is_on = true;
	int code = cli_main(argc, (char **)(uintptr_t)argv);
	stage->plan->is_on = false;
	fflush(stdout);
	_exit(code);
}

static struct said run_it(const struct stage *stage, const char *const *args, long at,
                          bool is_sticky)
{
	int status = 0;
	*stage->plan = (struct plan){ .at = at, .is_sticky = is_sticky };
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0)
		be_the_program(stage, args);
	waitpid(pid, &status, 0);
	return (struct said){ .code = WIFEXITED(status) ? WEXITSTATUS(status) : -1,
		              .out = read_file(stage, "said.out"),
		              .errors = read_file(stage, "said.err"),
		              .count = atomic_load(&stage->plan->count) };
}

static void said_release(struct said *said)
{
	free(said->out);
	free(said->errors);
}

/* --- the stage -------------------------------------------------------------------------------- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void fresh_folder(const struct stage *stage, const char *name)
{
	char *path = mem_format("%s/%s", stage->folder, name);
	(void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	mkdir(path, 0700);
	free(path);
}

static void stage_open(struct stage *stage)
{
	const char *tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	stage->folder = mem_format("%s/gangway-memory.XXXXXX", tmp);
	stage->plan = mmap(NULL, sizeof(*stage->plan), PROT_READ | PROT_WRITE,
	                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!mkdtemp(stage->folder) || stage->plan == MAP_FAILED)
		abort();
	char *path = mem_format("%s/gangway.lua", stage->folder);
	FILE *file = fopen(path, "w");
	fprintf(file,
	        "return { store = 'state/gw.db', artifacts = 'out',\n"
	        "  graphs = '%s/tests/audit/graphs',\n"
	        "  rules = '%s/tests/audit/rules', prompts = 'state', plugins = '%s/none',\n"
	        "  workers = 1 }\n",
	        SRCDIR, SRCDIR, stage->folder);
	fclose(file);
	free(path);
	fresh_folder(stage, "none");
	unsetenv("GANGWAY_CONFIG");
	setenv("GANGWAY_USER", "tester", 1);
}

static void stage_close(struct stage *stage)
{
	(void)nftw(stage->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(stage->folder);
	munmap(stage->plan, sizeof(*stage->plan));
}

/* --- the paths -------------------------------------------------------------------------------- */

static const char *const start_args[] = { "run",
	                                  "start",
	                                  "credit",
	                                  "--input",
	                                  "{\"facts\":{\"name\":\"Ann\",\"amount\":400}}",
	                                  "--correlation-id",
	                                  "one",
	                                  "--wait",
	                                  "--json",
	                                  NULL };
static const char *const ask_args[] = { "run",
	                                "start",
	                                "credit",
	                                "--input",
	                                "{\"facts\":{\"name\":\"Bo\",\"amount\":40000}}",
	                                "--correlation-id",
	                                "one",
	                                "--wait",
	                                "--json",
	                                NULL };

#define ONBOARDING SRCDIR "/graphs/onboarding/onboarding.scxml"
static const char *const dot_args[] = { "graph", "dot", ONBOARDING, NULL };
static const char *const check_args[] = { "graph", "check",
	                                  SRCDIR "/tests/audit/graphs/credit/credit.scxml", NULL };
static const char *const rules_args[] = { "rules", "check", "credit", NULL };

/* A path of the program: what is asked, and from where it begins. */
struct path {
	const char *name;
	const char *const *args;
	bool has_run; /* it works on a store: what was decided counts, not the bytes */
	const char *const *prepare; /* a command before; NULL: an empty store */
	bool is_cut;                /* the one before is ended in the middle */
};

static const struct path paths[] = {
	{ "parse", dot_args, false, NULL, false },
	{ "check", check_args, false, NULL, false },
	{ "rules", rules_args, false, NULL, false },
	{ "start", start_args, true, NULL, false },
	{ "wait for a person", ask_args, true, NULL, false },
	{ "recover", start_args, true, start_args, true },
};

/* Of a run what was decided; of anything else all that was said. */
static char *essence(const struct path *path, const char *out)
{
	if (!path->has_run)
		return mem_dup_str(out);
	const char *line = out;
	for (const char *next; (next = strchr(line, '\n')) && next[1];)
		line = next + 1;
	json_t *last = json_loads(line, JSON_DISABLE_EOF_CHECK, NULL);
	const json_t *run = json_at(last, "run");
	json_t *kept = json_pack("{s:O?,s:O?,s:O?}", "status", json_at(run, "status"), "result",
	                         json_at(run, "result"), "search", json_at(run, "search"));
	char *ret = json_canon(kept);
	json_decref(kept);
	json_decref(last);
	return ret;
}

static void prepare(const struct stage *stage, const struct path *path)
{
	fresh_folder(stage, "state");
	fresh_folder(stage, "out");
	if (!path->prepare)
		return;
	struct said all = run_it(stage, path->prepare, 0, false);
	long middle = all.count * 4 / 5;
	said_release(&all);
	if (!path->is_cut)
		return;
	fresh_folder(stage, "state");
	fresh_folder(stage, "out");
	all = run_it(stage, path->prepare, middle, true);
	said_release(&all);
}

static bool says_memory(const struct said *said)
{
	return strstr(said->errors, "memory") || strstr(said->out, "memory");
}

/* What is wrong with how it ended; NULL: nothing. */
static const char *judge(const struct path *path, const struct said *said, const char *good)
{
	if (said->code < 0)
		return "it died";
	if (said->code != 0)
		return says_memory(said) ? NULL : "it stopped without a word of memory";
	char *own = essence(path, said->out);
	bool is_same = strcmp(own, good) == 0;
	free(own);
	return is_same ? NULL : "it ended well with another result";
}

static int trial(const struct stage *stage, const struct path *path, const char *good, long at,
                 bool is_sticky)
{
	prepare(stage, path);
	struct said said = run_it(stage, path->args, at, is_sticky);
	const char *why = judge(path, &said, good);
	if (why)
		printf("# %s, allocation %ld%s: %s (%d)\n# %s\n", path->name, at,
		       is_sticky ? " and all after it" : "", why, said.code, said.errors);
	said_release(&said);
	if (!path->has_run)
		return why != NULL;
	said = run_it(stage, path->args, 0, false);
	char *own = essence(path, said.out);
	bool is_same = said.code == 0 && strcmp(own, good) == 0;
	if (!is_same)
		printf("# %s, allocation %ld%s: again it ends with %d: %s %s\n", path->name, at,
		       is_sticky ? " and all after it" : "", said.code, own, said.errors);
	free(own);
	said_release(&said);
	return why || !is_same;
}

static long env_number(const char *name, long fallback)
{
	const char *text = getenv(name);
	return text && *text ? strtol(text, NULL, 10) : fallback;
}

static void check_path(const struct stage *stage, const struct path *path)
{
	prepare(stage, path);
	struct said said = run_it(stage, path->args, 0, false);
	char *good = essence(path, said.out);
	long count = said.count, cases = env_number("GANGWAY_CASES", 40);
	long step = cases > 0 && count > cases ? count / cases : 1;
	int bad = 0, trials = 0;
	CHECK_MSG(said.code == 0 && count > 0, "%s, with memory: %ld allocations, ends with %d %s",
	          path->name, count, said.code, said.errors);
	said_release(&said);
	for (long at = 1 + step / 2; at <= count; at += step, trials++)
		bad += trial(stage, path, good, at, trials % 4 == 3);
	CHECK_MSG(bad == 0, "%s: %d of %d points, of %ld allocations, are wrong", path->name, bad,
	          trials, count);
	free(good);
}

int main(void)
{
	struct stage stage;
	mem_install();
	stage_open(&stage);
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
		check_path(&stage, &paths[i]);
	stage_close(&stage);
	return check_done();
}
