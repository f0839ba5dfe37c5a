#include "conf/route.h"

#include <stdlib.h>

#include "proxy/base/err.h"
#include "proxy/base/field.h"
#include "proxy/base/pattern.h"

static bool
is_letter_or_digit(char c)
{
	char letter = (char)(c | 0x20);

	return (letter >= 'a' && letter <= 'z') || (c >= '0' && c <= '9');
}

/* Does a segment of dots begin at `at`, as far as a slash or the end? */
static bool
is_dots(struct str path, size_t at, size_t *len)
{
	size_t n = 0;

	while (n < 2 && at + n < path.len && path.p[at + n] == '.')
		n++;
	*len = n;
	return n > 0 && (at + n == path.len || path.p[at + n] == '/');
}

bool
route_pattern_valid(struct str pattern)
{
	size_t dots;

	if (pattern.len == 0 || pattern.len > ROUTE_PATTERN_MAX ||
	    pattern.p[0] != '/')
		return false;
	for (size_t i = 0; i < pattern.len; i++) {
		char c = pattern.p[i];

		if (!is_letter_or_digit(c) &&
		    (c == '\0' || strchr("/*-._~!$&'()+,=:@", c) == NULL))
			return false;
		if (c == '/' &&
		    ((i + 1 < pattern.len && pattern.p[i + 1] == '/') ||
			is_dots(pattern, i + 1, &dots)))
			return false;
	}
	return true;
}

bool
route_matches(const struct route *r, struct str path)
{
	return pattern_matches(r->pattern, path) ||
	    (r->bare != NULL && pattern_matches(r->bare, path));
}

static size_t
find(const struct route *routes, size_t count, struct str path)
{
	size_t i = 0;

	while (i + 1 < count && !route_matches(&routes[i], path))
		i++;
	return i;
}

size_t
route_prefix(const struct route *r)
{
	return r->bare == NULL || strchr(r->bare, '*') != NULL ?
	    0 :
	    strlen(r->bare);
}

/*
 * What servers do to a path before they look at it. Each does some of it, in
 * this order, and nobody knows which.
 */
typedef bool step_fn(char *out, size_t *n, struct str path);

static int
hex(char c)
{
	char letter = (char)(c | 0x20);

	if (c >= '0' && c <= '9')
		return c - '0';
	return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

static bool
decode(char *out, size_t *n, struct str path)
{
	*n = 0;
	for (size_t i = 0; i < path.len; i++) {
		char c = path.p[i];

		if (c == '%' && i + 2 < path.len && hex(path.p[i + 1]) >= 0 &&
		    hex(path.p[i + 2]) >= 0) {
			c = (char)(hex(path.p[i + 1]) * 16 +
			    hex(path.p[i + 2]));
			i += 2;
		}
		out[(*n)++] = c;
	}
	return *n != path.len;
}

static bool
turn_slashes(char *out, size_t *n, struct str path)
{
	bool changed = false;

	for (size_t i = 0; i < path.len; i++) {
		changed = changed || path.p[i] == '\\';
		out[i] = path.p[i] == '\\' ? '/' : path.p[i];
	}
	*n = path.len;
	return changed;
}

/* Of the segment "a;b=c" only "a" counts. */
static bool
drop_parameters(char *out, size_t *n, struct str path)
{
	bool inside = false;

	*n = 0;
	for (size_t i = 0; i < path.len; i++) {
		inside = path.p[i] != '/' && (inside || path.p[i] == ';');
		if (!inside)
			out[(*n)++] = path.p[i];
	}
	return *n != path.len;
}

static bool
merge_slashes(char *out, size_t *n, struct str path)
{
	*n = 0;
	for (size_t i = 0; i < path.len; i++)
		if (path.p[i] != '/' || *n == 0 || out[*n - 1] != '/')
			out[(*n)++] = path.p[i];
	return *n != path.len;
}

/* RFC 3986 5.2.4. */
static bool
resolve_dots(char *out, size_t *n, struct str path)
{
	size_t at = 0, dots;

	*n = 0;
	while (at < path.len) {
		if (path.p[at] != '/' || !is_dots(path, at + 1, &dots)) {
			out[(*n)++] = path.p[at++];
			continue;
		}
		while (dots == 2 && *n > 0 && out[--*n] != '/')
			continue;
		at += 1 + dots;
		if (at == path.len)
			out[(*n)++] = '/';
	}
	return *n != path.len;
}

/* Twice, for those who stand behind somebody who does it. */
static step_fn *const steps[] = { decode, decode, turn_slashes, drop_parameters,
	merge_slashes, resolve_dots };

enum { STEPS = sizeof(steps) / sizeof(steps[0]) };

struct reader {
	const struct route *routes;
	size_t count;
	size_t route; /* as the path stands there */
	char *memory; /* a path's length for each step */
	size_t len;
};

/* Is it this route's, whichever of the steps from this one on are taken? */
static bool
is_same_on(const struct reader *r, size_t step, struct str path)
{
	char *out = r->memory + step * r->len;
	size_t n;

	if (step == STEPS)
		return find(r->routes, r->count, path) == r->route;
	if (!is_same_on(r, step + 1, path))
		return false;
	if (!steps[step](out, &n, path))
		return true;
	/* For some the path would end there. */
	return memchr(out, '\0', n) == NULL &&
	    is_same_on(r, step + 1, (struct str){ out, n });
}

/* Could anybody read it in another way than as it stands there? */
static bool
is_odd(struct str path)
{
	for (size_t i = 0; i < path.len; i++) {
		char c = path.p[i];

		if (c == '%' || c == ';' || c == '\\' ||
		    (c == '/' && i + 1 < path.len &&
			(path.p[i + 1] == '/' || path.p[i + 1] == '.')))
			return true;
	}
	return false;
}

int
route_choose(size_t *out, const struct route *routes, size_t count,
    struct str path, uint64_t odd_max)
{
	struct reader r = { routes, count, 0, NULL, path.len };
	bool same;

	*out = 0;
	if (count == 1)
		return SW_OK;
	*out = r.route = find(routes, count, path);
	if (!is_odd(path))
		return SW_OK;
	if (path.len > odd_max)
		return SW_ELIMIT;
	r.memory = malloc(STEPS * path.len);
	if (r.memory == NULL)
		return SW_ENOMEM;
	same = is_same_on(&r, 0, path);
	free(r.memory);
	return same ? SW_OK : SW_EINVAL;
}

void
header_split(const char *text, struct str *name, struct str *value)
{
	const char *colon = strchr(text, ':');

	*name = (struct str){ text, (size_t)(colon - text) };
	*value = str_trim(str_of(colon + 1));
}

int
value_header(struct str text, struct buf *advice)
{
	static const char *const ours[] = { "Connection", "Keep-Alive",
		"Proxy-Connection", "TE", "Trailer", "Transfer-Encoding",
		"Upgrade", "Expect", "Content-Length", "Via" };
	const char *colon = memchr(text.p, ':', text.len);
	struct str name = { text.p,
		colon == NULL ? 0 : (size_t)(colon - text.p) };

	if (!field_is_token(name) || memchr(text.p, '_', name.len) != NULL ||
	    !field_is_value(
		str_trim((struct str){ colon + 1, text.len - name.len - 1 }))) {
		buf_puts(advice,
		    "write \"Name: value\" for a header, or \"Name:\" to leave "
		    "it out; its name has no _");
		return SW_EINVAL;
	}
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
		if (!str_is_nocase(name, ours[i]))
			continue;
		buf_printf(advice,
		    "leave out %s: it is the gateway's own to write", ours[i]);
		return SW_EINVAL;
	}
	return SW_OK;
}
