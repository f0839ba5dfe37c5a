#include "proxy/base/loop.h"

#include <pthread.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "proxy/base/err.h"
#include "tests/bytes.h"
#include "tests/suite.h"

/*
 * The clock is the tests' to move: while `faked`, time stands still but for the
 * loop's sleeps, which take no time and move the clock by what was asked for.
 * So a loop runs through months at once, and a timer that fires a tick too
 * early or too late is seen. Both functions take the place of libc's.
 */
static bool faked;
static uint64_t clock_ms;
static struct loop *loop;
static unsigned sleeps;     /* how often it slept */
static unsigned sleeps_max; /* it is stopped then; 0: any number */
static int last_timeout;    /* what it asked for */
static unsigned late_by;    /* what a sleep takes longer, at most */
static unsigned busy_ms;    /* what a turn with events takes */

enum { UNIX_OFFSET = 1000000 };

int clock_gettime(clockid_t id, struct timespec *ts);
int epoll_wait(int fd, struct epoll_event *events, int n, int timeout);

int
clock_gettime(clockid_t id, struct timespec *ts)
{
	uint64_t ms = clock_ms + (id == CLOCK_REALTIME ? UNIX_OFFSET : 0);

	if (!faked)
		return (int)syscall(SYS_clock_gettime, id, ts);
	*ts = (struct timespec){ .tv_sec = (time_t)(ms / 1000),
		.tv_nsec = (long)(ms % 1000) * 1000000 };
	return 0;
}

int
epoll_wait(int fd, struct epoll_event *events, int n, int timeout)
{
	static uint64_t random = 88172645463325252u;
	int ready;

	ready = (int)syscall(
	    SYS_epoll_pwait, fd, events, n, faked ? 0 : timeout, NULL, 8);
	if (!faked)
		return ready;
	last_timeout = timeout;
	if (ready != 0)
		clock_ms += busy_ms;
	if (ready != 0 || timeout == 0)
		return ready;
	sleeps++;
	/* Nothing would ever happen again. */
	if (timeout < 0 || sleeps == sleeps_max)
		loop_stop(loop);
	if (timeout > 0)
		clock_ms += (unsigned)timeout;
	if (late_by > 0)
		clock_ms += bytes_random(&random) % late_by;
	return 0;
}

/* Timers that note when they fired. */

struct alarm {
	struct timer timer;
	uint64_t due_ms;
	int64_t due_tick;
	uint64_t fired_ms;
	unsigned fired;
	void (*then)(struct alarm *a);
	char name;
};

static char order[64]; /* names of those that fired */
static size_t ordered;
static int64_t newest_tick; /* of those that fired; -1: none did */

static void
fire(struct timer *t)
{
	struct alarm *a = container_of(t, struct alarm, timer);

	if (timer_is_set(t) || loop_now_ms(loop) < a->due_ms)
		ck_abort_msg("fired early or still set");
	/* In the order of their ticks, also when many are due at once. */
	if (a->due_tick < newest_tick)
		ck_abort_msg("fired in the wrong order");
	newest_tick = a->due_tick;
	a->fired++;
	a->fired_ms = loop_now_ms(loop);
	if (a->name != '\0' && ordered < sizeof(order) - 1) {
		order[ordered++] = a->name;
		order[ordered] = '\0';
	}
	if (a->then != NULL)
		a->then(a);
}

/* A loop whose life begins at that time. */
static void
start_at(uint64_t ms)
{
	faked = true;
	clock_ms = ms;
	sleeps = sleeps_max = late_by = busy_ms = 0;
	newest_tick = -1;
	ordered = 0;
	order[0] = '\0';
	ck_assert_int_eq(loop_new(&loop), SW_OK);
	ck_assert_uint_eq(loop_now_ms(loop), ms);
	ck_assert_uint_eq(loop_unix_ms(loop), ms + UNIX_OFFSET);
}

static void
finish(void)
{
	loop_free(loop);
	faked = false;
}

static void
init(struct alarm *a, char name, void (*then)(struct alarm *))
{
	*a = (struct alarm){ .name = name, .then = then };
	timer_init(&a->timer, fire);
}

/* What is due already when it is set is so with the next tick. */
static void
set(struct alarm *a, uint64_t due_ms)
{
	uint64_t now = loop_now_ms(loop), lived;

	loop_set_timer(loop, &a->timer, due_ms);
	a->due_ms = due_ms > now ? due_ms : now;
	lived = a->due_ms - (now - loop_lived_ms(loop));
	a->due_tick =
	    (int64_t)(lived / LOOP_TICK_MS + (lived % LOOP_TICK_MS != 0));
	if (a->due_tick <= newest_tick)
		a->due_tick = newest_tick + 1;
	if (!timer_is_set(&a->timer))
		ck_abort_msg("not set");
}

#define TICKS(n) ((uint64_t)(n)*LOOP_TICK_MS)

