/* SPDX-License-Identifier: MIT */
/*
 * A run going by.  Piped output gets one plain line per thing that happened.
 * On a terminal only what has ended gets a line of its own; what is open stands
 * below with the time it has taken so far, drawn again ten times a second by a
 * thread that does nothing else.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli_int.h"

enum { TICK_MS = 100, OPEN_LINES_MAX = 12, WIDTH_FALLBACK = 100, WIDTH_MIN = 40 };

enum mark { MARK_ASKED, MARK_GOOD, MARK_BAD, MARK_PLAIN };

struct cli_painter {
	pthread_t thread;
	pthread_mutex_t lock; /* over the live and the terminal */
	pthread_cond_t stopped;
	bool is_stopping, is_utf8;
	int lines; /* on the screen that will be drawn over */
	unsigned turn;
};

/* --- lines ---------------------------------------------------------------------------- */

/* Columns on the screen, cut to at most max of them. */
static size_t cut_width(const char *text, size_t max, size_t *ret_bytes)
{
	size_t columns = 0, i = 0;
	for (; text[i]; i++) {
		bool begins = ((unsigned char)text[i] & 0xc0) != 0x80;
		if (begins && columns == max)
			break;
		columns += begins;
	}
	*ret_bytes = i;
	return columns;
}

static void put_cell(struct buf *out, const char *text, size_t width)
{
	size_t bytes, columns = cut_width(text, SIZE_MAX, &bytes);
	buf_put(out, text);
	for (; columns < width; columns++)
		buf_put(out, " ");
}

static size_t screen_width(void)
{
	struct winsize size = { 0 };
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col < WIDTH_MIN)
		return WIDTH_FALLBACK;
	return size.ws_col;
}

static const char *mark_text(const struct cli_live *live, enum mark mark)
{
	static const char *const good[] = { " ", "\033[32m\u2713\033[0m", "\033[31m\u2717\033[0m",
		                            "\u00b7" };
	static const char *const ascii[] = { " ", "\033[32m+\033[0m", "\033[31m!\033[0m", "-" };
	return (live->painter->is_utf8 ? good : ascii)[mark];
}

/* What it is called and by which action it is done. */
static void put_names(struct buf *out, const char *title, const char *what)
{
	put_cell(out, title, 30);
	buf_put(out, "  ");
	put_cell(out, what, 24);
}

static void print_cut(const struct cli_live *live, const char *before, const struct buf *line,
                      const char *after)
{
	char *clean = cli_clean(line->len ? line->bytes : "");
	size_t bytes = strlen(clean);
	if (live->painter)
		(void)cut_width(clean, screen_width() - 4, &bytes);
	while (bytes > 0 && clean[bytes - 1] == ' ')
		bytes--;
	printf("%s%.*s%s\n", before, (int)bytes, clean, after);
	free(clean);
}

/* One thing that happened, for good. */
static void tell(const struct cli_live *live, int64_t at, const char *word, enum mark mark,
                 const struct buf *line)
{
	char before[64];
	double since = (double)(at - live->started_ms) / 1000.0;
	if (live->painter && mark == MARK_ASKED)
		return; /* it stands below until it is answered */
	if (live->painter)
		snprintf(before, sizeof(before), "  %s ", mark_text(live, mark));
	else
		snprintf(before, sizeof(before), "%8.3f s  %-9s ", since, word);
	print_cut(live, before, line, "");
}

/* --- what is open ------------------------------------------------------------------------ */

static void put_span(struct buf *out, int64_t ms)
{
	if (ms < 10000)
		buf_printf(out, "%6lld ms", (long long)ms);
	else if (ms < 600000)
		buf_printf(out, "%6.1f s", (double)ms / 1000.0);
	else
		buf_printf(out, "%6.1f min", (double)ms / 60000.0);
}

/* Of a piece of work for people nobody wants to see the seconds. */
static bool is_for_people(const char *what)
{
	return strcmp(what, "approval") == 0 || strcmp(what, "checklist") == 0;
}

static int64_t wall_ms(void)
{
	const struct clock clock = clock_system();
	return clock_wall_ms(&clock);
}

static void erase(struct cli_live *live)
{
	if (live->painter->lines > 0)
		printf("\033[%dA\033[J", live->painter->lines);
	live->painter->lines = 0;
}

