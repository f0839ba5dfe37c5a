#include "storage/sqlite/views.h"

void
views_init(struct views *v)
{
	pthread_mutex_init(&v->lock, NULL);
	list_init(&v->list);
	atomic_init(&v->commits, 0);
}

void
views_fini(struct views *v)
{
	pthread_mutex_destroy(&v->lock);
}

void
views_enter(struct views *v, struct view *view)
{
	atomic_init(&view->state, UINT64_MAX);
	pthread_mutex_lock(&v->lock);
	list_append(&v->list, &view->node);
	pthread_mutex_unlock(&v->lock);
}

void
views_leave(struct views *v, struct view *view)
{
	pthread_mutex_lock(&v->lock);
	list_remove(&view->node);
	pthread_mutex_unlock(&v->lock);
}

/*
 * A writer that asks before this is stored sees no view; it has committed by
 * then, and the transaction that begins after this shows that.
 */
void
view_begin(const struct views *v, struct view *view)
{
	atomic_store(&view->state, atomic_load(&v->commits));
}

void
view_end(struct view *view)
{
	atomic_store(&view->state, UINT64_MAX);
}

uint64_t
views_committed(struct views *v)
{
	return atomic_fetch_add(&v->commits, 1) + 1;
}

bool
views_reached(struct views *v, uint64_t state)
{
	bool reached = true;

	pthread_mutex_lock(&v->lock);
	list_each (node, &v->list)
		reached = reached &&
		    atomic_load(
			&container_of(node, struct view, node)->state) >= state;
	pthread_mutex_unlock(&v->lock);
	return reached;
}
