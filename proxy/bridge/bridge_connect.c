#include "proxy/bridge/bridge_connect.h"

#include <stdlib.h>

#include "proxy/base/err.h"
#include "proxy/base/json.h"
#include "proxy/bridge/bridge_outbox.h"
#include "proxy/worker.h"

enum {
	BODY_MAX = 1 << 20,
	META_MAX = 4096,
	PATTERNS_MAX = 10000,
};

bool
bridge_connect_needed(const struct conf *conf, const struct grant *g,
    const struct str *channels, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (conf_policy(conf, channels[i])->bridge_connect &&
		    (g == NULL || g->granted == NULL ||
			!patterns_match(&g->granted->subscribe, channels[i])))
			return true;
	return false;
}

bool
bridge_connect_is_told(
    const struct conf *conf, const struct str *channels, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (conf_policy(conf, channels[i])->bridge_presence)
			return true;
	return false;
}

/* What it will have should there be no time to tell of its end. */
static int
leave_will(struct bridge *b, const struct connect_ask *a,
    const struct bridge_ask *connect)
{
	const struct conf *conf = bridge_worker(b)->conf;
	struct bridge_ask ask = *connect;
	struct buf body;
	size_t count = 0;
	int err;

	ask.event.kind = BRIDGE_DISCONNECT;
	buf_init(&body, BODY_MAX);
	buf_puts(&body, "{\"reason\":\"crash\",\"channels\":[");
	for (size_t i = 0; i < a->channel_count; i++) {
		if (!conf_policy(conf, a->channels[i])->bridge_presence)
			continue;
		if (count++ > 0)
			buf_puts(&body, ",");
		json_put_string(&body, a->channels[i]);
		ask.event.channel = a->channels[i];
	}
	buf_puts(&body, "]}");
	if (count != 1)
		ask.event.channel = (struct str){ NULL, 0 };
	err = buf_error(&body);
	ask.event.data = buf_str(&body);
	if (err == SW_OK)
		err = bridge_post_will(b, &ask, false);
	buf_fini(&body);
	return err;
}

int
bridge_connect_ask(struct bridge *b, const struct connect_ask *a)
{
	char address[ADDRESS_TEXT];
	struct bridge_ask ask = {
		.lane = a->lane,
		.event = {
			.kind = BRIDGE_CONNECT,
			.connection = a->connection,
			.transport = a->transport,
			.address = str_of(address_print(a->peer, address)),
			.user = str_of(grant_user(a->grant)),
			.session = a->session,
			.content_type = STR("application/json"),
			.forwarded = a->forwarded,
		},
		.answered = a->answered,
		.owner = a->owner,
	};
	struct buf body;
	int err;

	if (a->channel_count == 1)
		ask.event.channel = a->channels[0];
	buf_init(&body, BODY_MAX);
	buf_puts(&body, "{\"channels\":[");
	for (size_t i = 0; i < a->channel_count; i++) {
		if (i > 0)
			buf_puts(&body, ",");
		json_put_string(&body, a->channels[i]);
	}
	buf_puts(&body, "]}");
	err = buf_error(&body);
	ask.event.data = buf_str(&body);
	if (err == SW_OK && a->leaves_will)
		err = leave_will(b, a, &ask);
	if (err == SW_OK)
		err = bridge_tell(b, &ask);
	buf_fini(&body);
	return err;
}

/* The answer. */

static int
read_channels(struct granted *g, struct str value)
{
	struct str key, list, subscribe = { NULL, 0 }, send = { NULL, 0 };
	struct json_iter it;
	int err;

	if (json_type(value) == JSON_ARRAY)
		return patterns_read(&g->subscribe, value);
	if (!json_object(&it, value))
		return SW_EINVAL;
	while (json_member(&it, &key, &list))
		if (json_is(key, "subscribe"))
			subscribe = list;
		else if (json_is(key, "send"))
			send = list;
	if ((err = patterns_read(&g->subscribe, subscribe)) == SW_OK)
		err = patterns_read(&g->send, send);
	return err;
}

