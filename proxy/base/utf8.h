#ifndef SPILLWAY_PROXY_BASE_UTF8_H
#define SPILLWAY_PROXY_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * UTF-8 validation (RFC 3629: no overlong forms, no surrogates, nothing above
 * U+10FFFF) that resumes across chunks and fails at the first byte that cannot
 * be part of valid text.
 */
struct utf8 {
	uint8_t state;
};

enum { UTF8_BETWEEN = 0 }; /* two characters */
#define UTF8_START ((struct utf8){ UTF8_BETWEEN })

/* False as soon as the text can no longer become valid. */
bool utf8_feed(struct utf8 *u, const void *bytes, size_t n);

/* Does the text end between two characters? */
static inline bool
utf8_complete(const struct utf8 *u)
{
	return u->state == UTF8_BETWEEN;
}

bool utf8_valid(const void *bytes, size_t n);

#endif
