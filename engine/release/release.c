/* SPDX-License-Identifier: MIT */
/*
 * Assembling releases: from the folders (release_current) and from the store
 * (release_load).  Both end in release_build, so a run sees the same thing on
 * its first day and after every restart.
 */
#include "release/release.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/must.h"
#include "release/release_int.h"
#include "release/release_prompt.h"

struct releases *releases_new(const struct release_folders *folders)
{
	struct releases *releases = mem_alloc(sizeof(*releases));
	releases->graphs = mem_dup_str(folders->graphs);
	releases->rules = mem_dup_str(folders->rules);
	releases->prompts = mem_dup_str(folders->prompts);
	releases->engine_version = mem_dup_str(folders->engine_version);
	releases->plugins = json_deep_copy(folders->plugins);
	pthread_mutex_init(&releases->lock, NULL);
	map_init(&releases->folders);
	map_init(&releases->by_hash);
	map_init(&releases->current);
	watch_init(&releases->watch);
	return releases;
}

void releases_free(struct releases *releases)
{
	if (!releases)
		return;
	struct map_entry *entry;
	for (size_t i = 0; (entry = map_each(&releases->folders, &i));)
		folder_cache_free(entry->value);
	for (size_t i = 0; (entry = map_each(&releases->by_hash, &i));)
		release_unref(entry->value);
	for (size_t i = 0; (entry = map_each(&releases->current, &i));)
		current_free(entry->value);
	map_release(&releases->current);
	map_release(&releases->folders);
	map_release(&releases->by_hash);
	watch_release(&releases->watch);
	pthread_mutex_destroy(&releases->lock);
	json_decref(releases->plugins);
	free(releases->graphs);
	free(releases->rules);
	free(releases->prompts);
	free(releases->engine_version);
	free(releases);
}

struct release *release_ref(struct release *release)
{
	atomic_fetch_add(&release->own->refs, 1);
	return release;
}

void release_unref(struct release *release)
{
	if (!release || atomic_fetch_sub(&release->own->refs, 1) != 1)
		return;
	struct map_entry *entry;
	for (size_t i = 0; (entry = map_each(&release->own->children, &i));)
		chart_unref(entry->value);
	map_release(&release->own->children);
	pthread_mutex_destroy(&release->own->lock);
	chart_unref(release->chart);
	json_decref(release->pins);
	json_decref(release->graph_files);
	json_decref(release->rules);
	json_decref(release->prompts);
	free(release->own);
	free(release);
}

/* --- the graph's folder ---------------------------------------------------- */

static int read_pinned(void *ctx, const char *name, struct buf *ret, struct err *err)
{
	const json_t *text = json_object_get((const json_t *)ctx, name);
	if (!json_is_string(text))
		return err_set(err, ERR_ABSENT, "no file '%s' in the graph's folder", name);
	return buf_add(ret, json_string_value(text), json_string_length(text), err);
}

struct chart_folder release_folder(const struct release *release)
{
	return (struct chart_folder){ release->graph_files, read_pinned };
}

static int compile(const json_t *graph_files, const char *file, struct chart **ret, struct err *err)
{
	const json_t *text = json_object_get(graph_files, file);
	if (!json_is_string(text))
		return err_set(err, ERR_ABSENT, "no file '%s' in the graph's folder", file);
	struct chart_folder folder = { (void *)(uintptr_t)graph_files, read_pinned };
	struct chart_diags diags = { 0 };
	int status = chart_new((struct str){ json_string_value(text), json_string_length(text) },
	                       file, &folder, &diags, ret, err);
	chart_diags_release(&diags);
	return status;
}

int release_child(struct release *release, const char *src, struct chart **ret, struct err *err)
{
	if (str_begins(src, "file:"))
		src += 5;
	pthread_mutex_lock(&release->own->lock);
	struct chart *chart = map_get(&release->own->children, src);
	int status = 0;
	if (!chart) {
		status = compile(release->graph_files, src, &chart, err);
		if (status == 0)
			map_set(&release->own->children, src, chart);
	}
	if (status == 0)
		*ret = chart_ref(chart);
	pthread_mutex_unlock(&release->own->lock);
	return status;
}

/* --- building -------------------------------------------------------------- */

