#include "storage/readers.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "proxy/base/err.h"
#include "proxy/base/log.h"
#include "proxy/base/thread.h"

/* Catching up may wait a little longer than what is live. */
enum { READER_NICE = 5 };

struct readers {
	pthread_mutex_t lock;
	pthread_cond_t asked;
	struct log_read *first, **last;
	uint64_t queued, answered;
	bool stop;
	struct store *store;
	struct writer *writer;
	unsigned started;
	pthread_t threads[];
};

static void
answer(struct readers *rs, struct store_reader *reader, struct log_read *r)
{
	uint64_t floor = atomic_load(&rs->writer->floor);

	if (reader == NULL) {
		r->err = SW_ESTORE; /* said already */
	} else if (r->spans != NULL) {
		r->err = history_spans(reader, rs->store->ops, r->spans,
		    r->span_count, floor, r->unix_ms);
	} else {
		r->query.floor = floor;
		r->query.unix_ms = r->unix_ms;
		r->err = history_read(reader, rs->store->ops, &r->query);
	}
	if (r->err != SW_OK && reader != NULL)
		log_warn("store: reading history failed: %s: %s",
		    err_info(r->err)->sentence, reader->reason);
	loop_post(r->loop, &r->task);
}

static int
settle(void *ctx)
{
	return writer_settle(ctx);
}

/* NULL on failure: the next question tries again. */
static struct store_reader *
open_reader(struct readers *rs)
{
	struct store_reader *reader = NULL;

	if (rs->store->ops->reader_open(&reader, rs->store) != SW_OK) {
		log_error("store: cannot be opened for reading history");
		return NULL;
	}
	reader->settle = settle;
	reader->settle_ctx = rs->writer;
	return reader;
}

static void *
reader_main(void *arg)
{
	struct readers *rs = arg;
	/* Not when somebody asks: its files may have been taken away then. */
	struct store_reader *reader = open_reader(rs);

	setpriority(PRIO_PROCESS, 0, READER_NICE);
	pthread_mutex_lock(&rs->lock);
	for (;;) {
		struct log_read *r = rs->first;

		if (r == NULL) {
			if (rs->stop)
				break;
			pthread_cond_wait(&rs->asked, &rs->lock);
			continue;
		}
		rs->first = r->next;
		if (rs->first == NULL)
			rs->last = &rs->first;
		rs->queued--;
		rs->answered++;
		pthread_mutex_unlock(&rs->lock);
		if (reader == NULL)
			reader = open_reader(rs);
		answer(rs, reader, r);
		/* Many ask at once; what is live does not wait for all. */
		sched_yield();
		pthread_mutex_lock(&rs->lock);
	}
	pthread_mutex_unlock(&rs->lock);
	rs->store->ops->reader_close(reader);
	return NULL;
}

int
readers_start(
    struct readers **out, struct store *store, unsigned count, struct writer *w)
{
	struct readers *rs =
	    calloc(1, sizeof(*rs) + count * sizeof(rs->threads[0]));
	int err;

	if (rs == NULL)
		return SW_ENOMEM;
	pthread_mutex_init(&rs->lock, NULL);
	pthread_cond_init(&rs->asked, NULL);
	rs->last = &rs->first;
	rs->store = store;
	rs->writer = w;
	for (; rs->started < count; rs->started++)
		if ((err = thread_start(&rs->threads[rs->started], "reader",
			 reader_main, rs)) != SW_OK) {
			readers_stop(rs);
			readers_free(rs);
			return err;
		}
	*out = rs;
	return SW_OK;
}

void
readers_stop(struct readers *rs)
{
	if (rs == NULL)
		return;
	pthread_mutex_lock(&rs->lock);
	rs->stop = true;
	pthread_cond_broadcast(&rs->asked);
	pthread_mutex_unlock(&rs->lock);
	while (rs->started > 0)
		pthread_join(rs->threads[--rs->started], NULL);
}

void
readers_free(struct readers *rs)
{
	if (rs == NULL)
		return;
	pthread_cond_destroy(&rs->asked);
	pthread_mutex_destroy(&rs->lock);
	free(rs);
}

int
readers_ask(struct readers *rs, struct log_read *r)
{
	int err = SW_OK;

	r->next = NULL;
	pthread_mutex_lock(&rs->lock);
	if (rs->stop) {
		err = SW_ECLOSED;
	} else {
		*rs->last = r;
		rs->last = &r->next;
		rs->queued++;
		pthread_cond_signal(&rs->asked);
	}
	pthread_mutex_unlock(&rs->lock);
	return err;
}

void
readers_stats(struct readers *rs, uint64_t *queued, uint64_t *answered)
{
	pthread_mutex_lock(&rs->lock);
	*queued = rs->queued;
	*answered = rs->answered;
	pthread_mutex_unlock(&rs->lock);
}
