/* SPDX-License-Identifier: MIT */
/* Processes, the sandbox's control port, the store's file: see world.h. */
#include "world.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

enum { OUTPUT_BYTES_MAX = 64 * 1024 * 1024, PATIENCE_MS = 30000, ARGS_MAX = 24 };

const char *const crash_mode_names[3] = { "before", "after", "half" };

/* --- files ---------------------------------------------------------------------------------- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void remove_folder(const char *folder)
{
	(void)nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS); /* gone already: fine */
}

static char *read_all(const char *path, size_t *ret_len)
{
	FILE *file = fopen(path, "rb");
	struct buf text;
	char chunk[16384];
	size_t got;
	if (!file)
		return NULL;
	buf_init(&text, OUTPUT_BYTES_MAX);
	while ((got = fread(chunk, 1, sizeof(chunk), file)) > 0)
		buf_put_len(&text, chunk, got);
	fclose(file);
	*ret_len = text.len;
	buf_put(&text, "");
	return buf_take(&text);
}

char *world_read(const char *path)
{
	size_t len;
	char *ret = read_all(path, &len);
	if (!ret)
		abort();
	return ret;
}

void world_write(const struct world *world, const char *name, const char *text)
{
	char *path = mem_format("%s/%s", world->folder, name);
	for (char *slash = path + strlen(world->folder) + 1; (slash = strchr(slash, '/'));
	     slash++) {
		*slash = '\0';
		mkdir(path, 0700);
		*slash = '/';
	}
	FILE *file = fopen(path, "w");
	if (!file || fputs(text, file) < 0 || fclose(file) != 0)
		abort();
	free(path);
}

static void write_config(const struct world *world)
{
	char *path = mem_format("%s/gangway.lua", world->folder);
	FILE *file = fopen(path, "w");
	fprintf(file,
	        "local function near(t) t.private = true; t.retries = 2; t.backoff_min_ms = 5\n"
	        "  t.backoff_max_ms = 20 return t end\n"
	        "return { store = 'state/gw.db', artifacts = 'out', graphs = '%s', rules = "
	        "'%s/rules',\n"
	        "  prompts = '%s/prompts', plugins = '%s', workers = 1, connections = {\n"
	        "  salesforce = near{ url = 'env:SALESFORCE_URL', auth = { kind = "
	        "'oauth2_client',\n"
	        "    token_path = '/services/oauth2/token', client_id = "
	        "'env:SALESFORCE_CLIENT_ID',\n"
	        "    client_secret = 'env:SALESFORCE_CLIENT_SECRET' },\n"
	        "    settings = { api_version = '60.0', multi_currency = 'false' } },\n"
	        "  netsuite = near{ url = 'env:NETSUITE_URL', auth = { kind = 'oauth1_tba',\n"
	        "    realm = 'env:NETSUITE_REALM', consumer_key = 'env:NETSUITE_CONSUMER_KEY',\n"
	        "    consumer_secret = 'env:NETSUITE_CONSUMER_SECRET', token = "
	        "'env:NETSUITE_TOKEN',\n"
	        "    token_secret = 'env:NETSUITE_TOKEN_SECRET' } },\n"
	        "  clm = near{ url = 'env:CLM_URL', auth = { kind = 'bearer', token = "
	        "'env:CLM_TOKEN' },\n"
	        "    settings = { account_id = 'env:CLM_ACCOUNT' } },\n"
	        "  llm = near{ url = 'env:OPENAI_BASE_URL', auth = { kind = 'bearer',\n"
	        "    token = 'env:OPENAI_API_KEY' }, settings = { model = 'gpt-4o-mini' } },\n"
	        "  slack = near{ url = 'env:SLACK_URL', auth = { kind = 'bearer', token = "
	        "'env:SLACK_TOKEN' } },\n"
	        "  provision = near{ url = 'env:PROVISION_URL', auth = { kind = 'bearer',\n"
	        "    token = 'env:PROVISION_TOKEN' } },\n"
	        "  email = near{ url = 'env:SMTP_URL', from = 'onboarding@gangway.example', "
	        "starttls = 'none' },\n"
	        "} }\n",
	        world->graphs, world->root, world->root, world->plugins);
	fclose(file);
	free(path);
}

void world_graphs(struct world *world, const char *folder)
{
	world->graphs = folder;
	write_config(world);
}

/* --- the sandbox ------------------------------------------------------------------------------ */

static pid_t start_piped(const char *const *argv, int *ret_fd)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		dup2(ends[1], STDOUT_FILENO);
		execv(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	close(ends[1]);
	*ret_fd = ends[0];
	return pid;
}

