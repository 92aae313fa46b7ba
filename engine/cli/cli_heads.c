/* SPDX-License-Identifier: MIT */
/*
 * gangway audit verify --heads FILE: signed heads against the store.  Signature,
 * number and chain of the heads are looked at here; whether the store still has
 * the records that they name is asked of its owner, head by head.
 *
 * gangway audit key: a key to sign them with.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crypto.h"
#include "cli/cli_commands.h"

enum { HEADS_BYTES = 1 << 30, EXIT_INCOMPLETE = 2 };

struct heads {
	struct cli *cli;
	struct crypto_key *key;
	int64_t n, last, records;
	char prev[SHA256_HEX];
	int bad;
	bool is_cut; /* a line that is no head: the file was not written to its end */
};

static void tell(struct heads *heads, int64_t n, const char *what, const json_t *finding)
{
	heads->bad++;
	if (finding)
		printf("head %lld: run number %s, record %lld: %s\n", (long long)n,
		       json_str(finding, "run", "?"), (long long)json_int(finding, "seq", 0),
		       json_str(finding, "text", what));
	else
		printf("head %lld: %s\n", (long long)n, what);
}

static size_t unhex(const char *text, unsigned char *ret, size_t size)
{
	size_t len = 0;
	unsigned int byte;
	for (; len < size && sscanf(text + 2 * len, "%2x", &byte) == 1; len++)
		ret[len] = (unsigned char)byte;
	return len;
}

static bool is_signed(const struct heads *heads, const char *text, const json_t *line)
{
	unsigned char sig[64];
	size_t len = unhex(json_str(line, "sig", ""), sig, sizeof(sig));
	return crypto_verify(heads->key, CRYPTO_EDDSA, str_of(text),
	                     (struct str){ (const char *)sig, len });
}

/* Does the store have what the head names?  Negative: it could not be asked. */
static int compare(struct heads *heads, int64_t n, const json_t *head)
{
	struct err err = { 0 };
	json_t *last, *request = json_pack("{s:s,s:O}", "op", "audit.head", "head", head);
	int status = cli_ask(heads->cli, request, NULL, NULL, &last, &err);
	json_decref(request);
	if (status < 0)
		return -cli_fail(heads->cli, &err);
	const json_t *findings = json_at(last, "findings");
	if (!findings)
		status = -cli_fail_json(heads->cli, json_at(last, "error"));
	for (size_t i = 0; i < json_array_size(findings); i++)
		tell(heads, n, "", json_array_get(findings, i));
	heads->last = json_int(last, "newest", 0);
	json_decref(last);
	return status;
}

static int look_at(struct heads *heads, const char *text)
{
	json_t *line = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	const json_t *head = json_at(line, "head");
	if (!json_is_object(head)) {
		json_decref(line);
		heads->is_cut = true;
		return 0;
	}
	int64_t n = json_int(head, "n", 0);
	char *bytes = json_canon(head), hash[SHA256_HEX];
	crypto_sha256_hex(str_of(bytes), hash);
	if (!is_signed(heads, bytes, line))
		tell(heads, n, "the signature is not that of the key", NULL);
	if (n != heads->n + 1)
		tell(heads, n, "the head before it is missing", NULL);
	else if (strcmp(json_str(head, "prev", ""), heads->prev) != 0)
		tell(heads, n, "it does not continue the head before it", NULL);
	int status = compare(heads, n, head);
	heads->n = n;
	heads->records += json_int(head, "records", 0);
	memcpy(heads->prev, hash, sizeof(hash));
	free(bytes);
	json_decref(line);
	return status;
}

static int read_lines(struct heads *heads, const char *path, struct err *err)
{
	FILE *file = fopen(path, "rbe");
	char *line = NULL;
	size_t size = 0;
	int status = 0;
	if (!file)
		return err_set(err, errno == ENOENT ? ERR_ABSENT : ERR_SYSTEM, "%s: %s", path,
		               strerror(errno));
	while (status == 0 && !heads->is_cut && getline(&line, &size, file) > 0)
		status = look_at(heads, line);
	free(line);
	fclose(file);
	return status;
}

