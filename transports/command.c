#include "transports/command.h"

#include "proxy/base/err.h"
#include "proxy/base/json.h"

static const char *const op_names[] = {
	[COMMAND_SUBSCRIBE] = "subscribe",
	[COMMAND_UNSUBSCRIBE] = "unsubscribe",
	[COMMAND_SEND] = "send",
	[COMMAND_AUTH] = "auth",
	[COMMAND_PING] = "ping",
};

enum { OPS = sizeof(op_names) / sizeof(op_names[0]) };

/* The members as they stand in the message. */
struct members {
	struct str op, channel, after, token, seq;
};

static void
find_members(struct command *c, struct members *m, struct json_iter *it)
{
	const struct {
		const char *name;
		struct str *value;
	} known[] = {
		{ "op", &m->op },
		{ "ref", &c->ref },
		{ "channel", &m->channel },
		{ "after", &m->after },
		{ "data", &c->data },
		{ "seq", &m->seq },
		{ "token", &m->token },
	};
	struct str key, value;

	while (json_member(it, &key, &value))
		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			if (json_is(key, known[i].name))
				*known[i].value = value;
}

/* A member that has to be a string, if it is there. */
static int
read_text(struct command *c, struct str raw, struct str *out)
{
	size_t start = buf_len(&c->texts);
	int err;

	*out = (struct str){ NULL, 0 };
	if (raw.p == NULL)
		return SW_OK;
	if (json_type(raw) != JSON_STRING)
		return SW_EINVAL;
	/* Reserved beforehand: texts that were read must not move. */
	if ((err = json_unescape(&c->texts, raw)) != SW_OK)
		return err;
	*out = (struct str){ (char *)buf_head(&c->texts) + start,
		buf_len(&c->texts) - start };
	return SW_OK;
}

static int
read_op(struct command *c, struct str raw)
{
	if (raw.p == NULL || json_type(raw) != JSON_STRING)
		return SW_EINVAL;
	for (int i = 0; i < OPS; i++)
		if (json_is(raw, op_names[i])) {
			c->op = (enum command_op)i;
			return SW_OK;
		}
	return SW_EINVAL;
}

/* What each command cannot do without. */
static const char *
missing(const struct command *c)
{
	switch (c->op) {
	case COMMAND_SUBSCRIBE:
	case COMMAND_UNSUBSCRIBE:
		return c->channel.p == NULL ? "`channel` is missing." : NULL;
	case COMMAND_SEND:
		return c->data.p == NULL ? "`data` is missing." : NULL;
	case COMMAND_AUTH:
		return c->token.p == NULL ? "`token` is missing." : NULL;
	case COMMAND_PING:
		break;
	}
	return NULL;
}

/* SW_EINVAL, SW_ENOMEM: with a sentence in `*why`. */
static int
read_texts(struct command *c, const struct members *m, const char **why)
{
	size_t names = m->channel.len + m->after.len;

	*why = "`channel` and `after` are strings, of 4 kB together, `token` "
	       "is one of 8 kB.";
	/* As they stand there: with quotes, and one more for the end. */
	if (names >= COMMAND_TEXT_MAX || m->token.len > COMMAND_TOKEN_MAX + 2)
		return SW_EINVAL;
	if (buf_reserve(&c->texts, names + m->token.len + 1) != SW_OK) {
		*why = err_info(SW_ENOMEM)->sentence;
		return SW_ENOMEM;
	}
	if (read_text(c, m->channel, &c->channel) != SW_OK ||
	    read_text(c, m->after, &c->after) != SW_OK ||
	    read_text(c, m->token, &c->token) != SW_OK)
		return SW_EINVAL;
	return SW_OK;
}

static bool
is_ref(struct str raw)
{
	return raw.len <= COMMAND_TEXT_MAX && json_valid(raw) &&
	    (json_type(raw) == JSON_STRING || json_type(raw) == JSON_NUMBER);
}

/* SW_EINVAL: with a sentence in `*why`. */
static int
read_members(
    struct command *c, struct members *m, struct str text, const char **why)
{
	struct json_iter it;
	bool is_json = json_valid(text), has_ref;

	/* Of what is no JSON, or too deep, those before: it may be answered. */
	if (text.len > 0 && json_object(&it, text))
		find_members(c, m, &it);
	else
		is_json = false;
	has_ref = c->ref.p != NULL;
	if (has_ref && !is_ref(c->ref))
		c->ref = (struct str){ NULL, 0 };
	if (!is_json)
		*why = "A message is one JSON object with an `op`, nested "
		       "128 deep at most.";
	else if (has_ref && c->ref.p == NULL)
		*why = "`ref` is a string or a number, of 4 kB at most.";
	else
		return SW_OK;
	return SW_EINVAL;
}

int
command_read(struct command *c, struct str text, const char **why)
{
	struct members m = { .op = { NULL, 0 } };
	int err;

	*c = (struct command){ .op = COMMAND_PING };
	buf_init(&c->texts, COMMAND_TEXT_MAX + COMMAND_TOKEN_MAX + 2);
	if ((err = read_members(c, &m, text, why)) != SW_OK)
		return err;
	if (read_op(c, m.op) != SW_OK) {
		*why = "`op` is one of subscribe, unsubscribe, send, auth, "
		       "ping.";
		return SW_EINVAL;
	}
	if ((err = read_texts(c, &m, why)) != SW_OK)
		return err;
	c->has_seq = m.seq.p != NULL;
	if (c->has_seq && str_to_u64(&c->seq, m.seq, INT64_MAX) != SW_OK) {
		*why = "`seq` is a whole number, not negative.";
		return SW_EINVAL;
	}
	*why = missing(c);
	return *why == NULL ? SW_OK : SW_EINVAL;
}

void
command_fini(struct command *c)
{
	buf_fini(&c->texts);
}

int
command_answer_begin(struct buf *out, const char *op, struct str ref)
{
	buf_puts(out, "{\"op\":\"");
	buf_puts(out, op);
	buf_put(out, "\"", 1);
	if (ref.p != NULL) {
		buf_puts(out, ",\"ref\":");
		buf_put_str(out, ref);
	}
	return buf_error(out);
}

int
command_put_error(
    struct buf *out, struct str ref, const char *code, const char *message)
{
	command_answer_begin(out, "error", ref);
	buf_puts(out, ",\"code\":\"");
	buf_puts(out, code);
	buf_puts(out, "\",\"message\":");
	json_put_string(out, str_of(message));
	buf_put(out, "}", 1);
	return buf_error(out);
}
