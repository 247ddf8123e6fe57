/* SPDX-License-Identifier: Apache-2.0 */
/* A consumer of perf buffers, one of each CPU, instead of rings. */
#ifndef PERF_H
#define PERF_H

#include <bpf/libbpf.h>

#include "ring.h"

/* Gives each CPU that is online a buffer of its own, by the map. Returns 0 or a negative errno. */
int perf_open(struct consumer *c, int map, ring_buffer_sample_fn on_record);

/* Takes what is there; or what is in those buffers that wake within --poll-ms. Returns how many records, or a negative
 * errno. */
int perf_empty(const struct consumer *c);
int perf_wait_and_empty(const struct consumer *c);

#endif
