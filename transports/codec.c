#include "transports/codec.h"

#include "proxy/base/digest.h"
#include "proxy/base/err.h"
#include "proxy/base/json.h"
#include "transports/sse.h"
#include "transports/ws_frame.h"

/* Room for the head of a frame before its payload is known. */
enum { HEAD_ROOM = 10 };

/* The largest thing that is ever encoded: a payload with all of it escaped. */
#define SCRATCH_MAX ((size_t)1 << 30)

int
codec_init(struct codec *c, const struct epoch *epoch, size_t deflate_min,
    int deflate_level)
{
	*c = (struct codec){ .epoch = *epoch, .deflate_min = deflate_min };
	buf_init(&c->scratch, SCRATCH_MAX);
	buf_init(&c->packed, SCRATCH_MAX);
	return ws_deflate_new(&c->deflate, deflate_level);
}

void
codec_fini(struct codec *c)
{
	ws_deflate_free(c->deflate);
	buf_fini(&c->scratch);
	buf_fini(&c->packed);
}

static int
put_base64_string(struct buf *out, struct str data)
{
	size_t n = BASE64_LENGTH(data.len);
	int err;

	if ((err = buf_reserve(out, n + 2)) != SW_OK)
		return err;
	buf_put(out, "\"", 1);
	base64_encode((char *)buf_tail(out), data.p, data.len);
	buf_commit(out, n);
	return buf_put(out, "\"", 1);
}

int
envelope_put_data(struct buf *out, const struct event *e)
{
	struct str data = event_data(e);

	switch ((enum event_kind)e->kind) {
	case EVENT_JSON:
		return buf_put_str(out, data);
	case EVENT_TEXT:
		return json_put_string(out, data);
	default:
		return put_base64_string(out, data);
	}
}

int
envelope_begin(
    struct buf *out, const struct epoch *epoch, const struct event *e)
{
	struct str content_type = event_content_type(e);
	struct str type = event_type(e);
	int err;

	if ((err = buf_reserve(out, 256)) != SW_OK)
		return err;
	buf_puts(out, "{\"id\":\"");
	cursor_put(out, epoch, e->id);
	buf_puts(out, "\",\"channel\":\"");
	buf_put_str(out, e->channel->name);
	buf_puts(out, "\",\"type\":");
	if (type.len == 0)
		buf_puts(out, "\"message\"");
	else
		json_put_string(out, type);
	buf_puts(out, ",\"time\":");
	buf_put_u64(out, e->time_ms);
	if (content_type.len > 0) {
		buf_puts(out, ",\"contentType\":");
		json_put_string(out, content_type);
	}
	if (e->kind == EVENT_BINARY)
		buf_puts(out, ",\"encoding\":\"base64\"");
	buf_puts(out, ",\"data\":");
	return buf_error(out);
}

int
envelope_put(struct buf *out, const struct epoch *epoch, const struct event *e)
{
	int err = envelope_begin(out, epoch, e);

	if (err != SW_OK)
		return err;
	envelope_put_data(out, e);
	buf_puts(out, "}");
	return buf_error(out);
}

/* A WebSocket message: the envelope, or the payload as it is. */
static int
put_message(
    struct buf *out, const struct codec *c, const struct event *e, bool raw)
{
	return raw ? buf_put_str(out, event_data(e)) :
		     envelope_put(out, &c->epoch, e);
}

static enum ws_opcode
opcode_of(const struct event *e, bool raw)
{
	return raw && e->kind == EVENT_BINARY ? WS_BINARY : WS_TEXT;
}

static int
encode_websocket(struct codec *c, struct event *e, bool raw)
{
	struct buf *out = &c->scratch;
	static const uint8_t room[HEAD_ROOM];
	size_t head, length;
	int err;

	if ((err = buf_put(out, room, HEAD_ROOM)) != SW_OK ||
	    (err = put_message(out, c, e, raw)) != SW_OK)
		return err;
	length = buf_len(out) - HEAD_ROOM;
	head = ws_put_head(
	    buf_head(out) + HEAD_ROOM, opcode_of(e, raw), false, length);
	buf_drop(out, HEAD_ROOM - head);
	return SW_OK;
}

/* SW_ENOENT: it is not worth it. */
static int
encode_deflated(struct codec *c, struct event *e, bool raw, bool small)
{
	struct buf *out = &c->packed;
	static const uint8_t room[HEAD_ROOM];
	size_t head, length, plain;
	int err;

	if (e->size < c->deflate_min)
		return SW_ENOENT;
	if ((err = put_message(&c->scratch, c, e, raw)) != SW_OK)
		return err;
	plain = buf_len(&c->scratch);
	if ((err = buf_put(out, room, HEAD_ROOM)) != SW_OK ||
	    (err = ws_compress(c->deflate, out, buf_str(&c->scratch), small)) !=
		SW_OK)
		return err;
	length = buf_len(out) - HEAD_ROOM;
	if (length >= plain)
		return SW_ENOENT;
	head = ws_put_head(
	    buf_head(out) + HEAD_ROOM, opcode_of(e, raw), true, length);
	buf_drop(out, HEAD_ROOM - head);
	return SW_OK;
}

static int
encode(struct codec *c, struct event *e, enum form f)
{
	switch (f) {
	case FORM_WS_JSON:
	case FORM_WS_RAW:
		return encode_websocket(c, e, f == FORM_WS_RAW);
	case FORM_SSE_JSON:
	case FORM_SSE_RAW:
		return sse_encode(&c->scratch, &c->epoch, e, f == FORM_SSE_RAW);
	case FORM_POLL_JSON:
		return envelope_put(&c->scratch, &c->epoch, e);
	case FORM_POLL_RAW:
		return envelope_put_data(&c->scratch, e);
	default:
		return SW_EINVAL;
	}
}

