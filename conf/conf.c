#include "conf/conf.h"

#include <confuse.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/check.h"
#include "conf/directives.h"
#include "conf/faults.h"
#include "conf/fields.h"
#include "conf/settings.h"
#include "conf/source.h"
#include "conf/syntax.h"
#include "proxy/base/err.h"
#include "proxy/base/pattern.h"

enum {
	INCLUDE_DEPTH_MAX = 8, /* files open at a time */
	FILES_MAX = 256,       /* files in all: includes may branch */
};

/* The reading of a file and all that it includes. */
struct loader {
	struct settings settings;
	struct faults faults;
	struct source *files[FILES_MAX];
	size_t file_count;
	struct source *open[INCLUDE_DEPTH_MAX];
	size_t depth;  /* of `open`; the last one is being read */
	bool too_many; /* more than FILES_MAX: a fault, once */
	int error;
};

/*
 * libconfuse has one scanner for the whole process and hands nothing of ours to
 * its callbacks: one file is read at a time, for the loader that holds the
 * lock.
 */
static pthread_mutex_t busy = PTHREAD_MUTEX_INITIALIZER;
static struct loader *current;

static struct place
place_in(const struct loader *l, const cfg_t *cfg)
{
	return source_place(l->open[l->depth - 1], (unsigned)cfg->line);
}

/*
 * A value: all are text to libconfuse, and lists, as it calls back for each
 * value of a list alone with its line. A first value means a new list.
 */
static int
on_value(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	struct loader *l = current;
	struct setting like = {
		.directive = directive_find(str_of(opt->name)),
		.at = place_in(l, cfg),
		.adds = opt->nvalues > 1,
		.block = cfg->title == NULL ? 0 : l->settings.block_count - 1,
	};

	*(const char **)result = value;
	settings_add(&l->settings, &like, value);
	return 0;
}

/*
 * The beginning of a block: libconfuse calls back only at its end, but it gives
 * an option its default when a block begins. The name cannot be written.
 */
#define BLOCK_BEGIN " begin"

static int
on_block(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	struct loader *l = current;

	(void)opt;
	*(const char **)result = value;
	settings_add_block(&l->settings, place_in(l, cfg),
	    strcmp(cfg->name, block_names[BLOCK_ROUTE]) == 0 ? BLOCK_ROUTE :
							       BLOCK_CHANNEL,
	    cfg->title);
	return 0;
}

/* syntax_check finds what is wrong first, so this is for what it lets pass. */
static void
on_error(cfg_t *cfg, const char *format, va_list args)
{
	struct loader *l = current;
	char text[512];

	vsnprintf(text, sizeof(text), format, args);
	faults_add(&l->faults, place_in(l, cfg), "%s", text);
}

static bool
may_open(struct loader *l, const char *path, struct place from)
{
	for (size_t i = 0; i < l->depth; i++) {
		if (strcmp(l->open[i]->path, path) == 0) {
			faults_add(&l->faults, from,
			    "leave out this include: %s is being read already",
			    path);
			return false;
		}
	}
	if (l->depth == INCLUDE_DEPTH_MAX) {
		faults_add(&l->faults, from,
		    "leave out this include: at most %d files include each "
		    "other",
		    INCLUDE_DEPTH_MAX);
		return false;
	}
	if (l->file_count == FILES_MAX) {
		if (!l->too_many) /* once will do */
			faults_add(&l->faults, from,
			    "leave out this include: there are at most %d "
			    "files",
			    FILES_MAX);
		l->too_many = true;
		return false;
	}
	return true;
}

/* The next file, open; NULL if there is a fault, at `from`, or no memory. */
static struct source *
open_file(struct loader *l, const char *path, struct place from)
{
	struct source *s = NULL;
	struct buf why;
	int err;

	if (!may_open(l, path, from))
		return NULL;
	buf_init(&why, 1024);
	err = source_read(&s, path, (unsigned)l->file_count, &why);
	if (err == SW_EINVAL && from.line == 0)
		faults_add(&l->faults, from, "%.*s", STR_ARG(buf_str(&why)));
	else if (err == SW_EINVAL)
		faults_add(&l->faults, from, "%s %.*s%s", path,
		    STR_ARG(buf_str(&why)),
		    strpbrk(path, "*?[") == NULL ? "" :
						   "; write an include for "
						   "each file: patterns are "
						   "not expanded");
	else if (err != SW_OK)
		l->error = err;
	buf_fini(&why);
	if (s != NULL) {
		l->files[l->file_count++] = s;
		l->open[l->depth++] = s;
	}
	return s;
}

