/* SPDX-License-Identifier: Apache-2.0 */
/* From the ring into the output, of whichever tool. */
#ifndef RING_H
#define RING_H

#include <bpf/libbpf.h>

#include "run.h"

/* What who takes a record out of the ring returns. */
int ring_goes_on(const struct run *run);

/* Attaches, hands on what comes through the ring until told to stop, detaches, and drains. Returns the ring, which is
 * to be freed, or NULL if there is none. */
struct ring_buffer *through_ring(struct run *run, struct bpf_object_skeleton *skeleton, const struct bpf_map *events,
	ring_buffer_sample_fn on_record);

#endif
