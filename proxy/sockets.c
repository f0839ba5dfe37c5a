#include "proxy/sockets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/address.h"
#include "proxy/base/err.h"
#include "proxy/base/log.h"
#include "proxy/edge/listener.h"
#include "proxy/systemd.h"
#include "proxy/worker.h"

struct socket {
	int fd;
	enum listener_queue queue;
	enum listener_kind kind;
	size_t worker;
};

/* Who reaches it decides what the configuration has to say. */
static void
note_reach(struct sockets *s, int fd, enum listener_kind kind)
{
	struct sockaddr_storage sa = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(sa);
	struct address a;

	if (s->reached[kind][0] != '\0' ||
	    getsockname(fd, (struct sockaddr *)&sa, &len) != 0)
		return; /* accepting will say what is wrong with it */
	a = address_of(&sa);
	if (!address_is_loopback(&a))
		address_print(&a, s->reached[kind]);
}

/* Takes `fd`. */
static int
keep(struct sockets *s, int fd, enum listener_queue queue,
    enum listener_kind kind, size_t worker)
{
	struct socket *more = realloc(s->items, (s->count + 1) * sizeof(*more));

	if (more == NULL) {
		close(fd);
		return SW_ENOMEM;
	}
	s->items = more;
	more[s->count++] = (struct socket){ fd, queue, kind, worker };
	note_reach(s, fd, kind);
	return SW_OK;
}

/* One socket for all workers. */
static int
listen_shared(struct sockets *s, int fd, enum listener_queue queue,
    enum listener_kind kind)
{
	int err = SW_OK;

	for (size_t i = 0; i < s->workers && err == SW_OK; i++) {
		int copy = dup(fd);

		err = copy < 0 ? SW_EIO : keep(s, copy, queue, kind, i);
		if (err != SW_OK)
			log_error("listen: descriptor %d is of no use: %s", fd,
			    strerror(errno));
	}
	close(fd);
	return err;
}

/* Who may connect, where that is up to a file. */
static mode_t
socket_mode(const struct conf *conf, enum listener_kind kind)
{
	static const mode_t modes[] = {
		[SOCKET_0600] = 0600,
		[SOCKET_0660] = 0660,
		[SOCKET_0666] = 0666,
	};

	return modes[listener_within(kind) == LISTENER_API ?
		conf->api_socket_mode :
		conf->listen_socket_mode];
}

/* "Any free port" is one, for all workers: what the first socket there got. */
static const char *
settle_port(int fd, const char *address, char room[ADDRESS_TEXT])
{
	struct sockaddr_storage sa = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(sa);
	const char *colon = strrchr(address, ':');

	if (colon == NULL || strcmp(colon, ":0") != 0 ||
	    getsockname(fd, (struct sockaddr *)&sa, &len) != 0)
		return address;
	snprintf(room, ADDRESS_TEXT, "%.*s:%u", (int)(colon - address), address,
	    address_of(&sa).port);
	return room;
}

/* One socket for each worker, which share the port. */
static int
listen_each(struct sockets *s, const char *address, enum listener_kind kind)
{
	int fd, err = SW_OK;

	for (size_t i = 0; i < s->workers && err == SW_OK; i++) {
		err = listener_socket(&fd, address, false, 0);
		if (err == SW_OK)
			err = keep(s, fd, QUEUE_OF_WORKER, kind, i);
	}
	return err;
}

static int
listen_at(struct sockets *s, const char *name, const char *address,
    enum listener_kind kind)
{
	char room[ADDRESS_TEXT];
	int fd, err;

	/* Alone first: sockets with SO_REUSEPORT would join those of another
	 * daemon, which then has half of our clients. */
	if ((err = listener_socket(
		 &fd, address, true, socket_mode(s->conf, kind))) != SW_OK)
		return err;
	if (!listener_is_shared(address)) {
		address = settle_port(fd, address, room);
		close(fd);
		err = listen_each(s, address, kind);
	} else if ((err = process_give_socket(
			s->identity, listener_path(address))) == SW_OK) {
		err = listen_shared(s, fd, QUEUE_OF_ALL, kind);
	} else {
		close(fd);
	}
	if (err == SW_OK)
		log_info("listening for=%s address=%s", name, address);
	return err;
}

