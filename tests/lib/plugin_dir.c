/* SPDX-License-Identifier: MIT */
#include "plugin_dir.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

char *plugin_dir(const char *variable, const char *beside)
{
	const char *named = getenv(variable);
	if (named && named[0])
		return realpath(named, NULL);
	char self[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (len <= 0)
		return NULL;
	self[len] = '\0';
	*strrchr(self, '/') = '\0';
	char *path = mem_format("%s/%s", self, beside);
	char *ret = realpath(path, NULL);
	free(path);
	return ret;
}
