/* SPDX-License-Identifier: MIT */
/*
 * From a file to a plugin.
 *
 * The order is the point.  Who could have written the file is checked first;
 * its bytes are read once, hashed, compared with the pin, and sealed in memory;
 * what is loaded is that memory, so nobody can swap the file in between.  Code
 * of a plugin runs as soon as it is loaded (constructors), so a child process
 * tries it first: what ends, hangs or forks there never reaches the engine.
 * Nothing is ever unloaded: callbacks, texts and thread-local destructors of a
 * plugin stay valid as long as the process lives.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/must.h"
#include "plugin/plugin_int.h"

/* --- the file ----------------------------------------------------------- */

/* The folder, opened: what is checked is what is used. */
static int open_folder(const char *folder, int *ret_fd, struct err *err)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_set_id(err, errno == ENOENT ? ERR_ABSENT : ERR_SYSTEM, "plugin.folder",
		                  "folder %s: %s", folder, strerror(errno));
	struct stat info;
	if (fstat(fd, &info) == 0 && !(info.st_mode & S_IWOTH)) {
		*ret_fd = fd;
		return 0;
	}
	close(fd);
	err_set_id(err, ERR_INPUT, "plugin.writable", "folder %s may be written by everybody",
	           folder);
	return err_hint(err, "chmod o-w %s, and look at what is in it first.", folder);
}

static int check_file(int fd, struct stat *ret_info, struct err *err)
{
	if (fstat(fd, ret_info) < 0)
		return err_set(err, ERR_SYSTEM, "%s", strerror(errno));
	if (!S_ISREG(ret_info->st_mode))
		return err_set_id(err, ERR_INPUT, "plugin.file", "it is not a regular file");
	if (ret_info->st_mode & S_IWOTH) {
		err_set_id(err, ERR_INPUT, "plugin.writable", "it may be written by everybody");
		return err_hint(err, "chmod o-w, and look at what it contains first.");
	}
	if (ret_info->st_size > LIMIT_PLUGIN_BYTES)
		return err_set_id(err, ERR_LIMIT, "plugin.limit",
		                  "it has %lld bytes; the limit is %d",
		                  (long long)ret_info->st_size, LIMIT_PLUGIN_BYTES);
	return 0;
}

