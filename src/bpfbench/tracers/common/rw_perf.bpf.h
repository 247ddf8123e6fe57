/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* In the place of rw_ring.bpf.h: events go through perf buffers, one of each CPU. */
#ifndef BPFBENCH_RW_PERF_BPF_H
#define BPFBENCH_RW_PERF_BPF_H

#include <stdbool.h>

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "rw_event.h"
#include "rw_knobs.h"

/* [snippet buffer] */
/* As many as there are possible CPUs, by the library. */
struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} events SEC(".maps");
/* [end buffer] */

/* By op: where an event is put together, as there is no room to reserve, and none for it on the stack. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, RW_OPS);
	__type(key, __u32);
	__type(value, char[RW_EVENT_BYTES + RW_PAYLOAD_MOST]);
} scratch SEC(".maps");

static __always_inline void *ring_for(__u32 tid)
{
	return &events;
}

static __always_inline void *reserve(void *ring, __u32 op, __u64 bytes)
{
	return bpf_map_lookup_elem(&scratch, &op);
}

/* Refused where the buffer is full, or the CPU has none. The kernel tells of the former once more, by a record of lost
 * ones, as soon as there is room for that. */
static __always_inline bool submit(void *ctx, void *ring, void *event, __u64 bytes)
{
	/* [snippet buffer] */
	return !bpf_perf_event_output(ctx, ring, BPF_F_CURRENT_CPU, event, bytes);
	/* [end buffer] */
}

#endif
