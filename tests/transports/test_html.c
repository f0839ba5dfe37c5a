#include "transports/html.h"

#include <stdlib.h>

#include "proxy/base/err.h"
#include "tests/oom.h"
#include "tests/suite.h"
#include "tests/transports/events.h"
#include "tests/transports/heads.h"

static const struct epoch epoch = { "k3x9" };

static const struct stream_limits limits = {
	.poll_wait_ms = 25000,
	.poll_wait_max_ms = 55000,
	.poll_limit = 100,
	.poll_limit_max = 1000,
	.channels = 5,
};

static struct html_view *
view_of(const struct request *r)
{
	size_t prefix = strlen("/stream/");
	struct stream_request s;
	struct html_view *v = NULL;
	struct refusal f;

	if (stream_request_read(&s, r,
		bytes_of(r->path.p + prefix, r->path.len - prefix), &limits,
		&f) == SW_OK)
		v = html_view_new(&s, r, s.session);
	stream_request_fini(&s);
	return v;
}

static const struct {
	struct str text;
	const char *html;
} texts[] = {
	{ BYTES(""), "" },
	{ BYTES("hello\r\n\tyou"), "hello\r\n\tyou" },
	{ BYTES("<img src=x onerror=\"alert('&')\">"),
	    "&lt;img src=x onerror=&quot;alert(&#39;&amp;&#39;)&quot;&gt;" },
	{ BYTES("</pre><script>"), "&lt;/pre&gt;&lt;script&gt;" },
	{ BYTES("&lt;"), "&amp;lt;" },
	{ BYTES("a\0b\x1b[1m\x7f"),
	    "a\xef\xbf\xbd"
	    "b\xef\xbf\xbd[1m\xef\xbf\xbd" },
	{ BYTES("gr\xc3\xbc\xc3\x9f"), "gr\xc3\xbc\xc3\x9f" },
};

START_TEST(text_is_text_and_never_a_tag)
{
	struct buf out;

	buf_init(&out, 1 << 16);
	ck_assert_int_eq(html_put_text(&out, texts[_i].text), SW_OK);
	ck_assert_uint_eq(buf_len(&out), strlen(texts[_i].html));
	if (buf_len(&out) > 0)
		ck_assert_mem_eq(buf_head(&out), texts[_i].html, buf_len(&out));
	buf_fini(&out);
}
END_TEST

static const struct {
	enum event_kind kind;
	const char *type, *content_type, *payload, *shown;
} events[] = {
	{ EVENT_JSON, "", "", "{\"a\":1}",
	    "room-7 message</p>\n<pre>\n{&quot;a&quot;:1}</pre>" },
	{ EVENT_TEXT, "chat", "text/plain", "\n<b>",
	    "room-7 chat</p>\n<pre>\n\n&lt;b&gt;</pre>" },
	{ EVENT_TEXT, "<i>", "text/plain", "x", "room-7 &lt;i&gt;</p>" },
	{ EVENT_BINARY, "", "image/\"png", "\x89PNG",
	    "<pre>\n4 bytes, image/&quot;png</pre>" },
};

START_TEST(an_event_is_an_article_with_its_id)
{
	const char *start = "<article id=\"k3x9-1042\">\n"
			    "<p><time>2025-11-20T10:24:05Z</time> room-7 ";
	struct event *e;
	struct buf out;

	events_setup();
	buf_init(&out, 1 << 16);
	e = event_of(events[_i].kind, events[_i].type, events[_i].content_type,
	    str_of(events[_i].payload));
	ck_assert_int_eq(html_put_event(&out, &epoch, e), SW_OK);
	buf_put(&out, "", 1);
	ck_assert_mem_eq(buf_head(&out), start, strlen(start));
	ck_assert_ptr_nonnull(
	    strstr((const char *)buf_head(&out), events[_i].shown));
	buf_fini(&out);
	event_unref(e);
	events_teardown();
}
END_TEST

/* A page of a view, as a string; freed by the caller. */
static char *
page_of(struct html_view *v, bool more, bool any)
{
	struct buf out;
	size_t len;

	buf_init(&out, 1 << 16);
	html_begin(&out, v, &epoch, 7, more);
	html_end(&out, v, &epoch, 7, any);
	buf_put(&out, "", 1);
	ck_assert_int_eq(buf_error(&out), SW_OK);
	return (char *)buf_take(&out, &len);
}

