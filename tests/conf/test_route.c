#include "conf/route.h"

#include "conf/directives.h"
#include "tests/conf/files.h"

#define COUNT(table) (int)(sizeof(table) / sizeof((table)[0]))

static const struct {
	const char *pattern, *path;
	bool matches;
} matches[] = {
	{ "/a", "/a", true },
	{ "/a", "/a/", false },
	{ "/a", "/ab", false },
	{ "/a/", "/a/", true },
	{ "/a/", "/a", false },
	{ "/a/*", "/a", true },
	{ "/a/*", "/a/", true },
	{ "/a/*", "/a/b/c", true },
	{ "/a/*", "/ab", false },
	{ "/a/*", "/A/b", false },
	{ "/a/*", "/b/a/c", false },
	{ "/a*", "/ab", true },
	{ "/a*", "/a", true },
	{ "/*.php", "/a/b.php", true },
	{ "/*.php", "/a/b.php5", false },
	{ "/*/x/*", "/a/x", true },
	{ "/*/x/*", "/a/x/y", true },
	{ "/*", "/", true },
	{ "/*", "/a", true },
};

/* A configuration with one route of that pattern; the caller's. */
static struct conf *
load_route(const char *pattern, const char *more)
{
	char text[1024];

	snprintf(text, sizeof(text), "route \"%s\" { %s }\n", pattern, more);
	file_write("spillway.conf", text);
	return load("spillway.conf");
}

START_TEST(a_slash_and_a_star_mean_the_path_before_them_as_well)
{
	struct conf *c = load_route(matches[_i].pattern, "");

	ck_assert(route_matches(&c->routes[0], str_of(matches[_i].path)) ==
	    matches[_i].matches);
	conf_free(c);
}
END_TEST

static const struct {
	const char *pattern;
	bool valid;
} patterns[] = {
	{ "/", true },
	{ "/*", true },
	{ "/a-b._~!$&'()+,=:@/*", true },
	{ "/.well-known/*", true },
	{ "/...", true },
	{ "/azAZ09", true },
	{ "/a/", true },
	{ "", false },
	{ "*", false },
	{ "a", false },
	{ "/a b", false },
	{ "/a%20b", false },
	{ "/a?b", false },
	{ "/a#b", false },
	{ "/a;b", false },
	{ "/a[b", false },
	{ "/a`b", false },
	{ "/a{b", false },
	{ "/a\\b", false },
	{ "/a\"b", false },
	{ "/\xc3\xa9", false },
	{ "//", false },
	{ "/a//b", false },
	{ "/.", false },
	{ "/./a", false },
	{ "/a/..", false },
	{ "/a/../b", false },
};

START_TEST(a_pattern_is_a_path_that_needs_no_escapes)
{
	ck_assert(route_pattern_valid(str_of(patterns[_i].pattern)) ==
	    patterns[_i].valid);
}
END_TEST

START_TEST(a_pattern_has_a_longest)
{
	char longest[ROUTE_PATTERN_MAX + 1];

	memset(longest, 'a', sizeof(longest));
	longest[0] = '/';
	ck_assert(
	    route_pattern_valid((struct str){ longest, ROUTE_PATTERN_MAX }));
	ck_assert(!route_pattern_valid(
	    (struct str){ longest, ROUTE_PATTERN_MAX + 1 }));
}
END_TEST

static const char some_routes[] = "backend = \"http://a\"\n"
				  "route \"/api/v2/*\" {}\n"
				  "route \"/api/*\" {}\n"
				  "route \"/admin/*\" { backend = off }\n"
				  "route \"/exact\" {}\n";

enum { V2, API, ADMIN, EXACT, OUTSIDE, TWO_WAYS };

