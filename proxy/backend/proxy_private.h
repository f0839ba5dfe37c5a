#ifndef SPILLWAY_PROXY_BACKEND_PROXY_PRIVATE_H
#define SPILLWAY_PROXY_BACKEND_PROXY_PRIVATE_H

#include "proxy/backend/proxy_head.h"
#include "proxy/backend/upstream.h"
#include "proxy/base/buf.h"
#include "proxy/edge/conn.h"
#include "transports/http_chunks.h"

/* What proxy.c and proxy_body.c have in common. */

/* A request on its way through. */
struct passage {
	struct conn *conn;
	struct upstream_request *up; /* NULL: it is done */
	struct chunks chunks;
	uint64_t left; /* of a request's body with a length */
	bool chunked;  /* it comes in chunks */
	bool body_ended;
	bool wants_body;    /* more of it is waited for, */
	uint64_t since_ms;  /* from there on, */
	uint64_t waited_ms; /* and in all, before that */
	bool malformed;     /* it is not chunked as it has to be */
	bool gone;          /* the client went in the middle of it */
	bool leaves;        /* it hung up before its body was read */
	bool expects;       /* a word from us before it sends the body */
	bool keep_alive;
	bool http_1_0;
	bool is_head;
	bool held;              /* the client is slow, data waits for it */
	size_t untaken;         /* of what was sent before that */
	struct headway headway; /* the client's, with what it was sent */
	bool has_head;
	char *upgrade; /* the protocol to switch to, or NULL */
	bool tunnel;   /* that has happened */
	bool provided; /* there are descriptors for it */
	enum framing framing;
	struct buf head; /* of the response, until its first data is there */
	int status;
	uint64_t began_ms, received, sent;
	char *method, *target; /* for the log; NULL: none is kept */
	size_t route; /* the index of what its path takes, if that is: */
	int chosen;   /* SW_OK */
};

/*
 * Its bodies, as a struct upstream_flow has them; the owner is the passage. The
 * head of the response goes with its first data.
 */
ssize_t body_upload(void *owner, void *out, size_t n);
int body_download(void *owner, const void *data, size_t n);
void body_settle(void *owner);
bool body_moves(void *owner);

/* What of the head has not gone with data; as conn_send. */
int body_send_head(struct passage *p);
/* The end of the response's, where it has to be said; likewise. */
int body_send_end(struct passage *p);

/* Nothing can be sent to the client: it is gone, or there is no memory. */
void passage_lose_client(struct passage *p, int err);

#endif
