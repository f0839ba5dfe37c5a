#ifndef SPILLWAY_PROXY_SYSTEMD_H
#define SPILLWAY_PROXY_SYSTEMD_H

#include <stddef.h>
#include <stdint.h>

/*
 * What systemd and a service say to each other: sockets that were opened for
 * us (sd_listen_fds(3)) and the state we are in (sd_notify(3)). Both are simple
 * enough to need no library, and do nothing when we run without systemd.
 */
enum { SYSTEMD_SOCKETS_MAX = 16 };

/*
 * The sockets of that name (FileDescriptorName=); they are the caller's, set to
 * be closed on exec. An unnamed socket is "public". Returns how many there are,
 * which may be more.
 */
size_t systemd_sockets(const char *name, int fds[SYSTEMD_SOCKETS_MAX]);

/*
 * After so long without a "WATCHDOG=1" systemd takes us for dead; 0: it does
 * not look (sd_watchdog_enabled(3)).
 */
uint64_t systemd_watchdog_ms(void);

/* "READY=1", "RELOADING=1", "STOPPING=1"; several with a line each. */
void systemd_notify(const char *state);

#endif