static const struct {
	const char *path;
	size_t route;
} choices[] = {
	{ "/", OUTSIDE },
	{ "/api", API },
	{ "/api/", API },
	{ "/api/x", API },
	{ "/api/v2", V2 },
	{ "/api/v2/x", V2 },
	{ "/api/v20", API },
	{ "/apis", OUTSIDE },
	{ "/admin", ADMIN },
	{ "/exact", EXACT },
	{ "/exact/", OUTSIDE },
	{ "/API/x", OUTSIDE },
	{ "/Admin", OUTSIDE },
	/* Odd, but the same route however they are read. */
	{ "/api/a/../b", API },
	{ "/api/a%2Fb", API },
	{ "/api/a%2fb/..%2fc", API },
	{ "/api/caf%C3%A9", API },
	{ "/api/a//b", API },
	{ "/api/a;b=c", API },
	{ "/api/100%", API },
	{ "/api/%zz", API },
	{ "/api/%", API },
	{ "/api/...", API },
	{ "/.well-known/x", OUTSIDE },
	{ "/caf%C3%A9", OUTSIDE },
	{ "//x", OUTSIDE },
	{ "/x/..", OUTSIDE },
	{ "/..", OUTSIDE },
	{ "/a%2f%2e%2e%2fb", OUTSIDE },
	/* What some server would take for another one's. */
	{ "/api/../admin", TWO_WAYS },
	{ "/api/..", TWO_WAYS },
	{ "/api/../", TWO_WAYS },
	{ "/api%2f../admin", TWO_WAYS },
	{ "/api%2fx", TWO_WAYS },
	{ "/api%2Fv2", TWO_WAYS },
	{ "/api/%2e%2e/admin", TWO_WAYS },
	{ "/api/%2E%2E/admin", TWO_WAYS },
	{ "/api/.%2e/admin", TWO_WAYS },
	{ "/api/..%2fadmin", TWO_WAYS },
	{ "/api/..%5cadmin", TWO_WAYS },
	{ "/api/..\\admin", TWO_WAYS },
	{ "/api/%252e%252e/admin", TWO_WAYS },
	{ "/api/..;/admin", TWO_WAYS },
	{ "/api/..;a=b/admin", TWO_WAYS },
	{ "/api/v2/../x", TWO_WAYS },
	{ "/api/./v2/x", TWO_WAYS },
	{ "/api//v2/x", TWO_WAYS },
	{ "/api/x/..//v2", TWO_WAYS },
	{ "//admin", TWO_WAYS },
	{ "//admin/x", TWO_WAYS },
	{ "/./admin", TWO_WAYS },
	{ "/x/../admin", TWO_WAYS },
	{ "/../admin", TWO_WAYS },
	{ "/%61dmin", TWO_WAYS },
	{ "/%2561dmin", TWO_WAYS },
	{ "/admin%2f", TWO_WAYS },
	{ "/admin;x", TWO_WAYS },
	{ "/admin;/x", TWO_WAYS },
	{ "/\\admin", TWO_WAYS },
	{ "/exact/.", OUTSIDE },
	{ "/exact;x", TWO_WAYS },
	{ "/exac%74", TWO_WAYS },
	/* For some it would end there. */
	{ "/exact%00", TWO_WAYS },
	{ "/x%00y", TWO_WAYS },
	{ "/x%2500y", TWO_WAYS },
};

START_TEST(what_could_be_another_routes_is_nobodys)
{
	struct conf *c;
	size_t route = 99;
	int err;

	file_write("spillway.conf", some_routes);
	c = load("spillway.conf");
	err = route_choose(
	    &route, c->routes, c->route_count, str_of(choices[_i].path), 99);
	ck_assert_msg(
	    err == (choices[_i].route == TWO_WAYS ? SW_EINVAL : SW_OK),
	    "%s: %d", choices[_i].path, err);
	if (err == SW_OK)
		ck_assert_uint_eq(route, choices[_i].route);
	conf_free(c);
}
END_TEST

START_TEST(what_is_odd_and_long_is_not_looked_at)
{
	static const struct {
		const char *path;
		uint64_t max;
		int err;
	} table[] = {
		{ "/api/a%20b", 10, SW_OK },
		{ "/api/a%20b", 9, SW_ELIMIT },
		{ "/api/../admin", 12, SW_ELIMIT },
		{ "/api/../admin", 13, SW_EINVAL },
		{ "/api/plain", 9, SW_OK },
	};
	struct conf *c;
	size_t route;

	file_write("spillway.conf", some_routes);
	c = load("spillway.conf");
	for (int i = 0; i < COUNT(table); i++)
		ck_assert_int_eq(route_choose(&route, c->routes, c->route_count,
				     str_of(table[i].path), table[i].max),
		    table[i].err);
	conf_free(c);
}
END_TEST

START_TEST(without_blocks_there_is_one_route_whatever_the_path)
{
	struct conf *c = load(NULL);
	size_t route = 99;

	ck_assert_uint_eq(c->route_count, 1);
	for (int i = 0; i < COUNT(choices); i++) {
		ck_assert_int_eq(route_choose(&route, c->routes, 1,
				     str_of(choices[i].path), 0),
		    SW_OK);
		ck_assert_uint_eq(route, 0);
	}
	conf_free(c);
}
END_TEST

