/* SPDX-License-Identifier: MIT */
/*
 * The player.  A file is cut into lines, a line that begins with blanks goes on
 * with the one before.  Each "call" begins a story; what comes before it (story,
 * setting, prompt, now) prepares it, what follows is played against it in order.
 *
 * The wire's retry stage is not under test here, but a story shows what a plugin
 * makes of it: several replies in a row are the attempts of one request, and the
 * player insists that the engine would have repeated after each but the last.
 */
#include "plugin_case.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "check.h"
#include "fake_wire.h"

struct line {
	int number;
	char *word, *rest;
};

enum { REPLY_HEADERS = 16 };

struct attempt {
	struct wire_reply reply;
	struct wire_header headers[REPLY_HEADERS];
};

struct player {
	const struct plugins *plugins;
	const char *path;
	plugin_case_told *told;
	void *told_arg;
	/* Prepared for the stories to come. */
	json_t *settings, *prompts;
	int64_t now_ms;
	char *title;
	/* The story that is played; call NULL: none. */
	char *story;
	struct plugin_call *call;
	struct wire *wire;
	struct wire_connection *connection;
	struct fake_loop loop;
	struct plugin_call_hooks hooks;
	size_t expected; /* requests that a line has spoken of */
	bool is_ended, end_ok, is_done, is_refused;
	json_t *end;
	char why[2000];
};

/* --- saying what was different ------------------------------------------ */

