#include "proxy/stream/gather.h"

#include "tests/proxy/stream/hub_world.h"

static struct hub_world w;
static struct codec codec;
static struct gather *g;

static void
set_up(void)
{
	static const struct epoch epoch = { "k3x9" };

	hub_world_init(&w, 64 << 20, 4096);
	ck_assert_int_eq(codec_init(&codec, &epoch, 1000, 1), SW_OK);
	g = gather_new();
	ck_assert_ptr_nonnull(g);
}

static void
clean_up(void)
{
	gather_free(g);
	codec_fini(&codec);
	hub_world_fini(&w);
}

static struct hub_channel *
with_events(unsigned count, size_t size)
{
	for (unsigned i = 0; i < count; i++)
		hub_world_publish(&w, "a", size);
	return hub_world_channel(&w, "a");
}

static void
gather(const struct hub_channel *hc, enum form form, uint64_t from)
{
	ck_assert_int_eq(gather_window(g, &codec, hc, form, from), SW_OK);
}

/* What iov says is what the events are, one behind the other. */
static void
check_bytes(void)
{
	struct buf expected, got;

	buf_init(&expected, SIZE_MAX / 2);
	buf_init(&got, SIZE_MAX / 2);
	for (uint32_t i = 0; i < g->count; i++) {
		const struct encoding *form =
		    codec_form(&codec, g->events[i], g->form);
		struct iovec pieces[ENCODING_PIECES];
		int n = event_form_pieces(g->events[i], form, 0, pieces);

		ck_assert_uint_eq(gather_start(g, i), buf_len(&expected));
		for (int k = 0; k < n; k++)
			buf_put(
			    &expected, pieces[k].iov_base, pieces[k].iov_len);
		ck_assert_uint_eq(g->ends[i], buf_len(&expected));
	}
	for (int i = 0; i < g->iov_count; i++)
		buf_put(&got, g->iov[i].iov_base, g->iov[i].iov_len);
	ck_assert_uint_eq(buf_len(&got), g->bytes);
	ck_assert_uint_eq(buf_len(&got), buf_len(&expected));
	if (g->bytes > 0)
		ck_assert_mem_eq(buf_head(&got), buf_head(&expected), g->bytes);
	buf_fini(&expected);
	buf_fini(&got);
}

/* Small ones are copied into one piece, large ones are not. */
START_TEST(events_stand_one_behind_the_other)
{
	static const size_t sizes[] = { 0, 1, 100, 4000, 5000 };
	size_t size = sizes[_i];
	struct hub_channel *hc;

	set_up();
	hc = with_events(20, size);
	for (int form = 0; form < FORM_COUNT; form++) {
		gather(hc, (enum form)form, 5);
		ck_assert_uint_eq(g->count, 15);
		ck_assert_uint_eq(g->events[0]->id, 6);
		ck_assert_uint_eq(g->payload, 15 * size);
		ck_assert_int_eq(
		    g->iov_count, g->bytes / g->count > 4096 ? 15 : 1);
		check_bytes();
	}
	clean_up();
}
END_TEST

START_TEST(who_stands_at_the_same_place_gets_the_same)
{
	struct hub_channel *hc;
	const void *bytes;

	set_up();
	hc = with_events(10, 10);
	gather(hc, FORM_SSE_JSON, 3);
	bytes = g->iov[0].iov_base;
	g->iov[0].iov_len = 1; /* a mark, to be found again */
	gather(hc, FORM_SSE_JSON, 3);
	ck_assert_ptr_eq(g->iov[0].iov_base, bytes);
	ck_assert_uint_eq(g->iov[0].iov_len, 1);
	/* Another place, another form, another event: made anew. */
	gather(hc, FORM_SSE_JSON, 4);
	ck_assert_uint_eq(g->count, 6);
	check_bytes();
	gather(hc, FORM_WS_JSON, 4);
	check_bytes();
	with_events(1, 10);
	gather(hc, FORM_WS_JSON, 4);
	ck_assert_uint_eq(g->count, 7);
	check_bytes();
	clean_up();
}
END_TEST

