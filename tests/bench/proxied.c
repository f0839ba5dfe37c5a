/*
 * The load for a reverse proxy: clients that ask, one request at a time each
 * and the next one at once, and the backend that answers, both in one thread.
 * Afterwards the clients ask the backend itself, for comparison.
 *
 * With a path for --websocket the clients are WebSockets there, what they ask
 * is a message, and the server makes a request of it: the backend answers each
 * with what it was sent, which is a message again.
 *
 * One run, one line of JSON. Every response is checked to the byte of its
 * body: exits with 1 if one is not what it should be.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/measure.h"

enum { CLIENTS_MAX = 4096, BUFFER = 64 << 10, BODY_MAX = 32 << 10 };

struct peer {
	int fd;
	bool serves; /* it is the backend's side */
	bool open;   /* of a WebSocket: its handshake is over */
	size_t len;
	uint64_t began;
	char data[BUFFER];
};

static struct {
	int epoll_fd, listen_fd;
	struct peer *clients[CLIENTS_MAX];
	size_t nclients, size;
	char *request, *response; /* with a body of that size, but a GET */
	size_t request_len, response_len;
	const char *path, *protocol; /* of WebSockets; or NULL */
	bool sockets;                /* the clients are some now */
	uint64_t done;
	bool measuring;
	struct histogram times;
} b;

static void
fail(const char *what)
{
	fprintf(stderr, "proxied: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void
watch(struct peer *p)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = p };
	int on = 1;

	setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (epoll_ctl(b.epoll_fd, EPOLL_CTL_ADD, p->fd, &e) != 0)
		fail("epoll_ctl");
}

static struct peer *
peer_new(int fd, bool serves)
{
	struct peer *p = calloc(1, sizeof(*p));

	if (p == NULL || fd < 0)
		fail("connection");
	p->fd = fd;
	p->serves = serves;
	watch(p);
	return p;
}

static void
put(struct peer *p, const char *bytes, size_t n)
{
	/* Small enough for every socket, which is empty. */
	if (send(p->fd, bytes, n, MSG_NOSIGNAL) != (ssize_t)n)
		fail("send");
}

static void
ask(struct peer *p)
{
	p->began = now_ns();
	put(p, b.request, b.request_len);
}

/* The client's side of one, whose key is zero: it leaves the text as it is. */
static void
say(struct peer *p)
{
	uint8_t head[8] = { 0x81, 0x80 };
	size_t n = 6;

	if (b.size < 126) {
		head[1] |= (uint8_t)b.size;
	} else {
		head[1] |= 126;
		head[2] = (uint8_t)(b.size >> 8);
		head[3] = (uint8_t)b.size;
		n = 8;
	}
	memmove(p->data, head, n);
	memcpy(p->data + n, b.request + b.request_len - b.size, b.size);
	p->began = now_ns();
	put(p, p->data, n + b.size);
}

/* The end of the head, or NULL. */
static char *
head_end(const struct peer *p)
{
	char *end = memmem(p->data, p->len, "\r\n\r\n", 4);

	return end == NULL ? NULL : end + 4;
}

/* A header's value to the end of its line; NULL: there is none. */
static const char *
header(const struct peer *p, const char *end, const char *name, size_t *len)
{
	size_t n = strlen(name);

	for (const char *at = p->data; at < end;) {
		const char *line_end =
		    memmem(at, (size_t)(end - at), "\r\n", 2);

		if ((size_t)(line_end - at) > n + 2 &&
		    strncasecmp(at, name, n) == 0 && at[n] == ':') {
			*len = (size_t)(line_end - at) - n - 2;
			return at + n + 2;
		}
		at = line_end + 2;
	}
	return NULL;
}

/* What it was sent, as what it was sent. */
static void
echo(struct peer *p, const char *body, size_t n)
{
	static char out[BUFFER + 512];
	size_t type_len = 0;
	const char *type = header(p, body, "Content-Type", &type_len);
	int head = snprintf(out, 512,
	    "HTTP/1.1 200 OK\r\nContent-Type: %.*s\r\n"
	    "Content-Length: %zu\r\n\r\n",
	    (int)type_len, type == NULL ? "" : type, n);

	memcpy(out + head, body, n);
	put(p, out, (size_t)head + n);
}

