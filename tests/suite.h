#ifndef SPILLWAY_TESTS_SUITE_H
#define SPILLWAY_TESTS_SUITE_H

#include <check.h>
#include <stdlib.h>

/*
 * The main of a unit test program: its suite's name, and its tests by name.
 * LOOP(test, n) runs one n times with _i from 0.
 *
 *	SUITE("cursor", TEST(a_cursor_reads_back), LOOP(cut_anywhere, 20))
 *
 * Each test runs in a process of its own, or with CK_FORK=no all in one; those
 * of SUITE_APART never in one, because they leave something behind.
 */
struct suite_entry {
	const TTest *test;
	int times;
};

#define TEST(name)      \
	{               \
		name, 0 \
	}
#define LOOP(name, n)          \
	{                      \
		name, (int)(n) \
	}
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/*
 * How much of something: `less` where each instruction takes its time and only
 * memory is looked at (valgrind), of what is about sizes or about all values.
 */
static inline size_t
usually(size_t n, size_t less)
{
	return getenv("SPILLWAY_TESTS_LESS") == NULL ? n : less;
}

static inline int
suite_run(const char *name, const struct suite_entry *entries, size_t count,
    enum fork_status fork_status)
{
	Suite *s = suite_create(name);
	TCase *c = tcase_create(name);
	SRunner *r;
	int failed;

	tcase_set_timeout(c, 120);
	for (size_t i = 0; i < count; i++) {
		if (entries[i].times > 0)
			tcase_add_loop_test(
			    c, entries[i].test, 0, entries[i].times);
		else
			tcase_add_test(c, entries[i].test);
	}
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_set_fork_status(r, fork_status);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#define SUITE_OF(fork_status, name, ...)                                      \
	int main(void)                                                        \
	{                                                                     \
		struct suite_entry entries[] = { __VA_ARGS__ };               \
		return suite_run(name, entries, COUNT(entries), fork_status); \
	}
#define SUITE(name, ...) SUITE_OF(CK_FORK_GETENV, name, __VA_ARGS__)
#define SUITE_APART(name, ...) SUITE_OF(CK_FORK, name, __VA_ARGS__)

#endif
