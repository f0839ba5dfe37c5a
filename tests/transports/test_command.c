#include "transports/command.h"

#include "proxy/base/err.h"
#include "proxy/base/json.h"
#include "tests/bytes.h"
#include "tests/oom.h"
#include "tests/suite.h"

/* What was understood, as text. */
static struct buf
describe(const struct command *c)
{
	static const char *const ops[] = {
		[COMMAND_SUBSCRIBE] = "subscribe",
		[COMMAND_UNSUBSCRIBE] = "unsubscribe",
		[COMMAND_SEND] = "send",
		[COMMAND_AUTH] = "auth",
		[COMMAND_PING] = "ping",
	};
	const struct {
		const char *name;
		struct str value;
	} texts[] = {
		{ "channel", c->channel },
		{ "after", c->after },
		{ "token", c->token },
		{ "data", c->data },
		{ "ref", c->ref },
	};
	struct buf out;

	buf_init(&out, 1 << 16);
	buf_puts(&out, ops[c->op]);
	for (size_t i = 0; i < COUNT(texts); i++) {
		if (texts[i].value.p == NULL)
			continue;
		buf_printf(&out, " %s[", texts[i].name);
		buf_put_str(&out, texts[i].value);
		buf_puts(&out, "]");
	}
	if (c->has_seq) {
		buf_puts(&out, " seq ");
		buf_put_u64(&out, c->seq);
	}
	return out;
}

static const struct {
	const char *text, *found;
} commands[] = {
	{ "{\"op\":\"subscribe\",\"channel\":\"a\"}", "subscribe channel[a]" },
	{ "{\"op\":\"subscribe\",\"channel\":\"a\",\"after\":\"k3x9-1042\","
	  "\"ref\":1}",
	    "subscribe channel[a] after[k3x9-1042] ref[1]" },
	{ "{\"op\":\"unsubscribe\",\"channel\":\"room:7\"}",
	    "unsubscribe channel[room:7]" },
	{ "{\"op\":\"send\",\"channel\":\"a\",\"data\":{\"b\": [1, 2]},"
	  "\"seq\":17}",
	    "send channel[a] data[{\"b\": [1, 2]}] seq 17" },
	{ "{\"op\":\"auth\",\"token\":\"a.b.c\"}", "auth token[a.b.c]" },
	{ "{\"op\":\"ping\"}", "ping" },
	/* Any order, blanks, members that nobody knows. */
	{ " { \"x\" : null , \"ref\" : \"r\" ,\n\"op\" : \"ping\" } ",
	    "ping ref[\"r\"]" },
	/* `data` is any JSON, and stays as it is; `null` is something. */
	{ "{\"op\":\"send\",\"data\":null}", "send data[null]" },
	{ "{\"op\":\"send\",\"data\":1.00}", "send data[1.00]" },
	{ "{\"op\":\"send\",\"data\":\"\\u00e9\"}", "send data[\"\\u00e9\"]" },
	{ "{\"op\":\"send\",\"data\":12345678901234567890123}",
	    "send data[12345678901234567890123]" },
	{ "{\"op\":\"send\",\"data\":0,\"seq\":0}", "send data[0] seq 0" },
	{ "{\"op\":\"send\",\"data\":0,\"seq\":9223372036854775807}",
	    "send data[0] seq 9223372036854775807" },
	/* A ref is repeated as it was written. */
	{ "{\"op\":\"ping\",\"ref\":1.0e3}", "ping ref[1.0e3]" },
	{ "{\"op\":\"ping\",\"ref\":\"\\u0041\\n\"}",
	    "ping ref[\"\\u0041\\n\"]" },
	{ "{\"op\":\"ping\",\"ref\":\"\"}", "ping ref[\"\"]" },
	/* Escapes in names and texts. */
	{ "{\"\\u006fp\":\"p\\u0069ng\"}", "ping" },
	{ "{\"op\":\"subscribe\",\"channel\":\"\\u0061\\/b\",\"after\":\"\","
	  "\"token\":\"\\\"\"}",
	    "subscribe channel[a/b] after[] token[\"]" },
	/* The last one counts, as everywhere in JSON. */
	{ "{\"op\":\"send\",\"op\":\"ping\"}", "ping" },
	{ "{\"op\":\"auth\",\"token\":\"a\",\"token\":\"bc\"}",
	    "auth token[bc]" },
	/* What a command has no use for does no harm. */
	{ "{\"op\":\"ping\",\"channel\":\"a\",\"data\":1}",
	    "ping channel[a] data[1]" },
};

