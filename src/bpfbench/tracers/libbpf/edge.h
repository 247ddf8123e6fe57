/* SPDX-License-Identifier: Apache-2.0 */
/* Waits that a wake-up ends, and not what is in a ring: by libbpf's epoll, made edge-triggered. */
#ifndef EDGE_H
#define EDGE_H

#include <stddef.h>

#include <bpf/libbpf.h>

/* Each returns 0 or a negative errno. */

/* Of rings that are added in this order. Unless it is negative, `over` ends waits, too, from when it is readable on. */
int turn_to_edges(struct ring_buffer *rings, const int *fds, size_t count, int over);

/* Until a ring has woken since the last wait, or after so long. A signal ends it as well. */
int wait_for_edge(struct ring_buffer *rings, int timeout_ms);

#endif
