#include <arpa/inet.h>
#include <check.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <unistd.h>

#include "proxy/http_private.h"
#include "tests/suite.h"

enum { BYTES = 20000 };

/* Both ends of a TCP connection. */
static void
connect_pair(int ends[2])
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t len = sizeof(at);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1;

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ends[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(listener, (void *)&at, sizeof(at)), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	ck_assert_int_eq(getsockname(listener, (void *)&at, &len), 0);
	ck_assert_int_eq(connect(ends[0], (void *)&at, sizeof(at)), 0);
	ends[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	ck_assert_int_ge(ends[1], 0);
	setsockopt(ends[0], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	close(listener);
}

static void *
send_byte_by_byte(void *fd)
{
	for (int i = 0; i < BYTES; i++)
		if (send(*(int *)fd, "x", 1, MSG_NOSIGNAL) != 1)
			break;
	return NULL;
}

START_TEST(bytes_that_are_taken_are_counted)
{
	char taken[3];
	int ends[2];

	connect_pair(ends);
	ck_assert_int_eq(send(ends[0], "12345", 5, 0), 5);
	ck_assert_int_eq(recv(ends[1], taken, 3, MSG_WAITALL), 3);
	ck_assert_uint_eq(http_bytes_taken(ends[1]), 3);
	ck_assert_uint_eq(http_bytes_taken(-1), 0);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

/* Here nobody ever takes a byte, however many come meanwhile. */
START_TEST(bytes_that_come_meanwhile_are_not_counted)
{
	pthread_t sender;
	int ends[2];
	char byte;

	connect_pair(ends);
	ck_assert_int_eq(
	    pthread_create(&sender, NULL, send_byte_by_byte, &ends[0]), 0);
	while (recv(ends[1], &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 1)
		;
	for (int i = 0; i < BYTES; i++)
		ck_assert_uint_eq(http_bytes_taken(ends[1]), 0);
	pthread_join(sender, NULL);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

SUITE("http", TEST(bytes_that_are_taken_are_counted),
    TEST(bytes_that_come_meanwhile_are_not_counted))
