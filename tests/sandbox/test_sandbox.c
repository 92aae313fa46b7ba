/* SPDX-License-Identifier: MIT */
/*
 * The parts of the sandbox that need no socket: NetSuite's signature against
 * known vectors, the little SELECT, answers that fit a schema, mails, names.
 */
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "base/mem.h"
#include "check.h"
#include "sandbox/sandbox.h"
#include "sandbox/sandbox_llm.h"
#include "sandbox/sandbox_mime.h"
#include "sandbox/sandbox_netsuite.h"
#include "sandbox/sandbox_soql.h"
#include "test_keys.h"

static json_t *json_of(const char *text)
{
	json_t *value = NULL;
	struct err err = { 0 };
	if (json_read(str_of(text), 1 << 20, &value, &err) < 0)
		CHECK_MSG(false, "%s in %s", err.text, text);
	return value;
}

static bool equals(const json_t *value, const char *text)
{
	json_t *want = json_of(text);
	char *got = json_canon(value);
	bool same = json_equal(value, want) == 1;
	CHECK_MSG(same, "%s is %s", got, text);
	free(got);
	json_decref(want);
	return same;
}

/* --- the signature ---------------------------------------------------------------- */

static void check_signature(const char *method, const char *url, const char *want)
{
	static const char *const given[][2] = { { "oauth_consumer_key", "ACMECK" },
		                                { "oauth_token", "ACMETK" },
		                                { "oauth_nonce", "n0nceACME001" },
		                                { "oauth_timestamp", "1700000000" },
		                                { "oauth_signature_method", "HMAC-SHA256" },
		                                { "oauth_version", "1.0" },
		                                { "realm", "1234567_SB1" } };
	struct pairs oauth = { 0 };
	for (size_t i = 0; i < sizeof(given) / sizeof(*given); i++)
		pairs_add(&oauth, str_of(given[i][0]), str_of(given[i][1]));
	char *got = netsuite_signature_new(method, url, &oauth, "acme cs+1", "acme/ts=2");
	CHECK_STR(got, want);
	free(got);
	pairs_release(&oauth);
}

static void test_signature(void)
{
	check_signature(
		"GET",
		"https://1234567-sb1.suitetalk.api.netsuite.com/services/rest/record/v1/invoice/"
		"1215?fields=tranId,status&expandSubResources=true",
		"8ra7GLyt6QCfnAD7aywk8NppsMzmvziSVCb0J2ue0H8=");
	check_signature("POST",
	                "http://127.0.0.1:8080/services/rest/query/v1/suiteql?limit=10&offset=0",
	                "lbeki1XgNiYrqi35X+GfPaWuqg3H6Ztk93+TVRSKP90=");
	/* Encoded in the URL or not, host in capitals, the default port: the same signature. */
	check_signature(
		"GET",
		"HTTPS://1234567-SB1.suitetalk.api.netsuite.com:443/services/rest/record/v1/"
		"invoice/1215?expandSubResources=true&fields=tranId%2Cstatus",
		"8ra7GLyt6QCfnAD7aywk8NppsMzmvziSVCb0J2ue0H8=");
}

/* --- SELECT ----------------------------------------------------------------------- */

static json_t *value_new(void *ctx, const json_t *row, const struct soql_expr *expr)
{
	(void)ctx;
	json_t *value = json_at(row, expr->text);
	return value ? json_incref(value) : json_null();
}

static json_t *inner_new(void *ctx, const struct soql_query *inner)
{
	(void)ctx;
	(void)inner;
	return json_of("[\"x\"]");
}

