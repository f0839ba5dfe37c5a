#include "proxy/edge/listener.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "conf/values.h"
#include "proxy/base/err.h"
#include "proxy/base/headway.h"
#include "proxy/base/log.h"
#include "proxy/edge/handshake.h"
#include "proxy/edge/look.h"
#include "proxy/edge/preface.h"
#include "proxy/gateway.h"
#include "proxy/worker.h"

enum {
	BACKLOG = 4096,
	/* Accepted in one go, before others have their turn. */
	ACCEPT_MAX = 16,
	/* How long to rest when descriptors, or memory, run out. */
	REST_MS = 1000,
	TELL_MS = 10000, /* between lines about who was refused */
	/* A client speaks first: do not wake up before it has. */
	DEFER_SECONDS = 5,
};

struct listener {
	struct io io;
	struct worker *worker;
	struct timer rest;
	enum listener_kind kind;
	enum listener_queue queue;
};

bool
listener_is_shared(const char *address)
{
	return strncmp(address, "unix:", 5) == 0;
}

const char *
listener_path(const char *address)
{
	return address + strlen("unix:");
}

static int
fail(int fd, const char *address, const char *what)
{
	log_error("listen %s: %s: %s", address, what, strerror(errno));
	if (fd >= 0)
		close(fd);
	return SW_EIO;
}

static int
set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value));
}

/* A socket file that nobody listens on any more is in the way: remove it. */
static void
remove_stale(const struct sockaddr_storage *sa, socklen_t len)
{
	const char *path = ((const struct sockaddr_un *)sa)->sun_path;
	struct stat st;
	int fd;

	if (stat(path, &st) != 0 || !S_ISSOCK(st.st_mode))
		return;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (connect(fd, (const struct sockaddr *)sa, len) != 0 &&
	    errno == ECONNREFUSED)
		unlink(path);
	close(fd);
}

/*
 * The file gets its mode from the socket, not by its name: whose directory it
 * is could have put something else there. There are no threads yet that would
 * make files meanwhile.
 */
static int
bind_file(int fd, const struct listen_address *a, mode_t mode)
{
	mode_t usual;
	int err;

	if (fchmod(fd, mode) != 0)
		return -1;
	usual = umask(0);
	err = bind(fd, (const struct sockaddr *)&a->addr, a->len);
	umask(usual);
	return err;
}

int
listener_socket(int *out, const char *address, bool shared, mode_t mode)
{
	struct listen_address a;
	struct buf advice;
	int fd, err, family;

	buf_init(&advice, 1024);
	err = value_address(&a, str_of(address), &advice);
	buf_fini(&advice);
	if (err != SW_OK)
		return err;
	family = a.addr.ss_family;
	fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fail(fd, address, "socket");
	if (family == AF_UNIX) {
		remove_stale(&a.addr, a.len);
		if (bind_file(fd, &a, mode) != 0)
			return fail(fd, address, "bind");
	} else {
		/* Inherited by what is accepted: events must not wait. */
		set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
		set(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, DEFER_SECONDS);
		set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
		if (!shared && set(fd, SOL_SOCKET, SO_REUSEPORT, 1) != 0)
			return fail(fd, address, "SO_REUSEPORT");
		if (family == AF_INET6)
			set(fd, IPPROTO_IPV6, IPV6_V6ONLY, !a.any);
		if (bind(fd, (struct sockaddr *)&a.addr, a.len) != 0)
			return fail(fd, address, "bind");
	}
	if (listen(fd, BACKLOG) != 0)
		return fail(fd, address, "listen");
	*out = fd;
	return SW_OK;
}

static uint32_t
events_of(const struct listener *l)
{
	return EPOLLIN | (l->queue == QUEUE_OF_WORKER ? 0 : EPOLLEXCLUSIVE);
}

