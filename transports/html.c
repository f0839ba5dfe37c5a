#include "transports/html.h"

#include <stdlib.h>
#include <time.h>

#include "proxy/base/err.h"

enum { REFRESH_S = 5 };

/* No `sandbox`: browsers count the refresh among what it forbids. */
const char html_headers[] =
    "Content-Type: text/html; charset=utf-8\r\n"
    "Cache-Control: no-store, no-transform\r\n"
    "Content-Security-Policy: default-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "Referrer-Policy: no-referrer\r\n";

/* What a link has of its own. */
static bool
is_own(struct str item)
{
	struct str name;

	return !str_cut(&item, '=', &name) || str_is(name, "after") ||
	    str_is(name, "last") || str_is(name, "format") ||
	    str_is(name, "session");
}

struct html_view *
html_view_new(
    const struct stream_request *s, const struct request *r, struct str session)
{
	struct str rest = r->query, item;
	size_t size = r->query.len + 1 + sizeof("&session=") + session.len;
	struct html_view *v;
	char *p;

	for (size_t i = 0; i < s->channel_count; i++)
		size += s->channels[i].len + 2;
	v = malloc(sizeof(*v) + size);
	if (v == NULL)
		return NULL;
	p = v->text;
	v->refresh_s = s->wait_ms >= 1000 ? s->wait_ms / 1000 : REFRESH_S;
	v->channels.p = p;
	for (size_t i = 0; i < s->channel_count; i++) {
		if (i > 0)
			p = (char *)memcpy(p, ", ", 2) + 2;
		p = (char *)memcpy(p, s->channels[i].p, s->channels[i].len) +
		    s->channels[i].len;
	}
	v->channels.len = (size_t)(p - v->channels.p);
	v->query.p = p;
	while (str_cut(&rest, '&', &item)) {
		if (item.len == 0 || is_own(item))
			continue;
		*p++ = '&';
		p = (char *)memcpy(p, item.p, item.len) + item.len;
	}
	if (session.p != NULL) {
		p = (char *)memcpy(p, "&session=", 9) + 9;
		p = (char *)memcpy(p, session.p, session.len) + session.len;
	}
	v->query.len = (size_t)(p - v->query.p);
	return v;
}

int
html_put_text(struct buf *out, struct str text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.p[i];

		if (c == '<')
			buf_puts(out, "&lt;");
		else if (c == '>')
			buf_puts(out, "&gt;");
		else if (c == '&')
			buf_puts(out, "&amp;");
		else if (c == '"')
			buf_puts(out, "&quot;");
		else if (c == '\'')
			buf_puts(out, "&#39;");
		else if ((c < ' ' && c != '\t' && c != '\n' && c != '\r') ||
		    c == 0x7f)
			/* A page cannot have it, not even by its number. */
			buf_puts(out, "\xef\xbf\xbd");
		else
			buf_put(out, &c, 1);
	}
	return buf_error(out);
}

/* The address of another page: `start` of its own, and what all repeat. */
static void
put_link(struct buf *out, const struct html_view *v, const char *start)
{
	buf_puts(out, "?format=html&amp;");
	buf_puts(out, start);
	html_put_text(out, v->query);
}

static void
put_next(struct buf *out, const struct html_view *v, const struct epoch *epoch,
    uint64_t next)
{
	char start[6 + CURSOR_MAX + 1] = "after=";

	start[6 + cursor_format(start + 6, epoch, next)] = '\0';
	put_link(out, v, start);
}

int
html_begin(struct buf *out, const struct html_view *v,
    const struct epoch *epoch, uint64_t next, bool more)
{
	buf_puts(out,
	    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
	    "<meta charset=\"utf-8\">\n"
	    "<meta name=\"viewport\" content=\"width=device-width\">\n"
	    "<meta http-equiv=\"refresh\" content=\"");
	buf_put_u64(out, more ? 0 : v->refresh_s);
	buf_puts(out, "; url=");
	put_next(out, v, epoch, next);
	buf_puts(out, "\">\n<title>");
	html_put_text(out, v->channels);
	buf_puts(out, "</title>\n</head>\n<body>\n<h1>");
	html_put_text(out, v->channels);
	buf_puts(out, "</h1>\n");
	return buf_error(out);
}

int
html_put_gap(struct buf *out, const struct notice *n)
{
	buf_puts(out,
	    "<p role=\"alert\">Something is missing here: what followed on ");
	if (n->after.epoch.text[0] != '\0')
		cursor_put(out, &n->after.epoch, n->after.seq);
	else
		buf_puts(out, "the page before");
	buf_puts(out, " is not kept any more.</p>\n");
	return buf_error(out);
}

int
html_put_event(
    struct buf *out, const struct epoch *epoch, const struct event *e)
{
	time_t seconds = (time_t)(e->time_ms / 1000);
	struct str type = event_type(e), data = event_data(e);
	char when[32] = "";
	struct tm tm;

	if (gmtime_r(&seconds, &tm) != NULL)
		strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	buf_puts(out, "<article id=\"");
	cursor_put(out, epoch, e->id);
	buf_puts(out, "\">\n<p><time>");
	buf_puts(out, when);
	buf_puts(out, "</time> ");
	html_put_text(out, e->channel->name);
	buf_puts(out, " ");
	html_put_text(out, type.len > 0 ? type : STR("message"));
	/* The first line end in it is not shown. */
	buf_puts(out, "</p>\n<pre>\n");
	if (e->kind == EVENT_BINARY) {
		buf_put_u64(out, data.len);
		buf_puts(out, " bytes, ");
		html_put_text(out, event_content_type(e));
	} else {
		html_put_text(out, data);
	}
	buf_puts(out, "</pre>\n</article>\n");
	return buf_error(out);
}

int
html_end(struct buf *out, const struct html_view *v, const struct epoch *epoch,
    uint64_t next, bool any)
{
	if (!any)
		buf_puts(out, "<p>Nothing new.</p>\n");
	buf_puts(out, "<p><a href=\"");
	put_next(out, v, epoch, next);
	buf_puts(out, "\">What follows</a>\n<a href=\"");
	put_link(out, v, "last=20");
	buf_puts(out, "\">The newest</a>\n<a href=\"");
	put_link(out, v, "after=start");
	buf_puts(out, "\">From the start</a></p>\n</body>\n</html>\n");
	return buf_error(out);
}
