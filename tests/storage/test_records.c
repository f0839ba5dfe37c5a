#include "storage/records.h"
#include "tests/storage/world.h"
#include "tests/suite.h"

static struct record *
get(struct records *rs, struct channel *c)
{
	struct record *r;

	ck_assert_int_eq(records_get(&r, rs, c), SW_OK);
	ck_assert_ptr_eq(r->channel, c);
	return r;
}

static size_t
dirty_count(const struct records *rs)
{
	size_t n = 0;

	list_each (node, &rs->dirty)
		n++;
	return n;
}

START_TEST(a_channel_has_one_record)
{
	struct records rs;
	struct world w;
	struct channel *a, *b;

	world_init(&w);
	records_init(&rs);
	a = world_channel(&w, "a");
	b = world_channel(&w, "b");
	ck_assert_ptr_eq(get(&rs, a), get(&rs, a));
	ck_assert_ptr_ne(get(&rs, a), get(&rs, b));
	ck_assert_uint_eq(rs.count, 2);
	records_fini(&rs);
	ck_assert_uint_eq(rs.count, 0);
	channel_unref(a);
	channel_unref(b);
	world_fini(&w);
}
END_TEST

START_TEST(a_record_keeps_its_channel_alive)
{
	struct records rs;
	struct world w;
	struct channel *c;

	world_init(&w);
	records_init(&rs);
	c = world_channel(&w, "a");
	get(&rs, c);
	channel_unref(c);
	c = channels_find(w.channels, STR("a"));
	ck_assert_ptr_nonnull(c);
	channel_unref(c);
	records_fini(&rs);
	ck_assert_ptr_null(channels_find(w.channels, STR("a")));
	world_fini(&w);
}
END_TEST

START_TEST(a_record_is_found_by_its_key_once_it_is_bound)
{
	struct records rs;
	struct world w;
	struct channel *c;
	struct record *r;

	world_init(&w);
	records_init(&rs);
	ck_assert_uint_eq(rs.next_key, 1);
	c = world_channel(&w, "a");
	r = get(&rs, c);
	ck_assert_uint_eq(r->key, 0);
	ck_assert_ptr_null(records_by_key(&rs, 5000));
	r->key = 5000;
	ck_assert_int_eq(records_bind(&rs, r), SW_OK);
	ck_assert_ptr_eq(records_by_key(&rs, 5000), r);
	ck_assert_ptr_null(records_by_key(&rs, 4999));
	ck_assert_ptr_null(records_by_key(&rs, 0));
	ck_assert_ptr_null(records_by_key(&rs, UINT64_MAX));
	records_fini(&rs);
	channel_unref(c);
	world_fini(&w);
}
END_TEST

START_TEST(many_channels_have_a_record_each)
{
	enum { CHANNELS = 1000 };
	struct record *made[CHANNELS];
	struct records rs;
	struct world w;

	world_init(&w);
	records_init(&rs);
	for (unsigned i = 0; i < CHANNELS; i++) {
		struct channel *c = world_numbered(&w, "room-", i);

		made[i] = get(&rs, c);
		made[i]->key = rs.next_key++;
		ck_assert_int_eq(records_bind(&rs, made[i]), SW_OK);
		channel_unref(c);
	}
	for (unsigned i = 0; i < CHANNELS; i++) {
		struct channel *c = world_numbered(&w, "room-", i);

		ck_assert_ptr_eq(get(&rs, c), made[i]);
		ck_assert_ptr_eq(records_by_key(&rs, i + 1), made[i]);
		channel_unref(c);
	}
	ck_assert_uint_eq(rs.count, CHANNELS);
	records_fini(&rs);
	world_fini(&w);
}
END_TEST

START_TEST(only_what_is_stored_gets_dirty_and_once)
{
	struct records rs;
	struct world w;
	struct channel *kept, *fleeting;

	world_init(&w);
	world_memory(&w, "memory");
	records_init(&rs);
	kept = world_channel(&w, "kept");
	fleeting = world_channel(&w, "memory");
	ck_assert(get(&rs, kept)->stored);
	ck_assert(!get(&rs, fleeting)->stored);
	records_touch(&rs, get(&rs, fleeting));
	ck_assert_uint_eq(dirty_count(&rs), 0);
	records_touch(&rs, get(&rs, kept));
	records_touch(&rs, get(&rs, kept));
	ck_assert_uint_eq(dirty_count(&rs), 1);
	records_fini(&rs);
	channel_unref(kept);
	channel_unref(fleeting);
	world_fini(&w);
}
END_TEST

