/* SPDX-License-Identifier: MIT */
/*
 * Scenario files: one per account, plain data, read again when they change.
 *
 * A file names its account once, in account_id; everything that links the
 * systems' records to the account follows from it.  So a copied file needs only
 * another account_id: a record id that another file uses already is replaced,
 * everywhere in the newcomer, by one made from its account_id.  A file that
 * cannot be used changes nothing: what it said before stays in force, and
 * /_sandbox/health says why.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/crypto.h"
#include "base/mem.h"
#include "base/vec.h"
#include "sandbox/sandbox.h"

static const char *const salesforce_kinds[][2] = { { "account", "accounts" },
	                                           { "opportunity", "opportunities" },
	                                           { "user", "users" },
	                                           { "contract", "contracts" } };

/* --- dates relative to today ---------------------------------------------------- */

/* "+30d", "-25d", "today", each also with a time of day behind it ("-10dT15:30:00Z"). */
static bool date_text(const char *text, int64_t day, char ret[64])
{
	long days = 0;
	const char *rest = text;
	if (str_begins(text, "today")) {
		rest += 5;
	} else if ((*text == '+' || *text == '-') && isdigit((unsigned char)text[1])) {
		char *end;
		days = strtol(text, &end, 10);
		if (*end != 'd' || days > 100000 || days < -100000)
			return false;
		rest = end + 1;
	} else {
		return false;
	}
	if ((*rest && *rest != 'T') || strlen(rest) > 40)
		return false;
	time_t at = (time_t)((day + days) * 86400);
	struct tm parts;
	char date[16];
	if (!gmtime_r(&at, &parts) || strftime(date, sizeof(date), "%Y-%m-%d", &parts) == 0)
		return false;
	snprintf(ret, 64, "%s%s", date, rest);
	return true;
}

static json_t *resolved_new(const json_t *value, int64_t day)
{
	const char *key;
	json_t *member, *copy;
	size_t i;
	char text[64];
	if (json_is_object(value)) {
		copy = json_object();
		json_object_foreach((json_t *)(uintptr_t)value, key, member)
			json_put(copy, key, resolved_new(member, day));
		return copy;
	}
	if (json_is_array(value)) {
		copy = json_array();
		json_array_foreach(value, i, member)
			json_push(copy, resolved_new(member, day));
		return copy;
	}
	if (json_is_string(value) && date_text(json_string_value(value), day, text))
		return json_string(text);
	return json_deep_copy(value);
}

/* --- ids ------------------------------------------------------------------------ */

static void record_ids(const json_t *records, const char *key, json_t *ids)
{
	for (size_t i = 0; i < json_array_size(records); i++) {
		const char *id = json_str(json_array_get(records, i), key, "");
		if (*id)
			json_put(ids, id, json_true());
	}
}

/* The ids by which records of this account are addressed, as the keys of an object. */
static json_t *ids_new(const struct scenario *scenario)
{
	json_t *ids = json_object();
	for (size_t i = 0; i < sizeof(salesforce_kinds) / sizeof(*salesforce_kinds); i++) {
		json_t *records = scenario_records_new(
			scenario, "salesforce", salesforce_kinds[i][0], salesforce_kinds[i][1]);
		record_ids(records, "Id", ids);
		json_decref(records);
	}
	json_t *contracts = scenario_records_new(scenario, "clm", "contract", "contracts");
	record_ids(contracts, "contract_id", ids);
	record_ids(contracts, "document_id", ids);
	json_decref(contracts);
	return ids;
}

/* The last three characters of an 18-character Salesforce id say which letters are capitals. */
void salesforce_id_close(char id[19])
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
	for (int part = 0; part < 3; part++) {
		unsigned int bits = 0;
		for (int i = 0; i < 5; i++)
			if (isupper((unsigned char)id[part * 5 + i]))
				bits |= 1U << i;
		id[15 + part] = digits[bits];
	}
	id[18] = '\0';
}

bool salesforce_id_is(const char *id)
{
	size_t len = strlen(id);
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)id[i]))
			return false;
	return len == 15 || len == 18;
}

