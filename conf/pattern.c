#include "conf/pattern.h"

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
 * Each star takes as little as it can. When the rest does not fit, the last
 * star takes one more; those before it need not, as any text between them
 * that fits will do.
 */
bool
pattern_matches(const char *pattern, struct str name)
{
	const char *star = NULL;
	size_t i = 0, taken = 0;

	while (i < name.len) {
		if (*pattern == '*') {
			star = pattern++;
			taken = i;
		} else if (*pattern == name.p[i]) {
			pattern++;
			i++;
		} else if (star != NULL) {
			pattern = star + 1;
			i = ++taken;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}
