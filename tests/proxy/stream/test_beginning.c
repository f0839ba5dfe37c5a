#include "proxy/stream/beginning.h"

#include <stdio.h>

#include "proxy/worker.h"
#include "tests/suite.h"

enum { SEEN = 5, HEAD = 7 };

uint64_t __wrap_log_head(const struct log *l);

/* What is committed: the worker has yet to take in the last of it. */
uint64_t
__wrap_log_head(const struct log *l)
{
	(void)l;
	return HEAD;
}

static struct beginning
find(struct stream_request *req)
{
	struct worker w = { .hub.seen = SEEN };
	struct conn c = { .worker = &w };

	snprintf(w.codec.epoch.text, sizeof(w.codec.epoch.text), "e");
	snprintf(req->after.epoch.text, sizeof(req->after.epoch.text), "e");
	return beginning_find(&c, req, beginning_live(&w));
}

/* A publisher has its answer, and then somebody subscribes. */
START_TEST(what_was_acknowledged_is_not_live)
{
	struct stream_request req = { .start = START_LIVE };
	struct beginning b = find(&req);

	ck_assert_uint_eq(b.pos, HEAD);
	ck_assert_uint_eq(b.hello, HEAD);
	ck_assert_int_eq(b.gap, GAP_NONE);
}
END_TEST

/* What the backend publishes with its answer is news to whom it lets in. */
START_TEST(live_may_be_a_moment_of_before)
{
	struct worker w = { .hub.seen = HEAD };
	struct conn c = { .worker = &w };
	const struct stream_request req = { .start = START_LIVE };

	ck_assert_uint_eq(beginning_find(&c, &req, SEEN).pos, SEEN);
	ck_assert_uint_eq(beginning_find(&c, &req, SEEN).hello, SEEN);
}
END_TEST

START_TEST(a_cursor_may_be_ahead_of_the_worker_but_not_of_the_log)
{
	struct stream_request req = { .start = START_CURSOR };
	struct beginning b;

	req.after.seq = HEAD;
	b = find(&req);
	ck_assert_uint_eq(b.pos, HEAD);
	ck_assert_int_eq(b.gap, GAP_NONE);
	req.after.seq = HEAD + 1;
	b = find(&req);
	ck_assert_uint_eq(b.pos, 0);
	ck_assert_int_eq(b.gap, GAP_AHEAD);
}
END_TEST

SUITE("proxy/stream/beginning", TEST(what_was_acknowledged_is_not_live),
    TEST(live_may_be_a_moment_of_before),
    TEST(a_cursor_may_be_ahead_of_the_worker_but_not_of_the_log))
