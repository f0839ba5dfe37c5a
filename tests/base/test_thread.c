#include "proxy/base/thread.h"

#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proxy/base/err.h"
#include "tests/suite.h"

static void *
wait_for_lock(void *ctx)
{
	pthread_mutex_t *lock = ctx;

	pthread_mutex_lock(lock);
	pthread_mutex_unlock(lock);
	return ctx;
}

static void
expect_name(const char *given, const char *shown)
{
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	pthread_t thread;
	char name[16] = "";
	void *returned = NULL;

	pthread_mutex_lock(&lock);
	ck_assert_int_eq(
	    thread_start(&thread, given, wait_for_lock, &lock), SW_OK);
	ck_assert_int_eq(pthread_getname_np(thread, name, sizeof(name)), 0);
	pthread_mutex_unlock(&lock);
	ck_assert_int_eq(pthread_join(thread, &returned), 0);
	ck_assert_str_eq(name, shown);
	ck_assert_ptr_eq(returned, &lock);
	pthread_mutex_destroy(&lock);
}

START_TEST(a_thread_has_its_name)
{
	expect_name("worker-0", "worker-0");
}
END_TEST

START_TEST(a_long_name_is_cut)
{
	expect_name("a-name-of-20-bytes..", "a-name-of-20-by");
}
END_TEST

/* As sched_getattr(2) has it: size and policy, flags, nice and priority, slice,
 * two more. */
enum { ATTRIBUTES = 6, SLICE = 3 };

static void *
be_brief(void *ctx)
{
	uint64_t *now = ctx;

	thread_be_brief();
	syscall(SYS_sched_getattr, 0, now, ATTRIBUTES * sizeof(*now), 0);
	return NULL;
}

START_TEST(a_brief_thread_has_short_slices_and_nothing_else_is_changed)
{
	uint64_t before[ATTRIBUTES] = { 0 }, brief[ATTRIBUTES] = { 0 };
	pthread_t thread;

	ck_assert_int_eq(
	    syscall(SYS_sched_getattr, 0, before, (unsigned)sizeof(before), 0),
	    0);
	ck_assert_int_eq(
	    thread_start(&thread, "brief", be_brief, brief), SW_OK);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	for (size_t i = 0; i < ATTRIBUTES; i++)
		if (i != SLICE)
			ck_assert_uint_eq(brief[i], before[i]);
	/* Systems before 6.12 know no slices. */
	ck_assert_uint_eq(brief[SLICE], before[SLICE] == 0 ? 0 : 100000);
}
END_TEST

SUITE("thread", TEST(a_thread_has_its_name), TEST(a_long_name_is_cut),
    TEST(a_brief_thread_has_short_slices_and_nothing_else_is_changed))
