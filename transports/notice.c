#include "transports/notice.h"

#include "proxy/base/json.h"

const char *
notice_name(enum notice_type t)
{
	static const char *const names[] = {
		[NOTICE_HELLO] = "spillway.hello",
		[NOTICE_CAUGHTUP] = "spillway.caughtup",
		[NOTICE_GAP] = "spillway.gap",
		[NOTICE_HEARTBEAT] = "spillway.heartbeat",
	};

	return names[t];
}

static const char *
reason_name(enum gap_reason r)
{
	static const char *const names[] = {
		[GAP_NONE] = "none",
		[GAP_TRIMMED] = "trimmed",
		[GAP_EPOCH] = "epoch",
		[GAP_AHEAD] = "ahead",
	};

	return names[r];
}

static void
put_cursor(
    struct buf *out, const char *name, const struct epoch *epoch, uint64_t seq)
{
	buf_puts(out, name);
	cursor_put(out, epoch, seq);
	buf_put(out, "\"", 1);
}

static void
put_hello(struct buf *out, const struct epoch *epoch, const struct notice *n)
{
	buf_puts(out, "\"connection\":\"");
	buf_put_u64(out, n->connection);
	put_cursor(out, "\",\"cursor\":\"", epoch, n->cursor);
	buf_puts(out, ",\"transport\":\"");
	buf_puts(out, n->transport);
	buf_puts(out, "\",\"heartbeat\":");
	buf_put_u64(out, n->heartbeat_ms);
	buf_puts(out, ",\"retry\":");
	buf_put_u64(out, n->retry_ms);
	buf_puts(out, ",\"channels\":[");
	for (size_t i = 0; i < n->channel_count; i++) {
		buf_puts(out, i == 0 ? "\"" : ",\"");
		buf_put_str(out, n->channels[i]);
		buf_put(out, "\"", 1);
	}
	buf_put(out, "]", 1);
}

static void
put_caughtup(struct buf *out, const struct epoch *epoch, const struct notice *n)
{
	put_cursor(out, "\"cursor\":\"", epoch, n->cursor);
	if (n->channel.len == 0)
		return;
	buf_puts(out, ",\"channel\":\"");
	buf_put_str(out, n->channel);
	buf_put(out, "\"", 1);
}

static void
put_gap(struct buf *out, const struct epoch *epoch, const struct notice *n)
{
	buf_puts(out, "\"reason\":\"");
	buf_puts(out, reason_name(n->reason));
	if (n->after.epoch.text[0] == '\0')
		buf_puts(out, "\",\"after\":null");
	else
		put_cursor(
		    out, "\",\"after\":\"", &n->after.epoch, n->after.seq);
	if (n->first == 0)
		buf_puts(out, ",\"first\":null");
	else
		put_cursor(out, ",\"first\":\"", epoch, n->first);
	if (n->channel.len == 0)
		return;
	buf_puts(out, ",\"channel\":\"");
	buf_put_str(out, n->channel);
	buf_put(out, "\"", 1);
}

int
notice_put_gap(
    struct buf *out, const struct epoch *epoch, const struct notice *n)
{
	buf_put(out, "{", 1);
	put_gap(out, epoch, n);
	buf_put(out, "}", 1);
	return buf_error(out);
}

int
notice_put(struct buf *out, const struct epoch *epoch, const struct notice *n,
    bool named)
{
	buf_put(out, "{", 1);
	if (named) {
		buf_puts(out, "\"type\":\"");
		buf_puts(out, notice_name(n->type));
		buf_puts(out, "\",");
	}
	switch (n->type) {
	case NOTICE_HELLO:
		put_hello(out, epoch, n);
		break;
	case NOTICE_CAUGHTUP:
		put_caughtup(out, epoch, n);
		break;
	case NOTICE_GAP:
		put_gap(out, epoch, n);
		break;
	case NOTICE_HEARTBEAT:
		buf_puts(out, "\"time\":");
		buf_put_u64(out, n->time_ms);
		break;
	}
	buf_put(out, "}", 1);
	return buf_error(out);
}
