/* SPDX-License-Identifier: MIT */
/* A library, but no plugin. */
int not_an_entry(void);

int not_an_entry(void)
{
	return 0;
}
