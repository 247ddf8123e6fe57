/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the producer is told, and tells. */
#ifndef BPFBENCH_PRODUCE_H
#define BPFBENCH_PRODUCE_H

#include <linux/types.h>

struct produce {
	__u64 payload; /* address of what is copied into each record */
	__u64 flags; /* of bpf_ringbuf_submit() */
	__u64 lost; /* out: records that found the ring full */
	__u32 records;
	__u32 unused;
};

#endif