static void paint(struct cli_live *live)
{
	static const char *const spin[] = { "\u280b", "\u2819", "\u2838",
		                            "\u2834", "\u2826", "\u2807" };
	static const char *const ascii[] = { "|", "/", "-", "\\" };
	struct cli_painter *painter = live->painter;
	unsigned turn = painter->turn++;
	const char *sign = painter->is_utf8 ? spin[turn % 6] : ascii[turn % 4], *key;
	int64_t now = wall_ms();
	json_t *call;
	json_object_foreach(live->open, key, call) {
		struct buf line;
		char before[32];
		const char *what = json_str(call, "what", "");
		if (painter->lines == OPEN_LINES_MAX)
			break;
		buf_init(&line, LIMIT_JSON_BYTES);
		put_names(&line, json_str(call, "title", ""), what);
		if (is_for_people(what))
			buf_put(&line, "  waits");
		else
			put_span(&line, now - json_int(call, "at", now));
		snprintf(before, sizeof(before), "  %s \033[2m", is_for_people(what) ? "?" : sign);
		print_cut(live, before, &line, "\033[0m");
		buf_release(&line);
		painter->lines++;
	}
	fflush(stdout);
}

static void *painter_main(void *arg)
{
	struct cli_live *live = arg;
	struct cli_painter *painter = live->painter;
	pthread_mutex_lock(&painter->lock);
	while (!painter->is_stopping) {
		struct timespec until = clock_deadline(TICK_MS);
		pthread_cond_timedwait(&painter->stopped, &painter->lock, &until);
		if (painter->is_stopping)
			break;
		erase(live);
		paint(live);
	}
	pthread_mutex_unlock(&painter->lock);
	return NULL;
}

/* --- steps --------------------------------------------------------------------------------- */

static void call_key(const json_t *at, char ret[64])
{
	snprintf(ret, 64, "%lld.%lld", (long long)json_int(at, "number", -1),
	         (long long)json_int(at, "element", 0));
}

static void note_ask(struct cli_live *live, const json_t *ask, int64_t at)
{
	char key[64];
	struct buf line;
	const char *type = json_str(ask, "type", ""), *action = json_str(ask, "action", "");
	if (strcmp(type, "template") == 0)
		return; /* the file that it writes is told */
	json_t *what = json_sprintf("%s%s%s", type, *action ? "." : "", action);
	const char *id = json_str(ask, "id", json_str(ask, "state", ""));
	const char *title = json_str(ask, "title", id); /* a message has only its id */
	bool is_inline = strcmp(type, "rules") == 0;
	buf_init(&line, LIMIT_JSON_BYTES);
	put_names(&line, title, json_string_value(what));
	tell(live, at, is_inline ? "done" : "asked", is_inline ? MARK_GOOD : MARK_ASKED, &line);
	buf_release(&line);
	call_key(ask, key);
	if (!is_inline)
		json_put(live->open, key,
		         json_pack("{s:O,s:s,s:I}", "what", what, "title", title, "at",
		                   (json_int_t)json_int(ask, "at", at)));
	json_decref(what);
}

static void tell_result(struct cli_live *live, const json_t *step, int64_t at)
{
	char key[64];
	struct buf line;
	const json_t *failure = json_at(step, "failure");
	call_key(step, key);
	const json_t *call = json_at(live->open, key);
	const char *what = json_str(call, "what", "a call");
	int64_t took = json_int(step, "took_ms", at - json_int(call, "at", at));
	buf_init(&line, LIMIT_JSON_BYTES);
	put_names(&line, json_str(call, "title", ""), what);
	if (!is_for_people(what))
		put_span(&line, took);
	if (failure)
		buf_printf(&line, "  %s: %s", json_str(failure, "error_code", "?"),
		           json_str(failure, "message", ""));
	tell(live, at, failure ? "failed" : "answered", failure ? MARK_BAD : MARK_GOOD, &line);
	buf_release(&line);
	json_object_del(live->open, key);
}

