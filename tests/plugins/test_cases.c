/* SPDX-License-Identifier: MIT */
/*
 * Plays every tests/plugins/<plugin>/<story>.case against the plugins of
 * GANGWAY_PLUGIN_DIR (by default ../../plugins beside this program), contract.so
 * of GANGWAY_CONTRACT_DIR and the guide's example of GANGWAY_GUIDE_DIR.  Stories in a folder
 * "wrong" must not go as written: they test the player.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "check.h"
#include "plugin_case.h"
#include "plugin_dir.h"

struct teller {
	const char *path;
	bool is_wrong;
	size_t stories;
};

static void tell(void *arg, const char *story, const char *why)
{
	struct teller *teller = arg;
	teller->stories++;
	if (teller->is_wrong)
		CHECK_MSG(why != NULL, "%s goes wrong, as it must: %s", story,
		          why ? why : "it went well");
	else
		CHECK_MSG(why == NULL, "%s%s%s", story, why ? ": " : "", why ? why : "");
}

static int is_shown(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void play_file(const struct plugins *plugins, const char *path, bool is_wrong)
{
	struct teller teller = { .path = path, .is_wrong = is_wrong };
	plugin_case_play(plugins, path, tell, &teller);
	CHECK_MSG(teller.stories > 0, "%s has stories", path);
}

/* Every .case below, by name.  A folder whose plugin is not there is skipped when it may be. */
static void play_folder(const struct plugins *plugins, const char *folder, bool may_lack)
{
	struct dirent **entries = NULL;
	int count = scandir(folder, &entries, is_shown, alphasort);
	for (int i = 0; i < count; i++) {
		const char *name = entries[i]->d_name;
		char *path = mem_format("%s/%s", folder, name);
		bool is_wrong = str_ends(folder, "/wrong");
		if (str_ends(name, ".case")) {
			play_file(plugins, path, is_wrong);
		} else if (entries[i]->d_type == DT_DIR) {
			bool is_plugin = strcmp(name, "wrong") != 0;
			if (is_plugin && may_lack && !plugins_find(plugins, name))
				check_skip(name);
			else
				play_folder(plugins, path, may_lack);
		}
		free(path);
		free(entries[i]);
	}
	free(entries);
}

static void load(struct plugins *plugins, const char *folder)
{
	struct err err = { 0 };
	json_t *findings = json_array();
	CHECK_MSG(plugins_load_folder(plugins, folder, findings, &err) == 0, "%s: %s", folder,
	          err.text);
	for (size_t i = 0; i < json_array_size(findings); i++)
		CHECK_MSG(false, "%s", json_str(json_array_get(findings, i), "text", ""));
	json_decref(findings);
}

int main(void)
{
	mem_install();
	struct plugins *plugins = plugins_new();
	struct err err = { 0 };
	char *contract_folder = plugin_dir("GANGWAY_CONTRACT_DIR", "contract");
	char *contract = mem_format("%s/contract.so", contract_folder ? contract_folder : "");
	char *guide = plugin_dir("GANGWAY_GUIDE_DIR", "../../docs/guide");
	char *example = mem_format("%s/example_plugin.so", guide ? guide : "");
	char *folder = plugin_dir("GANGWAY_PLUGIN_DIR", "../../plugins");
	CHECK_MSG(plugins_load(plugins, contract, NULL, &err) == 0, "contract: %s", err.text);
	CHECK_MSG(plugins_load(plugins, example, NULL, &err) == 0, "example: %s", err.text);
	if (folder)
		load(plugins, folder);
	/* With a folder named, every plugin that has stories must be in it. */
	play_folder(plugins, SRCDIR "/tests/plugins", getenv("GANGWAY_PLUGIN_DIR") == NULL);
	free(contract_folder);
	free(contract);
	free(guide);
	free(example);
	free(folder);
	plugins_free(plugins);
	return check_done();
}
