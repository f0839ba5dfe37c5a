#include "proxy/sessions/sessions.h"

#include <check.h>
#include <string.h>

#include "proxy/auth/token.h"
#include "proxy/base/err.h"
#include "proxy/stream/hub.h"
#include "tests/oom.h"
#include "tests/suite.h"

enum { LEASE = 1000, HOMES = 2, CHANNELS = 3 };

static struct sessions *sessions;
static struct channels *registry;
static struct hub_channel places[CHANNELS];
static unsigned woken[HOMES];
static uint64_t last_number;

static void
wake(void *ctx, size_t home)
{
	(void)ctx;
	woken[home]++;
}

static uint64_t
number(void *ctx)
{
	(void)ctx;
	return ++last_number;
}

static int
open_all(void)
{
	static const char *const names[CHANNELS] = { "a", "b", "c" };
	int err;

	memset(woken, 0, sizeof(woken));
	last_number = 0;
	registry = NULL;
	sessions = NULL;
	memset(places, 0, sizeof(places));
	if ((err = channels_new(&registry, 10)) != SW_OK ||
	    (err = sessions_new(&sessions, HOMES, wake, NULL)) != SW_OK)
		return err;
	for (size_t i = 0; i < CHANNELS && err == SW_OK; i++)
		err = channels_get(
		    &places[i].channel, registry, str_of(names[i]));
	sessions_configure(sessions, LEASE, 4, 2);
	return err;
}

static void
close_all(void)
{
	sessions_free(sessions);
	for (size_t i = 0; i < CHANNELS; i++)
		channel_unref(places[i].channel);
	if (registry != NULL)
		channels_free(registry);
}

static void
begin(void)
{
	ck_assert_int_eq(open_all(), SW_OK);
}

/* What a request listens to: of "ac" the first and the third channel. */
struct links {
	struct link all[CHANNELS];
};

static const struct link *
links_of(struct links *l, const char *channels)
{
	struct link *next = NULL;

	memset(l, 0, sizeof(*l));
	for (size_t n = strlen(channels); n > 0; n--) {
		l->all[n - 1].channel = &places[channels[n - 1] - 'a'];
		l->all[n - 1].next = next;
		next = &l->all[n - 1];
	}
	return next;
}

static struct visit
visit_of(const char *name, const struct link *links, uint64_t now_ms)
{
	static const struct address peer = { .ip = { 127, 0, 0, 1 } };

	return (struct visit){
		.session = str_of(name),
		.peer = &peer,
		.transport = "short",
		.links = links,
		.number = number,
		.now_ms = now_ms,
		.unix_ms = now_ms,
	};
}

/* A request from beginning to end. */
static int
ask(const char *name, const char *channels, uint64_t now_ms)
{
	struct links links;
	struct visit v = visit_of(name, links_of(&links, channels), now_ms);
	struct session *s;
	int err = sessions_enter(&s, sessions, &v);

	if (err == SW_OK)
		sessions_leave(s, v.links, now_ms);
	return err;
}

static void
put_names(char *out, struct channel *const *channels, size_t count)
{
	for (size_t i = 0; i < count; i++)
		strcat(out, channels[i]->text);
}

/*
 * "s:a+b-c=lease": s has a, now also b, no longer c, and has ended. "-ab!":
 * that it came to b was announced.
 */
static const char *
next_of(size_t home, uint64_t now_ms, uint64_t *retry_ms)
{
	static char text[200];
	struct session_change c;

	if (!sessions_next(sessions, home, now_ms, &c, retry_ms))
		return "";
	snprintf(text, sizeof(text), "%s:", c.id);
	put_names(text, c.has, c.has_count - c.joined);
	if (c.joined > 0)
		strcat(text, "+");
	put_names(text, c.has + (c.has_count - c.joined), c.joined);
	if (c.left_count > 0)
		strcat(text, "-");
	for (size_t i = 0; i < c.left_count; i++) {
		put_names(text, &c.left[i], 1);
		if (c.announced[i])
			strcat(text, "!");
	}
	if (c.ended != NULL)
		strcat(strcat(text, "="), c.ended);
	session_change_fini(&c);
	return text;
}

static const char *
next(uint64_t now_ms)
{
	uint64_t retry_ms;

	return next_of(0, now_ms, &retry_ms);
}

static void
count_member(void *ctx, const struct session_member *m)
{
	(void)m;
	(*(size_t *)ctx)++;
}

