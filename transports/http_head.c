#include "transports/http_head.h"

#include "proxy/base/err.h"
#include "proxy/base/vector.h"

/*
 * What a byte may be part of: RFC 9110 5.6.2 tokens, 5.5 values, targets; and
 * targets as browsers send them, who leave some of what RFC 3986 escapes as it
 * is (https://url.spec.whatwg.org/#percent-encoded-bytes).
 */
enum { TOKEN = 1, VALUE = 2, TARGET = 4, BROWSER = 8 };

#define T (TOKEN | VALUE | TARGET | BROWSER)
#define V (VALUE)
#define G (VALUE | TARGET | BROWSER)
#define K (TOKEN | VALUE)
#define B (VALUE | BROWSER)
#define M (TOKEN | VALUE | BROWSER)

/* clang-format off */
static const uint8_t classes[256] = {
	['\t'] = V, [' '] = V,
	['!'] = T, ['"'] = V, ['#'] = K, ['$'] = T, ['%'] = T, ['&'] = T,
	['\''] = T, ['('] = G, [')'] = G, ['*'] = T, ['+'] = T, [','] = G,
	['-'] = T, ['.'] = T, ['/'] = G,
	['0' ... '9'] = T,
	[':'] = G, [';'] = G, ['<'] = V, ['='] = G, ['>'] = V, ['?'] = G,
	['@'] = G,
	['A' ... 'Z'] = T,
	['['] = B, ['\\'] = V, [']'] = B, ['^'] = M, ['_'] = T, ['`'] = M,
	['a' ... 'z'] = T,
	['{'] = B, ['|'] = M, ['}'] = B, ['~'] = T,
	/* Opaque to us: Latin-1 or UTF-8 in a value. */
	[0x80 ... 0xff] = V,
};
/* clang-format on */

/* No method that is registered is longer than UPDATEREDIRECTREF. */
enum { METHOD_MAX = 17 };

/* Where the reader stands in what has come so far. */
struct reader {
	const char *p;
	const char *end;
	bool any; /* method, framing and expectation that HTTP/1.1 has */
};

/* The run of bytes of a class; false at the end of what has come. */
static bool
take_run(struct reader *r, uint8_t class, struct str *out)
{
	const char *start = r->p;

	while (r->p < r->end && (classes[(uint8_t)*r->p] & class) != 0)
		r->p++;
	*out = (struct str){ start, (size_t)(r->p - start) };
	return r->p < r->end;
}

/* The same of a header's value, which may be a long cookie. */
static bool
take_value(struct reader *r, struct str *out)
{
	const char *start = r->p;
	vector v;
	bool ended;

	for (; r->end - r->p >= (ptrdiff_t)sizeof(v); r->p += sizeof(v)) {
		v = vector_load(r->p);
		/* A tab is none of them, and goes slowly. */
		if (!vector_is_zero((vector)((v < 0x20) | (v == 0x7f))))
			break;
	}
	ended = take_run(r, VALUE, out);
	*out = (struct str){ start, (size_t)(r->p - start) };
	return ended;
}

/* Exactly these bytes, as far as they have come. */
static enum head_result
take_text(struct reader *r, const char *text)
{
	size_t len = strlen(text), have = (size_t)(r->end - r->p);
	size_t n = len < have ? len : have;

	if (memcmp(r->p, text, n) != 0)
		return HEAD_OTHER;
	if (n < len)
		return HEAD_MORE;
	r->p += len;
	return HEAD_OK;
}

/* GET /path?query HTTP/1.1 */
static enum head_result
take_request_line(struct reader *r, struct request *out)
{
	struct str method, target;
	const char *mark;

	if (!take_run(r, TOKEN, &method))
		return method.len > (r->any ? METHOD_MAX : 8) ? HEAD_OTHER :
								HEAD_MORE;
	out->method = method_parse(method);
	out->method_text = method;
	if (method.len == 0 || method.len > METHOD_MAX || *r->p++ != ' ')
		return HEAD_OTHER;
	if (!r->any && out->method != METHOD_GET && out->method != METHOD_POST)
		return HEAD_OTHER;
	if (!take_run(r, r->any ? BROWSER : TARGET, &target))
		return target.len > 0 && target.p[0] != '/' ? HEAD_OTHER :
							      HEAD_MORE;
	if (target.len == 0 || target.p[0] != '/')
		return HEAD_OTHER; /* absolute-form and the like */
	mark = memchr(target.p, '?', target.len);
	out->path = target;
	out->query = (struct str){ NULL, 0 };
	if (mark != NULL) {
		out->path.len = (size_t)(mark - target.p);
		out->query =
		    (struct str){ mark + 1, target.len - out->path.len - 1 };
	}
	return take_text(r, " HTTP/1.1\r\n");
}

