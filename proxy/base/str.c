#include "proxy/base/str.h"

#include "proxy/base/err.h"

struct str
str_trim(struct str s)
{
	while (s.len > 0 && (*s.p == ' ' || *s.p == '\t')) {
		s.p++;
		s.len--;
	}
	while (s.len > 0 && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t'))
		s.len--;
	return s;
}

bool
str_cut(struct str *rest, char sep, struct str *out)
{
	const char *end;

	if (rest->p == NULL)
		return false;
	end = rest->len == 0 ? NULL : memchr(rest->p, sep, rest->len);
	if (end == NULL) {
		*out = *rest;
		*rest = (struct str){ NULL, 0 };
		return true;
	}
	*out = (struct str){ rest->p, (size_t)(end - rest->p) };
	rest->len -= out->len + 1;
	rest->p = end + 1;
	return true;
}

bool
str_has_token(struct str list, const char *token)
{
	struct str item;

	while (str_cut(&list, ',', &item))
		if (str_is_nocase(str_trim(item), token))
			return true;
	return false;
}

int
str_to_u64(uint64_t *out, struct str s, uint64_t max)
{
	uint64_t value = 0;

	if (s.len == 0 || s.len > 20)
		return SW_EINVAL;
	for (size_t i = 0; i < s.len; i++) {
		uint64_t digit = (uint64_t)(s.p[i] - '0');

		if (s.p[i] < '0' || s.p[i] > '9' || digit > max ||
		    value > (max - digit) / 10)
			return SW_EINVAL;
		value = value * 10 + digit;
	}
	*out = value;
	return SW_OK;
}
