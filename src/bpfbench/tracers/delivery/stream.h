/* SPDX-License-Identifier: Apache-2.0 */
/* From the bytes of an output, as they come, to the delay of each of its records. */
#ifndef DELIVERY_STREAM_H
#define DELIVERY_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "histogram.h"

enum {
	PIECE_BYTES = 1 << 18, /* that can be added at a time */
	RECORD_MOST = 1 << 16, /* no record is longer: three characters for each of 16384 bytes, and its columns */
};

struct stream {
	uint64_t since_ns; /* no event is older */
	size_t record_bytes; /* 0: records are lines */
	uint64_t bytes;
	uint64_t records; /* whole ones; each has a delay, but for those that are impossible */
	uint64_t notices; /* lines that are none, as bpftrace has them between */
	uint64_t torn;
	uint64_t impossible; /* events that ended after they could be read, or before the tracer was started */
	struct histogram delays;
	size_t used; /* of what follows: the beginning of a record */
	bool in_long_line;
	char buffer[RECORD_MOST + PIECE_BYTES];
};

/* Takes what was put at buffer + used, up to a piece, all of which could be read at that time. */
void stream_add(struct stream *stream, size_t bytes, uint64_t now_ns);

/* Says of what is left that it is no record. */
void stream_end(struct stream *stream);

#endif
