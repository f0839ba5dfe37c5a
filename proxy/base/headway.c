#include "proxy/base/headway.h"

#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* Two system calls are too much for each piece. */
enum { LOOK_MS = 1000 };

static void
set(int fd, int level, int option, int value)
{
	setsockopt(fd, level, option, &value, sizeof(value));
}

void
headway_probe(int fd, uint64_t silence_ms)
{
	int idle = (int)(silence_ms / 1000), probes = 3;

	set(fd, SOL_SOCKET, SO_KEEPALIVE, idle > 0);
	if (idle == 0)
		return;
	set(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle);
	set(fd, IPPROTO_TCP, TCP_KEEPINTVL, (idle + probes - 1) / probes);
	set(fd, IPPROTO_TCP, TCP_KEEPCNT, probes);
}

size_t
headway_untaken(int fd)
{
	int n = 0;

	return ioctl(fd, SIOCOUTQ, &n) == 0 ? (size_t)n : 0;
}

bool
headway_is_made(int fd, uint32_t *taken)
{
	uint32_t before = *taken;
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
		return true;
	*taken = (uint32_t)info.tcpi_bytes_acked;
	return *taken != before || headway_untaken(fd) == 0;
}

void
headway_begin(struct headway *h, uint64_t lived_ms)
{
	*h = (struct headway){ .looked_ms = lived_ms, .made_ms = lived_ms };
}

uint64_t
headway_missing_ms(struct headway *h, int fd, uint64_t lived_ms)
{
	if (lived_ms < h->looked_ms + LOOK_MS)
		return 0;
	h->looked_ms = lived_ms;
	if (headway_is_made(fd, &h->taken))
		h->made_ms = lived_ms;
	return lived_ms - h->made_ms;
}
