#include "proxy/stream/close.h"

#include "proxy/base/err.h"

static const struct close_info table[CLOSE_COUNT] = {
	[CLOSE_DONE] = { "done", "", 0, 0 },
	[CLOSE_PEER] = { "peer", "", 0, 0 },
	[CLOSE_CLIENT] = { "client", "", 1000, 0 },
	[CLOSE_IO] = { "io", "", 0, 0 },
	[CLOSE_STALLED] = { "stalled", "nothing was read for too long", 4408,
	    0 },
	[CLOSE_SILENT] = { "silent", "no answer to pings", 4408, 0 },
	[CLOSE_PROTOCOL] = { "protocol", "RFC 6455 was broken", 1002, 0 },
	[CLOSE_DATA] = { "data", "this kind of message is not taken", 1003, 0 },
	[CLOSE_UTF8] = { "utf-8", "text is not valid UTF-8", 1007, 0 },
	[CLOSE_TOO_LARGE] = { "too-large", "a message is above message-max",
	    1009, 0 },
	[CLOSE_POLICY] = { "policy", "this message is not allowed", 1008, 0 },
	[CLOSE_DELETED] = { "deleted", "the channel was deleted", 4410, 410 },
	[CLOSE_UNAUTHORIZED] = { "unauthorized", "a valid token is needed",
	    4401, 401 },
	[CLOSE_EXPIRED] = { "expired", "the token has expired", 4401, 401 },
	[CLOSE_FORBIDDEN] = { "forbidden", "the token does not allow this",
	    4403, 403 },
	[CLOSE_FLOOD] = { "flood",
	    "messages come faster than message-rate or message-byte-rate", 4429,
	    429 },
	[CLOSE_KICKED] = { "kicked", "disconnected by the operator", 4403,
	    403 },
	[CLOSE_RECONNECT] = { "reconnect", "please reconnect", 4000, 200 },
	[CLOSE_RESTART] = { "restart", "the gateway is restarting", 1012, 200 },
	[CLOSE_OVERLOAD] = { "overload", "overloaded, try again later", 1013,
	    503 },
	[CLOSE_STORE] = { "store", "history cannot be read", 1011, 503 },
	[CLOSE_BACKEND] = { "backend", "the backend failed", 1011, 502 },
};

const struct close_info *
close_info(enum close_why why)
{
	return &table[why];
}

enum close_why
close_for_error(int err)
{
	switch (err) {
	case SW_EUTF8:
		return CLOSE_UTF8;
	case SW_ELIMIT:
		return CLOSE_TOO_LARGE;
	case SW_ENOMEM:
	case SW_EBUSY:
		return CLOSE_OVERLOAD;
	case SW_EINVAL:
		return CLOSE_POLICY;
	case SW_EUNSUPPORTED:
		return CLOSE_DATA;
	case SW_EBACKEND:
	case SW_ETIMEOUT:
		return CLOSE_BACKEND;
	default:
		return CLOSE_PROTOCOL;
	}
}
