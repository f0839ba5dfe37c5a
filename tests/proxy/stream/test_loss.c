#include "proxy/stream/loss.h"

#include "proxy/stream/deliver.h"
#include "proxy/stream/replay.h"
#include "tests/proxy/stream/hub_world.h"

/* What the subscriber is told, instead of being told. */
static struct notice told[8];
static size_t told_count;

void __wrap_subscriber_notice(struct subscriber *s, const struct notice *n);

void
__wrap_subscriber_notice(struct subscriber *s, const struct notice *n)
{
	(void)s;
	ck_assert_uint_lt(told_count, COUNT(told));
	told[told_count++] = *n;
}

static struct hub_world w;
static struct conn conn;
static struct subscriber subscriber;
static struct replay *read_of; /* one channel */

/*
 * A channel whose window holds events from `first` to `last`, and a subscriber
 * at `pos` who has read history up to `upto`.
 */
static struct link *
set_up(uint64_t first, uint64_t last, uint64_t pos, uint64_t upto)
{
	struct link *l = &subscriber.first;
	struct hub_channel *hc;

	hub_world_init(&w, 64 << 20, 4096);
	hc = hub_world_channel(&w, "a");
	memset(&subscriber, 0, sizeof(subscriber));
	read_of = calloc(1, sizeof(*read_of) + sizeof(read_of->parts[0]));
	ck_assert_ptr_nonnull(read_of);
	told_count = 0;
	conn.worker = &w.worker;
	conn.owner = &subscriber;
	subscriber.conn = &conn;
	subscriber.transport = &transports[TRANSPORT_SSE];
	subscriber.link_count = 1;
	l->subscriber = &subscriber;
	l->reads = true;
	ck_assert_int_eq(hub_link(w.hub, l, hc, pos), SW_OK);
	while (w.id < last)
		hub_world_publish(&w, "a", 1);
	while (hc->window.count > 0 && window_at(&hc->window, 0)->id < first)
		window_pop(&hc->window);
	read_of->upto = upto;
	read_of->read.query.parts = read_of->parts;
	read_of->read.query.part_count = 1;
	read_of->parts[0].channel = hc->channel;
	read_of->parts[0].after = pos;
	return l;
}

static void
clean_up(void)
{
	free(read_of);
	hub_unlink(w.hub, &subscriber.first);
	/* What was popped past the hub is not in its sums. */
	w.hub->bytes = w.hub->events = 0;
	hub_world_fini(&w);
}

static bool
ends_with(bool gap, uint64_t first)
{
	read_of->parts[0].gap = gap;
	read_of->parts[0].first = first;
	if (!loss_is_clear(&subscriber, read_of))
		return false;
	loss_after_read(&subscriber, read_of);
	return true;
}

START_TEST(what_the_store_still_has_comes_after_the_gap)
{
	struct link *l = set_up(90, 100, 10, 80);

	ck_assert(ends_with(true, 40));
	ck_assert_uint_eq(told_count, 1);
	ck_assert_uint_eq(told[0].after.seq, 10);
	ck_assert_uint_eq(told[0].first, 40);
	ck_assert_uint_eq(l->pos, 39);
	clean_up();
}
END_TEST

START_TEST(when_it_has_nothing_the_window_goes_on)
{
	struct link *l = set_up(81, 100, 10, 80);

	ck_assert(ends_with(true, 0));
	ck_assert_uint_eq(told_count, 1);
	ck_assert_uint_eq(told[0].after.seq, 10);
	ck_assert_uint_eq(told[0].first, 81);
	ck_assert_uint_eq(l->pos, 80);
	clean_up();
}
END_TEST

/*
 * Nothing up to 80 was kept, but 81 to 89, which the window has dropped since
 * then, may be: to say that things go on with 90 would be wrong.
 */
START_TEST(when_the_window_has_moved_on_it_is_read_again)
{
	struct link *l = set_up(90, 100, 10, 80);

	ck_assert(!ends_with(true, 0));
	ck_assert_uint_eq(told_count, 0);
	ck_assert_uint_eq(l->pos, 10);
	clean_up();
}
END_TEST