/* JSON is JSON, and so is a text between quotes, if nothing in it is escaped.
 */
static bool
is_json_data(const struct event *e)
{
	return e->kind == EVENT_JSON ||
	    (e->kind == EVENT_TEXT && json_is_plain(event_data(e)));
}

/* Does the form have the payload as it is, and is it worth sparing a copy? */
static bool
has_payload(const struct event *e, enum form f)
{
	if (e->size < CODEC_AROUND_MIN)
		return false;
	switch (f) {
	case FORM_WS_RAW:
		return true;
	case FORM_WS_JSON:
	case FORM_POLL_JSON:
	case FORM_POLL_RAW:
		return is_json_data(e);
	case FORM_SSE_JSON:
		return is_json_data(e) && sse_is_line(event_data(e));
	case FORM_SSE_RAW:
		return e->kind != EVENT_BINARY && sse_is_line(event_data(e));
	default:
		return false;
	}
}

/* What envelope_put_data has around the payload; its place in `*hole`. */
static int
put_around_data(struct buf *out, const struct event *e, size_t *hole)
{
	if (e->kind == EVENT_TEXT)
		buf_puts(out, "\"");
	*hole = buf_len(out);
	if (e->kind == EVENT_TEXT)
		buf_puts(out, "\"");
	return buf_error(out);
}

/* What envelope_put has around the payload, likewise. */
static int
put_around(
    struct buf *out, const struct codec *c, const struct event *e, size_t *hole)
{
	int err = envelope_begin(out, &c->epoch, e);

	if (err == SW_OK && (err = put_around_data(out, e, hole)) == SW_OK)
		err = buf_puts(out, "}");
	return err;
}

/* A frame without its payload; where that belongs in `*hole`. */
static int
frame_around(struct codec *c, const struct event *e, bool raw, size_t *hole)
{
	static const uint8_t room[HEAD_ROOM];
	struct buf *out = &c->scratch;
	size_t head;
	int err;

	if ((err = buf_put(out, room, HEAD_ROOM)) != SW_OK)
		return err;
	*hole = buf_len(out);
	if (!raw && (err = put_around(out, c, e, hole)) != SW_OK)
		return err;
	head = ws_put_head(buf_head(out) + HEAD_ROOM, opcode_of(e, raw), false,
	    buf_len(out) - HEAD_ROOM + e->size);
	buf_drop(out, HEAD_ROOM - head);
	*hole -= HEAD_ROOM - head;
	return SW_OK;
}

/* The form but for the payload in it. */
static int
encode_around(struct codec *c, const struct event *e, enum form f, size_t *hole)
{
	bool sse = f == FORM_SSE_JSON || f == FORM_SSE_RAW;
	struct buf *out = &c->scratch;

	if (f == FORM_WS_JSON || f == FORM_WS_RAW)
		return frame_around(c, e, f == FORM_WS_RAW, hole);
	if (sse) {
		sse_begin(out, &c->epoch, e);
		buf_puts(out, "data: ");
	}
	*hole = buf_len(out);
	if (f == FORM_POLL_RAW)
		put_around_data(out, e, hole);
	else if (f != FORM_SSE_RAW)
		put_around(out, c, e, hole);
	if (sse)
		buf_puts(out, "\n\n");
	return buf_error(out);
}

static bool
deflated(enum form f, bool *raw, bool *small)
{
	*raw = f == FORM_WS_RAW_DEFLATE || f == FORM_WS_RAW_DEFLATE_SMALL;
	*small =
	    f == FORM_WS_JSON_DEFLATE_SMALL || f == FORM_WS_RAW_DEFLATE_SMALL;
	return *raw || *small || f == FORM_WS_JSON_DEFLATE;
}

/* Large events come now and then: do not keep their room for ever. */
static void
clear(struct buf *b)
{
	enum { KEEP = 64 << 10 };

	buf_clear(b);
	if (b->cap > KEEP)
		buf_release(b);
}

/*
 * Not worth deflating. If that took an attempt to find out, the plain bytes are
 * kept as the deflated form, so that nobody tries again.
 */
static const struct encoding *
plain_form(struct codec *c, struct event *e, enum form f, enum form plain)
{
	const struct encoding *form;

	clear(&c->scratch);
	clear(&c->packed);
	form = codec_form(c, e, plain);
	if (form == NULL || e->size < c->deflate_min)
		return form;
	return form->hole == ENCODING_WHOLE ?
	    event_keep_form(e, f, form->bytes, form->len) :
	    event_keep_form_around(
		e, f, form->bytes, form->len - e->size, form->hole);
}

const struct encoding *
codec_form(struct codec *c, struct event *e, enum form f)
{
	const struct encoding *form = event_form(e, f);
	struct buf *out = &c->scratch;
	size_t hole = ENCODING_WHOLE;
	bool raw, small;
	int err;

	if (form != NULL)
		return form;
	if (deflated(f, &raw, &small)) {
		out = &c->packed;
		err = encode_deflated(c, e, raw, small);
		if (err == SW_ENOENT)
			return plain_form(
			    c, e, f, raw ? FORM_WS_RAW : FORM_WS_JSON);
	} else if (has_payload(e, f)) {
		err = encode_around(c, e, f, &hole);
	} else {
		err = encode(c, e, f);
	}
	if (err == SW_OK && buf_error(out) == SW_OK)
		form = event_keep_form_around(
		    e, f, buf_head(out), buf_len(out), hole);
	clear(&c->scratch);
	clear(&c->packed);
	return form;
}
