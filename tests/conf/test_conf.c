#include <pthread.h>
#include <unistd.h>

#include "conf/conf.h"
#include "conf/directives.h"
#include "conf/fields.h"
#include "proxy/base/pattern.h"
#include "tests/conf/files.h"

#define COUNT(table) (int)(sizeof(table) / sizeof((table)[0]))

static const struct policy *
last_policy(const struct conf *c)
{
	return &c->policies[c->policy_count - 1];
}

/* The base of a directive's field, outside of blocks. */
static const void *
base_of(const struct conf *c, const struct directive *d)
{
	return conf_base(c, d);
}

START_TEST(without_a_file_everything_has_its_default)
{
	struct conf *c = load(NULL);

	ck_assert_uint_eq(c->listen_count, 1);
	ck_assert_str_eq(c->listen[0], "127.0.0.1:8080");
	ck_assert_uint_eq(c->listen_tls_count, 0);
	ck_assert_uint_eq(c->tls_certificate_count, 0);
	ck_assert_uint_eq(c->tls_key_count, 0);
	ck_assert_int_eq(c->tls_min_version, TLS_1_2);
	ck_assert_uint_eq(c->tls_session_age_ms, 12 * 3600 * 1000);
	ck_assert_uint_eq(c->tls_handshake_timeout_ms, 10 * 1000);
	ck_assert_uint_eq(c->tls_handshakes_max, 4096);
	ck_assert_uint_eq(c->api_listen_count, 1);
	ck_assert_str_eq(c->api_listen[0], "127.0.0.1:8081");
	ck_assert_uint_eq(c->api_token_count, 0);
	ck_assert(!c->anonymous);
	ck_assert_uint_eq(c->workers, 0);
	ck_assert_str_eq(c->store, SPILLWAY_STATEDIR "/spillway.db");
	ck_assert_int_eq(c->corrupt_store, CORRUPT_REFUSE);
	ck_assert(c->store_shared);
	ck_assert_uint_eq(c->store_max_bytes, UINT64_C(10) << 30);
	ck_assert_uint_eq(c->readers, 2);
	ck_assert_uint_eq(c->window_bytes, 64 << 20);
	ck_assert_uint_eq(c->window_events, 1024);
	ck_assert_uint_eq(c->publish_queue_events, 65536);
	ck_assert_uint_eq(c->publish_queue_bytes, 64 << 20);
	ck_assert_uint_eq(c->message_max, 1 << 20);
	ck_assert_uint_eq(c->batch_max, 16 << 20);
	ck_assert_uint_eq(c->batch_events_max, 10000);
	ck_assert_uint_eq(c->idempotency_age_ms, 24 * 3600 * 1000);
	ck_assert_uint_eq(c->channel_age_ms, UINT64_C(30) * 24 * 3600 * 1000);
	ck_assert_uint_eq(c->header_max, 12 << 10);
	ck_assert_uint_eq(c->header_timeout_ms, 10 * 1000);
	ck_assert_uint_eq(c->request_timeout_ms, 60 * 1000);
	ck_assert_uint_eq(c->idle_timeout_ms, 75 * 1000);
	ck_assert(c->first_look);
	ck_assert_str_eq(c->web_root, SPILLWAY_DATADIR "/web");
	conf_free(c);
}
END_TEST

START_TEST(without_a_file_streams_and_polls_have_their_defaults)
{
	struct conf *c = load(NULL);
	const struct policy *p = last_policy(c);

	ck_assert_uint_eq(c->heartbeat_ms, 15 * 1000);
	ck_assert_uint_eq(c->retry_ms, 2 * 1000);
	ck_assert_uint_eq(c->stall_timeout_ms, 30 * 1000);
	ck_assert_uint_eq(c->close_timeout_ms, 5 * 1000);
	ck_assert_uint_eq(c->drain_time_ms, 10 * 1000);
	ck_assert(c->deflate);
	ck_assert_uint_eq(c->deflate_min, 256);
	ck_assert_uint_eq(c->deflate_level, 1);
	ck_assert_uint_eq(c->poll_wait_ms, 25 * 1000);
	ck_assert_uint_eq(c->poll_wait_max_ms, 55 * 1000);
	ck_assert_uint_eq(c->poll_limit, 100);
	ck_assert_uint_eq(c->poll_limit_max, 1000);
	ck_assert_uint_eq(c->max_connections, 0);
	ck_assert_uint_eq(c->max_connections_per_address, 1024);
	ck_assert_uint_eq(c->channels_per_connection, 100);
	ck_assert_uint_eq(c->max_channels, 1000000);
	ck_assert_int_eq(c->log_level, LOG_INFO);
	ck_assert(!c->log_json);
	ck_assert_uint_eq(c->policy_count, 1);
	ck_assert_str_eq(p->pattern, "*");
	ck_assert_int_eq(p->durability, DURABILITY_NORMAL);
	ck_assert_uint_eq(p->history_events, 10000);
	ck_assert_uint_eq(p->history_bytes, 64 * 1024 * 1024);
	ck_assert_uint_eq(p->history_age_ms, UINT64_C(7) * 86400 * 1000);
	ck_assert_int_eq(p->send, SEND_OFF);
	ck_assert_int_eq(p->subscribe, ACCESS_AUTO);
	ck_assert_int_eq(p->send_access, ACCESS_AUTO);
	ck_assert_uint_eq(c->token_key_count, 0);
	ck_assert_str_eq(c->token_cookie, "off");
	ck_assert(!c->token_in_url);
	ck_assert_uint_eq(c->allow_origin_count, 0);
	conf_free(c);
}
END_TEST

#define TOKEN_KEY "token-key = \"HS256:0123456789abcdef0123456789abcdef\"\n"

/* Whether `d` is a number with limits. */
static bool
is_number(const struct directive *d)
{
	return d->kind == KIND_COUNT || d->kind == KIND_BYTES ||
	    d->kind == KIND_MSEC;
}

