/* SPDX-License-Identifier: MIT */
/* The engine in this process: what a person would ask of the program, without starting it. */
#ifndef TESTS_CRASH_INSIDE_H
#define TESTS_CRASH_INSIDE_H

#include "base/json.h"

struct inside;

/* Loads all plugins of the folder, once. */
struct inside *inside_new(const char *config_path, const char *plugin_folder);
void inside_free(struct inside *inside);
/* The configuration has changed. */
void inside_configure(struct inside *inside);
/* Owns the store until it is closed.  NULL, or why it could not: to be freed. */
char *inside_open(struct inside *inside);
void inside_close(struct inside *inside);
/* Opened: the last reply; new.  Waits until only people and time are waited for. */
json_t *inside_ask(struct inside *inside, json_t *request_taken);

#endif
