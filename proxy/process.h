#ifndef SPILLWAY_PROXY_PROCESS_H
#define SPILLWAY_PROXY_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "conf/conf.h"

/*
 * The process: who it is, what it may become, and what it leaves behind when
 * it dies. All of it happens before there are threads. What goes wrong has been
 * logged, with what to do about it.
 */
struct identity {
	bool changes; /* false: it stays who it is */
	uid_t uid;
	gid_t gid;
	const char *user; /* borrowed from the configuration */
	const char *name; /* of its entry, or NULL: user is a number */
};

/*
 * Whoever starts it may have closed the standard input, output or error: then
 * /dev/null is there, before a socket or the store gets the number that the log
 * is written to. SW_EIO: it cannot be opened, and there may be no log.
 */
int process_fill_standard(void);

/* Whom the configuration names. SW_EINVAL: there is no such user or group. */
int identity_find(struct identity *out, const struct conf *conf);

/*
 * Nobody gets more rights than we have, and unless `core_dumps` says so,
 * nobody sees our memory: neither in a core dump nor through ptrace.
 */
int process_harden(bool core_dumps);

/*
 * Make the store theirs: a directory that is missing, and files that root has
 * left there. Only root can; later, as who it is by then, is it enough?
 */
int process_give_store(const struct identity *id, const char *path);
int process_check_store(const struct identity *id, const char *path);

/* Likewise a socket's file, so that its permissions mean them. */
int process_give_socket(const struct identity *id, const char *path);

/* Become them, for good. Also gives up what a capability allowed until now. */
int process_become(const struct identity *id);

#endif
