#include "conf/settings.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "conf/fields.h"
#include "conf/secret.h"
#include "proxy/base/digest.h"
#include "proxy/base/err.h"
#include "proxy/base/network.h"
#include "proxy/base/pattern.h"

void
settings_init(struct settings *s)
{
	*s = (struct settings){ .error = SW_OK };
	settings_add_block(s, (struct place){ .line = 0 }, BLOCK_NONE, "*");
}

void
settings_fini(struct settings *s)
{
	while (s->count > 0)
		free(s->items[--s->count].text);
	while (s->block_count > 0)
		free(s->blocks[--s->block_count].pattern);
	free(s->items);
	free(s->blocks);
	s->items = NULL;
	s->blocks = NULL;
}

void
settings_add_block(struct settings *s, struct place at, enum block_kind kind,
    const char *pattern)
{
	struct block *blocks =
	    realloc(s->blocks, (s->block_count + 1) * sizeof(*blocks));
	char *copy = strdup(pattern);

	if (blocks != NULL)
		s->blocks = blocks;
	if (blocks == NULL || copy == NULL) {
		free(copy);
		s->error = SW_ENOMEM;
		return;
	}
	blocks[s->block_count].at = at;
	blocks[s->block_count].kind = kind;
	blocks[s->block_count].index = s->kind_counts[kind]++;
	blocks[s->block_count].pattern = copy;
	s->block_count++;
}

void
settings_add(struct settings *s, const struct setting *like, const char *text)
{
	struct setting *items =
	    realloc(s->items, (s->count + 1) * sizeof(*items));
	char *copy = strdup(text);

	if (items != NULL)
		s->items = items;
	if (items == NULL || copy == NULL) {
		free(copy);
		s->error = SW_ENOMEM;
		return;
	}
	items[s->count] = *like;
	items[s->count].text = copy;
	s->count++;
}

/* A configuration under construction. */
struct build {
	const struct settings *settings;
	struct conf *conf;
	struct faults *faults;
	const struct setting **seen; /* by directive, in the same block */
	int error;
};

/* Where a block's directives are set; outside of blocks, the defaults are. */
static void *
base_of(const struct build *b, const struct directive *d, size_t block)
{
	const struct block *it = &b->settings->blocks[block];

	if (it->kind == BLOCK_CHANNEL)
		return &b->conf->policies[it->index];
	if (it->kind == BLOCK_ROUTE)
		return &b->conf->routes[it->index];
	return conf_base(b->conf, d);
}

static int
keep_api_token(struct conf *c, struct str text, struct buf *advice)
{
	struct api_token *tokens =
	    realloc(c->api_token, (c->api_token_count + 1) * sizeof(*tokens));
	int err;

	if (tokens == NULL)
		return SW_ENOMEM;
	c->api_token = tokens;
	err = api_token_read(&tokens[c->api_token_count], text, advice);
	c->api_token_count += err == SW_OK;
	return err;
}

/* A secret of Standard Webhooks: base64 of 16 bytes or more. */
static int
keep_bridge_secret(struct conf *c, struct str text, struct buf *advice)
{
	char **secrets = realloc(
	    c->bridge_secret, (c->bridge_secret_count + 1) * sizeof(*secrets));
	struct buf key;
	int err;

	if (secrets == NULL)
		return SW_ENOMEM;
	c->bridge_secret = secrets;
	err = secret_resolve(
	    &secrets[c->bridge_secret_count], text, "secret", 0, advice);
	if (err != SW_OK)
		return err;
	text = str_of(secrets[c->bridge_secret_count++]);
	if (str_starts(text, "whsec_"))
		text = (struct str){ text.p + 6, text.len - 6 };
	buf_init(&key, SECRET_MAX);
	err = base64_decode(&key, text);
	if (err == SW_EINVAL || (err == SW_OK && buf_len(&key) < 16)) {
		buf_puts(advice,
		    "write whsec_ and base64 behind it: `echo whsec_$(openssl "
		    "rand -base64 32)` makes one");
		err = SW_EINVAL;
	}
	buf_fini(&key);
	return err;
}

static int
keep_secret(struct conf *c, const struct directive *d, struct str text,
    struct buf *advice)
{
	if (d->offset == offsetof(struct conf, bridge_secret_text))
		return keep_bridge_secret(c, text, advice);
	return keep_api_token(c, text, advice);
}

