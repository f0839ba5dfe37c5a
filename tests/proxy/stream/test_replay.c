#include "proxy/stream/replay.h"

#include "proxy/stream/deliver.h"
#include "proxy/stream/subscriber.h"
#include "tests/proxy/stream/hub_world.h"

enum { SUBSCRIBERS = 100, SIZE = 50000, ROOM = 8 << 20 };

/* What the store is asked, and answers when the test says so. */
static struct log_read *asked[SUBSCRIBERS];
static size_t asked_count;
/* Who was given something. */
static struct subscriber *served[10 * SUBSCRIBERS];
static size_t served_count;

int __wrap_log_read(struct log *l, struct log_read *r);
void __wrap_deliver_replayed(struct subscriber *s, struct replay *r);

int
__wrap_log_read(struct log *l, struct log_read *r)
{
	(void)l;
	ck_assert_uint_lt(asked_count, SUBSCRIBERS);
	asked[asked_count++] = r;
	return SW_OK;
}

void
__wrap_deliver_replayed(struct subscriber *s, struct replay *r)
{
	(void)r;
	ck_assert_uint_lt(served_count, COUNT(served));
	served[served_count++] = s;
}

static struct hub_world w;
static struct conn conns[SUBSCRIBERS];
static struct subscriber subscribers[SUBSCRIBERS];

/* Subscribers of one channel, each at its own place if `apart`. */
static void
set_up(bool apart)
{
	struct hub_channel *hc;

	hub_world_init(&w, ROOM, 4096);
	hc = hub_world_channel(&w, "a");
	memset(conns, 0, sizeof(conns));
	memset(subscribers, 0, sizeof(subscribers));
	asked_count = served_count = 0;
	for (size_t i = 0; i < SUBSCRIBERS; i++) {
		struct subscriber *s = &subscribers[i];

		conns[i].worker = &w.worker;
		s->conn = &conns[i];
		s->link_count = 1;
		s->first.subscriber = s;
		list_init(&s->waiting);
		ck_assert_int_eq(
		    hub_link(w.hub, &s->first, hc, apart ? i + 1 : 1), SW_OK);
	}
}

static void
clean_up(void)
{
	replay_forget(w.hub, NULL);
	ck_assert_uint_eq(w.hub->kept_replay_count, 0);
	ck_assert_uint_eq(w.hub->kept_replay_bytes, 0);
	for (size_t i = 0; i < SUBSCRIBERS; i++)
		hub_unlink(w.hub, &subscribers[i].first);
	hub_world_fini(&w);
}

static void
start(size_t i)
{
	ck_assert_int_eq(
	    replay_start(w.hub, &subscribers[i], NULL, 0, 0), SW_OK);
}

/* The store has found so many events. */
static void
answer(size_t i, size_t events)
{
	struct history_query *q = &asked[i]->query;

	q->events = calloc(events == 0 ? 1 : events, sizeof(*q->events));
	ck_assert_ptr_nonnull(q->events);
	for (; q->count < events; q->count++)
		q->events[q->count] =
		    make_sized_event(q->parts[0].channel, SIZE);
	asked[i]->task.run(&asked[i]->task);
}

/* The reader's clock may be ahead of the turn that looks into windows. */
START_TEST(age_is_judged_by_the_time_of_the_turn)
{
	set_up(false);
	start(0);
	ck_assert_uint_eq(asked[0]->unix_ms, loop_unix_ms(w.worker.loop));
	answer(0, 0);
	clean_up();
}
END_TEST

START_TEST(who_stands_at_the_same_place_shares_a_read)
{
	set_up(false);
	for (size_t i = 0; i < 10; i++)
		start(i);
	ck_assert_uint_eq(asked_count, 1);
	ck_assert_uint_eq(served_count, 0);
	answer(0, 3);
	ck_assert_uint_eq(served_count, 10);
	/* And so does who comes a little later. */
	start(10);
	ck_assert_uint_eq(asked_count, 1);
	ck_assert_uint_eq(served_count, 11);
	ck_assert_ptr_eq(served[10], &subscribers[10]);
	clean_up();
}
END_TEST

