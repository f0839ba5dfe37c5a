#ifndef SPILLWAY_PROXY_BASE_JSON_H
#define SPILLWAY_PROXY_BASE_JSON_H

#include <stdbool.h>

#include "proxy/base/buf.h"
#include "proxy/base/str.h"

/*
 * JSON (RFC 8259) as a gateway needs it: check a text, find the members of an
 * object, and write strings. Values stay the bytes they were: a payload leaves
 * exactly as it came, with its long numbers and its order of members, which a
 * parser that builds a tree would not promise.
 *
 * Everything but json_valid expects text that json_valid accepted.
 */
enum { JSON_DEPTH_MAX = 128 };

/* One value with blanks around it, in valid UTF-8, nested at most so deep? */
bool json_valid(struct str text);

enum json_type {
	JSON_NULL,
	JSON_BOOL,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT,
};

/* Of a value without blanks before it, as the iterators give. */
enum json_type json_type(struct str value);

/* Walks the members of an object or the elements of an array. */
struct json_iter {
	struct str rest;
};

/* False if the text is not an object (an array). */
bool json_object(struct json_iter *it, struct str text);
bool json_array(struct json_iter *it, struct str text);

/*
 * `key` is the raw string, in its quotes. False at the end. Of a text that was
 * not accepted, too: false at the latest where it breaks off being JSON, or has
 * a value that is too deep. What came before need not be UTF-8 then.
 */
bool json_member(struct json_iter *it, struct str *key, struct str *value);
bool json_element(struct json_iter *it, struct str *value);

/* Is the raw string (in quotes) this text? Escapes in it are understood. */
bool json_is(struct str raw, const char *text);

/* Append what a raw string (in quotes) stands for. */
int json_unescape(struct buf *out, struct str raw);

/* Append `text` as a JSON string with its quotes; UTF-8 stays as it is. */
int json_put_string(struct buf *out, struct str text);
/* Is that the text as it is, between quotes? */
bool json_is_plain(struct str text);

#endif
