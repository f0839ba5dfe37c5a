#include "proxy/auth/token.h"

#include <stdlib.h>

#include "proxy/base/digest.h"
#include "proxy/base/err.h"
#include "proxy/base/json.h"
#include "proxy/base/pattern.h"

/* The seconds of the year 10000: what is later is never. */
static const uint64_t seconds_max = UINT64_C(253402300800);

/* The three parts of the compact form (RFC 7515 7.1). */
struct parts {
	struct str signed_text; /* the first two, with the dot */
	struct str header, payload, signature;
};

static int
refuse(const char **why, const char *sentence)
{
	*why = sentence;
	return SW_EAUTH;
}

static bool
split(struct parts *p, struct str token)
{
	struct str rest = token;

	if (token.len == 0 || token.len > TOKEN_MAX ||
	    !str_cut(&rest, '.', &p->header) ||
	    !str_cut(&rest, '.', &p->payload) ||
	    !str_cut(&rest, '.', &p->signature) || rest.p != NULL)
		return false;
	p->signed_text =
	    (struct str){ token.p, p->header.len + 1 + p->payload.len };
	return true;
}

/* A member that is wanted, and what was found of it. */
struct member {
	const char *name;
	struct str value; /* raw; p is NULL if it is not there */
};

/*
 * Find members of an object. False if it is none, or if one of them is there
 * twice: who reads the other one than we do is told something else.
 */
static bool
find_members(struct str json, struct member *members, size_t count)
{
	struct json_iter it;
	struct str key, value;

	if (json.len == 0 || !json_valid(json) || !json_object(&it, json))
		return false;
	while (json_member(&it, &key, &value))
		for (size_t i = 0; i < count; i++) {
			if (!json_is(key, members[i].name))
				continue;
			if (members[i].value.p != NULL)
				return false;
			members[i].value = value;
		}
	return true;
}

static bool
is_string(struct str value)
{
	return value.p != NULL && json_type(value) == JSON_STRING;
}

/* The header: which key, and which algorithm (RFC 7515 4.1). */

static bool
kid_fits(const struct token_key *k, struct str kid)
{
	return k->kid == NULL || kid.p == NULL || json_is(kid, k->kid);
}

static int
check_signature(const struct conf *conf, const struct parts *p,
    struct str header, struct str signature, const char **why)
{
	struct member members[] = { { "alg", { NULL, 0 } },
		{ "kid", { NULL, 0 } }, { "crit", { NULL, 0 } } };
	struct str alg, kid;
	bool known = false;

	if (!find_members(header, members, 3) || !is_string(members[0].value) ||
	    (members[1].value.p != NULL && !is_string(members[1].value)))
		return refuse(why, "The token's header cannot be understood.");
	/* 4.1.11: extensions that must be understood; we know of none. */
	if (members[2].value.p != NULL)
		return refuse(why, "The token asks for an extension.");
	alg = members[0].value;
	kid = members[1].value;
	for (size_t i = 0; i < conf->token_key_count; i++) {
		const struct token_key *k = &conf->token_key[i];

		/* The key says the algorithm; the token may only agree. */
		if (!json_is(
			alg, signature_alg_name(signature_key_alg(k->key))) ||
		    !kid_fits(k, kid))
			continue;
		known = true;
		if (signature_verify(k->key, p->signed_text, signature))
			return SW_OK;
	}
	return refuse(why,
	    known ? "The token's signature is not valid." :
		    "No key is configured for the token's algorithm and key "
		    "id.");
}

/* The claims (RFC 7519 4.1). */