static void take_address(struct world *world, char *line)
{
	char *blank = strchr(line, ' ');
	if (!blank)
		return;
	*blank = '\0';
	char *name = mem_format("%s_URL", strcmp(line, "llm") == 0 ? "OPENAI_BASE" : line);
	for (char *c = name; *c; c++)
		*c = *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c;
	setenv(name, blank + 1, 1);
	if (strcmp(line, "control") == 0)
		world->control_port = (int)strtol(strrchr(blank + 1, ':') + 1, NULL, 10);
	free(name);
}

/* export NAME='value' */
static void take_credentials(const char *program)
{
	const char *argv[] = { program, "--env", NULL };
	int fd = -1;
	pid_t pid = start_piped(argv, &fd);
	FILE *out = fdopen(fd, "r");
	char line[512];
	while (out && fgets(line, sizeof(line), out)) {
		char *equals = strchr(line, '='), *end = strrchr(line, '\'');
		if (strncmp(line, "export ", 7) != 0 || !equals || !end || end <= equals + 1)
			continue;
		*equals = *end = '\0';
		setenv(line + 7, equals + 2, 1);
	}
	if (out)
		fclose(out);
	waitpid(pid, NULL, 0);
}

static bool start_sandbox(struct world *world, const char *program)
{
	char *scenarios = mem_format("%s/sandbox/scenarios", world->root);
	const char *argv[] = { program, "--scenarios", scenarios, "--die-with-parent", NULL };
	int fd = -1;
	take_credentials(program);
	world->sandbox = start_piped(argv, &fd);
	FILE *out = fdopen(fd, "r");
	char line[512];
	bool is_ready = false;
	while (!is_ready && out && fgets(line, sizeof(line), out)) {
		line[strcspn(line, "\n")] = '\0';
		is_ready = strcmp(line, "ready") == 0;
		take_address(world, line);
	}
	free(scenarios);
	return is_ready; /* the pipe stays open: nothing more comes */
}

/* One HTTP request, answered and closed; the body, to be freed. */
static char *talk(const struct world *world, const char *method, const char *path)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		                  .sin_port = htons((uint16_t)world->control_port) };
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char *request = mem_format("%s %s HTTP/1.1\r\nHost: sandbox\r\nContent-Length: 0\r\n"
	                           "Connection: close\r\n\r\n",
	                           method, path);
	struct buf reply;
	char chunk[16384], *ret = NULL;
	ssize_t got = -1;
	buf_init(&reply, OUTPUT_BYTES_MAX);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 &&
	    send(fd, request, strlen(request), MSG_NOSIGNAL) > 0)
		while ((got = recv(fd, chunk, sizeof(chunk), 0)) > 0)
			buf_put_len(&reply, chunk, (size_t)got);
	const char *body = got == 0 && reply.len > 0 ? strstr(reply.bytes, "\r\n\r\n") : NULL;
	if (body)
		ret = mem_dup_str(body + 4);
	buf_release(&reply);
	free(request);
	close(fd);
	return ret;
}

json_t *world_sandbox(const struct world *world, const char *path)
{
	char *body = talk(world, "GET", path);
	json_t *ret = body ? json_loads(body, 0, NULL) : NULL;
	free(body);
	return ret;
}

/* --- opening ---------------------------------------------------------------------------------- */

static const char *need(const char *name, bool *ok)
{
	const char *value = getenv(name);
	if (!value || access(value, R_OK) < 0) {
		printf("# %s is %s\n", name, value ? "no readable file" : "not set");
		*ok = false;
	}
	return value;
}

bool world_open(struct world *world)
{
	bool ok = true;
	*world = (struct world){ .root = SRCDIR, .sandbox = -1 };
	world->program = need("GANGWAY_BIN", &ok);
	world->plugins = need("GANGWAY_PLUGIN_DIR", &ok);
	world->shim = need("CRASH_SHIM", &ok);
	const char *sandbox = need("GANGWAY_SANDBOX", &ok);
	if (!ok)
		return false;
	const char *tmp = getenv("TMPDIR");
	world->folder = mem_format("%s/gangway-crash.XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(world->folder) || !start_sandbox(world, sandbox)) {
		printf("# the sandbox does not start\n");
		return false;
	}
	unsetenv("GANGWAY_CONFIG");
	setenv("GANGWAY_USER", "tester", 1);
	return true;
}

void world_close(struct world *world)
{
	if (world->sandbox > 0) {
		kill(world->sandbox, SIGTERM);
		waitpid(world->sandbox, NULL, 0);
	}
	if (world->folder)
		remove_folder(world->folder);
	free(world->folder);
}

