/* SPDX-License-Identifier: MIT */
/*
 * TAP from C: CHECK() counts and reports, check_done() prints the plan and
 * gives main its exit status.  One program per module; no test sleeps.
 */
#ifndef TESTS_CHECK_H
#define TESTS_CHECK_H

#include <stdbool.h>

struct check_counts {
	int passed, failed, skipped;
};

/* The counts of this process; check.c holds them so that every file of a test sees the same. */
struct check_counts *check_counts(void);
bool check_that(bool ok, const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
bool check_text(const char *got, const char *want, const char *file, int line, const char *what);
void check_skip(const char *why);
int check_done(void);
/* Reads a whole file into memory, NUL-terminated; NULL when there is none.  To be freed. */
char *check_file(const char *path);

#define CHECK(condition) check_that((condition), __FILE__, __LINE__, "%s", #condition)
#define CHECK_MSG(condition, ...) check_that((condition), __FILE__, __LINE__, __VA_ARGS__)
#define CHECK_STR(got, want) check_text((got), (want), __FILE__, __LINE__, #got)

#endif