START_TEST(a_prefix_is_what_is_before_the_one_star_at_the_end)
{
	static const struct {
		const char *pattern;
		size_t prefix;
	} table[] = {
		{ "/api/*", 4 },
		{ "/a/b/*", 4 },
		{ "/*", 0 },
		{ "/api", 0 },
		{ "/api*", 0 },
		{ "/*/x/*", 0 },
	};

	for (int i = 0; i < COUNT(table); i++) {
		struct conf *c = load_route(table[i].pattern, "");

		ck_assert_uint_eq(route_prefix(&c->routes[0]), table[i].prefix);
		conf_free(c);
	}
}
END_TEST

static const struct {
	const char *text;
	bool valid;
} headers[] = {
	{ "X-Team: a", true },
	{ "X-Team:a", true },
	{ "X-Team:", true },
	{ "X-Team:  ", true },
	{ "Host: app.internal:80", true },
	{ "Cookie:", true },
	{ "X: a: b", true },
	{ "", false },
	{ ":", false },
	{ "X-Team", false },
	{ "X Team: a", false },
	{ "X_Team: a", false },
	{ " X-Team: a", false },
	{ "X-Team : a", false },
	{ "X: a\r\nY: b", false },
	{ "X: a\nY: b", false },
	{ "Connection: close", false },
	{ "content-length: 1", false },
	{ "Transfer-Encoding:", false },
	{ "Upgrade: h2c", false },
	{ "Via:", false },
};

START_TEST(a_header_has_a_name_and_perhaps_a_value)
{
	struct str name, value;
	struct buf advice;
	int err;

	buf_init(&advice, 1024);
	err = value_header(str_of(headers[_i].text), &advice);
	ck_assert_int_eq(err, headers[_i].valid ? SW_OK : SW_EINVAL);
	ck_assert((buf_len(&advice) == 0) == headers[_i].valid);
	if (headers[_i].valid) {
		header_split(headers[_i].text, &name, &value);
		ck_assert_uint_gt(name.len, 0);
		ck_assert_ptr_null(memchr(name.p, ':', name.len));
		ck_assert(value.len == 0 || value.p[0] != ' ');
	}
	buf_fini(&advice);
}
END_TEST

START_TEST(a_route_inherits_what_it_does_not_set)
{
	struct conf *c;

	file_write("spillway.conf",
	    "backend-response-timeout = 3s\n"
	    "route \"/a/*\" { backend-idle-timeout = 4s }\n"
	    "route \"/b/*\" {\n"
	    "\tbackend = { \"http://b\", \"http://c\" }\n"
	    "\tbackend-failures = 7\n"
	    "\trequest-header = \"X: b\"\n"
	    "\trequest-header += \"Y: b\"\n"
	    "}\n"
	    "route \"/c/*\" { backend = off }\n"
	    "request-header = \"X: a\"\n"
	    "backend = \"http://a\"\n");
	c = load("spillway.conf");
	ck_assert_uint_eq(c->route_count, 4);
	for (size_t i = 0; i < 4; i++)
		ck_assert_uint_eq(
		    c->routes[i].backend_response_timeout_ms, 3000);
	ck_assert(!c->routes[0].own && c->routes[1].own && c->routes[2].own);
	ck_assert_uint_eq(c->routes[0].backend_idle_timeout_ms, 4000);
	ck_assert_str_eq(c->routes[0].backend[0], "http://a");
	ck_assert_str_eq(c->routes[0].request_header[0], "X: a");
	ck_assert_uint_eq(c->routes[1].backend_count, 2);
	ck_assert_uint_eq(c->routes[1].backend_failures, 7);
	ck_assert_uint_eq(c->routes[1].request_header_count, 2);
	ck_assert_str_eq(c->routes[1].request_header[0], "X: b");
	ck_assert_uint_eq(c->routes[2].backend_count, 0);
	ck_assert_uint_eq(conf_backend(c)->backend_count, 1);
	ck_assert_uint_eq(conf_backend(c)->backend_failures, 3);
	ck_assert_uint_eq(conf_backend(c)->request_header_count, 1);
	conf_free(c);
}
END_TEST