static int open_file(const char *path, int *ret_fd, struct err *err)
{
	const char *slash = strrchr(path, '/');
	if (path[0] != '/' || !slash[1]) {
		err_set_id(err, ERR_INPUT, "plugin.path", "it is not an absolute path of a file");
		return err_hint(err, "Write the whole path, beginning with '/'.");
	}
	char *folder = mem_dup(path, slash > path ? (size_t)(slash - path) : 1);
	int folder_fd = -1;
	int status = open_folder(folder, &folder_fd, err);
	free(folder);
	if (status < 0)
		return status;
	int fd = openat(folder_fd, slash + 1, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int why = errno;
	close(folder_fd);
	if (fd >= 0) {
		*ret_fd = fd;
		return 0;
	}
	if (why == ELOOP)
		return err_set_id(err, ERR_INPUT, "plugin.symlink",
		                  "it is a symbolic link; name the file itself");
	return err_set_id(err, why == ENOENT ? ERR_ABSENT : ERR_SYSTEM, "plugin.file", "%s",
	                  strerror(why));
}

static int read_whole(int fd, struct buf *ret, struct err *err)
{
	char chunk[65536];
	for (;;) {
		ssize_t got = read(fd, chunk, sizeof(chunk));
		if (got == 0)
			return 0;
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_set(err, ERR_SYSTEM, "%s", strerror(errno));
		if (buf_add(ret, chunk, (size_t)got, err) < 0)
			return err->code;
	}
}

static int read_file(const char *path, struct buf *ret, struct err *err)
{
	int fd = -1;
	struct stat info;
	if (open_file(path, &fd, err) < 0)
		return err->code;
	int status = check_file(fd, &info, err);
	if (status == 0)
		status = read_whole(fd, ret, err);
	close(fd);
	return status;
}

/* --- the image: bytes nobody can change any more ------------------------ */

struct image {
	int fd;
	char sha256[SHA256_HEX];
	char load_path[256];
};

/*
 * The loader knows libraries by the path they were asked for, and a closed
 * descriptor's number comes back for the next one; so the path must differ
 * with the content.  "/" and "/." lead nowhere: they spell 64 bits of the hash.
 */
static void spell_path(struct image *image)
{
	struct buf path;
	buf_init(&path, sizeof(image->load_path) - 1);
	buf_put(&path, "/proc/self/fd");
	for (size_t i = 0; i < 16; i++) {
		const char *hex = "0123456789abcdef";
		unsigned nibble = (unsigned)(strchr(hex, image->sha256[i]) - hex);
		for (unsigned bit = 0; bit < 4; bit++)
			buf_put(&path, nibble >> bit & 1 ? "/." : "/");
	}
	buf_printf(&path, "/%d", image->fd);
	memcpy(image->load_path, path.bytes, path.len + 1);
	buf_release(&path);
}

static int write_whole(int fd, struct str bytes, struct err *err)
{
	while (bytes.len > 0) {
		ssize_t put = write(fd, bytes.ptr, bytes.len);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return err_set(err, ERR_SYSTEM, "cannot keep it in memory: %s",
			               strerror(errno));
		bytes.ptr += put;
		bytes.len -= (size_t)put;
	}
	return 0;
}

static int image_seal(struct image *image, const char *path, struct str bytes, struct err *err)
{
	char *name = mem_format("gangway:%.200s", strrchr(path, '/') + 1);
	image->fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	free(name);
	if (image->fd < 0)
		return err_set(err, ERR_SYSTEM, "cannot keep it in memory: %s", strerror(errno));
	if (write_whole(image->fd, bytes, err) < 0)
		return err->code;
	int seals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
	if (fcntl(image->fd, F_ADD_SEALS, seals) < 0)
		return err_set(err, ERR_SYSTEM, "cannot seal it in memory: %s", strerror(errno));
	spell_path(image);
	return 0;
}

/* Are all parts that will be mapped there?  The loader itself would die of a file cut short. */
static bool is_whole(struct str bytes)
{
	ElfW(Ehdr) head;
	if (bytes.len < sizeof(head))
		return false;
	memcpy(&head, bytes.ptr, sizeof(head));
	size_t table = (size_t)head.e_phnum * sizeof(ElfW(Phdr));
	if (head.e_phoff > bytes.len || table > bytes.len - head.e_phoff)
		return false;
	for (size_t i = 0; i < head.e_phnum; i++) {
		ElfW(Phdr) part;
		memcpy(&part, bytes.ptr + head.e_phoff + i * sizeof(part), sizeof(part));
		if (part.p_offset > bytes.len || part.p_filesz > bytes.len - part.p_offset)
			return false;
	}
	return true;
}

static int check_bytes(struct str bytes, const char *found, const char *pinned, struct err *err)
{
	if (pinned && strcasecmp(found, pinned) != 0) {
		err_set_id(err, ERR_CONFLICT, "plugin.hash", "its SHA-256 is %s, pinned is %.64s",
		           found, pinned);
		return err_hint(err,
		                "If the new build is meant, pin its hash; if not, find out who "
		                "changed the file.");
	}
	if (bytes.len < SELFMAG || memcmp(bytes.ptr, ELFMAG, SELFMAG) != 0)
		return err_set_id(err, ERR_INPUT, "plugin.file", "it is no shared object");
	if (!is_whole(bytes))
		return err_set_id(err, ERR_INPUT, "plugin.file", "it is cut short: copy it again");
	return 0;
}

static int image_read(struct image *image, const char *path, const char *pinned, struct err *err)
{
	struct buf bytes;
	buf_init(&bytes, LIMIT_PLUGIN_BYTES);
	int status = read_file(path, &bytes, err);
	if (status == 0) {
		crypto_sha256_hex(buf_str(&bytes), image->sha256);
		status = check_bytes(buf_str(&bytes), image->sha256, pinned, err);
	}
	if (status == 0)
		status = image_seal(image, path, buf_str(&bytes), err);
	buf_release(&bytes);
	return status;
}

/* --- loading ------------------------------------------------------------ */

typedef const struct gw_plugin *entry_function(void);

/* What dlerror says names our path; the user's file is named by the caller. */
static int say_dlerror(struct err *err)
{
	const char *text = dlerror();
	const char *after = text && text[0] == '/' ? strstr(text, ": ") : NULL;
	err_set_id(err, ERR_INPUT, "plugin.load", "it cannot be loaded: %s",
	           after  ? after + 2
	           : text ? text
	                  : "unknown reason");
	return err_hint(err, "A plugin needs nothing but gw_plugin.h and the C library.");
}

static int image_load(const struct image *image, const char *path, struct plugin **ret,
                      struct err *err)
{
	void *library = dlopen(image->load_path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (!library)
		return say_dlerror(err);
	/* POSIX makes object and function pointers the same size; ISO C has no cast for it. */
	void *symbol = dlsym(library, "gw_plugin_entry");
	entry_function *entry = NULL;
	memcpy(&entry, &symbol, sizeof(entry));
	if (!entry) {
		err_set_id(err, ERR_INPUT, "plugin.symbol",
		           "it has no gw_plugin_entry, so it is no plugin");
		return err_hint(err, "Define gw_plugin_entry() as gw_plugin.h declares it.");
	}
	return plugin_new(entry(), path, image->sha256, ret, err);
}

/* --- the trial in a child process --------------------------------------- */

enum { TRIAL_FINE = 'f', TRIAL_FORKED = 'p', TRIAL_DEATH_MS = 1000 };

static void trial_child(const struct image *image, const char *path, int out,
                        pid_t parent) ATTR_NORETURN;
static void trial_child(const struct image *image, const char *path, int out, pid_t parent)
{
	pid_t self = getpid();
	struct plugin *plugin = NULL;
	struct err err = { 0 };
	/* What it prints or how it dies is shown once, by us, in words. */
	int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (nowhere < 0 || dup2(nowhere, STDOUT_FILENO) < 0 || dup2(nowhere, STDERR_FILENO) < 0 ||
	    setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 }) < 0)
		_exit(1);
	/* Its verdict does not matter: the parent finds the same words. */
	(void)image_load(image, path, &plugin, &err);
	if (getpid() != self || getppid() != parent)
		_exit(1); /* a process the plugin made, or nobody waits any more */
	bool has_children = waitpid(-1, NULL, WNOHANG) >= 0 || errno != ECHILD;
	char verdict = has_children ? TRIAL_FORKED : TRIAL_FINE;
	ssize_t put = write(out, &verdict, 1);
	_exit(put == 1 ? 0 : 1);
}

