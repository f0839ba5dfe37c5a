#include "proxy/http/coding.h"

#include <stdlib.h>
#include <zlib.h>

#include "proxy/base/err.h"

/* A weight of nothing: "not that". */
static bool
is_refused(struct str parameters)
{
	struct str one;

	while (str_cut(&parameters, ';', &one)) {
		one = str_trim(one);
		if (!str_starts_nocase(one, "q="))
			continue;
		for (size_t i = 2; i < one.len; i++)
			if (one.p[i] != '0' && one.p[i] != '.')
				return false;
		return one.len > 2;
	}
	return false;
}

bool
coding_accepts_gzip(const struct request *r)
{
	struct str list = request_header(r, "Accept-Encoding");
	bool any = false;
	struct str item, name;

	while (str_cut(&list, ',', &item)) {
		str_cut(&item, ';', &name);
		name = str_trim(name);
		if (str_is_nocase(name, "gzip") ||
		    str_is_nocase(name, "x-gzip"))
			return !is_refused(item);
		if (str_is(name, "*"))
			any = !is_refused(item);
	}
	return any;
}

int
coding_gzip(uint8_t **out, size_t *len, struct str bytes)
{
	enum { GZIP = 15 + 16, MEMORY = 9 };
	z_stream z = {
		.next_in = (Bytef *)(uintptr_t)bytes.p,
		.avail_in = (uInt)bytes.len,
	};

	if (deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, GZIP, MEMORY,
		Z_DEFAULT_STRATEGY) != Z_OK)
		return SW_ENOMEM;
	*len = deflateBound(&z, bytes.len);
	*out = malloc(*len);
	if (*out == NULL) {
		deflateEnd(&z);
		return SW_ENOMEM;
	}
	z.next_out = *out;
	z.avail_out = (uInt)*len;
	/* There is room for all of it. */
	deflate(&z, Z_FINISH);
	*len = z.total_out;
	deflateEnd(&z);
	return SW_OK;
}
