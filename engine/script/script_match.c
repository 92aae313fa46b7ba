/* SPDX-License-Identifier: MIT */
/*
 * Lua's patterns (manual, 6.4.1) with a matcher of our own: it backtracks like
 * any, but every step is charged and the depth is bounded, so that a hostile
 * pattern ends with its budget (row 21).
 */
#include <ctype.h>
#include <string.h>

#include "base/limits.h"
#include "script/script_int.h"

enum { CAPTURES_MAX = 32, MATCH_DEPTH_MAX = 200, STEPS_PER_CHARGE = 4 };
enum { CAPTURE_OPEN = -1, CAPTURE_POSITION = -2 };

struct capture {
	const char *at;
	ptrdiff_t len; /* or CAPTURE_... */
};

struct match {
	lua_State *L;
	const char *text, *text_end;
	const char *pattern_end;
	unsigned steps;
	int depth;
	int level; /* captures begun */
	struct capture captures[CAPTURES_MAX];
};

static void count_step(struct match *match)
{
	if (++match->steps % STEPS_PER_CHARGE == 0)
		box_charge(match->L, 0);
}

/* --- single characters ------------------------------------------------ */

static bool is_in_class(int c, int class)
{
	bool ret;
	switch (tolower(class)) {
	case 'a': ret = isalpha(c); break;
	case 'c': ret = iscntrl(c); break;
	case 'd': ret = isdigit(c); break;
	case 'g': ret = isgraph(c); break;
	case 'l': ret = islower(c); break;
	case 'p': ret = ispunct(c); break;
	case 's': ret = isspace(c); break;
	case 'u': ret = isupper(c); break;
	case 'w': ret = isalnum(c); break;
	case 'x': ret = isxdigit(c); break;
	default: return class == c;
	}
	return isupper(class) ? !ret : ret;
}

/* Behind the item that begins at p: a character, %x or [set]. */
static const char *item_end(struct match *match, const char *p)
{
	const char *end = match->pattern_end;
	if (*p == '%') {
		if (p + 1 >= end)
			luaL_error(match->L, "malformed pattern (ends with '%%')");
		return p + 2;
	}
	if (*p != '[')
		return p + 1;
	p++;
	if (p < end && *p == '^')
		p++;
	do { /* the first character of a set may be ']' */
		if (p >= end)
			luaL_error(match->L, "malformed pattern (missing ']')");
		p += *p == '%' && p + 1 < end ? 2 : 1;
	} while (p >= end || *p != ']');
	return p + 1;
}

/* set: "[...]", set_end: its ']'. */
static bool is_in_set(struct match *match, int c, const char *set, const char *set_end)
{
	bool is_wanted = true;
	const char *p = set + 1;
	if (*p == '^') {
		is_wanted = false;
		p++;
	}
	while (p < set_end) {
		count_step(match);
		if (*p == '%') {
			if (is_in_class(c, (unsigned char)p[1]))
				return is_wanted;
			p += 2;
		} else if (p[1] == '-' && p + 2 < set_end) {
			if ((unsigned char)p[0] <= c && c <= (unsigned char)p[2])
				return is_wanted;
			p += 3;
		} else {
			if ((unsigned char)*p == c)
				return is_wanted;
			p++;
		}
	}
	return !is_wanted;
}

static bool is_single(struct match *match, const char *s, const char *p, const char *p_end)
{
	count_step(match);
	if (s >= match->text_end)
		return false;
	int c = (unsigned char)*s;
	switch (*p) {
	case '.': return true;
	case '%': return is_in_class(c, (unsigned char)p[1]);
	case '[': return is_in_set(match, c, p, p_end - 1);
	}
	return (unsigned char)*p == c;
}

/* --- the matcher ------------------------------------------------------ */

static const char *match_at(struct match *match, const char *s, const char *p);

/* As many as there are, then fewer and fewer. */
static const char *match_most(struct match *match, const char *s, const char *p, const char *p_end)
{
	ptrdiff_t count = 0;
	while (is_single(match, s + count, p, p_end))
		count++;
	for (; count >= 0; count--) {
		const char *ret = match_at(match, s + count, p_end + 1);
		if (ret)
			return ret;
	}
	return NULL;
}

static const char *match_least(struct match *match, const char *s, const char *p, const char *p_end)
{
	for (;;) {
		const char *ret = match_at(match, s, p_end + 1);
		if (ret)
			return ret;
		if (!is_single(match, s, p, p_end))
			return NULL;
		s++;
	}
}

