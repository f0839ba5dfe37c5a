#include "proxy/watchdog.h"

#include "proxy/base/err.h"
#include "tests/scratch.h"
#include "tests/suite.h"

static struct loop *loops[2];
static struct watchdog dog;

static void
stop(struct task *t)
{
	(void)t;
	loop_stop(loops[0]);
	loop_stop(loops[1]);
}

/* Run what was posted to the loop so far. */
static void
run(struct loop *l)
{
	struct task last = { .run = stop };

	loop_post(l, &last);
	loop_run(l);
}

static void
set_up(void)
{
	ck_assert_int_eq(loop_new(&loops[0]), SW_OK);
	ck_assert_int_eq(loop_new(&loops[1]), SW_OK);
	ck_assert_int_eq(watchdog_init(&dog, 2, 100), SW_OK);
	watchdog_add(&dog, loops[0]);
	watchdog_add(&dog, loops[1]);
}

static void
clean_up(void)
{
	loop_free(loops[0]);
	loop_free(loops[1]);
	watchdog_fini(&dog);
}

START_TEST(nobody_watches)
{
	ck_assert_int_eq(watchdog_init(&dog, 2, 0), SW_OK);
	watchdog_add(&dog, NULL);
	ck_assert(!watchdog_turn(&dog, 1000));
	ck_assert_uint_eq(watchdog_wait_ms(&dog, 1000), 0);
	watchdog_fini(&dog);
}
END_TEST

START_TEST(it_tells_while_all_loops_turn)
{
	set_up();
	for (uint64_t now = 1000; now < 2000; now += 100) {
		ck_assert_uint_eq(watchdog_wait_ms(&dog, now), 1);
		ck_assert(watchdog_turn(&dog, now));
		/* Not twice in a period. */
		ck_assert(!watchdog_turn(&dog, now + 99));
		ck_assert_uint_eq(watchdog_wait_ms(&dog, now + 60), 40);
		run(loops[0]);
		run(loops[1]);
	}
	clean_up();
}
END_TEST

START_TEST(one_that_is_stuck_is_enough_for_silence)
{
	set_up();
	ck_assert(watchdog_turn(&dog, 1000));
	run(loops[0]);
	ck_assert(!watchdog_turn(&dog, 1100));
	run(loops[0]);
	ck_assert(!watchdog_turn(&dog, 1200));
	/* It comes back, late: then all is well again. */
	run(loops[0]);
	run(loops[1]);
	ck_assert(watchdog_turn(&dog, 1300));
	run(loops[1]);
	ck_assert(!watchdog_turn(&dog, 1400));
	clean_up();
}
END_TEST

static unsigned
count_words(const char *text, const char *words)
{
	unsigned n = 0;

	while ((text = strstr(text, words)) != NULL) {
		text += strlen(words);
		n++;
	}
	return n;
}

START_TEST(each_time_it_is_told_once)
{
	char *said;

	scratch_make();
	set_up();
	said_listen();
	for (uint64_t now = 1000; now <= 2000; now += 1000) {
		ck_assert(watchdog_turn(&dog, now));
		run(loops[0]);
		ck_assert(!watchdog_turn(&dog, now + 100));
		ck_assert(!watchdog_turn(&dog, now + 200));
		run(loops[0]);
		run(loops[1]);
		ck_assert(watchdog_turn(&dog, now + 300));
		run(loops[0]);
		run(loops[1]);
	}
	said = said_end();
	ck_assert_uint_eq(count_words(said, "watchdog: "), 2);
	ck_assert_uint_eq(count_words(said, "its loop for 100 ms\n"), 2);
	free(said);
	clean_up();
	scratch_remove();
}
END_TEST

SUITE("watchdog", TEST(nobody_watches), TEST(it_tells_while_all_loops_turn),
    TEST(one_that_is_stuck_is_enough_for_silence),
    TEST(each_time_it_is_told_once))
