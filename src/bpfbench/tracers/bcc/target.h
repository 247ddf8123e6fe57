/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which tasks are recorded: those whose comm is exactly the target's. */
#ifndef BPFBENCH_BCC_TARGET_H
#define BPFBENCH_BCC_TARGET_H

/* TARGET_COMM_0 and _1 are the two words of the target's comm, NUL-padded like the kernel's own. */
static __always_inline bool is_target(void)
{
	u64 comm[2];

	if (bpf_get_current_comm(&comm, sizeof(comm)))
		return false;
	return comm[0] == TARGET_COMM_0 && comm[1] == TARGET_COMM_1;
}

#endif
