/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The ring of an event, and whom its record wakes: of rw.bpf.c one ring, with the adaptive wake-up; of rw_knobs.bpf.c
 * as user space sets it. */
#ifndef BPFBENCH_RW_RING_BPF_H
#define BPFBENCH_RW_RING_BPF_H

#include <stdbool.h>

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "rw_event.h"
#include "rw_knobs.h"

/* The size is that of --ringbuf-bytes, set before loading. */
/* [snippet ringbuf_bytes] */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} events SEC(".maps");
/* [end ringbuf_bytes] */

#ifdef RW_KNOBS

/* All set before loading, so constants to the verifier. */
const volatile __u64 wakeup_bytes; /* a watermark, or RW_WAKE_ */
const volatile __u32 ring_count = 1;
const volatile bool ring_of_cpu; /* or of the thread */
const volatile bool variable_records;

/* [snippet rings] */
struct one_ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096); /* nothing: the kernel does not compare sizes of rings */
};

/* The one above and others of its size, where there are several: ring_count of them. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct one_ring);
} rings SEC(".maps");
/* [end rings] */

/* By op: where a payload lies on its way into a record whose length is known only then, before Linux 6.16. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, RW_OPS);
	__type(key, __u32);
	__type(value, char[RW_PAYLOAD_MOST]);
} scratch SEC(".maps");

/* [snippet rings] */
static __always_inline void *ring_for(__u32 tid)
{
	__u32 ring;

	if (ring_count == 1)
		return &events;
	ring = ring_of_cpu ? bpf_get_smp_processor_id() : tid % ring_count;
	return bpf_map_lookup_elem(&rings, &ring);
}
/* [end rings] */

/* [snippet wakeup] */
/* Asked when the record is in the ring, which then counts. */
static __always_inline __u64 wakeup_by(void *ring)
{
	__u64 bytes = wakeup_bytes;

	if (bytes == RW_WAKE_ADAPTIVE)
		return 0;
	if (bytes == RW_WAKE_NEVER || bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA) < bytes)
		return BPF_RB_NO_WAKEUP;
	return BPF_RB_FORCE_WAKEUP;
}
/* [end wakeup] */

extern int bpf_probe_read_user_dynptr(
	const struct bpf_dynptr *to, __u64 offset, __u64 size, const void *from) __ksym __weak;

/* From the user's buffer to where the payload begins in a record that has room for it. Returns 0 if it could. */
static __always_inline long copy_payload(const struct bpf_dynptr *record, __u32 op, const void *from, __u32 bytes)
{
	void *payload;

	if (bpf_ksym_exists(bpf_probe_read_user_dynptr))
		return bpf_probe_read_user_dynptr(record, RW_EVENT_BYTES, bytes, from);
	payload = bpf_map_lookup_elem(&scratch, &op);
	if (!payload || bpf_probe_read_user(payload, bytes, from))
		return -1;
	return bpf_dynptr_write(record, RW_EVENT_BYTES, payload, bytes, 0);
}

#else

static __always_inline void *ring_for(__u32 tid)
{
	return &events;
}

static __always_inline __u64 wakeup_by(void *ring)
{
	return 0;
}

#endif

static __always_inline void *reserve(void *ring, __u32 op, __u64 bytes)
{
	return ring ? bpf_ringbuf_reserve(ring, bytes, 0) : NULL;
}

/* What is reserved is never refused. */
static __always_inline bool submit(void *ctx, void *ring, void *event, __u64 bytes)
{
	/* [snippet wakeup] */
	bpf_ringbuf_submit(event, wakeup_by(ring));
	/* [end wakeup] */
	return true;
}

#endif
