/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How programs get at objects of the kernel.
 *
 * BCC has no CO-RE: it compiles p->member to the offset in whatever kernel headers it finds, and those need not be the
 * running kernel's. Kernel objects are therefore plain addresses here, read at offsets (TASK_FILES, FILE_POS, ...) that
 * the tracer takes from the BTF of the running kernel and defines on the command line. ATTACH_KPROBE and the like, too,
 * are defined there.
 */
#ifndef BPFBENCH_BCC_KERNEL_H
#define BPFBENCH_BCC_KERNEL_H

#ifdef ATTACH_KPROBE
#include <uapi/linux/ptrace.h>
#endif

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

/* The file behind a descriptor of the current task, or 0. */
static __always_inline u64 file_of(u32 fd)
{
	u64 files = read_u64(bpf_get_current_task() + TASK_FILES);
	u64 fdt = read_u64(files + FILES_FDT);

	if (fd < read_u32(fdt + FDT_MAX_FDS))
		return read_u64(read_u64(fdt + FDT_FD) + fd * sizeof(u64));
	return 0;
}

#endif
