#include "proxy/publish/draft.h"

#include <stdlib.h>

#include "proxy/api/api.h"
#include "proxy/base/digest.h"
#include "proxy/base/err.h"
#include "proxy/base/json.h"
#include "proxy/publish/send.h"
#include "proxy/worker.h"

enum { KEY_MAX = 255 };

void
draft_init(struct draft *d, size_t max)
{
	*d = (struct draft){ .is_json = false };
	buf_init(&d->texts, max);
}

void
draft_fini(struct draft *d)
{
	buf_fini(&d->texts);
}

bool
draft_fault(struct refusal *f, int status, const char *detail)
{
	*f = (struct refusal){ status, detail };
	return false;
}

/* The channel, type, key and kind; then the event itself. */
bool
draft_event(struct draft *d, struct worker *w, struct append_item *item,
    struct refusal *f)
{
	struct channel *channel;
	enum event_kind kind = EVENT_JSON;
	struct str type = d->content_type;
	int err;

	if (!channel_name_valid(d->channel))
		return draft_fault(f, 400,
		    "`channel` has 1 to 128 characters of A-Z a-z 0-9 . _ ~ "
		    ": -");
	if (event_type_check(&d->type) != SW_OK)
		return draft_fault(f, 400,
		    "The type has 1 to 128 bytes of text and does not begin "
		    "with `spillway.`.");
	/* A NUL would end it, and make it another one's. */
	if (d->key.p != NULL &&
	    (d->key.len == 0 || d->key.len > KEY_MAX ||
		memchr(d->key.p, '\0', d->key.len) != NULL))
		return draft_fault(
		    f, 400, "The key has 1 to 255 characters, none of them 0.");
	if (type.p != NULL && type.len > EVENT_CONTENT_TYPE_MAX)
		return draft_fault(
		    f, 400, "The content type is above 255 characters.");
	if (d->data.len > w->conf->message_max) {
		METRIC_LIMIT(w, LIMIT_MESSAGE);
		return draft_fault(f, 413, "The data is above message-max.");
	}
	if (d->is_json && type.p == NULL)
		type = STR("");
	else if (content_classify(d->data, &type, &kind) != SW_OK)
		return draft_fault(
		    f, 400, "The body is not the JSON that its type says.");
	err = api_channel(w, d->channel, &channel);
	if (err == SW_ELIMIT) {
		METRIC_LIMIT(w, LIMIT_CHANNELS);
		return draft_fault(f, 503, channels_too_many);
	}
	if (err != SW_OK)
		return draft_fault(f, 503, err_info(err)->sentence);
	err =
	    event_new(&item->event, channel, kind, d->type, type, d->data.len);
	channel_unref(channel);
	if (err == SW_OK && d->key.p != NULL &&
	    (item->key = strndup(d->key.p, d->key.len)) == NULL)
		err = SW_ENOMEM;
	if (err != SW_OK)
		return draft_fault(f, 503, err_info(err)->sentence);
	if (d->data.len > 0)
		memcpy(event_payload(item->event), d->data.p, d->data.len);
	return true;
}

/* CloudEvents 1.0. */

static const char source_key_help[] =
    "A CloudEvent has `specversion` 1.0 and texts `id`, `source` (a "
    "URI-reference) and `type`.";

static bool
is_source(struct str s)
{
	for (const char *p = s.p; p < s.p + s.len; p++)
		if ((unsigned char)*p <= ' ')
			return false;
	return s.len > 0;
}

/*
 * `source` and `id` together are unique, which is what makes a key: a blank
 * ends the source, which is a URI-reference and has none.
 */
static bool
cloud_key(struct draft *d, struct str source, struct str id)
{
	size_t start = buf_len(&d->texts);

	if (buf_put_str(&d->texts, source) != SW_OK ||
	    buf_put(&d->texts, " ", 1) != SW_OK ||
	    buf_put_str(&d->texts, id) != SW_OK)
		return false;
	d->key = (struct str){ (char *)buf_head(&d->texts) + start,
		buf_len(&d->texts) - start };
	return true;
}

