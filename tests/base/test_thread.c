#include "proxy/base/thread.h"

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

SUITE("thread", TEST(a_thread_has_its_name), TEST(a_long_name_is_cut))