/* Or else it would be told that 90 follows, and then what was lost up to 90. */
START_TEST(one_loss_is_told_once_when_memory_has_the_channel_now)
{
	struct link *l = set_up(90, 100, 10, 80);

	world_memory(&w.world, "a");
	ck_assert(!ends_with(true, 0));
	ck_assert(!deliver_needs_store(&subscriber, NULL));
	ck_assert_uint_eq(told_count, 1);
	ck_assert_uint_eq(told[0].after.seq, 10);
	ck_assert_uint_eq(told[0].first, 90);
	ck_assert_uint_eq(l->pos, 89);
	clean_up();
}
END_TEST

/* A cursor of another log: it is told where things go on when that is known. */
START_TEST(a_loss_that_was_noted_waits_for_it_as_well)
{
	struct cursor after = { .epoch = { "other" }, .seq = 7 };
	struct link *l = set_up(90, 100, 80, 80);

	ck_assert_int_eq(
	    loss_note(&subscriber, GAP_EPOCH, &after, NULL), SW_OK);
	ck_assert(!ends_with(false, 0));
	ck_assert_uint_eq(told_count, 0);
	/* The next read ends where the window begins. */
	read_of->upto = 89;
	l->pos = 89;
	ck_assert(ends_with(false, 0));
	ck_assert_uint_eq(told_count, 1);
	ck_assert_int_eq(told[0].reason, GAP_EPOCH);
	ck_assert_uint_eq(told[0].first, 90);
	clean_up();
}
END_TEST

/* It has left a channel, and all that was read is of that one. */
START_TEST(what_is_read_for_nobody_does_not_say_where_it_goes_on)
{
	struct cursor after = { .epoch = { "other" }, .seq = 7 };
	struct history_query *q;
	struct event *e;

	set_up(90, 100, 0, 60);
	hub_world_publish(&w, "left", 1);
	e = window_at(&hub_world_channel(&w, "left")->window, 0);
	q = &read_of->read.query;
	q->events = &e;
	q->count = 1;
	q->more = true;
	ck_assert_int_eq(
	    loss_note(&subscriber, GAP_EPOCH, &after, NULL), SW_OK);
	ck_assert(ends_with(false, 0));
	ck_assert_uint_eq(told_count, 0);
	/* And then of the one that is left. */
	e = window_at(&subscriber.first.channel->window, 5);
	ck_assert(ends_with(false, 0));
	ck_assert_uint_eq(told_count, 1);
	ck_assert_uint_eq(told[0].first, 95);
	clean_up();
}
END_TEST

START_TEST(without_a_loss_nothing_is_told)
{
	struct link *l = set_up(81, 100, 10, 80);

	ck_assert(ends_with(false, 11));
	ck_assert_uint_eq(told_count, 0);
	ck_assert_uint_eq(l->pos, 10);
	clean_up();
}
END_TEST

START_TEST(who_began_with_all_there_is_misses_nothing)
{
	struct link *l = set_up(90, 100, 0, 80);

	l->from_start = true;
	ck_assert(ends_with(true, 40));
	ck_assert_uint_eq(told_count, 0);
	ck_assert_uint_eq(l->pos, 39);
	clean_up();
}
END_TEST

/*
 * Of a channel in memory alone the window is all there is: what it drops while
 * the store is read for the others is lost, however much of it is left.
 */
START_TEST(what_memory_drops_during_a_read_is_told)
{
	struct history_query *q;
	struct link *l = set_up(1, 100, 10, 60);

	world_memory(&w.world, "a");
	q = &read_of->read.query;
	q->part_count = 0;
	q->limit = 1000;
	while (l->channel->window.after < 40)
		window_pop(&l->channel->window);
	ck_assert_int_eq(replay_add_memory(&subscriber, read_of), SW_OK);
	ck_assert_uint_eq(told_count, 1);
	ck_assert_int_eq(told[0].reason, GAP_TRIMMED);
	ck_assert_uint_eq(told[0].after.seq, 10);
	ck_assert_uint_eq(told[0].first, 41);
	ck_assert_uint_eq(q->count, 20);
	ck_assert_uint_eq(q->events[0]->id, 41);
	history_query_fini(q);
	clean_up();
}
END_TEST

