#include "proxy/base/pattern.h"

#include <string.h>

#include "proxy/base/channel.h"

bool
pattern_valid(struct str pattern)
{
	if (pattern.len == 0 || pattern.len > PATTERN_MAX)
		return false;
	for (size_t i = 0; i < pattern.len; i++)
		if (pattern.p[i] != '*' &&
		    !channel_name_valid((struct str){ pattern.p + i, 1 }))
			return false;
	return true;
}

/*
 * What stands between stars is looked for from left to right, each part as
 * early as can be: any place that fits leaves no more to the parts behind it.
 * The text behind the last star stands at the end, so that most names that do
 * not match are told by their ends.
 */
bool
pattern_matches(const char *pattern, struct str name)
{
	const char *first = strchr(pattern, '*'), *last, *next;
	size_t head, tail;

	if (first == NULL)
		return str_is(name, pattern);
	last = strrchr(pattern, '*');
	head = (size_t)(first - pattern);
	tail = strlen(last + 1);
	if (name.len < head + tail || memcmp(name.p, pattern, head) != 0 ||
	    memcmp(name.p + name.len - tail, last + 1, tail) != 0)
		return false;
	name = (struct str){ name.p + head, name.len - head - tail };
	for (; first < last; first = next) {
		size_t len;
		const char *found;

		next = strchr(first + 1, '*');
		len = (size_t)(next - first) - 1;
		found = memmem(name.p, name.len, first + 1, len);
		if (found == NULL)
			return false;
		name.len -= (size_t)(found - name.p) + len;
		name.p = found + len;
	}
	return true;
}
