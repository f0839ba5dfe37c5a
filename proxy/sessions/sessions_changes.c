#include <stdlib.h>

#include "proxy/auth/token.h"
#include "proxy/base/err.h"
#include "proxy/sessions/sessions_private.h"

/* What homes are told; see sessions.h. */

static bool
text_of(char **out, struct str text)
{
	*out = text.p == NULL ? NULL : strndup(text.p, text.len);
	return text.p == NULL || *out != NULL;
}

/* All that is told of whom; members come later. */
static bool
describe(struct session_change *c, const struct session *s)
{
	*c = (struct session_change){
		.connection = s->connection,
		.transport = s->transport,
		.peer = s->peer,
		.has = calloc(s->member_count + 1, sizeof(struct channel *)),
		.left = calloc(s->member_count + 1, sizeof(struct channel *)),
		.announced = calloc(s->member_count + 1, sizeof(bool)),
	};
	return text_of(&c->id, s->id) && text_of(&c->user, s->user) &&
	    text_of(&c->meta,
		str_of(s->granted == NULL ? NULL : s->granted->meta)) &&
	    text_of(&c->forwarded, str_of(s->forwarded)) && c->has != NULL &&
	    c->left != NULL && c->announced != NULL;
}

void
session_change_fini(struct session_change *c)
{
	for (size_t i = 0; i < c->has_count; i++)
		channel_unref(c->has[i]);
	for (size_t i = 0; i < c->left_count; i++)
		channel_unref(c->left[i]);
	free(c->has);
	free(c->left);
	free(c->announced);
	free(c->id);
	free(c->user);
	free(c->meta);
	free(c->forwarded);
	if (c->ended != NULL)
		session_free(c->session);
}

/* Who has come is told before whatever has gone. */
static bool
tell_joined(struct session_change *c, struct session *s)
{
	list_each (node, &s->members) {
		struct member *m =
		    container_of(node, struct member, of_session);

		if (m->told)
			c->has[c->has_count++] = channel_ref(m->place->channel);
	}
	list_each (node, &s->members) {
		struct member *m =
		    container_of(node, struct member, of_session);

		if (m->told)
			continue;
		c->has[c->has_count++] = channel_ref(m->place->channel);
		c->joined++;
		m->told = true;
	}
	return c->joined > 0;
}

static bool
has_lapsed(const struct member *m, uint64_t now_ms)
{
	return m->holders == 0 &&
	    (m->session->ended != NULL || m->replaced ||
		member_due_ms(m) <= now_ms);
}

static void
tell_left(struct session_change *c, struct session *s, uint64_t now_ms)
{
	c->has_count = 0;
	list_each_safe (node, after, &s->members) {
		struct member *m =
		    container_of(node, struct member, of_session);
		struct channel *channel = channel_ref(m->place->channel);

		if (has_lapsed(m, now_ms)) {
			c->announced[c->left_count] = m->announced;
			c->left[c->left_count++] = channel;
			member_remove(m);
		} else {
			c->has[c->has_count++] = channel;
		}
	}
}

/* Also to be told, and by no lease. */
static bool
has_more(const struct session *s)
{
	list_each (node, &s->members) {
		const struct member *m =
		    container_of(node, struct member, of_session);

		if (m->replaced && m->holders == 0)
			return true;
	}
	return s->ended != NULL && s->self.holders == 0;
}

/* False: memory ran out. */
static bool
change_of(struct session_change *c, struct session *s, uint64_t now_ms)
{
	struct home *h = &s->all->homes[s->home];

	if (!describe(c, s)) {
		session_change_fini(c);
		return false;
	}
	c->session = s;
	if (tell_joined(c, s)) {
		if (has_more(s))
			session_has_news(s);
		return true;
	}
	while (c->has_count > 0)
		channel_unref(c->has[--c->has_count]);
	if (s->ended == NULL && has_lapsed(&s->self, now_ms))
		session_end(s, "lease");
	tell_left(c, s, now_ms);
	if (s->ended == NULL || s->self.holders > 0)
		return true;
	c->ended = s->ended;
	list_remove(&s->self.resting);
	list_remove(&s->node);
	list_remove(&s->news);
	h->count--;
	return true;
}

static struct session *
next_session(struct home *h, uint64_t now_ms, uint64_t *due_ms)
{
	struct list *node;
	struct member *m;

	*due_ms = UINT64_MAX;
	if ((node = list_shift(&h->news)) != NULL)
		return container_of(node, struct session, news);
	if (list_empty(&h->resting))
		return NULL;
	m = container_of(h->resting.next, struct member, resting);
	*due_ms = member_due_ms(m);
	return *due_ms <= now_ms ? m->session : NULL;
}

bool
sessions_next(struct sessions *ss, size_t home, uint64_t now_ms,
    struct session_change *out, uint64_t *retry_ms)
{
	enum { MEMORY_MS = 1000 };
	struct home *h = &ss->homes[home];
	struct session *s;
	bool found;

	pthread_mutex_lock(&ss->lock);
	s = next_session(h, now_ms, retry_ms);
	found = s != NULL && change_of(out, s, now_ms);
	if (s != NULL && !found) {
		session_has_news(s);
		*retry_ms = now_ms + MEMORY_MS;
	} else if (s == NULL && h->count > 0 &&
	    *retry_ms > now_ms + ss->lease_ms) {
		/* Whatever begins to rest from now on is due then. */
		*retry_ms = now_ms + ss->lease_ms;
	}
	pthread_mutex_unlock(&ss->lock);
	return found;
}

void
session_announced(struct session *s, const struct channel *c)
{
	pthread_mutex_lock(&s->all->lock);
	member_find(s, c)->announced = true;
	pthread_mutex_unlock(&s->all->lock);
}

struct bridge_lane *
sessions_take_lane(struct sessions *ss, size_t home)
{
	struct bridge_lane *lane = NULL;

	pthread_mutex_lock(&ss->lock);
	list_each (node, &ss->homes[home].sessions) {
		struct session *s = container_of(node, struct session, node);

		if (s->lane == NULL)
			continue;
		lane = s->lane;
		s->lane = NULL;
		break;
	}
	pthread_mutex_unlock(&ss->lock);
	return lane;
}

struct bridge_lane **
session_lane(struct session *s)
{
	return &s->lane;
}
