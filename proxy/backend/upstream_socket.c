/*
 * libcurl's sockets and timer, in our loop.
 *
 * libcurl takes a socket out whenever a request has ended, and puts it back
 * with the next. One that it got from us, and gives back to us before it is
 * closed, stays in the loop meanwhile: that is two system calls less for each
 * request. Others, such as those of its resolver, come and go as it says.
 */
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/backend/upstream_private.h"
#include "proxy/base/err.h"
#include "proxy/base/log.h"

struct watch {
	struct io io; /* fd -1: closed, or forgotten */
	struct upstream *upstream;
	struct list node; /* of the idle, or the dead */
	uint32_t events;  /* as the loop knows them; 0: it does not have it */
	bool ours;        /* libcurl told us when it was opened */
	bool idle;        /* libcurl does not want to know */
	bool connected;   /* so on_close will tell of its end */
	struct upstream_request *tunnel; /* whose connection it is, or NULL */
	struct upstream_request *user;   /* whose `watch` this is, or NULL */
};

static void
on_socket(struct io *io, uint32_t events)
{
	struct watch *w = container_of(io, struct watch, io);
	int flags = 0;

	if (io->fd < 0)
		return;
	if (w->idle) {
		/* The backend hung up on a connection that is kept. */
		loop_remove(w->upstream->worker->loop, io);
		w->events = 0;
		return;
	}
	if ((events & EPOLLIN) != 0)
		flags |= CURL_CSELECT_IN;
	if ((events & EPOLLOUT) != 0)
		flags |= CURL_CSELECT_OUT;
	if ((events & (EPOLLERR | EPOLLHUP)) != 0)
		flags |= CURL_CSELECT_ERR;
	library_act(w->upstream, io->fd, flags);
	w->upstream->stirred = true;
	upstream_settle(w->upstream);
}

static uint32_t
events_of(int what)
{
	return (what == CURL_POLL_OUT ? 0 : EPOLLIN) |
	    (what == CURL_POLL_IN ? 0 : EPOLLOUT);
}

static struct watch *
find(const struct upstream *u, curl_socket_t fd)
{
	return (size_t)fd < u->watch_count ? u->watches[fd] : NULL;
}

/* NULL: there is no memory. */
static struct watch *
add(struct upstream *u, curl_socket_t fd)
{
	struct watch *w = calloc(1, sizeof(*w)), **all;
	size_t count = u->watch_count;

	if (w != NULL && (size_t)fd >= count) {
		count = (size_t)fd + 64;
		all = realloc(u->watches, count * sizeof(*all));
		if (all == NULL) {
			free(w);
			return NULL;
		}
		while (u->watch_count < count)
			all[u->watch_count++] = NULL;
		u->watches = all;
	}
	if (w == NULL)
		return NULL;
	w->io = (struct io){ .fd = fd, .ready = on_socket };
	w->upstream = u;
	list_init(&w->node);
	u->watches[fd] = w;
	return w;
}

/* It is not, or no longer, the socket of a request that switches protocols. */
static void
leave_tunnel(struct watch *w)
{
	for (size_t i = 0; w->tunnel != NULL && i < 2; i++)
		if (w->tunnel->sockets[i] == w->io.fd)
			w->tunnel->sockets[i] = -1;
	w->tunnel = NULL;
}

/* Whose answer comes that way; NULL: nobody's. */
static void
set_user(struct watch *w, struct upstream_request *r)
{
	if (w->user == r)
		return;
	if (w->user != NULL)
		w->user->watch = NULL;
	if (r != NULL) {
		if (r->watch != NULL)
			r->watch->user = NULL;
		r->watch = w;
		/* That was of another connection, which was not its last. */
		buf_clear(&r->rescued);
	}
	w->user = r;
}

static void
forget(struct upstream *u, struct watch *w)
{
	if (w->events != 0)
		loop_remove(u->worker->loop, &w->io);
	leave_tunnel(w);
	set_user(w, NULL);
	u->watches[w->io.fd] = NULL;
	w->io.fd = -1;
	list_remove(&w->node);
	/* An event of this turn may still name it. */
	list_append(&u->dead_watches, &w->node);
}

static int
update(struct upstream *u, struct watch *w, uint32_t events)
{
	int err = SW_OK;

	w->idle = false;
	list_remove(&w->node);
	if (w->events == 0)
		err = loop_add(u->worker->loop, &w->io, events);
	else if (w->events != events)
		err = loop_modify(u->worker->loop, &w->io, events);
	if (err == SW_OK)
		w->events = events;
	return err == SW_OK ? 0 : -1;
}

/*
 * Is it a connection that may be kept, of whose end on_close will tell? Of an
 * attempt to connect that came to nothing, libcurl closes the socket without.
 */
