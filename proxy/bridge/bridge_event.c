#include "proxy/bridge/bridge_event.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "conf/check_backend.h"
#include "proxy/auth/origin.h"
#include "proxy/base/digest.h"
#include "proxy/base/err.h"

static const char *const kind_names[BRIDGE_KINDS] = {
	[BRIDGE_CONNECT] = "spillway.connect",
	[BRIDGE_MESSAGE] = "spillway.message",
	[BRIDGE_SUBSCRIBE] = "spillway.subscribe",
	[BRIDGE_UNSUBSCRIBE] = "spillway.unsubscribe",
	[BRIDGE_DISCONNECT] = "spillway.disconnect",
};

const char *
bridge_kind_name(enum bridge_kind kind)
{
	return kind_names[kind];
}

/* A header whose value is what was appended to the text since `start`. */
static void
take_header(struct bridge_head *h, struct str name, size_t start)
{
	/* There is room for all, so the text does not move. */
	if (h->count < BRIDGE_HEADERS_MAX)
		h->headers[h->count++] = (struct header){
			.name = name,
			.value = { (const char *)buf_head(&h->text) + start,
			    buf_len(&h->text) - start },
		};
}

static void
put_text(struct bridge_head *h, const char *name, struct str value)
{
	size_t start = buf_len(&h->text);

	buf_put_str(&h->text, value);
	take_header(h, str_of(name), start);
}

/*
 * An attribute (HTTP protocol binding 3.1.3.2): blanks, quotes, per cents and
 * all that is not printable ASCII are percent-encoded.
 */
static void
put_attribute(struct bridge_head *h, const char *name, struct str value)
{
	size_t start = buf_len(&h->text);

	if (value.p == NULL)
		return;
	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = (unsigned char)value.p[i];

		if (c <= ' ' || c > '~' || c == '"' || c == '%')
			buf_printf(&h->text, "%%%02X", c);
		else
			buf_put(&h->text, &value.p[i], 1);
	}
	take_header(h, str_of(name), start);
}

static void
put_number(struct bridge_head *h, const char *name, uint64_t value)
{
	size_t start = buf_len(&h->text);

	buf_put_u64(&h->text, value);
	take_header(h, str_of(name), start);
}

/* RFC 3339, with milliseconds. */
static void
put_time(struct bridge_head *h, uint64_t unix_ms)
{
	size_t start = buf_len(&h->text);
	time_t seconds = (time_t)(unix_ms / 1000);
	char text[32];
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	buf_printf(&h->text, "%s.%03uZ", text, (unsigned)(unix_ms % 1000));
	take_header(h, STR("ce-time"), start);
}

/* Where it happened: a URI-reference, as a source has to be. */
static void
put_source(struct bridge_head *h, const struct bridge_event *e)
{
	size_t start = buf_len(&h->text);

	buf_puts(&h->text, "/stream/");
	if (e->channel.p != NULL)
		buf_put_str(&h->text, e->channel);
	take_header(h, STR("ce-source"), start);
}

/* The secret is base64, with or without its prefix: the configuration's care */
static int
key_of(struct buf *out, const char *secret)
{
	struct str text = str_of(secret);

	if (str_starts(text, "whsec_"))
		text = (struct str){ text.p + 6, text.len - 6 };
	return base64_decode(out, text);
}

/* "v1,BASE64" of "ID.TIMESTAMP.BODY" for each secret, blanks between. */
static int
put_signature(struct bridge_head *h, const struct bridge_event *e,
    struct str timestamp, char *const *secrets, size_t count)
{
	const struct str pieces[] = { e->id, STR("."), timestamp, STR("."),
		e->data };
	size_t start = buf_len(&h->text);
	int err = SW_OK;

	for (size_t i = 0; i < count && err == SW_OK; i++) {
		char text[BASE64_LENGTH(HMAC_SIZE)];
		uint8_t code[HMAC_SIZE];
		struct buf key;

		buf_init(&key, 1024);
		err = key_of(&key, secrets[i]);
		if (err == SW_OK)
			err = digest_hmac(code, buf_str(&key), pieces,
			    sizeof(pieces) / sizeof(pieces[0]));
		buf_fini(&key);
		base64_encode(text, code, sizeof(code));
		buf_puts(&h->text, i == 0 ? "v1," : " v1,");
		buf_put(&h->text, text, sizeof(text));
	}
	if (count > 0)
		take_header(h, STR("webhook-signature"), start);
	return err;
}

