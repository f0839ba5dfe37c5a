#include "storage/window.h"
#include "tests/storage/world.h"
#include "tests/suite.h"

/* A channel with its window, and what was put into it. */
struct bench {
	struct world world;
	struct channel *channel;
	struct window window;
	uint64_t id, number, total;
};

static void
bench_init(struct bench *b)
{
	*b = (struct bench){ .id = 0 };
	world_init(&b->world);
	b->channel = world_channel(&b->world, "room");
}

static void
bench_fini(struct bench *b)
{
	window_fini(&b->window);
	ck_assert_uint_eq(b->window.bytes, 0);
	ck_assert_uint_eq(event_memory(), 0);
	channel_unref(b->channel);
	world_fini(&b->world);
}

/* The channel's next event, `step` ids after the one before. */
static struct event *
next_event(struct bench *b, uint64_t step, size_t size)
{
	struct event *e = make_sized_event(b->channel, size);

	e->previous = b->id;
	e->id = b->id += step;
	e->number = ++b->number;
	e->total = b->total += size;
	e->time_ms = b->id * 10;
	return e;
}

static void
push(struct bench *b, uint64_t step)
{
	window_push(&b->window, next_event(b, step, 5));
}

START_TEST(events_stand_in_order_and_in_full)
{
	struct bench b;

	bench_init(&b);
	for (unsigned i = 0; i < 1000; i++)
		push(&b, 2);
	ck_assert_uint_eq(b.window.count, 1000);
	ck_assert_uint_eq(b.window.after, 0);
	for (uint32_t i = 0; i < 1000; i++)
		ck_assert_uint_eq(window_at(&b.window, i)->id, 2 * (i + 1));
	bench_fini(&b);
}
END_TEST

START_TEST(an_event_goes_with_the_window_that_drops_it)
{
	struct bench b;
	struct event *e;

	bench_init(&b);
	e = event_ref(next_event(&b, 1, 5));
	window_push(&b.window, e);
	ck_assert_uint_eq(e->refs, 2);
	window_pop(&b.window);
	ck_assert_uint_eq(e->refs, 1);
	ck_assert_uint_eq(b.window.after, e->id);
	ck_assert_uint_eq(b.window.bytes, 0);
	event_unref(e);
	bench_fini(&b);
}
END_TEST

/* The ring turns round many times, at each of its sizes. */
START_TEST(a_window_slides_without_end)
{
	struct bench b;

	bench_init(&b);
	for (uint32_t kept = 1; kept <= 33; kept++)
		for (unsigned i = 0; i < 100; i++) {
			push(&b, 1);
			while (b.window.count > kept)
				window_pop(&b.window);
			ck_assert_uint_eq(
			    window_at(&b.window, b.window.count - 1)->id, b.id);
			ck_assert_uint_eq(
			    window_at(&b.window, 0)->previous, b.window.after);
		}
	ck_assert_uint_le(b.window.cap, 64);
	bench_fini(&b);
}
END_TEST

START_TEST(clearing_leaves_a_window_that_ends_at_the_newest)
{
	struct bench b;

	bench_init(&b);
	push(&b, 1);
	push(&b, 1);
	window_clear(&b.window);
	ck_assert_uint_eq(b.window.count, 0);
	ck_assert_uint_eq(b.window.after, 2);
	push(&b, 1);
	ck_assert_uint_eq(b.window.count, 1);
	ck_assert_uint_eq(b.window.after, 2);
	bench_fini(&b);
}
END_TEST

/* An event that never came must not look as if there had been none. */
START_TEST(a_missing_event_drops_what_was_before_it)
{
	struct bench b;

	bench_init(&b);
	push(&b, 1);
	push(&b, 1);
	event_unref(next_event(&b, 1, 5));
	push(&b, 1);
	ck_assert_uint_eq(b.window.count, 1);
	ck_assert_uint_eq(b.window.after, 3);
	ck_assert_uint_eq(window_at(&b.window, 0)->id, 4);
	bench_fini(&b);
}
END_TEST

START_TEST(a_window_that_begins_late_knows_it)
{
	struct bench b;

	bench_init(&b);
	event_unref(next_event(&b, 5, 5));
	push(&b, 1);
	ck_assert_uint_eq(b.window.after, 5);
	bench_fini(&b);
}
END_TEST

START_TEST(the_first_event_after_any_cursor_is_found)
{
	struct bench b;

	bench_init(&b);
	ck_assert_uint_eq(window_find(&b.window, 0), 0);
	for (unsigned i = 0; i < 50; i++)
		push(&b, 1 + i % 3);
	for (unsigned i = 0; i < 10; i++)
		window_pop(&b.window);
	for (uint64_t after = 0; after <= b.id + 2; after++) {
		uint32_t expected = 0;

		while (expected < b.window.count &&
		    window_at(&b.window, expected)->id <= after)
			expected++;
		ck_assert_uint_eq(window_find(&b.window, after), expected);
	}
	bench_fini(&b);
}
END_TEST

/* For any limits and from any place: as retention says, event by event. */
START_TEST(what_is_kept_begins_where_retention_says)
{
	uint64_t random = (uint64_t)_i, now, floor;
	struct policy policy;
	struct retention keep;
	struct bench b;

	bench_init(&b);
	for (uint32_t n = random_below(&random, 60); n > 0; n--)
		window_push(&b.window,
		    next_event(&b, 1 + random_below(&random, 3),
			random_below(&random, 100)));
	for (uint32_t n = random_below(&random, 20); n > 0; n--)
		if (b.window.count > 0)
			window_pop(&b.window);
	now = b.id * 10 + random_below(&random, 100);
	policy = (struct policy){
		.history_events = random_below(&random, 80),
		.history_bytes =
		    random_below(&random, 2) * random_below(&random, 3000),
		.history_age_ms =
		    random_below(&random, 2) * random_below(&random, 1000),
	};
	floor = random_below(&random, 2) * random_below(&random, 100);
	keep = retention_of(&policy, now, b.number, b.total, floor);
	for (uint32_t from = 0; from <= b.window.count; from++) {
		uint32_t expected = from;

		while (expected < b.window.count) {
			const struct event *e = window_at(&b.window, expected);

			if (retention_keeps(
				&keep, e->id, e->number, e->total, e->time_ms))
				break;
			expected++;
		}
		ck_assert_uint_eq(
		    window_kept(&b.window, from, &policy, now, floor),
		    expected);
	}
	bench_fini(&b);
}
END_TEST

START_TEST(bytes_count_payloads_and_go_back_to_nothing)
{
	struct bench b;
	size_t one;

	bench_init(&b);
	window_push(&b.window, next_event(&b, 1, 1000));
	one = b.window.bytes;
	ck_assert_uint_ge(one, 1000);
	for (unsigned i = 0; i < 9; i++)
		window_push(&b.window, next_event(&b, 1, 1000));
	ck_assert_uint_eq(b.window.bytes, 10 * one);
	while (b.window.count > 0)
		window_pop(&b.window);
	ck_assert_uint_eq(b.window.bytes, 0);
	bench_fini(&b);
}
END_TEST

SUITE("storage/window", TEST(events_stand_in_order_and_in_full),
    TEST(an_event_goes_with_the_window_that_drops_it),
    TEST(a_window_slides_without_end),
    TEST(clearing_leaves_a_window_that_ends_at_the_newest),
    TEST(a_missing_event_drops_what_was_before_it),
    TEST(a_window_that_begins_late_knows_it),
    TEST(the_first_event_after_any_cursor_is_found),
    LOOP(what_is_kept_begins_where_retention_says, 200),
    TEST(bytes_count_payloads_and_go_back_to_nothing))
