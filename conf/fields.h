#ifndef SPILLWAY_CONF_FIELDS_H
#define SPILLWAY_CONF_FIELDS_H

#include "conf/directives.h"
#include "proxy/base/buf.h"
#include "proxy/base/str.h"

/*
 * The field that a directive sets: in `base`, which is a struct policy for a
 * directive of channels, a struct route for one of routes, and a struct conf
 * for all others.
 */

/*
 * Set the field, or add to the list that it is. SW_EINVAL when the text is
 * refused: then the field is as it was, and what to write instead is appended
 * to `advice`. SW_ENOMEM.
 */
int field_set(
    const struct directive *d, void *base, struct str text, struct buf *advice);

/* Free what the field owns, and leave it empty. */
void field_clear(const struct directive *d, void *base);

/* Copy the field from one base to another, in place of what is there. */
int field_copy(const struct directive *d, void *to, const void *from);

bool field_same(const struct directive *d, const void *a, const void *b);

/* Append the field as a file would say it. */
int field_put(const struct directive *d, const void *base, struct buf *out);

/* The value of a field that is a number, a word's index, or a flag. */
uint64_t field_number(const struct directive *d, const void *base);

/* Append such a value as a file would say it. */
int field_put_number(
    const struct directive *d, uint64_t value, struct buf *out);

/* Append what the directive accepts: "1s to 1h", "yes or no". */
int field_put_range(const struct directive *d, struct buf *out);

/* Append `text` in double quotes, as the syntax of the file wants it. */
int field_put_quoted(struct buf *out, const char *text);

#endif
