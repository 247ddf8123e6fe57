// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* fs-profile: latencies of reads and writes, summed for each file in a map; slow ones are sent with their stack. */
#include <stddef.h>

#include "fs_profile.h"
#include "rw_hooks.bpf.h"
#include "target.bpf.h"

struct fs_call {
	__u64 op;
	__u64 enter_ns;
	const struct file *file;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, RW_JOIN_ENTRIES);
	__type(key, __u64);
	__type(value, struct fs_call);
} calls SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, FS_FILES);
	__type(key, struct fs_key);
	__type(value, struct fs_latency);
} latency SEC(".maps");

/* By op: calls without a file, and of those that the full map above refuses. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, RW_OPS);
	__type(key, __u32);
	__type(value, struct fs_latency);
} other SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, FS_TOP_FILES);
	__type(key, struct fs_file);
	__type(value, struct fs_use);
} top SEC(".maps");

/* The size is that of --ringbuf-bytes, set before loading. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} events SEC(".maps");

/* By op: where a record is put together whose length is known only then. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, RW_OPS);
	__type(key, __u32);
	__type(value, struct fs_slow);
} scratch SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fs_counters);
} counters SEC(".maps");

/* What a new entry is. Too large for the stack. */
static const struct fs_latency no_latency;

static __always_inline struct fs_counters *this_cpu_counters(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&counters, &zero);
}

static __always_inline void count_one(__UINT64_TYPE__ *counter)
{
	__sync_fetch_and_add(counter, 1);
}

static __always_inline __u32 slot_of(__u64 ns)
{
	__u32 slot = 0;

#pragma unroll
	for (int shift = 32; shift; shift /= 2) {
		if (ns >> shift) {
			ns >>= shift;
			slot += shift;
		}
	}
	return slot < FS_SLOTS ? slot : FS_SLOTS - 1;
}

static __always_inline int join(enum rw_op op, const struct file *file)
{
	__u64 id = bpf_get_current_pid_tgid();
	struct fs_call call = {.op = op, .file = file, .enter_ns = bpf_ktime_get_ns()};
	struct fs_counters *c;

	if (!bpf_map_update_elem(&calls, &id, &call, BPF_ANY))
		return 0;
	c = this_cpu_counters();
	if (c) {
		count_one(&c->intercepted[op]);
		count_one(&c->map_full);
	}
	return 0;
}

static __always_inline int enter(enum rw_op op, struct trace_event_raw_sys_enter *ctx)
{
	return is_target() ? join(op, file_of(ctx->args[0])) : 0;
}

static __always_inline int enter_at(enum rw_op op, struct trace_event_raw_sys_enter *ctx)
{
	return enter(op, ctx);
}

static __always_inline int enter_vfs(enum rw_op op, struct file *file, const char *buf, __u64 count, long long *pos)
{
	return is_target() ? join(op, file) : 0;
}

/* The entry of a file, which this makes if need be; NULL if the map has no room. */
static __always_inline struct fs_latency *latency_of(const struct fs_key *key)
{
	struct fs_latency *found = bpf_map_lookup_elem(&latency, key);

	if (found)
		return found;
	/* This fails harmlessly when another CPU was first; a second look tells that from a full map. */
	bpf_map_update_elem(&latency, key, &no_latency, BPF_NOEXIST);
	return bpf_map_lookup_elem(&latency, key);
}

/* Of all CPUs, and so the adds are atomic. Whoever takes an entry over at this moment gets the call. */
static __always_inline void add_use(const struct fs_key *key, __u64 bytes)
{
	struct fs_file file = {.dev = key->dev, .inode = key->inode};
	struct fs_use *use = bpf_map_lookup_elem(&top, &file), unused = {0};

	if (!use) {
		bpf_map_update_elem(&top, &file, &unused, BPF_NOEXIST);
		use = bpf_map_lookup_elem(&top, &file);
	}
	if (use) {
		count_one(&use->calls);
		__sync_fetch_and_add(&use->bytes, bytes);
	}
}

/* Plain adds: the value is of one CPU and one op, and never do two programs that watch the same op run on a CPU at
 * once. Those of tracepoints and kprobes run with preemption off, and of the others the kernel skips a second run. */
static __always_inline void add_call(struct fs_latency *value, __u64 ns, __u64 bytes)
{
	value->count++;
	value->bytes += bytes;
	value->total_ns += ns;
	if (ns > value->max_ns)
		value->max_ns = ns;
	value->slots[slot_of(ns)]++;
}

static __always_inline void add_latency(const struct fs_key *key, const struct file *file, __u64 ns, __u64 bytes)
{
	struct fs_latency *value = file ? latency_of(key) : NULL;
	const unsigned char *name;
	__u32 op = key->op;

	if (!value) {
		value = bpf_map_lookup_elem(&other, &op);
	} else if (!value->count) {
		name = BPF_CORE_READ(file, f_path.dentry, d_name.name);
		bpf_probe_read_kernel_str(value->name, sizeof(value->name), name);
	}
	if (value)
		add_call(value, ns, bytes);
}

static __always_inline void send_slow(
	void *ctx, const struct fs_call *call, const struct fs_key *key, __u64 id, __u64 exit_ns, __s64 ret)
{
	struct fs_counters *c = this_cpu_counters();
	__u32 op = key->op;
	struct fs_slow *slow = bpf_map_lookup_elem(&scratch, &op);
	long stack_bytes;

	if (!c || !slow)
		return;
	count_one(&c->slow);
	slow->enter_ns = call->enter_ns;
	slow->exit_ns = exit_ns;
	slow->ret = ret;
	slow->inode = key->inode;
	slow->dev = key->dev;
	slow->pid = id >> 32;
	slow->tid = (__u32)id;
	slow->op = op;
	stack_bytes = bpf_get_stack(ctx, slow->stack, sizeof(slow->stack), 0);
	if (stack_bytes < 0 || stack_bytes > (long)sizeof(slow->stack))
		stack_bytes = 0;
	if (bpf_ringbuf_output(&events, slow, offsetof(struct fs_slow, stack) + stack_bytes, 0))
		count_one(&c->ring_full);
}

static __always_inline void profile(void *ctx, const struct fs_call *call, enum rw_op op, __u64 id, __s64 ret)
{
	__u64 exit_ns = bpf_ktime_get_ns(), ns = exit_ns - call->enter_ns, bytes = ret > 0 ? ret : 0;
	struct fs_counters *c = this_cpu_counters();
	const struct file *file = call->file;
	struct fs_key key = {.op = op};

	if (c)
		count_one(&c->intercepted[op]);
	if (file) {
		struct inode *inode = BPF_CORE_READ(file, f_inode);

		key.inode = BPF_CORE_READ(inode, i_ino);
		key.dev = BPF_CORE_READ(inode, i_sb, s_dev);
		add_use(&key, bytes);
	}
	add_latency(&key, file, ns, bytes);
	if (ns >= FS_SLOW_NS)
		send_slow(ctx, call, &key, id, exit_ns, ret);
}

static __always_inline int leave(void *ctx, enum rw_op op, __s64 ret)
{
	__u64 id = bpf_get_current_pid_tgid();
	struct fs_call *call = bpf_map_lookup_elem(&calls, &id);

	if (!call)
		return 0;
	/* Another op is left over from a call whose exit the kernel skipped. */
	if (call->op == op)
		profile(ctx, call, op, id, ret);
	bpf_map_delete_elem(&calls, &id);
	return 0;
}
