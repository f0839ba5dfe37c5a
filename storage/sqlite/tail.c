#include "storage/sqlite/tail.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/base/digest.h"
#include "proxy/base/err.h"
#include "storage/sqlite/payload_place.h"

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
	/* Of the process: rows of others are none. */
	_Alignas(8) uint64_t salt;
};

/* How a row begins; type, content type and data follow, to a whole word. */
struct stored_row {
	uint64_t sum; /* of all that follows */
	uint64_t salt, tail;
	struct store_row row;
	uint64_t kind;
	uint32_t type, content_type, data,
	    size;      /* bytes; of all, the head too */
	uint64_t last; /* of its group */
};

/* The file's bytes are in memory as well. */
struct tail {
	int fd;
	char *path;
	bool read_alone;
	uint64_t number;
	uint64_t end, staged; /* of the rows, and of those that are staged */
	uint64_t last;        /* where the last one that is staged begins */
	char bytes[TAIL_BYTES] __attribute__((aligned(8)));
};

static struct head *
head_of(struct tail *t)
{
	return (struct head *)(void *)t->bytes;
}

static struct stored_row *
row_at(struct tail *t, uint64_t at)
{
	return (struct stored_row *)(void *)(t->bytes + at);
}

uint64_t
tail_number(const struct tail *t)
{
	return t->number;
}

bool
tail_is_empty(const struct tail *t)
{
	return t->end == sizeof(struct head);
}

void
tail_begin(struct tail *t, uint64_t number)
{
	t->end = t->staged = sizeof(struct head);
	t->number = number;
}

static int
fail(char *reason, const char *path, const char *what)
{
	snprintf(reason, REASON_BYTES, "%.160s: %s: %s", path, what,
	    strerror(errno));
	return SW_ESTORE;
}

static bool
write_at(const struct tail *t, uint64_t from, uint64_t to)
{
	while (from < to) {
		ssize_t n = pwrite(
		    t->fd, t->bytes + from, (size_t)(to - from), (off_t)from);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		from += (uint64_t)n;
	}
	return true;
}

/* What the file has; less than nothing if it cannot be read. */
static ssize_t
read_all(struct tail *t)
{
	size_t len = 0;
	ssize_t n = 1;

	while (len < TAIL_BYTES && n != 0) {
		n = pread(t->fd, t->bytes + len, TAIL_BYTES - len, (off_t)len);
		if (n < 0 && errno != EINTR)
			return n;
		if (n > 0)
			len += (size_t)n;
	}
	return (ssize_t)len;
}

static uint64_t
sum_of(const struct stored_row *r)
{
	return payload_sum((struct str){ (const char *)&r->salt,
	    r->size - offsetof(struct stored_row, salt) });
}

/* Is there a row of this tail? The place may have anything. */
static bool
is_row(struct tail *t, uint64_t at, uint64_t end)
{
	const struct stored_row *r = row_at(t, at);

	return end - at >= sizeof(*r) && r->size >= sizeof(*r) &&
	    r->size <= end - at && r->size % WORD == 0 &&
	    r->salt == head_of(t)->salt && r->tail == t->number &&
	    (uint64_t)r->type + r->content_type + r->data <=
	    r->size - sizeof(*r) &&
	    r->sum == sum_of(r);
}

/* The rows of the file: whole groups, as far as they go. */
static void
find_rows(struct tail *t, uint64_t len)
{
	uint64_t at = sizeof(struct head), number = t->number;

	if (len - at >= sizeof(struct stored_row))
		t->number = row_at(t, at)->tail;
	while (at < len && is_row(t, at, len)) {
		const struct stored_row *r = row_at(t, at);

		at += r->size;
		if (r->last != 0)
			t->end = t->staged = at;
	}
	if (tail_is_empty(t))
		t->number = number;
}