START_TEST(nothing_new_is_nothing)
{
	struct hub_channel *hc;

	set_up();
	hc = with_events(3, 10);
	gather(hc, FORM_SSE_JSON, 3);
	ck_assert_uint_eq(g->count, 0);
	ck_assert_uint_eq(g->bytes, 0);
	ck_assert_int_eq(g->iov_count, 0);
	ck_assert_uint_eq(gather_whole(g, 0), 0);
	clean_up();
}
END_TEST

START_TEST(it_has_bounds_but_always_one_event)
{
	struct hub_channel *hc;

	set_up();
	hc = with_events(GATHER_EVENTS + 50, 1);
	gather(hc, FORM_WS_RAW, 0);
	ck_assert_uint_eq(g->count, GATHER_EVENTS);
	gather(hc, FORM_WS_RAW, g->events[GATHER_EVENTS - 1]->id);
	ck_assert_uint_eq(g->count, 50);
	check_bytes();
	hub_world_publish(&w, "a", GATHER_BYTES / 3);
	hub_world_publish(&w, "a", GATHER_BYTES / 3);
	hub_world_publish(&w, "a", 2 * GATHER_BYTES);
	hub_world_publish(&w, "a", 1);
	gather(hc, FORM_WS_RAW, GATHER_EVENTS + 50);
	ck_assert_uint_eq(g->count, 2);
	ck_assert_uint_le(g->bytes, GATHER_BYTES);
	gather(hc, FORM_WS_RAW, GATHER_EVENTS + 52);
	ck_assert_uint_eq(g->count, 1);
	ck_assert_uint_gt(g->bytes, GATHER_BYTES);
	check_bytes();
	clean_up();
}
END_TEST

/* Among small ones, too: only what is small is laid out anew. */
START_TEST(large_payloads_are_written_from_where_they_are)
{
	struct hub_channel *hc;
	unsigned own = 0;

	set_up();
	hub_world_publish(&w, "a", 10);
	hub_world_publish(&w, "a", 20000);
	hub_world_publish(&w, "a", 30000);
	hc = hub_world_channel(&w, "a");
	gather(hc, FORM_WS_RAW, 0);
	ck_assert_uint_eq(g->count, 3);
	for (int i = 0; i < g->iov_count; i++)
		for (uint32_t k = 1; k < g->count; k++)
			own +=
			    g->iov[i].iov_base == event_payload(g->events[k]);
	ck_assert_uint_eq(own, 2);
	check_bytes();
	/*
	 * With so many small ones all of it is copied; a large one is two
	 * pieces, of which there are so many at most.
	 */
	for (unsigned i = 0; i < GATHER_EVENTS - 3; i++)
		hub_world_publish(&w, "a", 1);
	gather(hc, FORM_WS_RAW, 0);
	ck_assert_uint_eq(g->count, GATHER_EVENTS - 2);
	ck_assert_int_eq(g->iov_count, 1);
	check_bytes();
	clean_up();
}
END_TEST

START_TEST(so_many_events_are_whole_in_so_many_bytes)
{
	struct hub_channel *hc;
	uint32_t whole = 0;

	set_up();
	for (unsigned i = 0; i < 30; i++)
		hub_world_publish(&w, "a", i % 7 * 10);
	hc = hub_world_channel(&w, "a");
	gather(hc, FORM_SSE_JSON, 0);
	ck_assert_uint_eq(g->count, 30);
	for (size_t n = 0; n <= g->bytes; n++) {
		while (whole < g->count && g->ends[whole] <= n)
			whole++;
		ck_assert_uint_eq(gather_whole(g, n), whole);
	}
	ck_assert_uint_eq(whole, 30);
	clean_up();
}
END_TEST

SUITE("gather", LOOP(events_stand_one_behind_the_other, 5),
    TEST(who_stands_at_the_same_place_gets_the_same),
    TEST(nothing_new_is_nothing),
    TEST(large_payloads_are_written_from_where_they_are),
    TEST(it_has_bounds_but_always_one_event),
    TEST(so_many_events_are_whole_in_so_many_bytes))