START_TEST(a_command_is_read)
{
	struct str text = str_of(commands[_i].text);
	char *copy = bytes_copy(text);
	const char *why = "";
	struct command c;
	struct buf found;

	ck_assert_int_eq(
	    command_read(&c, bytes_of(copy, text.len), &why), SW_OK);
	ck_assert_ptr_null(why);
	found = describe(&c);
	assert_text(buf_str(&found), commands[_i].found);
	buf_fini(&found);
	command_fini(&c);
	free(copy);
}
END_TEST

static const struct {
	struct str text;
	const char *ref; /* that the refusal repeats, or NULL */
} faults[] = {
	/* Not a JSON object. */
	{ BYTES(""), NULL },
	{ BYTES("ping"), NULL },
	{ BYTES("[]"), NULL },
	{ BYTES("\"ping\""), NULL },
	{ BYTES("{\"op\":\"ping\""), NULL },
	{ BYTES("{\"op\":\"ping\"}{}"), NULL },
	{ BYTES("{\"op\":\"ping\",}"), NULL },
	{ BYTES("{\"op\":\"p\xff\"}"), NULL },
	{ BYTES("{\"op\":\"ping\"}\0"), NULL },
	/* It is repeated where it came before the fault, and only then. */
	{ BYTES("{\"op\":\"ping\",\"ref\":7,}"), "7" },
	{ BYTES("{\"op\":\"ping\",\"ref\":7"), "7" },
	{ BYTES("{\"ref\":\"x\",\"data\":[1,}"), "\"x\"" },
	{ BYTES("{\"data\":[1,},\"ref\":7}"), NULL },
	{ BYTES("{\"data\":1,ref:7}"), NULL },
	{ BYTES("{\"data\":1,\"ref\" 7}"), NULL },
	{ BYTES("{\"op\":\"ping\",\"ref\":\"x"), NULL },
	{ BYTES("{\"op\":\"ping\",\"ref\":-}"), NULL },
	{ BYTES("{\"op\":\"ping\",\"ref\":\"p\xff\"}"), NULL },
	/* No `op`, or none that we know. */
	{ BYTES("{}"), NULL },
	{ BYTES("{\"ref\":7}"), "7" },
	{ BYTES("{\"op\":\"PING\",\"ref\":7}"), "7" },
	{ BYTES("{\"op\":\"pin\",\"ref\":7}"), "7" },
	{ BYTES("{\"op\":\"pings\",\"ref\":7}"), "7" },
	{ BYTES("{\"op\":\"\",\"ref\":7}"), "7" },
	{ BYTES("{\"op\":1,\"ref\":7}"), "7" },
	{ BYTES("{\"op\":null,\"ref\":7}"), "7" },
	{ BYTES("{\"op\":[\"ping\"],\"ref\":7}"), "7" },
	/* A `ref` that would be no news if it came back. */
	{ BYTES("{\"op\":\"ping\",\"ref\":null}"), NULL },
	{ BYTES("{\"op\":\"ping\",\"ref\":true}"), NULL },
	{ BYTES("{\"op\":\"ping\",\"ref\":[1]}"), NULL },
	{ BYTES("{\"op\":\"ping\",\"ref\":{}}"), NULL },
	/* What a command cannot do without. */
	{ BYTES("{\"op\":\"subscribe\",\"ref\":\"x\"}"), "\"x\"" },
	{ BYTES("{\"op\":\"unsubscribe\",\"ref\":\"x\"}"), "\"x\"" },
	{ BYTES("{\"op\":\"send\",\"channel\":\"a\",\"ref\":\"x\"}"), "\"x\"" },
	{ BYTES("{\"op\":\"auth\",\"ref\":\"x\"}"), "\"x\"" },
	/* Texts that are none. */
	{ BYTES("{\"op\":\"subscribe\",\"channel\":1,\"ref\":7}"), "7" },
	{ BYTES("{\"op\":\"subscribe\",\"channel\":null,\"ref\":7}"), "7" },
	{ BYTES("{\"op\":\"subscribe\",\"channel\":\"a\",\"after\":5,"
		"\"ref\":7}"),
	    "7" },
	{ BYTES("{\"op\":\"auth\",\"token\":{},\"ref\":7}"), "7" },
	/* Numbers that are none. */
	{ BYTES("{\"op\":\"send\",\"data\":1,\"seq\":-1,\"ref\":7}"), "7" },
	{ BYTES("{\"op\":\"send\",\"data\":1,\"seq\":1.0,\"ref\":7}"), "7" },
	{ BYTES("{\"op\":\"send\",\"data\":1,\"seq\":1e1,\"ref\":7}"), "7" },
	{ BYTES("{\"op\":\"send\",\"data\":1,\"seq\":\"1\",\"ref\":7}"), "7" },
	{ BYTES("{\"op\":\"send\",\"data\":1,\"seq\":null,\"ref\":7}"), "7" },
	{ BYTES("{\"op\":\"send\",\"data\":1,\"seq\":9223372036854775808,"
		"\"ref\":7}"),
	    "7" },
};