int release_build(json_t *pins, json_t *graph_files, json_t *rules, json_t *prompts,
                  struct release **ret, struct err *err)
{
	struct release *release = mem_alloc(sizeof(*release));
	release->own = mem_alloc(sizeof(*release->own));
	atomic_init(&release->own->refs, 1);
	pthread_mutex_init(&release->own->lock, NULL);
	map_init(&release->own->children);
	release->pins = pins;
	release->graph_files = graph_files;
	release->rules = rules;
	release->prompts = prompts;
	char *text = json_canon(pins);
	crypto_sha256_hex(str_of(text), release->sha256);
	free(text);
	struct chart *chart = NULL;
	const char *file = json_str(json_at(pins, "graph"), "file", "");
	if (compile(graph_files, file, &chart, err) < 0) {
		release_unref(release);
		return err->code;
	}
	release->chart = chart;
	*ret = release;
	return 0;
}

static json_t *file_hashes(const json_t *files)
{
	json_t *ret = json_object();
	const char *name;
	json_t *text;
	json_object_foreach((json_t *)(uintptr_t)files, name, text) {
		char hash[SHA256_HEX];
		crypto_sha256_hex((struct str){ json_string_value(text), json_string_length(text) },
		                  hash);
		json_put_str(ret, name, hash);
	}
	return ret;
}

/* Rule sets that the chart may call: the folder before '#' of each src and fallback. */
static void collect_rules(const struct chart *chart, json_t *names)
{
	for (int32_t s = 0; s < chart->state_count; s++) {
		for (size_t i = 0; i < chart->states[s].invoke_count; i++) {
			const struct chart_invoke *invoke = &chart->states[s].invokes[i];
			const char *uses[2] = { NULL, invoke->dispatch.fallback };
			if (invoke->type.text && strcmp(invoke->type.text, "rules") == 0)
				uses[0] = invoke->src.text;
			for (int u = 0; u < 2; u++) {
				if (!uses[u])
					continue;
				char *set = mem_dup(uses[u], strcspn(uses[u], "#"));
				json_put(names, set, json_true());
				free(set);
			}
		}
	}
}

/* The version a manifest names; found without running it, so that pinning needs no Lua. */
static void manifest_version(const json_t *files, char ret[64])
{
	const json_t *manifest = json_object_get(files, "ruleset.lua");
	const char *at = json_is_string(manifest) ? strstr(json_string_value(manifest), "version")
	                                          : NULL;
	snprintf(ret, 64, "unversioned");
	if (!at)
		return;
	at += strlen("version");
	at += strspn(at, " \t=");
	if (*at != '"' && *at != '\'')
		return;
	size_t len = strcspn(at + 1, "\"'\n");
	if (len > 0 && len < 64)
		snprintf(ret, 64, "%.*s", (int)len, at + 1);
}

static int add_rules(struct releases *releases, const char *set, json_t *pins, json_t *rules,
                     struct err *err)
{
	char *path = mem_format("%s/%s", releases->rules, set);
	const struct folder_cache *cache;
	int status = folder_read(releases, path, &cache, err);
	free(path);
	if (status < 0)
		return err_wrap(err, "rule set '%s'", set);
	char version[64];
	manifest_version(cache->files, version);
	json_put(pins, set,
	         json_pack("{s:s,s:s,s:o}", "version", version, "sha256", cache->sha256, "files",
	                   file_hashes(cache->files)));
	json_put(rules, set,
	         json_pack("{s:s,s:O}", "sha256", cache->sha256, "files", cache->files));
	return 0;
}

static int add_prompts(struct releases *releases, json_t *pins, json_t *prompts, struct err *err)
{
	const struct folder_cache *cache;
	if (!releases->prompts)
		return 0;
	if (folder_read(releases, releases->prompts, &cache, err) < 0) {
		if (err->code != ERR_ABSENT)
			return err->code;
		err_clear(err); /* no prompts is fine: a graph without an LLM needs none */
		return 0;
	}
	const char *file;
	json_t *text;
	json_object_foreach(cache->files, file, text) {
		if (!str_ends(file, ".md") || strchr(file, '/'))
			continue;
		char *name = mem_dup(file, strlen(file) - strlen(".md"));
		char hash[SHA256_HEX], version[64];
		struct str bytes = { json_string_value(text), json_string_length(text) };
		crypto_sha256_hex(bytes, hash);
		prompt_version(bytes, version, sizeof(version));
		json_put(pins, name, json_pack("{s:s,s:s}", "version", version, "sha256", hash));
		json_put(prompts, name,
		         json_pack("{s:s,s:s,s:O}", "version", version, "sha256", hash, "text",
		                   text));
		free(name);
	}
	return 0;
}