/* A NumericDate: seconds, perhaps with a fraction, which does not count. */
static bool
read_date(struct str number, uint64_t *out)
{
	size_t digits = 0;

	if (json_type(number) != JSON_NUMBER)
		return false;
	while (digits < number.len && number.p[digits] >= '0' &&
	    number.p[digits] <= '9')
		digits++;
	if (digits < number.len && number.p[digits] != '.')
		return false; /* negative, or 1e9 */
	if (memchr(number.p, 'e', number.len) != NULL ||
	    memchr(number.p, 'E', number.len) != NULL)
		return false;
	number.len = digits;
	if (str_to_u64(out, number, seconds_max) != SW_OK)
		*out = seconds_max;
	return true;
}

static int
check_times(struct grant *g, const struct conf *conf, struct str exp,
    struct str nbf, uint64_t now_ms, const char **why)
{
	uint64_t seconds;

	if (exp.p != NULL) {
		if (!read_date(exp, &seconds))
			return refuse(why, "The token's exp is no time.");
		g->expires_ms = seconds * 1000 + conf->token_leeway_ms;
		/* RFC 7519 4.1.4: "on or after" */
		if (now_ms >= g->expires_ms)
			return refuse(why, "The token has expired.");
	}
	if (nbf.p != NULL) {
		if (!read_date(nbf, &seconds))
			return refuse(why, "The token's nbf is no time.");
		if (now_ms + conf->token_leeway_ms < seconds * 1000)
			return refuse(why, "The token is not valid yet.");
	}
	return SW_OK;
}

static bool
is_one_of(struct str value, char *const *texts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (json_is(value, texts[i]))
			return true;
	return false;
}

/* RFC 7519 4.1.3: a string, or an array of strings. */
static bool
audience_fits(const struct conf *conf, struct str aud)
{
	struct json_iter it;
	struct str element;
	bool fits = false;

	if (is_string(aud))
		return is_one_of(
		    aud, conf->token_audience, conf->token_audience_count);
	if (aud.p == NULL || !json_array(&it, aud))
		return false;
	while (json_element(&it, &element)) {
		if (!is_string(element))
			return false;
		fits |= is_one_of(
		    element, conf->token_audience, conf->token_audience_count);
	}
	return fits;
}

static int
check_parties(
    const struct conf *conf, struct str iss, struct str aud, const char **why)
{
	if (conf->token_issuer_count > 0 &&
	    (!is_string(iss) ||
		!is_one_of(iss, conf->token_issuer, conf->token_issuer_count)))
		return refuse(
		    why, "The token's iss is not one that is accepted here.");
	if ((conf->token_audience_count > 0 || aud.p != NULL) &&
	    !audience_fits(conf, aud))
		return refuse(why, "The token's aud is not this gateway.");
	return SW_OK;
}

int
token_copy_string(char **out, struct str raw, size_t max)
{
	struct buf text;
	int err;

	buf_init(&text, max + 1);
	if ((err = json_unescape(&text, raw)) == SW_OK && buf_len(&text) > 0 &&
	    memchr(buf_head(&text), '\0', buf_len(&text)) != NULL)
		err = SW_EINVAL;
	if (err == SW_OK)
		err = buf_put(&text, "", 1);
	if (err == SW_OK)
		*out = (char *)buf_take(&text, &max);
	buf_fini(&text);
	return err == SW_ELIMIT ? SW_EINVAL : err;
}

static int
read_user(struct grant *g, struct str sub, const char **why)
{
	int err = SW_OK;

	if (sub.p == NULL)
		return SW_OK;
	if (!is_string(sub) ||
	    (err = token_copy_string(&g->user, sub, TOKEN_USER_MAX)) ==
		SW_EINVAL)
		return refuse(
		    why, "The token's sub is no text of up to 255 bytes.");
	return err;
}

/* Takes the pattern, whatever comes of it. */
static int
keep_pattern(struct patterns *p, char *pattern)
{
	char **items = NULL;
	int err = pattern_valid(str_of(pattern)) ? SW_OK : SW_EINVAL;

	if (err == SW_OK) {
		items = realloc(p->items, (p->count + 1) * sizeof(*items));
		err = items == NULL ? SW_ENOMEM : SW_OK;
	}
	if (err != SW_OK) {
		free(pattern);
		return err;
	}
	p->items = items;
	items[p->count++] = pattern;
	return SW_OK;
}