/* The n of the rows that a condition and an order leave, as a list. */
static void check_select(enum soql_dialect dialect, const char *rest, const char *want)
{
	struct arena arena;
	struct err err = { 0 };
	struct soql_query *query = NULL;
	struct soql_reader reader = { NULL, value_new, inner_new, NULL };
	json_t *rows = json_of("[{\"n\":1,\"a\":\"x\",\"b\":true,\"i\":\"001xx000003DGb1AAG\"},"
	                       "{\"n\":2,\"a\":\"X%y\",\"b\":false},{\"n\":3,\"a\":\"it's\"},"
	                       "{\"n\":4,\"a\":null},{\"n\":10,\"a\":\"z\"}]");
	char *text = mem_format("SELECT n FROM t %s", rest);
	arena_init(&arena);
	if (CHECK_MSG(soql_parse(dialect, text, 1768473000, &arena, &query, &err) == 0, "%s: %s",
	              text, err.text)) {
		json_t *found = soql_select_new(query, rows, &reader), *numbers = json_array();
		for (size_t i = 0; i < json_array_size(found); i++)
			json_push(numbers, json_incref(json_at(json_array_get(found, i), "n")));
		char *got = json_canon(numbers);
		CHECK_MSG(strcmp(got, want) == 0, "%s gives %s, not %s", rest, want, got);
		free(got);
		json_decref(found);
		json_decref(numbers);
	}
	arena_release(&arena);
	free(text);
	json_decref(rows);
}

static void check_refused(enum soql_dialect dialect, const char *text, const char *want)
{
	struct arena arena;
	struct err err = { 0 };
	struct soql_query *query = NULL;
	arena_init(&arena);
	CHECK_MSG(soql_parse(dialect, text, 1768473000, &arena, &query, &err) == ERR_INPUT &&
	                  strstr(err.text, want),
	          "%.60s is refused with '%s': %s", text, want, err.text);
	arena_release(&arena);
}

/* With a key the signature counts; without one the shape does. */
static void test_assertion(void)
{
	/* {"alg":"RS256"} . {"iss":"acme"} */
	static const char text[] = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJhY21lIn0";
	struct crypto_key *own = NULL;
	struct sandbox box = { 0 };
	struct err err = { 0 };
	struct buf jwt, signature;
	buf_init(&jwt, 4096);
	buf_init(&signature, 4096);
	CHECK(crypto_key_read(STR_LIT(TEST_RSA_KEY), &own, &err) == 0 &&
	      crypto_key_read(STR_LIT(TEST_RSA_PUBLIC), &box.jwt_key, &err) == 0 &&
	      crypto_sign(own, CRYPTO_RS256, str_of(text), &signature, &err) == 0);
	buf_put(&jwt, text);
	buf_put(&jwt, ".");
	crypto_base64url_put(buf_str(&signature), &jwt);
	json_t *header = NULL, *claims = token_claims_new(&box, jwt.bytes, &header);
	CHECK_STR(json_str(claims, "iss", ""), "acme");
	json_decref(claims);
	json_decref(header);
	char *forged = mem_format("%s.c2ln", text);
	CHECK(token_claims_new(&box, forged, &header) == NULL);
	crypto_key_free(box.jwt_key);
	box.jwt_key = NULL;
	claims = token_claims_new(&box, forged, &header);
	CHECK_MSG(claims != NULL, "without a key the shape is enough");
	json_decref(claims);
	json_decref(header);
	crypto_key_free(own);
	buf_release(&jwt);
	buf_release(&signature);
	free(forged);
}

