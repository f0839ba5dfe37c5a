/*
 * What a client says on a WebSocket. It is refused with a sentence, or
 * understood; then a plain spelling of the same is the same command, and the
 * answers to it are JSON.
 */
#include "proxy/base/json.h"
#include "tests/fuzz/fuzz.h"
#include "transports/command.h"

static const char *const ops[] = {
	[COMMAND_SUBSCRIBE] = "subscribe",
	[COMMAND_UNSUBSCRIBE] = "unsubscribe",
	[COMMAND_SEND] = "send",
	[COMMAND_AUTH] = "auth",
	[COMMAND_PING] = "ping",
};

static void
put_member(struct buf *out, const char *name, struct str value, bool raw)
{
	if (value.p == NULL)
		return;
	buf_printf(out, ",\"%s\":", name);
	if (raw)
		buf_put_str(out, value);
	else
		json_put_string(out, value);
}

static void
put_plain(struct buf *out, const struct command *c)
{
	buf_printf(out, "{\"op\":\"%s\"", ops[c->op]);
	put_member(out, "ref", c->ref, true);
	put_member(out, "channel", c->channel, false);
	put_member(out, "after", c->after, false);
	put_member(out, "token", c->token, false);
	put_member(out, "data", c->data, true);
	if (c->has_seq) {
		buf_puts(out, ",\"seq\":");
		buf_put_u64(out, c->seq);
	}
	buf_puts(out, "}");
	must(buf_error(out) == SW_OK);
}

static void
check_plain(const struct command *c)
{
	struct command again;
	struct buf text;
	const char *why;
	int err;

	buf_init(&text, SIZE_MAX / 2);
	put_plain(&text, c);
	err = command_read(&again, buf_str(&text), &why);
	/* A control character may have been shorter than its escape of ours. */
	must(err == SW_OK || buf_len(&text) > COMMAND_TEXT_MAX);
	if (err == SW_OK) {
		must(again.op == c->op && again.has_seq == c->has_seq);
		must(!c->has_seq || again.seq == c->seq);
		must(fuzz_same(again.ref, c->ref));
		must(fuzz_same(again.data, c->data));
		must(fuzz_same(again.channel, c->channel));
		must(fuzz_same(again.after, c->after));
		must(fuzz_same(again.token, c->token));
	}
	command_fini(&again);
	buf_fini(&text);
}

static void
check_answer(struct str ref, const char *message)
{
	struct buf out;

	must(ref.p == NULL || json_valid(ref));
	buf_init(&out, SIZE_MAX / 2);
	must(command_put_error(&out, ref, "invalid", message) == SW_OK);
	must(json_valid(buf_str(&out)));
	buf_fini(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = fuzz_copy((struct str){ (const char *)data, size });
	const char *why = "";
	struct command c;
	int err = command_read(&c, (struct str){ copy, size }, &why);

	must(err == SW_OK || err == SW_EINVAL);
	must((err == SW_OK) == (why == NULL));
	if (err == SW_OK)
		check_plain(&c);
	check_answer(c.ref, why == NULL ? "none" : why);
	command_fini(&c);
	free(copy);
	return 0;
}