static const char *match_open(struct match *match, const char *s, const char *p, ptrdiff_t what)
{
	if (match->level >= CAPTURES_MAX)
		luaL_error(match->L, "too many captures");
	match->captures[match->level++] = (struct capture){ s, what };
	const char *ret = match_at(match, s, p);
	if (!ret)
		match->level--;
	return ret;
}

static const char *match_close(struct match *match, const char *s, const char *p)
{
	int at = match->level - 1;
	while (at >= 0 && match->captures[at].len != CAPTURE_OPEN)
		at--;
	if (at < 0)
		luaL_error(match->L, "invalid pattern capture");
	match->captures[at].len = s - match->captures[at].at;
	const char *ret = match_at(match, s, p);
	if (!ret)
		match->captures[at].len = CAPTURE_OPEN;
	return ret;
}

/* %bxy: from an x to the y that balances it. */
static const char *match_balance(struct match *match, const char *s, const char *p)
{
	if (match->pattern_end - p < 2)
		luaL_error(match->L, "malformed pattern (missing arguments to '%%b')");
	if (s >= match->text_end || *s != p[0])
		return NULL;
	int open = 1;
	while (++s < match->text_end) {
		count_step(match);
		if (*s == p[1]) {
			if (--open == 0)
				return s + 1;
		} else if (*s == p[0]) {
			open++;
		}
	}
	return NULL;
}

/* %f[set]: between a character outside of the set and one inside. */
static bool is_frontier(struct match *match, const char *s, const char *p, const char **ret_p)
{
	if (p >= match->pattern_end || *p != '[')
		luaL_error(match->L, "missing '[' after '%%f' in pattern");
	const char *end = item_end(match, p);
	int before = s == match->text ? '\0' : (unsigned char)s[-1];
	int after = s < match->text_end ? (unsigned char)*s : '\0';
	*ret_p = end;
	return !is_in_set(match, before, p, end - 1) && is_in_set(match, after, p, end - 1);
}

static const char *match_back(struct match *match, const char *s, char digit)
{
	int at = digit - '1';
	if (at < 0 || at >= match->level || match->captures[at].len == CAPTURE_OPEN)
		luaL_error(match->L, "invalid capture index %%%d", at + 1);
	const struct capture *capture = &match->captures[at];
	if (capture->len == CAPTURE_POSITION)
		return NULL;
	size_t len = (size_t)capture->len;
	box_charge(match->L, len);
	if ((size_t)(match->text_end - s) < len || memcmp(capture->at, s, len) != 0)
		return NULL;
	return s + len;
}

/* %b, %f, %1: true when it was one of them; then *s is behind the match or NULL. */
static bool match_special(struct match *match, const char **s, const char **p)
{
	char kind = *p + 1 < match->pattern_end ? (*p)[1] : '\0';
	if (kind == 'b') {
		*s = match_balance(match, *s, *p + 2);
		*p += 4;
	} else if (kind == 'f') {
		if (!is_frontier(match, *s, *p + 2, p))
			*s = NULL;
	} else if (isdigit((unsigned char)kind)) {
		*s = match_back(match, *s, kind);
		*p += 2;
	} else {
		return false;
	}
	return true;
}

static const char *match_here(struct match *match, const char *s, const char *p)
{
	while (s && p < match->pattern_end) {
		count_step(match);
		if (*p == '(') {
			bool is_position = p + 1 < match->pattern_end && p[1] == ')';
			return match_open(match, s, is_position ? p + 2 : p + 1,
			                  is_position ? CAPTURE_POSITION : CAPTURE_OPEN);
		}
		if (*p == ')')
			return match_close(match, s, p + 1);
		if (*p == '$' && p + 1 == match->pattern_end)
			return s == match->text_end ? s : NULL;
		if (*p == '%' && match_special(match, &s, &p))
			continue;
		const char *p_end = item_end(match, p);
		char suffix = p_end < match->pattern_end ? *p_end : '\0';
		if (suffix == '*')
			return match_most(match, s, p, p_end);
		if (suffix == '-')
			return match_least(match, s, p, p_end);
		bool is_match = is_single(match, s, p, p_end);
		if (suffix == '+')
			return is_match ? match_most(match, s + 1, p, p_end) : NULL;
		if (suffix == '?') {
			const char *ret = is_match ? match_at(match, s + 1, p_end + 1) : NULL;
			if (ret)
				return ret;
			p = p_end + 1;
			continue;
		}
		s = is_match ? s + 1 : NULL;
		p = p_end;
	}
	return s;
}