/* What others must not reach without; NULL: it is there. */
static const char *
lacks(const struct conf *conf, enum listener_kind kind)
{
	const struct policy *usual = &conf->policies[conf->policy_count - 1];

	if (conf->demo)
		return "demo = no";
	if (kind == LISTENER_REDIRECT ||
	    (kind == LISTENER_API_TLS && conf->api_client_ca_count > 0))
		return NULL;
	if (listener_is_api(kind))
		return conf->api_token_count > 0 ? NULL : "api-token = \"...\"";
	return conf->anonymous || conf->token_key_count > 0 ||
		usual->bridge_connect ?
	    NULL :
	    "anonymous = yes, or token-key = \"...\"";
}

static int
listen_all(struct sockets *s, const char *name, char *const *addresses,
    size_t count, enum listener_kind kind)
{
	int fds[SYSTEMD_SOCKETS_MAX], err = SW_OK;
	size_t n = systemd_sockets(name, fds);

	if (n > 0 && listener_is_secure(kind) &&
	    s->conf->tls_certificate_count == 0) {
		log_error("listen for=%s socket=systemd: write "
			  "tls-certificate = \"...\" as well",
		    name);
		err = SW_EINVAL;
	}
	if (n > SYSTEMD_SOCKETS_MAX) {
		log_error("listen for=%s socket=systemd: pass %d of that name "
			  "at most, not %zu",
		    name, SYSTEMD_SOCKETS_MAX, n);
		return SW_ELIMIT;
	}
	/* systemd has opened them already. */
	for (size_t i = 0; i < n && err == SW_OK; i++) {
		log_info("listening for=%s socket=systemd", name);
		err = listen_shared(s, fds[i], QUEUE_OF_SYSTEMD, kind);
	}
	if (n > 0)
		return err;
	for (size_t i = 0; i < count && err == SW_OK; i++)
		err = listen_at(s, name, addresses[i], kind);
	return err;
}

/* systemd may have passed one, so only now that is known. */
static void
warn_of_idle_certificates(const struct sockets *s)
{
	for (size_t i = 0; i < s->count; i++)
		if (listener_is_secure(s->items[i].kind))
			return;
	if (s->conf->tls_certificate_count > 0)
		log_warn("tls: nothing listens with it: write listen-tls = "
			 "\"...\" as well, or leave out tls-certificate");
}

int
sockets_check(const struct sockets *s, const struct conf *conf)
{
	const char *missing;

	for (size_t i = 0; i < LISTENER_KINDS; i++) {
		if (s->reached[i][0] == '\0' ||
		    (missing = lacks(conf, (enum listener_kind)i)) == NULL)
			continue;
		log_error("listen address=%s: others reach it: write %s",
		    s->reached[i], missing);
		return SW_EINVAL;
	}
	return SW_OK;
}

int
sockets_open(struct sockets *s, const struct conf *conf,
    const struct identity *identity, size_t workers)
{
	const struct {
		const char *name;
		char *const *addresses;
		size_t count;
		enum listener_kind kind;
	} all[] = {
		{ "public", conf->listen, conf->listen_count, LISTENER_PUBLIC },
		{ "tls", conf->listen_tls, conf->listen_tls_count,
		    LISTENER_TLS },
		{ "redirect", conf->redirect_listen,
		    conf->redirect_listen_count, LISTENER_REDIRECT },
		{ "api", conf->api_listen, conf->api_listen_count,
		    LISTENER_API },
		{ "api-tls", conf->api_listen_tls, conf->api_listen_tls_count,
		    LISTENER_API_TLS },
	};
	int err = SW_OK;

	s->conf = conf;
	s->identity = identity;
	s->workers = workers;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]) && err == SW_OK;
	     i++)
		err = listen_all(s, all[i].name, all[i].addresses, all[i].count,
		    all[i].kind);
	if (err == SW_OK)
		err = sockets_check(s, conf);
	if (err == SW_OK)
		warn_of_idle_certificates(s);
	return err;
}

int
sockets_hand_out(struct sockets *s, struct worker *const *workers)
{
	for (; s->count > 0; s->count--) {
		const struct socket *last = &s->items[s->count - 1];
		int err = worker_listen(
		    workers[last->worker], last->fd, last->queue, last->kind);

		if (err != SW_OK) {
			log_error("listen: descriptor %d is of no use: %s",
			    last->fd, strerror(errno));
			return err;
		}
	}
	return SW_OK;
}

void
sockets_close(struct sockets *s)
{
	for (size_t i = 0; i < s->count; i++)
		close(s->items[i].fd);
	free(s->items);
	s->items = NULL;
	s->count = 0;
}