static size_t
members(const char *channel)
{
	size_t n = 0;

	sessions_each(sessions, str_of(channel), count_member, &n);
	return n;
}

START_TEST(who_is_known_needs_no_headers)
{
	struct visit v = visit_of("s", NULL, 0);
	struct session *s;

	begin();
	v.bare = true;
	ck_assert_int_eq(sessions_enter(&s, sessions, &v), SW_EAGAIN);
	ck_assert_uint_eq(sessions_count(sessions), 0);
	ck_assert_uint_eq(last_number, 0);
	ck_assert_int_eq(ask("s", "", 0), SW_OK);
	ck_assert_int_eq(sessions_enter(&s, sessions, &v), SW_OK);
	sessions_leave(s, NULL, 0);
	/* For all others it is as it was: they are new, or too many. */
	for (size_t i = 0; i < 3; i++)
		ck_assert_int_eq(
		    ask((const char *[]){ "t", "u", "v" }[i], "", 0), SW_OK);
	v.session = STR("w");
	ck_assert_int_eq(sessions_enter(&s, sessions, &v), SW_EBUSY);
	close_all();
}
END_TEST

START_TEST(a_session_comes_once_and_goes_when_its_lease_ends)
{
	uint64_t retry_ms;

	begin();
	ck_assert_int_eq(ask("s", "ab", 10), SW_OK);
	ck_assert_int_eq(ask("s", "ba", 20), SW_OK);
	ck_assert_str_eq(next(20), "s:+ab");
	ck_assert_str_eq(next_of(0, 20, &retry_ms), "");
	ck_assert_uint_eq(retry_ms, 20 + LEASE);
	ck_assert_uint_eq(members("a"), 1);
	ck_assert_str_eq(next(19 + LEASE), "");
	ck_assert_str_eq(next(20 + LEASE), "s:-ab=lease");
	ck_assert_str_eq(next_of(0, 20 + LEASE, &retry_ms), "");
	ck_assert_uint_eq(retry_ms, UINT64_MAX);
	ck_assert_uint_eq(members("a"), 0);
	ck_assert_uint_eq(sessions_count(sessions), 0);
	close_all();
}
END_TEST

START_TEST(each_channel_has_a_lease_of_its_own)
{
	begin();
	ask("s", "ab", 0);
	ask("s", "b", 500);
	ck_assert_str_eq(next(500), "s:+ab");
	ck_assert_str_eq(next(LEASE), "s:b-a");
	/* Room for another one. */
	ck_assert_int_eq(ask("s", "c", LEASE), SW_OK);
	ck_assert_str_eq(next(LEASE), "s:b+c");
	ck_assert_str_eq(next(500 + LEASE), "s:c-b");
	ck_assert_str_eq(next(2 * LEASE), "s:-c=lease");
	close_all();
}
END_TEST

START_TEST(a_request_under_way_holds_it)
{
	struct links links;
	struct visit v;
	struct session *s;
	uint64_t retry_ms;

	begin();
	v = visit_of("s", links_of(&links, "a"), 0);
	ck_assert_int_eq(sessions_enter(&s, sessions, &v), SW_OK);
	ck_assert_str_eq(next(0), "s:+a");
	ck_assert_str_eq(next_of(0, 5 * LEASE, &retry_ms), "");
	/* Should it end at once, that is early enough. */
	ck_assert_uint_eq(retry_ms, 6 * LEASE);
	sessions_leave(s, v.links, 5 * LEASE);
	ck_assert_str_eq(next(6 * LEASE - 1), "");
	ck_assert_str_eq(next(6 * LEASE), "s:-a=lease");
	close_all();
}
END_TEST

START_TEST(whatever_it_sends_renews_the_session_and_none_of_its_channels)
{
	begin();
	ask("s", "a", 0);
	ck_assert_uint_eq(
	    sessions_touch(sessions, STR("s"), NULL, NULL, 900), 1);
	ck_assert_uint_eq(
	    sessions_touch(sessions, STR("t"), NULL, NULL, 900), 0);
	ck_assert_str_eq(next(LEASE), "s:+a");
	ck_assert_str_eq(next(LEASE), "s:-a");
	ck_assert_str_eq(next(899 + LEASE), "");
	ck_assert_str_eq(next(900 + LEASE), "s:=lease");
	close_all();
}
END_TEST

