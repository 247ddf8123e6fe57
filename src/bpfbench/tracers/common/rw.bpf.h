/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The hook-independent part of rw-tracer and rw-tracer-all: a hook calls rw_enter() for a target task and rw_exit() for
 * any task; between them lies the join map, behind them the ring, or a perf buffer. */
#ifndef BPFBENCH_RW_BPF_H
#define BPFBENCH_RW_BPF_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "kernel_types.h"
#include "rw_counters.h"
#include "rw_event.h"
#ifdef RW_PERF
#include "rw_perf.bpf.h"
#else
#include "rw_ring.bpf.h"
#endif
#include "target.bpf.h"

/* A packed struct has alignment 1, and clang would store it byte by byte; a ring slot is aligned to 8. */
typedef struct rw_event rw_slot __attribute__((aligned(8)));

struct rw_call {
	__u64 op;
	__u64 enter_ns;
	__u64 offset;
	__u64 count;
	const void *buf;
	const struct file *file;
};

/* Set before loading, so a constant to the verifier; 0 for rw-tracer. */
const volatile __u32 payload_bytes;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, RW_JOIN_ENTRIES);
	__type(key, __u64);
	__type(value, struct rw_call);
} calls SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct rw_counters);
} counters SEC(".maps");

static __always_inline struct rw_counters *this_cpu_counters(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&counters, &zero);
}

/* Atomic although per CPU: only some hooks run their programs with preemption off. */
static __always_inline void count_one(__UINT64_TYPE__ *counter)
{
	__sync_fetch_and_add(counter, 1);
}

static __always_inline int rw_enter(enum rw_op op, const struct file *file, const void *buf, __u64 count, __u64 offset)
{
	__u64 id = bpf_get_current_pid_tgid();
	struct rw_call call = {
		.op = op,
		.offset = offset,
		.count = count,
		.buf = buf,
		.file = file,
		.enter_ns = bpf_ktime_get_ns(),
	};
	struct rw_counters *c;

	if (!bpf_map_update_elem(&calls, &id, &call, BPF_ANY))
		return 0;

	c = this_cpu_counters();
	if (c) {
		count_one(&c->intercepted[op]);
		count_one(&c->map_full);
	}
	return 0;
}

static __always_inline void read_identity(rw_slot *event, const struct file *file)
{
	const unsigned char *name;
	struct inode *inode;

	__builtin_memset(event->name, 0, sizeof(event->name));
	if (!file) {
		event->inode = 0;
		event->dev = 0;
		event->flags = 0;
		return;
	}
	inode = BPF_CORE_READ(file, f_inode);
	event->inode = BPF_CORE_READ(inode, i_ino);
	event->dev = BPF_CORE_READ(inode, i_sb, s_dev);
	event->flags = BPF_CORE_READ(file, f_flags);
	name = BPF_CORE_READ(file, f_path.dentry, d_name.name);
	bpf_probe_read_kernel_str(event->name, sizeof(event->name), name);
}

/* Straight from the user's buffer into the slot. Returns how many bytes. */
static __always_inline __u32 read_payload(void *to, const void *from, __s64 ret)
{
	__u64 bytes = payload_bytes;

	if (!bytes || ret <= 0)
		return 0;
	if (bytes > (__u64)ret)
		bytes = ret;
	return bpf_probe_read_user(to, bytes, from) ? 0 : bytes;
}

/* All but the payload. */
static __always_inline void fill_event(rw_slot *event, const __u64 comm[], const struct rw_call *call, enum rw_op op,
	__u64 id, __u64 exit_ns, __s64 ret)
{
	event->enter_ns = call->enter_ns;
	event->exit_ns = exit_ns;
	event->offset = call->offset;
	event->count = call->count;
	event->ret = ret;
	event->pid = id >> 32;
	event->tid = (__u32)id;
	event->op = op;
	event->uid = (__u32)bpf_get_current_uid_gid();
	__builtin_memcpy(event->comm, comm, RW_COMM_BYTES);
	read_identity(event, call->file);
}

#ifdef RW_KNOBS

/* As submit_event() goes on, with a record no longer than it needs to be. Returns whether the ring had room. */
static __always_inline bool submit_variable(
	void *ring, const __u64 comm[], const struct rw_call *call, enum rw_op op, __u64 id, __u64 exit_ns, __s64 ret)
{
	__u32 bytes = payload_bytes;
	struct bpf_dynptr record;
	rw_slot *event = NULL;

	if (ret <= 0)
		bytes = 0;
	else if (bytes > (__u64)ret)
		bytes = ret;
	/* [snippet records] */
	/* One that was refused has to be given back as well. */
	if (!bpf_ringbuf_reserve_dynptr(ring, sizeof(*event) + bytes, 0, &record))
		event = bpf_dynptr_data(&record, 0, sizeof(*event));
	if (!event) {
		bpf_ringbuf_discard_dynptr(&record, BPF_RB_NO_WAKEUP);
		return false;
	}
	fill_event(event, comm, call, op, id, exit_ns, ret);
	event->payload_len = bytes && !copy_payload(&record, op, call->buf, bytes) ? bytes : 0;
	bpf_ringbuf_submit_dynptr(&record, wakeup_by(ring));
	/* [end records] */
	return true;
}

#endif

static __always_inline void submit_event(
	void *ctx, const struct rw_call *call, enum rw_op op, __u64 id, __u64 exit_ns, __s64 ret)
{
	const __u64 comm[COMM_WORDS] = {target_comm[0], target_comm[1]}; /* rw_enter() is for the target only */
	struct rw_counters *c = this_cpu_counters();
	void *ring = ring_for(id);
	rw_slot *event;
	__u64 bytes;

	if (!c)
		return;
	count_one(&c->intercepted[op]);

#ifdef RW_KNOBS
	if (variable_records) {
		if (!ring || !submit_variable(ring, comm, call, op, id, exit_ns, ret))
			count_one(&c->ring_full);
		return;
	}
#endif
	bytes = sizeof(*event) + payload_bytes;
	event = reserve(ring, op, bytes);
	if (!event) {
		count_one(&c->ring_full);
		return;
	}
	fill_event(event, comm, call, op, id, exit_ns, ret);
	event->payload_len = read_payload(event + 1, call->buf, ret);
	if (!submit(ctx, ring, event, bytes))
		count_one(&c->ring_full);
}

static __always_inline int rw_exit(void *ctx, enum rw_op op, __s64 ret)
{
	__u64 id = bpf_get_current_pid_tgid();
	struct rw_call *call = bpf_map_lookup_elem(&calls, &id);

	if (!call)
		return 0;
	/* Another op is left over from a call whose exit the kernel skipped. */
	if (call->op == op)
		submit_event(ctx, call, op, id, bpf_ktime_get_ns(), ret);
	bpf_map_delete_elem(&calls, &id);
	return 0;
}

#endif
