/* SPDX-License-Identifier: MIT */
/* Where the configuration is when nobody says: here, in a folder above, or where the program is. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "config_int.h"

#define NAME "gangway.lua"

/* The folder of the running program; NULL when the system does not say. */
static char *program_folder(void)
{
	char exe[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	if (len <= 0)
		return NULL;
	exe[len] = '\0';
	char *slash = strrchr(exe, '/');
	return mem_dup(exe, (size_t)(slash - exe));
}

static void note(struct buf *looked, const char *path)
{
	buf_printf(looked, "%s%s", looked->len ? ", " : "", path);
}

/*
 * A configuration names folders of programs to load.  One that lies above the
 * current folder was not asked for, so it must belong to whoever runs this, or
 * to root: nobody else can leave one in /tmp and be believed.
 */
static bool is_ours(const char *path)
{
	struct stat file;
	return stat(path, &file) == 0 && (file.st_uid == getuid() || file.st_uid == 0) &&
	       (file.st_mode & S_IWOTH) == 0;
}

/* In the current folder, or the nearest above it. */
static char *find_above(struct buf *looked)
{
	char folder[PATH_MAX];
	if (!getcwd(folder, sizeof(folder)))
		return NULL;
	bool is_here = true;
	for (char *end = folder + strlen(folder);; is_here = false) {
		char *path = mem_format("%s/" NAME, end == folder ? "" : folder);
		if (access(path, F_OK) == 0 && (is_here || is_ours(path)))
			return path;
		if (is_here)
			note(looked, path);
		free(path);
		if (end == folder || strcmp(folder, "/") == 0)
			break;
		end = strrchr(folder, '/');
		*end = '\0';
	}
	buf_put(looked, " and the folders above it");
	return NULL;
}

/* Beside the program (a build folder has a link to it), or where both were installed. */
static char *find_shipped(struct buf *looked)
{
	char *self = program_folder();
	char *choices[] = {
		self ? mem_format("%s/" NAME, self) : NULL,
		self ? mem_format("%s/../share/gangway/" NAME, self) : NULL,
		mem_dup_str(GANGWAY_DATA_DIR "/" NAME),
	};
	char *found = NULL;
	for (size_t i = 0; i < sizeof(choices) / sizeof(*choices); i++) {
		if (!choices[i])
			continue;
		if (!found && access(choices[i], R_OK) == 0)
			found = realpath(choices[i], NULL);
		note(looked, choices[i]);
		free(choices[i]);
	}
	free(self);
	return found;
}

char *config_find(bool *ret_shipped, struct buf *looked)
{
	char *found = find_above(looked);
	*ret_shipped = false;
	if (!found) {
		found = find_shipped(looked);
		*ret_shipped = found != NULL;
	}
	return found;
}

char *config_find_plugins(void)
{
	const char *from_env = getenv("GANGWAY_PLUGIN_DIR");
	if (from_env)
		return mem_dup_str(from_env);
	char *self = program_folder();
	static const char *const places[] = { "plugins/.libs", "../lib/gangway/plugins" };
	for (size_t i = 0; self && i < sizeof(places) / sizeof(*places); i++) {
		char *path = mem_format("%s/%s", self, places[i]);
		char *plain = access(path, R_OK) == 0 ? realpath(path, NULL) : NULL;
		free(path);
		if (plain) {
			free(self);
			return plain;
		}
	}
	free(self);
	return mem_dup_str(GANGWAY_PLUGIN_DIR);
}