/* An id of the same shape, made from the account and the id that is taken. */
static char *own_id_new(const char *account_id, const char *taken)
{
	static const char base62[] =
		"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	char *seed = mem_format("%s/%s", account_id, taken);
	unsigned char digest[SHA256_BYTES];
	crypto_sha256(str_of(seed), digest);
	free(seed);
	if (salesforce_id_is(taken)) {
		char *id = mem_alloc(19);
		memcpy(id, taken, 3);
		for (int i = 3; i < 15; i++)
			id[i] = base62[digest[i] % 62];
		salesforce_id_close(id);
		return id;
	}
	char *id = mem_dup_str(taken);
	for (size_t i = 0; id[i]; i++) {
		unsigned int byte = digest[i % SHA256_BYTES] ^ (unsigned int)(i / SHA256_BYTES);
		if (isdigit((unsigned char)id[i]))
			id[i] = (char)('1' + byte % 9);
		else if (isxdigit((unsigned char)id[i]))
			id[i] = (char)('a' + byte % 6);
	}
	return id;
}

static void replace_text(json_t *value, const char *from, const char *to)
{
	const char *key;
	json_t *member;
	size_t i;
	if (json_is_string(value) && strcmp(json_string_value(value), from) == 0)
		json_string_set(value, to);
	json_object_foreach(value, key, member)
		replace_text(member, from, to);
	json_array_foreach(value, i, member)
		replace_text(member, from, to);
}

/* Another file's list of ids or invoice ids knows this one. */
static bool is_taken(struct sandbox *box, const struct scenario *own, const char *id)
{
	for (size_t i = 0; i < box->scenarios.len; i++) {
		const struct scenario *other = box->scenarios.at[i];
		if (other != own && other->marks && json_at(other->marks, id))
			return true;
	}
	return false;
}

static char *invoice_mark_new(const json_t *invoice)
{
	const json_t *id = json_at(invoice, "id");
	if (json_is_integer(id))
		return mem_format("invoice/%lld", (long long)json_integer_value(id));
	return json_is_string(id) ? mem_format("invoice/%s", json_string_value(id)) : NULL;
}

/* Every text of the file that names a record: of its own, or of one that was left out of a copy. */
static void texts_put(const json_t *value, json_t *texts)
{
	const char *key;
	json_t *member;
	size_t i;
	if (json_is_string(value))
		json_put(texts, json_string_value(value), json_true());
	json_object_foreach((json_t *)(uintptr_t)value, key, member)
		texts_put(member, texts);
	json_array_foreach(value, i, member)
		texts_put(member, texts);
}

static void own_ids(struct sandbox *box, struct scenario *scenario)
{
	const char *id;
	json_t *member, *texts = json_object();
	texts_put(scenario->data, texts);
	json_object_foreach(texts, id, member) {
		if (scenario_find(box, id) || !is_taken(box, scenario, id))
			continue;
		char *own = own_id_new(scenario->account_id, id);
		replace_text(scenario->data, id, own);
		free(own);
	}
	json_decref(texts);
	json_t *invoices = scenario_records_new(scenario, "netsuite", "invoice", "invoices");
	for (size_t i = 0; i < json_array_size(invoices); i++) {
		json_t *invoice = json_array_get(invoices, i);
		char *mark = invoice_mark_new(invoice);
		if (mark && is_taken(box, scenario, mark)) {
			uint64_t own = hash_text(mark) ^ hash_text(scenario->account_id);
			char text[24];
			snprintf(text, sizeof(text), "%u", 100000000 + (unsigned)(own % 900000000));
			json_put_str(invoice, "id", text);
		}
		free(mark);
	}
	json_decref(invoices);
}

static json_t *marks_new(const struct scenario *scenario)
{
	json_t *marks = ids_new(scenario);
	json_put(marks, scenario->account_id, json_true());
	json_t *invoices = scenario_records_new(scenario, "netsuite", "invoice", "invoices");
	for (size_t i = 0; i < json_array_size(invoices); i++) {
		char *mark = invoice_mark_new(json_array_get(invoices, i));
		if (mark)
			json_put(marks, mark, json_true());
		free(mark);
	}
	json_decref(invoices);
	return marks;
}

/* --- loading -------------------------------------------------------------------- */

static void scenario_free(struct scenario *scenario)
{
	free(scenario->file);
	free(scenario->account_id);
	free(scenario->error);
	json_decref(scenario->raw);
	json_decref(scenario->data);
	json_decref(scenario->marks);
	json_decref(scenario->spent);
	free(scenario);
}

static int64_t today(const struct sandbox *box)
{
	return clock_wall_ms(&box->clock) / 86400000;
}

