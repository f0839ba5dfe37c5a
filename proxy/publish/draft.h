#ifndef SPILLWAY_PROXY_PUBLISH_DRAFT_H
#define SPILLWAY_PROXY_PUBLISH_DRAFT_H

#include <stdbool.h>

#include "proxy/http/http.h"
#include "storage/log.h"
#include "transports/stream_request.h"

/*
 * An event on its way from a request to the log: where it stands in the
 * request, checked, and then made. It comes plain, or as a CloudEvent 1.0.
 *
 * Functions that return false have filled in the refusal.
 */
struct draft {
	struct str channel, type, key, content_type;
	struct str data;
	bool is_json; /* data is JSON for certain: it stood in JSON */
	struct buf texts;
};

/* `max` bytes of texts that have to be copied. */
void draft_init(struct draft *d, size_t max);
void draft_fini(struct draft *d);

/* Check it, and make the event and its key. */
bool draft_event(struct draft *d, struct worker *w, struct append_item *item,
    struct refusal *f);

/* A CloudEvent in binary mode: attributes in `ce-` headers. */
bool draft_read_cloud_headers(
    struct exchange *x, struct draft *d, struct refusal *f);
/* And in structured mode: a JSON object, which json_valid accepted. */
bool draft_read_cloud_object(
    struct draft *d, struct str text, struct refusal *f);

/*
 * As batches have it: {"channel":...,"type":...,"data":...,"key":...}. Without
 * a channel it goes to the one that the draft has already. What is wrong is
 * told as what the object "has", or "is".
 */
bool draft_read_object(struct draft *d, struct str text, struct refusal *f);

/* The text of a JSON string, copied; false if it is none, or memory ran out. */
bool draft_text(struct draft *d, struct str raw, struct str *out);

/* Fill in the refusal; returns false. */
bool draft_fault(struct refusal *f, int status, const char *detail);

/* Is the content type this media type, whatever its parameters? */
bool media_is(struct str content_type, const char *name);

#endif
