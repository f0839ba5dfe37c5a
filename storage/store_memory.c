/*
 * History in memory: for `store = "memory"`, for tests, and to keep the
 * interface of the engines honest. Rows are events in one array, in order of
 * their ids; removing leaves a hole until holes are worth closing.
 */
#include <pthread.h>
#include <stdlib.h>

#include "proxy/base/err.h"
#include "storage/keys.h"
#include "storage/store.h"

struct row {
	uint64_t id;
	uint64_t channel;
	struct event *event; /* a reference; NULL: removed */
};

struct store_memory {
	struct store base;
	struct epoch epoch;
	struct keys *keys;
	pthread_rwlock_t lock; /* of the rows, against readers */
	struct row *rows;
	size_t first, count, cap; /* rows[first] to rows[count - 1] */
	size_t committed;         /* rows before it are visible */
	uint64_t used;
	uint64_t transaction; /* first id of the open one */
};

struct reader_memory {
	struct store_reader base;
	struct store_memory *store;
};

static struct store_memory *
self(struct store *s)
{
	return container_of(s, struct store_memory, base);
}

static struct reader_memory *
reader(struct store_reader *r)
{
	return container_of(r, struct reader_memory, base);
}

static size_t
row_bytes(const struct row *r)
{
	return sizeof(*r) + sizeof(struct event) + r->event->size;
}

