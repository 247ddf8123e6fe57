/* SPDX-License-Identifier: Apache-2.0 */
/* What was found wrong: how often, and the first example of each kind. */
#ifndef AUDIT_DEFECTS_H
#define AUDIT_DEFECTS_H

#include <stdint.h>

enum defect {
	TORN, /* no whole record: columns, numbers, lengths, the end of its line */
	IMPOSSIBLE, /* what no kernel says: another op, a thread id beyond PID_MAX_LIMIT */
	PAYLOAD_LENGTH, /* payload_len is not what was moved, up to the payload that is kept */
	PADDING, /* binary: bytes after the payload that are not zero */
	PAYLOAD, /* differs from the file */
	BACKWARDS, /* enter_ns > exit_ns */
	CLOCK, /* times before the tracer was started, or to come */
	THREAD_ORDER, /* a thread's call begins before its one before has ended */
	COMM,
	IDENTITY, /* name, inode and device do not go together */
	OFFSET, /* not at a block, or outside of the file */
	TRANSFER, /* count or ret is not a block */
	REPEATED, /* a block's second record in the same direction */
	ORDER, /* of fs-profile: lines are not sorted as they should be */
	SLOTS, /* the numbers of a line of latencies do not go together */
	DURATION, /* a call that was not slow, or that its file's latencies do not have */
	STACK, /* no frames, too many, or addresses that are not the kernel's */
	TOP, /* a file that is used more than its latencies say, or one line too many */
	DEFECTS
};

struct defects {
	uint64_t record; /* the number of the one being checked, from 1 */
	struct found {
		uint64_t count;
		uint64_t record;
		char example[200];
	} found[DEFECTS];
};

extern const char *const defect_names[DEFECTS];

/* Counts one; the first is described. */
void defect(struct defects *defects, enum defect kind, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