static void tell_text(struct cli_live *live, int64_t at, const char *word, enum mark mark,
                      const char *text)
{
	struct buf line;
	buf_init(&line, LIMIT_JSON_BYTES);
	/* A terminal has no word before the text. */
	buf_printf(&line, "%s%s%s", live->painter ? word : "", live->painter && *text ? " " : "",
	           text);
	tell(live, at, word, mark, &line);
	buf_release(&line);
}

static void tell_step(struct cli_live *live, const json_t *step)
{
	const char *kind = json_str(step, "kind", ""), *input = json_str(step, "input", "");
	int64_t at = json_int(step, "at", 0);
	if (live->started_ms == 0)
		live->started_ms = at;
	if (strcmp(kind, "blocked") == 0)
		tell_text(live, at, "BLOCKED", MARK_BAD,
		          json_str(json_at(step, "reason"), "text", ""));
	else if (strcmp(kind, "start") != 0 && strcmp(kind, "step") != 0 &&
	         strcmp(kind, "request") != 0)
		tell_text(live, at, kind, MARK_PLAIN, "");
	else if (strcmp(input, "result") == 0)
		tell_result(live, step, at);
	else if (strcmp(input, "timer") == 0 || strcmp(input, "event") == 0)
		tell_text(live, at, input, MARK_PLAIN, "");
	const json_t *asks = json_at(step, "asks"), *artifacts = json_at(step, "artifacts");
	for (size_t i = 0; i < json_array_size(asks); i++)
		note_ask(live, json_array_get(asks, i), at);
	for (size_t i = 0; i < json_array_size(artifacts); i++)
		tell_text(live, at, "wrote", MARK_GOOD,
		          json_string_value(json_array_get(artifacts, i)));
	fflush(stdout);
}

static void begin(struct cli_live *live)
{
	if (!live->painter)
		return;
	pthread_mutex_lock(&live->painter->lock);
	erase(live);
}

static void finish(struct cli_live *live)
{
	if (!live->painter)
		return;
	paint(live);
	pthread_mutex_unlock(&live->painter->lock);
}

void cli_live_step(struct cli_live *live, const json_t *reply)
{
	const json_t *step = json_at(reply, "step");
	if (!step || !live->open)
		return;
	if (live->cli->is_json) {
		cli_print_json(reply);
		return;
	}
	begin(live);
	tell_step(live, step);
	finish(live);
}

void cli_live_open(struct cli_live *live, const json_t *asks)
{
	if (live->cli->is_json || json_array_size(asks) == 0)
		return;
	begin(live);
	live->started_ms = wall_ms();
	for (size_t i = 0; i < json_array_size(asks); i++)
		note_ask(live, json_array_get(asks, i), live->started_ms);
	finish(live);
}

/* --- beginning and end ------------------------------------------------------------------------ */

static bool is_utf8(void)
{
	static const char *const names[] = { "LC_ALL", "LC_CTYPE", "LANG" };
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		const char *value = getenv(names[i]);
		if (value && *value)
			return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
	}
	return false;
}

static bool can_paint(const struct cli *cli)
{
	const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
	return cli->is_terminal && !cli->is_json && term && strcmp(term, "dumb") != 0 &&
	       !(no_color && *no_color);
}

void cli_live_init(struct cli_live *live, const struct cli *cli)
{
	*live = (struct cli_live){ .cli = cli, .open = json_object() };
	if (!can_paint(cli))
		return;
	struct cli_painter *painter = mem_alloc(sizeof(*painter));
	painter->is_utf8 = is_utf8();
	pthread_mutex_init(&painter->lock, NULL);
	clock_cond_init(&painter->stopped);
	live->painter = painter;
	must(pthread_create(&painter->thread, NULL, painter_main, live) == 0);
}

void cli_live_end(struct cli_live *live)
{
	struct cli_painter *painter = live->painter;
	if (painter) {
		pthread_mutex_lock(&painter->lock);
		painter->is_stopping = true;
		erase(live);
		paint(live); /* what is still open stays on the screen */
		pthread_cond_signal(&painter->stopped);
		pthread_mutex_unlock(&painter->lock);
		pthread_join(painter->thread, NULL);
		pthread_mutex_destroy(&painter->lock);
		pthread_cond_destroy(&painter->stopped);
		free(painter);
	}
	json_decref(live->open);
	*live = (struct cli_live){ .cli = live->cli };
}
