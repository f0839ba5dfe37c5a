#ifndef SPILLWAY_PROXY_BASE_ERR_H
#define SPILLWAY_PROXY_BASE_ERR_H

/*
 * Error codes. Functions that can fail return SW_OK or one of the negative
 * codes; one table says everything that a code means, so that no caller
 * invents its own sentence, status or close code.
 */
enum {
	SW_OK = 0,
	SW_ENOMEM = -1,        /* memory ran out */
	SW_EAGAIN = -2,        /* not now: more input, or a full socket */
	SW_EIO = -3,           /* the system refused an operation */
	SW_ELIMIT = -4,        /* larger than a configured limit */
	SW_EPROTO = -5,        /* the peer broke its protocol */
	SW_EUTF8 = -6,         /* text that is not UTF-8 */
	SW_EINVAL = -7,        /* a value that cannot be understood */
	SW_ENOENT = -8,        /* no such thing */
	SW_EBUSY = -9,         /* a bounded queue is full */
	SW_ESTORE = -10,       /* the store does not accept events */
	SW_EFORBIDDEN = -11,   /* understood, and refused */
	SW_ECLOSED = -12,      /* the peer, or we, are gone */
	SW_ECORRUPT = -13,     /* the store is damaged, or not a store */
	SW_ELOCKED = -14,      /* another process uses the store */
	SW_EMETHOD = -15,      /* the resource has no such method */
	SW_EUNSUPPORTED = -16, /* understood, and not something we do */
	SW_EAUTH = -17,        /* no token, or none that is valid */
	SW_EBACKEND = -18,     /* the backend failed */
	SW_ETIMEOUT = -19,     /* the backend took too long */
};

/* What a code means; see the table in err.c. */
struct err_info {
	const char *name;     /* a word for logs and problem types */
	const char *sentence; /* for people; no full stop */
	int http_status;
	int ws_close; /* RFC 6455 7.4.1, or one of ours */
};

/* The row of a code; an unknown code has the row of SW_EIO. */
const struct err_info *err_info(int code);

#endif