static const struct {
	const char *target, *refresh;
	bool more;
} links[] = {
	{ "/stream/a?format=html",
	    "content=\"5; url=?format=html&amp;after=k3x9-7\"", false },
	{ "/stream/a?format=html",
	    "content=\"0; url=?format=html&amp;after=k3x9-7\"", true },
	{ "/stream/a?wait=30&format=html&limit=9&after=k3x9-3&token=a.b-_c",
	    "content=\"30; url=?format=html&amp;after=k3x9-7&amp;wait=30"
	    "&amp;limit=9&amp;token=a.b-_c\"",
	    false },
	{ "/stream/a?format=html&&x&last=3&y='",
	    "url=?format=html&amp;after=k3x9-7&amp;x&amp;y=&#39;\"", false },
};

START_TEST(the_next_page_begins_behind_this_one)
{
	struct html_view *v = view_of(head_of(links[_i].target, ""));
	char *page;

	ck_assert_ptr_nonnull(v);
	page = page_of(v, links[_i].more, true);
	if (strstr(page, links[_i].refresh) == NULL)
		ck_abort_msg("%s", page);
	ck_assert_ptr_null(strstr(page, "Nothing new"));
	free(page);
	page = page_of(v, false, false);
	ck_assert_ptr_nonnull(strstr(page, "Nothing new"));
	free(page);
	free(v);
}
END_TEST

START_TEST(a_page_is_named_after_its_channels)
{
	struct html_view *v =
	    view_of(head_of("/stream/a,room-7?format=html", ""));
	char *page;

	ck_assert_ptr_nonnull(v);
	page = page_of(v, false, true);
	ck_assert_ptr_nonnull(strstr(page, "<title>a, room-7</title>"));
	ck_assert_ptr_nonnull(strstr(page, "<h1>a, room-7</h1>"));
	free(page);
	free(v);
}
END_TEST

START_TEST(a_page_may_do_nothing)
{
	ck_assert_ptr_nonnull(strstr(html_headers, "default-src 'none'"));
	ck_assert_ptr_nonnull(strstr(html_headers, "frame-ancestors 'none'"));
	ck_assert_ptr_nonnull(strstr(html_headers, "nosniff"));
	/* Addresses may have tokens in them. */
	ck_assert_ptr_nonnull(strstr(html_headers, "no-referrer"));
}
END_TEST

START_TEST(what_is_lost_is_said)
{
	const struct {
		struct notice n;
		const char *said;
	} gaps[] = {
		{ { .type = NOTICE_GAP,
		      .reason = GAP_TRIMMED,
		      .after = { { "k3x9" }, 3 } },
		    "what followed on k3x9-3 is" },
		{ { .type = NOTICE_GAP, .reason = GAP_TRIMMED },
		    "what followed on the page before is" },
	};

	for (size_t i = 0; i < sizeof(gaps) / sizeof(gaps[0]); i++) {
		struct buf out;

		buf_init(&out, 1 << 16);
		ck_assert_int_eq(html_put_gap(&out, &gaps[i].n), SW_OK);
		buf_put(&out, "", 1);
		ck_assert_ptr_nonnull(
		    strstr((const char *)buf_head(&out), gaps[i].said));
		buf_fini(&out);
	}
}
END_TEST

static const struct request *page_request;

static int
page_story(void *arg)
{
	struct html_view *v = view_of(page_request);
	struct buf out;
	int err = SW_ENOMEM;

	buf_init(&out, 1 << 16);
	if (v != NULL) {
		html_begin(&out, v, &epoch, 7, false);
		html_put_event(&out, &epoch, arg);
		err = html_end(&out, v, &epoch, 7, true);
	}
	buf_fini(&out);
	free(v);
	return err;
}

START_TEST(memory_may_run_out)
{
	struct event *e;

	events_setup();
	e = event_of(EVENT_TEXT, "type", "text/plain", STR("payload"));
	page_request = head_of("/stream/a,b?format=html&limit=3", "");
	oom_tell(page_story, e);
	event_unref(e);
	events_teardown();
}
END_TEST

SUITE("html",
    LOOP(text_is_text_and_never_a_tag, sizeof(texts) / sizeof(texts[0])),
    LOOP(
	an_event_is_an_article_with_its_id, sizeof(events) / sizeof(events[0])),
    LOOP(
	the_next_page_begins_behind_this_one, sizeof(links) / sizeof(links[0])),
    TEST(a_page_is_named_after_its_channels), TEST(a_page_may_do_nothing),
    TEST(what_is_lost_is_said), TEST(memory_may_run_out))
