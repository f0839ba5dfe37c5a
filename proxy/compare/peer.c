#include "proxy/compare/peer.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/err.h"

enum { READ_SIZE = 64 << 10, READS_A_TURN = 16 };

static void
end(struct peer *p, const char *why)
{
	peer_close(p);
	p->kind->ended(p, why);
}

static void
watch(struct peer *p)
{
	bool waits = p->state == PEER_CONNECTS ||
	    (p->secure != NULL && secure_waits_to_write(p->secure)) ||
	    (p->state == PEER_OPEN && buf_len(&p->out) > 0);
	uint32_t events = EPOLLIN | (waits ? (uint32_t)EPOLLOUT : 0);

	if (events != p->watched) {
		loop_modify(p->loop, &p->io, events);
		p->watched = events;
	}
}

/* As recv: 0 is the end, SW_EAGAIN not now, SW_EIO broken. */
static ssize_t
receive(struct peer *p, void *out, size_t n)
{
	ssize_t got;

	if (p->secure != NULL)
		return secure_read(p->secure, out, n);
	got = recv(p->io.fd, out, n, 0);
	if (got >= 0)
		return got;
	return errno == EAGAIN || errno == EINTR ? SW_EAGAIN : SW_EIO;
}

static ssize_t
transmit(struct peer *p)
{
	ssize_t sent;

	if (p->secure != NULL)
		return secure_write(
		    p->secure, buf_head(&p->out), buf_len(&p->out));
	sent =
	    send(p->io.fd, buf_head(&p->out), buf_len(&p->out), MSG_NOSIGNAL);
	if (sent >= 0)
		return sent;
	return errno == EAGAIN || errno == EINTR ? SW_EAGAIN : SW_EIO;
}

void
peer_flush(struct peer *p)
{
	if (p->state != PEER_OPEN)
		return;
	while (buf_len(&p->out) > 0) {
		ssize_t sent = transmit(p);

		/* What is broken is noticed by reading from it. */
		if (sent <= 0)
			break;
		buf_drop(&p->out, (size_t)sent);
	}
	buf_release(&p->out);
	watch(p);
}

static void
read_some(struct peer *p)
{
	static uint8_t bytes[READ_SIZE]; /* one thread, one loop */
	uint64_t generation = p->generation;

	/* What TLS has read already, no event would tell of. */
	for (int i = 0; p->secure != NULL || i < READS_A_TURN; i++) {
		ssize_t got = receive(p, bytes, sizeof(bytes));

		if (got == SW_EAGAIN)
			break;
		if (got <= 0) {
			end(p, got == 0 ? "" : strerror(ECONNRESET));
			return;
		}
		p->kind->input(p, bytes, (size_t)got);
		if (p->state != PEER_OPEN || p->generation != generation)
			return;
	}
	watch(p);
}

static void
shake_hands(struct peer *p)
{
	struct buf why;
	int err;

	buf_init(&why, 1 << 10);
	err = secure_handshake(p->secure, &why);
	if (err == SW_OK) {
		p->state = PEER_OPEN;
		watch(p);
		p->kind->opened(p);
	} else if (err == SW_EAGAIN) {
		watch(p);
	} else {
		buf_put(&why, "", 1);
		end(p,
		    buf_error(&why) == SW_OK ? (char *)buf_head(&why) :
					       "no TLS");
	}
	buf_fini(&why);
}

static void
connected(struct peer *p)
{
	socklen_t len = sizeof(int);
	int err = 0, on = 1;

	if (getsockopt(p->io.fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0)
		err = errno;
	if (err != 0) {
		end(p, strerror(err));
		return;
	}
	setsockopt(p->io.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (p->place->secure) {
		if (secure_new(&p->secure, p->context, p->io.fd,
			p->place->host) != SW_OK) {
			end(p, err_info(SW_ENOMEM)->sentence);
			return;
		}
		p->state = PEER_SHAKES_HANDS;
		shake_hands(p);
		return;
	}
	p->state = PEER_OPEN;
	watch(p);
	p->kind->opened(p);
}

static void
ready(struct io *io, uint32_t events)
{
	struct peer *p = container_of(io, struct peer, io);
	uint64_t generation = p->generation;

	if (p->state == PEER_CONNECTS)
		connected(p);
	else if (p->state == PEER_SHAKES_HANDS)
		shake_hands(p);
	else if (p->state == PEER_OPEN && (events & EPOLLOUT) != 0)
		peer_flush(p);
	if (p->state == PEER_OPEN && p->generation == generation)
		read_some(p);
}

void
peer_init(struct peer *p, struct loop *l, const struct peer_kind *kind,
    const struct place *place, struct secure_context *context)
{
	*p = (struct peer){ .io = { .fd = -1, .ready = ready },
		.kind = kind,
		.loop = l,
		.place = place,
		.context = context };
	buf_init(&p->out, PEER_OUT_MAX);
}

void
peer_fini(struct peer *p)
{
	peer_close(p);
	buf_fini(&p->out);
}

int
peer_open(struct peer *p)
{
	const struct sockaddr *to = (const struct sockaddr *)&p->place->addr;
	int fd = socket(
	    to->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return SW_EIO;
	p->generation++;
	p->io.fd = fd;
	p->state = PEER_CONNECTS;
	p->watched = EPOLLIN | EPOLLOUT;
	/* A failure shows when it is watched, like a later one. */
	if ((connect(fd, to, p->place->addr_len) != 0 &&
		errno != EINPROGRESS) ||
	    loop_add(p->loop, &p->io, p->watched) != SW_OK) {
		peer_close(p);
		return SW_EIO;
	}
	return SW_OK;
}

void
peer_close(struct peer *p)
{
	if (p->state == PEER_CLOSED)
		return;
	secure_free(p->secure);
	p->secure = NULL;
	close(p->io.fd);
	p->io.fd = -1;
	p->state = PEER_CLOSED;
	buf_clear(&p->out);
	buf_release(&p->out);
}