/* Name: value, without the blanks around the value. */
static enum head_result
take_header(struct reader *r, struct request *out)
{
	struct header *h;

	if (out->header_count == REQUEST_HEADERS_MAX)
		return HEAD_OTHER;
	h = &out->headers[out->header_count];
	if (!take_run(r, TOKEN, &h->name))
		return HEAD_MORE;
	/* RFC 9112 5.1: no blank before the colon. */
	if (h->name.len == 0 || *r->p++ != ':')
		return HEAD_OTHER;
	if (!take_value(r, &h->value))
		return HEAD_MORE;
	h->value = str_trim(h->value);
	out->header_count++;
	return take_text(r, "\r\n");
}

/* RFC 9112 6.1: the one coding that there is, and not beside a length. */
static enum head_result
take_coding(struct request *out, struct str value)
{
	if (out->chunked || !str_is_nocase(value, "chunked"))
		return HEAD_OTHER;
	out->chunked = true;
	return HEAD_OK;
}

/* Headers that say how the message is framed, or want more than we do. */
static enum head_result
understand(struct request *out, bool any)
{
	size_t hosts = 0;

	for (size_t i = 0; i < out->header_count; i++) {
		const struct header *h = &out->headers[i];

		switch (h->name.p[0] | 0x20) {
		case 'c':
			if (str_is_nocase(h->name, "Content-Length")) {
				if (out->has_length ||
				    str_to_u64(&out->content_length, h->value,
					INT64_MAX) != SW_OK)
					return HEAD_OTHER;
				out->has_length = true;
			} else if (str_is_nocase(h->name, "Connection")) {
				if (str_has_token(h->value, "close"))
					out->keep_alive = false;
			}
			break;
		case 'h':
			if (!str_is_nocase(h->name, "Host"))
				break;
			if (!host_valid(h->value))
				return HEAD_OTHER;
			hosts++;
			break;
		case 'e':
			if (str_is_nocase(h->name, "Expect") &&
			    (!any || !str_is_nocase(h->value, "100-continue")))
				return HEAD_OTHER;
			break;
		case 't':
			if (!any &&
			    (str_is_nocase(h->name, "Transfer-Encoding") ||
				str_is_nocase(h->name, "Trailer")))
				return HEAD_OTHER;
			if (str_is_nocase(h->name, "Transfer-Encoding") &&
			    take_coding(out, h->value) != HEAD_OK)
				return HEAD_OTHER;
			break;
		default:
			break;
		}
	}
	/* RFC 9112 3.2: exactly one Host. */
	if (hosts != 1)
		return HEAD_OTHER;
	if (any)
		return out->chunked && out->has_length ? HEAD_OTHER : HEAD_OK;
	/* A GET with a body is odd, a POST without a length is not framed. */
	return (out->method == METHOD_POST) == out->has_length ? HEAD_OK :
								 HEAD_OTHER;
}

static enum head_result
parse(struct request *out, struct str bytes, bool any)
{
	struct reader r = { bytes.p, bytes.p + bytes.len, any };
	enum head_result result;

	out->head_size = 0;
	out->header_count = 0;
	out->http_1_0 = false;
	out->keep_alive = true;
	out->overread = false;
	out->chunked = false;
	out->has_length = false;
	out->content_length = 0;
	result = take_request_line(&r, out);
	while (result == HEAD_OK) {
		if (r.p == r.end)
			return HEAD_MORE;
		if (*r.p == '\r') {
			if ((result = take_text(&r, "\r\n")) != HEAD_OK)
				return result;
			out->head_size = (size_t)(r.p - bytes.p);
			return understand(out, any);
		}
		result = take_header(&r, out);
	}
	return result;
}

enum head_result
head_parse(struct request *out, struct str bytes)
{
	return parse(out, bytes, false);
}

enum head_result
head_parse_any(struct request *out, struct str bytes)
{
	return parse(out, bytes, true);
}