START_TEST(what_is_no_command_is_refused_with_its_ref)
{
	char *copy = bytes_copy(faults[_i].text);
	const char *why = NULL;
	struct command c;

	ck_assert_int_eq(
	    command_read(&c, bytes_of(copy, faults[_i].text.len), &why),
	    SW_EINVAL);
	ck_assert_ptr_nonnull(why);
	if (faults[_i].ref == NULL)
		ck_assert_ptr_null(c.ref.p);
	else
		assert_text(c.ref, faults[_i].ref);
	command_fini(&c);
	free(copy);
}
END_TEST

/* Whoever waits for the answer to what is too deep need not wait in vain. */
START_TEST(what_is_too_deep_is_refused_with_its_ref)
{
	for (size_t deep = JSON_DEPTH_MAX; deep <= JSON_DEPTH_MAX + 1; deep++) {
		struct buf text;
		const char *why = NULL;
		struct command c;
		bool fits = deep <= JSON_DEPTH_MAX;

		buf_init(&text, 1 << 20);
		buf_puts(&text, "{\"op\":\"send\",\"ref\":7,\"data\":");
		for (size_t i = 1; i < deep; i++)
			buf_puts(&text, "[");
		for (size_t i = 1; i < deep; i++)
			buf_puts(&text, "]");
		buf_puts(&text, "}");
		ck_assert_int_eq(command_read(&c, buf_str(&text), &why),
		    fits ? SW_OK : SW_EINVAL);
		ck_assert(fits || strstr(why, "128 deep") != NULL);
		assert_text(c.ref, "7");
		command_fini(&c);
		buf_fini(&text);
	}
}
END_TEST

/* {"op":"auth","token":"xxx..."} of so many bytes; the caller's. */
static struct buf
long_text(const char *before, size_t n, const char *behind)
{
	struct buf text;

	buf_init(&text, 1 << 20);
	buf_puts(&text, before);
	for (size_t i = 0; i < n; i++)
		buf_puts(&text, "x");
	buf_puts(&text, behind);
	return text;
}

START_TEST(texts_have_room_for_4_kb_together)
{
	/* Reserved as they stand there: with quotes, and one for the end. */
	size_t most = COMMAND_TEXT_MAX - 3;

	for (size_t n = most; n <= most + 1; n++) {
		struct buf text =
		    long_text("{\"op\":\"subscribe\",\"channel\":\"", n, "\"}");
		const char *why;
		struct command c;

		ck_assert_int_eq(command_read(&c, buf_str(&text), &why),
		    n == most ? SW_OK : SW_EINVAL);
		if (n == most)
			ck_assert_uint_eq(c.channel.len, n);
		command_fini(&c);
		buf_fini(&text);
	}
}
END_TEST

/* As large as it may be in a header, with all else that there may be. */
START_TEST(a_token_has_8_kb_of_its_own)
{
	size_t most = COMMAND_TOKEN_MAX;

	for (size_t n = most; n <= most + 1; n++) {
		struct buf text = long_text("{\"op\":\"auth\",\"channel\":\"",
		    COMMAND_TEXT_MAX - 3, "\",");
		struct buf token = long_text("\"token\":\"", n, "\"}");
		const char *why;
		struct command c;

		buf_put_str(&text, buf_str(&token));
		ck_assert_int_eq(command_read(&c, buf_str(&text), &why),
		    n == most ? SW_OK : SW_EINVAL);
		if (n == most)
			ck_assert_uint_eq(c.token.len, n);
		command_fini(&c);
		buf_fini(&token);
		buf_fini(&text);
	}
}
END_TEST