static void resolve(struct sandbox *box, struct scenario *scenario)
{
	json_decref(scenario->data);
	json_decref(scenario->marks);
	scenario->marks = NULL;
	scenario->day = today(box);
	scenario->data = resolved_new(scenario->raw, scenario->day);
	own_ids(box, scenario);
	scenario->marks = marks_new(scenario);
}

static int check(struct sandbox *box, const struct scenario *scenario, const json_t *raw,
                 struct err *err)
{
	const char *account_id = json_str(raw, "account_id", "");
	if (!json_is_object(raw) || !*account_id)
		return err_set(err, ERR_INPUT, "%s: a scenario is an object with \"account_id\"",
		               scenario->file);
	const struct scenario *other = scenario_find(box, account_id);
	if (other && other != scenario)
		return err_set(err, ERR_CONFLICT, "%s: account %s stands in %s already",
		               scenario->file, account_id, other->file);
	static const char *const known[] = { "account_id", "title", "note",   "salesforce",
		                             "netsuite",   "clm",   "slack",  "llm",
		                             "provision",  "smtp",  "refuse", "faults" };
	const char *key;
	json_t *member;
	json_object_foreach((json_t *)(uintptr_t)raw, key, member) {
		size_t i = 0, count = sizeof(known) / sizeof(*known);
		while (i < count && strcmp(known[i], key) != 0)
			i++;
		const char *near = i < count ? NULL : str_nearest(key, known, count);
		if (i == count)
			return err_set(err, ERR_INPUT, "%s: unknown member \"%s\"%s%s%s",
			               scenario->file, key, near ? " (did you mean \"" : "",
			               near ? near : "", near ? "\"?)" : "");
	}
	return 0;
}

static int load(struct sandbox *box, struct scenario *scenario, struct err *err)
{
	json_t *raw = NULL;
	char *path = mem_format("%s/%s", box->scenarios.dir, scenario->file);
	int status = json_read_file(path, MAX_SCENARIO_BYTES, &raw, err);
	free(path);
	if (status == 0)
		status = check(box, scenario, raw, err);
	free(scenario->error);
	scenario->error = status < 0 ? mem_dup_str(err->text) : NULL;
	if (status < 0) {
		json_decref(raw);
		return status;
	}
	/* Read again in doubt, or only touched: faults that were spent stay spent. */
	if (scenario->raw && json_equal(scenario->raw, raw)) {
		json_decref(raw);
		return 0;
	}
	json_decref(scenario->raw);
	scenario->raw = raw;
	free(scenario->account_id);
	scenario->account_id = mem_dup_str(json_str(raw, "account_id", ""));
	json_decref(scenario->spent);
	scenario->spent = json_object();
	resolve(box, scenario);
	return 0;
}

/* Of a file written to in this moment a later change may show no other time. */
static bool is_unchanged(const struct scenario *scenario, const struct stat *now, int64_t mtime_ns)
{
	enum { CLOCK_TICK_MS = 50 };
	return scenario->mtime_ns == mtime_ns && scenario->size == now->st_size &&
	       scenario->inode == now->st_ino &&
	       scenario->mtime_ns / 1000000 + CLOCK_TICK_MS < scenario->loaded_ms;
}

static struct scenario *find_file(struct sandbox *box, const char *file)
{
	for (size_t i = 0; i < box->scenarios.len; i++)
		if (strcmp(box->scenarios.at[i]->file, file) == 0)
			return box->scenarios.at[i];
	return NULL;
}

static int visit(struct sandbox *box, const char *file, struct err *err)
{
	struct stat now;
	char *path = mem_format("%s/%s", box->scenarios.dir, file);
	int failed = stat(path, &now);
	free(path);
	if (failed || !S_ISREG(now.st_mode))
		return 0;
	int64_t mtime_ns = (int64_t)now.st_mtim.tv_sec * 1000000000 + now.st_mtim.tv_nsec;
	struct scenario *scenario = find_file(box, file);
	if (!scenario) {
		scenario = mem_alloc(sizeof(*scenario));
		scenario->file = mem_dup_str(file);
		*vec_add(&box->scenarios) = scenario;
	} else if (is_unchanged(scenario, &now, mtime_ns)) {
		scenario->seen = true;
		if (scenario->data && scenario->day != today(box))
			resolve(box, scenario);
		return 0;
	}
	scenario->seen = true;
	scenario->mtime_ns = mtime_ns;
	scenario->size = now.st_size;
	scenario->inode = now.st_ino;
	scenario->loaded_ms = clock_wall_ms(&box->clock);
	return load(box, scenario, err);
}

