#ifndef SPILLWAY_PROXY_HTTP_HTTP_PRIVATE_H
#define SPILLWAY_PROXY_HTTP_HTTP_PRIVATE_H

#include <microhttpd.h>
#include <stdarg.h>

#include "proxy/http/http.h"
#include "proxy/worker.h"

/* What the files behind the door to libmicrohttpd share. */

struct http {
	struct worker *worker;
	struct MHD_Daemon *daemon;
	struct io io;          /* its epoll descriptor, in our loop */
	struct lent *adopting; /* while MHD_add_connection runs */
	struct list suspended; /* requests that wait for their answers */
	bool stopping;
	size_t connections;
	bool ready; /* something happened: let it work */
	/* As the self-test found it: */
	bool relay_all; /* it does not let go of sockets */
	bool heads_in_place;
};

/* A connection as the library has it; outlives ours, or the other way round. */
struct lent {
	struct conn *conn;       /* NULL: closed on our side */
	uint64_t consumed;       /* bytes of what was dealt with before */
	bool relayed;            /* it has one end of a pair */
	struct pending *pending; /* the request it is busy with, or NULL */
	bool answering;          /* what is left is for the client to read */
	bool served;             /* a request was answered on it */
	uint64_t acked;          /* of the answer, when we looked */
};

/* One request in the library's hands. */
struct pending {
	struct exchange x;
	struct MHD_Connection *connection; /* NULL: gone */
	struct lent *lent;
	char *uri;        /* as it came, before the library unescapes it */
	struct list node; /* of the suspended */
	struct buf body;
	bool begun;  /* the head was seen */
	bool failed; /* to keep the body */
	bool answered;
	bool proxied; /* it is for the backend */
	bool waits;   /* the handler answers later */
};

/* Callbacks of the library. */
void *http_on_uri(void *ctx, const char *uri, struct MHD_Connection *c);
enum MHD_Result http_on_request(void *ctx, struct MHD_Connection *connection,
    const char *url, const char *method, const char *version, const char *data,
    size_t *size, void **request_ctx);
void http_on_completed(void *ctx, struct MHD_Connection *connection,
    void **request_ctx, enum MHD_RequestTerminationCode why);
void http_log(void *ctx, const char *format, va_list args);

/*
 * Does every piece of the head begin right where the one before it ends? The
 * library reads a head where it lies, and leaves NULs for the bytes between two
 * pieces. Where there are more or fewer of them stood what it is generous with:
 * a line that ends with a lone LF, a folded one, a NUL, a blank too many. Only
 * if `heads_in_place`.
 */
bool http_head_seamless(struct MHD_Connection *connection, const char *method,
    const char *url, const char *version, size_t target_len);

/*
 * Fill the request, whose texts are the library's; the library's parser lets
 * pass what could be understood in two ways, and here everything is judged
 * once, before anything is routed. NULL, or what is wrong with it, in a
 * sentence.
 */
const char *http_read_request(struct request *r,
    struct MHD_Connection *connection, bool heads_in_place, const char *uri,
    const char *url, const char *method, const char *version);

/* From now on a client that reads nothing for stall-timeout has to go. */
void http_answer_begins(struct lent *l);

/* Let every request that waits for its answer go: the daemon stops. */
void http_resume_all(struct http *h);

/* All bytes that were ever taken off the socket; 0: not known. */
uint64_t http_bytes_taken(int fd);

#endif
