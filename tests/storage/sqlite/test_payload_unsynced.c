#include "storage/sqlite/payload_unsynced.h"

#include "tests/suite.h"

START_TEST(what_was_left_is_taken_once)
{
	struct payload_unsynced u = { .count = 0 };
	int fds[PAYLOAD_UNSYNCED_MAX];

	ck_assert_uint_eq(payload_unsynced_take(&u, fds), 0);
	ck_assert(payload_unsynced_add(&u, 7, 70));
	ck_assert(payload_unsynced_add(&u, 8, 80));
	ck_assert_uint_eq(payload_unsynced_take(&u, fds), 2);
	ck_assert_int_eq(fds[0], 70);
	ck_assert_int_eq(fds[1], 80);
	ck_assert_uint_eq(payload_unsynced_take(&u, fds), 0);
}
END_TEST

START_TEST(what_need_not_be_synced_is_forgotten)
{
	struct payload_unsynced u = { .count = 0 };
	int fds[PAYLOAD_UNSYNCED_MAX];

	ck_assert_int_eq(payload_unsynced_forget(&u, 1), -1);
	for (int i = 0; i < 4; i++)
		ck_assert(payload_unsynced_add(&u, (uint64_t)i, 10 * i));
	ck_assert_int_eq(payload_unsynced_forget(&u, 1), 10);
	ck_assert_int_eq(payload_unsynced_forget(&u, 1), -1);
	ck_assert_int_eq(payload_unsynced_forget(&u, 3), 30);
	ck_assert_uint_eq(payload_unsynced_take(&u, fds), 2);
	ck_assert_int_eq(fds[0] + fds[1], 20);
}
END_TEST

/* Half of the room is there for those that come while a sync is under way. */
START_TEST(it_says_when_there_are_many_and_has_an_end)
{
	struct payload_unsynced u = { .count = 0 };

	for (int i = 0; i < PAYLOAD_UNSYNCED_MAX; i++) {
		ck_assert_int_eq(
		    payload_unsynced_many(&u), i >= PAYLOAD_UNSYNCED_MAX / 2);
		ck_assert(payload_unsynced_add(&u, (uint64_t)i, i));
	}
	ck_assert(!payload_unsynced_add(&u, 100, 100));
	ck_assert_int_eq(payload_unsynced_forget(&u, 100), -1);
}
END_TEST

SUITE("storage/payload_unsynced", TEST(what_was_left_is_taken_once),
    TEST(what_need_not_be_synced_is_forgotten),
    TEST(it_says_when_there_are_many_and_has_an_end))
