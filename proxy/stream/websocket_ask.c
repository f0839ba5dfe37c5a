#include "proxy/stream/websocket_ask.h"

#include <stdlib.h>

#include "proxy/auth/auth.h"
#include "proxy/base/err.h"
#include "proxy/bridge/bridge_connect.h"
#include "proxy/stream/websocket.h"
#include "proxy/stream/websocket_auth.h"
#include "proxy/worker.h"

/* A command that waits for the backend's word; `conn` lives until then. */
struct ws_asking {
	struct conn *conn;
	bool admission;
	struct str ref, channel, after;
	char texts[];
};

static struct ws_asking *
ws_asking_new(struct subscriber *s, const struct command *cmd)
{
	struct ws_asking *a = malloc(
	    sizeof(*a) + cmd->ref.len + cmd->channel.len + cmd->after.len);
	char *place;

	if (a == NULL)
		return NULL;
	place = a->texts;
	a->conn = s->conn;
	a->admission = s->unproven != NULL;
	a->ref = str_keep(&place, cmd->ref);
	a->channel = str_keep(&place, cmd->channel);
	a->after = str_keep(&place, cmd->after);
	return a;
}

/* The channels that an unproven client asked for; SW_EINVAL, SW_ENOMEM. */
static int
read_request(struct subscriber *s, struct stream_request *req)
{
	struct worker *w = subscriber_worker(s);
	struct request r = { .method = METHOD_GET };
	struct refusal refusal;

	unproven_request(s->unproven, &r);
	return stream_request_read(
	    req, &r, r.path, &w->stream_limits, &refusal);
}

static void
go_on(struct subscriber *s, const struct ws_asking *a,
    const struct bridge_answer *answer, const struct str *channels,
    size_t count)
{
	const struct command cmd = {
		.op = COMMAND_SUBSCRIBE,
		.ref = a->ref,
		.channel = a->channel,
		.after = a->after,
	};
	const char *why;
	int status;
	int err = bridge_connect_take(
	    &s->grant, answer, channels, count, &why, &status);

	if (a->admission) {
		websocket_admit(s, a->ref, answer->head, err, why);
	} else if (err != SW_OK) {
		if (err == SW_EAUTH || err == SW_EFORBIDDEN)
			websocket_count_refusal(s, err);
		websocket_error(s, a->ref, err_info(err)->name, why);
	} else {
		websocket_subscribe(s, &cmd, answer->head);
		subscriber_arm(s);
	}
}

static void
on_answer(void *owner, const struct bridge_answer *answer)
{
	struct ws_asking *a = owner;
	struct conn *c = a->conn;
	struct stream_request req;

	if (conn_answered(c) && c->role == &websocket_role) {
		struct subscriber *s = c->owner;

		s->asking = false;
		if (!a->admission) {
			go_on(s, a, answer, &a->channel, 1);
		} else if (s->unproven != NULL) {
			/* It was fine before; see stream_admit. */
			if (read_request(s, &req) == SW_OK)
				go_on(s, a, answer, req.channels,
				    req.channel_count);
			else
				subscriber_close(s, CLOSE_FORBIDDEN);
			stream_request_fini(&req);
		}
		websocket_resume(c);
	}
	free(a);
}

static int
ask(struct subscriber *s, const struct command *cmd, const struct str *channels,
    size_t count, struct str session)
{
	struct bridge *b = subscriber_worker(s)->bridge;
	struct ws_asking *a = ws_asking_new(s, cmd);
	struct connect_ask connect = {
		.connection = s->conn->id,
		.transport = str_of(s->transport->name),
		.peer = &s->conn->peer,
		.grant = s->grant,
		.channels = channels,
		.channel_count = count,
		.session = session,
		.forwarded = str_of(s->forwarded),
		.answered = on_answer,
		.owner = a,
	};
	int err;

	if (a == NULL)
		return SW_ENOMEM;
	/* What it did before is heard before. */
	err = s->lane != NULL ? SW_OK : bridge_lane_new(&s->lane, b);
	connect.lane = s->lane;
	if (err == SW_OK)
		err = bridge_connect_ask(b, &connect);
	if (err != SW_OK) {
		free(a);
		return err;
	}
	s->asking = true;
	conn_expect(s->conn);
	return SW_OK;
}

int
websocket_ask(struct subscriber *s, const struct command *cmd)
{
	return ask(s, cmd, &cmd->channel, 1, str_of(s->session));
}

bool
websocket_ask_admission(struct subscriber *s, struct str ref)
{
	const struct conf *conf = subscriber_worker(s)->conf;
	const struct command cmd = { .op = COMMAND_AUTH, .ref = ref };
	struct stream_request req;
	const char *why = NULL;
	bool needed = false;
	int err = SW_OK;

	/* What is wrong with it by now is websocket_admit's to say. */
	if (read_request(s, &req) == SW_OK)
		needed = bridge_connect_needed(
		    conf, s->grant, req.channels, req.channel_count);
	for (size_t i = 0; needed && i < req.channel_count && err == SW_OK; i++)
		err = auth_may_ask(conf, s->grant, req.channels[i], &why);
	if (needed && err == SW_OK) {
		/* The time for its first message is over; the bridge's runs. */
		s->unproven->due_ms = UINT64_MAX;
		err =
		    ask(s, &cmd, req.channels, req.channel_count, req.session);
		why = err_info(err)->sentence;
	}
	if (err != SW_OK)
		websocket_admit(s, ref, 0, err, why);
	stream_request_fini(&req);
	return needed;
}
