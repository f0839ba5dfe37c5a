#include "proxy/edge/conn.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/err.h"
#include "proxy/gateway.h"
#include "proxy/lab/lab.h"
#include "proxy/tls/tls.h"
#include "proxy/worker.h"

/* Private output of one connection: answers and notices, never events. */
enum { OUT_MAX = 64 << 20 };

static void
on_ready(struct io *io, uint32_t events)
{
	struct conn *c = container_of(io, struct conn, io);

	if (c->closed)
		return;
	if (c->tls != NULL)
		events = tls_events(c->tls, events);
	if ((events & EPOLLIN) != 0)
		c->readable = true;
	if ((events & EPOLLOUT) != 0)
		c->blocked = false;
	if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
		c->half_open = true;
	c->role->ready(c, events);
}

static void
on_timer(struct timer *t)
{
	struct conn *c = container_of(t, struct conn, timer);

	if (!c->closed)
		c->role->timeout(c);
}

/*
 * One registration for life: both directions, told once per change. Those who
 * publish do not wait behind subscribers.
 */
static int
watch(struct conn *c)
{
	int (*add)(struct loop * l, struct io * io, uint32_t events) =
	    c->listener == LISTENER_API ? loop_add_urgent : loop_add;

	return add(
	    c->worker->loop, &c->io, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

int
conn_open(struct conn **out, struct worker *w, int fd,
    const struct address *peer, enum listener_kind kind,
    const struct conn_role *role)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		close(fd);
		return SW_ENOMEM;
	}
	c->io = (struct io){ .fd = fd, .ready = on_ready };
	c->lent_fd = -1;
	c->role = role;
	c->worker = w;
	c->id = worker_next_id(w);
	c->peer = *peer;
	c->listener = (uint8_t)kind;
	c->fresh = true;
	timer_init(&c->timer, on_timer);
	if (watch(c) != SW_OK) {
		close(fd);
		free(c);
		return SW_EIO;
	}
	list_append(&w->conns, &c->node);
	METRIC_ADD(w->metrics.connections, 1);
	*out = c;
	return SW_OK;
}

/* Nothing that is encrypted can be read or written from here on. */
static void
end_tls(struct conn *c)
{
	tls_free(c->tls);
	c->tls = NULL;
	c->held = false;
}

void
conn_close(struct conn *c)
{
	if (c->closed)
		return;
	c->closed = true;
	if (c->worker->ack_conn == c)
		c->worker->ack_conn = NULL;
	loop_clear_timer(&c->timer);
	if (c->role->end != NULL)
		c->role->end(c);
	if (c->in_lab)
		lab_end(c);
	if (c->tls != NULL) {
		/* If it does not fit into the socket, it stays unsaid. */
		tls_goodbye(c->tls);
		end_tls(c);
	}
	if (c->io.fd >= 0)
		close(c->io.fd);
	c->io.fd = -1;
	/* The library notices, and closes it. */
	if (c->lent_fd >= 0)
		shutdown(c->lent_fd, SHUT_RDWR);
	c->lent_fd = -1;
	gateway_dismiss(c->worker->gateway, &c->peer);
	METRIC_ADD(c->worker->metrics.connections, -1);
	list_remove(&c->node);
	list_append(&c->worker->dead, &c->node);
}

