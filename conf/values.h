#ifndef SPILLWAY_CONF_VALUES_H
#define SPILLWAY_CONF_VALUES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "proxy/base/buf.h"
#include "proxy/base/str.h"

/*
 * The values that stand in a configuration: text to value and back.
 *
 * What cannot be understood is SW_EINVAL, and what to write instead is appended
 * to `advice`, which a reader of the file sees behind the value. A number too
 * large to count is UINT64_MAX, so that whoever checks ranges says the range.
 */

/* yes, no, true, false, on, off. */
int value_flag(bool *out, struct str text, struct buf *advice);

/* The index of the text in a list that ends with NULL. */
int value_word(unsigned *out, struct str text, const char *const *words,
    struct buf *advice);

/* A whole number. */
int value_count(uint64_t *out, struct str text, struct buf *advice);

/* Bytes: 512, 64k, 16m, 10g; the units are powers of 1024. */
int value_bytes(uint64_t *out, struct str text, struct buf *advice);

/* Milliseconds: 250ms, 10s, 5m, 2h, 7d. Only 0 needs no unit. */
int value_msec(uint64_t *out, struct str text, struct buf *advice);

/* A name as cookies have it (RFC 6265): a token of RFC 9110. */
int value_name(struct str text, struct buf *advice);

/*
 * An origin as browsers write it (RFC 6454 6.1), such as
 * https://app.example.com or http://localhost:3000; or `*`.
 */
int value_origin(struct str text, struct buf *advice);

/* Where to listen. */
struct listen_address {
	struct sockaddr_storage addr;
	socklen_t len;
	bool any; /* no address given: all of IPv4 and IPv6; addr is [::] */
	bool loopback; /* only this machine reaches it */
};

/*
 * 127.0.0.1:8080, [::1]:8080, localhost:8080 (which is 127.0.0.1), :8080 for
 * any address, unix:/path. Names are not looked up; port 0 is any free one.
 */
int value_address(
    struct listen_address *out, struct str text, struct buf *advice);

/* Append what the value_ functions take, in the largest unit without rest. */
int value_put_bytes(struct buf *out, uint64_t value);
int value_put_msec(struct buf *out, uint64_t value);

/* Append the words of a list that ends with NULL: "a, b or c". */
int value_put_words(struct buf *out, const char *const *words);

#endif
