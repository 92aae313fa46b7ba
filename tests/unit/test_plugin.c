/* SPDX-License-Identifier: MIT */
/* Loading plugins: what is refused, in which words, and what a good one says of itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/mem.h"
#include "check.h"
#include "plugin/plugin.h"
#include "plugin_dir.h"

static char *path_of(const char *folder, const char *name)
{
	return mem_format("%s/%s", folder, name);
}

static bool write_file(const char *path, const char *bytes, size_t len, mode_t mode)
{
	FILE *file = fopen(path, "w");
	bool ok = file && fwrite(bytes, 1, len, file) == len;
	return file && fclose(file) == 0 && ok && chmod(path, mode) == 0;
}

static char *read_bytes(const char *path, size_t *ret_len)
{
	struct stat info;
	FILE *file = fopen(path, "r");
	if (!file || stat(path, &info) < 0)
		return NULL;
	char *bytes = mem_alloc((size_t)info.st_size + 1);
	*ret_len = fread(bytes, 1, (size_t)info.st_size, file);
	fclose(file);
	return bytes;
}

/* The text of the finding about a file; "" when there is none. */
static const char *finding(const json_t *findings, const char *file)
{
	for (size_t i = 0; i < json_array_size(findings); i++) {
		const json_t *one = json_array_get(findings, i);
		if (str_ends(json_str(one, "file", ""), file))
			return json_str(one, "text", "");
	}
	return "";
}

static void check_finding(const json_t *findings, const char *file, const char *says)
{
	const char *text = finding(findings, file);
	CHECK_MSG(strstr(text, says) != NULL, "%s is refused with \"%s\": %s", file, says, text);
}

/* One bad plugin does not keep the others out, and each is refused in its own words. */
static void test_folder(const char *folder)
{
	struct plugins *plugins = plugins_new();
	struct err err = { 0 };
	json_t *findings = json_array();
	const char *names[8];
	CHECK(plugins_load_folder(plugins, folder, findings, &err) == 0);
	size_t count = plugins_names(plugins, names, 8);
	CHECK(count == 5);
	if (count == 5) {
		CHECK_STR(names[0], "contract");
		CHECK_STR(names[1], "frozen");
		CHECK_STR(names[2], "newer");
		CHECK_STR(names[3], "older");
		CHECK_STR(names[4], "small");
	}
	CHECK(plugins_names(plugins, names, 1) == 5);
	CHECK_STR(plugin_version(plugins_find(plugins, "small")), "1.0");
	check_finding(findings, "/small_twin.so", "the name 'small' is taken by ");
	check_finding(findings, "/bad_major.so",
	              "built for version 2 of the plugin interface; "
	              "this engine speaks version 1");
	check_finding(findings, "/bad_name.so", "its name is not of the form [a-z][a-z0-9_]*");
	check_finding(findings, "/bad_type.so", "'rules' is a type of the engine's own");
	check_finding(findings, "/bad_version.so", "its version is missing");
	check_finding(findings, "/bad_size.so", "its descriptor says it has 0 bytes");
	check_finding(findings, "/bad_effect.so", "action 'run': its effect is 9");
	check_finding(findings, "/bad_schema.so", "the JSON Schema of its parameters");
	check_finding(findings, "/bad_keyword.so", "the JSON Schema of its parameters");
	check_finding(findings, "/bad_state.so", "bytes of state per call; the limit is");
	check_finding(findings, "/bad_start.so", "it has no start function");
	check_finding(findings, "/bad_actions.so", "it offers no action");
	check_finding(findings, "/bad_twins.so", "two actions named 'run'");
	check_finding(findings, "/bad_symbol.so", "it has no gw_plugin_entry");
	check_finding(findings, "/bad_null.so", "gw_plugin_entry() returned nothing");
	check_finding(findings, "/bad_link.so", "it cannot be loaded: ");
	check_finding(findings, "/bad_exit.so", "ends the process (exit status 3)");
	check_finding(findings, "/bad_crash.so", "its start-up code ");
	check_finding(findings, "/bad_fork.so", "starts processes");
	CHECK(json_array_size(findings) == 19);
	CHECK(strstr(finding(findings, "/bad_link.so"), "/proc/") == NULL);
	CHECK(strstr(finding(findings, "/bad_link.so"), "nobody_has_this") != NULL);
	json_decref(findings);
	plugins_free(plugins);
}

