/* SPDX-License-Identifier: MIT */
/* The folder, the sandbox, the store's file: see world.h. */
#include "world.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"

enum { FILE_BYTES_MAX = 64 * 1024 * 1024 };

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
	buf_init(&text, FILE_BYTES_MAX);
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

static void copy_file(const char *from, const char *to)
{
	size_t len;
	char *text = read_all(from, &len);
	FILE *file = fopen(to, "wb");
	if (!text || !file || fwrite(text, 1, len, file) != len || fclose(file) != 0)
		abort();
	free(text);
}

/* Plain files alone: a socket is of no use to anybody else. */
static void copy_folder(const char *from, const char *to)
{
	DIR *dir = opendir(from);
	struct stat st;
	remove_folder(to);
	mkdir(to, 0700);
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		char *source = mem_format("%s/%s", from, entry->d_name);
		char *copy = mem_format("%s/%s", to, entry->d_name);
		if (lstat(source, &st) == 0 && S_ISREG(st.st_mode))
			copy_file(source, copy);
		free(source);
		free(copy);
	}
	if (dir)
		closedir(dir);
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

/* What does not change: one program, many worlds. */
static const char config_rest[] =
	"  workers = 1,\n"
	"  serve = { anonymous = 'operator', per_address = 0, webhooks = {\n"
	"    hook = { scheme = 'secret', secret = 'env:CRASH_HOOK', graph = 'ticks' } } },\n"
	"  connections = {\n"
	"  salesforce = near{ url = 'env:SALESFORCE_URL', auth = { kind = 'oauth2_client',\n"
	"    token_path = '/services/oauth2/token', client_id = 'env:SALESFORCE_CLIENT_ID',\n"
	"    client_secret = 'env:SALESFORCE_CLIENT_SECRET' },\n"
	"    settings = { api_version = '60.0', multi_currency = 'false' } },\n"
	"  netsuite = near{ url = 'env:NETSUITE_URL', auth = { kind = 'oauth1_tba',\n"
	"    realm = 'env:NETSUITE_REALM', consumer_key = 'env:NETSUITE_CONSUMER_KEY',\n"
	"    consumer_secret = 'env:NETSUITE_CONSUMER_SECRET', token = 'env:NETSUITE_TOKEN',\n"
	"    token_secret = 'env:NETSUITE_TOKEN_SECRET' } },\n"
	"  clm = near{ url = 'env:CLM_URL', auth = { kind = 'bearer', token = 'env:CLM_TOKEN' },\n"
	"    settings = { account_id = 'env:CLM_ACCOUNT' } },\n"
	"  llm = near{ url = 'env:OPENAI_BASE_URL', auth = { kind = 'bearer',\n"
	"    token = 'env:OPENAI_API_KEY' }, settings = { model = 'gpt-4o-mini' } },\n"
	"  slack = near{ url = 'env:SLACK_URL', auth = { kind = 'bearer',\n"
	"    token = 'env:SLACK_TOKEN' } },\n"
	"  provision = near{ url = 'env:PROVISION_URL', auth = { kind = 'bearer',\n"
	"    token = 'env:PROVISION_TOKEN' } },\n"
	"  email = near{ url = 'env:SMTP_URL', from = 'onboarding@gangway.example',\n"
	"    starttls = 'none' },\n"
	"} }\n";

/* A folder with copies of these plugins alone: each costs a process a few milliseconds. */
static char *some_plugins(const struct world *world, const char *names)
{
	char *folder = mem_format("%s/plugins", world->folder);
	remove_folder(folder);
	mkdir(folder, 0700);
	while (*names) {
		size_t len = strcspn(names, " ");
		char *from = mem_format("%s/%.*s.so", world->plugins, (int)len, names);
		char *to = mem_format("%s/%.*s.so", folder, (int)len, names);
		copy_file(from, to);
		free(from);
		free(to);
		names += len + (names[len] == ' ');
	}
	return folder;
}