static bool differs(struct player *player, const struct line *line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static bool differs(struct player *player, const struct line *line, const char *format, ...)
{
	if (player->why[0])
		return false;
	int put = snprintf(player->why, sizeof(player->why), "line %d: ", line->number);
	va_list args;
	va_start(args, format);
	vsnprintf(player->why + put, sizeof(player->why) - (size_t)put, format, args);
	va_end(args);
	return false;
}

/* What is wanted must be there; more may be.  Empty: it is; else where it is not. */
static bool json_subset(const json_t *want, const json_t *got, char *at, size_t at_bytes)
{
	char below[512];
	const char *key;
	json_t *item;
	size_t index;
	if (json_is_object(want) && json_is_object(got)) {
		json_object_foreach((json_t *)(uintptr_t)want, key, item) {
			snprintf(below, sizeof(below), "%.200s.%.200s", at, key);
			if (!json_subset(item, json_object_get(got, key), below, sizeof(below))) {
				snprintf(at, at_bytes, "%s", below);
				return false;
			}
		}
		return true;
	}
	if (json_is_array(want) && json_array_size(want) == json_array_size(got)) {
		json_array_foreach(want, index, item) {
			snprintf(below, sizeof(below), "%.200s[%zu]", at, index);
			if (!json_subset(item, json_array_get(got, index), below, sizeof(below))) {
				snprintf(at, at_bytes, "%s", below);
				return false;
			}
		}
		return true;
	}
	if (json_is_string(want) && strcmp(json_string_value(want), "<any>") == 0)
		return got != NULL;
	if (json_is_number(want) && json_is_number(got))
		return fabs(json_number_value(want) - json_number_value(got)) < 1e-9;
	return got && json_equal(want, got);
}

static bool check_subset(struct player *player, const struct line *line, const char *what,
                         const json_t *want, const json_t *got)
{
	char at[512] = "";
	if (json_subset(want, got, at, sizeof(at)))
		return true;
	char *text = got ? json_canon(got) : mem_dup_str("nothing");
	differs(player, line, "%s differs%s%s; it is %.1200s", what, at[0] ? " at " : "",
	        at[0] == '.' ? at + 1 : at, text);
	free(text);
	return false;
}

/* The JSON of a line; NULL when it is none, which has been said. */
static json_t *read_json(struct player *player, const struct line *line, const char *text)
{
	struct err err = { 0 };
	json_t *json = NULL;
	if (json_read(str_of(text), LIMIT_REPLY_BYTES, &json, &err) < 0)
		differs(player, line, "this is no JSON: %s", err.text);
	return json;
}

/* --- words -------------------------------------------------------------- */

static char *skip_blanks(char *text)
{
	return text + strspn(text, " \t\n");
}

/* Cuts the first word off; a word in quotes may hold blanks.  *quoted says which. */
static char *cut_word(char **text, bool *quoted)
{
	char *word = skip_blanks(*text), *end;
	*quoted = word[0] == '"';
	if (*quoted)
		end = strchr(++word, '"');
	else
		end = word + strcspn(word, " \t\n");
	if (!end)
		end = word + strlen(word);
	*text = *end ? skip_blanks(end + 1) : end;
	*end = '\0';
	return word;
}

static char *cut(char **text)
{
	bool quoted;
	return cut_word(text, &quoted);
}

static char *percent_decoded(const char *text)
{
	char *ret = mem_dup_str(text), *to = ret;
	for (const char *from = text; *from; from++) {
		char hex[3] = { from[0] == '%' ? from[1] : '\0',
			        from[0] == '%' && from[1] ? from[2] : '\0', '\0' };
		if (isxdigit((unsigned char)hex[0]) && isxdigit((unsigned char)hex[1])) {
			*to++ = (char)strtol(hex, NULL, 16);
			from += 2;
		} else {
			*to++ = *from;
		}
	}
	*to = '\0';
	return ret;
}

/* --- hooks -------------------------------------------------------------- */

static void on_end(void *ctx, struct plugin_call *call, bool ok, json_t *value)
{
	struct player *player = ctx;
	(void)call;
	player->is_ended = true;
	player->end_ok = ok;
	player->end = value;
}

static json_t *on_prompt(void *ctx, struct plugin_call *call, const char *name,
                         const json_t *values, struct err *err)
{
	struct player *player = ctx;
	(void)call;
	(void)values;
	const json_t *prompt = json_at(player->prompts, name);
	if (!prompt)
		err_set(err, ERR_ABSENT, "there is no prompt '%s'", name);
	return json_deep_copy(prompt);
}

/* --- one story ---------------------------------------------------------- */

static void story_end(struct player *player)
{
	if (player->story) {
		bool is_wrong = player->why[0] != '\0';
		if (!is_wrong && !player->is_done)
			snprintf(player->why, sizeof(player->why), "the story has no \"end\" line");
		player->told(player->told_arg, player->story, player->why[0] ? player->why : NULL);
		plugin_call_free(player->call);
		fake_wire_free(player->wire);
		fake_connection_free(player->connection);
		fake_loop_release(&player->loop);
		json_decref(player->end);
		free(player->story);
	}
	player->story = NULL;
	player->call = NULL;
	player->end = NULL;
	player->expected = 0;
	player->is_ended = player->end_ok = player->is_done = player->is_refused = false;
	player->why[0] = '\0';
}

static void story_begin(struct player *player, const struct line *line)
{
	const char *name = strrchr(player->path, '/');
	const char *folder = name;
	while (folder > player->path && folder[-1] != '/')
		folder--;
	player->story = mem_format("%s:%d %s", folder ? folder : player->path, line->number,
	                           player->title ? player->title : line->rest);
	free(player->title);
	player->title = NULL;
	player->wire = fake_wire_new();
	player->connection = fake_connection_new("case");
	fake_loop_init(&player->loop);
	player->hooks =
		(struct plugin_call_hooks){ .ctx = player, .on_end = on_end, .prompt = on_prompt };
	const char *key;
	json_t *value;
	json_object_foreach(player->settings, key, value)
		fake_connection_set(player->connection, key, json_string_value(value));
}

static const struct plugin_action *find_action(struct player *player, const struct line *line,
                                               char *name)
{
	char *dot = strchr(name, '.');
	if (dot)
		*dot = '\0';
	const struct plugin *plugin = plugins_find(player->plugins, name);
	const struct plugin_action *action = plugin && dot ? plugin_action_find(plugin, dot + 1)
	                                                   : NULL;
	if (!plugin)
		differs(player, line, "no plugin '%s' was loaded", name);
	else if (!action)
		differs(player, line, "the plugin '%s' has no action '%s'", name,
		        dot ? dot + 1 : "");
	return action;
}

static void start_call(struct player *player, const struct line *line,
                       const struct plugin_action *action, const json_t *params)
{
	struct plugin_call_options options = {
		.action = action,
		.wire = player->wire,
		.connection = player->connection,
		.params = params,
		.run_id = "run-1",
		.correlation_id = "case-1",
		.number = 1,
		.now_ms = player->now_ms,
		.timeout_ms = -1,
		.retries = -1,
		.backoff_min_ms = -1,
		.backoff_max_ms = -1,
		.hooks = &player->hooks,
		.loop = &player->loop.loop,
	};
	struct err err = { 0 };
	if (plugin_call_new(&options, &player->call, &err) < 0) {
		player->is_refused = player->is_ended = true;
		player->end = json_pack("{s:s}", "message", err.text);
		return;
	}
	plugin_call_start(player->call);
	if (plugin_call_is_ended(player->call)) {
		player->is_ended = true;
		if (!plugin_call_take_end(player->call, &player->end_ok, &player->end))
			differs(player, line, "the end was told twice");
	}
}

static bool play_call(struct player *player, const struct line *line)
{
	story_begin(player, line);
	char *rest = line->rest, *name = cut(&rest);
	const struct plugin_action *action = find_action(player, line, name);
	json_t *params = action ? read_json(player, line, rest[0] ? rest : "{}") : NULL;
	if (params)
		start_call(player, line, action, params);
	json_decref(params);
	return player->why[0] == '\0';
}

/* --- expect ------------------------------------------------------------- */

static bool path_fits(const char *want, bool quoted, const char *got)
{
	char *plain = quoted ? percent_decoded(got) : mem_dup_str(got);
	size_t len = strlen(want);
	bool fits = len > 0 && want[len - 1] == '*' ? strncmp(plain, want, len - 1) == 0
	                                            : strcmp(plain, want) == 0;
	free(plain);
	return fits;
}

static bool check_body(struct player *player, const struct line *line, const char *want,
                       const char *body)
{
	if (want[0] == '\0')
		return true;
	if (want[0] == '=' && strcmp(want + 1, body) != 0)
		return differs(player, line, "the body is %.1500s", body);
	if (want[0] == '~' && !strstr(body, want + 1))
		return differs(player, line, "the body does not contain that; it is %.1500s", body);
	if (want[0] == '=' || want[0] == '~')
		return true;
	json_t *wanted = read_json(player, line, want), *got = NULL;
	struct err err = { 0 };
	bool fits = false;
	if (wanted && json_read(str_of(body), LIMIT_REQUEST_BYTES, &got, &err) < 0)
		differs(player, line, "the body is no JSON: %.1500s", body);
	else if (wanted)
		fits = check_subset(player, line, "the body", wanted, got);
	json_decref(wanted);
	json_decref(got);
	return fits;
}

static bool check_mail(struct player *player, const struct line *line, char *rest,
                       const json_t *sent)
{
	const json_t *mail = json_at(sent, "mail");
	if (!mail)
		return differs(player, line, "it asked for %s %s instead of a mail",
		               json_str(sent, "method", ""), json_str(sent, "path", ""));
	json_t *want = read_json(player, line, rest[0] ? rest : "{}");
	bool fits = want && check_subset(player, line, "the mail", want, mail);
	json_decref(want);
	return fits;
}

static const struct wire_request *next_request(struct player *player, const struct line *line)
{
	if (player->call && !player->is_ended)
		plugin_call_release(player->call, UINT32_MAX);
	const struct wire_request *request = fake_wire_at(player->wire, player->expected);
	if (request) {
		player->expected++;
		return request;
	}
	if (!player->is_ended) {
		differs(player, line, "nothing was asked for");
		return NULL;
	}
	char *text = player->end ? json_canon(player->end) : mem_dup_str("");
	differs(player, line, "the call has ended already: %.1500s", text);
	free(text);
	return NULL;
}

static bool play_expect(struct player *player, const struct line *line)
{
	const struct wire_request *request = next_request(player, line);
	bool quoted;
	if (!request)
		return false;
	char *rest = line->rest, *method = cut(&rest);
	if (strcmp(method, "mail") == 0)
		return check_mail(player, line, rest, request->sent);
	char *path = cut_word(&rest, &quoted);
	const char *sent_method = json_str(request->sent, "method", "a mail");
	const char *sent_path = json_str(request->sent, "path", "");
	if (strcmp(method, sent_method) != 0 || !path_fits(path, quoted, sent_path))
		return differs(player, line, "it asked for %s %s", sent_method, sent_path);
	return check_body(player, line, rest, json_str(request->sent, "body", ""));
}

static bool play_sent_header(struct player *player, const struct line *line)
{
	const struct wire_request *request =
		player->expected > 0 ? fake_wire_at(player->wire, player->expected - 1) : NULL;
	char *rest = line->rest, *name = cut(&rest);
	size_t len = strlen(name);
	if (!request || len < 2 || name[len - 1] != ':')
		return differs(player, line,
		               "a header line reads \"header Name: value\" and follows "
		               "an expect or a reply");
	name[len - 1] = '\0';
	const json_t *headers = json_at(request->sent, "headers");
	const char *value = strcmp(name, "Content-Type") == 0
	                            ? json_str(request->sent, "content_type", NULL)
	                            : json_str(headers, name, NULL);
	if (!value || strcmp(value, rest) != 0)
		return differs(player, line, "the header %s is %s", name, value ? value : "absent");
	return true;
}

/* --- reply -------------------------------------------------------------- */

static bool reply_word(const char *word, struct wire_reply *reply)
{
	static const struct {
		const char *word;
		enum wire_status status;
		bool may_have_left;
	} words[] = {
		{ "timeout", WIRE_TIMEOUT, true },
		{ "network", WIRE_NETWORK, false },
		{ "broken", WIRE_NETWORK, true },
		{ "circuit_open", WIRE_CIRCUIT_OPEN, false },
		{ "auth", WIRE_AUTH, false },
		{ "refused", WIRE_REFUSED, false },
		{ "too_large", WIRE_TOO_LARGE, false },
	};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(word, words[i].word) != 0)
			continue;
		reply->status = words[i].status;
		reply->may_have_left = words[i].may_have_left;
		return true;
	}
	char *end;
	long code = strtol(word, &end, 10);
	reply->code = (int)code;
	return end != word && *end == '\0' && code >= 100 && code <= 599;
}

