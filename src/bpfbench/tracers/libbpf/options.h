/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdint.h>

#include "rw_event.h"

enum tool { SYSCOUNT, RW_TRACER, RW_TRACER_ALL, FS_PROFILE };
enum attach { TRACEPOINT, KPROBE, FENTRY };
enum format { TEXT, BINARY };
enum wakeup { ADAPTIVE, NEVER, WATERMARK, POLL };
enum consumed_by { ONE, RING };
enum record_sizes { FIXED, VARIABLE };
enum buffers { RING_BUFFER, PERF_BUFFERS };
enum waiting { LEVEL, EDGE };

#define RING_OF_CPU 0 /* in the place of a number of rings */

struct options {
	int tool; /* enum tool */
	int attach; /* enum attach */
	int format; /* enum format */
	char target_comm[RW_COMM_BYTES]; /* NUL-padded */
	const char *output;
	const char *summary;
	uint32_t ringbuf_bytes;
	uint32_t poll_ms;
	uint32_t payload_bytes;
	int wakeup; /* enum wakeup */
	uint32_t watermark; /* bytes, where that is the wake-up */
	uint32_t rings; /* how many, or RING_OF_CPU */
	int consumers; /* enum consumed_by */
	uint32_t output_bytes;
	int records; /* enum record_sizes */
	int buffer; /* enum buffers */
	int epoll; /* enum waiting */
};

/* Indexed by the members above. */
extern const char *const tool_names[];
extern const char *const attach_names[];
extern const char *const format_names[];

/* Exits with 2, after one line on stderr, unless every option that has to be there is, and all are valid. */
void parse_options(int argc, char **argv, struct options *options);

#endif
