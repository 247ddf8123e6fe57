// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* syscount: the target's system calls, counted by number. */
#include "rw_event.h"
#include "target.h"

BPF_PERCPU_HASH(counts, u64, u64, SYSCOUNT_ENTRIES);
BPF_PERCPU_ARRAY(map_full, u64, 1);

TRACEPOINT_PROBE(raw_syscalls, sys_enter)
{
	u64 number = args->id, none = 0;
	u64 *count;

	if (!is_target())
		return 0;
	count = counts.lookup_or_try_init(&number, &none);
	if (count)
		lock_xadd(count, 1);
	else
		map_full.atomic_increment(0);
	return 0;
}
