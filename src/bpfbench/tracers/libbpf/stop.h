/* SPDX-License-Identifier: Apache-2.0 */
/* How the tracer is told to stop: the first SIGINT or SIGTERM asks, the second kills. */
#ifndef STOP_H
#define STOP_H

#include <stdint.h>

extern _Atomic int stop_signal; /* 0 until told; any thread may look */
extern volatile uint64_t stop_ns; /* when told, valid once stop_signal is set */

void catch_stop_signals(void);

/* A file that a second signal is to remove. */
void remove_when_killed(const char *path);

uint64_t monotonic_ns(void);

#endif