static void add_header(struct attempt *attempt, const char *name, const char *value)
{
	size_t at = attempt->reply.header_count;
	if (at < REPLY_HEADERS) {
		attempt->headers[at] = (struct wire_header){ (char *)(uintptr_t)name,
			                                     (char *)(uintptr_t)value };
		attempt->reply.header_count++;
	}
}

/* "200 {...}", "503", "timeout", "200 @file" of the case's own folder. */
static bool read_reply(struct player *player, const struct line *line, struct attempt *ret,
                       char **ret_file)
{
	char *rest = line->rest, *word = cut(&rest);
	*ret = (struct attempt){ 0 };
	if (!reply_word(word, &ret->reply))
		return differs(player, line,
		               "'%s' is no reply: a status, or timeout, broken, network, "
		               "circuit_open, auth, refused, too_large",
		               word);
	const char *body = rest;
	if (rest[0] == '@') {
		char *path = mem_format("%.*s/%s", (int)(strrchr(player->path, '/') - player->path),
		                        player->path, rest + 1);
		body = *ret_file = check_file(path);
		free(path);
		if (!body)
			return differs(player, line, "there is no file %s", rest + 1);
	}
	ret->reply.body = str_of(body);
	snprintf(ret->reply.text, sizeof(ret->reply.text), "%s", ret->reply.code ? "HTTP " : word);
	if (ret->reply.code)
		snprintf(ret->reply.text, sizeof(ret->reply.text), "HTTP %d", ret->reply.code);
	if (body[0] == '{' || body[0] == '[')
		add_header(ret, "Content-Type", "application/json");
	return true;
}