START_TEST(records_are_empty_and_usable_after_fini)
{
	struct records rs;
	struct world w;
	struct channel *c;

	world_init(&w);
	records_init(&rs);
	c = world_channel(&w, "a");
	records_touch(&rs, get(&rs, c));
	records_fini(&rs);
	ck_assert(list_empty(&rs.dirty));
	ck_assert_uint_eq(rs.next_key, 1);
	get(&rs, c);
	records_fini(&rs);
	channel_unref(c);
	world_fini(&w);
}
END_TEST

START_TEST(a_record_is_forgotten_with_its_channel)
{
	struct records rs;
	struct world w;
	struct channel *c;
	struct record *r;

	world_init(&w);
	records_init(&rs);
	c = world_channel(&w, "a");
	r = get(&rs, c);
	ck_assert_uint_eq(r->key = records_take_key(&rs), 1);
	ck_assert_int_eq(records_bind(&rs, r), SW_OK);
	atomic_store(&c->head, 9);
	records_unbind(&rs, r);
	ck_assert_uint_eq(r->key, 0);
	ck_assert_ptr_null(records_by_key(&rs, 1));
	/* Not as long as anybody refers to the channel. */
	ck_assert(!records_forget(&rs, r));
	ck_assert_ptr_eq(get(&rs, c), r);
	channel_unref(c);
	ck_assert(records_forget(&rs, r));
	ck_assert_uint_eq(rs.count, 0);
	ck_assert_ptr_null(channels_find(w.channels, STR("a")));
	/* Its number may be another's, who begins where it ended. */
	c = world_channel(&w, "b");
	ck_assert_uint_eq(get(&rs, c)->head, 9);
	ck_assert_uint_eq(get(&rs, c)->number, 0);
	ck_assert_uint_eq(records_take_key(&rs), 2);
	channel_unref(c);
	records_fini(&rs);
	world_fini(&w);
}
END_TEST

/* Keys are given once; what they cost does not grow with them. */
START_TEST(channels_come_and_go_for_ever)
{
	struct records rs;
	struct world w;
	struct channel *c;
	struct record *stays, *goes;

	world_init(&w);
	records_init(&rs);
	c = world_channel(&w, "stays");
	stays = get(&rs, c);
	channel_unref(c);
	stays->key = records_take_key(&rs);
	ck_assert_int_eq(records_bind(&rs, stays), SW_OK);
	c = world_channel(&w, "goes");
	goes = get(&rs, c);
	channel_unref(c);
	for (uint64_t key = 2; key < 10000; key++) {
		ck_assert_uint_eq(goes->key = records_take_key(&rs), key);
		ck_assert_int_eq(records_bind(&rs, goes), SW_OK);
		/* As each commit does. */
		ck_assert_int_eq(records_bind(&rs, goes), SW_OK);
		ck_assert_ptr_eq(records_by_key(&rs, key), goes);
		ck_assert_ptr_eq(records_by_key(&rs, 1), stays);
		records_unbind(&rs, goes);
		ck_assert_ptr_null(records_by_key(&rs, key));
	}
	ck_assert_uint_eq(rs.bound, 1);
	ck_assert_uint_eq(rs.bucket_count, 64);
	ck_assert_uint_eq(rs.top_key, 9999);
	records_fini(&rs);
	world_fini(&w);
}
END_TEST

SUITE("storage/records", TEST(a_channel_has_one_record),
    TEST(a_record_keeps_its_channel_alive),
    TEST(a_record_is_found_by_its_key_once_it_is_bound),
    TEST(many_channels_have_a_record_each),
    TEST(only_what_is_stored_gets_dirty_and_once),
    TEST(records_are_empty_and_usable_after_fini),
    TEST(a_record_is_forgotten_with_its_channel),
    TEST(channels_come_and_go_for_ever))
