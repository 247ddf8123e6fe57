/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The hooks of reads and writes, in the three flavours of --attach. Each has a program type of its own, by which the
 * tracers choose what to load: a kernel without kprobes never sees a kprobe program. Each program's name says whether
 * it watches a read or a write. What they do is up to the tool that includes them. */
#ifndef BPFBENCH_RW_HOOKS_BPF_H
#define BPFBENCH_RW_HOOKS_BPF_H

#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include "kernel_types.h"
#include "rw_event.h"

/* The tool's part. At entries it is for the tool to look whose call it is. */

/* read(fd, buf, count) and write(fd, buf, count) */
static __always_inline int enter(enum rw_op op, struct trace_event_raw_sys_enter *ctx);
/* pread64(fd, buf, count, pos) and pwrite64(fd, buf, count, pos) */
static __always_inline int enter_at(enum rw_op op, struct trace_event_raw_sys_enter *ctx);
/* vfs_read(file, buf, count, pos) and vfs_write(file, buf, count, pos); pos is NULL for streams, such as pipes. */
static __always_inline int enter_vfs(enum rw_op op, struct file *file, const char *buf, __u64 count, long long *pos);
static __always_inline int leave(void *ctx, enum rw_op op, __s64 ret);

/* The file behind a descriptor of the current task, or NULL. */
static __always_inline struct file *file_of(__u32 fd)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct fdtable *fdt = BPF_CORE_READ(task, files, fdt);
	struct file *file = NULL;

	if (fd < BPF_CORE_READ(fdt, max_fds))
		bpf_probe_read_kernel(&file, sizeof(file), BPF_CORE_READ(fdt, fd) + fd);
	return file;
}
/* In each flavour exits come first, because programs are attached in this order and detached in it: at no time is an
 * entry recorded whose exit would go unseen while other exits are watched. */

SEC("tracepoint/syscalls/sys_exit_read")
int read_exit(struct trace_event_raw_sys_exit *ctx)
{
	return leave(ctx, RW_READ, ctx->ret);
}

SEC("tracepoint/syscalls/sys_exit_pread64")
int pread64_exit(struct trace_event_raw_sys_exit *ctx)
{
	return leave(ctx, RW_READ, ctx->ret);
}

SEC("tracepoint/syscalls/sys_exit_write")
int write_exit(struct trace_event_raw_sys_exit *ctx)
{
	return leave(ctx, RW_WRITE, ctx->ret);
}

SEC("tracepoint/syscalls/sys_exit_pwrite64")
int pwrite64_exit(struct trace_event_raw_sys_exit *ctx)
{
	return leave(ctx, RW_WRITE, ctx->ret);
}

SEC("tracepoint/syscalls/sys_enter_read")
int read_enter(struct trace_event_raw_sys_enter *ctx)
{
	return enter(RW_READ, ctx);
}

SEC("tracepoint/syscalls/sys_enter_pread64")
int pread64_enter(struct trace_event_raw_sys_enter *ctx)
{
	return enter_at(RW_READ, ctx);
}

SEC("tracepoint/syscalls/sys_enter_write")
int write_enter(struct trace_event_raw_sys_enter *ctx)
{
	return enter(RW_WRITE, ctx);
}

SEC("tracepoint/syscalls/sys_enter_pwrite64")
int pwrite64_enter(struct trace_event_raw_sys_enter *ctx)
{
	return enter_at(RW_WRITE, ctx);
}

SEC("kretprobe/vfs_read")
int BPF_KRETPROBE(kretprobe_read, long ret)
{
	return leave(ctx, RW_READ, ret);
}

SEC("kretprobe/vfs_write")
int BPF_KRETPROBE(kretprobe_write, long ret)
{
	return leave(ctx, RW_WRITE, ret);
}

SEC("kprobe/vfs_read")
int BPF_KPROBE(kprobe_read, struct file *file, const char *buf, __u64 count, long long *pos)
{
	return enter_vfs(RW_READ, file, buf, count, pos);
}

SEC("kprobe/vfs_write")
int BPF_KPROBE(kprobe_write, struct file *file, const char *buf, __u64 count, long long *pos)
{
	return enter_vfs(RW_WRITE, file, buf, count, pos);
}

/* At the exit too the arguments are there, but not the time of entry: the join map is the same for all flavours. */

SEC("fexit/vfs_read")
int BPF_PROG(fexit_read, struct file *file, const char *buf, __u64 count, long long *pos, long ret)
{
	return leave(ctx, RW_READ, ret);
}

SEC("fexit/vfs_write")
int BPF_PROG(fexit_write, struct file *file, const char *buf, __u64 count, long long *pos, long ret)
{
	return leave(ctx, RW_WRITE, ret);
}

SEC("fentry/vfs_read")
int BPF_PROG(fentry_read, struct file *file, const char *buf, __u64 count, long long *pos)
{
	return enter_vfs(RW_READ, file, buf, count, pos);
}

SEC("fentry/vfs_write")
int BPF_PROG(fentry_write, struct file *file, const char *buf, __u64 count, long long *pos)
{
	return enter_vfs(RW_WRITE, file, buf, count, pos);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#endif