static void
assert_punctual(const struct alarm *a)
{
	if (a->fired != 1 || a->fired_ms < a->due_ms ||
	    a->fired_ms >= TICKS((uint64_t)a->due_tick + 1))
		ck_abort_msg("due %ju, fired %ju, %u times",
		    (uintmax_t)a->due_ms, (uintmax_t)a->fired_ms, a->fired);
}

/* Ticks at which a level of the wheel ends, and what lies around. */
#define AROUND(n) TICKS(n) - LOOP_TICK_MS, TICKS(n) - 1, TICKS(n), TICKS(n) + 1
#define LEVELS 1073741824 /* ticks of all levels: 49 days */

static const uint64_t distances[] = { 1, 2, 3, 4, 5, 7, 8, 100, AROUND(63),
	AROUND(64), AROUND(65), AROUND(127), AROUND(128), AROUND(4032),
	AROUND(4095), AROUND(4096), AROUND(4097), AROUND(262143),
	AROUND(262144), AROUND(262145), AROUND(16777215), AROUND(16777216),
	AROUND(16777217), AROUND(1073741823), AROUND(1073741824),
	AROUND(1073741825), AROUND(2147483648), AROUND(8589934592) };

/* Aligned to slots of all levels, just before and behind them, and odd. */
static const uint64_t starts[] = { 0, 4, TICKS(63), TICKS(64), TICKS(65) + 3,
	TICKS(4095) + 1, TICKS(4096), TICKS(262143) + 2, TICKS(1073741823) + 3,
	TICKS(1073741824), 1234567890123, 987654321 };

START_TEST(a_timer_fires_in_its_tick_at_any_distance)
{
	for (size_t i = 0; i < COUNT(starts); i++) {
		struct alarm a;

		start_at(starts[i]);
		init(&a, 'a', NULL);
		set(&a, starts[i] + distances[_i]);
		loop_run(loop);
		assert_punctual(&a);
		/* It woke for the timer, and about once per level. */
		ck_assert_uint_le(
		    sleeps, 8 + 4 * (distances[_i] / TICKS(LEVELS)));
		finish();
	}
}
END_TEST

START_TEST(a_timer_that_is_due_fires_with_the_next_tick)
{
	static const uint64_t dues[] = { 0, 1, 4999, 5000, 5001, 5002, 5003 };

	for (size_t i = 0; i < COUNT(dues); i++) {
		struct alarm a;

		start_at(5001);
		init(&a, 'a', NULL);
		set(&a, dues[i]);
		loop_run(loop);
		ck_assert_uint_eq(a.fired, 1);
		ck_assert_uint_ge(a.fired_ms, dues[i]);
		ck_assert_uint_le(a.fired_ms, 5001 + LOOP_TICK_MS);
		finish();
	}
}
END_TEST

/* Times near the largest once wrapped around to the beginning: "never" was now.
 */
START_TEST(a_timer_at_the_end_of_time_does_not_fire)
{
	static const uint64_t never[] = { UINT64_MAX, UINT64_MAX - 1,
		UINT64_MAX - 2, UINT64_MAX - 3, UINT64_MAX - 4,
		UINT64_MAX / 2 };

	for (size_t i = 0; i < COUNT(never); i++) {
		struct alarm a, b;

		start_at(5000);
		init(&a, 'a', NULL);
		init(&b, 'b', NULL);
		set(&a, never[i]);
		set(&b, 7000);
		sleeps_max = 200;
		loop_run(loop);
		ck_assert_uint_eq(a.fired, 0);
		ck_assert(timer_is_set(&a.timer));
		assert_punctual(&b);
		/* Years went by. */
		ck_assert_uint_gt(clock_ms, UINT64_C(5) * 365 * 86400 * 1000);
		finish();
	}
}
END_TEST

START_TEST(timers_fire_in_the_order_of_their_times)
{
	static const struct {
		char name;
		uint64_t in_ms;
	} timers[] = {
		{ 'h', 3600000 },
		{ 'a', 4 },
		{ 'g', 60000 },
		{ 'c', 250 },
		{ 'i', 86400000 },
		{ 'b', 12 },
		{ 'e', 1020 },
		{ 'd', 256 },
		{ 'f', 16400 },
		{ 'j', UINT64_C(86400000) * 60 },
	};
	struct alarm a[COUNT(timers)];

	start_at(starts[_i]);
	for (size_t i = 0; i < COUNT(timers); i++) {
		init(&a[i], timers[i].name, NULL);
		set(&a[i], starts[_i] + timers[i].in_ms);
	}
	loop_run(loop);
	ck_assert_str_eq(order, "abcdefghij");
	for (size_t i = 0; i < COUNT(timers); i++)
		assert_punctual(&a[i]);
	finish();
}
END_TEST