/* Returns whether the file belongs to the log. */
static bool
load(struct tail *t, const struct epoch *epoch, ssize_t len)
{
	const struct head *h = head_of(t);

	if (len < (ssize_t)sizeof(*h) || h->magic != MAGIC ||
	    h->layout != LAYOUT ||
	    memcmp(&h->epoch, epoch, sizeof(*epoch)) != 0)
		return false;
	find_rows(t, (uint64_t)len);
	return true;
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
	int fd = open(path, flags[mode] | O_CLOEXEC, 0640);
	struct tail *t;
	ssize_t len;

	if (fd < 0)
		return errno == ENOENT ? SW_ENOENT :
					 fail(reason, path, "cannot open");
	t = calloc(1, sizeof(*t));
	if (t == NULL || (t->path = strdup(path)) == NULL) {
		close(fd);
		free(t);
		return SW_ENOMEM;
	}
	t->fd = fd;
	t->read_alone = mode == TAIL_READ;
	tail_begin(t, number);
	len = read_all(t);
	if (len < 0) {
		fail(reason, path, "cannot read");
		tail_close(t);
		return SW_ESTORE;
	}
	if (!load(t, epoch, len)) {
		memset(t->bytes, 0, sizeof(struct head));
		*head_of(t) = (struct head){
			.magic = MAGIC,
			.layout = LAYOUT,
			.epoch = *epoch,
		};
	}
	*out = t;
	return SW_OK;
}

int
tail_renew(struct tail *t, uint64_t number, char *reason)
{
	digest_random(&head_of(t)->salt, sizeof(head_of(t)->salt));
	tail_begin(t, number);
	if (ftruncate(t->fd, 0) != 0 || !write_at(t, 0, sizeof(struct head)))
		return fail(reason, t->path, "cannot write");
	return SW_OK;
}

void
tail_close(struct tail *t)
{
	if (t == NULL)
		return;
	close(t->fd);
	if (!t->read_alone && tail_is_empty(t))
		unlink(t->path);
	free(t->path);
	free(t);
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
	struct stored_row *r = row_at(t, t->staged);
	size_t bytes =
	    sizeof(*r) + row->type.len + row->content_type.len + row->data.len;
	size_t size = (bytes + WORD - 1) / WORD * WORD;
	char *at = (char *)(r + 1);

	if (size > TAIL_BYTES - t->staged ||
	    t->staged - t->end + size > STAGED_BYTES_MAX)
		return false;
	*r = (struct stored_row){
		.salt = head_of(t)->salt,
		.tail = t->number,
		.row = row->row,
		.kind = row->kind,
		.type = (uint32_t)row->type.len,
		.content_type = (uint32_t)row->content_type.len,
		.data = (uint32_t)row->data.len,
		.size = (uint32_t)size,
	};
	put(&at, row->type);
	put(&at, row->content_type);
	put(&at, row->data);
	memset(at, 0, size - bytes);
	r->sum = sum_of(r);
	t->last = t->staged;
	t->staged += size;
	return true;
}

bool
tail_has_staged(const struct tail *t)
{
	return t->staged > t->end;
}

bool
tail_publish(struct tail *t)
{
	struct stored_row *r = row_at(t, t->last);

	r->last = 1;
	r->sum = sum_of(r);
	if (!write_at(t, t->end, t->staged))
		return false;
	t->end = t->staged;
	return true;
}

void
tail_unstage(struct tail *t)
{
	t->staged = t->end;
}

/* The row at `*at`, which is then behind it; false at the end. */
static bool
next_row(const struct tail *t, uint64_t *at, struct tail_row *out)
{
	const struct stored_row *r =
	    (const struct stored_row *)(const void *)(t->bytes + *at);
	const char *p = (const char *)(r + 1);

	if (*at >= t->end)
		return false;
	*at += r->size;
	*out = (struct tail_row){
		.row = r->row,
		.kind = r->kind,
		.type = { p, r->type },
		.content_type = { p + r->type, r->content_type },
		.data = { p + r->type + r->content_type, r->data },
	};
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
		if (out->row.id == id && out->kind != TAIL_KEY)
			return true;
	return false;
}
