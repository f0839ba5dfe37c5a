#ifndef SPILLWAY_TESTS_CONF_FILES_H
#define SPILLWAY_TESTS_CONF_FILES_H

#include "conf/conf.h"
#include "proxy/base/err.h"
#include "tests/scratch.h"

/*
 * Configurations for tests: each test has a directory of its own, with files
 * that are named relative to it, also in the faults that are returned.
 */
static inline void
file_write(const char *name, const char *text)
{
	scratch_write(name, text, strlen(text));
}

/* All of a file in the source tree; terminated, the caller's. */
static inline char *
file_of_tree(const char *name)
{
	const char *srcdir = getenv("srcdir");
	char path[4096];
	struct buf text;
	size_t n;
	FILE *file;

	snprintf(
	    path, sizeof(path), "%s/%s", srcdir == NULL ? "." : srcdir, name);
	file = fopen(path, "r");
	ck_assert_msg(file != NULL, "%s cannot be read", path);
	buf_init(&text, 1024 * 1024);
	do {
		ck_assert_int_eq(buf_reserve(&text, 4096), SW_OK);
		n = fread(buf_tail(&text), 1, 4096, file);
		buf_commit(&text, n);
	} while (n > 0);
	fclose(file);
	buf_put(&text, "", 1);
	return (char *)buf_take(&text, &n);
}

/* The file must be without faults. */
static inline struct conf *
load(const char *name)
{
	struct conf *c = NULL;
	struct buf faults;
	int err;

	buf_init(&faults, 64 * 1024);
	err = conf_load(&c, name == NULL ? NULL : scratch_path(name), &faults);
	ck_assert_msg(
	    err == SW_OK, "%d, faults:\n%.*s", err, STR_ARG(buf_str(&faults)));
	ck_assert_ptr_nonnull(c);
	ck_assert_uint_eq(buf_len(&faults), 0);
	buf_fini(&faults);
	return c;
}

static inline struct conf *
load_text(const char *text)
{
	file_write("spillway.conf", text);
	return load("spillway.conf");
}

/* The file must have faults. Borrowed until the next call. */
static inline const char *
load_faults(const char *name)
{
	static char text[64 * 1024];
	struct conf *c = (struct conf *)&text;
	size_t n = strlen(scratch_dir) + 1;
	struct buf faults;
	char *p;

	buf_init(&faults, sizeof(text) - 1);
	ck_assert_int_eq(conf_load(&c, scratch_path(name), &faults), SW_EINVAL);
	ck_assert_ptr_null(c);
	memcpy(text, buf_head(&faults), buf_len(&faults));
	text[buf_len(&faults)] = '\0';
	buf_fini(&faults);
	while ((p = strstr(text, scratch_dir)) != NULL)
		memmove(p, p + n, strlen(p + n) + 1);
	return text;
}

static inline const char *
load_text_faults(const char *text)
{
	file_write("spillway.conf", text);
	return load_faults("spillway.conf");
}

/* Run the cases; the exit status of the program. */
static inline int
run_cases(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