static int is_scenario(const struct dirent *file)
{
	return str_ends(file->d_name, ".json") && file->d_name[0] != '.' && file->d_name[0] != '_';
}

/* Sorted, so that which of two files keeps a shared id does not depend on the disk. */
static int visit_all(struct sandbox *box, struct err *err)
{
	struct dirent **files;
	int count = scandir(box->scenarios.dir, &files, is_scenario, alphasort);
	if (count < 0)
		return err_set(err, ERR_ABSENT, "the scenarios' folder %s: %s", box->scenarios.dir,
		               strerror(errno));
	for (size_t i = 0; i < box->scenarios.len; i++)
		box->scenarios.at[i]->seen = false;
	for (int i = 0; i < count; i++) {
		struct err one = { 0 };
		if (visit(box, files[i]->d_name, &one) < 0)
			err_set(err, one.code, "%s", one.text);
		free(files[i]);
	}
	free(files);
	size_t kept = 0;
	for (size_t i = 0; i < box->scenarios.len; i++) {
		if (box->scenarios.at[i]->seen)
			box->scenarios.at[kept++] = box->scenarios.at[i];
		else
			scenario_free(box->scenarios.at[i]);
	}
	box->scenarios.len = kept;
	return err->code;
}

int scenario_open(struct sandbox *box, const char *dir, struct err *err)
{
	box->scenarios.dir = mem_dup_str(dir);
	return visit_all(box, err);
}

void scenario_refresh(struct sandbox *box)
{
	/* What is wrong stays noted in the scenario; the request is answered from what is known. */
	struct err noted = { 0 };
	(void)visit_all(box, &noted);
}

void scenario_close(struct sandbox *box)
{
	for (size_t i = 0; i < box->scenarios.len; i++)
		scenario_free(box->scenarios.at[i]);
	vec_release(&box->scenarios);
	free(box->scenarios.dir);
	box->scenarios.dir = NULL;
}

/* --- looking up ----------------------------------------------------------------- */

struct scenario *scenario_find(struct sandbox *box, const char *account_id)
{
	for (size_t i = 0; i < box->scenarios.len; i++) {
		struct scenario *scenario = box->scenarios.at[i];
		if (scenario->account_id && strcmp(scenario->account_id, account_id) == 0)
			return scenario;
	}
	return NULL;
}

static bool mentions(struct str text, const char *mark)
{
	size_t len = strlen(mark);
	const char *at = text.ptr, *end = text.ptr + text.len;
	while (at && (at = memmem(at, (size_t)(end - at), mark, len))) {
		bool before = at > text.ptr && isalnum((unsigned char)at[-1]);
		bool after = at + len < end && isalnum((unsigned char)at[len]);
		if (!before && !after)
			return true;
		at++;
	}
	return false;
}

struct scenario *scenario_mentioned(struct sandbox *box, struct str text)
{
	struct scenario *found = NULL;
	size_t found_len = 0;
	const char *mark;
	json_t *member;
	for (size_t i = 0; text.ptr && i < box->scenarios.len; i++) {
		struct scenario *scenario = box->scenarios.at[i];
		if (!scenario->marks)
			continue;
		json_object_foreach(scenario->marks, mark, member) {
			if (strlen(mark) <= found_len || !mentions(text, mark))
				continue;
			found = scenario;
			found_len = strlen(mark);
		}
	}
	return found;
}

static void add_records(json_t *list, json_t *value)
{
	if (json_is_object(value))
		json_array_append(list, value);
	for (size_t i = 0; i < json_array_size(value); i++)
		if (json_is_object(json_array_get(value, i)))
			json_array_append(list, json_array_get(value, i));
}

json_t *scenario_records_new(const struct scenario *scenario, const char *system,
                             const char *singular, const char *plural)
{
	json_t *list = json_array();
	const json_t *part = json_at(scenario->data, system);
	add_records(list, json_at(part, singular));
	add_records(list, json_at(part, plural));
	return list;
}

json_t *scenario_file_new(struct sandbox *box, const char *name)
{
	json_t *value = NULL;
	struct err ignored = { 0 };
	char *path = mem_format("%s/%s", box->scenarios.dir, name);
	if (json_read_file(path, MAX_SCENARIO_BYTES, &value, &ignored) < 0)
		value = NULL;
	free(path);
	return value;
}