/* "onboarding" -> folder onboarding, file onboarding.scxml; "a/b" -> folder a, file b.scxml. */
static int split_graph(const char *graph, char **folder, char **file, struct err *err)
{
	const char *slash = strchr(graph, '/');
	if (*graph == '\0' || strstr(graph, "..") || *graph == '/' || *graph == '.' ||
	    (slash && strchr(slash + 1, '/')) || (slash && slash[1] == '\0'))
		return err_set_id(err, ERR_INPUT, "graph.name", "'%s' is no graph's name", graph);
	*folder = slash ? mem_dup(graph, (size_t)(slash - graph)) : mem_dup_str(graph);
	const char *stem = slash ? slash + 1 : graph;
	*file = mem_format(str_ends(stem, ".scxml") ? "%s" : "%s.scxml", stem);
	return 0;
}

static void suggest_graph(struct releases *releases, const char *graph, struct err *err)
{
	json_t *names = release_graphs(releases);
	const char *list[64];
	size_t count = 0;
	for (; count < 64 && count < json_array_size(names); count++)
		list[count] = json_string_value(json_array_get(names, count));
	const char *nearest = str_nearest(graph, list, count);
	err_clear(err);
	err_set_id(err, ERR_ABSENT, "graph.absent", "there is no graph '%s' in %s", graph,
	           releases->graphs);
	if (nearest)
		err_hint(err, "did you mean '%s'?", nearest);
	json_decref(names);
}

struct parts {
	json_t *pins, *graph_files, *rules, *prompts;
};

static int gather(struct releases *releases, const char *graph, struct parts *parts,
                  struct err *err)
{
	char *folder = NULL, *file = NULL;
	if (split_graph(graph, &folder, &file, err) < 0)
		return err->code;
	char *path = mem_format("%s/%s", releases->graphs, folder);
	const struct folder_cache *cache;
	int status = folder_read(releases, path, &cache, err);
	if (status < 0 || !json_object_get(cache->files, file)) {
		if (status == 0 || err->code == ERR_ABSENT)
			suggest_graph(releases, graph, err);
		status = err->code;
	}
	struct chart *chart = NULL;
	if (status == 0)
		status = compile(cache->files, file, &chart, err);
	json_t *rule_pins = json_object(), *prompt_pins = json_object(), *names = json_object();
	if (status == 0) {
		parts->graph_files = json_incref(cache->files);
		json_put(parts->pins, "graph",
		         json_pack("{s:s,s:s,s:s,s:s,s:o}", "name", graph, "title", chart->name,
		                   "file", file, "sha256", cache->sha256, "files",
		                   file_hashes(cache->files)));
		collect_rules(chart, names);
	}
	const char *set;
	json_t *ignored;
	json_object_foreach(names, set, ignored)
		if (status == 0)
			status = add_rules(releases, set, rule_pins, parts->rules, err);
	if (status == 0)
		status = add_prompts(releases, prompt_pins, parts->prompts, err);
	json_put(parts->pins, "rules", rule_pins);
	json_put(parts->pins, "prompts", prompt_pins);
	chart_unref(chart);
	json_decref(names);
	free(path);
	free(folder);
	free(file);
	return status;
}

/* The release of this hash if it is known already; referenced. */
static struct release *find_known(struct releases *releases, const json_t *pins)
{
	char hash[SHA256_HEX];
	char *text = json_canon(pins);
	crypto_sha256_hex(str_of(text), hash);
	free(text);
	struct release *known = map_get(&releases->by_hash, hash);
	return known ? release_ref(known) : NULL;
}

static int read_parts(struct releases *releases, const char *graph, struct parts *parts,
                      struct release **ret, struct err *err)
{
	json_put(parts->pins, "engine", json_pack("{s:s}", "version", releases->engine_version));
	json_put(parts->pins, "plugins", json_incref(releases->plugins));
	if (gather(releases, graph, parts, err) < 0)
		return err->code;
	*ret = find_known(releases, parts->pins);
	if (*ret)
		return 0;
	return release_build(json_incref(parts->pins), json_incref(parts->graph_files),
	                     json_incref(parts->rules), json_incref(parts->prompts), ret, err);
}

/* What was read instead of before: may runs start with it? */
static int pass_guard(struct releases *releases, const char *graph, struct release *release,
                      const struct current_release *before, struct err *err)
{
	const struct release_guard *guard = &releases->guard;
	if (!guard->check || !before || strcmp(before->release->sha256, release->sha256) == 0)
		return 0;
	if (guard->check(guard->ctx, release, err) < 0)
		return err->code;
	guard->told(guard->ctx, graph, release, NULL);
	return 0;
}

