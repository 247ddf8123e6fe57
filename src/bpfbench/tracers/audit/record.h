/* SPDX-License-Identifier: Apache-2.0 */
/* One record of a tracer's output; ../README.md defines both formats. */
#ifndef AUDIT_RECORD_H
#define AUDIT_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rw_event.h"

struct record {
	uint64_t enter_ns;
	uint64_t exit_ns;
	uint64_t offset;
	uint64_t count;
	int64_t ret;
	uint64_t inode;
	uint32_t dev;
	uint32_t pid;
	uint32_t tid;
	uint32_t op;
	uint32_t flags;
	uint32_t uid;
	uint32_t payload_len;
	char comm[RW_COMM_BYTES]; /* both padded with NUL */
	char name[RW_NAME_BYTES];
	const char *payload; /* in hexadecimal where the format is text; only the first payload_len bytes are there */
};

/* To be called once, before all others. */
void record_init(void);

/* Reads a line; at its end, which is readable, is the '\n'. Returns 0, or the number of the first column that is not as
 * the contract says, from 1. */
int record_from_line(struct record *record, const char *line, const char *end, bool with_payload);

/* Reads RW_EVENT_BYTES; the payload follows. Whatever they are, they are a record. */
void record_from_bytes(struct record *record, const char *bytes);

/* Returns at which byte a payload in hexadecimal differs from some bytes; length if it does not. */
size_t hex_differs(const char *hex, const unsigned char *bytes, size_t length);

#endif