START_TEST(a_timer_that_is_cleared_does_not_fire)
{
	struct alarm a[COUNT(distances)], last;

	start_at(1234567);
	for (size_t i = 0; i < COUNT(distances); i++) {
		init(&a[i], '\0', NULL);
		ck_assert(!timer_is_set(&a[i].timer));
		loop_clear_timer(&a[i].timer); /* not set yet: harmless */
		set(&a[i], 1234567 + distances[i]);
	}
	init(&last, 'z', NULL);
	set(&last, 1234567 + TICKS(2000000000));
	for (size_t i = 0; i < COUNT(distances); i++) {
		loop_clear_timer(&a[i].timer);
		loop_clear_timer(&a[i].timer);
		ck_assert(!timer_is_set(&a[i].timer));
	}
	loop_run(loop);
	for (size_t i = 0; i < COUNT(distances); i++)
		ck_assert_uint_eq(a[i].fired, 0);
	assert_punctual(&last);
	finish();
}
END_TEST

START_TEST(setting_a_timer_again_moves_it)
{
	struct alarm a, b, c;

	start_at(1000);
	init(&a, 'a', NULL);
	init(&b, 'b', NULL);
	init(&c, 'c', NULL);
	set(&a, 1500);
	set(&b, 100000000);
	set(&c, 1000 + TICKS(64));
	set(&a, 50000);
	set(&b, 2000);
	set(&c, 1000 + TICKS(64));
	loop_run(loop);
	ck_assert_str_eq(order, "cba");
	assert_punctual(&a);
	assert_punctual(&b);
	assert_punctual(&c);
	finish();
}
END_TEST

/* Inside callbacks. */

static unsigned rounds;

static void
again_in_250_ms(struct alarm *a)
{
	assert_punctual(a);
	a->fired = 0;
	if (++rounds < 1000)
		set(a, a->due_ms + 250);
}

START_TEST(a_timer_may_set_itself_again_and_keeps_time)
{
	struct alarm a;

	start_at(starts[_i]);
	init(&a, '\0', again_in_250_ms);
	set(&a, starts[_i] + 250);
	loop_run(loop);
	ck_assert_uint_eq(rounds, 1000);
	ck_assert_uint_eq(a.due_ms, starts[_i] + 250 * 1000);
	finish();
}
END_TEST

static void
again_now(struct alarm *a)
{
	if (++rounds < 10)
		set(a, loop_now_ms(loop));
}

START_TEST(a_timer_that_is_set_for_now_does_not_hold_the_loop)
{
	struct alarm a, other;

	start_at(8000);
	init(&a, 'a', again_now);
	init(&other, 'b', NULL);
	set(&a, 8000);
	set(&other, 8000 + TICKS(4));
	loop_run(loop);
	/* Once a tick, with the others in between. */
	ck_assert_uint_eq(a.fired, 10);
	ck_assert_str_eq(order, "aaaabaaaaaa");
	ck_assert_uint_le(clock_ms, 8000 + TICKS(12));
	finish();
}
END_TEST

static struct alarm victims[3];

static void
clear_the_others(struct alarm *a)
{
	for (size_t i = 0; i < COUNT(victims); i++)
		if (&victims[i] != a)
			loop_clear_timer(&victims[i].timer);
}

START_TEST(a_timer_may_clear_others_that_are_due_as_well)
{
	unsigned fired = 0;

	start_at(1000);
	for (size_t i = 0; i < COUNT(victims); i++) {
		init(&victims[i], 'a', clear_the_others);
		set(&victims[i], 2000);
	}
	loop_run(loop);
	for (size_t i = 0; i < COUNT(victims); i++)
		fired += victims[i].fired;
	ck_assert_uint_eq(fired, 1);
	finish();
}
END_TEST

static void
move_the_others(struct alarm *a)
{
	for (size_t i = 0; i < COUNT(victims); i++)
		if (&victims[i] != a && victims[i].fired == 0)
			set(&victims[i], a->due_ms + 100000);
}

START_TEST(a_timer_may_move_others_that_are_due_as_well)
{
	start_at(1000);
	for (size_t i = 0; i < COUNT(victims); i++) {
		init(&victims[i], (char)('a' + (int)i), move_the_others);
		set(&victims[i], 2000);
	}
	loop_run(loop);
	ck_assert_uint_eq(ordered, 3);
	for (size_t i = 0; i < COUNT(victims); i++)
		assert_punctual(&victims[i]);
	ck_assert_uint_ge(clock_ms, 2000 + 2 * 100000);
	finish();
}
END_TEST

static void
clear_itself(struct alarm *a)
{
	set(a, a->due_ms + 10);
	loop_clear_timer(&a->timer);
	loop_clear_timer(&a->timer);
}

START_TEST(a_timer_may_clear_itself)
{
	struct alarm a;

	start_at(1000);
	init(&a, 'a', clear_itself);
	set(&a, 2000);
	loop_run(loop);
	ck_assert_uint_eq(a.fired, 1);
	ck_assert(!timer_is_set(&a.timer));
	finish();
}
END_TEST

