/* SPDX-License-Identifier: MIT */
/*
 * IBAN (ISO 13616: country, check digits, modulo 97), payment cards (12 to 19
 * digits, Luhn), tax numbers (VAT of the European countries by their prefix, the
 * two American forms).  Check digits keep order numbers from being taken for
 * accounts; where there are none the form must be exact.
 */
#include "release/release_shape.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

enum {
	IBAN_MIN = 15,
	IBAN_MAX = 34,
	CARD_MIN = 12,
	CARD_MAX = 19,
	VAT_MIN = 8, /* behind the prefix */
	VAT_MAX = 12,
	VAT_DIGITS_MIN = 7
};

static bool ends_word(char c)
{
	return !isalnum((unsigned char)c);
}

/* Letters count 10 to 35; the first four characters stand behind the others. */
static bool is_iban(const char *chars, size_t len)
{
	unsigned int rest = 0;
	for (size_t i = 0; i < len; i++) {
		char c = (char)toupper((unsigned char)chars[(i + 4) % len]);
		unsigned int value = (unsigned int)(isdigit((unsigned char)c) ? c - '0'
		                                                              : c - 'A' + 10);
		rest = (rest * (value > 9 ? 100 : 10) + value) % 97;
	}
	return rest == 1;
}

/* The longest that checks: blanks may stand between groups, and a word may follow. */
static size_t iban_length(const char *text)
{
	char chars[IBAN_MAX];
	size_t count = 0, found = 0;
	if (!isalpha((unsigned char)text[0]) || !isalpha((unsigned char)text[1]) ||
	    !isdigit((unsigned char)text[2]) || !isdigit((unsigned char)text[3]))
		return 0;
	for (size_t at = 0; count < IBAN_MAX; at++) {
		if (text[at] == ' ' && isalnum((unsigned char)text[at + 1]))
			continue;
		if (!isalnum((unsigned char)text[at]))
			break;
		chars[count++] = text[at];
		if (count >= IBAN_MIN && ends_word(text[at + 1]) && is_iban(chars, count))
			found = at + 1;
	}
	return found;
}

static bool is_luhn(const char *digits, size_t len)
{
	int sum = 0;
	for (size_t i = 0; i < len; i++) {
		int value = digits[len - 1 - i] - '0';
		value *= i % 2 ? 2 : 1;
		sum += value > 9 ? value - 9 : value;
	}
	return sum % 10 == 0;
}

static size_t card_length(const char *text)
{
	char digits[CARD_MAX];
	size_t count = 0, at = 0, end = 0;
	bool is_zero = true;
	for (;; at++) {
		bool is_between = (text[at] == ' ' || text[at] == '-') && count > 0 &&
		                  isdigit((unsigned char)text[at + 1]);
		if (is_between)
			continue;
		if (!isdigit((unsigned char)text[at]))
			break;
		if (count == CARD_MAX)
			return 0;
		is_zero = is_zero && text[at] == '0';
		digits[count++] = text[at];
		end = at + 1;
	}
	return count >= CARD_MIN && !is_zero && ends_word(text[end]) && is_luhn(digits, count) ? end
	                                                                                       : 0;
}

/* Do the characters follow the form?  '9' is a digit, anything else itself. */
static size_t form_length(const char *text, const char *form)
{
	size_t i = 0;
	for (; form[i]; i++)
		if (form[i] == '9' ? !isdigit((unsigned char)text[i]) : text[i] != form[i])
			return 0;
	return ends_word(text[i]) && text[i] != '-' ? i : 0;
}

static size_t vat_length(const char *text)
{
	static const char prefixes[] =
		"AT BE BG CH CY CZ DE DK EE EL ES FI FR GB HR HU IE IT LT LU "
		"LV MT NL PL PT RO SE SI SK XI";
	size_t len = 0, digits = 0;
	bool is_known = false;
	for (const char *p = prefixes; !is_known && *p; p += p[2] ? 3 : 2)
		is_known = strncmp(text, p, 2) == 0;
	if (!is_known)
		return 0;
	for (text += 2; isdigit((unsigned char)text[len]) || isupper((unsigned char)text[len]);
	     len++)
		digits += isdigit((unsigned char)text[len]) ? 1 : 0;
	bool is_good = len >= VAT_MIN && len <= VAT_MAX && digits >= VAT_DIGITS_MIN &&
	               ends_word(text[len]);
	return is_good ? len + 2 : 0;
}

size_t shape_length(const char *text, const char **ret_class)
{
	size_t len = iban_length(text);
	*ret_class = "iban";
	if (len > 0)
		return len;
	*ret_class = "card";
	len = card_length(text);
	if (len > 0)
		return len;
	*ret_class = "tax";
	len = form_length(text, "999-99-9999");
	if (len == 0)
		len = form_length(text, "99-9999999");
	return len > 0 ? len : vat_length(text);
}
