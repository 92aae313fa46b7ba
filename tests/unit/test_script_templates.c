/* SPDX-License-Identifier: MIT */
/* Templates: tags, lines, escaping by kind of file, errors with their line, no way back to data. */
#include "script_session.h"

struct sample {
	const char *name, *source, *want;
};

static const char values[] =
	"{\"name\":\"A <b> & \\\"c\\\" "
	"'d'\",\"n\":1,\"x\":1.5,\"none\":null,\"items\":[{\"t\":\"one\"},{\"t\":\"two\"}],"
	"\"empty\":[],\"md\":\"*a* _b_ snake_case [x](y) `q` a|b # c\",\"lines\":\"one\\n# two\\n- "
	"three\\n1. four\\n  five\","
	"\"count\":7}";

static const struct sample rows[] = {
	{ "a.txt", "plain\n", "plain\n" },
	{ "a.txt", "", "" },
	{ "a.txt", "n={{ n }}, x={{x}}, none={{ none }}|{{ nothere }}|", "n=1, x=1.5, none=||" },
	{ "a.txt", "{{ name }}", "A <b> & \"c\" 'd'" },
	{ "a.txt", "{{ 3.0 }} {{ -2.5 }} {{ 1e300 }} {{ 7 }}", "3 -2.5 1e+300 7" },
	{ "a.html", "<p>{{ name }}</p>", "<p>A &lt;b&gt; &amp; &quot;c&quot; &#39;d&#39;</p>" },
	{ "a.html", "<p>{{{ name }}}</p>", "<p>A <b> & \"c\" 'd'</p>" },
	{ "a.slack", "{{ name }}", "A &lt;b&gt; &amp; \"c\" 'd'" },
	{ "a.md", "{{ name }}", "A &lt;b&gt; &amp; \"c\" 'd'" },
	{ "a.md", "{{ md }}", "\\*a\\* \\_b\\_ snake_case \\[x\\](y) \\`q\\` a\\|b # c" },
	{ "a.md", "{{ lines }}", "one\n\\# two\n\\- three\n1\\. four\nfive" },
	{ "a.txt", "{% for _, i in ipairs(items) do %}\n- {{ i.t }}\n{% end %}\nend\n",
	  "- one\n- two\nend\n" },
	{ "a.txt", "a\n  {% if n > 0 then %}  \n  yes\n{% else %}\nno\n{% end %}{# c #}\nb",
	  "a\n  yes\nb" },
	{ "a.txt", "{% if n == 1 then %}one{% else %}other{% end %} {# gone #}!", "one !" },
	{ "a.txt", "{% local t = {a = {}} %}{{ #t.a }}{{ ({1,2,{3}})[1] }}{{ \"}}\" }}{{ '{{' }}",
	  "01}}{{" },
	{ "a.txt", "{{ items }} {{ empty }}", "[{\"t\":\"one\"},{\"t\":\"two\"}] []" },
	{ "a.txt", "{% y = 5 %}{{ y }}{{ count }}", "57" },
	{ "a.txt", "{% -- a remark %}x{{ n -- why\n}}\n", "x1\n" },
	{ "a.txt",
	  "{{ money(1234567.5, 'EUR') }} {{ money(-5) }} {{ money('1000') }} {{ money(null) }}",
	  "1,234,567.50 EUR -5.00 1,000.00 (missing)" },
	{ "a.txt",
	  "{{ today() }} {{ days_between('2026-11-01', today()) }} {{ date_add('2026-02-27', 2) }}",
	  "2026-11-21 20 2026-03-01" },
	{ "a.txt",
	  "{{ get(items, '[2].t') }}{{ get(none, 'a.b') }}{{ has(name) }}{{ missing(none) }}{{ "
	  "json({1,a=nil}) }}",
	  "twotruetrue[1]" },
	{ "a.txt", "{ x } {{ n }} } {", "{ x } 1 } {" },
	{ "a.txt", "one\n{{ n", "E:a.txt:2: '{{' is not closed" },
	{ "a.txt", "one\n\n{{ n + }}", "E:a.txt:3: ' n + ' is not one expression" },
	{ "a.txt", "{{ n, n }}", "E:not one expression" },
	{ "a.txt", "{{ }}", "E:not one expression" },
	{ "a.txt", "one\n{% if n then %}\n", "E:a.txt:" },
	{ "a.txt", "one\n{% for i = 1, 2 do %}\n{{ nothere.x }}\n{% end %}",
	  "E:a.txt:3: attempt to index a nil value (global 'nothere')" },
	{ "a.txt", "{% while true do end %}", "B:rule.budget" },
	{ "a.txt", "{% while true do %}x{% end %}", "B:rule.budget" },
	{ "a.txt", "{% for i = 1, 10 do %}{{ ('x'):rep(200000) }}{% end %}",
	  "E:LIMIT_ARTIFACT_BYTES" },
	{ "a.txt", "{{ '\\255' }}", "E:UTF-8" },
	{ "a.txt", "{{ In('x') }}", "E:In" },
	{ "a.txt", "{% _ENV = {} %}", "E:_ENV" },
	{ "a.txt", "{{ os.time() }}", "E:os" },
	{ "a.txt", "{% error('stop') %}", "E:a.txt:1: stop" },
	{ "a.txt", "\xff", "E:UTF-8" },
	{ "a.txt", "{{ days_between('soon', today()) }}", "E:\"soon\" is not a date" },
	{ "a.txt", "{{ number('abc') }}", "E:\"abc\" is not a number" },
	{ "a.txt", "{{ number('12') + 1 }}", "13" },
};