/* What is set in a block holds there, and nowhere else. */
START_TEST(only_directives_of_routes_stand_in_their_blocks)
{
	const struct directive *d = directive_at((size_t)_i);
	char text[512];

	snprintf(text, sizeof(text), "route \"/x/*\" {\n%s = \"%s\"\n%s }\n",
	    d->name,
	    d->fallback != NULL         ? d->fallback :
		d->kind == KIND_HEADERS ? "X: a" :
					  "http://a",
	    d->pool ? "backend = \"http://a\"" : "");
	file_write("spillway.conf", text);
	if (d->route) {
		conf_free(load("spillway.conf"));
		return;
	}
	snprintf(text, sizeof(text),
	    "spillway.conf:2: write %s outside of the route block: it %s\n",
	    d->name, d->channel ? "is about channels" : "holds for all routes");
	ck_assert_str_eq(load_faults("spillway.conf"), text);
}
END_TEST

static const struct {
	const char *text, *fault;
} faulty[] = {
	{ "route \"/a/*\" {}\n\nroute \"/a/*\" {}\n",
	    "3: route \"/a/*\" has a block at spillway.conf:1 already: put all "
	    "of its settings there\n" },
	{ "route \"/a/*\" {}\nroute \"/a/b/*\" {}\n",
	    "2: write this route before \"/a/*\" at spillway.conf:1, which has "
	    "all of its paths: the first one that matches holds\n" },
	{ "route \"/a/*\" {}\nroute \"/a\" {}\n",
	    "2: write this route before \"/a/*\" at spillway.conf:1, which has "
	    "all of its paths: the first one that matches holds\n" },
	{ "route \"a\" {}\n",
	    "1: route \"a\": write a path of 1 to 256 characters as it is "
	    "without escapes, such as \"/api/*\"\n" },
	{ "route \"/stream/x\" {}\n",
	    "1: leave out this route: the paths of \"/stream/x\" are the "
	    "gateway's own\n" },
	{ "route \"/healthz\" {}\n",
	    "1: leave out this route: the paths of \"/healthz\" are the "
	    "gateway's own\n" },
	{ "route \"/a\" { strip-prefix = yes }\n",
	    "1: write strip-prefix = no in this block, or a pattern with "
	    "something before its one star, which ends it, such as "
	    "\"/api/*\"\n" },
	{ "route \"/a/*\" {\nbackend-failures = 1 }\n",
	    "2: write backend = \"...\" in this block as well, or "
	    "backend-failures outside: the route shares the backend from "
	    "there\n" },
	{ "route \"/a/*\" {\nbackend = { \"http://a\", off } }\n",
	    "2: write \"off\" for backend alone, or leave it out\n" },
	{ "route \"/a/*\" {\nrequest-header = \"Via: x\" }\n",
	    "2: request-header = \"Via: x\": leave out Via: it is the "
	    "gateway's own to write\n" },
	{ "route \"/a/*\" {\nstrip-prefx = yes }\n",
	    "2: unknown directive \"strip-prefx\": did you mean "
	    "strip-prefix?\n" },
	{ "ruote \"/a/*\" {}\n",
	    "1: unknown directive \"ruote\": did you mean route?\n" },
	{ "route = x\n", "1: write route \"PATTERN\" { ... }\n" },
	{ "route \"/a/*\" {\ninclude(\"x\") }\n",
	    "2: write include outside of blocks\n" },
	{ "route \"/a/*\" {\nchannel \"x\" {} }\n",
	    "2: close the block above with } first: blocks do not nest\n" },
	{ "route \"/a/*\" {\n",
	    "1: close the block that begins here with }\n" },
};

START_TEST(what_is_wrong_with_routes_is_said)
{
	char expected[512];

	file_write("spillway.conf", faulty[_i].text);
	snprintf(
	    expected, sizeof(expected), "spillway.conf:%s", faulty[_i].fault);
	ck_assert_str_eq(load_faults("spillway.conf"), expected);
}
END_TEST

START_TEST(there_are_not_too_many_headers)
{
	struct buf text;

	for (int count = ROUTE_HEADERS_MAX; count <= ROUTE_HEADERS_MAX + 1;
	     count++) {
		buf_init(&text, 4096);
		buf_puts(&text, "route \"/a/*\" {\nrequest-header = \"X:\"\n");
		for (int i = 1; i < count; i++)
			buf_puts(&text, "request-header += \"X:\"\n");
		buf_puts(&text, "}\n");
		scratch_write("spillway.conf", buf_head(&text), buf_len(&text));
		buf_fini(&text);
		if (count == ROUTE_HEADERS_MAX)
			conf_free(load("spillway.conf"));
		else
			ck_assert_str_eq(load_faults("spillway.conf"),
			    "spillway.conf:34: write at most 32 values for "
			    "request-header\n");
	}
}
END_TEST

