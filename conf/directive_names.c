#include "conf/directives.h"

#include "conf/directive_rows.h"

const char *const block_names[BLOCK_KINDS] = {
	[BLOCK_CHANNEL] = "channel",
	[BLOCK_ROUTE] = "route",
};

const char *const directive_groups[GROUP_COUNT] = {
	[GROUP_EVERYDAY] = "Everyday settings",
	[GROUP_TLS] = "TLS",
	[GROUP_ACCESS] = "Tokens and origins",
	[GROUP_CHANNELS] = "Channels",
	[GROUP_STREAMS] = "Streams",
	[GROUP_POLLS] = "Polls",
	[GROUP_PUBLISHING] = "Publishing",
	[GROUP_STORE] = "Storage and memory",
	[GROUP_REQUESTS] = "Requests",
	[GROUP_BACKEND] = "The backend",
	[GROUP_BRIDGE] = "The bridge",
	[GROUP_LIMITS] = "Limits",
};

const struct directive_pair directive_pairs[] = {
	{ "poll-wait", "poll-wait-max" },
	{ "poll-limit", "poll-limit-max" },
	{ "message-max", "publish-queue-bytes" },
};

const size_t directive_pair_count =
    sizeof(directive_pairs) / sizeof(directive_pairs[0]);

static const struct directive_rows *const parts[] = {
	&directives_gateway,
	&directives_backend,
	&directives_limits,
};

enum { PARTS = sizeof(parts) / sizeof(parts[0]) };

const struct directive *
directive_at(size_t i)
{
	size_t p = 0;

	while (p + 1 < PARTS && i >= parts[p]->count)
		i -= parts[p++]->count;
	return &parts[p]->rows[i];
}

size_t
directive_count(void)
{
	size_t n = 0;

	for (size_t p = 0; p < PARTS; p++)
		n += parts[p]->count;
	return n;
}

size_t
directive_index(const struct directive *d)
{
	size_t i = 0;

	while (directive_at(i) != d)
		i++;
	return i;
}

const struct directive *
directive_find(struct str name)
{
	for (size_t i = 0; i < directive_count(); i++)
		if (str_is(name, directive_at(i)->name))
			return directive_at(i);
	return NULL;
}

enum { NAME_MAX_COMPARED = 64 };

static size_t
min3(size_t a, size_t b, size_t c)
{
	size_t ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* Letters to insert, delete or replace until the two are the same. */
static size_t
edit_distance(struct str a, struct str b)
{
	size_t row[NAME_MAX_COMPARED + 1];

	for (size_t j = 0; j <= b.len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a.len; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b.len; j++) {
			size_t replaced = diagonal + (a.p[i - 1] != b.p[j - 1]);

			diagonal = row[j];
			row[j] = min3(replaced, row[j] + 1, row[j - 1] + 1);
		}
	}
	return row[b.len];
}

/* The first word of several is as good as a letter that is wrong. */
static size_t
distance_of(struct str name, struct str directive)
{
	if (name.len < directive.len && directive.p[name.len] == '-' &&
	    memcmp(name.p, directive.p, name.len) == 0)
		return 1;
	return edit_distance(name, directive);
}

const char *
directive_nearest(struct str name, enum block_kind kind)
{
	/* A third of the letters may be wrong. */
	size_t best = (name.len + 2) / 3 + 1;
	const char *nearest = NULL;

	if (name.len > NAME_MAX_COMPARED)
		return NULL;
	for (size_t i = BLOCK_CHANNEL; kind == BLOCK_NONE && i < BLOCK_KINDS;
	     i++)
		if (edit_distance(name, str_of(block_names[i])) < best)
			return block_names[i];
	if (kind == BLOCK_NONE && edit_distance(name, STR("include")) < best)
		return "include";
	for (size_t i = 0; i < directive_count(); i++) {
		const struct directive *d = directive_at(i);
		size_t distance = distance_of(name, str_of(d->name));

		if (distance < best && directive_stands_in(d, kind)) {
			best = distance;
			nearest = d->name;
		}
	}
	return nearest;
}
