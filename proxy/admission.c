#include "proxy/admission.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "proxy/base/digest.h"
#include "proxy/base/err.h"
#include "proxy/base/list.h"
#include "proxy/base/map.h"

enum { KEY_BYTES = 9 }; /* the family, and at most 64 bits */

struct origin {
	struct map_entry entry;
	uint64_t count;
	char key[KEY_BYTES];
};

struct admission {
	_Atomic uint64_t count, total, per_address;
	pthread_mutex_t lock;
	struct map origins;
};

int
admission_new(struct admission **out, uint64_t total, uint64_t per_address)
{
	struct admission *a = calloc(1, sizeof(*a));
	uint64_t seed;

	if (a == NULL)
		return SW_ENOMEM;
	digest_random(&seed, sizeof(seed));
	map_init(&a->origins, seed);
	pthread_mutex_init(&a->lock, NULL);
	admission_limits(a, total, per_address);
	*out = a;
	return SW_OK;
}

void
admission_free(struct admission *a)
{
	struct map_entry *e;

	if (a == NULL)
		return;
	while ((e = map_next(&a->origins, NULL)) != NULL) {
		map_remove(&a->origins, e);
		free(container_of(e, struct origin, entry));
	}
	map_fini(&a->origins);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

void
admission_limits(struct admission *a, uint64_t total, uint64_t per_address)
{
	atomic_store(&a->total, total);
	atomic_store(&a->per_address, per_address);
}

static struct str
key_of(const struct address *peer, char key[KEY_BYTES])
{
	key[0] = (char)peer->family;
	memcpy(key + 1, peer->ip, 8);
	return (struct str){ key, peer->family == AF_INET ? 5 : KEY_BYTES };
}

static bool
is_counted(const struct address *peer)
{
	return peer->family == AF_INET || peer->family == AF_INET6;
}

static bool
enter_origin(struct admission *a, const struct address *peer, uint64_t limit)
{
	char bytes[KEY_BYTES];
	struct str key = key_of(peer, bytes);
	struct map_entry *e;
	struct origin *o = NULL;
	bool admitted = false;

	pthread_mutex_lock(&a->lock);
	if ((e = map_find(&a->origins, key)) != NULL) {
		o = container_of(e, struct origin, entry);
	} else if ((o = calloc(1, sizeof(*o))) != NULL) {
		memcpy(o->key, key.p, key.len);
		if (map_add(&a->origins, &o->entry,
			(struct str){ o->key, key.len }) != SW_OK) {
			free(o);
			o = NULL;
		}
	}
	if (o != NULL && o->count < limit) {
		o->count++;
		admitted = true;
	}
	pthread_mutex_unlock(&a->lock);
	return admitted;
}

bool
admission_enter(struct admission *a, const struct address *peer)
{
	uint64_t limit = atomic_load(&a->per_address);

	if (atomic_fetch_add(&a->count, 1) >= atomic_load(&a->total) ||
	    (limit > 0 && is_counted(peer) && !enter_origin(a, peer, limit))) {
		atomic_fetch_sub(&a->count, 1);
		return false;
	}
	return true;
}

void
admission_leave(struct admission *a, const struct address *peer)
{
	char bytes[KEY_BYTES];
	struct map_entry *e;
	struct origin *o;

	atomic_fetch_sub(&a->count, 1);
	/* Also when the limit was lifted since it came. */
	if (a->origins.count == 0 || !is_counted(peer))
		return;
	pthread_mutex_lock(&a->lock);
	if ((e = map_find(&a->origins, key_of(peer, bytes))) != NULL) {
		o = container_of(e, struct origin, entry);
		if (--o->count == 0) {
			map_remove(&a->origins, e);
			free(o);
		}
	}
	pthread_mutex_unlock(&a->lock);
}
