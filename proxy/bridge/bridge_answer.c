#include "proxy/bridge/bridge_answer.h"

#include <stdio.h>

#include "proxy/base/err.h"
#include "proxy/base/json.h"
#include "proxy/base/utf8.h"
#include "proxy/publish/draft.h"
#include "proxy/publish/send.h"

void
bridge_answer_refuse(
    struct bridge_answer *a, int err, int status, const char *detail)
{
	*a = (struct bridge_answer){
		.outcome = BRIDGE_REFUSED,
		.err = err,
		.status = status,
	};
	snprintf(a->detail, sizeof(a->detail), "%s", detail);
}

static void
fail(struct bridge_answer *a, const char *detail)
{
	bridge_answer_refuse(a, SW_EBACKEND, 502, detail);
}

/* Text that may be shown: nothing but what can be printed, and not too much. */
static bool
is_sentence(struct str text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.p[i] < ' ' || text.p[i] == 0x7f)
			return false;
	return text.len > 0 && text.len < BRIDGE_DETAIL_MAX &&
	    utf8_valid(text.p, text.len);
}

/* `detail` of a problem document (RFC 9457), or what others call it. */
static struct str
find_detail(struct str body)
{
	/* The later ones are less likely to be meant for the client. */
	static const char *const names[] = { "detail", "message", "error",
		"title" };
	struct str found[sizeof(names) / sizeof(names[0])] = { { NULL, 0 } };
	struct str key, value;
	struct json_iter it;

	if (!json_valid(body) || !json_object(&it, body))
		return (struct str){ NULL, 0 };
	while (json_member(&it, &key, &value))
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			if (json_is(key, names[i]) &&
			    json_type(value) == JSON_STRING)
				found[i] = value;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (found[i].p != NULL)
			return found[i];
	return (struct str){ NULL, 0 };
}

/* A body of plain text ends with a line's end as often as not. */
static struct str
trim_lines(struct str text)
{
	while (text.len > 0 &&
	    (text.p[text.len - 1] == '\n' || text.p[text.len - 1] == '\r'))
		text.len--;
	return str_trim(text);
}

static void
put_detail(struct bridge_answer *a, struct str body)
{
	struct str raw = find_detail(body);
	struct str text;
	struct buf plain;

	buf_init(&plain, BRIDGE_DETAIL_MAX);
	if (raw.p != NULL && json_unescape(&plain, raw) == SW_OK)
		text = buf_str(&plain);
	else
		text = trim_lines(body);
	if (is_sentence(text) && (raw.p != NULL || text.p[0] != '<')) {
		memcpy(a->detail, text.p, text.len);
		a->detail[text.len] = '\0';
	}
	buf_fini(&plain);
}

/* What a refusal is called; its status is shown as it is, if it has a row. */
static const struct {
	int status, err;
} refusals[] = {
	{ 400, SW_EINVAL },
	{ 401, SW_EAUTH },
	{ 402, SW_EFORBIDDEN },
	{ 403, SW_EFORBIDDEN },
	{ 404, SW_ENOENT },
	{ 409, SW_EINVAL },
	{ 410, SW_ENOENT },
	{ 413, SW_ELIMIT },
	{ 415, SW_EINVAL },
	{ 422, SW_EINVAL },
	{ 429, SW_EBUSY },
	{ 451, SW_EFORBIDDEN },
};

/* Others would say something of the connection to us: a 407, a 426. */
static void
read_refusal(struct bridge_answer *a, int status, struct str body)
{
	int err = SW_EINVAL, shown = 400;
	char sentence[64];

	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		if (refusals[i].status == status) {
			err = refusals[i].err;
			shown = status;
		}
	snprintf(
	    sentence, sizeof(sentence), "The backend refused it (%d).", status);
	bridge_answer_refuse(a, err, shown, sentence);
	put_detail(a, body);
}

static void
read_failure(struct bridge_answer *a, int status)
{
	char sentence[64];

	snprintf(
	    sentence, sizeof(sentence), "The backend answered %d.", status);
	if (status == 503)
		bridge_answer_refuse(a, SW_EBUSY, 503, sentence);
	else
		fail(a, sentence);
}

/* application/spillway+json: a reply and publishes, each if it is there. */
static void
read_instructions(struct bridge_answer *a, struct str body)
{
	struct str key, value;
	struct json_iter it, events;

	if (!json_valid(body) || !json_object(&it, body)) {
		fail(a, "The backend's answer is not the JSON that it says.");
		return;
	}
	while (json_member(&it, &key, &value))
		if (json_is(key, "reply")) {
			a->outcome = BRIDGE_REPLY;
			a->kind = EVENT_JSON;
			a->data = value;
		} else if (json_is(key, "publish")) {
			a->publish = value;
		}
	if (a->publish.p != NULL && !json_array(&events, a->publish))
		fail(a, "`publish` in the backend's answer is no array.");
}

static void
read_reply(
    struct bridge_answer *a, struct str type, struct str body, struct str asked)
{
	bool typed = type.p != NULL;

	if (!typed)
		type = asked;
	a->outcome = BRIDGE_REPLY;
	a->data = body;
	a->content_type = type;
	/* Of no kind, although it says so: text is text all the same. */
	if (content_classify(body, &type, &a->kind) != SW_OK) {
		a->kind =
		    utf8_valid(body.p, body.len) ? EVENT_TEXT : EVENT_BINARY;
		a->garbled = typed && body.len > 0;
	}
}

void
bridge_answer_read(struct bridge_answer *a, int status, struct str content_type,
    struct str body, struct str asked)
{
	*a = (struct bridge_answer){ .outcome = BRIDGE_TAKEN };
	if (status >= 400 && status < 500)
		read_refusal(a, status, body);
	else if (status < 200 || status >= 300)
		read_failure(a, status);
	else if (media_is(content_type, "application/spillway+json") &&
	    (body.len > 0 || status == 200))
		read_instructions(a, body);
	else if (status != 202 && status != 204 && status != 205)
		read_reply(a, content_type, body, asked);
	a->said = status;
}
