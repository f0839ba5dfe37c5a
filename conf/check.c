#include "conf/check.h"
#include "conf/backend.h"
#include "conf/check_backend.h"
#include "conf/check_routes.h"
#include "conf/check_use.h"

#include <netinet/in.h>

#include "conf/fields.h"
#include "conf/values.h"
#include "proxy/base/err.h"
#include "proxy/base/pattern.h"

struct check {
	const struct settings *settings;
	const struct conf *conf;
	struct faults *faults;
};

/* Where a directive was set outside of blocks; NULL if nowhere. */
static const struct setting *
find_setting(const struct check *k, const struct directive *d)
{
	for (size_t i = 0; i < k->settings->count; i++)
		if (k->settings->items[i].directive == d &&
		    k->settings->items[i].block == 0)
			return &k->settings->items[i];
	return NULL;
}

static void
check_pair(const struct check *k, const struct directive_pair *pair)
{
	const struct directive *low = directive_find(str_of(pair->low));
	const struct directive *high = directive_find(str_of(pair->high));
	const struct setting *at = find_setting(k, low);
	uint64_t high_value = field_number(high, conf_base(k->conf, high));
	struct buf limit;

	if (at == NULL)
		at = find_setting(k, high);
	if (at == NULL ||
	    field_number(low, conf_base(k->conf, low)) <= high_value)
		return;
	buf_init(&limit, 64);
	field_put_number(high, high_value, &limit);
	faults_add(k->faults, at->at, "write %s = %.*s or less, or a larger %s",
	    low->name, STR_ARG(buf_str(&limit)), high->name);
	buf_fini(&limit);
}

/* False if there is no address in the text. */
static bool
address_of(struct listen_address *out, const char *text)
{
	struct buf advice;
	int err;

	buf_init(&advice, 1024);
	err = value_address(out, str_of(text), &advice);
	buf_fini(&advice);
	return err == SW_OK;
}

/* What others reach asks for a decision, or for a token. */
static void
check_reach(const struct check *k, const struct setting *s)
{
	const struct directive *token = directive_find(STR("api-token"));
	bool api = str_starts(str_of(s->directive->name), "api-listen");
	bool known = str_is(str_of(s->directive->name), "api-listen-tls") &&
	    k->conf->api_client_ca_count > 0;
	char quoted[LOG_QUOTED];
	struct listen_address a;

	if (!address_of(&a, s->text) || a.loopback || known ||
	    str_is(str_of(s->directive->name), "redirect-listen"))
		return;
	log_quote(quoted, str_of(s->text));
	if (api && find_setting(k, token) == NULL)
		faults_add(k->faults, s->at,
		    "write api-token = \"...\" as well, or listen on loopback: "
		    "others reach %s",
		    quoted);
	else if (!api && !k->conf->anonymous &&
	    find_setting(k, directive_find(STR("token-key"))) == NULL &&
	    !k->conf->policies[k->conf->policy_count - 1].bridge_connect)
		faults_add(k->faults, s->at,
		    "write anonymous = yes if everybody who reaches %s may "
		    "subscribe, token-key = \"...\" if clients carry tokens, "
		    "or listen on loopback, such as 127.0.0.1:8080",
		    quoted);
}

/* Whoever reaches the demo may publish, and break what is his. */
static void
check_demo(const struct check *k, const struct setting *s)
{
	char quoted[LOG_QUOTED];
	struct listen_address a;

	if (!k->conf->demo || !address_of(&a, s->text) || a.loopback)
		return;
	log_quote(quoted, str_of(s->text));
	faults_add(k->faults, s->at,
	    "write demo = no, or listen on loopback: others reach %s", quoted);
}

/*
 * A channel that asks for tokens, where nobody could have one. Sending may be
 * granted by the backend in the place of a token.
 */
static void
check_access(const struct check *k, const struct setting *s)
{
	size_t offset = s->directive->offset;
	bool send = offset == offsetof(struct policy, send_access);

	if (!s->directive->channel || strcmp(s->text, "token") != 0 ||
	    (offset != offsetof(struct policy, subscribe) && !send) ||
	    (send && setting_policy(k->settings, k->conf, s)->bridge_connect) ||
	    find_setting(k, directive_find(STR("token-key"))) != NULL)
		return;
	faults_add(k->faults, s->at,
	    "write token-key = \"...\" as well: without a key no token is "
	    "valid, and %s = token lets nobody in",
	    s->directive->name);
}

static bool
tells_backend(const struct setting *s)
{
	size_t offset = s->directive->offset;
	struct buf advice;
	bool flag;
	int err;

	if (!s->directive->channel)
		return false;
	if (offset == offsetof(struct policy, send))
		return strcmp(s->text, "bridge") == 0;
	if (offset != offsetof(struct policy, bridge_connect) &&
	    offset != offsetof(struct policy, bridge_presence))
		return false;
	buf_init(&advice, 1024);
	err = value_flag(&flag, str_of(s->text), &advice);
	buf_fini(&advice);
	return err == SW_OK && flag;
}

