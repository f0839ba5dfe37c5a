#include "proxy/bridge/bridge_will.h"

#include "proxy/bridge/bridge.h"
#include "proxy/worker.h"
#include "tests/storage/outbox/carrier.h"
#include "tests/suite.h"

/*
 * A lane of a worker that has nothing else; its loop is the carrier's, and what
 * happens to the lane happens there.
 */
static struct worker worker;
static struct bridge_lane *lane;

static void
live(void)
{
	scratch_make();
	start_at(scratch_path("store"), "", &limits);
	worker = (struct worker){ .loop = carrier.loop, .outbox = outbox };
	ck_assert_int_eq(bridge_new(&worker.bridge, &worker), SW_OK);
	ck_assert_int_eq(bridge_lane_new(&lane, worker.bridge), SW_OK);
}

static void
die(void)
{
	stop();
	scratch_remove();
}

static void
fail_wills(void)
{
	run_sql("CREATE TRIGGER broken BEFORE INSERT ON will "
		"BEGIN SELECT RAISE(ABORT, 'a test says so'); END");
}

static void
mend_wills(void)
{
	run_sql("DROP TRIGGER broken");
}

static struct outbox_put *
will(uint64_t connection, const char *text)
{
	struct outbox_put *p = outbox_put_new(STR("lane"), str_of(text));

	ck_assert_ptr_nonnull(p);
	p->what = OUTBOX_WILL;
	p->connection = connection;
	return p;
}

/* Of another connection: what was put before it has been tried by then. */
static void
put_other(void)
{
	struct outbox_put *p = will(1000, "other");

	p->stored = on_stored;
	p->loop = carrier.loop;
	ck_assert_int_eq(outbox_put(outbox, p), SW_OK);
}

static uint64_t
wills(void)
{
	struct outbox_stats s;

	outbox_stats(outbox, &s);
	return s.wills;
}

static bool told; /* of the end, in another way */

static void
run_short_visit(struct task *t)
{
	(void)t;
	bridge_will_put(lane, will(1, "first"));
	bridge_will_put(lane, will(1, "second"));
	if (told)
		bridge_will_make_void(bridge_lane_will(lane));
	bridge_lane_release(lane);
	put_other();
}

START_TEST(whose_end_is_told_in_no_other_way_has_a_will)
{
	struct task visit = { .run = run_short_visit };

	told = _i != 0;
	live();
	fail_wills();
	loop_post(carrier.loop, &visit);
	await(&carrier.failed, 1);
	mend_wills();
	put_other();
	await(&carrier.stored, 1);
	ck_assert_uint_eq(wills(), told ? 1 : 2);
	bridge_free(worker.bridge);
	die();
}
END_TEST

static void
run_late_visit(struct task *t)
{
	(void)t;
	bridge_will_put(lane, will(1, "late"));
	bridge_lane_release(lane);
	loop_stop(carrier.loop);
}

/* The worker has stopped by itself. */
static void
restart(void)
{
	bridge_free(worker.bridge);
	outbox_close(outbox);
	loop_free(carrier.loop);
	log_set(LOG_ERROR, false);
	start_at(scratch_path("store"), "", &limits);
}

START_TEST(one_that_comes_late_is_kept)
{
	struct task visit = { .run = run_late_visit };

	live();
	outbox_hush(outbox);
	loop_post(carrier.loop, &visit);
	pthread_join(carrier.thread, NULL);
	restart();
	await_seen(1);
	ck_assert_str_eq(carrier.seen, "l");
	die();
}
END_TEST

static void
run_visit_at_the_end(struct task *t)
{
	(void)t;
	bridge_will_put(lane, will(1, "first"));
	bridge_will_put(lane, will(1, "second"));
	bridge_lane_release(lane);
	loop_stop(carrier.loop);
}

START_TEST(the_end_of_the_worker_leaves_the_next_one_to_the_outbox)
{
	struct task visit = { .run = run_visit_at_the_end };

	live();
	loop_post(carrier.loop, &visit);
	pthread_join(carrier.thread, NULL);
	outbox_hush(outbox);
	/* As a worker's: what it was answered by then it hears of. */
	loop_run(carrier.loop);
	restart();
	await_seen(1);
	ck_assert_str_eq(carrier.seen, "s");
	die();
}
END_TEST

SUITE("bridge_will", LOOP(whose_end_is_told_in_no_other_way_has_a_will, 2),
    TEST(one_that_comes_late_is_kept),
    TEST(the_end_of_the_worker_leaves_the_next_one_to_the_outbox))
