/* Does the installed library let go of sockets as this relies on? */
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/log.h"
#include "proxy/http/http_private.h"

static bool
exchange_test_bytes(int ours, int kept)
{
	static const char text[] = "still here";
	char got[sizeof(text)];

	return send(kept, text, sizeof(text), MSG_NOSIGNAL) ==
	    (ssize_t)sizeof(text) &&
	    recv(ours, got, sizeof(got), MSG_DONTWAIT) ==
	    (ssize_t)sizeof(text) &&
	    memcmp(got, text, sizeof(text)) == 0;
}

struct self_test {
	int kept; /* the duplicate, -1 before */
	bool seamless;
};

static enum MHD_Result
leave_in_test(void *ctx, struct MHD_Connection *connection, const char *url,
    const char *method, const char *version, const char *data, size_t *size,
    void **request_ctx)
{
	struct self_test *t = ctx;
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
	    connection, MHD_CONNECTION_INFO_CONNECTION_FD);

	(void)data;
	(void)size;
	(void)request_ctx;
	t->kept = fcntl(info->connect_fd, F_DUPFD_CLOEXEC, 0);
	t->seamless = http_head_seamless(connection, method, url, version, 1);
	return MHD_NO;
}

static bool
run_test(struct MHD_Daemon *daemon, struct self_test *t)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";
	struct sockaddr local = { .sa_family = AF_UNIX };
	int pair[2];
	bool passed = false;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
		pair) != 0)
		return false;
	if (MHD_add_connection(daemon, pair[1], &local, sizeof(sa_family_t)) ==
		MHD_YES &&
	    send(pair[0], request, sizeof(request) - 1, MSG_NOSIGNAL) > 0) {
		for (int i = 0; i < 8; i++)
			MHD_run(daemon);
		passed = t->kept >= 0 && exchange_test_bytes(pair[0], t->kept);
	}
	if (t->kept >= 0)
		close(t->kept);
	close(pair[0]);
	return passed;
}

bool
http_self_test(struct worker *w)
{
	struct self_test t = { .kept = -1 };
	struct MHD_Daemon *daemon = MHD_start_daemon(MHD_USE_EPOLL |
		MHD_USE_TURBO | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ERROR_LOG,
	    0, NULL, NULL, leave_in_test, &t, MHD_OPTION_EXTERNAL_LOGGER,
	    http_log, NULL, MHD_OPTION_END);
	bool passed = daemon != NULL && run_test(daemon, &t);

	if (daemon != NULL)
		MHD_stop_daemon(daemon);
	if (!passed)
		log_warn("http: this libmicrohttpd (%s) does not let go of "
			 "sockets as expected: connections are relayed to it",
		    MHD_get_version());
	if (!t.seamless)
		log_warn("http: this libmicrohttpd (%s) does not read heads as "
			 "expected: how their lines end is not checked",
		    MHD_get_version());
	w->http->relay_all = !passed;
	w->http->heads_in_place = t.seamless;
	return passed;
}