static void test_describe(const char *folder)
{
	struct plugins *plugins = plugins_new();
	struct err err = { 0 };
	char *path = path_of(folder, "contract.so");
	CHECK_MSG(plugins_load(plugins, path, NULL, &err) == 0, "loads: %s", err.text);
	const struct plugin *plugin = plugins_find(plugins, "contract");
	json_t *json = plugin_describe(plugin);
	size_t len = 0;
	char *bytes = read_bytes(path, &len), sha256[SHA256_HEX];
	crypto_sha256_hex((struct str){ bytes, len }, sha256);
	CHECK_STR(json_str(json, "name", ""), "contract");
	CHECK_STR(json_str(json, "version", ""), "1.2.0");
	CHECK_STR(json_str(json, "file", ""), path);
	CHECK_STR(json_str(json, "sha256", ""), sha256);
	CHECK_STR(plugin_sha256(plugin), sha256);
	CHECK_STR(json_str(json_path(json, "actions[0]"), "name", ""), "echo");
	CHECK_STR(json_str(json_path(json, "actions[0]"), "effect", ""), "PURE");
	CHECK_STR(json_str(json_path(json, "actions[0].params"), "type", ""), "object");
	CHECK_STR(json_string_value(json_path(json, "actions[0].personal[1]")), "result.text");
	CHECK(json_array_size(json_path(json, "actions[0].secret")) == 1);
	CHECK_STR(json_str(json_path(json, "errors[1]"), "error_code", ""),
	          "REQUEST_LIMIT_EXCEEDED");
	CHECK(json_int(json_path(json, "errors[0]"), "http_status", 0) == 403);
	const struct plugin_action *echo = plugin_action_find(plugin, "echo");
	CHECK(plugin_action_is_pure(echo));
	CHECK(plugin_action_effect(plugin_action_find(plugin, "create")) == WIRE_KEYED);
	CHECK(plugin_action_effect(plugin_action_find(plugin, "mail")) == WIRE_ONCE);
	CHECK(plugin_action_find(plugin, "nothing") == NULL);
	CHECK_STR(json_str(plugin_action_describe(echo), "effect", ""), "PURE");
	free(bytes);
	free(path);
	json_decref(json);
	plugins_free(plugins);
}

static void test_checks(const char *folder)
{
	struct plugins *plugins = plugins_new();
	struct err err = { 0 };
	char *path = path_of(folder, "contract.so");
	CHECK(plugins_load(plugins, path, NULL, &err) == 0);
	const struct plugin *plugin = plugins_find(plugins, "contract");
	const struct plugin_action *echo = plugin_action_find(plugin, "echo");
	json_t *params = json_pack("{s:s}", "text", "x");
	CHECK(plugin_action_check(echo, params, &err) == 0);
	CHECK(plugin_action_check(echo, NULL, &err) == ERR_INPUT);
	CHECK_MSG(str_begins(err.text, "parameters of 'contract.echo': text"), "%s", err.text);
	err_clear(&err);
	json_t *list = json_array();
	CHECK(plugin_action_check(echo, list, &err) == ERR_INPUT);
	err_clear(&err);
	json_t *settings = json_pack("{s:i}", "api_version", 60);
	CHECK(plugin_settings_check(plugin, NULL, &err) == 0);
	CHECK(plugin_settings_check(plugin, settings, &err) == ERR_INPUT);
	CHECK_MSG(strstr(err.text, "api_version") != NULL, "%s", err.text);
	json_decref(settings);
	json_decref(list);
	json_decref(params);
	free(path);
	plugins_free(plugins);
}

static void check_refused(const char *path, const char *sha256, const char *id)
{
	struct plugins *plugins = plugins_new();
	struct err err = { 0 };
	int status = plugins_load(plugins, path, sha256, &err);
	CHECK_MSG(status < 0 && strcmp(err.id, id) == 0, "%s is refused as %s (%s)", path, id,
	          err.text);
	CHECK(plugins_names(plugins, NULL, 0) == 0);
	plugins_free(plugins);
}

static void check_loads(const char *path, const char *sha256)
{
	struct plugins *plugins = plugins_new();
	struct err err = { 0 };
	CHECK_MSG(plugins_load(plugins, path, sha256, &err) == 0, "%s loads: %s", path, err.text);
	plugins_free(plugins);
}

