/* SPDX-License-Identifier: MIT */
/* Bytes as JSON: what is read is written canonically, and reads back as the same value. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/must.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

enum { BYTES_MAX = 1 << 16 };

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct err err = { 0 };
	json_t *value, *again;
	if (json_read((struct str){ (const char *)data, size }, BYTES_MAX, &value, &err) < 0) {
		must(err.text[0] != '\0');
		return 0;
	}
	char *text = json_canon(value);
	must(json_read(str_of(text), 16 * BYTES_MAX, &again, &err) == 0);
	char *twice = json_canon(again);
	must(strcmp(text, twice) == 0);
	free(text);
	free(twice);
	json_decref(value);
	json_decref(again);
	return 0;
}
