/* SPDX-License-Identifier: MIT */
/*
 * Reading a folder of a graph, a rule set or prompts: text files only, one
 * level of subfolders, names in byte order, everything within limits.  What is
 * for people (README.md) or for tests (cases/, stories/) shapes no decision
 * and is no part of the version - except a rule set's cases, which travel with
 * it so that `rules test` can run what was pinned.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/limits.h"
#include "base/mem.h"
#include "release/release_int.h"

static bool is_wanted(const char *name)
{
	static const char *const endings[] = { ".scxml", ".lua",   ".md",  ".html", ".txt",
		                               ".json",  ".slack", ".xml", ".csv" };
	if (name[0] == '.' || strcmp(name, "README.md") == 0)
		return false;
	for (size_t i = 0; i < sizeof(endings) / sizeof(*endings); i++)
		if (str_ends(name, endings[i]))
			return true;
	return false;
}

struct listing {
	json_t *names;     /* relative names, unsorted */
	struct buf *stamp; /* what stat says of each; NULL: not wanted */
	int64_t bytes;
};

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names in a directory in byte order; NULL-terminated, to be freed with its strings. */
static char **sorted_entries(const char *path, struct err *err)
{
	DIR *dir = opendir(path);
	if (!dir) {
		err_set(err, errno == ENOENT ? ERR_ABSENT : ERR_SYSTEM, "%s: %s", path,
		        strerror(errno));
		return NULL;
	}
	size_t len = 0, size = 16;
	char **names = mem_grow(NULL, size + 1, sizeof(*names));
	for (struct dirent *entry; (entry = readdir(dir));) {
		if (entry->d_name[0] == '.')
			continue;
		if (len == size)
			names = mem_grow(names, (size *= 2) + 1, sizeof(*names));
		names[len++] = mem_dup_str(entry->d_name);
	}
	closedir(dir);
	qsort(names, len, sizeof(*names), compare_names);
	names[len] = NULL;
	return names;
}

json_t *folder_names(const char *path)
{
	struct err ignored = { 0 }; /* no folder, no names */
	json_t *ret = json_array();
	char **names = sorted_entries(path, &ignored);
	for (size_t i = 0; names && names[i]; i++) {
		json_t *name = json_string(names[i]);
		if (name)
			json_push(ret, name);
		free(names[i]);
	}
	free(names);
	return ret;
}

bool release_is_inside(const char *root, const char *path)
{
	char *folder = realpath(root, NULL), *file = realpath(path, NULL);
	size_t len = folder ? strlen(folder) : 0;
	bool ret = folder && file && strncmp(folder, file, len) == 0 &&
	           (file[len] == '/' || file[len] == '\0' || strcmp(folder, "/") == 0);
	free(folder);
	free(file);
	return ret;
}

static int list_entry(const char *root, const char *name, int depth, struct listing *listing,
                      struct err *err);

static int list_folder(const char *root, const char *below, int depth, struct listing *listing,
                       struct err *err)
{
	char *path = *below ? mem_format("%s/%s", root, below) : mem_dup_str(root);
	char **names = sorted_entries(path, err);
	free(path);
	if (!names)
		return err->code;
	int status = 0;
	for (size_t i = 0; names[i]; i++) {
		char *name = *below ? mem_format("%s/%s", below, names[i]) : mem_dup_str(names[i]);
		if (status == 0)
			status = list_entry(root, name, depth, listing, err);
		free(name);
		free(names[i]);
	}
	free(names);
	return status;
}

