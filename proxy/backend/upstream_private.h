#ifndef SPILLWAY_PROXY_BACKEND_UPSTREAM_PRIVATE_H
#define SPILLWAY_PROXY_BACKEND_UPSTREAM_PRIVATE_H

#include <curl/curl.h>

#include "proxy/backend/upstream.h"
#include "proxy/base/buf.h"
#include "proxy/base/headway.h"
#include "proxy/base/list.h"
#include "proxy/base/loop.h"
#include "proxy/worker.h"

/* What the files behind the door to libcurl share. */

/* A place where the backend is, as one worker sees it. */
struct upstream_origin {
	char *url;
	char *unix_path; /* NULL: TCP */
	int64_t weight;
	int64_t credit;    /* of the weighted round */
	uint64_t failures; /* in a row */
	uint64_t down_until_ms;
	char address[64]; /* where its name led last; "": nowhere yet */
	bool nameless;    /* it cannot be looked up: that is used */
	uint64_t ask_name_ms;
	bool probing;        /* after its time off, one request tries it */
	struct probe *probe; /* on its way; NULL: none */
	/* Handles that were used for a GET, with this configuration. */
	CURL *ready[32];
	size_t ready_count;
};

struct upstream {
	struct worker *worker;
	const struct route *route; /* what is configured; a reload moves it */
	size_t route_index;
	CURLM *multi;       /* NULL: there was no memory for it */
	bool used_up;       /* it ran out of memory */
	struct timer timer; /* libcurl's */
	bool due;           /* libcurl wants to be called at once */
	struct timer probe_timer;
	bool stirred;        /* a socket was served: look for what has ended */
	struct list waiting; /* for their turn, in order */
	struct list refused; /* there was no room to wait in */
	struct list running;
	struct list resumed; /* to be asked again */
	struct list cancelled;
	struct list headed; /* their head was told in this call of libcurl */
	struct list idle;   /* watches of connections that are kept */
	struct list dead_watches;
	struct watch **watches; /* by descriptor */
	size_t watch_count;
	size_t waiting_count;
	size_t running_count;
	struct upstream_origin *origins;
	size_t origin_count;
	unsigned generation; /* of the configuration */
	CURL *spare[32];     /* handles that were used, for the next ones */
	size_t spare_count;
};

enum request_state {
	REQUEST_WAITING,
	REQUEST_RUNNING,
	REQUEST_TUNNEL, /* it has switched protocols */
};

/* A header in the head's buffer, by place, since that may move. */
struct header_place {
	size_t name, name_len, value, value_len;
};

/* A call with whole bodies keeps them here. */
struct whole {
	uint8_t *body;
	size_t body_len;
	size_t sent;
	struct buf answer;
	bool large; /* the answer is above its limit */
	struct upstream_head head;
	void (*done)(void *owner, const struct upstream_answer *a);
	void *owner;
};

/* As they were when it began. */
struct upstream_times {
	uint64_t response_ms, idle_ms, total_ms, tunnel_ms;
};

struct upstream_request {
	struct upstream *upstream;
	struct upstream_times times;
	uint64_t due_ms;         /* the end of what its ask says; 0: none */
	struct list node;        /* waiting, running or cancelled */
	struct list resume_node; /* of the resumed */
	struct list headed_node; /* of the headed */
	enum request_state state;
	bool cancelled;
	struct upstream_flow flow; /* of its ask, only what is no text */
	struct whole *whole;       /* NULL: it streams */
	char *method;
	char *target;
	struct curl_slist *headers;
	CURL *easy;
	unsigned generation; /* of the configuration it was set up with */
	struct upstream_origin *origin;
	struct upstream_origin *again; /* it begins again with that; or NULL */
	struct curl_slist *connect_to; /* that address; NULL: by name */
	struct upstream_origin *only;  /* it is a probe of that; or NULL */
	uint64_t tried;                /* a bit for each of the origins */
	unsigned tries;
	struct timer timer;
	struct timer nudge; /* while it connects, or doubts a kept one */
	bool opened;        /* a connection of its own */
	bool fresh;         /* it is to have one */
	uint64_t connect_due_ms;
	/* Why it is to end, where libcurl would only know that it was told. */
	bool judged;
	enum upstream_end end;
	const char *detail;
	char error[CURL_ERROR_SIZE];
	/* The response's head, as it comes in. */
	struct buf head;
	size_t header_count;
	size_t head_bytes; /* of all heads, interim ones included */
	int status;
	bool http_1_0;
	bool in_head;
	bool has_head;          /* the final one */
	bool held;              /* `data` would not take what there is */
	struct watch *watch;    /* of the socket that libcurl uses for it */
	struct buf rescued;     /* an answer that libcurl did not read */
	struct headway headway; /* the backend's, with what it is sent */
	/* Of one that may switch protocols: */
	int sockets[2];    /* libcurl's; -1: none */
	struct io hang_up; /* fd -1: not watched */
	bool hung_up;      /* the backend sends nothing more */
	/* Not zeroed at first: `header_count` of them are there. */
	struct header_place places[REQUEST_HEADERS_MAX];
	struct header parsed[REQUEST_HEADERS_MAX];
};

