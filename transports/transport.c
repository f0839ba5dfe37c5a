#include "transports/transport.h"

#include "proxy/base/err.h"
#include "transports/sse.h"
#include "transports/ws_frame.h"

/* A text message, whose `type` is the notice's name. */
static int
websocket_notice(
    struct buf *out, const struct epoch *epoch, const struct notice *n)
{
	struct buf json;
	int err;

	buf_init(&json, out->max);
	err = notice_put(&json, epoch, n, true);
	if (err == SW_OK)
		err = ws_put_frame(out, WS_TEXT, buf_str(&json));
	buf_fini(&json);
	return err;
}

/* An event with the notice's name. */
static int
sse_notice(struct buf *out, const struct epoch *epoch, const struct notice *n)
{
	buf_puts(out, "event: ");
	buf_puts(out, notice_name(n->type));
	buf_puts(out, "\ndata: ");
	notice_put(out, epoch, n, false);
	return buf_puts(out, "\n\n");
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