/* RELIABILITY row 57: wrong hash, writable by all, symlink, relative name. */
static void test_file(const char *folder)
{
	char work[] = "/tmp/gangway-plugin-XXXXXX";
	CHECK(mkdtemp(work) != NULL);
	size_t len = 0;
	char *from = path_of(folder, "small.so"), *bytes = read_bytes(from, &len);
	char *file = path_of(work, "small.so"), *link = path_of(work, "link.so");
	char *text = path_of(work, "text.so"), *fifo = path_of(work, "fifo.so");
	char sha256[SHA256_HEX];
	crypto_sha256_hex((struct str){ bytes, len }, sha256);
	CHECK(write_file(file, bytes, len, 0644) && symlink(file, link) == 0);
	CHECK(write_file(text, "#!/bin/sh\n", 10, 0644) && mkfifo(fifo, 0600) == 0);
	check_loads(file, sha256);
	sha256[5] = sha256[5] == '0' ? '1' : '0';
	check_refused(file, sha256, "plugin.hash");
	check_refused(link, NULL, "plugin.symlink");
	check_refused(text, NULL, "plugin.file");
	check_refused(fifo, NULL, "plugin.file");
	check_refused("small.so", NULL, "plugin.path");
	check_refused("../plugins/small.so", NULL, "plugin.path");
	check_refused(work, NULL, "plugin.writable"); /* of /tmp */
	check_refused("/nowhere/at/all.so", NULL, "plugin.folder");
	CHECK(write_file(file, bytes, len / 4, 0644));
	check_refused(file, NULL, "plugin.file");
	CHECK(write_file(file, bytes, len, 0646));
	check_refused(file, NULL, "plugin.writable");
	CHECK(chmod(file, 0644) == 0 && chmod(work, 0757) == 0);
	check_refused(file, NULL, "plugin.writable");
	CHECK(chmod(work, 0700) == 0);
	check_loads(file, NULL);
	unlink(file);
	unlink(link);
	unlink(text);
	unlink(fifo);
	rmdir(work);
	free(bytes);
	free(from);
	free(file);
	free(link);
	free(text);
	free(fifo);
}

static void test_folder_refused(void)
{
	struct plugins *plugins = plugins_new();
	struct err err = { 0 };
	CHECK(plugins_load_folder(plugins, "plugins", NULL, &err) == ERR_INPUT);
	err_clear(&err);
	CHECK(plugins_load_folder(plugins, "/nowhere/at/all", NULL, &err) == ERR_ABSENT);
	err_clear(&err);
	CHECK(plugins_load_folder(plugins, "/tmp", NULL, &err) == ERR_INPUT);
	CHECK_STR(err.id, "plugin.writable");
	plugins_free(plugins);
}

/* A file descriptor's number comes back: the loader must not take the next file for the last. */
static void test_two_images(const char *folder)
{
	struct plugins *plugins = plugins_new();
	struct err err = { 0 };
	char *small = path_of(folder, "small.so"), *older = path_of(folder, "older.so");
	CHECK(plugins_load(plugins, small, NULL, &err) == 0);
	CHECK(plugins_load(plugins, older, NULL, &err) == 0);
	CHECK_STR(plugin_name(plugins_find(plugins, "older")), "older");
	CHECK(plugins_load(plugins, small, NULL, &err) == ERR_CONFLICT);
	CHECK_STR(err.id, "plugin.twice");
	free(small);
	free(older);
	plugins_free(plugins);
}

static void test_quarantine(const char *folder)
{
	struct plugins *plugins = plugins_new();
	struct err err = { 0 };
	char *small = path_of(folder, "small.so");
	plugins_quarantine(plugins, "small", "died three times");
	CHECK(plugins_load(plugins, small, NULL, &err) == 0);
	CHECK(plugins_find(plugins, "small") == NULL);
	CHECK(plugins_names(plugins, NULL, 0) == 0);
	CHECK_STR(plugins_quarantine_why(plugins, "small"), "died three times");
	CHECK(plugins_quarantine_why(plugins, "other") == NULL);
	free(small);
	plugins_free(plugins);
}

int main(void)
{
	mem_install();
	char *folder = plugin_dir("GANGWAY_CONTRACT_DIR", "../plugins/contract");
	CHECK(folder != NULL);
	if (folder) {
		test_folder(folder);
		test_describe(folder);
		test_checks(folder);
		test_file(folder);
		test_folder_refused();
		test_two_images(folder);
		test_quarantine(folder);
	}
	free(folder);
	return check_done();
}