static char trial_verdict(int in)
{
	struct pollfd wait = { .fd = in, .events = POLLIN };
	int ready;
	do {
		ready = poll(&wait, 1, LIMIT_PLUGIN_LOAD_MS);
	} while (ready < 0 && errno == EINTR);
	char verdict = '\0';
	return ready > 0 && read(in, &verdict, 1) == 1 ? verdict : '\0';
}

/* A child without a verdict is dying (its exit status comes in a moment) or hangs. */
static int trial_reap(pid_t child, bool has_verdict)
{
	int status = 0;
	for (int waited_ms = 0; !has_verdict; waited_ms += 10) {
		if (waitpid(child, &status, WNOHANG) != 0)
			return status;
		if (waited_ms >= TRIAL_DEATH_MS)
			break;
		poll(NULL, 0, 10);
	}
	if (!has_verdict)
		kill(child, SIGKILL);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

static int trial_explain(char verdict, int status, struct err *err)
{
	if (verdict == TRIAL_FORKED)
		err_set_id(err, ERR_INPUT, "plugin.unavailable",
		           "its start-up code starts processes");
	else if (WIFEXITED(status))
		err_set_id(err, ERR_INPUT, "plugin.unavailable",
		           "its start-up code ends the process (exit status %d)",
		           WEXITSTATUS(status));
	else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		err_set_id(err, ERR_INPUT, "plugin.unavailable",
		           "its start-up code did not come to an end within %d s",
		           LIMIT_PLUGIN_LOAD_MS / 1000);
	else
		err_set_id(err, ERR_INPUT, "plugin.unavailable", "its start-up code crashes (%s)",
		           WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "unknown reason");
	return err_hint(err, "A plugin has no constructors; its gw_plugin_entry() only returns "
	                     "the address of its descriptor.");
}

/* 0 when loading it in a child went well enough for the child to come to its end. */
static int image_try(const struct image *image, const char *path, struct err *err)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_set(err, ERR_SYSTEM, "cannot try it: %s", strerror(errno));
	pid_t self = getpid();
	pid_t child = fork();
	if (child == 0) {
		close(ends[0]);
		trial_child(image, path, ends[1], self);
	}
	close(ends[1]);
	if (child < 0) {
		close(ends[0]);
		return err_set(err, ERR_SYSTEM, "cannot try it: %s", strerror(errno));
	}
	char verdict = trial_verdict(ends[0]);
	close(ends[0]);
	int status = trial_reap(child, verdict != '\0');
	return verdict == TRIAL_FINE ? 0 : trial_explain(verdict, status, err);
}

