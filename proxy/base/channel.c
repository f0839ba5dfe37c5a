#include "proxy/base/channel.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "proxy/base/digest.h"
#include "proxy/base/err.h"

/*
 * So many with the lock held. Between them others may have it, who would come
 * too late if it were taken again at once.
 */
enum { RELOADED_AT_ONCE = 1024, GIVE_WAY_NS = 50000 };

struct channels {
	pthread_mutex_t lock;
	struct map by_name;
	size_t limit;
	uint64_t forgotten; /* newest event of all that were */
	channels_past_fn *past;
	void *past_ctx;
	channels_policy_fn *find_policy;
	void *policy_ctx;
	_Atomic uint32_t reloads; /* begun and done */
	struct channel **by_number;
	/* Numbers to give out again, and the first that never was. */
	uint32_t *free_numbers;
	size_t free_count;
	size_t numbers; /* room for, in both */
	uint32_t next_number;
};

int
channels_new(struct channels **out, size_t limit)
{
	struct channels *cs = calloc(1, sizeof(*cs));
	uint64_t seed;

	if (cs == NULL)
		return SW_ENOMEM;
	digest_random(&seed, sizeof(seed));
	map_init(&cs->by_name, seed);
	pthread_mutex_init(&cs->lock, NULL);
	cs->limit = limit;
	*out = cs;
	return SW_OK;
}

void
channels_free(struct channels *cs)
{
	if (cs == NULL)
		return;
	map_fini(&cs->by_name);
	pthread_mutex_destroy(&cs->lock);
	free(cs->by_number);
	free(cs->free_numbers);
	free(cs);
}

static void
find_policy(void *ctx, struct channel *c)
{
	const struct channels *cs = ctx;

	atomic_store(&c->policy, cs->find_policy(cs->policy_ctx, c->name));
}

void
channels_reload(struct channels *cs, channels_policy_fn *find, void *ctx)
{
	const struct timespec give_way = { .tv_nsec = GIVE_WAY_NS };
	uint32_t hand = 0;

	atomic_fetch_add(&cs->reloads, 1);
	pthread_mutex_lock(&cs->lock);
	cs->find_policy = find;
	cs->policy_ctx = ctx;
	pthread_mutex_unlock(&cs->lock);
	/* New ones have the new policies from here on. */
	while (channels_visit(cs, hand, RELOADED_AT_ONCE, find_policy, cs)) {
		hand += RELOADED_AT_ONCE;
		nanosleep(&give_way, NULL);
	}
	atomic_fetch_add(&cs->reloads, 1);
}

uint32_t
channels_reloads(const struct channels *cs)
{
	return atomic_load(&cs->reloads);
}

bool
channel_name_valid(struct str name)
{
	if (name.len == 0 || name.len > CHANNEL_NAME_MAX)
		return false;
	for (size_t i = 0; i < name.len; i++) {
		char c = name.p[i];

		if ((c < 'a' || c > 'z') && (c < 'A' || c > 'Z') &&
		    (c < '0' || c > '9') && c != '.' && c != '_' && c != '~' &&
		    c != ':' && c != '-')
			return false;
	}
	return true;
}

/* Room to give every number back, too, so that this cannot fail then. */
static int
more_numbers(struct channels *cs)
{
	size_t n = cs->numbers == 0 ? 64 : cs->numbers * 2;
	struct channel **channels;
	uint32_t *numbers = realloc(cs->free_numbers, n * sizeof(*numbers));

	if (numbers == NULL)
		return SW_ENOMEM;
	cs->free_numbers = numbers;
	channels = realloc(cs->by_number, n * sizeof(struct channel *));
	if (channels == NULL)
		return SW_ENOMEM;
	cs->by_number = channels;
	cs->numbers = n;
	return SW_OK;
}

/* Under the lock. */
static int
take_number(struct channels *cs, uint32_t *out)
{
	int err;

	if (cs->free_count > 0) {
		*out = cs->free_numbers[--cs->free_count];
		return SW_OK;
	}
	if (cs->next_number == cs->numbers && (err = more_numbers(cs)) != SW_OK)
		return err;
	*out = cs->next_number++;
	cs->by_number[*out] = NULL;
	return SW_OK;
}

static uint64_t
born(const struct channels *cs, struct str name)
{
	uint64_t past = cs->past == NULL ? 0 : cs->past(cs->past_ctx, name);

	return past > cs->forgotten ? past : cs->forgotten;
}

