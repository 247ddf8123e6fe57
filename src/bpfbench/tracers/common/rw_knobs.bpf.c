// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* rw-tracer and rw-tracer-all with the knobs of --wakeup, --rings and --records. They are an object of their own, as
 * the verifier removes what a constant rules out, but not the look at the constant: rw.bpf.c is to stay what it is. */
#define RW_KNOBS
#include "rw.bpf.c"