static int load_file(const char *path, const char *sha256, struct plugin **ret, struct err *err)
{
	struct image image = { .fd = -1 };
	int status = image_read(&image, path, sha256, err);
	if (status == 0)
		status = image_try(&image, path, err);
	if (status == 0)
		status = image_load(&image, path, ret, err);
	if (image.fd >= 0)
		close(image.fd);
	return status;
}

/* --- the registry ------------------------------------------------------- */

struct quarantine {
	char *name, *why;
};

struct pin {
	char *name, *sha256;
};

struct plugins {
	VEC(struct plugin *) loaded; /* by name */
	VEC(struct quarantine) quarantine;
	VEC(struct pin) pins;
};

struct plugins *plugins_new(void)
{
	return mem_alloc(sizeof(struct plugins));
}

void plugins_free(struct plugins *plugins)
{
	if (!plugins)
		return;
	for (size_t i = 0; i < plugins->loaded.len; i++)
		plugin_free(plugins->loaded.at[i]);
	for (size_t i = 0; i < plugins->quarantine.len; i++) {
		free(plugins->quarantine.at[i].name);
		free(plugins->quarantine.at[i].why);
	}
	vec_release(&plugins->loaded);
	vec_release(&plugins->quarantine);
	for (size_t i = 0; i < plugins->pins.len; i++) {
		free(plugins->pins.at[i].name);
		free(plugins->pins.at[i].sha256);
	}
	vec_release(&plugins->pins);
	free(plugins);
}

static struct plugin *find_loaded(const struct plugins *plugins, const char *name)
{
	for (size_t i = 0; i < plugins->loaded.len; i++)
		if (strcmp(plugin_name(plugins->loaded.at[i]), name) == 0)
			return plugins->loaded.at[i];
	return NULL;
}

static void add_loaded(struct plugins *plugins, struct plugin *plugin)
{
	*vec_add(&plugins->loaded) = plugin;
	struct plugin **at = plugins->loaded.at;
	for (size_t i = plugins->loaded.len - 1; i > 0; i--) {
		if (strcmp(plugin_name(at[i - 1]), plugin_name(plugin)) <= 0)
			break;
		at[i] = at[i - 1];
		at[i - 1] = plugin;
	}
}

void plugins_pin(struct plugins *plugins, const char *name, const char *sha256)
{
	struct pin *pin = vec_add(&plugins->pins);
	pin->name = mem_dup_str(name);
	pin->sha256 = mem_dup_str(sha256);
}

static const char *pin_of(const struct plugins *plugins, struct str name)
{
	for (size_t i = 0; i < plugins->pins.len; i++)
		if (str_is(name, plugins->pins.at[i].name))
			return plugins->pins.at[i].sha256;
	return NULL;
}

/* The pin of the file's name is checked before anything of the file runs. */
static const char *pin_of_file(const struct plugins *plugins, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;
	return pin_of(plugins, (struct str){ base, strcspn(base, ".") });
}

