#include "proxy/compare/frames.h"

#include "proxy/base/digest.h"
#include "proxy/base/err.h"

void
frames_init(struct frames *f)
{
	*f = (struct frames){ 0 };
	buf_init(&f->message, FRAMES_MESSAGE_MAX);
	buf_init(&f->control, WS_CONTROL_MAX);
}

void
frames_fini(struct frames *f)
{
	buf_fini(&f->message);
	buf_fini(&f->control);
}

static bool
is_control(const struct frames *f)
{
	return (f->head[0] & 0x08) != 0;
}

/* 5.2: how long the head is, as far as its second byte tells. */
static size_t
head_need(const struct frames *f)
{
	unsigned length = f->head_len < 2 ? 0 : f->head[1] & 0x7f;

	return length == 126 ? 4 : length == 127 ? 10 : 2;
}

/* 5.2: the length is written in the shortest way. */
static int
read_length(struct frames *f)
{
	unsigned length = f->head[1] & 0x7f;

	f->left = length;
	if (length < 126)
		return SW_OK;
	f->left = 0;
	for (size_t i = 2; i < f->head_len; i++)
		f->left = f->left << 8 | f->head[i];
	return f->left < (length == 126 ? 126 : UINT64_C(1) << 16) ||
		f->left > INT64_MAX ?
	    SW_EPROTO :
	    SW_OK;
}

static int
take_head(struct frames *f)
{
	unsigned opcode = f->head[0] & 0x0f;
	bool fin = (f->head[0] & 0x80) != 0;
	int err = read_length(f);

	if (err != SW_OK)
		return err;
	/* Reserved bits, and a server does not mask (5.1). */
	if ((f->head[0] & 0x70) != 0 || (f->head[1] & 0x80) != 0)
		return SW_EPROTO;
	f->in_payload = true;
	if (is_control(f)) /* 5.5 */
		return opcode > WS_PONG || !fin || f->left > WS_CONTROL_MAX ?
		    SW_EPROTO :
		    SW_OK;
	if (opcode > WS_BINARY ||
	    (opcode == WS_CONTINUATION) != (f->opcode != 0))
		return SW_EPROTO; /* 5.4 */
	if (opcode != WS_CONTINUATION)
		f->opcode = (uint8_t)opcode;
	f->size += f->head_len + f->left;
	return f->left > FRAMES_MESSAGE_MAX ? SW_ELIMIT : SW_OK;
}

/* The frame is whole; is the message? */
static int
end_frame(struct frames *f, const struct frames_handler *h)
{
	enum ws_opcode opcode = (enum ws_opcode)f->opcode;
	uint64_t size = f->size;
	int err = SW_OK;

	if (is_control(f)) {
		err = h->take(h->ctx, (enum ws_opcode)(f->head[0] & 0x0f),
		    buf_str(&f->control), f->head_len + buf_len(&f->control));
		buf_clear(&f->control);
	} else if ((f->head[0] & 0x80) != 0) {
		f->opcode = 0;
		f->size = 0;
		err = h->take(h->ctx, opcode, buf_str(&f->message), size);
		buf_clear(&f->message);
	}
	f->in_payload = false;
	f->head_len = 0;
	return err;
}

int
frames_read(struct frames *f, const uint8_t *p, size_t n,
    const struct frames_handler *h)
{
	int err;

	while (n > 0) {
		size_t part;

		if (!f->in_payload) {
			f->head[f->head_len++] = *p++;
			n--;
			if (f->head_len < head_need(f))
				continue;
			if ((err = take_head(f)) != SW_OK)
				return err;
		}
		part = n < f->left ? n : (size_t)f->left;
		err =
		    buf_put(is_control(f) ? &f->control : &f->message, p, part);
		if (err != SW_OK)
			return err;
		p += part;
		n -= part;
		f->left -= part;
		if (f->left == 0 && (err = end_frame(f, h)) != SW_OK)
			return err;
	}
	/* Thousands of readers wait most of the time. */
	buf_release(&f->message);
	return SW_OK;
}

int
frames_put(struct buf *out, enum ws_opcode opcode, struct str payload)
{
	size_t begin = buf_len(out), head;
	uint8_t mask[4];
	int err = ws_put_frame(out, opcode, payload);

	if (err != SW_OK)
		return err;
	/* As a server writes it; a client has four bytes more, and a bit. */
	if ((err = buf_put(out, "mask", 4)) != SW_OK)
		return err;
	digest_random(mask, sizeof(mask));
	head = buf_len(out) - begin - 4 - payload.len;
	memmove(buf_head(out) + begin + head + 4, buf_head(out) + begin + head,
	    payload.len);
	memcpy(buf_head(out) + begin + head, mask, sizeof(mask));
	buf_head(out)[begin + 1] |= 0x80;
	ws_unmask(buf_head(out) + begin + head + 4, payload.len, mask, 0);
	return SW_OK;
}

void
frames_make_key(char key[FRAMES_KEY_LENGTH])
{
	uint8_t bytes[16];

	digest_random(bytes, sizeof(bytes));
	base64_encode(key, bytes, sizeof(bytes));
}

bool
frames_accepts(const char key[FRAMES_KEY_LENGTH], struct str accept)
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	char text[FRAMES_KEY_LENGTH + sizeof(guid)];
	char expected[BASE64_LENGTH(SHA1_SIZE)];
	uint8_t sum[SHA1_SIZE];

	memcpy(text, key, FRAMES_KEY_LENGTH);
	memcpy(text + FRAMES_KEY_LENGTH, guid, sizeof(guid));
	if (digest_sha1(sum, str_of(text)) != SW_OK)
		return false;
	base64_encode(expected, sum, sizeof(sum));
	return accept.len == sizeof(expected) &&
	    memcmp(accept.p, expected, sizeof(expected)) == 0;
}