static void
put_setting(struct buf *out, const struct directive *d, uint64_t value)
{
	buf_printf(out, "%s = ", d->name);
	field_put_number(d, value, out);
	buf_puts(out, "\n");
}

/* What has to be there as well for the directive to be of use. */
static const char *
company_of(const struct directive *d)
{
	static const struct {
		const char *name, *company;
	} pairs[] = {
		{ "listen-tls", "tls-certificate = a\n" },
		{ "api-listen-tls", "tls-certificate = a\n" },
		{ "api-client-ca",
		    "api-listen-tls = '127.0.0.1:2' tls-certificate = a\n" },
		{ "tls-key", "tls-certificate = a\n" },
		{ "tls-ocsp", "tls-certificate = a\n" },
		{ "redirect-listen", "redirect-port = 443\n" },
		{ "token-in-url", TOKEN_KEY },
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		if (strcmp(d->name, pairs[i].name) == 0)
			return pairs[i].company;
	return "";
}

/* A file with that value, and values that go with it where there is a pair. */
static void
write_number(const struct directive *d, uint64_t value)
{
	struct buf text;

	buf_init(&text, 4096);
	put_setting(&text, d, value);
	for (size_t i = 0; i < directive_pair_count; i++) {
		const struct directive *low =
		    directive_find(str_of(directive_pairs[i].low));
		const struct directive *high =
		    directive_find(str_of(directive_pairs[i].high));

		if (d == low)
			put_setting(&text, high, high->max);
		if (d == high)
			put_setting(&text, low, low->min);
	}
	buf_puts(&text, company_of(d));
	scratch_write("spillway.conf", buf_head(&text), buf_len(&text));
	buf_fini(&text);
}

static void
check_accepted(const struct directive *d, uint64_t value)
{
	struct conf *c;

	write_number(d, value);
	c = load("spillway.conf");
	ck_assert_uint_eq(field_number(d, base_of(c, d)), value);
	conf_free(c);
}

static void
check_refused(const struct directive *d, uint64_t value)
{
	struct buf expected;

	buf_init(&expected, 1024);
	buf_printf(&expected, "spillway.conf:1: %s = \"", d->name);
	field_put_number(d, value, &expected);
	buf_puts(&expected, "\": write ");
	field_put_number(d, d->min, &expected);
	buf_puts(&expected, " to ");
	field_put_number(d, d->max, &expected);
	if (d->zero != NULL)
		buf_printf(&expected, ", or 0 (%s)", d->zero);
	buf_puts(&expected, "\n");
	buf_put(&expected, "", 1);
	write_number(d, value);
	ck_assert_str_eq(
	    load_faults("spillway.conf"), (const char *)buf_head(&expected));
	buf_fini(&expected);
}

START_TEST(each_number_is_accepted_within_its_limits_only)
{
	const struct directive *d = directive_at((size_t)_i);

	if (!is_number(d))
		return;
	ck_assert_uint_lt(d->min, d->max);
	check_accepted(d, d->min);
	check_accepted(d, d->min + 1);
	check_accepted(d, d->max);
	check_refused(d, d->max + 1);
	if (d->zero != NULL)
		check_accepted(d, 0);
	if (d->min > 1 || (d->min == 1 && d->zero == NULL))
		check_refused(d, d->min - 1);
	if (d->min > 1 && d->zero == NULL)
		check_refused(d, 0);
}
END_TEST

START_TEST(each_word_is_accepted_and_no_other)
{
	const struct directive *d = directive_at((size_t)_i);
	char text[256];
	struct conf *c;

	if (d->kind != KIND_WORD)
		return;
	for (unsigned i = 0; d->words[i] != NULL; i++) {
		/* Some words make no sense without a key, or a backend. */
		snprintf(text, sizeof(text),
		    "%s = %s\nbackend = \"http://a\"\n"
		    "bridge-secret = "
		    "whsec_MDEyMzQ1Njc4OWFiY2RlZmdo\n" TOKEN_KEY
		    "channel \"x\" { send = bridge }\n%s",
		    d->name, d->words[i], company_of(d));
		c = load_text(text);
		ck_assert_uint_eq(field_number(d, base_of(c, d)), i);
		conf_free(c);
	}
	snprintf(text, sizeof(text), "\n%s = fast\n", d->name);
	file_write("spillway.conf", text);
	snprintf(text, sizeof(text), "spillway.conf:2: %s = \"fast\": write ",
	    d->name);
	ck_assert(
	    strncmp(load_faults("spillway.conf"), text, strlen(text)) == 0);
	for (unsigned i = 0; d->words[i] != NULL; i++)
		ck_assert_ptr_nonnull(
		    strstr(load_faults("spillway.conf"), d->words[i]));
}
END_TEST

START_TEST(each_flag_is_yes_or_no)
{
	const struct directive *d = directive_at((size_t)_i);
	char text[256];
	struct conf *c;

	if (d->kind != KIND_FLAG)
		return;
	for (unsigned i = 0; i < 2; i++) {
		snprintf(text, sizeof(text),
		    "%s = %s\nbackend = \"http://a\"\n"
		    "bridge-secret = "
		    "whsec_MDEyMzQ1Njc4OWFiY2RlZmdo\n%s",
		    d->name, i == 0 ? "no" : "yes", company_of(d));
		c = load_text(text);
		ck_assert_uint_eq(field_number(d, base_of(c, d)), i);
		conf_free(c);
	}
	snprintf(text, sizeof(text), "%s = 1\n", d->name);
	file_write("spillway.conf", text);
	snprintf(text, sizeof(text),
	    "spillway.conf:1: %s = \"1\": write yes or no\n", d->name);
	ck_assert_str_eq(load_faults("spillway.conf"), text);
}
END_TEST

/* A value for the directive, and another one. */
static const char *
some_value(const struct directive *d, int which)
{
	if (d->kind == KIND_ADDRESSES)
		return which == 0 ? "127.0.0.1:1" : "127.0.0.1:2";
	if (d->kind == KIND_KEYS)
		return "HS256:0123456789abcdef0123456789abcdef";
	if (d->kind == KIND_ORIGINS)
		return "https://example.com";
	if (d->kind == KIND_NETWORKS)
		return "10.0.0.0/8";
	if (d->kind == KIND_BACKENDS)
		return "http://127.0.0.1:3000";
	if (d->kind == KIND_HEADERS)
		return "X-Team: a";
	return d->fallback == NULL ? "0123456789abcdef0123456789abcdef" :
				     d->fallback;
}

/* It says no more than what holds, or was turned off, or is meant for later. */
START_TEST(what_does_nothing_may_stand_where_that_is_clear)
{
	static const char *const files[] = {
		"token-cookie = off token-in-url = no\n"
		"bridge-path = /spillway-events access-log = no\n"
		"trusted-proxy = {} durability = normal store = memory\n"
		"message-mode = sync\n",
		"backend = off backend-ca = /a access-log = yes\n"
		"bridge-header = Cookie\n",
		"token-leeway = 1s\n"
		"backend-connect-timeout = 1s bridge-timeout = 1s\n",
		"route \"/a\" { backend = \"http://a\" }\naccess-log = yes\n",
		"message-mode = queue\nchannel \"a\" { send = bridge }\n"
		"backend = \"http://a\"\n"
		"bridge-secret = whsec_MDEyMzQ1Njc4OWFiY2RlZmdo\n",
		"channel \"a\" { message-mode = queue bridge-presence = yes }\n"
		"backend = \"http://a\"\n"
		"bridge-secret = whsec_MDEyMzQ1Njc4OWFiY2RlZmdo\n",
	};

	conf_free(load_text(files[_i]));
}
END_TEST

START_TEST(each_directive_is_set_once)
{
	const struct directive *d = directive_at((size_t)_i);
	char text[512];

	snprintf(text, sizeof(text), "%s = \"%s\"\n\n%s = \"%s\"\n%s", d->name,
	    some_value(d, 0), d->name, some_value(d, 1), company_of(d));
	file_write("spillway.conf", text);
	snprintf(text, sizeof(text),
	    "spillway.conf:3: %s is set at spillway.conf:1 already: %s\n",
	    d->name,
	    directive_is_list(d) ? "write += to add to it" :
				   "leave out one of the two");
	ck_assert_str_eq(load_faults("spillway.conf"), text);
}
END_TEST

START_TEST(each_duration_wants_a_unit)
{
	const struct directive *d = directive_at((size_t)_i);
	char text[256];

	if (d->kind != KIND_MSEC)
		return;
	snprintf(text, sizeof(text), "%s = 15\n", d->name);
	file_write("spillway.conf", text);
	snprintf(text, sizeof(text),
	    "spillway.conf:1: %s = \"15\": write the unit as well (ms, s, m, "
	    "h or d), such as 15s\n",
	    d->name);
	ck_assert_str_eq(load_faults("spillway.conf"), text);
}
END_TEST

/* What is set in a block holds there, and nowhere else. */
START_TEST(only_directives_of_channels_stand_in_blocks)
{
	const struct directive *d = directive_at((size_t)_i);
	char text[512];
	struct conf *c, *defaults = load(NULL);

	snprintf(text, sizeof(text), "channel \"x\" {\n%s = %s\n}\n", d->name,
	    d->kind == KIND_WORD ? d->words[0] :
		is_number(d)     ? "0" :
				   "no");
	file_write("spillway.conf", text);
	if (d->channel) {
		c = load("spillway.conf");
		ck_assert_uint_eq(c->policy_count, 2);
		ck_assert_uint_eq(field_number(d, &c->policies[0]), 0);
		ck_assert_uint_eq(field_number(d, &c->policies[1]),
		    field_number(d, &defaults->policies[0]));
		conf_free(c);
	} else {
		snprintf(text, sizeof(text),
		    "spillway.conf:2: write %s outside of the channel block: "
		    "it holds for all channels\n",
		    d->name);
		ck_assert_str_eq(load_faults("spillway.conf"), text);
	}
	conf_free(defaults);
}
END_TEST

START_TEST(lists_take_one_value_or_several_and_grow)
{
	struct conf *c = load_text("listen = \"127.0.0.1:1\"\n"
				   "api-listen = {\n"
				   "\t\"[::1]:2\", # one\n"
				   "\tunix:/run/api, // two\n"
				   "}\n"
				   "listen += { localhost:3, ':4' }\n"
				   "anonymous = on\n");

	ck_assert_uint_eq(c->listen_count, 3);
	ck_assert_str_eq(c->listen[0], "127.0.0.1:1");
	ck_assert_str_eq(c->listen[1], "localhost:3");
	ck_assert_str_eq(c->listen[2], ":4");
	ck_assert_uint_eq(c->api_listen_count, 2);
	ck_assert_str_eq(c->api_listen[0], "[::1]:2");
	ck_assert_str_eq(c->api_listen[1], "unix:/run/api");
	conf_free(c);
}
END_TEST

START_TEST(the_word_off_leaves_the_api_without_addresses)
{
	struct conf *c = load_text("api-listen = off\nweb-root = off\n"
				   "store = memory\n");

	ck_assert_uint_eq(c->api_listen_count, 0);
	ck_assert_str_eq(c->web_root, "off");
	ck_assert_str_eq(c->store, "memory");
	conf_free(c);
}
END_TEST

START_TEST(strings_may_have_escapes_and_variables)
{
	struct conf *c;

	setenv("SPILLWAY_TEST", "/var", 1);
	unsetenv("SPILLWAY_NONE");
	c = load_text("store = \"${SPILLWAY_TEST}/a\\\"b\\\\\\x41\"\n"
		      "web-root = ${SPILLWAY_NONE:-/web}\n");
	ck_assert_str_eq(c->store, "/var/a\"b\\A");
	ck_assert_str_eq(c->web_root, "/web");
	conf_free(c);
	c = load_text("\xef\xbb\xbfstore = 'it\\'s ${SPILLWAY_TEST} #'\r\n"
		      "workers = 3\r\n");
	ck_assert_str_eq(c->store, "it's ${SPILLWAY_TEST} #");
	ck_assert_uint_eq(c->workers, 3);
	conf_free(c);
}
END_TEST

START_TEST(comments_stand_anywhere)
{
	struct conf *c = load_text("/* one\n * two */ workers = 5 # three\n"
				   "## four\n"
				   "channel \"x\" /* five */ { // six\n"
				   "\t# seven\n"
				   "\tsend = /* eight */ echo // nine\n"
				   "} # ten");

	ck_assert_uint_eq(c->workers, 5);
	ck_assert_uint_eq(c->policy_count, 2);
	ck_assert_int_eq(c->policies[0].send, SEND_ECHO);
	conf_free(c);
}
END_TEST

START_TEST(an_empty_file_gives_the_defaults)
{
	struct conf *c = load_text(""), *defaults = load(NULL);

	for (size_t i = 0; i < directive_count(); i++)
		ck_assert_msg(
		    field_same(directive_at(i), base_of(c, directive_at(i)),
			base_of(defaults, directive_at(i))),
		    "%s", directive_at(i)->name);
	conf_free(c);
	conf_free(defaults);
}
END_TEST

START_TEST(a_block_inherits_what_it_does_not_set)
{
	/* Also from what stands below it. */
	struct conf *c = load_text("send = publish\n"
				   "channel \"a\" { history-age = 1h }\n"
				   "channel \"b\" {\n"
				   "\tsend = echo\n"
				   "\tdurability = full\n"
				   "}\n"
				   "channel \"c\" {}\n"
				   "history-age = 2h\n"
				   "history-events = 7\n"
				   "history-bytes = 8k\n"
				   "durability = memory\n");
	static const struct {
		const char *pattern;
		uint64_t age_ms;
		enum durability durability;
		enum send_mode send;
	} expected[] = {
		{ "a", 3600000, DURABILITY_MEMORY, SEND_PUBLISH },
		{ "b", 7200000, DURABILITY_FULL, SEND_ECHO },
		{ "c", 7200000, DURABILITY_MEMORY, SEND_PUBLISH },
		{ "*", 7200000, DURABILITY_MEMORY, SEND_PUBLISH },
	};

	ck_assert_uint_eq(c->policy_count, 4);
	for (size_t i = 0; i < 4; i++) {
		const struct policy *p = &c->policies[i];

		ck_assert_str_eq(p->pattern, expected[i].pattern);
		ck_assert_uint_eq(p->history_events, 7);
		ck_assert_uint_eq(p->history_bytes, 8192);
		ck_assert_uint_eq(p->history_age_ms, expected[i].age_ms);
		ck_assert_int_eq(p->durability, expected[i].durability);
		ck_assert_int_eq(p->send, expected[i].send);
	}
	conf_free(c);
}
END_TEST

START_TEST(the_first_pattern_that_matches_holds)
{
	struct conf *c = load_text("channel \"room-7\" { history-events = 1 }\n"
				   "channel \"room-*\" { history-events = 2 }\n"
				   "channel \"*-7\" { history-events = 3 }\n"
				   "channel \"*-8\" { history-events = 4 }\n"
				   "history-events = 5\n");
	static const struct {
		const char *channel;
		size_t events;
	} table[] = {
		{ "room-7", 1 },
		{ "room-8", 2 },
		{ "room-", 2 },
		{ "lobby-7", 3 },
		{ "lobby-8", 4 },
		{ "room", 5 },
		{ "Room-7", 3 },
		{ "x", 5 },
	};

	for (int i = 0; i < COUNT(table); i++)
		ck_assert_uint_eq(
		    conf_policy(c, str_of(table[i].channel))->history_events,
		    table[i].events);
	conf_free(c);
}
END_TEST

static const struct {
	const char *pattern;
	const char *name;
	bool matches;
} patterns[] = {
	{ "a", "a", true },
	{ "a", "b", false },
	{ "a", "aa", false },
	{ "aa", "a", false },
	{ "*", "", true },
	{ "*", "anything.at~all", true },
	{ "**", "x", true },
	{ "a*", "a", true },
	{ "a*", "abc", true },
	{ "a*", "ba", false },
	{ "*a", "a", true },
	{ "*a", "bca", true },
	{ "*a", "ab", false },
	{ "*a", "aba", true },
	{ "a*c", "ac", true },
	{ "a*c", "abbc", true },
	{ "a*c", "acb", false },
	{ "a*c", "a", false },
	{ "a*a", "a", false },
	{ "a*a", "aa", true },
	{ "*b*", "abc", true },
	{ "*b*", "ac", false },
	{ "a*b*c", "aXbYbZc", true },
	{ "a*b*c", "acb", false },
	{ "*ab", "aab", true },
	{ "*abc*abd", "abcabcabd", true },
	{ "room-*-x", "room-1-x-2-x", true },
	{ "room-*-x", "room-x", false },
	{ ".", "a", false },
	{ "?", "a", false },
	{ "", "", true },
	{ "", "a", false },
};

START_TEST(a_star_stands_for_any_text)
{
	ck_assert(pattern_matches(patterns[_i].pattern,
		      str_of(patterns[_i].name)) == patterns[_i].matches);
}
END_TEST

/* As it is said: a star is no text, or a character and what it is then. */
static bool
matches_by_definition(const char *pattern, const char *name)
{
	if (*pattern == '\0')
		return *name == '\0';
	if (*pattern == '*')
		return matches_by_definition(pattern + 1, name) ||
		    (*name != '\0' && matches_by_definition(pattern, name + 1));
	return *pattern == *name &&
	    matches_by_definition(pattern + 1, name + 1);
}

/* The text of so many characters that has this number. */
static void
spell(char *out, size_t len, unsigned number, const char *letters)
{
	for (size_t i = 0; i < len; i++) {
		out[i] = letters[number % strlen(letters)];
		number /= (unsigned)strlen(letters);
	}
	out[len] = '\0';
}

START_TEST(every_short_pattern_matches_what_it_should)
{
	static const unsigned powers_of_3[] = { 1, 3, 9, 27, 81, 243 };
	char pattern[6], name[7];

	for (size_t p = 0; p < COUNT(powers_of_3); p++) {
		for (unsigned i = 0; i < powers_of_3[p]; i++) {
			spell(pattern, p, i, "ab*");
			for (size_t n = 0; n < sizeof(name); n++) {
				for (unsigned j = 0; j < 1u << n; j++) {
					spell(name, n, j, "ab");
					ck_assert_msg(pattern_matches(pattern,
							  str_of(name)) ==
						matches_by_definition(
						    pattern, name),
					    "%s %s", pattern, name);
				}
			}
		}
	}
}
END_TEST

/* Nested backtracking would not end before the universe does. */
START_TEST(a_pattern_of_many_stars_is_matched_quickly)
{
	char pattern[PATTERN_MAX + 1], name[128];

	for (size_t i = 0; i < PATTERN_MAX; i++)
		pattern[i] = i % 2 == 0 ? '*' : 'a';
	pattern[PATTERN_MAX] = '\0';
	memset(name, 'a', sizeof(name));
	ck_assert(pattern_matches(pattern, (struct str){ name, 128 }));
	name[127] = 'b';
	ck_assert(!pattern_matches(pattern, (struct str){ name, 128 }));
}
END_TEST

START_TEST(a_pattern_has_characters_of_names_and_stars)
{
	char longest[PATTERN_MAX + 1];

	ck_assert(pattern_valid(STR("AZaz09._~:-*")));
	ck_assert(pattern_valid(STR("*")));
	ck_assert(!pattern_valid(STR("")));
	ck_assert(!pattern_valid(STR("a b")));
	ck_assert(!pattern_valid(STR("a,b")));
	ck_assert(!pattern_valid(STR("a/b")));
	ck_assert(!pattern_valid(STR("\xc3\xa4")));
	memset(longest, 'a', sizeof(longest));
	ck_assert(pattern_valid((struct str){ longest, PATTERN_MAX }));
	ck_assert(!pattern_valid((struct str){ longest, PATTERN_MAX + 1 }));
}
END_TEST

START_TEST(an_include_stands_for_the_text_of_its_file)
{
	struct conf *c;

	mkdir(scratch_path("sub"), 0777);
	file_write("spillway.conf",
	    "channel \"a\" {}\n"
	    "listen = \"127.0.0.1:1\"\n"
	    "include(\"sub/one.conf\")\n"
	    "channel \"d\" { send = echo }\n"
	    "listen += \"127.0.0.1:4\"\n"
	    "heartbeat = 4s\n");
	file_write("sub/one.conf",
	    "listen += \"127.0.0.1:2\"\n"
	    "channel \"b\" {}\n"
	    "include(two.conf)");
	file_write("sub/two.conf",
	    "listen += \"127.0.0.1:3\"\n"
	    "channel \"c\" {}\n"
	    "history-events = 9\n");
	c = load("spillway.conf");
	ck_assert_uint_eq(c->listen_count, 4);
	for (size_t i = 0; i < 4; i++)
		ck_assert_int_eq(c->listen[i][10], '1' + (char)i);
	ck_assert_uint_eq(c->policy_count, 5);
	for (size_t i = 0; i < 4; i++) {
		ck_assert_int_eq(c->policies[i].pattern[0], 'a' + (char)i);
		ck_assert_uint_eq(c->policies[i].history_events, 9);
	}
	ck_assert_int_eq(c->policies[3].send, SEND_ECHO);
	ck_assert_uint_eq(c->heartbeat_ms, 4000);
	conf_free(c);
}
END_TEST

START_TEST(an_include_may_name_an_absolute_path)
{
	char text[256];
	struct conf *c;

	file_write("other.conf", "workers = 9\n");
	snprintf(text, sizeof(text), "include(\"%s\")\n",
	    scratch_path("other.conf"));
	c = load_text(text);
	ck_assert_uint_eq(c->workers, 9);
	conf_free(c);
}
END_TEST

START_TEST(the_path_of_the_file_may_be_relative)
{
	struct buf faults;
	struct conf *c;

	file_write("other.conf", "workers = 9\n");
	file_write("spillway.conf", "include(\"other.conf\")\n");
	ck_assert_int_eq(chdir(scratch_dir), 0);
	buf_init(&faults, 1024);
	ck_assert_int_eq(conf_load(&c, "spillway.conf", &faults), SW_OK);
	ck_assert_uint_eq(c->workers, 9);
	conf_free(c);
	buf_fini(&faults);
}
END_TEST

START_TEST(a_token_is_text_or_the_first_line_of_a_file)
{
	char text[512];
	struct conf *c;

	file_write("token", " first-line-of-token \nsecond\n");
	snprintf(text, sizeof(text),
	    "api-token = { \"0123456789abcdef\", \"file:%s\" }\n",
	    scratch_path("token"));
	c = load_text(text);
	ck_assert_uint_eq(c->api_token_count, 2);
	ck_assert_str_eq(c->api_token[0].secret, "0123456789abcdef");
	ck_assert_str_eq(c->api_token[1].secret, "first-line-of-token");
	conf_free(c);

	/* It is read at each load, so that tokens can be changed. */
	file_write("token", "another-token-now");
	c = load("spillway.conf");
	ck_assert_str_eq(c->api_token[1].secret, "another-token-now");
	conf_free(c);
}
END_TEST

START_TEST(a_token_says_in_front_what_it_is_for)
{
	static const struct {
		const char *text;
		unsigned scopes;
		const char *secret;
	} tokens[] = {
		{ "0123456789abcdef", API_ALL, "0123456789abcdef" },
		{ "admin:0123456789abcdef", API_ALL, "0123456789abcdef" },
		{ "read:0123456789abcdef", API_READ, "0123456789abcdef" },
		{ "publish:0123456789abcdef", API_PUBLISH, "0123456789abcdef" },
		/* Only these words are, and only once. */
		{ "write:0123456789abcdef", API_ALL, "write:0123456789abcdef" },
		{ "Read:0123456789abcdef", API_ALL, "Read:0123456789abcdef" },
		{ "read:read:0123456789abcdef", API_READ,
		    "read:0123456789abcdef" },
		{ "readable0123456789", API_ALL, "readable0123456789" },
	};
	struct conf *c;
	struct buf text;

	buf_init(&text, 4096);
	buf_printf(&text, "api-token = \"%s\"\n", tokens[_i].text);
	scratch_write("spillway.conf", buf_head(&text), buf_len(&text));
	buf_fini(&text);
	c = load("spillway.conf");
	ck_assert_uint_eq(c->api_token_count, 1);
	ck_assert_uint_eq(c->api_token[0].scopes, tokens[_i].scopes);
	ck_assert_str_eq(c->api_token[0].secret, tokens[_i].secret);
	conf_free(c);
}
END_TEST

START_TEST(a_token_in_a_file_has_a_scope_as_well)
{
	char text[512];
	struct conf *c;

	file_write("token", "first-line-of-token\n");
	snprintf(text, sizeof(text), "api-token = \"publish:file:%s\"\n",
	    scratch_path("token"));
	c = load_text(text);
	ck_assert_str_eq(c->api_token[0].secret, "first-line-of-token");
	ck_assert_uint_eq(c->api_token[0].scopes, API_PUBLISH);
	conf_free(c);
}
END_TEST

/* Loads to something different from the defaults in every field. */
static const char rich[] =
    "listen = { \"127.0.0.2:8080\", '[::1]:80' }\n"
    "listen-tls = { \"127.0.0.1:443\", \"unix:/run/tls\" }\n"
    "tls-certificate = { a.pem, \"/b c.pem\" } tls-key = { a, b }\n"
    "tls-min-version = 1.3 tls-session-age = 2m hsts-age = 1d "
    "tls-certificate-check = 1m tls-ocsp = { none, /c } "
    "api-listen-tls = \"127.0.0.1:2\" api-client-ca = { d.pem, e } "
    "redirect-listen = \"127.0.0.1:3\" redirect-port = 4 "
    "tls-handshakes-max = 3\n"
    "tls-handshake-timeout = 4s api-listen = \"[::1]:1\"\n"
    "api-token = \"quoted\\\"$\\{backslash\\\\and-more\"\n"
    "listen-socket-mode = 0660 api-socket-mode = 0666\n"
    "user = nobody group = nogroup core-dumps = yes\n"
    "anonymous = yes workers = 3 store = \"/tmp/a b\\x01\"\n"
    "corrupt-store = move-aside store-max-bytes = 0 store-readers = 5\n"
    "store-shared = no\n"
    "window-bytes = 1537k window-events = 6 publish-queue-events = 77\n"
    "publish-queue-bytes = 3m message-max = 2000 batch-max = 1025\n"
    "batch-events-max = 8 idempotency-age = 61s channel-age = 5h "
    "header-max = 3k\n"
    "odd-path-max = 99\n"
    "header-timeout = 101ms request-timeout = 2s idle-timeout = 3s\n"
    "first-look = no web-root = off demo = yes heartbeat = 59s retry = 7s\n"
    "backend = { \"http://a:1 weight=2\", \"unix:/b\" }\n"
    "backend-ca = /ca.pem backend-connect-timeout = 1s\n"
    "backend-response-timeout = 2s backend-idle-timeout = 3s\n"
    "backend-total-timeout = 4s backend-keep-alive = 5s\n"
    "backend-resolve-interval = 12s\n"
    "backend-requests-max = 6 backend-queue-max = 7\n"
    "backend-header-max = 8k backend-failures = 9\n"
    "backend-fail-time = 10s access-log = yes\n"
    "request-header = { \"X-Team: a\", \"Cookie:\" }\n"
    "response-header = \"X-Frame-Options: DENY\" strip-prefix = yes\n"
    "backend-probe-path = /up backend-probe-interval = 13s\n"
    "backend-probe-timeout = 14s\n"
    "upgrade = { websocket, x } upgrade-idle-timeout = 11s\n"
    "trusted-proxy = { 10.0.0.0/8, \"fd00::/8\", unix }\n"
    "proxy-protocol = 10.1.1.1\n"
    "stall-timeout = 1h notsent-lowat = 0 tcp-keepalive = 0\n"
    "close-timeout = 60s drain-time = 0\n"
    "deflate = no deflate-min = 0 deflate-level = 9 poll-wait = 0\n"
    "poll-wait-max = 90s poll-limit = 5 poll-limit-max = 6\n"
    "max-connections = 7 max-connections-per-address = 8\n"
    "connection-rate = 3 tls-handshake-rate = 4 limit-loopback = yes\n"
    "message-rate = 0 message-byte-rate = 0 publish-rate = 7\n"
    "channels-per-connection = 9 max-channels = 10 max-sessions = 11\n"
    "session-lease = 12s log-level = debug\n"
    "log-format = json durability = full history-events = 0\n"
    "history-age = 0 history-bytes = 12345 send = publish\n"
    "token-key = { \"HS256:kid=a:0123456789abcdef0123456789abcdef\" }\n"
    "token-issuer = { a, \"b c\" } token-audience = \"${NOBODY:-x}\"\n"
    "token-leeway = 0 token-cookie = jwt token-in-url = yes\n"
    "auth-timeout = 0 allow-origin = { \"https://a.b\", \"*\" }\n"
    "subscribe = token send-access = anyone\n"
    "bridge-connect = yes bridge-presence = yes message-mode = queue\n"
    "presence-events = yes\n"
    "outbox-max-age = 1h outbox-max-bytes = 1m outbox-retry-max = 1s\n"
    "bridge-path = /hook bridge-header = Cookie bridge-timeout = 3s\n"
    "bridge-secret = whsec_MDEyMzQ1Njc4OWFiY2RlZmdo bridge-queue-bytes = 2m\n"
    "channel \"room-*\" { durability = memory history-events = 11 }\n"
    "channel \"*\" { send = echo history-age = 25h }\n"
    "route \"/api/*\" { backend-total-timeout = 1m upgrade = off }\n"
    "route \"/own/*\" { backend = { \"http://c\" } backend-ca = /d.pem\n"
    "request-header = {} }\n"
    "route \"/no/*\" { backend = off access-log = no }\n";

static void
check_same(const struct conf *a, const struct conf *b)
{
	ck_assert_uint_eq(a->policy_count, b->policy_count);
	ck_assert_uint_eq(a->api_token_count, b->api_token_count);
	ck_assert_uint_eq(a->token_key_count, b->token_key_count);
	for (size_t i = 0; i < a->token_key_count; i++)
		ck_assert_str_eq(a->token_key[i].kid, b->token_key[i].kid);
	for (size_t i = 0; i < a->api_token_count; i++)
		ck_assert_str_eq(
		    a->api_token[i].secret, b->api_token[i].secret);
	for (size_t i = 0; i < directive_count(); i++) {
		const struct directive *d = directive_at(i);

		if (!d->channel)
			ck_assert_msg(
			    field_same(d, base_of(a, d), base_of(b, d)), "%s",
			    d->name);
		for (size_t j = 0; d->route && j < a->route_count; j++)
			ck_assert_msg(
			    field_same(d, &a->routes[j], &b->routes[j]),
			    "%s of %s", d->name, a->routes[j].pattern);
		for (size_t j = 0; d->channel && j < a->policy_count; j++)
			ck_assert_msg(
			    field_same(d, &a->policies[j], &b->policies[j]),
			    "%s", d->name);
	}
	for (size_t j = 0; j < a->policy_count; j++)
		ck_assert_str_eq(
		    a->policies[j].pattern, b->policies[j].pattern);
	ck_assert_uint_eq(a->route_count, b->route_count);
	for (size_t j = 0; j + 1 < a->route_count; j++) {
		ck_assert_str_eq(a->routes[j].pattern, b->routes[j].pattern);
		ck_assert(a->routes[j].own == b->routes[j].own);
	}
}

START_TEST(the_rich_example_differs_from_every_default)
{
	struct conf *c = load_text(rich), *defaults = load(NULL);

	for (size_t i = 0; i < directive_count(); i++)
		ck_assert_msg(
		    !field_same(directive_at(i), base_of(c, directive_at(i)),
			base_of(defaults, directive_at(i))),
		    "%s", directive_at(i)->name);
	ck_assert_str_eq(c->store, "/tmp/a b\x01");
	ck_assert_str_eq(
	    c->api_token[0].secret, "quoted\"${backslash\\and-more");
	conf_free(c);
	conf_free(defaults);
}
END_TEST

/* Print, load what was printed, and compare. */
static void
check_round_trip(const struct conf *c)
{
	struct conf *again;
	struct buf out;

	buf_init(&out, 64 * 1024);
	ck_assert_int_eq(conf_print(c, &out), SW_OK);
	scratch_write("printed.conf", buf_head(&out), buf_len(&out));
	again = load("printed.conf");
	check_same(c, again);
	for (size_t i = 0; i < directive_count(); i++) {
		buf_put(&out, "", 1);
		ck_assert_msg(strstr((char *)buf_head(&out),
				  directive_at(i)->name) != NULL,
		    "%s", directive_at(i)->name);
	}
	conf_free(again);
	buf_fini(&out);
}

START_TEST(what_is_printed_loads_to_the_same)
{
	struct conf *c = load_text(rich);

	check_round_trip(c);
	conf_free(c);
	c = load(NULL);
	check_round_trip(c);
	conf_free(c);
	c = load_text("api-listen = off\n");
	check_round_trip(c);
	conf_free(c);
}
END_TEST

START_TEST(a_token_that_is_kept_in_a_file_is_not_printed)
{
	char text[512];
	struct buf out;
	struct conf *c;

	file_write("token", "very-secret-token\n");
	snprintf(text, sizeof(text), "api-token = \"file:%s\"\n",
	    scratch_path("token"));
	c = load_text(text);
	check_round_trip(c);
	buf_init(&out, 64 * 1024);
	ck_assert_int_eq(conf_print(c, &out), SW_OK);
	buf_put(&out, "", 1);
	ck_assert_ptr_null(strstr((char *)buf_head(&out), "very-secret"));
	ck_assert_ptr_nonnull(
	    strstr((char *)buf_head(&out), scratch_path("token")));
	buf_fini(&out);
	conf_free(c);
}
END_TEST

START_TEST(what_needs_a_restart_is_named)
{
	struct conf *now = load(NULL);
	struct conf *next = load_text(rich);
	struct buf names;

	buf_init(&names, 4096);
	ck_assert_int_eq(conf_needs_restart(now, now, &names), SW_OK);
	ck_assert_uint_eq(buf_len(&names), 0);
	conf_free(next);
	next = load_text("heartbeat = 1s\nlog-level = debug\n"
			 "history-age = 1d\nchannel \"x\" {}\n");
	ck_assert_int_eq(conf_needs_restart(now, next, &names), SW_OK);
	ck_assert_uint_eq(buf_len(&names), 0);
	conf_free(next);
	next = load_text("store = memory\nheartbeat = 1s\n"
			 "listen = \"127.0.0.1:1\"\n");
	ck_assert_int_eq(conf_needs_restart(now, next, &names), SW_OK);
	ck_assert(str_is(buf_str(&names), "listen, store"));
	conf_free(next);
	conf_free(now);
	buf_fini(&names);
}
END_TEST

START_TEST(what_needs_a_restart_keeps_its_value)
{
	struct conf *now = load(NULL);
	struct conf *next = load_text(rich);
	uint64_t heartbeat_ms = next->heartbeat_ms;
	struct buf names;

	buf_init(&names, 4096);
	ck_assert_int_eq(conf_needs_restart(now, next, &names), SW_OK);
	ck_assert_uint_gt(buf_len(&names), 0);
	ck_assert_uint_ne(heartbeat_ms, now->heartbeat_ms);
	ck_assert_int_eq(conf_keep(next, now), SW_OK);
	buf_clear(&names);
	ck_assert_int_eq(conf_needs_restart(now, next, &names), SW_OK);
	ck_assert_uint_eq(buf_len(&names), 0);
	ck_assert_str_eq(next->listen[0], now->listen[0]);
	ck_assert_str_eq(next->store, now->store);
	ck_assert_uint_eq(next->heartbeat_ms, heartbeat_ms);
	conf_free(next);
	conf_free(now);
	buf_fini(&names);
}
END_TEST

/* As a daemon does on each SIGHUP: what is wrong once leaves nothing behind. */
START_TEST(loads_are_independent_of_what_was_loaded_before)
{
	static const char *const broken[] = { "store = \"abc\n", "store = 'abc",
		"/* open", "channel \"x\" {", "listen = { \"a\"",
		"store = \"\\999\"", "include(\"nothing\")", "}", "= =", "",
		"include(\"spillway.conf\")" };
	struct conf *c;

	for (int i = 0; i < 40; i++) {
		file_write("spillway.conf", broken[i % COUNT(broken)]);
		if (broken[i % COUNT(broken)][0] != '\0')
			load_faults("spillway.conf");
		c = load_text(rich);
		ck_assert_uint_eq(c->workers, 3);
		ck_assert_uint_eq(c->policy_count, 3);
		conf_free(c);
	}
}
END_TEST

static void *
load_often(void *arg)
{
	const char *path = arg;
	struct buf faults;
	struct conf *c;

	buf_init(&faults, 4096);
	for (int i = 0; i < 50; i++) {
		if (conf_load(&c, path, &faults) != SW_OK || c->workers != 3)
			return arg;
		conf_free(c);
	}
	buf_fini(&faults);
	return NULL;
}

START_TEST(threads_may_load_at_the_same_time)
{
	char path[256];
	pthread_t threads[4];
	void *failed;

	file_write("spillway.conf", rich);
	strcpy(path, scratch_path("spillway.conf"));
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(
		    pthread_create(&threads[i], NULL, load_often, path), 0);
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(pthread_join(threads[i], &failed), 0);
		ck_assert_ptr_null(failed);
	}
}
END_TEST

