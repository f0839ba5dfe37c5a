#include "conf/settings.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "conf/fields.h"
#include "conf/pattern.h"
#include "conf/secret.h"
#include "proxy/base/digest.h"
#include "proxy/base/err.h"
#include "proxy/base/network.h"

void
settings_init(struct settings *s)
{
	*s = (struct settings){ .error = SW_OK };
	settings_add_block(s, (struct place){ .line = 0 }, "*");
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
settings_add_block(struct settings *s, struct place at, const char *pattern)
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
	struct conf *conf;
	struct faults *faults;
	const struct setting **seen; /* by directive, in the same block */
	int error;
};

/* The first block is the default: the last policy. */
static struct policy *
policy_of(const struct conf *c, size_t block)
{
	return &c->policies[block == 0 ? c->policy_count - 1 : block - 1];
}

static void *
base_of(const struct build *b, const struct directive *d, size_t block)
{
	return d->channel ? (void *)policy_of(b->conf, block) : b->conf;
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
	err = secret_resolve(&secrets[c->bridge_secret_count], text, advice);
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
	const struct setting **seen = &b->seen[d - directives];

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
	}
	set_value(b, s);
}

static void
forget_seen(struct build *b)
{
	for (size_t i = 0; i < directive_count; i++)
		b->seen[i] = NULL;
}

/* The fallbacks, then what stands outside of blocks. */
static void
apply_globals(struct build *b, const struct settings *s)
{
	struct buf advice;

	buf_init(&advice, 1024);
	for (size_t i = 0; i < directive_count; i++) {
		const struct directive *d = &directives[i];

		if (d->fallback != NULL && b->error == SW_OK)
			b->error = field_set(
			    d, base_of(b, d, 0), str_of(d->fallback), &advice);
	}
	buf_fini(&advice);
	for (size_t i = 0; i < s->count; i++)
		if (s->items[i].block == 0)
			apply_setting(b, &s->items[i]);
}

/* Blocks inherit, wherever in the file the global settings stand. */
static void
apply_blocks(struct build *b, const struct settings *s)
{
	size_t block = 0;

	for (size_t i = 0; i < directive_count; i++)
		for (size_t j = 1; j < s->block_count; j++)
			if (directives[i].channel)
				field_copy(&directives[i],
				    policy_of(b->conf, j),
				    policy_of(b->conf, 0));
	for (size_t i = 0; i < s->count; i++) {
		if (s->items[i].block == 0)
			continue;
		if (s->items[i].block != block)
			forget_seen(b);
		block = s->items[i].block;
		apply_setting(b, &s->items[i]);
	}
}

static void
apply_patterns(struct build *b, const struct settings *s)
{
	char quoted[LOG_QUOTED];

	for (size_t i = 0; i < s->block_count; i++) {
		const struct block *it = &s->blocks[i];
		struct policy *p = policy_of(b->conf, i);

		p->pattern = strdup(it->pattern);
		if (p->pattern == NULL)
			b->error = SW_ENOMEM;
		if (!pattern_valid(str_of(it->pattern)))
			faults_add(b->faults, it->at,
			    "channel %s: write a pattern of 1 to %d of "
			    "A-Z a-z 0-9 . _ ~ : - and *",
			    log_quote(quoted, str_of(it->pattern)),
			    PATTERN_MAX);
		for (size_t j = 1; j < i; j++) {
			const struct block *other = &s->blocks[j];

			if (strcmp(it->pattern, other->pattern) != 0)
				continue;
			faults_add(b->faults, it->at,
			    "channel %s has a block at %s:%u already: put all "
			    "of its settings there",
			    log_quote(quoted, str_of(it->pattern)),
			    other->at.path, other->at.line);
			break;
		}
	}
}

int
settings_apply(
    struct conf **out, const struct settings *s, struct faults *faults)
{
	struct build b = { .faults = faults, .error = s->error };

	if (b.error != SW_OK)
		return b.error;
	b.conf = calloc(1, sizeof(*b.conf));
	b.seen = calloc(directive_count, sizeof(*b.seen));
	if (b.conf != NULL)
		b.conf->policies =
		    calloc(s->block_count, sizeof(*b.conf->policies));
	if (b.seen == NULL || b.conf == NULL || b.conf->policies == NULL) {
		b.error = SW_ENOMEM;
	} else {
		b.conf->policy_count = s->block_count;
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
