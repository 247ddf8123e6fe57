// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* rw-tracer and, where PAYLOAD_BYTES is not 0, rw-tracer-all: one event per completed read or write of the target. */
#include "kernel.h"
#include "rw_counters.h"
#include "rw_event.h"
#include "target.h"

/* A packed struct has alignment 1, and clang would store it byte by byte; a ring slot is aligned to 8. */
typedef struct rw_event rw_slot __attribute__((aligned(8)));

struct rw_call {
	u64 op;
	u64 enter_ns;
	u64 offset;
	u64 count;
	u64 buf;
	u64 file;
};

BPF_HASH(calls, u64, struct rw_call, RW_JOIN_ENTRIES);
BPF_PERCPU_ARRAY(counters, struct rw_counters, 1);
#ifdef PERF_BUFFER
/* [snippet buffer] */
BPF_PERF_OUTPUT(events);
/* [end buffer] */
#else
/* [snippet ringbuf_bytes] */
BPF_RINGBUF_OUTPUT(events, RING_PAGES);
/* [end ringbuf_bytes] */
#endif

/* [snippet rings] */
#ifdef RINGS
/* The one above and those that the tracer declares besides. */
BPF_ARRAY_OF_MAPS(rings, "events", RINGS);
#endif
/* [end rings] */

#if defined(VARIABLE_RECORDS) || defined(PERF_BUFFER)
/* [snippet records] */
struct rw_scratch {
	rw_slot event;
	char payload[PAYLOAD_BYTES];
};

/* By op: where a record is put together whose length is known only then, or whose place. */
BPF_PERCPU_ARRAY(scratch, struct rw_scratch, RW_OPS);
/* [end records] */
#endif

static __always_inline struct rw_counters *this_cpu_counters(void)
{
	int zero = 0;

	return counters.lookup(&zero);
}

static __always_inline int rw_enter(u64 op, u64 file, u64 buf, u64 count, u64 offset)
{
	u64 id = bpf_get_current_pid_tgid();
	struct rw_call call = {
		.op = op,
		.enter_ns = bpf_ktime_get_ns(),
		.offset = offset,
		.count = count,
		.buf = buf,
		.file = file,
	};
	struct rw_counters *c;

	if (!calls.update(&id, &call))
		return 0;

	c = this_cpu_counters();
	if (c) {
		lock_xadd(&c->intercepted[op], 1);
		lock_xadd(&c->map_full, 1);
	}
	return 0;
}

static __always_inline int enter(u64 op, u32 fd, u64 buf, u64 count)
{
	u64 file;

	if (!is_target())
		return 0;
	file = file_of(fd);
	return rw_enter(op, file, buf, count, file ? read_u64(file + FILE_POS) : 0);
}

static __always_inline int enter_at(u64 op, u32 fd, u64 buf, u64 count, u64 pos)
{
	if (!is_target())
		return 0;
	return rw_enter(op, file_of(fd), buf, count, pos);
}

static __always_inline int enter_vfs(u64 op, u64 file, u64 buf, u64 count, u64 pos)
{
	if (!is_target())
		return 0;
	return rw_enter(op, file, buf, count, read_u64(pos ? pos : file + FILE_POS));
}

static __always_inline void read_identity(rw_slot *event, u64 file)
{
	u64 inode, name;

	__builtin_memset(event->name, 0, sizeof(event->name));
	if (!file) {
		event->inode = 0;
		event->dev = 0;
		event->flags = 0;
		return;
	}
	inode = read_u64(file + FILE_INODE);
	event->inode = read_u64(inode + INODE_NUMBER);
	event->dev = read_u32(read_u64(inode + INODE_SUPER) + SUPER_DEV);
	event->flags = read_u32(file + FILE_FLAGS);
	name = read_u64(read_u64(file + FILE_DENTRY) + DENTRY_NAME);
	bpf_probe_read_kernel_str(event->name, sizeof(event->name), (void *)name);
}

/* Straight from the user's buffer into the slot. Returns how many bytes. */
static __always_inline u32 read_payload(void *to, u64 from, s64 ret)
{
	u64 bytes = PAYLOAD_BYTES;

	if (!bytes || ret <= 0)
		return 0;
	if (bytes > (u64)ret)
		bytes = ret;
	return bpf_probe_read_user(to, bytes, (void *)from) ? 0 : bytes;
}

