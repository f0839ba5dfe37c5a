/*
 * A request as the HTTP library has read it, and whether it can be understood
 * in one way only.
 */
#include "proxy/base/err.h"
#include "proxy/base/field.h"
#include "proxy/http/http_private.h"

static enum MHD_Result
take_header(void *ctx, enum MHD_ValueKind kind, const char *name,
    size_t name_len, const char *value, size_t value_len)
{
	struct request *r = ctx;

	(void)kind;
	if (r->header_count == REQUEST_HEADERS_MAX)
		return MHD_NO;
	r->headers[r->header_count++] = (struct header){
		.name = { name, name_len },
		.value = str_trim(
		    (struct str){ value == NULL ? "" : value, value_len }),
	};
	return MHD_YES;
}

/* RFC 9112 3.2.4: `*` is the gateway as such, which only OPTIONS asks of. */
static bool
is_asterisk(const struct request *r, struct str target)
{
	return r->method == METHOD_OPTIONS && str_is(target, "*");
}

/* RFC 9112 3.2.1: no controls, no blanks, nothing that is not ASCII. */
static bool
is_path(struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c <= 0x20 || c >= 0x7f || c == '"' || c == '<' ||
		    c == '>' || c == '\\' || c == '#')
			return false;
	}
	return s.len > 0 && s.p[0] == '/';
}

/* The place in a head at which its next piece has to begin; NULL: it did not */
static enum MHD_Result
follow_header(void *ctx, enum MHD_ValueKind kind, const char *name,
    size_t name_len, const char *value, size_t value_len)
{
	const char **at = ctx, *p = name + name_len + 1;

	(void)kind;
	while (p < value && (*p == ' ' || *p == '\t'))
		p++;
	*at = name == *at && value == p ? value + value_len + 2 : NULL;
	return *at == NULL ? MHD_NO : MHD_YES;
}

bool
http_head_seamless(struct MHD_Connection *connection, const char *method,
    const char *url, const char *version, size_t target_len)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
	    connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
	const char *at = method + strlen(method) + 1;

	if (info == NULL || url != at || version != at + target_len + 1)
		return false;
	at = version + strlen(version) + 2;
	MHD_get_connection_values_n(
	    connection, MHD_HEADER_KIND, follow_header, &at);
	return at != NULL && at + 2 == method + info->header_size;
}

/* NULL if it is sound. */
static const char *
find_fault(struct request *r)
{
	size_t lengths = request_header_count(r, "Content-Length");
	size_t codings = request_header_count(r, "Transfer-Encoding");
	struct str length = request_header(r, "Content-Length");

	for (size_t i = 0; i < r->header_count; i++) {
		if (!field_is_token(r->headers[i].name))
			return "A header's name is not a token.";
		if (!field_is_value(r->headers[i].value))
			return "A header's value has control characters.";
	}
	if (lengths > 1)
		return "There is more than one Content-Length.";
	if (lengths == 1 &&
	    str_to_u64(&r->content_length, length, INT64_MAX) != SW_OK)
		return "Content-Length is not a number.";
	r->has_length = lengths == 1;
	if (codings > 1 ||
	    (codings == 1 &&
		!str_is_nocase(
		    request_header(r, "Transfer-Encoding"), "chunked")))
		return "Only the transfer coding `chunked` is understood.";
	if (codings > 0 && lengths > 0)
		return "Content-Length and Transfer-Encoding exclude each "
		       "other.";
	if (codings > 0 && r->http_1_0)
		return "HTTP/1.0 has no transfer codings.";
	/* The library reads chunks leniently: nothing behind them counts. */
	if (codings > 0)
		r->keep_alive = false;
	r->chunked = codings > 0;
	if (request_header_count(r, "Host") > 1 ||
	    (!r->http_1_0 && request_header_count(r, "Host") == 0))
		return "There must be exactly one Host.";
	if (!host_valid(request_header(r, "Host")))
		return "Host is no host.";
	return NULL;
}

/*
 * RFC 9112 3.2.2: a target may name the scheme and the host as well, which has
 * to be the one that Host names. What is left of it is the path; where nothing
 * is, it is `whole`.
 */
static void
strip_origin(struct str *target, struct str host, struct str whole)
{
	size_t n = str_starts_nocase(*target, "http://") ? 7 :
	    str_starts_nocase(*target, "https://")       ? 8 :
							   0;

	if (n == 0 || target->len - n < host.len || host.len == 0 ||
	    strncasecmp(target->p + n, host.p, host.len) != 0)
		return;
	n += host.len;
	if (n == target->len)
		*target = whole;
	else if (target->p[n] == '/')
		*target = (struct str){ target->p + n, target->len - n };
}

const char *
http_read_request(struct request *r, struct MHD_Connection *connection,
    bool heads_in_place, const char *uri, const char *url, const char *method,
    const char *version)
{
	struct str target = str_of(uri);
	const union MHD_ConnectionInfo *info;
	const char *mark;

	*r = (struct request){
		.method = method_parse(str_of(method)),
		.method_text = str_of(method),
	};
	r->http_1_0 = strcmp(version, "HTTP/1.1") != 0;
	r->keep_alive = !r->http_1_0;
	if (MHD_get_connection_values_n(
		connection, MHD_HEADER_KIND, take_header, r) < 0 ||
	    r->header_count == REQUEST_HEADERS_MAX)
		return "There are too many headers.";
	info = MHD_get_connection_info(
	    connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
	r->head_size = info == NULL ? 0 : info->header_size;
	if (request_has_token(r, "Connection", "close"))
		r->keep_alive = false;
	if (strcmp(version, "HTTP/1.1") != 0 &&
	    strcmp(version, "HTTP/1.0") != 0)
		return "The version is not HTTP/1.1.";
	if (!field_is_token(str_of(method)))
		return "The method is not a token.";
	if (heads_in_place &&
	    !http_head_seamless(connection, method, url, version, target.len))
		return "The head's lines are not made as RFC 9112 says: each "
		       "ends with CR and LF, and none goes on in the next.";
	strip_origin(&target, request_header(r, "Host"),
	    r->method == METHOD_OPTIONS ? STR("*") : STR("/"));
	if (!is_path(target) && !is_asterisk(r, target))
		return "The request target is not a path, or its host is not "
		       "that of Host.";
	mark = memchr(target.p, '?', target.len);
	r->path = target;
	if (mark != NULL) {
		r->path.len = (size_t)(mark - target.p);
		r->query =
		    (struct str){ mark + 1, target.len - r->path.len - 1 };
	}
	return find_fault(r);
}