static bool reply_header(struct player *player, const struct line *line, struct attempt *attempt)
{
	char *rest = line->rest, *name = cut(&rest);
	size_t len = strlen(name);
	if (len < 2 || name[len - 1] != ':')
		return differs(player, line, "a header line reads \"header Name: value\"");
	name[len - 1] = '\0';
	if (strcasecmp(name, "Content-Type") == 0 && attempt->reply.header_count > 0)
		attempt->headers[0].value = rest;
	else
		add_header(attempt, name, rest);
	return true;
}

static bool is_transient_code(int code)
{
	return code == 408 || code == 425 || code == 429 || code == 500 ||
	       (code >= 502 && code <= 504);
}

/* What the wire makes of one reply: its final status, and whether it would try again. */
static bool would_repeat(struct wire_request *request, struct attempt *attempt, bool *had_401)
{
	struct wire_reply *reply = &attempt->reply;
	reply->headers = attempt->headers;
	int verdict = 0;
	bool is_mail = json_at(request->sent, "mail") != NULL;
	if (reply->status == WIRE_OK && request->classify && !is_mail)
		verdict = request->classify(request->arg, reply);
	bool is_success = reply->code >= 200 && reply->code < 300;
	bool is_unanswered = reply->status == WIRE_TIMEOUT || reply->status == WIRE_NETWORK;
	bool is_transient = is_mail ? reply->code >= 400 && reply->code < 500
	                            : is_transient_code(reply->code);
	if (reply->status == WIRE_OK && verdict != 1 && (!is_success || verdict != 0))
		reply->status = WIRE_STATUS;
	if (verdict == 4 || (verdict == 0 && reply->code == 401)) {
		bool is_first = !*had_401;
		*had_401 = true;
		return is_first;
	}
	if (verdict != 0)
		return verdict == 2;
	if (request->effect == WIRE_ONCE)
		return reply->code == 429 || (is_mail && is_transient) ||
		       (is_unanswered && !reply->may_have_left);
	return is_transient || is_unanswered;
}

