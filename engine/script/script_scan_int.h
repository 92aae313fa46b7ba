/* SPDX-License-Identifier: MIT */
/* Tokens, for script_scan.c. */
#ifndef SCRIPT_SCAN_INT_H
#define SCRIPT_SCAN_INT_H

#include "script/script_int.h"

enum token_kind { TOKEN_END, TOKEN_NAME, TOKEN_WORD, TOKEN_NUMBER, TOKEN_STRING, TOKEN_MARK };

struct token {
	enum token_kind kind;
	struct str text;
	int line;
};

struct lexer {
	const char *at, *end;
	int line;
};

struct token token_read(struct lexer *lexer);
bool token_is_word(struct str text); /* reserved */
bool token_is_name_char(char c);

#endif
