#include "storage/tail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/base/err.h"
#include "storage/payload_place.h"

/* "SPLWTAIL", and how the file is built. */
#define MAGIC 0x4c494154574c5053U
#define LAYOUT 1

enum {
	TAIL_BYTES = 256 << 10,
	/* A larger group is worth a commit of its own. */
	STAGED_BYTES_MAX = 32 << 10,
	REASON_BYTES = 256,
	WORD = 8,
};

/* How the file begins; the rows follow. In the machine's order of bytes. */
struct head {
	uint64_t magic;
	uint64_t layout;
	struct epoch epoch; /* of the log */
	_Atomic uint64_t number;
	_Atomic uint64_t end; /* of the rows, from the beginning of the file */
};

/* How a row begins; type, content type and data follow, to a whole word. */
struct stored_row {
	uint64_t sum; /* of all that follows */
	uint64_t tail;
	uint64_t numbers[8];
	uint32_t type, content_type, data,
	    size; /* bytes; of all, the head too */
};

struct tail {
	bool read_alone;
	char *path;
	char *map;
	uint64_t staged; /* where what is staged ends */
};

static struct head *
head_of(const struct tail *t)
{
	return (struct head *)(void *)t->map;
}

uint64_t
tail_number(const struct tail *t)
{
	return atomic_load(&head_of(t)->number);
}

static uint64_t
end_of(const struct tail *t)
{
	return atomic_load(&head_of(t)->end);
}

bool
tail_is_empty(const struct tail *t)
{
	return end_of(t) == sizeof(struct head);
}

void
tail_begin(struct tail *t, uint64_t number)
{
	struct head *h = head_of(t);

	/* Empty first: rows of one never count as another's. */
	atomic_store(&h->end, sizeof(*h));
	atomic_store(&h->number, number);
	t->staged = sizeof(*h);
}

static int
fail(char *reason, const char *path, const char *what, int error)
{
	snprintf(reason, REASON_BYTES, "%.160s: %s: %s", path, what,
	    strerror(error));
	return SW_ESTORE;
}

/*
 * With all its blocks: writing to the map cannot fail for want of room then,
 * and reading not for want of a file.
 */