START_TEST(who_came_and_went_unseen_is_told_of_in_that_order)
{
	begin();
	ask("s", "a", 0);
	ck_assert_str_eq(next(2 * LEASE), "s:+a");
	ck_assert_str_eq(next(2 * LEASE), "s:-a=lease");
	close_all();
}
END_TEST

START_TEST(what_was_announced_is_known_to_the_end)
{
	struct links links;
	struct visit v;
	struct session *s;

	begin();
	v = visit_of("s", links_of(&links, "ab"), 0);
	sessions_enter(&s, sessions, &v);
	sessions_leave(s, v.links, 0);
	ck_assert_str_eq(next(0), "s:+ab");
	session_announced(s, places[1].channel);
	ask("s", "a", 1);
	ck_assert_str_eq(next(LEASE), "s:a-b!");
	/* The next time is another time. */
	ask("s", "b", LEASE);
	ck_assert_str_eq(next(LEASE), "s:a+b");
	session_announced(s, places[0].channel);
	ck_assert_str_eq(next(2 * LEASE), "s:-a!b=lease");
	close_all();
}
END_TEST

START_TEST(another_user_is_another_session)
{
	struct grant ann = { .user = (char *)"ann" };
	struct grant bob = { .user = (char *)"bob" };
	struct links links;
	struct visit v;
	struct session *s[2];

	begin();
	v = visit_of("s", links_of(&links, "a"), 0);
	v.grant = &ann;
	ck_assert_int_eq(sessions_enter(&s[0], sessions, &v), SW_OK);
	v.grant = &bob;
	v.home = 1;
	ck_assert_int_eq(sessions_enter(&s[1], sessions, &v), SW_OK);
	ck_assert_ptr_ne(s[0], s[1]);
	ck_assert_uint_eq(woken[0], 1);
	ck_assert_uint_eq(woken[1], 1);
	ck_assert_uint_eq(members("a"), 2);
	ck_assert_uint_eq(sessions_touch(sessions, STR("s"), NULL, NULL, 0), 0);
	ck_assert_uint_eq(sessions_touch(sessions, STR("s"), &bob, NULL, 0), 2);
	ck_assert_uint_eq(sessions_kick_user(sessions, STR("ann")), 1);
	ck_assert_uint_eq(sessions_kick_user(sessions, STR("ann")), 0);
	ck_assert_uint_eq(members("a"), 1);
	/* It ends with its request; a later one is of another session. */
	ck_assert_str_eq(next(0), "s:+a");
	ck_assert_uint_eq(sessions_touch(sessions, STR("s"), &ann, NULL, 0), 0);
	sessions_leave(s[0], v.links, 0);
	ck_assert_str_eq(next(0), "s:-a=kicked");
	sessions_leave(s[1], v.links, 0);
	ck_assert_uint_eq(sessions_kick(sessions, 2), 1);
	close_all();
}
END_TEST

START_TEST(there_are_so_many_and_each_has_so_many_channels)
{
	static const char *const names[] = { "1", "2", "3", "4" };

	begin();
	for (size_t i = 0; i < 4; i++)
		ck_assert_int_eq(ask(names[i], "a", 0), SW_OK);
	ck_assert_int_eq(ask("5", "a", 0), SW_EBUSY);
	ck_assert_int_eq(ask("1", "b", 0), SW_OK);
	ck_assert_int_eq(ask("1", "c", 0), SW_ELIMIT);
	for (size_t i = 0; i < 4; i++)
		ck_assert_ptr_nonnull(strchr(next(0), '+'));
	for (size_t i = 0; i < 4; i++)
		ck_assert_ptr_nonnull(strstr(next(LEASE), "=lease"));
	ck_assert_int_eq(ask("5", "a", LEASE), SW_OK);
	/* What could not be added in full lives no longer than the rest. */
	ck_assert_int_eq(ask("5", "bc", LEASE), SW_ELIMIT);
	ck_assert_str_eq(next(LEASE), "5:+ab");
	ck_assert_str_eq(next(2 * LEASE), "5:-ab=lease");
	close_all();
}
END_TEST