/* BCC's words are not in macros, as it would not find them there. */
static __always_inline void *ring_for(u64 id)
{
/* [snippet rings] */
#ifdef RINGS
#ifdef RING_OF_CPU
	int ring = bpf_get_smp_processor_id();
#else
	int ring = (u32)id % RINGS;
#endif
	return rings.lookup(&ring);
#else
	return NULL;
#endif
	/* [end rings] */
}

static __always_inline rw_slot *reserve(void *ring, u64 op)
{
	int which = op;

#ifdef RINGS
	if (!ring)
		return NULL;
#endif
#if defined(VARIABLE_RECORDS) || defined(PERF_BUFFER)
	return (rw_slot *)scratch.lookup(&which);
#elif defined(RINGS)
	return bpf_ringbuf_reserve(ring, sizeof(rw_slot) + PAYLOAD_BYTES, 0);
#else
	return events.ringbuf_reserve(sizeof(rw_slot) + PAYLOAD_BYTES);
#endif
}

/* How the ring wakes once it has so many bytes more. */
static __always_inline u64 wakeup_by(void *ring, u64 more)
{
/* [snippet wakeup] */
#ifndef WAKE_BYTES
	return 0;
#elif WAKE_BYTES == ~0ULL
	return BPF_RB_NO_WAKEUP;
#else
#ifdef RINGS
	more += bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA);
#else
	more += events.ringbuf_query(BPF_RB_AVAIL_DATA);
#endif
	return more < WAKE_BYTES ? BPF_RB_NO_WAKEUP : BPF_RB_FORCE_WAKEUP;
#endif
	/* [end wakeup] */
}

/* Returns 0 if the ring has taken the event. */
static __always_inline int submit(void *ctx, void *ring, rw_slot *event, u64 payload_len)
{
#if defined(PERF_BUFFER)
	/* [snippet buffer] */
	return events.perf_submit(ctx, event, sizeof(rw_slot) + PAYLOAD_BYTES);
	/* [end buffer] */
#elif defined(VARIABLE_RECORDS)
	/* [snippet records] */
	u64 size = sizeof(*event) + payload_len, header = 8;
	u64 flags = wakeup_by(ring, (header + size + 7) & ~7ULL);

#ifdef RINGS
	return bpf_ringbuf_output(ring, event, size, flags);
#else
	return events.ringbuf_output(event, size, flags);
#endif
	/* [end records] */
#else
	/* [snippet wakeup] */
	events.ringbuf_submit(event, wakeup_by(ring, 0));
	/* [end wakeup] */
	return 0;
#endif
}

static __always_inline void submit_event(void *ctx, struct rw_call *call, u64 op, u64 id, u64 exit_ns, s64 ret)
{
	struct rw_counters *c = this_cpu_counters();
	void *ring = ring_for(id);
	u32 payload_len;
	u64 *comm;
	rw_slot *event;

	if (!c)
		return;
	lock_xadd(&c->intercepted[op], 1);

	event = reserve(ring, op);
	if (!event) {
		lock_xadd(&c->ring_full, 1);
		return;
	}
	event->enter_ns = call->enter_ns;
	event->exit_ns = exit_ns;
	event->offset = call->offset;
	event->count = call->count;
	event->ret = ret;
	event->pid = id >> 32;
	event->tid = id;
	event->op = op;
	event->uid = bpf_get_current_uid_gid();
	comm = (u64 *)event->comm; /* rw_enter() is for the target only */
	comm[0] = TARGET_COMM_0;
	comm[1] = TARGET_COMM_1;
	read_identity(event, call->file);
	payload_len = read_payload(event + 1, call->buf, ret);
	event->payload_len = payload_len;
	if (submit(ctx, ring, event, payload_len))
		lock_xadd(&c->ring_full, 1);
}

static __always_inline int leave(void *ctx, u64 op, s64 ret)
{
	u64 id = bpf_get_current_pid_tgid();
	struct rw_call *call = calls.lookup(&id);

	if (!call)
		return 0;
	/* Another op is left over from a call whose exit the kernel skipped. */
	if (call->op == op)
		submit_event(ctx, call, op, id, bpf_ktime_get_ns(), ret);
	calls.delete(&id);
	return 0;
}
