/* SPDX-License-Identifier: MIT */
/*
 * gangway-scxml.rng, the grammar for editors: it takes every graph that the
 * engine takes, and complains of those mistakes that a grammar can see.
 */
#include <dirent.h>
#include <libxml/parser.h>
#include <libxml/relaxng.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "check.h"

static void be_quiet(void *ctx, xmlErrorPtr error)
{
	(void)ctx;
	(void)error;
}

/* 0: valid, positive: not valid, -1: cannot be read. */
static int validate(xmlRelaxNGPtr grammar, const char *path)
{
	xmlDocPtr doc = xmlReadFile(path, NULL,
	                            XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	if (!doc)
		return -1;
	xmlRelaxNGValidCtxtPtr valid = xmlRelaxNGNewValidCtxt(grammar);
	xmlRelaxNGSetValidStructuredErrors(valid, be_quiet, NULL);
	int ret = xmlRelaxNGValidateDoc(valid, doc);
	xmlRelaxNGFreeValidCtxt(valid);
	xmlFreeDoc(doc);
	return ret;
}

static void all_valid(xmlRelaxNGPtr grammar, const char *folder)
{
	struct dirent **entries = NULL;
	int count = scandir(folder, &entries, NULL, alphasort);
	for (int i = 0; i < count; i++) {
		char *path = mem_format("%s/%s", folder, entries[i]->d_name);
		if (str_ends(path, ".scxml"))
			CHECK_MSG(validate(grammar, path) == 0, "%s is valid", entries[i]->d_name);
		else if (entries[i]->d_type == DT_DIR && entries[i]->d_name[0] != '.')
			all_valid(grammar, path);
		free(path);
		free(entries[i]);
	}
	if (count < 0)
		check_skip(folder);
	free(entries);
}

static void none_valid(xmlRelaxNGPtr grammar)
{
	static const char *const names[] = { "attributes",      "elements",   "gw_values",
		                             "history",         "initial",    "invoke",
		                             "namespace",       "no_version", "root",
		                             "script_elements", "targets",    "version" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char *path = mem_format("%s/tests/cases/chart/refused/%s.scxml", SRCDIR, names[i]);
		CHECK_MSG(validate(grammar, path) > 0, "%s is not valid", names[i]);
		free(path);
	}
}

int main(void)
{
	mem_install();
	xmlRelaxNGParserCtxtPtr parser = xmlRelaxNGNewParserCtxt(SRCDIR
	                                                         "/engine/chart/gangway-scxml.rng");
	xmlRelaxNGPtr grammar = xmlRelaxNGParse(parser);
	xmlRelaxNGFreeParserCtxt(parser);
	CHECK_MSG(grammar, "gangway-scxml.rng is a grammar");
	if (grammar) {
		const char *shared = getenv("GANGWAY_SHARED");
		char *corpus = shared ? mem_format("%s/scxml", shared)
		                      : mem_dup_str(SRCDIR "/../shared/scxml");
		all_valid(grammar, SRCDIR "/tests/cases/chart/tables");
		all_valid(grammar, SRCDIR "/tests/cases/chart/pictures");
		all_valid(grammar, SRCDIR "/graphs");
		all_valid(grammar, corpus);
		none_valid(grammar);
		free(corpus);
	}
	xmlRelaxNGFree(grammar);
	xmlCleanupParser();
	return check_done();
}
