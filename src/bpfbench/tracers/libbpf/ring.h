/* SPDX-License-Identifier: Apache-2.0 */
/* From the rings, or perf buffers, into the output, of whichever tool. */
#ifndef RING_H
#define RING_H

#include <pthread.h>

#include <bpf/libbpf.h>

#include "run.h"

/* Who takes records out of all rings, or with --consumers ring out of one of them, in a thread of its own. */
struct consumer {
	struct run *run;
	struct consumers *all;
	struct output *output;
	struct ring_buffer *rings;
	size_t ring_count;
	struct perf_buffer *buffers; /* or these, and no rings: see perf.h */
	ring_buffer_sample_fn on_record; /* of these alone, as is how many they brought so far */
	unsigned int taken;
	uint64_t quiet_since_ns; /* when it looked in vain for the first time since a record; else 0 */
	bool draining; /* nothing is put into its rings any more, and it takes all there is */
	/* Of a thread: */
	pthread_t thread;
	struct output own;
};

struct consumers {
	_Atomic int error; /* a negative errno of who could not wait or look; all end then */
	int over; /* of threads: an eventfd that is written to when all are to end; else -1 */
	size_t count;
	struct consumer each[];
};

/* What who is given a record, and a consumer as its context, returns. */
int consumer_goes_on(const struct consumer *consumer);

/* Attaches, hands on what comes through the rings until told to stop, detaches, and drains. With --buffer perf there is
 * one map of perf buffers instead. Returns what is to be freed then, or NULL. */
struct consumers *through_rings(struct run *run, struct bpf_object_skeleton *skeleton, const int *rings, size_t count,
	ring_buffer_sample_fn on_record);
void consumers_free(struct consumers *consumers);

#endif
