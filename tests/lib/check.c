/* SPDX-License-Identifier: MIT */
#include "check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct check_counts *check_counts(void)
{
	static struct check_counts counts;
	return &counts;
}

bool check_that(bool ok, const char *file, int line, const char *format, ...)
{
	struct check_counts *counts = check_counts();
	int number = counts->passed + counts->failed + counts->skipped + 1;
	printf("%sok %d - ", ok ? "" : "not ", number);
	va_list args;
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	if (!ok)
		printf("#   at %s:%d\n", file, line);
	*(ok ? &counts->passed : &counts->failed) += 1;
	fflush(stdout);
	return ok;
}

bool check_text(const char *got, const char *want, const char *file, int line, const char *what)
{
	bool ok = got && want ? strcmp(got, want) == 0 : got == want;
	check_that(ok, file, line, "%s is \"%s\"", what, want ? want : "(null)");
	if (!ok)
		printf("#   got \"%s\"\n", got ? got : "(null)");
	return ok;
}

void check_skip(const char *why)
{
	struct check_counts *counts = check_counts();
	counts->skipped++;
	printf("ok %d # SKIP %s\n", counts->passed + counts->failed + counts->skipped, why);
}

int check_done(void)
{
	const struct check_counts *counts = check_counts();
	printf("1..%d\n", counts->passed + counts->failed + counts->skipped);
	return counts->failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

char *check_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	if (!file)
		return NULL;
	size_t size = 65536, len = 0, got;
	char *text = malloc(size);
	while (text && (got = fread(text + len, 1, size - len - 1, file)) > 0) {
		len += got;
		if (size - len < 2) {
			size *= 2;
			text = realloc(text, size);
		}
	}
	fclose(file);
	if (text)
		text[len] = '\0';
	return text;
}