/* Many at once, at all distances, set again, moved and cleared by each other.
 */
enum { CROWD = 3000 };

static struct alarm crowd[CROWD];
static uint64_t crowd_random;
static unsigned crowd_left;

static uint64_t
any_distance(void)
{
	/* As many short as long: a number of as many bits. */
	return bytes_random(&crowd_random) >>
	    (24 + bytes_random(&crowd_random) % 40);
}

static void
crowd_member(struct alarm *a)
{
	struct alarm *other = &crowd[bytes_random(&crowd_random) % CROWD];

	if (late_by == 0)
		assert_punctual(a);
	if (a->fired != 1)
		ck_abort_msg("fired twice");
	a->fired = 0;
	if (crowd_left == 0)
		return;
	crowd_left--;
	set(a, loop_now_ms(loop) + any_distance() % 1000000);
	if (bytes_random(&crowd_random) % 4 == 0)
		loop_clear_timer(&other->timer);
	else
		set(other, loop_now_ms(loop) + any_distance());
}

START_TEST(a_crowd_of_timers_keeps_its_order)
{
	static const unsigned lateness[] = { 0, 5, 1000, 100000000 };

	start_at(starts[_i]);
	late_by = lateness[_i % 4];
	crowd_random = 0x2545f4914f6cdd1d + (unsigned)_i;
	crowd_left = 30000;
	for (unsigned i = 0; i < CROWD; i++) {
		init(&crowd[i], '\0', crowd_member);
		set(&crowd[i], starts[_i] + any_distance());
	}
	loop_run(loop);
	/* It ran until nobody was left to wait for. */
	for (unsigned i = 0; i < CROWD; i++) {
		ck_assert(!timer_is_set(&crowd[i].timer));
		ck_assert_uint_eq(crowd[i].fired, 0);
	}
	ck_assert_uint_eq(crowd_left, 0);
	finish();
}
END_TEST

static uint64_t stopped_ms;

/* Stopped in the middle of a turn. */
static void
stop(struct alarm *a)
{
	(void)a;
	clock_ms += stopped_ms;
}

/* A second of it may have been work. */
START_TEST(timers_wait_out_a_pause)
{
	static const uint64_t in_ms[] = { 86400000, 5000, 1000000000, 300, 301,
		UINT64_C(300) * 86400 * 1000 };
	struct alarm a, rest[COUNT(in_ms)];
	struct loop_pause p;

	start_at(120000);
	stopped_ms = UINT64_C(365) * 86400 * 1000;
	init(&a, 'p', stop);
	set(&a, 120000 + 100);
	for (size_t i = 0; i < COUNT(in_ms); i++) {
		init(&rest[i], (char)('a' + (int)i), NULL);
		set(&rest[i], 120000 + in_ms[i]);
	}
	loop_run(loop);
	ck_assert_str_eq(order, "pdebacf");
	p = loop_last_pause(loop);
	ck_assert_uint_eq(p.end_ms, 120000 + 300 + stopped_ms);
	ck_assert_uint_eq(p.ms, stopped_ms - 1000);
	for (size_t i = 0; i < COUNT(in_ms); i++) {
		uint64_t lived = in_ms[i] > 1300 ? in_ms[i] : 1300;

		ck_assert_uint_eq(rest[i].fired, 1);
		ck_assert_uint_eq(rest[i].fired_ms, 120000 + lived + p.ms);
	}
	ck_assert_uint_eq(loop_now_ms(loop) - loop_lived_ms(loop), p.ms);
	finish();
}
END_TEST

START_TEST(a_turn_of_a_second_is_no_pause)
{
	struct alarm a, b;

	start_at(120000);
	stopped_ms = 1000;
	init(&a, 'a', stop);
	set(&a, 120000 + 100);
	init(&b, 'b', NULL);
	set(&b, 120000 + 200);
	loop_run(loop);
	ck_assert_uint_eq(b.fired_ms, 120000 + 200 + stopped_ms);
	ck_assert_uint_eq(loop_last_pause(loop).end_ms, 0);
	ck_assert_uint_eq(loop_lived_ms(loop), loop_now_ms(loop));
	finish();
}
END_TEST

START_TEST(a_loop_without_timers_sleeps_for_ever)
{
	start_at(1000);
	loop_run(loop);
	ck_assert_int_eq(last_timeout, -1);
	ck_assert_uint_eq(sleeps, 1);
	finish();
}
END_TEST

/* Tasks. */

struct job {
	struct task task;
	unsigned number;
	struct job *post; /* when it runs */
};

static unsigned ran[4096];
static unsigned ran_count;

static void
run_job(struct task *t)
{
	struct job *j = container_of(t, struct job, task);

	if (ran_count < COUNT(ran))
		ran[ran_count] = j->number;
	ran_count++;
	if (j->post != NULL) {
		struct job *next = j->post;

		j->post = NULL;
		loop_post(loop, &next->task);
	}
}

