#include "proxy/http/http.h"

#include <fcntl.h>
#include <linux/tcp.h> /* has what libc's lacks: tcpi_bytes_received */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/err.h"
#include "proxy/base/log.h"
#include "proxy/edge/look.h"
#include "proxy/http/http_private.h"
#include "proxy/http/relay.h"
#include "proxy/worker.h"

/* How often the library may work before others have their turn. */
enum { RUNS_PER_TURN = 16 };

static bool
bytes_received(int fd, uint64_t *out)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0 ||
	    len < offsetof(struct tcp_info, tcpi_bytes_received) +
		    sizeof(info.tcpi_bytes_received))
		return false;
	*out = info.tcpi_bytes_received;
	return true;
}

/* Two questions, and bytes that come between them would be in one answer
 * only: the first is asked again, until nothing has come. */
uint64_t
http_bytes_taken(int fd)
{
	uint64_t before, received;
	int unread = 0;

	if (!bytes_received(fd, &received))
		return 0;
	do {
		before = received;
		if (ioctl(fd, FIONREAD, &unread) != 0 ||
		    !bytes_received(fd, &received))
			return 0;
	} while (received != before);
	return received - (uint64_t)unread;
}

static void
on_connection(void *ctx, struct MHD_Connection *connection, void **socket_ctx,
    enum MHD_ConnectionNotificationCode what)
{
	struct http *h = ctx;
	struct lent *l = *socket_ctx;

	(void)connection;
	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		*socket_ctx = h->adopting;
		h->connections++;
		return;
	}
	h->connections--;
	if (l->conn != NULL && l->relayed) {
		relay_forsaken(l->conn);
	} else if (l->conn != NULL) {
		struct conn *c = l->conn;
		int fd = fcntl(c->lent_fd, F_DUPFD_CLOEXEC, 0);

		/* The library closes its own, and would lose the last answer
		 * to a reset if the client is still sending. */
		conn_set_role(c, &look_role, NULL);
		c->lent_fd = -1;
		if (fd < 0)
			conn_close(c);
		else if (conn_take_back(c, fd) == SW_OK)
			conn_linger(c);
	}
	free(l);
}

/* Lent connections, seen from our side. */

bool
http_busy(const struct lent *l)
{
	return l->pending != NULL;
}

void
http_answer_begins(struct lent *l)
{
	struct conn *c = l->conn;

	if (c == NULL)
		return;
	l->answering = true;
	l->acked = UINT64_MAX;
	conn_arm(c,
	    loop_now_ms(c->worker->loop) + c->worker->conf->stall_timeout_ms);
}

/*
 * Has the client taken nothing since we looked? The library writes by itself;
 * how far it gets, the system knows. Of Unix sockets it does not.
 */
static bool
is_stuck(struct lent *l, int fd)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);
	uint64_t before = l->acked;

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
		return false;
	l->acked = info.tcpi_bytes_acked;
	return l->acked == before;
}

static enum limit
what_ended(const struct lent *l)
{
	if (l == NULL || l->answering)
		return LIMIT_STALL_TIMEOUT;
	if (l->pending != NULL)
		return LIMIT_REQUEST_TIMEOUT;
	return l->served ? LIMIT_IDLE_TIMEOUT : LIMIT_HEADER_TIMEOUT;
}

bool
http_goes_on(struct conn *c, struct lent *l)
{
	if (l != NULL && l->answering &&
	    !is_stuck(l, c->lent_fd >= 0 ? c->lent_fd : c->io.fd)) {
		conn_arm(c,
		    loop_now_ms(c->worker->loop) +
			c->worker->conf->stall_timeout_ms);
		return true;
	}
	METRIC_LIMIT(c->worker, what_ended(l));
	log_debug(
	    "http connection timed out id=%llu", (unsigned long long)c->id);
	return false;
}

static void
http_role_ready(struct conn *c, uint32_t events)
{
	(void)c;
	(void)events;
}

static void
http_role_timeout(struct conn *c)
{
	if (!http_goes_on(c, c->owner))
		conn_close(c);
}

void
http_forget(struct http *h, struct lent *l)
{
	/* Who works on its answer knows it from there. */
	if (l->pending != NULL)
		l->pending->x.conn = NULL;
	l->conn = NULL;
	h->ready = true;
}

static void
http_role_end(struct conn *c)
{
	if (c->owner != NULL)
		http_forget(c->worker->http, c->owner);
}

const struct conn_role http_role = {
	.name = "http",
	.ready = http_role_ready,
	.timeout = http_role_timeout,
	.end = http_role_end,
};

static int
add(struct http *h, int fd, struct lent *l, const struct address *peer)
{
	struct sockaddr_storage sa;
	socklen_t len = address_sockaddr(peer, &sa);
	enum MHD_Result added;

	if (len == 0) {
		sa.ss_family = AF_UNIX;
		len = sizeof(sa_family_t);
	}
	h->adopting = l;
	added = MHD_add_connection(h->daemon, fd, (struct sockaddr *)&sa, len);
	h->adopting = NULL;
	h->ready = true;
	return added == MHD_YES ? SW_OK : SW_EIO;
}

