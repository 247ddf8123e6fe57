/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The rw event as it travels through the ring and into binary output; see ../README.md for each field. */
#ifndef BPFBENCH_RW_EVENT_H
#define BPFBENCH_RW_EVENT_H

#define RW_COMM_BYTES 16
#define RW_NAME_BYTES 64
#define RW_EVENT_BYTES 156
#define RW_JOIN_ENTRIES 10240
#define SYSCOUNT_ENTRIES 1024

enum rw_op { RW_READ = 0, RW_WRITE = 1, RW_OPS = 2 };

/* Fixed-width types by compiler builtin, so that BPF and user space share one definition without a header of either. */
struct rw_event {
	__UINT64_TYPE__ enter_ns;
	__UINT64_TYPE__ exit_ns;
	__UINT64_TYPE__ offset;
	__UINT64_TYPE__ count;
	__INT64_TYPE__ ret;
	__UINT64_TYPE__ inode;
	__UINT32_TYPE__ dev;
	__UINT32_TYPE__ pid;
	__UINT32_TYPE__ tid;
	__UINT32_TYPE__ op;
	__UINT32_TYPE__ flags;
	__UINT32_TYPE__ uid;
	char comm[RW_COMM_BYTES];
	char name[RW_NAME_BYTES];
	__UINT32_TYPE__ payload_len;
} __attribute__((packed));

_Static_assert(sizeof(struct rw_event) == RW_EVENT_BYTES, "the contract fixes the event at 156 bytes");

#endif
