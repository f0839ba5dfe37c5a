#ifndef SPILLWAY_TRANSPORTS_CODEC_H
#define SPILLWAY_TRANSPORTS_CODEC_H

#include "proxy/base/buf.h"
#include "proxy/base/cursor.h"
#include "proxy/base/event.h"
#include "transports/ws_deflate.h"

/*
 * Makes the forms of events: what one worker needs to turn an event into the
 * bytes that its transports send. One thread.
 */
struct codec {
	struct epoch epoch;         /* of the log */
	size_t deflate_min;         /* smaller messages are not worth it */
	struct ws_deflate *deflate; /* owned */
	struct buf scratch;         /* one event under construction */
	struct buf packed;          /* and its compressed form */
};

int codec_init(struct codec *c, const struct epoch *epoch, size_t deflate_min,
    int deflate_level);
void codec_fini(struct codec *c);

/* Payloads from here on are not copied into a form that has them as they are.
 */
enum { CODEC_AROUND_MIN = 16 << 10 };

/*
 * The bytes of an event in a form, made if nobody did yet, and kept with the
 * event. A deflated form of a message that is not worth deflating is the plain
 * one. NULL if memory ran out.
 */
const struct encoding *codec_form(
    struct codec *c, struct event *e, enum form f);

/*
 * The JSON envelope that all transports share, without a line end:
 * {"id":"k3x9-1042","channel":"c","type":"message","time":1763634245123,
 *  "data":...}
 */
int envelope_put(
    struct buf *out, const struct epoch *epoch, const struct event *e);

/* The same up to the payload, which a brace follows. */
int envelope_begin(
    struct buf *out, const struct epoch *epoch, const struct event *e);

/* The payload alone as a JSON value: itself, a string, or base64 in one. */
int envelope_put_data(struct buf *out, const struct event *e);

#endif
