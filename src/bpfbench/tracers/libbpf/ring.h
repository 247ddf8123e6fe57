/* SPDX-License-Identifier: Apache-2.0 */
/* From the ring into the output, of whichever tool. */
#ifndef RING_H
#define RING_H

#include <bpf/libbpf.h>

#include "run.h"

/* What who takes a record out of the ring returns. */
int ring_goes_on(const struct run *run);

/* Until told to stop. */
void follow(struct run *run, struct ring_buffer *ring);

/* Once nothing is put into it any more. */
void drain(struct run *run, struct ring_buffer *ring);

#endif