/* The bridge needs a backend at its other end. */
static void
check_bridge(const struct check *k, const struct setting *s)
{
	const struct directive *d = s->directive;

	if (tells_backend(s) && conf_backend(k->conf)->backend_count == 0)
		faults_add(k->faults, s->at,
		    "write backend = \"...\" as well: %s = %s needs it",
		    d->name, s->text);
	/* Through the proxy, anybody could send it what we send. */
	if (tells_backend(s) && k->conf->bridge_secret_count == 0)
		faults_add(k->faults, s->at,
		    "write bridge-secret = \"...\" as well: by its signatures "
		    "the backend knows our requests from those of clients");
}

static bool
is_unspecified(const struct listen_address *a)
{
	const struct sockaddr_in *in = (const void *)&a->addr;
	const struct sockaddr_in6 *in6 = (const void *)&a->addr;

	return (a->addr.ss_family == AF_INET &&
		   in->sin_addr.s_addr == htonl(INADDR_ANY)) ||
	    (a->addr.ss_family == AF_INET6 &&
		IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr));
}

/* 0 for Unix sockets, and where the system chooses. */
static in_port_t
port_of(const struct listen_address *a)
{
	if (a->addr.ss_family == AF_INET)
		return ((const struct sockaddr_in *)(const void *)&a->addr)
		    ->sin_port;
	if (a->addr.ss_family == AF_INET6)
		return ((const struct sockaddr_in6 *)(const void *)&a->addr)
		    ->sin6_port;
	return 0;
}

/* Would two listeners there share their clients? */
static bool
same_address(const struct listen_address *a, const struct listen_address *b)
{
	if (a->addr.ss_family != AF_UNIX && port_of(a) == 0)
		return false;
	if (is_unspecified(a) && is_unspecified(b))
		return port_of(a) == port_of(b);
	return memcmp(&a->addr, &b->addr, sizeof(a->addr)) == 0;
}

/* Where a backend is, if its host is no name. */
static bool
address_of_backend(struct listen_address *out, const char *text)
{
	const char *port = str_starts(str_of(text), "https:") ? ":443" : ":80";
	struct backend_origin b;
	struct buf advice, place;
	bool known = false;

	buf_init(&advice, 1024);
	buf_init(&place, 1024);
	if (value_backend(&b, str_of(text), &advice) == SW_OK) {
		buf_puts(&place, b.socket_path.p == NULL ? "" : "unix:");
		buf_put_str(
		    &place, b.socket_path.p == NULL ? b.host : b.socket_path);
		known = value_address(out, buf_str(&place), &advice) == SW_OK;
		/* Without a port it is none. */
		buf_puts(&place, port);
		known = known ||
		    (b.socket_path.p == NULL &&
			value_address(out, buf_str(&place), &advice) == SW_OK);
	}
	buf_fini(&place);
	buf_fini(&advice);
	return known;
}

/* What asks itself asks without an end. */
static void
check_loop(const struct check *k, const struct setting *s)
{
	const struct conf *c = k->conf;
	struct listen_address backend, own;

	if (!address_of_backend(&backend, s->text))
		return;
	for (size_t i = 0; i < c->listen_count + c->listen_tls_count; i++) {
		const char *text = i < c->listen_count ?
		    c->listen[i] :
		    c->listen_tls[i - c->listen_count];

		if (!address_of(&own, text) ||
		    (!same_address(&own, &backend) &&
			(!is_unspecified(&own) || !backend.loopback ||
			    port_of(&own) == 0 ||
			    port_of(&own) != port_of(&backend))))
			continue;
		faults_add(k->faults, s->at,
		    "write where the application is for backend: at %s it is "
		    "the gateway itself that listens",
		    text);
		return;
	}
}

/* Is the address of `s` that of a setting before it, or of a default? */
static void
check_taken(const struct check *k, const struct setting *s)
{
	struct listen_address a, b;

	if (!address_of(&a, s->text))
		return;
	for (const struct setting *t = k->settings->items; t < s; t++)
		if (t->directive->kind == KIND_ADDRESSES &&
		    address_of(&b, t->text) && same_address(&a, &b))
			faults_add(k->faults, s->at,
			    "write another address for %s: %s has this one at "
			    "%s:%u",
			    s->directive->name, t->directive->name, t->at.path,
			    t->at.line);
	for (size_t i = 0; i < directive_count(); i++) {
		const struct directive *d = directive_at(i);

		if (d->kind == KIND_ADDRESSES && find_setting(k, d) == NULL &&
		    address_of(&b, d->fallback) && same_address(&a, &b))
			faults_add(k->faults, s->at,
			    "write another address for %s, or set %s as well: "
			    "this one is its default",
			    s->directive->name, d->name);
	}
}

