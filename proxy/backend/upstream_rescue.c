/*
 * An answer that came before the request was sent: a backend that refuses a
 * body may close its connection without having read it, which its kernel makes
 * a reset. libcurl then fails to send, and closes the socket with the answer
 * still in it; that is read here, on the way, and then told as if libcurl had
 * read it. What was encrypted cannot be.
 */
#include <sys/socket.h>

#include "proxy/backend/upstream_private.h"
#include "proxy/base/err.h"
#include "transports/http_chunks.h"

/* More of a body than that is broken off. */
enum { BODY_MAX = 64 << 10 };

void
rescue_read(struct upstream_request *r, int fd)
{
	ssize_t n = 1;

	if (r->flow.body == NULL || r->flow.ask.upgrade || r->has_head ||
	    r->in_head || r->judged || r->cancelled ||
	    str_starts(str_of(r->origin->url), "https:"))
		return;
	buf_fini(&r->rescued);
	buf_init(&r->rescued,
	    (size_t)r->upstream->route->backend_header_max + BODY_MAX);
	while (n > 0 && buf_reserve(&r->rescued, 4096) == SW_OK) {
		n = recv(fd, buf_tail(&r->rescued), 4096, MSG_DONTWAIT);
		if (n > 0)
			buf_commit(&r->rescued, (size_t)n);
	}
}

/* Line by line, interim responses included. */
static bool
replay_head(struct upstream_request *r)
{
	while (!r->has_head) {
		const char *line = (const char *)buf_head(&r->rescued);
		const char *end = memchr(line, '\n', buf_len(&r->rescued));
		size_t n = end == NULL ? 0 : (size_t)(end + 1 - line);

		if (n == 0 || !transfer_header(r, (struct str){ line, n }))
			return false;
		buf_drop(&r->rescued, n);
	}
	return true;
}

/* In place; false if it is not all there. */
static bool
unchunk(uint8_t *bytes, size_t *n)
{
	struct chunks chunks = { .state = CHUNKS_SIZE };
	size_t at = 0, total = 0, used, data;

	while (at < *n && chunks.state != CHUNKS_END) {
		if (chunks_read(&chunks, bytes + at, *n - at, *n, &used,
			&data) != SW_OK)
			break;
		memmove(bytes + total, bytes + at + used - data, data);
		total += data;
		at += used;
	}
	*n = total;
	return chunks.state == CHUNKS_END;
}

/* True if it is whole: one that ends with its connection never is for sure. */
static bool
replay_body(struct upstream_request *r)
{
	struct upstream_head h = { .headers = r->parsed,
		.header_count = r->header_count };
	struct str length = upstream_header(&h, "Content-Length");
	uint8_t *bytes = buf_head(&r->rescued);
	size_t n = buf_len(&r->rescued);
	uint64_t whole;
	bool complete = false;

	if (r->status == 204 || r->status == 304)
		return true;
	if (upstream_header(&h, "Transfer-Encoding").p != NULL) {
		complete = unchunk(bytes, &n);
	} else if (str_to_u64(&whole, length, INT64_MAX) == SW_OK) {
		complete = n >= whole;
		n = complete ? (size_t)whole : n;
	}
	return (n == 0 || transfer_data(r, bytes, n)) && complete;
}

CURLcode
rescue_replay(struct upstream_request *r)
{
	if (!replay_head(r))
		return CURLE_SEND_ERROR;
	return !r->cancelled && replay_body(r) ? CURLE_OK : CURLE_PARTIAL_FILE;
}