/* A pinned plugin cannot be had from a file of another name either. */
static int check_pin(const struct plugins *plugins, const struct plugin *plugin, struct err *err)
{
	const char *pin = pin_of(plugins, str_of(plugin_name(plugin)));
	if (!pin || strcasecmp(pin, plugin_sha256(plugin)) == 0)
		return 0;
	return err_set_id(err, ERR_CONFLICT, "plugin.hash",
	                  "it says it is '%s', whose pinned SHA-256 is %.64s", plugin_name(plugin),
	                  pin);
}

int plugins_load(struct plugins *plugins, const char *path, const char *sha256, struct err *err)
{
	struct plugin *plugin = NULL;
	if (load_file(path, sha256 ? sha256 : pin_of_file(plugins, path), &plugin, err) < 0)
		return err_wrap(err, "plugin %s", path);
	if (check_pin(plugins, plugin, err) < 0) {
		plugin_free(plugin);
		return err_wrap(err, "plugin %s", path);
	}
	const struct plugin *other = find_loaded(plugins, plugin_name(plugin));
	if (other) {
		err_set_id(err, ERR_CONFLICT, "plugin.twice",
		           "plugin %s: the name '%s' is taken by %s already", path,
		           plugin_name(plugin), other->file);
		plugin_free(plugin);
		return err_hint(err, "Remove one of the two.");
	}
	add_loaded(plugins, plugin);
	return 0;
}

static void add_finding(json_t *findings, const char *path, const struct err *err)
{
	if (!findings)
		return;
	json_t *finding = json_object();
	json_put_str(finding, "file", path);
	json_put_str(finding, "text", err->text);
	json_put_str(finding, "hint", err->hint);
	json_push(findings, finding);
}

static int only_libraries(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && str_ends(entry->d_name, ".so");
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

int plugins_load_folder(struct plugins *plugins, const char *folder, json_t *findings,
                        struct err *err)
{
	int fd = -1;
	if (folder[0] != '/')
		return err_set_id(err, ERR_INPUT, "plugin.path",
		                  "plugin folder '%s' is not an absolute path", folder);
	if (open_folder(folder, &fd, err) < 0)
		return err_wrap(err, "plugins");
	struct dirent **entries = NULL;
	int count = scandirat(fd, ".", &entries, only_libraries, by_bytes);
	int why = errno;
	close(fd);
	if (count < 0)
		return err_set(err, ERR_SYSTEM, "plugin folder %s: %s", folder, strerror(why));
	for (int i = 0; i < count; i++) {
		char *path = mem_format("%s/%s", folder, entries[i]->d_name);
		struct err one = { 0 };
		if (plugins_load(plugins, path, NULL, &one) < 0)
			add_finding(findings, path, &one);
		free(path);
		free(entries[i]);
	}
	free(entries);
	return 0;
}

void plugins_quarantine(struct plugins *plugins, const char *name, const char *why)
{
	if (plugins_quarantine_why(plugins, name))
		return;
	struct quarantine *item = vec_add(&plugins->quarantine);
	item->name = mem_dup_str(name);
	item->why = mem_dup_str(why ? why : "");
}

const char *plugins_quarantine_why(const struct plugins *plugins, const char *name)
{
	for (size_t i = 0; i < plugins->quarantine.len; i++)
		if (strcmp(plugins->quarantine.at[i].name, name) == 0)
			return plugins->quarantine.at[i].why;
	return NULL;
}

const struct plugin *plugins_find(const struct plugins *plugins, const char *name)
{
	return plugins_quarantine_why(plugins, name) ? NULL : find_loaded(plugins, name);
}

size_t plugins_names(const struct plugins *plugins, const char **ret, size_t max)
{
	size_t count = 0;
	for (size_t i = 0; i < plugins->loaded.len; i++) {
		const char *name = plugin_name(plugins->loaded.at[i]);
		if (plugins_quarantine_why(plugins, name))
			continue;
		if (count < max)
			ret[count] = name;
		count++;
	}
	return count;
}