/*
 * An attribute's text, from its header: unquoted, then percent-decoded once
 * (HTTP binding 3.1.3.2). False if it is empty, or broken.
 */
static bool
cloud_header(
    struct draft *d, const struct request *r, const char *name, struct str *out)
{
	struct str value = request_header(r, name);
	size_t start = buf_len(&d->texts);
	struct buf plain;
	int err;

	buf_init(&plain, value.len + 1);
	if (value.len >= 2 && value.p[0] == '"' &&
	    value.p[value.len - 1] == '"') {
		value = (struct str){ value.p + 1, value.len - 2 };
		for (size_t i = 0; i < value.len; i++) {
			i += value.p[i] == '\\' && i + 1 < value.len;
			buf_put(&plain, value.p + i, 1);
		}
		value = buf_str(&plain);
	}
	err = percent_decode(&d->texts, value, false);
	if (buf_error(&plain) != SW_OK)
		err = buf_error(&plain);
	buf_fini(&plain);
	*out = (struct str){ (char *)buf_head(&d->texts) + start,
		buf_len(&d->texts) - start };
	return err == SW_OK && out->len > 0;
}

/* Binary mode: attributes in `ce-` headers, data in the body. */
bool
draft_read_cloud_headers(struct exchange *x, struct draft *d, struct refusal *f)
{
	const struct request *r = &x->request;
	struct str id, source;

	/* Everything fits: texts are never longer than in their headers. */
	if (buf_reserve(&d->texts,
		2 * request_header(r, "ce-id").len +
		    2 * request_header(r, "ce-source").len +
		    request_header(r, "ce-type").len + 2) != SW_OK)
		return draft_fault(f, 503, err_info(SW_ENOMEM)->sentence);
	if (!str_is(request_header(r, "ce-specversion"), "1.0") ||
	    !cloud_header(d, r, "ce-id", &id) ||
	    !cloud_header(d, r, "ce-source", &source) ||
	    !cloud_header(d, r, "ce-type", &d->type) || !is_source(source))
		return draft_fault(f, 400, source_key_help);
	if (!cloud_key(d, source, id))
		return draft_fault(f, 503, err_info(SW_ENOMEM)->sentence);
	/* Without data there is nothing that a type could say of it. */
	if (d->data.len == 0)
		d->content_type = (struct str){ NULL, 0 };
	return true;
}

/* A string member's text, copied; p stays NULL if it is none. */
bool
draft_text(struct draft *d, struct str raw, struct str *out)
{
	size_t start = buf_len(&d->texts);

	if (raw.p == NULL || json_type(raw) != JSON_STRING ||
	    json_unescape(&d->texts, raw) != SW_OK)
		return false;
	*out = (struct str){ (char *)buf_head(&d->texts) + start,
		buf_len(&d->texts) - start };
	return true;
}

/* {"channel":...,"type":...,"data":...,"key":...} */
bool
draft_read_object(struct draft *d, struct str line, struct refusal *f)
{
	struct str channel = { NULL, 0 }, type = { NULL, 0 }, key = { NULL, 0 },
		   member, value;
	struct json_iter it;

	if (!json_valid(line) || !json_object(&it, line))
		return draft_fault(f, 400, "is not a JSON object");
	while (json_member(&it, &member, &value)) {
		if (json_is(member, "channel"))
			channel = value;
		else if (json_is(member, "type"))
			type = value;
		else if (json_is(member, "key"))
			key = value;
		else if (json_is(member, "data"))
			d->data = value;
		else
			return draft_fault(f, 400,
			    "has a member other than channel, type, data "
			    "and key");
	}
	if (buf_reserve(&d->texts, channel.len + type.len + key.len + 1) !=
	    SW_OK)
		return draft_fault(f, 503, err_info(SW_ENOMEM)->sentence);
	if ((channel.p != NULL || d->channel.p == NULL) &&
	    !draft_text(d, channel, &d->channel))
		return draft_fault(f, 400, "has no text `channel`");
	if (type.p != NULL && !draft_text(d, type, &d->type))
		return draft_fault(f, 400, "has a `type` that is not a text");
	if (key.p != NULL && !draft_text(d, key, &d->key))
		return draft_fault(f, 400, "has a `key` that is not a text");
	if (d->data.p == NULL)
		return draft_fault(f, 400, "has no `data`");
	d->is_json = true;
	return true;
}