START_TEST(tasks_run_in_the_order_they_were_posted)
{
	struct job jobs[200];

	start_at(1000);
	for (unsigned i = 0; i < COUNT(jobs); i++) {
		jobs[i] = (struct job){ { NULL, run_job }, i, NULL };
		loop_post(loop, &jobs[i].task);
	}
	loop_run(loop);
	ck_assert_uint_eq(ran_count, COUNT(jobs));
	for (unsigned i = 0; i < COUNT(jobs); i++)
		ck_assert_uint_eq(ran[i], i);
	finish();
}
END_TEST

START_TEST(a_chain_runs_in_its_order_between_the_others)
{
	struct task_chain chain = { NULL, NULL };
	struct job jobs[12];

	start_at(1000);
	for (unsigned i = 0; i < COUNT(jobs); i++)
		jobs[i] = (struct job){ { NULL, run_job }, i, NULL };
	loop_post_chain(loop, &chain); /* empty: nothing */
	loop_post(loop, &jobs[0].task);
	for (unsigned i = 1; i < 6; i++)
		task_chain_add(&chain, &jobs[i].task);
	loop_post_chain(loop, &chain);
	ck_assert_ptr_null(chain.newest);
	ck_assert_ptr_null(chain.oldest);
	loop_post(loop, &jobs[6].task);
	/* The same chain serves again, also for one alone. */
	task_chain_add(&chain, &jobs[7].task);
	loop_post_chain(loop, &chain);
	for (unsigned i = 8; i < 12; i++)
		task_chain_add(&chain, &jobs[i].task);
	loop_post_chain(loop, &chain);
	loop_run(loop);
	ck_assert_uint_eq(ran_count, COUNT(jobs));
	for (unsigned i = 0; i < COUNT(jobs); i++)
		ck_assert_uint_eq(ran[i], i);
	finish();
}
END_TEST

START_TEST(a_task_may_post_itself_and_others)
{
	struct job a = { { NULL, run_job }, 1, NULL };
	struct job b = { { NULL, run_job }, 2, NULL };

	start_at(1000);
	a.post = &a;
	b.post = &a;
	loop_post(loop, &a.task);
	loop_run(loop);
	ck_assert_uint_eq(ran_count, 2);
	finish();
	start_at(1000);
	loop_post(loop, &b.task);
	loop_run(loop);
	ck_assert_uint_eq(ran_count, 4);
	ck_assert_uint_eq(ran[2], 2);
	ck_assert_uint_eq(ran[3], 1);
	finish();
}
END_TEST

static struct job farewell = { { NULL, run_job }, 77, NULL };

static void
stop_and_post(struct timer *t)
{
	(void)t;
	loop_stop(loop);
	loop_post(loop, &farewell.task);
}

START_TEST(what_was_posted_before_the_end_is_run)
{
	struct timer t;

	start_at(1000);
	timer_init(&t, stop_and_post);
	loop_set_timer(loop, &t, 1100);
	loop_run(loop);
	ck_assert_uint_eq(ran_count, 1);
	ck_assert_uint_eq(ran[0], 77);
	finish();
}
END_TEST

enum { POSTERS = 4, POSTS = 20000 };

struct post {
	struct task task;
	unsigned poster, number;
};

static struct post posts[POSTERS][POSTS];
static unsigned arrived[POSTERS], arrived_all;

static void
run_post(struct task *t)
{
	struct post *p = container_of(t, struct post, task);

	/* Each once, and each poster's in order. */
	ck_assert_uint_eq(p->number, arrived[p->poster]);
	arrived[p->poster]++;
	if (++arrived_all == POSTERS * POSTS)
		loop_stop(loop);
}

/* Alone and in chains of up to ten; now and then the loop falls asleep. */
static void *
post_many(void *arg)
{
	unsigned me = (unsigned)(uintptr_t)arg;
	struct task_chain chain = { NULL, NULL };
	uint64_t random = me + 1;

	for (unsigned i = 0; i < POSTS; i++) {
		struct post *p = &posts[me][i];

		*p = (struct post){ { NULL, run_post }, me, i };
		if (me % 2 == 0) {
			loop_post(loop, &p->task);
		} else {
			task_chain_add(&chain, &p->task);
			if (bytes_random(&random) % 10 == 0 || i == POSTS - 1)
				loop_post_chain(loop, &chain);
		}
		if (i % 1000 == 0)
			usleep(500);
	}
	return NULL;
}

START_TEST(tasks_of_several_threads_arrive_once_and_in_order)
{
	pthread_t threads[POSTERS];

	ck_assert_int_eq(loop_new(&loop), SW_OK);
	for (uintptr_t i = 0; i < POSTERS; i++)
		ck_assert_int_eq(
		    pthread_create(&threads[i], NULL, post_many, (void *)i), 0);
	loop_run(loop);
	for (unsigned i = 0; i < POSTERS; i++) {
		pthread_join(threads[i], NULL);
		ck_assert_uint_eq(arrived[i], POSTS);
	}
	loop_free(loop);
}
END_TEST

