#include "proxy/systemd.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "proxy/base/err.h"
#include "proxy/base/str.h"

enum { FIRST_FD = 3 };

/* A decimal number in the environment; 0 if there is none up to `max`. */
static uint64_t
env_number(const char *name, uint64_t max)
{
	const char *text = getenv(name);
	uint64_t value;

	return text != NULL && str_to_u64(&value, str_of(text), max) == SW_OK ?
	    value :
	    0;
}

/* Is it a name that says what a socket is for? */
static bool
is_purpose(struct str name)
{
	static const char *const purposes[] = { "public", "tls", "redirect",
		"api", "api-tls" };

	for (size_t i = 0; i < sizeof(purposes) / sizeof(purposes[0]); i++)
		if (str_is(name, purposes[i]))
			return true;
	return false;
}

size_t
systemd_sockets(const char *name, int fds[SYSTEMD_SOCKETS_MAX])
{
	const char *names = getenv("LISTEN_FDNAMES");
	struct str rest = str_of(names), one;
	uint64_t count = env_number("LISTEN_FDS", INT32_MAX);
	size_t n = 0;

	if (env_number("LISTEN_PID", INT32_MAX) != (uint64_t)getpid())
		return 0;
	for (uint64_t i = 0; i < count; i++) {
		int fd = FIRST_FD + (int)i;

		/* Without a name of its own it has the unit's. */
		if (!str_cut(&rest, ':', &one) || !is_purpose(one))
			one = STR("public");
		if (!str_is(one, name))
			continue;
		fcntl(fd, F_SETFD, FD_CLOEXEC);
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
		if (n < SYSTEMD_SOCKETS_MAX)
			fds[n] = fd;
		n++;
	}
	return n;
}

uint64_t
systemd_watchdog_ms(void)
{
	uint64_t pid = env_number("WATCHDOG_PID", INT32_MAX);

	return pid == 0 || pid == (uint64_t)getpid() ?
	    env_number("WATCHDOG_USEC", INT64_MAX) / 1000 :
	    0;
}

void
systemd_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	char text[256];
	struct timespec now;
	size_t len;
	int fd;

	if (path == NULL || (path[0] != '/' && path[0] != '@') ||
	    strlen(path) >= sizeof(sa.sun_path))
		return;
	len = strlen(path);
	memcpy(sa.sun_path, path, len);
	if (path[0] == '@')
		sa.sun_path[0] = '\0'; /* an abstract one */
	/* A reload is told with the time at which it began. */
	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(text, sizeof(text), "%s\nMONOTONIC_USEC=%lld", state,
	    (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	/* Nothing depends on it. */
	(void)!sendto(fd, text, strlen(text), MSG_NOSIGNAL,
	    (struct sockaddr *)&sa,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
	close(fd);
}