/* Looks at everything anew; the lock is held. */
static int release_read(struct releases *releases, const char *graph, struct release **ret,
                        struct err *err)
{
	struct parts parts = { json_object(), NULL, json_object(), json_object() };
	struct current_release *before = map_get(&releases->current, graph);
	struct release *release = NULL;
	int status = read_parts(releases, graph, &parts, &release, err);
	if (status == 0)
		status = pass_guard(releases, graph, release, before, err);
	if (status == 0) {
		if (!map_get(&releases->by_hash, release->sha256))
			map_set(&releases->by_hash, release->sha256, release_ref(release));
		current_keep(releases, graph, release);
	} else {
		release_unref(release);
		release = NULL;
		if (releases->guard.check && before && strcmp(err->id, "graph.absent") != 0) {
			current_stay(releases, before);
			releases->guard.told(releases->guard.ctx, graph, before->release, err);
			release = release_ref(before->release);
			err_clear(err);
			status = 0;
		}
	}
	json_decref(parts.pins);
	json_decref(parts.graph_files);
	json_decref(parts.rules);
	json_decref(parts.prompts);
	if (status == 0)
		*ret = release;
	return status;
}

int release_current(struct releases *releases, const char *graph, struct release **ret,
                    struct err *err)
{
	int status = 0;
	pthread_mutex_lock(&releases->lock);
	*ret = current_find(releases, graph);
	if (!*ret)
		status = release_read(releases, graph, ret, err);
	pthread_mutex_unlock(&releases->lock);
	return status;
}

void releases_guard(struct releases *releases, const struct release_guard *guard)
{
	releases->guard = *guard;
}

void releases_look(struct releases *releases)
{
	struct map_entry *entry;
	pthread_mutex_lock(&releases->lock);
	for (size_t i = 0; (entry = map_each(&releases->current, &i));) {
		struct err ignored = { 0 }; /* told already, or the graph is gone */
		struct release *release = current_find(releases, entry->key);
		if (!release)
			(void)release_read(releases, entry->key, &release, &ignored);
		release_unref(release);
	}
	pthread_mutex_unlock(&releases->lock);
}

/* --- the store -------------------------------------------------------------- */

static void each_text(const json_t *files, void (*found)(void *arg, struct str bytes), void *arg)
{
	const char *name;
	json_t *text;
	json_object_foreach((json_t *)(uintptr_t)files, name, text)
		found(arg, (struct str){ json_string_value(text), json_string_length(text) });
}

void release_blobs(struct release *release, void (*found)(void *arg, struct str bytes), void *arg)
{
	char *pins = json_canon(release->pins);
	found(arg, str_of(pins));
	free(pins);
	each_text(release->graph_files, found, arg);
	const char *name;
	json_t *value;
	json_object_foreach(release->rules, name, value)
		each_text(json_object_get(value, "files"), found, arg);
	json_object_foreach(release->prompts, name, value) {
		const json_t *text = json_object_get(value, "text");
		found(arg, (struct str){ json_string_value(text), json_string_length(text) });
	}
}

static void keep_text(void *arg, int64_t seq, struct str body)
{
	(void)seq;
	*(json_t **)arg = json_stringn_nocheck(body.ptr, body.len);
}

static bool unhex(const char *text, unsigned char ret[32])
{
	if (strlen(text) != 64)
		return false;
	for (int i = 0; i < 32; i++) {
		unsigned int byte;
		if (sscanf(text + 2 * i, "%2x", &byte) != 1)
			return false;
		ret[i] = (unsigned char)byte;
	}
	return true;
}

/* The blob of this hash as a JSON string; its bytes are checked against the hash. */
static int fetch(struct store *store, const char *sha256, json_t **ret, struct err *err)
{
	unsigned char hash[32];
	if (!unhex(sha256, hash))
		return err_set(err, ERR_STORE, "'%s' is no hash", sha256);
	*ret = NULL;
	if (store->ops->blob(store, hash, keep_text, ret, err) < 0)
		return err_wrap(err, "pinned file %.12s", sha256);
	char actual[SHA256_HEX];
	crypto_sha256_hex((struct str){ json_string_value(*ret), json_string_length(*ret) },
	                  actual);
	if (strcmp(actual, sha256) == 0)
		return 0;
	json_decref(*ret);
	return err_set_id(err, ERR_STORE, "release.broken",
	                  "pinned file %.12s was changed in the store", sha256);
}