static void
put_forwarded(struct bridge_head *h, struct str lines)
{
	struct str line, name;

	while (str_cut(&lines, '\n', &line))
		if (line.len > 0 && str_cut(&line, ':', &name) &&
		    h->count < BRIDGE_HEADERS_MAX)
			h->headers[h->count++] = (struct header){
				.name = name,
				.value = line,
			};
}

/* Text of all headers at most, so that it never moves. */
static size_t
room_for(const struct bridge_event *e, size_t secrets)
{
	return 1024 + 2 * e->id.len + e->channel.len +
	    3 *
	    (e->transport.len + e->address.len + e->channel.len + e->user.len +
		e->session.len) +
	    e->content_type.len + secrets * (BASE64_LENGTH(HMAC_SIZE) + 4);
}

int
bridge_head_make(struct bridge_head *h, const struct bridge_event *e,
    uint64_t now_ms, char *const *secrets, size_t secret_count)
{
	int err;

	h->count = 0;
	buf_init(&h->text, SIZE_MAX / 2);
	err = buf_reserve(&h->text, room_for(e, secret_count));
	if (err != SW_OK)
		return err;
	put_text(h, "ce-specversion", STR("1.0"));
	put_text(h, "ce-id", e->id);
	put_text(h, "ce-type", str_of(kind_names[e->kind]));
	put_source(h, e);
	put_time(h, e->time_ms);
	put_attribute(h, "ce-channel", e->channel);
	put_number(h, "ce-connection", e->connection);
	put_attribute(h, "ce-transport", e->transport);
	put_attribute(h, "ce-address", e->address);
	put_attribute(h, "ce-user", e->user);
	put_attribute(h, "ce-session", e->session);
	if (e->has_seq)
		put_number(h, "ce-seq", e->seq);
	if (e->content_type.p != NULL)
		put_text(h, "Content-Type", e->content_type);
	put_text(h, "webhook-id", e->id);
	put_number(h, "webhook-timestamp", now_ms / 1000);
	err = put_signature(
	    h, e, h->headers[h->count - 1].value, secrets, secret_count);
	put_forwarded(h, e->forwarded);
	return err != SW_OK ? err : buf_error(&h->text);
}

void
bridge_head_fini(struct bridge_head *h)
{
	buf_fini(&h->text);
}

static bool
is_named(const struct conf *conf, struct str name)
{
	for (size_t i = 0; i < conf->bridge_header_count; i++)
		if (str_is_nocase(name, conf->bridge_header[i]))
			return true;
	return false;
}

int
bridge_forward_put(
    struct buf *out, const struct conf *conf, const struct request *r)
{
	/* A browser adds them by itself, whosever page it is that asks. */
	bool cookies = origin_trusts_cookies(origin_judge(conf, r));

	for (size_t i = 0; i < r->header_count; i++) {
		const struct header *h = &r->headers[i];

		if (!is_named(conf, h->name) ||
		    !bridge_header_passes(h->name) ||
		    (!cookies && str_is_nocase(h->name, "Cookie")))
			continue;
		buf_put_str(out, h->name);
		buf_puts(out, ":");
		buf_put_str(out, h->value);
		buf_puts(out, "\n");
	}
	return buf_error(out);
}

int
bridge_forward_keep(
    char **out, const struct conf *conf, const struct request *r)
{
	struct buf text;
	size_t len;
	int err;

	buf_init(&text, 1 << 16);
	bridge_forward_put(&text, conf, r);
	if (buf_len(&text) > 0)
		buf_put(&text, "", 1);
	err = buf_error(&text);
	if (err == SW_OK && buf_len(&text) > 0)
		*out = (char *)buf_take(&text, &len);
	buf_fini(&text);
	return err;
}