static int
keep_key(struct conf *c, struct str text, struct buf *advice)
{
	struct token_key *keys =
	    realloc(c->token_key, (c->token_key_count + 1) * sizeof(*keys));
	int err;

	if (keys == NULL)
		return SW_ENOMEM;
	c->token_key = keys;
	err = token_key_read(&keys[c->token_key_count], text, advice);
	c->token_key_count += err == SW_OK;
	return err;
}

static int
keep_network(struct conf *c, const struct directive *d, struct str text,
    struct buf *advice)
{
	bool trusted = d->offset == offsetof(struct conf, trusted_proxy_text);
	struct network **list =
	    trusted ? &c->trusted_proxy : &c->proxy_protocol;
	size_t *count =
	    trusted ? &c->trusted_proxy_count : &c->proxy_protocol_count;
	struct network *more = realloc(*list, (*count + 1) * sizeof(*more));

	if (more == NULL)
		return SW_ENOMEM;
	*list = more;
	if (network_parse(&more[*count], text) != SW_OK) {
		buf_puts(advice,
		    "write an address, a network whose address is zero behind "
		    "its bits, such as 10.0.0.0/8, or unix");
		return SW_EINVAL;
	}
	++*count;
	return SW_OK;
}

static void
set_value(struct build *b, const struct setting *s)
{
	const struct directive *d = s->directive;
	struct str text = str_of(s->text);
	char quoted[LOG_QUOTED] = "";
	struct buf advice;
	int err = SW_OK;

	buf_init(&advice, 8 * 1024);
	if (d->kind == KIND_TOKENS)
		err = keep_secret(b->conf, d, text, &advice);
	else if (d->kind == KIND_KEYS)
		err = keep_key(b->conf, text, &advice);
	else if (d->kind == KIND_NETWORKS)
		err = keep_network(b->conf, d, text, &advice);
	if (err == SW_OK)
		err = field_set(d, base_of(b, d, s->block), text, &advice);
	if (err != SW_OK && err != SW_EINVAL) {
		b->error = err;
	} else if (err == SW_EINVAL && directive_is_secret(d)) {
		/* A fault is read by more people than a token should be. */
		faults_add(b->faults, s->at, "%s: %.*s", d->name,
		    STR_ARG(buf_str(&advice)));
	} else if (err == SW_EINVAL) {
		faults_add(b->faults, s->at, "%s = %s: %.*s", d->name,
		    log_quote(quoted, text), STR_ARG(buf_str(&advice)));
	}
	buf_fini(&advice);
}

static void
apply_setting(struct build *b, const struct setting *s)
{
	const struct directive *d = s->directive;
	const struct setting **seen = &b->seen[directive_index(d)];

	if (!s->adds && *seen != NULL) {
		faults_add(b->faults, s->at,
		    directive_is_list(d) ?
			"%s is set at %s:%u already: write += to add to it" :
			"%s is set at %s:%u already: leave out one of the "
			"two",
		    d->name, (*seen)->at.path, (*seen)->at.line);
		return;
	}
	if (!s->adds) {
		*seen = s;
		if (directive_is_list(d))
			field_clear(d, base_of(b, d, s->block));
		if (d->kind == KIND_BACKENDS)
			((struct route *)base_of(b, d, s->block))->own = true;
	}
	set_value(b, s);
}

static void
forget_seen(struct build *b)
{
	for (size_t i = 0; i < directive_count(); i++)
		b->seen[i] = NULL;
}

/* The fallbacks, then what stands outside of blocks. */
static void
apply_globals(struct build *b, const struct settings *s)
{
	struct buf advice;

	buf_init(&advice, 1024);
	for (size_t i = 0; i < directive_count(); i++) {
		const struct directive *d = directive_at(i);

		if (d->fallback != NULL && b->error == SW_OK)
			b->error = field_set(
			    d, base_of(b, d, 0), str_of(d->fallback), &advice);
	}
	buf_fini(&advice);
	for (size_t i = 0; i < s->count; i++)
		if (s->items[i].block == 0)
			apply_setting(b, &s->items[i]);
}

/* All that is set outside of it. */
static void
inherit(struct build *b, size_t block)
{
	for (size_t i = 0; i < directive_count(); i++) {
		const struct directive *d = directive_at(i);

		if (b->error == SW_OK &&
		    directive_stands_in(d, b->settings->blocks[block].kind))
			b->error = field_copy(
			    d, base_of(b, d, block), base_of(b, d, 0));
	}
}