static void test_select(void)
{
	check_select(DIALECT_SOQL, "WHERE a = 'X'", "[1]");
	check_select(DIALECT_SUITEQL, "WHERE a = 'X'", "[]");
	check_select(DIALECT_SOQL, "WHERE a = 'it\\'s'", "[3]");
	check_select(DIALECT_SUITEQL, "WHERE a = 'it''s'", "[3]");
	check_select(DIALECT_SOQL, "WHERE a = null", "[4]");
	check_select(DIALECT_SUITEQL, "WHERE a = NULL", "[]");
	check_select(DIALECT_SUITEQL, "WHERE a IS NULL", "[4]");
	check_select(DIALECT_SUITEQL, "WHERE NOT a = 'x'", "[2,3,10]");
	check_select(DIALECT_SUITEQL, "WHERE a IS NOT NULL AND n < 3", "[1,2]");
	check_select(DIALECT_SOQL, "WHERE a LIKE 'x%'", "[1,2]");
	check_select(DIALECT_SOQL, "WHERE a LIKE 'x\\%_'", "[2]");
	check_select(DIALECT_SOQL, "WHERE n IN (1, 10) AND (NOT n = 1)", "[10]");
	check_select(DIALECT_SOQL, "WHERE a IN (SELECT Id FROM u)", "[1]");
	check_select(DIALECT_SOQL, "WHERE n NOT IN (1,2,3)", "[4,10]");
	check_select(DIALECT_SOQL, "WHERE i = '001xx000003DGb1'", "[1]");
	check_select(DIALECT_SOQL, "WHERE i = '001xx000003dgb1'", "[]");
	check_select(DIALECT_SOQL, "WHERE b = true", "[1]");
	check_select(DIALECT_SOQL, "ORDER BY n DESC", "[10,4,3,2,1]");
	check_select(DIALECT_SOQL, "WHERE n > 2 ORDER BY a", "[4,3,10]");
	check_select(DIALECT_SUITEQL, "WHERE n > 2 ORDER BY a", "[3,10,4]");
	check_select(DIALECT_SOQL, "WHERE (a = 'x' AND b = true) OR n = 10", "[1,10]");
	check_refused(DIALECT_SOQL, "SELECT a FROM t WHERE a = 'x' AND b = true OR n = 1", "OR");
	check_refused(DIALECT_SOQL, "SELECT a FROM t WHERE a = 'x\\q'", "illegal character");
	check_refused(DIALECT_SOQL, "SELECT a FROM t WHERE a = 'x", "<EOF>");
	check_refused(DIALECT_SOQL, "SELECT a FROM t WHERE 'x' = a", "x");
	check_refused(DIALECT_SOQL, "SELECT a FROM t; DROP TABLE t", ";");
	check_refused(DIALECT_SOQL, "SELECT a FROM t WHERE (((((((((((((((((((((((((((((((((((",
	              "(");
	check_refused(DIALECT_SUITEQL, "SELECT a FROM t JOIN u ON t.id = u.id", "JOIN");
	check_refused(DIALECT_SUITEQL, "", "<EOF>");
}

/* --- answers ---------------------------------------------------------------------- */

static void check_answer(const char *schema_text, const char *hint_text, const char *want)
{
	json_t *schema = json_of(schema_text), *hint = hint_text ? json_of(hint_text) : NULL;
	json_t *value = llm_value_new(schema, hint, "question");
	equals(value, want);
	json_decref(value);
	json_decref(hint);
	json_decref(schema);
}

static void test_answers(void)
{
	const char *object =
		"{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"integer\",\"minimum\":3,"
		"\"maximum\":5},\"s\":{\"type\":\"string\",\"maxLength\":3},"
		"\"e\":{\"enum\":[\"a\"]}}}";
	check_answer(object, NULL, "{\"n\":3,\"s\":\"The\",\"e\":\"a\"}");
	check_answer(object, "{\"n\":4,\"s\":\"abc\",\"e\":\"b\",\"x\":1}",
	             "{\"n\":4,\"s\":\"abc\",\"e\":\"a\"}");
	check_answer(object, "{\"n\":9,\"s\":\"abcd\"}", "{\"n\":3,\"s\":\"The\",\"e\":\"a\"}");
	check_answer("{\"type\":[\"string\",\"null\"]}", "null", "null");
	check_answer("{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"maxItems\":2}",
	             "[7,8,9]", "[7,8]");
	check_answer("{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}", "[]", "[]");
	check_answer("{\"anyOf\":[{\"type\":\"null\"},{\"type\":\"integer\"}]}", "6", "6");
	check_answer("{\"const\":\"c\"}", "\"d\"", "\"c\"");
	check_answer("{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"type\":\"boolean\"}}}", "true",
	             "true");
	char fault[300];
	json_t *schema = json_of(
		"{\"type\":\"object\",\"properties\":{\"a\":{}},\"additionalProperties\":false}");
	CHECK(!llm_schema_is_strict(schema, fault) && strstr(fault, "'a'"));
	json_decref(schema);
	/* A schema that refers to itself, and one that asks for too much, both come to an end. */
	schema = json_of("{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#/$defs/"
	                 "a\"}},\"$defs\":{\"a\":"
	                 "{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#/$defs/a\"}}}}}");
	json_t *value = llm_value_new(schema, NULL, "question");
	CHECK(json_is_object(value));
	json_decref(value);
	json_decref(schema);
}

