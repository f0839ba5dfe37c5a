#ifndef SPILLWAY_PROXY_BASE_STR_H
#define SPILLWAY_PROXY_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

/*
 * A borrowed run of bytes with its length: a header's value, a member of a
 * JSON object, a query parameter. Never terminated, never owned; `p` is NULL
 * when there is none, which is not the same as an empty one.
 */
struct str {
	const char *p;
	size_t len;
};

#define STR(literal) ((struct str){ (literal), sizeof(literal) - 1 })
/* For printf's "%.*s". */
#define STR_ARG(s) (int)(s).len, (s).p == NULL ? "" : (s).p

static inline struct str
str_of(const char *text)
{
	return (struct str){ text, text == NULL ? 0 : strlen(text) };
}

static inline bool
str_is(struct str s, const char *text)
{
	size_t len = strlen(text);

	return s.len == len && memcmp(s.p, text, len) == 0;
}

static inline bool
str_equals(struct str a, struct str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

/* The same, without regard to ASCII case. */
static inline bool
str_is_nocase(struct str s, const char *text)
{
	size_t len = strlen(text);

	return s.len == len && strncasecmp(s.p, text, len) == 0;
}

static inline bool
str_starts(struct str s, const char *text)
{
	size_t len = strlen(text);

	return s.len >= len && memcmp(s.p, text, len) == 0;
}

static inline bool
str_starts_nocase(struct str s, const char *text)
{
	size_t len = strlen(text);

	return s.len >= len && strncasecmp(s.p, text, len) == 0;
}

/*
 * Copy the text to `*place`, which moves on behind it: for several texts in one
 * piece of memory. No text stays none.
 */
static inline struct str
str_keep(char **place, struct str text)
{
	struct str kept = { text.p == NULL ? NULL : *place, text.len };

	if (text.len > 0)
		memcpy(*place, text.p, text.len);
	*place += text.len;
	return kept;
}

/* Without the blanks and tabs around it. */
struct str str_trim(struct str s);

/*
 * Cut the text before the next `sep` off `*rest` and return it; the whole rest
 * if there is none. False when nothing is left.
 */
bool str_cut(struct str *rest, char sep, struct str *out);

/* Is `token` in the comma-separated list, without regard to case? */
bool str_has_token(struct str list, const char *token);

/*
 * A decimal number without sign or blanks, at most `max`: SW_EINVAL for
 * anything else.
 */
int str_to_u64(uint64_t *out, struct str s, uint64_t max);

#endif
