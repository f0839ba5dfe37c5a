#ifndef SPILLWAY_TESTS_BYTES_H
#define SPILLWAY_TESTS_BYTES_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/base/buf.h"
#include "proxy/base/str.h"

/*
 * Comparing bytes in tests. What differs is shown as text with escapes, since
 * most of what we write is text.
 */

/* A literal that may hold zeros, and the bytes of an array. */
#define BYTES(literal) ((struct str){ (literal), sizeof(literal) - 1 })
#define ARRAY(bytes) ((struct str){ (const char *)(bytes), sizeof(bytes) })

static inline struct str
bytes_of(const void *p, size_t len)
{
	return (struct str){ p, len };
}

/* Up to 200 bytes, readable; one of four places that are used in turn. */
static inline const char *
bytes_show(struct str s)
{
	static char places[4][1024];
	static unsigned turn;
	char *out = places[turn++ % 4];
	size_t n = 0;

	for (size_t i = 0; i < s.len && i < 200; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c >= 0x20 && c < 0x7f && c != '\\')
			out[n++] = (char)c;
		else
			n += (size_t)snprintf(out + n, 5, "\\x%02x", c);
	}
	if (s.len > 200)
		n += (size_t)snprintf(out + n, 4, "...");
	out[n] = '\0';
	return out;
}

static inline void
bytes_compare(const char *file, int line, struct str got, struct str want)
{
	size_t i = 0;

	while (i < got.len && i < want.len && got.p[i] == want.p[i])
		i++;
	if (i == got.len && i == want.len)
		return;
	ck_abort_msg("%s:%d: byte %zu differs\n got %zu bytes: %s\nwant %zu "
		     "bytes: %s",
	    file, line, i, got.len, bytes_show(got), want.len,
	    bytes_show(want));
}

#define assert_bytes(got, want) bytes_compare(__FILE__, __LINE__, got, want)
#define assert_text(got, want) assert_bytes(got, str_of(want))

/* A copy to the byte, so that the sanitizer sees every step beyond it. */
static inline char *
bytes_copy(struct str s)
{
	char *copy = malloc(s.len > 0 ? s.len : 1);

	ck_assert_ptr_nonnull(copy);
	if (s.len > 0)
		memcpy(copy, s.p, s.len);
	return copy;
}

/* The same numbers in every run: xorshift, for shuffled and random input. */
static inline uint64_t
bytes_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

#endif
