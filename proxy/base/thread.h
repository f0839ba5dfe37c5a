#ifndef SPILLWAY_PROXY_BASE_THREAD_H
#define SPILLWAY_PROXY_BASE_THREAD_H

#include <pthread.h>

/*
 * Begin a thread whose name `top -H`, gdb and perf show: at most 15 bytes are
 * kept of it. SW_EIO if the system refuses one more.
 */
int thread_start(
    pthread_t *out, const char *name, void *(*run)(void *), void *ctx);

#endif
