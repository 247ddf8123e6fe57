// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* rw-tracer and rw-tracer-all: what their hooks hand on. */
#include "rw_hooks.bpf.h"
#include "rw.bpf.h"
#include "target.bpf.h"

static __always_inline int enter(enum rw_op op, struct trace_event_raw_sys_enter *ctx)
{
	struct file *file;

	if (!is_target())
		return 0;
	file = file_of(ctx->args[0]);
	return rw_enter(op, file, (void *)ctx->args[1], ctx->args[2], file ? BPF_CORE_READ(file, f_pos) : 0);
}

static __always_inline int enter_at(enum rw_op op, struct trace_event_raw_sys_enter *ctx)
{
	if (!is_target())
		return 0;
	return rw_enter(op, file_of(ctx->args[0]), (void *)ctx->args[1], ctx->args[2], ctx->args[3]);
}

static __always_inline int enter_vfs(enum rw_op op, struct file *file, const char *buf, __u64 count, long long *pos)
{
	__u64 offset = 0;

	if (!is_target())
		return 0;
	if (pos)
		bpf_probe_read_kernel(&offset, sizeof(offset), pos);
	else
		offset = BPF_CORE_READ(file, f_pos);
	return rw_enter(op, file, buf, count, offset);
}

static __always_inline int leave(void *ctx, enum rw_op op, __s64 ret)
{
	return rw_exit(ctx, op, ret);
}
