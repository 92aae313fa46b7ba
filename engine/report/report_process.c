/* SPDX-License-Identifier: MIT */
/* What the kernel says of this process, under the names that every exporter gives it. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "report/report_metrics.h"

enum process_family { PROCESS_CPU, PROCESS_MEMORY, PROCESS_OPEN, PROCESS_MAX, PROCESS_START };

static const struct metric_family families[] = {
	[PROCESS_CPU] = { .name = "process_cpu_seconds_total",
	                  .help = "Time on a processor.",
	                  .type = METRIC_COUNTER },
	[PROCESS_MEMORY] = { .name = "process_resident_memory_bytes",
	                     .help = "Memory in use.",
	                     .type = METRIC_GAUGE },
	[PROCESS_OPEN] = { .name = "process_open_fds",
	                   .help = "Open descriptors.",
	                   .type = METRIC_GAUGE },
	[PROCESS_MAX] = { .name = "process_max_fds",
	                  .help = "Descriptors that may be open.",
	                  .type = METRIC_GAUGE },
	[PROCESS_START] = { .name = "process_start_time_seconds",
	                    .help = "When it began, since 1970.",
	                    .type = METRIC_GAUGE },
};

void metrics_process_declare(struct metrics *metrics)
{
	metrics_declare(metrics, families, sizeof(families) / sizeof(*families));
}

static void set(struct metrics *metrics, enum process_family which, double value)
{
	metric_set(metrics_get(metrics, &families[which], NULL), value);
}

/* The number behind a word of a file in /proc; 0: it is not there. */
static double number_in(const char *path, const char *word)
{
	char line[512];
	double ret = 0;
	FILE *file = fopen(path, "re");
	while (file && ret == 0 && fgets(line, sizeof(line), file))
		if (strncmp(line, word, strlen(word)) == 0)
			ret = strtod(line + strlen(word), NULL);
	if (file)
		fclose(file);
	return ret;
}

/* Field 22 of /proc/self/stat; the name in field 2 may hold anything but its last bracket. */
static double started_ticks(void)
{
	char line[1024] = "";
	FILE *file = fopen("/proc/self/stat", "re");
	if (!file)
		return 0;
	char *at = fgets(line, sizeof(line), file) ? strrchr(line, ')') : NULL;
	fclose(file);
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	return at ? strtod(at, NULL) : 0;
}

static double open_descriptors(void)
{
	double ret = -3; /* ".", "..", and the folder itself */
	DIR *dir = opendir("/proc/self/fd");
	if (!dir)
		return 0;
	while (readdir(dir))
		ret++;
	closedir(dir);
	return ret;
}

void metrics_process(struct metrics *metrics)
{
	struct rusage usage;
	struct rlimit limit;
	if (getrusage(RUSAGE_SELF, &usage) == 0)
		set(metrics, PROCESS_CPU,
		    (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
		            (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
	set(metrics, PROCESS_MEMORY, number_in("/proc/self/status", "VmRSS:") * 1024);
	set(metrics, PROCESS_OPEN, open_descriptors());
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		set(metrics, PROCESS_MAX, (double)limit.rlim_cur);
	set(metrics, PROCESS_START,
	    number_in("/proc/stat", "btime ") + started_ticks() / (double)sysconf(_SC_CLK_TCK));
}
