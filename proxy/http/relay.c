#include "proxy/http/relay.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/err.h"
#include "proxy/edge/look.h"
#include "proxy/gateway.h"
#include "proxy/http/http.h"
#include "proxy/http/response.h"
#include "proxy/worker.h"

/* Bytes that one side does not take hold the other side back. */
enum { HELD_MAX = 256 << 10, PAIR_DESCRIPTORS = 2 };

struct relay {
	struct conn *conn; /* NULL: it ended */
	struct lent *lent; /* as the library has it; NULL: it let go */
	struct io io;      /* our end of the pair */
	struct buf to_library;
	bool counted;      /* the pair, with the clients' descriptors */
	uint64_t pushed;   /* bytes that went into the pair */
	bool input_ended;  /* the client sends nothing more */
	bool output_ended; /* the library has said everything */
	bool library_readable;
	bool library_blocked;
	struct list node; /* of those to be freed at the turn's end */
};

/* What the client sent, into the library. */
static void
push_input(struct relay *r)
{
	while (buf_len(&r->to_library) > 0 && !r->library_blocked) {
		ssize_t n = send(r->io.fd, buf_head(&r->to_library),
		    buf_len(&r->to_library), MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n >= 0) {
			buf_drop(&r->to_library, (size_t)n);
			r->pushed += (uint64_t)n;
		} else if (errno == EAGAIN) {
			r->library_blocked = true;
		} else {
			/* It takes no more, but its last answer counts. */
			buf_clear(&r->to_library);
			r->input_ended = true;
		}
	}
	if (r->input_ended && buf_len(&r->to_library) == 0)
		shutdown(r->io.fd, SHUT_WR);
}

/* From the client. False: it is gone. */
static bool
pull_input(struct relay *r)
{
	struct conn *c = r->conn;
	uint8_t *input = c->worker->input;

	while (c->readable && !r->input_ended &&
	    buf_len(&r->to_library) < HELD_MAX) {
		ssize_t n = conn_read(c, input, WORKER_INPUT, false);

		if (n == SW_EAGAIN)
			break;
		if (n < 0)
			return false;
		if (n == 0)
			r->input_ended = true;
		else if (buf_put(&r->to_library, input, (size_t)n) != SW_OK)
			return false;
		push_input(r);
	}
	push_input(r);
	return true;
}

/* What the library answers, to the client. False: the client is gone. */
static bool
pull_output(struct relay *r)
{
	struct conn *c = r->conn;
	uint8_t *input = c->worker->input;

	while (r->library_readable && !conn_pending(c)) {
		ssize_t n = recv(r->io.fd, input, WORKER_INPUT, MSG_DONTWAIT);

		/* A reset: it closed without having read everything. */
		if (n == 0 || (n < 0 && errno == ECONNRESET)) {
			r->library_readable = false;
			r->output_ended = true;
			break;
		}
		if (n < 0) {
			r->library_readable = false;
			return errno == EAGAIN || errno == EINTR;
		}
		if (conn_send(c, input, (size_t)n) != SW_OK)
			return false;
	}
	return true;
}

/* Our end of the pair goes; the library closes its own. */
static void
relay_role_end(struct conn *c)
{
	struct relay *r = c->owner;

	if (r == NULL)
		return;
	c->owner = NULL;
	r->conn = NULL;
	if (r->lent != NULL)
		http_forget(c->worker->http, r->lent);
	if (r->io.fd >= 0)
		close(r->io.fd);
	if (r->counted)
		gateway_give_descriptors(c->worker->gateway, PAIR_DESCRIPTORS);
	buf_fini(&r->to_library);
	/* An event of this turn may still name it. */
	list_append(&c->worker->dead_relays, &r->node);
}

static void
move(struct relay *r)
{
	struct conn *c = r->conn;

	if (!pull_input(r) || !pull_output(r)) {
		conn_close(c);
	} else if (r->output_ended && !conn_pending(c)) {
		relay_role_end(c);
		conn_linger(c);
	}
}

static void
on_library(struct io *io, uint32_t events)
{
	struct relay *r = container_of(io, struct relay, io);

	if (r->conn == NULL)
		return;
	if ((events & (EPOLLIN | EPOLLHUP | EPOLLRDHUP)) != 0)
		r->library_readable = true;
	if ((events & EPOLLOUT) != 0)
		r->library_blocked = false;
	move(r);
}

static void
relay_ready(struct conn *c, uint32_t events)
{
	struct relay *r = c->owner;

	if ((events & EPOLLOUT) != 0 && conn_flush(c) == SW_ECLOSED) {
		conn_close(c);
		return;
	}
	if (c->half_open)
		c->readable = true;
	move(r);
}

static void
relay_timeout(struct conn *c)
{
	struct relay *r = c->owner;

	if (!http_goes_on(c, r->lent))
		conn_close(c);
}