/* Index of the first visible row with an id of at least `id`. */
static size_t
find_row(const struct store_memory *s, uint64_t id)
{
	size_t low = s->first, high = s->committed;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (s->rows[mid].id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int
memory_load(struct store *base, struct store_state *state,
    const struct store_visitor *visit)
{
	(void)visit; /* begins empty */
	*state = (struct store_state){ .epoch = self(base)->epoch };
	return SW_OK;
}

/* Nothing is there after a start, whatever is in force. */
static int
memory_load_past(struct store *base, struct buf *out)
{
	(void)base;
	(void)out;
	return SW_OK;
}

static int
memory_save_past(struct store *base, struct str text)
{
	(void)base;
	(void)text;
	return SW_OK;
}

static void
memory_close(struct store *base)
{
	struct store_memory *s;

	if (base == NULL)
		return;
	s = self(base);
	for (size_t i = s->first; i < s->count; i++)
		event_unref(s->rows[i].event);
	keys_free(s->keys);
	pthread_rwlock_destroy(&s->lock);
	free(s->rows);
	free(s);
}

static int
memory_begin(struct store *base, bool sync)
{
	struct store_memory *s = self(base);

	(void)sync;
	s->transaction = s->count == 0 ? 0 : s->rows[s->count - 1].id + 1;
	return SW_OK;
}

static int
memory_commit(struct store *base)
{
	struct store_memory *s = self(base);

	pthread_rwlock_wrlock(&s->lock);
	s->committed = s->count;
	pthread_rwlock_unlock(&s->lock);
	return SW_OK;
}

/* A commit is seen at once. */
static int
memory_settle(struct store *base)
{
	(void)base;
	return SW_OK;
}

static void
memory_rollback(struct store *base)
{
	struct store_memory *s = self(base);

	while (s->count > s->committed) {
		struct row *r = &s->rows[--s->count];

		s->used -= row_bytes(r);
		event_unref(r->event);
	}
	keys_undo(s->keys, s->transaction);
}

static int
memory_add_channel(struct store *base, uint64_t key, struct str name)
{
	(void)base;
	(void)key;
	(void)name;
	return SW_OK;
}

static int
memory_save_channel(struct store *base, const struct store_channel *c)
{
	(void)base;
	(void)c;
	return SW_OK;
}

static int
memory_remove_channel(struct store *base, uint64_t key)
{
	(void)base;
	(void)key;
	return SW_OK;
}

static int
memory_save_state(struct store *base, const struct store_state *state)
{
	(void)base;
	(void)state;
	return SW_OK;
}

/* Room for one more row: closes the gap at the front, or grows. */
static int
make_room(struct store_memory *s)
{
	struct row *rows;
	size_t cap = s->cap == 0 ? 1024 : s->cap * 2;
	int err = SW_OK;

	if (s->count < s->cap)
		return SW_OK;
	pthread_rwlock_wrlock(&s->lock);
	if (s->first > s->cap / 2) {
		memmove(s->rows, s->rows + s->first,
		    (s->count - s->first) * sizeof(*s->rows));
		s->count -= s->first;
		s->committed -= s->first;
		s->first = 0;
	} else if ((rows = realloc(s->rows, cap * sizeof(*rows))) != NULL) {
		s->rows = rows;
		s->cap = cap;
	} else {
		err = SW_ENOMEM;
	}
	pthread_rwlock_unlock(&s->lock);
	return err;
}

static int
memory_append(struct store *base, uint64_t channel, const struct event *e)
{
	struct store_memory *s = self(base);
	int err = make_room(s);
	struct row *r;

	if (err != SW_OK)
		return err;
	/* The row shares the event: only its count changes. */
	r = &s->rows[s->count++];
	*r = (struct row){ e->id, channel,
		event_ref((struct event *)(uintptr_t)e) };
	s->used += row_bytes(r);
	return SW_OK;
}

static int
memory_remove(struct store *base, uint64_t first, uint64_t last)
{
	struct store_memory *s = self(base);

	pthread_rwlock_wrlock(&s->lock);
	for (size_t i = find_row(s, first);
	     i < s->committed && s->rows[i].id <= last; i++) {
		if (s->rows[i].event == NULL)
			continue;
		s->used -= row_bytes(&s->rows[i]);
		event_unref(s->rows[i].event);
		s->rows[i].event = NULL;
	}
	while (s->first < s->committed && s->rows[s->first].event == NULL)
		s->first++;
	pthread_rwlock_unlock(&s->lock);
	return SW_OK;
}

static int
memory_find_key(struct store *base, struct str channel, struct str key,
    uint64_t *id, uint64_t *time_ms)
{
	return keys_find(self(base)->keys, channel, key, id, time_ms);
}

static int
memory_add_key(struct store *base, struct str channel, struct str key,
    uint64_t id, uint64_t time_ms)
{
	return keys_add(self(base)->keys, channel, key, id, time_ms);
}

static int
memory_expire_keys(
    struct store *base, uint64_t before_ms, uint64_t latest_ms, unsigned count)
{
	(void)count;
	keys_expire(self(base)->keys, before_ms, latest_ms);
	return SW_OK;
}

static struct store_row
describe(const struct row *r)
{
	const struct event *e = r->event;

	return (struct store_row){
		.id = e->id,
		.channel = r->channel,
		.number = e->number,
		.total = e->total,
		.previous = e->previous,
		.jump = e->jump,
		.time_ms = e->time_ms,
	};
}

static int
memory_scan(struct store *base, uint64_t after,
    bool (*visit)(void *ctx, const struct store_row *row), void *ctx)
{
	struct store_memory *s = self(base);

	for (size_t i = find_row(s, after + 1); i < s->committed; i++) {
		struct store_row row;

		if (s->rows[i].event == NULL)
			continue;
		row = describe(&s->rows[i]);
		if (!visit(ctx, &row))
			break;
	}
	return SW_OK;
}

static uint64_t
memory_used_bytes(struct store *base)
{
	return self(base)->used;
}

static int
memory_probe(struct store *base)
{
	(void)base;
	return SW_OK;
}

static int
memory_reader_open(struct store_reader **out, struct store *base)
{
	struct reader_memory *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return SW_ENOMEM;
	r->store = self(base);
	*out = &r->base;
	return SW_OK;
}

static void
memory_reader_close(struct store_reader *base)
{
	if (base != NULL)
		free(reader(base));
}

static int
memory_reader_begin(struct store_reader *base)
{
	pthread_rwlock_rdlock(&reader(base)->store->lock);
	return SW_OK;
}

static void
memory_reader_end(struct store_reader *base)
{
	pthread_rwlock_unlock(&reader(base)->store->lock);
}

static const struct row *
visible_row(struct store_reader *base, uint64_t id)
{
	struct store_memory *s = reader(base)->store;
	size_t i = find_row(s, id);

	if (i >= s->committed || s->rows[i].id != id ||
	    s->rows[i].event == NULL)
		return NULL;
	return &s->rows[i];
}

static int
memory_reader_row(struct store_reader *base, uint64_t id, struct store_row *out)
{
	const struct row *r = visible_row(base, id);

	if (r == NULL)
		return SW_ENOENT;
	*out = describe(r);
	return SW_OK;
}

static int
memory_reader_event(struct store_reader *base, uint64_t id, struct channel *c,
    struct event **out)
{
	const struct row *r = visible_row(base, id);

	if (r == NULL || describe(r).channel != channel_key(c))
		return SW_ENOENT;
	*out = event_ref(r->event);
	return SW_OK;
}

static const struct store_ops memory_ops = {
	.name = "memory",
	.load = memory_load,
	.close = memory_close,
	.load_past = memory_load_past,
	.begin = memory_begin,
	.commit = memory_commit,
	.rollback = memory_rollback,
	.settle = memory_settle,
	.add_channel = memory_add_channel,
	.save_channel = memory_save_channel,
	.remove_channel = memory_remove_channel,
	.save_state = memory_save_state,
	.save_past = memory_save_past,
	.append = memory_append,
	.remove = memory_remove,
	.find_key = memory_find_key,
	.add_key = memory_add_key,
	.expire_keys = memory_expire_keys,
	.scan = memory_scan,
	.used_bytes = memory_used_bytes,
	.probe = memory_probe,
	.reader_open = memory_reader_open,
	.reader_close = memory_reader_close,
	.reader_begin = memory_reader_begin,
	.reader_end = memory_reader_end,
	.reader_row = memory_reader_row,
	.reader_event = memory_reader_event,
};

/* The writer goes first: readers that never pause would keep it out. */
static void
init_lock(pthread_rwlock_t *lock)
{
	pthread_rwlockattr_t attr;

	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(
	    &attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(lock, &attr);
	pthread_rwlockattr_destroy(&attr);
}

int
store_memory_open(struct store **out)
{
	struct store_memory *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return SW_ENOMEM;
	s->base.ops = &memory_ops;
	epoch_make(&s->epoch);
	init_lock(&s->lock);
	if (keys_new(&s->keys) != SW_OK) {
		memory_close(&s->base);
		return SW_ENOMEM;
	}
	*out = &s->base;
	return SW_OK;
}
