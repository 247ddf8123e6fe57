// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* rw-tracer and rw-tracer-all with --buffer perf. When a record wakes is up to user space, which makes the buffers. */
#define RW_PERF
#include "rw.bpf.c"