/* A reload changes nothing of a read that has begun. */
START_TEST(who_keeps_a_channel_is_asked_before_a_read)
{
	struct history_query *q;
	struct link *l = set_up(41, 100, 10, 60);

	/* What is in the store was read, and is about to be written. */
	world_memory(&w.world, "a");
	l->reads_store = true;
	q = &read_of->read.query;
	q->limit = 1000;
	ck_assert_int_eq(replay_add_memory(&subscriber, read_of), SW_OK);
	ck_assert_uint_eq(told_count, 0);
	ck_assert_uint_eq(q->count, 0);
	ck_assert_uint_eq(l->pos, 10);
	clean_up();
	/* What was in memory alone was not, and the window has lost some. */
	l = set_up(41, 100, 10, 60);
	q = &read_of->read.query;
	q->part_count = 0;
	q->limit = 1000;
	ck_assert_int_eq(replay_add_memory(&subscriber, read_of), SW_OK);
	ck_assert_uint_eq(told_count, 1);
	ck_assert_uint_eq(told[0].after.seq, 10);
	ck_assert_uint_eq(told[0].first, 41);
	ck_assert_uint_eq(q->count, 20);
	history_query_fini(q);
	clean_up();
}
END_TEST

/* A poll is told once: that its cursor was of no use outweighs the rest. */
START_TEST(a_poll_hears_of_a_useless_cursor_above_all)
{
	struct cursor after = { .epoch = { "other" }, .seq = 7 };
	struct link *l = set_up(1, 100, 10, 60);

	subscriber.transport = &transports[TRANSPORT_LONG];
	ck_assert_int_eq(
	    loss_note(&subscriber, GAP_EPOCH, &after, NULL), SW_OK);
	world_memory(&w.world, "a");
	while (l->channel->window.after < 40)
		window_pop(&l->channel->window);
	loss_skip_memory(&subscriber, false, false);
	ck_assert_int_eq(subscriber.poll.gap, GAP_TRIMMED);
	loss_tell(&subscriber, NULL, 0);
	ck_assert_int_eq(subscriber.poll.gap, GAP_EPOCH);
	ck_assert_uint_eq(subscriber.poll.gap_after.seq, 7);
	ck_assert_uint_eq(subscriber.poll.gap_first, 41);
	clean_up();
}
END_TEST

/* What was read is not behind what is told, and others are not ahead of it. */
START_TEST(a_read_may_be_ahead_of_its_worker)
{
	struct link *l = set_up(1, 100, 0, 0);

	ck_assert_uint_eq(deliver_upto(&subscriber, NULL), 100);
	l->pos = 150;
	ck_assert_uint_eq(deliver_upto(&subscriber, NULL), 150);
	l->alone = true;
	ck_assert_uint_eq(deliver_upto(&subscriber, NULL), 100);
	ck_assert_uint_eq(deliver_upto(&subscriber, l), 150);
	clean_up();
}
END_TEST

SUITE("loss", TEST(a_poll_hears_of_a_useless_cursor_above_all),
    TEST(a_read_may_be_ahead_of_its_worker),
    TEST(what_the_store_still_has_comes_after_the_gap),
    TEST(when_it_has_nothing_the_window_goes_on),
    TEST(when_the_window_has_moved_on_it_is_read_again),
    TEST(one_loss_is_told_once_when_memory_has_the_channel_now),
    TEST(a_loss_that_was_noted_waits_for_it_as_well),
    TEST(what_memory_drops_during_a_read_is_told),
    TEST(who_keeps_a_channel_is_asked_before_a_read),
    TEST(what_is_read_for_nobody_does_not_say_where_it_goes_on),
    TEST(without_a_loss_nothing_is_told),
    TEST(who_began_with_all_there_is_misses_nothing))
