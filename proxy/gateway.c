#include "proxy/gateway.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/base/digest.h"
#include "proxy/base/err.h"
#include "proxy/base/log.h"
#include "proxy/bridge/bridge_outbox.h"
#include "proxy/edge/admission.h"
#include "proxy/process.h"
#include "proxy/sessions/sessions.h"
#include "proxy/sockets.h"
#include "proxy/systemd.h"
#include "proxy/tls/certificates.h"
#include "proxy/watchdog.h"

/*
 * Descriptors that are not clients': store, epoll, wake-ups, the log; and those
 * of the API, when clients have all others.
 */
enum { DESCRIPTORS_KEPT = 64 + ADMISSION_RESERVE, WORKERS_MAX = 256 };
/* So often in the time after which systemd takes us for dead. */
enum { BEATS = 4 };
/* Whose paces are kept apart: more tokens than that share some. */
enum { PUBLISHERS = 256 };

/* A configuration that something may still look at. */
struct retired {
	struct retired *next;
	struct conf *conf;
};

struct gateway {
	struct conf *conf;
	struct identity identity; /* whom to become */
	struct sockets sockets;
	struct retired *retired;
	struct channels *channels;
	struct log *log;
	struct outbox *outbox; /* NULL: there is no backend */
	struct web *web;
	struct admission *admission;
	struct sessions *sessions;
	struct certificates certificates;
	struct watchdog watchdog;
	size_t worker_count;
	struct worker *workers[WORKERS_MAX];
	size_t started; /* of the workers */
	uint64_t started_ms;
	_Atomic bool draining;
	_Atomic uint64_t publish_due_us[PUBLISHERS];
};

const struct web *
gateway_web(const struct gateway *g)
{
	return g->web;
}

size_t
gateway_worker_count(const struct gateway *g)
{
	return g->worker_count;
}

struct worker *
gateway_worker(const struct gateway *g, size_t i)
{
	return g->workers[i];
}

uint64_t
gateway_started_ms(const struct gateway *g)
{
	return g->started_ms;
}

bool
gateway_draining(const struct gateway *g)
{
	return atomic_load(&g->draining);
}

struct sessions *
gateway_sessions(const struct gateway *g)
{
	return g->sessions;
}

bool
gateway_admit(struct gateway *g, const struct address *peer, bool tls, bool api,
    uint64_t now_ms, enum limit *why)
{
	return admission_enter(g->admission, peer, tls, api, now_ms, why);
}

bool
gateway_identify(struct gateway *g, const struct address *peer, bool tls,
    uint64_t now_ms, enum limit *why)
{
	return admission_identify(g->admission, peer, tls, now_ms, why);
}

void
gateway_dismiss(struct gateway *g, const struct address *peer)
{
	admission_leave(g->admission, peer);
}

bool
gateway_take_descriptors(struct gateway *g, uint64_t count)
{
	return admission_take(g->admission, count);
}

void
gateway_give_descriptors(struct gateway *g, uint64_t count)
{
	admission_give(g->admission, count);
}

bool
gateway_paces(
    struct gateway *g, size_t publisher, uint64_t now_ms, uint64_t cost_us)
{
	_Atomic uint64_t *due = &g->publish_due_us[publisher % PUBLISHERS];
	uint64_t was = atomic_load(due), is;

	do {
		is = was;
		if (!pace_spends(&is, now_ms, cost_us, PACE_BURST_MS))
			return false;
	} while (!atomic_compare_exchange_weak(due, &was, is));
	return true;
}

static const struct policy *
find_policy(void *ctx, struct str name)
{
	return conf_policy(ctx, name);
}

static struct log_options
log_options(const struct gateway *g, const struct conf *conf)
{
	return (struct log_options){
		.path = conf->store,
		.shared = conf->store_shared,
		.move_corrupt_aside = conf->corrupt_store == CORRUPT_MOVE_ASIDE,
		.channels = g->channels,
		.readers = conf->readers,
		.queue_events = conf->publish_queue_events,
		.queue_bytes = conf->publish_queue_bytes,
		.store_max_bytes = conf->store_max_bytes,
		.idempotency_age_ms = conf->idempotency_age_ms,
		.channel_age_ms = conf->channel_age_ms,
		.policies = conf->policies,
		.policy_count = conf->policy_count,
	};
}

