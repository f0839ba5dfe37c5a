#include "storage/sqlite/checkpoint_sqlite.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "proxy/base/err.h"
#include "proxy/base/log.h"
#include "proxy/base/thread.h"

/* Of 4 KiB. */
enum {
	PAGES_WORTH_MOVING = 4096, /* 16 MiB: the thread begins */
	PAGES_LONG = 32768,        /* 128 MiB: the writer helps to end it */
	PAGES_TOO_LONG = 131072,   /* 512 MiB: it does so at any price */
	PAGES_LEFT_FOR_WRITER = 1024,
};

struct checkpointer {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t work;
	bool started, due, stop;
	int moved_at;              /* pages when the last pass began */
	_Atomic int pages;         /* in the log */
	_Atomic int moved;         /* of them in the database */
	struct payloads *payloads; /* borrowed */
	struct db db;
	char reason[256];
};

static void
move_pages(struct checkpointer *c)
{
	int pages = 0, moved = 0, code;

	payloads_sync(c->payloads);
	code = sqlite3_wal_checkpoint_v2(
	    c->db.handle, NULL, SQLITE_CHECKPOINT_PASSIVE, &pages, &moved);

	if (code == SQLITE_OK)
		atomic_store(&c->moved, moved);
	else if ((code & 0xff) != SQLITE_BUSY)
		log_warn("store: checkpoint: %s", sqlite3_errmsg(c->db.handle));
}

static void *
checkpointer_main(void *arg)
{
	struct checkpointer *c = arg;

	pthread_mutex_lock(&c->lock);
	while (!c->stop) {
		if (!c->due) {
			pthread_cond_wait(&c->work, &c->lock);
			continue;
		}
		c->due = false;
		pthread_mutex_unlock(&c->lock);
		move_pages(c);
		pthread_mutex_lock(&c->lock);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

int
checkpointer_open(struct checkpointer **out, const char *path,
    enum db_mode mode, struct payloads *payloads)
{
	struct checkpointer *c = calloc(1, sizeof(*c));
	int err;

	if (c == NULL)
		return SW_ENOMEM;
	c->payloads = payloads;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->work, NULL);
	if ((err = db_open(&c->db, path, mode, c->reason)) != SW_OK ||
	    /* Reading opens the log: later another file might have its name. */
	    (err = db_exec(&c->db,
		 "PRAGMA synchronous = NORMAL; PRAGMA schema_version")) !=
		SW_OK)
		goto fail;
	if ((err = thread_start(
		 &c->thread, "checkpointer", checkpointer_main, c)) != SW_OK)
		goto fail;
	c->started = true;
	*out = c;
	return SW_OK;

fail:
	checkpointer_close(c);
	return err;
}

void
checkpointer_close(struct checkpointer *c)
{
	if (c == NULL)
		return;
	if (c->started) {
		pthread_mutex_lock(&c->lock);
		c->stop = true;
		pthread_cond_signal(&c->work);
		pthread_mutex_unlock(&c->lock);
		pthread_join(c->thread, NULL);
	}
	db_close(&c->db);
	pthread_cond_destroy(&c->work);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

void
checkpointer_hurry(struct checkpointer *c)
{
	pthread_mutex_lock(&c->lock);
	c->due = true;
	pthread_cond_signal(&c->work);
	pthread_mutex_unlock(&c->lock);
}

void
checkpointer_notice(struct checkpointer *c, int pages)
{
	/* The log started over: nothing of the new one was moved yet. */
	if (pages < atomic_load(&c->pages)) {
		atomic_store(&c->moved, 0);
		c->moved_at = 0;
	}
	atomic_store(&c->pages, pages);
	if (pages - c->moved_at >= PAGES_WORTH_MOVING) {
		c->moved_at = pages;
		checkpointer_hurry(c);
	}
}

void
checkpointer_assist(struct checkpointer *c, struct db *writer)
{
	int pages = atomic_load(&c->pages), moved = 0;
	int left = pages - atomic_load(&c->moved);

	if (pages < PAGES_LONG)
		return;
	if (left > PAGES_LEFT_FOR_WRITER && pages < PAGES_TOO_LONG) {
		checkpointer_hurry(c);
		return;
	}
	payloads_sync(c->payloads);
	if (sqlite3_wal_checkpoint_v2(writer->handle, NULL,
		SQLITE_CHECKPOINT_PASSIVE, &pages, &moved) == SQLITE_OK)
		atomic_store(&c->moved, moved);
}