void world_reset(struct world *world)
{
	static const char *const folders[] = { "state", "out" };
	for (size_t i = 0; i < 2; i++) {
		char *path = mem_format("%s/%s", world->folder, folders[i]);
		remove_folder(path);
		mkdir(path, 0700);
		free(path);
	}
	free(talk(world, "POST", "/_sandbox/reset"));
}

/* --- running ---------------------------------------------------------------------------------- */

static void set_crash(const struct world *world, long at, enum crash_mode mode,
                      const char *count_file)
{
	char *track = mem_format("%s/state:%s/out", world->folder, world->folder);
	char number[24];
	snprintf(number, sizeof(number), "%ld", at);
	setenv("LD_PRELOAD", world->shim, 1);
	setenv("CRASH_TRACK", track, 1);
	setenv("CRASH_AT", number, 1);
	setenv("CRASH_MODE", crash_mode_names[mode], 1);
	setenv("CRASH_COUNT_FILE", count_file, 1);
	free(track);
}

static pid_t spawn(const struct world *world, const char *const *args, bool is_shimmed, long at,
                   enum crash_mode mode, const char *count_file, int out, int errors)
{
	const char *argv[ARGS_MAX] = { world->program };
	int count = 1;
	for (; *args && count < ARGS_MAX - 4; args++)
		argv[count++] = *args;
	argv[count++] = "--json";
	argv[count++] = "--config";
	char *config = mem_format("%s/gangway.lua", world->folder);
	argv[count] = config;
	pid_t pid = fork();
	if (pid == 0) {
		dup2(out, STDOUT_FILENO);
		dup2(errors, STDERR_FILENO);
		if (is_shimmed)
			set_crash(world, at, mode, count_file);
		execv(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	free(config);
	return pid;
}

static int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Reads until the other end closes; false when that takes too long. */
static bool drain(int fd, struct buf *out)
{
	int64_t until = now_ms() + PATIENCE_MS;
	char chunk[16384];
	for (;;) {
		struct pollfd poll_fd = { fd, POLLIN, 0 };
		int64_t left = until - now_ms();
		if (left <= 0 || poll(&poll_fd, 1, (int)left) == 0)
			return false;
		ssize_t got = read(fd, chunk, sizeof(chunk));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return true;
		buf_put_len(out, chunk, (size_t)got);
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

void world_run(struct world *world, const char *const *args, long at, enum crash_mode mode,
               struct ending *ret, long *ret_count)
{
	char *count_file = mem_format("%s/count", world->folder);
	char *error_file = mem_format("%s/errors", world->folder);
	int ends[2], status = 0;
	int errors = open(error_file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct buf out;
	buf_init(&out, OUTPUT_BYTES_MAX);
	unlink(count_file);
	*ret = (struct ending){ .code = -1 };
	if (pipe2(ends, O_CLOEXEC) < 0 || errors < 0)
		abort();
	pid_t pid = spawn(world, args, at > 0 || ret_count, at, mode, count_file, ends[1], errors);
	close(ends[1]);
	ret->is_late = !drain(ends[0], &out);
	if (ret->is_late)
		kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	close(ends[0]);
	close(errors);
	size_t len;
	ret->is_killed = !ret->is_late && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	ret->code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	ret->lines = parse_lines(out.bytes);
	ret->errors = read_all(error_file, &len);
	char *count = ret_count ? read_all(count_file, &len) : NULL;
	if (ret_count)
		*ret_count = count ? strtol(count, NULL, 10) : 0;
	free(count);
	buf_release(&out);
	free(count_file);
	free(error_file);
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

/* --- the store and the artifacts -------------------------------------------------------------- */

bool world_store_is_sound(const struct world *world)
{
	char *path = mem_format("%s/state/gw.db", world->folder);
	sqlite3 *db = NULL;
	sqlite3_stmt *st = NULL;
	bool ok = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
	          sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &st, NULL) == SQLITE_OK &&
	          sqlite3_step(st) == SQLITE_ROW &&
	          strcmp((const char *)sqlite3_column_text(st, 0), "ok") == 0;
	sqlite3_finalize(st);
	sqlite3_close(db);
	free(path);
	return ok;
}

json_t *world_artifacts(const struct world *world)
{
	json_t *ret = json_object();
	char *folder = mem_format("%s/out", world->folder);
	DIR *dir = opendir(folder);
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		char *path = mem_format("%s/%s", folder, entry->d_name);
		size_t len = 0;
		char *text = read_all(path, &len);
		json_put(ret, entry->d_name, json_text((struct str){ text ? text : "", len }));
		free(text);
		free(path);
	}
	if (dir)
		closedir(dir);
	free(folder);
	return ret;
}