static sem_t answered;
static unsigned questions;

static void
run_question(struct task *t)
{
	(void)t;
	if (++questions == 20000)
		loop_stop(loop);
	sem_post(&answered);
}

static void *
ask(void *arg)
{
	struct task t = { NULL, run_question };

	(void)arg;
	for (unsigned i = 0; i < 20000; i++) {
		loop_post(loop, &t);
		sem_wait(&answered);
	}
	return NULL;
}

/* Without timers: if one wake-up were lost, this would wait for ever. */
START_TEST(a_sleeping_loop_is_always_woken)
{
	pthread_t thread;

	sem_init(&answered, 0, 0);
	ck_assert_int_eq(loop_new(&loop), SW_OK);
	ck_assert_int_eq(pthread_create(&thread, NULL, ask, NULL), 0);
	loop_run(loop);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(questions, 20000);
	loop_free(loop);
	sem_destroy(&answered);
}
END_TEST

/* Descriptors. */

struct watch {
	struct io io;
	unsigned calls;
	uint32_t events; /* of the last call */
	char name;
};

static void
on_ready(struct io *io, uint32_t events)
{
	struct watch *w = container_of(io, struct watch, io);

	w->calls++;
	w->events = events;
	if (w->name != '\0') {
		order[ordered++] = w->name;
		order[ordered] = '\0';
	}
}

/*
 * The steps of a story about descriptors, each a turn: they are timers, since
 * a loop runs but once.
 */
static int pipe_fds[2];
static struct watch watched;
static struct timer next_step;
static unsigned step;

static void
put_byte(const char *byte)
{
	ck_assert_int_eq(write(pipe_fds[1], byte, 1), 1);
}

static void
edge_steps(struct timer *t)
{
	char byte;

	switch (step++) {
	case 0: /* nothing there yet */
		ck_assert_uint_eq(watched.calls, 0);
		put_byte("a");
		break;
	case 1: /* told once */
		ck_assert_uint_eq(watched.calls, 1);
		ck_assert_uint_eq(watched.events, EPOLLIN);
		break;
	case 2: /* and not again, though it was not read */
		ck_assert_uint_eq(watched.calls, 1);
		put_byte("b");
		break;
	case 3: /* but for what is new */
		ck_assert_uint_eq(watched.calls, 2);
		ck_assert_int_eq(
		    loop_modify(loop, &watched.io, EPOLLIN), SW_OK);
		break;
	case 4: /* level-triggered: as long as something is there */
		ck_assert_uint_ge(watched.calls, 3);
		ck_assert_int_eq(read(pipe_fds[0], &byte, 1), 1);
		ck_assert_int_eq(read(pipe_fds[0], &byte, 1), 1);
		watched.calls = 0;
		break;
	case 5:
		ck_assert_uint_eq(watched.calls, 0);
		loop_remove(loop, &watched.io);
		put_byte("c");
		break;
	case 6: /* no longer watched */
		ck_assert_uint_eq(watched.calls, 0);
		ck_assert_int_eq(
		    loop_add(loop, &watched.io, EPOLLIN | EPOLLET), SW_OK);
		break;
	case 7: /* what is there already is told as well */
		ck_assert_uint_eq(watched.calls, 1);
		close(pipe_fds[1]);
		break;
	case 8: /* the other end is gone */
		ck_assert_uint_eq(watched.calls, 2);
		ck_assert_uint_ne(watched.events & EPOLLHUP, 0);
		loop_stop(loop);
		return;
	}
	loop_set_timer(loop, t, loop_now_ms(loop) + 1);
}

START_TEST(a_descriptor_is_told_about_once_per_edge)
{
	start_at(1000);
	busy_ms = 1;
	ck_assert_int_eq(pipe(pipe_fds), 0);
	watched = (struct watch){ .io = { pipe_fds[0], on_ready } };
	ck_assert_int_eq(loop_add(loop, &watched.io, EPOLLIN | EPOLLET), SW_OK);
	timer_init(&next_step, edge_steps);
	loop_set_timer(loop, &next_step, 1001);
	loop_run(loop);
	ck_assert_uint_eq(step, 9);
	close(pipe_fds[0]);
	finish();
}
END_TEST

START_TEST(what_cannot_be_watched_is_an_error)
{
	struct io none = { .fd = -1, .ready = on_ready };
	struct io twice = { .fd = eventfd(0, EFD_CLOEXEC), .ready = on_ready };

	start_at(1000);
	ck_assert_int_eq(loop_add(loop, &none, EPOLLIN), SW_EIO);
	ck_assert_int_eq(loop_modify(loop, &twice, EPOLLIN), SW_EIO);
	ck_assert_int_eq(loop_add(loop, &twice, EPOLLIN), SW_OK);
	ck_assert_int_eq(loop_add(loop, &twice, EPOLLIN), SW_EIO);
	loop_remove(loop, &twice);
	loop_remove(loop, &twice);
	close(twice.fd);
	finish();
	loop_free(NULL);
}
END_TEST

