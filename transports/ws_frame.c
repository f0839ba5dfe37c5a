#include "transports/ws_frame.h"

#include <stdlib.h>

#include "proxy/base/err.h"

enum state { HEAD, PAYLOAD };

/* What is kept of a message that has not come whole. */
struct ws_parts {
	struct buf message;              /* the payloads of its frames so far */
	uint32_t empty;                  /* frames that had none */
	uint8_t control[WS_CONTROL_MAX]; /* of a control frame in between */
	uint8_t control_len;
};

/* What a step of the decoder works on. */
struct input {
	uint8_t *p;
	size_t n;
	const struct ws_handler *handler;
};

void
ws_decoder_init(struct ws_decoder *d, bool allow_deflate)
{
	*d = (struct ws_decoder){
		.state = HEAD,
		.head_need = 2,
		.allow_deflate = allow_deflate,
		.utf8 = UTF8_START,
	};
}

void
ws_decoder_fini(struct ws_decoder *d)
{
	if (d->parts == NULL)
		return;
	buf_fini(&d->parts->message);
	free(d->parts);
	d->parts = NULL;
}

bool
ws_decoder_busy(const struct ws_decoder *d)
{
	return d->state != HEAD || d->head_len > 0 || d->message_opcode != 0;
}

static bool
is_control(uint8_t opcode)
{
	return opcode >= WS_CLOSE;
}

void
ws_unmask(uint8_t *bytes, size_t n, const uint8_t mask[4], uint64_t offset)
{
	uint8_t turned[8];
	uint64_t wide, word;
	size_t i = 0;

	for (size_t k = 0; k < 8; k++)
		turned[k] = mask[(offset + k) & 3];
	memcpy(&wide, turned, 8);
	for (; i + 8 <= n; i += 8) {
		memcpy(&word, bytes + i, 8);
		word ^= wide;
		memcpy(bytes + i, &word, 8);
	}
	for (; i < n; i++)
		bytes[i] ^= turned[i & 7];
}

/*
 * What the frames of a message may carry in all: the message, or what the least
 * apt of compressors makes of it.
 */
static size_t
payload_max(const struct ws_decoder *d, const struct ws_handler *h)
{
	size_t max = h->message_max;

	return d->compressed ? max + max / 8 + max / 64 + 64 : max;
}

static int
need_parts(struct ws_decoder *d, const struct ws_handler *h)
{
	if (d->parts != NULL)
		return SW_OK;
	d->parts = calloc(1, sizeof(*d->parts));
	if (d->parts == NULL)
		return SW_ENOMEM;
	buf_init(&d->parts->message, payload_max(d, h));
	return SW_OK;
}

/* The first two bytes: RFC 6455 5.2, in its order. */
static int
check_head(struct ws_decoder *d)
{
	uint8_t first = d->head[0], second = d->head[1];
	uint8_t opcode = first & 0x0f, length = second & 0x7f;
	bool data = !is_control(opcode), rsv1 = (first & 0x40) != 0;

	d->fin = (first & 0x80) != 0;
	d->opcode = opcode;
	if ((first & 0x30) != 0)
		return SW_EPROTO; /* RSV2 and RSV3 have no meaning here */
	/* RFC 7692 6: on the first frame of a data message, if agreed on. */
	if (rsv1 && (!d->allow_deflate || !data || opcode == WS_CONTINUATION))
		return SW_EPROTO;
	if ((second & 0x80) == 0)
		return SW_EPROTO; /* 5.1: a client masks */
	if (data) {
		if (opcode > WS_BINARY)
			return SW_EPROTO;
		if ((opcode == WS_CONTINUATION) != (d->message_opcode != 0))
			return SW_EPROTO; /* 5.4: nothing to continue, or not */
		if (opcode != WS_CONTINUATION) {
			d->message_opcode = opcode;
			d->compressed = rsv1;
			d->utf8 = UTF8_START;
		}
	} else if (opcode > WS_PONG || !d->fin || length > WS_CONTROL_MAX) {
		return SW_EPROTO; /* 5.5 */
	}
	d->head_need = (uint8_t)(2 + 4 + (length == 126 ? 2 : 0) +
	    (length == 127 ? 8 : 0));
	return SW_OK;
}

