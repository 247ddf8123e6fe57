/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdint.h>

#include "rw_event.h"

enum tool { SYSCOUNT, RW_TRACER, RW_TRACER_ALL, FS_PROFILE };
enum attach { TRACEPOINT, KPROBE, FENTRY };
enum format { TEXT, BINARY };

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
};

/* Indexed by the members above. */
extern const char *const tool_names[];
extern const char *const attach_names[];
extern const char *const format_names[];

/* Exits with 2, after one line on stderr, unless every option is there and valid. */
void parse_options(int argc, char **argv, struct options *options);

#endif
