#ifndef SPILLWAY_CONF_SETTINGS_H
#define SPILLWAY_CONF_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/conf.h"
#include "conf/directives.h"
#include "conf/faults.h"

/*
 * What the files of a configuration say, value by value as they stand there:
 * between reading the files and making a struct conf of them.
 */
struct setting {
	const struct directive *directive;
	struct place at;
	bool adds;    /* to a list; false: begins it, or is all of the value */
	size_t block; /* the index of its block */
	char *text;
};

/* A block. The first one stands for what is outside of blocks. */
struct block {
	struct place at;
	enum block_kind kind;
	size_t index; /* among those of its kind */
	char *pattern;
};

struct settings {
	struct setting *items;
	size_t count;
	struct block *blocks;
	size_t block_count;
	size_t kind_counts[BLOCK_KINDS];
	int error; /* SW_ENOMEM when something could not be kept */
};

void settings_init(struct settings *s);
void settings_fini(struct settings *s);

/* The values of a block follow it before the next one begins. */
void settings_add_block(struct settings *s, struct place at,
    enum block_kind kind, const char *pattern);
/* One like that, with a copy of `text`. */
void settings_add(
    struct settings *s, const struct setting *like, const char *text);

/*
 * The configuration that the settings and the defaults make. What is wrong with
 * a value joins `faults`, and leaves the default in force. SW_ENOMEM.
 */
int settings_apply(
    struct conf **out, const struct settings *s, struct faults *faults);

/* What has come of it all where that directive of channels stands. */
const struct policy *setting_policy(const struct settings *s,
    const struct conf *c, const struct setting *setting);

#endif