START_TEST(a_stream_takes_the_place_of_polls)
{
	struct links links, one;
	struct visit v;
	struct session *s;

	begin();
	v = visit_of("s", links_of(&links, "ab"), 0);
	sessions_enter(&s, sessions, &v);
	ck_assert_str_eq(next(0), "s:+ab");
	links_of(&one, "b");
	sessions_replace(sessions, STR("t"), NULL, one.all);
	sessions_replace(sessions, STR("s"), NULL, one.all);
	/* The poll under way is still there. */
	ck_assert_str_eq(next(0), "");
	woken[0] = 0;
	sessions_leave(s, v.links, 0);
	ck_assert_uint_eq(woken[0], 1);
	ck_assert_str_eq(next(0), "s:a-b");
	/* A poll that follows was right not to trust the stream. */
	sessions_replace(sessions, STR("s"), NULL, links.all);
	ask("s", "a", 0);
	ck_assert_str_eq(next(0), "s:a");
	sessions_replace(sessions, STR("s"), NULL, links.all);
	ck_assert_str_eq(next(0), "s:-a");
	ck_assert_str_eq(next(LEASE), "s:=lease");
	close_all();
}
END_TEST

START_TEST(who_was_replaced_before_anybody_was_told_leaves_at_once)
{
	struct links one;

	begin();
	ask("s", "ab", 0);
	sessions_replace(sessions, STR("s"), NULL, links_of(&one, "b"));
	ck_assert_str_eq(next(0), "s:+ab");
	ck_assert_str_eq(next(0), "s:a-b");
	ck_assert_str_eq(next(0), "");
	close_all();
}
END_TEST

static void
note_transport(void *ctx, const struct session_member *m)
{
	*(const char **)ctx = m->transport;
}

START_TEST(a_stream_that_keeps_a_session_is_not_who_polls)
{
	struct visit v = visit_of("s", NULL, 0);
	const char *transport = NULL;
	struct session *s;

	begin();
	ask("s", "a", 0);
	v.transport = "sse";
	ck_assert_int_eq(sessions_enter(&s, sessions, &v), SW_OK);
	sessions_each(sessions, STR("a"), note_transport, &transport);
	ck_assert_str_eq(transport, "short");
	sessions_leave(s, NULL, 0);
	close_all();
}
END_TEST

START_TEST(a_shorter_lease_applies_at_once)
{
	begin();
	ask("s", "a", 0);
	next(0);
	woken[0] = 0;
	sessions_configure(sessions, 10, 4, 2);
	ck_assert_uint_eq(woken[0], 1);
	ck_assert_str_eq(next(10), "s:-a=lease");
	close_all();
}
END_TEST

/* What the backend grants. */

static int
credentials(struct credentials *out, const char *cookie)
{
	static const struct address peer = { .ip = { 127, 0, 0, 1 } };

	return credentials_make(
	    out, STR("s"), (struct str){ NULL, 0 }, str_of(cookie), &peer);
}

static struct granted granted = {
	.user = (char *)"ann",
	.meta = (char *)"{}",
	.expires_ms = 5000,
};
static char *patterns[] = { (char *)"a", (char *)"b*" };
static struct grant grant = { .tokenless = true, .granted = &granted };

/* The backend was asked, and said so; a request that it was for. */
static int
grant_it(const char *cookie)
{
	struct credentials who;
	struct links links;
	struct visit v = visit_of("s", links_of(&links, "a"), 0);
	struct session *s;
	int err;

	granted.subscribe = (struct patterns){ patterns, 2 };
	v.grant = &grant;
	v.credentials = &who;
	v.asked = true;
	v.forwarded = str_of(cookie);
	if ((err = credentials(&who, cookie)) != SW_OK ||
	    (err = sessions_enter(&s, sessions, &v)) != SW_OK)
		return err;
	sessions_leave(s, v.links, 0);
	return SW_OK;
}

static int
recall(const char *cookie, uint64_t unix_ms, struct grant **g)
{
	struct credentials who;
	int err = credentials(&who, cookie);

	*g = NULL;
	return err != SW_OK ? err : sessions_recall(sessions, &who, unix_ms, g);
}

START_TEST(what_was_granted_is_for_the_same_credentials)
{
	struct grant *g;

	begin();
	ck_assert_int_eq(grant_it("c=1"), SW_OK);
	ck_assert_int_eq(recall("c=1", 4999, &g), SW_OK);
	ck_assert(g->tokenless);
	ck_assert_str_eq(g->granted->user, "ann");
	ck_assert_str_eq(g->granted->meta, "{}");
	ck_assert_uint_eq(g->granted->expires_ms, 5000);
	ck_assert(patterns_match(&g->granted->subscribe, STR("bc")));
	ck_assert(!patterns_match(&g->granted->send, STR("a")));
	grant_free(g);
	ck_assert_int_eq(recall("c=2", 0, &g), SW_ENOENT);
	ck_assert_int_eq(recall("c=1", 5000, &g), SW_ENOENT);
	/* Other credentials take the place of those before. */
	ck_assert_int_eq(grant_it("c=2"), SW_OK);
	ck_assert_int_eq(recall("c=1", 0, &g), SW_ENOENT);
	ck_assert_int_eq(recall("c=2", 0, &g), SW_OK);
	grant_free(g);
	ck_assert_uint_eq(sessions_kick(sessions, 1), 1);
	ck_assert_int_eq(recall("c=2", 0, &g), SW_ENOENT);
	close_all();
}
END_TEST

