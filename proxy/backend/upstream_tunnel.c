/*
 * A request that has switched protocols. libcurl goes on with it as an upload
 * and a download, both without an end; only that the backend has hung up, it
 * would not tell before our side is at its end as well. So the socket is
 * watched once more, for that alone, and then our side is.
 */
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "proxy/backend/upstream_private.h"
#include "proxy/base/err.h"

static void
on_hang_up(struct io *io, uint32_t events)
{
	struct upstream_request *r =
	    container_of(io, struct upstream_request, hang_up);

	if (io->fd < 0 || (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) == 0)
		return;
	r->hung_up = true;
	upstream_resume(r);
}

int
tunnel_open(struct upstream_request *r)
{
	int fd = r->sockets[0] >= 0 ? r->sockets[0] : r->sockets[1];

	fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return SW_EIO;
	r->hang_up = (struct io){ .fd = fd, .ready = on_hang_up };
	if (loop_add(r->upstream->worker->loop, &r->hang_up,
		EPOLLRDHUP | EPOLLET) == SW_OK)
		return SW_OK;
	close(fd);
	r->hang_up.fd = -1;
	return SW_EIO;
}

void
tunnel_close(struct upstream_request *r)
{
	if (r->hang_up.fd < 0)
		return;
	loop_remove(r->upstream->worker->loop, &r->hang_up);
	close(r->hang_up.fd);
	r->hang_up.fd = -1;
}