/* Is there anything in the pair that the library has not read? */
static bool
is_underway(const struct relay *r)
{
	int unread = 0;

	return ioctl(r->io.fd, SIOCOUTQ, &unread) == 0 && unread > 0;
}

bool
relay_busy(const struct conn *c)
{
	const struct relay *r = c->owner;

	return r->lent != NULL ? http_busy(r->lent) || is_underway(r) :
				 conn_pending(c);
}

const struct conn_role relay_role = {
	.name = "relay",
	.ready = relay_ready,
	.timeout = relay_timeout,
	.end = relay_role_end,
};

static void
refuse(struct conn *c)
{
	struct buf out;

	METRIC_LIMIT(c->worker, LIMIT_DESCRIPTORS);
	buf_init(&out, 1 << 16);
	response_put_problem(
	    &out, c->worker, 503, "There are too many connections.", false);
	conn_say_last(c, &out);
	buf_fini(&out);
}

void
relay_begin(struct conn *c, const uint8_t *bytes, size_t n)
{
	struct gateway *g = c->worker->gateway;
	/* Whoever asks for them is no client: they have their reserve. */
	bool counted = c->listener != LISTENER_API;
	int pair[2] = { -1, -1 };
	struct relay *r;

	if (counted && !gateway_take_descriptors(g, PAIR_DESCRIPTORS)) {
		refuse(c);
		return;
	}
	r = calloc(1, sizeof(*r));
	if (r == NULL ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
		pair) != 0) {
		if (counted)
			gateway_give_descriptors(g, PAIR_DESCRIPTORS);
		free(r);
		conn_close(c);
		return;
	}
	r->conn = c;
	r->counted = counted;
	r->io = (struct io){ .fd = pair[0], .ready = on_library };
	list_init(&r->node);
	buf_init(&r->to_library, 2 * HELD_MAX);
	conn_set_role(c, &relay_role, r);
	c->fresh = false;
	/* It has begun a head: until that is complete, this is its time. */
	conn_arm(c,
	    loop_now_ms(c->worker->loop) + c->worker->conf->header_timeout_ms);
	if (loop_add(c->worker->loop, &r->io,
		EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET) != SW_OK) {
		close(pair[1]);
		conn_close(c);
		return;
	}
	if (http_adopt_pair(&r->lent, c, pair[1]) != SW_OK ||
	    (n > 0 && buf_put(&r->to_library, bytes, n) != SW_OK)) {
		conn_close(c);
		return;
	}
	move(r);
}

uint64_t
relay_taken(const struct conn *c, int fd)
{
	const struct relay *r = c->owner;
	int unread = 0;

	return ioctl(fd, FIONREAD, &unread) != 0 ? 0 :
						   r->pushed - (uint64_t)unread;
}

/* The last answers, of requests that came before: all of them. */
static int
send_answers(struct relay *r)
{
	struct conn *c = r->conn;
	int err = SW_OK;
	ssize_t n;

	while (err == SW_OK &&
	    (n = recv(r->io.fd, c->worker->input, WORKER_INPUT, MSG_DONTWAIT)) >
		0)
		err = conn_send(c, c->worker->input, (size_t)n);
	return err;
}

/* What the library will never read: it is behind the request that leaves. */
static int
keep_input(struct relay *r, int fd)
{
	struct conn *c = r->conn;
	struct buf in;
	uint8_t *input = c->worker->input;
	ssize_t n;
	int err = SW_OK;

	buf_init(&in, 4 * HELD_MAX);
	while (err == SW_OK &&
	    (n = recv(fd, input, WORKER_INPUT, MSG_DONTWAIT)) > 0)
		err = buf_put(&in, input, (size_t)n);
	if (err == SW_OK)
		err = buf_put_str(&in, buf_str(&r->to_library));
	if (err == SW_OK && buf_len(&in) > 0 &&
	    (c->in = malloc(sizeof(*c->in))) == NULL)
		err = SW_ENOMEM;
	if (err == SW_OK && c->in != NULL)
		*c->in = in;
	else
		buf_fini(&in);
	return err;
}

int
relay_end(struct conn *c, int fd)
{
	struct relay *r = c->owner;
	int err;

	if ((err = send_answers(r)) != SW_OK ||
	    (err = keep_input(r, fd)) != SW_OK) {
		conn_close(c);
		return err;
	}
	relay_role_end(c);
	conn_set_role(c, &look_role, NULL);
	/* An end that the relay has seen is to be seen again. */
	c->readable = true;
	return SW_OK;
}

void
relay_forsaken(struct conn *c)
{
	struct relay *r = c->owner;

	/* Its end of the pair is closed: what it wrote is still to be read. */
	r->lent = NULL;
}

void
relay_free_dead(struct list *dead)
{
	struct list *node;

	while ((node = list_shift(dead)) != NULL)
		free(container_of(node, struct relay, node));
}