START_TEST(who_turns_out_to_be_another_takes_the_credentials_along)
{
	struct grant *g;

	begin();
	ck_assert_int_eq(grant_it("c=1"), SW_OK);
	granted.user = (char *)"bob";
	ck_assert_int_eq(grant_it("c=1"), SW_OK);
	granted.user = (char *)"ann";
	ck_assert_int_eq(recall("c=1", 0, &g), SW_OK);
	ck_assert_str_eq(g->granted->user, "bob");
	grant_free(g);
	ck_assert_uint_eq(sessions_kick_user(sessions, STR("ann")), 1);
	ck_assert_uint_eq(members("a"), 1);
	close_all();
}
END_TEST

/* Its end is told once, whoever held it meanwhile. */
START_TEST(a_home_that_shuts_down_ends_all_of_its_own)
{
	struct links links;
	struct visit v;
	struct session *s;

	begin();
	ask("r", "b", 0);
	v = visit_of("s", links_of(&links, "a"), 0);
	sessions_enter(&s, sessions, &v);
	ck_assert_uint_eq(sessions_end(sessions, 1), 0);
	ck_assert_uint_eq(sessions_end(sessions, 0), 2);
	ck_assert_str_eq(next(0), "r:+b");
	ck_assert_str_eq(next(0), "s:+a");
	ck_assert_str_eq(next(0), "r:-b=restart");
	ck_assert_str_eq(next(0), "");
	ck_assert_uint_eq(sessions_end(sessions, 0), 1);
	sessions_leave(s, v.links, 0);
	ck_assert_str_eq(next(0), "s:-a=restart");
	ck_assert_uint_eq(sessions_end(sessions, 0), 0);
	sessions_hush(sessions);
	woken[0] = 0;
	ask("t", "a", 0);
	ck_assert_uint_eq(woken[0], 0);
	close_all();
}
END_TEST

static int
story(void *arg)
{
	struct session_change c;
	uint64_t retry_ms;
	struct grant *g = NULL;
	int err = open_all();

	(void)arg;
	if (err == SW_OK)
		err = grant_it("c=1");
	/* Of a grant that could not be kept the backend is asked again. */
	if (err == SW_OK && (err = recall("c=1", 0, &g)) == SW_ENOENT)
		err = SW_ENOMEM;
	grant_free(g);
	for (uint64_t now = 0; err == SW_OK && now <= LEASE; now += LEASE)
		if (sessions_next(sessions, 0, now, &c, &retry_ms))
			session_change_fini(&c);
		else
			err = SW_ENOMEM;
	close_all();
	return err;
}

START_TEST(memory_may_run_out_anywhere)
{
	oom_tell(story, NULL);
}
END_TEST

SUITE("sessions", TEST(who_is_known_needs_no_headers),
    TEST(a_session_comes_once_and_goes_when_its_lease_ends),
    TEST(each_channel_has_a_lease_of_its_own),
    TEST(a_request_under_way_holds_it),
    TEST(whatever_it_sends_renews_the_session_and_none_of_its_channels),
    TEST(who_came_and_went_unseen_is_told_of_in_that_order),
    TEST(what_was_announced_is_known_to_the_end),
    TEST(another_user_is_another_session),
    TEST(there_are_so_many_and_each_has_so_many_channels),
    TEST(a_stream_takes_the_place_of_polls),
    TEST(who_was_replaced_before_anybody_was_told_leaves_at_once),
    TEST(a_stream_that_keeps_a_session_is_not_who_polls),
    TEST(a_shorter_lease_applies_at_once),
    TEST(what_was_granted_is_for_the_same_credentials),
    TEST(who_turns_out_to_be_another_takes_the_credentials_along),
    TEST(a_home_that_shuts_down_ends_all_of_its_own),
    TEST(memory_may_run_out_anywhere))
