#include "transports/transport.h"

#include "proxy/base/err.h"
#include "transports/sse.h"
#include "transports/ws_frame.h"

/* A text message, whose `type` is the notice's name. */
static int
websocket_notice(
    struct buf *out, const struct epoch *epoch, const struct notice *n)
{
	enum { HEAD_ROOM = 10 };
	static const uint8_t room[HEAD_ROOM];
	size_t start = buf_len(out), head, length;
	uint8_t *frame;

	/* The head tells the length of what comes behind it. */
	buf_put(out, room, HEAD_ROOM);
	notice_put(out, epoch, n, true);
	if (buf_error(out) != SW_OK) {
		out->tail = out->head + start;
		return buf_error(out);
	}
	frame = buf_head(out) + start;
	length = buf_len(out) - start - HEAD_ROOM;
	head = ws_put_head(frame + HEAD_ROOM, WS_TEXT, false, length);
	memmove(frame, frame + HEAD_ROOM - head, head + length);
	out->tail -= HEAD_ROOM - head;
	return SW_OK;
}

/* An event with the notice's name. */
static int
sse_notice(struct buf *out, const struct epoch *epoch, const struct notice *n)
{
	buf_puts(out, "event: ");
	buf_puts(out, notice_name(n->type));
	buf_puts(out, "\ndata: ");
	notice_put(out, epoch, n, false);
	buf_puts(out, "\n\n");
	return buf_error(out);
}

const struct transport transports[TRANSPORT_COUNT] = {
	[TRANSPORT_WS] = {
		.id = TRANSPORT_WS,
		.name = "ws",
		.streams = true,
		.counted = true,
		.audience = AUDIENCE_WS,
		.json = FORM_WS_JSON,
		.raw = FORM_WS_RAW,
		.notice = websocket_notice,
	},
	[TRANSPORT_SSE] = {
		.id = TRANSPORT_SSE,
		.name = "sse",
		.streams = true,
		.counted = true,
		.audience = AUDIENCE_SSE,
		.json = FORM_SSE_JSON,
		.raw = FORM_SSE_RAW,
		.notice = sse_notice,
	},
	[TRANSPORT_LONG] = {
		.id = TRANSPORT_LONG,
		.name = "long",
		.counted = true,
		.audience = AUDIENCE_LONG,
		.json = FORM_POLL_JSON,
		.raw = FORM_POLL_RAW,
	},
	[TRANSPORT_SHORT] = {
		.id = TRANSPORT_SHORT,
		.name = "short",
		.json = FORM_POLL_JSON,
		.raw = FORM_POLL_RAW,
	},
};

const struct transport *
transport_find(struct str name)
{
	for (size_t i = 0; i < TRANSPORT_COUNT; i++)
		if (str_is(name, transports[i].name))
			return &transports[i];
	return NULL;
}
