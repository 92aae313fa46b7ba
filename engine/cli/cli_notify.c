/* SPDX-License-Identifier: MIT */
/* What a service manager is told (sd_notify(3)): datagrams to the socket it names. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli_serve.h"

void notify(const char *format, ...)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char text[512];
	va_list args;
	va_start(args, format);
	int len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (!path || (*path != '/' && *path != '@') || strlen(path) >= sizeof(address.sun_path) ||
	    len < 0 || (size_t)len >= sizeof(text))
		return;
	memcpy(address.sun_path, path, strlen(path) + 1);
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	if (*path == '@')
		address.sun_path[0] = '\0'; /* the abstract name space */
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	/* A manager that does not listen changes nothing for us. */
	(void)sendto(fd, text, (size_t)len, MSG_NOSIGNAL, (struct sockaddr *)&address, size);
	close(fd);
}

void notify_reloading(void)
{
	const struct clock clock = clock_system();
	notify("RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_monotonic_ns(&clock) / 1000);
}