/* The whole head has come: how long is the payload? */
static int
read_length(struct ws_decoder *d)
{
	uint8_t short_length = d->head[1] & 0x7f;
	size_t extra = short_length == 126 ? 2 : short_length == 127 ? 8 : 0;
	uint64_t length = extra == 0 ? short_length : 0;

	for (size_t i = 0; i < extra; i++)
		length = length << 8 | d->head[2 + i];
	/* 5.2: the shortest form there is, and no sign bit. */
	if ((extra == 2 && length < 126) || (extra == 8 && length < 65536) ||
	    length >> 63 != 0)
		return SW_EPROTO;
	memcpy(d->mask, d->head + 2 + extra, 4);
	d->left = length;
	d->offset = 0;
	return SW_OK;
}

static size_t
collected(const struct ws_decoder *d)
{
	return d->parts == NULL ? 0 : buf_len(&d->parts->message);
}

static int
step_head(struct ws_decoder *d, struct input *in)
{
	int err;

	while (d->head_len < d->head_need) {
		if (in->n == 0)
			return SW_EAGAIN;
		d->head[d->head_len++] = *in->p++;
		in->n--;
		if (d->head_len == 2 && (err = check_head(d)) != SW_OK)
			return err;
	}
	d->head_len = 0;
	d->head_need = 2;
	if ((err = read_length(d)) != SW_OK)
		return err;
	/* Refused before a byte of it is read. */
	if (!is_control(d->opcode) &&
	    (d->left > payload_max(d, in->handler) ||
		collected(d) > payload_max(d, in->handler) - d->left))
		return SW_ELIMIT;
	d->state = PAYLOAD;
	return SW_OK;
}

static int
finish_control(
    struct ws_decoder *d, struct str payload, const struct ws_handler *h)
{
	d->state = HEAD;
	return h->control(h->ctx, (enum ws_opcode)d->opcode, payload);
}

static int
finish_compressed(
    enum ws_opcode opcode, struct str bytes, const struct ws_handler *h)
{
	struct buf message;
	int err;

	buf_init(&message, h->message_max);
	err = ws_inflate(h->deflate, &message, bytes);
	if (err == SW_OK && opcode == WS_TEXT &&
	    !utf8_valid(buf_head(&message), buf_len(&message)))
		err = SW_EUTF8;
	if (err == SW_OK)
		err = h->message(h->ctx, opcode, buf_str(&message));
	buf_fini(&message);
	return err;
}

/* A message is complete; `whole` is all of it, or its parts are collected. */
static int
finish_message(
    struct ws_decoder *d, struct str whole, const struct ws_handler *h)
{
	enum ws_opcode opcode = (enum ws_opcode)d->message_opcode;
	bool compressed = d->compressed;
	struct ws_parts *parts = d->parts;
	int err = SW_OK;

	d->state = HEAD;
	d->message_opcode = 0;
	d->parts = NULL;
	if (parts != NULL)
		whole = buf_str(&parts->message);
	if (!compressed && opcode == WS_TEXT && !utf8_complete(&d->utf8))
		err = SW_EUTF8;
	else if (compressed)
		err = finish_compressed(opcode, whole, h);
	else
		err = h->message(h->ctx, opcode, whole);
	if (parts != NULL) {
		buf_fini(&parts->message);
		free(parts);
	}
	return err;
}

static int
step_control(struct ws_decoder *d, struct input *in, struct str bytes)
{
	struct ws_parts *parts;
	int err;

	/* The usual one comes whole. */
	if (d->left == 0 && d->offset == bytes.len)
		return finish_control(d, bytes, in->handler);
	if ((err = need_parts(d, in->handler)) != SW_OK)
		return err;
	parts = d->parts;
	memcpy(parts->control + parts->control_len, bytes.p, bytes.len);
	parts->control_len = (uint8_t)(parts->control_len + bytes.len);
	if (d->left > 0)
		return SW_EAGAIN;
	bytes = (struct str){ (char *)parts->control, parts->control_len };
	parts->control_len = 0;
	err = finish_control(d, bytes, in->handler);
	if (d->message_opcode == 0)
		ws_decoder_fini(d);
	return err;
}