START_TEST(who_stands_elsewhere_has_its_own)
{
	set_up(true);
	start(0);
	start(1);
	ck_assert_uint_eq(asked_count, 2);
	answer(1, 1);
	ck_assert_uint_eq(served_count, 1);
	ck_assert_ptr_eq(served[0], &subscribers[1]);
	answer(0, 1);
	ck_assert_uint_eq(served_count, 2);
	clean_up();
}
END_TEST

START_TEST(who_leaves_is_served_nothing)
{
	set_up(false);
	start(0);
	start(1);
	replay_leave(&subscribers[0]);
	answer(0, 1);
	ck_assert_uint_eq(served_count, 1);
	ck_assert_ptr_eq(served[0], &subscribers[1]);
	clean_up();
}
END_TEST

/* The newest of them; together they have a part of what windows may have. */
START_TEST(what_is_kept_has_a_bound_in_bytes)
{
	set_up(true);
	for (size_t i = 0; i < 60; i++) {
		start(i);
		answer(i, 5);
		ck_assert_uint_le(w.hub->kept_replay_bytes, ROOM / 8);
	}
	ck_assert_uint_gt(w.hub->kept_replay_count, 1);
	ck_assert_uint_eq(
	    w.hub->kept_replay_bytes, w.hub->kept_replay_count * 5 * SIZE);
	/* One alone may be larger than that. */
	start(60);
	answer(60, 40);
	ck_assert_uint_eq(w.hub->kept_replay_count, 1);
	ck_assert_uint_eq(w.hub->kept_replay_bytes, 40 * SIZE);
	clean_up();
}
END_TEST

START_TEST(what_is_kept_has_a_bound_in_number)
{
	set_up(true);
	w.conf.window_bytes = UINT64_MAX;
	for (size_t i = 0; i < 80; i++) {
		start(i);
		answer(i, 1);
	}
	ck_assert_uint_eq(w.hub->kept_replay_count, 64);
	clean_up();
}
END_TEST

/* By then there may be something. */
START_TEST(that_nothing_was_found_is_not_kept)
{
	set_up(false);
	start(0);
	answer(0, 0);
	ck_assert_uint_eq(served_count, 1);
	ck_assert_uint_eq(w.hub->kept_replay_count, 0);
	start(1);
	ck_assert_uint_eq(asked_count, 2);
	answer(1, 0);
	clean_up();
}
END_TEST

START_TEST(a_channel_that_is_cleared_is_forgotten)
{
	struct channel *other;

	set_up(false);
	start(0);
	answer(0, 1);
	other = world_channel(&w.world, "other");
	replay_forget(w.hub, other);
	ck_assert_uint_eq(w.hub->kept_replay_count, 1);
	replay_forget(w.hub, subscribers[0].first.channel->channel);
	ck_assert_uint_eq(w.hub->kept_replay_count, 0);
	channel_unref(other);
	clean_up();
}
END_TEST

static const struct {
	size_t found; /* by the store, of the events 1, 3 and 5 */
	bool more;    /* than that */
	uint32_t limit;
	size_t given; /* of all events, from 1 on */
	bool left;
} merges[] = {
	{ 3, false, 10, 6, false },
	/* What the store has behind them may be older than the window's. */
	{ 2, true, 10, 3, true },
	{ 1, true, 10, 1, true },
	{ 3, false, 3, 3, true },
	{ 0, false, 10, 0, false },
};

/* Of a channel that memory keeps, beside one that the store has. */
START_TEST(events_of_windows_are_merged_in_the_order_of_ids)
{
	struct subscriber *s = &subscribers[0];
	struct link kept = { .subscriber = s, .reads = true };
	struct replay r = { .upto = merges[_i].found == 0 ? 1 : 6 };
	struct history_query *q = &r.read.query;
	struct hub_channel *stored;

	set_up(true);
	stored = s->first.channel;
	s->first.reads = s->first.reads_store = true;
	s->first.next = &kept;
	ck_assert_int_eq(
	    hub_link(w.hub, &kept, hub_world_channel(&w, "m"), 0), SW_OK);
	for (size_t i = 0; i < 6; i++)
		hub_world_publish(&w, i % 2 == 0 ? "a" : "m", 10);
	q->limit = merges[_i].limit;
	q->more = merges[_i].more;
	q->events = calloc(3, sizeof(*q->events));
	for (; q->count < merges[_i].found; q->count++)
		q->events[q->count] =
		    event_ref(window_at(&stored->window, (uint32_t)q->count));
	ck_assert_int_eq(replay_add_memory(s, &r), SW_OK);
	ck_assert_uint_eq(q->count, merges[_i].given);
	ck_assert(q->more == merges[_i].left);
	for (size_t i = 0; i < q->count; i++) {
		ck_assert_uint_eq(q->events[i]->id, i + 1);
		event_unref(q->events[i]);
	}
	free(q->events);
	s->first.next = NULL;
	hub_unlink(w.hub, &kept);
	clean_up();
}
END_TEST

