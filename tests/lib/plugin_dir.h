/* SPDX-License-Identifier: MIT */
/* Where the built plugins lie: in the folder of an environment variable, else beside the test. */
#ifndef TESTS_PLUGIN_DIR_H
#define TESTS_PLUGIN_DIR_H

/*
 * The absolute folder that the variable names; when it is not set, `beside`
 * relative to the folder of this program, such as "../plugins/contract".  To be
 * freed; NULL when there is no such folder.
 */
char *plugin_dir(const char *variable, const char *beside);

#endif
