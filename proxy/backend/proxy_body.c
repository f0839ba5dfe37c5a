#include "proxy/backend/proxy_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proxy/backend/proxy_input.h"
#include "proxy/backend/routes.h"
#include "proxy/base/err.h"
#include "proxy/base/log.h"
#include "proxy/worker.h"

/* The request's body, from the client. */

/* Take the data out of `n` bytes of chunks, in place. */
static ssize_t
unchunk(struct passage *p, uint8_t *bytes, size_t n)
{
	size_t at = 0, total = 0;

	while (at < n && p->chunks.state != CHUNKS_END) {
		size_t used, data;

		if (chunks_read(&p->chunks, bytes + at, n - at, n, &used,
			&data) != SW_OK) {
			p->malformed = true;
			return SW_ECLOSED;
		}
		memmove(bytes + total, bytes + at + used - data, data);
		total += data;
		at += used;
	}
	if (p->chunks.state == CHUNKS_END) {
		p->body_ended = true;
		if (input_put_back(p->conn, bytes + at, n - at) != SW_OK) {
			p->keep_alive = false; /* the next one is lost */
			return SW_ECLOSED;
		}
	}
	return (ssize_t)total;
}

static void
say_continue(struct passage *p)
{
	static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";

	/* Not if it did not wait for it (RFC 9110 10.1.1). */
	if (p->expects && !p->has_head && p->conn->in == NULL)
		conn_send(p->conn, text, sizeof(text) - 1);
	p->expects = false;
}

/* Who speaks is there, whatever it takes. */
static void
hear(struct passage *p, size_t n)
{
	p->received += n;
	headway_begin(&p->headway, loop_lived_ms(p->conn->worker->loop));
}

/* What goes the other way in another protocol; nothing until then. */
static ssize_t
tunnel_input(struct passage *p, void *out, size_t n)
{
	ssize_t got = p->tunnel ? input_take(p->conn, out, n) : SW_EAGAIN;

	if (p->has_head && !p->tunnel)
		return 0;
	if (got == SW_EAGAIN) {
		p->wants_body = true;
		return SW_EAGAIN;
	}
	if (got <= 0) {
		p->gone = true;
		return SW_ECLOSED;
	}
	hear(p, (size_t)got);
	return got;
}

/*
 * It may be of any length, so there is no time for all of it; but neither may
 * it stand still, nor come a byte at a time: a place among those that the
 * backend serves is taken meanwhile. Who is slower than 500 bytes a second uses
 * up the time for standing still.
 */
static void
wait_for_body(struct passage *p)
{
	struct worker *w = p->conn->worker;
	uint64_t most = w->conf->request_timeout_ms;
	uint64_t earned = most + 2 * p->received;
	uint64_t left = earned > p->waited_ms ? earned - p->waited_ms : 0;

	p->wants_body = true;
	p->since_ms = loop_now_ms(w->loop);
	/* Who has an answer already may leave it at that. */
	if (!p->has_head)
		conn_arm(p->conn, p->since_ms + (left < most ? left : most));
}

static void
count_wait(struct passage *p)
{
	if (p->since_ms != 0)
		p->waited_ms +=
		    loop_now_ms(p->conn->worker->loop) - p->since_ms;
	p->since_ms = 0;
}

ssize_t
body_upload(void *owner, void *out, size_t n)
{
	struct passage *p = owner;
	struct conn *c = p->conn;
	ssize_t got = 0;

	if (p->upgrade != NULL)
		return tunnel_input(p, out, n);
	if (p->expects)
		say_continue(p);
	count_wait(p);
	while (!p->body_ended) {
		got = input_take(
		    c, out, p->chunked || n < p->left ? n : (size_t)p->left);
		if (got == SW_EAGAIN) {
			wait_for_body(p);
			return SW_EAGAIN;
		}
		if (got <= 0) {
			p->gone = true;
			return SW_ECLOSED;
		}
		if (p->chunked) {
			got = unchunk(p, out, (size_t)got);
		} else {
			p->left -= (uint64_t)got;
			p->body_ended = p->left == 0;
		}
		if (got != 0)
			break;
	}
	loop_clear_timer(&c->timer);
	/* It was told only then: nothing will tell of it again. */
	if (p->body_ended && p->leaves) {
		p->gone = true;
		return SW_ECLOSED;
	}
	if (got > 0)
		hear(p, (size_t)got);
	return got;
}

