/*
 * The load for a reverse proxy: clients that ask, one request at a time each
 * and the next one at once, and the backend that answers, both in one thread.
 * Afterwards the clients ask the backend itself, for comparison.
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
	size_t len;
	uint64_t began;
	char data[BUFFER];
};

static struct {
	int epoll_fd, listen_fd;
	struct peer *clients[CLIENTS_MAX];
	size_t nclients, size;
	char request[512], *response;
	size_t request_len, response_len;
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

/* The end of the head, or NULL. */
static char *
head_end(const struct peer *p)
{
	char *end = memmem(p->data, p->len, "\r\n\r\n", 4);

	return end == NULL ? NULL : end + 4;
}

static void
answer(struct peer *p)
{
	char *end;

	while ((end = head_end(p)) != NULL) {
		p->len -= (size_t)(end - p->data);
		memmove(p->data, end, p->len);
		put(p, b.response, b.response_len);
	}
}

static void
check(struct peer *p)
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
	if (p->len != head + b.size ||
	    memcmp(end, b.response + b.response_len - b.size, b.size) != 0) {
		fprintf(stderr, "proxied: another body than it should be\n");
		exit(1);
	}
	p->len = 0;
	if (b.measuring) {
		b.done++;
		histogram_add(&b.times, now_ns() - p->began);
	}
	ask(p);
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
	else
		check(p);
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
start_clients(uint16_t port, size_t n)
{
	struct sockaddr_in a = local(port);

	for (b.nclients = 0; b.nclients < n; b.nclients++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		if (connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0)
			fail("connect");
		b.clients[b.nclients] = peer_new(fd, false);
		ask(b.clients[b.nclients]);
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

static void
make_messages(uint16_t port)
{
	static const char head[] = "HTTP/1.1 200 OK\r\n"
				   "Content-Type: text/plain\r\n"
				   "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
				   "Content-Length: %zu\r\n\r\n";

	b.request_len = (size_t)snprintf(b.request, sizeof(b.request),
	    "GET /page?of=the&application HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
	    "User-Agent: bench/1.0\r\nAccept: text/html,*/*;q=0.8\r\n"
	    "Accept-Encoding: gzip\r\nCookie: session=0123456789abcdef\r\n\r\n",
	    port);
	b.response = malloc(sizeof(head) + 32 + b.size);
	if (b.response == NULL)
		fail("malloc");
	b.response_len =
	    (size_t)snprintf(b.response, sizeof(head) + 32, head, b.size);
	for (size_t i = 0; i < b.size; i++)
		b.response[b.response_len++] = (char)('a' + i % 26);
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
	start_clients((uint16_t)backend, clients);
	run_for(0.1);
	b.measuring = true;
	run_for(seconds / 4);
	printf("\"direct_p50_us\": %.1f, \"direct_p99_us\": %.1f}\n",
	    histogram_us(&b.times, 0.5), histogram_us(&b.times, 0.99));
	return 0;
}