static void test_rows(struct script *script)
{
	struct err err = { 0 };
	json_t *input = NULL;
	CHECK(json_read(str_of(values), LIMIT_JSON_BYTES, &input, &err) == 0);
	for (size_t i = 0; i < 2 * sizeof(rows) / sizeof(rows[0]); i++) {
		const struct sample *row = &rows[i / 2]; /* twice: the second time from the cache */
		char *text = NULL;
		err = (struct err){ 0 };
		int status = script_template(script, row->name, str_of(row->source), input,
		                             INT64_C(1795219200000), &text, &err);
		bool ok;
		if (row->want[0] == 'E' && row->want[1] == ':')
			ok = status < 0 && status != ERR_BLOCKED && strstr(err.text, row->want + 2);
		else if (row->want[0] == 'B')
			ok = status == ERR_BLOCKED && strcmp(err.id, row->want + 2) == 0;
		else
			ok = status == 0 && strcmp(text, row->want) == 0;
		CHECK_MSG(ok, "row %zu: %s", i / 2, row->name);
		if (!ok)
			printf("#   got %d '%s' %s\n", status, text ? text : "", err.text);
		free(text);
	}
	json_decref(input);
}

static void test_check(struct script *script)
{
	(void)script;
	struct err err = { 0 };
	CHECK(script_template_check("a.md", STR_LIT("{% if x then %}{{ y }}{% end %}"), &err) == 0);
	CHECK(script_template_check("a.md", STR_LIT("a\n{% if x %}"), &err) == ERR_INPUT);
	CHECK(strstr(err.text, "a.md:2:") != NULL);
	err = (struct err){ 0 };
	CHECK(script_template_check("a.md", STR_LIT("{{ a"), &err) == ERR_INPUT);
}

static void test_render(struct script *script)
{
	(void)script;
	struct session s;
	session_init(&s);
	struct datamodel *dm = s.dm;
	struct err err = { 0 };
	struct chart_data data = { .id = "facts", .expr = expr(&s, "{a = {1}}") };
	CHECK(ops->init_data(dm, &data, NULL, &err) == 0);
	ops->set_now(dm, INT64_C(1795219200000));
	json_t *extra = json_pack("{s:{s:{s:s}}}", "advice", "risk", "level", "low");
	json_t *before = ops->save(dm);
	char *text = NULL;
	static const char source[] = "{% facts.a[1] = 2; facts.b = random(); facts = {a = {9}} %}"
				     "{{ facts.a[1] }} {{ advice.risk.level }} {{ today() }}";
	CHECK(ops->render(dm, "r.txt", str_of(source), extra, &text, &err) == 0);
	CHECK_STR(text, "9 low 2026-11-21");
	json_t *after = ops->save(dm);
	CHECK(json_equal(before, after)); /* the run's data and its random numbers are untouched */
	free(text);
	json_decref(before);
	json_decref(after);
	json_decref(extra);
	session_release(&s);
}

/* More templates than the cache holds. */
static void test_cache(struct script *script)
{
	bool ok = true;
	json_t *none = json_object();
	for (int i = 0; i < 200; i++) {
		char source[32], want[32], *text = NULL;
		struct err err = { 0 };
		snprintf(source, sizeof(source), "{{ %d + 1 }}", i);
		snprintf(want, sizeof(want), "%d", i + 1);
		ok &= script_template(script, "a.txt", str_of(source), none, 0, &text, &err) == 0;
		ok &= text && strcmp(text, want) == 0;
		free(text);
	}
	json_decref(none);
	CHECK(ok);
}

int main(void)
{
	int64_t clock_ms = 0;
	mem_install();
	static void (*const tests[])(struct script * script) = { test_rows, test_check, test_render,
		                                                 test_cache };
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		struct script *script = new_script(&clock_ms);
		tests[i](script);
		script_free(script);
	}
	return check_done();
}
