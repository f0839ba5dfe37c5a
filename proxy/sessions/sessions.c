#include "proxy/sessions/sessions.h"

#include <stdlib.h>

#include "proxy/auth/token.h"
#include "proxy/base/err.h"
#include "proxy/sessions/sessions_private.h"
#include "proxy/stream/hub.h"

int
sessions_new(struct sessions **out, size_t homes,
    void (*wake)(void *ctx, size_t home), void *ctx)
{
	struct sessions *ss =
	    calloc(1, sizeof(*ss) + homes * sizeof(ss->homes[0]));
	uint64_t seed;

	if (ss == NULL)
		return SW_ENOMEM;
	digest_random(&seed, sizeof(seed));
	pthread_mutex_init(&ss->lock, NULL);
	ss->wake = wake;
	ss->ctx = ctx;
	ss->max = ss->channels_max = SIZE_MAX;
	map_init(&ss->by_name, seed);
	map_init(&ss->by_credentials, seed + 1);
	map_init(&ss->places, seed + 2);
	ss->home_count = homes;
	for (size_t i = 0; i < homes; i++) {
		list_init(&ss->homes[i].sessions);
		list_init(&ss->homes[i].news);
		list_init(&ss->homes[i].resting);
	}
	*out = ss;
	return SW_OK;
}

void
sessions_configure(
    struct sessions *ss, uint64_t lease_ms, size_t max, size_t channels_max)
{
	bool changed;

	pthread_mutex_lock(&ss->lock);
	changed = ss->count > 0 && ss->lease_ms != lease_ms;
	ss->lease_ms = lease_ms;
	ss->max = max;
	ss->channels_max = channels_max;
	pthread_mutex_unlock(&ss->lock);
	for (size_t i = 0; changed && i < ss->home_count; i++)
		ss->wake(ss->ctx, i);
}

size_t
sessions_count(struct sessions *ss)
{
	size_t n;

	pthread_mutex_lock(&ss->lock);
	n = ss->count;
	pthread_mutex_unlock(&ss->lock);
	return n;
}

/* Leave the lock, and wake the session's home if there is news of it. */
static void
unlock_after(struct sessions *ss, const struct session *s)
{
	void (*wake)(void *ctx, size_t home) = ss->wake;
	size_t home = 0;

	if (s == NULL || list_empty(&s->news))
		wake = NULL;
	else
		home = s->home;
	pthread_mutex_unlock(&ss->lock);
	if (wake != NULL)
		wake(ss->ctx, home);
}

/* Places and members. */

static int
place_get(struct place **out, struct sessions *ss, struct channel *c)
{
	struct map_entry *e = map_find(&ss->places, c->name);
	struct place *p;

	if (e != NULL) {
		*out = container_of(e, struct place, entry);
		return SW_OK;
	}
	if ((p = calloc(1, sizeof(*p))) == NULL ||
	    map_add(&ss->places, &p->entry, c->name) != SW_OK) {
		free(p);
		return SW_ENOMEM;
	}
	p->channel = channel_ref(c);
	list_init(&p->members);
	*out = p;
	return SW_OK;
}

static void
place_drop_empty(struct sessions *ss, struct place *p)
{
	if (!list_empty(&p->members))
		return;
	map_remove(&ss->places, &p->entry);
	channel_unref(p->channel);
	free(p);
}

static void
member_init(struct member *m, struct session *s)
{
	m->session = s;
	list_init(&m->of_session);
	list_init(&m->of_place);
	list_init(&m->resting);
}

struct member *
member_find(const struct session *s, const struct channel *c)
{
	list_each (node, &s->members) {
		struct member *m =
		    container_of(node, struct member, of_session);

		if (m->place->channel == c)
			return m;
	}
	return NULL;
}

static int
member_add(struct session *s, struct channel *c)
{
	struct member *m;
	struct place *p;

	if (s->member_count >= s->all->channels_max)
		return SW_ELIMIT;
	if ((m = calloc(1, sizeof(*m))) == NULL)
		return SW_ENOMEM;
	if (place_get(&p, s->all, c) != SW_OK) {
		free(m);
		return SW_ENOMEM;
	}
	member_init(m, s);
	m->place = p;
	list_append(&p->members, &m->of_place);
	list_append(&s->members, &m->of_session);
	s->member_count++;
	return SW_OK;
}

void
member_remove(struct member *m)
{
	list_remove(&m->resting);
	list_remove(&m->of_session);
	list_remove(&m->of_place);
	m->session->member_count--;
	place_drop_empty(m->session->all, m->place);
	free(m);
}