/*
 * The origin whose turn it is, but none that was tried, of which it becomes one
 * (see upstream_request); NULL: all others are down.
 */
struct upstream_origin *origin_choose(struct upstream *u, uint64_t *tried);
/* How a request to it ended. */
void origin_note(struct upstream *u, struct upstream_origin *o, bool failed);
void origin_forget_ready(struct upstream_origin *o);
int origins_load(struct upstream *u);
void origins_free(struct upstream *u);

/* Without a name server: see upstream_name.c. */
void name_led_to(struct upstream_request *r, const char *address);
void name_is_known(struct upstream_request *r);
/* True: it was the name that failed, and there is an address to go on with. */
bool name_fails(struct upstream_request *r, CURLcode code);
/* There is no connection, perhaps because the address was an old one. */
void name_doubt(struct upstream_request *r);
/* By name, or by address; false if there is no memory. */
bool name_choose(struct upstream_request *r);
/* When libcurl has no use for it any more. */
void name_forget(struct upstream_request *r);

/* Probes of the origins, if the configuration wants them. */
bool probes_are_on(const struct upstream *u);
void probes_begin(struct upstream *u);
void probes_configure(struct upstream *u); /* it may be another one */
void probes_end(struct upstream *u);

/* Into `headers`: SW_OK, SW_ENOMEM, or SW_EINVAL for what none may be. */
int headers_copy(struct upstream_request *r, const struct upstream_ask *ask);

/* Tell who had a head that no data came with it. */
void upstream_settle(struct upstream *u);

/* What each worker has of what all together may. */
size_t upstream_share(const struct upstream *u, uint64_t of_all);

/* False: there is no memory. Its requests have left it when it ends. */
bool library_start(struct upstream *u);
void library_end(struct upstream *u);
/* Something happened to a socket, or CURL_SOCKET_TIMEOUT did. */
void library_act(struct upstream *u, curl_socket_t fd, int events);
int library_take(struct upstream_request *r); /* SW_ENOMEM */
void library_resume(struct upstream_request *r);

/* libcurl's sockets and timer, in the loop; false if there is no memory. */
bool upstream_sockets_open(struct upstream *u);
bool upstream_sockets_prepare(struct upstream_request *r);
void upstream_sockets_leave(struct upstream_request *r); /* it is going */
void upstream_sockets_nudge(struct timer *t);            /* its `nudge` */
/* A connection was chosen: if it was kept, it may lead into the void. */
void upstream_sockets_doubt(struct upstream_request *r);
int upstream_sockets_of(const struct upstream_request *r); /* -1: none yet */
void upstream_sockets_weed(struct upstream *u);  /* before some are used */
void upstream_sockets_sweep(struct upstream *u); /* at the end of a turn */
void upstream_sockets_close(struct upstream *u); /* libcurl has ended */

/* Once more from the beginning, and of the same origin. */
void request_begins_again(struct upstream_request *r);
/* It has switched protocols: no longer a request. */
void request_becomes_tunnel(struct upstream_request *r);

/* Its socket is about to be closed: keep an answer that is still in it. */
void rescue_read(struct upstream_request *r, int fd);
/* Tell what was kept, as libcurl would have, and what that would have said. */
CURLcode rescue_replay(struct upstream_request *r);

/* Watch for the end that the backend makes; SW_EIO. */
int tunnel_open(struct upstream_request *r);
void tunnel_close(struct upstream_request *r);

/* Let libcurl have it; SW_ENOMEM. */
int transfer_begin(struct upstream_request *r);
/* Take it away from libcurl; harmless if it has not got it. */
void transfer_end(struct upstream_request *r);
/* A line of its answer's head, or some of the body; false: it ends here. */
bool transfer_header(struct upstream_request *r, struct str line);
bool transfer_data(struct upstream_request *r, uint8_t *p, size_t n);
/* How it ended, by what libcurl says. */
enum upstream_end transfer_judge(struct upstream_request *r, CURLcode code);
/* Was anything of the request sent? */
bool transfer_sent(const struct upstream_request *r);
/* It waits for a connection, perhaps since one that was kept turned out dead.
 */
void transfer_connects(struct upstream_request *r);
/* (Re)start the time that the backend has for its next step. */
void transfer_arm(struct upstream_request *r);

#endif