/* One link has caught up apart from the others, which are live. */
START_TEST(what_is_read_for_one_link_concerns_no_other)
{
	struct subscriber *s = &subscribers[0];
	struct link late = { .subscriber = s, .alone = true };

	set_up(true);
	s->first.next = &late;
	s->first.pos = 2;
	ck_assert_int_eq(
	    hub_link(w.hub, &late, hub_world_channel(&w, "late"), 1), SW_OK);
	ck_assert_int_eq(replay_start(w.hub, s, &late, 0, 0), SW_OK);
	/* The others need not wait for it. */
	ck_assert(s->replay->alone);
	ck_assert_uint_eq(asked[0]->query.part_count, 1);
	ck_assert_ptr_eq(
	    asked[0]->query.parts[0].channel, late.channel->channel);
	replay_advance(s, 7);
	ck_assert_uint_eq(late.pos, 7);
	ck_assert_uint_eq(s->first.pos, 2);
	/* Nor does any go back. */
	replay_advance(s, 6);
	ck_assert_uint_eq(late.pos, 7);
	replay_leave(s);
	answer(0, 0);
	s->first.next = NULL;
	hub_unlink(w.hub, &late);
	clean_up();
}
END_TEST

/* What is read of it meanwhile is for those who asked before. */
/* Or it would be given what is newer than what its new channel has for it. */
START_TEST(who_subscribes_meanwhile_is_given_what_comes_before_that)
{
	struct subscriber *s = &subscribers[0];
	struct link late = { .subscriber = s };
	struct replay *r;

	set_up(false);
	start(0);
	r = s->replay;
	ck_assert_uint_eq(replay_bound(s, r), UINT64_MAX);
	ck_assert_int_eq(
	    hub_link(w.hub, &late, hub_world_channel(&w, "b"), 20), SW_OK);
	s->first.next = &late;
	ck_assert_uint_eq(replay_bound(s, r), 20);
	/* What catches up apart has no part in the order. */
	late.alone = true;
	ck_assert_uint_eq(replay_bound(s, r), UINT64_MAX);
	s->first.next = NULL;
	hub_unlink(w.hub, &late);
	answer(0, 1);
	clean_up();
}
END_TEST

START_TEST(a_read_of_a_cleared_channel_is_not_shared_any_more)
{
	set_up(false);
	start(0);
	replay_forget(w.hub, subscribers[0].first.channel->channel);
	start(1);
	ck_assert_uint_eq(asked_count, 2);
	answer(0, 1);
	ck_assert_uint_eq(served_count, 1);
	ck_assert_uint_eq(w.hub->kept_replay_count, 0);
	answer(1, 1);
	ck_assert_uint_eq(w.hub->kept_replay_count, 1);
	clean_up();
}
END_TEST

SUITE("replay", TEST(age_is_judged_by_the_time_of_the_turn),
    TEST(who_stands_at_the_same_place_shares_a_read),
    TEST(who_stands_elsewhere_has_its_own), TEST(who_leaves_is_served_nothing),
    TEST(what_is_kept_has_a_bound_in_bytes),
    TEST(what_is_kept_has_a_bound_in_number),
    TEST(that_nothing_was_found_is_not_kept),
    TEST(a_channel_that_is_cleared_is_forgotten),
    TEST(who_subscribes_meanwhile_is_given_what_comes_before_that),
    TEST(what_is_read_for_one_link_concerns_no_other),
    LOOP(events_of_windows_are_merged_in_the_order_of_ids, COUNT(merges)),
    TEST(a_read_of_a_cleared_channel_is_not_shared_any_more))