/* The response's, to the client. */

void
passage_lose_client(struct passage *p, int err)
{
	p->gone = err == SW_ECLOSED;
	conn_close(p->conn);
}

int
body_send_head(struct passage *p)
{
	int err = conn_send(p->conn, buf_head(&p->head), buf_len(&p->head));

	buf_clear(&p->head);
	return err;
}

/* No data came with the head: it goes alone. */
void
body_settle(void *owner)
{
	struct passage *p = owner;
	int err = body_send_head(p);

	if (err != SW_OK)
		passage_lose_client(p, err);
}

/*
 * For as long as the response may stand still? A client that vanished without a
 * word seems to take what comes, and its time would begin again with each
 * piece.
 */
static bool
takes_nothing(struct passage *p)
{
	struct worker *w = p->conn->worker;
	const struct route *route = routes_get(w->routes, p->route);

	return headway_missing_ms(
		   &p->headway, p->conn->io.fd, loop_lived_ms(w->loop)) >=
	    (p->tunnel ? route->upgrade_idle_timeout_ms :
			 route->backend_idle_timeout_ms);
}

/* What it has not taken must not look like all there was. */
static void
give_client_up(struct passage *p)
{
	log_info("client takes nothing id=%" PRIu64 " untaken=%zu", p->conn->id,
	    conn_untaken(p->conn));
	p->gone = true;
	conn_abort(p->conn);
}

int
body_download(void *owner, const void *data, size_t n)
{
	struct passage *p = owner;
	struct conn *c = p->conn;
	struct iovec iov[4];
	char size[20];
	int count = 0, err;

	if (conn_pending(c) || c->blocked) {
		p->held = true;
		p->untaken = conn_untaken(c);
		return SW_EAGAIN;
	}
	if (takes_nothing(p)) {
		give_client_up(p);
		return SW_ECLOSED;
	}
	if (buf_len(&p->head) > 0)
		iov[count++] =
		    (struct iovec){ buf_head(&p->head), buf_len(&p->head) };
	if (p->framing == FRAMING_CHUNKS) {
		int len = snprintf(size, sizeof(size), "%zx\r\n", n);

		iov[count++] = (struct iovec){ size, (size_t)len };
	}
	iov[count++] = (struct iovec){ (void *)(uintptr_t)data, n };
	if (p->framing == FRAMING_CHUNKS)
		iov[count++] = (struct iovec){ (void *)(uintptr_t) "\r\n", 2 };
	p->sent += n;
	err = conn_send_pieces(c, iov, count);
	buf_clear(&p->head);
	if (err != SW_OK) {
		passage_lose_client(p, err);
		return SW_ECLOSED;
	}
	return SW_OK;
}

/*
 * A socket is writable again when a good part of what it holds is gone, which
 * is megabytes: who reads slowly needs longer for that than nothing may happen.
 */
bool
body_moves(void *owner)
{
	struct passage *p = owner;
	size_t before = p->untaken;

	p->untaken = conn_untaken(p->conn);
	if (p->untaken >= before)
		return false;
	log_debug("client reads slowly id=%" PRIu64 " untaken=%zu", p->conn->id,
	    p->untaken);
	return true;
}

int
body_send_end(struct passage *p)
{
	if (p->framing != FRAMING_CHUNKS)
		return SW_OK;
	return conn_send(p->conn, "0\r\n\r\n", 5);
}
