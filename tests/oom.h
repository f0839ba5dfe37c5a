#ifndef SPILLWAY_TESTS_OOM_H
#define SPILLWAY_TESTS_OOM_H

#include <check.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/err.h"

/*
 * Running out of memory on purpose: tell a story again and again, and let its
 * 1st, 2nd, ... allocation fail, until it gets through without.
 *
 *	static int
 *	story(void *arg)
 *	{
 *		... returns SW_OK, or what failed
 *	}
 *
 *	oom_tell(story, arg);
 *
 * Each telling that lost an allocation has to return SW_ENOMEM, and every
 * telling has to free whatever it allocated. Check allocates for its
 * assertions, so a story makes none: it returns.
 *
 * The linker hands our calls to the functions below: a program with this header
 * in it is linked with $(fail_in_libc). What shared libraries allocate by
 * themselves is not counted.
 */
typedef int oom_story_fn(void *arg);

enum { OOM_BLOCKS = 1 << 16 };

static struct {
	pthread_mutex_t lock;
	bool watching;
	bool for_good; /* all that follow fail as well */
	bool failed;
	size_t fail_at; /* counts from 1; 0: none */
	size_t count;
	size_t live;
	void *blocks[OOM_BLOCKS]; /* given out since oom_begin: a hash set */
} oom = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Fail the allocation of that number from now on; 0: only watch. */
static inline void
oom_begin(size_t fail_at, bool for_good)
{
	pthread_mutex_lock(&oom.lock);
	oom.watching = true;
	oom.for_good = for_good;
	oom.failed = false;
	oom.fail_at = fail_at;
	oom.count = 0;
	oom.live = 0;
	memset(oom.blocks, 0, sizeof(oom.blocks));
	pthread_mutex_unlock(&oom.lock);
}

/* Blocks that were allocated since, and not freed. */
static inline size_t
oom_end(void)
{
	size_t live;

	pthread_mutex_lock(&oom.lock);
	oom.watching = false;
	live = oom.live;
	pthread_mutex_unlock(&oom.lock);
	return live;
}

/* Has an allocation failed since oom_begin? */
static inline bool
oom_failed(void)
{
	return oom.failed;
}

static inline size_t
oom_tell_all(oom_story_fn *story, void *arg, bool for_good, bool may_cope)
{
	for (size_t k = 1;; k++) {
		size_t leaked;
		int err;

		oom_begin(k, for_good);
		err = story(arg);
		leaked = oom_end();
		if (leaked > 0)
			ck_abort_msg("without allocation %zu%s, %zu blocks "
				     "stay",
			    k, for_good ? " and later ones" : "", leaked);
		if (!oom_failed()) {
			ck_assert_int_eq(err, SW_OK);
			return k - 1;
		}
		if (err != SW_ENOMEM && !(may_cope && err == SW_OK))
			ck_abort_msg("without allocation %zu%s: %d", k,
			    for_good ? " and later ones" : "", err);
	}
}

/* Once with single failures, once with memory gone for good. */
static inline void
oom_tell(oom_story_fn *story, void *arg)
{
	ck_assert_uint_gt(oom_tell_all(story, arg, false, false), 0);
	oom_tell_all(story, arg, true, false);
}

/* A story that may also get along without the memory, and return SW_OK. */
static inline void
oom_tell_coping(oom_story_fn *story, void *arg)
{
	ck_assert_uint_gt(oom_tell_all(story, arg, false, true), 0);
	oom_tell_all(story, arg, true, true);
}

/* What the linker puts in place of the C library's. */

void *__real_malloc(size_t n);
void *__real_realloc(void *p, size_t n);
void __real_free(void *p);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t n);
void *__wrap_realloc(void *p, size_t n);
void __wrap_free(void *p);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t n);
int __wrap_vasprintf(char **out, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
int __wrap_asprintf(char **out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Under the lock: may this allocation succeed? */
static inline bool
oom_allows(void)
{
	if (!oom.watching || oom.fail_at == 0)
		return true;
	oom.count++;
	if (oom.count < oom.fail_at ||
	    (oom.count > oom.fail_at && !oom.for_good))
		return true;
	oom.failed = true;
	return false;
}

static inline size_t
oom_place(const void *p)
{
	return (
	    size_t)(((uintptr_t)p >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 48);
}

/* Under the lock. */
static inline void
oom_add(void *p)
{
	size_t i = oom_place(p);

	if (!oom.watching || p == NULL)
		return;
	if (oom.live == OOM_BLOCKS / 2)
		abort(); /* a story for a larger table */
	while (oom.blocks[i] != NULL)
		i = (i + 1) % OOM_BLOCKS;
	oom.blocks[i] = p;
	oom.live++;
}

/* Under the lock; false if the block is older than oom_begin. */
static inline bool
oom_remove(const void *p)
{
	size_t i = oom_place(p), hole;

	if (!oom.watching || p == NULL)
		return false;
	while (oom.blocks[i] != p) {
		if (oom.blocks[i] == NULL)
			return false;
		i = (i + 1) % OOM_BLOCKS;
	}
	/* Close up: whatever stands behind may have been pushed there. */
	hole = i;
	for (;;) {
		size_t home;

		oom.blocks[hole] = NULL;
		do {
			i = (i + 1) % OOM_BLOCKS;
			if (oom.blocks[i] == NULL) {
				oom.live--;
				return true;
			}
			home = oom_place(oom.blocks[i]);
		} while (hole <= i ? hole < home && home <= i :
				     hole < home || home <= i);
		oom.blocks[hole] = oom.blocks[i];
		hole = i;
	}
}

void *
__wrap_realloc(void *p, size_t n)
{
	void *moved = NULL;
	bool known;

	pthread_mutex_lock(&oom.lock);
	if (oom_allows()) {
		known = oom_remove(p);
		moved = __real_realloc(p, n);
		if (known || p == NULL)
			oom_add(moved != NULL ? moved : p);
	}
	pthread_mutex_unlock(&oom.lock);
	return moved;
}

void *
__wrap_malloc(size_t n)
{
	void *p = NULL;

	pthread_mutex_lock(&oom.lock);
	if (oom_allows()) {
		p = __real_malloc(n);
		oom_add(p);
	}
	pthread_mutex_unlock(&oom.lock);
	return p;
}

void *
__wrap_calloc(size_t count, size_t n)
{
	void *p;

	if (n > 0 && count > SIZE_MAX / n)
		return NULL;
	p = __wrap_malloc(count * n);
	if (p != NULL)
		memset(p, 0, count * n);
	return p;
}

void
__wrap_free(void *p)
{
	pthread_mutex_lock(&oom.lock);
	oom_remove(p);
	pthread_mutex_unlock(&oom.lock);
	__real_free(p);
}

char *
__wrap_strndup(const char *text, size_t n)
{
	size_t len = strnlen(text, n);
	char *copy = __wrap_malloc(len + 1);

	if (copy == NULL)
		return NULL;
	memcpy(copy, text, len);
	copy[len] = '\0';
	return copy;
}

char *
__wrap_strdup(const char *text)
{
	return __wrap_strndup(text, strlen(text));
}

int
__wrap_vasprintf(char **out, const char *format, va_list args)
{
	va_list again;
	int n;

	va_copy(again, args);
	n = vsnprintf(NULL, 0, format, again);
	va_end(again);
	*out = n < 0 ? NULL : __wrap_malloc((size_t)n + 1);
	if (*out == NULL)
		return -1;
	return vsnprintf(*out, (size_t)n + 1, format, args);
}

int
__wrap_asprintf(char **out, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = __wrap_vasprintf(out, format, args);
	va_end(args);
	return n;
}

#endif