static bool
stays(struct watch *w)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);

	if (w->ours && !w->connected)
		w->connected =
		    getpeername(w->io.fd, (struct sockaddr *)&peer, &len) == 0;
	return w->connected;
}

static int
on_watch(CURL *easy, curl_socket_t fd, int what, void *ctx, void *socket_ctx)
{
	struct upstream *u = ctx;
	struct watch *w = find(u, fd);
	struct upstream_request *r = NULL;

	(void)socket_ctx;
	if (what != CURL_POLL_REMOVE) {
		if (w == NULL)
			w = add(u, fd);
		if (w == NULL)
			return -1;
		curl_easy_getinfo(easy, CURLINFO_PRIVATE, &r);
		set_user(w, r);
		return update(u, w, events_of(what));
	}
	if (w != NULL && stays(w)) {
		w->idle = true;
		/* libcurl may say it twice. */
		list_remove(&w->node);
		list_append(&u->idle, &w->node);
	} else if (w != NULL) {
		/* After a reset it has no peer any more. */
		if (w->ours && w->user != NULL)
			rescue_read(w->user, fd);
		forget(u, w);
	}
	return 0;
}

/*
 * A socket that did not connect, and was closed without a word: this is another
 * one of the same number, which the loop does not have. What libcurl wants to
 * know of the number it will not say twice.
 */
static int
begin_anew(struct upstream *u, struct watch *w)
{
	uint32_t events = w->idle ? 0 : w->events;

	leave_tunnel(w);
	set_user(w, NULL);
	w->events = 0;
	w->idle = w->connected = false;
	list_remove(&w->node);
	return events == 0 ? 0 : update(u, w, events);
}

static int
open_watch(
    struct upstream *u, curl_socket_t fd, struct upstream_request *tunnel)
{
	struct watch *w = find(u, fd);

	if (w != NULL && begin_anew(u, w) != 0)
		return CURL_SOCKOPT_ERROR;
	if (w == NULL)
		w = add(u, fd);
	if (w == NULL)
		return CURL_SOCKOPT_ERROR;
	w->ours = true;
	w->tunnel = tunnel;
	/* A firewall may forget a silent connection, and a machine be gone. */
	headway_probe(fd, u->worker->conf->tcp_keepalive_ms);
	return CURL_SOCKOPT_OK;
}

int
upstream_sockets_of(const struct upstream_request *r)
{
	return r->watch == NULL ? -1 : r->watch->io.fd;
}

/*
 * Of a connection that was kept the other end may be gone without a word. Its
 * system would acknowledge a head at once, whatever the backend does.
 */
void
upstream_sockets_doubt(struct upstream_request *r)
{
	struct upstream *u = r->upstream;
	bool has_body = r->flow.body != NULL &&
	    (!r->flow.has_length || r->flow.content_length > 0);

	if (!r->opened && r->flow.ask.repeatable && !has_body)
		loop_set_timer(u->worker->loop, &r->nudge,
		    loop_now_ms(u->worker->loop) +
			u->route->backend_connect_timeout_ms);
	else
		loop_clear_timer(&r->nudge);
}

static void
leave_void(struct upstream_request *r)
{
	int fd = upstream_sockets_of(r);

	if (fd < 0 || r->in_head || r->has_head || r->cancelled ||
	    headway_untaken(fd) == 0)
		return;
	log_debug("kept connection is dead origin=%s", r->origin->url);
	r->fresh = true;
	request_begins_again(r);
}

/*
 * Of a name's addresses each has half of the time that is left, the last one
 * all of it. When the time of one is over libcurl 7.88 closes its socket, and
 * goes on to the next when it is called once more, which it does not ask for.
 */
void
upstream_sockets_nudge(struct timer *t)
{
	struct upstream_request *r =
	    container_of(t, struct upstream_request, nudge);

	if (r->upstream->used_up)
		return;
	if (!r->opened) {
		leave_void(r);
		return;
	}
	/* There is nothing to pause yet; but after a change it goes on. */
	curl_easy_pause(r->easy, CURLPAUSE_RECV);
	library_resume(r);
}

static void
begin_connection(struct upstream_request *r)
{
	enum { BEHIND_MS = 10 };
	struct loop *loop = r->upstream->worker->loop;
	uint64_t now = loop_now_ms(loop);

	r->opened = true;
	if (r->connect_due_ms > now)
		loop_set_timer(loop, &r->nudge,
		    now + (r->connect_due_ms - now) / 2 + BEHIND_MS);
}

/*
 * A connection within this machine may be there at once, and fail as soon: then
 * libcurl never says that it waits for it.
 */
static int
on_open(void *ctx, curl_socket_t fd, curlsocktype purpose)
{
	struct upstream_request *r = ctx;
	int status = open_watch(r->upstream, fd, NULL);

	(void)purpose;
	name_is_known(r);
	begin_connection(r);
	transfer_connects(r);
	if (status == CURL_SOCKOPT_OK)
		set_user(find(r->upstream, fd), r);
	return status;
}

