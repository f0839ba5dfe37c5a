#include "storage/keys.h"

#include <stdlib.h>

#include "proxy/base/channel.h"
#include "proxy/base/digest.h"
#include "proxy/base/err.h"
#include "proxy/base/list.h"
#include "proxy/base/map.h"

enum { KEY_MAX = 512 };

struct entry {
	struct map_entry by_name;
	struct list node; /* oldest first */
	uint64_t id;
	uint64_t time_ms;
	size_t len;
	char name[]; /* channel, a blank, key: no channel has a blank */
};

struct keys {
	struct map by_name;
	struct list by_age;
};

struct key_name {
	char text[CHANNEL_NAME_MAX + 1 + KEY_MAX];
	size_t len;
};

static int
join(struct key_name *n, struct str channel, struct str key)
{
	if (channel.len > CHANNEL_NAME_MAX || key.len > KEY_MAX)
		return SW_ELIMIT;
	memcpy(n->text, channel.p, channel.len);
	n->text[channel.len] = ' ';
	memcpy(n->text + channel.len + 1, key.p, key.len);
	n->len = channel.len + 1 + key.len;
	return SW_OK;
}

static struct entry *
find(const struct keys *k, const struct key_name *n)
{
	struct map_entry *e =
	    map_find(&k->by_name, (struct str){ n->text, n->len });

	return e == NULL ? NULL : container_of(e, struct entry, by_name);
}

static void
forget(struct keys *k, struct entry *e)
{
	map_remove(&k->by_name, &e->by_name);
	list_remove(&e->node);
	free(e);
}

int
keys_new(struct keys **out)
{
	struct keys *k = calloc(1, sizeof(*k));
	uint64_t seed;

	if (k == NULL)
		return SW_ENOMEM;
	digest_random(&seed, sizeof(seed));
	map_init(&k->by_name, seed);
	list_init(&k->by_age);
	*out = k;
	return SW_OK;
}

void
keys_free(struct keys *k)
{
	if (k == NULL)
		return;
	list_each_safe (node, after, &k->by_age)
		forget(k, container_of(node, struct entry, node));
	map_fini(&k->by_name);
	free(k);
}

int
keys_find(const struct keys *k, struct str channel, struct str key,
    uint64_t *id, uint64_t *time_ms)
{
	struct key_name n;
	struct entry *e;
	int err = join(&n, channel, key);

	if (err != SW_OK)
		return err;
	e = find(k, &n);
	if (e == NULL)
		return SW_ENOENT;
	*id = e->id;
	*time_ms = e->time_ms;
	return SW_OK;
}

int
keys_add(struct keys *k, struct str channel, struct str key, uint64_t id,
    uint64_t time_ms)
{
	struct key_name n;
	struct entry *e;
	int err = join(&n, channel, key);

	if (err != SW_OK)
		return err;
	if ((e = find(k, &n)) != NULL)
		forget(k, e);
	e = malloc(sizeof(*e) + n.len);
	if (e == NULL)
		return SW_ENOMEM;
	e->id = id;
	e->time_ms = time_ms;
	e->len = n.len;
	memcpy(e->name, n.text, n.len);
	if ((err = map_add(&k->by_name, &e->by_name,
		 (struct str){ e->name, e->len })) != SW_OK) {
		free(e);
		return err;
	}
	list_append(&k->by_age, &e->node);
	return SW_OK;
}

void
keys_undo(struct keys *k, uint64_t first_id)
{
	while (!list_empty(&k->by_age)) {
		struct entry *e =
		    container_of(k->by_age.prev, struct entry, node);

		if (e->id < first_id)
			return;
		forget(k, e);
	}
}

static void
turn_back(struct keys *k, uint64_t latest_ms)
{
	list_each (node, &k->by_age) {
		struct entry *e = container_of(node, struct entry, node);

		if (e->time_ms > latest_ms)
			e->time_ms = latest_ms;
	}
}

void
keys_expire(struct keys *k, uint64_t before_ms, uint64_t latest_ms)
{
	while (!list_empty(&k->by_age)) {
		struct entry *e =
		    container_of(k->by_age.next, struct entry, node);

		/* Those behind it would wait for it. */
		if (e->time_ms > latest_ms)
			turn_back(k, latest_ms);
		if (e->time_ms >= before_ms)
			return;
		forget(k, e);
	}
}