void
http_adopt(struct conn *c)
{
	struct http *h = c->worker->http;
	struct lent *l;

	if (h->relay_all) {
		relay_begin(c, NULL, 0);
		return;
	}
	l = calloc(1, sizeof(*l));
	if (l == NULL) {
		conn_close(c);
		return;
	}
	l->conn = c;
	l->consumed = http_bytes_taken(c->io.fd);
	conn_lend(c);
	conn_set_role(c, &http_role, l);
	conn_arm(c,
	    loop_now_ms(c->worker->loop) + c->worker->conf->header_timeout_ms);
	/* On failure the library has closed the socket. */
	if (add(h, c->lent_fd, l, &c->peer) != SW_OK && c->owner == l) {
		c->lent_fd = -1;
		c->owner = NULL;
		free(l);
		conn_close(c);
	}
}

int
http_adopt_pair(struct lent **out, struct conn *c, int fd)
{
	struct http *h = c->worker->http;
	struct lent *l = calloc(1, sizeof(*l));
	size_t before = h->connections;
	int err;

	if (l == NULL) {
		close(fd);
		return SW_ENOMEM;
	}
	l->conn = c;
	l->relayed = true;
	err = add(h, fd, l, &c->peer);
	if (err == SW_OK)
		*out = l;
	else if (h->connections == before)
		free(l); /* it never began */
	return err;
}

/* The daemon. */

static void
on_event(struct io *io, uint32_t events)
{
	struct http *h = container_of(io, struct http, io);

	(void)events;
	h->ready = true;
}

void
http_turn(struct http *h)
{
	MHD_UNSIGNED_LONG_LONG timeout;

	if (h->connections == 0 && !h->ready)
		return;
	/* Once more after what resumes, or lets go: it asks for no turn. */
	for (int i = 0; i < RUNS_PER_TURN &&
	     (h->ready ||
		 (MHD_get_timeout(h->daemon, &timeout) == MHD_YES &&
		     timeout == 0));
	     i++) {
		h->ready = false;
		MHD_run(h->daemon);
	}
}

int
http_may_sleep(struct http *h)
{
	MHD_UNSIGNED_LONG_LONG timeout;

	if (h->ready)
		return 0;
	if (h->connections == 0 ||
	    MHD_get_timeout(h->daemon, &timeout) != MHD_YES)
		return -1;
	return timeout > INT32_MAX ? INT32_MAX : (int)timeout;
}

/* The library says what we do as if it were a mistake; that is no news. */
void
http_log(void *ctx, const char *format, va_list args)
{
	char text[256];

	(void)ctx;
	if (!log_enabled(LOG_DEBUG))
		return;
	vsnprintf(text, sizeof(text), format, args);
	text[strcspn(text, "\r\n")] = '\0';
	log_debug("http library: %s", text);
}

/* A head takes about three eighths of the library's memory for it. */
static size_t
memory_for_head(uint64_t header_max)
{
	size_t bytes = (size_t)(header_max * 8 / 3);

	return bytes < (24 << 10) ? 24 << 10 : bytes;
}

int
http_new(struct http **out, struct worker *w)
{
	struct http *h = calloc(1, sizeof(*h));
	const union MHD_DaemonInfo *info;

	if (h == NULL)
		return SW_ENOMEM;
	h->worker = w;
	list_init(&h->suspended);
	h->io = (struct io){ .fd = -1, .ready = on_event };
	h->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_TURBO |
		MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME |
		MHD_USE_ERROR_LOG,
	    0, NULL, NULL, http_on_request, h, MHD_OPTION_EXTERNAL_LOGGER,
	    http_log, NULL, MHD_OPTION_URI_LOG_CALLBACK, http_on_uri, h,
	    MHD_OPTION_NOTIFY_COMPLETED, http_on_completed, h,
	    MHD_OPTION_NOTIFY_CONNECTION, on_connection, h,
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT,
	    memory_for_head(w->conf->header_max), MHD_OPTION_CONNECTION_LIMIT,
	    1u << 24, MHD_OPTION_END);
	info = h->daemon == NULL ?
	    NULL :
	    MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (info == NULL) {
		log_error("http: the library does not start");
		http_free(h);
		return SW_EIO;
	}
	h->io.fd = info->epoll_fd;
	if (loop_add(w->loop, &h->io, EPOLLIN) != SW_OK) {
		http_free(h);
		return SW_EIO;
	}
	*out = h;
	return SW_OK;
}

void
http_free(struct http *h)
{
	if (h == NULL)
		return;
	/* A suspended connection would keep the daemon from stopping. */
	h->stopping = true;
	http_resume_all(h);
	if (h->daemon != NULL) {
		MHD_run(h->daemon);
		MHD_stop_daemon(h->daemon);
	}
	free(h);
}
