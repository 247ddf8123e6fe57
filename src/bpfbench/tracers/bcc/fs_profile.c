// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* fs-profile: latencies of reads and writes, summed for each file in a map; slow ones are sent with their stack. */
#include "kernel.h"
#include "fs_profile.h"
#include "target.h"

struct fs_call {
	u64 op;
	u64 enter_ns;
	u64 file;
};

BPF_HASH(calls, u64, struct fs_call, RW_JOIN_ENTRIES);
BPF_PERCPU_HASH(latency, struct fs_key, struct fs_latency, FS_FILES);
/* By op: calls without a file, and of those that the full map above refuses. */
BPF_PERCPU_ARRAY(other, struct fs_latency, RW_OPS);
BPF_TABLE("lru_hash", struct fs_file, struct fs_use, top, FS_TOP_FILES);
BPF_RINGBUF_OUTPUT(events, RING_PAGES);
/* By op: where a record is put together whose length is known only then. */
BPF_PERCPU_ARRAY(scratch, struct fs_slow, RW_OPS);
BPF_PERCPU_ARRAY(counters, struct fs_counters, 1);
/* What a new entry is: zeros, too many for the stack, and BCC's programs have no constants other than in maps. */
BPF_ARRAY(no_latency, struct fs_latency, 1);

static __always_inline struct fs_counters *this_cpu_counters(void)
{
	int zero = 0;

	return counters.lookup(&zero);
}

static __always_inline u32 slot_of(u64 ns)
{
	u32 slot = bpf_log2l(ns) - 1; /* BCC has it one too high, for its histograms */

	return slot < FS_SLOTS ? slot : FS_SLOTS - 1;
}

static __always_inline int join(u64 op, u64 file)
{
	u64 id = bpf_get_current_pid_tgid();
	struct fs_call call = {.op = op, .file = file, .enter_ns = bpf_ktime_get_ns()};
	struct fs_counters *c;

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
	return is_target() ? join(op, file_of(fd)) : 0;
}

static __always_inline int enter_at(u64 op, u32 fd, u64 buf, u64 count, u64 pos)
{
	return enter(op, fd, buf, count);
}

static __always_inline int enter_vfs(u64 op, u64 file, u64 buf, u64 count, u64 pos)
{
	return is_target() ? join(op, file) : 0;
}

/* Of all CPUs, and so the adds are atomic. Whoever takes an entry over at this moment gets the call. */
static __always_inline void add_use(struct fs_key *key, u64 bytes)
{
	struct fs_file file = {.dev = key->dev, .inode = key->inode};
	struct fs_use unused = {};
	struct fs_use *use = top.lookup_or_try_init(&file, &unused);

	if (use) {
		lock_xadd(&use->calls, 1);
		lock_xadd(&use->bytes, bytes);
	}
}

/* Plain adds: the value is of one CPU and one op, and never do two programs that watch the same op run on a CPU at
 * once. Those of tracepoints and kprobes run with preemption off, and of the others the kernel skips a second run. */
static __always_inline void add_call(struct fs_latency *value, u64 ns, u64 bytes)
{
	value->count++;
	value->bytes += bytes;
	value->total_ns += ns;
	if (ns > value->max_ns)
		value->max_ns = ns;
	value->slots[slot_of(ns)]++;
}

static __always_inline void add_latency(struct fs_key *key, u64 file, u64 ns, u64 bytes)
{
	int zero = 0, op = key->op;
	struct fs_latency *none = no_latency.lookup(&zero), *value = NULL;

	if (file && none)
		value = latency.lookup_or_try_init(key, none);
	if (!value)
		value = other.lookup(&op);
	else if (!value->count)
		bpf_probe_read_kernel_str(
			value->name, sizeof(value->name), (void *)read_u64(read_u64(file + FILE_DENTRY) + DENTRY_NAME));
	if (value)
		add_call(value, ns, bytes);
}

static __always_inline void send_slow(void *ctx, struct fs_call *call, struct fs_key *key, u64 id, u64 exit_ns, s64 ret)
{
	struct fs_counters *c = this_cpu_counters();
	int op = key->op;
	struct fs_slow *slow = scratch.lookup(&op);
	u64 stack_bytes;

	if (!c || !slow)
		return;
	lock_xadd(&c->slow, 1);
	slow->enter_ns = call->enter_ns;
	slow->exit_ns = exit_ns;
	slow->ret = ret;
	slow->inode = key->inode;
	slow->dev = key->dev;
	slow->pid = id >> 32;
	slow->tid = id;
	slow->op = op;
	stack_bytes = bpf_get_stack(ctx, slow->stack, sizeof(slow->stack), 0);
	asm volatile("" : "+r"(stack_bytes)); /* or clang would test another register than it uses */
	if (stack_bytes > sizeof(slow->stack)) /* an error is below 0 */
		stack_bytes = 0;
	if (events.ringbuf_output(slow, offsetof(struct fs_slow, stack) + stack_bytes, 0))
		lock_xadd(&c->ring_full, 1);
}

static __always_inline void profile(void *ctx, struct fs_call *call, u64 op, u64 id, s64 ret)
{
	u64 exit_ns = bpf_ktime_get_ns(), ns = exit_ns - call->enter_ns, bytes = ret > 0 ? ret : 0;
	struct fs_counters *c = this_cpu_counters();
	struct fs_key key = {.op = op};
	u64 file = call->file, inode;

	if (c)
		lock_xadd(&c->intercepted[op], 1);
	if (file) {
		inode = read_u64(file + FILE_INODE);
		key.inode = read_u64(inode + INODE_NUMBER);
		key.dev = read_u32(read_u64(inode + INODE_SUPER) + SUPER_DEV);
		add_use(&key, bytes);
	}
	add_latency(&key, file, ns, bytes);
	if (ns >= FS_SLOW_NS)
		send_slow(ctx, call, &key, id, exit_ns, ret);
}

static __always_inline int leave(void *ctx, u64 op, s64 ret)
{
	u64 id = bpf_get_current_pid_tgid();
	struct fs_call *call = calls.lookup(&id);

	if (!call)
		return 0;
	/* Another op is left over from a call whose exit the kernel skipped. */
	if (call->op == op)
		profile(ctx, call, op, id, ret);
	calls.delete(&id);
	return 0;
}
