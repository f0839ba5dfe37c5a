#include "tests/bench/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/measure.h"

enum {
	TURN_EVENTS = 256,
	SCRATCH = 256 * 1024,
	REST = 16 * 1024, /* room for more of a message cut short */
	BUFFER_MAX = 256 * 1024 * 1024,
	SOURCES = 64 /* addresses to come from: each has 28,000 ports */
};

static void
fail(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

void
wires_init(struct wires *ws)
{
	*ws = (struct wires){ .epoll = epoll_create1(EPOLL_CLOEXEC),
		.scratch = malloc(SCRATCH) };
	if (ws->epoll < 0 || ws->scratch == NULL)
		fail("epoll");
}

void
wire_init(struct wire *w, struct wires *ws, const struct wire_kind *kind)
{
	*w = (struct wire){ .fd = -1, .kind = kind, .all = ws };
	buf_init(&w->in, BUFFER_MAX);
	buf_init(&w->out, BUFFER_MAX);
}

static void
watch(struct wire *w, int how)
{
	struct epoll_event e = { .data.ptr = w };

	e.events = EPOLLIN | (w->waits_to_write ? (uint32_t)EPOLLOUT : 0);
	if (epoll_ctl(w->all->epoll, how, w->fd, &e) != 0)
		fail("epoll_ctl");
}

static void
make_slow(int fd)
{
	int bytes = 2048, segment = 536;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)) != 0 ||
	    setsockopt(
		fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof(segment)) != 0)
		fail("setsockopt");
}

void
wire_open(struct wire *w, uint16_t port, enum wire_reader reader)
{
	struct sockaddr_in from = { .sin_family = AF_INET };
	struct sockaddr_in to = { .sin_family = AF_INET };
	int on = 1;

	from.sin_addr.s_addr =
	    htonl(INADDR_LOOPBACK + 256 + w->all->opened++ % SOURCES);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to.sin_port = htons(port);
	w->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (w->fd < 0)
		fail("socket");
	if (reader == WIRE_SLOW)
		make_slow(w->fd);
	/* Connecting waits, but on loopback there is nothing to wait for. */
	if (setsockopt(w->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on,
		sizeof(on)) != 0 ||
	    bind(w->fd, (struct sockaddr *)&from, sizeof(from)) != 0 ||
	    connect(w->fd, (struct sockaddr *)&to, sizeof(to)) != 0 ||
	    setsockopt(w->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
	    ioctl(w->fd, FIONBIO, &on) != 0)
		fail("connect");
	watch(w, EPOLL_CTL_ADD);
}

void
wire_close(struct wire *w)
{
	if (w->fd < 0)
		return;
	close(w->fd);
	w->fd = -1;
	w->waits_to_write = false;
	buf_fini(&w->in);
	buf_fini(&w->out);
	buf_init(&w->in, BUFFER_MAX);
	buf_init(&w->out, BUFFER_MAX);
}

static void
wire_ended(struct wire *w)
{
	wire_close(w);
	w->kind->ended(w);
}

void
wire_flush(struct wire *w)
{
	bool waits;
	ssize_t n;

	if (buf_error(&w->out) != SW_OK)
		fail("out of memory");
	if (buf_len(&w->out) > 0) {
		n = send(
		    w->fd, buf_head(&w->out), buf_len(&w->out), MSG_NOSIGNAL);
		if (n > 0)
			buf_drop(&w->out, (size_t)n);
		/* A broken connection is noticed by reading from it. */
	}
	waits = buf_len(&w->out) > 0;
	if (waits == w->waits_to_write)
		return;
	w->waits_to_write = waits;
	watch(w, EPOLL_CTL_MOD);
}

void
wire_pause(struct wire *w)
{
	watch(w, EPOLL_CTL_DEL);
}

void
wire_resume(struct wire *w)
{
	watch(w, EPOLL_CTL_ADD);
}

/* Receive into `room`; false if there was nothing, or the end. */
static bool
receive(struct wire *w, uint8_t *at, size_t room, size_t *got)
{
	ssize_t n = recv(w->fd, at, room, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		wire_ended(w);
		return false;
	}
	*got = (size_t)n;
	return true;
}

static void
read_on(struct wire *w)
{
	size_t room = buf_len(&w->in) < REST ? REST : SCRATCH;
	size_t n, used;

	if (buf_reserve(&w->in, room) != SW_OK)
		fail("out of memory");
	if (!receive(w, buf_tail(&w->in), room, &n))
		return;
	buf_commit(&w->in, n);
	used = w->kind->input(w, buf_head(&w->in), buf_len(&w->in));
	if (used == WIRE_GONE)
		return;
	buf_drop(&w->in, used);
	if (buf_len(&w->in) == 0)
		buf_release(&w->in);
}

static void
read_some(struct wire *w)
{
	uint8_t *scratch = w->all->scratch;
	size_t n, used;

	if (buf_len(&w->in) > 0) {
		read_on(w);
		return;
	}
	if (!receive(w, scratch, SCRATCH, &n))
		return;
	used = w->kind->input(w, scratch, n);
	if (used != WIRE_GONE && used < n &&
	    buf_put(&w->in, scratch + used, n - used) != SW_OK)
		fail("out of memory");
}

/*
 * An event may be left over from a connection that was closed and opened again
 * in the same turn: reading then finds nothing, which does no harm.
 */
static void
serve(const struct epoll_event *e)
{
	struct wire *w = e->data.ptr;

	if (w->fd >= 0 && (e->events & EPOLLOUT) != 0)
		wire_flush(w);
	if (w->fd >= 0 && (e->events & ~(uint32_t)EPOLLOUT) != 0)
		read_some(w);
}

void
wires_turn(struct wires *ws, uint64_t timeout_ns)
{
	struct timespec timeout = { .tv_sec = (time_t)(timeout_ns / SECOND),
		.tv_nsec = (long)(timeout_ns % SECOND) };
	struct epoll_event events[TURN_EVENTS];
	int i, n;

	if (ws->woken_ns != 0)
		ws->busy_ns += now_ns() - ws->woken_ns;
	n = epoll_pwait2(ws->epoll, events, TURN_EVENTS, &timeout, NULL);
	ws->woken_ns = n > 0 ? now_ns() : 0;
	for (i = 0; i < n; i++)
		serve(&events[i]);
}