static void
answer(struct peer *p)
{
	char *end;

	while ((end = head_end(p)) != NULL) {
		size_t len = 0;
		const char *length = header(p, end, "Content-Length", &len);
		size_t body = length == NULL ? 0 : (size_t)atoi(length);

		if (p->len < (size_t)(end - p->data) + body)
			return;
		if (b.path != NULL)
			echo(p, end, body);
		else
			put(p, b.response, b.response_len);
		end += body;
		p->len -= (size_t)(end - p->data);
		memmove(p->data, end, p->len);
	}
}

static void
came_back(struct peer *p)
{
	p->len = 0;
	if (b.measuring) {
		b.done++;
		histogram_add(&b.times, now_ns() - p->began);
	}
	if (b.sockets)
		say(p);
	else
		ask(p);
}

static void
check_body(const struct peer *p, const char *body)
{
	const char *due = b.path != NULL ? b.request + b.request_len - b.size :
					   b.response + b.response_len - b.size;

	if (body + b.size == p->data + p->len && memcmp(body, due, b.size) == 0)
		return;
	fprintf(stderr, "proxied: another body than it should be\n");
	exit(1);
}

static void
check_response(struct peer *p)
{
	char *end = head_end(p);
	size_t head;

	if (end == NULL)
		return;
	head = (size_t)(end - p->data);
	if (strncmp(p->data, "HTTP/1.1 200", 12) != 0 ||
	    memmem(p->data, head, "chunked", 7) != NULL) {
		fprintf(stderr, "proxied: %.*s", (int)p->len, p->data);
		exit(1);
	}
	if (p->len < head + b.size)
		return;
	check_body(p, end);
	came_back(p);
}

static void
check_message(struct peer *p)
{
	size_t head = b.size < 126 ? 2 : 4;

	if (!p->open) {
		char *end = head_end(p);

		if (end == NULL)
			return;
		if (strncmp(p->data, "HTTP/1.1 101", 12) != 0 ||
		    end != p->data + p->len) {
			fprintf(stderr, "proxied: %.*s", (int)p->len, p->data);
			exit(1);
		}
		p->open = true;
		p->len = 0;
		say(p);
		return;
	}
	if (p->len < head + b.size)
		return;
	check_body(p, p->data + head);
	came_back(p);
}

static void
serve(struct peer *p)
{
	ssize_t n = recv(p->fd, p->data + p->len, BUFFER - p->len, 0);

	if (n <= 0 && !p->serves)
		fail("a client was hung up on");
	if (n <= 0) {
		close(p->fd);
		free(p);
		return;
	}
	p->len += (size_t)n;
	if (p->serves)
		answer(p);
	else if (b.sockets)
		check_message(p);
	else
		check_response(p);
}

static void
turn(void)
{
	struct epoll_event events[256];
	int n = epoll_wait(b.epoll_fd, events, 256, 1000);

	for (int i = 0; i < n; i++) {
		if (events[i].data.ptr == NULL)
			peer_new(accept(b.listen_fd, NULL, NULL), true);
		else
			serve(events[i].data.ptr);
	}
}

static void
run_for(double seconds)
{
	uint64_t end = now_ns() + (uint64_t)(seconds * (double)SECOND);

	while (now_ns() < end)
		turn();
}

static uint64_t
own_cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static struct sockaddr_in
local(uint16_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static void
listen_at(uint16_t port)
{
	struct epoll_event e = { .events = EPOLLIN };
	struct sockaddr_in a = local(port);
	int on = 1;

	b.listen_fd = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(b.listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(b.listen_fd, (struct sockaddr *)&a, sizeof(a)) != 0 ||
	    listen(b.listen_fd, 4096) != 0 ||
	    epoll_ctl(b.epoll_fd, EPOLL_CTL_ADD, b.listen_fd, &e) != 0)
		fail("listen");
}

static void
open_socket(struct peer *p, uint16_t port)
{
	char head[512];
	int n = snprintf(head, sizeof(head),
	    "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
	    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Version: 13\r\n"
	    "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n%s%s%s\r\n",
	    b.path, port, b.protocol == NULL ? "" : "Sec-WebSocket-Protocol: ",
	    b.protocol == NULL ? "" : b.protocol,
	    b.protocol == NULL ? "" : "\r\n");

	put(p, head, (size_t)n);
}

static void
start_clients(uint16_t port, size_t n)
{
	struct sockaddr_in a = local(port);

	for (b.nclients = 0; b.nclients < n; b.nclients++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);
		struct peer *p;

		if (connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0)
			fail("connect");
		p = b.clients[b.nclients] = peer_new(fd, false);
		if (b.sockets)
			open_socket(p, port);
		else
			ask(p);
	}
}