static int
step_data(struct ws_decoder *d, struct input *in, struct str bytes)
{
	int err;

	if (!d->compressed && d->message_opcode == WS_TEXT &&
	    !utf8_feed(&d->utf8, bytes.p, bytes.len))
		return SW_EUTF8;
	/* The usual message is one frame that comes whole: nothing to keep. */
	if (d->left == 0 && d->fin && d->parts == NULL)
		return finish_message(d, bytes, in->handler);
	if ((err = need_parts(d, in->handler)) != SW_OK ||
	    (err = buf_put(&d->parts->message, bytes.p, bytes.len)) != SW_OK)
		return err;
	if (d->left > 0)
		return SW_EAGAIN;
	if (d->fin)
		return finish_message(d, bytes, in->handler);
	/* A message without an end would never be one to its limits. */
	if (d->offset == 0 && ++d->parts->empty > WS_EMPTY_MAX)
		return SW_ELIMIT;
	d->state = HEAD;
	return SW_OK;
}

static int
step_payload(struct ws_decoder *d, struct input *in)
{
	size_t n = d->left < in->n ? (size_t)d->left : in->n;
	struct str bytes = { (char *)in->p, n };

	if (n == 0 && d->left > 0)
		return SW_EAGAIN;
	ws_unmask(in->p, n, d->mask, d->offset);
	in->p += n;
	in->n -= n;
	d->left -= n;
	d->offset += n;
	return is_control(d->opcode) ? step_control(d, in, bytes) :
				       step_data(d, in, bytes);
}

int
ws_decode(struct ws_decoder *d, uint8_t *bytes, size_t n,
    const struct ws_handler *h, size_t *rest)
{
	struct input in = { bytes, n, h };
	int err = SW_OK;

	while (err == SW_OK)
		err =
		    d->state == HEAD ? step_head(d, &in) : step_payload(d, &in);
	if (rest != NULL)
		*rest = in.n;
	return err == SW_EAGAIN ? SW_OK : err;
}

size_t
ws_put_head(uint8_t *end, enum ws_opcode opcode, bool deflated, size_t payload)
{
	size_t extra = payload < 126 ? 0 : payload < 65536 ? 2 : 8;
	uint8_t *p = end - 2 - extra;

	p[0] = (uint8_t)(0x80 | (deflated ? 0x40 : 0) | (unsigned)opcode);
	p[1] = (uint8_t)(extra == 0 ? payload : extra == 2 ? 126 : 127);
	for (size_t i = extra; i > 0; i--, payload >>= 8)
		p[1 + i] = extra == 0 ? 0 : (uint8_t)payload;
	return 2 + extra;
}

int
ws_put_frame(struct buf *out, enum ws_opcode opcode, struct str payload)
{
	uint8_t head[10];
	size_t n = ws_put_head(head + sizeof(head), opcode, false, payload.len);
	int err;

	/* All of it or nothing: half a frame would swallow the next one. */
	if ((err = buf_reserve(out, n + payload.len)) != SW_OK)
		return err;
	buf_put(out, head + sizeof(head) - n, n);
	return buf_put_str(out, payload);
}

int
ws_put_close(struct buf *out, int code, const char *reason)
{
	char payload[WS_CONTROL_MAX];
	size_t len = strlen(reason);

	if (len > sizeof(payload) - 2)
		len = sizeof(payload) - 2;
	/* Do not cut a character in two. */
	while (len > 0 && len < strlen(reason) &&
	    ((uint8_t)reason[len] & 0xc0) == 0x80)
		len--;
	payload[0] = (char)(code >> 8);
	payload[1] = (char)code;
	memcpy(payload + 2, reason, len);
	return ws_put_frame(out, WS_CLOSE, (struct str){ payload, len + 2 });
}

bool
ws_close_code_valid(unsigned code)
{
	if (code >= 3000 && code < 5000)
		return true;
	/* Those registered; 1004 to 1006 and 1015 never travel. */
	return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014);
}
