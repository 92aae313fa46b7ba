/* SPDX-License-Identifier: MIT */
/*
 * Regular expressions as the draft has them, ECMA-262 with the flag u, in the
 * words of PCRE2 10.42.  The translation is one pass over the text: what means
 * the same is copied, what is spelt differently is respelt, and what only
 * PCRE2 knows (verbs, recursion, \A, possessive quantifiers, POSIX classes) is
 * refused, so that a schema means here what it means elsewhere.
 *
 * Two liberties, because schemas in the wild need them: a backslash before any
 * ASCII punctuation makes it literal, and a lone "{", "}" or "]" is itself.
 */
#include <string.h>

#include "base/limits.h"
#include "base/must.h"
#include "schema/schema_int.h"

struct translation {
	const char *at; /* what is left of the pattern */
	struct buf *out;
	struct err *err;
	bool in_class;
	bool can_repeat; /* a quantifier may follow */
};

/* ECMA's white space and line ends: more than PCRE2's \s without UCP. */
#define SPACES                                                                   \
	"\\t-\\r \\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}" \
	"\\x{205f}\\x{3000}\\x{feff}"
#define NO_SPACES                                                                      \
	"\\x{0}-\\x{8}\\x{e}-\\x{1f}!-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{1fff}"     \
	"\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}" \
	"\\x{3001}-\\x{fefe}\\x{ff00}-\\x{10ffff}"

static int refuse(struct translation *t, const char *what)
{
	return err_set(t->err, ERR_INPUT, "%s at \"%.20s\"", what, t->at);
}

static int put(struct translation *t, const char *text, size_t skip)
{
	t->at += skip;
	return buf_add(t->out, text, strlen(text), t->err);
}

static int put_bytes(struct translation *t, size_t len)
{
	const char *from = t->at;
	t->at += len;
	return buf_add(t->out, from, len, t->err);
}

static int put_code(struct translation *t, unsigned long code)
{
	static const char digits[] = "0123456789abcdef";
	char text[] = "\\x{000000}";
	for (int i = 8; i >= 3; i--, code >>= 4)
		text[i] = digits[code & 15];
	return put(t, text, 0);
}

/* --- escapes ---------------------------------------------------------------- */

static long hex_digits(const char *text, size_t count)
{
	long ret = 0;
	for (size_t i = 0; i < count; i++) {
		const char *digits = "0123456789abcdef", *found;
		char c = text[i] >= 'A' && text[i] <= 'F' ? (char)(text[i] + 32) : text[i];
		if (c == '\0' || !(found = strchr(digits, c)))
			return -1;
		ret = ret * 16 + (found - digits);
	}
	return ret;
}