START_TEST(more_descriptors_than_a_turn_holds_are_all_served)
{
	enum { N = 700 };
	struct watch w[N];

	start_at(1000);
	for (unsigned i = 0; i < N; i++) {
		w[i] = (struct watch){
			.io = { eventfd(1, EFD_CLOEXEC), on_ready },
		};
		ck_assert_int_ge(w[i].io.fd, 0);
		ck_assert_int_eq(
		    loop_add(loop, &w[i].io, EPOLLIN | EPOLLET), SW_OK);
	}
	loop_run(loop);
	for (unsigned i = 0; i < N; i++) {
		ck_assert_uint_eq(w[i].calls, 1);
		close(w[i].io.fd);
	}
	finish();
}
END_TEST

/* Hooks. */

static unsigned turns, turns_wanted;

static void
hook_between(void *ctx)
{
	ck_assert_ptr_eq(ctx, &turns);
	order[ordered++] = '+';
	order[ordered] = '\0';
}

static bool
hook_turn(void *ctx)
{
	ck_assert_ptr_eq(ctx, &turns);
	turns++;
	/* While it said that there is work left, nobody slept. */
	ck_assert(turns == 1 || turns > turns_wanted || last_timeout == 0);
	return turns < turns_wanted;
}

START_TEST(a_turn_with_work_left_does_not_sleep)
{
	struct loop_hooks hooks = { .turn = hook_turn, .ctx = &turns };
	struct alarm a;

	start_at(1000);
	turns_wanted = 5;
	init(&a, 'a', NULL);
	set(&a, 2000);
	loop_set_hooks(loop, hooks);
	clock_ms = 1000;
	loop_run(loop);
	ck_assert_uint_ge(turns, 6);
	assert_punctual(&a);
	finish();
}
END_TEST

static struct job urgent = { { NULL, run_job }, 5, NULL };

static void
on_ready_posting(struct io *io, uint32_t events)
{
	on_ready(io, events);
	if (ordered == 1)
		loop_post(loop, &urgent.task);
}

START_TEST(urgent_work_goes_between_the_events_of_a_turn)
{
	struct loop_hooks hooks = { .between = hook_between, .ctx = &turns };
	struct watch w[3];

	start_at(1000);
	for (unsigned i = 0; i < 3; i++) {
		w[i] = (struct watch){
			.io = { eventfd(1, EFD_CLOEXEC), on_ready_posting },
			.name = 'e',
		};
		ck_assert_int_eq(
		    loop_add(loop, &w[i].io, EPOLLIN | EPOLLET), SW_OK);
	}
	loop_set_hooks(loop, hooks);
	loop_run(loop);
	/* Once, right behind the event that brought the task. */
	ck_assert_str_eq(order, "e+ee");
	ck_assert_uint_eq(ran_count, 1);
	for (unsigned i = 0; i < 3; i++)
		close(w[i].io.fd);
	finish();
}
END_TEST

static struct watch hasty;

static void
on_ready_hastening(struct io *io, uint32_t events)
{
	on_ready(io, events);
	if (ordered == 1)
		ck_assert_int_eq(eventfd_write(hasty.io.fd, 1), 0);
}

/* It takes a while. */
static void
on_ready_slow(struct io *io, uint32_t events)
{
	on_ready_hastening(io, events);
	clock_ms++;
}

static void
on_ready_posting_slow(struct io *io, uint32_t events)
{
	on_ready_slow(io, events);
	if (ordered == 1)
		loop_post(loop, &urgent.task);
}

/* What is the order of events, the first of which makes others due? */
static void
check_order(struct loop_hooks hooks, unsigned count,
    void (*ready)(struct io *, uint32_t), const char *expected)
{
	struct watch w[20];

	start_at(1000);
	for (unsigned i = 0; i < count; i++) {
		w[i] = (struct watch){
			.io = { eventfd(1, EFD_CLOEXEC), ready },
			.name = 'e',
		};
		ck_assert_int_eq(
		    loop_add(loop, &w[i].io, EPOLLIN | EPOLLET), SW_OK);
	}
	hasty = (struct watch){
		.io = { eventfd(0, EFD_CLOEXEC), on_ready },
		.name = 'u',
	};
	ck_assert_int_eq(
	    loop_add_urgent(loop, &hasty.io, EPOLLIN | EPOLLET), SW_OK);
	loop_set_hooks(loop, hooks);
	loop_run(loop);
	ck_assert_str_eq(order, expected);
	/* It may leave like any other. */
	loop_remove(loop, &hasty.io);
	ck_assert_int_eq(loop_add(loop, &hasty.io, EPOLLIN), SW_OK);
	for (unsigned i = 0; i < count; i++)
		close(w[i].io.fd);
	close(hasty.io.fd);
	finish();
}