static int
map_file(struct tail *t, int fd, char *reason)
{
	void *map;
	struct stat st;
	int error = 0;

	if (t->read_alone)
		error =
		    fstat(fd, &st) != 0 || st.st_size < TAIL_BYTES ? EINVAL : 0;
	else
		error = posix_fallocate(fd, 0, TAIL_BYTES);
	if (error != 0)
		return fail(reason, t->path, "no room", error);
	map = mmap(NULL, TAIL_BYTES,
	    PROT_READ | (t->read_alone ? 0 : PROT_WRITE), MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return fail(reason, t->path, "cannot map", errno);
	t->map = map;
	return SW_OK;
}

static bool
is_sound(const struct tail *t, const struct epoch *epoch)
{
	const struct head *h = head_of(t);

	return h->magic == MAGIC && h->layout == LAYOUT &&
	    memcmp(&h->epoch, epoch, sizeof(*epoch)) == 0 &&
	    end_of(t) >= sizeof(*h) && end_of(t) <= TAIL_BYTES &&
	    end_of(t) % WORD == 0;
}

static int
load(struct tail *t, int fd, const struct epoch *epoch, uint64_t number,
    char *reason)
{
	int err = map_file(t, fd, reason);

	if (err != SW_OK)
		return err;
	if (!is_sound(t, epoch)) {
		if (t->read_alone)
			return SW_ENOENT;
		*head_of(t) = (struct head){
			.magic = MAGIC,
			.layout = LAYOUT,
			.epoch = *epoch,
		};
		tail_begin(t, number);
	}
	t->staged = end_of(t);
	return SW_OK;
}

int
tail_open(struct tail **out, const char *path, enum tail_mode mode,
    const struct epoch *epoch, uint64_t number, char *reason)
{
	static const int flags[] = {
		[TAIL_MAKE] = O_RDWR | O_CREAT,
		[TAIL_WRITE] = O_RDWR,
		[TAIL_READ] = O_RDONLY,
	};
	int err, fd = open(path, flags[mode] | O_CLOEXEC, 0640);
	struct tail *t;

	if (fd < 0)
		return errno == ENOENT ?
		    SW_ENOENT :
		    fail(reason, path, "cannot open", errno);
	t = calloc(1, sizeof(*t));
	if (t == NULL || (t->path = strdup(path)) == NULL) {
		err = SW_ENOMEM;
	} else {
		t->read_alone = mode == TAIL_READ;
		err = load(t, fd, epoch, number, reason);
	}
	close(fd);
	if (err == SW_OK)
		*out = t;
	else
		tail_close(t);
	return err;
}

void
tail_close(struct tail *t)
{
	if (t == NULL)
		return;
	if (t->map != NULL) {
		if (!t->read_alone && tail_is_empty(t))
			unlink(t->path);
		munmap(t->map, TAIL_BYTES);
	}
	free(t->path);
	free(t);
}

static uint64_t
sum_of(const struct stored_row *r)
{
	const char *p = (const char *)&r->tail;

	return payload_sum(
	    (struct str){ p, r->size - offsetof(struct stored_row, tail) });
}

static void
put(char **at, struct str s)
{
	if (s.len > 0)
		memcpy(*at, s.p, s.len);
	*at += s.len;
}

bool
tail_stage(struct tail *t, const struct tail_row *row)
{
	char *at = t->map + t->staged;
	struct stored_row *r = (struct stored_row *)(void *)at;
	size_t bytes =
	    sizeof(*r) + row->type.len + row->content_type.len + row->data.len;
	size_t size = (bytes + WORD - 1) / WORD * WORD;

	if (size > TAIL_BYTES - t->staged ||
	    t->staged - end_of(t) + size > STAGED_BYTES_MAX)
		return false;
	*r = (struct stored_row){
		.tail = tail_number(t),
		.numbers = { row->id, row->channel, row->number, row->previous,
		    row->jump, row->total, row->time_ms, row->kind },
		.type = (uint32_t)row->type.len,
		.content_type = (uint32_t)row->content_type.len,
		.data = (uint32_t)row->data.len,
		.size = (uint32_t)size,
	};
	at += sizeof(*r);
	put(&at, row->type);
	put(&at, row->content_type);
	put(&at, row->data);
	memset(at, 0, size - bytes);
	r->sum = sum_of(r);
	t->staged += size;
	return true;
}

bool
tail_has_staged(const struct tail *t)
{
	return t->staged > end_of(t);
}

void
tail_publish(struct tail *t)
{
	atomic_store(&head_of(t)->end, t->staged);
}

void
tail_unstage(struct tail *t)
{
	t->staged = end_of(t);
}

/* The row at `at`, which may be anything; NULL if it is none of this tail. */
static const struct stored_row *
stored_at(const struct tail *t, uint64_t at)
{
	const struct stored_row *r =
	    (const struct stored_row *)(const void *)(t->map + at);
	uint64_t rest = end_of(t) - at;

	if (rest < sizeof(*r) || r->size < sizeof(*r) || r->size > rest ||
	    r->size % WORD != 0 || r->tail != tail_number(t) ||
	    (uint64_t)r->type + r->content_type + r->data >
		r->size - sizeof(*r) ||
	    r->sum != sum_of(r))
		return NULL;
	return r;
}

static struct tail_row
row_of(const struct stored_row *r)
{
	const char *p = (const char *)(r + 1);

	return (struct tail_row){
		.id = r->numbers[0],
		.channel = r->numbers[1],
		.number = r->numbers[2],
		.previous = r->numbers[3],
		.jump = r->numbers[4],
		.total = r->numbers[5],
		.time_ms = r->numbers[6],
		.kind = r->numbers[7],
		.type = { p, r->type },
		.content_type = { p + r->type, r->content_type },
		.data = { p + r->type + r->content_type, r->data },
	};
}

/* The row at `*at`, which is then behind it; false at the end of the tail. */
static bool
next_row(const struct tail *t, uint64_t *at, struct tail_row *out)
{
	const struct stored_row *r;

	if (*at >= end_of(t) || (r = stored_at(t, *at)) == NULL)
		return false;
	*at += r->size;
	*out = row_of(r);
	return true;
}

int
tail_visit(const struct tail *t,
    int (*visit)(void *ctx, const struct tail_row *row), void *ctx)
{
	uint64_t at = sizeof(struct head);
	struct tail_row row;
	int err = SW_OK;

	while (err == SW_OK && next_row(t, &at, &row))
		err = visit(ctx, &row);
	return err;
}

bool
tail_find(const struct tail *t, uint64_t id, struct tail_row *out)
{
	uint64_t at = sizeof(struct head);

	while (next_row(t, &at, out))
		if (out->id == id && out->kind != TAIL_KEY)
			return true;
	return false;
}
