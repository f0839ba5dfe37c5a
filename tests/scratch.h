#ifndef SPILLWAY_TESTS_SCRATCH_H
#define SPILLWAY_TESTS_SCRATCH_H

#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/base/log.h"

/*
 * A directory of the test's own, and what the program said on standard error
 * while it was listened to.
 */
static char scratch_dir[256];

static inline void
scratch_make(void)
{
	const char *base = getenv("TMPDIR");

	snprintf(scratch_dir, sizeof(scratch_dir), "%s/spillway-test-XXXXXX",
	    base == NULL || *base == '\0' ? "/tmp" : base);
	ck_assert_ptr_nonnull(mkdtemp(scratch_dir));
	log_set(LOG_ERROR, false);
}

static inline int
scratch_remove_one(
    const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static inline void
scratch_remove(void)
{
	nftw(scratch_dir, scratch_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Borrowed until the next call but seven. */
static inline const char *
scratch_path(const char *name)
{
	static char paths[8][512];
	static unsigned next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", scratch_dir, name);
	return path;
}

static inline void
scratch_write(const char *name, const void *bytes, size_t len)
{
	FILE *file = fopen(scratch_path(name), "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(bytes, 1, len, file), len);
	ck_assert_int_eq(fclose(file), 0);
}

/* Size of a file; 0 if there is none. */
static inline size_t
scratch_size(const char *name)
{
	struct stat st;

	return stat(scratch_path(name), &st) == 0 ? (size_t)st.st_size : 0;
}

/* All of a file, terminated; the caller's. */
static inline char *
scratch_read(const char *name, size_t *len)
{
	size_t size = scratch_size(name);
	char *bytes = malloc(size + 1);
	FILE *file = fopen(scratch_path(name), "r");

	ck_assert_ptr_nonnull(file);
	ck_assert_ptr_nonnull(bytes);
	*len = fread(bytes, 1, size, file);
	bytes[*len] = '\0';
	fclose(file);
	return bytes;
}

static inline void
scratch_copy(const char *from, const char *to)
{
	size_t len;
	char *bytes = scratch_read(from, &len);

	scratch_write(to, bytes, len);
	free(bytes);
}

static inline void
scratch_copy_part(const char *from, const char *to, const char *part)
{
	char part_from[64], part_to[64];

	snprintf(part_from, sizeof(part_from), "%s%s", from, part);
	snprintf(part_to, sizeof(part_to), "%s%s", to, part);
	if (scratch_size(part_from) > 0)
		scratch_copy(part_from, part_to);
}

/*
 * A copy of a store in use, as a crash would leave it: the database before the
 * write-ahead log, which is moved into it, and the tail before both.
 */
static inline void
scratch_copy_store(const char *from, const char *to)
{
	scratch_copy_part(from, to, "-tail");
	scratch_copy(from, to);
	scratch_copy_part(from, to, "-wal");
}

static inline void
scratch_overwrite(const char *name, off_t offset, const void *bytes, size_t len)
{
	int fd = open(scratch_path(name), O_WRONLY);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq((int)pwrite(fd, bytes, len, offset), (int)len);
	close(fd);
}

static int said_before = -1;

static inline void
said_listen(void)
{
	int fd = open(scratch_path("said"), O_RDWR | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_ge(fd, 0);
	said_before = dup(STDERR_FILENO);
	dup2(fd, STDERR_FILENO);
	close(fd);
}

/* Stop listening; what was said, the caller's. */
static inline char *
said_end(void)
{
	size_t len;

	dup2(said_before, STDERR_FILENO);
	close(said_before);
	return scratch_read("said", &len);
}

/* Stop listening; it must have said that. */
static inline void
said_check(const char *words)
{
	char *text = said_end();

	ck_assert_msg(
	    strstr(text, words) != NULL, "\"%s\" not in: %s", words, text);
	free(text);
}

#endif
