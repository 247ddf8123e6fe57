/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which tasks are recorded: those whose comm is exactly the target's. */
#ifndef BPFBENCH_TARGET_BPF_H
#define BPFBENCH_TARGET_BPF_H

#include <stdbool.h>

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "rw_event.h"

#define COMM_WORDS (RW_COMM_BYTES / sizeof(__u64))

/* Set before loading; NUL-padded like the kernel's own, so that comparing two words is comparing the strings. */
const volatile __u64 target_comm[COMM_WORDS];

static __always_inline bool is_target(void)
{
	__u64 comm[COMM_WORDS];

	if (bpf_get_current_comm(comm, sizeof(comm)))
		return false;
	return comm[0] == target_comm[0] && comm[1] == target_comm[1];
}

#endif
