/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What fs-profile keeps in its maps and sends through its ring; see ../README.md. */
#ifndef BPFBENCH_FS_PROFILE_H
#define BPFBENCH_FS_PROFILE_H

#include "rw_event.h"

#define FS_FILES 1024
#define FS_TOP_FILES 64
#define FS_SLOTS 40
#define FS_FRAMES 32
#define FS_SLOW_NS 1000000

struct fs_key {
	__UINT32_TYPE__ dev;
	__UINT32_TYPE__ op;
	__UINT64_TYPE__ inode;
};

struct fs_latency {
	__UINT64_TYPE__ count;
	__UINT64_TYPE__ bytes;
	__UINT64_TYPE__ total_ns;
	__UINT64_TYPE__ max_ns;
	__UINT64_TYPE__ slots[FS_SLOTS]; /* by the duration's logarithm to base 2 */
	char name[RW_NAME_BYTES];
};

struct fs_file {
	__UINT64_TYPE__ inode;
	__UINT32_TYPE__ dev;
	__UINT32_TYPE__ unused; /* 0: keys are compared byte by byte */
};

struct fs_use {
	__UINT64_TYPE__ calls;
	__UINT64_TYPE__ bytes;
};

/* In the ring the stack ends with its last frame. */
struct fs_slow {
	__UINT64_TYPE__ enter_ns;
	__UINT64_TYPE__ exit_ns;
	__INT64_TYPE__ ret;
	__UINT64_TYPE__ inode;
	__UINT32_TYPE__ dev;
	__UINT32_TYPE__ pid;
	__UINT32_TYPE__ tid;
	__UINT32_TYPE__ op;
	__UINT64_TYPE__ stack[FS_FRAMES];
};

/* Counted on each CPU. */
struct fs_counters {
	__UINT64_TYPE__ intercepted[RW_OPS]; /* includes what the join map refused */
	__UINT64_TYPE__ slow; /* of those; includes what the ring refused */
	__UINT64_TYPE__ ring_full;
	__UINT64_TYPE__ map_full;
};

#endif