static struct outbox_limits
outbox_limits(const struct conf *conf)
{
	return (struct outbox_limits){
		.max_bytes = conf->outbox_max_bytes,
		.max_age_ms = conf->outbox_max_age_ms,
		.retry_max_ms = conf->outbox_retry_max_ms,
	};
}

static int
open_outbox(struct gateway *g)
{
	struct outbox_limits limits = outbox_limits(g->conf);

	if (conf_backend(g->conf)->backend_count == 0)
		return SW_OK;
	return outbox_open(&g->outbox, g->conf->store, &limits);
}

/* Letters are carried by all workers in turn, whose threads run by now. */
static int
start_outbox(struct gateway *g)
{
	struct outbox_carrier carriers[WORKERS_MAX];

	if (g->outbox == NULL)
		return SW_OK;
	for (size_t i = 0; i < g->worker_count; i++)
		carriers[i] = (struct outbox_carrier){ g->workers[i]->loop,
			bridge_carry, g->workers[i] };
	return outbox_start(g->outbox, carriers, g->worker_count);
}

/* As many descriptors as we may have; returns how many connections fit. */
static uint64_t
raise_descriptors(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) != 0)
		return 1024 - DESCRIPTORS_KEPT;
	if (r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
		getrlimit(RLIMIT_NOFILE, &r);
	}
	return r.rlim_cur > 2 * DESCRIPTORS_KEPT ?
	    r.rlim_cur - DESCRIPTORS_KEPT :
	    r.rlim_cur / 2;
}

static uint64_t
connection_limit(const struct conf *conf, uint64_t fit)
{
	if (conf->max_connections == 0)
		return fit;
	if (conf->max_connections > fit)
		log_warn("max-connections=%" PRIu64
			 " does not fit into the limit of open files: "
			 "%" PRIu64 " it is (see LimitNOFILE, ulimit -n)",
		    conf->max_connections, fit);
	return conf->max_connections < fit ? conf->max_connections : fit;
}

static struct admission_limits
admission_limits(const struct conf *conf)
{
	uint64_t fit = raise_descriptors();

	return (struct admission_limits){
		.total = connection_limit(conf, fit),
		.descriptors = fit,
		.per_address = conf->max_connections_per_address,
		.rate = conf->connection_rate,
		.tls_rate = conf->tls_handshake_rate,
		.loopback = conf->limit_loopback,
	};
}

static void
configure_sessions(struct gateway *g, const struct conf *conf)
{
	sessions_configure(g->sessions, conf->session_lease_ms,
	    (size_t)conf->max_sessions, (size_t)conf->channels_per_connection);
}

static size_t
worker_total(const struct conf *conf)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	size_t n = conf->workers > 0 ? conf->workers :
	    cores > 0                ? (size_t)cores :
				       1;

	return n > WORKERS_MAX ? WORKERS_MAX : n;
}

static int
start_workers(struct gateway *g)
{
	struct log_sink sinks[WORKERS_MAX];
	size_t count = g->worker_count;
	int err = SW_OK;

	for (size_t i = 0; i < count && err == SW_OK; i++)
		err = worker_new(&g->workers[i], g, (unsigned)i, g->conf,
		    g->log, g->channels);
	for (size_t i = 0; i < count && err == SW_OK; i++) {
		g->workers[i]->tls = g->certificates.context;
		g->workers[i]->outbox = g->outbox;
		if (g->outbox != NULL)
			worker_number_from(
			    g->workers[i], outbox_connections(g->outbox));
	}
	for (size_t i = 0; i < count && err == SW_OK; i++)
		sinks[i] = (struct log_sink){ g->workers[i]->loop, hub_take,
			&g->workers[i]->hub };
	if (err != SW_OK ||
	    (err = log_start(g->log, sinks, (uint32_t)count)) != SW_OK ||
	    (err = sockets_hand_out(&g->sockets, g->workers)) != SW_OK)
		return err;
	while (g->started < count && err == SW_OK)
		if ((err = worker_start(g->workers[g->started])) == SW_OK)
			g->started++;
	for (size_t i = 0; i < count && err == SW_OK; i++)
		watchdog_add(&g->watchdog, g->workers[i]->loop);
	return err != SW_OK ? err : start_outbox(g);
}

/* All that asks for rights is open: go on as who shall serve. */
static int
become(struct gateway *g, const struct conf *conf)
{
	int err;

	if ((err = process_give_store(&g->identity, conf->store)) != SW_OK ||
	    (err = process_become(&g->identity)) != SW_OK ||
	    (err = process_harden(conf->core_dumps)) != SW_OK)
		return err;
	return process_check_store(&g->identity, conf->store);
}

