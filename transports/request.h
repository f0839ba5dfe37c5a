#ifndef SPILLWAY_TRANSPORTS_REQUEST_H
#define SPILLWAY_TRANSPORTS_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/str.h"

/*
 * A read-only view of the head of an HTTP request (RFC 9110, 9112), the same
 * whoever parsed it. All text is borrowed from the parser and lasts as long as
 * the call that the request is passed to.
 */
enum method {
	METHOD_GET,
	METHOD_HEAD,
	METHOD_POST,
	METHOD_PUT,
	METHOD_DELETE,
	METHOD_OPTIONS,
	METHOD_OTHER,
};

struct header {
	struct str name;
	struct str value; /* without the blanks around it */
};

enum { REQUEST_HEADERS_MAX = 100 };

struct request {
	enum method method;
	struct str method_text;
	struct str path;  /* still percent-encoded; or "*", of OPTIONS */
	struct str query; /* without the `?`; p is NULL if there is none */
	bool http_1_0;
	bool keep_alive; /* the client would send another one */
	bool overread;   /* bytes behind it were read, and are lost */
	bool chunked;    /* the body comes in chunks */
	bool has_length; /* Content-Length is there: */
	uint64_t content_length;
	size_t head_size; /* bytes on the wire; 0 if not known */
	size_t header_count;
	struct header headers[REQUEST_HEADERS_MAX];
};

/* The first header of that name, without regard to case; p is NULL if none. */
struct str request_header(const struct request *r, const char *name);

/* How often a header appears. */
size_t request_header_count(const struct request *r, const char *name);

/* Is the token in any of the comma-separated lists of that header? */
bool request_has_token(
    const struct request *r, const char *name, const char *token);

/*
 * The raw value of a query parameter; "" for one without `=`. False if it is
 * not there.
 */
bool request_param(const struct request *r, const char *name, struct str *out);

/*
 * Append what percent-encoded text stands for; `plus` reads `+` as a blank, as
 * in a query. SW_EINVAL for a malformed escape or an encoded NUL.
 */
int percent_decode(struct buf *out, struct str text, bool plus);

/*
 * The text without its percent-escapes: in `room`, if it has any. False if one
 * is malformed, or if there is no room for it.
 */
bool percent_plain(struct str *text, char *room, size_t size);

enum method method_parse(struct str text);

/* May a Host header say this (RFC 9112 3.2)? Nothing is fine. */
bool host_valid(struct str host);

#endif
