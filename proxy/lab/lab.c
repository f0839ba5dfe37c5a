#include "proxy/lab/lab.h"

#include <inttypes.h>
#include <stdlib.h>

#include "proxy/base/digest.h"
#include "proxy/base/err.h"
#include "proxy/lab/lab_private.h"
#include "proxy/worker.h"

static struct str
key_of(const uint64_t *id)
{
	return (struct str){ (const char *)id, sizeof(*id) };
}

struct lab_conn *
lab_find(const struct lab *l, const struct conn *c)
{
	struct map_entry *e = map_find(&l->conns, key_of(&c->id));

	return e == NULL ? NULL : container_of(e, struct lab_conn, entry);
}

int
lab_new(struct lab **out, struct worker *w)
{
	struct lab *l = calloc(1, sizeof(*l));
	uint64_t seed;

	if (l == NULL)
		return SW_ENOMEM;
	digest_random(&seed, sizeof(seed));
	l->worker = w;
	map_init(&l->panes, seed);
	map_init(&l->conns, seed);
	list_init(&l->publishers);
	*out = l;
	return SW_OK;
}

void
lab_free(struct lab *l)
{
	struct map_entry *e;

	if (l == NULL)
		return;
	while ((e = map_next(&l->panes, NULL)) != NULL) {
		map_remove(&l->panes, e);
		free(container_of(e, struct lab_pane, entry));
	}
	map_fini(&l->panes);
	map_fini(&l->conns);
	lab_stop_publishers(l);
	free(l);
}

/* Has it a connection, or a fault that waits for one? */
static bool
is_used(const struct lab_pane *p, uint64_t now)
{
	for (size_t f = 0; f < LAB_FAULTS; f++)
		if (p->rules[f].until_ms > now)
			return true;
	return p->serving > 0;
}

/* Pages that are gone leave their panes behind: the oldest makes room. */
static void
forget_pane(struct lab *l)
{
	uint64_t now = loop_now_ms(l->worker->loop);
	struct lab_pane *oldest = NULL;
	struct map_entry *e = NULL;

	while ((e = map_next(&l->panes, e)) != NULL) {
		struct lab_pane *p = container_of(e, struct lab_pane, entry);

		if ((oldest == NULL || p->used < oldest->used) &&
		    !is_used(p, now))
			oldest = p;
	}
	if (oldest != NULL) {
		map_remove(&l->panes, &oldest->entry);
		free(oldest);
	}
}

static struct lab_pane *
add_pane(struct lab *l, struct str name)
{
	struct lab_pane *p;

	if (l->panes.count == LAB_PANES_MAX)
		forget_pane(l);
	if (l->panes.count == LAB_PANES_MAX)
		return NULL;
	p = calloc(1, sizeof(*p) + name.len + 1);
	if (p == NULL)
		return NULL;
	memcpy(p->name, name.p, name.len);
	if (map_add(&l->panes, &p->entry, str_of(p->name)) != SW_OK) {
		free(p);
		return NULL;
	}
	return p;
}

struct lab_pane *
lab_get_pane(struct lab *l, struct str name)
{
	struct map_entry *e = map_find(&l->panes, name);
	struct lab_pane *p = e == NULL ?
	    add_pane(l, name) :
	    container_of(e, struct lab_pane, entry);

	if (p != NULL)
		p->used = ++l->uses;
	return p;
}

/* NULL: nobody's. */
static void
serve(struct lab_conn *lc, struct lab_pane *p)
{
	if (lc->pane != NULL)
		lc->pane->serving--;
	if (p != NULL)
		p->serving++;
	lc->pane = p;
}

static struct lab_conn *
get_conn(struct lab *l, struct conn *c)
{
	struct lab_conn *lc = lab_find(l, c);

	if (lc != NULL)
		return lc;
	lc = calloc(1, sizeof(*lc));
	if (lc == NULL)
		return NULL;
	lc->id = c->id;
	lc->conn = c;
	lab_wire_init(lc);
	if (map_add(&l->conns, &lc->entry, key_of(&lc->id)) != SW_OK) {
		free(lc);
		return NULL;
	}
	c->in_lab = true;
	return lc;
}

/* Names go into JSON as they are. */
bool
lab_name_valid(struct str name)
{
	for (size_t i = 0; i < name.len; i++) {
		char c = name.p[i];

		if ((c < '0' || c > '9') && (c < 'a' || c > 'z') && c != '-')
			return false;
	}
	return name.len > 0 && name.len <= LAB_NAME_MAX;
}

struct lab_conn *
lab_enter(struct conn *c, const struct request *r)
{
	struct lab *l = c->worker->lab;
	struct lab_conn *lc;
	struct lab_pane *p;
	struct str name;

	if (!request_param(r, "lab", &name) || !lab_name_valid(name) ||
	    (p = lab_get_pane(l, name)) == NULL ||
	    (lc = get_conn(l, c)) == NULL) {
		/* Somebody else's, on a connection that was a pane's. */
		if (c->in_lab)
			lab_leave(c);
		return NULL;
	}
	if (lc->pane != p)
		p->connections++;
	serve(lc, p);
	p->requests++;
	return lc;
}

void
lab_count(struct conn *c, enum bucket b, uint64_t n)
{
	struct lab_pane *p = lab_find(c->worker->lab, c)->pane;

	if (p != NULL)
		p->bytes[b] += n;
}

void
lab_leave(struct conn *c)
{
	serve(lab_find(c->worker->lab, c), NULL);
}

void
lab_end(struct conn *c)
{
	struct lab *l = c->worker->lab;
	struct lab_conn *lc = lab_find(l, c);

	c->in_lab = false;
	serve(lc, NULL);
	map_remove(&l->conns, &lc->entry);
	lab_wire_fini(lc);
	free(lc);
}

static void
put_faults(struct buf *out, const struct lab_pane *p, uint64_t now)
{
	bool first = true;

	for (size_t f = 0; f < LAB_FAULTS; f++) {
		if (p->rules[f].until_ms <= now)
			continue;
		buf_printf(out, "%s\"%s\"", first ? "" : ",",
		    lab_fault_name((enum lab_fault)f));
		first = false;
	}
}

void
lab_put_panes(
    const struct lab *l, struct buf *out, struct str prefix, uint64_t *count)
{
	struct map_entry *e = NULL;

	while ((e = map_next(&l->panes, e)) != NULL) {
		const struct lab_pane *p =
		    container_of(e, struct lab_pane, entry);

		if (e->key.len < prefix.len ||
		    memcmp(e->key.p, prefix.p, prefix.len) != 0)
			continue;
		buf_printf(out,
		    "%s{\"name\":\"%s\",\"worker\":%u,\"requests\":%" PRIu64
		    ",\"connections\":%" PRIu64 ",\"bytes\":{",
		    *count == 0 ? "" : ",", p->name, l->worker->index,
		    p->requests, p->connections);
		for (size_t b = 0; b < BUCKET_COUNT; b++)
			buf_printf(out, "%s\"%s\":%" PRIu64, b == 0 ? "" : ",",
			    bucket_name((enum bucket)b), p->bytes[b]);
		buf_puts(out, "},\"faults\":[");
		put_faults(out, p, loop_now_ms(l->worker->loop));
		buf_puts(out, "]}");
		(*count)++;
	}
}