static void
read_file(struct loader *l, cfg_t *cfg, const char *path, struct place from)
{
	struct source *s = open_file(l, path, from);
	size_t known;
	FILE *text;

	if (s == NULL)
		return;
	syntax_check(s, &l->faults);
	known = l->faults.count;
	text = fmemopen(s->text, s->len, "r");
	/* It fails without a word when memory ran out. */
	if (text == NULL ||
	    (cfg_parse_fp(cfg, text) != CFG_SUCCESS &&
		l->faults.count == known))
		l->error = SW_ENOMEM;
	if (text != NULL)
		fclose(text);
	l->depth--;
}

/* A file inside of another: libconfuse's scanner keeps a stack of texts. */
static int
on_include(cfg_t *cfg, cfg_opt_t *opt, int argc, const char **argv)
{
	struct loader *l = current;
	const char *from = l->open[l->depth - 1]->path;
	const char *slash = strrchr(from, '/');
	int line = cfg->line;
	struct buf path;

	(void)opt;
	if (argc != 1)
		return 1;
	buf_init(&path, 4096);
	if (*argv[0] != '/' && slash != NULL)
		buf_put(&path, from, (size_t)(slash + 1 - from));
	buf_puts(&path, argv[0]);
	buf_put(&path, "", 1);
	if (buf_error(&path) == SW_OK)
		read_file(
		    l, cfg, (const char *)buf_head(&path), place_in(l, cfg));
	else
		faults_add(
		    &l->faults, place_in(l, cfg), "write a shorter path");
	buf_fini(&path);
	cfg->line = line;
	return 0;
}

/* The directives that may stand there, behind the first `n`; how many then. */
static size_t
describe_directives(cfg_opt_t *out, size_t n, enum block_kind kind)
{
	for (size_t i = 0; i < directive_count(); i++)
		if (directive_stands_in(directive_at(i), kind))
			out[n++] =
			    (cfg_opt_t)CFG_STR_LIST_CB(directive_at(i)->name,
				NULL, CFGF_NODEFAULT, on_value);
	return n;
}

/*
 * libconfuse's view of the directives: all of them, and those of a channel or
 * of a route once more in a block. It copies what it is given.
 */
static cfg_t *
describe(void)
{
	enum { EXTRA = BLOCK_KINDS + 2 };
	cfg_opt_t *all = calloc(directive_count() + EXTRA, sizeof(*all));
	cfg_opt_t *blocks[BLOCK_KINDS] = { NULL };
	char any_value[] = "{ x }";
	cfg_t *cfg = NULL;
	bool fine = all != NULL;
	size_t n = 0;

	for (size_t i = BLOCK_CHANNEL; i < BLOCK_KINDS && fine; i++) {
		blocks[i] = calloc(directive_count() + EXTRA, sizeof(*all));
		fine = blocks[i] != NULL;
		if (!fine)
			break;
		blocks[i][0] = (cfg_opt_t)CFG_STR_LIST_CB(
		    BLOCK_BEGIN, any_value, CFGF_NONE, on_block);
		blocks[i][describe_directives(
		    blocks[i], 1, (enum block_kind)i)] = (cfg_opt_t)CFG_END();
		all[n++] = (cfg_opt_t)CFG_SEC(
		    block_names[i], blocks[i], CFGF_MULTI | CFGF_TITLE);
	}
	if (fine) {
		n = describe_directives(all, n, BLOCK_NONE);
		all[n++] = (cfg_opt_t)CFG_FUNC("include", on_include);
		all[n] = (cfg_opt_t)CFG_END();
		cfg = cfg_init(all, CFGF_NONE);
	}
	free(all);
	for (size_t i = 0; i < BLOCK_KINDS; i++)
		free(blocks[i]);
	return cfg;
}

