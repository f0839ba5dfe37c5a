#include "proxy/http/response.h"

#include "proxy/base/json.h"

const char *
status_reason(int status)
{
	static const struct {
		int status;
		const char *reason;
	} reasons[] = {
		{ 101, "Switching Protocols" },
		{ 200, "OK" },
		{ 201, "Created" },
		{ 202, "Accepted" },
		{ 203, "Non-Authoritative Information" },
		{ 204, "No Content" },
		{ 205, "Reset Content" },
		{ 206, "Partial Content" },
		{ 207, "Multi-Status" },
		{ 208, "Already Reported" },
		{ 226, "IM Used" },
		{ 300, "Multiple Choices" },
		{ 301, "Moved Permanently" },
		{ 302, "Found" },
		{ 303, "See Other" },
		{ 304, "Not Modified" },
		{ 305, "Use Proxy" },
		{ 307, "Temporary Redirect" },
		{ 308, "Permanent Redirect" },
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" },
		{ 402, "Payment Required" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 406, "Not Acceptable" },
		{ 407, "Proxy Authentication Required" },
		{ 408, "Request Timeout" },
		{ 409, "Conflict" },
		{ 410, "Gone" },
		{ 411, "Length Required" },
		{ 412, "Precondition Failed" },
		{ 413, "Content Too Large" },
		{ 414, "URI Too Long" },
		{ 415, "Unsupported Media Type" },
		{ 416, "Range Not Satisfiable" },
		{ 417, "Expectation Failed" },
		{ 421, "Misdirected Request" },
		{ 422, "Unprocessable Content" },
		{ 423, "Locked" },
		{ 424, "Failed Dependency" },
		{ 425, "Too Early" },
		{ 426, "Upgrade Required" },
		{ 428, "Precondition Required" },
		{ 429, "Too Many Requests" },
		{ 431, "Request Header Fields Too Large" },
		{ 451, "Unavailable For Legal Reasons" },
		{ 500, "Internal Server Error" },
		{ 501, "Not Implemented" },
		{ 502, "Bad Gateway" },
		{ 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" },
		{ 505, "HTTP Version Not Supported" },
		{ 506, "Variant Also Negotiates" },
		{ 507, "Insufficient Storage" },
		{ 508, "Loop Detected" },
		{ 510, "Not Extended" },
		{ 511, "Network Authentication Required" },
	};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Unknown";
}

unsigned
retry_after(int status)
{
	return status == 429 || status == 503 ? 1 : 0;
}

void
response_begin(struct buf *out, struct worker *w, int status, bool keep_alive)
{
	buf_puts(out, "HTTP/1.1 ");
	buf_put_u64(out, (uint64_t)status);
	buf_put(out, " ", 1);
	buf_puts(out, status_reason(status));
	buf_puts(out, "\r\nDate: ");
	buf_puts(out, worker_date(w));
	if (!keep_alive)
		buf_puts(out, "\r\nConnection: close");
	buf_puts(out, "\r\n");
}

void
problem_put(struct buf *out, int status, const char *detail)
{
	buf_puts(out, "{\"type\":\"about:blank\",\"title\":\"");
	buf_puts(out, status_reason(status));
	buf_puts(out, "\",\"status\":");
	buf_put_u64(out, (uint64_t)status);
	buf_puts(out, ",\"detail\":");
	json_put_string(out, str_of(detail));
	buf_puts(out, "}\n");
}

void
response_put_problem(struct buf *out, struct worker *w, int status,
    const char *detail, bool keep_alive)
{
	response_put_refusal(out, w, status, detail, keep_alive, STR(""));
}

void
response_put_refusal(struct buf *out, struct worker *w, int status,
    const char *detail, bool keep_alive, struct str headers)
{
	struct buf body;

	buf_init(&body, 1 << 16);
	problem_put(&body, status, detail);
	response_begin(out, w, status, keep_alive);
	buf_puts(out,
	    "Content-Type: application/problem+json\r\n"
	    "Cache-Control: no-store\r\n");
	if (retry_after(status) > 0)
		buf_printf(out, "Retry-After: %u\r\n", retry_after(status));
	if (status == 426)
		buf_puts(out,
		    "Upgrade: websocket\r\n"
		    "Connection: Upgrade\r\n"
		    "Sec-WebSocket-Version: 13\r\n");
	buf_put_str(out, headers);
	buf_printf(out, "Content-Length: %zu\r\n\r\n", buf_len(&body));
	buf_put_str(out, buf_str(&body));
	if (buf_error(&body) != SW_OK)
		out->error = buf_error(&body);
	buf_fini(&body);
}

void
response_keep_head(struct buf *out)
{
	static const char end[] = "\r\n\r\n";
	uint8_t *at;

	if (buf_error(out) != SW_OK)
		return;
	at = memmem(buf_head(out), buf_len(out), end, sizeof(end) - 1);
	if (at != NULL)
		out->tail = (size_t)(at - out->bytes) + sizeof(end) - 1;
}
