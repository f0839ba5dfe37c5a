#ifndef SPILLWAY_TESTS_STORAGE_OUTBOX_CARRIER_H
#define SPILLWAY_TESTS_STORAGE_OUTBOX_CARRIER_H

#include <pthread.h>
#include <sqlite3.h>

#include "proxy/base/err.h"
#include "storage/outbox/outbox.h"
#include "tests/scratch.h"

/*
 * A carrier in a thread of its own, which settles letters as a script says: a
 * character each, and 'd' for all that come behind it.
 */
struct carrier {
	struct loop *loop;
	struct task stop;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	const char *script, *why;
	char seen[256]; /* what letters said, a character each */
	size_t count;
	size_t stored, failed;
	size_t asked, answered; /* questions: begun, done */
	bool go_on;             /* with them */
	int err;                /* of the last one */
	uint64_t found;         /* by it */
};

static struct carrier carrier;
static struct outbox *outbox;

static const struct outbox_limits limits = {
	.max_bytes = 16,
	.max_age_ms = 60 * 60 * 1000,
	.retry_max_ms = 10,
};

static inline void
carry(struct task *t)
{
	struct outbox_delivery *d =
	    container_of(t, struct outbox_delivery, task);
	struct carrier *c = d->ctx;
	char say;

	pthread_mutex_lock(&c->lock);
	say = *c->script == '\0' ? 'd' : *c->script++;
	c->seen[c->count++ % (sizeof(c->seen) - 1)] = d->data.p[0];
	pthread_cond_signal(&c->changed);
	pthread_mutex_unlock(&c->lock);
	outbox_settle(d,
	    say == 'd'     ? OUTBOX_DONE :
		say == 'r' ? OUTBOX_REFUSED :
		say == 'a' ? OUTBOX_AGAIN :
			     OUTBOX_AWAY,
	    c->why);
}

static inline void
on_stop(struct task *t)
{
	loop_stop(container_of(t, struct carrier, stop)->loop);
}

static inline void *
carrier_main(void *arg)
{
	struct carrier *c = arg;

	loop_run(c->loop);
	return NULL;
}

static inline void
start_at(const char *path, const char *script, const struct outbox_limits *l)
{
	struct outbox_carrier to = { .run = carry, .ctx = &carrier };

	carrier = (struct carrier){
		.script = script,
		.why = "so it was written",
	};
	pthread_mutex_init(&carrier.lock, NULL);
	pthread_cond_init(&carrier.changed, NULL);
	ck_assert_int_eq(loop_new(&carrier.loop), SW_OK);
	ck_assert_int_eq(
	    pthread_create(&carrier.thread, NULL, carrier_main, &carrier), 0);
	ck_assert_int_eq(outbox_open(&outbox, path, l), SW_OK);
	to.loop = carrier.loop;
	ck_assert_int_eq(outbox_start(outbox, &to, 1), SW_OK);
}

static inline void
start(const char *script, const struct outbox_limits *l)
{
	start_at("memory", script, l);
}

static inline void
stop(void)
{
	outbox_hush(outbox);
	carrier.stop.run = on_stop;
	loop_post(carrier.loop, &carrier.stop);
	pthread_join(carrier.thread, NULL);
	outbox_close(outbox);
	loop_free(carrier.loop);
}

static inline void
on_stored(struct outbox_put *p)
{
	pthread_mutex_lock(&carrier.lock);
	carrier.stored += p->err == SW_OK;
	carrier.failed += p->err != SW_OK;
	pthread_cond_signal(&carrier.changed);
	pthread_mutex_unlock(&carrier.lock);
	outbox_put_free(p);
}

static inline int
put(const char *lane, const char *text, bool answered)
{
	struct outbox_put *p = outbox_put_new(str_of(lane), str_of(text));
	int err;

	ck_assert_ptr_nonnull(p);
	if (answered) {
		p->stored = on_stored;
		p->loop = carrier.loop;
	}
	if ((err = outbox_put(outbox, p)) != SW_OK)
		outbox_put_free(p);
	return err;
}

static inline void
await(const size_t *number, size_t count)
{
	pthread_mutex_lock(&carrier.lock);
	while (*number < count)
		pthread_cond_wait(&carrier.changed, &carrier.lock);
	pthread_mutex_unlock(&carrier.lock);
}

static inline void
await_seen(size_t count)
{
	await(&carrier.count, count);
}

static inline void
await_stored(size_t count)
{
	pthread_mutex_lock(&carrier.lock);
	while (carrier.stored + carrier.failed < count)
		pthread_cond_wait(&carrier.changed, &carrier.lock);
	pthread_mutex_unlock(&carrier.lock);
}

/* Somebody else has the file open as well. */
static inline void
run_sql(const char *sql)
{
	sqlite3 *db;

	ck_assert_int_eq(
	    sqlite3_open(scratch_path("store-outbox"), &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 60000);
	ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

#endif
