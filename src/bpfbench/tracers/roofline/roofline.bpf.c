// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The kernel side of the roofline: a producer that nothing triggers but BPF_PROG_TEST_RUN, so that the ring is measured
 * without any hook; one that each pread64(2) of a target triggers, for the least that can be done with its records; and
 * programs that do nothing, so that a hook is measured without any work. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "target.bpf.h"

#include "produce.h"

/* Set before loading, so constants to the verifier. */
const volatile __u32 record_bytes = 156;
const volatile __u32 payload_bytes;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} ring SEC(".maps");

struct round {
	struct produce *order;
	__u64 lost;
};

static long produce_one(__u32 index, void *context)
{
	struct round *round = context;
	__u64 *record = bpf_ringbuf_reserve(&ring, record_bytes, 0);

	if (!record) {
		round->lost++;
		return 0;
	}
	record[0] = bpf_ktime_get_ns();
	if (payload_bytes)
		bpf_probe_read_user(
			(char *)record + record_bytes - payload_bytes, payload_bytes, (void *)round->order->payload);
	bpf_ringbuf_submit(record, round->order->flags);
	return 0;
}

SEC("syscall")
int produce(struct produce *order)
{
	struct round round = {.order = order};

	bpf_loop(order->records, produce_one, &round, 0);
	order->lost = round.lost;
	return 0;
}

/* As /sys/kernel/tracing/events/syscalls/sys_enter_pread64/format has it. */
struct pread64 {
	__u64 common;
	__u64 id, fd, buf, count, pos;
};

SEC("?tracepoint/syscalls/sys_enter_pread64")
int record_read(struct pread64 *call)
{
	__u64 *record, now = bpf_ktime_get_ns();

	if (!is_target())
		return 0;
	record = bpf_ringbuf_reserve(&ring, record_bytes, 0);
	if (!record)
		return 0;
	/* All of it, as a tracer does: what is not written would not have to come from this CPU's cache. */
	for (int i = 0; i < RW_EVENT_BYTES / 8; i++)
		record[i] = now;
	if (payload_bytes)
		bpf_probe_read_user((char *)record + record_bytes - payload_bytes, payload_bytes, (void *)call->buf);
	bpf_ringbuf_submit(record, 0);
	return 0;
}

#define NOTHING(name, section)                                                                                         \
	SEC(section)                                                                                                   \
	int name(void *context)                                                                                        \
	{                                                                                                              \
		return 0;                                                                                              \
	}

NOTHING(tracepoint_enter, "?tracepoint/syscalls/sys_enter_pread64")
NOTHING(tracepoint_exit, "?tracepoint/syscalls/sys_exit_pread64")
NOTHING(kprobe_enter, "?kprobe/vfs_read")
NOTHING(kprobe_exit, "?kretprobe/vfs_read")
NOTHING(fentry_enter, "?fentry/vfs_read")
NOTHING(fentry_exit, "?fexit/vfs_read")

char LICENSE[] SEC("license") = "Dual BSD/GPL";
