/* SPDX-License-Identifier: MIT */
/*
 * References to secrets: "env:NAME" and "file:PATH".  A secret never stands in
 * the configuration itself, its file is the owner's alone (a group may read it,
 * nobody else), and what is read here is zeroed before its memory is given back.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "wire/wire_int.h"

bool wire_secret_is_reference(const char *text)
{
	return str_begins(text, "env:") || str_begins(text, "file:");
}

void wire_secret_free(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

static int read_env(const char *name, char **ret, struct err *err)
{
	const char *value = getenv(name);
	if (!value || *value == '\0') {
		err_set(err, ERR_ABSENT, "the environment variable %s is %s", name,
		        value ? "empty" : "not set");
		return err_hint(err, "export %s=... before starting gangway", name);
	}
	*ret = mem_dup_str(value);
	return 0;
}

static int read_open(int fd, const char *path, char **ret, struct err *err)
{
	struct stat stat;
	if (fstat(fd, &stat) < 0 || !S_ISREG(stat.st_mode))
		return err_set(err, ERR_INPUT, "%s is no regular file", path);
	if (stat.st_mode & (S_IROTH | S_IWOTH | S_IXOTH | S_IWGRP)) {
		err_set(err, ERR_INPUT, "the secret file %s has mode %04o: others may use it", path,
		        (unsigned int)stat.st_mode & 07777);
		return err_hint(err, "chmod 0600 %s", path);
	}
	char bytes[LIMIT_SECRET_BYTES + 1];
	size_t len = 0;
	ssize_t got;
	while (len < sizeof(bytes) && (got = read(fd, bytes + len, sizeof(bytes) - len)) > 0)
		len += (size_t)got;
	int status = 0;
	if (len > LIMIT_SECRET_BYTES)
		status = err_set(err, ERR_LIMIT, "%s is longer than %d bytes (LIMIT_SECRET_BYTES)",
		                 path, LIMIT_SECRET_BYTES);
	while (len > 0 && (bytes[len - 1] == '\n' || bytes[len - 1] == '\r'))
		len--;
	if (status == 0 && len == 0)
		status = err_set(err, ERR_ABSENT, "the secret file %s is empty", path);
	if (status == 0 && memchr(bytes, '\0', len))
		status = err_set(err, ERR_INPUT, "the secret file %s contains a NUL byte", path);
	if (status == 0)
		*ret = mem_dup(bytes, len);
	explicit_bzero(bytes, sizeof(bytes));
	return status;
}

static int read_file(const char *path, char **ret, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return err_set(err, errno == ENOENT ? ERR_ABSENT : ERR_SYSTEM, "%s: %s", path,
		               strerror(errno));
	int status = read_open(fd, path, ret, err);
	close(fd);
	return status;
}

int wire_secret_read_lines(const char *reference, char **ret, struct err *err)
{
	return str_begins(reference, "env:") ? read_env(reference + 4, ret, err)
	                                     : read_file(reference + strlen("file:"), ret, err);
}

int wire_secret_read(const char *reference, char **ret, struct err *err)
{
	char *secret = NULL;
	int status = wire_secret_read_lines(reference, &secret, err);
	if (status == 0 && !wire_header_is_safe(secret))
		status = err_set(err, ERR_INPUT, "%s contains a control character", reference);
	if (status < 0) {
		wire_secret_free(secret);
		return err->code;
	}
	*ret = secret;
	return 0;
}