static int fetch_files(struct store *store, const json_t *hashes, json_t *ret, struct err *err)
{
	const char *name;
	json_t *hash;
	json_object_foreach((json_t *)(uintptr_t)hashes, name, hash) {
		json_t *text;
		if (!json_is_string(hash) || fetch(store, json_string_value(hash), &text, err) < 0)
			return err->code ? err_wrap(err, "%s", name)
			                 : err_set(err, ERR_STORE, "%s: its pin is broken", name);
		json_put(ret, name, text);
	}
	return 0;
}

static int fetch_parts(struct store *store, const char *sha256, struct parts *parts,
                       struct err *err)
{
	json_t *text;
	if (fetch(store, sha256, &text, err) < 0)
		return err->code;
	parts->pins = json_loads(json_string_value(text), 0, NULL);
	json_decref(text);
	if (!json_is_object(parts->pins))
		return err_set(err, ERR_STORE, "the pins %.12s are no JSON object", sha256);
	if (fetch_files(store, json_path(parts->pins, "graph.files"), parts->graph_files, err) < 0)
		return err->code;
	const char *name;
	json_t *pin;
	json_object_foreach(json_at(parts->pins, "rules"), name, pin) {
		json_t *files = json_object();
		json_put(parts->rules, name,
		         json_pack("{s:s,s:o}", "sha256", json_str(pin, "sha256", ""), "files",
		                   files));
		if (fetch_files(store, json_at(pin, "files"), files, err) < 0)
			return err->code;
	}
	json_object_foreach(json_at(parts->pins, "prompts"), name, pin) {
		const char *hash = json_str(pin, "sha256", "");
		if (fetch(store, hash, &text, err) < 0)
			return err->code;
		json_put(parts->prompts, name,
		         json_pack("{s:s,s:s,s:o}", "version", json_str(pin, "version", ""),
		                   "sha256", hash, "text", text));
	}
	return 0;
}

int release_load(struct releases *releases, struct store *store, const char *sha256,
                 struct release **ret, struct err *err)
{
	pthread_mutex_lock(&releases->lock);
	struct release *known = map_get(&releases->by_hash, sha256);
	if (known)
		*ret = release_ref(known);
	pthread_mutex_unlock(&releases->lock);
	if (known)
		return 0;
	struct parts parts = { NULL, json_object(), json_object(), json_object() };
	struct release *release = NULL;
	int status = fetch_parts(store, sha256, &parts, err);
	if (status == 0)
		status = release_build(json_incref(parts.pins), json_incref(parts.graph_files),
		                       json_incref(parts.rules), json_incref(parts.prompts),
		                       &release, err);
	json_decref(parts.pins);
	json_decref(parts.graph_files);
	json_decref(parts.rules);
	json_decref(parts.prompts);
	if (status < 0)
		return err_wrap(err, "release %.12s", sha256);
	pthread_mutex_lock(&releases->lock);
	if (!map_get(&releases->by_hash, sha256))
		map_set(&releases->by_hash, sha256, release_ref(release));
	pthread_mutex_unlock(&releases->lock);
	*ret = release;
	return 0;
}

/* --- what there is ----------------------------------------------------------- */

static void add_graphs(const struct releases *releases, const char *folder, json_t *ret)
{
	char *path = mem_format("%s/%s", releases->graphs, folder);
	json_t *files = folder_names(path);
	size_t len = strlen(folder);
	for (size_t i = 0; i < json_array_size(files); i++) {
		const char *file = json_string_value(json_array_get(files, i));
		size_t stem = strlen(file) - strlen(".scxml");
		if (!str_ends(file, ".scxml"))
			continue;
		if (stem == len && strncmp(file, folder, len) == 0)
			json_push(ret, json_text(str_of(folder)));
		else
			json_push(ret, json_sprintf("%s/%.*s", folder, (int)stem, file));
	}
	json_decref(files);
	free(path);
}

/* By their names only: one that is too large or broken does not hide the others. */
json_t *release_graphs(const struct releases *releases)
{
	json_t *ret = json_array();
	json_t *folders = folder_names(releases->graphs);
	for (size_t i = 0; i < json_array_size(folders); i++)
		add_graphs(releases, json_string_value(json_array_get(folders, i)), ret);
	json_decref(folders);
	return ret;
}