void world_configure(struct world *world, const char *graphs, const char *plugins)
{
	char *path = mem_format("%s/gangway.lua", world->folder);
	char *folder = plugins ? some_plugins(world, plugins) : mem_dup_str(world->plugins);
	FILE *file = fopen(path, "w");
	fprintf(file,
	        "local function near(t) t.private = true; t.retries = 2; t.backoff_min_ms = 5\n"
	        "  t.backoff_max_ms = 20 return t end\n"
	        "return { store = 'state/gw.db', artifacts = 'out', graphs = '%s',\n"
	        "  rules = '%s/rules', prompts = '%s/prompts', plugins = '%s',\n%s",
	        graphs, world->root, world->root, folder, config_rest);
	fclose(file);
	free(folder);
	free(path);
	inside_configure(world->inside);
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

json_t *world_heard(const struct world *world, const char *path)
{
	char *body = NULL;
	(void)world_talk(world->control_port, "GET", path, NULL, NULL, &body);
	json_t *now = body ? json_loads(body, 0, NULL) : NULL, *ret = json_array();
	json_array_extend(ret, json_at(world->before, path));
	json_array_extend(ret, now);
	json_decref(now);
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
	/* Memory is a disk that does not wait; what a power cut would undo the shim undoes. */
	const char *tmp = getenv("TMPDIR");
	if (!tmp)
		tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	world->folder = mem_format("%s/gangway-crash.XXXXXX", tmp);
	unsetenv("GANGWAY_CONFIG");
	setenv("GANGWAY_USER", "tester", 1);
	setenv("CRASH_HOOK", HOOK_SECRET, 1);
	if (!mkdtemp(world->folder) || !start_sandbox(world, sandbox)) {
		printf("# the sandbox does not start\n");
		return false;
	}
	char *config = mem_format("%s/gangway.lua", world->folder);
	world->inside = inside_new(config, world->plugins);
	free(config);
	return true;
}

void world_close(struct world *world)
{
	if (world->inside)
		inside_free(world->inside);
	if (world->sandbox > 0) {
		kill(world->sandbox, SIGTERM);
		waitpid(world->sandbox, NULL, 0);
	}
	if (world->folder)
		remove_folder(world->folder);
	json_decref(world->before);
	free(world->folder);
}

/* --- the world as it was ---------------------------------------------------------------------- */

static char *inner(const struct world *world, const char *name)
{
	return mem_format("%s/%s", world->folder, name);
}

static void fresh_folder(const struct world *world, const char *name)
{
	char *path = inner(world, name);
	remove_folder(path);
	mkdir(path, 0700);
	free(path);
}

static void copy_inner(const struct world *world, const char *from, const char *to)
{
	char *source = inner(world, from), *copy = inner(world, to);
	copy_folder(source, copy);
	free(source);
	free(copy);
}

static void forget_heard(struct world *world)
{
	json_decref(world->before);
	world->before = NULL;
}

void world_reset(struct world *world)
{
	fresh_folder(world, "state");
	fresh_folder(world, "out");
	fresh_folder(world, "hold");
	forget_heard(world);
	(void)world_talk(world->control_port, "POST", "/_sandbox/reset", NULL, NULL, NULL);
}

void world_keep(struct world *world)
{
	static const char *const lists[] = { "/_sandbox/messages", "/_sandbox/mail",
		                             "/_sandbox/requests", "/_sandbox/tenants" };
	json_t *heard = json_object();
	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++)
		json_put(heard, lists[i], world_heard(world, lists[i]));
	forget_heard(world);
	world->before = heard;
	copy_inner(world, "state", "kept-state");
	copy_inner(world, "out", "kept-out");
}

void world_restore(struct world *world)
{
	copy_inner(world, "kept-state", "state");
	copy_inner(world, "kept-out", "out");
	fresh_folder(world, "hold");
	(void)world_talk(world->control_port, "POST", "/_sandbox/reset", NULL, NULL, NULL);
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
