/* SPDX-License-Identifier: Apache-2.0 */
/* How the tracer is told to stop: the first SIGINT or SIGTERM asks, the second kills. */
#ifndef STOP_H
#define STOP_H

#include <signal.h>
#include <stdint.h>

extern volatile sig_atomic_t stop_signal; /* 0 until told */
extern volatile uint64_t stop_ns; /* when told, valid once stop_signal is set */

void catch_stop_signals(void);

/* A file that a second signal is to remove. */
void remove_when_killed(const char *path);

uint64_t monotonic_ns(void);

#endif
