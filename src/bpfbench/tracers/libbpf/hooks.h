/* SPDX-License-Identifier: Apache-2.0 */
/* The programs that watch reads and writes, of whichever tool; ../common/rw_hooks.bpf.h has them. */
#ifndef HOOKS_H
#define HOOKS_H

#include <bpf/libbpf.h>

#include "run.h"

/* Has the programs of one flavour loaded alone: the kernel may not know the others. */
void choose_programs(struct bpf_object *object, enum attach attach);

/* Detaches in the order of attaching, and waits until no program is running any more. */
void detach_programs(struct run *run, const struct bpf_object_skeleton *skeleton);

/* Adds to what was intercepted the runs that the kernel skipped. */
void count_skipped(struct run *run, struct bpf_object *object);

#endif
