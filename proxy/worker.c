#include "proxy/worker.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "proxy/backend/routes.h"
#include "proxy/backend/upstream.h"
#include "proxy/base/err.h"
#include "proxy/base/log.h"
#include "proxy/base/thread.h"
#include "proxy/bridge/bridge.h"
#include "proxy/drain.h"
#include "proxy/edge/listener.h"
#include "proxy/edge/look.h"
#include "proxy/gateway.h"
#include "proxy/http/http.h"
#include "proxy/http/relay.h"
#include "proxy/lab/lab.h"
#include "proxy/publish/publish.h"
#include "proxy/stream/subscriber.h"

/* Subscribers that are written to before others have their turn. */
enum { DELIVERIES_PER_TURN = 512 };

uint64_t
worker_next_id(struct worker *w)
{
	size_t workers = gateway_worker_count(w->gateway);

	/* Each worker counts in steps of their number, from its own index. */
	return w->next_id++ * (workers == 0 ? 1 : workers) + w->index + 1;
}

void
worker_number_from(struct worker *w, uint64_t number)
{
	uint64_t workers = gateway_worker_count(w->gateway);

	w->next_id = (number + workers - 1) / workers;
}

const char *
worker_date(struct worker *w)
{
	uint64_t now = loop_unix_ms(w->loop) / 1000;
	time_t t = (time_t)now;
	struct tm tm;

	if (now != w->date_s) {
		gmtime_r(&t, &tm);
		strftime(
		    w->date, sizeof(w->date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
		w->date_s = now;
	}
	return w->date;
}

int
worker_append(struct worker *w, struct append *a)
{
	int err;

	a->sink = w->index;
	err = log_append(w->log, &w->stage, a);
	if (err == SW_EBUSY)
		METRIC_LIMIT(w, LIMIT_PUBLISH_QUEUE);
	return err;
}

void
worker_configure(struct worker *w, const struct conf *conf)
{
	w->conf = conf;
	w->stream_limits = (struct stream_limits){
		.poll_wait_ms = conf->poll_wait_ms,
		.poll_wait_max_ms = conf->poll_wait_max_ms,
		.poll_limit = conf->poll_limit,
		.poll_limit_max = conf->poll_limit_max,
		.channels = (size_t)conf->channels_per_connection,
	};
	w->codec.deflate_min = (size_t)conf->deflate_min;
	ws_deflate_set_level(w->codec.deflate, (int)conf->deflate_level);
	if (w->routes != NULL)
		routes_configure(w->routes);
	for (size_t i = 0; i < w->listener_count; i++)
		listener_configure(w->listeners[i]);
}

/* News and answers came while a turn's events are being handled: at once. */
static void
between(void *ctx)
{
	struct worker *w = ctx;

	publish_flush(w);
	hub_deliver(&w->hub, DELIVERIES_PER_TURN);
}

/* What was published goes to the writer before the turn is over. */
static void
hurry(void *ctx)
{
	struct worker *w = ctx;

	publish_flush(w);
	log_kick(w->log, &w->stage);
}

static void
free_dead(struct worker *w)
{
	struct list *node;

	while ((node = list_shift(&w->dead)) != NULL)
		conn_free(container_of(node, struct conn, node));
	relay_free_dead(&w->dead_relays);
	subscriber_free_dead(&w->dead_subscribers);
}

static bool
turn(void *ctx)
{
	struct worker *w = ctx;
	bool more;

	publish_flush(w);
	more = hub_deliver(&w->hub, DELIVERIES_PER_TURN);
	http_turn(w->http);
	more = look_turn(w) || more;
	more = routes_turn(w->routes) || more;
	log_kick(w->log, &w->stage);
	free_dead(w);
	return more;
}

static int
may_sleep(void *ctx)
{
	struct worker *w = ctx;

	return http_may_sleep(w->http);
}

int
worker_new(struct worker **out, struct gateway *g, unsigned index,
    const struct conf *conf, struct log *log, struct channels *channels)
{
	struct worker *w = calloc(1, sizeof(*w));
	int err;

	if (w == NULL)
		return SW_ENOMEM;
	w->gateway = g;
	w->index = index;
	w->log = log;
	w->channels = channels;
	list_init(&w->conns);
	list_init(&w->handshakes);
	list_init(&w->unfinished);
	list_init(&w->dead);
	list_init(&w->dead_relays);
	list_init(&w->dead_subscribers);
	buf_init(&w->text, SIZE_MAX / 2);
	buf_init(&w->acks, SIZE_MAX / 2);
	drain_init(w);
	session_home_init(w);
	if ((w->input = malloc(WORKER_INPUT)) == NULL ||
	    codec_init(&w->codec, log_epoch(log), (size_t)conf->deflate_min,
		(int)conf->deflate_level) != SW_OK) {
		worker_free(w);
		return SW_ENOMEM;
	}
	worker_configure(w, conf);
	if ((err = loop_new(&w->loop)) != SW_OK ||
	    (err = hub_init(&w->hub, w)) != SW_OK ||
	    (err = upstream_new(&w->upstream, w, conf->route_count - 1)) !=
		SW_OK ||
	    (err = routes_new(&w->routes, w)) != SW_OK ||
	    (err = bridge_new(&w->bridge, w)) != SW_OK ||
	    (err = http_new(&w->http, w)) != SW_OK ||
	    (conf->demo && (err = lab_new(&w->lab, w)) != SW_OK)) {
		worker_free(w);
		return err;
	}
	loop_set_hooks(
	    w->loop, (struct loop_hooks){ between, hurry, turn, may_sleep, w });
	http_self_test(w);
	*out = w;
	return SW_OK;
}

void
worker_close_listeners(struct worker *w)
{
	for (size_t i = 0; i < w->listener_count; i++)
		listener_close(w->listeners[i]);
}

static void
free_listeners(struct worker *w)
{
	while (w->listener_count > 0)
		listener_free(w->listeners[--w->listener_count]);
	free(w->listeners);
}

void
worker_free(struct worker *w)
{
	if (w == NULL)
		return;
	free_listeners(w);
	list_each_safe (node, after, &w->conns)
		conn_close(container_of(node, struct conn, node));
	if (w->loop != NULL)
		free_dead(w);
	http_free(w->http);
	session_home_fini(w);
	bridge_free(w->bridge);
	routes_free(w->routes);
	upstream_free(w->upstream);
	if (w->loop != NULL) {
		free_dead(w);
		hub_fini(&w->hub);
	}
	lab_free(w->lab);
	codec_fini(&w->codec);
	loop_free(w->loop);
	buf_fini(&w->text);
	buf_fini(&w->acks);
	free(w->input);
	free(w);
}

static void *
worker_main(void *arg)
{
	struct worker *w = arg;

	loop_run(w->loop);
	return NULL;
}

int
worker_start(struct worker *w)
{
	char name[32];

	snprintf(name, sizeof(name), "worker-%u", w->index);
	return thread_start(&w->thread, name, worker_main, w);
}

static void
on_stop(struct task *t)
{
	struct worker *w = container_of(t, struct worker, stop_task);

	loop_stop(w->loop);
}

void
worker_stop(struct worker *w)
{
	w->stop_task.run = on_stop;
	loop_post(w->loop, &w->stop_task);
	pthread_join(w->thread, NULL);
}

int
worker_listen(struct worker *w, int fd, enum listener_queue queue,
    enum listener_kind kind)
{
	struct listener **p =
	    realloc(w->listeners, (w->listener_count + 1) * sizeof(*p));
	int err;

	if (p == NULL)
		return SW_ENOMEM;
	w->listeners = p;
	err = listener_open(&p[w->listener_count], w, fd, queue, kind);
	if (err == SW_OK)
		w->listener_count++;
	return err;
}
