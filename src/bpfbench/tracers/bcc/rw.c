// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * rw-tracer and, where PAYLOAD_BYTES is not 0, rw-tracer-all: one event per completed read or write of the target.
 *
 * BCC has no CO-RE: it compiles p->member to the offset in whatever kernel headers it finds, and those need not be the
 * running kernel's. Kernel objects are therefore plain addresses here, read at offsets (TASK_FILES, FILE_POS, ...) that
 * the tracer takes from the BTF of the running kernel and defines on the command line. ATTACH_KPROBE and the like, too,
 * are defined there.
 */
#ifdef ATTACH_KPROBE
#include <uapi/linux/ptrace.h>
#endif
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
BPF_RINGBUF_OUTPUT(events, RING_PAGES);

static __always_inline u64 read_u64(u64 address)
{
	u64 value = 0;

	bpf_probe_read_kernel(&value, sizeof(value), (void *)address);
	return value;
}

static __always_inline u32 read_u32(u64 address)
{
	u32 value = 0;

	bpf_probe_read_kernel(&value, sizeof(value), (void *)address);
	return value;
}

static __always_inline struct rw_counters *this_cpu_counters(void)
{
	int zero = 0;

	return counters.lookup(&zero);
}

/* The file behind a descriptor of the current task, or 0. */
static __always_inline u64 file_of(u32 fd)
{
	u64 files = read_u64(bpf_get_current_task() + TASK_FILES);
	u64 fdt = read_u64(files + FILES_FDT);

	if (fd < read_u32(fdt + FDT_MAX_FDS))
		return read_u64(read_u64(fdt + FDT_FD) + fd * sizeof(u64));
	return 0;
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

/* read(fd, buf, count) and write(fd, buf, count) */
static __always_inline int enter(u64 op, u32 fd, u64 buf, u64 count)
{
	u64 file;

	if (!is_target())
		return 0;
	file = file_of(fd);
	return rw_enter(op, file, buf, count, file ? read_u64(file + FILE_POS) : 0);
}

/* pread64(fd, buf, count, pos) and pwrite64(fd, buf, count, pos) */
static __always_inline int enter_at(u64 op, u32 fd, u64 buf, u64 count, u64 pos)
{
	if (!is_target())
		return 0;
	return rw_enter(op, file_of(fd), buf, count, pos);
}

/* vfs_read(file, buf, count, pos) and vfs_write(file, buf, count, pos); pos is 0 for streams, such as pipes. */
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

static __always_inline void submit_event(struct rw_call *call, u64 op, u64 id, u64 exit_ns, s64 ret)
{
	struct rw_counters *c = this_cpu_counters();
	u64 *comm;
	rw_slot *event;

	if (!c)
		return;
	lock_xadd(&c->intercepted[op], 1);

	event = events.ringbuf_reserve(sizeof(*event) + PAYLOAD_BYTES);
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
	event->payload_len = read_payload(event + 1, call->buf, ret);
	events.ringbuf_submit(event, 0);
}

static __always_inline int rw_exit(u64 op, s64 ret)
{
	u64 id = bpf_get_current_pid_tgid();
	struct rw_call *call = calls.lookup(&id);

	if (!call)
		return 0;
	/* Another op is left over from a call whose exit the kernel skipped. */
	if (call->op == op)
		submit_event(call, op, id, bpf_ktime_get_ns(), ret);
	calls.delete(&id);
	return 0;
}

#if defined(ATTACH_TRACEPOINT)

TRACEPOINT_PROBE(syscalls, sys_enter_read)
{
	return enter(RW_READ, args->fd, (u64)args->buf, args->count);
}

TRACEPOINT_PROBE(syscalls, sys_enter_pread64)
{
	return enter_at(RW_READ, args->fd, (u64)args->buf, args->count, args->pos);
}

TRACEPOINT_PROBE(syscalls, sys_enter_write)
{
	return enter(RW_WRITE, args->fd, (u64)args->buf, args->count);
}

TRACEPOINT_PROBE(syscalls, sys_enter_pwrite64)
{
	return enter_at(RW_WRITE, args->fd, (u64)args->buf, args->count, args->pos);
}

TRACEPOINT_PROBE(syscalls, sys_exit_read)
{
	return rw_exit(RW_READ, args->ret);
}

TRACEPOINT_PROBE(syscalls, sys_exit_pread64)
{
	return rw_exit(RW_READ, args->ret);
}

TRACEPOINT_PROBE(syscalls, sys_exit_write)
{
	return rw_exit(RW_WRITE, args->ret);
}

TRACEPOINT_PROBE(syscalls, sys_exit_pwrite64)
{
	return rw_exit(RW_WRITE, args->ret);
}

#elif defined(ATTACH_KPROBE)

int kprobe__vfs_read(struct pt_regs *ctx, u64 file, u64 buf, u64 count, u64 pos)
{
	return enter_vfs(RW_READ, file, buf, count, pos);
}

int kprobe__vfs_write(struct pt_regs *ctx, u64 file, u64 buf, u64 count, u64 pos)
{
	return enter_vfs(RW_WRITE, file, buf, count, pos);
}

int kretprobe__vfs_read(struct pt_regs *ctx)
{
	return rw_exit(RW_READ, PT_REGS_RC(ctx));
}

int kretprobe__vfs_write(struct pt_regs *ctx)
{
	return rw_exit(RW_WRITE, PT_REGS_RC(ctx));
}

#elif defined(ATTACH_FENTRY)

KFUNC_PROBE(vfs_read, u64 file, u64 buf, u64 count, u64 pos)
{
	return enter_vfs(RW_READ, file, buf, count, pos);
}

KFUNC_PROBE(vfs_write, u64 file, u64 buf, u64 count, u64 pos)
{
	return enter_vfs(RW_WRITE, file, buf, count, pos);
}

/* Here too the arguments are there, but not the time of entry: the join map is the same for all flavours. */

KRETFUNC_PROBE(vfs_read, u64 file, u64 buf, u64 count, u64 pos, s64 ret)
{
	return rw_exit(RW_READ, ret);
}

KRETFUNC_PROBE(vfs_write, u64 file, u64 buf, u64 count, u64 pos, s64 ret)
{
	return rw_exit(RW_WRITE, ret);
}

#endif
