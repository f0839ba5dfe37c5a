#ifndef SPILLWAY_TRANSPORTS_HTML_H
#define SPILLWAY_TRANSPORTS_HTML_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/cursor.h"
#include "proxy/base/event.h"
#include "transports/notice.h"
#include "transports/stream_request.h"

/*
 * A short poll as a page, for what has no scripts at all: it asks for the next
 * one by itself, behind the cursor that its link carries, so nothing is lost
 * between two of them. All text is escaped, and nothing runs, is fetched or is
 * sent by it.
 */
struct html_view {
	uint64_t refresh_s;  /* until the next page */
	struct str channels; /* their names, to read */
	struct str query;    /* what each link repeats: limit, token, ... */
	char text[];
};

/* Headers of the page, each with its end of line. */
extern const char html_headers[];

/*
 * Of a request with `html`; its links carry the session, unless p is NULL.
 * Freed with free. NULL when memory ran out.
 */
struct html_view *html_view_new(const struct stream_request *s,
    const struct request *r, struct str session);

/* Text of anybody's, for between tags and in double quotes. */
int html_put_text(struct buf *out, struct str text);

/* The page up to its events; `next` is where the next one begins. */
int html_begin(struct buf *out, const struct html_view *v,
    const struct epoch *epoch, uint64_t next, bool more);
/* That something is lost; `n` is a gap. */
int html_put_gap(struct buf *out, const struct notice *n);
int html_put_event(
    struct buf *out, const struct epoch *epoch, const struct event *e);
/* The rest of it. */
int html_end(struct buf *out, const struct html_view *v,
    const struct epoch *epoch, uint64_t next, bool any);

#endif