/* --- mails ------------------------------------------------------------------------ */

static void test_mail(void)
{
	json_t *mail =
		mime_mail_new(STR_LIT("Subject: =?utf-8?q?a_=C3=A9?=\r\n =?utf-8?b?IGI=?= c\r\n"
	                              "X: 1\r\nX: 2\r\nContent-Type: text/html\r\n\r\nbody\r\n"));
	equals(mail, "{\"headers\":{\"Subject\":\"a é b "
	             "c\",\"X\":[\"1\",\"2\"],\"Content-Type\":\"text/html\"},"
	             "\"subject\":\"a é b "
	             "c\",\"parts\":[{\"content_type\":\"text/html\",\"body\":\"body\\r\\n\"}],"
	             "\"html\":\"body\\r\\n\"}");
	json_decref(mail);
	static const char *const odd[] = {
		"",
		"\r\n",
		":",
		"a",
		"Content-Type: multipart/x; boundary=\"\"\r\n\r\n--",
		"Content-Type: multipart/x; boundary=b\r\n\r\n--b\r\n--b--",
		"Subject: =?utf-8?q?=4?=\r\n\r\n",
		"Subject: =?x\r\n =?y?b?*?=\r\n\r\n",
		"Content-Transfer-Encoding: base64\r\n\r\n***"
	};
	for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
		mail = mime_mail_new(str_of(odd[i]));
		CHECK_MSG(json_is_array(json_at(mail, "parts")), "odd mail %zu is read", i);
		json_decref(mail);
	}
}

/* --- names ------------------------------------------------------------------------ */

static void check_decode(const char *text, const char *want)
{
	struct buf out;
	buf_init(&out, 1000);
	bool ok = url_decode(str_of(text), true, &out);
	CHECK_MSG(ok == (want != NULL) && (!want || strcmp(buf_str(&out).ptr, want) == 0),
	          "decoding %s", text);
	buf_release(&out);
}

static void test_names(void)
{
	struct parts parts;
	check_decode("a%20b+c%C3%a9", "a b cé");
	check_decode("%0a%2F%00", NULL);
	check_decode("%", NULL);
	check_decode("%2", NULL);
	check_decode("%zz", NULL);
	check_decode("100%41", "100A");
	CHECK(path_match("/a/b%2Fc/d", "/a/{}/d", &parts) && strcmp(parts.at[0], "b/c") == 0);
	CHECK(path_match("/v60.0/x/", "/v{}/x", &parts) && strcmp(parts.at[0], "60.0") == 0);
	CHECK(!path_match("/a/b/c/d", "/a/{}/d", &parts));
	CHECK(!path_match("/a//d", "/a/{}/d", &parts));
	char id[19] = "0015g00000Ac001";
	salesforce_id_close(id);
	CHECK_STR(id, "0015g00000Ac001AAB");
	char known[19] = "001xx000003DGb1";
	salesforce_id_close(known);
	CHECK_STR(known, "001xx000003DGb1AAG");
}

int main(void)
{
	mem_install();
	test_signature();
	test_assertion();
	test_select();
	test_answers();
	test_mail();
	test_names();
	return check_done();
}