static void
add_table_tests(TCase *tc)
{
	int n = (int)directive_count();

	tcase_add_loop_test(
	    tc, each_number_is_accepted_within_its_limits_only, 0, n);
	tcase_add_loop_test(tc, each_word_is_accepted_and_no_other, 0, n);
	tcase_add_loop_test(tc, each_flag_is_yes_or_no, 0, n);
	tcase_add_loop_test(tc, each_directive_is_set_once, 0, n);
	tcase_add_loop_test(tc, each_duration_wants_a_unit, 0, n);
	tcase_add_loop_test(
	    tc, only_directives_of_channels_stand_in_blocks, 0, n);
}

static void
add_channel_tests(TCase *tc)
{
	tcase_add_test(tc, a_block_inherits_what_it_does_not_set);
	tcase_add_test(tc, the_first_pattern_that_matches_holds);
	tcase_add_loop_test(tc, a_star_stands_for_any_text, 0, COUNT(patterns));
	tcase_add_test(tc, every_short_pattern_matches_what_it_should);
	tcase_add_test(tc, a_pattern_of_many_stars_is_matched_quickly);
	tcase_add_test(tc, a_pattern_has_characters_of_names_and_stars);
}

int
main(void)
{
	Suite *suite = suite_create("conf/conf");
	TCase *tc = tcase_create("load");

	tcase_add_checked_fixture(tc, scratch_make, scratch_remove);
	tcase_add_test(tc, without_a_file_everything_has_its_default);
	tcase_add_test(
	    tc, without_a_file_streams_and_polls_have_their_defaults);
	tcase_add_loop_test(
	    tc, what_does_nothing_may_stand_where_that_is_clear, 0, 6);
	add_table_tests(tc);
	add_channel_tests(tc);
	tcase_add_test(tc, lists_take_one_value_or_several_and_grow);
	tcase_add_test(tc, the_word_off_leaves_the_api_without_addresses);
	tcase_add_test(tc, strings_may_have_escapes_and_variables);
	tcase_add_test(tc, comments_stand_anywhere);
	tcase_add_test(tc, an_empty_file_gives_the_defaults);
	tcase_add_test(tc, an_include_stands_for_the_text_of_its_file);
	tcase_add_test(tc, an_include_may_name_an_absolute_path);
	tcase_add_test(tc, the_path_of_the_file_may_be_relative);
	tcase_add_test(tc, a_token_is_text_or_the_first_line_of_a_file);
	tcase_add_loop_test(tc, a_token_says_in_front_what_it_is_for, 0, 8);
	tcase_add_test(tc, a_token_in_a_file_has_a_scope_as_well);
	tcase_add_test(tc, the_rich_example_differs_from_every_default);
	tcase_add_test(tc, what_is_printed_loads_to_the_same);
	tcase_add_test(tc, a_token_that_is_kept_in_a_file_is_not_printed);
	tcase_add_test(tc, what_needs_a_restart_is_named);
	tcase_add_test(tc, what_needs_a_restart_keeps_its_value);
	tcase_add_test(tc, loads_are_independent_of_what_was_loaded_before);
	tcase_add_test(tc, threads_may_load_at_the_same_time);
	suite_add_tcase(suite, tc);
	return run_cases(suite);
}
