/* SPDX-License-Identifier: MIT */
/* Printing: errors in the user's words, tables, JSON; nothing of the data can steer a terminal. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli_int.h"

char *cli_clean(const char *text)
{
	char *ret = mem_dup_str(text ? text : "");
	for (char *c = ret; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = ' ';
	return ret;
}

static int exit_code(int code)
{
	switch (code) {
	case ERR_INPUT:
	case ERR_LIMIT: return EXIT_USAGE;
	case ERR_ABSENT: return EXIT_ABSENT;
	case ERR_CONFLICT: return EXIT_CONFLICT;
	case ERR_BUSY: return EXIT_BUSY;
	case ERR_BLOCKED: return EXIT_NO;
	default: return EXIT_RUNTIME;
	}
}

int cli_fail_json(const struct cli *cli, const json_t *error)
{
	if (cli->is_json) {
		json_t *wrapped = json_pack("{s:O}", "error", (json_t *)(uintptr_t)error);
		cli_print_json(wrapped);
		json_decref(wrapped);
	} else {
		char *text = cli_clean(json_str(error, "text", "it failed"));
		char *hint = cli_clean(json_str(error, "hint", ""));
		fprintf(stderr, "gangway: %s\n", text);
		if (*hint)
			fprintf(stderr, "  hint: %s\n", hint);
		else if (json_int(error, "code", 0) == ERR_ABSENT && cli->config.looked)
			fprintf(stderr, "  hint: there is no configuration; looked for %s\n",
			        cli->config.looked);
		free(text);
		free(hint);
	}
	return exit_code((int)json_int(error, "code", ERR_SYSTEM));
}

int cli_fail(const struct cli *cli, const struct err *err)
{
	json_t *error = json_pack("{s:i,s:s,s:o}", "code", err->code, "id", err->id, "text",
	                          json_text(str_of(err->text)));
	if (err->hint[0])
		json_put_str(error, "hint", err->hint);
	int code = cli_fail_json(cli, error);
	json_decref(error);
	return code;
}

void cli_print_json(const json_t *value)
{
	char *text = json_canon(value);
	puts(text);
	fflush(stdout);
	free(text);
}

void cli_table_init(struct cli_table *table, size_t columns)
{
	*table = (struct cli_table){ .columns = columns };
}

void cli_table_cell(struct cli_table *table, const char *text)
{
	if (table->len == table->size) {
		table->size = table->size ? table->size * 2 : 64;
		table->cells = mem_grow(table->cells, table->size, sizeof(*table->cells));
	}
	table->cells[table->len++] = cli_clean(text);
}

/* Columns on the screen: bytes that do not continue a UTF-8 sequence. */
static size_t width(const char *text)
{
	size_t ret = 0;
	for (; *text; text++)
		ret += ((unsigned char)*text & 0xc0) != 0x80;
	return ret;
}

void cli_table_print(struct cli_table *table)
{
	size_t *widths = mem_alloc(table->columns * sizeof(*widths));
	for (size_t i = 0; i < table->len; i++)
		if (width(table->cells[i]) > widths[i % table->columns])
			widths[i % table->columns] = width(table->cells[i]);
	for (size_t i = 0; i < table->len; i++) {
		size_t column = i % table->columns;
		bool is_last = column + 1 == table->columns;
		size_t pad = is_last ? 0 : widths[column] - width(table->cells[i]) + 2;
		printf("%s%*s", table->cells[i], (int)pad, "");
		if (is_last)
			printf("\n");
		free(table->cells[i]);
	}
	free(widths);
	free(table->cells);
	*table = (struct cli_table){ 0 };
}