/* Under the lock. */
static int
channel_new(struct channel **out, struct channels *cs, struct str name)
{
	struct channel *c;
	int err;

	if (cs->by_name.count >= cs->limit)
		return SW_ELIMIT;
	c = calloc(1, sizeof(*c) + name.len + 1);
	if (c == NULL)
		return SW_ENOMEM;
	c->registry = cs;
	memcpy(c->text, name.p, name.len);
	c->name = (struct str){ c->text, name.len };
	atomic_init(&c->refs, 1);
	c->born = born(cs, name);
	atomic_init(&c->head, c->born);
	if ((err = take_number(cs, &c->number)) != SW_OK)
		goto fail;
	if ((err = map_add(&cs->by_name, &c->entry, c->name)) != SW_OK) {
		cs->free_numbers[cs->free_count++] = c->number;
		goto fail;
	}
	cs->by_number[c->number] = c;
	if (cs->find_policy != NULL)
		find_policy(cs, c);
	*out = c;
	return SW_OK;

fail:
	free(c);
	return err;
}

/* Under the lock. A channel whose last reference is just going counts. */
static struct channel *
find_locked(struct channels *cs, struct str name)
{
	struct map_entry *e = map_find(&cs->by_name, name);

	return e == NULL ? NULL :
			   channel_ref(container_of(e, struct channel, entry));
}

int
channels_get(struct channel **out, struct channels *cs, struct str name)
{
	int err = SW_OK;

	if (!channel_name_valid(name))
		return SW_EINVAL;
	pthread_mutex_lock(&cs->lock);
	*out = find_locked(cs, name);
	if (*out == NULL)
		err = channel_new(out, cs, name);
	pthread_mutex_unlock(&cs->lock);
	return err;
}

struct channel *
channels_find(struct channels *cs, struct str name)
{
	struct channel *c;

	pthread_mutex_lock(&cs->lock);
	c = find_locked(cs, name);
	pthread_mutex_unlock(&cs->lock);
	return c;
}

struct channel *
channel_ref(struct channel *c)
{
	atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
	return c;
}

/* Under the lock, where nobody can find it anew. */
static void
channel_free(struct channels *cs, struct channel *c)
{
	map_remove(&cs->by_name, &c->entry);
	cs->by_number[c->number] = NULL;
	cs->free_numbers[cs->free_count++] = c->number;
	free(c);
}

void
channel_unref(struct channel *c)
{
	struct channels *cs;
	uint32_t refs;

	if (c == NULL)
		return;
	/* Not the last one: no lock. */
	refs = atomic_load_explicit(&c->refs, memory_order_relaxed);
	while (refs > 1)
		if (atomic_compare_exchange_weak_explicit(&c->refs, &refs,
			refs - 1, memory_order_release, memory_order_relaxed))
			return;
	cs = c->registry;
	pthread_mutex_lock(&cs->lock);
	if (atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1)
		channel_free(cs, c);
	pthread_mutex_unlock(&cs->lock);
}

/* Under the lock. */
static void
forgot(struct channels *cs, uint64_t upto)
{
	if (cs->forgotten < upto)
		cs->forgotten = upto;
}

void
channels_forgot(struct channels *cs, uint64_t upto)
{
	pthread_mutex_lock(&cs->lock);
	forgot(cs, upto);
	pthread_mutex_unlock(&cs->lock);
}

void
channels_set_past(struct channels *cs, channels_past_fn *past, void *ctx)
{
	pthread_mutex_lock(&cs->lock);
	cs->past = past;
	cs->past_ctx = ctx;
	pthread_mutex_unlock(&cs->lock);
}

bool
channel_forget(struct channel *c)
{
	struct channels *cs = c->registry;
	bool alone;

	pthread_mutex_lock(&cs->lock);
	alone = !channel_is_shared(c);
	if (alone) {
		forgot(cs, channel_head(c));
		channel_free(cs, c);
	}
	pthread_mutex_unlock(&cs->lock);
	return alone;
}

uint32_t
channels_numbers(struct channels *cs)
{
	uint32_t n;

	pthread_mutex_lock(&cs->lock);
	n = cs->next_number;
	pthread_mutex_unlock(&cs->lock);
	return n;
}

bool
channels_visit(struct channels *cs, uint32_t first, uint32_t count,
    channels_visit_fn *visit, void *ctx)
{
	bool more;

	pthread_mutex_lock(&cs->lock);
	more = cs->next_number > first && cs->next_number - first > count;
	for (uint32_t n = first; n < cs->next_number && n - first < count; n++)
		if (cs->by_number[n] != NULL)
			visit(ctx, cs->by_number[n]);
	pthread_mutex_unlock(&cs->lock);
	return more;
}
