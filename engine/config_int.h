/* SPDX-License-Identifier: MIT */
/* What the files of the configuration share. */
#ifndef CONFIG_INT_H
#define CONFIG_INT_H

#include <stdbool.h>

#include "base/buf.h"

/*
 * The configuration's file, new, or NULL where there is none; looked gets the
 * places that were tried, for people.  *ret_shipped: it is the one that came
 * with the program, which nobody has made for this folder.
 */
char *config_find(bool *ret_shipped, struct buf *looked);
/* The folder of the plugins when the configuration names none; new. */
char *config_find_plugins(void);

#endif
