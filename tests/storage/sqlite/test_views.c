#include "storage/sqlite/views.h"

#include <check.h>

#include "tests/suite.h"

START_TEST(a_state_is_reached_when_no_view_shows_an_older_one)
{
	struct view one, two;
	uint64_t first, second;
	struct views v;

	views_init(&v);
	views_enter(&v, &one);
	views_enter(&v, &two);
	/* Who looks at nothing keeps nothing. */
	first = views_committed(&v);
	ck_assert(views_reached(&v, first));
	view_begin(&v, &one);
	second = views_committed(&v);
	ck_assert_uint_gt(second, first);
	ck_assert(views_reached(&v, first));
	ck_assert(!views_reached(&v, second));
	view_begin(&v, &two);
	ck_assert(!views_reached(&v, second));
	view_end(&one);
	ck_assert(views_reached(&v, second));
	view_begin(&v, &one);
	view_end(&two);
	ck_assert(views_reached(&v, second));
	view_end(&one);
	views_leave(&v, &one);
	views_leave(&v, &two);
	views_fini(&v);
}
END_TEST

START_TEST(who_has_left_keeps_nothing)
{
	struct view one;
	struct views v;

	views_init(&v);
	views_enter(&v, &one);
	view_begin(&v, &one);
	ck_assert(!views_reached(&v, views_committed(&v)));
	views_leave(&v, &one);
	ck_assert(views_reached(&v, views_committed(&v)));
	views_fini(&v);
}
END_TEST

SUITE("views", TEST(a_state_is_reached_when_no_view_shows_an_older_one),
    TEST(who_has_left_keeps_nothing))
