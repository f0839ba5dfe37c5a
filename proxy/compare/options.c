#include "proxy/compare/options.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <string.h>

#include "conf/values.h"
#include "proxy/base/channel.h"
#include "proxy/base/command_line.h"
#include "proxy/base/digest.h"
#include "proxy/base/err.h"
#include "proxy/compare/envelope.h"

enum option_id {
	URL = 1,
	API,
	TOKEN,
	TOKEN_FILE,
	API_TOKEN,
	API_TOKEN_FILE,
	CHANNEL,
	SUBSCRIBERS,
	RATE,
	SIZE,
	DURATION,
	POLL_INTERVAL,
	GRACE,
	TRANSPORTS,
	PUBLISHER,
	CA_FILE,
	CERTIFICATE,
	KEY,
	INSECURE,
	QUIET,
	TOGETHER,
	JSON,
	CSV,
	HTML,
};

static const struct option longs[] = {
	{ "url", required_argument, NULL, URL },
	{ "api", required_argument, NULL, API },
	{ "token", required_argument, NULL, TOKEN },
	{ "token-file", required_argument, NULL, TOKEN_FILE },
	{ "api-token", required_argument, NULL, API_TOKEN },
	{ "api-token-file", required_argument, NULL, API_TOKEN_FILE },
	{ "channel", required_argument, NULL, CHANNEL },
	{ "subscribers", required_argument, NULL, SUBSCRIBERS },
	{ "rate", required_argument, NULL, RATE },
	{ "size", required_argument, NULL, SIZE },
	{ "duration", required_argument, NULL, DURATION },
	{ "poll-interval", required_argument, NULL, POLL_INTERVAL },
	{ "grace", required_argument, NULL, GRACE },
	{ "transports", required_argument, NULL, TRANSPORTS },
	{ "publisher", required_argument, NULL, PUBLISHER },
	{ "ca-file", required_argument, NULL, CA_FILE },
	{ "certificate", required_argument, NULL, CERTIFICATE },
	{ "key", required_argument, NULL, KEY },
	{ "insecure", no_argument, NULL, INSECURE },
	{ "quiet", no_argument, NULL, QUIET },
	{ "together", no_argument, NULL, TOGETHER },
	{ "json", required_argument, NULL, JSON },
	{ "csv", required_argument, NULL, CSV },
	{ "html", required_argument, NULL, HTML },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static void
usage(FILE *out)
{
	fputs(
	    "Usage: spillway compare [options]\n"
	    "\n"
	    "Reads one stream of events over each transport in turn, and shows "
	    "what each\n"
	    "of them costs.\n"
	    "\n"
	    "  --url URL             the gateway, as clients see it; "
	    "http://127.0.0.1:8080\n"
	    "  --api URL             its operator's API; "
	    "http://127.0.0.1:8081\n"
	    "  --token TEXT, --token-file FILE\n"
	    "                        who subscribes\n"
	    "  --api-token TEXT, --api-token-file FILE\n"
	    "                        who publishes\n"
	    "  --channel NAME        a channel of its own if it is not given\n"
	    "  --transports LIST     ws,sse,long,short\n"
	    "  --together            the same events for all, at the same "
	    "time\n"
	    "  --subscribers N       of each transport; 10\n"
	    "  --rate N              events a second; 10\n"
	    "  --size BYTES          of a payload; 128\n"
	    "  --duration DURATION   of each transport; 5s\n"
	    "  --poll-interval DURATION\n"
	    "                        between short polls; 1s\n"
	    "  --grace DURATION      that the last events may take; 10s\n"
	    "  --publisher api|demo  who publishes: we, with the API, or the "
	    "demo\n"
	    "  --ca-file FILE        certificates to trust\n"
	    "  --certificate FILE, --key FILE\n"
	    "                        ours, where the API asks for one\n"
	    "  --insecure            trust any\n"
	    "  --json FILE, --csv FILE, --html FILE\n"
	    "                        what was measured, to take away; -: "
	    "standard output\n"
	    "  --quiet               no progress\n",
	    out);
}

static bool
fail(const char *what, const char *why)
{
	fprintf(stderr, "spillway compare: %s: %s\n", what, why);
	return false;
}

static bool
take_number(uint64_t *out, const char *name, const char *text, uint64_t low,
    uint64_t high)
{
	char why[80];

	if (str_to_u64(out, str_of(text), high) == SW_OK && *out >= low)
		return true;
	snprintf(why, sizeof(why),
	    "write a number from %" PRIu64 " to %" PRIu64, low, high);
	return fail(name, why);
}

static bool
take_duration(uint64_t *out, const char *name, const char *text, uint64_t low,
    uint64_t high)
{
	struct buf advice;
	bool fine;

	buf_init(&advice, 1024);
	fine = value_msec(out, str_of(text), &advice) == SW_OK;
	if (fine && (*out < low || *out > high)) {
		fine = false;
		buf_puts(&advice, "write ");
		value_put_msec(&advice, low);
		buf_puts(&advice, " to ");
		value_put_msec(&advice, high);
	}
	buf_put(&advice, "", 1);
	if (!fine)
		fail(name, (const char *)buf_head(&advice));
	buf_fini(&advice);
	return fine;
}

static bool
take_place(struct place *out, const char *name, const char *text)
{
	const char *advice;

	return place_parse(out, text, &advice) == SW_OK || fail(name, advice);
}

/* It becomes a line of requests. */
static bool
take_token(char *out, const char *name, struct str text)
{
	text = str_trim(text);
	if (text.len == 0 || text.len > COMPARE_TOKEN_MAX)
		return fail(name, "there is no token, or none of this length");
	for (size_t i = 0; i < text.len; i++)
		if (text.p[i] <= ' ' || text.p[i] >= 0x7f)
			return fail(name, "a token has no blanks");
	memcpy(out, text.p, text.len);
	out[text.len] = '\0';
	return true;
}

static bool
read_token(char *out, const char *name, const char *path)
{
	char text[COMPARE_TOKEN_MAX + 4];
	FILE *f = fopen(path, "re");
	size_t n;

	if (f == NULL)
		return fail(path, strerror(errno));
	n = fread(text, 1, sizeof(text), f);
	fclose(f);
	while (n > 0 && strchr("\r\n", text[n - 1]) != NULL)
		n--;
	return take_token(out, name, (struct str){ text, n });
}

static bool
take_transports(struct compare_options *o, const char *text)
{
	struct str list = str_of(text), name;
	bool there[TRANSPORT_COUNT] = { false };

	o->transport_count = 0;
	while (str_cut(&list, ',', &name)) {
		const struct transport *t = transport_find(name);

		if (t == NULL || there[t->id]) {
			o->transport_count = 0;
			break;
		}
		there[t->id] = true;
		o->transports[o->transport_count++] = t->id;
	}
	return o->transport_count > 0 ||
	    fail("--transports", "write some of ws,sse,long,short");
}

static bool
take_channel(struct compare_options *o, const char *text)
{
	if (!channel_name_valid(str_of(text)))
		return fail(
		    "--channel", "write 1 to 128 of A-Z a-z 0-9 . _ ~ : -");
	snprintf(o->channel, sizeof(o->channel), "%s", text);
	return true;
}

static bool
take_publisher(struct compare_options *o, const char *text)
{
	if (strcmp(text, "api") == 0)
		o->publisher = PUBLISHER_API;
	else if (strcmp(text, "demo") == 0)
		o->publisher = PUBLISHER_DEMO;
	else
		return fail("--publisher", "write api or demo");
	return true;
}

static bool
take_measure(struct compare_options *o, enum option_id id, const char *text)
{
	switch (id) {
	case SUBSCRIBERS:
		return take_number(
		    &o->subscribers, "--subscribers", text, 1, 20000);
	case RATE:
		return take_number(&o->rate, "--rate", text, 1, 10000);
	case SIZE:
		return take_number(
		    &o->size, "--size", text, ENVELOPE_SIZE_MIN, 65536);
	case DURATION:
		return take_duration(
		    &o->duration_ms, "--duration", text, 100, 3600000);
	case POLL_INTERVAL:
		return take_duration(
		    &o->poll_interval_ms, "--poll-interval", text, 10, 60000);
	case GRACE:
		return take_duration(
		    &o->grace_ms, "--grace", text, 100, 600000);
	default:
		return false;
	}
}

static bool
take_option(void *to, int id, const char *text)
{
	struct compare_options *o = to;

	switch ((enum option_id)id) {
	case URL:
		return take_place(&o->url, "--url", text);
	case API:
		return take_place(&o->api, "--api", text);
	case TOKEN:
		return take_token(o->token, "--token", str_of(text));
	case TOKEN_FILE:
		return read_token(o->token, "--token-file", text);
	case API_TOKEN:
		return take_token(o->api_token, "--api-token", str_of(text));
	case API_TOKEN_FILE:
		return read_token(o->api_token, "--api-token-file", text);
	case CHANNEL:
		return take_channel(o, text);
	case TRANSPORTS:
		return take_transports(o, text);
	case PUBLISHER:
		return take_publisher(o, text);
	case CA_FILE:
		o->tls.authorities = text;
		return true;
	case CERTIFICATE:
		o->tls.certificate = text;
		return true;
	case KEY:
		o->tls.key = text;
		return true;
	case INSECURE:
		o->tls.trusting = true;
		return true;
	case QUIET:
		o->quiet = true;
		return true;
	case TOGETHER:
		o->together = true;
		return true;
	case JSON:
		o->json = text;
		return true;
	case CSV:
		o->csv = text;
		return true;
	case HTML:
		o->html = text;
		return true;
	default:
		return take_measure(o, (enum option_id)id, text);
	}
}

/* Values that are fine alone and wrong together. */
static bool
check(const struct compare_options *o)
{
	const char *const files[] = { o->json, o->csv, o->html };

	for (size_t i = 1; i < sizeof(files) / sizeof(files[0]); i++)
		for (size_t j = 0; j < i; j++)
			if (files[i] != NULL && files[j] != NULL &&
			    strcmp(files[i], files[j]) == 0)
				return fail(files[i],
				    "it has room for one of --json, --csv and "
				    "--html");
	if (compare_options_events(o) * o->subscribers >
	    (uint64_t)COMPARE_EVENTS_MAX * 100)
		return fail("--duration",
		    "a thousand million deliveries is "
		    "the most that one run counts");
	if (o->publisher == PUBLISHER_DEMO && o->rate > 1000)
		return fail("--rate", "the demo publishes up to 1000 a second");
	return true;
}

static void
set_defaults(struct compare_options *o)
{
	const char *advice;
	uint8_t random[4];

	*o = (struct compare_options){ .subscribers = 10,
		.rate = 10,
		.size = 128,
		.duration_ms = 5000,
		.poll_interval_ms = 1000,
		.grace_ms = 10000,
		.transport_count = TRANSPORT_COUNT };
	place_parse(&o->url, "http://127.0.0.1:8080", &advice);
	place_parse(&o->api, "http://127.0.0.1:8081", &advice);
	for (size_t i = 0; i < TRANSPORT_COUNT; i++)
		o->transports[i] = (enum transport_id)i;
	digest_random(random, sizeof(random));
	snprintf(o->channel, sizeof(o->channel), "compare-%02x%02x%02x%02x",
	    random[0], random[1], random[2], random[3]);
}

bool
compare_options_read(
    struct compare_options *o, int argc, char **argv, int *status)
{
	static const struct command_line line = { longs, usage, take_option };

	set_defaults(o);
	return command_line_read(&line, o, argc, argv, status) && check(o);
}

uint64_t
compare_options_events(const struct compare_options *o)
{
	uint64_t events = o->rate * o->duration_ms / 1000;

	return events > 0 ? events : 1;
}
