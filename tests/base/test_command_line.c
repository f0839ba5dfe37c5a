#include "proxy/base/command_line.h"

#include <getopt.h>
#include <string.h>

#include "tests/suite.h"

struct taken {
	int ids[8];
	const char *texts[8];
	size_t count;
};

static FILE *told; /* where the usage went */

static void
usage(FILE *out)
{
	told = out;
}

static bool
take(void *to, int id, const char *text)
{
	struct taken *t = to;

	t->ids[t->count] = id;
	t->texts[t->count++] = text;
	return text == NULL || strcmp(text, "wrong") != 0;
}

static const struct option longs[] = {
	{ "name", required_argument, NULL, 1 },
	{ "quiet", no_argument, NULL, 2 },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static bool
reads(struct taken *t, int *status, const char *words)
{
	static const struct command_line line = { longs, usage, take };
	static char text[128], *argv[8];
	int argc = 0;

	snprintf(text, sizeof(text), "%s", words);
	for (char *w = strtok(text, " "); w != NULL; w = strtok(NULL, " "))
		argv[argc++] = w;
	argv[argc] = NULL;
	*t = (struct taken){ .count = 0 };
	told = NULL;
	optind = 0;
	opterr = 0;
	return command_line_read(&line, t, argc, argv, status);
}

START_TEST(options_are_taken_in_their_order)
{
	struct taken t;
	int status;

	ck_assert(reads(&t, &status, "x --quiet --name a --name=b"));
	ck_assert_uint_eq(t.count, 3);
	ck_assert_int_eq(t.ids[0], 2);
	ck_assert_ptr_null(t.texts[0]);
	ck_assert_int_eq(t.ids[1], 1);
	ck_assert_str_eq(t.texts[1], "a");
	ck_assert_str_eq(t.texts[2], "b");
	ck_assert_ptr_null(told);
	ck_assert_int_eq(status, COMMAND_USAGE);
}
END_TEST

START_TEST(help_is_fine_and_ends_it)
{
	static const char *const words[] = { "x --help --what", "x -h y" };
	struct taken t;
	int status;

	ck_assert(!reads(&t, &status, words[_i]));
	ck_assert_ptr_eq(told, stdout);
	ck_assert_int_eq(status, COMMAND_FINE);
}
END_TEST

START_TEST(what_is_no_option_is_told_the_usage)
{
	static const char *const words[] = { "x --what", "x --name", "x y",
		"x --quiet y" };
	struct taken t;
	int status;

	ck_assert(!reads(&t, &status, words[_i]));
	ck_assert_ptr_eq(told, stderr);
	ck_assert_int_eq(status, COMMAND_USAGE);
}
END_TEST

START_TEST(a_wrong_value_says_so_itself)
{
	struct taken t;
	int status;

	ck_assert(!reads(&t, &status, "x --name wrong --name b"));
	ck_assert_uint_eq(t.count, 1);
	ck_assert_ptr_null(told);
	ck_assert_int_eq(status, COMMAND_USAGE);
}
END_TEST

SUITE("command_line", TEST(options_are_taken_in_their_order),
    LOOP(help_is_fine_and_ends_it, 2),
    LOOP(what_is_no_option_is_told_the_usage, 4),
    TEST(a_wrong_value_says_so_itself))
