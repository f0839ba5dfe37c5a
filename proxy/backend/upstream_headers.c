/*
 * The headers of a request, as libcurl has them.
 */
#include <stdlib.h>

#include "proxy/backend/upstream_private.h"
#include "proxy/base/err.h"
#include "proxy/base/field.h"

/*
 * The headers that libcurl would write by itself, taken away: it does not find
 * those of the request.
 */
static size_t
put_removals(char **lines, const struct upstream_ask *ask)
{
	static char accept[] = "Accept:", expect[] = "Expect:";
	static char coding[] = "Transfer-Encoding:";
	size_t n = 0;

	lines[n++] = accept;
	lines[n++] = expect;
	/* What an upgrade sends later is no body, and in no framing. */
	if (ask->upgrade)
		lines[n++] = coding;
	return n;
}

static bool
is_header(const struct header *h)
{
	return field_is_token(h->name) && field_is_value(h->value);
}

static char *
put_header(char *text, const struct header *h)
{
	text = mempcpy(text, h->name.p, h->name.len);
	*text++ = ':';
	if (h->value.len > 0) {
		*text++ = ' ';
		text = mempcpy(text, h->value.p, h->value.len);
	}
	return text;
}

/* Is there none of the same name before it? */
static bool
is_first_of_name(const struct upstream_ask *ask, size_t at)
{
	struct str name = ask->headers[at].name;

	for (size_t i = 0; i < at; i++)
		if (ask->headers[i].name.len == name.len &&
		    strncasecmp(ask->headers[i].name.p, name.p, name.len) == 0)
			return false;
	return true;
}

/* What is sent of them, and where it is among them; `count`: nowhere. */
struct selection {
	size_t host, first, size;
};

static int
select_headers(struct selection *s, const struct upstream_ask *ask)
{
	*s = (struct selection){ ask->header_count, ask->header_count, 0 };
	for (size_t i = 0; i < ask->header_count; i++) {
		const struct header *h = &ask->headers[i];

		if (!is_header(h))
			return SW_EINVAL;
		s->size += h->name.len + h->value.len + sizeof(": \r\n");
		if (str_is_nocase(h->name, "Host"))
			s->host = i;
		else if (s->first == ask->header_count && h->value.len > 0 &&
		    is_first_of_name(ask, i))
			s->first = i;
	}
	return SW_OK;
}

/* One item of the list; libcurl writes a header without a value so. */
static char *
put_item(struct curl_slist *item, char *text, const struct header *h)
{
	item->data = text;
	text = put_header(text, h);
	if (h->value.len == 0)
		text[-1] = ';';
	return text;
}

/*
 * A list as libcurl has them, with all of its text, in one piece of memory.
 * libcurl looks through the list for each header that it might write itself,
 * and prints each item by a format: so Host, which it has to find, is an item,
 * and all the others are the lines of one more, whose first has a value: one
 * without would mean that there is none.
 */
int
headers_copy(struct upstream_request *r, const struct upstream_ask *ask)
{
	struct selection s;
	struct curl_slist *item;
	char *removals[3], *text;
	size_t extra = put_removals(removals, ask), n = 0;
	size_t most = extra + ask->header_count;
	int err = select_headers(&s, ask);

	if (err != SW_OK)
		return err;
	item = malloc(most * sizeof(*item) + s.size + 1);
	if (item == NULL)
		return SW_ENOMEM;
	r->headers = item;
	text = (char *)(item + most);
	if (s.host < ask->header_count) {
		text = put_item(&item[n++], text, &ask->headers[s.host]);
		*text++ = '\0';
	}
	if (s.first < ask->header_count)
		text = put_item(&item[n++], text, &ask->headers[s.first]);
	for (size_t i = 0; i < ask->header_count; i++) {
		if (i == s.host || i == s.first)
			continue;
		if (s.first == ask->header_count) {
			text = put_item(&item[n++], text, &ask->headers[i]);
			*text++ = '\0';
			continue;
		}
		text = mempcpy(text, "\r\n", 2);
		text = put_header(text, &ask->headers[i]);
	}
	*text = '\0';
	for (size_t i = 0; i < extra; i++)
		item[n++].data = removals[i];
	for (size_t i = 0; i < n; i++)
		item[i].next = i + 1 < n ? &item[i + 1] : NULL;
	return SW_OK;
}
