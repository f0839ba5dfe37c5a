#include "transports/stream_request.h"

#include <stdlib.h>

#include "proxy/base/channel.h"
#include "proxy/base/err.h"

enum {
	LAST_MAX = 1000000,
	HTML_LAST = 20, /* on a page that nobody told where to begin */
};

const char stream_channels_too_many[] =
    "More channels than channels-per-connection allows.";

static int
refuse(struct refusal *r, int status, const char *detail)
{
	*r = (struct refusal){ status, detail };
	return SW_EINVAL;
}

static int
refuse_memory(struct refusal *r)
{
	*r = (struct refusal){ 503, err_info(SW_ENOMEM)->sentence };
	return SW_ENOMEM;
}

static int
compare_names(const void *a, const void *b)
{
	const struct str *x = a, *y = b;

	if (x->len != y->len)
		return x->len < y->len ? -1 : 1;
	return memcmp(x->p, y->p, x->len);
}

/* Is one of them there twice? SW_ENOMEM. */
static int
find_twice(const struct stream_request *s, bool *found)
{
	size_t size = s->channel_count * sizeof(*s->channels);
	struct str *sorted = malloc(size);

	if (sorted == NULL)
		return SW_ENOMEM;
	memcpy(sorted, s->channels, size);
	qsort(sorted, s->channel_count, sizeof(*sorted), compare_names);
	for (size_t i = 1; i < s->channel_count && !*found; i++)
		*found = compare_names(&sorted[i - 1], &sorted[i]) == 0;
	free(sorted);
	return SW_OK;
}

static int
check_names(struct stream_request *s, struct refusal *refusal)
{
	bool twice = false;

	for (size_t i = 0; i < s->channel_count; i++)
		if (!channel_name_valid(s->channels[i]))
			return refuse(refusal, 400,
			    "A channel's name has 1 to 128 characters of "
			    "A-Z a-z 0-9 . _ ~ : -");
	if (s->channel_count > 1 && find_twice(s, &twice) != SW_OK)
		return refuse_memory(refusal);
	if (twice)
		return refuse(refusal, 400, "A channel is named twice.");
	return SW_OK;
}

int
stream_channels_read(struct stream_request *s, struct str rest, size_t max,
    struct refusal *refusal)
{
	struct str list = rest, name;
	size_t count = 1, i = 0;
	int err;

	/* The usual one: a single name, without escapes. */
	if (memchr(rest.p, ',', rest.len) == NULL &&
	    memchr(rest.p, '%', rest.len) == NULL) {
		s->one = rest;
		s->channels = &s->one;
		s->channel_count = 1;
		return check_names(s, refusal);
	}
	if ((err = percent_decode(&s->names, rest, false)) == SW_ENOMEM)
		return refuse_memory(refusal);
	if (err != SW_OK)
		return refuse(refusal, 400,
		    "The path has a malformed percent-escape, or is too long.");
	list = buf_str(&s->names);
	for (const char *p = list.p; p < list.p + list.len; p++)
		count += *p == ',';
	if (count > max)
		return refuse(refusal, 400, stream_channels_too_many);
	s->channels = calloc(count, sizeof(*s->channels));
	if (s->channels == NULL)
		return refuse_memory(refusal);
	while (str_cut(&list, ',', &name))
		s->channels[i++] = name;
	s->channel_count = count;
	return check_names(s, refusal);
}

/* A number in the query; keeps `*out` if it is not there. */
static int
read_number(const struct request *r, const char *name, uint64_t max,
    uint64_t *out, bool *there)
{
	struct str text;

	*there = request_param(r, name, &text);
	return *there ? str_to_u64(out, text, max) : SW_OK;
}

static int
read_cursor(struct stream_request *s, struct str text, struct refusal *refusal)
{
	if (str_is(text, "start")) {
		s->start = START_OLDEST;
		return SW_OK;
	}
	s->start = START_CURSOR;
	if (cursor_parse(&s->after, text) != SW_OK)
		return refuse(refusal, 400,
		    "A cursor looks like k3x9-1042: use the id of the last "
		    "event that was received, or `start`.");
	return SW_OK;
}

/*
 * A browser's EventSource gives by itself what it had last from this URL, were
 * it from another server before this one, and a refusal would end it for good:
 * there, what is no cursor is one of another log.
 */
static int
read_header(struct stream_request *s, struct str text, struct refusal *refusal)
{
	int err = read_cursor(s, text, refusal);

	if (err == SW_OK || s->transport->id != TRANSPORT_SSE)
		return err;
	s->after = (struct cursor){ .seq = 0 };
	return SW_OK;
}

static int
read_start(
    struct stream_request *s, const struct request *r, struct refusal *refusal)
{
	struct str header = request_header(r, "Last-Event-ID"), param;
	bool there;

