#include <stdio.h>

#include "proxy/base/err.h"
#include "storage/keys.h"
#include "tests/suite.h"

static struct keys *
make(void)
{
	struct keys *k;

	ck_assert_int_eq(keys_new(&k), SW_OK);
	return k;
}

static void
add(struct keys *k, const char *channel, const char *key, uint64_t id,
    uint64_t time_ms)
{
	ck_assert_int_eq(
	    keys_add(k, str_of(channel), str_of(key), id, time_ms), SW_OK);
}

/* The id that the key has; 0: it is new. */
static uint64_t
find(const struct keys *k, const char *channel, const char *key)
{
	uint64_t id = 0, time_ms = 0;
	int err = keys_find(k, str_of(channel), str_of(key), &id, &time_ms);

	ck_assert(err == SW_ENOENT || (err == SW_OK && id > 0));
	return id;
}

START_TEST(a_key_is_found_again_with_its_id_and_time)
{
	struct keys *k = make();
	uint64_t id, time_ms;

	ck_assert_uint_eq(find(k, "room", "a"), 0);
	add(k, "room", "a", 7, 1234);
	ck_assert_int_eq(
	    keys_find(k, STR("room"), STR("a"), &id, &time_ms), SW_OK);
	ck_assert_uint_eq(id, 7);
	ck_assert_uint_eq(time_ms, 1234);
	keys_free(k);
}
END_TEST

START_TEST(channels_do_not_share_keys)
{
	struct keys *k = make();

	add(k, "a", "b", 1, 10);
	add(k, "ab", "", 2, 10);
	ck_assert_uint_eq(find(k, "a", "b"), 1);
	ck_assert_uint_eq(find(k, "ab", ""), 2);
	ck_assert_uint_eq(find(k, "b", "b"), 0);
	ck_assert_uint_eq(find(k, "a", ""), 0);
	keys_free(k);
}
END_TEST

START_TEST(a_key_may_have_any_bytes)
{
	struct str one = { "x\0y z", 5 }, other = { "x\0y w", 5 };
	struct keys *k = make();
	uint64_t id, time_ms;

	ck_assert_int_eq(keys_add(k, STR("a"), one, 1, 10), SW_OK);
	ck_assert_int_eq(keys_find(k, STR("a"), one, &id, &time_ms), SW_OK);
	ck_assert_int_eq(
	    keys_find(k, STR("a"), other, &id, &time_ms), SW_ENOENT);
	keys_free(k);
}
END_TEST

START_TEST(a_key_that_comes_again_is_replaced)
{
	struct keys *k = make();

	add(k, "room", "a", 1, 10);
	add(k, "room", "b", 2, 20);
	add(k, "room", "a", 3, 30);
	ck_assert_uint_eq(find(k, "room", "a"), 3);
	keys_expire(k, 25, UINT64_MAX);
	ck_assert_uint_eq(find(k, "room", "a"), 3);
	ck_assert_uint_eq(find(k, "room", "b"), 0);
	keys_free(k);
}
END_TEST

START_TEST(keys_before_a_time_are_forgotten)
{
	struct keys *k = make();
	char key[16];

	for (unsigned i = 1; i <= 1000; i++) {
		snprintf(key, sizeof(key), "%u", i);
		add(k, "room", key, i, i * 10);
	}
	for (unsigned before = 0; before <= 1001; before += 77) {
		keys_expire(k, before * 10, UINT64_MAX);
		for (unsigned i = 1; i <= 1000; i++) {
			snprintf(key, sizeof(key), "%u", i);
			ck_assert_uint_eq(
			    find(k, "room", key), i >= before ? i : 0);
		}
	}
	keys_expire(k, UINT64_MAX, UINT64_MAX);
	ck_assert_uint_eq(find(k, "room", "1000"), 0);
	keys_free(k);
}
END_TEST

START_TEST(keys_of_a_clock_that_was_ahead_grow_old_like_others)
{
	struct keys *k = make();

	add(k, "room", "ahead", 1, 900000);
	add(k, "room", "more", 2, 950000);
	add(k, "room", "now", 3, 110);
	keys_expire(k, 50, 120);
	ck_assert_uint_eq(find(k, "room", "ahead"), 1);
	keys_expire(k, 115, 190);
	ck_assert_uint_eq(find(k, "room", "ahead"), 1);
	keys_expire(k, 121, 190);
	ck_assert_uint_eq(find(k, "room", "ahead"), 0);
	ck_assert_uint_eq(find(k, "room", "more"), 0);
	ck_assert_uint_eq(find(k, "room", "now"), 0);
	keys_free(k);
}
END_TEST

START_TEST(keys_of_events_that_were_not_published_are_undone)
{
	struct keys *k = make();

	add(k, "room", "a", 5, 10);
	add(k, "room", "b", 6, 10);
	add(k, "other", "c", 7, 10);
	keys_undo(k, 8);
	ck_assert_uint_eq(find(k, "other", "c"), 7);
	keys_undo(k, 6);
	ck_assert_uint_eq(find(k, "room", "a"), 5);
	ck_assert_uint_eq(find(k, "room", "b"), 0);
	ck_assert_uint_eq(find(k, "other", "c"), 0);
	keys_undo(k, 0);
	keys_undo(k, 0);
	ck_assert_uint_eq(find(k, "room", "a"), 0);
	keys_free(k);
}
END_TEST

START_TEST(a_key_that_is_too_long_is_refused)
{
	char text[1024];
	struct keys *k = make();
	struct str longest = { text, 512 }, too_long = { text, 513 };
	struct str name = { text, 128 }, long_name = { text, 129 };
	uint64_t id, time_ms;

	memset(text, 'x', sizeof(text));
	ck_assert_int_eq(keys_add(k, name, longest, 1, 1), SW_OK);
	ck_assert_int_eq(keys_find(k, name, longest, &id, &time_ms), SW_OK);
	ck_assert_int_eq(keys_add(k, name, too_long, 1, 1), SW_ELIMIT);
	ck_assert_int_eq(
	    keys_find(k, name, too_long, &id, &time_ms), SW_ELIMIT);
	ck_assert_int_eq(keys_add(k, long_name, longest, 1, 1), SW_ELIMIT);
	keys_free(k);
}
END_TEST

START_TEST(freeing_forgets_what_is_left)
{
	struct keys *k = make();

	add(k, "room", "a", 1, 10);
	keys_free(k);
	keys_free(NULL);
}
END_TEST

SUITE("storage/keys", TEST(a_key_is_found_again_with_its_id_and_time),
    TEST(channels_do_not_share_keys), TEST(a_key_may_have_any_bytes),
    TEST(a_key_that_comes_again_is_replaced),
    TEST(keys_before_a_time_are_forgotten),
    TEST(keys_of_a_clock_that_was_ahead_grow_old_like_others),
    TEST(keys_of_events_that_were_not_published_are_undone),
    TEST(a_key_that_is_too_long_is_refused), TEST(freeing_forgets_what_is_left))
