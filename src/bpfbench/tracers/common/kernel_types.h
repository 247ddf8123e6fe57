/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The few kernel types the programs read, cut down to the members read: CO-RE finds each member by name in the BTF of
 * the running kernel, through anonymous unions too (f_path and d_name have moved into one), so order does not matter.
 */
#ifndef BPFBENCH_KERNEL_TYPES_H
#define BPFBENCH_KERNEL_TYPES_H

#include <linux/types.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct qstr {
	const unsigned char *name;
};

struct dentry {
	struct qstr d_name;
};

struct path {
	struct dentry *dentry;
};

struct super_block {
	__u32 s_dev;
};

struct inode {
	struct super_block *i_sb;
	unsigned long i_ino;
};

struct file {
	struct inode *f_inode;
	unsigned int f_flags;
	struct path f_path;
	long long f_pos;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct task_struct {
	struct files_struct *files;
};

/* The contexts of both raw_syscalls:sys_* and syscalls:sys_*_NAME, whose args and ret lie at the same offsets. */
struct trace_event_raw_sys_enter {
	long id;
	unsigned long args[6];
};

struct trace_event_raw_sys_exit {
	long ret;
};

#pragma clang attribute pop

#endif
