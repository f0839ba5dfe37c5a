#include "proxy/bridge/bridge_told.h"

#include <stdio.h>

#include "proxy/base/err.h"
#include "tests/suite.h"

enum { MANY = 9 };

static struct channels *registry;
static struct channel *channels[MANY];
static struct bridge_told told;

static void
start(void)
{
	ck_assert_int_eq(channels_new(&registry, MANY), SW_OK);
	for (int i = 0; i < MANY; i++) {
		char name[16];

		snprintf(name, sizeof(name), "c%d", i);
		ck_assert_int_eq(
		    channels_get(&channels[i], registry, str_of(name)), SW_OK);
		ck_assert_int_eq(bridge_told_add(&told, channels[i]), SW_OK);
	}
}

static void
stop(void)
{
	bridge_told_fini(&told);
	for (int i = 0; i < MANY; i++)
		channel_unref(channels[i]);
	channels_free(registry);
}

static void
say(char text[2 * MANY + 1])
{
	size_t at = 0;

	for (size_t i = 0; i < told.count; i++)
		at += (size_t)sprintf(
		    text + at, "%.*s", STR_ARG(told.channels[i]->name));
}

START_TEST(it_keeps_the_order_in_which_they_came)
{
	char text[2 * MANY + 1];

	start();
	ck_assert(bridge_told_remove(&told, STR("c0")));
	ck_assert(bridge_told_remove(&told, STR("c8")));
	ck_assert(bridge_told_remove(&told, STR("c4")));
	ck_assert_int_eq(bridge_told_add(&told, channels[0]), SW_OK);
	say(text);
	ck_assert_str_eq(text, "c1c2c3c5c6c7c0");
	stop();
}
END_TEST

START_TEST(who_is_not_there_does_not_leave)
{
	start();
	ck_assert(!bridge_told_remove(&told, STR("c")));
	ck_assert(!bridge_told_remove(&told, STR("c10")));
	ck_assert(bridge_told_remove(&told, STR("c1")));
	ck_assert(!bridge_told_remove(&told, STR("c1")));
	ck_assert_uint_eq(told.count, MANY - 1);
	stop();
}
END_TEST

START_TEST(it_holds_its_channels)
{
	struct channel *alone;

	start();
	bridge_told_fini(&told);
	ck_assert_int_eq(bridge_told_add(&told, channels[3]), SW_OK);
	channel_unref(channels[3]);
	alone = channels_find(registry, STR("c3"));
	ck_assert_ptr_eq(alone, channels[3]);
	stop();
}
END_TEST

SUITE("bridge_told", TEST(it_keeps_the_order_in_which_they_came),
    TEST(who_is_not_there_does_not_leave), TEST(it_holds_its_channels))
