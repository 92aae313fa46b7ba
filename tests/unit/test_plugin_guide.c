/* SPDX-License-Identifier: MIT */
/* The plugin in docs/guide/plugin.md is the one that is compiled and played. */
#include <stdlib.h>
#include <string.h>

#include "check.h"

int main(void)
{
	char *guide = check_file(SRCDIR "/docs/guide/plugin.md");
	char *code = check_file(SRCDIR "/docs/guide/example_plugin.c");
	char *begin = guide ? strstr(guide, "```c\n") : NULL;
	char *end = begin ? strstr(begin + 5, "```\n") : NULL;
	CHECK(code != NULL && end != NULL);
	if (code && end) {
		*end = '\0';
		CHECK_MSG(strcmp(begin + 5, code) == 0,
		          "the plugin in docs/guide/plugin.md is docs/guide/example_plugin.c");
	}
	int lines = 0;
	for (const char *line = code; line && *line; line = strchr(line, '\n') + 1)
		lines += *line != '\n';
	CHECK_MSG(lines <= 42, "a whole plugin in about 40 lines: %d", lines);
	free(guide);
	free(code);
	return check_done();
}