static const char *match_at(struct match *match, const char *s, const char *p)
{
	if (++match->depth > MATCH_DEPTH_MAX)
		luaL_error(match->L, "pattern too complex");
	const char *ret = match_here(match, s, p);
	match->depth--;
	return ret;
}

/* --- captures --------------------------------------------------------- */

/* Pushes capture number at, or the whole match where the pattern has none. */
static void push_capture(struct match *match, int at, const char *s, const char *e)
{
	if (at >= match->level) {
		if (at != 0)
			luaL_error(match->L, "invalid capture index %%%d", at + 1);
		box_charge(match->L, (size_t)(e - s));
		lua_pushlstring(match->L, s, (size_t)(e - s));
		return;
	}
	const struct capture *capture = &match->captures[at];
	if (capture->len == CAPTURE_POSITION) {
		lua_pushinteger(match->L, capture->at - match->text + 1);
		return;
	}
	if (capture->len == CAPTURE_OPEN)
		luaL_error(match->L, "unfinished capture");
	box_charge(match->L, (size_t)capture->len);
	lua_pushlstring(match->L, capture->at, (size_t)capture->len);
}

/* s NULL: only real captures (find has the positions already). */
static int push_captures(struct match *match, const char *s, const char *e)
{
	int count = match->level == 0 && s ? 1 : match->level;
	luaL_checkstack(match->L, count, "too many captures");
	for (int i = 0; i < count; i++)
		push_capture(match, i, s, e);
	return count;
}

static struct match match_begin(lua_State *L, struct str text, struct str pattern)
{
	return (struct match){
		.L = L,
		.text = text.ptr,
		.text_end = text.ptr + text.len,
		.pattern_end = pattern.ptr + pattern.len,
	};
}

static const char *match_try(struct match *match, const char *s, const char *pattern)
{
	match->level = 0;
	match->depth = 0;
	return match_at(match, s, pattern);
}

static struct str check_str(lua_State *L, int arg)
{
	struct str ret;
	ret.ptr = luaL_checklstring(L, arg, &ret.len);
	return ret;
}

/* --- find and match --------------------------------------------------- */

static int find_plain(lua_State *L, struct str text, struct str what, size_t from)
{
	box_charge(L, text.len - from + what.len);
	const char *at = what.len == 0
	                         ? text.ptr + from
	                         : memmem(text.ptr + from, text.len - from, what.ptr, what.len);
	if (!at) {
		lua_pushnil(L);
		return 1;
	}
	lua_pushinteger(L, at - text.ptr + 1);
	lua_pushinteger(L, at - text.ptr + (ptrdiff_t)what.len);
	return 2;
}

static bool has_specials(struct str pattern)
{
	for (size_t i = 0; i < pattern.len; i++)
		if (pattern.ptr[i] != '\0' && strchr("^$*+?.([%-", pattern.ptr[i]))
			return true;
	return false;
}

static int find_or_match(lua_State *L, bool is_find)
{
	struct str text = check_str(L, 1), pattern = check_str(L, 2);
	lua_Integer init = luaL_optinteger(L, 3, 1);
	if (init < 0)
		init = init < -(lua_Integer)text.len ? 1 : (lua_Integer)text.len + init + 1;
	else if (init == 0)
		init = 1;
	if (init > (lua_Integer)text.len + 1) {
		lua_pushnil(L);
		return 1;
	}
	size_t from = (size_t)init - 1;
	if (is_find && (lua_toboolean(L, 4) || !has_specials(pattern)))
		return find_plain(L, text, pattern, from);
	struct match match = match_begin(L, text, pattern);
	bool is_anchored = pattern.len > 0 && pattern.ptr[0] == '^';
	const char *p = pattern.ptr + is_anchored;
	for (const char *s = text.ptr + from; s <= match.text_end; s++) {
		const char *e = match_try(&match, s, p);
		if (e && !is_find)
			return push_captures(&match, s, e);
		if (e) {
			lua_pushinteger(L, s - text.ptr + 1);
			lua_pushinteger(L, e - text.ptr);
			return 2 + push_captures(&match, NULL, NULL);
		}
		if (is_anchored)
			break;
	}
	lua_pushnil(L);
	return 1;
}

int box_string_find(lua_State *L)
{
	return find_or_match(L, true);
}

int box_string_match(lua_State *L)
{
	return find_or_match(L, false);
}

/* --- gmatch ----------------------------------------------------------- */

