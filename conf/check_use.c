#include "conf/check_use.h"

#include <stdlib.h>

#include "conf/fields.h"
#include "proxy/base/err.h"

struct check {
	const struct settings *settings;
	const struct conf *conf;
	struct faults *faults;
};

/*
 * What a directive is about. A dash at the end of a name stands for all that
 * begin so, but not for times and numbers: these promise nothing, and may stay
 * where they are while what they are about is not there.
 */
static const struct use {
	const char *name;
	const char *needs; /* whatever it is set to */
	const char *why;
} uses[] = {
	{ "token-", "token-key", "is about tokens, which need a key" },
	{ "backend-", "backend", "is about it" },
	{ "trusted-proxy", "backend", "is about requests to it" },
	{ "access-log", "backend", "is about requests to it" },
	{ "strip-prefix", "backend", "is about requests to it" },
	{ "request-header", "backend", "is about requests to it" },
	{ "response-header", "backend", "is about its responses" },
	{ "bridge-", "backend", "is about what it is told" },
};

static bool
is_named(const struct directive *d, const char *name)
{
	size_t n = strlen(name);

	if (name[n - 1] != '-')
		return strcmp(d->name, name) == 0;
	return strncmp(d->name, name, n) == 0 && d->kind != KIND_MSEC &&
	    d->kind != KIND_BYTES && d->kind != KIND_COUNT;
}

/* Somewhere, be it to say that there is none: that is on purpose. */
static bool
is_set(const struct check *k, const char *name)
{
	for (size_t i = 0; i < k->settings->count; i++)
		if (strcmp(k->settings->items[i].directive->name, name) == 0)
			return true;
	return false;
}

/* Does it say what holds without it? That a file may, if it says everything. */
static bool
is_default(const struct check *k, const struct directive *d)
{
	union {
		struct conf conf;
		struct policy policy;
		struct route route;
	} *fresh = calloc(1, sizeof(*fresh));
	struct buf advice;
	bool same = true;

	buf_init(&advice, 1024);
	if (fresh == NULL ||
	    (d->fallback != NULL &&
		field_set(d, fresh, str_of(d->fallback), &advice) != SW_OK))
		k->faults->error = SW_ENOMEM;
	else
		same = field_same(d, conf_base(k->conf, d), fresh);
	if (fresh != NULL)
		field_clear(d, fresh);
	buf_fini(&advice);
	free(fresh);
	return same;
}

/* One directive that is of no use without another. */
static void
check_use(const struct check *k, const struct setting *s)
{
	const struct directive *d = s->directive;

	/* Blocks, and what is for them, are looked at elsewhere. */
	if (s->block != 0 || d->channel)
		return;
	for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++) {
		const struct use *u = &uses[i];

		if (!is_named(d, u->name) || is_set(k, u->needs) ||
		    is_default(k, d))
			continue;
		faults_add(k->faults, s->at,
		    "write %s = \"...\" as well, or leave out %s: it %s",
		    u->needs, d->name, u->why);
		return;
	}
}

static bool
queues(const struct policy *p)
{
	return p->message_mode == MESSAGE_QUEUE &&
	    (p->send == SEND_BRIDGE || p->bridge_presence);
}

/* What stands outside of blocks may be meant for those. */
static bool
any_queues(const struct check *k, const struct setting *s)
{
	bool any = queues(setting_policy(k->settings, k->conf, s));

	for (size_t i = 0; s->block == 0 && i < k->conf->policy_count; i++)
		any = any || queues(&k->conf->policies[i]);
	return any;
}

static void
check_queue(const struct check *k, const struct setting *s)
{
	if (s->directive->channel &&
	    s->directive->offset == offsetof(struct policy, message_mode) &&
	    strcmp(s->text, "queue") == 0 && !any_queues(k, s))
		faults_add(k->faults, s->at,
		    "write send = bridge as well, or leave out message-mode: "
		    "only what goes to the backend is queued");
}

static void
check_durability(const struct check *k, const struct setting *s)
{
	if (s->directive->channel &&
	    s->directive->offset == offsetof(struct policy, durability) &&
	    strcmp(s->text, "full") == 0 &&
	    strcmp(k->conf->store, "memory") == 0)
		faults_add(k->faults, s->at,
		    "write the path of a file for store, or leave out "
		    "durability = full: what is in memory alone goes with the "
		    "process");
}

void
use_check(const struct settings *s, const struct conf *c, struct faults *faults)
{
	struct check k = { s, c, faults };

	/* What a mistake has left out is not missed as well. */
	if (faults->count > 0)
		return;
	for (size_t i = 0; i < s->count; i++) {
		const struct setting *it = &s->items[i];

		/* Of a list, the first value is enough. */
		if (i > 0 && it->directive == it[-1].directive &&
		    it->block == it[-1].block)
			continue;
		check_use(&k, it);
		check_queue(&k, it);
		check_durability(&k, it);
	}
}
