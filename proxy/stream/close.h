#ifndef SPILLWAY_PROXY_STREAM_CLOSE_H
#define SPILLWAY_PROXY_STREAM_CLOSE_H

/*
 * Why a subscriber ends: one table says it to the peer, to the log and to the
 * metrics.
 */
enum close_why {
	CLOSE_DONE,     /* a poll was answered */
	CLOSE_PEER,     /* the client went away */
	CLOSE_CLIENT,   /* a WebSocket client said goodbye */
	CLOSE_IO,       /* the socket failed */
	CLOSE_STALLED,  /* it took nothing for stall-timeout */
	CLOSE_SILENT,   /* no sign of life for 2.5 heartbeats */
	CLOSE_PROTOCOL, /* RFC 6455 was broken */
	CLOSE_DATA,     /* a kind of message that we do not take */
	CLOSE_UTF8,     /* text that is not UTF-8 */
	CLOSE_TOO_LARGE,
	CLOSE_POLICY,       /* a message that cannot be understood */
	CLOSE_DELETED,      /* its channel was deleted */
	CLOSE_UNAUTHORIZED, /* a token is needed, and none was valid */
	CLOSE_EXPIRED,      /* its token has expired */
	CLOSE_FORBIDDEN,    /* its token does not allow this */
	CLOSE_FLOOD,        /* messages come faster than message-rate */
	CLOSE_KICKED,       /* the operator ended it */
	CLOSE_RECONNECT,    /* the operator asks it to come back */
	CLOSE_RESTART,      /* we are shutting down */
	CLOSE_OVERLOAD,     /* memory ran out, or a queue is full */
	CLOSE_STORE,        /* history cannot be read */
	CLOSE_BACKEND,      /* a message did not reach the backend */
	CLOSE_COUNT,
};

struct close_info {
	const char *name;     /* in logs and metrics */
	const char *sentence; /* to the peer; empty: it needs none */
	int code;             /* of a WebSocket; 0: none is sent */
	int http_status;      /* of a poll; 0: it just ends */
};

const struct close_info *close_info(enum close_why why);

/* What a code of the WebSocket decoder ends with. */
enum close_why close_for_error(int err);

#endif