/* Of --key, private or public; else the configuration's. */
static int read_key(struct cli *cli, struct crypto_key **ret, struct err *err)
{
	const char *path = cli_option(cli, "key");
	struct buf pem;
	if (!path && cli_config(cli, err) < 0)
		return err->code;
	if (!path && !cli->config.audit_key) {
		err_set(err, ERR_INPUT, "which key signed them?  Give --key FILE");
		return err_hint(err, "the public one is enough; audit.key of the configuration "
		                     "is taken otherwise");
	}
	if (!path)
		return crypto_key_read(str_of(cli->config.audit_key), ret, err);
	buf_init(&pem, 1 << 16);
	char chunk[4096];
	FILE *file = fopen(path, "rbe");
	size_t got;
	int status = file ? 0 : err_set(err, ERR_ABSENT, "%s: %s", path, strerror(errno));
	while (status == 0 && (got = fread(chunk, 1, sizeof(chunk), file)) > 0)
		status = buf_add(&pem, chunk, got, err);
	if (file)
		fclose(file);
	if (status == 0)
		status = crypto_key_read(buf_str(&pem), ret, err);
	buf_release(&pem);
	return status;
}

int audit_verify_heads(struct cli *cli, const char *path)
{
	struct heads heads = { .cli = cli };
	struct err err = { 0 };
	memset(heads.prev, '0', sizeof(heads.prev) - 1);
	if (read_key(cli, &heads.key, &err) < 0)
		return cli_fail(cli, &err);
	int status = read_lines(&heads, path, &err);
	crypto_key_free(heads.key);
	if (err.code < 0)
		return cli_fail(cli, &err);
	if (status < 0)
		return -status;
	if (heads.bad > 0) {
		printf("%lld heads, NOT as they were signed\n", (long long)heads.n);
		return EXIT_NO;
	}
	if (heads.is_cut || heads.n < heads.last || heads.n == 0) {
		printf("%lld heads hold, and more were made: the store knows %lld\n",
		       (long long)heads.n, (long long)heads.last);
		return EXIT_INCOMPLETE;
	}
	printf("%lld heads over %lld records: the store has all of them as they were signed\n",
	       (long long)heads.n, (long long)heads.records);
	return 0;
}

/* --- the key ---------------------------------------------------------------------------------- */

static int audit_key(struct cli *cli)
{
	const char *path = cli->args[0];
	struct err err = { 0 };
	struct crypto_key *key;
	char *pem = crypto_key_new();
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	bool is_written = fd >= 0 && write(fd, pem, strlen(pem)) == (ssize_t)strlen(pem) &&
	                  fsync(fd) == 0;
	int status = is_written ? crypto_key_read(str_of(pem), &key, &err)
	                        : err_set(&err, errno == EEXIST ? ERR_CONFLICT : ERR_SYSTEM,
	                                  "%s: %s", path, strerror(errno));
	explicit_bzero(pem, strlen(pem));
	free(pem);
	if (fd >= 0)
		close(fd);
	if (status < 0)
		return cli_fail(cli, &err);
	char *public = crypto_key_public(key);
	printf("%s", public);
	fprintf(stderr,
	        "%s signs the heads: audit = { key = \"file:%s\", heads = \"...\" }; keep what was "
	        "printed where heads are verified\n",
	        path, path);
	free(public);
	crypto_key_free(key);
	return 0;
}

static const char *const no_options[] = { NULL };

const struct command command_audit_key = {
	"audit",
	"key",
	"FILE",
	1,
	1,
	no_options,
	"make a key (Ed25519) that signs heads; prints its public half",
	"The file is new, and readable by its owner only.",
	"gangway audit key secrets/audit.pem > audit.pub",
	audit_key
};