static void
member_hold(struct member *m)
{
	m->holders++;
	m->replaced = false;
	list_remove(&m->resting);
}

/* From now on its lease runs, if nobody else holds it. */
static void
member_rest(struct member *m, uint64_t now_ms)
{
	m->touched_ms = now_ms;
	list_remove(&m->resting);
	if (m->holders > 0)
		return;
	list_append(
	    &m->session->all->homes[m->session->home].resting, &m->resting);
	if (m->replaced)
		session_has_news(m->session);
}

uint64_t
member_due_ms(const struct member *m)
{
	return m->touched_ms + m->session->all->lease_ms;
}

/* Sessions. */

static struct session *
session_new(struct sessions *ss, const struct visit *v, struct str user)
{
	size_t n = v->session.len + (user.p == NULL ? 0 : 1 + user.len);
	struct session *s = calloc(1, sizeof(*s) + n);
	char *place;

	if (s == NULL)
		return NULL;
	place = s->text;
	s->id = str_keep(&place, v->session);
	if (user.p != NULL) {
		*place++ = '\0';
		s->user = str_keep(&place, user);
	}
	s->key = (struct str){ s->text, n };
	s->all = ss;
	s->connection = v->connection != 0 ? v->connection : v->number(v->ctx);
	s->since_ms = v->unix_ms;
	s->home = v->home;
	list_init(&s->members);
	list_init(&s->node);
	list_init(&s->news);
	member_init(&s->self, s);
	s->self.told = true;
	return s;
}

void
session_free(struct session *s)
{
	list_each_safe (node, after, &s->members)
		member_remove(container_of(node, struct member, of_session));
	list_remove(&s->self.resting);
	list_remove(&s->node);
	list_remove(&s->news);
	granted_free(s->granted);
	free(s->forwarded);
	free(s);
}

static void
forget_credentials(struct session *s)
{
	if (s->credited)
		map_remove(&s->all->by_credentials, &s->by_credentials);
	s->credited = false;
	granted_free(s->granted);
	s->granted = NULL;
}

/* No request finds it any more. */
void
session_end(struct session *s, const char *why)
{
	s->ended = why;
	map_remove(&s->all->by_name, &s->by_name);
	if (s->credited)
		map_remove(&s->all->by_credentials, &s->by_credentials);
	s->credited = false;
	s->all->count--;
}

void
session_has_news(struct session *s)
{
	if (list_empty(&s->news))
		list_append(&s->all->homes[s->home].news, &s->news);
}

/* NULL also for what is too long to be anybody's. */
static struct session *
find(struct sessions *ss, struct str session, struct str user)
{
	char text[256 + TOKEN_USER_MAX];
	struct str key = { text, session.len };
	struct map_entry *e;

	if (session.len + 1 + user.len > sizeof(text))
		return NULL;
	memcpy(text, session.p, session.len);
	if (user.p != NULL) {
		text[key.len++] = '\0';
		memcpy(text + key.len, user.p, user.len);
		key.len += user.len;
	}
	e = map_find(&ss->by_name, key);
	return e == NULL ? NULL : container_of(e, struct session, by_name);
}

void
sessions_free(struct sessions *ss)
{
	if (ss == NULL)
		return;
	for (size_t i = 0; i < ss->home_count; i++)
		list_each_safe (node, after, &ss->homes[i].sessions)
			session_free(container_of(node, struct session, node));
	map_fini(&ss->by_name);
	map_fini(&ss->by_credentials);
	map_fini(&ss->places);
	pthread_mutex_destroy(&ss->lock);
	free(ss);
}

/* What the backend granted. */

int
credentials_make(struct credentials *out, struct str session, struct str user,
    struct str forwarded, const struct address *peer)
{
	const struct str zero = { "", 1 };
	const struct str pieces[] = { session, zero, user, zero,
		{ (const char *)peer->ip, sizeof(peer->ip) }, forwarded };

	return digest_hmac(out->code, STR("spillway.session"), pieces,
	    sizeof(pieces) / sizeof(pieces[0]));
}

static struct str
code_of(const struct credentials *c)
{
	return (struct str){ (const char *)c->code, sizeof(c->code) };
}

static int
give(struct grant **g, const struct granted *granted)
{
	struct granted *copy;
	int err = granted_copy(&copy, granted);

	if (err != SW_OK)
		return err;
	if (*g == NULL) {
		if ((*g = calloc(1, sizeof(**g))) == NULL) {
			granted_free(copy);
			return SW_ENOMEM;
		}
		(*g)->tokenless = true;
	}
	granted_free((*g)->granted);
	(*g)->granted = copy;
	return SW_OK;
}

