#include "proxy/auth/auth.h"

#include "proxy/base/err.h"

/* Also the reason of a WebSocket's close: 123 bytes at most. */
static const char need_token[] =
    "This channel needs a token: `Authorization: Bearer TOKEN`, the protocol "
    "bearer.TOKEN, or ?token= with token-in-url = yes.";
static const char not_granted[] =
    "The backend has not granted sending to this channel.";

/* The token of a header such as `Authorization: Bearer eyJ...`. */
static struct str
bearer_of(const struct request *r)
{
	struct str value = request_header(r, "Authorization"), scheme;

	/* Other schemes are between the client and a proxy on the way. */
	if (value.p == NULL || !str_cut(&value, ' ', &scheme) ||
	    !str_is_nocase(scheme, "Bearer"))
		return (struct str){ NULL, 0 };
	return value.p == NULL ? STR("") : str_trim(value);
}

/* A browser's WebSocket can set no header but this one. */
static struct str
protocol_of(const struct request *r)
{
	static const char prefix[] = "bearer.";
	struct str rest, item;

	for (size_t i = 0; i < r->header_count; i++) {
		if (!str_is_nocase(
			r->headers[i].name, "Sec-WebSocket-Protocol"))
			continue;
		rest = r->headers[i].value;
		while (str_cut(&rest, ',', &item)) {
			item = str_trim(item);
			if (!str_starts(item, prefix))
				continue;
			item.p += sizeof(prefix) - 1;
			item.len -= sizeof(prefix) - 1;
			return item;
		}
	}
	return (struct str){ NULL, 0 };
}

/* RFC 6265 4.2.1 and 4.1.1: pairs with "; " between, values may be quoted. */
static struct str
cookie_of(const struct request *r, const char *name)
{
	struct str rest, pair, key;

	for (size_t i = 0; i < r->header_count; i++) {
		if (!str_is_nocase(r->headers[i].name, "Cookie"))
			continue;
		rest = r->headers[i].value;
		while (str_cut(&rest, ';', &pair)) {
			pair = str_trim(pair);
			str_cut(&pair, '=', &key);
			if (!str_is(key, name) || pair.p == NULL)
				continue;
			if (pair.len >= 2 && pair.p[0] == '"' &&
			    pair.p[pair.len - 1] == '"')
				pair = (struct str){ pair.p + 1, pair.len - 2 };
			return pair;
		}
	}
	return (struct str){ NULL, 0 };
}

static struct str
find_token(
    const struct auth *a, const struct conf *conf, const struct request *r)
{
	struct str token = bearer_of(r);

	if (token.p == NULL)
		token = protocol_of(r);
	if (token.p == NULL && conf->token_in_url &&
	    !request_param(r, "token", &token))
		token.p = NULL;
	if (token.p == NULL && a->trusts_cookies &&
	    strcmp(conf->token_cookie, "off") != 0)
		token = cookie_of(r, conf->token_cookie);
	return token;
}

int
auth_request(struct auth *a, const struct conf *conf, const struct request *r,
    uint64_t now_ms)
{
	struct str token;

	a->grant = NULL;
	a->carried = false;
	if (conf->token_key_count == 0)
		return SW_OK;
	/* Which of two is meant, nobody can say. */
	if (request_header_count(r, "Authorization") > 1) {
		a->why = "There is more than one Authorization.";
		return SW_EAUTH;
	}
	token = find_token(a, conf, r);
	a->carried = token.p != NULL;
	if (!a->carried)
		return SW_OK;
	return token_read(&a->grant, conf, token, now_ms, &a->why);
}

void
auth_fini(struct auth *a)
{
	grant_free(a->grant);
	a->grant = NULL;
}

/* By the token alone. */
static int
token_may(const struct conf *conf, const struct grant *grant,
    enum auth_action action, enum access access, struct str channel,
    const char **why)
{
	if (access == ACCESS_ANYONE ||
	    (access == ACCESS_AUTO &&
		(conf->token_key_count == 0 || conf->anonymous)))
		return SW_OK;
	if (grant != NULL && grant->tokenless)
		grant = NULL;
	if (grant == NULL) {
		*why = need_token;
		return SW_EAUTH;
	}
	if (patterns_match(
		action == AUTH_SUBSCRIBE ? &grant->subscribe : &grant->send,
		channel))
		return SW_OK;
	*why = action == AUTH_SUBSCRIBE ?
	    "The token does not allow subscribing to this channel." :
	    "The token does not allow sending to this channel.";
	return SW_EFORBIDDEN;
}

int
auth_may_ask(const struct conf *conf, const struct grant *grant,
    struct str channel, const char **why)
{
	const struct policy *p = conf_policy(conf, channel);

	if (p->bridge_connect && p->subscribe == ACCESS_AUTO)
		return SW_OK;
	return token_may(
	    conf, grant, AUTH_SUBSCRIBE, p->subscribe, channel, why);
}

/*
 * Whom the backend has granted sending, or whose token allows it. Where it
 * decides who comes, and what is sent is published without asking it, silence
 * is no permission.
 */
static int
may_send(const struct conf *conf, const struct grant *grant, struct str channel,
    const char **why)
{
	const struct policy *p = conf_policy(conf, channel);
	const struct granted *g = grant == NULL ? NULL : grant->granted;
	enum access access = p->send_access;

	if (g != NULL && patterns_match(&g->send, channel))
		return SW_OK;
	if (access == ACCESS_AUTO && p->bridge_connect &&
	    p->send == SEND_PUBLISH)
		access = ACCESS_TOKEN;
	if (access == ACCESS_TOKEN && conf->token_key_count == 0) {
		*why = not_granted;
		return SW_EFORBIDDEN;
	}
	return token_may(conf, grant, AUTH_SEND, access, channel, why);
}

/* What the backend has granted decides, where it decides who subscribes. */
int
auth_may(const struct conf *conf, const struct grant *grant,
    enum auth_action action, struct str channel, const char **why)
{
	const struct policy *p = conf_policy(conf, channel);
	const struct granted *g = grant == NULL ? NULL : grant->granted;
	int err;

	if (action == AUTH_SEND)
		return may_send(conf, grant, channel, why);
	if ((err = auth_may_ask(conf, grant, channel, why)) != SW_OK ||
	    !p->bridge_connect)
		return err;
	if (g != NULL && patterns_match(&g->subscribe, channel))
		return SW_OK;
	*why = "The backend does not grant this channel.";
	return SW_EFORBIDDEN;
}

const char *
auth_challenge(int status, bool carried)
{
	if (status == 401)
		return carried ?
		    "Bearer realm=\"spillway\", error=\"invalid_token\"" :
		    "Bearer realm=\"spillway\"";
	if (status == 403 && carried)
		return "Bearer realm=\"spillway\", "
		       "error=\"insufficient_scope\"";
	return NULL;
}