/* \u{10ffff}, \ud83d\ude00 or \u00e9; t->at is on the backslash. */
static int put_unicode(struct translation *t)
{
	const char *p = t->at + 2;
	long code, low;
	size_t len = 6;
	if (*p == '{') {
		size_t digits = strspn(p + 1, "0123456789abcdefABCDEF");
		code = digits >= 1 && digits <= 6 && p[1 + digits] == '}'
		               ? hex_digits(p + 1, digits)
		               : -1;
		len = digits + 4;
	} else {
		code = hex_digits(p, 4);
		bool pair = code >= 0xd800 && code <= 0xdbff && str_begins(p + 4, "\\u");
		low = pair ? hex_digits(p + 6, 4) : -1;
		if (low >= 0xdc00 && low <= 0xdfff) {
			code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
			len = 12;
		}
	}
	if (code < 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return refuse(t, "this is no character");
	t->at += len;
	return put_code(t, (unsigned long)code);
}

struct property {
	const char *name, *short_name;
};

static const struct property properties[] = {
	{ "Letter", "L" },
	{ "Cased_Letter", "LC" },
	{ "Uppercase_Letter", "Lu" },
	{ "Lowercase_Letter", "Ll" },
	{ "Titlecase_Letter", "Lt" },
	{ "Modifier_Letter", "Lm" },
	{ "Other_Letter", "Lo" },
	{ "Mark", "M" },
	{ "Combining_Mark", "M" },
	{ "Nonspacing_Mark", "Mn" },
	{ "Spacing_Mark", "Mc" },
	{ "Enclosing_Mark", "Me" },
	{ "Number", "N" },
	{ "Decimal_Number", "Nd" },
	{ "digit", "Nd" },
	{ "Letter_Number", "Nl" },
	{ "Other_Number", "No" },
	{ "Punctuation", "P" },
	{ "punct", "P" },
	{ "Connector_Punctuation", "Pc" },
	{ "Dash_Punctuation", "Pd" },
	{ "Open_Punctuation", "Ps" },
	{ "Close_Punctuation", "Pe" },
	{ "Initial_Punctuation", "Pi" },
	{ "Final_Punctuation", "Pf" },
	{ "Other_Punctuation", "Po" },
	{ "Symbol", "S" },
	{ "Math_Symbol", "Sm" },
	{ "Currency_Symbol", "Sc" },
	{ "Modifier_Symbol", "Sk" },
	{ "Other_Symbol", "So" },
	{ "Separator", "Z" },
	{ "Space_Separator", "Zs" },
	{ "Line_Separator", "Zl" },
	{ "Paragraph_Separator", "Zp" },
	{ "Other", "C" },
	{ "Control", "Cc" },
	{ "cntrl", "Cc" },
	{ "Format", "Cf" },
	{ "Surrogate", "Cs" },
	{ "Private_Use", "Co" },
	{ "Unassigned", "Cn" },
};

/* Property classes by ECMA's prefix, with PCRE2's. */
static const struct property prefixes[] = {
	{ "General_Category=", "" },
	{ "gc=", "" },
	{ "Script=", "sc:" },
	{ "sc=", "sc:" },
	{ "Script_Extensions=", "scx:" },
	{ "scx=", "scx:" },
};

/* \p{...} or \P{...}; PCRE2 itself refuses names that it does not know. */
static int put_property(struct translation *t)
{
	bool negated = t->at[1] == 'P';
	size_t len = t->at[2] == '{' ? strcspn(t->at + 3, "}") : 0;
	char name[64];
	if (len == 0 || len >= sizeof(name) || t->at[3 + len] != '}')
		return refuse(t, "\\p needs the name of a property, as in \\p{Letter},");
	memcpy(name, t->at + 3, len);
	name[len] = '\0';
	const char *bare = name, *prefix = "";
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (str_begins(name, prefixes[i].name)) {
			bare = name + strlen(prefixes[i].name);
			prefix = prefixes[i].short_name;
		}
	for (size_t i = 0; i < sizeof(properties) / sizeof(properties[0]); i++)
		if (strcmp(bare, properties[i].name) == 0)
			bare = properties[i].short_name;
	if (strcmp(bare, "Assigned") == 0) {
		negated = !negated;
		bare = "Cn";
	}
	t->at += len + 4;
	if (put(t, negated ? "\\P{" : "\\p{", 0) < 0 || put(t, prefix, 0) < 0 ||
	    put(t, bare, 0) < 0)
		return t->err->code;
	return put(t, "}", 0);
}

/* \1 and its like, and \k<name>. */
static int put_back_reference(struct translation *t)
{
	size_t digits = strspn(t->at + 1, "0123456789");
	if (digits > 3 || t->in_class)
		return refuse(t, "no such group");
	if (put(t, "\\g{", 1) < 0 || put_bytes(t, digits) < 0)
		return t->err->code;
	return put(t, "}", 0);
}

/* What stands for many characters inside a class cannot be the end of a range. */
static int put_set(struct translation *t)
{
	char c = t->at[1];
	int status;
	if (c == 's' || c == 'S') {
		const char *inside = c == 's' ? SPACES : NO_SPACES;
		bool wrapped = !t->in_class;
		status = wrapped ? put(t, "[", 0) : 0;
		if (status == 0)
			status = put(t, inside, 2);
		if (status == 0 && wrapped)
			status = put(t, "]", 0);
	} else if (c == 'p' || c == 'P') {
		status = put_property(t);
	} else {
		status = put_bytes(t, 2);
	}
	if (status == 0 && t->in_class && t->at[0] == '-' && t->at[1] != ']')
		status = put(t, "\\-", 1);
	return status;
}

static int put_letter(struct translation *t)
{
	char c = t->at[1];
	if (c == 'c') {
		char letter = (char)(t->at[2] | 32);
		if (letter < 'a' || letter > 'z')
			return refuse(t, "\\c needs a letter");
		t->at += 3;
		return put_code(t, (unsigned long)(letter - 'a' + 1));
	}
	if (c == 'x') {
		long code = hex_digits(t->at + 2, 2);
		if (code < 0)
			return refuse(t, "\\x needs two hexadecimal digits");
		t->at += 4;
		return put_code(t, (unsigned long)code);
	}
	if (c == 'v')
		return put(t, "\\x{0b}", 2);
	if (c == 'u')
		return put_unicode(t);
	if (strchr("tnrf", c))
		return put_bytes(t, 2);
	return refuse(t, "ECMA-262 has no such escape");
}

static int put_escape(struct translation *t)
{
	char c = t->at[1];
	t->can_repeat = true;
	if (c == '\0')
		return refuse(t, "nothing follows the backslash");
	if (strchr("dDwWsSpP", c))
		return put_set(t);
	if (c == 'b' || c == 'B') {
		if (t->in_class)
			return c == 'b' ? put(t, "\\x{08}", 2)
			                : refuse(t, "no such escape in a class");
		t->can_repeat = false;
		return put_bytes(t, 2);
	}
	if (c == '0')
		return t->at[2] >= '0' && t->at[2] <= '9'
		               ? refuse(t, "octal escapes are not allowed")
		               : put(t, "\\x{0}", 2);
	if (c >= '1' && c <= '9')
		return put_back_reference(t);
	if (c == 'k' && !t->in_class && t->at[2] == '<')
		return put_bytes(t, 2);
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
		return put_letter(t);
	if ((unsigned char)c >= 0x80)
		return put(t, "", 1); /* the character itself follows */
	return put_bytes(t, 2);
}

/* --- the rest --------------------------------------------------------------- */

/* How long the quantifier at p is, its lazy "?" included; 0 when there is none. */
static size_t quantifier_len(const char *p)
{
	size_t len = 0;
	if (*p == '*' || *p == '+' || *p == '?') {
		len = 1;
	} else if (*p == '{') {
		size_t digits = strspn(p + 1, "0123456789");
		len = 1 + digits;
		if (digits > 0 && p[len] == ',')
			len += 1 + strspn(p + len + 1, "0123456789");
		if (digits == 0 || p[len++] != '}')
			return 0;
	}
	return len > 0 && p[len] == '?' ? len + 1 : len;
}

static int put_group(struct translation *t)
{
	static const char *const known[] = { "(?:", "(?=", "(?!", "(?<=", "(?<!" };
	const char *p = t->at;
	t->can_repeat = false;
	if (p[1] == '*')
		return refuse(t, "nothing to repeat");
	if (p[1] != '?')
		return put_bytes(t, 1);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (str_begins(p, known[i]))
			return put_bytes(t, strlen(known[i]));
	if (p[2] == '<') {
		size_t len = strcspn(p + 3, "> ()");
		if (len > 0 && p[3 + len] == '>')
			return put_bytes(t, len + 4);
	}
	return refuse(t, "ECMA-262 has no such group");
}

static int put_in_class(struct translation *t)
{
	if (*t->at == '\\')
		return put_escape(t);
	if (*t->at == '[')
		return put(t, "\\[", 1);
	if (*t->at == ']') {
		t->in_class = false;
		t->can_repeat = true;
	}
	return put_bytes(t, 1);
}

static int put_one(struct translation *t)
{
	char c = *t->at;
	if (t->in_class)
		return put_in_class(t);
	size_t len = quantifier_len(t->at);
	if (len > 0) {
		if (!t->can_repeat)
			return refuse(t, "nothing to repeat");
		t->can_repeat = false;
		return put_bytes(t, len);
	}
	if (c == '(')
		return put_group(t);
	t->can_repeat = c != '^' && c != '$' && c != '|';
	switch (c) {
	case '\\': return put_escape(t);
	case '[': t->in_class = true; return put_bytes(t, t->at[1] == '^' ? 2 : 1);
	case '.': return put(t, "[^\\n\\r\\x{2028}\\x{2029}]", 1);
	case '{':
	case '}':
	case ']': return put(t, "\\", 0) < 0 ? t->err->code : put_bytes(t, 1);
	default: return put_bytes(t, 1);
	}
}

int ecma_translate(const char *text, struct buf *out, struct err *err)
{
	struct translation t = { .at = text, .out = out, .err = err };
	while (*t.at != '\0')
		if (put_one(&t) < 0)
			return err->code;
	if (t.in_class)
		return err_set(err, ERR_INPUT, "a \"[\" is never closed");
	return 0;
}