static void
rest(struct listener *l)
{
	log_warn("accepting rests for %d ms: %s (see LimitNOFILE, or "
		 "max-connections)",
	    REST_MS, strerror(errno));
	METRIC_LIMIT(l->worker, LIMIT_DESCRIPTORS);
	loop_remove(l->worker->loop, &l->io);
	loop_set_timer(
	    l->worker->loop, &l->rest, loop_now_ms(l->worker->loop) + REST_MS);
}

static void
on_rested(struct timer *t)
{
	struct listener *l = container_of(t, struct listener, rest);

	if (loop_add(l->worker->loop, &l->io, events_of(l)) != SW_OK)
		rest(l);
}

void
listener_refuse(struct worker *w, enum limit why, const struct address *peer)
{
	uint64_t now = loop_now_ms(w->loop);
	char text[ADDRESS_TEXT];

	METRIC_LIMIT(w, why);
	METRIC_ADD(w->metrics.refused_connections, 1);
	w->refusals.count++;
	if (now < w->refusals.quiet_until_ms)
		return;
	log_warn("connections refused: this one, and %" PRIu64
		 " before it that were not told limit=%s peer=%s",
	    w->refusals.count - 1, limit_name(why), address_print(peer, text));
	w->refusals.quiet_until_ms = now + TELL_MS;
	w->refusals.count = 0;
}

static void
accept_some(struct listener *l, int most)
{
	const struct address nobody = { .family = 0 };
	struct worker *w = l->worker;

	for (int i = 0; i < most; i++) {
		struct sockaddr_storage sa;
		socklen_t len = sizeof(sa);
		struct address peer;
		enum limit why;
		bool prefaced;
		int fd = accept4(l->io.fd, (struct sockaddr *)&sa, &len,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE ||
			    errno == ENOBUFS || errno == ENOMEM)
				rest(l);
			return;
		}
		peer = address_of(&sa);
		prefaced = preface_expects(w->conf, &peer, l->kind);
		/* Who it is counted for is still to be told. */
		if (!gateway_admit(w->gateway, prefaced ? &nobody : &peer,
			!prefaced && listener_is_secure(l->kind),
			listener_is_api(l->kind), loop_now_ms(w->loop), &why)) {
			listener_refuse(w, why, &peer);
			close(fd);
			continue;
		}
		if (prefaced)
			preface_begin(w, fd, &peer, l->kind);
		else if (listener_is_secure(l->kind))
			handshake_begin(w, fd, &peer, l->kind);
		else
			look_begin(w, fd, &peer, l->kind);
	}
}

static void
on_connections(struct io *io, uint32_t events)
{
	(void)events;
	/* Else it was closed earlier in this turn of the loop. */
	if (io->fd >= 0)
		accept_some(container_of(io, struct listener, io), ACCEPT_MAX);
}

void
listener_configure(const struct listener *l)
{
	const struct conf *conf = l->worker->conf;

	/* Inherited; what is no TCP refuses it, and has no need of it. */
	set(l->io.fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, (int)conf->notsent_lowat);
	headway_probe(l->io.fd, conf->tcp_keepalive_ms);
}

int
listener_open(struct listener **out, struct worker *w, int fd,
    enum listener_queue queue, enum listener_kind kind)
{
	struct listener *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return SW_ENOMEM;
	l->io = (struct io){ .fd = fd, .ready = on_connections };
	l->worker = w;
	l->kind = kind;
	l->queue = queue;
	timer_init(&l->rest, on_rested);
	if (loop_add(w->loop, &l->io, events_of(l)) != SW_OK) {
		free(l);
		return SW_EIO;
	}
	listener_configure(l);
	*out = l;
	return SW_OK;
}

void
listener_close(struct listener *l)
{
	if (l->io.fd < 0)
		return;
	/* Whoever is in the queue already is not turned away. */
	if (l->queue != QUEUE_OF_SYSTEMD)
		accept_some(l, BACKLOG);
	loop_clear_timer(&l->rest);
	loop_remove(l->worker->loop, &l->io);
	close(l->io.fd);
	l->io.fd = -1;
}

void
listener_free(struct listener *l)
{
	if (l == NULL)
		return;
	listener_close(l);
	free(l);
}
