#include "proxy/publish/send.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/auth/auth.h"
#include "proxy/base/err.h"
#include "proxy/base/json.h"
#include "proxy/base/utf8.h"
#include "proxy/bridge/bridge.h"
#include "proxy/bridge/bridge_outbox.h"
#include "proxy/worker.h"

/* The media type without its parameters. */
static struct str
media_type(struct str type)
{
	struct str media;

	str_cut(&type, ';', &media);
	return str_trim(media);
}

static bool
is_json_type(struct str media)
{
	static const char suffix[] = "+json";
	size_t n = sizeof(suffix) - 1;

	return str_is_nocase(media, "application/json") ||
	    (media.len > n &&
		strncasecmp(media.p + media.len - n, suffix, n) == 0);
}

static bool
is_text_type(struct str media)
{
	return media.len > 5 && strncasecmp(media.p, "text/", 5) == 0;
}

bool
content_is_json(struct str type)
{
	return is_json_type(media_type(type));
}

struct str
content_tellable(struct str type)
{
	if (utf8_valid(type.p, type.len))
		return type;
	type = media_type(type);
	return utf8_valid(type.p, type.len) ? type : CONTENT_BINARY;
}

int
content_classify(struct str data, struct str *type, enum event_kind *kind)
{
	struct str media;

	*type = content_tellable(*type);
	media = type->p == NULL ? STR("") : media_type(*type);
	if (media.len == 0 ||
	    str_is_nocase(media, "application/x-www-form-urlencoded")) {
		*kind = json_valid(data)         ? EVENT_JSON :
		    utf8_valid(data.p, data.len) ? EVENT_TEXT :
						   EVENT_BINARY;
		*type = *kind == EVENT_BINARY ? CONTENT_BINARY : STR("");
		return SW_OK;
	}
	if (is_json_type(media)) {
		if (!json_valid(data))
			return SW_EINVAL;
		*kind = EVENT_JSON;
		if (str_is_nocase(media, "application/json"))
			*type = STR("");
		return SW_OK;
	}
	*kind = utf8_valid(data.p, data.len) && is_text_type(media) ?
	    EVENT_TEXT :
	    EVENT_BINARY;
	if (*kind == EVENT_TEXT && str_is_nocase(media, "text/plain"))
		*type = STR("");
	return SW_OK;
}

const char content_coded_help[] =
    "Publish the body as it is, without a Content-Encoding.";

bool
content_is_coded(const struct request *r)
{
	struct str coding = request_header(r, "Content-Encoding");

	return coding.p != NULL && !str_is_nocase(coding, "identity");
}

int
event_type_check(struct str *type)
{
	if (type->p == NULL || str_is(*type, "message")) {
		*type = STR("");
		return SW_OK;
	}
	if (type->len == 0 || type->len > EVENT_TYPE_MAX ||
	    str_starts(*type, "spillway.") || !utf8_valid(type->p, type->len))
		return SW_EINVAL;
	for (size_t i = 0; i < type->len; i++)
		if ((unsigned char)type->p[i] < 0x20 || type->p[i] == 0x7f)
			return SW_EINVAL;
	return SW_OK;
}

/*
 * A retry of the same `seq` in the same session is published once: that of the
 * same user, since a session is no secret.
 */
static int
seq_key(const struct client_message *m, char **out)
{
	const char *user = grant_user(m->grant);

	*out = NULL;
	if (!m->has_seq || m->session == NULL)
		return SW_OK;
	if (user == NULL)
		user = "";
	return asprintf(out, "session:%zu:%s:%s:%" PRIu64, strlen(user), user,
		   m->session, m->seq) < 0 ?
	    SW_ENOMEM :
	    SW_OK;
}

static int
publish(struct worker *w, const struct client_message *m, struct channel *c)
{
	struct str type = m->content_type;
	enum event_kind kind;
	struct append *a;
	int err;

	if ((err = content_classify(m->data, &type, &kind)) != SW_OK)
		return err;
	a = append_new(1);
	if (a == NULL)
		return SW_ENOMEM;
	a->done = m->done;
	a->owner = m->owner;
	if ((err = event_new(&a->items[0].event, c, kind, STR(""), type,
		 m->data.len)) != SW_OK ||
	    (err = seq_key(m, &a->items[0].key)) != SW_OK)
		goto fail;
	if (m->data.len > 0)
		memcpy(
		    event_payload(a->items[0].event), m->data.p, m->data.len);
	if ((err = worker_append(w, a)) != SW_OK)
		goto fail;
	return SW_OK;

fail:
	append_free(a);
	return err;
}