	/* The header is newer: the URL is that of the first request. */
	if (header.p != NULL && header.len > 0)
		return read_header(s, header, refusal);
	if (request_param(r, "after", &param))
		return read_cursor(s, param, refusal);
	if (read_number(r, "last", LAST_MAX, &s->last, &there) != SW_OK)
		return refuse(refusal, 400,
		    "`last` is a number of events, up to 1000000.");
	if (s->html && !there)
		s->last = HTML_LAST;
	s->start = s->last > 0 ? START_LAST : START_LIVE;
	return SW_OK;
}

/* RFC 9110 12.4.2: a weight of 0 is "not acceptable". */
static bool
is_excluded(struct str parameters)
{
	struct str item, name;

	while (str_cut(&parameters, ';', &item)) {
		str_cut(&item, '=', &name);
		if (!str_is_nocase(str_trim(name), "q") || item.p == NULL)
			continue;
		item = str_trim(item);
		for (size_t i = 0; i < item.len; i++)
			if (item.p[i] != (i == 1 ? '.' : '0'))
				return false;
		return item.len > 0;
	}
	return false;
}

/* How closely an item of Accept names a media type. */
enum closeness { NOT_NAMED, ANY_TYPE, ITS_RANGE, ITSELF };

/*
 * What Accept says of a media type: the closest of its items counts (RFC 9110
 * 12.5.1), and whether that one takes it is in `*taken`. Without Accept: any.
 */
static enum closeness
read_accept(
    const struct request *r, const char *type, const char *range, bool *taken)
{
	enum closeness best = NOT_NAMED, now;
	bool said = false;

	for (size_t i = 0; i < r->header_count; i++) {
		struct str rest = r->headers[i].value, item, media;

		if (!str_is_nocase(r->headers[i].name, "Accept"))
			continue;
		said = true;
		while (str_cut(&rest, ',', &item)) {
			str_cut(&item, ';', &media);
			media = str_trim(media);
			now = str_is_nocase(media, type) ? ITSELF :
			    str_is_nocase(media, range)  ? ITS_RANGE :
			    str_is(media, "*/*")         ? ANY_TYPE :
							   NOT_NAMED;
			if (now <= best)
				continue;
			best = now;
			*taken = !is_excluded(item);
		}
	}
	if (best == NOT_NAMED)
		*taken = !said;
	return best;
}

/* Would the client take this media type? */
static bool
accepts(const struct request *r, const char *type, const char *range)
{
	bool taken;

	read_accept(r, type, range, &taken);
	return taken;
}

/* Does it name text/event-stream, as an EventSource does? */
static bool
wants_events(const struct request *r)
{
	bool taken;

	return read_accept(r, "text/event-stream", "text/*", &taken) ==
	    ITSELF &&
	    taken;
}

/* What one of RFC 7240's preferences says of waiting; false: nothing. */
static bool
read_preference(struct str preference, uint64_t *seconds)
{
	struct str value, name;

	/* Parameters behind it, if there are any, change nothing. */
	str_cut(&preference, ';', &value);
	str_cut(&value, '=', &name);
	if (!str_is_nocase(str_trim(name), "wait"))
		return false;
	value = str_trim(value);
	if (value.len >= 2 && value.p[0] == '"' &&
	    value.p[value.len - 1] == '"')
		value = (struct str){ value.p + 1, value.len - 2 };
	/* One that is not understood is ignored. */
	return str_to_u64(seconds, value, UINT32_MAX) == SW_OK;
}

/* How long to wait, if anything says so: ?wait=, or RFC 7240's wait. */
static int
read_wait(const struct request *r, const struct stream_limits *limits,
    uint64_t *wait_ms, bool *there)
{
	uint64_t seconds = 0;

	if (read_number(r, "wait", UINT32_MAX, &seconds, there) != SW_OK)
		return SW_EINVAL;
	for (size_t i = 0; i < r->header_count && !*there; i++) {
		struct str prefer = r->headers[i].value, item;

		if (!str_is_nocase(r->headers[i].name, "Prefer"))
			continue;
		while (!*there && str_cut(&prefer, ',', &item))
			*there = read_preference(item, &seconds);
	}
	*wait_ms = seconds * 1000;
	if (*wait_ms > limits->poll_wait_max_ms)
		*wait_ms = limits->poll_wait_max_ms;
	return SW_OK;
}