static int list_entry(const char *root, const char *name, int depth, struct listing *listing,
                      struct err *err)
{
	char *path = mem_format("%s/%s", root, name);
	struct stat st;
	int found = lstat(path, &st);
	bool is_inside = true;
	if (found == 0 && S_ISLNK(st.st_mode)) {
		found = stat(path, &st);
		is_inside = found < 0 || release_is_inside(root, path);
	}
	free(path);
	if (found < 0)
		return 0; /* gone since it was listed, or a dangling link */
	if (!is_inside) {
		err_set_id(err, ERR_INPUT, "release.outside", "%s/%s leads out of the folder", root,
		           name);
		return err_hint(err, "put a copy there instead of the link");
	}
	if (S_ISDIR(st.st_mode))
		return depth < 1 && strcmp(name, "stories") != 0
		               ? list_folder(root, name, depth + 1, listing, err)
		               : 0;
	const char *base = strrchr(name, '/');
	if (!S_ISREG(st.st_mode) || !is_wanted(base ? base + 1 : name))
		return 0;
	listing->bytes += st.st_size;
	if (json_array_size(listing->names) >= LIMIT_FOLDER_FILES ||
	    listing->bytes > LIMIT_FOLDER_BYTES)
		return err_set(err, ERR_LIMIT, "%s: more than %d files or %d bytes", root,
		               LIMIT_FOLDER_FILES, LIMIT_FOLDER_BYTES);
	json_push(listing->names, json_text(str_of(name)));
	if (listing->stamp)
		buf_printf(listing->stamp, "%s %lld %lld %lld.%09ld\n", name, (long long)st.st_ino,
		           (long long)st.st_size, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	return 0;
}

static int read_text(const char *root, const char *name, json_t *files, struct err *err)
{
	char *path = mem_format("%s/%s", root, name);
	FILE *file = fopen(path, "rbe");
	struct buf text;
	buf_init(&text, LIMIT_GRAPH_BYTES);
	int status = 0;
	if (!file)
		status = err_set(err, ERR_SYSTEM, "%s: %s", path, strerror(errno));
	char chunk[8192];
	size_t got;
	while (status == 0 && (got = fread(chunk, 1, sizeof(chunk), file)) > 0)
		if (buf_add(&text, chunk, got, err) < 0)
			status = err_wrap(err, "%s", path);
	if (status == 0 && ferror(file))
		status = err_set(err, ERR_SYSTEM, "%s: %s", path, strerror(errno));
	if (file)
		fclose(file);
	/* A file that is no text is left for chart or script to name in their own words. */
	if (status == 0)
		json_put(files, name, json_stringn_nocheck(text.bytes ? text.bytes : "", text.len));
	buf_release(&text);
	free(path);
	return status;
}

/* Over names and contents, so that a renamed file is another version. */
static void hash_files(const json_t *files, char ret[65])
{
	struct buf all;
	buf_init(&all, (size_t)LIMIT_FOLDER_FILES * 512);
	const char *name;
	json_t *text;
	json_object_foreach((json_t *)(uintptr_t)files, name, text) {
		char hash[SHA256_HEX];
		crypto_sha256_hex((struct str){ json_string_value(text), json_string_length(text) },
		                  hash);
		buf_printf(&all, "%s  %s\n", hash, name);
	}
	crypto_sha256_hex(buf_str(&all), ret);
	buf_release(&all);
}

int release_read_folder(const char *path, json_t **ret_files, char ret_sha256[65], struct err *err)
{
	struct listing listing = { .names = json_array() };
	json_t *files = json_object();
	int status = list_folder(path, "", 0, &listing, err);
	for (size_t i = 0; status == 0 && i < json_array_size(listing.names); i++)
		status = read_text(path, json_string_value(json_array_get(listing.names, i)), files,
		                   err);
	json_decref(listing.names);
	if (status < 0) {
		json_decref(files);
		return status;
	}
	hash_files(files, ret_sha256);
	*ret_files = files;
	return 0;
}

void folder_cache_free(struct folder_cache *cache)
{
	free(cache->path);
	json_decref(cache->files);
	free(cache);
}

int folder_stamp(const char *path, char ret[65], struct err *err)
{
	struct buf stamp;
	buf_init(&stamp, (size_t)LIMIT_FOLDER_FILES * 512);
	struct listing listing = { .names = json_array(), .stamp = &stamp };
	int status = list_folder(path, "", 0, &listing, err);
	json_decref(listing.names);
	crypto_sha256_hex(buf_str(&stamp), ret);
	buf_release(&stamp);
	return status;
}

int folder_read(struct releases *releases, const char *path, const struct folder_cache **ret,
                struct err *err)
{
	char stamp[65], again[65];
	struct folder_cache *cache = map_get(&releases->folders, path);
	if (folder_stamp(path, stamp, err) < 0)
		return err->code;
	if (cache && strcmp(cache->stamp, stamp) == 0) {
		*ret = cache;
		return 0;
	}
	json_t *files;
	char sha256[65];
	if (release_read_folder(path, &files, sha256, err) < 0)
		return err->code;
	/* Written to while it was read: what we have is of no single moment, so it is not kept. */
	if (folder_stamp(path, again, err) < 0) {
		json_decref(files);
		return err->code;
	}
	if (!cache) {
		cache = mem_alloc(sizeof(*cache));
		cache->path = mem_dup_str(path);
		map_set(&releases->folders, path, cache);
	}
	json_decref(cache->files);
	cache->files = files;
	snprintf(cache->stamp, sizeof(cache->stamp), "%s", strcmp(stamp, again) == 0 ? stamp : "");
	snprintf(cache->sha256, sizeof(cache->sha256), "%s", sha256);
	*ret = cache;
	return 0;
}
