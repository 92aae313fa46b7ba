/* SPDX-License-Identifier: MIT */
/*
 * Stories of plugins as data: tests/plugins/<plugin>/<story>.case, played
 * against the real .so over the wire of fake_wire.h.  tests/plugins/README.md
 * describes the lines.
 */
#ifndef TESTS_PLUGIN_CASE_H
#define TESTS_PLUGIN_CASE_H

#include "plugin/plugin.h"

/* One story was played; why is NULL when it went as written, else what was different. */
typedef void plugin_case_told(void *arg, const char *story, const char *why);

/* Plays every story of the file.  A file that cannot be read is one story that went wrong. */
void plugin_case_play(const struct plugins *plugins, const char *path, plugin_case_told *told,
                      void *arg);

#endif