int
gateway_start(struct gateway **out, struct conf *conf)
{
	struct gateway *g = calloc(1, sizeof(*g));
	struct admission_limits limits = admission_limits(conf);
	struct log_options options;
	struct timespec now;
	int err;

	if (g == NULL) {
		conf_free(conf);
		return SW_ENOMEM;
	}
	g->conf = conf;
	clock_gettime(CLOCK_REALTIME, &now);
	g->started_ms = (uint64_t)now.tv_sec * 1000;
	if ((err = process_harden(conf->core_dumps)) != SW_OK ||
	    (err = identity_find(&g->identity, conf)) != SW_OK ||
	    (err = digest_start()) != SW_OK ||
	    (err = certificates_open(&g->certificates, conf)) != SW_OK ||
	    (err = admission_new(&g->admission, &limits)) != SW_OK ||
	    (err = channels_new(&g->channels, (size_t)conf->max_channels)) !=
		SW_OK)
		goto fail;
	channels_reload(g->channels, find_policy, conf);
	options = log_options(g, conf);
	/* Ids of connections count in steps of this. */
	g->worker_count = worker_total(conf);
	if ((err = sessions_new(&g->sessions, g->worker_count,
		 session_home_wake, g)) != SW_OK ||
	    (err = watchdog_init(&g->watchdog, g->worker_count,
		 systemd_watchdog_ms() / BEATS)) != SW_OK)
		goto fail;
	configure_sessions(g, conf);
	if ((err = sockets_open(
		 &g->sockets, conf, &g->identity, g->worker_count)) != SW_OK ||
	    (err = become(g, conf)) != SW_OK ||
	    (err = log_open(&g->log, &options)) != SW_OK ||
	    (err = open_outbox(g)) != SW_OK ||
	    (err = web_load(&g->web,
		 strcmp(conf->web_root, "off") == 0 ? NULL : conf->web_root)) !=
		SW_OK ||
	    (err = start_workers(g)) != SW_OK)
		goto fail;
	*out = g;
	return SW_OK;

fail:
	gateway_free(g);
	return err;
}

/* Reloading. */

struct swap {
	struct task task;
	struct worker *worker;
	const struct conf *conf;
	struct tls_context *tls;
	pthread_mutex_t *lock;
	pthread_cond_t *changed;
	size_t *left;
};

static void
swap_conf(struct task *t)
{
	struct swap *s = container_of(t, struct swap, task);

	worker_configure(s->worker, s->conf);
	s->worker->tls = s->tls;
	pthread_mutex_lock(s->lock);
	(*s->left)--;
	pthread_cond_signal(s->changed);
	pthread_mutex_unlock(s->lock);
}