/*
 * libcurl says which socket it uses only when a transfer is over. It may try
 * two at a time, one of each family, and closes the one that comes second.
 */
static int
on_open_tunnel(void *ctx, curl_socket_t fd, curlsocktype purpose)
{
	struct upstream_request *r = ctx;

	(void)purpose;
	name_is_known(r);
	begin_connection(r);
	transfer_connects(r);
	if (open_watch(r->upstream, fd, r) != CURL_SOCKOPT_OK)
		return CURL_SOCKOPT_ERROR;
	r->sockets[r->sockets[0] >= 0] = fd;
	return CURL_SOCKOPT_OK;
}

static int
on_close(void *ctx, curl_socket_t fd)
{
	struct upstream *u = ctx;
	struct watch *w = find(u, fd);

	if (w != NULL && w->user != NULL)
		rescue_read(w->user, fd);
	if (w != NULL)
		forget(u, w);
	return close(fd);
}

bool
upstream_sockets_prepare(struct upstream_request *r)
{
	struct upstream *u = r->upstream;

	return curl_easy_setopt(r->easy, CURLOPT_SOCKOPTFUNCTION,
		   r->flow.ask.upgrade ? on_open_tunnel : on_open) ==
	    CURLE_OK &&
	    curl_easy_setopt(r->easy, CURLOPT_CLOSESOCKETFUNCTION, on_close) ==
	    CURLE_OK &&
	    curl_easy_setopt(r->easy, CURLOPT_CLOSESOCKETDATA, u) == CURLE_OK;
}

void
upstream_sockets_leave(struct upstream_request *r)
{
	if (r->watch != NULL)
		set_user(r->watch, NULL);
	for (size_t i = 0; i < 2; i++) {
		struct watch *w =
		    r->sockets[i] < 0 ? NULL : find(r->upstream, r->sockets[i]);

		if (w != NULL && w->tunnel == r)
			w->tunnel = NULL;
	}
}

static int
on_timer_change(CURLM *multi, long timeout_ms, void *ctx)
{
	struct upstream *u = ctx;

	(void)multi;
	u->due = timeout_ms == 0;
	if (timeout_ms > 0)
		loop_set_timer(u->worker->loop, &u->timer,
		    loop_now_ms(u->worker->loop) + (uint64_t)timeout_ms);
	else
		loop_clear_timer(&u->timer);
	return 0;
}

static void
on_timer(struct timer *t)
{
	container_of(t, struct upstream, timer)->due = true;
}

bool
upstream_sockets_open(struct upstream *u)
{
	timer_init(&u->timer, on_timer);
	return curl_multi_setopt(u->multi, CURLMOPT_SOCKETFUNCTION, on_watch) ==
	    CURLM_OK &&
	    curl_multi_setopt(u->multi, CURLMOPT_SOCKETDATA, u) == CURLM_OK &&
	    curl_multi_setopt(u->multi, CURLMOPT_TIMERFUNCTION,
		on_timer_change) == CURLM_OK &&
	    curl_multi_setopt(u->multi, CURLMOPT_TIMERDATA, u) == CURLM_OK;
}

/* Those of the list that have something to say are shut down. */
static void
shut_those_that_speak(struct pollfd *fds, struct watch **watches, nfds_t n)
{
	if (poll(fds, n, 0) <= 0)
		return;
	for (nfds_t i = 0; i < n; i++) {
		if (fds[i].revents == 0)
			continue;
		shutdown(fds[i].fd, SHUT_RDWR);
		list_remove(&watches[i]->node);
	}
}

/*
 * Between requests a backend has nothing to say but that it hangs up. Anything
 * else would be taken for the response to the next request, because libcurl
 * does not look; but what is shut down it does not use again.
 */
void
upstream_sockets_weed(struct upstream *u)
{
	struct pollfd fds[64];
	struct watch *watches[64];
	nfds_t n = 0;

	list_each_safe (node, after, &u->idle) {
		watches[n] = container_of(node, struct watch, node);
		fds[n] = (struct pollfd){ watches[n]->io.fd, POLLIN, 0 };
		if (++n < 64)
			continue;
		shut_those_that_speak(fds, watches, n);
		n = 0;
	}
	shut_those_that_speak(fds, watches, n);
}

void
upstream_sockets_sweep(struct upstream *u)
{
	struct list *node;

	while ((node = list_shift(&u->dead_watches)) != NULL)
		free(container_of(node, struct watch, node));
}

void
upstream_sockets_close(struct upstream *u)
{
	for (size_t fd = 0; fd < u->watch_count; fd++)
		if (u->watches[fd] != NULL)
			forget(u, u->watches[fd]);
	free(u->watches);
	u->watches = NULL;
	u->watch_count = 0;
	loop_clear_timer(&u->timer);
}
