#ifndef SPILLWAY_PROXY_BASE_THREAD_H
#define SPILLWAY_PROXY_BASE_THREAD_H

#include <pthread.h>

/*
 * Begin a thread whose name `top -H`, gdb and perf show: at most 15 bytes are
 * kept of it. SW_EIO, logged, if the system refuses one more.
 */
int thread_start(
    pthread_t *out, const char *name, void *(*run)(void *), void *ctx);

/*
 * The calling thread has little to do at a time, and others wait for it: it
 * takes its core from one that computes, instead of waiting until that one's
 * slice is over (up to a tick of the system, 4 ms). It asks for short slices
 * (sched_attr.sched_runtime: Linux 6.12 and later; others take no notice).
 */
void thread_be_brief(void);

#endif