/* `?transport=` insists: what cannot be answered so is not answered else. */
static int
insist(struct stream_request *s, const struct request *r, struct str name,
    bool upgrade, struct refusal *refusal)
{
	s->transport = transport_find(name);
	if (s->transport == NULL)
		return refuse(refusal, 400,
		    "`transport` is one of ws, sse, long, short.");
	if (s->transport->id == TRANSPORT_WS)
		return upgrade ? SW_OK :
				 refuse(refusal, 426,
				     "This is not a WebSocket upgrade: a proxy "
				     "on the way may have removed it.");
	if (upgrade)
		return refuse(refusal, 406,
		    "A WebSocket upgrade cannot be answered by another "
		    "transport.");
	if (s->transport->id == TRANSPORT_SSE ?
		!accepts(r, "text/event-stream", "text/*") :
		!accepts(r, "application/json", "application/*"))
		return refuse(refusal, 406,
		    "The Accept header excludes this transport's answer.");
	return SW_OK;
}

/* ?format=html: a page is a short poll, whatever a browser accepts best. */
static int
choose_page(struct stream_request *s, const struct request *r, bool upgrade,
    struct refusal *refusal)
{
	struct str name;

	s->html = true;
	s->transport = &transports[TRANSPORT_SHORT];
	if (upgrade || !accepts(r, "text/html", "text/*"))
		return refuse(refusal, 406,
		    "`format=html` is answered with a page, which this "
		    "request does not take.");
	if (request_param(r, "transport", &name) && !str_is(name, "short"))
		return refuse(
		    refusal, 400, "`format=html` is for short polls.");
	return SW_OK;
}

static int
choose_transport(struct stream_request *s, const struct request *r,
    const struct stream_limits *limits, struct refusal *refusal)
{
	bool upgrade = request_has_token(r, "Upgrade", "websocket");
	bool waits;
	struct str name;
	int err;

	if (read_wait(r, limits, &s->wait_ms, &waits) != SW_OK)
		return refuse(refusal, 400,
		    "`wait` is a number of seconds; 0 answers at once.");
	if (request_param(r, "format", &name) && str_is(name, "html"))
		return choose_page(s, r, upgrade, refusal);
	if (request_param(r, "transport", &name)) {
		if ((err = insist(s, r, name, upgrade, refusal)) != SW_OK)
			return err;
		if (s->transport->id == TRANSPORT_LONG && s->wait_ms == 0)
			s->wait_ms = limits->poll_wait_ms;
		return SW_OK;
	}
	s->transport = upgrade      ? &transports[TRANSPORT_WS] :
	    wants_events(r)         ? &transports[TRANSPORT_SSE] :
	    waits && s->wait_ms > 0 ? &transports[TRANSPORT_LONG] :
				      &transports[TRANSPORT_SHORT];
	return SW_OK;
}

static int
read_format(
    struct stream_request *s, const struct request *r, struct refusal *refusal)
{
	struct str format;

	s->raw = s->transport->id == TRANSPORT_SSE;
	if (s->html || !request_param(r, "format", &format))
		return SW_OK;
	s->raw = str_is(format, "raw");
	if (!s->raw && !str_is(format, "json"))
		return refuse(refusal, 400, "`format` is json, raw or html.");
	return SW_OK;
}

static int
read_options(struct stream_request *s, const struct request *r,
    const struct stream_limits *limits, struct refusal *refusal)
{
	struct str padding;
	bool there;

	s->limit = limits->poll_limit;
	if (read_number(r, "limit", UINT32_MAX, &s->limit, &there) != SW_OK ||
	    s->limit == 0)
		return refuse(
		    refusal, 400, "`limit` is a number of events, from 1.");
	if (s->limit > limits->poll_limit_max)
		s->limit = limits->poll_limit_max;
	s->padding =
	    request_param(r, "padding", &padding) && !str_is(padding, "0");
	if (request_param(r, "session", &s->session) &&
	    (s->session.len == 0 || s->session.len > STREAM_SESSION_MAX))
		return refuse(
		    refusal, 400, "`session` has 1 to 128 characters.");
	return SW_OK;
}

int
stream_request_read(struct stream_request *s, const struct request *r,
    struct str rest, const struct stream_limits *limits,
    struct refusal *refusal)
{
	int err;

	*s = (struct stream_request){ .channels = NULL };
	buf_init(&s->names, (CHANNEL_NAME_MAX + 1) * limits->channels + 1);
	if ((err = stream_channels_read(s, rest, limits->channels, refusal)) !=
		SW_OK ||
	    (err = choose_transport(s, r, limits, refusal)) != SW_OK ||
	    (err = read_format(s, r, refusal)) != SW_OK ||
	    (err = read_options(s, r, limits, refusal)) != SW_OK)
		return err;
	return read_start(s, r, refusal);
}

void
stream_request_fini(struct stream_request *s)
{
	if (s->channels != &s->one)
		free(s->channels);
	s->channels = NULL;
	buf_fini(&s->names);
}
