#ifndef SPILLWAY_PROXY_GATEWAY_H
#define SPILLWAY_PROXY_GATEWAY_H

#include <stdatomic.h>
#include <stdbool.h>

#include "conf/conf.h"
#include "proxy/http/web.h"
#include "proxy/worker.h"
#include "storage/log.h"

/*
 * The whole of it: builds everything from a configuration, and takes it down in
 * reverse. The thread that calls these functions (the main one) runs no loop;
 * the workers have threads of their own.
 */
struct gateway;

/*
 * Open the store, the listeners and the workers, and start. Takes the
 * configuration. What goes wrong has been logged, with what to do about it.
 */
int gateway_start(struct gateway **out, struct conf *conf);

/*
 * Take over a new configuration, without dropping a stream. Takes it; what only
 * a restart can change keeps its value, and is logged. On failure, which has
 * been logged, all is as it was.
 */
int gateway_reload(struct gateway *g, struct conf *next);

/*
 * Look whether the files of certificates have changed, and take over what is in
 * them. Returns the milliseconds until the next look; 0: none is needed.
 */
uint64_t gateway_watch(struct gateway *g);

/*
 * Tell systemd that all workers turn, if it wants to hear that and they do.
 * Returns the milliseconds until the next time; 0: nobody asks.
 */
uint64_t gateway_beat(struct gateway *g);

/*
 * Shut down in good order: no new connections, polls are answered, streams told
 * to come back, spread over drain-time. `impatient` is asked now and then
 * whether to stop waiting. Everything accepted is committed.
 */
void gateway_drain(struct gateway *g, bool (*impatient)(void));
/* For how long, at most; the last commits come behind that. */
uint64_t gateway_drain_ms(const struct gateway *g);

void gateway_free(struct gateway *g);

/* For the workers. */
const struct web *gateway_web(const struct gateway *g);
size_t gateway_worker_count(const struct gateway *g);
struct worker *gateway_worker(const struct gateway *g, size_t i);
uint64_t gateway_started_ms(const struct gateway *g);
bool gateway_draining(const struct gateway *g);
struct sessions *gateway_sessions(const struct gateway *g);

/* See admission_enter. */
bool gateway_admit(struct gateway *g, const struct address *peer, bool tls,
    bool api, uint64_t now_ms, enum limit *why);
/* See admission_identify. */
bool gateway_identify(struct gateway *g, const struct address *peer, bool tls,
    uint64_t now_ms, enum limit *why);
/*
 * Is the publisher with that number slower than publish-rate, on all workers
 * together? `cost_us` is what it is about to do, see pace_spends.
 */
bool gateway_paces(
    struct gateway *g, size_t publisher, uint64_t now_ms, uint64_t cost_us);
void gateway_dismiss(struct gateway *g, const struct address *peer);
/* See admission_take. */
bool gateway_take_descriptors(struct gateway *g, uint64_t count);
void gateway_give_descriptors(struct gateway *g, uint64_t count);

#endif