/* All workers use it when this returns. */
static void
swap_all(struct gateway *g, const struct conf *conf)
{
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
	struct swap swaps[WORKERS_MAX];
	size_t left = g->started;

	for (size_t i = 0; i < g->started; i++) {
		swaps[i] = (struct swap){
			.task = { .run = swap_conf },
			.worker = g->workers[i],
			.conf = conf,
			.tls = g->certificates.context,
			.lock = &lock,
			.changed = &changed,
			.left = &left,
		};
		loop_post(g->workers[i]->loop, &swaps[i].task);
	}
	pthread_mutex_lock(&lock);
	while (left > 0)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

/*
 * Readers of history may be at a policy of the old configuration for a moment:
 * it is freed with the reload after the next one.
 */
static void
retire(struct gateway *g, struct conf *old)
{
	enum { KEPT = 2 };
	struct retired *r = malloc(sizeof(*r)), **p = &g->retired;

	if (r == NULL)
		return; /* it stays, unused */
	*r = (struct retired){ g->retired, old };
	g->retired = r;
	for (int i = 0; i < KEPT && *p != NULL; i++)
		p = &(*p)->next;
	while (*p != NULL) {
		r = *p;
		*p = r->next;
		conf_free(r->conf);
		free(r);
	}
}

static void
warn_of_restart(const struct conf *now, const struct conf *next)
{
	struct buf names;

	buf_init(&names, 4096);
	if (conf_needs_restart(now, next, &names) == SW_OK &&
	    buf_len(&names) > 0)
		log_warn("reload: a restart is needed for: %.*s",
		    STR_ARG(buf_str(&names)));
	buf_fini(&names);
}

/* All that may go wrong; then everything is as it was. */
static int
prepare_reload(
    struct gateway *g, struct conf *next, struct tls_context **replaced)
{
	int err;

	warn_of_restart(g->conf, next);
	if ((err = conf_keep(next, g->conf)) != SW_OK)
		log_error("reload: %s", err_info(err)->sentence);
	else if ((err = sockets_check(&g->sockets, next)) == SW_OK)
		err = certificates_renew(replaced, &g->certificates, next);
	return err;
}

int
gateway_reload(struct gateway *g, struct conf *next)
{
	struct conf *old = g->conf;
	struct tls_context *replaced;
	struct admission_limits limits;
	struct outbox_limits outbox;
	struct log_options options;
	int err = prepare_reload(g, next, &replaced);

	if (err != SW_OK) {
		conf_free(next);
		return err;
	}
	g->conf = next;
	log_set(next->log_level, next->log_json);
	limits = admission_limits(next);
	admission_configure(g->admission, &limits);
	configure_sessions(g, next);
	channels_reload(g->channels, find_policy, next);
	options = log_options(g, next);
	log_reload(g->log, &options);
	outbox = outbox_limits(next);
	if (g->outbox != NULL)
		outbox_reload(g->outbox, &outbox);
	swap_all(g, next);
	tls_context_unref(replaced);
	retire(g, old);
	log_info("configuration reloaded");
	return SW_OK;
}

uint64_t
gateway_watch(struct gateway *g)
{
	struct certificates *c = &g->certificates;
	struct tls_context *replaced;

	if (c->context == NULL || g->conf->tls_certificate_check_ms == 0)
		return 0;
	if (certificates_changed(c, g->conf) &&
	    certificates_renew(&replaced, c, g->conf) == SW_OK) {
		swap_all(g, g->conf);
		tls_context_unref(replaced);
		log_info("certificates changed: the new ones are in use");
	}
	return g->conf->tls_certificate_check_ms;
}

uint64_t
gateway_beat(struct gateway *g)
{
	uint64_t now = clock_monotonic_ms();

	if (watchdog_turn(&g->watchdog, now))
		systemd_notify("WATCHDOG=1");
	return watchdog_wait_ms(&g->watchdog, now);
}

/* Ending. */

static bool
all_drained(const struct gateway *g)
{
	for (size_t i = 0; i < g->started; i++)
		if (!drain_done(g->workers[i]))
			return false;
	return true;
}

uint64_t
gateway_drain_ms(const struct gateway *g)
{
	enum { GRACE_MS = 2000 };

	return g->conf->drain_time_ms + g->conf->close_timeout_ms + GRACE_MS;
}

void
gateway_drain(struct gateway *g, bool (*impatient)(void))
{
	enum { STEP_MS = 10 };
	uint64_t left = gateway_drain_ms(g);

	atomic_store(&g->draining, true);
	for (size_t i = 0; i < g->started; i++)
		drain_begin(g->workers[i]);
	/* Whatever happens after this line, every worker knows before. */
	log_info("draining");
	while (!all_drained(g) && !impatient() && left > STEP_MS) {
		const struct timespec step = { 0, STEP_MS * 1000000 };

		nanosleep(&step, NULL);
		left -= STEP_MS;
	}
}

void
gateway_free(struct gateway *g)
{
	struct retired *r;

	if (g == NULL)
		return;
	/* First what has answers for loops that still turn. */
	if (g->outbox != NULL)
		outbox_hush(g->outbox);
	if (g->log != NULL)
		log_stop(g->log);
	for (size_t i = 0; i < g->started; i++)
		worker_stop(g->workers[i]);
	if (g->sessions != NULL)
		sessions_hush(g->sessions);
	for (size_t i = 0; i < g->worker_count; i++)
		worker_free(g->workers[i]);
	watchdog_fini(&g->watchdog);
	sockets_close(&g->sockets);
	/* The ends of all streams are in it. */
	outbox_close(g->outbox);
	log_close(g->log);
	web_free(g->web);
	sessions_free(g->sessions);
	channels_free(g->channels);
	admission_free(g->admission);
	certificates_close(&g->certificates);
	while ((r = g->retired) != NULL) {
		g->retired = r->next;
		conf_free(r->conf);
		free(r);
	}
	conf_free(g->conf);
	free(g);
}
