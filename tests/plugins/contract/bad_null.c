/* SPDX-License-Identifier: MIT */
/* An entry that returns nothing. */
#include "gw_plugin.h"

const struct gw_plugin *gw_plugin_entry(void)
{
	return NULL;
}
