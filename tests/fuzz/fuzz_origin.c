/*
 * Headers of a page's request, each ended by CRLF, behind a fixed request line.
 *
 * Who is let in by its Origin is named by it: the answer repeats what the page
 * sent, byte for byte, and nothing of the client's becomes a header of its own.
 * A longer list lets in more, never less, and "*" trusts nobody's cookies.
 */
#include "proxy/auth/origin.h"

#include "tests/fuzz/heads.h"

static char *const listed[] = { (char *)"https://app.example",
	(char *)"http://localhost:3000", (char *)"*" };

static size_t
lines_of(struct str s)
{
	size_t n = 0;

	for (size_t i = 0; i + 1 < s.len; i++)
		n += s.p[i] == '\r' && s.p[i + 1] == '\n';
	return n;
}

/* The lines that it adds are ours; what is the client's is a value. */
static void
check_lines(enum origin o, const struct conf *conf, const struct request *r)
{
	struct str allowed = origin_allowed(o, r);
	struct buf out;

	buf_init(&out, SIZE_MAX / 2);
	origin_put(&out, o, conf, r);
	must(buf_error(&out) == SW_OK);
	must(lines_of(buf_str(&out)) ==
	    (size_t)origin_varies(o, conf) +
		(allowed.p == NULL         ? 0 :
			o == ORIGIN_LISTED ? 3 :
					     2));
	if (o == ORIGIN_LISTED)
		must(fuzz_same(allowed, request_header(r, "Origin")) &&
		    !str_is(allowed, "*"));
	else
		must(allowed.p == NULL || str_is(allowed, "*"));
	buf_fini(&out);
}

static enum origin
judge(size_t count, const struct request *r)
{
	struct conf conf = {
		.allow_origin = (char **)(uintptr_t)listed,
		.allow_origin_count = count,
	};
	enum origin o = origin_judge(&conf, r);

	must(o != ORIGIN_UNASKED);
	must(o != ORIGIN_LISTED || count > 0);
	must(o != ORIGIN_ANY || count == 3);
	must(o == ORIGIN_FOREIGN || o == ORIGIN_NONE ||
	    request_header_count(r, "Origin") == 1);
	check_lines(o, &conf, r);
	return o;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct request r;
	struct buf text;
	enum origin none, some, all;

	buf_init(&text, SIZE_MAX / 2);
	if (fuzz_head(&r, &text, "GET /stream/a HTTP/1.1\r\n", data, size)) {
		none = judge(0, &r);
		some = judge(2, &r);
		all = judge(3, &r);
		if (none != ORIGIN_FOREIGN)
			must(some == none && all == none);
		if (some != ORIGIN_FOREIGN)
			must(all == some);
		must(none != ORIGIN_NONE ||
		    request_header_count(&r, "Origin") == 0);
	}
	buf_fini(&text);
	return 0;
}