START_TEST(other_routes_need_a_restart_and_what_they_say_does_not)
{
	static const struct {
		const char *text;
		bool restart;
	} table[] = {
		{ some_routes, false },
		{ "backend = \"http://a\"\n", true },
		{ "backend = \"http://a\"\n"
		  "route \"/api/v2/*\" { strip-prefix = yes }\n"
		  "route \"/api/*\" { request-header = \"X: a\" }\n"
		  "route \"/admin/*\" { backend = off backend-failures = 9 }\n"
		  "route \"/exact\" {}\n",
		    false },
		{ "backend = \"http://a\"\n"
		  "route \"/api/v2/*\" {}\n"
		  "route \"/admin/*\" { backend = off }\n"
		  "route \"/api/*\" {}\n"
		  "route \"/exact\" {}\n",
		    true },
		{ "backend = \"http://a\"\n"
		  "route \"/api/v2/*\" {}\n"
		  "route \"/api/*\" {}\n"
		  "route \"/admin/*\" { backend = \"http://b\" }\n"
		  "route \"/exact\" {}\n",
		    true },
		{ "backend = \"http://a\"\n"
		  "route \"/api/v2/*\" {}\n"
		  "route \"/api/*\" {}\n"
		  "route \"/admin/*\" {}\n"
		  "route \"/exact\" {}\n",
		    true },
	};
	struct buf names;
	struct conf *now, *next;

	file_write("spillway.conf", some_routes);
	now = load("spillway.conf");
	file_write("spillway.conf", table[_i].text);
	next = load("spillway.conf");
	buf_init(&names, 1024);
	ck_assert_int_eq(conf_needs_restart(now, next, &names), SW_OK);
	ck_assert(str_is(buf_str(&names), "route") || buf_len(&names) == 0);
	ck_assert((buf_len(&names) > 0) == table[_i].restart);
	ck_assert_int_eq(conf_keep(next, now), SW_OK);
	ck_assert_uint_eq(next->route_count, now->route_count);
	for (size_t i = 0; i + 1 < now->route_count; i++) {
		ck_assert_str_eq(
		    next->routes[i].pattern, now->routes[i].pattern);
		ck_assert(next->routes[i].own == now->routes[i].own);
	}
	ck_assert(next->routes[0].strip_prefix == (_i == 2));
	buf_fini(&names);
	conf_free(next);
	conf_free(now);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("conf/route");
	TCase *tc = tcase_create("routes");

	tcase_add_checked_fixture(tc, scratch_make, scratch_remove);
	tcase_add_loop_test(tc,
	    a_slash_and_a_star_mean_the_path_before_them_as_well, 0,
	    COUNT(matches));
	tcase_add_loop_test(
	    tc, a_pattern_is_a_path_that_needs_no_escapes, 0, COUNT(patterns));
	tcase_add_test(tc, a_pattern_has_a_longest);
	tcase_add_loop_test(
	    tc, what_could_be_another_routes_is_nobodys, 0, COUNT(choices));
	tcase_add_test(tc, what_is_odd_and_long_is_not_looked_at);
	tcase_add_test(tc, without_blocks_there_is_one_route_whatever_the_path);
	tcase_add_test(tc, a_prefix_is_what_is_before_the_one_star_at_the_end);
	tcase_add_loop_test(
	    tc, a_header_has_a_name_and_perhaps_a_value, 0, COUNT(headers));
	tcase_add_test(tc, a_route_inherits_what_it_does_not_set);
	tcase_add_loop_test(tc, only_directives_of_routes_stand_in_their_blocks,
	    0, (int)directive_count());
	tcase_add_loop_test(
	    tc, what_is_wrong_with_routes_is_said, 0, COUNT(faulty));
	tcase_add_test(tc, there_are_not_too_many_headers);
	tcase_add_loop_test(
	    tc, other_routes_need_a_restart_and_what_they_say_does_not, 0, 6);
	suite_add_tcase(suite, tc);
	return run_cases(suite);
}