/* A word that stands for no address stands alone. */
static void
check_alone(const struct check *k, const struct setting *s)
{
	const struct directive *d = s->directive;

	if (d->words == NULL || strcmp(s->text, d->words[0]) != 0)
		return;
	for (size_t i = 0; i < k->settings->count; i++) {
		const struct setting *other = &k->settings->items[i];

		if (other != s && other->directive == d) {
			faults_add(k->faults, s->at,
			    "write \"%s\" for %s alone, or leave it out",
			    d->words[0], d->name);
			return;
		}
	}
}

/* SQLite's own word: each connection would have a database of its own. */
static void
check_store(const struct check *k)
{
	const struct setting *s = find_setting(k, directive_find(STR("store")));

	if (s != NULL && strcmp(s->text, ":memory:") == 0)
		faults_add(k->faults, s->at,
		    "store = \":memory:\": write memory, or the path of a "
		    "file");
}

/* One directive that is of no use without another. */
static void
check_needs(const struct check *k, const char *name, bool lacks,
    const char *needed, const char *why)
{
	const struct setting *s = find_setting(k, directive_find(str_of(name)));

	if (s != NULL && lacks)
		faults_add(k->faults, s->at, "write %s as well: %s %s", needed,
		    name, why);
}

/* An address with TLS needs a certificate, and that its key. */
static void
check_certificates(const struct check *k)
{
	const struct conf *c = k->conf;
	size_t certificates = c->tls_certificate_count;
	const struct setting *key =
	    find_setting(k, directive_find(STR("tls-key")));
	const struct setting *ocsp =
	    find_setting(k, directive_find(STR("tls-ocsp")));

	check_needs(k, "listen-tls",
	    c->listen_tls_count > 0 && certificates == 0,
	    "tls-certificate = \"...\"", "needs it");
	check_needs(k, "api-listen-tls",
	    c->api_listen_tls_count > 0 && certificates == 0,
	    "tls-certificate = \"...\"", "needs it");
	check_needs(k, "api-client-ca", c->api_listen_tls_count == 0,
	    "api-listen-tls = \"...\"", "is for those who come there");
	check_needs(k, "redirect-listen",
	    c->redirect_listen_count > 0 && c->listen_tls_count == 0 &&
		c->redirect_port == 0,
	    "listen-tls = \"...\", or redirect-port", "sends clients there");
	if (key != NULL && c->tls_key_count != certificates)
		faults_add(k->faults, key->at,
		    "write one tls-key for each tls-certificate, in the same "
		    "order, or none if the certificates' files have them");
	if (ocsp != NULL && c->tls_ocsp_count != certificates)
		faults_add(k->faults, ocsp->at,
		    "write one tls-ocsp for each tls-certificate, in the same "
		    "order, with \"none\" where there is none");
}

static bool
has_all_of(const struct check *k, const struct block *b, const struct block *it)
{
	struct str pattern = str_of(it->pattern);

	if (b->kind != it->kind || strcmp(b->pattern, it->pattern) == 0)
		return false;
	return b->kind == BLOCK_ROUTE ?
	    route_matches(&k->conf->routes[b->index], pattern) :
	    pattern_matches(b->pattern, pattern);
}

/*
 * Where a pattern matches the text of another one, star by star, it matches all
 * that this one does.
 */
static void
check_reachable(const struct check *k, const struct block *it)
{
	bool of_route = it->kind == BLOCK_ROUTE;
	char quoted[LOG_QUOTED];

	for (const struct block *b = &k->settings->blocks[1]; b < it; b++) {
		if (!has_all_of(k, b, it))
			continue;
		faults_add(k->faults, it->at,
		    "write this %s before %s at %s:%u, which has all of its "
		    "%s: the first one that matches holds",
		    of_route ? "route" : "block",
		    log_quote(quoted, str_of(b->pattern)), b->at.path,
		    b->at.line, of_route ? "paths" : "channels");
		return;
	}
}

void
settings_check(
    const struct settings *s, const struct conf *c, struct faults *faults)
{
	struct check k = { s, c, faults };

	for (size_t i = 0; i < directive_pair_count; i++)
		check_pair(&k, &directive_pairs[i]);
	check_certificates(&k);
	check_store(&k);
	for (size_t i = 1; i < s->block_count; i++)
		check_reachable(&k, &s->blocks[i]);
	routes_check(s, c, faults);
	backend_check(s, faults);
	for (size_t i = 0; i < s->count; i++) {
		const struct setting *it = &s->items[i];

		check_access(&k, it);
		check_bridge(&k, it);
		if (it->directive->kind == KIND_BACKENDS)
			check_loop(&k, it);
		if (it->directive->kind != KIND_ADDRESSES)
			continue;
		check_reach(&k, it);
		check_demo(&k, it);
		check_taken(&k, it);
		check_alone(&k, it);
	}
	use_check(s, c, faults);
}
