// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* syscount: the target's system calls, counted by number. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "kernel_types.h"
#include "rw_event.h"
#include "target.bpf.h"

/* Both maps are per CPU, so that the CPUs do not fight over one cache line. With SHARED_COUNTS one of them is not. */
#ifdef SHARED_COUNTS
#define COUNTS_TYPE BPF_MAP_TYPE_HASH
#else
#define COUNTS_TYPE BPF_MAP_TYPE_PERCPU_HASH
#endif

struct {
	__uint(type, COUNTS_TYPE);
	__uint(max_entries, SYSCOUNT_ENTRIES);
	__type(key, __u64);
	__type(value, __u64);
} counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} map_full SEC(".maps");

SEC("tracepoint/raw_syscalls/sys_enter")
int syscount(struct trace_event_raw_sys_enter *ctx)
{
	__u64 number = ctx->id, none = 0;
	__u32 zero = 0;
	__u64 *count;

	if (!is_target())
		return 0;

	count = bpf_map_lookup_elem(&counts, &number);
	if (!count) {
		/* This fails harmlessly when another CPU was first; a second look tells that from a full map. */
		bpf_map_update_elem(&counts, &number, &none, BPF_NOEXIST);
		count = bpf_map_lookup_elem(&counts, &number);
	}
	if (!count)
		count = bpf_map_lookup_elem(&map_full, &zero);
	if (count)
		__sync_fetch_and_add(count, 1);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