/* Plays this reply and those that follow it: the attempts of the last expected request. */
static bool play_replies(struct player *player, struct line *lines, size_t count, size_t *used)
{
	struct wire_request *request = player->expected > 0
	                                       ? fake_wire_at(player->wire, player->expected - 1)
	                                       : NULL;
	struct attempt attempt;
	bool had_401 = false, ok = true, repeats = true;
	int attempts = 0;
	if (!request || !request->is_open)
		return differs(player, lines, "a reply follows the expect of its request");
	for (*used = 0; ok && *used < count && strcmp(lines[*used].word, "reply") == 0;) {
		const struct line *line = &lines[(*used)++];
		char *file = NULL;
		ok = repeats || differs(player, line, "the engine would not have tried again");
		ok = ok && read_reply(player, line, &attempt, &file);
		for (; ok && *used < count && strcmp(lines[*used].word, "header") == 0; (*used)++)
			ok = reply_header(player, &lines[*used], &attempt);
		repeats = ok && would_repeat(request, &attempt, &had_401);
		attempt.reply.attempts = ++attempts;
		bool is_last = *used >= count || strcmp(lines[*used].word, "reply") != 0;
		/* Not fake_wire_reply(): what the status means was settled above. */
		if (ok && is_last) {
			request->is_open = false;
			request->done(request->arg, &attempt.reply);
		}
		free(file);
	}
	if (ok && *used < count && strcmp(lines[*used].word, "final") == 0)
		ok = !repeats ||
		     differs(player, &lines[*used], "the engine would have tried again");
	return ok;
}

/* Looked at with the replies before it. */
static bool play_final(struct player *player, const struct line *line)
{
	(void)player;
	(void)line;
	return true;
}

/* --- time, facts, the end ----------------------------------------------- */

static bool play_wait(struct player *player, const struct line *line)
{
	if (player->call && !player->is_ended)
		plugin_call_release(player->call, UINT32_MAX);
	long long want = strtoll(line->rest, NULL, 10);
	int64_t got = fake_loop_fire(&player->loop);
	if (got < 0)
		return differs(player, line, "the plugin does not wait for time");
	if (got != want)
		return differs(player, line, "the plugin waits for %lld ms", (long long)got);
	return true;
}

static bool play_cancel(struct player *player, const struct line *line)
{
	(void)line;
	if (player->call)
		plugin_call_cancel(player->call);
	fake_wire_pump(player->wire);
	return true;
}

static bool play_fact(struct player *player, const struct line *line)
{
	if (!player->call)
		return differs(player, line, "there is no call");
	json_t *all = plugin_call_facts(player->call);
	char *rest = line->rest, *name = cut(&rest);
	json_t *want = read_json(player, line, rest);
	bool fits = want && check_subset(player, line, "the fact", want,
	                                 json_at(json_at(all, "facts"), name));
	json_decref(want);
	json_decref(all);
	return fits;
}

static bool play_note(struct player *player, const struct line *line)
{
	bool fits = false;
	if (!player->call)
		return differs(player, line, "there is no call");
	json_t *all = plugin_call_facts(player->call), *note;
	size_t index;
	json_array_foreach(json_at(all, "notes"), index, note)
		fits = fits || strstr(json_string_value(note), line->rest);
	json_decref(all);
	return fits || differs(player, line, "no note says so");
}

static bool play_end(struct player *player, const struct line *line)
{
	char *rest = line->rest, *how = cut(&rest);
	player->is_done = true;
	const struct wire_request *more = fake_wire_at(player->wire, player->expected);
	if (more)
		return differs(player, line, "it also asked for %s %s",
		               json_str(more->sent, "method", "a mail"),
		               json_str(more->sent, "path", ""));
	if (!player->is_ended)
		return differs(player, line, "the call has not ended");
	const char *is = player->is_refused ? "refused" : player->end_ok ? "done" : "fail";
	if (strcmp(how, is) != 0) {
		char *text = player->end ? json_canon(player->end) : mem_dup_str("");
		differs(player, line, "it ended as \"%s\": %.1500s", is, text);
		free(text);
		return false;
	}
	if (player->is_refused)
		return strstr(json_str(player->end, "message", ""), rest) ||
		       differs(player, line, "it says: %s", json_str(player->end, "message", ""));
	json_t *want = rest[0] ? read_json(player, line, rest) : NULL;
	bool fits = !rest[0] || (want && check_subset(player, line, "the end", want, player->end));
	json_decref(want);
	return fits;
}