static struct session *
find_credited(struct sessions *ss, const struct credentials *who)
{
	struct map_entry *e = map_find(&ss->by_credentials, code_of(who));

	return e == NULL ? NULL :
			   container_of(e, struct session, by_credentials);
}

int
sessions_recall(struct sessions *ss, const struct credentials *who,
    uint64_t unix_ms, struct grant **g)
{
	const struct session *s;
	int err = SW_ENOENT;

	pthread_mutex_lock(&ss->lock);
	if ((s = find_credited(ss, who)) != NULL &&
	    (s->granted->expires_ms == 0 || s->granted->expires_ms > unix_ms))
		err = give(g, s->granted);
	pthread_mutex_unlock(&ss->lock);
	return err;
}

/*
 * Keep it. Should that fail, the backend is asked again with the next request,
 * as it is for another grant that the same credentials had.
 */
static void
keep_granted(struct session *s, const struct visit *v)
{
	struct sessions *ss = s->all;
	struct granted *copy;
	struct session *other;
	char *forwarded = strndup(
	    v->forwarded.p == NULL ? "" : v->forwarded.p, v->forwarded.len);

	forget_credentials(s);
	if (forwarded == NULL)
		return;
	free(s->forwarded);
	s->forwarded = forwarded;
	s->peer = *v->peer;
	if ((other = find_credited(ss, v->credentials)) != NULL)
		forget_credentials(other);
	if (granted_copy(&copy, v->grant->granted) != SW_OK)
		return;
	s->granted = copy;
	s->credentials = *v->credentials;
	s->credited = map_add(&ss->by_credentials, &s->by_credentials,
			  code_of(&s->credentials)) == SW_OK;
}

/* Requests. */

static struct str
user_of(const struct grant *g)
{
	return str_of(grant_user(g));
}

static int
begin(struct session **out, struct sessions *ss, const struct visit *v)
{
	struct session *s;

	if (ss->count >= ss->max)
		return SW_EBUSY;
	if (v->bare)
		return SW_EAGAIN;
	if ((s = session_new(ss, v, user_of(v->grant))) == NULL)
		return SW_ENOMEM;
	if (v->forwarded.p != NULL &&
	    (s->forwarded = strndup(v->forwarded.p, v->forwarded.len)) == NULL)
		goto fail;
	if (map_add(&ss->by_name, &s->by_name, s->key) != SW_OK)
		goto fail;
	s->peer = *v->peer;
	ss->count++;
	ss->homes[s->home].count++;
	list_append(&ss->homes[s->home].sessions, &s->node);
	/* Its home has to look after its lease. */
	session_has_news(s);
	*out = s;
	return SW_OK;

fail:
	session_free(s);
	return SW_ENOMEM;
}

static int
add_members(struct session *s, const struct link *links)
{
	int err = SW_OK;

	for (const struct link *l = links; l != NULL && err == SW_OK;
	     l = l->next)
		if (l->channel != NULL &&
		    member_find(s, l->channel->channel) == NULL) {
			err = member_add(s, l->channel->channel);
			session_has_news(s);
		}
	return err;
}

/* The request is over, or comes to nothing: leases begin anew. */
static void
rest_all(struct session *s, const struct link *links, uint64_t now_ms)
{
	for (const struct link *l = links; l != NULL; l = l->next) {
		struct member *m = l->channel == NULL ?
		    NULL :
		    member_find(s, l->channel->channel);

		if (m != NULL)
			member_rest(m, now_ms);
	}
	member_rest(&s->self, now_ms);
}

int
sessions_enter(struct session **out, struct sessions *ss, const struct visit *v)
{
	struct session *s;
	int err = SW_OK;

	pthread_mutex_lock(&ss->lock);
	if ((s = find(ss, v->session, user_of(v->grant))) == NULL)
		err = begin(&s, ss, v);
	if (err == SW_OK && (err = add_members(s, v->links)) != SW_OK)
		rest_all(s, v->links, v->now_ms);
	if (err == SW_OK) {
		/* A stream only keeps it: the polls are who is there. */
		if (v->links != NULL || s->transport == NULL)
			s->transport = v->transport;
		if (v->asked && v->credentials != NULL)
			keep_granted(s, v);
		member_hold(&s->self);
		for (const struct link *l = v->links; l != NULL; l = l->next)
			if (l->channel != NULL)
				member_hold(
				    member_find(s, l->channel->channel));
		*out = s;
	}
	unlock_after(ss, s);
	return err;
}

