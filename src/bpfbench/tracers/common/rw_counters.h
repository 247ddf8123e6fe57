/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the rw programs count, on each CPU. */
#ifndef BPFBENCH_RW_COUNTERS_H
#define BPFBENCH_RW_COUNTERS_H

#include "rw_event.h"

struct rw_counters {
	__UINT64_TYPE__ intercepted[RW_OPS]; /* includes the two kinds of loss below */
	__UINT64_TYPE__ ring_full;
	__UINT64_TYPE__ map_full;
};

#endif
