#include "storage/outbox.h"

#include <pthread.h>
#include <stdio.h>

#include "proxy/base/err.h"
#include "tests/storage/scratch.h"
#include "tests/suite.h"

/*
 * A carrier in a thread of its own, which settles letters as a script says: a
 * character each, and 'd' for all that come behind it.
 */
struct carrier {
	struct loop *loop;
	struct task stop;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	const char *script;
	char seen[256]; /* what letters said, a character each */
	size_t count;
	size_t stored, failed;
};

static struct carrier carrier;
static struct outbox *outbox;

static const struct outbox_limits limits = {
	.max_bytes = 16,
	.max_age_ms = 60 * 60 * 1000,
	.retry_max_ms = 10,
};

static void
carry(struct task *t)
{
	struct outbox_delivery *d =
	    container_of(t, struct outbox_delivery, task);
	struct carrier *c = d->ctx;
	char say;

	pthread_mutex_lock(&c->lock);
	say = *c->script == '\0' ? 'd' : *c->script++;
	c->seen[c->count++ % (sizeof(c->seen) - 1)] = d->data.p[0];
	pthread_cond_signal(&c->changed);
	pthread_mutex_unlock(&c->lock);
	outbox_settle(d,
	    say == 'd'     ? OUTBOX_DONE :
		say == 'r' ? OUTBOX_REFUSED :
		say == 'a' ? OUTBOX_AGAIN :
			     OUTBOX_AWAY,
	    "so it was written");
}

static void
on_stop(struct task *t)
{
	loop_stop(container_of(t, struct carrier, stop)->loop);
}

static void *
carrier_main(void *arg)
{
	struct carrier *c = arg;

	loop_run(c->loop);
	return NULL;
}

static void
start_at(const char *path, const char *script, const struct outbox_limits *l)
{
	struct outbox_carrier to = { .run = carry, .ctx = &carrier };

	carrier = (struct carrier){ .script = script };
	pthread_mutex_init(&carrier.lock, NULL);
	pthread_cond_init(&carrier.changed, NULL);
	ck_assert_int_eq(loop_new(&carrier.loop), SW_OK);
	ck_assert_int_eq(
	    pthread_create(&carrier.thread, NULL, carrier_main, &carrier), 0);
	ck_assert_int_eq(outbox_open(&outbox, path, l), SW_OK);
	to.loop = carrier.loop;
	ck_assert_int_eq(outbox_start(outbox, &to, 1), SW_OK);
}

static void
start(const char *script, const struct outbox_limits *l)
{
	start_at("memory", script, l);
}

static void
stop(void)
{
	outbox_hush(outbox);
	carrier.stop.run = on_stop;
	loop_post(carrier.loop, &carrier.stop);
	pthread_join(carrier.thread, NULL);
	outbox_close(outbox);
	loop_free(carrier.loop);
}

static void
on_stored(struct outbox_put *p)
{
	pthread_mutex_lock(&carrier.lock);
	carrier.stored += p->err == SW_OK;
	carrier.failed += p->err != SW_OK;
	pthread_cond_signal(&carrier.changed);
	pthread_mutex_unlock(&carrier.lock);
	outbox_put_free(p);
}

static int
put(const char *lane, const char *text, bool answered)
{
	struct outbox_put *p = outbox_put_new(str_of(lane), str_of(text));
	int err;

	ck_assert_ptr_nonnull(p);
	if (answered) {
		p->stored = on_stored;
		p->loop = carrier.loop;
	}
	if ((err = outbox_put(outbox, p)) != SW_OK)
		outbox_put_free(p);
	return err;
}

static void
await_seen(size_t count)
{
	pthread_mutex_lock(&carrier.lock);
	while (carrier.count < count)
		pthread_cond_wait(&carrier.changed, &carrier.lock);
	pthread_mutex_unlock(&carrier.lock);
}

static void
await_stored(size_t count)
{
	pthread_mutex_lock(&carrier.lock);
	while (carrier.stored + carrier.failed < count)
		pthread_cond_wait(&carrier.changed, &carrier.lock);
	pthread_mutex_unlock(&carrier.lock);
}

START_TEST(letters_of_a_lane_arrive_in_their_order)
{
	start("", &limits);
	for (int i = 0; i < 8; i++) {
		const char text[] = { (char)('0' + i), '\0' };

		ck_assert_int_eq(put("a", text, true), SW_OK);
	}
	await_stored(8);
	await_seen(8);
	ck_assert_str_eq(carrier.seen, "01234567");
	ck_assert_uint_eq(carrier.stored, 8);
	stop();
}
END_TEST

START_TEST(one_that_fails_is_carried_again_before_its_successor)
{
	start("awad", &limits);
	ck_assert_int_eq(put("a", "1", false), SW_OK);
	ck_assert_int_eq(put("a", "2", false), SW_OK);
	await_seen(5);
	ck_assert_str_eq(carrier.seen, "11112");
	stop();
}
END_TEST

START_TEST(one_that_is_refused_is_not_carried_again)
{
	start("r", &limits);
	ck_assert_int_eq(put("a", "1", false), SW_OK);
	ck_assert_int_eq(put("a", "2", false), SW_OK);
	await_seen(2);
	ck_assert_str_eq(carrier.seen, "12");
	stop();
}
END_TEST

START_TEST(one_that_is_too_old_makes_room_for_the_next)
{
	struct outbox_limits l = limits;

	l.max_age_ms = 0;
	start("a", &l);
	ck_assert_int_eq(put("a", "1", false), SW_OK);
	ck_assert_int_eq(put("a", "2", false), SW_OK);
	await_seen(2);
	ck_assert_str_eq(carrier.seen, "12");
	stop();
}
END_TEST

START_TEST(what_has_no_room_is_refused_if_it_can_be_told)
{
	struct outbox_stats s;

	start("wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww", &limits);
	ck_assert_int_eq(put("a", "0123456789", true), SW_OK);
	ck_assert_int_eq(put("b", "0123456789", true), SW_EBUSY);
	ck_assert_int_eq(put("c", "0123456789", false), SW_OK);
	await_stored(1);
	outbox_stats(outbox, &s);
	ck_assert_uint_eq(s.bytes, 20);
	stop();
}
END_TEST

/* SQLite moves it into the database at 4 MB, and begins it anew. */
START_TEST(the_write_ahead_log_starts_over)
{
	enum { LETTERS = 1500, SIZE = 8000 };
	struct outbox_limits l = limits;
	static char text[SIZE + 1];

	memset(text, 'x', SIZE);
	l.max_bytes = 1 << 20;
	scratch_make();
	start_at(scratch_path("store"), "", &l);
	for (size_t i = 1; i <= LETTERS; i++) {
		ck_assert_int_eq(put("a", text, false), SW_OK);
		await_seen(i);
	}
	ck_assert_uint_gt(scratch_size("store-outbox-wal"), 0);
	ck_assert_uint_lt(scratch_size("store-outbox-wal"), LETTERS * SIZE / 2);
	stop();
	scratch_remove();
}
END_TEST

SUITE("outbox", TEST(letters_of_a_lane_arrive_in_their_order),
    TEST(one_that_fails_is_carried_again_before_its_successor),
    TEST(one_that_is_refused_is_not_carried_again),
    TEST(one_that_is_too_old_makes_room_for_the_next),
    TEST(what_has_no_room_is_refused_if_it_can_be_told),
    TEST(the_write_ahead_log_starts_over))
