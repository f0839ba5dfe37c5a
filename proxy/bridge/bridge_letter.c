#include "proxy/bridge/bridge_letter.h"

#include "proxy/base/err.h"

enum { WRITING = 1, TEXTS = 9 };

/* A text that is not known, as opposed to one that is empty. */
static const uint64_t unknown = UINT32_MAX;

static void
put_number(struct buf *out, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++) {
		uint8_t byte = (uint8_t)(value >> (8 * i));

		buf_put(out, &byte, 1);
	}
}

static void
put_text(struct buf *out, struct str text)
{
	put_number(out, text.p == NULL ? unknown : text.len, 4);
	if (text.p != NULL)
		buf_put_str(out, text);
}

int
bridge_letter_put(struct buf *out, const struct bridge_event *e)
{
	const struct str texts[TEXTS] = { e->id, e->transport, e->address,
		e->channel, e->user, e->session, e->content_type, e->forwarded,
		e->data };

	put_number(out, WRITING, 1);
	put_number(out, (uint64_t)e->kind, 1);
	put_number(out, e->has_seq, 1);
	put_number(out, e->time_ms, 8);
	put_number(out, e->connection, 8);
	put_number(out, e->seq, 8);
	for (int i = 0; i < TEXTS; i++)
		put_text(out, texts[i]);
	return buf_error(out);
}

static bool
take_number(struct str *rest, uint64_t *value, unsigned bytes)
{
	if (rest->len < bytes)
		return false;
	*value = 0;
	for (unsigned i = 0; i < bytes; i++)
		*value |= (uint64_t)(uint8_t)rest->p[i] << (8 * i);
	rest->p += bytes;
	rest->len -= bytes;
	return true;
}

static bool
take_text(struct str *rest, struct str *text)
{
	uint64_t len;

	*text = (struct str){ NULL, 0 };
	if (!take_number(rest, &len, 4))
		return false;
	if (len == unknown)
		return true;
	if (len > rest->len)
		return false;
	*text = (struct str){ rest->p, (size_t)len };
	rest->p += len;
	rest->len -= (size_t)len;
	return true;
}

int
bridge_letter_read(struct bridge_event *e, struct str bytes)
{
	struct str *const texts[TEXTS] = { &e->id, &e->transport, &e->address,
		&e->channel, &e->user, &e->session, &e->content_type,
		&e->forwarded, &e->data };
	uint64_t version, kind, has_seq;

	*e = (struct bridge_event){ 0 };
	if (!take_number(&bytes, &version, 1) || version != WRITING ||
	    !take_number(&bytes, &kind, 1) || kind >= BRIDGE_KINDS ||
	    !take_number(&bytes, &has_seq, 1) ||
	    !take_number(&bytes, &e->time_ms, 8) ||
	    !take_number(&bytes, &e->connection, 8) ||
	    !take_number(&bytes, &e->seq, 8))
		return SW_EINVAL;
	e->kind = (enum bridge_kind)kind;
	e->has_seq = has_seq != 0;
	for (int i = 0; i < TEXTS; i++)
		if (!take_text(&bytes, texts[i]))
			return SW_EINVAL;
	return bytes.len == 0 && e->id.len > 0 ? SW_OK : SW_EINVAL;
}