static void
stop_clients(void)
{
	for (size_t i = 0; i < b.nclients; i++) {
		close(b.clients[i]->fd);
		free(b.clients[i]);
	}
	b.done = 0;
	memset(&b.times, 0, sizeof(b.times));
	b.measuring = false;
}

/* A head with so many letters behind it: the length of both. */
static size_t
write_message(char **message, const char *head, int head_len, size_t size)
{
	*message = malloc((size_t)head_len + size);
	if (*message == NULL)
		fail("malloc");
	memcpy(*message, head, (size_t)head_len);
	for (size_t i = 0; i < size; i++)
		(*message)[(size_t)head_len + i] = (char)('a' + i % 26);
	return (size_t)head_len + size;
}

static void
make_messages(uint16_t port)
{
	char head[512];
	int n = b.path != NULL ?
	    snprintf(head, sizeof(head),
		"POST / HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
		"Content-Type: text/plain\r\nContent-Length: %zu\r\n\r\n",
		port, b.size) :
	    snprintf(head, sizeof(head),
		"GET /page?of=the&application HTTP/1.1\r\n"
		"Host: 127.0.0.1:%u\r\n"
		"User-Agent: bench/1.0\r\nAccept: text/html,*/*;q=0.8\r\n"
		"Accept-Encoding: gzip\r\n"
		"Cookie: session=0123456789abcdef\r\n\r\n",
		port);

	b.request_len =
	    write_message(&b.request, head, n, b.path != NULL ? b.size : 0);
	n = snprintf(head, sizeof(head),
	    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
	    "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
	    "Content-Length: %zu\r\n\r\n",
	    b.size);
	b.response_len = write_message(&b.response, head, n, b.size);
}

int
main(int argc, char **argv)
{
	struct server server = { .n = 0 };
	unsigned port = 0, backend = 0, clients = 64;
	double seconds = 2, took;
	uint64_t begin, cpu, own;

	b.size = 1024;
	for (int i = 1; i + 1 < argc; i += 2) {
		const char *name = argv[i], *value = argv[i + 1];

		if (strcmp(name, "--sub-port") == 0)
			port = (unsigned)atoi(value);
		else if (strcmp(name, "--backend-port") == 0)
			backend = (unsigned)atoi(value);
		else if (strcmp(name, "--websocket") == 0)
			b.path = value;
		else if (strcmp(name, "--protocol") == 0)
			b.protocol = value;
		else if (strcmp(name, "--clients") == 0)
			clients = (unsigned)atoi(value);
		else if (strcmp(name, "--size") == 0)
			b.size = (size_t)atoi(value);
		else if (strcmp(name, "--seconds") == 0)
			seconds = atof(value);
		else if (strcmp(name, "--pids") == 0)
			server_parse(&server, value);
		else if (strcmp(name, "--max-seconds") == 0)
			alarm((unsigned)atoi(value));
	}
	if (port == 0 || backend == 0 || clients == 0 ||
	    clients > CLIENTS_MAX || b.size > BODY_MAX) {
		fprintf(stderr, "proxied: --sub-port, --backend-port?\n");
		return 2;
	}
	b.epoll_fd = epoll_create1(0);
	make_messages((uint16_t)port);
	listen_at((uint16_t)backend);
	b.sockets = b.path != NULL;
	start_clients((uint16_t)port, clients);
	run_for(0.3);
	b.measuring = true;
	begin = now_ns();
	cpu = server_cpu_ns(&server);
	own = own_cpu_ns();
	run_for(seconds);
	took = (double)(now_ns() - begin) / (double)SECOND;
	printf("{\"requests\": %llu, \"seconds\": %.6f, \"cpu_s\": %.6f, "
	       "\"load_busy\": %.4f, \"p50_us\": %.1f, \"p99_us\": %.1f, ",
	    (unsigned long long)b.done, took,
	    (double)(server_cpu_ns(&server) - cpu) / (double)SECOND,
	    (double)(own_cpu_ns() - own) / (double)SECOND / took,
	    histogram_us(&b.times, 0.5), histogram_us(&b.times, 0.99));
	stop_clients();
	b.sockets = false;
	start_clients((uint16_t)backend, clients);
	run_for(0.1);
	b.measuring = true;
	run_for(seconds / 4);
	printf("\"direct_p50_us\": %.1f, \"direct_p99_us\": %.1f}\n",
	    histogram_us(&b.times, 0.5), histogram_us(&b.times, 0.99));
	return 0;
}