static void
read_files(struct loader *l, const char *path)
{
	cfg_t *cfg;

	pthread_mutex_lock(&busy);
	current = l;
	cfg = describe();
	if (cfg == NULL) {
		l->error = SW_ENOMEM;
	} else {
		cfg_set_error_function(cfg, on_error);
		read_file(l, cfg, path, (struct place){ .path = path });
		/* When memory ran out, it cannot free a half-built block. */
		if (l->error == SW_OK)
			cfg_free(cfg);
	}
	current = NULL;
	pthread_mutex_unlock(&busy);
}

/* What was read, with the defaults, checked. */
static int
make_conf(struct conf **out, struct loader *l, struct buf *faults)
{
	struct conf *c;
	int err;

	if (l->error != SW_OK)
		return l->error;
	if ((err = settings_apply(&c, &l->settings, &l->faults)) != SW_OK)
		return err;
	settings_check(&l->settings, c, &l->faults);
	err = faults_put(&l->faults, faults);
	if (err == SW_OK && l->faults.count > 0)
		err = SW_EINVAL;
	if (err == SW_OK)
		*out = c;
	else
		conf_free(c);
	return err;
}

int
conf_load(struct conf **out, const char *path, struct buf *faults)
{
	struct loader *l = calloc(1, sizeof(*l));
	int err;

	*out = NULL;
	if (l == NULL)
		return SW_ENOMEM;
	settings_init(&l->settings);
	faults_init(&l->faults);
	if (path != NULL)
		read_files(l, path);
	err = make_conf(out, l, faults);
	settings_fini(&l->settings);
	faults_fini(&l->faults);
	while (l->file_count > 0)
		source_free(l->files[--l->file_count]);
	free(l);
	return err;
}

void *
conf_base(const struct conf *c, const struct directive *d)
{
	if (d->channel)
		return &c->policies[c->policy_count - 1];
	if (d->route)
		return &c->routes[c->route_count - 1];
	return (void *)(uintptr_t)c;
}

static void
route_clear(struct route *r)
{
	for (size_t i = 0; i < directive_count(); i++)
		if (directive_at(i)->route)
			field_clear(directive_at(i), r);
	free(r->pattern);
	free(r->bare);
	*r = (struct route){ .pattern = NULL };
}

static void
free_routes(struct conf *c)
{
	while (c->route_count > 0)
		route_clear(&c->routes[--c->route_count]);
	free(c->routes);
	c->routes = NULL;
}

void
conf_free(struct conf *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < directive_count(); i++)
		if (!directive_at(i)->channel && !directive_at(i)->route)
			field_clear(directive_at(i), c);
	free_routes(c);
	while (c->api_token_count > 0)
		api_token_fini(&c->api_token[--c->api_token_count]);
	free(c->api_token);
	while (c->bridge_secret_count > 0)
		free(c->bridge_secret[--c->bridge_secret_count]);
	free(c->bridge_secret);
	while (c->token_key_count > 0)
		token_key_fini(&c->token_key[--c->token_key_count]);
	free(c->token_key);
	free(c->trusted_proxy);
	free(c->proxy_protocol);
	while (c->policy_count > 0)
		free(c->policies[--c->policy_count].pattern);
	free(c->policies);
	free(c);
}

static void
put_directive(const struct directive *d, const void *base, const char *indent,
    struct buf *out)
{
	buf_printf(out, "%s%s = ", indent, d->name);
	field_put(d, base, out);
	buf_puts(out, "\n");
}

static void
put_policy(const struct policy *p, struct buf *out)
{
	buf_puts(out, "\nchannel ");
	field_put_quoted(out, p->pattern);
	buf_puts(out, " {\n");
	for (size_t i = 0; i < directive_count(); i++)
		if (directive_at(i)->channel)
			put_directive(directive_at(i), p, "\t", out);
	buf_puts(out, "}\n");
}

