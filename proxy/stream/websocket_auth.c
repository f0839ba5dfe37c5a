#include "proxy/stream/websocket_auth.h"

#include <stdlib.h>

#include "proxy/auth/auth.h"
#include "proxy/base/err.h"
#include "proxy/base/json.h"
#include "proxy/bridge/bridge_presence.h"
#include "proxy/stream/beginning.h"
#include "proxy/stream/stream.h"
#include "proxy/stream/websocket.h"
#include "proxy/stream/websocket_ask.h"
#include "proxy/worker.h"

_Static_assert((size_t)COMMAND_TOKEN_MAX == (size_t)TOKEN_MAX,
    "what an upgrade may carry can be renewed in place");

struct unproven *
unproven_new(const struct request *r, struct str rest, uint64_t due_ms)
{
	struct str id = request_header(r, "Last-Event-ID");
	struct unproven *u =
	    malloc(sizeof(*u) + rest.len + r->query.len + id.len);
	char *place;

	if (u == NULL)
		return NULL;
	place = u->text;
	u->due_ms = due_ms;
	u->rest = str_keep(&place, rest);
	u->query = str_keep(&place, r->query);
	u->last_event_id = str_keep(&place, id);
	return u;
}

void
unproven_request(const struct unproven *u, struct request *out)
{
	out->method = METHOD_GET;
	out->path = u->rest;
	out->query = u->query;
	out->header_count = 1;
	out->headers[0] = (struct header){ STR("Upgrade"), STR("websocket") };
	if (u->last_event_id.p != NULL)
		out->headers[out->header_count++] =
		    (struct header){ STR("Last-Event-ID"), u->last_event_id };
}

void
websocket_count_refusal(struct subscriber *s, int err)
{
	METRIC_ADD(subscriber_worker(s)->metrics.refused[err == SW_EAUTH ?
			   REFUSED_UNAUTHORIZED :
			   REFUSED_FORBIDDEN],
	    1);
}

/* A goodbye that says what was wrong, and not just that something was. */
static void
end_unproven(struct subscriber *s, int err, const char *why)
{
	struct buf out;

	websocket_count_refusal(s, err);
	buf_init(&out, 256);
	if (ws_put_close(&out, err_info(err)->ws_close, why) == SW_OK) {
		subscriber_send(s, BUCKET_FRAMING, buf_str(&out));
		s->closing = true;
	}
	buf_fini(&out);
	subscriber_close(
	    s, err == SW_EAUTH ? CLOSE_UNAUTHORIZED : CLOSE_FORBIDDEN);
}

static void
refuse(struct subscriber *s, struct str ref, int err, const char *why)
{
	if (err == SW_ENOMEM) {
		subscriber_close(s, CLOSE_OVERLOAD);
	} else if (s->unproven != NULL) {
		end_unproven(s, err, why);
	} else {
		websocket_count_refusal(s, err);
		websocket_error(s, ref, err_info(err)->name, why);
	}
}

static void
answer(struct subscriber *s, struct str ref)
{
	struct buf out;

	buf_init(&out, 1 << 16);
	command_answer_begin(&out, "ok", ref);
	if (grant_user(s->grant) != NULL) {
		buf_puts(&out, ",\"user\":");
		json_put_string(&out, str_of(grant_user(s->grant)));
	}
	if (grant_expires_ms(s->grant) != 0) {
		buf_puts(&out, ",\"expires\":");
		buf_put_u64(&out, grant_expires_ms(s->grant));
	}
	buf_puts(&out, "}");
	websocket_answer_text(s, &out);
}

static bool
same_user(const struct grant *a, const struct grant *b)
{
	if (a->user == NULL || b->user == NULL)
		return a->user == b->user;
	return strcmp(a->user, b->user) == 0;
}

/* May this token take the place of the one before, with all it is used for? */
static int
check_successor(
    struct subscriber *s, const struct grant *next, const char **why)
{
	if (s->grant != NULL && !s->grant->tokenless &&
	    !same_user(s->grant, next)) {
		*why = "The token is that of another user.";
		return SW_EFORBIDDEN;
	}
	for (const struct link *l = &s->first; l != NULL; l = l->next)
		if (l->channel != NULL &&
		    auth_may(subscriber_worker(s)->conf, next, AUTH_SUBSCRIBE,
			l->channel->channel->name, why) != SW_OK) {
			*why = "The token does not allow all channels that "
			       "are subscribed to: unsubscribe first.";
			return SW_EFORBIDDEN;
		}
	return SW_OK;
}

void
websocket_admit(struct subscriber *s, struct str ref, uint64_t live, int err,
    const char *why)
{
	if (err == SW_OK) {
		answer(s, ref);
		if (!subscriber_gone(s) && s->unproven != NULL)
			err = stream_admit(s, live, &why);
	}
	if (err != SW_OK)
		end_unproven(s, err, why);
	subscriber_arm(s);
}

void
websocket_auth(struct subscriber *s, const struct command *cmd)
{
	struct worker *w = subscriber_worker(s);
	struct grant *next = NULL;
	const char *why = NULL;
	int err;

	if (w->conf->token_key_count == 0) {
		websocket_error(s, cmd->ref, "unsupported",
		    "This gateway has no tokens configured.");
		return;
	}
	err =
	    token_read(&next, w->conf, cmd->token, loop_unix_ms(w->loop), &why);
	if (err == SW_OK) {
		/* What the backend has granted goes on. */
		next->granted = s->grant == NULL ? NULL : s->grant->granted;
		err = check_successor(s, next, &why);
	}
	if (err != SW_OK) {
		if (next != NULL)
			next->granted = NULL;
		grant_free(next);
		refuse(s, cmd->ref, err, why);
		return;
	}
	if (s->grant != NULL)
		s->grant->granted = NULL;
	grant_free(s->grant);
	s->grant = next;
	presence_renamed(s);
	if (s->unproven == NULL || !websocket_ask_admission(s, cmd->ref))
		websocket_admit(s, cmd->ref, beginning_live(w), SW_OK, NULL);
}

void
websocket_auth_first(struct subscriber *s, struct str text)
{
	struct command cmd;
	const char *why;
	int err = command_read(&cmd, text, &why);

	if (err == SW_ENOMEM)
		subscriber_close(s, CLOSE_OVERLOAD);
	else if (err != SW_OK || cmd.op != COMMAND_AUTH)
		end_unproven(s, SW_EAUTH,
		    "The first message must be "
		    "{\"op\":\"auth\",\"token\":...}, "
		    "or a token come with the upgrade.");
	else
		websocket_auth(s, &cmd);
	command_fini(&cmd);
}
