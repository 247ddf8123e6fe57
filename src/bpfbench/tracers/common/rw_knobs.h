/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What user space sets the knobs of rw_knobs.bpf.c to. */
#ifndef BPFBENCH_RW_KNOBS_H
#define BPFBENCH_RW_KNOBS_H

/* Of wakeup_bytes, besides a watermark. */
#define RW_WAKE_ADAPTIVE 0
#define RW_WAKE_NEVER (~0ULL)

#define RW_PAYLOAD_MOST 16384

#endif