void
sessions_leave(struct session *s, const struct link *links, uint64_t now_ms)
{
	struct sessions *ss = s->all;

	pthread_mutex_lock(&ss->lock);
	for (const struct link *l = links; l != NULL; l = l->next)
		if (l->channel != NULL)
			member_find(s, l->channel->channel)->holders--;
	s->self.holders--;
	rest_all(s, links, now_ms);
	if (s->ended != NULL && s->self.holders == 0)
		session_has_news(s);
	unlock_after(ss, s);
}

uint64_t
session_connection(const struct session *s)
{
	return s->connection;
}

uint64_t
sessions_touch(struct sessions *ss, struct str session, const struct grant *g,
    const struct credentials *who, uint64_t now_ms)
{
	uint64_t connection = 0;
	struct session *s;

	pthread_mutex_lock(&ss->lock);
	if ((s = find(ss, session, user_of(g))) == NULL && who != NULL)
		s = find_credited(ss, who);
	if (s != NULL) {
		connection = s->connection;
		member_rest(&s->self, now_ms);
	}
	pthread_mutex_unlock(&ss->lock);
	return connection;
}

void
sessions_replace(struct sessions *ss, struct str session, const struct grant *g,
    const struct link *links)
{
	struct session *s;

	pthread_mutex_lock(&ss->lock);
	s = find(ss, session, user_of(g));
	for (const struct link *l = links; s != NULL && l != NULL;
	     l = l->next) {
		struct member *m = l->channel == NULL ?
		    NULL :
		    member_find(s, l->channel->channel);

		if (m == NULL)
			continue;
		m->replaced = true;
		if (m->holders == 0)
			session_has_news(s);
	}
	unlock_after(ss, s);
}

/* Whoever has to go. */

static void
kick(struct session *s, const char *why)
{
	session_end(s, why);
	if (s->self.holders == 0)
		session_has_news(s);
}

static bool
same(struct str a, struct str b)
{
	return a.p != NULL && str_equals(a, b);
}

static size_t
kick_matching(struct sessions *ss, struct str user, uint64_t connection)
{
	size_t n = 0;

	for (size_t i = 0; i < ss->home_count; i++) {
		const struct session *kicked = NULL;

		pthread_mutex_lock(&ss->lock);
		list_each (node, &ss->homes[i].sessions) {
			struct session *s =
			    container_of(node, struct session, node);

			if (s->ended != NULL ||
			    !(user.p != NULL ? same(s->user, user) :
					       s->connection == connection))
				continue;
			kick(s, "kicked");
			n++;
			kicked = list_empty(&s->news) ? kicked : s;
		}
		unlock_after(ss, kicked);
	}
	return n;
}

size_t
sessions_kick_user(struct sessions *ss, struct str user)
{
	return kick_matching(ss, user, 0);
}

size_t
sessions_kick(struct sessions *ss, uint64_t connection)
{
	return kick_matching(ss, (struct str){ NULL, 0 }, connection);
}

size_t
sessions_end(struct sessions *ss, size_t home)
{
	const struct session *ended = NULL;
	size_t left;

	pthread_mutex_lock(&ss->lock);
	list_each (node, &ss->homes[home].sessions) {
		struct session *s = container_of(node, struct session, node);

		if (s->ended != NULL)
			continue;
		kick(s, "restart");
		ended = list_empty(&s->news) ? ended : s;
	}
	left = ss->homes[home].count;
	unlock_after(ss, ended);
	return left;
}

void
sessions_hush(struct sessions *ss)
{
	pthread_mutex_lock(&ss->lock);
	ss->wake = NULL;
	pthread_mutex_unlock(&ss->lock);
}

void
sessions_each(struct sessions *ss, struct str channel, sessions_visit_fn *visit,
    void *ctx)
{
	const struct map_entry *e;

	pthread_mutex_lock(&ss->lock);
	if ((e = map_find(&ss->places, channel)) != NULL) {
		const struct place *p =
		    container_of(e, const struct place, entry);

		list_each (node, &p->members) {
			const struct session *s =
			    container_of(node, struct member, of_place)
				->session;
			const struct session_member m = {
				.connection = s->connection,
				.since_ms = s->since_ms,
				.transport = s->transport,
				.session = s->id,
				.user = s->user,
				.meta = str_of(s->granted == NULL ?
					NULL :
					s->granted->meta),
			};

			if (s->ended == NULL)
				visit(ctx, &m);
		}
	}
	pthread_mutex_unlock(&ss->lock);
}
