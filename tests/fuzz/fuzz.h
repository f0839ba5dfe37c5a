#ifndef SPILLWAY_TESTS_FUZZ_FUZZ_H
#define SPILLWAY_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/buf.h"
#include "proxy/base/err.h"
#include "proxy/base/str.h"

/*
 * A fuzz target is a program of one file: it has LLVMFuzzerTestOneInput, and is
 * linked with libFuzzer, or with replay.c, which feeds it the inputs that are
 * kept in corpus/. It looks for more than crashes: `must` ends it where a
 * property does not hold.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(condition)                                                    \
	do {                                                               \
		if (!(condition)) {                                        \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, \
			    #condition);                                   \
			abort();                                           \
		}                                                          \
	} while (0)

/* A copy to the byte, so that the sanitizer sees every step beyond it. */
static inline char *
fuzz_copy(struct str s)
{
	char *copy = malloc(s.len > 0 ? s.len : 1);

	must(copy != NULL);
	if (s.len > 0)
		memcpy(copy, s.p, s.len);
	return copy;
}

static inline bool
fuzz_same(struct str a, struct str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

#endif
