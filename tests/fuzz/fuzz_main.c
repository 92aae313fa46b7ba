/* SPDX-License-Identifier: MIT */
/*
 * main() of a fuzz target where there is no libFuzzer: plays every file it is
 * given, and with -runs=N mutations of them until it has played N inputs.  It
 * takes libFuzzer's options that tests/fuzz/run.sh uses and ignores the rest.
 * When the target dies, the input is written to a file, as libFuzzer does.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

enum { FILES_MAX = 10000, PATH_BYTES = 4096 };

struct input {
	unsigned char *bytes;
	size_t len;
};

struct fuzz {
	struct input files[FILES_MAX];
	size_t count, runs_max, bytes_max, ran;
	unsigned long long chance;
	struct input now;
	char artifact[PATH_BYTES];
};

static struct fuzz *the_fuzz(void)
{
	static struct fuzz fuzz = { .bytes_max = 4096, .chance = 1, .artifact = "./" };
	return &fuzz;
}

/* Only what a signal handler may do. */
static void keep_input(int number)
{
	const struct fuzz *fuzz = the_fuzz();
	static const char told[] = "Test unit written to ";
	int fd = open(fuzz->artifact, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (fd >= 0 && write(fd, fuzz->now.bytes, fuzz->now.len) >= 0 &&
	    write(STDERR_FILENO, told, sizeof(told) - 1) >= 0 &&
	    write(STDERR_FILENO, fuzz->artifact, strlen(fuzz->artifact)) >= 0)
		(void)!write(STDERR_FILENO, "\n", 1);
	signal(number, SIG_DFL);
	raise(number);
}

static size_t below(struct fuzz *fuzz, size_t limit)
{
	fuzz->chance ^= fuzz->chance << 13;
	fuzz->chance ^= fuzz->chance >> 7;
	fuzz->chance ^= fuzz->chance << 17;
	return limit ? (size_t)(fuzz->chance % limit) : 0;
}

static void play(struct fuzz *fuzz, struct input input)
{
	fuzz->now = input;
	fuzz->ran++;
	(void)LLVMFuzzerTestOneInput(input.bytes, input.len);
}

/* A change in place, a piece left out, or a piece of another file put in. */
static void mutate(struct fuzz *fuzz, struct input *input)
{
	size_t at = below(fuzz, input->len + 1), kind = below(fuzz, 3);
	if (kind == 0 && at < input->len) {
		input->bytes[at] = (unsigned char)below(fuzz, 256);
	} else if (kind == 1) {
		size_t len = below(fuzz, 32);
		len = len < input->len - at ? len : input->len - at;
		memmove(input->bytes + at, input->bytes + at + len, input->len - at - len);
		input->len -= len;
	} else {
		const struct input *other = &fuzz->files[below(fuzz, fuzz->count)];
		size_t from = below(fuzz, other->len), len = below(fuzz, 64);
		len = len < other->len - from ? len : other->len - from;
		if (input->len + len > fuzz->bytes_max)
			return;
		memmove(input->bytes + at + len, input->bytes + at, input->len - at);
		memcpy(input->bytes + at, other->bytes + from, len);
		input->len += len;
	}
}

static void play_mutation(struct fuzz *fuzz)
{
	const struct input *file = &fuzz->files[below(fuzz, fuzz->count)];
	/* An allocation of its own each time, so that reading past the end is seen. */
	struct input copy = { malloc(fuzz->bytes_max), file->len };
	if (!copy.bytes)
		abort();
	copy.len = copy.len < fuzz->bytes_max ? copy.len : fuzz->bytes_max;
	memcpy(copy.bytes, file->bytes, copy.len);
	for (size_t i = below(fuzz, 4) + 1; i-- > 0;)
		mutate(fuzz, &copy);
	unsigned char *exact = realloc(copy.bytes, copy.len ? copy.len : 1);
	copy.bytes = exact ? exact : copy.bytes;
	play(fuzz, copy);
	free(copy.bytes);
}

static void add_file(struct fuzz *fuzz, const char *path)
{
	struct stat info;
	FILE *file = fopen(path, "rb");
	if (!file || fstat(fileno(file), &info) < 0 || fuzz->count == FILES_MAX) {
		fprintf(stderr, "%s cannot be read\n", path);
		exit(2);
	}
	struct input input = { malloc((size_t)info.st_size + 1), 0 };
	if (input.bytes)
		input.len = fread(input.bytes, 1, (size_t)info.st_size, file);
	fuzz->files[fuzz->count++] = input;
	fclose(file);
}

static int compare_paths(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void add_path(struct fuzz *fuzz, const char *path)
{
	struct dirent **entries = NULL;
	int count = scandir(path, &entries, NULL, compare_paths);
	if (count < 0)
		add_file(fuzz, path);
	for (int i = 0; i < count; i++) {
		char name[PATH_BYTES];
		snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name);
		if (entries[i]->d_name[0] != '.')
			add_file(fuzz, name);
		free(entries[i]);
	}
	free(entries);
}

static void take_option(struct fuzz *fuzz, const char *option)
{
	unsigned long long number = strtoull(strchr(option, '=') ? strchr(option, '=') + 1 : "",
	                                     NULL, 10);
	if (strncmp(option, "-runs=", 6) == 0)
		fuzz->runs_max = (size_t)number;
	else if (strncmp(option, "-max_len=", 9) == 0)
		fuzz->bytes_max = (size_t)number;
	else if (strncmp(option, "-seed=", 6) == 0)
		fuzz->chance = number * 2654435761u + 1;
	else if (strncmp(option, "-artifact_prefix=", 17) == 0)
		snprintf(fuzz->artifact, sizeof(fuzz->artifact), "%s", option + 17);
}

int main(int argc, char **argv)
{
	static const int deadly[] = { SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL };
	struct fuzz *fuzz = the_fuzz();
	for (int i = 1; i < argc; i++) {
		if (argv[i][0] == '-')
			take_option(fuzz, argv[i]);
		else
			add_path(fuzz, argv[i]);
	}
	strncat(fuzz->artifact, "crash", sizeof(fuzz->artifact) - strlen(fuzz->artifact) - 1);
	for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++)
		signal(deadly[i], keep_input);
	for (size_t i = 0; i < fuzz->count; i++)
		play(fuzz, fuzz->files[i]);
	while (fuzz->count > 0 && fuzz->ran < fuzz->runs_max)
		play_mutation(fuzz);
	printf("Done %zu runs (without libFuzzer)\n", fuzz->ran);
	for (size_t i = 0; i < fuzz->count; i++)
		free(fuzz->files[i].bytes);
	return 0;
}