static int
read_member(struct granted *g, struct str key, struct str value, bool *named)
{
	if (json_type(value) == JSON_NULL)
		return SW_OK;
	if (json_is(key, "user")) {
		free(g->user);
		g->user = NULL;
		return json_type(value) == JSON_STRING ?
		    token_copy_string(&g->user, value, TOKEN_USER_MAX) :
		    SW_EINVAL;
	}
	if (json_is(key, "channels")) {
		*named = true;
		return read_channels(g, value);
	}
	if (json_is(key, "expires"))
		return str_to_u64(&g->expires_ms, value, INT64_MAX) == SW_OK ?
		    SW_OK :
		    SW_EINVAL;
	if (!json_is(key, "meta"))
		return SW_OK;
	if (value.len > META_MAX)
		return SW_EINVAL;
	free(g->meta);
	g->meta = strndup(value.p, value.len);
	return g->meta == NULL ? SW_ENOMEM : SW_OK;
}

/* More than yes, whatever type it is sent with; perhaps it cannot be read. */
static bool
says_more(const struct bridge_answer *a)
{
	size_t blanks = 0;

	if (a->outcome != BRIDGE_REPLY)
		return false;
	while (blanks < a->data.len &&
	    memchr(" \t\r\n", a->data.p[blanks], 4) != NULL)
		blanks++;
	return a->garbled || (blanks < a->data.len && a->data.p[blanks] == '{');
}

static int
read_answer(struct granted *g, const struct bridge_answer *a,
    const struct str *channels, size_t count)
{
	struct str key, value;
	struct json_iter it;
	bool named = false;
	int err = SW_OK;

	/* A backend that says "ok" in whatever form says enough. */
	if (says_more(a)) {
		if (!json_valid(a->data) || !json_object(&it, a->data))
			return SW_EINVAL;
		while (err == SW_OK && json_member(&it, &key, &value))
			err = read_member(g, key, value, &named);
	}
	for (size_t i = 0; i < count && err == SW_OK && !named; i++)
		err = patterns_add(&g->subscribe, channels[i]);
	return err;
}

/* One that asks for ever new channels has to begin anew some time. */
static bool
is_too_much(const struct granted *g, const struct granted *more)
{
	return g->subscribe.count + more->subscribe.count > PATTERNS_MAX ||
	    g->send.count + more->send.count > PATTERNS_MAX;
}

/* What was granted before stays, and what is said anew is added. */
static int
add(struct granted **granted, const struct bridge_answer *a,
    const struct str *channels, size_t count)
{
	struct granted *g = *granted, *more = calloc(1, sizeof(*more));
	int err = SW_ENOMEM;

	if (g == NULL)
		g = calloc(1, sizeof(*g));
	if (g != NULL && more != NULL) {
		more->expires_ms = g->expires_ms;
		err = read_answer(more, a, channels, count);
	}
	if (err == SW_OK && is_too_much(g, more))
		err = SW_EINVAL;
	if (err == SW_OK)
		err = granted_merge(g, more);
	if (err == SW_OK)
		*granted = g;
	else if (*granted == NULL)
		granted_free(g);
	granted_free(more);
	return err;
}

static int
refuse(const char **why, int *status, int err)
{
	*why = err == SW_ENOMEM ?
	    err_info(err)->sentence :
	    "What the backend grants cannot be understood.";
	err = err == SW_ENOMEM ? err : SW_EBACKEND;
	*status = err_info(err)->http_status;
	return err;
}

int
bridge_connect_take(struct grant **grant, const struct bridge_answer *a,
    const struct str *channels, size_t count, const char **why, int *status)
{
	struct grant *g = *grant;
	int err;

	if (a->outcome == BRIDGE_REFUSED) {
		*why = a->detail;
		*status = a->status;
		return a->err;
	}
	if (g == NULL) {
		if ((g = calloc(1, sizeof(*g))) == NULL)
			return refuse(why, status, SW_ENOMEM);
		g->tokenless = true;
		*grant = g;
	}
	/* What cannot be understood grants nothing, not even a part of it. */
	err = add(&g->granted, a, channels, count);
	return err == SW_OK ? SW_OK : refuse(why, status, err);
}