START_TEST(a_ref_has_4_kb_at_most)
{
	size_t most = COMMAND_TEXT_MAX - 2;

	for (size_t n = most; n <= most + 1; n++) {
		struct buf text =
		    long_text("{\"op\":\"ping\",\"ref\":\"", n, "\"}");
		const char *why;
		struct command c;

		ck_assert_int_eq(command_read(&c, buf_str(&text), &why),
		    n == most ? SW_OK : SW_EINVAL);
		if (n == most)
			ck_assert_uint_eq(c.ref.len, n + 2);
		else
			ck_assert_ptr_null(c.ref.p);
		command_fini(&c);
		buf_fini(&text);
	}
}
END_TEST

/* `data` may be as large as a message. */
START_TEST(data_has_no_limit_of_its_own)
{
	struct buf text =
	    long_text("{\"op\":\"send\",\"data\":\"", 500000, "\"}");
	const char *why;
	struct command c;

	ck_assert_int_eq(command_read(&c, buf_str(&text), &why), SW_OK);
	ck_assert_uint_eq(c.data.len, 500002);
	command_fini(&c);
	buf_fini(&text);
}
END_TEST

START_TEST(answers_repeat_the_ref)
{
	struct str none = { NULL, 0 };
	struct buf out;

	buf_init(&out, 1000);
	ck_assert_int_eq(command_answer_begin(&out, "ok", none), SW_OK);
	assert_text(buf_str(&out), "{\"op\":\"ok\"");
	buf_clear(&out);
	ck_assert_int_eq(
	    command_answer_begin(&out, "reply", STR("\"a\"")), SW_OK);
	assert_text(buf_str(&out), "{\"op\":\"reply\",\"ref\":\"a\"");
	buf_clear(&out);
	ck_assert_int_eq(
	    command_put_error(&out, STR("7"), "forbidden", "a \"reason\""),
	    SW_OK);
	assert_text(buf_str(&out),
	    "{\"op\":\"error\",\"ref\":7,\"code\":\"forbidden\","
	    "\"message\":\"a \\\"reason\\\"\"}");
	ck_assert(json_valid(buf_str(&out)));
	buf_fini(&out);
}
END_TEST

START_TEST(half_an_answer_is_an_error)
{
	size_t whole = strlen("{\"op\":\"error\",\"ref\":7,\"code\":\"c\","
			      "\"message\":\"m\"}");

	for (size_t max = 0; max <= whole; max++) {
		struct buf out;

		buf_init(&out, max);
		ck_assert_int_eq(command_put_error(&out, STR("7"), "c", "m"),
		    max == whole ? SW_OK : SW_ELIMIT);
		buf_fini(&out);
	}
}
END_TEST

static int
memory_story(void *arg)
{
	static const char text[] =
	    "{\"op\":\"subscribe\",\"channel\":\"a\",\"after\":\"start\"}";
	const char *why;
	struct command c;
	struct buf out;
	int err = command_read(&c, STR(text), &why);

	(void)arg;
	buf_init(&out, 1000);
	if (err == SW_OK)
		err = command_put_error(&out, STR("\"a long enough one\""),
		    "forbidden", "with a message that needs more room");
	buf_fini(&out);
	command_fini(&c);
	return err;
}

START_TEST(memory_may_run_out)
{
	oom_tell(memory_story, NULL);
}
END_TEST

SUITE("command", LOOP(a_command_is_read, COUNT(commands)),
    LOOP(what_is_no_command_is_refused_with_its_ref, COUNT(faults)),
    TEST(what_is_too_deep_is_refused_with_its_ref),
    TEST(texts_have_room_for_4_kb_together), TEST(a_token_has_8_kb_of_its_own),
    TEST(a_ref_has_4_kb_at_most), TEST(data_has_no_limit_of_its_own),
    TEST(answers_repeat_the_ref), TEST(half_an_answer_is_an_error),
    TEST(memory_may_run_out))
