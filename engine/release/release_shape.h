/* SPDX-License-Identifier: MIT */
/* Personal numbers that are known by their shape and their check digits. */
#ifndef RELEASE_SHAPE_H
#define RELEASE_SHAPE_H

#include <stddef.h>

/* The length of an IBAN, a card's or a tax number at the start of text (which begins a word), and
 * its class, "iban", "card" or "tax"; 0 when there is none. */
size_t shape_length(const char *text, const char **ret_class);

#endif
