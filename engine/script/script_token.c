/* SPDX-License-Identifier: MIT */
/* The tokens of Lua 5.4. */
#include <ctype.h>
#include <string.h>

#include "script/script_scan_int.h"

bool token_is_word(struct str text)
{
	static const char *const words[] = {
		"and",      "break",  "do",   "else", "elseif", "end",   "false", "for",
		"function", "goto",   "if",   "in",   "local",  "nil",   "not",   "or",
		"repeat",   "return", "then", "true", "until",  "while",
	};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (str_is(text, words[i]))
			return true;
	return false;
}

/* The number of '=' of a long bracket that opens at p, or -1. */
static int long_level(const struct lexer *lexer, const char *p)
{
	int level = 0;
	if (p >= lexer->end || *p++ != '[')
		return -1;
	for (; p < lexer->end && *p == '='; p++)
		level++;
	return p < lexer->end && *p == '[' ? level : -1;
}

static void skip_long(struct lexer *lexer, int level)
{
	lexer->at += level + 2;
	for (; lexer->at < lexer->end; lexer->at++) {
		if (*lexer->at == '\n')
			lexer->line++;
		if (*lexer->at != ']')
			continue;
		const char *p = lexer->at + 1;
		int equals = 0;
		for (; p < lexer->end && *p == '='; p++)
			equals++;
		if (equals == level && p < lexer->end && *p == ']') {
			lexer->at = p + 1;
			return;
		}
	}
}

static void skip_blanks(struct lexer *lexer)
{
	while (lexer->at < lexer->end) {
		if (*lexer->at == '\n')
			lexer->line++;
		if (isspace((unsigned char)*lexer->at)) {
			lexer->at++;
		} else if (lexer->end - lexer->at >= 2 && lexer->at[0] == '-' &&
		           lexer->at[1] == '-') {
			lexer->at += 2;
			int level = long_level(lexer, lexer->at);
			if (level >= 0)
				skip_long(lexer, level);
			else
				while (lexer->at < lexer->end && *lexer->at != '\n')
					lexer->at++;
		} else {
			return;
		}
	}
}

static void skip_string(struct lexer *lexer, char quote)
{
	for (lexer->at++; lexer->at < lexer->end && *lexer->at != quote; lexer->at++) {
		if (*lexer->at == '\n')
			lexer->line++;
		if (*lexer->at == '\\' && lexer->at + 1 < lexer->end && *++lexer->at == '\n')
			lexer->line++;
	}
	if (lexer->at < lexer->end)
		lexer->at++;
}

static void skip_number(struct lexer *lexer)
{
	bool is_hex = lexer->end - lexer->at >= 2 && (lexer->at[1] == 'x' || lexer->at[1] == 'X');
	while (lexer->at < lexer->end &&
	       (isalnum((unsigned char)*lexer->at) || *lexer->at == '.')) {
		char c = *lexer->at++;
		bool is_exponent = is_hex ? c == 'p' || c == 'P' : c == 'e' || c == 'E';
		if (is_exponent && lexer->at < lexer->end &&
		    (*lexer->at == '+' || *lexer->at == '-'))
			lexer->at++;
	}
}

static size_t mark_len(const struct lexer *lexer)
{
	static const char *const marks[] = { "...", "..", "==", "~=", "<=",
		                             ">=",  "//", "::", "<<", ">>" };
	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		size_t len = strlen(marks[i]);
		if ((size_t)(lexer->end - lexer->at) >= len &&
		    memcmp(lexer->at, marks[i], len) == 0)
			return len;
	}
	return 1;
}

bool token_is_name_char(char c)
{
	return c == '_' || isalnum((unsigned char)c);
}

struct token token_read(struct lexer *lexer)
{
	skip_blanks(lexer);
	struct token token = { TOKEN_END, { lexer->at, 0 }, lexer->line };
	if (lexer->at >= lexer->end)
		return token;
	char c = *lexer->at;
	int level = long_level(lexer, lexer->at);
	if (level >= 0) {
		token.kind = TOKEN_STRING;
		skip_long(lexer, level);
	} else if (c == '"' || c == '\'') {
		token.kind = TOKEN_STRING;
		skip_string(lexer, c);
	} else if (isdigit((unsigned char)c) || (c == '.' && lexer->at + 1 < lexer->end &&
	                                         isdigit((unsigned char)lexer->at[1]))) {
		token.kind = TOKEN_NUMBER;
		skip_number(lexer);
	} else if (token_is_name_char(c)) {
		token.kind = TOKEN_NAME;
		while (lexer->at < lexer->end && token_is_name_char(*lexer->at))
			lexer->at++;
	} else {
		token.kind = TOKEN_MARK;
		lexer->at += mark_len(lexer);
	}
	token.text.len = (size_t)(lexer->at - token.text.ptr);
	if (token.kind == TOKEN_NAME && token_is_word(token.text))
		token.kind = TOKEN_WORD;
	return token;
}
