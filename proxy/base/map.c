#include "proxy/base/map.h"

#include <stdlib.h>

#include "proxy/base/err.h"

/*
 * A keyed multiply-and-fold hash over eight bytes at a time. It need not be
 * cryptographic, only unpredictable without the seed.
 */
static uint64_t
fold(uint64_t a, uint64_t b)
{
#ifdef __SIZEOF_INT128__
	__extension__ unsigned __int128 product = a;

	product *= b;
	return (uint64_t)product ^ (uint64_t)(product >> 64);
#else
	/* A machine of 32 bits: half by half. */
	uint64_t low = (uint32_t)a * (b & UINT32_MAX),
		 cross = (a >> 32) * (b & UINT32_MAX) + (low >> 32),
		 middle = (uint32_t)a * (b >> 32) + (cross & UINT32_MAX);

	return (middle << 32 | (uint32_t)low) ^
	    ((a >> 32) * (b >> 32) + (cross >> 32) + (middle >> 32));
#endif
}

static uint64_t
hash(uint64_t seed, struct str key)
{
	uint64_t h = seed ^ (key.len * 0x9e3779b97f4a7c15ULL);
	uint64_t word;
	size_t i = 0;

	for (; i + 8 <= key.len; i += 8) {
		memcpy(&word, key.p + i, 8);
		h = fold(h ^ word, 0xa0761d6478bd642fULL ^ seed);
	}
	if (i < key.len) {
		word = 0;
		memcpy(&word, key.p + i, key.len - i);
		h = fold(h ^ word, 0xe7037ed1a0b428dbULL ^ seed);
	}
	return fold(h, 0x8ebc6af09c88c6e3ULL ^ seed);
}

void
map_init(struct map *m, uint64_t seed)
{
	*m = (struct map){ .seed = seed };
}

void
map_fini(struct map *m)
{
	free(m->slots);
	*m = (struct map){ .seed = m->seed };
}

struct map_entry *
map_find(const struct map *m, struct str key)
{
	struct map_entry *e;
	uint64_t h;

	if (m->size == 0)
		return NULL;
	h = hash(m->seed, key);
	for (e = m->slots[h & (m->size - 1)]; e != NULL; e = e->next)
		if (e->hash == h && str_equals(e->key, key))
			return e;
	return NULL;
}

static int
grow(struct map *m)
{
	size_t size = m->size == 0 ? 16 : m->size * 2;
	struct map_entry **slots = calloc(size, sizeof(struct map_entry *));

	if (slots == NULL)
		return SW_ENOMEM;
	for (size_t i = 0; i < m->size; i++) {
		struct map_entry *e = m->slots[i], *next;

		for (; e != NULL; e = next) {
			next = e->next;
			e->next = slots[e->hash & (size - 1)];
			slots[e->hash & (size - 1)] = e;
		}
	}
	free(m->slots);
	m->slots = slots;
	m->size = size;
	return SW_OK;
}

int
map_add(struct map *m, struct map_entry *e, struct str key)
{
	struct map_entry **slot;

	if (m->count >= m->size && grow(m) != SW_OK)
		return SW_ENOMEM;
	e->key = key;
	e->hash = hash(m->seed, key);
	slot = &m->slots[e->hash & (m->size - 1)];
	e->next = *slot;
	*slot = e;
	m->count++;
	return SW_OK;
}

void
map_remove(struct map *m, struct map_entry *e)
{
	struct map_entry **p = &m->slots[e->hash & (m->size - 1)];

	while (*p != e)
		p = &(*p)->next;
	*p = e->next;
	m->count--;
}

struct map_entry *
map_next(const struct map *m, const struct map_entry *e)
{
	size_t i = 0;

	if (e != NULL) {
		if (e->next != NULL)
			return e->next;
		i = ((size_t)e->hash & (m->size - 1)) + 1;
	}
	for (; i < m->size; i++)
		if (m->slots[i] != NULL)
			return m->slots[i];
	return NULL;
}