/* --- preparing ---------------------------------------------------------- */

/* True when the line was one that prepares the stories to come. */
static bool prepare(struct player *player, const struct line *line)
{
	char *rest = line->rest;
	if (strcmp(line->word, "story") == 0) {
		free(player->title);
		player->title = mem_dup_str(rest);
	} else if (strcmp(line->word, "setting") == 0) {
		char *name = cut(&rest);
		json_put_str(player->settings, name, rest);
	} else if (strcmp(line->word, "now") == 0) {
		player->now_ms = clock_parse_iso(rest);
	} else if (strcmp(line->word, "prompt") == 0) {
		char *name = cut(&rest);
		json_put(player->prompts, name, read_json(player, line, rest));
	} else {
		return false;
	}
	return true;
}

static bool play_line(struct player *player, struct line *lines, size_t count, size_t *used)
{
	static const struct {
		const char *word;
		bool (*play)(struct player *player, const struct line *line);
	} words[] = {
		{ "expect", play_expect }, { "header", play_sent_header },
		{ "wait", play_wait },     { "cancel", play_cancel },
		{ "fact", play_fact },     { "note", play_note },
		{ "final", play_final },   { "end", play_end },
	};
	*used = 1;
	if (strcmp(lines->word, "reply") == 0)
		return play_replies(player, lines, count, used);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(lines->word, words[i].word) == 0)
			return words[i].play(player, lines);
	return differs(player, lines, "'%s' is no word of a case", lines->word);
}

/* --- the file ----------------------------------------------------------- */

struct lines {
	VEC(struct line) lines;
};

/* Cuts text in place; a line that begins with a blank goes on with the one before. */
static void cut_lines(char *text, struct lines *ret)
{
	int number = 0;
	char *last_end = NULL;
	for (char *next = text; next && *next;) {
		char *line = next, *end = strchr(line, '\n');
		next = end ? end + 1 : NULL;
		if (end)
			*end = '\0';
		number++;
		bool is_more = (line[0] == ' ' || line[0] == '\t') && ret->lines.len > 0;
		bool is_empty = line[strspn(line, " \t\r")] == '\0';
		if (is_more && !is_empty && last_end)
			*last_end = '\n';
		if (is_more || is_empty || line[0] == '#') {
			last_end = is_more && !is_empty ? end : is_more ? last_end : NULL;
			continue;
		}
		struct line *one = vec_add(&ret->lines);
		one->number = number;
		one->word = line;
		last_end = end;
	}
	for (size_t i = 0; i < ret->lines.len; i++) {
		struct line *one = &ret->lines.at[i];
		one->rest = one->word;
		one->word = cut(&one->rest);
	}
}

static void play_lines(struct player *player, struct lines *all)
{
	size_t used = 1;
	for (size_t i = 0; i < all->lines.len; i += used) {
		struct line *line = &all->lines.at[i];
		used = 1;
		bool is_call = strcmp(line->word, "call") == 0;
		bool is_story = strcmp(line->word, "story") == 0;
		if (is_call || is_story)
			story_end(player);
		if (is_call)
			play_call(player, line);
		else if (prepare(player, line) || player->why[0])
			continue;
		else if (!player->story)
			differs(player, line, "'%s' comes before any call", line->word);
		else
			play_line(player, line, all->lines.len - i, &used);
	}
	if (!player->story && player->why[0])
		player->told(player->told_arg, player->path, player->why);
	story_end(player);
}

void plugin_case_play(const struct plugins *plugins, const char *path, plugin_case_told *told,
                      void *arg)
{
	struct player player = { .plugins = plugins, .path = path, .told = told, .told_arg = arg };
	struct lines lines = { 0 };
	char *text = check_file(path);
	if (!text) {
		told(arg, path, "the file cannot be read");
		return;
	}
	player.settings = json_object();
	player.prompts = json_object();
	player.now_ms = clock_parse_iso("2026-11-21T05:00:00Z");
	cut_lines(text, &lines);
	play_lines(&player, &lines);
	free(player.title);
	json_decref(player.settings);
	json_decref(player.prompts);
	vec_release(&lines.lines);
	free(text);
}
