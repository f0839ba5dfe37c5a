#include "proxy/base/err.h"

#include <stddef.h>

static const struct err_info table[] = {
	[-SW_OK] = { "ok", "success", 200, 1000 },
	[-SW_ENOMEM] = { "no-memory", "memory ran out", 503, 1013 },
	[-SW_EAGAIN] = { "again", "not complete yet", 503, 1013 },
	[-SW_EIO] = { "io", "an operation of the system failed", 500, 1011 },
	[-SW_ELIMIT] = { "too-large", "larger than the configured limit", 413,
	    1009 },
	[-SW_EPROTO] = { "protocol", "the protocol was broken", 400, 1002 },
	[-SW_EUTF8] = { "utf-8", "text is not valid UTF-8", 400, 1007 },
	[-SW_EINVAL] = { "invalid", "a value cannot be understood", 400, 1008 },
	[-SW_ENOENT] = { "not-found", "there is no such resource", 404, 4404 },
	[-SW_EBUSY] = { "overloaded", "a queue is full; try again", 503, 1013 },
	[-SW_ESTORE] = { "store", "the store does not accept events", 503,
	    1013 },
	[-SW_EFORBIDDEN] = { "forbidden", "this is not allowed", 403, 4403 },
	[-SW_ECLOSED] = { "closed", "the connection is closed", 410, 1001 },
	[-SW_ECORRUPT] = { "corrupt", "the store is damaged", 503, 1011 },
	[-SW_ELOCKED] = { "locked", "another process uses the store", 503,
	    1011 },
	[-SW_EMETHOD] = { "method", "the resource has no such method", 405,
	    1008 },
	[-SW_EUNSUPPORTED] = { "unsupported", "this is not supported", 501,
	    1003 },
	[-SW_EAUTH] = { "unauthorized", "a valid token is needed", 401, 4401 },
	[-SW_EBACKEND] = { "backend", "the backend failed", 502, 1011 },
	[-SW_ETIMEOUT] = { "timeout", "the backend took too long", 504, 1013 },
};

const struct err_info *
err_info(int code)
{
	size_t i = code <= 0 ? (size_t)-code : (size_t)-SW_EIO;

	if (i >= sizeof(table) / sizeof(table[0]))
		i = (size_t)-SW_EIO;
	return &table[i];
}
