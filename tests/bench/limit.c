/*
 * The physical limit: what a single thread can do that hardly parses, encodes
 * an event once, stores nothing, and gives each subscriber each event in one
 * send(). What others reach is told as a part of it.
 *
 *	limit PORT
 *
 * It speaks a language of its own, of fields at fixed places:
 *
 *	GET /w/CCCC/SSSSSSSS   a WebSocket on a channel, from behind event S on;
 *	GET /s/... /l/... /p/...   the same as SSE, long poll, short poll;
 *	POST /CCCC/LLLLLLLL    an event of L bytes; to channel ffff: only an
 *answer
 *
 * Events of one channel all have the same size: that makes an event's place
 * on the tape a multiplication.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/buf.h"
#include "proxy/base/list.h"

enum {
	TAPE_MAX = 64 * 1024 * 1024, /* of it, the newest half is kept */
	SCRATCH = 1024 * 1024,
	GET_LENGTH = 33,
	POST_LENGTH = 32,
	CHANNELS = 65536,
	ONLY_ANSWER = 65535,
	TURN_EVENTS = 256
};

enum kind { WS, SSE, LONG, SHORT, KINDS, NEW = KINDS };

/* All events of a channel as they go over the wire, one behind the other. */
struct tape {
	struct buf bytes;
	uint64_t base; /* of its first byte, since the beginning */
	size_t stride; /* bytes of an event */
	bool used;
	struct list readers;
};

struct channel {
	struct tape tapes[LONG + 1];
};

struct client {
	struct list list; /* of its tape; of itself if it waits for nothing */
	int fd;
	enum kind kind;
	bool waits_to_write;
	struct tape *tape;
	uint64_t at;     /* the next byte of the tape to be sent */
	struct buf *in;  /* the beginning of a request */
	struct buf *out; /* the rest of answers */
};

static struct channel *channels[CHANNELS];
static uint8_t scratch[SCRATCH];
static int epoll;

static const char switching[] =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
static const char streaming[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    "Cache-Control: no-store\r\n\r\n";
static const char created[] =
    "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n";

static void
fail(const char *what)
{
	perror(what);
	exit(1);
}

static struct buf *
buf_made(struct buf **b)
{
	if (*b == NULL) {
		*b = malloc(sizeof(**b));
		if (*b == NULL)
			fail("malloc");
		buf_init(*b, SIZE_MAX / 2);
	}
	return *b;
}

static void
buf_gone(struct buf **b)
{
	if (*b != NULL)
		buf_fini(*b);
	free(*b);
	*b = NULL;
}

static struct tape *
tape_of(uint32_t channel, enum kind kind)
{
	struct channel **ch = &channels[channel];
	size_t i;

	if (*ch == NULL) {
		*ch = calloc(1, sizeof(**ch));
		if (*ch == NULL)
			fail("calloc");
		for (i = 0; i <= LONG; i++) {
			buf_init(&(*ch)->tapes[i].bytes, SIZE_MAX / 2);
			list_init(&(*ch)->tapes[i].readers);
		}
	}
	return &(*ch)->tapes[kind == SHORT ? LONG : kind];
}

static uint64_t
tape_end(const struct tape *t)
{
	return t->base + buf_len(&t->bytes);
}

static void
client_watch(struct client *c, bool waits_to_write)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };

	if (c->waits_to_write == waits_to_write)
		return;
	c->waits_to_write = waits_to_write;
	if (waits_to_write)
		e.events |= EPOLLOUT;
	if (epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &e) != 0)
		fail("epoll_ctl");
}

static void
client_free(struct client *c)
{
	list_remove(&c->list);
	close(c->fd);
	buf_gone(&c->in);
	buf_gone(&c->out);
	free(c);
}

/* A stream gets what it does not have; what does not fit it gets later. */
static void
client_stream(struct client *c)
{
	struct tape *t = c->tape;
	uint64_t end = tape_end(t);
	ssize_t n;

	if (c->at < t->base) {
		fprintf(stderr, "limit: a client is too slow\n");
		exit(1);
	}
	if (c->at < end) {
		n = send(c->fd, buf_head(&t->bytes) + (c->at - t->base),
		    (size_t)(end - c->at), MSG_NOSIGNAL);
		if (n > 0)
			c->at += (uint64_t)n;
	}
	client_watch(c, c->at < end);
}

