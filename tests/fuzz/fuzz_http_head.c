/*
 * Heads of requests, as the strict parser reads them.
 *
 * Byte by byte it wants more until it knows, and what it knows it never takes
 * back; what follows a head changes nothing. Written down from what it found,
 * the head reads the same again, and says nothing that others could read in
 * another way.
 */
#include "tests/fuzz/heads.h"

static bool
same_request(const struct request *a, const struct request *b)
{
	if (a->method != b->method || !fuzz_same(a->path, b->path) ||
	    !fuzz_same(a->query, b->query) ||
	    (a->query.p == NULL) != (b->query.p == NULL) ||
	    a->keep_alive != b->keep_alive || a->has_length != b->has_length ||
	    a->content_length != b->content_length ||
	    a->header_count != b->header_count)
		return false;
	for (size_t i = 0; i < a->header_count; i++)
		if (!fuzz_same(a->headers[i].name, b->headers[i].name) ||
		    !fuzz_same(a->headers[i].value, b->headers[i].value))
			return false;
	return true;
}

static void
check_prefixes(struct str bytes, enum head_result whole, size_t head_size)
{
	/* All of a short input; what matters of a long one is its end. */
	size_t from = bytes.len > 1000 ? bytes.len - 1000 : 0;
	bool known = false;

	for (size_t n = from; n <= bytes.len; n++) {
		char *copy = fuzz_copy((struct str){ bytes.p, n });
		struct request r;
		enum head_result now = head_parse(&r, (struct str){ copy, n });

		must(known ? now == whole : now == HEAD_MORE || now == whole);
		known = known || now != HEAD_MORE;
		if (now == HEAD_OK)
			must(r.head_size == head_size && n >= head_size);
		free(copy);
	}
}

static void
check_again(const struct request *r)
{
	struct request again;
	struct buf text;

	buf_init(&text, SIZE_MAX / 2);
	fuzz_put_head(&text, r);
	must(head_parse(&again, buf_str(&text)) == HEAD_OK);
	must(again.head_size == buf_len(&text));
	must(same_request(r, &again));
	buf_fini(&text);
}

/* RFC 9112 section 6: one way to tell where the message ends. */
static void
check_framing(const struct request *r)
{
	must(!r->http_1_0);
	must(r->path.len > 0 && r->path.p[0] == '/');
	must(request_header_count(r, "Host") == 1);
	must(host_valid(request_header(r, "Host")));
	must(request_header_count(r, "Transfer-Encoding") == 0);
	must(request_header_count(r, "Content-Length") == r->has_length);
	must(r->has_length == (r->method == METHOD_POST));
	must(r->keep_alive != request_has_token(r, "Connection", "close"));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str bytes = { (const char *)data, size };
	struct request r;
	enum head_result result = head_parse(&r, bytes);

	check_prefixes(bytes, result, r.head_size);
	if (result == HEAD_OK) {
		must(r.head_size <= size);
		check_framing(&r);
		check_again(&r);
	}
	return 0;
}
