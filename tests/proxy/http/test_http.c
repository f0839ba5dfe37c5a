#include <arpa/inet.h>
#include <check.h>
#include <linux/tcp.h> /* has what libc's lacks: tcpi_bytes_acked */
#include <pthread.h>
#include <unistd.h>

#include "proxy/http/http_private.h"
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

/* A connection as far as its deadline looks at it. */
static struct {
	struct conf conf;
	struct worker worker;
	struct conn conn;
	struct lent lent;
	int ends[2]; /* the client's and ours */
} d;

static void
on_timer(struct timer *t)
{
	(void)t;
}

static void
deadline_open(void)
{
	memset(&d, 0, sizeof(d));
	d.conf.stall_timeout_ms = 5000;
	d.worker.conf = &d.conf;
	ck_assert_int_eq(loop_new(&d.worker.loop), SW_OK);
	d.conn.worker = &d.worker;
	timer_init(&d.conn.timer, on_timer);
	d.conn.lent_fd = -1;
	d.lent.conn = &d.conn;
	connect_pair(d.ends);
}

static void
deadline_close(void)
{
	loop_clear_timer(&d.conn.timer);
	loop_free(d.worker.loop);
	close(d.ends[0]);
	close(d.ends[1]);
}

static uint64_t
count_acked(void)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	ck_assert_int_eq(
	    getsockopt(d.ends[1], IPPROTO_TCP, TCP_INFO, &info, &len), 0);
	return info.tcpi_bytes_acked;
}

/* The client's system takes one more byte of the answer. */
static void
give_byte(void)
{
	uint64_t before = count_acked();

	ck_assert_int_eq(send(d.ends[1], "x", 1, MSG_NOSIGNAL), 1);
	while (count_acked() == before)
		;
}

/* Does it go on, until then? If not, this is what is counted for it. */
static void
check_goes_on(struct lent *l, bool expected, enum limit limit)
{
	uint64_t counted = d.worker.metrics.limited[limit];

	loop_clear_timer(&d.conn.timer);
	ck_assert(http_goes_on(&d.conn, l) == expected);
	ck_assert(timer_is_set(&d.conn.timer) == expected);
	if (expected)
		ck_assert_uint_eq(
		    d.conn.timer.due_ms, loop_now_ms(d.worker.loop) + 5000);
	ck_assert_uint_eq(d.worker.metrics.limited[limit], counted + !expected);
}

/* Plain, the library has the socket; behind TLS we have it. */
START_TEST(an_answer_goes_on_as_long_as_it_is_taken)
{
	deadline_open();
	d.conn.lent_fd = _i == 0 ? d.ends[1] : -1;
	d.conn.io.fd = _i == 0 ? -1 : d.ends[1];
	http_answer_begins(&d.lent);
	ck_assert_uint_eq(
	    d.conn.timer.due_ms, loop_now_ms(d.worker.loop) + 5000);
	/* Nobody has looked before. */
	check_goes_on(&d.lent, true, LIMIT_STALL_TIMEOUT);
	check_goes_on(&d.lent, false, LIMIT_STALL_TIMEOUT);
	give_byte();
	check_goes_on(&d.lent, true, LIMIT_STALL_TIMEOUT);
	check_goes_on(&d.lent, false, LIMIT_STALL_TIMEOUT);
	/* The next one on this connection. */
	http_answer_begins(&d.lent);
	check_goes_on(&d.lent, true, LIMIT_STALL_TIMEOUT);
	/* Gone meanwhile. */
	d.lent.conn = NULL;
	http_answer_begins(&d.lent);
	deadline_close();
}
END_TEST

/* The system does not say how far a local client has got. */
START_TEST(who_cannot_be_asked_is_not_stuck)
{
	int ends[2];

	deadline_open();
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	d.conn.lent_fd = ends[1];
	http_answer_begins(&d.lent);
	for (int i = 0; i < 3; i++)
		check_goes_on(&d.lent, true, LIMIT_STALL_TIMEOUT);
	close(ends[0]);
	close(ends[1]);
	deadline_close();
}
END_TEST

START_TEST(a_deadline_is_counted_by_what_it_was_for)
{
	struct pending request = { .answered = false };

	deadline_open();
	d.conn.io.fd = d.ends[1];
	check_goes_on(NULL, false, LIMIT_STALL_TIMEOUT);
	check_goes_on(&d.lent, false, LIMIT_HEADER_TIMEOUT);
	d.lent.served = true;
	check_goes_on(&d.lent, false, LIMIT_IDLE_TIMEOUT);
	d.lent.pending = &request;
	check_goes_on(&d.lent, false, LIMIT_REQUEST_TIMEOUT);
	deadline_close();
}
END_TEST

SUITE("http", TEST(bytes_that_are_taken_are_counted),
    TEST(bytes_that_come_meanwhile_are_not_counted),
    LOOP(an_answer_goes_on_as_long_as_it_is_taken, 2),
    TEST(who_cannot_be_asked_is_not_stuck),
    TEST(a_deadline_is_counted_by_what_it_was_for))
