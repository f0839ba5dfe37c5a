#include "conf/check_routes.h"

struct check {
	const struct settings *settings;
	const struct conf *conf;
	struct faults *faults;
};

/* The gateway answers these itself, whatever the routes say. */
static void
check_ours(const struct check *k, const struct block *it)
{
	static const char *const beginnings[] = { "/stream/", "/spillway/" };
	static const char *const wholes[] = { "/spillway", "/healthz",
		"/readyz" };
	struct str pattern = str_of(it->pattern);
	char quoted[LOG_QUOTED];
	bool ours = false;

	for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++)
		ours = ours || str_starts(pattern, beginnings[i]);
	for (size_t i = 0; i < sizeof(wholes) / sizeof(wholes[0]); i++)
		ours = ours || str_is(pattern, wholes[i]);
	if (ours)
		faults_add(k->faults, it->at,
		    "leave out this route: the paths of %s are the gateway's "
		    "own",
		    log_quote(quoted, pattern));
}

static void
check_strip(const struct check *k, const struct block *it)
{
	const struct route *r = &k->conf->routes[it->index];

	if (r->strip_prefix && route_prefix(r) == 0)
		faults_add(k->faults, it->at,
		    "write strip-prefix = no in this block, or a pattern with "
		    "something before its one star, which ends it, such as "
		    "\"/api/*\"");
}

/* They have to find room in a head. */
static void
check_headers(const struct check *k, const struct setting *s)
{
	size_t before = 0;

	if (s->directive->kind != KIND_HEADERS)
		return;
	for (const struct setting *t = k->settings->items; t < s; t++)
		before += t->directive == s->directive && t->block == s->block;
	if (before == ROUTE_HEADERS_MAX)
		faults_add(k->faults, s->at, "write at most %d values for %s",
		    ROUTE_HEADERS_MAX, s->directive->name);
}

/* What is about the addresses of a backend needs these beside it. */
static void
check_pool(const struct check *k, const struct setting *s)
{
	const struct block *it = &k->settings->blocks[s->block];

	if (it->kind == BLOCK_ROUTE && s->directive->pool &&
	    !k->conf->routes[it->index].own)
		faults_add(k->faults, s->at,
		    "write backend = \"...\" in this block as well, or %s "
		    "outside: the route shares the backend from there",
		    s->directive->name);
}

/* "off" stands for no backend, and so stands alone. */
static void
check_off(const struct check *k, const struct setting *s)
{
	const struct directive *d = s->directive;

	if (d->kind != KIND_BACKENDS || strcmp(s->text, d->words[0]) != 0)
		return;
	for (size_t i = 0; i < k->settings->count; i++) {
		const struct setting *other = &k->settings->items[i];

		if (other == s || other->directive != d ||
		    other->block != s->block)
			continue;
		faults_add(k->faults, s->at,
		    "write \"%s\" for %s alone, or leave it out", d->words[0],
		    d->name);
		return;
	}
}

void
routes_check(
    const struct settings *s, const struct conf *c, struct faults *faults)
{
	struct check k = { s, c, faults };

	for (size_t i = 0; i < s->count; i++) {
		check_pool(&k, &s->items[i]);
		check_off(&k, &s->items[i]);
		check_headers(&k, &s->items[i]);
	}
	for (size_t i = 0; i < s->block_count; i++) {
		const struct block *it = &s->blocks[i];

		if (it->kind != BLOCK_ROUTE)
			continue;
		check_ours(&k, it);
		check_strip(&k, it);
	}
}