void
conn_abort(struct conn *c)
{
	const struct linger hard = { .l_onoff = 1 };

	if (c->closed)
		return;
	if (c->tls != NULL)
		end_tls(c);
	setsockopt(c->io.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	conn_close(c);
}

void
conn_lend(struct conn *c)
{
	loop_remove(c->worker->loop, &c->io);
	c->lent_fd = c->io.fd;
	c->io.fd = -1;
}

int
conn_take_back(struct conn *c, int fd)
{
	c->lent_fd = -1;
	c->io.fd = fd;
	c->blocked = false;
	c->readable = true;
	if (watch(c) != SW_OK) {
		conn_close(c);
		return SW_EIO;
	}
	return SW_OK;
}

void
conn_expect(struct conn *c)
{
	c->answers++;
}

bool
conn_answered(struct conn *c)
{
	c->answers--;
	if (!c->closed)
		return true;
	/* The turn in which it was closed may not have ended yet. */
	if (c->answers == 0 && list_empty(&c->node))
		conn_free(c);
	return false;
}

static void
free_buf(struct buf **b)
{
	if (*b == NULL)
		return;
	buf_fini(*b);
	free(*b);
	*b = NULL;
}

void
conn_free(struct conn *c)
{
	list_remove(&c->node);
	if (c->answers > 0)
		return; /* the last answer does it */
	free_buf(&c->in);
	free_buf(&c->out);
	free(c);
}

void
conn_set_role(struct conn *c, const struct conn_role *role, void *owner)
{
	c->role = role;
	c->owner = owner;
	loop_clear_timer(&c->timer);
}

void
conn_arm(struct conn *c, uint64_t due_ms)
{
	loop_set_timer(c->worker->loop, &c->timer, due_ms);
}

ssize_t
conn_read(struct conn *c, void *p, size_t n, bool peek)
{
	ssize_t got;

	if (c->tls != NULL) {
		assert(!peek);
		return tls_read(c->tls, p, n, &c->readable);
	}
	do {
		got =
		    recv(c->io.fd, p, n, MSG_DONTWAIT | (peek ? MSG_PEEK : 0));
	} while (got < 0 && errno == EINTR);
	/* Less than asked for was all there is: an edge will tell of more. */
	c->readable = got > 0 && ((size_t)got == n || c->half_open);
	if (got >= 0)
		return got;
	return errno == EAGAIN || errno == EWOULDBLOCK ? SW_EAGAIN : SW_ECLOSED;
}

ssize_t
conn_write_now(struct conn *c, const struct iovec *iov, int n)
{
	size_t wanted = 0;
	ssize_t sent;

	for (int i = 0; i < n; i++)
		wanted += iov[i].iov_len;
	if (c->tls != NULL && !tls_in_kernel(c->tls)) {
		sent = tls_write(c->tls, iov, n);
		c->held = tls_holds(c->tls);
		if (sent >= 0 && (c->held || (size_t)sent < wanted))
			c->blocked = true;
		return sent;
	}
	do {
		if (n == 1) {
			sent = send(c->io.fd, iov->iov_base, iov->iov_len,
			    MSG_DONTWAIT | MSG_NOSIGNAL);
		} else {
			struct msghdr m = {
				.msg_iov = (struct iovec *)(uintptr_t)iov,
				.msg_iovlen = (size_t)n,
			};

			sent =
			    sendmsg(c->io.fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
		}
	} while (sent < 0 && errno == EINTR);
	if (sent < 0) {
		if (errno != EAGAIN && errno != EWOULDBLOCK)
			return SW_ECLOSED;
		sent = 0;
	}
	if ((size_t)sent < wanted)
		c->blocked = true;
	return sent;
}

ssize_t
conn_write(struct conn *c, const struct iovec *iov, int n)
{
	return c->in_lab ? lab_write(c, iov, n) : conn_write_now(c, iov, n);
}

int
conn_queue(struct conn *c, const void *p, size_t n)
{
	if (c->out == NULL) {
		c->out = malloc(sizeof(*c->out));
		if (c->out == NULL)
			return SW_ENOMEM;
		buf_init(c->out, OUT_MAX);
	}
	return buf_put(c->out, p, n);
}

int
conn_send(struct conn *c, const void *p, size_t n)
{
	const struct iovec iov = { (void *)(uintptr_t)p, n };
	ssize_t sent = 0;

	if (n == 0)
		return SW_OK;
	if (!conn_pending(c) && !c->blocked) {
		sent = conn_write(c, &iov, 1);
		if (sent < 0)
			return (int)sent;
		if ((size_t)sent == n)
			return SW_OK;
	}
	return conn_queue(c, (const char *)p + sent, n - (size_t)sent);
}

int
conn_send_pieces(struct conn *c, struct iovec *iov, int n)
{
	ssize_t sent = conn_write(c, iov, n);

	if (sent < 0)
		return (int)sent;
	for (int i = 0; i < n; i++) {
		size_t len = iov[i].iov_len, gone = (size_t)sent;

		if (gone > len)
			gone = len;
		sent -= (ssize_t)gone;
		if (gone < len &&
		    conn_queue(c, (uint8_t *)iov[i].iov_base + gone,
			len - gone) != SW_OK)
			return SW_ENOMEM;
	}
	return SW_OK;
}

int
conn_flush(struct conn *c)
{
	while (conn_pending(c)) {
		struct iovec iov = { NULL, 0 };
		ssize_t sent;

		if (c->blocked)
			return SW_EAGAIN;
		if (c->out != NULL)
			iov =
			    (struct iovec){ buf_head(c->out), buf_len(c->out) };
		sent = conn_write(c, &iov, 1);
		if (sent < 0)
			return (int)sent;
		if (c->out == NULL)
			continue;
		buf_drop(c->out, (size_t)sent);
		if (buf_len(c->out) == 0)
			free_buf(&c->out);
	}
	return SW_OK;
}

size_t
conn_untaken(const struct conn *c)
{
	return headway_untaken(c->io.fd);
}

void
conn_count(
    struct conn *c, struct transport_metrics *m, enum bucket b, uint64_t n)
{
	c->bytes[b] += n;
	METRIC_ADD(m->bytes[b], n);
	if (c->in_lab)
		lab_count(c, b, n);
}

void
conn_count_events(struct conn *c, struct transport_metrics *m, uint64_t events,
    uint64_t payload, uint64_t bytes)
{
	/* Deflated, it is less on the wire than was published. */
	if (payload > bytes)
		payload = bytes;
	METRIC_ADD(m->events, events);
	conn_count(c, m, BUCKET_PAYLOAD, payload);
	conn_count(c, m, BUCKET_FRAMING, bytes - payload);
}

bool
conn_paces(struct conn *c, size_t bytes)
{
	const struct conf *conf = c->worker->conf;
	uint64_t one = pace_cost_us(1, conf->message_rate);
	uint64_t all = pace_cost_us(bytes, conf->message_byte_rate);

	/* One pace for both: a message costs what it is more of. */
	if (pace_spends(&c->message_due_us, loop_now_ms(c->worker->loop),
		one > all ? one : all, PACE_BURST_MS))
		return true;
	METRIC_LIMIT(c->worker,
	    one > all ? LIMIT_MESSAGE_RATE : LIMIT_MESSAGE_BYTE_RATE);
	return false;
}

const char *
conn_tls_name(const struct conn *c)
{
	return c->tls == NULL ? "no" : tls_version_name(c->tls);
}

/* Lingering: a role of its own. */

/* The last word of TLS; the rest is about the socket. SW_EAGAIN. */
static int
say_goodbye(struct conn *c)
{
	if (c->tls == NULL)
		return SW_OK;
	if (tls_goodbye(c->tls) == SW_EAGAIN)
		return SW_EAGAIN;
	end_tls(c);
	c->readable = true;
	return SW_OK;
}

void
conn_arm_behind_answer(struct conn *c, uint64_t ms)
{
	conn_arm(c,
	    loop_now_ms(c->worker->loop) +
		(conn_pending(c) ? c->worker->conf->stall_timeout_ms : ms));
}

static void
arm_linger(struct conn *c)
{
	conn_arm_behind_answer(c, c->worker->conf->close_timeout_ms);
}

static void
linger_on(struct conn *c)
{
	uint8_t *scrap = c->worker->input;
	size_t queued = conn_queued(c);
	ssize_t n;
	int err = conn_flush(c);

	if (conn_queued(c) < queued)
		arm_linger(c);

	/* What the lab still holds comes first; it tells when it is out. */
	if (err == SW_OK && c->in_lab && lab_holds(c))
		return;
	if (err == SW_OK)
		err = say_goodbye(c);
	if (err == SW_EAGAIN)
		return;
	/* Once: each time is an event as well, which would lead here again. */
	if (err == SW_OK && !c->said_all && shutdown(c->io.fd, SHUT_WR) != 0)
		err = SW_EIO;
	if (err != SW_OK) {
		conn_close(c);
		return;
	}
	c->said_all = true;
	do {
		n = conn_read(c, scrap, WORKER_INPUT, false);
	} while (n > 0);
	if (n != SW_EAGAIN)
		conn_close(c);
}

static void
linger_ready(struct conn *c, uint32_t events)
{
	(void)events;
	linger_on(c);
}

static const struct conn_role linger_role = {
	.name = "linger",
	.ready = linger_ready,
	.timeout = conn_close,
};

void
conn_linger(struct conn *c)
{
	if (c->closed || c->role == &linger_role)
		return;
	conn_set_role(c, &linger_role, NULL);
	conn_arm(c,
	    loop_now_ms(c->worker->loop) + c->worker->conf->close_timeout_ms);
	linger_on(c);
}

void
conn_linger_for_answer(struct conn *c)
{
	conn_linger(c);
	if (!c->closed && conn_pending(c))
		arm_linger(c);
}

void
conn_say_last(struct conn *c, const struct buf *last)
{
	if (buf_error(last) == SW_OK &&
	    conn_send(c, buf_head(last), buf_len(last)) == SW_OK)
		conn_linger(c);
	else
		conn_close(c);
}