/* Upvalues: text, pattern, where to go on, where the last match ended (-1: none yet). */
static int gmatch_next(lua_State *L)
{
	struct str text, pattern;
	text.ptr = lua_tolstring(L, lua_upvalueindex(1), &text.len);
	pattern.ptr = lua_tolstring(L, lua_upvalueindex(2), &pattern.len);
	lua_Integer from = lua_tointeger(L, lua_upvalueindex(3));
	lua_Integer last = lua_tointeger(L, lua_upvalueindex(4));
	struct match match = match_begin(L, text, pattern);
	for (; from <= (lua_Integer)text.len; from++) {
		const char *s = text.ptr + from;
		const char *e = match_try(&match, s, pattern.ptr);
		if (!e || e - text.ptr == last)
			continue;
		lua_pushinteger(L, e - text.ptr);
		lua_copy(L, -1, lua_upvalueindex(3));
		lua_replace(L, lua_upvalueindex(4));
		return push_captures(&match, s, e);
	}
	return 0;
}

int box_string_gmatch(lua_State *L)
{
	struct str text = check_str(L, 1);
	(void)check_str(L, 2);
	lua_Integer init = luaL_optinteger(L, 3, 1);
	if (init < 0)
		init = init < -(lua_Integer)text.len ? 1 : (lua_Integer)text.len + init + 1;
	else if (init == 0)
		init = 1;
	if (init > (lua_Integer)text.len + 1)
		init = (lua_Integer)text.len + 2;
	box_charge(L, 0);
	lua_settop(L, 2);
	lua_pushinteger(L, init - 1);
	lua_pushinteger(L, -1);
	lua_pushcclosure(L, gmatch_next, 4);
	return 1;
}

/* --- gsub ------------------------------------------------------------- */

static void add_template(struct match *match, struct out *out, const char *s, const char *e)
{
	size_t len;
	const char *text = lua_tolstring(match->L, 3, &len);
	for (size_t i = 0; i < len; i++) {
		if (text[i] != '%') {
			out_add(out, &text[i], 1);
			continue;
		}
		i++;
		if (i < len && text[i] == '%') {
			out_add(out, "%", 1);
		} else if (i < len && text[i] == '0') {
			out_add(out, s, (size_t)(e - s));
		} else if (i < len && isdigit((unsigned char)text[i])) {
			push_capture(match, text[i] - '1', s, e);
			size_t capture_len;
			const char *capture = lua_tolstring(match->L, -1, &capture_len);
			out_add(out, capture, capture_len);
			lua_pop(match->L, 1);
		} else {
			luaL_error(match->L, "invalid use of '%%' in replacement string");
		}
	}
}

/* The value of a replacement table or function; nil and false keep the text. */
static void add_replacement(struct match *match, struct out *out, const char *s, const char *e)
{
	lua_State *L = match->L;
	int type = lua_type(L, 3);
	if (type == LUA_TSTRING || type == LUA_TNUMBER) {
		add_template(match, out, s, e);
		return;
	}
	if (type == LUA_TTABLE) {
		push_capture(match, 0, s, e);
		lua_gettable(L, 3);
	} else {
		lua_pushvalue(L, 3);
		lua_call(L, push_captures(match, s, e), 1);
	}
	size_t len = (size_t)(e - s);
	if (lua_type(L, -1) == LUA_TSTRING || lua_type(L, -1) == LUA_TNUMBER) {
		s = lua_tolstring(L, -1, &len);
	} else if (lua_toboolean(L, -1)) {
		luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
	}
	out_add(out, s, len);
	lua_pop(L, 1);
}

int box_string_gsub(lua_State *L)
{
	struct str text = check_str(L, 1), pattern = check_str(L, 2);
	int type = lua_type(L, 3);
	luaL_argexpected(L,
	                 type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TTABLE ||
	                         type == LUA_TFUNCTION,
	                 3, "string/function/table");
	lua_Integer max = luaL_optinteger(L, 4, LIMIT_LUA_STRING_BYTES + 1), count = 0;
	lua_settop(L, 3);
	struct match match = match_begin(L, text, pattern);
	bool is_anchored = pattern.len > 0 && pattern.ptr[0] == '^';
	const char *s = text.ptr, *last = NULL;
	struct out out;
	out_init(&out, L);
	while (count < max) {
		const char *e = match_try(&match, s, pattern.ptr + is_anchored);
		if (e && e != last) {
			count++;
			add_replacement(&match, &out, s, e);
			s = last = e;
		} else if (s < match.text_end) {
			out_add(&out, s++, 1);
		} else {
			break;
		}
		if (is_anchored)
			break;
	}
	out_add(&out, s, (size_t)(match.text_end - s));
	out_push(&out);
	lua_pushinteger(L, count);
	return 2;
}
