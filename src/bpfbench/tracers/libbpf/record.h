/* SPDX-License-Identifier: Apache-2.0 */
/* Records in the two output formats. */
#ifndef RECORD_H
#define RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "fs_profile.h"
#include "output.h"
#include "rw_event.h"

void record_init(void);

void record_count_text(struct output *output, uint64_t number, uint64_t count);
void record_count_binary(struct output *output, uint64_t number, uint64_t count);

/* The event is followed by its payload. payload_bytes is 0 for rw-tracer, which has none. */
void record_event_text(struct output *output, const struct rw_event *event, uint32_t payload_bytes);
void record_event_binary(struct output *output, const struct rw_event *event, uint32_t payload_bytes);

/* A slow call with its stack, of so many bytes in all, is one event; a line of latencies stands for its calls, and one
 * of the most used files for none. */
void record_slow_text(struct output *output, const struct fs_slow *slow, size_t size);
void record_latency_text(struct output *output, const struct fs_key *key, const struct fs_latency *latency);
void record_top_text(struct output *output, const struct fs_file *file, const struct fs_use *use);

#endif