/* An answer, or several. */
static void
client_answer(struct client *c, const void *p, size_t len)
{
	ssize_t n = 0;

	if (c->out == NULL) {
		n = send(c->fd, p, len, MSG_NOSIGNAL);
		if (n < 0)
			n = 0;
		if ((size_t)n == len)
			return;
	}
	buf_put(buf_made(&c->out), (const char *)p + n, len - (size_t)n);
	client_watch(c, true);
}

static void
client_write_on(struct client *c)
{
	ssize_t n;

	if (c->out == NULL) {
		if (c->kind == WS || c->kind == SSE)
			client_stream(c);
		return;
	}
	n = send(c->fd, buf_head(c->out), buf_len(c->out), MSG_NOSIGNAL);
	if (n > 0)
		buf_drop(c->out, (size_t)n);
	if (buf_len(c->out) > 0)
		return;
	buf_gone(&c->out);
	client_watch(c, false);
	if (c->kind == WS || c->kind == SSE)
		client_stream(c);
}

/* What is on the tape behind the client, as one answer. */
static void
client_poll(struct client *c, const void *bytes, size_t len)
{
	struct buf answer;

	buf_init(&answer, SIZE_MAX / 2);
	buf_printf(
	    &answer, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", len);
	buf_put(&answer, bytes, len);
	client_answer(c, buf_head(&answer), buf_len(&answer));
	buf_fini(&answer);
	c->at += len;
}

/* The next event goes onto a tape, and to everybody who reads it. */
static void
tape_put(struct tape *t, struct str head, struct str payload, struct str tail)
{
	struct client *c;
	struct buf answer;

	if (buf_len(&t->bytes) > TAPE_MAX) {
		size_t drop = buf_len(&t->bytes) / 2;

		t->base += drop;
		buf_drop(&t->bytes, drop);
	}
	t->stride = head.len + payload.len + tail.len;
	buf_put_str(&t->bytes, head);
	buf_put_str(&t->bytes, payload);
	buf_put_str(&t->bytes, tail);
	buf_init(&answer, SIZE_MAX / 2);
	buf_printf(&answer, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n",
	    payload.len);
	buf_put_str(&answer, payload);
	list_each_safe (l, next, &t->readers) {
		c = container_of(l, struct client, list);
		if (c->kind != LONG) {
			if (!c->waits_to_write)
				client_stream(c);
			continue;
		}
		/* Who waits has everything else. */
		list_remove(&c->list);
		client_answer(c, buf_head(&answer), buf_len(&answer));
	}
	buf_fini(&answer);
}

static void
publish(uint32_t channel, struct str payload)
{
	uint8_t head[10] = { 0x81 };
	size_t i, bytes = payload.len < 126 ? 0 : payload.len < 65536 ? 2 : 8;
	struct tape *t = tape_of(channel, WS);

	head[1] = (uint8_t)(bytes == 0 ? payload.len : bytes == 2 ? 126 : 127);
	for (i = 0; i < bytes; i++)
		head[2 + i] = (uint8_t)(payload.len >> (8 * (bytes - 1 - i)));
	if (t[WS].used)
		tape_put(&t[WS], (struct str){ (char *)head, 2 + bytes },
		    payload, STR(""));
	if (t[SSE].used)
		tape_put(&t[SSE], STR("data: "), payload, STR("\n\n"));
	if (t[LONG].used)
		tape_put(&t[LONG], STR(""), payload, STR(""));
}

static uint32_t
get_hex(const uint8_t *p, size_t digits)
{
	uint32_t value = 0;

	for (; digits > 0; digits--, p++)
		value = value << 4 |
		    (uint32_t)(*p >= 'a' ? *p - 'a' + 10 : *p - '0');
	return value;
}

static void
subscribe(struct client *c, const uint8_t *p)
{
	enum kind kind = p[5] == 'w' ? WS :
	    p[5] == 's'              ? SSE :
	    p[5] == 'l'              ? LONG :
				       SHORT;
	struct tape *t = tape_of(get_hex(p + 7, 4), kind);
	uint64_t end = tape_end(t);

	t->used = true;
	c->kind = kind;
	c->tape = t;
	c->at = (uint64_t)get_hex(p + 12, 8) * t->stride;
	if (kind >= LONG) {
		if (c->at < end || kind == SHORT)
			client_poll(c, buf_head(&t->bytes) + (c->at - t->base),
			    (size_t)(end - c->at));
		else
			list_append(&t->readers, &c->list);
		return;
	}
	list_append(&t->readers, &c->list);
	if (kind == WS)
		client_answer(c, switching, sizeof(switching) - 1);
	else
		client_answer(c, streaming, sizeof(streaming) - 1);
	if (c->at < end)
		client_stream(c);
}

/* All whole requests in `p`, their answers in one send. Returns what is left.
 */
static size_t
take(struct client *c, const uint8_t *p, size_t n)
{
	size_t answers = 0, size;
	uint32_t channel;
	struct buf acks;

	while (n >= GET_LENGTH && p[0] == 'G') {
		subscribe(c, p);
		p += GET_LENGTH;
		n -= GET_LENGTH;
	}
	while (n >= POST_LENGTH && p[0] == 'P') {
		channel = get_hex(p + 6, 4);
		size = get_hex(p + 11, 8);
		if (n < POST_LENGTH + size)
			break;
		if (channel != ONLY_ANSWER)
			publish(channel,
			    (struct str){
				(const char *)p + POST_LENGTH, size });
		answers++;
		p += POST_LENGTH + size;
		n -= POST_LENGTH + size;
	}
	if (answers == 1)
		client_answer(c, created, sizeof(created) - 1);
	if (answers <= 1)
		return n;
	buf_init(&acks, SIZE_MAX / 2);
	while (answers-- > 0)
		buf_puts(&acks, created);
	client_answer(c, buf_head(&acks), buf_len(&acks));
	buf_fini(&acks);
	return n;
}

/* False: it is gone. */
static bool
client_read(struct client *c)
{
	size_t left, len;
	ssize_t n = recv(c->fd, scratch, SCRATCH, 0);

	if (n < 0 && errno == EAGAIN)
		return true;
	if (n <= 0) {
		client_free(c);
		return false;
	}
	if (c->kind == WS || c->kind == SSE)
		return true;
	if (c->in == NULL) {
		left = take(c, scratch, (size_t)n);
		if (left > 0)
			buf_put(
			    buf_made(&c->in), scratch + (size_t)n - left, left);
		return true;
	}
	buf_put(c->in, scratch, (size_t)n);
	len = buf_len(c->in);
	buf_drop(c->in, len - take(c, buf_head(c->in), len));
	if (buf_len(c->in) == 0)
		buf_gone(&c->in);
	return true;
}

static void
accept_some(int listener)
{
	int fd, on = 1, some = TURN_EVENTS;
	struct epoll_event e;
	struct client *c;

	while (some-- > 0 &&
	    (fd = accept4(
		 listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		c = calloc(1, sizeof(*c));
		if (c == NULL)
			fail("calloc");
		list_init(&c->list);
		c->fd = fd;
		c->kind = NEW;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		e = (struct epoll_event){ .events = EPOLLIN, .data.ptr = c };
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) != 0)
			fail("epoll_ctl");
	}
}

static int
listen_on(const char *port)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = NULL };
	int on = 1;

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (fd < 0 || epoll < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
	    bind(fd, (struct sockaddr *)&to, sizeof(to)) != 0 ||
	    listen(fd, 4096) != 0 ||
	    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) != 0)
		fail("listen");
	return fd;
}

int
main(int argc, char **argv)
{
	struct epoll_event events[TURN_EVENTS];
	struct rlimit files;
	int i, n, listener;

	if (argc != 2) {
		fprintf(stderr, "usage: limit PORT\n");
		return 2;
	}
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	listener = listen_on(argv[1]);
	for (;;) {
		n = epoll_wait(epoll, events, TURN_EVENTS, -1);
		for (i = 0; i < n; i++) {
			struct client *c = events[i].data.ptr;

			if (c == NULL)
				accept_some(listener);
			else if ((events[i].events & ~(uint32_t)EPOLLOUT) ==
				0 ||
			    client_read(c)) {
				if ((events[i].events & EPOLLOUT) != 0)
					client_write_on(c);
			}
		}
	}
}