/* Blocks inherit, wherever in the file the global settings stand. */
static void
apply_blocks(struct build *b, const struct settings *s)
{
	size_t block = 0;

	for (size_t j = 1; j < s->block_count; j++)
		inherit(b, j);
	for (size_t i = 0; i < s->count; i++) {
		if (s->items[i].block == 0)
			continue;
		if (s->items[i].block != block)
			forget_seen(b);
		block = s->items[i].block;
		apply_setting(b, &s->items[i]);
	}
}

/* Of "/a/" and a star it is "/a". */
static int
set_route_pattern(struct route *r, const char *pattern)
{
	size_t n = strlen(pattern);
	bool has_bare = n >= 2 && strcmp(pattern + n - 2, "/*") == 0;

	r->pattern = strdup(pattern);
	r->bare = has_bare ? strndup(pattern, n - 2) : NULL;
	return r->pattern == NULL || (has_bare && r->bare == NULL) ? SW_ENOMEM :
								     SW_OK;
}

static int
set_pattern(struct conf *c, const struct block *it)
{
	struct policy *p =
	    &c->policies[it->kind == BLOCK_NONE ? c->policy_count - 1 :
						  it->index];

	if (it->kind == BLOCK_ROUTE)
		return set_route_pattern(&c->routes[it->index], it->pattern);
	p->pattern = strdup(it->pattern);
	return p->pattern == NULL ? SW_ENOMEM : SW_OK;
}

static void
check_pattern(struct build *b, const struct block *it)
{
	char quoted[LOG_QUOTED];

	log_quote(quoted, str_of(it->pattern));
	if (it->kind == BLOCK_ROUTE) {
		if (!route_pattern_valid(str_of(it->pattern)))
			faults_add(b->faults, it->at,
			    "route %s: write a path of 1 to %d characters as "
			    "it is without escapes, such as \"/api/*\"",
			    quoted, ROUTE_PATTERN_MAX);
	} else if (!pattern_valid(str_of(it->pattern))) {
		faults_add(b->faults, it->at,
		    "channel %s: write a pattern of 1 to %d of "
		    "A-Z a-z 0-9 . _ ~ : - and *",
		    quoted, PATTERN_MAX);
	}
	for (size_t j = 1; &b->settings->blocks[j] < it; j++) {
		const struct block *other = &b->settings->blocks[j];

		if (other->kind != it->kind ||
		    strcmp(it->pattern, other->pattern) != 0)
			continue;
		faults_add(b->faults, it->at,
		    "%s %s has a block at %s:%u already: put all "
		    "of its settings there",
		    block_names[it->kind], quoted, other->at.path,
		    other->at.line);
		break;
	}
}

static void
apply_patterns(struct build *b, const struct settings *s)
{
	for (size_t i = 0; i < s->block_count && b->error == SW_OK; i++) {
		b->error = set_pattern(b->conf, &s->blocks[i]);
		if (i > 0)
			check_pattern(b, &s->blocks[i]);
	}
	if (b->error == SW_OK)
		b->error = set_route_pattern(
		    &b->conf->routes[b->conf->route_count - 1], "*");
}

/* An empty one, with room for all blocks. */
static bool
make_room(struct build *b)
{
	const size_t *counts = b->settings->kind_counts;
	struct conf *c = calloc(1, sizeof(*c));

	b->conf = c;
	b->seen = calloc(directive_count(), sizeof(*b->seen));
	if (c == NULL || b->seen == NULL)
		return false;
	c->policies = calloc(counts[BLOCK_CHANNEL] + 1, sizeof(*c->policies));
	c->routes = calloc(counts[BLOCK_ROUTE] + 1, sizeof(*c->routes));
	if (c->policies == NULL || c->routes == NULL)
		return false;
	c->policy_count = counts[BLOCK_CHANNEL] + 1;
	c->route_count = counts[BLOCK_ROUTE] + 1;
	return true;
}

int
settings_apply(
    struct conf **out, const struct settings *s, struct faults *faults)
{
	struct build b = {
		.settings = s,
		.faults = faults,
		.error = s->error,
	};

	if (b.error != SW_OK)
		return b.error;
	if (!make_room(&b)) {
		b.error = SW_ENOMEM;
	} else {
		apply_globals(&b, s);
		apply_blocks(&b, s);
		apply_patterns(&b, s);
	}
	free(b.seen);
	if (b.error != SW_OK) {
		conf_free(b.conf);
		b.conf = NULL;
	}
	*out = b.conf;
	return b.error;
}

const struct policy *
setting_policy(const struct settings *s, const struct conf *c,
    const struct setting *setting)
{
	return &c->policies[setting->block == 0 ?
		c->policy_count - 1 :
		s->blocks[setting->block].index];
}