static int
tell_backend(
    struct worker *w, const struct client_message *m, enum message_mode mode)
{
	char address[ADDRESS_TEXT];
	struct bridge_ask ask = {
		.event = {
			.kind = BRIDGE_MESSAGE,
			.connection = m->connection,
			.transport = m->transport,
			.address = str_of(address_print(m->peer, address)),
			.channel = m->channel,
			.user = str_of(grant_user(m->grant)),
			.session = str_of(m->session),
			.has_seq = m->has_seq,
			.seq = m->seq,
			.content_type = m->content_type.p != NULL ?
			    m->content_type :
			    m->assumed_type,
			.data = m->data,
			.forwarded = m->forwarded,
		},
		.answered = m->answered,
		.owner = m->owner,
	};
	int err;

	if (mode == MESSAGE_QUEUE)
		return bridge_post(w->bridge, &ask);
	if (m->lane != NULL && *m->lane == NULL &&
	    (err = bridge_lane_new(m->lane, w->bridge)) != SW_OK)
		return err;
	ask.lane = m->lane == NULL ? NULL : *m->lane;
	return bridge_tell(w->bridge, &ask);
}

enum send_outcome
client_send(struct worker *w, const struct client_message *m, int *err,
    const char **why)
{
	static const char too_large[] = "The message is above message-max.";
	enum send_outcome outcome = SEND_REFUSED;
	struct channel *c;

	METRIC_ADD(w->metrics.messages, 1);
	*why = NULL;
	if ((*err = auth_may(w->conf, m->grant, AUTH_SEND, m->channel, why)) !=
	    SW_OK) {
		METRIC_ADD(
		    w->metrics.refused[*err == SW_EAUTH ? REFUSED_UNAUTHORIZED :
							  REFUSED_FORBIDDEN],
		    1);
		return SEND_REFUSED;
	}
	if ((*err = channels_get(&c, w->channels, m->channel)) != SW_OK) {
		*why = *err == SW_EINVAL ? "A channel's name has 1 to 128 "
					   "characters of A-Z a-z 0-9 . _ ~ "
					   ": -" :
					   err_info(*err)->sentence;
		if (*err == SW_ELIMIT) {
			METRIC_LIMIT(w, LIMIT_CHANNELS);
			*err = SW_EBUSY;
			*why = channels_too_many;
		}
		return SEND_REFUSED;
	}
	switch (channel_policy(c)->send) {
	case SEND_OFF:
		*err = SW_EFORBIDDEN;
		*why = "Sending is off for this channel; the operator sets "
		       "`send` in a channel block.";
		break;
	case SEND_ECHO:
		outcome = SEND_ECHOED;
		break;
	case SEND_BRIDGE:
		if (m->data.len > w->conf->message_max) {
			METRIC_LIMIT(w, LIMIT_MESSAGE);
			*err = SW_ELIMIT;
			*why = too_large;
		} else if ((*err = tell_backend(w, m,
				channel_policy(c)->message_mode)) == SW_OK) {
			outcome = SEND_QUEUED;
		} else {
			*why = *err == SW_EBUSY ?
			    "Too many messages wait for the backend." :
			    err_info(*err)->sentence;
		}
		break;
	case SEND_PUBLISH:
		if (m->data.len > w->conf->message_max) {
			METRIC_LIMIT(w, LIMIT_MESSAGE);
			*err = SW_ELIMIT;
			*why = too_large;
		} else if ((*err = publish(w, m, c)) == SW_OK) {
			outcome = SEND_QUEUED;
		} else {
			*why = *err == SW_EINVAL ?
			    "The body is not the JSON that its type says." :
			    err_info(*err)->sentence;
		}
		break;
	}
	channel_unref(c);
	return outcome;
}