int
patterns_add(struct patterns *p, struct str pattern)
{
	char *copy = strndup(pattern.p, pattern.len);

	return copy == NULL ? SW_ENOMEM : keep_pattern(p, copy);
}

static int
add_pattern(struct patterns *p, struct str raw)
{
	char *pattern = NULL;
	int err;

	if (!is_string(raw))
		return SW_EINVAL;
	err = token_copy_string(&pattern, raw, PATTERN_MAX);
	return err != SW_OK ? err : keep_pattern(p, pattern);
}

int
patterns_read(struct patterns *p, struct str list)
{
	struct json_iter it;
	struct str element;
	int err = SW_OK;

	if (list.p == NULL)
		return SW_OK;
	if (!json_array(&it, list))
		return SW_EINVAL;
	while (err == SW_OK && json_element(&it, &element))
		err = add_pattern(p, element);
	return err;
}

static int
read_channels(struct grant *g, struct str channels, const char **why)
{
	struct member members[] = { { "subscribe", { NULL, 0 } },
		{ "send", { NULL, 0 } } };
	int err;

	if (channels.p == NULL)
		return SW_OK;
	if (!find_members(channels, members, 2))
		err = SW_EINVAL;
	else if ((err = patterns_read(&g->subscribe, members[0].value)) ==
	    SW_OK)
		err = patterns_read(&g->send, members[1].value);
	return err != SW_EINVAL ?
	    err :
	    refuse(why,
		"The token's channels are not {\"subscribe\": [...], "
		"\"send\": [...]} with patterns of channels.");
}

int
token_claims(struct grant **out, const struct conf *conf, struct str json,
    uint64_t now_ms, const char **why)
{
	enum { ISS, SUB, AUD, EXP, NBF, CHANNELS, CLAIMS };
	struct member m[CLAIMS] = {
		[ISS] = { "iss", { NULL, 0 } },
		[SUB] = { "sub", { NULL, 0 } },
		[AUD] = { "aud", { NULL, 0 } },
		[EXP] = { "exp", { NULL, 0 } },
		[NBF] = { "nbf", { NULL, 0 } },
		[CHANNELS] = { "channels", { NULL, 0 } },
	};
	struct grant *g;
	int err;

	if (!find_members(json, m, CLAIMS))
		return refuse(why, "The token's claims cannot be understood.");
	g = calloc(1, sizeof(*g));
	if (g == NULL)
		return SW_ENOMEM;
	if ((err = check_times(
		 g, conf, m[EXP].value, m[NBF].value, now_ms, why)) != SW_OK ||
	    (err = check_parties(conf, m[ISS].value, m[AUD].value, why)) !=
		SW_OK ||
	    (err = read_user(g, m[SUB].value, why)) != SW_OK ||
	    (err = read_channels(g, m[CHANNELS].value, why)) != SW_OK) {
		grant_free(g);
		return err;
	}
	*out = g;
	return SW_OK;
}

int
token_read(struct grant **out, const struct conf *conf, struct str token,
    uint64_t now_ms, const char **why)
{
	struct buf header, signature, payload;
	struct parts p;
	int err;

	if (!split(&p, token))
		return refuse(
		    why, "This is no token: three parts with dots between.");
	buf_init(&header, TOKEN_MAX);
	buf_init(&signature, TOKEN_MAX);
	buf_init(&payload, TOKEN_MAX);
	/* Nothing of the claims is looked at before it is known who made it. */
	if ((err = base64url_decode(&header, p.header)) == SW_OK &&
	    (err = base64url_decode(&signature, p.signature)) == SW_OK &&
	    (err = check_signature(conf, &p, buf_str(&header),
		 buf_str(&signature), why)) == SW_OK &&
	    (err = base64url_decode(&payload, p.payload)) == SW_OK)
		err = token_claims(out, conf, buf_str(&payload), now_ms, why);
	buf_fini(&header);
	buf_fini(&signature);
	buf_fini(&payload);
	if (err == SW_EINVAL)
		return refuse(why, "The token is not made of base64url.");
	return err;
}

