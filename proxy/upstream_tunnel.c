/*
 * A request that has switched protocols. libcurl goes on with it as an upload
 * and a download, both without an end; only that the backend has hung up, it
 * would not tell before our side is at its end as well. So the socket is
 * watched once more, for that alone, and then our side is.
 */
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "proxy/base/err.h"
#include "proxy/upstream_private.h"

/*
 * libcurl says which socket it uses only when a transfer is over. It may try
 * two at a time, one of each family, and closes the one that comes second.
 */
static int
on_open(void *ctx, curl_socket_t fd, curlsocktype purpose)
{
	struct upstream_request *r = ctx;

	(void)purpose;
	r->sockets[r->sockets[0] >= 0] = fd;
	return CURL_SOCKOPT_OK;
}

static int
on_close(void *ctx, curl_socket_t fd)
{
	struct upstream_request *r = ctx;

	for (size_t i = 0; i < 2; i++)
		if (r->sockets[i] == fd)
			r->sockets[i] = -1;
	return close(fd);
}

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

bool
tunnel_prepare(struct upstream_request *r)
{
	CURL *e = r->easy;

	r->sockets[0] = r->sockets[1] = -1;
	/* The connection is the tunnel's, from its beginning to its end. */
	return curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, 1L) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_FORBID_REUSE, 1L) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_SOCKOPTFUNCTION, on_open) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_SOCKOPTDATA, r) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_CLOSESOCKETFUNCTION, on_close) ==
	    CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_CLOSESOCKETDATA, r) == CURLE_OK;
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