START_TEST(an_urgent_descriptor_does_not_wait_for_the_end_of_a_turn)
{
	const struct loop_hooks hooks = { .urgent = hook_between,
		.ctx = &turns };

	check_order(hooks, 20, on_ready_hastening, "eeeeeeeeu+eeeeeeeeeeee");
}
END_TEST

START_TEST(an_urgent_descriptor_waits_for_one_that_takes_long)
{
	const struct loop_hooks hooks = { .urgent = hook_between,
		.ctx = &turns };

	check_order(hooks, 4, on_ready_slow, "eu+eee");
}
END_TEST

START_TEST(what_was_posted_comes_before_what_is_urgent)
{
	const struct loop_hooks hooks = { .between = hook_between,
		.ctx = &turns };

	check_order(hooks, 4, on_ready_posting_slow, "e+ueee");
}
END_TEST

static int sleep_limit;

static int
hook_may_sleep(void *ctx)
{
	(void)ctx;
	return sleep_limit;
}

static const struct {
	int limit;
	uint64_t timer_ms; /* 0: none */
	int timeout;
} limits[] = {
	{ -1, 0, -1 },
	{ 0, 0, 0 },
	{ 7, 0, 7 },
	{ 7, 1000, 7 },
	{ 0, 1000, 0 },
	{ -1, 200, 200 },
	{ 300, 200, 200 },
};

static bool
hook_stop(void *ctx)
{
	(void)ctx;
	loop_stop(loop);
	return false;
}

START_TEST(the_owner_may_limit_the_sleep)
{
	struct loop_hooks hooks = { .may_sleep = hook_may_sleep,
		.turn = hook_stop };
	struct alarm a;

	start_at(1000);
	init(&a, 'a', NULL);
	if (limits[_i].timer_ms > 0)
		set(&a, 1000 + limits[_i].timer_ms);
	sleep_limit = limits[_i].limit;
	loop_set_hooks(loop, hooks);
	loop_run(loop);
	ck_assert_int_eq(last_timeout, limits[_i].timeout);
	loop_clear_timer(&a.timer);
	finish();
}
END_TEST

START_TEST(now_is_read_once_a_turn)
{
	struct alarm a;

	start_at(1000);
	init(&a, 'a', NULL);
	set(&a, 1500);
	clock_ms = 1100;
	ck_assert_uint_eq(loop_now_ms(loop), 1000);
	loop_run(loop);
	ck_assert_uint_eq(loop_now_ms(loop), clock_ms);
	ck_assert_uint_eq(loop_unix_ms(loop), clock_ms + UNIX_OFFSET);
	finish();
}
END_TEST

/* They move the clock for those that come after. */
SUITE_APART("loop",
    LOOP(a_timer_fires_in_its_tick_at_any_distance, COUNT(distances)),
    TEST(a_timer_that_is_due_fires_with_the_next_tick),
    TEST(a_timer_at_the_end_of_time_does_not_fire),
    LOOP(timers_fire_in_the_order_of_their_times, COUNT(starts)),
    TEST(a_timer_that_is_cleared_does_not_fire),
    TEST(setting_a_timer_again_moves_it),
    LOOP(a_timer_may_set_itself_again_and_keeps_time, COUNT(starts)),
    TEST(a_timer_that_is_set_for_now_does_not_hold_the_loop),
    TEST(a_timer_may_clear_others_that_are_due_as_well),
    TEST(a_timer_may_move_others_that_are_due_as_well),
    TEST(a_timer_may_clear_itself),
    LOOP(a_crowd_of_timers_keeps_its_order, COUNT(starts)),
    TEST(timers_wait_out_a_pause), TEST(a_turn_of_a_second_is_no_pause),
    TEST(a_loop_without_timers_sleeps_for_ever),
    TEST(tasks_run_in_the_order_they_were_posted),
    TEST(a_chain_runs_in_its_order_between_the_others),
    TEST(a_task_may_post_itself_and_others),
    TEST(what_was_posted_before_the_end_is_run),
    TEST(tasks_of_several_threads_arrive_once_and_in_order),
    TEST(a_sleeping_loop_is_always_woken),
    TEST(a_descriptor_is_told_about_once_per_edge),
    TEST(what_cannot_be_watched_is_an_error),
    TEST(more_descriptors_than_a_turn_holds_are_all_served),
    TEST(a_turn_with_work_left_does_not_sleep),
    TEST(urgent_work_goes_between_the_events_of_a_turn),
    TEST(an_urgent_descriptor_does_not_wait_for_the_end_of_a_turn),
    TEST(an_urgent_descriptor_waits_for_one_that_takes_long),
    TEST(what_was_posted_comes_before_what_is_urgent),
    LOOP(the_owner_may_limit_the_sleep, COUNT(limits)),
    TEST(now_is_read_once_a_turn))