static void
patterns_fini(struct patterns *p)
{
	while (p->count > 0)
		free(p->items[--p->count]);
	free(p->items);
}

void
granted_free(struct granted *g)
{
	if (g == NULL)
		return;
	patterns_fini(&g->subscribe);
	patterns_fini(&g->send);
	free(g->user);
	free(g->meta);
	free(g);
}

static int
patterns_reserve(struct patterns *p, size_t more)
{
	char **items;

	if (more == 0)
		return SW_OK;
	items = realloc(p->items, (p->count + more) * sizeof(*items));
	if (items == NULL)
		return SW_ENOMEM;
	p->items = items;
	return SW_OK;
}

/* For which there is room. */
static void
patterns_move(struct patterns *to, struct patterns *from)
{
	for (size_t i = 0; i < from->count; i++)
		to->items[to->count++] = from->items[i];
	from->count = 0;
}

static void
replace(char **text, char **by)
{
	if (*by == NULL)
		return;
	free(*text);
	*text = *by;
	*by = NULL;
}

int
granted_merge(struct granted *g, struct granted *more)
{
	if (patterns_reserve(&g->subscribe, more->subscribe.count) != SW_OK ||
	    patterns_reserve(&g->send, more->send.count) != SW_OK)
		return SW_ENOMEM;
	patterns_move(&g->subscribe, &more->subscribe);
	patterns_move(&g->send, &more->send);
	replace(&g->user, &more->user);
	replace(&g->meta, &more->meta);
	g->expires_ms = more->expires_ms;
	return SW_OK;
}

static int
copy_text(char **out, const char *text)
{
	*out = text == NULL ? NULL : strdup(text);
	return text == NULL || *out != NULL ? SW_OK : SW_ENOMEM;
}

static int
copy_patterns(struct patterns *to, const struct patterns *from)
{
	int err = SW_OK;

	for (size_t i = 0; i < from->count && err == SW_OK; i++)
		err = patterns_add(to, str_of(from->items[i]));
	return err;
}

int
granted_copy(struct granted **out, const struct granted *g)
{
	struct granted *copy = calloc(1, sizeof(*copy));

	if (copy == NULL)
		return SW_ENOMEM;
	copy->expires_ms = g->expires_ms;
	if (copy_text(&copy->user, g->user) != SW_OK ||
	    copy_text(&copy->meta, g->meta) != SW_OK ||
	    copy_patterns(&copy->subscribe, &g->subscribe) != SW_OK ||
	    copy_patterns(&copy->send, &g->send) != SW_OK) {
		granted_free(copy);
		return SW_ENOMEM;
	}
	*out = copy;
	return SW_OK;
}

void
grant_free(struct grant *g)
{
	if (g == NULL)
		return;
	patterns_fini(&g->subscribe);
	patterns_fini(&g->send);
	granted_free(g->granted);
	free(g->user);
	free(g);
}

const char *
grant_user(const struct grant *g)
{
	if (g == NULL)
		return NULL;
	return g->granted != NULL && g->granted->user != NULL ?
	    g->granted->user :
	    g->user;
}

uint64_t
grant_expires_ms(const struct grant *g)
{
	uint64_t backend = g->granted == NULL ? 0 : g->granted->expires_ms;

	if (backend == 0 || (g->expires_ms != 0 && g->expires_ms < backend))
		return g->expires_ms;
	return backend;
}

bool
patterns_match(const struct patterns *p, struct str channel)
{
	for (size_t i = 0; i < p->count; i++)
		if (pattern_matches(p->items[i], channel))
			return true;
	return false;
}
