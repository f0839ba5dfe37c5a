#include "proxy/edge/admission.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "proxy/base/digest.h"
#include "proxy/base/err.h"
#include "proxy/base/list.h"
#include "proxy/base/map.h"

enum { KEY_BYTES = 9 }; /* the family, and at most 64 bits */

/* Where connections come from. */
struct origin {
	struct map_entry entry;
	struct list idle; /* of those without connections, in a.idle */
	uint64_t count;
	uint64_t due_us; /* see pace_allows */
	char key[KEY_BYTES];
};

struct admission {
	_Atomic uint64_t count, total, per_address, rate, tls_rate;
	_Atomic uint64_t descriptors, besides; /* of connections */
	_Atomic bool loopback;
	pthread_mutex_t lock;
	struct map origins;
	struct list idle;
};

int
admission_new(struct admission **out, const struct admission_limits *limits)
{
	struct admission *a = calloc(1, sizeof(*a));
	uint64_t seed;

	if (a == NULL)
		return SW_ENOMEM;
	digest_random(&seed, sizeof(seed));
	map_init(&a->origins, seed);
	list_init(&a->idle);
	pthread_mutex_init(&a->lock, NULL);
	admission_configure(a, limits);
	*out = a;
	return SW_OK;
}

static void
forget(struct admission *a, struct origin *o)
{
	list_remove(&o->idle);
	map_remove(&a->origins, &o->entry);
	free(o);
}

void
admission_free(struct admission *a)
{
	struct map_entry *e;

	if (a == NULL)
		return;
	while ((e = map_next(&a->origins, NULL)) != NULL)
		forget(a, container_of(e, struct origin, entry));
	map_fini(&a->origins);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

void
admission_configure(struct admission *a, const struct admission_limits *limits)
{
	atomic_store(&a->total, limits->total);
	atomic_store(&a->descriptors,
	    limits->descriptors == 0 ? UINT64_MAX / 2 : limits->descriptors);
	atomic_store(&a->per_address, limits->per_address);
	atomic_store(&a->rate, limits->rate);
	atomic_store(&a->tls_rate, limits->tls_rate);
	atomic_store(&a->loopback, limits->loopback);
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

/*
 * Who has no connection left is remembered only as long as its pace matters: so
 * many addresses cost no more than they can open connections in that time.
 */
static void
forget_idle(struct admission *a, uint64_t now_ms)
{
	enum { AT_ONCE = 8 };

	for (int i = 0; i < AT_ONCE && !list_empty(&a->idle); i++) {
		struct origin *o =
		    container_of(a->idle.next, struct origin, idle);

		if (o->due_us > now_ms * 1000)
			return;
		forget(a, o);
	}
}

/* NULL if memory ran out. */
static struct origin *
origin_at(struct admission *a, const struct address *peer)
{
	char bytes[KEY_BYTES];
	struct str key = key_of(peer, bytes);
	struct map_entry *e = map_find(&a->origins, key);
	struct origin *o;

	if (e != NULL)
		return container_of(e, struct origin, entry);
	o = calloc(1, sizeof(*o));
	if (o == NULL)
		return NULL;
	list_init(&o->idle);
	memcpy(o->key, key.p, key.len);
	if (map_add(&a->origins, &o->entry, (struct str){ o->key, key.len }) ==
	    SW_OK)
		return o;
	free(o);
	return NULL;
}

static bool
enter_origin(struct admission *a, const struct address *peer, bool tls,
    uint64_t now_ms, enum limit *why)
{
	uint64_t limit = atomic_load(&a->per_address);
	uint64_t rate = atomic_load(tls ? &a->tls_rate : &a->rate);
	struct origin *o;
	bool admitted = false;

	pthread_mutex_lock(&a->lock);
	forget_idle(a, now_ms);
	o = origin_at(a, peer);
	if (o != NULL && limit > 0 && o->count >= limit) {
		*why = LIMIT_CONNECTIONS_PER_ADDRESS;
	} else if (o != NULL &&
	    !pace_allows(&o->due_us, now_ms, rate, ADMISSION_BURST_MS)) {
		*why = tls ? LIMIT_HANDSHAKE_RATE : LIMIT_CONNECTION_RATE;
	} else if (o != NULL) {
		list_remove(&o->idle);
		o->count++;
		admitted = true;
	}
	pthread_mutex_unlock(&a->lock);
	return admitted;
}

/* Is there anything to ask about where it comes from? */
static bool
has_limits(struct admission *a, const struct address *peer, bool tls)
{
	return is_counted(peer) &&
	    (atomic_load(&a->per_address) > 0 ||
		atomic_load(tls ? &a->tls_rate : &a->rate) > 0) &&
	    (atomic_load(&a->loopback) || !address_is_loopback(peer));
}

bool
admission_identify(struct admission *a, const struct address *peer, bool tls,
    uint64_t now_ms, enum limit *why)
{
	*why = LIMIT_CONNECTIONS;
	return !has_limits(a, peer, tls) ||
	    enter_origin(a, peer, tls, now_ms, why);
}

bool
admission_enter(struct admission *a, const struct address *peer, bool tls,
    bool api, uint64_t now_ms, enum limit *why)
{
	uint64_t reserve = api ? ADMISSION_RESERVE : 0;
	uint64_t total = atomic_load(&a->total) + reserve;
	uint64_t fit = atomic_load(&a->descriptors) + reserve;
	uint64_t count = atomic_fetch_add(&a->count, 1);

	*why = LIMIT_CONNECTIONS;
	if (count < total && count + atomic_load(&a->besides) < fit &&
	    admission_identify(a, peer, tls, now_ms, why))
		return true;
	atomic_fetch_sub(&a->count, 1);
	return false;
}

void
admission_leave(struct admission *a, const struct address *peer)
{
	char bytes[KEY_BYTES];
	struct map_entry *e;
	struct origin *o;

	atomic_fetch_sub(&a->count, 1);
	if (!is_counted(peer))
		return;
	pthread_mutex_lock(&a->lock);
	/* Other limits may have been in force when it came, or none. */
	if ((e = map_find(&a->origins, key_of(peer, bytes))) != NULL) {
		o = container_of(e, struct origin, entry);
		if (o->count > 0 && --o->count == 0)
			list_append(&a->idle, &o->idle);
	}
	pthread_mutex_unlock(&a->lock);
}

bool
admission_take(struct admission *a, uint64_t descriptors)
{
	uint64_t besides = atomic_fetch_add(&a->besides, descriptors);

	if (atomic_load(&a->count) + besides + descriptors <=
	    atomic_load(&a->descriptors))
		return true;
	admission_give(a, descriptors);
	return false;
}

void
admission_give(struct admission *a, uint64_t descriptors)
{
	atomic_fetch_sub(&a->besides, descriptors);
}

size_t
admission_addresses(struct admission *a)
{
	size_t n;

	pthread_mutex_lock(&a->lock);
	n = a->origins.count;
	pthread_mutex_unlock(&a->lock);
	return n;
}
