#include "proxy/stream/poll.h"

#include "proxy/base/err.h"
#include "proxy/stream/replay.h"
#include "tests/proxy/stream/hub_world.h"

/* Reads of history that are asked for, instead of being made. */
static unsigned reads;
static size_t read_limit;

int __wrap_replay_start(struct hub *h, struct subscriber *s, struct link *alone,
    uint64_t last, size_t limit);

int
__wrap_replay_start(struct hub *h, struct subscriber *s, struct link *alone,
    uint64_t last, size_t limit)
{
	static struct replay under_way;

	(void)h;
	ck_assert_ptr_null(alone);
	ck_assert_uint_eq(last, 0);
	s->replay = &under_way;
	reads++;
	read_limit = limit;
	return SW_OK;
}

static struct hub_world w;
static struct conn conn;
static struct subscriber subscriber;

/*
 * A poll waits behind event 2. Then so much comes in one turn that its
 * channel's window begins with event 5, and it was not woken yet.
 */
static void
set_up(void)
{
	struct hub_channel *hc;

	hub_world_init(&w, 64 << 20, 4096);
	hc = hub_world_channel(&w, "a");
	memset(&subscriber, 0, sizeof(subscriber));
	conn = (struct conn){
		.worker = &w.worker,
		.owner = &subscriber,
		.role = &poll_role,
	};
	subscriber.conn = &conn;
	subscriber.transport = &transports[TRANSPORT_LONG];
	subscriber.poll.limit = 100;
	subscriber.poll.keep_alive = true;
	subscriber.link_count = 1;
	subscriber.first.subscriber = &subscriber;
	ck_assert_int_eq(hub_link(w.hub, &subscriber.first, hc, 2), SW_OK);
	while (w.id < 9)
		hub_world_publish(&w, "a", 1);
	while (window_at(&hc->window, 0)->id < 5)
		window_pop(&hc->window);
	reads = 0;
}

static void
tear_down(void)
{
	hub_unlink(w.hub, &subscriber.first);
	hub_world_fini(&w);
}

/* An answer from the window would have lost events 3 and 4 in silence. */
START_TEST(a_poll_whose_time_is_up_reads_what_has_left_its_window)
{
	set_up();
	poll_role.timeout(&conn);
	ck_assert_uint_eq(reads, 1);
	ck_assert_uint_eq(read_limit, 100);
	ck_assert(subscriber.poll.keep_alive);
	/* Its timer may fire once more. */
	poll_role.timeout(&conn);
	ck_assert_uint_eq(reads, 1);
	tear_down();
}
END_TEST

START_TEST(a_poll_that_is_answered_early_reads_it_as_well)
{
	set_up();
	subscriber.poll.until_ms = UINT64_MAX;
	poll_release(&subscriber);
	ck_assert_uint_eq(reads, 1);
	ck_assert(!subscriber.poll.keep_alive);
	/* It does not wait afterwards. */
	ck_assert_uint_eq(subscriber.poll.until_ms, 0);
	poll_release(&subscriber);
	ck_assert_uint_eq(reads, 1);
	tear_down();
}
END_TEST

SUITE("proxy/stream/poll",
    TEST(a_poll_whose_time_is_up_reads_what_has_left_its_window),
    TEST(a_poll_that_is_answered_early_reads_it_as_well))
