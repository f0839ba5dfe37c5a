#ifndef SPILLWAY_PROXY_BASE_LIST_H
#define SPILLWAY_PROXY_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Intrusive, circular, doubly linked list. A node that is in no list points to
 * itself, so removing it twice is harmless.
 */
struct list {
	struct list *next;
	struct list *prev;
};

#define container_of(p, type, member) \
	((type *)(void *)((char *)(p)-offsetof(type, member)))

static inline void
list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool
list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void
list_append(struct list *l, struct list *node)
{
	node->next = l;
	node->prev = l->prev;
	l->prev->next = node;
	l->prev = node;
}

static inline void
list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

/* Take the first node out of the list; NULL if it is empty. */
static inline struct list *
list_shift(struct list *l)
{
	struct list *node = l->next;

	if (node == l)
		return NULL;
	list_remove(node);
	return node;
}

/* Move all nodes of `from` to the end of `l`. */
static inline void
list_splice(struct list *l, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = l->prev;
	l->prev->next = from->next;
	from->prev->next = l;
	l->prev = from->prev;
	list_init(from);
}

#define list_each(it, l) \
	for (struct list *it = (l)->next; it != (l); it = it->next)
/* The node that is visited may be removed. */
#define list_each_safe(it, after, l)                                    \
	for (struct list *it = (l)->next, *after = it->next; it != (l); \
	     it = after, after = it->next)

#endif