static void
put_route(const struct route *r, struct buf *out)
{
	buf_puts(out, "\nroute ");
	field_put_quoted(out, r->pattern);
	buf_puts(out, " {\n");
	for (size_t i = 0; i < directive_count(); i++) {
		const struct directive *d = directive_at(i);

		/* To name a backend is to have one of one's own. */
		if (d->route &&
		    (r->own || (!d->pool && d->kind != KIND_BACKENDS)))
			put_directive(d, r, "\t", out);
	}
	buf_puts(out, "}\n");
}

int
conf_print(const struct conf *c, struct buf *out)
{
	for (size_t i = 0; i < directive_count(); i++) {
		const struct directive *d = directive_at(i);

		if (i == 0 || d->group != directive_at(i - 1)->group)
			buf_printf(out, "%s# %s\n", i == 0 ? "" : "\n",
			    directive_groups[d->group]);
		put_directive(d, conf_base(c, d), "", out);
	}
	for (size_t i = 0; i + 1 < c->policy_count; i++)
		put_policy(&c->policies[i], out);
	for (size_t i = 0; i + 1 < c->route_count; i++)
		put_route(&c->routes[i], out);
	return buf_error(out);
}

const struct policy *
conf_policy(const struct conf *c, struct str channel)
{
	const struct policy *p = c->policies;

	while (!pattern_matches(p->pattern, channel))
		p++; /* the last one matches everything */
	return p;
}

static void
put_name(struct buf *names, const char *name)
{
	if (buf_len(names) > 0)
		buf_puts(names, ", ");
	buf_puts(names, name);
}

static bool
same_routes(const struct conf *a, const struct conf *b)
{
	const struct directive *backend = directive_find(STR("backend"));

	if (a->route_count != b->route_count)
		return false;
	for (size_t i = 0; i + 1 < a->route_count; i++) {
		const struct route *r = &a->routes[i], *s = &b->routes[i];

		if (strcmp(r->pattern, s->pattern) != 0 || r->own != s->own ||
		    (r->own && !field_same(backend, r, s)))
			return false;
	}
	return true;
}

int
conf_needs_restart(
    const struct conf *now, const struct conf *next, struct buf *names)
{
	for (size_t i = 0; i < directive_count(); i++) {
		const struct directive *d = directive_at(i);

		if (d->restart &&
		    !field_same(d, conf_base(now, d), conf_base(next, d)))
			put_name(names, d->name);
	}
	if (!same_routes(now, next))
		put_name(names, "route");
	return buf_error(names);
}

static int
route_copy(struct route *to, const struct route *from)
{
	int err = SW_OK;

	*to = (struct route){ .own = from->own };
	for (size_t i = 0; i < directive_count() && err == SW_OK; i++)
		if (directive_at(i)->route)
			err = field_copy(directive_at(i), to, from);
	to->pattern = strdup(from->pattern);
	to->bare = from->bare == NULL ? NULL : strdup(from->bare);
	return err != SW_OK || to->pattern == NULL ||
		(from->bare != NULL && to->bare == NULL) ?
	    SW_ENOMEM :
	    SW_OK;
}

/* Fixed once and for all, but not what they say. */
static int
keep_routes(struct conf *next, const struct conf *now)
{
	struct conf kept = { .route_count = 0 };
	int err = SW_OK;

	if (same_routes(now, next))
		return SW_OK;
	kept.routes = calloc(now->route_count, sizeof(*kept.routes));
	if (kept.routes == NULL)
		return SW_ENOMEM;
	/* What is outside of routes is not theirs. */
	while (kept.route_count + 1 < now->route_count && err == SW_OK) {
		err = route_copy(&kept.routes[kept.route_count],
		    &now->routes[kept.route_count]);
		kept.route_count++;
	}
	if (err != SW_OK) {
		free_routes(&kept);
		return err;
	}
	kept.routes[kept.route_count++] = next->routes[--next->route_count];
	free_routes(next);
	next->routes = kept.routes;
	next->route_count = kept.route_count;
	return SW_OK;
}

int
conf_keep(struct conf *next, const struct conf *now)
{
	int err = keep_routes(next, now);

	for (size_t i = 0; i < directive_count() && err == SW_OK; i++) {
		const struct directive *d = directive_at(i);

		if (d->restart)
			err = field_copy(
			    d, conf_base(next, d), conf_base(now, d));
	}
	return err;
}
