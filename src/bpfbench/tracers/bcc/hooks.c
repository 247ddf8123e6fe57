// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The hooks of reads and writes, in the flavour that is asked for. Each name says whether it watches a read or a write.
 * The tracer puts this behind the tool's part, which defines
 *   enter(op, fd, buf, count)           for read and write,
 *   enter_at(op, fd, buf, count, pos)   for pread64 and pwrite64,
 *   enter_vfs(op, file, buf, count, pos) for vfs_read and vfs_write, whose pos is 0 for streams, such as pipes, and
 *   leave(ctx, op, ret)                 for all of them.
 * (It is not included, as BCC takes its own words, such as calls.lookup(), in the main text only.)
 */

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
	return leave(args, RW_READ, args->ret);
}

TRACEPOINT_PROBE(syscalls, sys_exit_pread64)
{
	return leave(args, RW_READ, args->ret);
}

TRACEPOINT_PROBE(syscalls, sys_exit_write)
{
	return leave(args, RW_WRITE, args->ret);
}

TRACEPOINT_PROBE(syscalls, sys_exit_pwrite64)
{
	return leave(args, RW_WRITE, args->ret);
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
	return leave(ctx, RW_READ, PT_REGS_RC(ctx));
}

int kretprobe__vfs_write(struct pt_regs *ctx)
{
	return leave(ctx, RW_WRITE, PT_REGS_RC(ctx));
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
	return leave(ctx, RW_READ, ret);
}

KRETFUNC_PROBE(vfs_write, u64 file, u64 buf, u64 count, u64 pos, s64 ret)
{
	return leave(ctx, RW_WRITE, ret);
}

#endif