struct cloud {
	struct str specversion, id, source, type, datacontenttype, data,
	    data_base64;
};

static bool
find_cloud_members(struct str text, struct cloud *c)
{
	const struct {
		const char *name;
		struct str *value;
	} known[] = {
		{ "specversion", &c->specversion },
		{ "id", &c->id },
		{ "source", &c->source },
		{ "type", &c->type },
		{ "datacontenttype", &c->datacontenttype },
		{ "data", &c->data },
		{ "data_base64", &c->data_base64 },
	};
	struct json_iter it;
	struct str key, value;

	*c = (struct cloud){ .id = { NULL, 0 } };
	if (!json_object(&it, text))
		return false;
	/* JSON format 2.2: what is null might as well not be there. */
	while (json_member(&it, &key, &value))
		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			if (json_is(key, known[i].name) &&
			    (json_type(value) != JSON_NULL ||
				known[i].value == &c->data))
				*known[i].value = value;
	return true;
}

/* Data of a structured event: any JSON, text as a string, or base64. */
static bool
read_cloud_data(struct draft *d, const struct cloud *c, struct refusal *f)
{
	size_t start = buf_len(&d->texts);

	if (c->data_base64.p != NULL) {
		struct str raw = c->data_base64;

		if (json_type(raw) != JSON_STRING || raw.len < 2 ||
		    base64_decode(&d->texts,
			(struct str){ raw.p + 1, raw.len - 2 }) != SW_OK)
			return draft_fault(
			    f, 400, "`data_base64` is not base64.");
		d->data = (struct str){ (char *)buf_head(&d->texts) + start,
			buf_len(&d->texts) - start };
		return true;
	}
	/* Without data there is nothing that a type could say of it. */
	if (c->data.p == NULL) {
		d->data = STR("");
		d->content_type = (struct str){ NULL, 0 };
		return true;
	}
	/* JSON format 3.1: a string of another type is the data itself. */
	if (d->content_type.p != NULL && !content_is_json(d->content_type) &&
	    json_type(c->data) == JSON_STRING) {
		if (!draft_text(d, c->data, &d->data))
			return draft_fault(
			    f, 503, err_info(SW_ENOMEM)->sentence);
		return true;
	}
	d->data = c->data;
	d->is_json = true;
	return true;
}

/* Structured mode: the event is a JSON object, which was checked. */
bool
draft_read_cloud_object(struct draft *d, struct str text, struct refusal *f)
{
	struct cloud c;
	struct str id, source;

	/* Everything fits: texts are never longer than their raw form. */
	if (!find_cloud_members(text, &c) ||
	    buf_reserve(&d->texts, 2 * text.len + 2) != SW_OK)
		return draft_fault(f, 400, source_key_help);
	if (c.specversion.p == NULL ||
	    json_type(c.specversion) != JSON_STRING ||
	    !json_is(c.specversion, "1.0") || !draft_text(d, c.id, &id) ||
	    !draft_text(d, c.source, &source) ||
	    !draft_text(d, c.type, &d->type) || id.len == 0 ||
	    !is_source(source) || d->type.len == 0)
		return draft_fault(f, 400, source_key_help);
	if (c.datacontenttype.p != NULL &&
	    !draft_text(d, c.datacontenttype, &d->content_type))
		return draft_fault(f, 400, "`datacontenttype` is a text.");
	if (!cloud_key(d, source, id))
		return draft_fault(f, 503, err_info(SW_ENOMEM)->sentence);
	return read_cloud_data(d, &c, f);
}

bool
media_is(struct str content_type, const char *name)
{
	struct str media;

	return content_type.p != NULL && str_cut(&content_type, ';', &media) &&
	    str_is_nocase(str_trim(media), name);
}
