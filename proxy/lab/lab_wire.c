/*
 * Between a connection and its socket: bytes that are delayed, held back,
 * slowed down or kept for good. They are taken as if they had been written, so
 * that whoever writes them sees what he would see of a network.
 */
#include <stdlib.h>
#include <sys/epoll.h>

#include "proxy/base/digest.h"
#include "proxy/base/err.h"
#include "proxy/lab/lab_private.h"
#include "proxy/worker.h"

enum {
	/* Like the buffers of sockets and proxies: then it is full. */
	WIRE_MAX = 1 << 20,
	/* When the socket takes nothing, or the cap allows nothing. */
	AGAIN_MS = 10,
	/* What a cap allows at once. */
	CAP_BURST_MS = 100,
};

static uint64_t
now_ms(const struct lab_conn *lc)
{
	return loop_now_ms(lc->conn->worker->loop);
}

static struct lab_piece *
first_piece(const struct lab_conn *lc)
{
	return (struct lab_piece *)(void *)buf_head(&lc->pieces);
}

static bool
is_empty(const struct lab_conn *lc)
{
	return buf_len(&lc->pieces) == 0;
}

/* Nothing passes at all, and until when. */
static const struct lab_rule *
find_stop(const struct lab_conn *lc)
{
	const struct lab_rule *hold = lab_rule(lc, LAB_HOLD);
	const struct lab_rule *stop = lab_rule(lc, LAB_BLACKHOLE);

	if (stop == NULL && !lc->in_head)
		stop = lab_rule(lc, LAB_MUTE);
	if (stop == NULL && hold != NULL && buf_len(&lc->bytes) <= hold->value)
		stop = hold;
	return stop;
}

/* How much of a piece the cap lets pass now. */
static size_t
allowed(struct lab_conn *lc, size_t len)
{
	const struct lab_rule *cap = lab_rule(lc, LAB_CAP);
	uint64_t now = now_ms(lc), room;

	if (cap == NULL)
		return len;
	if (lc->paid_ms + CAP_BURST_MS < now)
		lc->paid_ms = now - CAP_BURST_MS;
	room = lc->paid_ms < now ? (now - lc->paid_ms) * cap->value / 1000 : 0;
	return room < len ? (size_t)room : len;
}

static void
pay(struct lab_conn *lc, size_t sent)
{
	const struct lab_rule *cap = lab_rule(lc, LAB_CAP);

	if (cap != NULL)
		lc->paid_ms += (sent * 1000 + cap->value - 1) / cap->value;
}

static void
wait_until(struct lab_conn *lc, uint64_t due_ms)
{
	loop_set_timer(lc->conn->worker->loop, &lc->timer, due_ms);
}

/* Write what may be written now: SW_OK or SW_ECLOSED. */
static int
drain(struct lab_conn *lc)
{
	const struct lab_rule *stop;

	loop_clear_timer(&lc->timer);
	if (!is_empty(lc) && (stop = find_stop(lc)) != NULL) {
		wait_until(lc, stop->until_ms);
		return SW_OK;
	}
	while (!is_empty(lc)) {
		struct lab_piece *p = first_piece(lc);
		struct iovec iov = { buf_head(&lc->bytes), 0 };
		ssize_t sent;

		if (p->due_ms > now_ms(lc)) {
			wait_until(lc, p->due_ms);
			return SW_OK;
		}
		iov.iov_len = allowed(lc, p->len);
		sent = iov.iov_len == 0 ? 0 : conn_write_now(lc->conn, &iov, 1);
		if (sent < 0)
			return (int)sent;
		pay(lc, (size_t)sent);
		buf_drop(&lc->bytes, (size_t)sent);
		p->len -= (size_t)sent;
		if (p->len > 0) {
			wait_until(lc, now_ms(lc) + AGAIN_MS);
			return SW_OK;
		}
		buf_drop(&lc->pieces, sizeof(*p));
	}
	return SW_OK;
}

void
lab_wire_pump(struct lab_conn *lc)
{
	struct conn *c = lc->conn;

	if (is_empty(lc))
		return;
	if (drain(lc) != SW_OK) {
		conn_close(c);
		return;
	}
	if (!is_empty(lc))
		return;
	/* Whoever was refused, or waits to say goodbye, goes on. */
	lc->full = false;
	c->blocked = false;
	c->role->ready(c, EPOLLOUT);
}

static void
on_timer(struct timer *t)
{
	lab_wire_pump(container_of(t, struct lab_conn, timer));
}

void
lab_wire_init(struct lab_conn *lc)
{
	buf_init(&lc->bytes, 4 * WIRE_MAX);
	buf_init(&lc->pieces, 4 * WIRE_MAX);
	timer_init(&lc->timer, on_timer);
}

void
lab_wire_fini(struct lab_conn *lc)
{
	loop_clear_timer(&lc->timer);
	buf_fini(&lc->bytes);
	buf_fini(&lc->pieces);
}

/* When bytes of now arrive; those that went before them do so before. */
static uint64_t
arrival(const struct lab_conn *lc)
{
	const struct lab_rule *delay = lab_rule(lc, LAB_DELAY);
	uint64_t random;

	if (delay == NULL)
		return now_ms(lc);
	digest_random(&random, sizeof(random));
	return now_ms(lc) + delay->value + random % (delay->jitter + 1);
}

static int
put_piece(struct lab_conn *lc, const void *p, size_t n)
{
	const struct lab_piece piece = { n, arrival(lc) };
	int err;

	if (n == 0)
		return SW_OK;
	if ((err = buf_put(&lc->bytes, p, n)) != SW_OK)
		return err;
	return buf_put(&lc->pieces, &piece, sizeof(piece));
}

/* A head, and what is behind it, are told apart: only the one may pass. */
static int
take(struct lab_conn *lc, const uint8_t *p, size_t n)
{
	const uint8_t *end = lc->in_head ? memmem(p, n, "\r\n\r\n", 4) : NULL;
	size_t head;
	int err;

	if (end == NULL)
		return put_piece(lc, p, n);
	head = (size_t)(end + 4 - p);
	if ((err = put_piece(lc, p, head)) != SW_OK ||
	    (err = drain(lc)) != SW_OK)
		return err;
	lc->in_head = false;
	return put_piece(lc, p + head, n - head);
}

static bool
is_hindered(const struct lab_conn *lc)
{
	for (enum lab_fault f = LAB_MUTE; f <= LAB_BLACKHOLE; f++)
		if (lab_rule(lc, f) != NULL)
			return true;
	return !is_empty(lc);
}

ssize_t
lab_write(struct conn *c, const struct iovec *iov, int n)
{
	struct lab_conn *lc = lab_find(c->worker->lab, c);
	size_t taken = 0;
	int err = SW_OK;

	if (!is_hindered(lc)) {
		lc->in_head = false;
		return conn_write_now(c, iov, n);
	}
	if (buf_len(&lc->bytes) > WIRE_MAX) {
		lc->full = true;
		c->blocked = true;
		return 0;
	}
	for (int i = 0; i < n && err == SW_OK; i++) {
		err = take(lc, iov[i].iov_base, iov[i].iov_len);
		taken += iov[i].iov_len;
	}
	if (err == SW_OK)
		err = drain(lc);
	return err == SW_OK ? (ssize_t)taken : err;
}

bool
lab_holds(struct conn *c)
{
	return !is_empty(lab_find(c->worker->lab, c));
}
